/* SPDX-License-Identifier: MIT */
/* llamagen_codes.c: the codes that LlamaGen's scripts extract: NAME_codes/0.npy, 1.npy, ... with an
 * array int64 [1, views, n] of the views of a picture (plain and flipped, or ten crops), and
 * NAME_labels/0.npy, ... with its class, int64 [1]. The numbers are positions, without gaps. The
 * text set, llamagen-t2i, has folders with 0.npy, ... of [1, n] and no classes. */
#include "npy_records.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { MAX_FILE = 1 << 28 };

typedef struct reader {
    tsr_dataset_input input;
    bool text;           /* llamagen-t2i */
    tsr_path_list files; /* in the order of their numbers, folder by folder */
    char *labels;        /* folder, with a slash */
    size_t file;
    tsr_record_memory picture; /* all views of a file */
    uint64_t views, view, ids; /* ids of one view */
    int64_t label;
} reader;

static void close_reader(void **out) {
    reader *r = *out;
    if (!r) return;
    tsr_path_list_free(&r->files);
    tsr_record_free(&r->picture);
    free(r->labels);
    free(r);
    *out = NULL;
}

/* The number of "12.npy"; false for any other name. */
static bool position(const char *path, uint64_t *number) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    *number = 0;
    size_t n = 0;
    for (; name[n] >= '0' && name[n] <= '9' && n < 12; ++n)
        *number = *number * 10 + (uint64_t)(name[n] - '0');
    return n && strcmp(name + n, ".npy") == 0 && !(n > 1 && *name == '0');
}

static size_t folder_length(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash - path) : 0;
}

static int compare_positions(const void *a, const void *b) {
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    uint64_t p, q;
    const size_t n = folder_length(x), m = folder_length(y);
    const int folders = strncmp(x, y, n < m ? n : m);
    if (folders || n != m) return folders ? folders : n < m ? -1 : 1;
    position(x, &p);
    position(y, &q);
    return p < q ? -1 : p > q;
}

/* In each folder the positions go from 0 on, without gaps. */
static tsr_status check_positions(reader *r) {
    tsr_context *ctx = r->input.ctx;
    uint64_t number, want = 0;
    for (size_t i = 0; i < r->files.count; ++i)
        if (!position(r->files.at[i], &number))
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: wanted a file called NUMBER.npy without "
                            "leading zeros, got another",
                            r->files.at[i]);
    if (r->files.count) qsort(r->files.at, r->files.count, sizeof *r->files.at, compare_positions);
    for (size_t i = 0; i < r->files.count; ++i, ++want) {
        const char *path = r->files.at[i], *before = i ? r->files.at[i - 1] : path;
        const size_t n = folder_length(path);
        if (n != folder_length(before) || strncmp(path, before, n)) want = 0;
        position(path, &number);
        if (number != want)
            return tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                            "%.*s: wanted %llu.npy, since the numbers are positions, got %llu.npy",
                            (int)n, path, (unsigned long long)want, (unsigned long long)number);
    }
    return TSR_OK;
}

/* *folder becomes the folder of codes that the path means: a file of it, itself, or the only
 * *_codes in it. */
static tsr_status find_folder(reader *r, char **folder) {
    tsr_context *ctx = r->input.ctx;
    const char *path = r->input.path;
    *folder = NULL;
    if (tsr_ends_with(path, ".npy")) {
        *folder = strndup(path, folder_length(path));
    } else {
        *folder = strdup(path);
        DIR *d = r->text || r->input.memory ? NULL : opendir(path);
        for (struct dirent *e; d && *folder && (e = readdir(d));)
            if (tsr_ends_with(e->d_name, "_codes") && !tsr_ends_with(path, "_codes")) {
                free(*folder);
                if (asprintf(folder, "%s/%s", path, e->d_name) < 0) *folder = NULL;
                break;
            }
        if (d) closedir(d);
    }
    for (size_t n = *folder ? strlen(*folder) : 0; n > 1 && (*folder)[n - 1] == '/';)
        (*folder)[--n] = 0;
    return *folder ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
}

static tsr_status open_any(const tsr_dataset_input *input, bool text, void **out) {
    tsr_context *ctx = input->ctx;
    char *folder = NULL;
    reader *r = tsr_alloc(ctx, 1, sizeof *r, input->path);
    if (!r) return TSR_ERROR_MEMORY;
    r->input = *input;
    r->text = text;
    *out = r;
    tsr_status s = find_folder(r, &folder);
    const size_t n = folder ? strlen(folder) : 0;
    if (!s && !text) {
        if (!tsr_ends_with(folder, "_codes"))
            s = tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: wanted a folder NAME_codes, got another",
                         input->path);
        else if (asprintf(&r->labels, "%.*s_labels/", (int)n - 6, folder) < 0)
            s = (r->labels = NULL, tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory", input->path));
    }
    if (!s) s = tsr_data_list(ctx, input->memory, folder, ".npy", text, &r->files);
    if (!s && !r->files.count)
        s = tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: wanted files 0.npy, 1.npy, ..., got none",
                     folder);
    if (!s) s = check_positions(r);
    free(folder);
    if (s) close_reader(out);
    return s;
}

static tsr_status open_classes(const tsr_dataset_input *input, void **out) {
    return open_any(input, false, out);
}
static tsr_status open_texts(const tsr_dataset_input *input, void **out) {
    return open_any(input, true, out);
}

static tsr_status read_label(reader *r, const char *codes) {
    tsr_context *ctx = r->input.ctx;
    const char *slash = strrchr(codes, '/');
    char *path = NULL;
    uint8_t *bytes = NULL;
    size_t size;
    tsr_npy_header h;
    if (asprintf(&path, "%s%s", r->labels, slash ? slash + 1 : codes) < 0)
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a name", codes);
    tsr_status s = tsr_data_load(ctx, r->input.memory, path, 1 << 16, &bytes, &size);
    if (!s) s = tsr_npy_describe(ctx, path, bytes, size, &h);
    if (!s && (h.kind != 'i' || h.bytes != 8 || h.big || h.elements != 1 || h.rank != 1 ||
               size - h.data_at < 8))
        s = tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted one label, int64 [1], got another array",
                     path);
    if (!s) r->label = (int64_t)tsr_get_u64(bytes + h.data_at);
    free(bytes);
    free(path);
    return s;
}

static tsr_status read_file(reader *r) {
    tsr_context *ctx = r->input.ctx;
    const char *path = r->files.at[r->file];
    uint8_t *bytes = NULL;
    size_t size;
    tsr_record_start(&r->picture);
    tsr_status s = tsr_data_load(ctx, r->input.memory, path, MAX_FILE, &bytes, &size);
    if (!s) s = tsr_npy_record(ctx, path, bytes, size, r->input.codebook_size, &r->picture);
    free(bytes);
    if (s) return s;
    const tsr_record *p = &r->picture.record;
    if (!r->picture.has_shape || p->rank != (r->text ? 2 : 3) || p->shape[0] != 1)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: shape: wanted %s, got another", path,
                        r->text ? "[1, n]" : "[1, views, n]");
    r->views = r->text ? 1 : p->shape[1];
    r->ids = r->text ? p->shape[1] : p->shape[2];
    r->view = 0;
    if (!r->views)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: shape: wanted a view at least, got none", path);
    return r->text ? TSR_OK : read_label(r, path);
}

/* "000012", and where there are several views "000012-1"; of texts "FOLDER/000012". */
static tsr_status put_key(reader *r, tsr_record_memory *m) {
    const char *path = r->files.at[r->file];
    uint64_t number;
    char key[300], view[24] = "", folder[260] = "";
    const size_t n = folder_length(path);
    position(path, &number);
    if (r->views > 1) snprintf(view, sizeof view, "-%llu", (unsigned long long)r->view);
    if (r->text && n) {
        size_t from = n;
        while (from && path[from - 1] != '/')
            --from;
        snprintf(folder, sizeof folder, "%.*s/", (int)(n - from < 250 ? n - from : 250),
                 path + from);
    }
    snprintf(key, sizeof key, "%s%08llu%s", folder, (unsigned long long)number, view);
    return tsr_record_key(r->input.ctx, m, path, key, strlen(key));
}

static tsr_status next(void *user, tsr_record_memory *m, bool *end) {
    reader *r = user;
    tsr_context *ctx = r->input.ctx;
    tsr_status s = TSR_OK;
    *end = r->file == r->files.count;
    if (*end) return TSR_OK;
    const char *path = r->files.at[r->file];
    if (r->view == r->views) s = read_file(r);
    tsr_record_start(m);
    if (!s) s = put_key(r, m);
    uint32_t *ids = s ? NULL : tsr_record_ids(ctx, m, path, r->ids);
    if (!s && !ids) s = TSR_ERROR_MEMORY;
    if (!s && r->ids) memcpy(ids, r->picture.ids + r->view * r->ids, (size_t)r->ids * sizeof *ids);
    if (!s && !r->text) s = tsr_record_integer(ctx, m, path, "label", r->label);
    if (!s && ++r->view == r->views) {
        ++r->file;
        r->view = r->views = 0;
    }
    return s ? s : tsr_record_finish(ctx, m, path);
}

/* ---- writing --------------------------------------------------------------------------------- */

typedef struct writer {
    tsr_dataset_output *output;
    bool text;
    uint64_t file, views, ids; /* of the file that is being filled */
    int64_t label;
    tsr_bytes bytes;
    uint32_t *all;
    size_t room;
} writer;

static void abandon(void **out) {
    writer *w = *out;
    if (!w) return;
    tsr_bytes_free(&w->bytes);
    free(w->all);
    free(w);
    *out = NULL;
}

static tsr_status begin_any(tsr_dataset_output *output, bool text, void **out) {
    const tsr_dataset_plan *plan = output->plan;
    if (!text && plan->items && (!plan->labels || plan->items % plan->group))
        return tsr_fail(output->ctx, TSR_ERROR_UNSUPPORTED,
                        "llamagen: wanted items with the attribute \"label\", a whole number, in "
                        "groups of %u, got %llu items%s",
                        plan->group, (unsigned long long)plan->items,
                        plan->labels ? "" : ", some without");
    writer *w = tsr_alloc(output->ctx, 1, sizeof *w, "llamagen");
    if (!w) return TSR_ERROR_MEMORY;
    w->output = output;
    w->text = text;
    *out = w;
    return TSR_OK;
}
static tsr_status begin_classes(tsr_dataset_output *output, void **out) {
    return begin_any(output, false, out);
}
static tsr_status begin_texts(tsr_dataset_output *output, void **out) {
    return begin_any(output, true, out);
}

static tsr_status write_array(writer *w, const char *name) {
    tsr_data_file file;
    if (w->bytes.failed)
        return tsr_fail(w->output->ctx, TSR_ERROR_MEMORY, "%s: no memory for an array", name);
    tsr_status s = tsr_data_file_open(w->output->folder, w->output->prefix, name, &file);
    if (s) return s;
    s = tsr_data_file_put(&file, w->bytes.at, w->bytes.size);
    if (!s) s = tsr_data_file_close(&file);
    tsr_data_file_abandon(&file);
    w->bytes.size = 0;
    return s;
}

static tsr_status write_picture(writer *w) {
    const tsr_dataset_plan *plan = w->output->plan;
    char name[160];
    const uint64_t per = plan->shard_items ? plan->shard_items : UINT64_MAX;
    const uint64_t shape[3] = {1, w->text ? w->ids : w->views, w->ids}, one = 1;
    tsr_npy_put(&w->bytes, w->all, w->views * w->ids, shape, w->text ? 2 : 3, plan->type);
    if (w->text)
        snprintf(name, sizeof name, "%05llu/%llu.npy", (unsigned long long)(w->file / per),
                 (unsigned long long)(w->file % per));
    else
        snprintf(name, sizeof name, "%.64s_codes/%llu.npy", plan->name,
                 (unsigned long long)w->file);
    tsr_status s = write_array(w, name);
    if (!s && !w->text) {
        char header[TSR_NPY_HEADER_BYTES];
        tsr_bytes_put(&w->bytes, header, tsr_npy_header_make("<i8", &one, 1, header));
        tsr_bytes_u64(&w->bytes, (uint64_t)w->label);
        snprintf(name, sizeof name, "%.64s_labels/%llu.npy", plan->name,
                 (unsigned long long)w->file);
        s = write_array(w, name);
    }
    ++w->file;
    w->views = 0;
    return s;
}

static tsr_status add(void *user, const tsr_record *r) {
    writer *w = user;
    tsr_context *ctx = w->output->ctx;
    const tsr_attribute *label = tsr_record_attribute(r, "label", TSR_ATTRIBUTE_INTEGER);
    const int64_t number = label ? label->integer : 0;
    if (w->views && (r->count != w->ids || number != w->label))
        return tsr_fail(
            ctx, TSR_ERROR_UNSUPPORTED,
            "llamagen: %s: wanted %llu ids and label %lld like the views before it, got "
            "%llu and %lld",
            r->key ? r->key : "item", (unsigned long long)w->ids, (long long)w->label,
            (unsigned long long)r->count, (long long)number);
    w->ids = r->count;
    w->label = number;
    const size_t used = (size_t)(w->views * w->ids);
    tsr_status s =
        tsr_grow(ctx, &w->all, &w->room, used + (size_t)r->count + 1, sizeof *w->all, "ids");
    if (s) return s;
    if (r->count) memcpy(w->all + used, r->ids, (size_t)r->count * sizeof *w->all);
    return ++w->views == (w->text ? 1 : w->output->plan->group) ? write_picture(w) : TSR_OK;
}

static tsr_status finish(void *user) {
    (void)user; /* the number of items is a multiple of the group */
    return TSR_OK;
}

static tsr_id_type choose(uint64_t numbers) {
    (void)numbers;
    return TSR_ID_I64;
}

const tsr_dataset_format tsr_dataset_llamagen = {
    .name = "llamagen",
    .about = "LlamaGen's class set: NAME_codes/0.npy, ... and NAME_labels/0.npy, ...",
    .choose = choose,
    .types = 1 << TSR_ID_I64,
    .open = open_classes,
    .next = next,
    .close = close_reader,
    .begin = begin_classes,
    .add = add,
    .finish = finish,
    .abandon = abandon,
};

const tsr_dataset_format tsr_dataset_llamagen_t2i = {
    .name = "llamagen-t2i",
    .about = "LlamaGen's text set: folders with 0.npy, 1.npy, ...",
    .choose = choose,
    .types = 1 << TSR_ID_I64,
    .open = open_texts,
    .next = next,
    .close = close_reader,
    .begin = begin_texts,
    .add = add,
    .finish = finish,
    .abandon = abandon,
};
