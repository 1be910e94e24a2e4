/* SPDX-License-Identifier: MIT */
/* patch_vq.c: a codebook of `tessera codebook train` on patches of pictures, as a tokenizer.
 *
 *   tile ─► patches of p x p pixels ─► nearest code of each, then of what it left ... ─► ids
 *   ids ─► sum of the codes ─► patches laid side by side ─► tile
 *
 * There is no network. A tile may have any size that is a multiple of p. With one stage the ids are
 * a grid; with several, all patches' ids of the first stage come first, so that a prefix is a
 * coarser picture. Ids are those of `tessera codebook assign`: of tiles that are cut into patches
 * on the host the same function finds them, and one program does the same sums for others. While it
 * computes, the host takes the ids of the batch before and prepares the next. */
#include "../../compute/arena.h"
#include "../../nn/family.h"
#include "../../ops/ops.h"
#include "../../quantizer/quantizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_PATCH = 256, MOST_STAGES = 64, MOST_CODES = 1 << 24, MOST_SIDE = 1 << 13 };
enum { MOST_POSITIONS = 1 << 20 }; /* of a tile, as in token files */
/* What one program encodes: stages, whose ids, margins and lengths are its outputs, and values of
 * all tiles. Of more the patches go to the device by pieces. */
enum { ONE_STAGES = TSR_MAX_IO / 3, ONE_VALUES = 1 << 26 };

typedef struct patch_vq {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    char *path;
    char name[64];
    bool cosine;
    int64_t patch, stages, count, dim; /* count: codes of a stage; dim: 3 * patch * patch */
    tsr_weight *codes;                 /* [stages, count, dim], elements (y, x, channel) of 0..1 */
    tsr_weight *rows; /* [stages * (count + 1), dim], elements (channel, y, x); the last one of each
                         stage stands for an id that is not there: the codes' mean in the first
                         stage, zeros in others */
    float *own;       /* memory of rows and shifts */
    tsr_weight *shifts; /* [stages, dim] mean of each stage's codes, which is taken away from both
                           sides of the search: rounding errors are smaller then */
    double code_length[ONE_STAGES]; /* of the longest code after that */
    int64_t height, width;
} patch_vq;

/* ---- open ---- */

static bool recognise(const tsr_safetensors *file) {
    const char *format = tsr_safetensors_metadata(file, "format");
    return format && !strcmp(format, "tessera-codebook");
}

/* Fails with MODEL unless metadata `key` is one of two texts. */
static tsr_status want_text(const patch_vq *m, const tsr_safetensors *file, const char *key,
                            const char *a, const char *b, const char **text) {
    *text = tsr_safetensors_metadata(file, key);
    if (*text && (!strcmp(*text, a) || (b && !strcmp(*text, b)))) return TSR_OK;
    return tsr_fail(m->ctx, TSR_ERROR_MODEL, "%s: __metadata__ %s: wanted %s%s%s, got %.40s",
                    m->path, key, a, b ? " or " : "", b ? b : "", *text ? *text : "none");
}

/* What the metadata says: metric and patch. */
static tsr_status read_metadata(patch_vq *m, const tsr_safetensors *file) {
    const char *text;
    tsr_status status = want_text(m, file, "version", "1", NULL, &text);
    if (!status) status = want_text(m, file, "metric", "euclid", "cosine", &text);
    if (status) return status;
    m->cosine = !strcmp(text, "cosine");
    text = tsr_safetensors_metadata(file, "patch");
    if (!text)
        return tsr_fail(
            m->ctx, TSR_ERROR_MODEL,
            "%s: __metadata__ patch: wanted the side of the patches that its codes are, "
            "got none: it was trained on features of another kind",
            m->path);
    char *end;
    m->patch = strtol(text, &end, 10);
    if (end == text || *end || m->patch < 1 || m->patch > MOST_PATCH)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ patch: wanted 1 to %d pixels, got %.40s", m->path,
                        MOST_PATCH, text);
    m->dim = 3 * m->patch * m->patch;
    return TSR_OK;
}

/* Loads the codes; what the file cannot know otherwise, their numbers, is as it says. */
static void load_codes(patch_vq *m, const tsr_safetensors *file, tsr_weight_loader *loader) {
    const int at = tsr_safetensors_find(file, "codes");
    const tsr_tensor *t = at < 0 ? NULL : tsr_safetensors_tensor(file, at);
    m->stages = t && t->rank == 3 ? t->dim[0] : 1;
    m->count = t && t->rank >= 2 ? t->dim[t->rank - 2] : 1;
    if (loader->status) return;
    if (m->stages < 1 || m->stages > MOST_STAGES || m->count < 1 || m->count > MOST_CODES)
        loader->status =
            tsr_fail(m->ctx, TSR_ERROR_MODEL,
                     "%s: codes: wanted 1 to %d stages of 1 to %d codes, got %lld of %lld", m->path,
                     MOST_STAGES, MOST_CODES, (long long)m->stages, (long long)m->count);
    tsr_load_weight(loader, "", "codes", 3, (int64_t[]){m->stages, m->count, m->dim}, &m->codes);
}

static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {
    patch_vq m = {.ctx = source->ctx, .path = (char *)(uintptr_t)source->path};
    if (!loader->status) loader->status = read_metadata(&m, source->weights);
    load_codes(&m, source->weights, loader);
}

/* Codes in the order that patches are laid back in, and what stands for an id that is not there. */
static tsr_status make_rows(patch_vq *m) {
    const int64_t p = m->patch, rows = m->stages * (m->count + 1), pixels = p * p;
    tsr_scratch s = {.ctx = m->ctx};
    double *mean = tsr_scratch_take(&s, (size_t)m->dim, sizeof *mean, "patch vq: mean");
    if (!s.status)
        m->own = tsr_alloc(m->ctx, (size_t)((rows + m->stages) * m->dim), sizeof *m->own,
                           "patch vq: codes");
    if (!m->own) {
        tsr_scratch_free(&s);
        return TSR_ERROR_MEMORY;
    }
    const float *from = m->codes->f32;
    float *to = m->own;
    for (int64_t stage = 0; stage < m->stages; ++stage, to += m->dim) /* leaves a row free */
        for (int64_t code = 0; code < m->count; ++code, from += m->dim, to += m->dim)
            for (int64_t i = 0; i < m->dim; ++i) {
                to[i % 3 * pixels + i / 3] = from[i];
                if (!stage) mean[i % 3 * pixels + i / 3] += from[i];
            }
    for (int64_t i = 0; i < m->dim; ++i)
        m->own[m->count * m->dim + i] = (float)(mean[i] / (double)m->count);
    tsr_scratch_free(&s);
    const int64_t dim[2] = {rows, m->dim};
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, m->own, 2, dim);
    const tsr_status status = tsr_weights_add(m->ctx, m->weights, "(rows of codes)", &t);
    return status ? status
                  : tsr_weights_get(m->ctx, m->weights, "(rows of codes)", 2, dim, &m->rows);
}

/* The shifts of one program, and how long codes are after them, as tsr_vq_pass_set_codes has it. */
static tsr_status make_shifts(patch_vq *m) {
    if (m->cosine || m->stages > ONE_STAGES) return TSR_OK;
    tsr_vq_pass pass;
    float *shifts = m->own + m->stages * (m->count + 1) * m->dim;
    tsr_status status =
        tsr_vq_pass_open(m->device, &pass, m->count, m->dim, TSR_METRIC_EUCLID, 1, false);
    if (status) return status;
    for (int64_t s = 0; s < m->stages; ++s) {
        tsr_vq_pass_set_codes(&pass, m->codes->f32 + s * m->count * m->dim);
        memcpy(shifts + s * m->dim, pass.shift, (size_t)m->dim * sizeof *shifts);
        m->code_length[s] = pass.code_length;
    }
    tsr_vq_pass_close(&pass);
    const int64_t dim[2] = {m->stages, m->dim};
    const tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, shifts, 2, dim);
    status = tsr_weights_add(m->ctx, m->weights, "(shifts of codes)", &t);
    return status ? status
                  : tsr_weights_get(m->ctx, m->weights, "(shifts of codes)", 2, dim, &m->shifts);
}

static void close_model(void **model) {
    if (!model || !*model) return;
    patch_vq *m = *model;
    tsr_device_forget(m->device, m);
    tsr_weights_close(&m->weights);
    free(m->own);
    free(m->path);
    free(m);
    *model = NULL;
}

/* Fills a model whose device and context are set. */
static tsr_status load_model(patch_vq *m, const tsr_model_source *source) {
    if (!(m->path = strdup(source->path)))
        return tsr_fail(m->ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", source->path);
    tsr_status status = read_metadata(m, source->weights);
    if (!status) status = tsr_file_weights(m->ctx, source->weights, &m->weights);
    if (status) return status;
    tsr_weight_loader loader = tsr_load_all_begin(m->ctx, m->weights, m->path);
    load_codes(m, source->weights, &loader);
    status = tsr_load_all_end(&loader, NULL);
    if (!status) status = tsr_weight_pin(m->ctx, m->codes);
    if (status) return status;
    if (tsr_vq_check(m->ctx, "codes", m->codes->f32, m->stages * m->count, m->dim))
        return tsr_fail(m->ctx, TSR_ERROR_MODEL, "%s: wanted finite codes, got others", m->path);
    const char *name = tsr_safetensors_metadata(source->weights, "tessera.name");
    char stages[32] = "";
    if (m->stages > 1) snprintf(stages, sizeof stages, "x%d", (int)m->stages);
    if (name)
        snprintf(m->name, sizeof m->name, "%s", name);
    else
        snprintf(m->name, sizeof m->name, "patch-vq-p%d-%d%s%s", (int)m->patch, (int)m->count,
                 stages, m->cosine ? "-cosine" : "");
    m->height = m->width = 256 / m->patch * m->patch;
    const tsr_status made = make_rows(m);
    return made ? made : make_shifts(m);
}

static tsr_status open_model(tsr_device *device, const tsr_model_source *source, void **model) {
    patch_vq *m = tsr_alloc(source->ctx, 1, sizeof *m, "patch vq");
    if (!m) return TSR_ERROR_MEMORY;
    m->device = device;
    m->ctx = source->ctx;
    const tsr_status status = load_model(m, source);
    void *opened = m;
    if (status) close_model(&opened);
    *model = opened;
    return status;
}

/* ---- tiles ---- */

static int64_t patches_of(const patch_vq *m) {
    return m->height / m->patch * (m->width / m->patch);
}

static tsr_status describe(const void *model, tsr_token_header *h) {
    const patch_vq *m = model;
    const int64_t positions = patches_of(m) * m->stages;
    if (positions > MOST_POSITIONS)
        return tsr_fail(m->ctx, TSR_ERROR_TOO_LARGE,
                        "%s: tile: wanted at most %d ids, got %lld for %lldx%lld pixels", m->path,
                        MOST_POSITIONS, (long long)positions, (long long)m->width,
                        (long long)m->height);
    memcpy(h->tokenizer, m->name, sizeof m->name);
    h->codebook_size = (uint32_t)m->count;
    h->tile_height = (uint32_t)m->height;
    h->tile_width = (uint32_t)m->width;
    h->geometry = m->stages > 1 ? TSR_GEOMETRY_SEQUENCE : TSR_GEOMETRY_GRID;
    h->nested = m->stages > 1;
    h->rows = m->stages > 1 ? 1 : (uint32_t)(m->height / m->patch);
    h->columns = (uint32_t)(positions / h->rows);
    return TSR_OK;
}

static tsr_status resize(void *model, tsr_tile_size size, tsr_token_header *header) {
    patch_vq *m = model;
    const uint32_t step = (uint32_t)m->patch;
    if (size.width < step || size.height < step || size.width % step || size.height % step ||
        size.width > MOST_SIDE || size.height > MOST_SIDE)
        return tsr_fail(m->ctx, TSR_ERROR_ARGUMENT,
                        "%s: tile: wanted multiples of %u up to %d, got %ux%u", m->path, step,
                        MOST_SIDE, size.width, size.height);
    const int64_t before[2] = {m->height, m->width};
    m->height = size.height;
    m->width = size.width;
    const tsr_status status = describe(m, header);
    if (status) m->height = before[0], m->width = before[1];
    return status;
}

static tsr_tile_cost cost(const void *model, const tsr_encode_request *request) {
    const patch_vq *m = model;
    const uint64_t values = (uint64_t)(3 * m->height * m->width) * sizeof(float);
    /* Decoding: rows of all stages, two sums, patches laid back. Encoding: numbers, patches in two
     * orders, and of each stage the rows without the shift, their codes and what they leave. */
    const uint64_t rows = values * (uint64_t)(!request                  ? m->stages + 3
                                              : m->stages <= ONE_STAGES ? 3 * m->stages + 2
                                                                        : 0);
    return (tsr_tile_cost){.bytes = 2 * values + rows,
                           .tensor_bytes = request ? values : values * (uint64_t)m->stages};
}

/* Copies the patches of a tile, u8 [height, width, 3], to rows of floats (y, x, channel). */
static void cut_patches(const patch_vq *m, const uint8_t *rgb, float *rows) {
    const int64_t p = m->patch, line = m->width * 3;
    for (int64_t y = 0; y < m->height; y += p)
        for (int64_t x = 0; x < m->width; x += p)
            for (int64_t i = 0; i < p; ++i) {
                const uint8_t *from = rgb + (y + i) * line + x * 3;
                for (int64_t v = 0; v < 3 * p; ++v)
                    *rows++ = (float)from[v] / 255.0f;
            }
}

/* Whether a program encodes so many tiles, whose codes have to fit into a binding. */
static bool in_one(const patch_vq *m, int64_t count) {
    const uint64_t most = tsr_device_properties(m->device)->max_storage_range;
    const uint64_t codes = (uint64_t)(m->stages * m->count * m->dim) * sizeof(float);
    return m->shifts && count * 3 * m->height * m->width <= ONE_VALUES &&
           (!most || codes <= most) && codes / sizeof(float) <= INT32_MAX;
}

/* Cuts the tiles on the host and finds their ids there and then, chunk after chunk. */
static tsr_status encode_by_chunks(const patch_vq *m, const tsr_pixels *pixels,
                                   tsr_token_batch *batch) {
    const int64_t count = pixels->count, each = patches_of(m), values = 3 * m->height * m->width;
    const uint32_t most = batch->counts[0];
    tsr_rvq_report report = {0};
    tsr_scratch s = {.ctx = m->ctx};
    float *rows = tsr_scratch_take(&s, (size_t)(count * values), sizeof *rows, "patch vq: patches");
    uint32_t *found =
        tsr_scratch_take(&s, (size_t)(count * each * m->stages), sizeof *found, "patch vq: ids");
    tsr_status status = s.status;
    for (int64_t i = 0; i < count && !status; ++i)
        cut_patches(m, pixels->rgb + i * values, rows + i * values);
    if (!status)
        status = tsr_rvq_assign(m->device, rows, count * each, m->dim, m->codes->f32, m->count,
                                m->stages, m->cosine ? TSR_METRIC_COSINE : TSR_METRIC_EUCLID, 0,
                                found, NULL, &report);
    for (int64_t i = 0; i < count && !status; ++i) {
        uint32_t *ids = tsr_token_batch_tile(batch, (int)i);
        for (uint32_t k = 0; k < most; ++k) /* stage after stage */
            ids[k] = found[(i * each + k % each) * m->stages + k / each];
    }
    batch->near_ties += report.near_ties;
    tsr_scratch_free(&s);
    return status;
}

/* Codes of a stage [count, dim]. */
static tsr_tensor *codes_of(tsr_run *r, const patch_vq *m, int64_t stage) {
    tsr_tensor *all = tsr_reshape(r, tsr_from_weight(r, m->codes), 3,
                                  (int64_t[]){1, m->stages * m->count, m->dim});
    if (m->stages > 1) all = tsr_slice_rows(r, all, stage * m->count, m->count);
    return tsr_reshape(r, all, 2, (int64_t[]){m->count, m->dim});
}

/* in: tiles U8 [B, height, width, 3]. out: of each stage ids, margins and squared lengths of the
 * rows without the shift, [B * patches] each. The arithmetic is that of tsr_rvq_assign. */
static void encode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const patch_vq *m = model;
    const int64_t n = in[0]->dim[0] * patches_of(m), pixels = m->patch * m->patch;
    tsr_tensor *x = tsr_from_bytes(r, in[0], 1, 0, true);
    x = tsr_patchify(r, x, (int)m->patch); /* elements (channel, y, x), then (y, x, channel) */
    x = tsr_transpose(r, tsr_reshape(r, x, 3, (int64_t[]){n, 3, pixels}));
    x = tsr_reshape(r, x, 2, (int64_t[]){n, m->dim});
    tsr_tensor *shifts =
        tsr_reshape(r, tsr_from_weight(r, m->shifts), 3, (int64_t[]){1, m->stages, m->dim});
    for (int64_t s = 0; s < m->stages; ++s, out += 3) {
        tsr_tensor *codes = codes_of(r, m, s);
        const tsr_tensor *shift =
            tsr_reshape(r, tsr_slice_rows(r, shifts, s, 1), 1, (int64_t[]){m->dim});
        tsr_tensor *row = tsr_binary(r, x, shift, TSR_BINARY_SUB);
        out[0] = tsr_nearest_code(r, row, tsr_binary(r, codes, shift, TSR_BINARY_SUB), NULL,
                                  TSR_METRIC_EUCLID, &out[1]);
        out[2] = tsr_reduce(r, row, TSR_REDUCE_SUMSQ);
        if (s + 1 < m->stages)
            x = tsr_binary(r, x, tsr_gather_rows(r, codes, out[0]), TSR_BINARY_SUB);
    }
}

static tsr_status encode_begin(const void *model, const tsr_pixels *pixels,
                               const tsr_encode_request *request, tsr_encode_flight *flight) {
    const patch_vq *m = model;
    const int64_t count = pixels->count, n = count * patches_of(m);
    tsr_token_batch *t = &flight->tokens;
    for (int64_t i = 0; i < count; ++i)
        t->counts[i] = request->tokens ? request->tokens : t->capacity;
    if (!in_one(m, count)) return encode_by_chunks(m, pixels, t);
    flight->rows = tsr_scratch_take_raw(&flight->scratch, (size_t)(n * m->stages),
                                        3 * sizeof *flight->rows, "patch vq: ids");
    if (!flight->rows) return flight->scratch.status;
    tsr_tensor out[3 * ONE_STAGES];
    for (int64_t i = 0; i < 3 * m->stages; ++i)
        out[i] = tsr_host_tensor(i % 3 ? TSR_DTYPE_F32 : TSR_DTYPE_I32, flight->rows + i * n, 1,
                                 (int64_t[]){n});
    const tsr_tensor in = tsr_host_tensor(TSR_DTYPE_U8, (uint8_t *)(uintptr_t)pixels->rgb, 4,
                                          (int64_t[]){count, m->height, m->width, 3});
    const tsr_program program = {.fn = encode_program, .model = m, .name = "patch vq encode"};
    return tsr_execute_begin(m->device, &program, &in, 1, out, 3 * (int)m->stages,
                             &flight->program);
}

/* Near ties among the rows of a stage. Lengths are sums of the device, and made longer by what
 * those may be short of. */
static tsr_status count_near_ties(const patch_vq *m, int64_t stage, const int32_t *ids,
                                  const float *margin, const float *square, int64_t n,
                                  uint64_t *near_ties) {
    const double longer = 1 + (double)m->dim * 0x1p-24;
    for (int64_t i = 0; i < n; ++i) {
        if (ids[i] < 0 || ids[i] >= m->count)
            return tsr_fail(m->ctx, TSR_ERROR_DEVICE,
                            "%s: nearest code: wanted an id below %lld, got %d", m->path,
                            (long long)m->count, ids[i]);
        const double length = sqrt((double)square[i]) * longer;
        *near_ties +=
            m->count > 1 && !(margin[i] >= tsr_vq_tie_bound(m->dim, length, m->code_length[stage]));
    }
    return TSR_OK;
}

static tsr_status encode_end(const void *model, tsr_encode_flight *flight) {
    const patch_vq *m = model;
    tsr_token_batch *t = &flight->tokens;
    const int64_t each = patches_of(m), n = t->count * each;
    tsr_status status = tsr_execute_end(m->device, &flight->program);
    if (!flight->rows) return status; /* computed when it began */
    for (int64_t s = 0; s < m->stages && !status; ++s) {
        const float *made = flight->rows + 3 * s * n;
        status =
            count_near_ties(m, s, (const int32_t *)made, made + n, made + 2 * n, n, &t->near_ties);
    }
    for (int64_t i = 0; i < t->count && !status; ++i) {
        uint32_t *ids = tsr_token_batch_tile(t, (int)i);
        for (uint32_t k = 0; k < t->counts[i]; ++k) /* stage after stage */
            memcpy(ids + k, flight->rows + 3 * (k / each) * n + i * each + k % each, sizeof *ids);
    }
    return status;
}

/* in: row numbers I32 [B, stages, patches]. out: pictures [B, 3, height, width]. */
static void decode_program(tsr_run *r, const void *model, tsr_tensor *const *in, tsr_tensor **out) {
    const patch_vq *m = model;
    const int64_t items = in[0]->dim[0], stages = in[0]->dim[1], patches = in[0]->dim[2];
    tsr_tensor *rows = tsr_gather_rows(r, tsr_from_weight(r, m->rows), in[0]);
    rows = tsr_reshape(r, rows, 3, (int64_t[]){items, stages, patches * m->dim});
    tsr_tensor *sum = tsr_slice_rows(r, rows, 0, 1);
    for (int64_t s = 1; s < stages; ++s)
        sum = tsr_binary(r, sum, tsr_slice_rows(r, rows, s, 1), TSR_BINARY_ADD);
    sum = tsr_reshape(r, sum, 3, (int64_t[]){items, patches, m->dim});
    out[0] = tsr_unpatchify(r, sum, 3, m->height, m->width, (int)m->patch);
}

static tsr_status decode(const void *model, const tsr_token_batch *batch,
                         const tsr_sampling *sampling, float *rgb) {
    (void)sampling;
    const patch_vq *m = model;
    const int64_t count = batch->count, each = patches_of(m), all = each * m->stages;
    const int64_t pixels = m->height * m->width;
    if (m->cosine)
        return tsr_fail(m->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: decode: wanted a codebook of patches, got one of directions (cosine): "
                        "brightness and contrast are not in its codes",
                        m->path);
    tsr_scratch s = {.ctx = m->ctx};
    int32_t *rows = tsr_scratch_take(&s, (size_t)(count * all), sizeof *rows, "patch vq: ids");
    float *planes =
        tsr_scratch_take(&s, (size_t)(count * pixels), 3 * sizeof *planes, "patch vq: pictures");
    tsr_status status = s.status;
    for (int64_t i = 0; i < count && !status; ++i) {
        const uint32_t *ids = tsr_token_batch_tile(batch, (int)i);
        if (batch->counts[i] > all || (m->stages == 1 && batch->counts[i] < all))
            status = tsr_fail(m->ctx, TSR_ERROR_TOKENS, "%s: ids of a tile: wanted %s%lld, got %u",
                              m->path, m->stages > 1 ? "at most " : "", (long long)all,
                              batch->counts[i]);
        for (int64_t k = 0; k < all && !status; ++k)
            rows[i * all + k] = (int32_t)(k / each * (m->count + 1) +
                                          (k < batch->counts[i] ? (int64_t)ids[k] : m->count));
    }
    if (!status) {
        const tsr_tensor in =
            tsr_host_tensor(TSR_DTYPE_I32, rows, 3, (int64_t[]){count, m->stages, each});
        tsr_tensor out =
            tsr_host_tensor(TSR_DTYPE_F32, planes, 4, (int64_t[]){count, 3, m->height, m->width});
        /* Tiles of one number of pixels, but not of one shape, are different programs. */
        const tsr_program program = {.fn = decode_program,
                                     .model = m,
                                     .variant = m->width,
                                     .name = "patch vq decode",
                                     .pictures = true};
        status = tsr_execute(m->device, &program, &in, 1, &out, 1);
    }
    for (int64_t i = 0; i < count && !status; ++i)
        for (int64_t at = 0; at < pixels; ++at)
            for (int c = 0; c < 3; ++c)
                rgb[(i * pixels + at) * 3 + c] = planes[(i * 3 + c) * pixels + at];
    tsr_scratch_free(&s);
    return status;
}

const tsr_family tsr_family_patch_vq = {
    .name = "patch-vq",
    .about = "one id, or one for each stage, for each patch of pixels: a codebook of your own",
    .needs = "the .safetensors of 'tessera codebook train' on pictures",
    .verified = "a golden case made with NumPy; ids are those of 'tessera codebook assign'",
    .recognise = recognise,
    .list_tensors = list_tensors,
    .open = open_model,
    .close = close_model,
    .tokenizer = &(const tsr_tokenizer_ops){.describe = describe,
                                            .resize = resize,
                                            .cost = cost,
                                            .encode_begin = encode_begin,
                                            .encode_end = encode_end,
                                            .decode = decode},
};
