/* SPDX-License-Identifier: MIT */
/* tesseract.c: Tesseract through its C interface: the LSTM recogniser, one word a picture, without
 * dictionaries. Words of a call are shared among the context's threads, each with a handle of its
 * own. */
#include "text_reader.h"

#ifdef TESSERA_WITH_TESSERACT

#include "../compute/threads.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tesseract/capi.h>

struct tsr_tesseract {
    tsr_context *ctx;
    TessBaseAPI **handles; /* [count] one for each thread */
    int count;
};

tsr_status tsr_tesseract_open(tsr_context *ctx, const char *language, char about[128],
                              tsr_tesseract **tesseract) {
    /* Words are not corrected towards a language: what counts is what can be seen. */
    enum { KEYS = 3 };
    static char *const keys[KEYS] = {"load_system_dawg", "load_freq_dawg", "debug_file"};
    /* It prints statistics of crops without a line of text on stderr, unless told otherwise. */
    static char *const values[KEYS] = {"0", "0", "/dev/null"};
    tsr_tesseract *t = tsr_alloc(ctx, 1, sizeof *t, "tesseract");
    *tesseract = NULL;
    if (!t) return TSR_ERROR_MEMORY;
    t->ctx = ctx;
    t->count = tsr_thread_count(ctx);
    t->handles = tsr_alloc(ctx, (size_t)t->count, sizeof *t->handles, "tesseract");
    tsr_status status = t->handles ? TSR_OK : TSR_ERROR_MEMORY;
    for (int i = 0; i < t->count && !status; ++i) {
        t->handles[i] = TessBaseAPICreate();
        if (!t->handles[i] || TessBaseAPIInit4(t->handles[i], NULL, language, OEM_LSTM_ONLY, NULL,
                                               0, (char **)keys, (char **)values, KEYS, 0))
            status =
                tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                         "tesseract: wanted language data \"%s\" (package tesseract-ocr-%s, or "
                         "TESSDATA_PREFIX), got none",
                         language, language);
        else
            TessBaseAPISetPageSegMode(t->handles[i], PSM_SINGLE_WORD);
    }
    snprintf(about, 128, "tesseract %s (%s)", TessVersion(), language);
    if (status)
        tsr_tesseract_close(&t);
    else
        *tesseract = t;
    return status;
}

void tsr_tesseract_close(tsr_tesseract **tesseract) {
    tsr_tesseract *t = tesseract ? *tesseract : NULL;
    if (!t) return;
    for (int i = 0; t->handles && i < t->count; ++i) {
        if (!t->handles[i]) continue;
        TessBaseAPIEnd(t->handles[i]);
        TessBaseAPIDelete(t->handles[i]);
    }
    free(t->handles);
    free(t);
    *tesseract = NULL;
}

typedef struct job {
    tsr_tesseract *t;
    uint8_t **rgb; /* [count] prepared */
    int *width, *height;
    tsr_reading *readings;
} job;

static void read_one(void *arg, int64_t index, int worker) {
    const job *j = arg;
    TessBaseAPI *h = j->t->handles[worker];
    tsr_reading *r = &j->readings[index];
    const int width = j->width[index];
    TessBaseAPISetImage(h, j->rgb[index], width, j->height[index], 3, width * 3);
    TessBaseAPISetSourceResolution(h, 150);
    char *text = TessBaseAPIGetUTF8Text(h);
    if (text) {
        size_t n = 0;
        for (const char *at = text; *at && n + 1 < sizeof r->text; ++at)
            r->text[n++] = *at;
        while (n && ((uint8_t)r->text[n - 1] & 0xC0) == 0x80 && n + 1 == sizeof r->text)
            --n; /* no half of a letter at the end of what fits */
        r->text[n] = '\0';
        r->confidence = n ? TessBaseAPIMeanTextConf(h) / 100.0 : 0;
        TessDeleteText(text);
    }
    TessBaseAPIClear(h);
}

tsr_status tsr_tesseract_read(tsr_tesseract *t, const tsr_picture *crops, int count,
                              tsr_reading *readings) {
    job j = {.t = t, .readings = readings};
    j.rgb = tsr_alloc(t->ctx, (size_t)count, sizeof *j.rgb, "words");
    j.width = j.rgb ? tsr_alloc(t->ctx, (size_t)count * 2, sizeof *j.width, "words") : NULL;
    tsr_status status = j.width ? TSR_OK : TSR_ERROR_MEMORY;
    j.height = j.width ? j.width + count : NULL;
    for (int i = 0; i < count && !status; ++i)
        status = tsr_line_prepare(t->ctx, &crops[i], &j.rgb[i], &j.width[i], &j.height[i]);
    if (!status) tsr_parallel(t->ctx, count, read_one, &j);
    for (int i = 0; j.rgb && i < count; ++i)
        free(j.rgb[i]);
    free(j.rgb);
    free(j.width);
    return status;
}

#else

tsr_status tsr_tesseract_open(tsr_context *ctx, const char *language, char about[128],
                              tsr_tesseract **tesseract) {
    (void)language;
    *about = '\0';
    *tesseract = NULL;
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                    "tesseract: wanted a build with TESSERA_TESSERACT=ON, got one without");
}

tsr_status tsr_tesseract_read(tsr_tesseract *tesseract, const tsr_picture *crops, int count,
                              tsr_reading *readings) {
    (void)tesseract, (void)crops, (void)count, (void)readings;
    return TSR_ERROR_UNSUPPORTED;
}

void tsr_tesseract_close(tsr_tesseract **tesseract) {
    (void)tesseract;
}

#endif
