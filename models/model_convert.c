/* SPDX-License-Identifier: MIT */
/* model_convert.c: a checkpoint's inference tensors as .safetensors, one tensor in memory at a
 * time.
 */
#include "convert_values.h"
#include "model_file.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_LINE = 600 };

typedef struct chosen { /* a tensor that is kept */
    const tsr_model_file *file;
    int index;        /* in the file */
    const char *name; /* in the output; inside the file's own name */
    tsr_model_tensor from;
} chosen;

typedef struct job {
    tsr_context *ctx;
    const char *input;
    const tsr_convert_settings *s;
    tsr_model_file *file, *with; /* with: the second one, or NULL */
    chosen *kept;
    int count, dropped;
    const char *key;
    char licence[512], sha256[65], with_sha256[65];
    uint64_t done, total;
} job;

/* ---- which tensors ---- */

static const char *const training[] = {
    "loss",          "gan_losses",     "perceptual_loss",    "lpips",
    "discriminator", "discriminators", "num_batches_tracked"};

bool tsr_model_only_training(const char *name) {
    while (*name) {
        size_t n = strcspn(name, ".");
        for (size_t i = 0; i < sizeof training / sizeof *training; ++i)
            if (strlen(training[i]) == n && memcmp(name, training[i], n) == 0) return true;
        name += n + (name[n] == '.');
    }
    return false;
}

static void strip_common(job *j, const char *prefix) {
    size_t n = strlen(prefix);
    for (int i = 0; i < j->count; ++i)
        if (strncmp(j->kept[i].name, prefix, n) != 0 || !j->kept[i].name[n]) return;
    for (int i = 0; i < j->count; ++i)
        j->kept[i].name += n;
}

/* Nothing is there: says what else was. */
static tsr_status none_found(job *j, const tsr_model_file *file, const char *input,
                             const char *key) {
    const char *first;
    const uint64_t passed = tsr_model_file_passed_over(file, &first);
    char also[480] = "";
    if (passed)
        snprintf(also, sizeof also, "; passed over were %llu objects, first %s",
                 (unsigned long long)passed, first);
    return tsr_fail(j->ctx, TSR_ERROR_NOT_FOUND,
                    "%s: wanted tensors under \"%s\", got none (tessera model list-tensors "
                    "shows what there is)%s",
                    input, key, also);
}

/* Adds the tensors of one file, under *key. */
static tsr_status choose_from(job *j, const tsr_model_file *file, const char *input,
                              const char **key) {
    const int count = tsr_model_file_count(file), before = j->count;
    const bool own =
        !j->s->key && file->torch; /* the file's own choice, without containers in it */
    *key = j->s->key ? j->s->key : tsr_model_file_weights_under(file);
    if (!*key)
        return tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED, "%s: %s", input,
                        tsr_model_file_unclear(file));
    size_t n = strlen(*key);
    bool direct = false; /* does any stand in it directly? */
    for (int pass = 0; pass < 2; ++pass)
        for (int i = 0; i < count; ++i) {
            tsr_model_tensor m;
            tsr_model_file_tensor(file, i, &m);
            bool inside = !n || (strncmp(m.name, *key, n) == 0 && m.name[n] == '/');
            const bool here = own && tsr_torch_at(file->torch, i)->keys == file->choice.keys + 1;
            const char *name = inside && n ? m.name + n + 1 : m.name;
            if (pass == 0)
                direct = direct || (inside && here);
            else if (inside && (here || !direct) && (j->s->all || !tsr_model_only_training(name)))
                j->kept[j->count++] = (chosen){file, i, name, m};
            else
                j->dropped++;
        }
    return j->count == before ? none_found(j, file, input, *key) : TSR_OK;
}

static tsr_status choose(job *j) {
    const char *key; /* of the second file: its own */
    const int count = tsr_model_file_count(j->file) + (j->with ? tsr_model_file_count(j->with) : 0);
    j->kept = tsr_alloc(j->ctx, (size_t)count, sizeof *j->kept, j->input);
    if (!j->kept) return TSR_ERROR_MEMORY;
    tsr_status status = choose_from(j, j->file, j->input, &j->key);
    if (!status && j->with) status = choose_from(j, j->with, j->s->with, &key);
    if (status) return status;
    strip_common(j, "module.");
    strip_common(j, "_orig_mod.");
    strip_common(j, "module.");
    return TSR_OK;
}

/* ---- types ---- */

static tsr_status output_type(job *j, const chosen *c, tsr_dtype *dtype) {
    if (c->from.refused)
        return tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: tensor %.200s: wanted a dense tensor of numbers, got one that is %s",
                        j->input, c->from.name, c->from.refused);
    if (tsr_convert_target(c->from.dtype, j->s->dtype, dtype)) return TSR_OK;
    return tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: tensor %.200s: type: wanted real numbers, got %s", j->input, c->from.name,
                    c->from.dtype);
}

/* tsr_tensor_fill_fn */
static tsr_status fill(void *user, int index, void *bytes) {
    job *j = user;
    const chosen *c = &j->kept[index];
    tsr_dtype to;
    tsr_status status = output_type(j, c, &to);
    if (status) return status;
    const bool same = strcmp(c->from.dtype, tsr_dtype_name(to)) == 0;
    uint8_t *own = same ? bytes : tsr_alloc(j->ctx, (size_t)c->from.bytes, 1, c->from.name);
    if (!own) return TSR_ERROR_MEMORY;
    status = tsr_model_file_read(j->ctx, c->file, c->index, own);
    if (!status && !same) {
        const uint64_t done = tsr_convert_values(c->from.dtype, own, to, bytes, c->from.elements);
        if (done < c->from.elements)
            status = tsr_fail(j->ctx, TSR_ERROR_FORMAT,
                              "%s: tensor %.200s: wanted values that %s can hold, got a larger one "
                              "at %llu",
                              j->input, c->from.name, tsr_dtype_name(to), (unsigned long long)done);
    }
    if (!same) free(own);
    j->done += c->from.bytes;
    if (!status && j->s->progress &&
        j->s->progress(j->s->progress_user, "convert", j->done, j->total))
        status = tsr_fail(j->ctx, TSR_ERROR_INTERRUPTED, "%s: stopped by the caller", j->input);
    return status;
}

/* ---- the licence ---- */

/* `tessera fetch` leaves NOTICE-NAME.txt beside what it brought: does one speak of this file? */
static bool read_notice(const char *path, const char *file, char *licence, size_t size) {
    char line[MAX_LINE], title[MAX_LINE] = "", notice[MAX_LINE] = "";
    bool found = false;
    FILE *from = fopen(path, "r");
    if (!from) return false;
    while (fgets(line, sizeof line, from)) {
        line[strcspn(line, "\n")] = 0;
        if (strncmp(line, "licence   ", 10) == 0) strcpy(title, line + 10);
        if (strncmp(line, "notice    ", 10) == 0) strcpy(notice, line + 10);
        if (strncmp(line, "file      ", 10) == 0 && strcmp(line + 10, file) == 0) found = true;
    }
    fclose(from);
    if (found) snprintf(licence, size, "%.160s. %.340s", title, notice);
    return found;
}

static void find_notice(const char *input, char *licence, size_t size) {
    const char *slash = strrchr(input, '/'), *name = slash ? slash + 1 : input;
    char folder[2048], path[2400];
    if (slash && slash - input >= (long)sizeof folder) return;
    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - input) : 1, slash ? input : ".");
    if (slash == input) strcpy(folder, "/");
    DIR *d = opendir(folder);
    if (!d) return;
    for (struct dirent *e; (e = readdir(d)) && !*licence;) {
        if (strncmp(e->d_name, "NOTICE-", 7) != 0 || !strstr(e->d_name, ".txt")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        read_notice(path, name, licence, size);
    }
    closedir(d);
}

static const char *metadata_of(const tsr_model_file *file, const char *wanted) {
    for (int i = 0; i < tsr_model_file_metadata_count(file); ++i) {
        const char *key, *value;
        tsr_model_file_metadata(file, i, &key, &value);
        if (strcmp(key, wanted) == 0) return value;
    }
    return NULL;
}

static void find_licence(job *j) {
    const char *noted = metadata_of(j->file, "tessera.licence");
    if (!noted) noted = metadata_of(j->file, "license");
    if (j->s->licence)
        snprintf(j->licence, sizeof j->licence, "%s", j->s->licence);
    else
        find_notice(j->input, j->licence, sizeof j->licence);
    if (!*j->licence)
        snprintf(j->licence, sizeof j->licence, "%.500s", noted ? noted : "not stated");
}

/* ---- the output ---- */

static const char *name_of(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

enum { OWN_PAIRS = 6 };

static int make_metadata(job *j, tsr_metadata_pair *pairs) {
    const tsr_metadata_pair ours[OWN_PAIRS] = {
        {"tessera.source", name_of(j->input)},
        {"tessera.source_sha256", j->sha256},
        {"tessera.source_key", j->key},
        {"tessera.licence", j->licence},
        {"tessera.with", j->with ? name_of(j->s->with) : NULL},
        {"tessera.with_sha256", j->with_sha256}};
    const int own = j->with ? OWN_PAIRS : OWN_PAIRS - 2;
    int count = 0;
    for (int i = 0; i < tsr_model_file_metadata_count(j->file); ++i) {
        tsr_metadata_pair p;
        tsr_model_file_metadata(j->file, i, &p.key, &p.value);
        bool replaced = false;
        for (int k = 0; k < own; ++k)
            replaced = replaced || strcmp(p.key, ours[k].key) == 0;
        if (!replaced) pairs[count++] = p;
    }
    memcpy(pairs + count, ours, (size_t)own * sizeof *ours);
    return count + own;
}

static tsr_status write_all(job *j, const char *output, tsr_convert_report *report) {
    const char **names = tsr_alloc(j->ctx, (size_t)j->count, sizeof *names, j->input);
    tsr_tensor *tensors = tsr_alloc(j->ctx, (size_t)j->count, sizeof *tensors, j->input);
    tsr_safetensors_info *shapes = tsr_alloc(j->ctx, (size_t)j->count, sizeof *shapes, j->input);
    tsr_metadata_pair *pairs =
        tsr_alloc(j->ctx, (size_t)tsr_model_file_metadata_count(j->file) + OWN_PAIRS, sizeof *pairs,
                  "metadata");
    tsr_status status = names && tensors && shapes && pairs ? TSR_OK : TSR_ERROR_MEMORY;
    for (int i = 0; i < j->count && !status; ++i) {
        const chosen *c = &j->kept[i];
        tsr_dtype dtype = TSR_DTYPE_F32;
        status = output_type(j, c, &dtype);
        if (status) break;
        names[i] = c->name;
        const int64_t elements = (int64_t)c->from.elements;
        tensors[i] = tsr_host_tensor(dtype, NULL, 1, &elements);
        shapes[i].rank = c->from.rank ? c->from.rank : 1; /* a single value is [1] */
        memcpy(shapes[i].dim, c->from.rank ? c->from.dim : &elements,
               (size_t)shapes[i].rank * sizeof *shapes[i].dim);
        j->total += c->from.bytes;
        report->bytes += c->from.elements * tsr_dtype_bytes(dtype);
    }
    if (!status)
        status = tsr_safetensors_write_made(j->ctx, output, names, tensors, shapes, j->count, pairs,
                                            make_metadata(j, pairs), fill, j);
    free(pairs);
    free(shapes);
    free(tensors);
    free(names);
    return status;
}

tsr_convert_settings tsr_convert_settings_default(void) {
    return (tsr_convert_settings){0};
}

static tsr_status convert(job *j, const char *output, tsr_convert_report *report) {
    const char *dtype = j->s->dtype;
    if (dtype && strcasecmp(dtype, "f32") && strcasecmp(dtype, "f16") && strcasecmp(dtype, "bf16"))
        return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                        "convert: dtype: wanted f32, f16 or bf16, got %s", dtype);
    tsr_status status = tsr_out_not_input(j->ctx, output, j->input);
    if (!status && j->s->with) status = tsr_out_not_input(j->ctx, output, j->s->with);
    if (!status) status = tsr_out_check(j->ctx, output);
    if (!status) status = tsr_model_file_open(j->ctx, j->input, &j->file);
    if (!status && j->s->with) status = tsr_model_file_open(j->ctx, j->s->with, &j->with);
    if (!status) status = choose(j);
    if (!status)
        status =
            tsr_file_sha256(j->ctx, j->file->path, j->sha256, j->s->progress, j->s->progress_user);
    if (!status && j->with)
        status = tsr_file_sha256(j->ctx, j->with->path, j->with_sha256, j->s->progress,
                                 j->s->progress_user);
    if (status) return status;
    find_licence(j);
    status = write_all(j, output, report);
    report->kept = (uint64_t)j->count;
    report->dropped = (uint64_t)j->dropped;
    snprintf(report->key, sizeof report->key, "%.63s", j->key);
    memcpy(report->sha256, j->sha256, sizeof report->sha256);
    memcpy(report->licence, j->licence, sizeof report->licence);
    return status;
}

tsr_status tsr_model_convert(tsr_context *ctx, const char *input, const char *output,
                             const tsr_convert_settings *settings, tsr_convert_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!input || !output)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "convert: wanted two paths, got NULL");
    if (strcmp(input, "-") == 0 || (settings && settings->with && !strcmp(settings->with, "-")))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "convert: wanted a file that can be read twice, got a pipe");
    tsr_convert_settings fallback = tsr_convert_settings_default();
    tsr_convert_report unused;
    if (!report) report = &unused;
    *report = (tsr_convert_report){0};
    job j = {.ctx = ctx, .input = input, .s = settings ? settings : &fallback};
    tsr_status status = convert(&j, output, report);
    free(j.kept);
    tsr_model_file_close(&j.file);
    tsr_model_file_close(&j.with);
    return status;
}
