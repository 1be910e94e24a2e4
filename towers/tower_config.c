/* SPDX-License-Identifier: MIT */
/* tower_config.c: see tower_config.h. */
#include "tower_config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const cJSON *item_of(const cJSON *object, const char *key) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNull(item) ? NULL : item;
}

tsr_tower_config tsr_tower_config_begin(tsr_context *ctx, const char *path, const cJSON *top) {
    const cJSON *vision = item_of(top, "vision_config");
    const bool language = item_of(top, "mm_vision_tower") || item_of(top, "vocab_size");
    if (!cJSON_IsObject(vision)) vision = language ? NULL : top;
    return (tsr_tower_config){.ctx = ctx, .path = path, .top = top, .vision = vision};
}

void tsr_tower_config_fail(tsr_tower_config *c, tsr_status status, const char *format, ...) {
    char text[512];
    if (c->status) return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    c->status = tsr_fail(c->ctx, status, "%s: config.json: %s", c->path, text);
}

double tsr_tower_config_real(tsr_tower_config *c, const char *key, double otherwise, double least,
                             double most) {
    const cJSON *item = item_of(c->vision, key);
    if (!item || c->status) return otherwise;
    if (cJSON_IsNumber(item) && item->valuedouble >= least && item->valuedouble <= most)
        return item->valuedouble;
    tsr_tower_config_fail(
        c, TSR_ERROR_MODEL, "%s: wanted a number from %g to %g, got %s%g", key, least, most,
        cJSON_IsNumber(item) ? "" : "none: ", cJSON_IsNumber(item) ? item->valuedouble : NAN);
    return otherwise;
}

int64_t tsr_tower_config_number(tsr_tower_config *c, const char *key, int64_t otherwise,
                                int64_t least, int64_t most) {
    const double number =
        tsr_tower_config_real(c, key, (double)otherwise, (double)least, (double)most);
    if (number != floor(number)) {
        tsr_tower_config_fail(c, TSR_ERROR_MODEL, "%s: wanted a whole number, got %g", key, number);
        return otherwise;
    }
    return (int64_t)number;
}

void tsr_tower_config_agree(tsr_tower_config *c, const char *key, int64_t number) {
    const int64_t said = tsr_tower_config_number(c, key, number, 0, INT32_MAX);
    if (said != number)
        tsr_tower_config_fail(c, TSR_ERROR_MODEL,
                              "%s: wanted %lld as the tensors have it, got %lld", key,
                              (long long)number, (long long)said);
}

void tsr_tower_config_need(tsr_tower_config *c, const char *key, bool value) {
    const cJSON *item = item_of(c->vision, key);
    if (item && cJSON_IsTrue(item) != value)
        tsr_tower_config_fail(c, TSR_ERROR_UNSUPPORTED, "%s: wanted %s, got something else", key,
                              value ? "true" : "false");
}

tsr_activation tsr_tower_config_activation(tsr_tower_config *c, const char *key,
                                           tsr_activation otherwise) {
    static const struct {
        const char *name;
        tsr_activation act;
    } known[] = {{"gelu", TSR_ACT_GELU},
                 {"quick_gelu", TSR_ACT_QUICK_GELU},
                 {"gelu_pytorch_tanh", TSR_ACT_GELU_TANH},
                 {"silu", TSR_ACT_SILU}};
    const cJSON *item = item_of(c->vision, key);
    const char *name = cJSON_GetStringValue(item);
    if (!item) return otherwise;
    for (unsigned i = 0; i < sizeof known / sizeof *known && name; ++i)
        if (!strcmp(known[i].name, name)) return known[i].act;
    tsr_tower_config_fail(c, TSR_ERROR_UNSUPPORTED,
                          "%s: wanted gelu, quick_gelu, gelu_pytorch_tanh or silu, got %.64s", key,
                          name ? name : "no text");
    return otherwise;
}

int tsr_tower_config_layer(tsr_tower_config *c, const char *key, int layers, int otherwise) {
    const cJSON *item = item_of(c->top, key);
    if (!item || c->status) return otherwise;
    const double said = cJSON_IsNumber(item) ? item->valuedouble : NAN;
    const double layer = said < 0 ? said + layers + 1 : said;
    if (layer >= 0 && layer <= layers && layer == floor(layer)) return (int)layer;
    tsr_tower_config_fail(c, TSR_ERROR_UNSUPPORTED, "%s: wanted one layer from -%d to %d, got %s%g",
                          key, layers + 1, layers, cJSON_IsNumber(item) ? "" : "none: ", said);
    return otherwise;
}

/* ---- preprocessor_config.json ------------------------------------------------------------ */

typedef struct reader {
    tsr_context *ctx;
    const char *path;
    const cJSON *json;
    tsr_status status;
} reader;

static void refuse(reader *r, tsr_status status, const char *key, const char *wanted) {
    if (!r->status)
        r->status = tsr_fail(r->ctx, status,
                             "%s: preprocessor_config.json: %s: wanted %s, got something else",
                             r->path, key, wanted);
}

/* Pixels of an item: 1 to 16384. */
static uint32_t pixels_of(reader *r, const cJSON *item, const char *key) {
    if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= 16384 &&
        item->valuedouble == floor(item->valuedouble))
        return (uint32_t)item->valuedouble;
    refuse(r, TSR_ERROR_MODEL, key, "1 to 16384 pixels");
    return 0;
}

/* A number, {"shortest_edge"} or {"height", "width"}. Returns whether it was there; of one number
 * both become that. */
static bool read_size(reader *r, const char *key, uint32_t *width, uint32_t *height,
                      bool *shortest) {
    const cJSON *item = item_of(r->json, key);
    if (!item) return false;
    const cJSON *edge = cJSON_IsObject(item) ? item_of(item, "shortest_edge") : item;
    *shortest = edge != NULL;
    *width = pixels_of(r, edge ? edge : item_of(item, "width"), key);
    *height = edge ? *width : pixels_of(r, item_of(item, "height"), key);
    return true;
}

static void read_three(reader *r, const char *key, double least, float three[3]) {
    const cJSON *list = item_of(r->json, key);
    if (!list) return;
    for (int i = 0; i < 3; ++i) {
        const cJSON *item = cJSON_GetArrayItem(list, i);
        if (cJSON_GetArraySize(list) != 3 || !cJSON_IsNumber(item) || item->valuedouble < least ||
            item->valuedouble > 1)
            refuse(r, TSR_ERROR_MODEL, key, "three numbers up to 1");
        else
            three[i] = (float)item->valuedouble;
    }
}

static void read_filter(reader *r, tsr_view *view) {
    static const tsr_resampling filters[] = {0, TSR_RESAMPLING_LANCZOS, TSR_RESAMPLING_BILINEAR,
                                             TSR_RESAMPLING_BICUBIC}; /* by Pillow's numbers */
    const cJSON *item = item_of(r->json, "resample");
    if (!item) return;
    if (cJSON_IsNumber(item) && item->valueint >= 1 && item->valueint <= 3)
        view->filter = filters[item->valueint];
    else
        refuse(r, TSR_ERROR_UNSUPPORTED, "resample", "1, 2 or 3 (Lanczos, bilinear, bicubic)");
}

/* Every step that the towers here take must be taken. */
static void read_steps(reader *r) {
    static const char *const steps[] = {"do_resize", "do_rescale", "do_normalize"};
    for (unsigned i = 0; i < sizeof steps / sizeof *steps; ++i)
        if (cJSON_IsFalse(item_of(r->json, steps[i])))
            refuse(r, TSR_ERROR_UNSUPPORTED, steps[i], "true");
    const cJSON *factor = item_of(r->json, "rescale_factor");
    if (factor && fabs(cJSON_GetNumberValue(factor) * 255 - 1) > 1e-6)
        refuse(r, TSR_ERROR_UNSUPPORTED, "rescale_factor", "1/255");
}

/* A number of pixels: "min_pixels" of the file itself, or "shortest_edge" of its "size", which of
 * these processors counts pixels, too. */
static void read_pixels(reader *r, const char *key, const char *edge, uint64_t *pixels) {
    const cJSON *item = item_of(r->json, key);
    if (!item) item = item_of(item_of(r->json, "size"), edge);
    if (!item) return;
    if (cJSON_IsNumber(item) && item->valuedouble >= 1 && item->valuedouble <= 1 << 28)
        *pixels = (uint64_t)item->valuedouble;
    else
        refuse(r, TSR_ERROR_MODEL, key, "1 to 2^28 pixels");
}

static void read_smart(reader *r, tsr_view *view) {
    static const struct {
        const char *key;
        int value;
    } fixed[] = {{"patch_size", 14}, {"merge_size", 2}, {"temporal_patch_size", 2}};
    read_pixels(r, "min_pixels", "shortest_edge", &view->min_pixels);
    read_pixels(r, "max_pixels", "longest_edge", &view->max_pixels);
    for (unsigned i = 0; i < sizeof fixed / sizeof *fixed; ++i) {
        const cJSON *item = item_of(r->json, fixed[i].key);
        if (item && cJSON_GetNumberValue(item) != fixed[i].value)
            refuse(r, TSR_ERROR_UNSUPPORTED, fixed[i].key,
                   "14, 2 and 2 of patch, merge and frames");
    }
    if (!r->status && view->min_pixels > view->max_pixels)
        refuse(r, TSR_ERROR_MODEL, "max_pixels", "at least min_pixels");
}

static void read_budget(reader *r, tsr_view *view) {
    const cJSON *patches = item_of(r->json, "max_num_patches");
    const cJSON *side = item_of(r->json, "patch_size");
    if (side && cJSON_GetNumberValue(side) != view->step)
        refuse(r, TSR_ERROR_MODEL, "patch_size", "the tower's");
    if (!patches) return;
    if (cJSON_IsNumber(patches) && patches->valueint >= 1 && patches->valueint <= 1 << 16)
        view->max_pixels = (uint64_t)patches->valueint * view->step * view->step;
    else
        refuse(r, TSR_ERROR_MODEL, "max_num_patches", "1 to 65536");
}

tsr_status tsr_tower_view_read(tsr_context *ctx, const char *path, const cJSON *preprocessor,
                               tsr_view *view) {
    reader r = {.ctx = ctx, .path = path, .json = preprocessor};
    uint32_t width, height;
    bool shortest;
    if (!preprocessor) return TSR_OK;
    if (view->kind == TSR_VIEW_BUDGET) {
        read_budget(&r, view);
    } else if (view->kind == TSR_VIEW_SMART) {
        read_smart(&r, view);
    } else if (read_size(&r, "size", &width, &height, &shortest)) {
        view->width = width;
        view->height = height;
        view->shortest = shortest ? width : 0;
        if (!shortest)
            view->kind = TSR_VIEW_STRETCH;
        else if (view->kind == TSR_VIEW_STRETCH)
            view->kind = TSR_VIEW_CROP;
    }
    /* LLaVA-1.5's processor; those of tiles pad their number, which is something else. */
    if (view->kind == TSR_VIEW_CROP && cJSON_IsTrue(item_of(preprocessor, "do_pad")) &&
        !item_of(preprocessor, "image_grid_pinpoints"))
        view->kind = TSR_VIEW_PAD;
    if (view->kind == TSR_VIEW_CROP || view->kind == TSR_VIEW_PAD) {
        if (cJSON_IsFalse(item_of(preprocessor, "do_center_crop")))
            refuse(&r, TSR_ERROR_UNSUPPORTED, "do_center_crop",
                   "true where only the shortest edge is given");
        read_size(&r, "crop_size", &view->width, &view->height, &shortest);
        if (!r.status && (view->width > view->shortest || view->height > view->shortest))
            refuse(&r, TSR_ERROR_UNSUPPORTED, "crop_size", "no more than the shortest edge");
    }
    read_filter(&r, view);
    read_three(&r, "image_mean", 0, view->mean);
    read_three(&r, "image_std", 1e-6, view->deviation);
    read_steps(&r);
    return r.status;
}
