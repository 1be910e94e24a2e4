/* SPDX-License-Identifier: MIT */
/* orientation.c: the orientation tag of EXIF, XMP and ImageMagick's profile text. The order among
 * carriers is that of Pillow's ImageOps.exif_transpose. */
#include "orientation.h"

enum { ORIENTATION_TAG = 0x0112 };

int tsr_exif_orientation(tsr_bytes b) {
    if (tsr_bytes_have(b, 0, "Exif\0\0", 6)) b = tsr_slice(b, 6, b.size);
    bool le = tsr_bytes_have(b, 0, "II*\0", 4);
    if (!le && !tsr_bytes_have(b, 0, "MM\0*", 4)) return 0;
    uint32_t (*get)(tsr_bytes, size_t, int) = le ? tsr_little : tsr_big;
    size_t at = get(b, 4, 4);
    uint32_t count = get(b, at, 2);
    for (uint32_t i = 0; i < count; ++i) {
        size_t entry = at + 2 + (size_t)i * 12;
        if (entry + 12 > b.size) return 0;
        if (get(b, entry, 2) != ORIENTATION_TAG) continue;
        uint32_t type = get(b, entry + 2, 2);
        if (get(b, entry + 4, 4) != 1) return 0;
        int bytes = type == 1 ? 1 : type == 3 ? 2 : type == 4 ? 4 : 0;
        uint32_t value = bytes ? get(b, entry + 8, bytes) : 0;
        return value <= 8 ? (int)value : 9;
    }
    return 0;
}

int tsr_xmp_orientation(tsr_bytes b) {
    static const char tag[] = "tiff:Orientation";
    for (size_t at = 0; at < b.size;) {
        const uint8_t *found = memmem(b.p + at, b.size - at, tag, sizeof tag - 1);
        if (!found) return 0;
        at = (size_t)(found - b.p) + sizeof tag - 1;
        size_t value = at;
        if (tsr_bytes_have(b, at, ">", 1)) {
            value += 1;
        } else if (tsr_bytes_have(b, at, "=\"", 2) || tsr_bytes_have(b, at, "='", 2)) {
            value += 2;
        } else {
            continue;
        }
        uint32_t digit = tsr_big(b, value, 1);
        if (digit >= '0' && digit <= '9') return digit == '0' ? 9 : (int)(digit - '0');
    }
    return 0;
}

static int hex_digit(uint8_t c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

int tsr_profile_text_orientation(tsr_bytes b) {
    size_t at = 0;
    for (int lines = 0; lines < 3; ++at) {
        if (at == b.size) return 0;
        lines += b.p[at] == '\n';
    }
    /* The first directory stands at the beginning of what writers make; 64 KiB is the most that a
     * JPEG could have held. */
    uint8_t block[1 << 16];
    size_t size = 0;
    int high = -1;
    for (; at < b.size && size < sizeof block; ++at) {
        int digit = hex_digit(b.p[at]);
        if (digit < 0) continue;
        if (high < 0) {
            high = digit;
        } else {
            block[size++] = (uint8_t)(high << 4 | digit);
            high = -1;
        }
    }
    return tsr_exif_orientation((tsr_bytes){block, size});
}

int tsr_orientation_choose(int exif, int xmp) {
    int value = exif ? exif : xmp;
    return value >= 1 && value <= 8 ? value : 1;
}
