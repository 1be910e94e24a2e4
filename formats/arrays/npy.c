/* SPDX-License-Identifier: MIT */
/* npy.c: NumPy's array file. The header is a Python dict, so the literal parser reads it. */
#include "npy.h"
#include "../weights/python_repr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char magic[6] = {'\x93', 'N', 'U', 'M', 'P', 'Y'};

enum { MOST_RANK = 8 }; /* of an array that becomes a tensor */

typedef struct element { /* an element type of the file, and what it becomes */
    const char *text;
    size_t bytes;
    tsr_dtype dtype;
} element;
static const element elements[] = {{"<f4", 4, TSR_DTYPE_F32}, {"<f8", 8, TSR_DTYPE_F32},
                                   {"<f2", 2, TSR_DTYPE_F16}, {"<i4", 4, TSR_DTYPE_I32},
                                   {"<i8", 8, TSR_DTYPE_I64}, {"|u1", 1, TSR_DTYPE_U8},
                                   {"<u1", 1, TSR_DTYPE_U8},  {"<u2", 2, TSR_DTYPE_I32}};

/* Header fields into e, rank and dim. */
static tsr_status read_fields(tsr_context *ctx, const char *name, const cJSON *dict,
                              const element **e, int *rank, int64_t *dim) {
    const cJSON *descr = cJSON_GetObjectItemCaseSensitive(dict, "descr");
    const cJSON *order = cJSON_GetObjectItemCaseSensitive(dict, "fortran_order");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(dict, "shape");
    if (!cJSON_IsObject(dict) || !descr || !cJSON_IsBool(order) || !cJSON_IsArray(shape))
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: header: wanted a dict with descr, fortran_order and shape", name);
    *e = NULL;
    for (size_t i = 0; cJSON_IsString(descr) && i < sizeof elements / sizeof *elements; ++i)
        if (strcmp(descr->valuestring, elements[i].text) == 0) *e = &elements[i];
    if (!*e)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: descr: wanted <f4, <f8, <f2, <i4, <i8, |u1 or <u2, got %.40s", name,
                        cJSON_IsString(descr) ? descr->valuestring : "a structure");
    if (cJSON_IsTrue(order) && cJSON_GetArraySize(shape) > 1)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: fortran_order: wanted False, got True",
                        name);
    if (cJSON_GetArraySize(shape) > MOST_RANK)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: shape: wanted at most %d dimensions, got %d", name, MOST_RANK,
                        cJSON_GetArraySize(shape));
    *rank = 0;
    for (const cJSON *d = shape->child; d; d = d->next) {
        if (!cJSON_IsNumber(d) || !(d->valuedouble >= 0 && d->valuedouble <= 0x1p53) ||
            d->valuedouble != (double)(int64_t)d->valuedouble)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: shape: wanted whole numbers from 0 to 2^53",
                            name);
        const int64_t n = (int64_t)d->valuedouble;
        if (*rank < TSR_MAX_RANK)
            dim[(*rank)++] = n;
        else if (__builtin_mul_overflow(dim[TSR_MAX_RANK - 1], n, &dim[TSR_MAX_RANK - 1]))
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: shape: its bytes overflow", name);
    }
    if (*rank == 0) dim[(*rank)++] = 1;
    return TSR_OK;
}

/* The header's text: *text, *text_size, and where the data begins. */
static tsr_status find_header(tsr_context *ctx, const char *name, const uint8_t *p, size_t size,
                              const char **text, size_t *text_size) {
    if (size < 10 || memcmp(p, magic, sizeof magic) != 0)
        return tsr_fail(ctx, size < 10 ? TSR_ERROR_TRUNCATED : TSR_ERROR_FORMAT,
                        "%s: wanted an .npy file, got other bytes", name);
    size_t before = p[6] == 1 ? 10 : 12;
    if (p[6] < 1 || p[6] > 3)
        return tsr_fail(ctx, TSR_ERROR_VERSION, "%s: version: wanted 1, 2 or 3, got %d", name,
                        p[6]);
    if (size < before) return tsr_fail(ctx, TSR_ERROR_TRUNCATED, "%s: header: it ends early", name);
    size_t length = (size_t)p[8] | (size_t)p[9] << 8;
    if (before == 12) length |= (size_t)p[10] << 16 | (size_t)p[11] << 24;
    if (length > size - before)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED, "%s: header: wanted %zu bytes, got %zu", name,
                        length, size - before);
    *text = (const char *)p + before;
    *text_size = length;
    return TSR_OK;
}

/* descr: order, kind, number. Records are lists, and objects are pickles. */
static tsr_status read_descr(tsr_context *ctx, const char *name, const cJSON *descr,
                             tsr_npy_header *h) {
    const char *text = cJSON_IsString(descr) ? descr->valuestring : "a structure";
    char *end = NULL;
    const size_t length = strlen(text);
    const unsigned long units = length > 2 && length < 12 && text[2] >= '0' && text[2] <= '9'
                                    ? strtoul(text + 2, &end, 10)
                                    : 0;
    h->kind = length > 1 ? text[1] : 0;
    h->units = (uint32_t)units;
    h->big = text[0] == '>';
    h->bytes = h->kind == 'U' ? 4 * (size_t)units : (size_t)units;
    const bool good = end && !*end && h->kind && units && units <= 1u << 28 &&
                      strchr("<>|", text[0]) && strchr("uifbcUSV", h->kind) &&
                      (text[0] != '|' || units == 1 || h->kind == 'S');
    if (good) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: descr: wanted a plain type with its byte order, like <u2, got %.40s", name,
                    text);
}

static tsr_status read_dims(tsr_context *ctx, const char *name, const cJSON *shape,
                            tsr_npy_header *h) {
    uint64_t product = h->bytes;
    bool empty = false;
    for (const cJSON *d = shape->child; d; d = d->next) {
        if (h->rank == TSR_MAX_RANK)
            return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: shape: wanted at most %d dimensions, got %d", name, TSR_MAX_RANK,
                            cJSON_GetArraySize(shape));
        if (!cJSON_IsNumber(d) || !(d->valuedouble >= 0 && d->valuedouble <= 0x1p53) ||
            d->valuedouble != (double)(int64_t)d->valuedouble)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: shape: wanted whole numbers from 0 to 2^53",
                            name);
        const uint64_t n = h->dim[h->rank++] = (uint64_t)d->valuedouble;
        if (n == 0)
            empty = true;
        else if (product > (uint64_t)INT64_MAX / n)
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: shape: its bytes overflow", name);
        else
            product *= n;
    }
    h->data_bytes = empty ? 0 : product;
    h->elements = h->data_bytes / h->bytes;
    return TSR_OK;
}

tsr_status tsr_npy_describe(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            tsr_npy_header *h) {
    const char *text = NULL;
    size_t text_size = 0;
    *h = (tsr_npy_header){0};
    tsr_status s = find_header(ctx, name, bytes, size, &text, &text_size);
    cJSON *dict = NULL;
    if (!s) s = tsr_python_repr_parse(ctx, name, text, text_size, &dict);
    if (s) return s;
    const cJSON *descr = cJSON_GetObjectItemCaseSensitive(dict, "descr");
    const cJSON *order = cJSON_GetObjectItemCaseSensitive(dict, "fortran_order");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(dict, "shape");
    if (!cJSON_IsObject(dict) || cJSON_GetArraySize(dict) != 3 || !descr || !cJSON_IsBool(order) ||
        !cJSON_IsArray(shape))
        s = tsr_fail(ctx, TSR_ERROR_FORMAT,
                     "%s: header: wanted a dict with descr, fortran_order and shape alone", name);
    if (!s) s = read_descr(ctx, name, descr, h);
    if (!s) s = read_dims(ctx, name, shape, h);
    h->fortran = !s && cJSON_IsTrue(order);
    h->data_at = (size_t)(text - (const char *)bytes) + text_size;
    cJSON_Delete(dict);
    return s;
}

size_t tsr_npy_header_make(const char *descr, const uint64_t *dim, int rank,
                           char header[TSR_NPY_HEADER_BYTES]) {
    char shape[128] = "";
    for (int i = 0, n = 0; i < rank; ++i)
        n += snprintf(shape + n, sizeof shape - (size_t)n, i ? ", %llu" : "%llu",
                      (unsigned long long)dim[i]);
    const int n = snprintf(header, TSR_NPY_HEADER_BYTES,
                           "%.6s%c%c..{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }",
                           magic, 1, 'v', descr, shape, rank == 1 ? "," : "");
    /* Spaces and a newline, so that the data starts at a multiple of 64. */
    const size_t total = ((size_t)n + 1 + 63) / 64 * 64;
    memset(header + n, ' ', total - (size_t)n);
    header[total - 1] = '\n';
    header[7] = 0; /* version 1.0 */
    header[8] = (char)((total - 10) & 0xFF);
    header[9] = (char)((total - 10) >> 8);
    return total;
}

static void convert(const element *e, const uint8_t *from, void *to, size_t count) {
    if (strcmp(e->text, "<f8") == 0) {
        for (size_t i = 0; i < count; ++i) {
            double d;
            memcpy(&d, from + 8 * i, 8);
            ((float *)to)[i] = (float)d;
        }
    } else if (strcmp(e->text, "<u2") == 0) {
        for (size_t i = 0; i < count; ++i)
            ((int32_t *)to)[i] = (int32_t)(from[2 * i] | from[2 * i + 1] << 8);
    } else if (count) {
        memcpy(to, from, count * e->bytes);
    }
}

tsr_status tsr_npy_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                         tsr_tensor *tensor) {
    *tensor = (tsr_tensor){0};
    const char *text = NULL;
    size_t text_size = 0;
    tsr_status status = find_header(ctx, name, bytes, size, &text, &text_size);
    if (status) return status;
    cJSON *dict;
    status = tsr_python_repr_parse(ctx, name, text, text_size, &dict);
    if (status) return status;
    const element *e = NULL;
    int rank = 0;
    int64_t dim[TSR_MAX_RANK] = {1, 1, 1, 1};
    status = read_fields(ctx, name, dict, &e, &rank, dim);
    cJSON_Delete(dict);
    if (status) return status;

    const uint8_t *data = (const uint8_t *)text + text_size;
    size_t have = size - (size_t)(data - (const uint8_t *)bytes);
    /* Dimensions of 0 aside, the product must not overflow: nobody computes with such shapes. */
    uint64_t wanted = e->bytes;
    bool empty = false;
    for (int i = 0; i < rank; ++i) {
        if (dim[i] == 0)
            empty = true;
        else if (wanted > (uint64_t)INT64_MAX / (uint64_t)dim[i])
            return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: shape: its bytes overflow", name);
        else
            wanted *= (uint64_t)dim[i];
    }
    if (empty) wanted = 0;
    if (wanted != have)
        return tsr_fail(ctx, wanted > have ? TSR_ERROR_TRUNCATED : TSR_ERROR_FORMAT,
                        "%s: data: wanted %llu bytes, got %zu", name, (unsigned long long)wanted,
                        have);
    size_t count = (size_t)wanted / e->bytes;
    void *copy = tsr_alloc(ctx, count, tsr_dtype_bytes(e->dtype), name);
    if (!copy) return TSR_ERROR_MEMORY;
    convert(e, data, copy, count);
    *tensor = tsr_host_tensor(e->dtype, copy, rank, dim);
    return TSR_OK;
}

tsr_status tsr_npy_read(tsr_context *ctx, const char *path, tsr_tensor *tensor) {
    *tensor = (tsr_tensor){0};
    tsr_map map;
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    status = tsr_npy_parse(ctx, path, map.bytes, map.size, tensor);
    tsr_map_close(&map);
    return status;
}

/* The header and the bytes behind it. */
static tsr_status write_file(tsr_context *ctx, const char *path, const char *descr, int rank,
                             const int64_t *dim, const void *data, size_t bytes) {
    uint64_t shape[TSR_MAX_RANK];
    char header[TSR_NPY_HEADER_BYTES];
    for (int i = 0; i < rank; ++i)
        shape[i] = (uint64_t)dim[i];
    const size_t total = tsr_npy_header_make(descr, shape, rank, header);
    tsr_out out;
    tsr_status status = tsr_out_open(ctx, path, &out);
    if (!status) status = tsr_out_write(ctx, &out, header, total);
    if (!status) status = tsr_out_write(ctx, &out, data, bytes);
    if (!status) status = tsr_out_commit(ctx, &out);
    tsr_out_abandon(&out);
    return status;
}

tsr_status tsr_npy_write(tsr_context *ctx, const char *path, const tsr_tensor *tensor) {
    static const struct {
        tsr_dtype dtype;
        const char *descr;
    } written[] = {{TSR_DTYPE_F32, "<f4"},
                   {TSR_DTYPE_F16, "<f2"},
                   {TSR_DTYPE_I32, "<i4"},
                   {TSR_DTYPE_I64, "<i8"},
                   {TSR_DTYPE_U8, "|u1"}};
    const char *descr = NULL;
    for (size_t i = 0; i < sizeof written / sizeof *written; ++i)
        if (written[i].dtype == tensor->dtype) descr = written[i].descr;
    if (!descr)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: dtype: wanted one NumPy has, got %s", path,
                        tsr_dtype_name(tensor->dtype));
    int64_t count = tsr_elements(tensor);
    if (tensor->rank < 1 || tensor->rank > TSR_MAX_RANK || count < 0 || (count && !tensor->data))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted a host tensor", path);

    return write_file(ctx, path, descr, tensor->rank, tensor->dim, tensor->data,
                      (size_t)count * tsr_dtype_bytes(tensor->dtype));
}

/* ---- float64 ---- */

tsr_status tsr_npy_parse_doubles(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                                 tsr_npy_doubles *array) {
    tsr_npy_header h;
    *array = (tsr_npy_doubles){0};
    tsr_status status = tsr_npy_describe(ctx, name, bytes, size, &h);
    if (status) return status;
    if (h.kind != 'f' || h.big || (h.bytes != 8 && h.bytes != 4) || (h.fortran && h.rank > 1))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: descr: wanted <f8 or <f4 in C order, got %c%c%u%s", name,
                        h.big ? '>' : '<', h.kind, h.units, h.fortran ? " in Fortran order" : "");
    if (h.data_bytes != size - h.data_at)
        return tsr_fail(ctx,
                        h.data_bytes > size - h.data_at ? TSR_ERROR_TRUNCATED : TSR_ERROR_FORMAT,
                        "%s: data: wanted %llu bytes, got %zu", name,
                        (unsigned long long)h.data_bytes, size - h.data_at);
    double *values = tsr_alloc(ctx, (size_t)h.elements + 1, sizeof *values, name);
    if (!values) return TSR_ERROR_MEMORY;
    const uint8_t *from = (const uint8_t *)bytes + h.data_at;
    for (size_t i = 0; i < h.elements; ++i) {
        float single;
        if (h.bytes == 8) {
            memcpy(&values[i], from + 8 * i, 8);
            continue;
        }
        memcpy(&single, from + 4 * i, 4);
        values[i] = (double)single;
    }
    *array = (tsr_npy_doubles){.values = values, .rank = h.rank, .count = (int64_t)h.elements};
    for (int i = 0; i < h.rank; ++i)
        array->dim[i] = (int64_t)h.dim[i];
    return TSR_OK;
}

tsr_status tsr_npy_read_doubles(tsr_context *ctx, const char *path, tsr_npy_doubles *array) {
    *array = (tsr_npy_doubles){0};
    tsr_map map;
    tsr_status status = tsr_map_open(ctx, path, &map);
    if (status) return status;
    status = tsr_npy_parse_doubles(ctx, path, map.bytes, map.size, array);
    tsr_map_close(&map);
    return status;
}

tsr_status tsr_npy_write_doubles(tsr_context *ctx, const char *path, const double *values, int rank,
                                 const int64_t *dim) {
    size_t count = 1;
    if (!values || rank < 1 || rank > TSR_MAX_RANK)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "%s: wanted an array of 1 to %d dimensions", path,
                        TSR_MAX_RANK);
    for (int i = 0; i < rank; ++i)
        count *= (size_t)dim[i];
    return write_file(ctx, path, "<f8", rank, dim, values, count * sizeof *values);
}
