/* SPDX-License-Identifier: MIT */
/* liquid.c: the lines that Liquid is trained on: the codes are JSON in a text, "vqcode_512":
 * "[1, 2]", and "no" stands for "no picture". Read only. */
#include "json_records.h"

/* The codes, from a text or a plain list; *none: there is no picture. */
static tsr_status read_codes(tsr_line_reader *r, tsr_json *j, tsr_record_memory *m, bool *none) {
    tsr_context *ctx = r->input.ctx;
    size_t size;
    const char kind = tsr_json_peek(j);
    if (kind == '[') return tsr_json_ids(ctx, r->where, j, r->input.codebook_size, m);
    if (kind == 'n') {
        tsr_json_skip(j);
        *none = true;
        return TSR_OK;
    }
    const char *text = tsr_json_string(j, &size);
    if (j->wrong) return TSR_OK;
    *none = strcmp(text, "no") == 0;
    if (*none) return TSR_OK;
    tsr_json inner = tsr_json_start(text, size);
    tsr_status s = tsr_json_ids(ctx, r->where, &inner, r->input.codebook_size, m);
    if (!s && tsr_json_finish(&inner)) s = tsr_json_failed(ctx, r->where, &inner);
    tsr_json_free(&inner);
    return s;
}

static tsr_status parse(tsr_line_reader *r, tsr_json *j, tsr_record_memory *m, bool *none) {
    tsr_context *ctx = r->input.ctx;
    const tsr_dataset_columns *c = &r->input.columns;
    const char *name;
    size_t size;
    bool codes = false, caption = false;
    tsr_status s = TSR_OK;
    *none = false;
    tsr_json_enter(j, '{');
    while (!s && tsr_json_member(j, &name)) {
        bool *one = !strcmp(name, c->ids) ? &codes : !strcmp(name, c->caption) ? &caption : NULL;
        if (!one) {
            tsr_json_skip(j);
        } else if (*one) {
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: %.60s: wanted once, got twice", r->where,
                            name);
        } else if (one == &codes) {
            codes = true;
            s = read_codes(r, j, m, none);
        } else {
            caption = true;
            const char *text = tsr_json_string(j, &size);
            if (!j->wrong) s = tsr_record_text(ctx, m, r->where, "caption", text, size);
        }
    }
    if (!s && tsr_json_finish(j)) s = tsr_json_failed(ctx, r->where, j);
    if (!s && !codes)
        s = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: %s: wanted one, got no such member", r->where,
                     c->ids);
    return s;
}

static tsr_status next(void *reader, tsr_record_memory *m, bool *end) {
    return tsr_lines_next(reader, m, end, parse);
}

const tsr_dataset_format tsr_dataset_liquid = {
    .name = "liquid",
    .about = "lines of Liquid, with codes as JSON in a text (read only)",
    .suffix = ".jsonl|.jsonl.gz|.jsonl.zst|.jsonl.zstd",
    .flags = TSR_DATASET_STREAM,
    .columns = {"vqcode_512", NULL, NULL, "text", NULL},
    .open = tsr_lines_open,
    .next = next,
    .close = tsr_lines_close,
};
