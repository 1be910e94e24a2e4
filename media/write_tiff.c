/* SPDX-License-Identifier: MIT */
/* write_tiff.c: TIFF through libtiff: RGB strips, Deflate with horizontal differences. libtiff goes
 * back to fill in its directory, so the file is made in memory. Its messages stay with its handle:
 * the process's own handlers are not touched. */
#include "picture_write.h"

#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

typedef struct memory {
    tsr_context *ctx;
    const char *name;
    uint8_t *bytes;
    size_t size, room, at;
    char text[256]; /* libtiff's first message */
} memory;

static tmsize_t on_read(thandle_t handle, void *to, tmsize_t size) {
    memory *m = (memory *)handle;
    if (m->at >= m->size) return 0;
    if ((size_t)size > m->size - m->at) size = (tmsize_t)(m->size - m->at);
    memcpy(to, m->bytes + m->at, (size_t)size);
    m->at += (size_t)size;
    return size;
}

static tmsize_t on_write(thandle_t handle, void *from, tmsize_t size) {
    memory *m = (memory *)handle;
    const size_t end = m->at + (size_t)size;
    if (end > m->room) {
        const size_t room = end > 2 * m->room ? end : 2 * m->room;
        uint8_t *more = realloc(m->bytes, room);
        if (!more) return -1;
        memset(more + m->room, 0, room - m->room);
        m->bytes = more;
        m->room = room;
    }
    memcpy(m->bytes + m->at, from, (size_t)size);
    m->at = end;
    if (end > m->size) m->size = end;
    return size;
}

static toff_t on_seek(thandle_t handle, toff_t offset, int whence) {
    memory *m = (memory *)handle;
    const size_t base = whence == SEEK_CUR ? m->at : whence == SEEK_END ? m->size : 0;
    m->at = base + (size_t)offset;
    return m->at;
}

static int on_close(thandle_t handle) {
    (void)handle;
    return 0;
}

static toff_t on_size(thandle_t handle) {
    return ((memory *)handle)->size;
}

static int on_error(TIFF *tiff, void *user, const char *module, const char *format, va_list list) {
    memory *m = user;
    (void)tiff;
    (void)module;
    if (!*m->text) vsnprintf(m->text, sizeof m->text, format, list);
    return 1;
}

static int on_warning(TIFF *tiff, void *user, const char *module, const char *format,
                      va_list list) {
    (void)tiff;
    (void)user;
    (void)module;
    (void)format;
    (void)list;
    return 1;
}

static TIFF *open_tiff(memory *m) {
    TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
    if (!options) return NULL;
    TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, m);
    TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, m);
    TIFF *tiff = TIFFClientOpenExt(m->name, "wm", (thandle_t)m, on_read, on_write, on_seek,
                                   on_close, on_size, NULL, NULL, options);
    TIFFOpenOptionsFree(options);
    return tiff;
}

static bool write_picture(TIFF *tiff, const tsr_picture_job *job) {
    const uint32_t rows = (uint32_t)(65536 / (job->width * 3LL)) + 1;
    bool good = TIFFSetField(tiff, TIFFTAG_IMAGEWIDTH, (uint32_t)job->width) &&
                TIFFSetField(tiff, TIFFTAG_IMAGELENGTH, (uint32_t)job->height) &&
                TIFFSetField(tiff, TIFFTAG_SAMPLESPERPIXEL, 3) &&
                TIFFSetField(tiff, TIFFTAG_BITSPERSAMPLE, 8) &&
                TIFFSetField(tiff, TIFFTAG_PHOTOMETRIC, PHOTOMETRIC_RGB) &&
                TIFFSetField(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) &&
                TIFFSetField(tiff, TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT) &&
                TIFFSetField(tiff, TIFFTAG_COMPRESSION, COMPRESSION_ADOBE_DEFLATE) &&
                TIFFSetField(tiff, TIFFTAG_PREDICTOR, PREDICTOR_HORIZONTAL) &&
                TIFFSetField(tiff, TIFFTAG_ROWSPERSTRIP, rows);
    uint8_t *row = malloc((size_t)job->width * 3); /* libtiff differences it in place */
    for (int y = 0; row && good && y < job->height; ++y) {
        memcpy(row, job->rgb + (size_t)y * (size_t)job->width * 3, (size_t)job->width * 3);
        good = TIFFWriteScanline(tiff, row, (uint32_t)y, 0) == 1;
    }
    good = good && row && TIFFFlush(tiff);
    free(row);
    return good;
}

tsr_status tsr_tiff_put(tsr_context *ctx, const tsr_picture_job *job) {
    memory m = {.ctx = ctx, .name = job->name};
    TIFF *tiff = open_tiff(&m);
    const bool good = tiff && write_picture(tiff, job);
    if (tiff) TIFFClose(tiff);
    const tsr_status status = good ? tsr_out_write(ctx, job->out, m.bytes, m.size)
                                   : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: TIFF: %s", job->name,
                                              *m.text ? m.text : "no memory to make it in");
    free(m.bytes);
    return status;
}
