/* SPDX-License-Identifier: MIT */
/* model_convert.c: a checkpoint's inference tensors as .safetensors, one tensor in memory at a
 * time.
 */
#include "model_file.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { MAX_LINE = 600 };

typedef struct chosen { /* a tensor that is kept */
    int index;          /* in the file */
    const char *name;   /* in the output; inside the file's own name */
    tsr_model_tensor from;
} chosen;

typedef struct job {
    tsr_context *ctx;
    const char *input;
    const tsr_convert_settings *s;
    tsr_model_file *file;
    chosen *kept;
    int count, dropped;
    const char *key;
    char licence[512], sha256[65];
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

static tsr_status choose(job *j) {
    int count = tsr_model_file_count(j->file);
    j->key = j->s->key ? j->s->key : tsr_model_file_weights_under(j->file);
    size_t n = strlen(j->key);
    j->kept = tsr_alloc(j->ctx, (size_t)count, sizeof *j->kept, j->input);
    if (!j->kept) return TSR_ERROR_MEMORY;
    for (int i = 0; i < count; ++i) {
        tsr_model_tensor m;
        tsr_model_file_tensor(j->file, i, &m);
        bool inside = !n || (strncmp(m.name, j->key, n) == 0 && m.name[n] == '/');
        const char *name = inside && n ? m.name + n + 1 : m.name;
        if (inside && (j->s->all || !tsr_model_only_training(name)))
            j->kept[j->count++] = (chosen){i, name, m};
        else
            j->dropped++;
    }
    if (!j->count)
        return tsr_fail(j->ctx, TSR_ERROR_NOT_FOUND,
                        "%s: wanted tensors under \"%s\", got none (tessera model list-tensors "
                        "shows what there is)",
                        j->input, j->key);
    strip_common(j, "module.");
    strip_common(j, "_orig_mod.");
    return TSR_OK;
}

/* ---- types ---- */

static bool is_float(const char *dtype) {
    return !strcmp(dtype, "F32") || !strcmp(dtype, "F16") || !strcmp(dtype, "BF16") ||
           !strcmp(dtype, "F64");
}

static tsr_status output_type(job *j, const chosen *c, tsr_dtype *dtype) {
    static const struct {
        const char *from;
        tsr_dtype to;
    } kept[] = {{"F32", TSR_DTYPE_F32}, {"F16", TSR_DTYPE_F16}, {"BF16", TSR_DTYPE_BF16},
                {"F64", TSR_DTYPE_F32}, {"I64", TSR_DTYPE_I64}, {"I32", TSR_DTYPE_I32},
                {"U8", TSR_DTYPE_U8},   {"BOOL", TSR_DTYPE_U8}, {"I16", TSR_DTYPE_I32},
                {"I8", TSR_DTYPE_I32}};
    const char *want = j->s->dtype;
    if (want && is_float(c->from.dtype)) {
        *dtype = !strcasecmp(want, "f16")    ? TSR_DTYPE_F16
                 : !strcasecmp(want, "bf16") ? TSR_DTYPE_BF16
                                             : TSR_DTYPE_F32;
        return TSR_OK;
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; ++i)
        if (strcmp(kept[i].from, c->from.dtype) == 0) {
            *dtype = kept[i].to;
            return TSR_OK;
        }
    return tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: tensor %.200s: type: wanted real numbers, got %s", j->input, c->from.name,
                    c->from.dtype);
}

static uint16_t load16(const uint8_t *p) {
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* Values of a float type as f32; false when a finite one became infinite. */
static bool load_reals(const char *from, const uint8_t *in, uint64_t n, float *out) {
    bool fits = true;
    if (!strcmp(from, "F16")) {
        for (uint64_t i = 0; i < n; ++i)
            out[i] = tsr_f16_to_f32(load16(in + 2 * i));
    } else if (!strcmp(from, "BF16")) {
        for (uint64_t i = 0; i < n; ++i)
            out[i] = tsr_bf16_to_f32(load16(in + 2 * i));
    } else if (!strcmp(from, "F64")) {
        for (uint64_t i = 0; i < n; ++i) {
            double d;
            memcpy(&d, in + 8 * i, sizeof d);
            out[i] = (float)d;
            fits = fits && (isfinite(out[i]) || !isfinite(d));
        }
    } else {
        memcpy(out, in, (size_t)n * 4);
    }
    return fits;
}

static bool store_reals(const float *in, uint64_t n, tsr_dtype to, uint8_t *out) {
    bool fits = true;
    if (to == TSR_DTYPE_F32) {
        memcpy(out, in, (size_t)n * 4);
        return true;
    }
    for (uint64_t i = 0; i < n; ++i) {
        uint16_t half = to == TSR_DTYPE_F16 ? tsr_f32_to_f16(in[i]) : tsr_f32_to_bf16(in[i]);
        float back = to == TSR_DTYPE_F16 ? tsr_f16_to_f32(half) : tsr_bf16_to_f32(half);
        fits = fits && (isfinite(back) || !isfinite(in[i]));
        memcpy(out + 2 * i, &half, sizeof half);
    }
    return fits;
}

/* Every value of a float type to another one, a piece at a time. */
static bool convert_reals(const char *from, size_t from_bytes, const uint8_t *in, tsr_dtype to,
                          uint8_t *out, uint64_t n) {
    enum { PIECE = 4096 };
    float piece[PIECE];
    bool fits = true;
    for (uint64_t at = 0; at < n; at += PIECE) {
        uint64_t count = n - at < PIECE ? n - at : PIECE;
        bool read = load_reals(from, in + at * from_bytes, count, piece);
        bool written = store_reals(piece, count, to, out + at * tsr_dtype_bytes(to));
        fits = fits && read && written;
    }
    return fits;
}

static void widen(const char *from, const uint8_t *in, uint8_t *out, uint64_t n) {
    for (uint64_t i = 0; i < n; ++i) {
        int32_t v = strcmp(from, "I16") == 0 ? (int16_t)load16(in + 2 * i) : (int8_t)in[i];
        memcpy(out + 4 * i, &v, sizeof v);
    }
}

/* tsr_tensor_fill_fn */
static tsr_status fill(void *user, int index, void *bytes) {
    job *j = user;
    const chosen *c = &j->kept[index];
    tsr_dtype to;
    tsr_status status = output_type(j, c, &to);
    if (status) return status;
    bool same = !strcmp(c->from.dtype, tsr_dtype_name(to)) || !strcmp(c->from.dtype, "BOOL");
    uint8_t *own = same ? bytes : tsr_alloc(j->ctx, (size_t)c->from.bytes, 1, c->from.name);
    if (!own) return TSR_ERROR_MEMORY;
    status = tsr_model_file_read(j->ctx, j->file, c->index, own);
    if (!status && !same && is_float(c->from.dtype)) {
        size_t width = c->from.elements ? (size_t)(c->from.bytes / c->from.elements) : 4;
        if (!convert_reals(c->from.dtype, width, own, to, bytes, c->from.elements))
            status = tsr_fail(j->ctx, TSR_ERROR_FORMAT,
                              "%s: tensor %.200s: wanted values that %s can hold, got larger ones",
                              j->input, c->from.name, tsr_dtype_name(to));
    } else if (!status && !same) {
        widen(c->from.dtype, own, bytes, c->from.elements);
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

static int make_metadata(job *j, tsr_metadata_pair *pairs) {
    const char *slash = strrchr(j->input, '/');
    const tsr_metadata_pair ours[] = {{"tessera.source", slash ? slash + 1 : j->input},
                                      {"tessera.source_sha256", j->sha256},
                                      {"tessera.source_key", j->key},
                                      {"tessera.licence", j->licence}};
    int count = 0;
    for (int i = 0; i < tsr_model_file_metadata_count(j->file); ++i) {
        tsr_metadata_pair p;
        tsr_model_file_metadata(j->file, i, &p.key, &p.value);
        bool replaced = false;
        for (int k = 0; k < 4; ++k)
            replaced = replaced || strcmp(p.key, ours[k].key) == 0;
        if (!replaced) pairs[count++] = p;
    }
    memcpy(pairs + count, ours, sizeof ours);
    return count + 4;
}

static tsr_status write_all(job *j, const char *output, tsr_convert_report *report) {
    const char **names = tsr_alloc(j->ctx, (size_t)j->count, sizeof *names, j->input);
    tsr_tensor *tensors = tsr_alloc(j->ctx, (size_t)j->count, sizeof *tensors, j->input);
    tsr_metadata_pair *pairs = tsr_alloc(j->ctx, (size_t)tsr_model_file_metadata_count(j->file) + 4,
                                         sizeof *pairs, "metadata");
    tsr_status status = names && tensors && pairs ? TSR_OK : TSR_ERROR_MEMORY;
    for (int i = 0; i < j->count && !status; ++i) {
        const chosen *c = &j->kept[i];
        tsr_dtype dtype = TSR_DTYPE_F32;
        const int64_t one = 1;
        status = output_type(j, c, &dtype);
        if (!status && c->from.rank > TSR_MAX_RANK)
            status = tsr_fail(j->ctx, TSR_ERROR_UNSUPPORTED,
                              "%s: tensor %.200s: wanted at most %d dimensions, got %d", j->input,
                              c->from.name, TSR_MAX_RANK, c->from.rank);
        if (status) break;
        names[i] = c->name;
        tensors[i] = tsr_host_tensor(dtype, NULL, c->from.rank ? c->from.rank : 1,
                                     c->from.rank ? c->from.dim : &one);
        j->total += c->from.bytes;
        report->bytes += c->from.elements * tsr_dtype_bytes(dtype);
    }
    if (!status)
        status = tsr_safetensors_write_made(j->ctx, output, names, tensors, j->count, pairs,
                                            make_metadata(j, pairs), fill, j);
    free(pairs);
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
    if (!status) status = tsr_out_check(j->ctx, output);
    if (!status) status = tsr_model_file_open(j->ctx, j->input, &j->file);
    if (!status) status = choose(j);
    if (!status)
        status = tsr_file_sha256(j->ctx, j->input, j->sha256, j->s->progress, j->s->progress_user);
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
    if (strcmp(input, "-") == 0)
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
    return status;
}
