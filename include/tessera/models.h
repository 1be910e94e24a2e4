/* SPDX-License-Identifier: MIT */
/* models.h: files of weights and the tokenizer families that read them. No device is opened here.
 *
 * All of it is experimental (ring 3): define TESSERA_EXPERIMENTAL before including. */
#ifndef TESSERA_MODELS_H
#define TESSERA_MODELS_H

#include <stddef.h>
#include "tessera.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef TESSERA_EXPERIMENTAL

/* ---- what a file of weights holds ---------------------------------------------------------- */

#define TSR_MODEL_MAX_RANK 8

typedef struct tsr_model_file tsr_model_file;

typedef struct tsr_model_tensor {
    const char *name;  /* owned by the file */
    const char *dtype; /* "F32", "BF16", ... as safetensors calls them; static storage */
    int rank;          /* 0 for a single value */
    int64_t dim[TSR_MODEL_MAX_RANK];
    uint64_t elements, bytes;
} tsr_model_tensor;

/* Opens a weight file, told apart by its first bytes: .safetensors, or a checkpoint of torch.save
 * (.pth, .pt, .ckpt, .bin), whose tensors are named by their paths ("ema/encoder.weight").
 * Nothing is copied and nothing of the file is run.
 * Errors: reading errors, FORMAT, TRUNCATED, UNSUPPORTED, each naming the tensor or field. */
tsr_status tsr_model_file_open(tsr_context *ctx, const char *path, tsr_model_file **file);
void tsr_model_file_close(tsr_model_file **file);
const char *tsr_model_file_format(const tsr_model_file *file); /* or "torch zip", ... */
uint64_t tsr_model_file_bytes(const tsr_model_file *file);     /* size of the file */
/* In the order of the data in the file. */
int tsr_model_file_count(const tsr_model_file *file);
void tsr_model_file_tensor(const tsr_model_file *file, int index, tsr_model_tensor *tensor);
/* The texts that stand beside the tensors, by key. Owned by the file. */
int tsr_model_file_metadata_count(const tsr_model_file *file);
void tsr_model_file_metadata(const tsr_model_file *file, int index, const char **key,
                             const char **value);

/* Where in a checkpoint the weights stand: "ema", "state_dict", ...; "" = at the top. */
const char *tsr_model_file_weights_under(const tsr_model_file *file);

typedef struct tsr_convert_settings {
    const char *dtype;   /* "f32", "f16", "bf16" for every float; NULL = as it is, f64 to f32 */
    const char *key;     /* the container to take; NULL = tsr_model_file_weights_under */
    const char *licence; /* noted in the output; NULL = what the input's notice or metadata says */
    int all;             /* 1: also tensors that only training needs */
    tsr_progress_fn progress;
    void *progress_user;
} tsr_convert_settings;
tsr_convert_settings tsr_convert_settings_default(void);

typedef struct tsr_convert_report {
    uint64_t kept, dropped;                 /* tensors */
    uint64_t bytes;                         /* of the kept ones */
    char key[64], sha256[65], licence[512]; /* as noted in the output */
} tsr_convert_report;

/* Writes the tensors that inference needs as .safetensors: those of one container, without what
 * belongs to losses and counters (a name with the part loss, gan_losses, perceptual_loss, lpips,
 * discriminator, discriminators or num_batches_tracked), and without a "module." or "_orig_mod."
 * that all names begin with. Metadata of the input is kept; added are "tessera.source" (file name),
 * "tessera.source_sha256", "tessera.source_key" and "tessera.licence". A tensor without dimensions
 * becomes [1]. Memory: the largest tensor. Errors: as open and write; NOT_FOUND (no such key);
 * UNSUPPORTED (complex numbers, more than four dimensions); FORMAT (a value that f16 cannot hold).
 */
tsr_status tsr_model_convert(tsr_context *ctx, const char *input, const char *output,
                             const tsr_convert_settings *settings, tsr_convert_report *report);

/* ---- tokenizer families -------------------------------------------------------------------- */

typedef struct tsr_family_info { /* static storage */
    uint32_t id;                 /* as in token files */
    const char *name;            /* "mosaic" */
    const char *about;           /* one line */
    const char *needs;           /* which files it takes; NULL = not said */
    const char *verified;        /* what it was compared with; NULL = not said */
} tsr_family_info;

int tsr_family_count(void);
void tsr_family_at(int index, tsr_family_info *info);

typedef enum tsr_check_kind {
    TSR_CHECK_MISSING = 0, /* the family wants it, the file lacks it */
    TSR_CHECK_SHAPE = 1,   /* it has another shape, or is not of floats */
    TSR_CHECK_EXTRA = 2,   /* it belongs to nothing */
    TSR_CHECK_OTHER = 3    /* anything else that keeps the model from being opened; name is "" */
} tsr_check_kind;
/* Called for each tensor that is not as it should be; texts are valid during the call. */
typedef void (*tsr_check_fn)(void *user, tsr_check_kind kind, const char *name, const char *text);

typedef struct tsr_model_check_report {
    char family[32], path[512]; /* the file inside a folder */
    uint64_t expected; /* tensors; 0 when the family opens files without naming them first */
    uint64_t missing, misshapen, extra, other;
    /* 0 unless the model opened: what a run needs beside the program, for one tile in flight. */
    uint64_t weight_bytes;               /* every weight once, as f32 */
    uint64_t encode_bytes, decode_bytes; /* activations at their peak */
} tsr_model_check_report;

/* Sees whether a file or folder would make a model: what `tsr_tokenizer_open` would say about the
 * first tensor is said about all of them. Nothing is computed. Memory is the cpu device's plan; a
 * Vulkan device needs no more than about the same. TSR_OK also when tensors are wrong: look at the
 * report. Errors: reading errors; MODEL (no family takes it, or its configuration is not one). */
tsr_status tsr_model_check(tsr_context *ctx, const char *path, tsr_check_fn line, void *user,
                           tsr_model_check_report *report);

/* ---- published models ---------------------------------------------------------------------- */

/* SHA-256 of a file as 64 lower-case hexadecimal digits and a final 0. `progress` may be NULL.
 * Errors: reading errors, INTERRUPTED. */
tsr_status tsr_file_sha256(tsr_context *ctx, const char *path, char hex[65],
                           tsr_progress_fn progress, void *user);

/* The table of models that can be downloaded: models/catalog, which also says what its lines mean.
 * The library itself never opens a network connection. */
typedef struct tsr_catalog tsr_catalog;

typedef struct tsr_catalog_model { /* texts are owned by the catalog */
    const char *name, *family, *about, *page;
    const char *note; /* NULL = none */
    const char *licence, *licence_title, *notice;
    int file_count; /* at least 1; file 0 is the weights */
} tsr_catalog_model;

typedef struct tsr_catalog_file {
    const char *name, *url;
    uint64_t size;      /* bytes; 0 = not known */
    uint64_t about;     /* bytes as somebody said; 0 = not known */
    const char *sha256; /* 64 digits, or NULL = not known */
} tsr_catalog_file;

/* path NULL = the table that is built in. Errors: reading errors; FORMAT naming the line. */
tsr_status tsr_catalog_open(tsr_context *ctx, const char *path, tsr_catalog **catalog);
void tsr_catalog_close(tsr_catalog **catalog);
int tsr_catalog_count(const tsr_catalog *catalog);
int tsr_catalog_find(const tsr_catalog *catalog, const char *name); /* -1 if absent */
void tsr_catalog_at(const tsr_catalog *catalog, int index, tsr_catalog_model *model);
void tsr_catalog_file_at(const tsr_catalog *catalog, int index, int file, tsr_catalog_file *entry);

#endif /* TESSERA_EXPERIMENTAL */
#ifdef __cplusplus
}
#endif
#endif
