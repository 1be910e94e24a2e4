/* SPDX-License-Identifier: MIT */
/* token_set.c: making, filling, checking and undoing token sets. */
#include "token_set.h"
#include "../compute/cpu/simd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t tsr_array_type_bytes(tsr_array_type type) {
    return type == TSR_ARRAY_F64 ? sizeof(double) : sizeof(float);
}

int64_t tsr_token_array_elements(const tsr_token_array *array) {
    int64_t n = 1;
    for (int i = 0; i < array->rank; ++i)
        n *= array->dim[i];
    return n;
}

void tsr_token_set_close(tsr_token_set **set) {
    if (!set || !*set) return;
    tsr_token_set *s = *set;
    for (int i = 0; i < s->column_count; ++i)
        free(s->columns[i]);
    for (int i = 0; i < s->trace_count; ++i)
        free(s->traces[i]);
    free(s->features);
    free(s->source_map);
    free(s->positions);
    free(s->sizes);
    free(s);
    *set = NULL;
}

tsr_token_set *tsr_token_set_make(tsr_context *ctx, int64_t source, int64_t count,
                                  int64_t channels) {
    size_t elements = 0;
    tsr_token_set *s = tsr_alloc(ctx, 1, sizeof *s, "token set");
    if (!s) return NULL;
    s->ctx = ctx;
    s->source = source;
    s->count = count;
    s->channels = channels;
    if (__builtin_mul_overflow((size_t)count, (size_t)channels, &elements)) elements = SIZE_MAX;
    s->features = tsr_alloc_raw(ctx, elements, sizeof *s->features, "features");
    if (s->features)
        s->source_map = tsr_alloc(ctx, (size_t)source, sizeof *s->source_map, "source map");
    if (s->source_map)
        s->positions = tsr_alloc(ctx, 3 * (size_t)count, sizeof *s->positions, "positions");
    if (s->positions) s->sizes = tsr_alloc(ctx, (size_t)count, sizeof *s->sizes, "sizes");
    if (!s->sizes) tsr_token_set_close(&s);
    return s;
}

/* How many of n numbers are finite before the first block that has one which is not: the exponent
 * bits of such are all set, and a block is asked at once. */
TSR_CLONES static int64_t finite_blocks(const float *x, int64_t n) {
    enum { BLOCK = 256 };
    int64_t i = 0;
    for (; i + BLOCK <= n; i += BLOCK) {
        uint32_t bad = 0;
        for (int j = 0; j < BLOCK; ++j) {
            uint32_t bits;
            memcpy(&bits, &x[i + j], sizeof bits);
            bad |= (bits & 0x7F800000u) == 0x7F800000u;
        }
        if (bad) break;
    }
    return i;
}

/* Index of the first value that is not finite, or -1. */
static int64_t first_not_finite(tsr_array_type type, const void *data, int64_t n) {
    for (int64_t i = type == TSR_ARRAY_F32 ? finite_blocks(data, n) : 0; i < n; ++i) {
        if (type == TSR_ARRAY_F32 && !isfinite(((const float *)data)[i])) return i;
        if (type == TSR_ARRAY_F64 && !isfinite(((const double *)data)[i])) return i;
    }
    return -1;
}

static tsr_status check_features(tsr_context *ctx, const char *name, const float *features,
                                 int64_t count, int64_t channels) {
    const int64_t bad = first_not_finite(TSR_ARRAY_F32, features, count * channels);
    if (bad < 0) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_FORMAT,
                    "%s: features: token %lld, channel %lld: wanted a finite number, got %g", name,
                    (long long)(bad / channels), (long long)(bad % channels),
                    (double)features[bad]);
}

tsr_status tsr_token_set_create(tsr_context *ctx, const float *features, int64_t count,
                                int64_t channels, const int64_t *grid, tsr_token_set **set) {
    if (set) *set = NULL;
    if (!ctx || !features || !set)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token set: wanted features and a place for the set, got NULL");
    if (count < 1 || count > INT32_MAX || channels < 1 || channels > INT32_MAX)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token set: wanted 1 token or more of 1 channel or more, below 2^31 each, "
                        "got %lld of %lld",
                        (long long)count, (long long)channels);
    if (grid &&
        (grid[0] < 1 || grid[1] < 1 || grid[2] < 1 || grid[0] > count || grid[1] > count ||
         grid[2] > count || grid[0] * grid[1] > count || grid[0] * grid[1] * grid[2] != count))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "token set: grid: wanted frames x rows x columns of %lld tokens, got "
                        "%lld x %lld x %lld",
                        (long long)count, (long long)grid[0], (long long)grid[1],
                        (long long)grid[2]);
    tsr_status status = check_features(ctx, "token set", features, count, channels);
    if (status) return TSR_ERROR_ARGUMENT;
    tsr_token_set *s = tsr_token_set_make(ctx, count, count, channels);
    if (!s) return TSR_ERROR_MEMORY;
    memcpy(s->features, features, (size_t)(count * channels) * sizeof *features);
    for (int64_t i = 0; i < count; ++i) {
        s->source_map[i] = (int32_t)i;
        s->sizes[i] = 1;
        if (grid) {
            s->positions[3 * i] = (float)(i / (grid[1] * grid[2]));
            s->positions[3 * i + 1] = (float)(i / grid[2] % grid[1]);
        }
        s->positions[3 * i + 2] = (float)(grid ? i % grid[2] : i);
    }
    for (int i = 0; i < 3; ++i)
        s->grid[i] = s->source_grid[i] = grid ? grid[i] : 0;
    *set = s;
    return TSR_OK;
}

tsr_status tsr_token_set_give(tsr_token_set *set, const float *features, int64_t channels) {
    const size_t values = (size_t)(set->count * channels);
    if (channels != set->channels) {
        float *wider = tsr_alloc(set->ctx, values, sizeof *wider, "token set: features");
        if (!wider) return TSR_ERROR_MEMORY;
        free(set->features);
        set->features = wider;
        set->channels = channels;
    }
    memcpy(set->features, features, values * sizeof *features);
    return TSR_OK;
}

void tsr_token_set_info_get(const tsr_token_set *set, tsr_token_set_info *info) {
    if (!info) return;
    *info = (tsr_token_set_info){.stream = ""};
    if (!set) return;
    info->source = set->source;
    info->count = set->count;
    info->channels = set->channels;
    for (int i = 0; i < 3; ++i) {
        info->grid[i] = set->grid[i];
        info->source_grid[i] = set->source_grid[i];
    }
    info->features = set->features;
    info->source_map = set->source_map;
    info->positions = set->positions;
    info->sizes = set->sizes;
    info->stream = set->stream;
}

/* ---- columns and trace ---- */

static int find(tsr_owned_array *const *list, int count, const char *name) {
    for (int i = 0; i < count; ++i)
        if (!strcmp(list[i]->name, name)) return i;
    return -1;
}

static tsr_status check_array(const tsr_token_set *set, const tsr_token_array *a) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    static const char *const taken[] = {"features", "source_map", "positions", "sizes"};
    const size_t length = a->name ? strlen(a->name) : 0;
    if (!length || length >= TSR_TOKEN_NAME || strspn(a->name, letters) != length)
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "token set: column: wanted a name of 1 to 63 letters, digits, _ - and ., "
                        "got \"%.80s\"",
                        a->name ? a->name : "");
    for (size_t i = 0; i < sizeof taken / sizeof *taken; ++i)
        if (!strcmp(a->name, taken[i]))
            return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                            "token set: column: wanted a name of its own, got \"%s\"", a->name);
    int64_t n = 1;
    if (a->rank < 1 || a->rank > TSR_TOKEN_SET_MAX_RANK || !a->data)
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "token set: column %s: wanted data of 1 to %d dimensions, got %d", a->name,
                        TSR_TOKEN_SET_MAX_RANK, a->rank);
    for (int i = 0; i < a->rank; ++i)
        if (a->dim[i] < 1 || __builtin_mul_overflow(n, a->dim[i], &n) || n > INT64_MAX / 8)
            return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                            "token set: column %s: wanted positive dimensions, got %lld", a->name,
                            (long long)a->dim[i]);
    const int64_t last = a->dim[a->rank - 1], k = set->count;
    if (a->axis == TSR_TOKEN_AXIS_FIRST  ? a->dim[0] != k
        : a->axis == TSR_TOKEN_AXIS_LAST ? last != k
        : a->axis == TSR_TOKEN_AXIS_SQUARE
            ? a->rank < 2 || a->dim[a->rank - 2] != last || (last != k && last != k + 1)
            : a->axis != TSR_TOKEN_AXIS_NONE)
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "token set: column %s: wanted %lld tokens along its token axis, got %lld",
                        a->name, (long long)k,
                        (long long)(a->axis == TSR_TOKEN_AXIS_FIRST ? a->dim[0] : last));
    const int64_t bad = first_not_finite(a->type, a->data, n);
    if (bad >= 0)
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "token set: column %s: value %lld: wanted a finite number, got %g", a->name,
                        (long long)bad,
                        a->type == TSR_ARRAY_F64 ? ((const double *)a->data)[bad]
                                                 : (double)((const float *)a->data)[bad]);
    return TSR_OK;
}

static tsr_status put(tsr_token_set *set, tsr_owned_array **list, int *count,
                      const tsr_token_array *a) {
    const size_t bytes = (size_t)tsr_token_array_elements(a) * tsr_array_type_bytes(a->type);
    const int old = find(list, *count, a->name);
    if (old < 0 && *count == TSR_TOKEN_SET_COLUMNS)
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "token set: column %s: wanted at most %d columns, got one more", a->name,
                        TSR_TOKEN_SET_COLUMNS);
    const size_t head = (sizeof(tsr_owned_array) + 15) & ~(size_t)15;
    tsr_owned_array *owned = tsr_alloc(set->ctx, 1, head + bytes, a->name);
    if (!owned) return TSR_ERROR_MEMORY;
    owned->array = *a;
    strcpy(owned->name, a->name);
    owned->array.name = owned->name;
    owned->array.data = (char *)owned + head;
    memcpy((char *)owned + head, a->data, bytes);
    if (old >= 0) free(list[old]);
    list[old >= 0 ? old : (*count)++] = owned;
    return TSR_OK;
}

tsr_status tsr_token_set_add(tsr_token_set *set, const tsr_token_array *array) {
    if (!set || !array) return TSR_ERROR_ARGUMENT;
    tsr_status status = check_array(set, array);
    return status ? status : put(set, set->columns, &set->column_count, array);
}

tsr_status tsr_token_set_add_trace(tsr_token_set *set, const tsr_token_array *array) {
    return put(set, set->traces, &set->trace_count, array);
}

static tsr_token_array at(tsr_owned_array *const *list, int count, int index) {
    return index < 0 || index >= count ? (tsr_token_array){0} : list[index]->array;
}
int tsr_token_set_column_count(const tsr_token_set *set) {
    return set ? set->column_count : 0;
}
tsr_token_array tsr_token_set_column_at(const tsr_token_set *set, int index) {
    return set ? at(set->columns, set->column_count, index) : (tsr_token_array){0};
}
tsr_token_array tsr_token_set_column(const tsr_token_set *set, const char *name) {
    if (!set || !name) return (tsr_token_array){0};
    return at(set->columns, set->column_count, find(set->columns, set->column_count, name));
}
int tsr_token_set_trace_count(const tsr_token_set *set) {
    return set ? set->trace_count : 0;
}
tsr_token_array tsr_token_set_trace_at(const tsr_token_set *set, int index) {
    return set ? at(set->traces, set->trace_count, index) : (tsr_token_array){0};
}
tsr_token_array tsr_token_set_trace(const tsr_token_set *set, const char *name) {
    if (!set || !name) return (tsr_token_array){0};
    return at(set->traces, set->trace_count, find(set->traces, set->trace_count, name));
}

tsr_status tsr_token_set_copy(const tsr_token_set *set, tsr_token_set **copy) {
    tsr_token_set *c = tsr_token_set_make(set->ctx, set->source, set->count, set->channels);
    tsr_status status = c ? TSR_OK : TSR_ERROR_MEMORY;
    *copy = NULL;
    if (status) return status;
    memcpy(c->features, set->features, (size_t)(set->count * set->channels) * sizeof(float));
    memcpy(c->source_map, set->source_map, (size_t)set->source * sizeof(int32_t));
    memcpy(c->positions, set->positions, 3 * (size_t)set->count * sizeof(float));
    memcpy(c->sizes, set->sizes, (size_t)set->count * sizeof(float));
    memcpy(c->grid, set->grid, sizeof c->grid);
    memcpy(c->source_grid, set->source_grid, sizeof c->source_grid);
    memcpy(c->stream, set->stream, sizeof c->stream);
    for (int i = 0; i < set->column_count && !status; ++i)
        status = put(c, c->columns, &c->column_count, &set->columns[i]->array);
    if (status)
        tsr_token_set_close(&c);
    else
        *copy = c;
    return status;
}

tsr_status tsr_token_set_check(const tsr_token_set *set, const char *name) {
    tsr_status status = check_features(set->ctx, name, set->features, set->count, set->channels);
    if (status) return status;
    for (int64_t i = 0; i < 3 * set->count; ++i)
        if (!isfinite(set->positions[i]))
            return tsr_fail(set->ctx, TSR_ERROR_FORMAT,
                            "%s: positions: token %lld: wanted finite numbers, got %g", name,
                            (long long)(i / 3), (double)set->positions[i]);
    int32_t *held = tsr_alloc(set->ctx, (size_t)set->count, sizeof *held, "source tokens");
    if (!held) return TSR_ERROR_MEMORY;
    for (int64_t i = 0; i < set->source && !status; ++i) {
        const int32_t token = set->source_map[i];
        if (token < -1 || token >= set->count)
            status = tsr_fail(set->ctx, TSR_ERROR_FORMAT,
                              "%s: source_map: source token %lld: wanted -1 or a token below %lld, "
                              "got %d",
                              name, (long long)i, (long long)set->count, (int)token);
        else if (token >= 0)
            ++held[token];
    }
    for (int64_t i = 0; i < set->count && !status; ++i)
        if (set->sizes[i] != (float)held[i])
            status = tsr_fail(set->ctx, TSR_ERROR_FORMAT,
                              "%s: sizes: token %lld: wanted %d, the source tokens the map gives "
                              "it, got %g",
                              name, (long long)i, (int)held[i], (double)set->sizes[i]);
    free(held);
    return status;
}

/* ---- undoing and comparing ---- */

tsr_status tsr_token_set_unmerge(const tsr_token_set *set, float *features) {
    if (!set) return TSR_ERROR_ARGUMENT;
    if (!features)
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "unmerge: features: wanted an address, got NULL");
    const size_t row = (size_t)set->channels * sizeof *features;
    for (int64_t i = 0; i < set->source; ++i)
        if (set->source_map[i] < 0)
            memset(features + i * set->channels, 0, row);
        else
            memcpy(features + i * set->channels, set->features + set->source_map[i] * set->channels,
                   row);
    return TSR_OK;
}

tsr_status tsr_token_set_fits(const tsr_token_set *original, const tsr_token_set *set) {
    if (original->count != set->source || original->channels != set->channels)
        return tsr_fail(set->ctx, TSR_ERROR_ARGUMENT,
                        "compare: wanted a set made of %lld tokens of %lld channels, got one of "
                        "%lld of %lld",
                        (long long)original->count, (long long)original->channels,
                        (long long)set->source, (long long)set->channels);
    return TSR_OK;
}

tsr_status tsr_token_set_compare(const tsr_token_set *original, const tsr_token_set *set,
                                 tsr_token_set_comparison *comparison) {
    if (!original || !set || !comparison) return TSR_ERROR_ARGUMENT;
    const tsr_status status = tsr_token_set_fits(original, set);
    if (status) return status;
    double cosines = 0, error = 0, energy = 0;
    int64_t held = 0;
    for (int64_t i = 0; i < set->source; ++i) {
        const float *x = original->features + i * set->channels;
        const int32_t token = set->source_map[i];
        const float *y = token < 0 ? NULL : set->features + token * set->channels;
        double xx = 0, yy = 0, xy = 0, difference = 0;
        for (int64_t j = 0; j < set->channels; ++j) {
            const double a = x[j], b = y ? y[j] : 0;
            xx += a * a;
            yy += b * b;
            xy += a * b;
            difference += (a - b) * (a - b);
        }
        energy += xx;
        error += difference;
        held += token >= 0;
        if (xx > 0 && yy > 0) cosines += xy / sqrt(xx * yy);
    }
    *comparison = (tsr_token_set_comparison){
        .kept = set->count,
        .source = set->source,
        .dropped = set->source - held,
        .cosine = cosines / (double)set->source,
        .cosine_held = held ? cosines / (double)held : NAN,
        .squared_error = energy > 0 ? error / energy : 0,
    };
    return TSR_OK;
}
