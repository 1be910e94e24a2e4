/* SPDX-License-Identifier: MIT */
/* npy_files.c: the format `npy`: one array file an item, whose path below the folder is its key. */
#include "npy_records.h"

#include <stdlib.h>

enum { MAX_NPY_FILE = 1 << 30 };

typedef struct reader {
    tsr_dataset_input input;
    bool done;
} reader;

static tsr_status open_reader(const tsr_dataset_input *input, void **out) {
    reader *r = tsr_alloc(input->ctx, 1, sizeof *r, input->path);
    if (!r) return TSR_ERROR_MEMORY;
    r->input = *input;
    *out = r;
    return TSR_OK;
}

static tsr_status next(void *user, tsr_record_memory *m, bool *end) {
    reader *r = user;
    const tsr_dataset_input *in = &r->input;
    uint8_t *bytes = NULL;
    size_t size = 0;
    *end = r->done;
    if (r->done) return TSR_OK;
    r->done = true;
    tsr_record_start(m);
    tsr_status s = tsr_data_load(in->ctx, in->memory, in->path, MAX_NPY_FILE, &bytes, &size);
    if (!s) s = tsr_npy_record(in->ctx, in->path, bytes, size, in->codebook_size, m);
    if (!s && in->key) s = tsr_record_key(in->ctx, m, in->path, in->key, strlen(in->key));
    if (!s) s = tsr_record_finish(in->ctx, m, in->path);
    free(bytes);
    return s;
}

static void close_reader(void **out) {
    free(*out);
    *out = NULL;
}

typedef struct writer {
    tsr_dataset_output *output;
    tsr_bytes bytes, name;
} writer;

static tsr_status begin(tsr_dataset_output *output, void **out) {
    writer *w = tsr_alloc(output->ctx, 1, sizeof *w, "npy");
    if (!w) return TSR_ERROR_MEMORY;
    w->output = output;
    *out = w;
    return TSR_OK;
}

static tsr_status add(void *user, const tsr_record *r) {
    writer *w = user;
    tsr_data_file file;
    w->bytes.size = w->name.size = 0;
    tsr_npy_put(&w->bytes, r->ids, r->count, r->shape, r->rank, w->output->plan->type);
    tsr_bytes_put(&w->name, r->key, strlen(r->key));
    tsr_bytes_put(&w->name, ".npy", sizeof ".npy");
    if (w->bytes.failed || w->name.failed)
        return tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "%s: no memory for an array", r->key);
    tsr_status s =
        tsr_data_file_open(w->output->folder, w->output->prefix, (const char *)w->name.at, &file);
    if (s) return s;
    s = tsr_data_file_put(&file, w->bytes.at, w->bytes.size);
    if (!s) s = tsr_data_file_close(&file);
    tsr_data_file_abandon(&file);
    return s;
}

static tsr_status finish(void *user) {
    (void)user;
    return TSR_OK;
}

static void abandon(void **out) {
    writer *w = *out;
    if (!w) return;
    tsr_bytes_free(&w->bytes);
    tsr_bytes_free(&w->name);
    free(w);
    *out = NULL;
}

const tsr_dataset_format tsr_dataset_npy = {
    .name = "npy",
    .about = "one NumPy array file an item, its key as path",
    .suffix = ".npy",
    .flags = TSR_DATASET_KEYS | TSR_DATASET_PATHS | TSR_DATASET_FILES,
    .choose = tsr_choose_unsigned,
    .types = TSR_ID_ANY,
    .columns = {NULL, NULL, NULL, NULL, NULL},
    .open = open_reader,
    .next = next,
    .close = close_reader,
    .begin = begin,
    .add = add,
    .finish = finish,
    .abandon = abandon,
};
