/* SPDX-License-Identifier: MIT */
/* tokbench.h: the protocol of TokBench (Wu et al. 2025): how pictures are prepared for a tokenizer
 * and brought back, and the numbers that its authors published. The conventions of tessera.h hold
 * here, too. */
#ifndef TESSERA_TOKBENCH_H
#define TESSERA_TOKBENCH_H

#include "text_faces.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What stands between a picture and its reconstruction. */
typedef struct tsr_tokbench_path tsr_tokbench_path;
/* Opens the path of a setting: 256, 512 or 1024, the side of the square. A picture of W x H is
 * brought to ceil(W s) x ceil(H s), s the smaller of setting / W and setting / H, by Pillow's
 * Lanczos (to the bit), put into the middle of a black square, encoded and decoded by a tokenizer;
 * what stood in the square is cut out and brought back to W x H by the same filter.
 *
 * tokenizer: NULL leaves the tokenizer out, which is the benchmark's upper bound "Resize". A
 * tokenizer whose tile is another is given overlapping tiles of the square. jpeg: 1 makes a JPEG of
 * quality 75 with chroma at half of the result and reads it again, as the published scripts do to
 * pictures whose name ends in .jpg or .jpeg; 0 keeps the pixels. The caller closes *path. Errors:
 * ARGUMENT (a setting that is none), UNSUPPORTED (jpeg in a build without), those of
 * tsr_tokenizer_open. */
tsr_status tsr_tokbench_path_open(tsr_context *ctx, int setting,
                                  const tsr_model_settings *tokenizer, int jpeg,
                                  tsr_tokbench_path **path);
/* Closes a path and sets *path to NULL. NULL and a NULL *path are accepted. */
void tsr_tokbench_path_close(tsr_tokbench_path **path);
/* Name of the tokenizer's weights, "Resize" without one; hash of the weights, 0 without. Owned by
 * the path. */
const char *tsr_tokbench_path_name(const tsr_tokbench_path *path);
uint64_t tsr_tokbench_path_hash(const tsr_tokbench_path *path);
/* Sends a picture along a path: *rgb [height, width, 3] of its own size, which the caller frees
 * with free(). `name` decides about JPEG. *tokens becomes the number of its tokens. Errors: those
 * of tsr_tokenizer_encode and tsr_tokenizer_decode. */
tsr_status tsr_tokbench_send(tsr_tokbench_path *path, const char *name, const tsr_picture *picture,
                             uint8_t **rgb, uint64_t *tokens);

/* A published row: percent for text, cosine for faces; the bins small, medium, large and their
 * unweighted mean. */
typedef struct tsr_tokbench_row {
    const char *method;
    const char *factor;                /* "16", "1D", "-" of Resize */
    int continuous;                    /* 1: a VAE, no tokens */
    double accuracy[4], similarity[4]; /* T-ACC and T-NED */
    double faces[4];                   /* F-Sim */
} tsr_tokbench_row;
/* Row `index` of a setting as the benchmark's board prints it, Resize first; NULL behind the last.
 * Static storage. */
const tsr_tokbench_row *tsr_tokbench_published(int setting, int index);

#ifdef __cplusplus
}
#endif
#endif
