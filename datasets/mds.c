/* SPDX-License-Identifier: MIT */
/* mds.c: reads shards of MosaicML Streaming: index.json lists them, and each has u32 samples, u32
 * offset[samples + 1] from its beginning, a JSON of its columns, and the samples: a u32 size for
 * each column of free size, then the columns. An array is a byte axes * 4 + log2 of the bytes of a
 * dimension, the dimensions, the data; "ndarray:uint16:4,4" has the data alone, "ndarray" a byte of
 * the type before. Unlike the library, sizes and hashes of the index are held against the shard,
 * and a column of pickles is refused. */
#include "mds.h"
#include "../formats/hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

enum { MAX_COLUMNS = 64, MAX_HASHES = 8 };
#define MAX_INDEX ((uint64_t)1 << 28)
#define MAX_SHARD (((uint64_t)1 << 32) - 1) /* its offsets are u32 */

/* One of shards' files by the index. */
typedef struct file_info {
    bool there;
    char name[256];
    uint64_t bytes;
    int hashes;
    struct {
        char kind[24], hex[136];
    } hash[MAX_HASHES];
} file_info;

/* Columns, by the index or by the shard itself. */
typedef struct columns {
    int names, encodings, sizes; /* how many of each */
    char name[MAX_COLUMNS][128], encoding[MAX_COLUMNS][128];
    uint64_t size[MAX_COLUMNS]; /* UINT64_MAX: free */
} columns;

typedef struct shard_info {
    columns columns;
    file_info raw, packed;
    uint64_t samples, version;
    char format[16], compression[32];
} shard_info;

typedef struct reader {
    tsr_dataset_input input;
    uint8_t *index_bytes;
    char *index_path;
    tsr_json index;        /* inside the list of shards */
    shard_info shard, own; /* as the index has it, and as the shard itself has it */
    char *shard_path;
    uint8_t *bytes; /* of the shard */
    size_t size;
    uint64_t at; /* sample */
    bool in_list;
} reader;

/* ---- the index ------------------------------------------------------------------------------- */

static void copy_text(tsr_json *j, char *to, size_t room) {
    size_t size;
    const char *text = tsr_json_string(j, &size);
    if (size >= room || strlen(text) != size)
        tsr_json_wrong(j, "a shorter text");
    else
        memcpy(to, text, size + 1);
}

static void read_file_info(tsr_json *j, file_info *f) {
    const char *name;
    *f = (file_info){0};
    if (tsr_json_peek(j) == 'n') {
        tsr_json_skip(j);
        return;
    }
    f->there = true;
    tsr_json_enter(j, '{');
    while (tsr_json_member(j, &name)) {
        if (!strcmp(name, "basename")) {
            copy_text(j, f->name, sizeof f->name);
        } else if (!strcmp(name, "bytes")) {
            f->bytes = tsr_json_unsigned(j);
        } else if (!strcmp(name, "hashes") && tsr_json_enter(j, '{')) {
            while (tsr_json_member(j, &name)) {
                if (f->hashes == MAX_HASHES || strlen(name) >= sizeof f->hash->kind) {
                    tsr_json_wrong(j, "fewer hashes");
                    break;
                }
                strcpy(f->hash[f->hashes].kind, name);
                copy_text(j, f->hash[f->hashes].hex, sizeof f->hash->hex);
                ++f->hashes;
            }
        } else {
            tsr_json_skip(j);
        }
    }
}

static void read_texts(tsr_json *j, char to[MAX_COLUMNS][128], int *count) {
    *count = 0;
    tsr_json_enter(j, '[');
    while (tsr_json_element(j)) {
        if (*count == MAX_COLUMNS) {
            tsr_json_wrong(j, "at most 64 columns");
            break;
        }
        copy_text(j, to[(*count)++], 128);
    }
}

static void read_sizes(tsr_json *j, columns *c) {
    c->sizes = 0;
    tsr_json_enter(j, '[');
    while (tsr_json_element(j)) {
        if (c->sizes == MAX_COLUMNS) {
            tsr_json_wrong(j, "at most 64 columns");
            break;
        }
        const bool free_size = tsr_json_peek(j) == 'n';
        if (free_size) tsr_json_skip(j);
        c->size[c->sizes++] = free_size ? UINT64_MAX : tsr_json_unsigned(j);
    }
}

/* An object that describes a shard: an entry of the index, or the shard's own. */
static void read_shard_info(tsr_json *j, shard_info *s) {
    const char *name;
    memset(s, 0, sizeof *s);
    tsr_json_enter(j, '{');
    while (tsr_json_member(j, &name)) {
        if (!strcmp(name, "column_names"))
            read_texts(j, s->columns.name, &s->columns.names);
        else if (!strcmp(name, "column_encodings"))
            read_texts(j, s->columns.encoding, &s->columns.encodings);
        else if (!strcmp(name, "column_sizes"))
            read_sizes(j, &s->columns);
        else if (!strcmp(name, "raw_data"))
            read_file_info(j, &s->raw);
        else if (!strcmp(name, "zip_data"))
            read_file_info(j, &s->packed);
        else if (!strcmp(name, "samples"))
            s->samples = tsr_json_unsigned(j);
        else if (!strcmp(name, "version"))
            s->version = tsr_json_unsigned(j);
        else if (!strcmp(name, "format"))
            copy_text(j, s->format, sizeof s->format);
        else if (!strcmp(name, "compression") && tsr_json_peek(j) == '"')
            copy_text(j, s->compression, sizeof s->compression);
        else
            tsr_json_skip(j);
    }
}

/* ---- columns --------------------------------------------------------------------------------- */

/* What this reader does with a column of an encoding; false for one it does not know. */
static bool known_encoding(const char *encoding) {
    static const char *const words[] = {
        "bytes",       "str",   "int",   "uint8",     "uint16",  "uint32",  "uint64",  "int8",
        "int16",       "int32", "int64", "float16",   "float32", "float64", "str_int", "str_float",
        "str_decimal", "pil",   "jpeg",  "jpegarray", "png",     "json",    "ndarray"};
    for (size_t i = 0; i < sizeof words / sizeof *words; ++i)
        if (!strcmp(encoding, words[i])) return true;
    return !strncmp(encoding, "ndarray:", 8);
}

static tsr_status check_shard(reader *r) {
    tsr_context *ctx = r->input.ctx;
    const shard_info *s = &r->shard;
    const columns *c = &s->columns;
    const char *name = r->index_path;
    bool ids = false;
    if (s->version != 2 || strcmp(s->format, "mds"))
        return tsr_fail(ctx, TSR_ERROR_VERSION,
                        "%s: wanted shards of MDS, version 2, got %.15s, version "
                        "%llu",
                        name, s->format, (unsigned long long)s->version);
    if (c->names != c->encodings || c->names != c->sizes)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: wanted a name, an encoding and a size for each "
                        "column, got %d, %d and %d",
                        name, c->names, c->encodings, c->sizes);
    for (int i = 0; i < c->names; ++i) {
        if (!strncmp(c->encoding[i], "pkl", 3))
            return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: column %s: wanted data, got pickles, which run code", name,
                            c->name[i]);
        if (!known_encoding(c->encoding[i]))
            return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: column %s: wanted a known encoding, got %s", name, c->name[i],
                            c->encoding[i]);
        if (strcmp(c->name[i], r->input.columns.ids)) continue;
        ids = !strncmp(c->encoding[i], "ndarray", 7);
        if (!ids)
            return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: column %s: wanted an ndarray, got %s",
                            name, c->name[i], c->encoding[i]);
    }
    if (!ids)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted a column %s, got none", name,
                        r->input.columns.ids);
    const file_info *files[] = {&s->raw, &s->packed};
    for (int i = 0; i < 2; ++i)
        if (files[i]->there && (!files[i]->name[0] || strchr(files[i]->name, '/') ||
                                strchr(files[i]->name, '\\') || !strcmp(files[i]->name, "..")))
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: basename: wanted the name of a file beside it, got '%s'", name,
                            files[i]->name);
    return s->raw.there
               ? TSR_OK
               : tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: raw_data: wanted one, got none", name);
}

/* ---- a shard --------------------------------------------------------------------------------- */

static tsr_status check_hash(reader *r, const char *kind, const char *hex, const uint8_t *bytes,
                             size_t size) {
    char got[2 * EVP_MAX_MD_SIZE + 1] = "";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    const EVP_MD *md = EVP_get_digestbyname(kind);
    if (!strcmp(kind, "xxh64")) {
        snprintf(got, sizeof got, "%016llx", (unsigned long long)tsr_hash64(bytes, size, 0));
    } else if (md && EVP_Digest(bytes, size, digest, &n, md, NULL)) {
        for (unsigned i = 0; i < n; ++i)
            snprintf(got + 2 * i, 3, "%02x", digest[i]);
    } else {
        tsr_log(r->input.ctx, TSR_LOG_WARNING, "%s: hash %s is not known and not looked at",
                r->shard_path, kind);
        return TSR_OK;
    }
    if (!strcmp(got, hex)) return TSR_OK;
    return tsr_fail(r->input.ctx, TSR_ERROR_CHECKSUM, "%s: %s: wanted %s, got %s", r->shard_path,
                    kind, hex, got);
}

static tsr_status load_file(reader *r, const file_info *f, uint8_t **bytes, size_t *size) {
    tsr_context *ctx = r->input.ctx;
    free(r->shard_path);
    r->shard_path = tsr_data_beside(r->index_path, f->name);
    if (!r->shard_path) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", r->index_path);
    tsr_status s = tsr_data_load(ctx, r->input.memory, r->shard_path, MAX_SHARD, bytes, size);
    if (!s && *size != f->bytes)
        s = tsr_fail(ctx, *size < f->bytes ? TSR_ERROR_TRUNCATED : TSR_ERROR_FORMAT,
                     "%s: wanted %llu bytes by the index, got %zu", r->shard_path,
                     (unsigned long long)f->bytes, *size);
    for (int i = 0; !s && i < f->hashes; ++i)
        s = check_hash(r, f->hash[i].kind, f->hash[i].hex, *bytes, *size);
    return s;
}

/* From a zstd frame of the size that the index claims, which must be what comes out. */
static tsr_status unpack(reader *r, const uint8_t *packed, size_t packed_size) {
    tsr_context *ctx = r->input.ctx;
    const file_info *f = &r->shard.raw;
    if (strncmp(r->shard.compression, "zstd", 4))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted zstd or no compression, got %s",
                        r->shard_path, r->shard.compression);
    const unsigned long long claimed = ZSTD_getFrameContentSize(packed, packed_size);
    /* A block of zstd has 3 bytes at least and becomes 128 KiB at most. */
    if (f->bytes > MAX_SHARD || f->bytes / ((1 << 17) / 3) > packed_size ||
        (claimed != ZSTD_CONTENTSIZE_UNKNOWN && claimed != f->bytes))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted a frame of %llu bytes, got another",
                        r->shard_path, (unsigned long long)f->bytes);
    r->bytes = tsr_alloc(ctx, (size_t)f->bytes + 1, 1, r->shard_path);
    if (!r->bytes) return TSR_ERROR_MEMORY;
    r->size = (size_t)f->bytes;
    const size_t got = ZSTD_decompress(r->bytes, r->size, packed, packed_size);
    if (ZSTD_isError(got) || got != r->size)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: wanted %zu bytes in a frame of zstd, got others", r->shard_path,
                        r->size);
    tsr_status s = TSR_OK;
    for (int i = 0; !s && i < f->hashes; ++i)
        s = check_hash(r, f->hash[i].kind, f->hash[i].hex, r->bytes, r->size);
    return s;
}

static bool same_columns(const columns *a, const columns *b) {
    bool same = a->names == b->names && b->names == b->encodings && b->names == b->sizes;
    for (int i = 0; same && i < a->names; ++i)
        same = !strcmp(a->name[i], b->name[i]) && !strcmp(a->encoding[i], b->encoding[i]) &&
               a->size[i] == b->size[i];
    return same;
}

/* Number of samples, offsets and the shard's own columns. */
static tsr_status check_layout(reader *r) {
    tsr_context *ctx = r->input.ctx;
    const char *name = r->shard_path;
    const uint64_t n = r->size >= 4 ? tsr_get_u32(r->bytes) : 0, head = 4 + 4 * (n + 1);
    if (r->size < head)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                        "%s: wanted offsets of %llu samples, got %zu bytes", name,
                        (unsigned long long)n, r->size);
    if (n != r->shard.samples)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted %llu samples by the index, got %llu",
                        name, (unsigned long long)r->shard.samples, (unsigned long long)n);
    uint64_t before = head;
    for (uint64_t i = 0; i <= n; ++i) {
        const uint64_t offset = tsr_get_u32(r->bytes + 4 + 4 * i);
        if (offset < before || offset > r->size || (i == n && offset != r->size))
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: offset %llu: wanted %llu..%zu, got %llu",
                            name, (unsigned long long)i, (unsigned long long)before, r->size,
                            (unsigned long long)offset);
        before = offset;
    }
    tsr_json j = tsr_json_start(r->bytes + head, tsr_get_u32(r->bytes + 4) - head);
    read_shard_info(&j, &r->own);
    const bool bad = tsr_json_finish(&j);
    tsr_status s = bad ? tsr_json_failed(ctx, name, &j) : TSR_OK;
    tsr_json_free(&j);
    if (!s && !same_columns(&r->shard.columns, &r->own.columns))
        s = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted the columns that the index has, got others",
                     name);
    return s;
}

/* Opens the next shard of the index; *end behind the last. */
static tsr_status next_shard(reader *r, bool *end) {
    tsr_context *ctx = r->input.ctx;
    uint8_t *packed = NULL;
    size_t packed_size = 0;
    free(r->bytes);
    r->bytes = NULL;
    r->at = 0;
    *end = !tsr_json_element(&r->index);
    if (*end) {
        const char *name;
        while (tsr_json_member(&r->index, &name)) /* behind the list */
            tsr_json_skip(&r->index);
        r->in_list = false;
        return tsr_json_finish(&r->index) ? tsr_json_failed(ctx, r->index_path, &r->index) : TSR_OK;
    }
    read_shard_info(&r->index, &r->shard);
    if (r->index.wrong) return tsr_json_failed(ctx, r->index_path, &r->index);
    tsr_status s = check_shard(r);
    if (s) return s;
    s = load_file(r, &r->shard.raw, &r->bytes, &r->size);
    if (s == TSR_ERROR_NOT_FOUND && r->shard.packed.there) {
        s = load_file(r, &r->shard.packed, &packed, &packed_size);
        if (!s) s = unpack(r, packed, packed_size);
        free(packed);
    }
    return s ? s : check_layout(r);
}

static void close_reader(void **out) {
    reader *r = *out;
    if (!r) return;
    tsr_json_free(&r->index);
    free(r->index_bytes);
    free(r->index_path);
    free(r->shard_path);
    free(r->bytes);
    free(r);
    *out = NULL;
}

/* Into the list of shards, which may stand anywhere in the object: members before it are read. */
static tsr_status open_reader(const tsr_dataset_input *input, void **out) {
    tsr_context *ctx = input->ctx;
    const char *name;
    size_t size;
    reader *r = tsr_alloc(ctx, 1, sizeof *r, input->path);
    if (!r) return TSR_ERROR_MEMORY;
    r->input = *input;
    *out = r;
    r->index_path = strdup(input->path);
    tsr_status s = r->index_path ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "mds: no memory");
    if (!s) s = tsr_data_load(ctx, input->memory, input->path, MAX_INDEX, &r->index_bytes, &size);
    if (!s) {
        r->index = tsr_json_start(r->index_bytes, size);
        tsr_json_enter(&r->index, '{');
        while (!r->in_list && tsr_json_member(&r->index, &name)) {
            if (!strcmp(name, "shards"))
                r->in_list = tsr_json_enter(&r->index, '[');
            else if (!strcmp(name, "version") && tsr_json_unsigned(&r->index) != 2)
                tsr_json_wrong(&r->index, "version 2");
            else if (strcmp(name, "version"))
                tsr_json_skip(&r->index);
        }
        if (!r->in_list) tsr_json_wrong(&r->index, "a list of shards");
        if (r->index.wrong) s = tsr_json_failed(ctx, input->path, &r->index);
    }
    if (s) close_reader(out);
    return s;
}

/* ---- a sample -------------------------------------------------------------------------------- */

/* An array of ids. `kind` is the encoding behind "ndarray": "", ":uint16" or ":uint16:4,4". */
static tsr_status read_array(reader *r, tsr_record_memory *m, const char *where, const char *kind,
                             const uint8_t *p, uint64_t size) {
    tsr_context *ctx = r->input.ctx;
    tsr_cursor c = {.at = p, .end = p + size};
    tsr_id_type type = TSR_ID_TYPES;
    tsr_record *to = &m->record;
    char word[16] = "";
    const char *shape = NULL;
    if (*kind == ':') {
        const size_t n = strcspn(++kind, ":");
        if (n < sizeof word) memcpy(word, kind, n);
        if (kind[n] == ':') shape = kind + n + 1;
        if (!tsr_id_type_find(word, &type)) type = TSR_ID_TYPES;
    } else {
        const int code = (int)tsr_cursor_u8(&c);
        for (int i = 0; i < TSR_ID_TYPES && !c.bad; ++i)
            if (tsr_mds_type_code((tsr_id_type)i) == code) type = (tsr_id_type)i;
    }
    if (type == TSR_ID_TYPES)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: ids: wanted whole numbers, got another type", where);
    if (!shape) {
        const uint32_t byte = tsr_cursor_u8(&c), wide = 1u << (byte & 3);
        if (byte >> 2 > TSR_RECORD_MAX_RANK || byte >> 2 == 0)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: ids: wanted 1 to 4 axes, got %u", where,
                            byte >> 2);
        for (to->rank = 0; to->rank < (int)(byte >> 2); ++to->rank) {
            const uint8_t *d = tsr_cursor_take(&c, wide);
            uint64_t value = 0;
            for (uint32_t k = 0; d && k < wide; ++k)
                value |= (uint64_t)d[k] << 8 * k;
            to->shape[to->rank] = value;
        }
    } else {
        for (to->rank = 0; *shape && to->rank < TSR_RECORD_MAX_RANK; shape += *shape == ',') {
            char *end;
            to->shape[to->rank++] = strtoull(shape, &end, 10);
            if (end == shape) break;
            shape = end;
        }
        if (*shape || !to->rank)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: ids: wanted a shape of 1 to 4 axes, got %s",
                            where, kind);
    }
    const uint64_t left = c.bad ? 0 : tsr_cursor_left(&c), wide = tsr_id_type_bytes(type);
    if (c.bad || left % wide || !tsr_shape_fits(to->shape, to->rank, left / wide))
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: ids: wanted as many as the shape has, got %llu bytes", where,
                        (unsigned long long)left);
    m->has_shape = true;
    uint32_t *ids = tsr_record_ids(ctx, m, where, left / wide);
    if (!ids) return left / wide > TSR_TESS_MAX_IDS ? TSR_ERROR_TOO_LARGE : TSR_ERROR_MEMORY;
    return tsr_ids_read(ctx, where, c.at, left / wide, type, false, r->input.codebook_size, ids);
}

static tsr_status read_column(reader *r, tsr_record_memory *m, const char *where, int i,
                              const uint8_t *p, uint64_t size) {
    tsr_context *ctx = r->input.ctx;
    const columns *c = &r->shard.columns;
    const tsr_dataset_columns *own = &r->input.columns;
    const char *name = c->name[i], *encoding = c->encoding[i];
    if (!strcmp(name, own->ids)) return read_array(r, m, where, encoding + 7, p, size);
    const bool text = !strcmp(encoding, "str");
    if (!strcmp(name, own->key) && text)
        return tsr_record_key(ctx, m, where, (const char *)p, (size_t)size);
    const char *attribute = !strcmp(name, own->label)     ? "label"
                            : !strcmp(name, own->caption) ? "caption"
                                                          : name;
    if (text) return tsr_record_text(ctx, m, where, attribute, (const char *)p, (size_t)size);
    if (!strcmp(encoding, "int") || !strcmp(encoding, "int64")) {
        if (size != 8)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: %s: wanted 8 bytes, got %llu", where, name,
                            (unsigned long long)size);
        return tsr_record_integer(ctx, m, where, attribute, (int64_t)tsr_get_u64(p));
    }
    return TSR_OK; /* floats, pictures, JSON, bytes: not carried */
}

static tsr_status read_sample(reader *r, tsr_record_memory *m) {
    tsr_context *ctx = r->input.ctx;
    const columns *c = &r->shard.columns;
    const uint64_t i = r->at++;
    char where[600];
    snprintf(where, sizeof where, "%.500s: sample %llu", r->shard_path, (unsigned long long)i);
    const uint32_t from = tsr_get_u32(r->bytes + 4 + 4 * i), to = tsr_get_u32(r->bytes + 8 + 4 * i);
    tsr_cursor cursor = {.at = r->bytes + from, .end = r->bytes + to};
    uint64_t sizes[MAX_COLUMNS];
    for (int k = 0; k < c->names; ++k) {
        const uint8_t *n = c->size[k] == UINT64_MAX ? tsr_cursor_take(&cursor, 4) : NULL;
        sizes[k] = n ? tsr_get_u32(n) : c->size[k];
    }
    tsr_status s = TSR_OK;
    for (int k = 0; !s && k < c->names; ++k) {
        const uint8_t *p = cursor.bad || sizes[k] > tsr_cursor_left(&cursor)
                               ? NULL
                               : tsr_cursor_take(&cursor, (size_t)sizes[k]);
        s = p ? read_column(r, m, where, k, p, sizes[k])
              : tsr_fail(ctx, TSR_ERROR_FORMAT,
                         "%s: column %s: wanted it inside the sample, got %llu bytes", where,
                         c->name[k], (unsigned long long)sizes[k]);
    }
    if (!s && tsr_cursor_left(&cursor))
        s = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted nothing behind the columns, got %zu bytes",
                     where, tsr_cursor_left(&cursor));
    return s ? s : tsr_record_finish(ctx, m, where);
}

static tsr_status next(void *user, tsr_record_memory *m, bool *end) {
    reader *r = user;
    *end = false;
    while (!r->bytes || r->at == r->shard.samples) {
        if (!r->in_list) {
            *end = true;
            return TSR_OK;
        }
        tsr_status s = next_shard(r, end);
        if (s || *end) return s;
    }
    tsr_record_start(m);
    return read_sample(r, m);
}

const tsr_dataset_format tsr_dataset_mds = {
    .name = "mds",
    .about = "shards of MosaicML Streaming, with index.json",
    .suffix = "index.json",
    .layouts = "auto|static|dynamic|typed",
    .flags = TSR_DATASET_NO_EMPTY | TSR_DATASET_COLUMNS,
    .choose = tsr_choose_unsigned,
    .types = TSR_ID_ANY,
    .columns = {"ids", "key", "label", "caption", NULL},
    .open = open_reader,
    .next = next,
    .close = close_reader,
    .begin = tsr_mds_begin,
    .add = tsr_mds_add,
    .finish = tsr_mds_finish,
    .abandon = tsr_mds_abandon,
};
