/* SPDX-License-Identifier: MIT */
/* jsonl.c: one JSON object a line, {"key", "shape", "label", "caption", ..., "ids"}: the plainest
 * of the formats, and the one that keeps most. Further members that are texts or whole numbers are
 * attributes. Spacing is that of Python's json.dumps. */
#include "json_records.h"

static tsr_status parse(tsr_line_reader *r, tsr_json *j, tsr_record_memory *m, bool *none) {
    tsr_json_seen seen;
    *none = false;
    tsr_status s = tsr_json_record(r->input.ctx, r->where, j, &r->input.columns,
                                   r->input.codebook_size, m, &seen);
    if (!s && !seen.ids)
        s = tsr_fail(r->input.ctx, TSR_ERROR_FORMAT, "%s: %s: wanted a list, got no such member",
                     r->where, r->input.columns.ids);
    return s;
}

static tsr_status next(void *reader, tsr_record_memory *m, bool *end) {
    return tsr_lines_next(reader, m, end, parse);
}

static tsr_status begin(tsr_dataset_output *output, void **writer) {
    return tsr_line_writer_begin(output, "part-%05u.jsonl", writer);
}

static tsr_status add(void *writer, const tsr_record *r) {
    tsr_line_writer *w = writer;
    const tsr_dataset_columns *c = &w->output->plan->columns;
    const char *const first[] = {"label", "caption", NULL}, *const none[] = {NULL};
    tsr_bytes *line = &w->line;
    tsr_record head = *r; /* label and caption stand before the others */
    tsr_attribute two[2];
    uint32_t n = 0;
    for (int k = 0; k < 2; ++k)
        for (uint32_t i = 0; i < r->attribute_count; ++i)
            if (!strcmp(r->attributes[i].name, first[k])) {
                two[n] = r->attributes[i];
                two[n++].name = k ? c->caption : c->label;
                break;
            }
    head.attributes = two;
    head.attribute_count = n;
    tsr_bytes_u8(line, '{');
    if (r->key) {
        tsr_json_put_name(line, c->key);
        tsr_json_put(line, r->key, strlen(r->key), false);
    }
    tsr_json_put_name(line, c->shape);
    tsr_json_put_shape(line, r);
    tsr_json_put_attributes(line, &head, none, false);
    tsr_json_put_attributes(line, r, first, false);
    tsr_json_put_name(line, c->ids);
    tsr_json_put_ids(line, r->ids, r->count);
    tsr_bytes_put(line, "}\n", 2);
    return tsr_line_writer_put(w);
}

const tsr_dataset_format tsr_dataset_jsonl = {
    .name = "jsonl",
    .about = "one JSON object a line: key, shape, label, caption, attributes, ids",
    .suffix = ".jsonl|.jsonl.gz|.jsonl.zst|.jsonl.zstd",
    .flags = TSR_DATASET_KEYS | TSR_DATASET_STREAM,
    .columns = {"ids", "key", "label", "caption", "shape"},
    .open = tsr_lines_open,
    .next = next,
    .close = tsr_lines_close,
    .begin = begin,
    .add = add,
    .finish = tsr_line_writer_finish,
    .abandon = tsr_line_writer_abandon,
};
