/* SPDX-License-Identifier: MIT */
/* bmff.c: brands and sizes of files made of boxes: 4 bytes of length, 4 letters, content. */
#include "bmff.h"

bool tsr_bmff_has_brand(tsr_bytes file, const char brand[4]) {
    if (!tsr_bytes_have(file, 4, "ftyp", 4)) return false;
    tsr_bytes box = tsr_slice(file, 0, tsr_big(file, 0, 4));
    for (size_t at = 8; at + 4 <= box.size; at += at == 8 ? 8 : 4) /* a version is between */
        if (tsr_bytes_have(box, at, brand, 4)) return true;
    return false;
}

/* The content of the first box of this type at the top level; empty where there is none. */
static tsr_bytes find_box(tsr_bytes file, const char type[4]) {
    for (size_t at = 0; at + 8 <= file.size;) {
        uint64_t length = tsr_big(file, at, 4), head = 8;
        if (length == 1) {
            length = (uint64_t)tsr_big(file, at + 8, 4) << 32 | tsr_big(file, at + 12, 4);
            head = 16;
        }
        if (length == 0) length = file.size - at; /* to the end of the file */
        if (length < head) break;
        if (tsr_bytes_have(file, at + 4, type, 4))
            return tsr_slice(file, at + (size_t)head,
                             length - head < file.size ? (size_t)(length - head) : file.size);
        if (length > file.size - at) break;
        at += (size_t)length;
    }
    return (tsr_bytes){file.p, 0};
}

void tsr_bmff_size(tsr_bytes file, uint32_t *width, uint32_t *height) {
    *width = *height = 0;
    tsr_bytes meta = find_box(file, "meta");
    for (size_t at = 4; at + 20 <= meta.size;) {
        const uint8_t *found = memmem(meta.p + at, meta.size - at, "ispe", 4);
        if (!found) return;
        at = (size_t)(found - meta.p);
        uint32_t w = tsr_big(meta, at + 8, 4), h = tsr_big(meta, at + 12, 4);
        /* A box of exactly this length; four letters alone could stand in a text. */
        if (tsr_big(meta, at - 4, 4) == 20 && (uint64_t)w * h > (uint64_t)*width * *height) {
            *width = w;
            *height = h;
        }
        at += 4;
    }
}
