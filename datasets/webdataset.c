/* SPDX-License-Identifier: MIT */
/* webdataset.c: tar archives in which neighbouring members of one key are one sample. The key of a
 * member is its path up to the first dot of the file's name; what follows the dot, in lower case,
 * is its suffix: .npy has ids, .json may have them, too, .cls a class, .txt a caption. Members with
 * other suffixes are passed over, and nothing is ever unpickled. */
#include "json_records.h"
#include "key_set.h"
#include "npy_records.h"
#include "tar.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct reader {
    tsr_dataset_input input;
    tsr_data_stream stream;
    tsr_tar_stream tar;
    bool pending;     /* the member that was read last belongs to the next sample */
    bool over;        /* nothing more comes */
    uint64_t samples; /* whole and good ones */
    tsr_key_set keys; /* of samples, good or not: one that comes back is torn apart */
    tsr_status later; /* the archive is damaged here, which is told behind the sample before it */
    char detail[1024];
    tsr_bytes key, bytes;
    char where[700];
    char lower[256]; /* suffix of the member */
} reader;

/* The sample that is put together. */
typedef struct sample {
    tsr_status status; /* its first fault, whose text is in `detail` */
    char detail[1024];
    bool ids, json_ids;
    bool shaped; /* by the JSON */
    int rank;
    uint64_t shape[TSR_RECORD_MAX_RANK];
    char seen[32][256]; /* suffixes */
    int members;
} sample;

static void close_reader(void **out) {
    reader *r = *out;
    if (!r) return;
    tsr_stream_close(&r->stream);
    tsr_tar_stream_free(&r->tar);
    tsr_key_set_free(&r->keys);
    tsr_bytes_free(&r->key);
    tsr_bytes_free(&r->bytes);
    free(r);
    *out = NULL;
}

static tsr_status open_reader(const tsr_dataset_input *input, void **out) {
    tsr_context *ctx = input->ctx;
    reader *r = tsr_alloc(ctx, 1, sizeof *r, input->path);
    if (!r) return TSR_ERROR_MEMORY;
    r->input = *input;
    *out = r;
    tsr_status s = tsr_stream_open(ctx, input->memory, input->path, &r->stream);
    if (!s) s = tsr_stream_fill(&r->stream);
    r->tar.stream = &r->stream;
    const size_t there = r->stream.size - r->stream.at;
    if (!s && !there)
        tsr_log(ctx, TSR_LOG_WARNING, "%s: an archive without a byte", r->stream.name);
    if (s) close_reader(out);
    return s;
}

/* Key and suffix of the member; false where it belongs to no sample. `size` of the key. */
static bool split_name(reader *r, const char **key, size_t *size) {
    const char *name = (const char *)r->tar.name.at;
    while (!strncmp(name, "./", 2))
        name += 2;
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    const char *dot = strchr(base, '.');
    const size_t first = strcspn(name, "/");
    const bool meta = first >= 4 && !strncmp(name, "__", 2) && !strncmp(name + first - 2, "__", 2);
    if (meta || !dot) return false;
    if (dot == base) {
        char clean[200];
        tsr_log(r->input.ctx, TSR_LOG_WARNING, "%s: %s: a hidden file belongs to no sample",
                r->stream.name, tsr_token_key_clean(name, clean, sizeof clean));
        return false;
    }
    size_t n = 0;
    for (const char *c = dot + 1; *c && n + 1 < sizeof r->lower; ++c)
        r->lower[n++] = *c >= 'A' && *c <= 'Z' ? (char)(*c | 0x20) : *c;
    r->lower[n] = 0;
    *key = name;
    *size = (size_t)(dot - name);
    return true;
}

/* Notes the first fault of a sample, whose text is in the context. */
static void note(reader *r, sample *p, tsr_status s) {
    if (!s || p->status) return;
    p->status = s;
    snprintf(p->detail, sizeof p->detail, "%s", tsr_detail(r->input.ctx));
}

static tsr_status read_label(reader *r, tsr_record_memory *m) {
    tsr_context *ctx = r->input.ctx;
    tsr_json j = tsr_json_start(r->bytes.at, r->bytes.size);
    const int64_t label = tsr_json_signed(&j);
    const bool bad = tsr_json_finish(&j);
    tsr_json_free(&j);
    if (bad)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted a class, a whole number, got other text",
                        r->where);
    return tsr_record_integer(ctx, m, r->where, "label", label);
}

static tsr_status read_json(reader *r, sample *p, tsr_record_memory *m) {
    const tsr_dataset_columns columns = {"ids", NULL, "label", "caption", "shape"};
    tsr_json_seen seen;
    tsr_json j = tsr_json_start(r->bytes.at, r->bytes.size);
    m->has_shape = false;
    tsr_status s =
        tsr_json_record(r->input.ctx, r->where, &j, &columns, r->input.codebook_size, m, &seen);
    tsr_json_free(&j);
    if (!s && seen.ids && p->ids)
        s = tsr_fail(r->input.ctx, TSR_ERROR_FORMAT,
                     "%s: wanted ids once in a sample, got them twice", r->where);
    p->shaped = m->has_shape;
    p->json_ids = seen.ids;
    p->rank = m->record.rank;
    memcpy(p->shape, m->record.shape, sizeof p->shape);
    return s;
}

/* The bytes of one member become a part of the record. */
static tsr_status read_member(reader *r, sample *p, tsr_record_memory *m) {
    tsr_context *ctx = r->input.ctx;
    const tsr_dataset_columns *c = &r->input.columns;
    const char *suffix = r->lower;
    const bool ids =
        !strcmp(suffix, c->ids) || (!strcmp(c->ids, "npy") && tsr_ends_with(suffix, ".npy"));
    const bool json = !strcmp(suffix, "json"), label = !strcmp(suffix, c->label);
    const bool caption = !strcmp(suffix, c->caption);
    if (!ids && !json && !label && !caption) return TSR_OK;
    if (r->tar.size > TSR_RECORD_MAX_TEXT)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d bytes, got %llu", r->where,
                        TSR_RECORD_MAX_TEXT, (unsigned long long)r->tar.size);
    if (!r->bytes.at) tsr_bytes_extend(&r->bytes, 1);
    r->bytes.size = 0;
    tsr_status s = tsr_tar_stream_take(&r->tar, &r->bytes);
    if (s) {
        r->later = s; /* the archive ends in this member */
        return s;
    }
    if (ids && (p->ids || p->json_ids))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted ids once in a sample, got them twice",
                        r->where);
    if (label) return read_label(r, m);
    if (caption)
        return tsr_record_text(ctx, m, r->where, "caption", (const char *)r->bytes.at,
                               r->bytes.size);
    if (json) return read_json(r, p, m);
    p->ids = true;
    return tsr_npy_record(ctx, r->where, r->bytes.at, r->bytes.size, r->input.codebook_size, m);
}

/* A suffix comes once in a sample. */
static tsr_status check_once(reader *r, sample *p) {
    for (int i = 0; i < p->members; ++i)
        if (!strcmp(p->seen[i], r->lower))
            return tsr_fail(r->input.ctx, TSR_ERROR_FORMAT,
                            "%s: wanted once in its sample, got twice", r->where);
    if (p->members == (int)(sizeof p->seen / sizeof *p->seen))
        return tsr_fail(r->input.ctx, TSR_ERROR_TOO_LARGE,
                        "%s: wanted at most %d members in a sample", r->where, p->members);
    memcpy(p->seen[p->members++], r->lower, sizeof r->lower);
    return TSR_OK;
}

/* Adds the member that was read last. *refused: the archive as a whole is no data set. */
static tsr_status add_member(reader *r, sample *p, tsr_record_memory *m) {
    char clean[400];
    snprintf(r->where, sizeof r->where, "%.250s: %s", r->stream.name,
             tsr_token_key_clean((const char *)r->tar.name.at, clean, sizeof clean));
    tsr_status s = check_once(r, p);
    if (s) return s;
    if (r->tar.type != '0' && r->tar.type != '7')
        note(r, p,
             tsr_fail(r->input.ctx, TSR_ERROR_FORMAT, "%s: wanted a plain file, got a %s", r->where,
                      r->tar.type == '1' || r->tar.type == '2' ? "link, which is not followed"
                                                               : "device or the like"));
    else if (!p->status)
        note(r, p, read_member(r, p, m));
    return p->status == TSR_ERROR_MEMORY ? TSR_ERROR_MEMORY : TSR_OK;
}

/* Goes to the next member of a sample; r->pending false at the end. */
static tsr_status next_member(reader *r) {
    const char *key;
    size_t size;
    r->pending = false;
    while (!r->later && !r->pending) {
        tsr_status s = tsr_tar_stream_next(&r->tar);
        if (s == TSR_ERROR_MEMORY || s == TSR_ERROR_IO) return s;
        if (s) {
            r->later = s;
            snprintf(r->detail, sizeof r->detail, "%s", tsr_detail(r->input.ctx));
        }
        if (s || r->tar.ended) break;
        r->pending = r->tar.type != '5' && split_name(r, &key, &size);
    }
    if (r->tar.ended && r->stream.unpack && !r->later && !r->pending) { /* its check sum */
        uint64_t got;
        const tsr_status s = tsr_stream_skip(&r->stream, UINT64_MAX, &got);
        if (s == TSR_ERROR_IO || s == TSR_ERROR_MEMORY) return s;
        r->later = s;
        if (s) snprintf(r->detail, sizeof r->detail, "%s", tsr_detail(r->input.ctx));
    }
    if (r->tar.ended && r->tar.no_end && tsr_stream_position(&r->stream) && !r->over)
        tsr_log(r->input.ctx, TSR_LOG_INFO, "%s: no blocks of zeros end the archive",
                r->stream.name);
    return TSR_OK;
}

/* What a whole sample is worth. */
static tsr_status end_sample(reader *r, sample *p, tsr_record_memory *m) {
    tsr_context *ctx = r->input.ctx;
    char clean[400];
    snprintf(r->where, sizeof r->where, "%.250s: sample %s", r->stream.name,
             tsr_token_key_clean((const char *)r->key.at, clean, sizeof clean));
    if (p->status) return tsr_fail(ctx, p->status, "%s", p->detail);
    if (!p->ids && !p->json_ids)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted ids in .%s or .json, got none", r->where,
                        r->input.columns.ids);
    if (p->shaped) {
        m->has_shape = true;
        m->record.rank = p->rank;
        memcpy(m->record.shape, p->shape, sizeof p->shape);
    }
    return tsr_record_finish(ctx, m, r->where);
}

/* The archive is damaged. What came before stays, but an archive without a whole sample is none. */
static tsr_status tell_damage(reader *r, tsr_record_memory *m) {
    r->over = true;
    m->go_on = r->samples > 0;
    return tsr_fail(r->input.ctx, r->later, "%s", r->detail);
}

/* The key of the member that was read last is that of a sample, which no earlier one has. */
static tsr_status begin_sample(reader *r, sample *p, tsr_record_memory *m) {
    tsr_context *ctx = r->input.ctx;
    const char *key;
    size_t size;
    bool there = false;
    split_name(r, &key, &size);
    r->key.size = 0;
    tsr_bytes_put(&r->key, key, size);
    tsr_bytes_u8(&r->key, 0);
    if (r->key.failed) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", r->stream.name);
    tsr_status s = tsr_key_set_add(ctx, &r->keys, (const char *)r->key.at, &there);
    if (!s && there) {
        char clean[400];
        return tsr_fail(
            ctx, TSR_ERROR_FORMAT,
            "%s: sample %s: wanted its members one behind the other, got more of them later",
            r->stream.name, tsr_token_key_clean((const char *)r->key.at, clean, sizeof clean));
    }
    if (!s) note(r, p, tsr_record_key(ctx, m, r->stream.name, key, size));
    return s;
}

static tsr_status next(void *user, tsr_record_memory *m, bool *end) {
    reader *r = user;
    const char *key;
    size_t size;
    tsr_record_start(m);
    tsr_status s = !r->pending && !r->later && !r->over ? next_member(r) : TSR_OK;
    if (s) return s;
    *end = !r->pending && (!r->later || r->over);
    if (*end) return TSR_OK;
    if (!r->pending) return tell_damage(r, m);
    sample *p = tsr_alloc(r->input.ctx, 1, sizeof *p, "sample");
    if (!p) return TSR_ERROR_MEMORY;
    s = begin_sample(r, p, m);
    bool same = true;
    while (!s && same) {
        s = add_member(r, p, m);
        if (s) break;
        if (r->later) snprintf(r->detail, sizeof r->detail, "%s", p->detail);
        if (!r->later) s = next_member(r);
        same = !s && !r->later && r->pending && split_name(r, &key, &size) &&
               size + 1 == r->key.size && !memcmp(key, r->key.at, size);
    }
    const bool lost = r->later && p->status == r->later && !strcmp(p->detail, r->detail);
    if (lost) r->pending = false;
    if (!s && lost) {
        s = tell_damage(r, m);
    } else if (!s) {
        s = end_sample(r, p, m);
        m->go_on = s && s != TSR_ERROR_MEMORY;
        r->samples += !s;
    }
    free(p);
    return s;
}

/* ---- writing --------------------------------------------------------------------------------- */

enum { SHARD_ITEMS = 100000 };
#define SHARD_BYTES 3000000000u /* both are the library's own limits */

typedef struct writer {
    tsr_dataset_output *output;
    tsr_data_file file;
    tsr_key_set keys; /* as they are written */
    tsr_bytes name, bytes;
    uint64_t items;
    unsigned shards;
    bool open, json_alone, always_json;
} writer;

static void abandon(void **out) {
    writer *w = *out;
    if (!w) return;
    tsr_data_file_abandon(&w->file);
    tsr_key_set_free(&w->keys);
    tsr_bytes_free(&w->name);
    tsr_bytes_free(&w->bytes);
    free(w);
    *out = NULL;
}

static tsr_status begin(tsr_dataset_output *output, void **out) {
    writer *w = tsr_alloc(output->ctx, 1, sizeof *w, "webdataset");
    if (!w) return TSR_ERROR_MEMORY;
    w->output = output;
    w->file.fd = -1;
    w->json_alone = !strcmp(output->plan->layout, "json");
    w->always_json = strcmp(output->plan->layout, "npy") != 0;
    *out = w;
    return TSR_OK;
}

static tsr_status end_shard(writer *w) {
    tsr_status s = tsr_tar_end(&w->file);
    if (!s) s = tsr_data_file_close(&w->file);
    w->open = false;
    return s;
}

static tsr_status begin_shard(writer *w) {
    char name[64];
    snprintf(name, sizeof name, "shard-%06u.tar", w->shards++);
    w->items = 0;
    tsr_status s = tsr_data_file_open(w->output->folder, w->output->prefix, name, &w->file);
    w->open = !s;
    return s;
}

/* The key as a reader will find it again, in w->name without a zero byte. */
static tsr_status make_key(writer *w, const char *key) {
    tsr_context *ctx = w->output->ctx;
    const char *slash = strrchr(key, '/'), *base = slash ? slash + 1 : key;
    const size_t first = strcspn(key, "/");
    bool changed = false, there;
    w->name.size = 0;
    tsr_bytes_put(&w->name, key, strlen(key) + 1);
    if (w->name.failed) return tsr_fail(ctx, TSR_ERROR_MEMORY, "webdataset: no memory for a name");
    if (!*base || (first >= 4 && !strncmp(key, "__", 2) && !strncmp(key + first - 2, "__", 2)))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "webdataset: key '%s': wanted one that readers do not pass over, got one "
                        "%s",
                        key, *base ? "between __ and __" : "without a byte");
    for (char *c = (char *)w->name.at + (base - key); *c; ++c)
        if (*c == '.') {
            *c = '_';
            changed = true;
        }
    w->output->changed_keys += changed;
    tsr_status s = tsr_key_set_add(ctx, &w->keys, (const char *)w->name.at, &there);
    if (!s && there)
        s = tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                     "webdataset: key '%s': with '_' for its dots it is another item's", key);
    --w->name.size;
    return s;
}

/* Adds the member with this suffix, whose bytes are in w->bytes. */
static tsr_status put_member(writer *w, const char *suffix) {
    const size_t n = w->name.size;
    tsr_bytes_u8(&w->name, '.');
    tsr_bytes_put(&w->name, suffix, strlen(suffix) + 1);
    tsr_status s =
        w->name.failed || w->bytes.failed
            ? tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "webdataset: no memory")
            : tsr_tar_put(&w->file, (const char *)w->name.at, w->bytes.at, w->bytes.size);
    w->name.size = n;
    w->bytes.size = 0;
    return s;
}

static void put_json(writer *w, const tsr_record *r, bool all) {
    const char *const none[] = {NULL}, *const members[] = {"label", "caption", NULL};
    tsr_bytes *b = &w->bytes;
    tsr_bytes_u8(b, '{');
    if (w->json_alone) {
        tsr_json_put_name(b, "ids");
        tsr_json_put_ids(b, r->ids, r->count);
    }
    if (all) {
        tsr_json_put_name(b, "shape");
        tsr_json_put_shape(b, r);
    }
    tsr_json_put_attributes(b, r, all ? none : members, true);
    tsr_bytes_u8(b, '}');
}

/* Has a record anything that .cls and .txt do not say? */
static bool has_more(const tsr_record *r) {
    for (uint32_t i = 0; i < r->attribute_count; ++i) {
        const tsr_attribute *a = &r->attributes[i];
        const bool label = a->type == TSR_ATTRIBUTE_INTEGER && !strcmp(a->name, "label");
        const bool caption = a->type == TSR_ATTRIBUTE_TEXT && !strcmp(a->name, "caption");
        if (!label && !caption && a->type != TSR_ATTRIBUTE_BYTES) return true;
    }
    return false;
}

static tsr_status add(void *user, const tsr_record *r) {
    writer *w = user;
    const tsr_dataset_plan *plan = w->output->plan;
    const tsr_dataset_columns *c = &plan->columns;
    const tsr_attribute *label = tsr_record_attribute(r, "label", TSR_ATTRIBUTE_INTEGER);
    const tsr_attribute *caption = tsr_record_attribute(r, "caption", TSR_ATTRIBUTE_TEXT);
    const uint64_t items = plan->shard_items ? plan->shard_items : SHARD_ITEMS;
    const uint64_t bytes = plan->shard_bytes ? plan->shard_bytes : SHARD_BYTES;
    const uint64_t likely = 4 * TSR_TAR_BLOCK + r->count * tsr_id_type_bytes(plan->type);
    tsr_status s = make_key(w, r->key);
    const bool stream = !w->output->folder->temporary;
    if (!s && w->open && w->items && !stream &&
        (w->items >= items || w->file.written + likely > bytes))
        s = end_shard(w);
    if (!s && !w->open) s = begin_shard(w);
    if (!s && !w->always_json && label) {
        tsr_json_put_format(&w->bytes, "%lld", (long long)label->integer);
        s = put_member(w, c->label);
    }
    if (!s && (w->always_json || has_more(r))) {
        put_json(w, r, w->always_json);
        s = put_member(w, "json");
    }
    if (!s && !w->json_alone) {
        tsr_npy_put(&w->bytes, r->ids, r->count, r->shape, r->rank, plan->type);
        s = put_member(w, c->ids);
    }
    if (!s && !w->always_json && caption) {
        tsr_bytes_put(&w->bytes, caption->bytes, caption->size);
        s = put_member(w, c->caption);
    }
    ++w->items;
    return s;
}

static tsr_status finish(void *user) {
    writer *w = user;
    tsr_status s = w->open || w->shards ? TSR_OK : begin_shard(w);
    return s || !w->open ? s : end_shard(w);
}

const tsr_dataset_format tsr_dataset_webdataset = {
    .name = "webdataset",
    .about = "tar shards, the members of one key a sample",
    .suffix = ".tar|.tar.gz|.tgz|.tar.zst|.tar.zstd|.tzst",
    .layouts = "npy|npy-json|json",
    .flags = TSR_DATASET_KEYS | TSR_DATASET_FILES | TSR_DATASET_STREAM,
    .choose = tsr_choose_unsigned,
    .types = TSR_ID_ANY,
    .columns = {"npy", NULL, "cls", "txt", NULL},
    .open = open_reader,
    .next = next,
    .close = close_reader,
    .begin = begin,
    .add = add,
    .finish = finish,
    .abandon = abandon,
};
