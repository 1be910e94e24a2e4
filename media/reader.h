/* SPDX-License-Identifier: MIT */
/* reader.h: what a reader of one picture format is. readers.def lists them; a new format is one
 * file read_<name>.c with `const tsr_picture_reader tsr_reader_<name>` and one row of readers.def.
 *
 * Every reader is compiled in every build, so that each build knows each format by name; the part
 * that needs a library stands under TESSERA_WITH_<LIBRARY>, and `decode` is NULL without it. */
#ifndef MEDIA_READER_H
#define MEDIA_READER_H

#include "image.h"

#include <string.h>

typedef struct tsr_picture_reader tsr_picture_reader;

/* Bytes of a file, or of a part of it. */
typedef struct tsr_bytes {
    const uint8_t *p;
    size_t size;
} tsr_bytes;

/* What a picture file says about itself, read from its header without decoding anything. */
typedef struct tsr_probe {
    const tsr_picture_reader *reader; /* NULL: no picture that this library knows */
    uint32_t width, height;           /* as stored; 0, 0 when only the decoder can tell */
    int orientation;                  /* EXIF, 1..8; 1 when absent or nonsense */
    bool unfinished;                  /* the mark that ends a whole file is missing */
} tsr_probe;

/* One call of a decoder. */
typedef struct tsr_picture_decode {
    tsr_context *ctx;
    const char *name; /* begins the detail text */
    tsr_bytes bytes;  /* the whole file */
    const tsr_image_settings *settings;
    const tsr_probe *probe;
    tsr_image *image; /* result; see `decode` */
} tsr_picture_decode;

struct tsr_picture_reader {
    const char *name;   /* as people write it: "JPEG 2000" */
    const char *option; /* CMake option that brings its library: "TESSERA_JPEG2000"; NULL: none */
    tsr_image_source source;
    bool (*recognise)(tsr_bytes file); /* by the first bytes, never by the file's name */
    /* Fills width, height, orientation and unfinished as far as the header has them. Reads behind
     * the end of the bytes count as zeros. */
    void (*probe)(tsr_bytes file, tsr_probe *probe);
    /* Fills width, height, rgb, had_alpha and source_bits of *image: the picture as it is stored
     * (the caller turns it by image->orientation, which is set from the probe and may be
     * corrected), alpha composited. On failure rgb may hold memory; the caller frees it. A size
     * that the header did not have is checked with tsr_image_check_size before memory is taken for
     * it. NULL: this build was made without the library. Never prints. Errors: FORMAT and TRUNCATED
     * (damage), UNSUPPORTED (whole, but of a kind that is not read), TOO_LARGE, MEMORY. */
    tsr_status (*decode)(const tsr_picture_decode *d);
};

/* Reads the header of a picture file. */
tsr_probe tsr_picture_probe(const void *bytes, size_t size);
/* As tsr_picture_probe for d->bytes, and refuses what is no picture, what this build cannot read
 * and what is larger than the settings allow. *probe is d->probe. Errors: FORMAT, TRUNCATED (no
 * bytes), UNSUPPORTED, TOO_LARGE. */
tsr_status tsr_picture_recognise(const tsr_picture_decode *d, tsr_probe *probe);

/* UNSUPPORTED: "NAME: <what> is not read: <advice>". advice NULL: "convert it to PNG". */
tsr_status tsr_picture_refuse(const tsr_picture_decode *d, const char *advice, const char *what,
                              ...) __attribute__((format(printf, 3, 4)));
/* FORMAT, or TRUNCATED: "NAME: FORMAT: <what>". */
tsr_status tsr_picture_damaged(const tsr_picture_decode *d, tsr_status status, const char *what,
                               ...) __attribute__((format(printf, 3, 4)));
/* Sets width, height and rgb of the image as tsr_image_allocate does. */
tsr_status tsr_picture_allocate(const tsr_picture_decode *d, uint64_t width, uint64_t height);
/* Converts `count` pixels of 8-bit samples from `from` to RGB at `to`. channels: 1 grey, 2 grey and
 * alpha, 3 RGB, 4 RGBA; alpha is straight and is composited, or dropped when the settings say so.
 * Sets had_alpha. */
void tsr_picture_row(const tsr_picture_decode *d, const uint8_t *from, int channels, size_t count,
                     uint8_t *to);
/* One pixel of ink to RGB as Pillow's CMYK to RGB does; 255 is full ink. */
void tsr_ink_to_rgb(const uint8_t cmyk[4], uint8_t rgb[3]);

/* Composites one channel value, 0..255, over a background value; rounds exactly. */
static inline uint8_t tsr_composite(unsigned value, unsigned alpha, unsigned background) {
    return (uint8_t)((value * alpha + background * (255 - alpha) + 127) / 255);
}

/* `count` (1..4) bytes at `at` as a number, the first byte highest; 0 past the end. */
static inline uint32_t tsr_big(tsr_bytes b, size_t at, int count) {
    uint32_t v = 0;
    if (at > b.size || b.size - at < (size_t)count) return 0;
    for (int i = 0; i < count; ++i)
        v = v << 8 | b.p[at + (size_t)i];
    return v;
}

/* The same, the first byte lowest. */
static inline uint32_t tsr_little(tsr_bytes b, size_t at, int count) {
    uint32_t v = 0;
    if (at > b.size || b.size - at < (size_t)count) return 0;
    for (int i = count; i-- > 0;)
        v = v << 8 | b.p[at + (size_t)i];
    return v;
}

static inline bool tsr_bytes_have(tsr_bytes b, size_t at, const char *text, size_t length) {
    return at <= b.size && b.size - at >= length && memcmp(b.p + at, text, length) == 0;
}

/* Part of `b`, cut where `b` ends. */
static inline tsr_bytes tsr_slice(tsr_bytes b, size_t at, size_t length) {
    if (at > b.size) at = b.size;
    if (length > b.size - at) length = b.size - at;
    return (tsr_bytes){b.p + at, length};
}

#endif
