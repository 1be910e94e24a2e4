/* SPDX-License-Identifier: MIT */
/* probe.c: format, size and orientation from the first bytes of a picture file.
 *
 * The size is wanted before any decoder runs, because decoders allocate; the orientation is read
 * here because decoders disagree on whether and how they hand it on. Every reader stops at the end
 * of the bytes and leaves zeros where it stopped. */
#include "probe.h"

#include <string.h>

typedef struct bytes {
    const uint8_t *p;
    size_t size;
} bytes;

/* Numbers past the end are 0. */
static uint32_t big(bytes b, size_t at, int count) {
    uint32_t v = 0;
    if (at > b.size || b.size - at < (size_t)count) return 0;
    for (int i = 0; i < count; ++i)
        v = v << 8 | b.p[at + (size_t)i];
    return v;
}

static uint32_t little(bytes b, size_t at, int count) {
    uint32_t v = 0;
    if (at > b.size || b.size - at < (size_t)count) return 0;
    for (int i = count; i-- > 0;)
        v = v << 8 | b.p[at + (size_t)i];
    return v;
}

static bool starts(bytes b, size_t at, const char *text, size_t length) {
    return at <= b.size && b.size - at >= length && memcmp(b.p + at, text, length) == 0;
}

static bytes slice(bytes b, size_t at, size_t length) {
    if (at > b.size) at = b.size;
    if (length > b.size - at) length = b.size - at;
    return (bytes){b.p + at, length};
}

/* A tag of the first directory, 0 if absent. */
static uint32_t tiff_tag(bytes b, uint32_t tag) {
    bool le = starts(b, 0, "II*\0", 4);
    if (!le && !starts(b, 0, "MM\0*", 4)) return 0;
    uint32_t (*get)(bytes, size_t, int) = le ? little : big;
    size_t at = get(b, 4, 4);
    uint32_t count = get(b, at, 2);
    for (uint32_t i = 0; i < count; ++i) {
        size_t entry = at + 2 + (size_t)i * 12;
        if (entry + 12 > b.size) return 0;
        if (get(b, entry, 2) != tag) continue;
        uint32_t type = get(b, entry + 2, 2);
        if (get(b, entry + 4, 4) != 1) return 0;
        return type == 3 ? get(b, entry + 8, 2) : type == 4 ? get(b, entry + 8, 4) : 0;
    }
    return 0;
}

int tsr_exif_orientation(const void *tiff, size_t size) {
    bytes b = {tiff, size};
    /* Some writers leave JPEG's prefix in other containers. */
    if (starts(b, 0, "Exif\0\0", 6)) b = slice(b, 6, size);
    uint32_t value = tiff_tag(b, 0x0112);
    return value >= 1 && value <= 8 ? (int)value : 1;
}

static void probe_jpeg(bytes b, tsr_probe *probe) {
    bool exif = false;
    for (size_t at = 2; at + 4 <= b.size;) {
        if (b.p[at] != 0xFF) { /* garbage between segments: decoders skip it as well */
            ++at;
            continue;
        }
        uint8_t marker = b.p[at + 1];
        if (marker == 0xFF) { /* padding */
            ++at;
            continue;
        }
        at += 2;
        if (marker == 0 || marker == 1 || (marker >= 0xD0 && marker <= 0xD8)) continue;
        if (marker == 0xDA || marker == 0xD9) { /* the scan: no FF D9 inside; the end */
            probe->unfinished = marker == 0xDA && !memmem(b.p + at, b.size - at, "\xff\xd9", 2);
            return;
        }
        uint32_t length = big(b, at, 2);
        if (length < 2) return;
        bytes segment = slice(b, at + 2, length - 2);
        if (marker == 0xE1 && !exif && starts(segment, 0, "Exif\0\0", 6)) {
            exif = true;
            probe->orientation = tsr_exif_orientation(segment.p, segment.size);
        }
        if (marker == 0xEE && starts(segment, 0, "Adobe", 5) && segment.size >= 12) {
            probe->adobe_at = at + 2;
            probe->adobe_transform = segment.p[11];
        }
        bool frame =
            marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
        if (frame && !probe->components) {
            probe->height = big(segment, 1, 2);
            probe->width = big(segment, 3, 2);
            probe->components = (int)big(segment, 5, 1);
        }
        at += length;
    }
}

static void probe_png(bytes b, tsr_probe *probe) {
    probe->width = big(b, 16, 4);
    probe->height = big(b, 20, 4);
    for (size_t at = 8; at + 8 <= b.size;) {
        size_t length = big(b, at, 4);
        if (starts(b, at + 4, "eXIf", 4)) {
            bytes exif = slice(b, at + 8, length);
            probe->orientation = tsr_exif_orientation(exif.p, exif.size);
            return;
        }
        at += 12 + length;
    }
}

static void probe_webp(bytes b, tsr_probe *probe) {
    for (size_t at = 12; at + 8 <= b.size;) {
        size_t length = little(b, at + 4, 4);
        bytes chunk = slice(b, at + 8, length);
        uint32_t word = little(chunk, 1, 4);
        if (starts(b, at, "VP8X", 4)) {
            probe->animated = (big(chunk, 0, 1) & 2) != 0;
            probe->width = little(chunk, 4, 3) + 1;
            probe->height = little(chunk, 7, 3) + 1;
        } else if (starts(b, at, "VP8 ", 4) && !probe->width) {
            probe->width = little(chunk, 6, 2) & 0x3FFF;
            probe->height = little(chunk, 8, 2) & 0x3FFF;
        } else if (starts(b, at, "VP8L", 4) && !probe->width) {
            probe->width = (word & 0x3FFF) + 1;
            probe->height = (word >> 14 & 0x3FFF) + 1;
        } else if (starts(b, at, "EXIF", 4)) {
            probe->orientation = tsr_exif_orientation(chunk.p, chunk.size);
        }
        at += 8 + length + (length & 1);
    }
}

static void probe_bmp(bytes b, tsr_probe *probe) {
    if (little(b, 14, 4) == 12) {
        probe->width = little(b, 18, 2);
        probe->height = little(b, 20, 2);
        return;
    }
    probe->opaque = little(b, 14, 4) < 56; /* older headers have no mask for alpha */
    uint32_t height = little(b, 22, 4);
    probe->width = little(b, 18, 4);
    probe->height = height > 0x7FFFFFFF ? 0u - height : height; /* negative: top row first */
}

/* The codestream's SIZ segment, which stands early also when boxes surround it. */
static void probe_jpeg2000(bytes b, tsr_probe *probe) {
    const uint8_t *siz = memmem(b.p, b.size, "\xff\x4f\xff\x51", 4);
    if (!siz) return;
    bytes s = slice(b, (size_t)(siz - b.p), 24);
    uint32_t right = big(s, 8, 4), bottom = big(s, 12, 4), left = big(s, 16, 4),
             top = big(s, 20, 4);
    if (right > left) probe->width = right - left;
    if (bottom > top) probe->height = bottom - top;
}

/* The next decimal number after blanks and comments. */
static uint32_t pnm_number(bytes b, size_t *at) {
    uint64_t value = 0;
    while (*at < b.size && (strchr(" \t\r\n", b.p[*at]) || b.p[*at] == '#'))
        if (b.p[(*at)++] == '#')
            while (*at < b.size && b.p[*at] != '\n')
                ++*at;
    for (; *at < b.size && b.p[*at] >= '0' && b.p[*at] <= '9'; ++*at)
        if (value < UINT32_MAX) value = value * 10 + (b.p[*at] - '0');
    return value < UINT32_MAX ? (uint32_t)value : UINT32_MAX;
}

static void probe_pnm(bytes b, tsr_probe *probe) {
    size_t at = 2;
    if (probe->format != TSR_FORMAT_PAM) {
        probe->width = pnm_number(b, &at);
        probe->height = pnm_number(b, &at);
        return;
    }
    while (at < b.size) {
        size_t value = at + 7;
        if (starts(b, at, "WIDTH ", 6)) probe->width = pnm_number(b, &value);
        if (starts(b, at, "HEIGHT ", 7)) probe->height = pnm_number(b, &value);
        if (starts(b, at, "ENDHDR", 6)) return;
        while (at < b.size && b.p[at] != '\n')
            ++at;
        ++at;
    }
}

static tsr_picture_format pnm_format(bytes b) {
    if (b.size < 3 || b.p[0] != 'P' || !b.p[2] || !strchr(" \t\r\n#", b.p[2]))
        return TSR_FORMAT_NONE;
    switch (b.p[1]) {
    case '1':
    case '4':
        return TSR_FORMAT_PBM;
    case '2':
    case '5':
        return TSR_FORMAT_PGM;
    case '3':
    case '6':
        return TSR_FORMAT_PPM;
    case '7':
        return TSR_FORMAT_PAM;
    default:
        return TSR_FORMAT_NONE;
    }
}

static const struct {
    const char *text;
    size_t length;
    tsr_picture_format format;
    tsr_image_source source;
} signatures[] = {
    {"\x89PNG\r\n\x1a\n", 8, TSR_FORMAT_PNG, TSR_SOURCE_PNG},
    {"\xff\xd8\xff", 3, TSR_FORMAT_JPEG, TSR_SOURCE_JPEG},
    {"GIF87a", 6, TSR_FORMAT_GIF, TSR_SOURCE_GIF},
    {"GIF89a", 6, TSR_FORMAT_GIF, TSR_SOURCE_GIF},
    {"BM", 2, TSR_FORMAT_BMP, TSR_SOURCE_BMP},
    {"II*\0", 4, TSR_FORMAT_TIFF, TSR_SOURCE_TIFF},
    {"MM\0*", 4, TSR_FORMAT_TIFF, TSR_SOURCE_TIFF},
    {"qoif", 4, TSR_FORMAT_QOI, TSR_SOURCE_OTHER},
    {"\0\0\0\x0cjP  \r\n\x87\n", 12, TSR_FORMAT_JPEG2000, TSR_SOURCE_OTHER},
    {"\xff\x4f\xff\x51", 4, TSR_FORMAT_JPEG2000, TSR_SOURCE_OTHER},
};

tsr_probe tsr_picture_probe(const void *data, size_t size) {
    bytes b = {data, size};
    tsr_probe probe = {.orientation = 1};
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures && !probe.format; ++i) {
        if (!starts(b, 0, signatures[i].text, signatures[i].length)) continue;
        probe.format = signatures[i].format;
        probe.source = signatures[i].source;
    }
    if (starts(b, 0, "RIFF", 4) && starts(b, 8, "WEBP", 4)) {
        probe.format = TSR_FORMAT_WEBP;
        probe.source = TSR_SOURCE_WEBP;
    }
    if (!probe.format && (probe.format = pnm_format(b))) probe.source = TSR_SOURCE_PNM;
    /* "BM" alone could begin any text; a bitmap's reserved words and header size tell it apart. */
    if (probe.format == TSR_FORMAT_BMP && (little(b, 14, 4) < 12 || little(b, 14, 4) > 256))
        return (tsr_probe){.orientation = 1};

    switch (probe.format) {
    case TSR_FORMAT_PNG:
        probe_png(b, &probe);
        break;
    case TSR_FORMAT_JPEG:
        probe_jpeg(b, &probe);
        break;
    case TSR_FORMAT_WEBP:
        probe_webp(b, &probe);
        break;
    case TSR_FORMAT_GIF:
        probe.width = little(b, 6, 2);
        probe.height = little(b, 8, 2);
        break;
    case TSR_FORMAT_BMP:
        probe_bmp(b, &probe);
        break;
    case TSR_FORMAT_TIFF:
        probe.width = tiff_tag(b, 256);
        probe.height = tiff_tag(b, 257);
        probe.orientation = tsr_exif_orientation(b.p, b.size);
        break;
    case TSR_FORMAT_QOI:
        probe.width = big(b, 4, 4);
        probe.height = big(b, 8, 4);
        probe.unfinished = size < 22 || !starts(b, size - 8, "\0\0\0\0\0\0\0\1", 8);
        break;
    case TSR_FORMAT_JPEG2000:
        probe_jpeg2000(b, &probe);
        break;
    case TSR_FORMAT_PBM:
    case TSR_FORMAT_PGM:
    case TSR_FORMAT_PPM:
    case TSR_FORMAT_PAM:
        probe_pnm(b, &probe);
        break;
    default:
        break;
    }
    return probe;
}
