/* SPDX-License-Identifier: MIT */
/* dataset_import.c: tsr_import, and which formats there are. */
#include "item_records.h"
#include "key_set.h"
#include "vocabulary.h"

#include <stdio.h>
#include <stdlib.h>

int tsr_dataset_count(void) {
    return tsr_dataset_formats();
}

void tsr_dataset_at(int index, tsr_dataset_info *info) {
    const tsr_dataset_format *f = tsr_dataset_format_get(index);
    *info = (tsr_dataset_info){.name = "", .about = ""};
    if (f)
        *info = (tsr_dataset_info){.name = f->name,
                                   .about = f->about,
                                   .layouts = f->layouts,
                                   .written = f->begin != NULL,
                                   .read = f->open != NULL,
                                   .keys = (f->flags & TSR_DATASET_KEYS) != 0};
}

typedef struct importer {
    tsr_context *ctx;
    const tsr_import_settings *settings;
    const tsr_dataset_format *format;
    tsr_dataset_input input; /* of the file that is read */
    const char *const *inputs;
    int count;
    tsr_token_header header;
    bool mapped; /* ids are those of `vocabulary` */
    tsr_vocabulary vocabulary;
    /* The first reading, which looks for the geometry alone. */
    bool looking, equal;
    uint64_t longest, seen;
    int rank;
    uint64_t shape[TSR_RECORD_MAX_RANK];
    /* The second, which writes. */
    tsr_token_writer *writer;
    tsr_key_set keys;
    tsr_record_item item;
    tsr_import_report report;
    uint64_t record;        /* in the file */
    tsr_status file_status; /* of the first file that is no data set, with its text */
    char file_detail[1024];
} importer;

static bool is_final(tsr_status s) {
    return s == TSR_ERROR_MEMORY || s == TSR_ERROR_NO_SPACE || s == TSR_ERROR_INTERRUPTED ||
           s == TSR_ERROR_EXISTS;
}

/* A bad record, or a file that is no data set where that costs the file alone: it is told, and the
 * import goes on, unless it shall stop. */
static tsr_status leave_out(importer *im, tsr_status s) {
    const tsr_import_settings *set = im->settings;
    if (im->looking) return TSR_OK; /* told in the second reading */
    if (set->stop_on_error) return s;
    ++im->report.failed;
    if (set->failed) {
        char detail[1024];
        snprintf(detail, sizeof detail, "%s", tsr_detail(im->ctx));
        const tsr_import_failure failure = {im->input.path, im->record, s, detail};
        set->failed(set->failed_user, &failure);
    }
    return TSR_OK;
}

/* `where` of the record at hand, for messages. */
static void name_record(const importer *im, char where[700]) {
    snprintf(where, 700, "%.500s: item %llu", im->input.path, (unsigned long long)im->record);
}

static tsr_status look(importer *im, tsr_record *r) {
    char where[700];
    name_record(im, where);
    const tsr_status s = im->mapped ? tsr_vocabulary_undo(im->ctx, &im->vocabulary, where,
                                                          im->header.codebook_size, r)
                                    : TSR_OK;
    if (s) return s == TSR_ERROR_TOKENS ? TSR_OK : s; /* told in the second reading */
    if (r->count > im->longest) im->longest = r->count;
    const bool same =
        r->rank == im->rank && !memcmp(r->shape, im->shape, sizeof *r->shape * (size_t)r->rank);
    if (!im->seen++) {
        im->rank = r->rank;
        memcpy(im->shape, r->shape, sizeof im->shape);
        im->equal = true;
    } else if (!same) {
        im->equal = false;
    }
    return TSR_OK;
}

/* Adds a record to the token file. */
static tsr_status keep(importer *im, tsr_record *r) {
    tsr_context *ctx = im->ctx;
    char where[700];
    bool there;
    name_record(im, where);
    tsr_status s = TSR_OK;
    if (im->mapped)
        s = tsr_vocabulary_undo(ctx, &im->vocabulary, where, im->header.codebook_size, r);
    if (!s) s = tsr_record_to_item(ctx, where, &im->header, r, im->report.items, &im->item);
    if (s == TSR_ERROR_TOKENS && !(im->format->flags & TSR_DATASET_FILES) && im->format->choose)
        return s;
    if (s == TSR_ERROR_TOKENS) return leave_out(im, s);
    if (!s) s = tsr_key_set_add(ctx, &im->keys, im->item.item.key, &there);
    if (!s && there) {
        char clean[128];
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: key: wanted one of its own, got '%s' again",
                        where, tsr_token_key_clean(im->item.item.key, clean, sizeof clean));
    }
    if (!s) s = tsr_token_writer_add(im->writer, &im->item.item);
    if (s) return s;
    ++im->report.items;
    im->report.tokens += r->count;
    return TSR_OK;
}

static tsr_status report_progress(importer *im, uint64_t done) {
    const tsr_import_settings *set = im->settings;
    if (!set->progress ||
        !set->progress(set->progress_user, im->looking ? "look" : "import", done, 0))
        return TSR_OK;
    return tsr_fail(im->ctx, TSR_ERROR_INTERRUPTED, "import: stopped after %llu items",
                    (unsigned long long)done);
}

static tsr_status read_records(importer *im, void *reader) {
    tsr_record_memory memory = {0};
    bool end = false;
    tsr_status s = TSR_OK;
    for (im->record = 0; !s; ++im->record) {
        memory.go_on = false;
        s = im->format->next(reader, &memory, &end);
        if (!s && end) break;
        if (s && memory.go_on && !is_final(s)) {
            s = leave_out(im, s);
        } else if (!s && im->looking) {
            s = look(im, &memory.record);
        } else if (!s) {
            s = keep(im, &memory.record);
        }
        if (!s) s = report_progress(im, im->looking ? im->seen : im->report.items);
    }
    tsr_record_free(&memory);
    return s;
}

/* One file, or what the format takes for one. */
static tsr_status read_file(importer *im, const char *path, const char *key) {
    void *reader = NULL;
    const uint64_t before = im->report.items + im->seen;
    im->input.path = path;
    im->input.key = key;
    im->record = 0;
    tsr_status s = im->format->open(&im->input, &reader);
    if (!s) s = read_records(im, reader);
    if (reader) im->format->close(&reader);
    /* Where each file stands for itself, one that is no data set is left out; if no other is one,
     * its fault is that of the call. */
    const bool alone =
        (im->format->flags & TSR_DATASET_FILES) && im->report.items + im->seen == before;
    if (!s || is_final(s) || !alone || im->settings->stop_on_error) return s;
    if (!im->file_status) {
        im->file_status = s;
        snprintf(im->file_detail, sizeof im->file_detail, "%s", tsr_detail(im->ctx));
    }
    return leave_out(im, s);
}

/* The key of a file that holds one item: its path below `folder`, without the suffix. */
static char *key_of(const char *path, const char *folder, const char *suffix) {
    const char *slash = strrchr(path, '/');
    const char *from = slash ? slash + 1 : path;
    size_t n = folder ? strlen(folder) : 0;
    if (folder) {
        from = path + n;
        while (*from == '/')
            ++from;
    }
    n = strlen(from);
    return strndup(from, n - tsr_suffix_length(from, suffix));
}

static tsr_status read_input(importer *im, const char *path) {
    tsr_context *ctx = im->ctx;
    const char *suffix = im->format->suffix;
    const bool folder = suffix && tsr_data_is_folder(NULL, path);
    tsr_path_list list = {0};
    tsr_status s = folder ? tsr_data_list(ctx, NULL, path, suffix, true, &list) : TSR_OK;
    if (!s && folder && !list.count)
        s = tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: wanted files *%s in the folder, got none", path,
                     suffix);
    if (!s && !strcmp(path, "-") && !(im->format->flags & TSR_DATASET_STREAM))
        s = tsr_fail(ctx, TSR_ERROR_ARGUMENT, "-: wanted a file, since %s is not read from a pipe",
                     im->format->name);
    for (size_t i = 0; !s && i < (folder ? list.count : 1); ++i) {
        const char *file = folder ? list.at[i] : path;
        char *key = key_of(file, folder ? path : NULL, suffix ? suffix : "");
        s = key ? read_file(im, file, key)
                : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a key", file);
        free(key);
    }
    tsr_path_list_free(&list);
    return s;
}

static tsr_status read_inputs(importer *im) {
    tsr_status s = TSR_OK;
    for (int i = 0; !s && i < im->count; ++i)
        s = read_input(im, im->inputs[i]);
    return s;
}

/* ---- the header ------------------------------------------------------------------------------ */

static tsr_status find_geometry(importer *im) {
    tsr_context *ctx = im->ctx;
    for (int i = 0; i < im->count; ++i)
        if (!strcmp(im->inputs[i], "-"))
            return tsr_fail(
                ctx, TSR_ERROR_ARGUMENT,
                "columns: wanted a number, since a pipe cannot be read twice, got none");
    im->looking = true;
    tsr_status s = read_inputs(im);
    im->looking = false;
    im->file_status = TSR_OK;
    if (s) return s;
    const bool grid = im->equal && im->rank == 2 && im->shape[0] && im->shape[1];
    im->header.rows = grid ? (uint32_t)im->shape[0] : 1;
    im->header.columns = grid ? (uint32_t)im->shape[1] : im->longest ? (uint32_t)im->longest : 1;
    im->header.geometry = grid ? TSR_GEOMETRY_GRID : TSR_GEOMETRY_SEQUENCE;
    im->seen = 0;
    return TSR_OK;
}

static tsr_status make_header(importer *im) {
    const tsr_import_settings *set = im->settings;
    tsr_token_header *h = &im->header;
    if (set->header) {
        *h = *set->header;
        if (h->channels)
            return tsr_fail(im->ctx, TSR_ERROR_UNSUPPORTED,
                            "import: wanted a tokenizer of ids, got %s, of vectors", h->tokenizer);
        return TSR_OK;
    }
    if (!set->codebook_size)
        return tsr_fail(im->ctx, TSR_ERROR_ARGUMENT, "codebook size: wanted 1 or more, got 0");
    if (set->rows && !set->columns)
        return tsr_fail(im->ctx, TSR_ERROR_ARGUMENT,
                        "columns: wanted 1 or more beside rows, got 0");
    const char *name = set->tokenizer ? set->tokenizer : "imported";
    if (strlen(name) >= sizeof h->tokenizer)
        return tsr_fail(im->ctx, TSR_ERROR_ARGUMENT, "tokenizer: wanted at most 63 bytes, got %s",
                        name);
    *h = (tsr_token_header){.weights_hash = set->weights_hash,
                            .codebook_size = set->codebook_size,
                            .geometry = set->rows ? TSR_GEOMETRY_GRID : TSR_GEOMETRY_SEQUENCE,
                            .rows = set->rows ? set->rows : 1,
                            .columns = set->columns,
                            .tile_width = set->tile_width ? set->tile_width : 256,
                            .tile_height = set->tile_height ? set->tile_height : 256,
                            .fit = TSR_FIT_CROP,
                            .background = {255, 255, 255}};
    strcpy(h->tokenizer, name);
    return TSR_OK;
}

/* With a vocabulary readers give its ids, which become codes here. */
static tsr_status load_vocabulary(importer *im) {
    const char *path = im->settings->vocabulary;
    tsr_vocabulary *v = &im->vocabulary;
    im->mapped = path != NULL;
    if (!im->mapped) return TSR_OK;
    const tsr_status s = tsr_vocabulary_load(im->ctx, path, v);
    if (s) return s;
    if (im->header.codebook_size > v->codes)
        return tsr_fail(
            im->ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted a block of %u codes, as %s has, got %llu",
            path, im->header.codebook_size, im->header.tokenizer, (unsigned long long)v->codes);
    im->input.codebook_size = v->numbers < UINT32_MAX ? (uint32_t)v->numbers : UINT32_MAX;
    return TSR_OK;
}

static tsr_status import_all(importer *im, const char *output) {
    tsr_context *ctx = im->ctx;
    tsr_status s = make_header(im);
    im->input.codebook_size = im->header.codebook_size;
    if (!s) s = load_vocabulary(im);
    if (!s && !im->settings->header && !im->settings->columns) s = find_geometry(im);
    if (!s) s = tsr_token_writer_open(ctx, &im->writer, output, &im->header, NULL);
    if (!s) s = read_inputs(im);
    if (!s && !im->report.items && im->file_status)
        s = tsr_fail(ctx, im->file_status, "%s", im->file_detail);
    if (!s) s = tsr_token_writer_close(&im->writer);
    tsr_token_writer_abandon(&im->writer);
    im->report.rows = im->header.rows;
    im->report.columns = im->header.columns;
    if (s || !im->report.failed) return s;
    return tsr_fail(ctx, TSR_ERROR_DAMAGED, "%s: %llu items written, %llu left out", output,
                    (unsigned long long)im->report.items, (unsigned long long)im->report.failed);
}

static const char *chosen(const char *name, const char *own) {
    return name ? name : own ? own : "";
}

tsr_status tsr_import(tsr_context *ctx, const char *const *inputs, int count, const char *output,
                      const tsr_import_settings *settings, tsr_import_report *report) {
    char names[400];
    if (!inputs || count < 1 || !output || !settings || !settings->format)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "import: wanted inputs, an output and a format, got none of one");
    const tsr_dataset_format *format = tsr_dataset_format_find(settings->format);
    if (!format || !format->open)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "format: wanted one of %s, got %s",
                        tsr_dataset_format_names(false, names, sizeof names), settings->format);
    importer *im = tsr_alloc(ctx, 1, sizeof *im, "import");
    if (!im) return TSR_ERROR_MEMORY;
    im->ctx = im->input.ctx = ctx;
    im->settings = settings;
    im->format = format;
    im->inputs = inputs;
    im->count = count;
    const tsr_dataset_names *n = &settings->names;
    const tsr_dataset_columns *own = &format->columns;
    im->input.columns = (tsr_dataset_columns){
        chosen(n->ids, own->ids), chosen(n->key, own->key), chosen(n->label, own->label),
        chosen(n->caption, own->caption), chosen(n->shape, own->shape)};
    tsr_status s = TSR_OK;
    for (int i = 0; !s && i < count; ++i)
        s = inputs[i] ? tsr_out_not_input(ctx, output, inputs[i])
                      : tsr_fail(ctx, TSR_ERROR_ARGUMENT, "import: input: wanted a path, got NULL");
    if (!s) s = import_all(im, output);
    if (report) *report = im->report;
    tsr_key_set_free(&im->keys);
    tsr_vocabulary_free(&im->vocabulary);
    tsr_record_item_free(&im->item);
    free(im);
    return s;
}
