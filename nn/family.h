/* SPDX-License-Identifier: MIT */
/* family.h: what a tokenizer family is to the rest of the library. A family is one file,
 * codec/<name>.c, that defines `const tsr_family tsr_family_<name>`, and one line in registry.def.
 * It sees tiles (8-bit RGB of the header's tile size) and ids, never files or whole pictures. */
#ifndef CODEC_FAMILY_H
#define CODEC_FAMILY_H

#include <tessera/tessera.h>
#include "../compute/device.h"
#include "../formats/weights/safetensors.h"
#include "load_weights.h"

/* How ids become a picture, for families that sample. */
typedef struct tsr_sampling {
    tsr_decode_hints hints;  /* complete: nothing is left to a default */
    const tsr_tensor *noise; /* F32 [n, C, h, w] instead of hints.seed, or NULL */
    uint64_t first_tile;     /* number of the first tile in its item: picks its noise */
    /* Called once for each step and tile; done counts those before this call. */
    tsr_progress_fn progress;
    void *progress_user;
    uint64_t progress_done, progress_total;
    const uint8_t *kept; /* of the tiles of this call, as tsr_token_item has it; or NULL */
} tsr_sampling;

/* What a family that chooses tokens itself saw of them. */
typedef struct tsr_judgement {
    uint32_t positions; /* that were judged in each tile; what follows stands `capacity` apart */
    float *halting;     /* [count, capacity] probability that the tile does without the position */
    float *margin;      /* [count, capacity] of the ids, in their order: squared distance of the
                           second nearest code less that of the nearest */
} tsr_judgement;

/* What is asked of encoding; the first ones of families that choose tokens themselves. */
typedef struct tsr_selection {
    tsr_judgement *judgement; /* filled unless NULL */
    uint32_t budget;          /* most tokens a tile; 0 = the model's own */
    float quality;            /* tolerated mean absolute error; 0 = the model's own */
    bool keep_all;            /* the whole budget, whatever the model says */
    /* Of families that draw: tsr_tile_noise of first_tile and those behind it; NULL = the mean. */
    const tsr_tensor *noise;
    uint64_t first_tile;
} tsr_selection;

/* The tolerated errors a family that chooses tokens tells apart; one that is asked for is rounded
 * up to the next, or down to the last. */
typedef struct tsr_tolerances {
    const float *value; /* [count], rising */
    int count;
    float usual; /* what stands for none that is asked for */
} tsr_tolerances;

typedef struct tsr_family {
    const char *name;     /* as in registry.def and in the weights' metadata "tessera.family" */
    const char *about;    /* one line for people */
    const char *needs;    /* for `tessera model list`: which files it takes, one line */
    const char *verified; /* the same: what its results were compared with, one line */
    /* Whether a file that does not name its family in its metadata is one of this family's, by the
     * names of its tensors and its metadata. NULL: never. At most one family takes a file. */
    bool (*takes)(const tsr_safetensors *weights);
    /* Names every tensor a file of this family should have, from its configuration; may be NULL. */
    tsr_status (*want)(tsr_context *ctx, const tsr_safetensors *weights, const char *path,
                       const tsr_wanted *wanted);
    /* Loads a model. `weights` stays open until close. Fills the header but for the background;
     * fit and filter only if the family prefers some, hints only if it samples. Errors: MODEL,
     * naming `path` and the tensor or key. */
    tsr_status (*open)(tsr_device *device, const tsr_safetensors *weights, const char *path,
                       void **model, tsr_token_header *header);
    void (*close)(void **model); /* NULL is accepted */
    /* Tiles of another size from here on: fills the header's tile size, rows and columns. NULL: the
     * model knows one size only. Errors: ARGUMENT (what sizes it can have), TOO_LARGE. */
    tsr_status (*resize)(void *model, uint32_t width, uint32_t height, tsr_token_header *header);
    /* Tiles u8 [count, height, width, 3] to ids [count, capacity] and counts [count], where
     * capacity is rows*columns of the header. tokens: how many ids at most (0 = capacity);
     * selection's quality: tolerated mean absolute error that picks the count (0 = not used).
     * *near_ties is added to. The ids of a tile do not depend on the others. */
    tsr_status (*encode)(void *model, const uint8_t *tiles, int count, uint32_t tokens,
                         const tsr_selection *selection, uint32_t *ids, uint32_t *counts,
                         uint64_t *near_ties);
    bool draws; /* it takes selection's noise */
    /* Instead of encode, for families that say themselves which tokens a tile needs: ids are those
     * of the kept positions, kept [count, (capacity + 7) / 8] has their bits. */
    tsr_status (*select)(void *model, const uint8_t *tiles, int count,
                         const tsr_selection *selection, uint32_t *ids, uint32_t *counts,
                         uint8_t *kept, uint64_t *near_ties);
    const tsr_tolerances *tolerances; /* with select */
    /* The first counts[i] ids of each tile (stride capacity) to RGB f32 [count, height, width, 3]
     * in 0..1, not clamped. Ids are below the codebook size. A tile does not depend on the others.
     */
    tsr_status (*decode)(void *model, const uint32_t *ids, const uint32_t *counts, int count,
                         const tsr_sampling *sampling, float *rgb);
    /* Instead of encode or select, and of decode, of a model for which open gave channels: vectors
     * of so many numbers [count, capacity, channels] in place of ids. kept is NULL, and selection
     * asks for nothing, unless the family has select, too; margins are not filled. */
    tsr_status (*encode_latents)(void *model, const uint8_t *tiles, int count,
                                 const tsr_selection *selection, float *latents, uint32_t *counts,
                                 uint8_t *kept, uint64_t *near_ties);
    tsr_status (*decode_latents)(void *model, const float *latents, const uint32_t *counts,
                                 int count, const tsr_sampling *sampling, float *rgb);
} tsr_family;

typedef struct tsr_registry_row {
    uint32_t id; /* written to token files, never reused */
    const tsr_family *family;
} tsr_registry_row;
extern const tsr_registry_row tsr_registry[];
extern const int tsr_registry_count;

#endif
