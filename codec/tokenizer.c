/* SPDX-License-Identifier: MIT */
/* tokenizer.c: opening a model by what its file says it is, and pictures in memory to ids and back.
 */
#include "tokenizer.h"
#include "fit.h"
#include "../compute/tensor.h"
#include "../formats/arrays/npy.h"
#include "../formats/weights/torch_pickle.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

const char *tsr_version(void) {
    return TESSERA_VERSION;
}

tsr_tokenizer_settings tsr_tokenizer_settings_default(void) {
    return (tsr_tokenizer_settings){0};
}

static tsr_status open_weights(tsr_tokenizer *t, const char *model, const char **path) {
    *path = model ? model : "bundled model";
    struct stat st;
    if (model && !stat(model, &st) && S_ISDIR(st.st_mode)) {
        static const char *const names[] = {"model.safetensors",
                                            "diffusion_pytorch_model.safetensors"};
        tsr_status status = TSR_OK;
        for (int i = 0; i < 2; ++i) {
            free(t->path);
            if (asprintf(&t->path, "%s/%s", model, names[i]) < 0) {
                t->path = NULL;
                return tsr_fail(t->ctx, TSR_ERROR_MEMORY, "%s: no memory for a path", model);
            }
            *path = t->path;
            status = tsr_safetensors_open(t->ctx, t->path, &t->weights);
            if (status != TSR_ERROR_NOT_FOUND) return status;
        }
        return tsr_fail(t->ctx, TSR_ERROR_NOT_FOUND, "%s: wanted %s in the folder, got none", model,
                        names[0]);
    }
    tsr_map map;
    if (model && strcmp(model, "-") && !tsr_map_open(t->ctx, model, &map)) {
        bool torch = tsr_torch_recognised(map.bytes, map.size);
        tsr_map_close(&map);
        if (torch)
            return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: wanted .safetensors, got a checkpoint of torch.save: `tessera "
                            "model convert` makes one of it",
                            model);
    }
    if (model) return tsr_safetensors_open(t->ctx, model, &t->weights);
    return tsr_safetensors_parse(t->ctx, *path, tsr_bundled_model,
                                 (size_t)(tsr_bundled_model_end - tsr_bundled_model), &t->weights);
}

static tsr_status find_family(tsr_tokenizer *t, const char *path) {
    char names[256];
    const char *name = tsr_safetensors_metadata(t->weights, "tessera.family");
    for (int i = 0; i < tsr_registry_count; ++i) {
        const tsr_family *family = tsr_registry[i].family;
        if (name ? strcmp(family->name, name) != 0 : !family->takes || !family->takes(t->weights))
            continue;
        t->family = tsr_registry[i].family;
        t->header.family = tsr_registry[i].id;
        return TSR_OK;
    }
    if (!name && tsr_safetensors_find(t->weights, "decoder.conv_in.weight") >= 0 &&
        tsr_safetensors_find(t->weights, "encoder.conv_in.weight") >= 0)
        return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a tokenizer, got an autoencoder whose tensors have neither "
                        "diffusers' names nor a codebook",
                        path);
    if (!name)
        return tsr_fail(t->ctx, TSR_ERROR_MODEL,
                        "%s: wanted tensors of a family this build knows, or one of %s as "
                        "__metadata__ tessera.family, got none",
                        path, tsr_registry_names(names, sizeof names));
    return tsr_fail(t->ctx, TSR_ERROR_MODEL,
                    "%s: __metadata__ tessera.family: wanted one of %s, got %.64s", path,
                    tsr_registry_names(names, sizeof names), name);
}

tsr_status tsr_tokenizer_find(tsr_tokenizer *t, const char *model, const char **path) {
    tsr_status status = open_weights(t, model, path);
    return status ? status : find_family(t, *path);
}

static tsr_status open_devices(tsr_tokenizer *t, const tsr_tokenizer_settings *settings) {
    tsr_device_settings d = tsr_device_settings_default();
    if (settings->device) d.name = settings->device;
    d.precision = settings->fast ? TSR_PRECISION_FAST : TSR_PRECISION_F32;
    d.mask = settings->mask;
    d.reference = settings->reference;
    d.validation = settings->validation;
    tsr_status status = tsr_device_open(t->ctx, &t->device, &d);
    if (status) return status;
    const tsr_device_info *info = tsr_device_get_info(t->device);
    if (info->kind == TSR_DEVICE_CPU) {
        t->host = t->device;
        snprintf(t->device_text, sizeof t->device_text, "cpu");
        return TSR_OK;
    }
    snprintf(t->device_text, sizeof t->device_text, "vulkan:%d (%s)", info->index, info->name);
    d = tsr_device_settings_default();
    d.name = "cpu";
    return tsr_device_open(t->ctx, &t->host, &d);
}

static tsr_status set_tile(tsr_tokenizer *t, uint32_t width, uint32_t height) {
    tsr_token_header *h = &t->header;
    if (width == h->tile_width && height == h->tile_height) return TSR_OK;
    if (!t->family->resize)
        return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: tile: wanted %ux%u, the only size it was trained for, got %ux%u",
                        h->tokenizer, h->tile_width, h->tile_height, width, height);
    return t->family->resize(t->model, width, height, h);
}

/* Nothing can be left out of ids that are not nested. */
static tsr_status check_prefix(tsr_tokenizer *t, uint32_t tokens, float quality) {
    const tsr_token_header *h = &t->header;
    const uint32_t capacity = h->rows * h->columns;
    if (h->nested || (quality <= 0 && (tokens == 0 || tokens >= capacity))) return TSR_OK;
    const char *why = h->geometry == TSR_GEOMETRY_GRID ? "each id is a place of the picture"
                                                       : "its ids are not in an order of weight";
    if (quality > 0)
        return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: quality: wanted none: a tile always has %u ids (%s), got %g",
                        h->tokenizer, capacity, why, quality);
    return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: tokens: wanted all %u of a tile: a prefix is no picture (%s), got %u",
                    h->tokenizer, capacity, why, tokens);
}

tsr_status tsr_tokenizer_open(tsr_context *ctx, tsr_tokenizer **tokenizer,
                              const tsr_tokenizer_settings *settings) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!tokenizer)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tokenizer: wanted a pointer, got NULL");
    *tokenizer = NULL;
    const tsr_tokenizer_settings s = settings ? *settings : tsr_tokenizer_settings_default();
    tsr_tokenizer *t = tsr_alloc(ctx, 1, sizeof *t, "tokenizer");
    if (!t) return TSR_ERROR_MEMORY;
    t->ctx = ctx;
    const char *path = NULL;
    tsr_status status = tsr_tokenizer_find(t, s.model, &path);
    if (!status) status = open_devices(t, &s);
    if (!status) status = t->family->open(t->device, t->weights, path, &t->model, &t->header);
    if (!status && (s.tile_width || s.tile_height))
        status = set_tile(t, s.tile_width, s.tile_height);
    if (status) {
        tsr_tokenizer_close(&t);
        return status;
    }
    t->header.weights_hash = tsr_safetensors_hash(t->weights);
    if (t->header.fit == TSR_FIT_AUTO) {
        t->header.fit = TSR_FIT_TILE;
        t->header.filter = 2; /* Lanczos: pictures are mostly made smaller */
    }
    memset(t->header.background, 255, 3);
    if (t->header.channels) t->header.latent_type = TSR_LATENT_F16; /* unless asked */
    *tokenizer = t;
    return TSR_OK;
}

void tsr_tokenizer_close(tsr_tokenizer **tokenizer) {
    if (!tokenizer || !*tokenizer) return;
    tsr_tokenizer *t = *tokenizer;
    if (t->family && t->model) {
        tsr_device_forget(t->device, t->model);
        t->family->close(&t->model);
    }
    if (t->host != t->device) tsr_device_close(&t->host);
    tsr_device_close(&t->device);
    tsr_safetensors_close(&t->weights);
    free(t->path);
    free(t);
    *tokenizer = NULL;
}

const tsr_token_header *tsr_tokenizer_header(const tsr_tokenizer *tokenizer) {
    return &tokenizer->header;
}

const char *tsr_tokenizer_device(const tsr_tokenizer *tokenizer) {
    return tokenizer->device_text;
}

static tsr_status compare_header(tsr_tokenizer *t, const tsr_token_header *h, int force,
                                 const char *name) {
    const tsr_token_header *own = &t->header;
    if (h->family != own->family)
        return tsr_fail(t->ctx, TSR_ERROR_MODEL_MISMATCH,
                        "%s: family: wanted %u (%s), got %u (%.63s)", name, own->family,
                        own->tokenizer, h->family, h->tokenizer);
    if (h->channels != own->channels)
        return tsr_fail(
            t->ctx, TSR_ERROR_MODEL_MISMATCH, "%s: tokens: wanted %s of %u, got %s of %u", name,
            own->channels ? "vectors" : "ids", own->channels ? own->channels : own->codebook_size,
            h->channels ? "vectors" : "ids", h->channels ? h->channels : h->codebook_size);
    if (h->codebook_size != own->codebook_size || h->rows != own->rows ||
        h->columns != own->columns || h->tile_width != own->tile_width ||
        h->tile_height != own->tile_height || h->geometry != own->geometry)
        return tsr_fail(t->ctx, TSR_ERROR_MODEL_MISMATCH,
                        "%s: tokens: wanted %ux%u of %u codes for %ux%u pixels, got %ux%u of %u "
                        "for %ux%u",
                        name, own->rows, own->columns, own->codebook_size, own->tile_width,
                        own->tile_height, h->rows, h->columns, h->codebook_size, h->tile_width,
                        h->tile_height);
    if (h->weights_hash && h->weights_hash != own->weights_hash && !force)
        return tsr_fail(t->ctx, TSR_ERROR_MODEL_MISMATCH,
                        "%s: weights hash: wanted %016" PRIx64 " (%s), got %016" PRIx64 " (%.63s)",
                        name, own->weights_hash, own->tokenizer, h->weights_hash, h->tokenizer);
    return TSR_OK;
}

tsr_status tsr_tokenizer_accepts(tsr_tokenizer *t, const tsr_token_header *h, int force,
                                 const char *name) {
    const tsr_token_header *own = &t->header;
    if (h->family == own->family && t->family->resize && h->codebook_size == own->codebook_size &&
        h->channels == own->channels &&
        (h->tile_width != own->tile_width || h->tile_height != own->tile_height)) {
        const uint32_t was[] = {own->tile_width, own->tile_height};
        tsr_status status = set_tile(t, h->tile_width, h->tile_height);
        if (!status) status = compare_header(t, h, force, name);
        if (status)
            (void)set_tile(t, was[0], was[1]); /* had before, so nothing speaks against it */
        return status;
    }
    return compare_header(t, h, force, name);
}

/* ---- items ----------------------------------------------------------------------------------- */

struct tsr_item {
    tsr_token_item tokens;
    char *key;
    uint32_t *counts;
    void *values;  /* ids, or vectors, */
    size_t width;  /* bytes of each */
    bool half;     /* vectors are rounded to f16 */
    uint8_t *kept; /* of families that choose; else NULL, as what they saw of the positions */
    float *halting, *margin;
    tsr_item_details details;
    uint64_t used; /* ids so far, */
    size_t tiles;  /* and tiles */
};

const tsr_token_item *tsr_item_tokens(const tsr_item *item) {
    return &item->tokens;
}

tsr_token_item *tsr_item_edit(tsr_item *item) {
    return &item->tokens;
}

void tsr_item_swap(tsr_item *a, tsr_item *b) {
    const tsr_item c = *a;
    *a = *b;
    *b = c;
}

int tsr_tolerance_index(const tsr_tolerances *t, float quality) {
    const float wanted = quality > 0 ? quality : t->usual;
    int i = 0;
    while (i < t->count - 1 && t->value[i] < wanted)
        i++;
    return i;
}

const tsr_item_details *tsr_item_get_details(const tsr_item *item) {
    return item->kept ? &item->details : NULL;
}

void tsr_item_shorten(tsr_item *item, uint32_t count) {
    uint64_t from = 0, to = 0;
    for (size_t tile = 0; tile < item->tiles; ++tile) {
        const uint32_t have = item->counts[tile], keep = have < count ? have : count;
        char *values = item->values;
        memmove(values + to * item->width, values + from * item->width, keep * item->width);
        from += have;
        to += keep;
        item->counts[tile] = keep;
    }
    item->used = to;
}

void tsr_item_close(tsr_item **item) {
    if (!item || !*item) return;
    free((*item)->key);
    free((*item)->counts);
    free((*item)->values);
    free((*item)->kept);
    free((*item)->halting);
    free((*item)->margin);
    free(*item);
    *item = NULL;
}

static size_t mask_bytes(uint32_t capacity) {
    return (capacity + 7) / 8;
}

static tsr_status item_open(tsr_context *ctx, const tsr_picture *picture, const tsr_canvas *canvas,
                            const tsr_token_header *header, float quality, bool masked,
                            tsr_item **result) {
    const uint32_t capacity = header->rows * header->columns;
    tsr_item *item = tsr_alloc(ctx, 1, sizeof *item, "item");
    if (!item) return TSR_ERROR_MEMORY;
    const size_t tiles = (size_t)canvas->columns * (size_t)canvas->rows;
    item->key = strdup(picture->key ? picture->key : "");
    item->counts = tsr_alloc(ctx, tiles, sizeof *item->counts, "item counts");
    item->width = tsr_value_bytes(header);
    item->half = header->latent_type == TSR_LATENT_F16;
    item->values = tsr_alloc(ctx, tiles * capacity, item->width, "item tokens");
    if (masked) {
        item->kept = tsr_alloc(ctx, tiles, mask_bytes(capacity), "item mask");
        item->halting = tsr_alloc(ctx, tiles * capacity, sizeof(float), "item halting");
        item->margin = tsr_alloc(ctx, tiles * capacity, sizeof(float), "item margins");
    }
    item->details = (tsr_item_details){.halting = item->halting, .margin = item->margin};
    if (header->channels) item->details.margin = NULL; /* nothing is nearest */
    if (!item->key || !item->counts || !item->values ||
        (masked && !(item->kept && item->halting && item->margin))) {
        tsr_item_close(&item);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "item: no memory for %zu tiles", tiles);
    }
    item->tokens =
        (tsr_token_item){.key = item->key,
                         .source_width = (uint32_t)picture->width,
                         .source_height = (uint32_t)picture->height,
                         .orientation = picture->orientation ? (uint32_t)picture->orientation : 1,
                         .width = (uint32_t)canvas->width,
                         .height = (uint32_t)canvas->height,
                         .crop_x = canvas->crop_x,
                         .crop_y = canvas->crop_y,
                         .tile_columns = (uint32_t)canvas->columns,
                         .tile_rows = (uint32_t)canvas->rows,
                         .overlap = (uint32_t)canvas->overlap,
                         .quality = quality,
                         .counts = item->counts,
                         .ids = header->channels ? NULL : item->values,
                         .latents = header->channels ? item->values : NULL,
                         .kept = item->kept};
    *result = item;
    return TSR_OK;
}

/* Tile b of a batch goes to the end of an item; kept and seen are NULL but for families that
 * choose. */
static void item_add(tsr_item *item, size_t b, uint32_t capacity, const void *values,
                     uint32_t count, const uint8_t *kept, const tsr_judgement *seen) {
    void *to = (char *)item->values + item->used * item->width;
    memcpy(to, (const char *)values + b * capacity * item->width, count * item->width);
    if (item->half) {
        float *x = to;
        for (size_t i = 0; i < count * item->width / sizeof *x; ++i) {
            const float rounded = tsr_f16_to_f32(tsr_f32_to_f16(x[i]));
            if (isfinite(rounded)) x[i] = rounded; /* others are refused by the writer */
        }
    }
    if (kept) {
        const size_t bytes = mask_bytes(capacity), n = seen->positions;
        memcpy(item->kept + item->tiles * bytes, kept + b * bytes, bytes);
        memcpy(item->halting + item->tiles * n, seen->halting + b * capacity, n * sizeof(float));
        if (item->details.margin)
            memcpy(item->margin + item->used, seen->margin + b * capacity, count * sizeof(float));
        item->details.positions = seen->positions;
    }
    item->used += count;
    item->counts[item->tiles++] = count;
}

/* ---- tiles ----------------------------------------------------------------------------------- */

size_t tsr_value_bytes(const tsr_token_header *header) {
    return (header->channels ? header->channels : 1) * sizeof(uint32_t);
}

tsr_status tsr_tokenizer_encode_tiles(tsr_tokenizer *t, const uint8_t *tiles, int count,
                                      uint32_t tokens, const tsr_selection *selection, void *values,
                                      uint32_t *counts, uint8_t *kept, uint64_t *near_ties) {
    const tsr_family *f = t->family;
    if (t->header.channels)
        return f->encode_latents(t->model, tiles, count, selection, values, counts,
                                 f->select ? kept : NULL, near_ties);
    if (f->select)
        return f->select(t->model, tiles, count, selection, values, counts, kept, near_ties);
    return f->encode(t->model, tiles, count, tokens, selection, values, counts, near_ties);
}

tsr_status tsr_tokenizer_decode_tiles(tsr_tokenizer *t, const void *values, const uint32_t *counts,
                                      int count, const tsr_sampling *sampling, float *rgb) {
    return t->header.channels
               ? t->family->decode_latents(t->model, values, counts, count, sampling, rgb)
               : t->family->decode(t->model, values, counts, count, sampling, rgb);
}

tsr_status tsr_tokenizer_set_latents(tsr_tokenizer *t, tsr_token_header *header,
                                     const tsr_encode_settings *s) {
    if (header->channels)
        header->latent_type = s->f32_latents ? TSR_LATENT_F32 : TSR_LATENT_F16;
    else if (s->f32_latents)
        return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: latents: wanted a continuous model, got one whose tokens are ids",
                        header->tokenizer);
    return TSR_OK;
}

/* ---- encode ---------------------------------------------------------------------------------- */

static uint32_t capacity_of(const tsr_token_header *h) {
    return h->rows * h->columns;
}

/* Tiles in flight: enough to fill a device, few enough to stay small: all of them, as f32, take an
 * eighth of the memory limit. */
static int batch_of(const tsr_tokenizer *t, uint32_t wanted) {
    const uint64_t tile = (uint64_t)t->header.tile_width * t->header.tile_height * 12;
    const uint64_t fit = t->ctx->settings.memory_limit / 8 / tile;
    const uint64_t most = wanted == 0 ? 16 : wanted > 1024 ? 1024 : wanted;
    return fit < 1 ? 1 : (int)(fit < most ? fit : most);
}

/* How many tiles there is noise for; 0: a shape the family refuses. */
static uint64_t noise_tiles(const tsr_encode_noise *noise) {
    const tsr_tensor *n = &noise->tensor;
    return n->rank == 4 ? (uint64_t)n->dim[0] : n->rank == 3;
}

tsr_status tsr_encode_noise_open(tsr_tokenizer *t, const tsr_encode_settings *s,
                                 tsr_encode_noise *noise) {
    *noise = (tsr_encode_noise){0};
    if (!s->noise) return TSR_OK;
    if (!t->family->draws)
        return tsr_fail(t->ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: noise: wanted none: it draws no latents when it encodes, got %s",
                        t->header.tokenizer, s->noise);
    noise->given = true;
    return tsr_npy_read(t->ctx, s->noise, &noise->tensor);
}

tsr_status tsr_encode_noise_finish(tsr_context *ctx, const tsr_encode_noise *noise) {
    if (!noise->given || noise->used == noise_tiles(noise)) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                    "noise: wanted it for %" PRIu64 " tiles, got it for %" PRIu64, noise->used,
                    noise_tiles(noise));
}

tsr_status tsr_tokenizer_encode(tsr_tokenizer *t, const tsr_picture *pictures, int count,
                                const tsr_encode_settings *settings, tsr_item **items,
                                uint64_t *near_ties) {
    const tsr_encode_settings s = settings ? *settings : tsr_encode_settings_default();
    for (int i = 0; items && i < count; ++i)
        items[i] = NULL;
    if (near_ties) *near_ties = 0;
    tsr_encode_noise noise;
    tsr_status status = tsr_encode_noise_open(t, &s, &noise);
    if (!status)
        status = tsr_tokenizer_encode_drawn(t, pictures, count, &s, &noise, items, near_ties);
    if (!status) {
        status = tsr_encode_noise_finish(t->ctx, &noise);
        for (int i = 0; i < count && status; ++i)
            tsr_item_close(&items[i]);
    }
    free(noise.tensor.data);
    return status;
}

tsr_status tsr_tokenizer_encode_drawn(tsr_tokenizer *t, const tsr_picture *pictures, int count,
                                      const tsr_encode_settings *settings, tsr_encode_noise *noise,
                                      tsr_item **items, uint64_t *near_ties) {
    const tsr_encode_settings s = *settings;
    tsr_context *ctx = t->ctx;
    const uint32_t capacity = capacity_of(&t->header);
    if (count < 0 || (count && (!pictures || !items)))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "pictures: wanted an array, got count %d", count);
    if (s.tokens > capacity)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "tokens: wanted 1 to %u, got %u", capacity,
                        s.tokens);
    if (!(s.quality >= 0 && s.quality <= 1))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "quality: wanted 0 to 1, got %g", s.quality);
    if ((int)s.fit < TSR_FIT_AUTO || s.fit > TSR_FIT_TILE)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "fit: wanted 0 to 4, got %d", (int)s.fit);
    const bool selects = t->family->select != NULL;
    if (!selects && (s.budget || s.no_halt))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: budget and no-halt: wanted none: it does not choose tokens itself",
                        t->header.tokenizer);
    tsr_status status = check_prefix(t, s.tokens, selects ? 0 : s.quality);
    if (status) return status;
    tsr_judgement seen = {0};
    tsr_selection selection = {.judgement = &seen,
                               .budget = s.budget,
                               .quality = s.quality,
                               .keep_all = s.no_halt != 0,
                               .noise = noise->given ? &noise->tensor : NULL};
    tsr_token_header header = t->header;
    if (s.fit != TSR_FIT_AUTO) header.fit = s.fit;
    memcpy(header.background, s.background, 3);
    status = tsr_tokenizer_set_latents(t, &header, &s);
    if (status) return status;

    const int batch = batch_of(t, s.batch);
    const size_t tile_bytes = (size_t)header.tile_width * header.tile_height * 3;
    uint8_t *tiles = tsr_alloc(ctx, (size_t)batch, tile_bytes, "encode: tiles");
    void *values =
        tsr_alloc(ctx, (size_t)batch * capacity, tsr_value_bytes(&header), "encode: tokens");
    uint32_t *counts = tsr_alloc(ctx, (size_t)batch, sizeof *counts, "encode: counts");
    tsr_item **owner = tsr_alloc(ctx, (size_t)batch, sizeof *owner, "encode: owners");
    uint8_t *kept = tsr_alloc(ctx, (size_t)batch, mask_bytes(capacity), "encode: masks");
    status = tiles && values && counts && owner && kept ? TSR_OK : TSR_ERROR_MEMORY;
    if (selects && !status) {
        seen.halting = tsr_alloc(ctx, (size_t)batch * capacity, sizeof(float), "encode: halting");
        seen.margin = tsr_alloc(ctx, (size_t)batch * capacity, sizeof(float), "encode: margins");
        if (!seen.halting || !seen.margin) status = TSR_ERROR_MEMORY;
    }
    uint64_t ties = 0;
    for (int i = 0; i < count; ++i)
        items[i] = NULL;

    /* Tiles of all pictures form one stream that is cut into batches; since a tile's ids do not
     * depend on its neighbours in the batch, neither do the results. */
    int held = 0;
    for (int i = 0; i < count && !status; ++i) {
        tsr_canvas canvas;
        status = tsr_canvas_open(t->host, &pictures[i], &header, &canvas);
        if (status) break;
        status = item_open(ctx, &pictures[i], &canvas, &header, s.quality, selects, &items[i]);
        const int total = canvas.columns * canvas.rows;
        for (int tile = 0; tile < total && !status; ++tile) {
            tsr_canvas_cut(&canvas, tile, tiles + (size_t)held * tile_bytes);
            owner[held++] = items[i];
            if (held < batch && !(i + 1 == count && tile + 1 == total)) continue;
            selection.first_tile = noise->used;
            noise->used += (uint64_t)held;
            if (selection.noise && noise_tiles(noise) && noise->used > noise_tiles(noise))
                status =
                    tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                             "noise: wanted it for at least %" PRIu64 " tiles, got it for %" PRIu64,
                             noise->used, noise_tiles(noise));
            if (!status)
                status = tsr_tokenizer_encode_tiles(t, tiles, held, s.tokens, &selection, values,
                                                    counts, kept, &ties);
            for (int b = 0; b < held && !status; ++b)
                item_add(owner[b], (size_t)b, capacity, values, counts[b], selects ? kept : NULL,
                         &seen);
            held = 0;
            if (s.progress && !status &&
                s.progress(s.progress_user, "encode", (uint64_t)tile + 1, (uint64_t)total))
                status = tsr_fail(ctx, TSR_ERROR_INTERRUPTED, "encode: stopped by the caller");
        }
        tsr_canvas_free(&canvas);
    }
    free(tiles);
    free(values);
    free(counts);
    free(owner);
    free(kept);
    free(seen.halting);
    free(seen.margin);
    for (int i = 0; i < count && status; ++i)
        tsr_item_close(&items[i]);
    if (near_ties) *near_ties = ties;
    return status;
}

/* ---- decode ---------------------------------------------------------------------------------- */

tsr_status tsr_sampling_check(tsr_context *ctx, const tsr_decode_hints *h, tsr_guidance_mode mode) {
    if ((int)mode < TSR_GUIDANCE_AUTO || mode > TSR_GUIDANCE_CFG)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "guidance mode: wanted 0 to 2, got %d", (int)mode);
    if (h->present && (h->steps < 1 || h->steps > TSR_STEPS_MOST))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "steps: wanted 1 to %d, got %u", TSR_STEPS_MOST,
                        h->steps);
    if (h->present && !(fabsf(h->guidance) <= TSR_GUIDANCE_MOST))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "guidance: wanted -%d to %d, got %g",
                        TSR_GUIDANCE_MOST, TSR_GUIDANCE_MOST, (double)h->guidance);
    return TSR_OK;
}

/* What the settings leave open the file's hints say, and what those leave open the model's. */
static tsr_status choose_sampling(tsr_tokenizer *t, const tsr_token_header *header,
                                  const tsr_decode_settings *s, tsr_sampling *sampling) {
    const tsr_decode_hints *file = &header->hints;
    tsr_decode_hints *h = &sampling->hints;
    *h = t->header.hints;
    if (h->present && file->present) { /* which advises: what makes no sense is not followed */
        h->plain = file->plain;
        h->seed = file->seed;
        if (file->steps && file->steps <= TSR_STEPS_MOST) h->steps = file->steps;
        if (fabsf(file->guidance) <= TSR_GUIDANCE_MOST) h->guidance = file->guidance;
    }
    if (s->steps) h->steps = s->steps;
    if (s->guidance != 0) h->guidance = s->guidance;
    if (s->guidance_mode) h->plain = s->guidance_mode == TSR_GUIDANCE_CFG;
    if (s->seed) h->seed = s->seed;
    if (!t->header.hints.present && (s->steps || s->guidance != 0 || s->guidance_mode || s->seed ||
                                     s->noise)) /* nothing is sampled */
        return tsr_fail(
            t->ctx, TSR_ERROR_ARGUMENT,
            "steps, guidance, its mode, seed and noise: wanted none with %s, whose decoder does "
            "not sample",
            t->header.tokenizer);
    return tsr_sampling_check(t->ctx, h, s->guidance_mode);
}

/* `count` ids or vectors of an item, from this one on. */
static tsr_status check_values(tsr_tokenizer *t, const tsr_token_item *item, uint64_t first,
                               uint32_t count) {
    const uint32_t channels = t->header.channels;
    for (uint64_t i = first; i < first + count && !channels; ++i)
        if (item->ids[i] >= t->header.codebook_size)
            return tsr_fail(t->ctx, TSR_ERROR_TOKENS, "%s: id: wanted below %u, got %u", item->key,
                            t->header.codebook_size, item->ids[i]);
    for (uint64_t i = first * channels; i < (first + count) * channels; ++i)
        if (!isfinite(item->latents[i]))
            return tsr_fail(t->ctx, TSR_ERROR_TOKENS, "%s: vector: wanted finite numbers, got %g",
                            item->key, (double)item->latents[i]);
    return TSR_OK;
}

tsr_status tsr_tokenizer_decode(tsr_tokenizer *t, const tsr_token_header *header,
                                const tsr_token_item *item, uint32_t tokens, uint8_t *rgb) {
    return tsr_tokenizer_decode_with(t, header, item, &(tsr_decode_settings){.tokens = tokens},
                                     rgb);
}

tsr_status tsr_tokenizer_decode_with(tsr_tokenizer *t, const tsr_token_header *header,
                                     const tsr_token_item *item,
                                     const tsr_decode_settings *settings, uint8_t *rgb) {
    const tsr_decode_settings s = settings ? *settings : tsr_decode_settings_default();
    const uint32_t tokens = s.tokens;
    tsr_tensor noise = {0};
    tsr_sampling sampling = {.progress = s.progress, .progress_user = s.progress_user};
    tsr_context *ctx = t->ctx;
    tsr_status status = tsr_tokenizer_accepts(t, header, 1, item->key);
    if (!status) status = check_prefix(t, tokens, 0);
    if (status) return status;
    const uint32_t capacity = capacity_of(&t->header);
    if (item->kept && !t->family->select)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: kept mask: wanted none for nested tokens, got one", item->key);
    if (!(t->header.channels ? (const void *)item->latents : item->ids) &&
        tsr_token_item_total(item))
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: tokens: wanted %s, got NULL", item->key,
                        t->header.channels ? "vectors" : "ids");
    tsr_unfit unfit;
    status = choose_sampling(t, header, &s, &sampling);
    if (!status && s.noise) status = tsr_npy_read(ctx, s.noise, &noise);
    if (!status) status = tsr_unfit_open(ctx, header, item, &unfit);
    if (status) {
        free(noise.data);
        return status;
    }
    if (s.noise) sampling.noise = &noise;

    const int total = unfit.columns * unfit.rows, together = batch_of(t, s.batch),
              batch = together < total ? together : total;
    const size_t tile_values = (size_t)t->header.tile_width * t->header.tile_height * 3;
    float *tiles = tsr_alloc(ctx, (size_t)batch * tile_values, sizeof *tiles, "decode: tiles");
    const size_t width = tsr_value_bytes(&t->header);
    const char *from = t->header.channels ? (const char *)item->latents : (const char *)item->ids;
    char *values = tsr_alloc(ctx, (size_t)batch * capacity, width, "decode: tokens");
    uint32_t *counts = tsr_alloc(ctx, (size_t)batch, sizeof *counts, "decode: counts");
    if (!tiles || !values || !counts) status = TSR_ERROR_MEMORY;
    uint64_t position = 0;
    sampling.progress_total = (uint64_t)total * sampling.hints.steps;
    for (int first = 0; first < total && !status; first += batch) {
        const int n = total - first < batch ? total - first : batch;
        for (int b = 0; b < n && !status; ++b) {
            const uint32_t have = item->counts[first + b];
            if (have > capacity) {
                status =
                    tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: ids of tile %d: wanted at most %u, got %u",
                             item->key, first + b, capacity, have);
                break;
            }
            counts[b] = tokens && tokens < have ? tokens : have;
            if (counts[b])
                memcpy(values + (size_t)b * capacity * width, from + position * width,
                       counts[b] * width);
            status = check_values(t, item, position, counts[b]);
            position += have;
        }
        sampling.first_tile = (uint64_t)first;
        sampling.kept = item->kept ? item->kept + (size_t)first * mask_bytes(capacity) : NULL;
        sampling.progress_done = (uint64_t)first * sampling.hints.steps;
        if (!status) status = tsr_tokenizer_decode_tiles(t, values, counts, n, &sampling, tiles);
        for (int b = 0; b < n && !status; ++b)
            tsr_unfit_add(&unfit, first + b, tiles + (size_t)b * tile_values);
    }
    if (!status) status = tsr_unfit_finish(t->host, &unfit, header, item, rgb);
    tsr_unfit_close(&unfit);
    free(noise.data);
    free(tiles);
    free(values);
    free(counts);
    return status;
}
