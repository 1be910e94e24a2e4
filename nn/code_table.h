/* SPDX-License-Identifier: MIT */
/* code_table.h: a codebook inside a model: the nearest code of a vector, codes for the decoder, the
 * mean of codes under weights. */
#ifndef NN_CODE_TABLE_H
#define NN_CODE_TABLE_H

#include "../ops/ops.h"
#include "load_weights.h"

typedef struct tsr_code_table {
    tsr_weight *codes;   /* [K, D] */
    tsr_weight *rows;    /* [K, D] as the decoder takes them: normalised, or the codes */
    tsr_weight *mix;     /* [D, K] for tsr_code_table_mix, or NULL */
    tsr_weight *squares; /* [K, 1] sum of each code's squares */
    float *own[3];       /* memory of rows, mix and squares */
    double longest;      /* code; 1 when normalised */
    bool normalised;     /* both sides of the search, and the rows */
} tsr_code_table;

/* Loads tensor `name` [K, D]; K and D are what loader->weights say. Failures: MODEL when there is
 * no matrix of at most 2^24 rows. */
void tsr_code_table_load(tsr_weight_loader *loader, const char *name, tsr_code_table *table);
/* Makes the tables that the model computes with, after all tensors are loaded: rows, and squares,
 * and with `soft` mix. They are added to `weights`; their memory is the table's and is freed with
 * tsr_code_table_drop, after the weights are closed. Errors: MEMORY. */
tsr_status tsr_code_table_prepare(tsr_context *ctx, tsr_weights *weights, bool normalised,
                                  bool soft, tsr_code_table *table);
void tsr_code_table_drop(tsr_code_table *table);

/* Finds the nearest code of each row of x [N, D]: ids I32 [N], margins [N] (second smallest minus
 * smallest squared distance), squared lengths of the rows [N, 1]. */
void tsr_code_table_search(tsr_run *r, const tsr_code_table *table, tsr_tensor *x, tsr_tensor **ids,
                           tsr_tensor **margin, tsr_tensor **square);
/* Adds to *near_ties the number of the n decisions, with the margins and squared lengths of
 * tsr_code_table_search, that another device may take otherwise. Errors: MODEL (a row was not
 * finite, so that its id means nothing). */
tsr_status tsr_code_table_near_ties(tsr_context *ctx, const tsr_code_table *table,
                                    const float *margin, const float *square, int64_t n,
                                    uint64_t *near_ties);
/* Looks up ids [...] -> rows [..., D]. Ids are below K. */
tsr_tensor *tsr_code_table_rows(tsr_run *r, const tsr_code_table *table, const tsr_tensor *ids);
/* Mixes codes: logits [..., K] -> the mean of the codes under their softmax [..., D]. */
tsr_tensor *tsr_code_table_mix(tsr_run *r, const tsr_code_table *table, const tsr_tensor *logits);

#endif
