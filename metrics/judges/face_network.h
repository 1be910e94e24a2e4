/* SPDX-License-Identifier: MIT */
/* face_network.h: what networks that embed faces share, and their parts as golden cases look at
 * them. A network takes aligned crops of one size and gives a row of numbers, which is not
 * normalised. */
#ifndef JUDGES_FACE_NETWORK_H
#define JUDGES_FACE_NETWORK_H

#include "../../nn/family.h"
#include "../../ops/ops.h"
#include "folded_norm.h"

enum { TSR_FACE_PARTS = 8 };

typedef struct tsr_face_network tsr_face_network;
/* One architecture. */
typedef struct tsr_face_kind {
    const char *name;  /* of the family */
    size_t bytes;      /* of the network, which begins with a tsr_face_network */
    int width, height; /* of a crop */
    double deviation;  /* the network takes (value - 127.5) / deviation, RGB */
    int parts;         /* arrays that golden cases store; the last is the embedding */
    const char *part[TSR_FACE_PARTS]; /* their names */
    /* Reads the sizes of the network off the shapes. Errors: MODEL. */
    tsr_status (*read_shape)(tsr_context *ctx, tsr_weights *weights, const char *path,
                             tsr_face_network *network);
    void (*load)(tsr_weight_loader *loader, tsr_face_network *network);
    void (*fold)(tsr_folder *folder, tsr_face_network *network);
    /* crops [B, height, width, 3] -> part [parts], in their order. */
    void (*walk)(tsr_run *r, const tsr_face_network *network, tsr_tensor *x, tsr_tensor **part);
} tsr_face_kind;

struct tsr_face_network {
    const tsr_face_kind *kind;
    tsr_context *ctx;
    tsr_device *device;
    tsr_weights *weights;
    tsr_folder folder;
    int64_t channels; /* of an embedding */
    char prefix[16];  /* of the tensors' names: "" or "module." */
    char variant[32]; /* "r50" */
};

extern const tsr_face_kind tsr_face_iresnet, tsr_face_mobilefacenet;

/* Opens a network over weights, which are closed with it, or now where this fails. Errors: MODEL,
 * MEMORY. */
tsr_status tsr_face_open(tsr_device *device, const tsr_face_kind *kind, tsr_weights *weights,
                         const char *path, tsr_face_network **network);
/* Closes a network and sets *network to NULL. NULL and a NULL *network are accepted. */
void tsr_face_close(tsr_face_network **network);
/* Sizes of part `part` of one crop: [rows, columns, channels], which are 1 where it is one row. */
typedef struct tsr_face_part {
    float *values;  /* [count, ...] channels last; NULL: not wanted */
    int64_t dim[3]; /* filled by tsr_face_embed */
} tsr_face_part;
/* Embeds `count` crops [height, width, 3]: embeddings [count, channels]. parts [kind->parts], of
 * which the last is not used; NULL: none. Errors: MEMORY, the device's. */
tsr_status tsr_face_embed(const tsr_face_network *network, const uint8_t *const *crops, int count,
                          tsr_face_part *parts, float *embeddings);

/* What both families are made of. */
tsr_tensor *tsr_face_prelu(tsr_run *r, tsr_tensor *x, tsr_weight *slope);
void tsr_face_describe(const void *model, tsr_judge_info *info);
tsr_tile_cost tsr_face_cost(const void *model, const tsr_picture *picture);
tsr_status tsr_face_judge(const void *model, const tsr_picture *pictures, int count,
                          int preparation, const int *outputs, int output_count,
                          float *const *values);
tsr_status tsr_face_open_file(tsr_device *device, const tsr_face_kind *kind,
                              const tsr_model_source *source, void **model);
void tsr_face_list(const tsr_face_kind *kind, const tsr_model_source *source,
                   tsr_weight_loader *loader);
void tsr_face_close_file(void **model);

#endif
