/* SPDX-License-Identifier: MIT */
/* tar.c: see tar.h. A header is a block of 512 bytes: name 0..99, mode 100, uid 108, gid 116, size
 * 124..135, time 136, checksum 148..155, type 156, link 157, magic 257, owner 265, group 297,
 * prefix 345..499. Numbers are octal text; GNU writes large ones in base 256. */
#include "tar.h"

#include <stdio.h>

enum { MAX_PAX = 1 << 20 };

static tsr_status bad(tsr_tar_stream *t, tsr_status status, const char *wanted) {
    return tsr_fail(t->stream->ctx, status, "%s: byte %llu: wanted %s, got something else",
                    t->stream->name, (unsigned long long)t->position, wanted);
}

static tsr_status cut(tsr_tar_stream *t) {
    return tsr_fail(t->stream->ctx, TSR_ERROR_TRUNCATED,
                    "%s: the archive is cut at byte %llu, inside a member", t->stream->name,
                    (unsigned long long)tsr_stream_position(t->stream));
}

/* Passes over what was not taken of the member. */
static tsr_status skip_rest(tsr_tar_stream *t) {
    uint64_t got;
    const uint64_t all = t->left + t->pad;
    tsr_status s = tsr_stream_skip(t->stream, all, &got);
    /* An archive may end without the zeros behind its last member. */
    if (!s && got < t->left) s = cut(t);
    t->left = t->pad = 0;
    return s;
}

static bool is_zero(const uint8_t *block) {
    for (int i = 0; i < TSR_TAR_BLOCK; ++i)
        if (block[i]) return false;
    return true;
}

/* Octal text, or base 256 behind a byte with the highest bit set. False for no number, a negative
 * one, and one of more than 63 bits. */
static bool read_number(const uint8_t *p, int n, uint64_t *value) {
    int i = 0;
    *value = 0;
    if (p[0] & 0x80) {
        for (i = 0; i < n; ++i) {
            const uint8_t byte = i ? p[i] : p[0] & 0x7F;
            if (*value >> 55) return false;
            *value = *value << 8 | byte;
        }
        return !(p[0] & 0x40) && *value <= INT64_MAX;
    }
    while (i < n && p[i] == ' ')
        ++i;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; ++i)
        *value = *value << 3 | (uint64_t)(p[i] - '0'); /* 12 digits are 36 bits */
    for (; i < n; ++i)
        if (p[i] != ' ' && p[i]) return false;
    return true;
}

static bool checksum_is_right(const uint8_t *block) {
    uint64_t wanted, sum = 0;
    if (!read_number(block + 148, 8, &wanted)) return false;
    for (int i = 0; i < TSR_TAR_BLOCK; ++i)
        sum += i >= 148 && i < 156 ? ' ' : block[i];
    return sum == wanted;
}

/* One record "LENGTH name=value\n" of a pax header; *at moves behind it. */
static bool pax_record(const char **at, const char *end, const char **name, size_t *name_size,
                       const char **value, size_t *value_size) {
    const char *p = *at;
    size_t length = 0;
    for (; p < end && *p >= '0' && *p <= '9' && length < MAX_PAX; ++p)
        length = length * 10 + (size_t)(*p - '0');
    if (p == *at || p == end || *p != ' ' || length > (size_t)(end - *at)) return false;
    const char *stop = *at + length, *equals = NULL;
    if (stop <= p + 1 || stop[-1] != '\n') return false;
    for (const char *c = ++p; c < stop && !equals; ++c)
        if (*c == '=') equals = c;
    if (!equals) return false;
    *name = p;
    *name_size = (size_t)(equals - p);
    *value = equals + 1;
    *value_size = (size_t)(stop - 1 - *value);
    *at = stop;
    return true;
}

/* What a pax header says of the member behind it: its name and size. */
static bool read_pax(tsr_tar_stream *t, bool *has_name, bool *has_size, uint64_t *size) {
    const char *at = (const char *)t->extra.at, *end = at + t->extra.size, *name, *value;
    size_t n, v;
    while (at < end) {
        if (!pax_record(&at, end, &name, &n, &value, &v)) return false;
        if (n == 4 && !memcmp(name, "path", 4)) {
            if (v > TSR_TAR_MAX_NAME || memchr(value, 0, v)) return false;
            t->name.size = 0;
            tsr_bytes_put(&t->name, value, v);
            *has_name = true;
        } else if (n == 4 && !memcmp(name, "size", 4)) {
            *size = 0;
            for (size_t i = 0; i < v; ++i) {
                if (value[i] < '0' || value[i] > '9' || *size > INT64_MAX / 10 - 1) return false;
                *size = *size * 10 + (uint64_t)(value[i] - '0');
            }
            *has_size = v > 0;
        }
    }
    return true;
}

/* Reads the bytes of a header that describes the next one. */
static tsr_status take_extra(tsr_tar_stream *t, uint64_t size) {
    uint64_t got;
    if (size > MAX_PAX) return bad(t, TSR_ERROR_TOO_LARGE, "a long header of at most 1 MiB");
    t->extra.size = 0;
    t->left = size;
    t->pad = (uint32_t)(-size & (TSR_TAR_BLOCK - 1));
    tsr_status s = tsr_stream_take(t->stream, size, &t->extra, &got);
    if (s) return s;
    t->left = size - got;
    return got < size ? cut(t) : skip_rest(t);
}

static void name_of_header(tsr_tar_stream *t, const uint8_t *block) {
    const bool posix = memcmp(block + 257, "ustar\0", 6) == 0;
    t->name.size = 0;
    if (posix && block[345]) {
        tsr_bytes_put(&t->name, block + 345, strnlen((const char *)block + 345, 155));
        tsr_bytes_u8(&t->name, '/');
    }
    tsr_bytes_put(&t->name, block, strnlen((const char *)block, 100));
}

tsr_status tsr_tar_stream_next(tsr_tar_stream *t) {
    bool has_name = false, has_size = false;
    uint64_t long_size = 0;
    tsr_status s = skip_rest(t);
    while (!s) {
        uint64_t got;
        uint8_t block[TSR_TAR_BLOCK];
        t->position = tsr_stream_position(t->stream);
        t->extra.size = 0;
        s = tsr_stream_take(t->stream, TSR_TAR_BLOCK, &t->extra, &got);
        if (s) return s;
        if (got) memcpy(block, t->extra.at, (size_t)got);
        t->no_end = got == 0;
        t->ended = got == 0 || (got == TSR_TAR_BLOCK && is_zero(block));
        if (t->ended && !has_name && !has_size) return TSR_OK;
        if (got < TSR_TAR_BLOCK)
            return tsr_fail(t->stream->ctx, TSR_ERROR_TRUNCATED,
                            "%s: the archive is cut at byte %llu, inside a header", t->stream->name,
                            (unsigned long long)tsr_stream_position(t->stream));
        if (!checksum_is_right(block))
            return bad(t, TSR_ERROR_FORMAT, "a header whose checksum is right");
        if (!read_number(block + 124, 12, &t->size)) return bad(t, TSR_ERROR_FORMAT, "a size");
        t->type = block[156] ? (char)block[156] : '0';
        if (t->type == 'x' || t->type == 'g') {
            const bool global = t->type == 'g';
            bool other_name = false, other_size = false;
            if ((s = take_extra(t, t->size))) return s;
            if (!read_pax(t, global ? &other_name : &has_name, global ? &other_size : &has_size,
                          &long_size))
                return bad(t, TSR_ERROR_FORMAT, "records of a pax header");
            if (other_name || other_size)
                return bad(t, TSR_ERROR_UNSUPPORTED, "no name or size for all members");
        } else if (t->type == 'L' || t->type == 'K') {
            if ((s = take_extra(t, t->size))) return s;
            if (t->type == 'K') continue;
            const size_t n = t->extra.size ? strnlen((const char *)t->extra.at, t->extra.size) : 0;
            if (n > TSR_TAR_MAX_NAME) return bad(t, TSR_ERROR_TOO_LARGE, "a shorter name");
            t->name.size = 0;
            tsr_bytes_put(&t->name, t->extra.at, n);
            has_name = true;
        } else {
            if (!has_name) name_of_header(t, block);
            if (has_size) t->size = long_size;
            if (t->type != '0' && t->type != '7')
                t->size = 0; /* no data behind folders and links */
            t->left = t->size;
            t->pad = (uint32_t)(-t->size & (TSR_TAR_BLOCK - 1));
            if (t->type == '0' && t->name.size && t->name.at[t->name.size - 1] == '/')
                t->type = '5';
            tsr_bytes_u8(&t->name, 0);
            --t->name.size;
            if (t->name.failed)
                return tsr_fail(t->stream->ctx, TSR_ERROR_MEMORY, "%s: no memory for a name",
                                t->stream->name);
            return TSR_OK;
        }
    }
    return s;
}

tsr_status tsr_tar_stream_take(tsr_tar_stream *t, tsr_bytes *to) {
    uint64_t got;
    tsr_status s = tsr_stream_take(t->stream, t->left, to, &got);
    if (s) return s;
    t->left -= got;
    return t->left ? cut(t) : TSR_OK;
}

void tsr_tar_stream_free(tsr_tar_stream *t) {
    tsr_bytes_free(&t->name);
    tsr_bytes_free(&t->extra);
}

/* ---- writing --------------------------------------------------------------------------------- */

static tsr_status put_header(tsr_data_file *file, const char *name, uint64_t size, char type) {
    char block[TSR_TAR_BLOCK] = {0};
    unsigned sum = 0;
    strncpy(block, name, 100);
    memcpy(block + 100, "0000444", 8);
    memcpy(block + 108, "0000000", 8);
    memcpy(block + 116, "0000000", 8);
    snprintf(block + 124, 12, "%011llo", (unsigned long long)size);
    memcpy(block + 136, "00000000000", 12);
    memset(block + 148, ' ', 8);
    block[156] = type;
    memcpy(block + 257, "ustar\00000", 8);
    memcpy(block + 265, "bigdata", 7); /* as the webdataset library has it */
    memcpy(block + 297, "bigdata", 7);
    for (int i = 0; i < TSR_TAR_BLOCK; ++i)
        sum += (uint8_t)block[i];
    snprintf(block + 148, 8, "%06o", sum);
    block[155] = ' ';
    return tsr_data_file_put(file, block, sizeof block);
}

static tsr_status put_data(tsr_data_file *file, const void *bytes, size_t size) {
    static const uint8_t zeros[TSR_TAR_BLOCK];
    tsr_status s = tsr_data_file_put(file, bytes, size);
    return s ? s : tsr_data_file_put(file, zeros, -size & (TSR_TAR_BLOCK - 1));
}

/* "LENGTH path=NAME\n", where LENGTH counts its own digits. */
static tsr_status put_pax(tsr_data_file *file, const char *name) {
    const size_t plain = strlen(name) + sizeof " path=\n" - 1;
    size_t length = plain + 1;
    char text[TSR_TAR_MAX_NAME + 64];
    while (plain + (size_t)snprintf(NULL, 0, "%zu", length) != length)
        ++length;
    snprintf(text, sizeof text, "%zu path=%s\n", length, name);
    tsr_status s = put_header(file, "././@PaxHeader", length, 'x');
    return s ? s : put_data(file, text, length);
}

tsr_status tsr_tar_put(tsr_data_file *file, const char *name, const void *bytes, size_t size) {
    char plain[101] = "";
    const size_t n = strlen(name);
    bool ascii = true;
    if (n > TSR_TAR_MAX_NAME || size >= (uint64_t)1 << 33)
        return tsr_fail(file->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: member of %zu bytes: wanted less than 8 GiB", file->name, size);
    for (size_t i = 0; i < n; ++i)
        ascii &= (unsigned char)name[i] < 0x80;
    for (size_t i = 0; i < n && i < 100; ++i)
        plain[i] = (unsigned char)name[i] < 0x80 ? name[i] : '?';
    tsr_status s = ascii && n <= 100 ? TSR_OK : put_pax(file, name);
    if (!s) s = put_header(file, plain, size, '0');
    return s ? s : put_data(file, bytes, size);
}

tsr_status tsr_tar_end(tsr_data_file *file) {
    static const uint8_t zeros[TSR_TAR_BLOCK];
    tsr_status s = tsr_data_file_put(file, zeros, sizeof zeros);
    do
        s = s ? s : tsr_data_file_put(file, zeros, sizeof zeros);
    while (!s && file->written % 10240);
    return s;
}
