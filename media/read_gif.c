/* SPDX-License-Identifier: MIT */
/* read_gif.c: the first frame of a GIF through giflib, on its canvas as Pillow lays it. */
#include "reader.h"

static bool recognise(tsr_bytes b) {
    return tsr_bytes_have(b, 0, "GIF87a", 6) || tsr_bytes_have(b, 0, "GIF89a", 6);
}

static void probe_gif(tsr_bytes b, tsr_probe *probe) {
    probe->width = tsr_little(b, 6, 2);
    probe->height = tsr_little(b, 8, 2);
}

#ifdef TESSERA_WITH_GIF
#include <gif_lib.h>
#include <stdlib.h>

typedef struct reader {
    tsr_bytes rest;
    bool ended;
} reader;

static int on_read(GifFileType *gif, GifByteType *to, int size) {
    reader *r = gif->UserData;
    size_t count = (size_t)size < r->rest.size ? (size_t)size : r->rest.size;
    r->ended |= count < (size_t)size;
    memcpy(to, r->rest.p, count);
    r->rest = tsr_slice(r->rest, count, r->rest.size);
    return (int)count;
}

static tsr_status fail_gif(const tsr_picture_decode *d, const reader *r, int error) {
    if (error == D_GIF_ERR_NOT_ENOUGH_MEM)
        return tsr_fail(d->ctx, TSR_ERROR_MEMORY, "%s: no memory for giflib", d->name);
    if (r->ended)
        return tsr_picture_damaged(d, TSR_ERROR_TRUNCATED, "the file ends within the data");
    const char *text = GifErrorString(error);
    return tsr_picture_damaged(d, TSR_ERROR_FORMAT, "%s", text ? text : "damaged");
}

/* Goes to the first frame; *transparent is its index without colour, or -1. */
static int find_frame(GifFileType *gif, int *transparent) {
    *transparent = NO_TRANSPARENT_COLOR;
    for (;;) {
        GifRecordType type;
        if (DGifGetRecordType(gif, &type) == GIF_ERROR) return gif->Error;
        if (type == IMAGE_DESC_RECORD_TYPE)
            return DGifGetImageDesc(gif) == GIF_ERROR ? gif->Error : 0;
        if (type == TERMINATE_RECORD_TYPE) return D_GIF_ERR_NO_IMAG_DSCR;
        if (type != EXTENSION_RECORD_TYPE) continue;
        int code;
        GifByteType *block;
        if (DGifGetExtension(gif, &code, &block) == GIF_ERROR) return gif->Error;
        GraphicsControlBlock control;
        if (code == GRAPHICS_EXT_FUNC_CODE && block &&
            DGifExtensionToGCB(block[0], block + 1, &control) == GIF_OK)
            *transparent = control.TransparentColor;
        while (block)
            if (DGifGetExtensionNext(gif, &block) == GIF_ERROR) return gif->Error;
    }
}

/* RGBA of every index. Without a palette, and past its end, an index is a grey. */
static void colours_of(const GifFileType *gif, int transparent, uint8_t rgba[256][4]) {
    const ColorMapObject *map = gif->Image.ColorMap ? gif->Image.ColorMap : gif->SColorMap;
    for (int i = 0; i < 256; ++i) {
        rgba[i][0] = rgba[i][1] = rgba[i][2] = (uint8_t)i;
        rgba[i][3] = i == transparent ? 0 : 255;
        if (!map || i >= map->ColorCount) continue;
        rgba[i][0] = map->Colors[i].Red;
        rgba[i][1] = map->Colors[i].Green;
        rgba[i][2] = map->Colors[i].Blue;
    }
}

/* Rows of an interlaced frame come as 0, 8, 16 ..., 4, 12 ..., 2, 6 ..., 1, 3 ... */
static int read_frame(GifFileType *gif, uint8_t *canvas, size_t width) {
    static const int first[] = {0, 4, 2, 1}, step[] = {8, 8, 4, 2};
    const GifImageDesc *frame = &gif->Image;
    for (int pass = 0; pass < (frame->Interlace ? 4 : 1); ++pass) {
        int by = frame->Interlace ? step[pass] : 1;
        for (int y = frame->Interlace ? first[pass] : 0; y < frame->Height; y += by) {
            uint8_t *row = canvas + (size_t)(frame->Top + y) * width + (size_t)frame->Left;
            if (DGifGetLine(gif, row, frame->Width) == GIF_ERROR) return gif->Error;
        }
    }
    return 0;
}

static tsr_status read_picture(const tsr_picture_decode *d, GifFileType *gif, reader *r,
                               uint8_t **canvas) {
    int transparent, error = find_frame(gif, &transparent);
    if (error) return fail_gif(d, r, error);
    const GifImageDesc *frame = &gif->Image;
    if (frame->Width < 1 || frame->Height < 1)
        return tsr_picture_damaged(d, TSR_ERROR_FORMAT,
                                   "frame: wanted at least 1x1 pixels, got %dx%d", frame->Width,
                                   frame->Height);
    /* A frame that hangs over the canvas makes it larger. */
    size_t width = (size_t)gif->SWidth, height = (size_t)gif->SHeight;
    const size_t right = (size_t)frame->Left + (size_t)frame->Width,
                 bottom = (size_t)frame->Top + (size_t)frame->Height;
    if (width < right) width = right;
    if (height < bottom) height = bottom;
    tsr_status status = tsr_picture_allocate(d, width, height);
    if (status) return status;
    *canvas = tsr_alloc(d->ctx, width * height, 1, d->name);
    if (!*canvas) return TSR_ERROR_MEMORY;
    /* Around a small frame: nothing where there is such an index, otherwise index 0. */
    if (transparent >= 0) memset(*canvas, transparent, width * height);
    error = read_frame(gif, *canvas, width);
    if (error) return fail_gif(d, r, error);
    uint8_t rgba[256][4];
    colours_of(gif, transparent, rgba);
    for (size_t i = 0; i < width * height; ++i)
        tsr_picture_row(d, rgba[(*canvas)[i]], 4, 1, d->image->rgb + i * 3);
    return TSR_OK;
}

static tsr_status decode_gif(const tsr_picture_decode *d) {
    reader r = {.rest = d->bytes};
    int error = 0;
    GifFileType *gif = DGifOpen(&r, on_read, &error);
    if (!gif) return fail_gif(d, &r, error);
    uint8_t *canvas = NULL;
    tsr_status status = read_picture(d, gif, &r, &canvas);
    free(canvas);
    DGifCloseFile(gif, &error);
    return status;
}
#define DECODE decode_gif
#else
#define DECODE NULL
#endif

const tsr_picture_reader tsr_reader_gif = {.name = "GIF",
                                           .option = "TESSERA_GIF",
                                           .source = TSR_SOURCE_GIF,
                                           .recognise = recognise,
                                           .probe = probe_gif,
                                           .decode = DECODE};
