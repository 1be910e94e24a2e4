/* SPDX-License-Identifier: MIT */
/* text_reader.c: readers by name. */
#include "text_reader.h"
#include "../nn/french_letters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct tsr_reader {
    tsr_context *ctx;
    tsr_judge *judge; /* one of the two */
    tsr_tesseract *tesseract;
    char name[128], protocol[400];
};

static tsr_status open_judge(tsr_reader *r, const char *path, const tsr_model_settings *settings) {
    tsr_model_settings s = settings ? *settings : tsr_model_settings_default();
    s.model = path;
    tsr_status status = tsr_judge_open(r->ctx, &r->judge, &s);
    if (status) return status;
    const tsr_judge_info *info = tsr_judge_properties(r->judge);
    if (!(info->abilities & TSR_JUDGE_READS))
        return tsr_fail(r->ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted a judge that reads, got %s",
                        path, info->name);
    snprintf(r->name, sizeof r->name, "%s", info->name);
    snprintf(r->protocol, sizeof r->protocol, "%s", info->protocol);
    return TSR_OK;
}

tsr_status tsr_reader_open(tsr_context *ctx, const char *text, const tsr_model_settings *settings,
                           tsr_reader **reader) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!text || !reader)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "reader: wanted a text, got NULL");
    *reader = NULL;
    tsr_reader *r = tsr_alloc(ctx, 1, sizeof *r, "reader");
    if (!r) return TSR_ERROR_MEMORY;
    r->ctx = ctx;
    tsr_status status;
    if (!strncmp(text, "parseq:", 7) && text[7]) {
        status = open_judge(r, text + 7, settings);
    } else if (!strcmp(text, "tesseract") || (!strncmp(text, "tesseract:", 10) && text[10])) {
        status = tsr_tesseract_open(ctx, text[9] ? text + 10 : "eng", r->name, &r->tesseract);
        snprintf(r->protocol, sizeof r->protocol,
                 "%s, LSTM, one word a picture, no dictionaries; crop resized to height %d with "
                 "antialias, %d pixels of its background around it",
                 r->name, TSR_LINE_HEIGHT, TSR_LINE_BORDER);
    } else {
        status = tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                          "reader: wanted parseq:WEIGHTS or tesseract[:LANG], got \"%s\"", text);
    }
    if (status)
        tsr_reader_close(&r);
    else
        *reader = r;
    return status;
}

void tsr_reader_close(tsr_reader **reader) {
    if (!reader || !*reader) return;
    tsr_judge_close(&(*reader)->judge);
    tsr_tesseract_close(&(*reader)->tesseract);
    free(*reader);
    *reader = NULL;
}

const char *tsr_reader_name(const tsr_reader *reader) {
    return reader->name;
}

const char *tsr_reader_protocol(const tsr_reader *reader) {
    return reader->protocol;
}

int tsr_reader_knows(const tsr_reader *reader, uint32_t point) {
    if (!reader->judge) return -1;
    for (int i = 0; i < TSR_FRENCH_LETTERS; ++i)
        if (tsr_french_letters[i] == point) return 1;
    return 0;
}

/* Cuts white space off both ends. */
static void strip(char *text) {
    static const char spaces[] = " \t\r\n\f\v";
    const size_t front = strspn(text, spaces);
    size_t n = strlen(text);
    while (n > front && strchr(spaces, text[n - 1]))
        --n;
    memmove(text, text + front, n - front);
    text[n - front] = '\0';
}

tsr_status tsr_reader_read(tsr_reader *r, const tsr_picture *crops, int count, int most,
                           tsr_reading *readings) {
    if (!r) return TSR_ERROR_ARGUMENT;
    if (!crops || !readings || count < 1)
        return tsr_fail(r->ctx, TSR_ERROR_ARGUMENT, "reader: wanted pictures, got none");
    memset(readings, 0, (size_t)count * sizeof *readings);
    const tsr_read_request request = {.most = most};
    const tsr_status status = r->judge ? tsr_judge_read(r->judge, crops, count, &request, readings)
                                       : tsr_tesseract_read(r->tesseract, crops, count, readings);
    for (int i = 0; i < count && !status; ++i)
        strip(readings[i].text);
    return status;
}
