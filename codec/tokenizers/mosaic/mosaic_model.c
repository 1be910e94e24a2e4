/* SPDX-License-Identifier: MIT */
/* mosaic_model.c: mosaic's weights, and what encoding and decoding both take from them. */
#include "mosaic_model.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const int tsr_mosaic_levels[DIGITS] = {8, 8, 8, 5, 5, 5};

const float tsr_mosaic_colour[PLANES][3] = {{0.57735026919f, 0.57735026919f, 0.57735026919f},
                                            {0.70710678119f, 0.0f, -0.70710678119f},
                                            {-0.40824829046f, 0.81649658093f, -0.40824829046f}};

static tsr_status read_number(mosaic *m, const cJSON *config, const char *key, int low, int high,
                              int *value) {
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(config, key);
    if (!cJSON_IsNumber(number) || number->valuedouble < low || number->valuedouble > high ||
        number->valuedouble != (double)number->valueint)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config %s: wanted an integer of %d to %d, got %s",
                        m->path, key, low, high,
                        !number                  ? "none"
                        : cJSON_IsNumber(number) ? "another number"
                                                 : "another type");
    *value = number->valueint;
    return TSR_OK;
}

static tsr_status read_numbers(mosaic *m, const cJSON *config) {
    const struct {
        const char *key;
        int low, high, *value;
    } numbers[] = {{"classes", 1, MAX_CLASSES, &m->classes},    {"lead", 1, MOST_LEAD, &m->lead},
                   {"lead_dim", 8, COEFFICIENTS, &m->lead_dim}, {"dec_dim", 8, 4096, &m->width},
                   {"dec_depth", 0, MAX_DEPTH, &m->depth},      {"dec_heads", 1, 64, &m->heads}};
    for (unsigned i = 0; i < sizeof numbers / sizeof *numbers; ++i) {
        const tsr_status status = read_number(m, config, numbers[i].key, numbers[i].low,
                                              numbers[i].high, numbers[i].value);
        if (status) return status;
    }
    if (m->lead_dim % 8)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config lead_dim: wanted a multiple of 8, got %d",
                        m->path, m->lead_dim);
    if (m->width % m->heads)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config dec_dim: wanted a multiple of dec_heads "
                        "%d, got %d",
                        m->path, m->heads, m->width);
    return TSR_OK;
}

static tsr_status read_config(mosaic *m, const tsr_safetensors *file) {
    const char *text = tsr_safetensors_metadata(file, "tessera.config");
    if (!text)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config: wanted JSON, got none", m->path);
    cJSON *config = cJSON_Parse(text);
    if (!config)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                        "%s: __metadata__ tessera.config: wanted JSON, got %.40s", m->path, text);
    const tsr_status status = read_numbers(m, config);
    cJSON_Delete(config);
    return status;
}

/* The first slot that rounds something. */
static int first_slot(const mosaic *m) {
    return m->lead * DIGITS + CLASS_DIGITS;
}

static tsr_status read_indices(mosaic *m, const tsr_safetensors *file, const char *name, int count,
                               const int32_t **indices) {
    const int at = tsr_safetensors_find(file, name);
    const tsr_tensor *t = at < 0 ? NULL : tsr_safetensors_tensor(file, at);
    if (!t || t->dtype != TSR_DTYPE_I32 || tsr_elements(t) != count)
        return tsr_fail(m->ctx, TSR_ERROR_MODEL, "%s: %s: wanted %d numbers of I32, got %s",
                        m->path, name, count, t ? "another shape or type" : "none");
    const tsr_status status = tsr_safetensors_load(m->ctx, file, at);
    *indices = t->data;
    return status;
}

/* Reads the slots' sources and finds for each slot the last slot before it with the same source. */
static tsr_status link_slots(mosaic *m, const tsr_safetensors *file) {
    int32_t last[COEFFICIENTS];
    const int first = first_slot(m);
    const tsr_status status = read_indices(m, file, "slots.source", m->classes * SLOTS, &m->source);
    if (status) return status;
    for (int c = 0; c < m->classes; ++c) {
        memset(last, -1, sizeof last);
        for (int j = 0; j < SLOTS; ++j) {
            const int32_t source = m->source[c * SLOTS + j];
            if (j < first ? source != -1 : source < 0 || source >= COEFFICIENTS)
                return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                                "%s: slots.source [%d, %d]: wanted %s, got %d", m->path, c, j,
                                j < first ? "-1" : "0 to 12287", source);
            m->previous[c * SLOTS + j] = source < 0 ? -1 : last[source];
            if (source >= 0) last[source] = j;
        }
    }
    return TSR_OK;
}

/* Reads the leading ids' sources and sets up their stages. */
static tsr_status prepare_lead(mosaic *m, const tsr_safetensors *file) {
    const tsr_status status = read_indices(m, file, "lead.source", m->lead_dim, &m->lead_source);
    if (status) return status;
    for (int i = 0; i < m->lead_dim; ++i)
        if (m->lead_source[i] < 0 || m->lead_source[i] >= COEFFICIENTS)
            return tsr_fail(m->ctx, TSR_ERROR_MODEL,
                            "%s: lead.source [%d]: wanted 0 to 12287, got %d", m->path, i,
                            m->lead_source[i]);
    m->lead_norms =
        tsr_alloc(m->ctx, (size_t)m->lead * CODES, sizeof *m->lead_norms, "mosaic: norms");
    if (!m->lead_norms) return TSR_ERROR_MEMORY;
    const float *codes = m->lead_codes->f32;
    tsr_rvq_norms(codes, m->lead * CODES, m->lead_dim, m->lead_norms);
    float *norms = m->lead_norms;
    for (int s = 0; s < 2 * m->lead; ++s) {
        const int size = s % 2 ? SECOND : FIRST;
        m->lead_stage[s] = (tsr_rvq_stage){.codes = codes, .norms = norms, .size = size};
        codes += (size_t)size * (size_t)m->lead_dim;
        norms += size;
    }
    return TSR_OK;
}

/* The first CORNER rows of the orthonormal DCT-II, transposed. */
static void make_dct(float dct[SIZE][CORNER]) {
    for (int x = 0; x < SIZE; ++x)
        for (int u = 0; u < CORNER; ++u)
            dct[x][u] =
                (float)(cos(M_PI * (2 * x + 1) * u / (2.0 * SIZE)) * sqrt((u ? 2.0 : 1.0) / SIZE));
}

static const tsr_vit_layout block_layout = {.norm1 = "norm1",
                                            .qkv_weight = "qkv.weight",
                                            .qkv_bias = "qkv.bias",
                                            .proj = "proj",
                                            .norm2 = "norm2",
                                            .fc1 = "fc1",
                                            .fc2 = "fc2",
                                            .eps = 1e-6f,
                                            .act = TSR_ACT_GELU_TANH};

static tsr_status load_tensors(mosaic *m) {
    tsr_weight_loader loader = {.ctx = m->ctx, .weights = m->weights, .path = "model"};
    const int64_t d = m->width, pixels = PLANES * PATCH * PATCH;
    const struct {
        const char *name;
        int rank;
        int64_t dim[3];
        tsr_weight **where;
    } tensors[] = {
        {"slots.scale", 2, {m->classes, SLOTS}, &m->scale},
        {"slots.table", 3, {m->classes, SLOTS, TABLE}, &m->table},
        {"lead.codes", 3, {m->lead, CODES, m->lead_dim}, &m->lead_codes},
        {"count.predictor", 2, {COUNTS, 2}, &m->predictor},
        {"dct.inverse", 2, {SIZE, CORNER}, &m->inverse},
        {"decoder.patch.weight", 2, {d, pixels}, &m->patch},
        {"decoder.patch.bias", 1, {d}, &m->patch_bias},
        {"decoder.pos", 2, {PATCHES, d}, &m->position},
        {"decoder.count", 2, {TOKENS + 1, d}, &m->count},
        {"decoder.class", 2, {m->classes, d}, &m->class_embedding},
        {"decoder.norm.weight", 1, {d}, &m->norm_gamma},
        {"decoder.norm.bias", 1, {d}, &m->norm_beta},
        {"decoder.head.weight", 2, {pixels, d}, &m->head},
        {"decoder.head.bias", 1, {pixels}, &m->head_bias},
    };
    for (unsigned i = 0; i < sizeof tensors / sizeof *tensors; ++i)
        tsr_load_weight(&loader, "", tensors[i].name, tensors[i].rank, tensors[i].dim,
                        tensors[i].where);
    for (int i = 0; i < m->depth; ++i) {
        char prefix[64];
        snprintf(prefix, sizeof prefix, "decoder.blocks.%d.", i);
        tsr_vit_block_load(&loader, &block_layout, prefix, d, 4 * d, &m->block[i]);
    }
    return loader.status;
}

void tsr_mosaic_free(mosaic *m) {
    tsr_weights_close(&m->weights);
    free(m->previous);
    free(m->lead_norms);
    free(m->dct_rows);
    free(m);
}

/* The float tensors of the file, and the inverse DCT. */
static tsr_status open_weights(mosaic *m, const tsr_safetensors *file) {
    const tsr_tensor inverse =
        tsr_host_tensor(TSR_DTYPE_F32, m->dct_rows, 2, (int64_t[]){SIZE, CORNER});
    tsr_status status = tsr_weights_open(m->ctx, &m->weights);
    for (int i = 0; i < tsr_safetensors_count(file) && !status; ++i) {
        const tsr_tensor *t = tsr_safetensors_tensor(file, i);
        if (t->dtype != TSR_DTYPE_F32 && t->dtype != TSR_DTYPE_F16 && t->dtype != TSR_DTYPE_BF16)
            continue;
        status = tsr_safetensors_load(m->ctx, file, i);
        if (!status) status = tsr_weights_add(m->ctx, m->weights, tsr_safetensors_name(file, i), t);
    }
    return status ? status : tsr_weights_add(m->ctx, m->weights, "dct.inverse", &inverse);
}

tsr_status tsr_mosaic_load(mosaic *m, const tsr_safetensors *file) {
    tsr_status status = read_config(m, file);
    if (status) return status;
    const size_t slots = (size_t)m->classes * SLOTS;
    m->dct_rows = tsr_alloc(m->ctx, SIZE * CORNER, sizeof *m->dct_rows, "mosaic: dct");
    m->previous = tsr_alloc(m->ctx, slots + 1, sizeof *m->previous, "mosaic: slots");
    if (!m->dct_rows || !m->previous) return TSR_ERROR_MEMORY;
    make_dct(m->dct);
    memcpy(m->dct_rows, m->dct, sizeof m->dct);
    status = open_weights(m, file);
    if (!status) status = link_slots(m, file);
    if (!status) status = load_tensors(m);
    if (!status) status = prepare_lead(m, file);
    return status;
}

tsr_residual_fsq tsr_mosaic_slots(const mosaic *m, int c) {
    return (tsr_residual_fsq){.slots = SLOTS,
                              .level_count = DIGITS,
                              .levels = tsr_mosaic_levels,
                              .source = m->source + c * SLOTS,
                              .previous = m->previous + c * SLOTS,
                              .scale = m->scale->f32 + c * SLOTS,
                              .table = m->table->f32 + (size_t)c * SLOTS * TABLE,
                              .table_width = TABLE,
                              .first = first_slot(m)};
}

void tsr_mosaic_codewords(const mosaic *m, int id_index, uint32_t id, const float *code[2]) {
    code[0] = m->lead_stage[2 * id_index].codes + (size_t)(id % FIRST) * (size_t)m->lead_dim;
    code[1] = m->lead_stage[2 * id_index + 1].codes + (size_t)(id / FIRST) * (size_t)m->lead_dim;
}

void tsr_mosaic_restore(const mosaic *m, int c, int count, const uint32_t *lead_ids,
                        const uint8_t *digits, float *restored) {
    memset(restored, 0, sizeof(float) * COEFFICIENTS);
    for (int t = 0; t < m->lead && t < count; ++t) {
        const float *code[2];
        tsr_mosaic_codewords(m, t, lead_ids[t], code);
        for (int i = 0; i < m->lead_dim; ++i)
            restored[m->lead_source[i]] += code[0][i] + code[1][i];
    }
    if (count <= m->lead) return;
    const tsr_residual_fsq q = tsr_mosaic_slots(m, c);
    tsr_residual_fsq_restore(&q, count * DIGITS, digits, restored);
}
