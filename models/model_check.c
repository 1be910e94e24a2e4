/* SPDX-License-Identifier: MIT */
/* model_check.c: every tensor of a weight file against what its family loads, and the memory a run
 * would need. */
#include "model_file.h"
#include "tiles.h"
#include "../nn/load_weights.h"
#include "../compute/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct checker {
    tsr_context *ctx;
    tsr_model *m; /* open as far as weights and family */
    tsr_token_header header;
    tsr_check_fn line;
    void *user;
    tsr_model_check_report *report;
    bool *known;     /* [tensors of the file] the family loads the tensor */
    tsr_arena arena; /* weights without values, for families that look at a shape they named */
} checker;

static void say(checker *c, tsr_check_kind kind, const char *name, const char *text) {
    uint64_t *const counts[] = {&c->report->missing, &c->report->misshapen, &c->report->extra,
                                &c->report->other, &c->report->unusable};
    ++*counts[kind];
    if (c->line) c->line(c->user, kind, name, text);
}

static void shape_text(const tsr_safetensors_info *info, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, info->rank ? "[" : "[1");
    for (int d = 0; d < info->rank && used < size; ++d)
        used += (size_t)snprintf(text + used, size - used, d ? ", %lld" : "%lld",
                                 (long long)info->dim[d]);
    if (used < size) snprintf(text + used, size - used, "]");
}

/* fn of a tsr_weight_loader that loads nothing: the family gets a weight of the shape it names. */
static tsr_status check_tensor(void *user, const char *name, int rank, const int64_t *dim,
                               tsr_weight **where) {
    checker *c = user;
    tsr_weight *w = tsr_arena_take(c->ctx, &c->arena, sizeof *w);
    if (!w) return TSR_ERROR_MEMORY;
    *w = (tsr_weight){.tensor = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim), .name = ""};
    *where = w;
    char text[320], wanted[96], got[96];
    const tsr_tensor want = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    int index = tsr_safetensors_find(c->m->weights, name);
    c->report->expected++;
    tsr_shape_text(&want, wanted, sizeof wanted);
    if (index < 0) {
        snprintf(text, sizeof text, "wanted %s, got none", wanted);
        say(c, TSR_CHECK_MISSING, name, text);
        return TSR_OK;
    }
    c->known[index] = true;
    const tsr_tensor shape = tsr_file_weight(c->m->weights, index), *t = &shape;
    bool fits = t->rank == rank;
    for (int i = 0; fits && i < rank; ++i)
        fits = dim[i] == t->dim[i];
    bool floats =
        t->dtype == TSR_DTYPE_F32 || t->dtype == TSR_DTYPE_F16 || t->dtype == TSR_DTYPE_BF16;
    if (fits && floats) return TSR_OK;
    tsr_safetensors_info info;
    tsr_safetensors_describe(c->m->weights, index, &info);
    shape_text(&info, got, sizeof got);
    snprintf(text, sizeof text, "wanted %s of F32, F16 or BF16, got %s of %.40s", wanted, got,
             info.dtype);
    say(c, TSR_CHECK_SHAPE, name, text);
    return TSR_OK;
}

/* What belongs to nothing; counters and what only training needs are nobody's weights. */
static void find_extra(checker *c) {
    for (int i = 0; i < tsr_safetensors_count(c->m->weights); ++i) {
        const tsr_tensor *t = tsr_safetensors_tensor(c->m->weights, i);
        char text[160], got[96];
        bool floats =
            t->dtype == TSR_DTYPE_F32 || t->dtype == TSR_DTYPE_F16 || t->dtype == TSR_DTYPE_BF16;
        const char *name = tsr_safetensors_name(c->m->weights, i);
        if (c->known[i] || !floats || tsr_model_only_training(name)) continue;
        snprintf(text, sizeof text, "wanted none of this name, got %s",
                 tsr_shape_text(t, got, sizeof got));
        say(c, TSR_CHECK_EXTRA, name, text);
    }
}

/* One tile through a device that computes nothing. */
static tsr_status plan(checker *c, tsr_device *device) {
    const tsr_token_header *h = &c->header;
    const uint32_t frames = h->tile_frames ? h->tile_frames : 1;
    const size_t pixels = (size_t)frames * h->tile_width * h->tile_height * 3;
    const bool selects = c->m->family->tokenizer->abilities & TSR_TOKENIZER_SELECTS;
    tsr_sampling sampling = {.hints = h->hints};
    if (sampling.hints.steps > 1) sampling.hints.steps = 1; /* each step needs the same */
    tsr_scratch scratch = {.ctx = c->ctx};
    uint8_t *tile = tsr_scratch_take(&scratch, pixels, 1, "tile");
    float *rgb = tsr_scratch_take(&scratch, pixels, sizeof *rgb, "tile");
    tsr_token_batch batch = tsr_token_batch_take(&scratch, h, 1, selects);
    tsr_status status = scratch.status;
    const tsr_pixels in = {tile, 1, {frames, h->tile_height, h->tile_width}};
    if (!status) status = tsr_encode_tiles(c->m, &in, &(tsr_encode_request){0}, &batch);
    if (!status) {
        c->report->encode_bytes = tsr_device_peak_bytes(device);
        memset(batch.values, 0, batch.capacity * tsr_token_batch_value_bytes(&batch));
        batch.counts[0] = batch.capacity;
        batch.frames = h->tile_frames;
        tsr_token_batch all = batch;
        all.kept = NULL; /* every position has a token */
        status = tsr_decode_tiles(c->m, &all, &sampling, pixels, rgb);
    }
    if (!status) c->report->decode_bytes = tsr_device_peak_bytes(device);
    tsr_scratch_free(&scratch);
    return status;
}

/* One picture's usual features through a device that computes nothing. */
static tsr_status plan_tower(checker *c, tsr_device *device) {
    const tsr_tower_ops *ops = c->m->family->tower;
    enum { UNSIZED = 448 }; /* pixels of a side where pictures keep their shape */
    tsr_tower_info info = {0};
    tsr_feature_sizes size;
    ops->describe(c->m->state, &info);
    const uint32_t width = info.view.width ? info.view.width : UNSIZED;
    const uint32_t height = info.view.height ? info.view.height : UNSIZED;
    tsr_scratch scratch = {.ctx = c->ctx};
    uint8_t *tile = tsr_scratch_take(&scratch, (size_t)width * height, 3, "tile");
    const tsr_pixels in = {tile, 1, {1, height, width}};
    tsr_status status = scratch.status;
    if (!status) status = ops->sizes(c->m->state, in.tile, &size);
    tsr_feature wanted = {.kind = TSR_FEATURE_PATCHES, .layer = TSR_LAYER_USUAL};
    if (!status)
        wanted.values = tsr_scratch_take(&scratch, (size_t)size.patches * info.channels,
                                         sizeof(float), "features");
    if (!status) status = scratch.status;
    if (!status) status = ops->features(c->m->state, &in, &wanted, 1);
    if (!status) c->report->encode_bytes = tsr_device_peak_bytes(device);
    tsr_scratch_free(&scratch);
    return status;
}

/* One picture, or one pair, through a device that computes nothing. */
static tsr_status plan_judge(checker *c, tsr_device *device) {
    const tsr_judge_ops *ops = c->m->family->judge;
    enum { UNSIZED = 256 }; /* pixels of a side of judges that take any size */
    tsr_judge_info info = {0};
    ops->describe(c->m->state, &info);
    const int width = info.width ? (int)info.width : UNSIZED;
    const int height = info.height ? (int)info.height : UNSIZED;
    tsr_scratch scratch = {.ctx = c->ctx};
    uint8_t *rgb = tsr_scratch_take(&scratch, (size_t)width * (size_t)height, 3, "picture");
    float *values =
        tsr_scratch_take(&scratch, info.outputs[0].channels + 1, sizeof *values, "values");
    tsr_reading *reading = tsr_scratch_take(&scratch, 1, sizeof *reading, "reading");
    const tsr_picture picture = {.rgb = rgb, .width = width, .height = height};
    double distance;
    tsr_status status = scratch.status;
    if (!status && ops->compare)
        status = ops->compare(c->m->state, &picture, &picture, 1, &distance);
    if (!status && ops->embed)
        status = ops->embed(c->m->state, &picture, 1, 0, (const int[]){0}, 1, &values);
    if (!status && ops->read)
        status = ops->read(c->m->state, &picture, 1, &(tsr_read_request){0}, reading);
    if (!status) c->report->encode_bytes = tsr_device_peak_bytes(device);
    tsr_scratch_free(&scratch);
    return status;
}

static tsr_status plan_model(checker *c) {
    tsr_model *m = c->m;
    tsr_device_settings s = tsr_device_settings_default();
    s.name = "cpu";
    s.plan = true;
    tsr_status status = tsr_device_open(c->ctx, &m->device, &s);
    if (status) return status;
    m->host = m->device;
    status = tsr_model_open_state(m);
    if (!status && m->family->tokenizer)
        status = m->family->tokenizer->describe(m->state, &c->header);
    if (status == TSR_ERROR_MODEL) { /* the families' own word goes beyond tensors */
        say(c, TSR_CHECK_OTHER, "", tsr_detail(c->ctx));
        return TSR_OK;
    }
    if (!status && m->family->tokenizer) status = plan(c, m->device);
    if (!status && m->family->tower) status = plan_tower(c, m->device);
    if (!status && m->family->judge) status = plan_judge(c, m->device);
    for (int i = 0; i < tsr_safetensors_count(m->weights) && !status; ++i)
        if (!c->report->expected || c->known[i])
            c->report->weight_bytes +=
                (uint64_t)tsr_elements(tsr_safetensors_tensor(m->weights, i)) * 4;
    return status;
}

/* Compares the tensors that the family loads with those of the file. */
static tsr_status compare_tensors(checker *c) {
    const tsr_model_source source = {c->ctx, c->m->weights, c->m->file};
    tsr_weight_loader loader = {.ctx = c->ctx, .path = c->m->file, .fn = check_tensor, .user = c};
    loader.status = tsr_file_weights(c->ctx, c->m->weights, &loader.weights);
    if (!loader.status) c->m->family->list_tensors(&source, &loader);
    tsr_weights_close(&loader.weights);
    return loader.status;
}

/* The values of what the family reads, all of them, once. */
static tsr_status check_values(checker *c) {
    uint64_t unused;
    tsr_status status = tsr_safetensors_hash(c->ctx, c->m->weights, &unused);
    for (int i = 0; i < tsr_safetensors_count(c->m->weights) && !status; ++i) {
        float value;
        const int64_t at = tsr_safetensors_unusable(c->m->weights, i, &value);
        if (at < 0 || (c->report->expected && !c->known[i])) continue;
        char text[128];
        snprintf(text, sizeof text, "wanted finite values with finite squares, got %g at %lld",
                 (double)value, (long long)at);
        say(c, TSR_CHECK_VALUE, tsr_safetensors_name(c->m->weights, i), text);
    }
    return status;
}

static tsr_status check(checker *c, const char *path) {
    tsr_status status = tsr_model_find(c->m, path);
    if (status) return status;
    snprintf(c->report->path, sizeof c->report->path, "%s", c->m->file);
    snprintf(c->report->family, sizeof c->report->family, "%s", c->m->family->name);
    c->known = tsr_alloc(c->ctx, (size_t)tsr_safetensors_count(c->m->weights) + 1, sizeof *c->known,
                         "tensors");
    if (!c->known) return TSR_ERROR_MEMORY;
    if (c->m->family->list_tensors) status = compare_tensors(c);
    if (!status) status = check_values(c);
    if (status) return status;
    if (!c->m->family->list_tensors) return plan_model(c);
    if (c->report->missing || c->report->misshapen) {
        find_extra(c);
        return TSR_OK;
    }
    /* All there: the family decides whether something is too much. */
    status = plan_model(c);
    if (!status && c->report->other) {
        const uint64_t before = c->report->extra;
        find_extra(c);
        if (c->report->extra > before) c->report->other = 0;
    }
    return status;
}

tsr_status tsr_model_check(tsr_context *ctx, const char *path, tsr_check_fn line, void *user,
                           tsr_model_check_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    tsr_model_check_report unused;
    if (!report) report = &unused;
    *report = (tsr_model_check_report){0};
    tsr_model model = {.ctx = ctx};
    checker c = {.ctx = ctx, .m = &model, .line = line, .user = user, .report = report};
    tsr_status status = check(&c, path);
    free(c.known);
    tsr_arena_free(&c.arena);
    tsr_model_close(&model);
    return status;
}

tsr_status tsr_model_check_values(tsr_model *m) {
    const int count = tsr_safetensors_count(m->weights);
    int first = 0;
    while (first < count && tsr_safetensors_unusable(m->weights, first, NULL) < 0)
        ++first;
    if (first == count) return TSR_OK; /* as nearly always: then nobody asks who reads what */
    tsr_model_check_report report = {0};
    checker c = {.ctx = m->ctx, .m = m, .report = &report};
    c.known = tsr_alloc(m->ctx, (size_t)count + 1, sizeof *c.known, "tensors");
    tsr_status status = c.known ? TSR_OK : TSR_ERROR_MEMORY;
    if (!status && m->family->list_tensors) status = compare_tensors(&c);
    for (int i = first; i < count && !status; ++i) {
        float value;
        const int64_t at = tsr_safetensors_unusable(m->weights, i, &value);
        if (at < 0 || (report.expected && !c.known[i])) continue;
        status = tsr_fail(
            m->ctx, TSR_ERROR_MODEL,
            "%s: tensor %.200s: wanted finite values with finite squares, got %g at %lld (tessera "
            "model check lists all such tensors)",
            m->file, tsr_safetensors_name(m->weights, i), (double)value, (long long)at);
    }
    free(c.known);
    tsr_arena_free(&c.arena);
    return status;
}
