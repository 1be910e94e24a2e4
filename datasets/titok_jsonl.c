/* SPDX-License-Identifier: MIT */
/* titok_jsonl.c: what the 1d-tokenizer project (TiTok, RAR) trains on: lines of
 * {"class_id": 3, "tokens": [ids]} as json.dump writes them. Its reader takes lines by their
 * number, so there are no blank ones. */
#include "json_records.h"

static tsr_status parse(tsr_line_reader *r, tsr_json *j, tsr_record_memory *m, bool *none) {
    tsr_json_seen seen;
    *none = false;
    tsr_status s = tsr_json_record(r->input.ctx, r->where, j, &r->input.columns,
                                   r->input.codebook_size, m, &seen);
    if (s) return s;
    const char *missing = !seen.ids     ? r->input.columns.ids
                          : !seen.label ? r->input.columns.label
                                        : NULL;
    if (missing)
        return tsr_fail(r->input.ctx, TSR_ERROR_FORMAT, "%s: %s: wanted one, got no such member",
                        r->where, missing);
    for (uint32_t i = 0; i < m->record.attribute_count; ++i)
        if (m->attributes[i].type == TSR_ATTRIBUTE_TEXT &&
            !strcmp((const char *)m->texts.at + (uintptr_t)m->attributes[i].name, "label"))
            return tsr_fail(r->input.ctx, TSR_ERROR_FORMAT,
                            "%s: %s: wanted a whole number, got a text", r->where,
                            r->input.columns.label);
    return TSR_OK;
}

static tsr_status next(void *reader, tsr_record_memory *m, bool *end) {
    return tsr_lines_next(reader, m, end, parse);
}

static tsr_status begin(tsr_dataset_output *output, void **writer) {
    if (!output->plan->labels && output->plan->items)
        return tsr_fail(
            output->ctx, TSR_ERROR_UNSUPPORTED,
            "titok_jsonl: wanted items with the attribute \"label\", a whole number, got "
            "some without");
    return tsr_line_writer_begin(output, "pretokenized.jsonl", writer);
}

static tsr_status add(void *writer, const tsr_record *r) {
    tsr_line_writer *w = writer;
    const tsr_dataset_columns *c = &w->output->plan->columns;
    const tsr_attribute *label = tsr_record_attribute(r, "label", TSR_ATTRIBUTE_INTEGER);
    tsr_bytes_u8(&w->line, '{');
    tsr_json_put_name(&w->line, c->label);
    tsr_json_put_format(&w->line, "%lld", label ? (long long)label->integer : 0LL);
    tsr_json_put_name(&w->line, c->ids);
    tsr_json_put_ids(&w->line, r->ids, r->count);
    tsr_bytes_put(&w->line, "}\n", 2);
    return tsr_line_writer_put(w);
}

const tsr_dataset_format tsr_dataset_titok_jsonl = {
    .name = "titok-jsonl",
    .about = "lines of class_id and tokens, as 1d-tokenizer (TiTok, RAR) trains on",
    .suffix = ".jsonl|.jsonl.gz|.jsonl.zst|.jsonl.zstd",
    .flags = TSR_DATASET_STREAM,
    .columns = {"tokens", NULL, "class_id", NULL, NULL},
    .open = tsr_lines_open,
    .next = next,
    .close = tsr_lines_close,
    .begin = begin,
    .add = add,
    .finish = tsr_line_writer_finish,
    .abandon = tsr_line_writer_abandon,
};
