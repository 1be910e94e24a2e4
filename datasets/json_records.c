/* SPDX-License-Identifier: MIT */
/* json_records.c: see json_records.h. */
#include "json_records.h"

#include <stdio.h>
#include <stdlib.h>

tsr_status tsr_json_ids(tsr_context *ctx, const char *where, tsr_json *j, uint32_t codebook_size,
                        tsr_record_memory *m) {
    if (!tsr_json_enter(j, '[')) return TSR_OK;
    while (tsr_json_element(j)) {
        const bool minus = *j->at == '-';
        const uint64_t value = tsr_json_unsigned(j);
        if (j->wrong && !minus) return TSR_OK;
        if (minus || value >= codebook_size)
            return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: id %llu: wanted 0..%u, got %s%llu", where,
                            (unsigned long long)m->record.count, codebook_size - 1,
                            minus ? "a number below " : "", (unsigned long long)value);
        uint32_t *to = tsr_record_ids(ctx, m, where, 1);
        if (!to)
            return m->record.count >= TSR_TESS_MAX_IDS ? TSR_ERROR_TOO_LARGE : TSR_ERROR_MEMORY;
        *to = (uint32_t)value;
    }
    return TSR_OK;
}

static void read_shape(tsr_json *j, tsr_record_memory *m) {
    tsr_record *r = &m->record;
    r->rank = 0;
    if (!tsr_json_enter(j, '[')) return;
    while (tsr_json_element(j)) {
        if (r->rank == TSR_RECORD_MAX_RANK) {
            tsr_json_wrong(j, "a shape of 1 to 4 axes");
            return;
        }
        r->shape[r->rank++] = tsr_json_unsigned(j);
    }
    if (!r->rank) tsr_json_wrong(j, "a shape of 1 to 4 axes");
    m->has_shape = true;
}

/* A member that becomes an attribute, where its value can. */
static tsr_status read_attribute(tsr_context *ctx, const char *where, tsr_json *j, const char *name,
                                 tsr_record_memory *m) {
    size_t size;
    if (tsr_json_peek(j) == '"') {
        const char *text = tsr_json_string(j, &size);
        return j->wrong ? TSR_OK : tsr_record_text(ctx, m, where, name, text, size);
    }
    if (tsr_json_is_signed(j)) return tsr_record_integer(ctx, m, where, name, tsr_json_signed(j));
    tsr_json_skip(j);
    return TSR_OK;
}

static bool is(const char *name, const char *column) {
    return column && *column && strcmp(name, column) == 0;
}

tsr_status tsr_json_record(tsr_context *ctx, const char *where, tsr_json *j,
                           const tsr_dataset_columns *c, uint32_t codebook_size,
                           tsr_record_memory *m, tsr_json_seen *seen) {
    const char *name;
    size_t size;
    tsr_status s = TSR_OK;
    *seen = (tsr_json_seen){0};
    tsr_json_enter(j, '{');
    while (!s && tsr_json_member(j, &name)) {
        bool *one = is(name, c->key)       ? &seen->key
                    : is(name, c->ids)     ? &seen->ids
                    : is(name, c->label)   ? &seen->label
                    : is(name, c->caption) ? &seen->caption
                    : is(name, c->shape)   ? &seen->shape
                                           : NULL;
        if (one && *one)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: %.60s: wanted once, got twice", where,
                            name);
        if (one) *one = true;
        const char kind = tsr_json_peek(j);
        if (!one) {
            s = *name ? read_attribute(ctx, where, j, name, m) : (tsr_json_skip(j), TSR_OK);
        } else if (one == &seen->ids) {
            s = tsr_json_ids(ctx, where, j, codebook_size, m);
        } else if (kind == 'n') {
            tsr_json_skip(j);
            *one = false;
        } else if (one == &seen->key) {
            const char *text = tsr_json_string(j, &size);
            if (!j->wrong) s = tsr_record_key(ctx, m, where, text, size);
        } else if (one == &seen->shape) {
            read_shape(j, m);
        } else if (one == &seen->label && kind != '"') {
            const int64_t label = tsr_json_signed(j);
            if (!j->wrong) s = tsr_record_integer(ctx, m, where, "label", label);
        } else {
            const char *text = tsr_json_string(j, &size);
            if (!j->wrong)
                s = tsr_record_text(ctx, m, where, one == &seen->label ? "label" : "caption", text,
                                    size);
        }
    }
    if (!s && tsr_json_finish(j)) s = tsr_json_failed(ctx, where, j);
    return s;
}

void tsr_json_put_ids(tsr_bytes *to, const uint32_t *ids, uint64_t count) {
    tsr_bytes_u8(to, '[');
    for (uint64_t i = 0; i < count; ++i) {
        if (i) tsr_bytes_put(to, ", ", 2);
        tsr_json_put_number(to, ids[i]);
    }
    tsr_bytes_u8(to, ']');
}

void tsr_json_put_shape(tsr_bytes *to, const tsr_record *r) {
    tsr_bytes_u8(to, '[');
    for (int i = 0; i < r->rank; ++i) {
        if (i) tsr_bytes_put(to, ", ", 2);
        tsr_json_put_number(to, r->shape[i]);
    }
    tsr_bytes_u8(to, ']');
}

void tsr_json_put_name(tsr_bytes *to, const char *name) {
    if (to->size && to->at && to->at[to->size - 1] != '{') tsr_bytes_put(to, ", ", 2);
    tsr_json_put(to, name, strlen(name), true);
    tsr_bytes_put(to, ": ", 2);
}

void tsr_json_put_attributes(tsr_bytes *to, const tsr_record *r, const char *const *without,
                             bool ascii) {
    for (uint32_t i = 0; i < r->attribute_count; ++i) {
        const tsr_attribute *a = &r->attributes[i];
        bool left_out = a->type == TSR_ATTRIBUTE_BYTES;
        for (int k = 0; without[k] && !left_out; ++k)
            left_out = strcmp(a->name, without[k]) == 0;
        if (left_out) continue;
        tsr_json_put_name(to, a->name);
        if (a->type == TSR_ATTRIBUTE_TEXT)
            tsr_json_put(to, a->bytes, a->size, ascii);
        else
            tsr_json_put_format(to, "%lld", (long long)a->integer);
    }
}

/* ---- lines ----------------------------------------------------------------------------------- */

tsr_status tsr_lines_open(const tsr_dataset_input *input, void **reader) {
    tsr_context *ctx = input->ctx;
    tsr_line_reader *r = tsr_alloc(ctx, 1, sizeof *r, input->path);
    if (!r) return TSR_ERROR_MEMORY;
    r->input = *input;
    *reader = r;
    tsr_status s = tsr_stream_open(ctx, input->memory, input->path, &r->stream);
    if (!s) s = tsr_stream_fill(&r->stream);
    const uint8_t *first = s ? NULL : r->stream.bytes + r->stream.at;
    const size_t there = r->stream.size - r->stream.at;
    if (!s && there >= 2 && first[0] == 0x1f && first[1] == 0x8b)
        s = tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                     "%s: wanted lines of JSON, got gzip: unpack it first (gzip -d)",
                     r->stream.name);
    if (!s && there >= 3 && !memcmp(first, "\xEF\xBB\xBF", 3)) r->stream.at += 3; /* a mark */
    if (s) tsr_lines_close(reader);
    return s;
}

void tsr_lines_close(void **reader) {
    tsr_line_reader *r = *reader;
    if (!r) return;
    tsr_stream_close(&r->stream);
    tsr_bytes_free(&r->line);
    free(r);
    *reader = NULL;
}

static bool is_blank(const tsr_bytes *line) {
    for (size_t i = 0; i < line->size; ++i)
        if (!strchr(" \t\r", line->at[i]) || !line->at[i]) return false;
    return true;
}

tsr_status tsr_lines_next(void *reader, tsr_record_memory *m, bool *end, tsr_line_fn parse) {
    tsr_line_reader *r = reader;
    for (bool none = true; none;) {
        bool whole;
        r->line.size = 0;
        tsr_status s = tsr_stream_line(&r->stream, TSR_RECORD_MAX_TEXT, &r->line, &whole, end);
        if (s || *end) return s;
        ++r->number;
        if (whole && is_blank(&r->line)) continue;
        snprintf(r->where, sizeof r->where, "%.500s: line %llu", r->stream.name,
                 (unsigned long long)r->number);
        tsr_record_start(m);
        none = false;
        if (!whole) {
            s = tsr_fail(r->input.ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d bytes, got more",
                         r->where, TSR_RECORD_MAX_TEXT);
        } else {
            tsr_json j = tsr_json_start(r->line.at, r->line.size);
            s = parse(r, &j, m, &none);
            tsr_json_free(&j);
        }
        if (!s && !none) s = tsr_record_finish(r->input.ctx, m, r->where);
        m->go_on = s && s != TSR_ERROR_MEMORY;
        if (s) return s;
    }
    return TSR_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

tsr_status tsr_line_writer_begin(tsr_dataset_output *output, const char *pattern, void **writer) {
    tsr_line_writer *w = tsr_alloc(output->ctx, 1, sizeof *w, "lines");
    if (!w) return TSR_ERROR_MEMORY;
    *w = (tsr_line_writer){.output = output, .pattern = pattern, .file = {.fd = -1}};
    *writer = w;
    return TSR_OK;
}

static tsr_status next_shard(tsr_line_writer *w) {
    char name[64];
    tsr_status s = w->open ? tsr_data_file_close(&w->file) : TSR_OK;
    w->open = false;
    const char *mark = strstr(w->pattern, "%05u");
    if (mark)
        snprintf(name, sizeof name, "%.*s%05u%s", (int)(mark - w->pattern), w->pattern, w->shards,
                 mark + 4);
    else
        snprintf(name, sizeof name, "%s", w->pattern);
    ++w->shards;
    w->items = 0;
    if (!s) s = tsr_data_file_open(w->output->folder, w->output->prefix, name, &w->file);
    w->open = !s;
    return s;
}

tsr_status tsr_line_writer_put(tsr_line_writer *w) {
    const tsr_dataset_plan *plan = w->output->plan;
    if (w->line.failed)
        return tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "%s: no memory for a line", w->pattern);
    const bool full =
        w->items && ((plan->shard_items && w->items >= plan->shard_items) ||
                     (plan->shard_bytes && w->file.written + w->line.size > plan->shard_bytes));
    tsr_status s = !w->open || full ? next_shard(w) : TSR_OK;
    if (!s) s = tsr_data_file_put(&w->file, w->line.at, w->line.size);
    ++w->items;
    w->line.size = 0;
    return s;
}

tsr_status tsr_line_writer_finish(void *writer) {
    tsr_line_writer *w = writer;
    tsr_status s = w->open ? TSR_OK : next_shard(w); /* a set without items has a file, too */
    if (!s) s = tsr_data_file_close(&w->file);
    w->open = false;
    return s;
}

void tsr_line_writer_abandon(void **writer) {
    tsr_line_writer *w = *writer;
    if (!w) return;
    tsr_data_file_abandon(&w->file);
    tsr_bytes_free(&w->line);
    free(w);
    *writer = NULL;
}
