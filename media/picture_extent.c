/* SPDX-License-Identifier: MIT */
/* picture_extent.c: see picture_extent.h. One walk for each kind of structure; a walk that lacks
 * bytes leaves in the scan how far it came, so that each byte is looked at about once however
 * slowly a pipe delivers. */
#include "picture_extent.h"

#include <stdbool.h>
#include <string.h>

typedef struct walk {
    const uint8_t *p;
    size_t size;
    tsr_extent_scan *s;
    size_t *end;
} walk;

static uint32_t big(const uint8_t *p, int count) {
    uint32_t v = 0;
    for (int i = 0; i < count; ++i)
        v = v << 8 | p[i];
    return v;
}

static uint32_t little(const uint8_t *p, int count) {
    uint32_t v = 0;
    for (int i = count; i-- > 0;)
        v = v << 8 | p[i];
    return v;
}

/* What tells the kinds apart; all but BMP by a fixed text. */
typedef enum kind { NONE, PNG, JPEG, GIF, BMP, RIFF, TIFF, PNM, PAM, QOI, CODESTREAM, BOXES } kind;
static const struct {
    kind kind;
    size_t at, length;
    const char *text;
} signatures[] = {
    {PNG, 0, 8, "\x89PNG\r\n\x1a\n"},
    {JPEG, 0, 3, "\xff\xd8\xff"},
    {GIF, 0, 6, "GIF87a"},
    {GIF, 0, 6, "GIF89a"},
    {RIFF, 8, 4, "WEBP"},
    {TIFF, 0, 4, "II*\0"},
    {TIFF, 0, 4, "MM\0*"},
    {TIFF, 0, 4, "II+\0"},
    {TIFF, 0, 4, "MM\0+"},
    {QOI, 0, 4, "qoif"},
    {CODESTREAM, 0, 4, "\xff\x4f\xff\x51"},
    {BOXES, 4, 4, "ftyp"},
    {BOXES, 4, 4, "jP  "},
    {BOXES, 4, 4, "JXL "},
};

static bool blank(uint8_t c) {
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

/* 18 bytes tell every kind, and 3 a PNM. */
static kind kind_of(const uint8_t *p, size_t size) {
    if (size >= 3 && p[0] == 'P' && p[1] >= '1' && p[1] <= '7' && (blank(p[2]) || p[2] == '#'))
        return p[1] == '7' ? PAM : PNM;
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; ++i)
        if (size >= signatures[i].at + signatures[i].length &&
            !memcmp(p + signatures[i].at, signatures[i].text, signatures[i].length))
            return signatures[i].kind;
    /* "BM" could begin any text; reserved words of zeros and the size of a header tell it apart. */
    if (size >= 18 && p[0] == 'B' && p[1] == 'M' && p[14] >= 12 && !p[15] && !p[16] && !p[17])
        return BMP;
    return NONE;
}

static tsr_extent known(walk *w, uint64_t end) {
    if (end > SIZE_MAX / 4) return TSR_EXTENT_REST;
    *w->end = (size_t)end;
    return end <= w->size ? TSR_EXTENT_KNOWN : TSR_EXTENT_MORE;
}

static tsr_extent more(walk *w, uint64_t wanted) {
    if (wanted > SIZE_MAX / 4) return TSR_EXTENT_REST;
    *w->end = (size_t)wanted;
    return TSR_EXTENT_MORE;
}

static bool have(const walk *w, size_t at, size_t count) {
    return at <= w->size && w->size - at >= count;
}

static tsr_extent walk_png(walk *w) {
    if (!w->s->at) w->s->at = 8;
    for (;;) {
        const size_t at = w->s->at;
        if (!have(w, at, 8)) return more(w, (uint64_t)at + 8);
        const uint32_t length = big(w->p + at, 4);
        if (length > 0x7fffffff) return TSR_EXTENT_REST;
        const uint64_t next = (uint64_t)at + 12 + length;
        if (!memcmp(w->p + at + 4, "IEND", 4)) return known(w, next);
        if (next > w->size) return more(w, next);
        w->s->at = (size_t)next;
    }
}

/* A JPEG of several pictures (two views, a gain map) lists them in a segment "MPF": those behind
 * the first belong to it. `at` is where the list's TIFF header stands. */
static void note_pictures(walk *w, size_t at, size_t segment_end) {
    const uint8_t *p = w->p + at;
    const size_t size = segment_end - at;
    if (size < 8) return;
    uint32_t (*get)(const uint8_t *, int) = p[0] == 'I' ? little : big;
    const size_t entries = get(p + 4, 4);
    if (entries > size || size - entries < 2) return;
    const uint32_t count = get(p + entries, 2);
    for (uint32_t i = 0; i < count; ++i) {
        const size_t entry = entries + 2 + (size_t)i * 12;
        if (entry > size || size - entry < 12) return;
        if (get(p + entry, 2) != 0xB002) continue;
        const size_t bytes = get(p + entry + 4, 4), list = get(p + entry + 8, 4);
        if (list > size || bytes > size - list) return;
        for (size_t k = 16; k + 16 <= bytes; k += 16) { /* the first is the picture itself */
            const size_t offset = get(p + list + k + 8, 4), length = get(p + list + k + 4, 4);
            if (at + offset + length <= w->s->last) continue;
            w->s->last = at + offset + length;
            w->s->also = at + offset;
        }
        return;
    }
}

static tsr_extent end_of_jpeg(walk *w, size_t end) {
    const size_t also = w->s->also;
    if (w->s->last <= end || also < end) return known(w, end);
    if (!have(w, also, 3)) return more(w, (uint64_t)also + 3);
    return known(w, memcmp(w->p + also, "\xff\xd8\xff", 3) ? end : w->s->last);
}

static tsr_extent walk_jpeg(walk *w) {
    tsr_extent_scan *s = w->s;
    if (!s->at) s->at = 2;
    for (;;) {
        if (s->inside) { /* entropy-coded data: to the next marker that is no restart */
            const uint8_t *ff = have(w, s->at, 1) ? memchr(w->p + s->at, 0xFF, w->size - s->at) : 0;
            s->at = ff ? (size_t)(ff - w->p) : w->size;
            if (!have(w, s->at, 2)) return more(w, (uint64_t)s->at + 2);
            const uint8_t next = w->p[s->at + 1];
            if (next == 0 || (next >= 0xD0 && next <= 0xD7))
                s->at += 2;
            else if (next == 0xFF)
                s->at += 1;
            else
                s->inside = 0;
            continue;
        }
        if (!have(w, s->at, 2)) return more(w, (uint64_t)s->at + 2);
        const uint8_t marker = w->p[s->at + 1];
        if (w->p[s->at] != 0xFF || marker == 0xFF) {
            s->at += 1;
            continue;
        }
        if (marker == 0xD9) return end_of_jpeg(w, s->at + 2);
        if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8)) {
            s->at += 2;
            continue;
        }
        if (!have(w, s->at, 4)) return more(w, (uint64_t)s->at + 4);
        const uint64_t next = (uint64_t)s->at + 2 + big(w->p + s->at + 2, 2);
        if (next > w->size) return more(w, next);
        if (marker == 0xE2 && next - s->at >= 8 && !memcmp(w->p + s->at + 4, "MPF\0", 4))
            note_pictures(w, s->at + 8, (size_t)next);
        s->inside = marker == 0xDA;
        s->at = (size_t)next;
    }
}

static tsr_extent walk_gif(walk *w) {
    tsr_extent_scan *s = w->s;
    if (!s->at) {
        if (!have(w, 0, 13)) return more(w, 13);
        s->at = 13 + (w->p[10] & 0x80 ? (size_t)6 << (w->p[10] & 7) : 0);
    }
    for (;;) {
        if (!have(w, s->at, 1)) return more(w, (uint64_t)s->at + 1);
        const uint8_t first = w->p[s->at];
        if (s->inside) { /* a sub-block: its length, and that many bytes; 0 is the last */
            s->inside = first != 0;
            s->at += (size_t)first + 1;
        } else if (first == 0x3B) {
            return known(w, (uint64_t)s->at + 1);
        } else if (first == 0x21) {
            s->inside = 1;
            s->at += 2;
        } else if (first == 0x2C) {
            if (!have(w, s->at, 10)) return more(w, (uint64_t)s->at + 10);
            const uint8_t flags = w->p[s->at + 9];
            s->inside = 1;
            s->at += 11 + (flags & 0x80 ? (size_t)6 << (flags & 7) : 0);
        } else
            return TSR_EXTENT_REST;
    }
}

static tsr_extent walk_bmp(walk *w) {
    if (!have(w, 0, 34)) return more(w, 34);
    const uint32_t says = little(w->p + 2, 4), start = little(w->p + 10, 4);
    if (says >= start && says >= 34) return known(w, says);
    if (little(w->p + 14, 4) < 40 || little(w->p + 30, 4) != 0) return TSR_EXTENT_REST;
    const uint64_t bits = little(w->p + 28, 2), height = little(w->p + 22, 4);
    const uint64_t row = (little(w->p + 18, 4) * bits + 31) / 32 * 4;
    const uint64_t end = start + row * (height > 0x7fffffff ? 0x100000000u - height : height);
    /* No picture ends inside its own header, and one of no bytes would come again for ever. */
    if (bits > 64 || end < 34) return TSR_EXTENT_REST;
    return known(w, end);
}

static tsr_extent walk_riff(walk *w) {
    const uint64_t size = little(w->p + 4, 4);
    return known(w, 8 + size + (size & 1));
}

/* The next number of a PNM header, behind blanks and comments; `at` goes to the byte behind it,
 * which must be there. False: bytes are missing. */
static bool pnm_number(const walk *w, size_t *at, uint64_t *number) {
    while (*at < w->size && (blank(w->p[*at]) || w->p[*at] == '#')) {
        if (w->p[(*at)++] != '#') continue;
        while (*at < w->size && w->p[*at] != '\n')
            ++*at;
    }
    *number = 0;
    for (; *at < w->size && w->p[*at] >= '0' && w->p[*at] <= '9'; ++*at)
        if (*number <= UINT32_MAX) *number = *number * 10 + (w->p[*at] - '0');
    return *at < w->size;
}

/* width * height * samples * bytes, or 0 when a product like this is nobody's picture. */
static uint64_t raster(uint64_t width, uint64_t height, uint64_t samples, uint64_t maximum) {
    if (width > UINT32_MAX || height > UINT32_MAX || samples > 16) return 0;
    if (height && width > ((uint64_t)1 << 50) / height) return 0;
    return width * height * samples * (maximum > 255 ? 2 : 1);
}

/* Samples written as numbers: `left` of them to come from `at`. */
static tsr_extent walk_digits(walk *w, bool single) {
    tsr_extent_scan *s = w->s;
    while (s->left) {
        size_t at = s->at;
        uint64_t number;
        if (single) { /* P1: a digit each, blanks or none between */
            while (at < w->size && w->p[at] != '0' && w->p[at] != '1') {
                if (w->p[at] != '#' && !blank(w->p[at])) return TSR_EXTENT_REST;
                if (w->p[at++] != '#') continue;
                while (at < w->size && w->p[at] != '\n')
                    ++at;
            }
            if (at == w->size) return more(w, (uint64_t)at + 1);
            ++at;
        } else {
            if (!pnm_number(w, &at, &number)) return more(w, (uint64_t)w->size + 1);
            if (at == s->at || w->p[at - 1] < '0' || w->p[at - 1] > '9') return TSR_EXTENT_REST;
        }
        s->at = at;
        --s->left;
    }
    return known(w, s->at);
}

static tsr_extent walk_pnm(walk *w) {
    const char kind = (char)w->p[1];
    const bool bits = kind == '1' || kind == '4', digits = kind <= '3';
    const uint64_t samples = kind == '3' || kind == '6' ? 3 : 1;
    if (w->s->inside) return walk_digits(w, bits);
    uint64_t width, height, maximum = 1;
    size_t at = 2;
    if (!pnm_number(w, &at, &width) || !pnm_number(w, &at, &height) ||
        (!bits && !pnm_number(w, &at, &maximum)))
        return w->size < 65536 ? more(w, (uint64_t)w->size + 1) : TSR_EXTENT_REST;
    const uint64_t bytes = bits && !digits ? raster((width + 7) / 8, height, 1, 1)
                                           : raster(width, height, samples, digits ? 1 : maximum);
    if (!bytes || !blank(w->p[at])) return TSR_EXTENT_REST;
    if (!digits) return known(w, at + 1 + bytes);
    w->s->inside = 1;
    w->s->at = at;
    w->s->left = bytes;
    return walk_digits(w, bits);
}

static tsr_extent walk_pam(walk *w) {
    static const char *const names[] = {"WIDTH ", "HEIGHT ", "DEPTH ", "MAXVAL "};
    uint64_t values[4] = {0, 0, 1, 255};
    for (size_t at = 0; at < w->size;) {
        const uint8_t *line = w->p + at, *newline = memchr(line, '\n', w->size - at);
        if (!newline) break;
        const size_t length = (size_t)(newline - line);
        at += length + 1;
        if (length >= 6 && !memcmp(line, "ENDHDR", 6)) {
            const uint64_t bytes = raster(values[0], values[1], values[2], values[3]);
            return bytes ? known(w, at + bytes) : TSR_EXTENT_REST;
        }
        for (int i = 0; i < 4; ++i) {
            const size_t n = strlen(names[i]);
            size_t number = (size_t)(line - w->p) + n;
            if (length > n && !memcmp(line, names[i], n)) pnm_number(w, &number, &values[i]);
        }
    }
    return w->size < 65536 ? more(w, (uint64_t)w->size + 1) : TSR_EXTENT_REST;
}

static tsr_extent walk_qoi(walk *w) {
    tsr_extent_scan *s = w->s;
    if (!s->at) {
        if (!have(w, 0, 14)) return more(w, 14);
        s->at = 14;
        s->left = (uint64_t)big(w->p + 4, 4) * big(w->p + 8, 4);
    }
    while (s->left) {
        if (!have(w, s->at, 1)) return more(w, (uint64_t)s->at + 1);
        const uint8_t tag = w->p[s->at];
        const uint64_t run = tag < 0xFE && tag >= 0xC0 ? (tag & 63u) + 1 : 1;
        s->at += tag == 0xFE ? 4 : tag == 0xFF ? 5 : tag >> 6 == 2 ? 2 : 1;
        s->left -= run < s->left ? run : s->left;
    }
    return known(w, (uint64_t)s->at + 8);
}

/* Boxes of ISO's media files (JPEG 2000, AVIF, HEIC, JPEG XL): length, four letters, contents. A
 * box like the first, or another picture's first bytes, begin the next picture. */
static tsr_extent walk_boxes(walk *w) {
    for (;;) {
        const size_t at = w->s->at;
        if (!have(w, at, 18)) return more(w, (uint64_t)at + 18);
        uint64_t length = big(w->p + at, 4);
        bool letters = true;
        for (int i = 4; i < 8; ++i)
            letters = letters && w->p[at + i] >= ' ' && w->p[at + i] < 127;
        const bool again = !memcmp(w->p + at + 4, w->p + 4, 4);
        const bool type = at == 12 && !memcmp(w->p + at + 4, "ftyp", 4); /* behind "jP  ", "JXL " */
        if (at && (!letters || again || (kind_of(w->p + at, w->size - at) != NONE && !type)))
            return known(w, at);
        if (length == 1) length = (uint64_t)big(w->p + at + 8, 4) << 32 | big(w->p + at + 12, 4);
        if (length < 8) return TSR_EXTENT_REST; /* 0: to the end of the file */
        if (length > SIZE_MAX / 8) return TSR_EXTENT_REST;
        if (at + length > w->size) return more(w, at + length);
        w->s->at = at + (size_t)length;
    }
}

/* JPEG 2000 without boxes: segments to the first tile part, and tile parts by their lengths. */
static tsr_extent walk_codestream(walk *w) {
    if (!w->s->at) w->s->at = 2;
    for (;;) {
        const size_t at = w->s->at;
        if (!have(w, at, 2)) return more(w, (uint64_t)at + 2);
        const uint32_t marker = big(w->p + at, 2);
        if (marker == 0xFFD9) return known(w, (uint64_t)at + 2);
        if (!have(w, at, 12)) return more(w, (uint64_t)at + 12);
        const uint64_t length =
            marker == 0xFF90 ? big(w->p + at + 6, 4) : (uint64_t)big(w->p + at + 2, 2) + 2;
        if (marker < 0xFF00 || length < 4) return TSR_EXTENT_REST;
        if (at + length > w->size) return more(w, at + length);
        w->s->at = at + (size_t)length;
    }
}

/* TIFF: directories, and what they point at, lie anywhere: the picture ends behind the last of it.
 */
typedef struct tiff {
    walk *w;
    uint32_t (*get)(const uint8_t *, int);
    uint64_t last; /* end of what is known to belong to it */
    uint64_t offsets, lengths, offset_count,
        length_count;               /* where the strips or tiles of a directory are listed */
    int offset_bytes, length_bytes; /* of an entry of these lists */
    uint32_t inner[16];             /* directories inside (EXIF, thumbnails) */
    int inner_count;
} tiff;

static void tiff_entry(tiff *t, const uint8_t *entry, uint64_t entry_at) {
    static const uint8_t sizes[] = {0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8, 4};
    const uint32_t tag = t->get(entry, 2), type = t->get(entry + 2, 2);
    const uint64_t count = t->get(entry + 4, 4), value = t->get(entry + 8, 4);
    const int size = type < sizeof sizes ? sizes[type] : 0;
    const uint64_t bytes = count * (uint64_t)size, at = bytes > 4 ? value : entry_at + 8;
    if (bytes > 4 && at + bytes > t->last) t->last = at + bytes;
    if (tag == 273 || tag == 324) {
        t->offsets = at;
        t->offset_bytes = size;
        t->offset_count = count;
    } else if (tag == 279 || tag == 325) {
        t->lengths = at;
        t->length_bytes = size;
        t->length_count = count;
    } else if ((tag == 330 || tag == 34665 || tag == 34853) && count == 1 && t->inner_count < 16)
        t->inner[t->inner_count++] = (uint32_t)value;
}

/* One directory and the strips it lists. KNOWN: *next is the following one, 0 the last. */
static tsr_extent tiff_directory(tiff *t, uint64_t at, uint64_t *next) {
    walk *w = t->w;
    if (!have(w, (size_t)at, 2)) return more(w, at + 2);
    const uint32_t count = t->get(w->p + at, 2);
    const uint64_t end = at + 2 + (uint64_t)count * 12 + 4;
    if (end > w->size) return more(w, end);
    if (end > t->last) t->last = end;
    t->offsets = t->lengths = 0;
    for (uint32_t i = 0; i < count; ++i)
        tiff_entry(t, w->p + at + 2 + (size_t)i * 12, at + 2 + (uint64_t)i * 12);
    *next = t->get(w->p + end - 4, 4);
    if (t->last > w->size) return more(w, t->last); /* the lists are in there */
    const bool listed = t->offsets && t->lengths && t->offset_bytes >= 2 && t->offset_bytes <= 4 &&
                        t->length_bytes >= 1 && t->length_bytes <= 4;
    for (uint64_t i = 0; listed && i < t->offset_count && i < t->length_count; ++i) {
        const uint64_t strip =
            (uint64_t)t->get(w->p + t->offsets + i * (uint64_t)t->offset_bytes, t->offset_bytes) +
            t->get(w->p + t->lengths + i * (uint64_t)t->length_bytes, t->length_bytes);
        if (strip > t->last) t->last = strip;
    }
    return TSR_EXTENT_KNOWN;
}

static tsr_extent walk_tiff(walk *w) {
    tiff t = {.w = w, .get = w->p[0] == 'I' ? little : big};
    uint64_t at = t.get(w->p + 4, 4);
    if (t.get(w->p + 2, 2) != 42 || !at) return TSR_EXTENT_REST; /* BigTIFF; no directory */
    for (int directories = 0; at || t.inner_count; ++directories) {
        if (directories == 256) return TSR_EXTENT_REST;
        const bool inside = !at;
        uint64_t next = 0;
        if (inside) at = t.inner[--t.inner_count];
        const tsr_extent extent = tiff_directory(&t, at, &next);
        if (extent != TSR_EXTENT_KNOWN) return extent;
        at = inside ? 0 : next;
    }
    return known(w, t.last);
}

tsr_extent tsr_picture_extent(const void *bytes, size_t size, tsr_extent_scan *scan, size_t *end) {
    walk w = {bytes, size, scan, end};
    const kind kind = kind_of(w.p, size);
    if (size < 18 && kind != PNM && kind != PAM) return more(&w, 18); /* PNM may be tiny */
    switch (kind) {
    case PNG:
        return walk_png(&w);
    case JPEG:
        return walk_jpeg(&w);
    case RIFF:
        return walk_riff(&w);
    case GIF:
        return walk_gif(&w);
    case BMP:
        return walk_bmp(&w);
    case PNM:
        return walk_pnm(&w);
    case PAM:
        return walk_pam(&w);
    case QOI:
        return walk_qoi(&w);
    case CODESTREAM:
        return walk_codestream(&w);
    case BOXES:
        return walk_boxes(&w);
    case TIFF:
        return walk_tiff(&w);
    case NONE:
        break;
    }
    return TSR_EXTENT_NONE;
}
