/* SPDX-License-Identifier: MIT */
/* vit_tower.h: what towers that are vision transformers share: a stack of blocks over one row for
 * each patch, and the walk through it that computes what is asked for and nothing more. What makes
 * a tower CLIP, SigLIP or DINOv2 stands in its own file: a tsr_vit_tower_kind. */
#ifndef TOWERS_VIT_TOWER_H
#define TOWERS_VIT_TOWER_H

#include "../nn/grid_resize.h"
#include "../nn/vit.h"
#include "projector.h"
#include "tower_config.h"

enum { TSR_TOWER_DEPTH = 128, TSR_TOWER_REGISTERS = 64 };

typedef struct tsr_vit_tower tsr_vit_tower;

/* What one kind of tower is. Functions over a run take rows [B, N, 3 * patch^2] and positions. */
typedef struct tsr_vit_tower_kind {
    const char *name;           /* of the family */
    const char *mark[2];        /* ends of names of two tensors that this kind alone has, ... */
    const char *without;        /* ... and of one that it does not have; NULL: not looked at */
    const char *blocks;         /* what the names of blocks begin with, before the number */
    const char *patches;        /* layer that projects patches */
    const char *table;          /* tensor with learned positions */
    const char *const *ignored; /* begins of names of tensors that may stay; ended by NULL */
    tsr_vit_layout layout;      /* act and eps may be changed by the configuration */
    tsr_view view;              /* the usual one, for a side of 0 pixels: the model's */
    tsr_grid_filter positions;  /* how the table becomes another size */
    /* Reads what is this kind's own: registers, the MLP, the usual layer. */
    void (*read)(tsr_vit_tower *tower, tsr_tower_config *config, tsr_weights *weights);
    /* Loads what stands around the blocks. */
    void (*load)(tsr_vit_tower *tower, tsr_weight_loader *loader);
    /* Patch rows and positions [N, D] -> [B, R, D]. */
    tsr_tensor *(*embed)(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *rows,
                         tsr_tensor *positions);
    /* Embedded rows -> hidden layer 0. NULL: the same. */
    tsr_tensor *(*begin)(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x);
    /* The norm behind the last block, of rows [B, n, D]. NULL: none. */
    tsr_tensor *(*norm)(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x);
    /* Hidden layer L -> [B, 1, D]. */
    tsr_tensor *(*pool)(tsr_run *r, const tsr_vit_tower *t, tsr_tensor *x);
} tsr_vit_tower_kind;

struct tsr_vit_tower {
    const tsr_vit_tower_kind *kind;
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    char *path, name[64];
    char prefix[256]; /* before every name */

    int depth, heads, registers;
    int64_t width, hidden; /* D, and the MLP's */
    int64_t patch, side;   /* pixels of a patch, patches along the side of the table */
    bool has_class;
    bool channels_last; /* values of a patch in the order (row, column, channel), not (channel,
                           row, column) */
    bool can_pool;
    int feature_layer;
    bool feature_norm;
    tsr_vit_layout layout;
    tsr_grid_filter filter;
    tsr_view view;

    tsr_weight *patches, *patches_bias; /* [D, 3, p, p] or [D, 3 p p], [D] or NULL */
    tsr_weight *table;                  /* [(1 +) side^2, D] */
    tsr_weight *class_row;              /* D elements; NULL: none */
    tsr_weight *register_rows;          /* [1, registers, D] */
    tsr_weight *begin_gamma, *begin_beta, *end_gamma, *end_beta; /* [D] norms */
    struct {                                                     /* SigLIP's attention pooling */
        tsr_weight *probe;                                       /* [1, 1, D] */
        tsr_weight *qkv, *qkv_bias, *proj, *proj_bias;
        tsr_weight *gamma, *beta, *fc1, *fc1_bias, *fc2, *fc2_bias;
    } head;
    tsr_projector projector;
    tsr_vit_block block[TSR_TOWER_DEPTH];
};

extern const tsr_vit_tower_kind tsr_clip_vision, tsr_siglip, tsr_dinov2;

/* Opens a tower over weights. config and preprocessor: the objects of config.json and
 * preprocessor_config.json, or NULL. Takes over `weights`, also on failure. Close with
 * tsr_vit_tower_close. Errors: MODEL, UNSUPPORTED, MEMORY. */
tsr_status tsr_vit_tower_open(tsr_device *device, const tsr_vit_tower_kind *kind,
                              const cJSON *config, const cJSON *preprocessor, tsr_weights *weights,
                              const char *path, tsr_vit_tower **tower);
/* Closes a tower; NULL and a NULL *tower are accepted. */
void tsr_vit_tower_close(tsr_vit_tower **tower);

/* Values of a patch row. */
static inline int64_t tsr_vit_tower_inputs(const tsr_vit_tower *t) {
    return 3 * t->patch * t->patch;
}
/* Rows before the patches. */
static inline int64_t tsr_vit_tower_leading(const tsr_vit_tower *t) {
    return t->has_class + t->registers;
}
/* Values of one tile in an array of this kind. */
int64_t tsr_feature_values(const tsr_vit_tower *t, tsr_feature_kind kind, tsr_grid_size grid);
/* Numbers that bytes become, (v/255 - mean) / deviation in f32: table [3][256]. */
void tsr_view_numbers(const tsr_view *view, float table[3][256]);
/* Positions of the patches of a grid [N, D], resized where the grid is not the table's. Errors:
 * MEMORY, the weights'. */
tsr_status tsr_vit_tower_positions(const tsr_vit_tower *t, tsr_grid_size grid, float *positions);
/* Cuts tiles into rows of patches [count, N, 3 * patch^2], normalised; pixels beyond whole patches
 * are left out. */
void tsr_vit_tower_cut(const tsr_vit_tower *t, const tsr_pixels *pixels, float *rows);
/* Computes what is asked for of `count` tiles given as patch rows [count, N, 3 * patch^2]. Errors:
 * ARGUMENT, UNSUPPORTED, MEMORY, the device's. */
tsr_status tsr_vit_tower_rows(const tsr_vit_tower *t, const float *rows, int64_t count,
                              tsr_grid_size grid, const tsr_feature *list, int features);

/* The functions of a family whose models are towers of `kind`. */
bool tsr_vit_tower_recognise(const tsr_vit_tower_kind *kind, const tsr_safetensors *weights);
void tsr_vit_tower_list(const tsr_vit_tower_kind *kind, const tsr_model_source *source,
                        tsr_weight_loader *loader);
tsr_status tsr_vit_tower_open_file(const tsr_vit_tower_kind *kind, tsr_device *device,
                                   const tsr_model_source *source, void **model);
void tsr_vit_tower_close_file(void **model);
extern const tsr_tower_ops tsr_vit_tower_ops;
/* Defines recognise, list_tensors and open_model of the family whose models are `kind`s. */
#define TSR_VIT_TOWER_FAMILY(kind)                                                                 \
    static bool recognise(const tsr_safetensors *file) {                                           \
        return tsr_vit_tower_recognise(&(kind), file);                                             \
    }                                                                                              \
    static void list_tensors(const tsr_model_source *source, tsr_weight_loader *loader) {          \
        tsr_vit_tower_list(&(kind), source, loader);                                               \
    }                                                                                              \
    static tsr_status open_model(tsr_device *device, const tsr_model_source *source,               \
                                 void **model) {                                                   \
        return tsr_vit_tower_open_file(&(kind), device, source, model);                            \
    }

#endif
