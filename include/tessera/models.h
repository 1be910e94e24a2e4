/* SPDX-License-Identifier: MIT */
/* models.h: weight files, tokenizer families, published models and where they lie. No device is
 * opened here.
 *
 * All of this header is experimental (ring 3): define TESSERA_EXPERIMENTAL before including it.
 *
 * Every call that takes a context returns ARGUMENT for a NULL context, and ARGUMENT with a detail
 * text for any other pointer that must not be NULL. A pointer to an output (`file`, `catalog`) gets
 * NULL on error. The functions that only read (those that return no tsr_status) must not be given a
 * NULL object; they may be called from several threads at once. */
#ifndef TESSERA_MODELS_H
#define TESSERA_MODELS_H

#include <stddef.h>
#include "tessera.h"

#ifdef __cplusplus
extern "C" {
#endif
#ifdef TESSERA_EXPERIMENTAL

/* ---- weight files --------------------------------------------------------------------------- */

#define TSR_MODEL_MAX_RANK 8

/* An open weight file. It does not use its context after tsr_model_file_open returned. */
typedef struct tsr_model_file tsr_model_file;

/* One tensor of a weight file, without its values. */
typedef struct tsr_model_tensor {
    const char *name;                /* owned by the file */
    const char *dtype;               /* safetensors' word: "F32", "BF16", ...; static storage */
    int rank;                        /* 0..TSR_MODEL_MAX_RANK; 0 for a single value */
    int64_t dim[TSR_MODEL_MAX_RANK]; /* the first `rank` are the shape, outermost first */
    uint64_t elements, bytes;        /* product of the shape; size of the values in the file */
    const char *refused; /* why the values cannot be read ("sparse", "quantized"), and elements is
                            0; NULL: they can be read. Static storage */
} tsr_model_tensor;

/* Opens a weight file and reads its list of tensors. The first bytes tell the format: .safetensors,
 * or a checkpoint of torch.save (.pth, .pt, .ckpt, .bin). A name that ends with .json is the index
 * of .safetensors files beside it, which together are one file here; of a folder,
 * model.safetensors, diffusion_pytorch_model.safetensors or the index of either is opened. Tensors
 * of a checkpoint are named by their paths ("ema/encoder.weight"). No value is copied and no code
 * in the file is executed. The caller closes *file with tsr_model_file_close. Errors: reading
 * errors (NOT_FOUND, IO, TOO_LARGE, MEMORY); FORMAT, TRUNCATED, UNSUPPORTED, each with the tensor
 * or field in the detail text. */
tsr_status tsr_model_file_open(tsr_context *ctx, const char *path, tsr_model_file **file);
/* Closes a weight file and sets *file to NULL. NULL and a NULL *file are accepted. */
void tsr_model_file_close(tsr_model_file **file);
/* Name of the file's format: "safetensors", "torch zip" or "torch legacy". Static storage. */
const char *tsr_model_file_format(const tsr_model_file *file);
/* Size of the file in bytes. */
uint64_t tsr_model_file_bytes(const tsr_model_file *file);
/* Number of tensors in the file. */
int tsr_model_file_count(const tsr_model_file *file);
/* Fills *tensor with tensor `index`, 0 .. tsr_model_file_count - 1, in the order of the data in the
 * file. An index out of range gives a tensor with an empty name. */
void tsr_model_file_tensor(const tsr_model_file *file, int index, tsr_model_tensor *tensor);
/* Number of metadata pairs (texts that a .safetensors file carries beside its tensors); 0 for a
 * checkpoint of torch.save. */
int tsr_model_file_metadata_count(const tsr_model_file *file);
/* Sets *key and *value to metadata pair `index`, 0 .. tsr_model_file_metadata_count - 1. Both texts
 * are owned by the file. Either pointer may be NULL. An index out of range sets both to NULL. */
void tsr_model_file_metadata(const tsr_model_file *file, int index, const char **key,
                             const char **value);
/* Path of the container that holds the weights in a checkpoint: the first of ema, model_ema,
 * state_dict, model and module that holds tensors, and inside it again ("ema/module"); else the
 * only container with tensors. Single values beside it (a score, a step) and what optimizers keep
 * are no weights. An empty text means that the weights stand at the top; NULL that the choice is
 * not clear. Owned by the file. */
const char *tsr_model_file_weights_under(const tsr_model_file *file);
/* Why tsr_model_file_weights_under is NULL, and which containers there are; "" when it is not NULL.
 * Owned by the file. */
const char *tsr_model_file_unclear(const tsr_model_file *file);
/* Number of values in a checkpoint that are neither tensors, containers nor plain (scores of numpy,
 * paths, classes): they were passed over. *first (may be NULL) becomes the path of the first and
 * what makes it. Owned by the file. */
uint64_t tsr_model_file_passed_over(const tsr_model_file *file, const char **first);

/* How tsr_model_convert converts. A struct of zeros is the default. */
typedef struct tsr_convert_settings {
    const char *dtype;   /* type of every float in the output, "f32", "f16" or "bf16"; default NULL:
                            the input's type, and f32 for f64 */
    const char *key;     /* path of the container to convert, with all containers in it, "" for the
                            top; default NULL: tsr_model_file_weights_under, and of it only the
                            tensors that stand in it directly */
    const char *licence; /* text for the output's metadata; default NULL: what a notice beside the
                            input or the input's metadata says, or else "not stated" */
    const char *with;    /* a second file, whose tensors are added: the decoder of a model that is
                            published in halves; default NULL */
    int all;             /* 1 converts also the tensors that only training needs; default 0 */
    tsr_progress_fn progress; /* default NULL: no reports */
    void *progress_user;      /* first argument of `progress`; default NULL */
} tsr_convert_settings;
/* Default settings of a conversion. */
tsr_convert_settings tsr_convert_settings_default(void);

/* What tsr_model_convert wrote. */
typedef struct tsr_convert_report {
    uint64_t kept, dropped; /* tensors written, and tensors left out */
    uint64_t bytes;         /* of the values written */
    char key[64];           /* path of the container that was converted */
    char sha256[65];        /* digest of the input, as written to the metadata */
    char licence[512];      /* as written to the metadata */
} tsr_convert_report;

/* Writes the tensors of one container that inference needs to a .safetensors file.
 *
 * Left out are the tensors of losses and counters: a name with the part loss, gan_losses,
 * perceptual_loss, lpips, discriminator, discriminators or num_batches_tracked. A prefix "module."
 * or "_orig_mod." that all names share is removed. A tensor of rank 0 is written as [1]. The
 * input's metadata is copied, and "tessera.source" (the input's file name),
 * "tessera.source_sha256", "tessera.source_key" and "tessera.licence" are added; of a second file
 * "tessera.with" and "tessera.with_sha256".
 *
 * Types: F32, F16, BF16, I64, I32 and U8 stay; F64 and the eight-bit floats F8_E4M3, F8_E5M2 and
 * F8_E8M0 become F32; BOOL, I16, I8 and U16 become I32; U32 and U64 become I64.
 *
 * Memory: the largest tensor. The output appears under its name only when it is complete. settings
 * may be NULL (the defaults), and so may report.
 * Errors: those of tsr_model_file_open, writing errors (IO, NO_SPACE); ARGUMENT (an unknown dtype;
 * the output is the input; "-" as input, which would have to be read twice); NOT_FOUND (no tensor
 * under `key`); UNSUPPORTED (the choice of a container is not clear; a tensor to be written is
 * complex, sparse, quantized, of an unknown type or of more than four dimensions); FORMAT (a value
 * that the output's type cannot hold); INTERRUPTED. */
tsr_status tsr_model_convert(tsr_context *ctx, const char *input, const char *output,
                             const tsr_convert_settings *settings, tsr_convert_report *report);

/* ---- tokenizer families --------------------------------------------------------------------- */

/* A family of models that this build can read. All texts have static storage. */
typedef struct tsr_family_info {
    uint32_t id;          /* number of the family in token files; 0: not a tokenizer */
    const char *trade;    /* "tokenizer", "tower" or "judge" */
    const char *name;     /* "mosaic" */
    const char *about;    /* one line */
    const char *needs;    /* files that the family reads; NULL: not stated */
    const char *verified; /* implementation that results were compared with; NULL: not stated */
} tsr_family_info;

/* Number of families in this build. */
int tsr_family_count(void);
/* Fills *info with family `index`, 0 .. tsr_family_count - 1. An index out of range gives a family
 * with an empty name. */
void tsr_family_at(int index, tsr_family_info *info);

/* What is wrong with one tensor of a weight file. */
typedef enum tsr_check_kind {
    TSR_CHECK_MISSING = 0, /* the family needs the tensor and the file lacks it */
    TSR_CHECK_SHAPE = 1,   /* the tensor has another shape, or its elements are not floats */
    TSR_CHECK_EXTRA = 2,   /* the family does not know the tensor */
    TSR_CHECK_OTHER = 3,   /* the model cannot be opened for another reason; the name is "" */
    TSR_CHECK_VALUE =
        4 /* a value of the tensor is not finite, or its square is not (2^64 or more) */
} tsr_check_kind;
/* Receives one fault of a weight file, on the calling thread. `name` is the tensor's, `text` says
 * the shape that was wanted and the one found; both are valid during the call. */
typedef void (*tsr_check_fn)(void *user, tsr_check_kind kind, const char *name, const char *text);

/* Result of tsr_model_check. */
typedef struct tsr_model_check_report {
    char family[32]; /* name of the family that recognises the file */
    char path[512];  /* weight file that was read: the argument, or a file in that folder */
    uint64_t
        expected; /* tensors the family needs; 0: the family cannot list them before it opens */
    uint64_t missing, misshapen, extra, other, unusable; /* faults of each tsr_check_kind */
    /* Memory of one tile in flight beside the program, in bytes; 0 unless the model opened. */
    uint64_t weight_bytes;               /* all weights as f32 */
    uint64_t encode_bytes, decode_bytes; /* peak of the activations; of towers and judges, which
                                            do not decode, encode_bytes alone */
} tsr_model_check_report;

/* Checks every tensor of a weight file, or of the weight file in a folder, against what its family
 * needs: tsr_tokenizer_open stops at the first fault, this call reports all of them. Every value is
 * read once, nothing is computed with them. Memory is planned for the cpu device; a Vulkan device
 * needs about as much. path NULL checks the bundled tokenizer.
 *
 * Returns TSR_OK also for a file with faults: read the report. `line` may be NULL (faults are then
 * only counted), and so may report.
 * Errors: reading errors; MODEL (no family recognises the file, or its configuration is wrong). */
tsr_status tsr_model_check(tsr_context *ctx, const char *path, tsr_check_fn line, void *user,
                           tsr_model_check_report *report);

/* ---- published models ----------------------------------------------------------------------- */

/* Computes the SHA-256 of a file as 64 lower-case hexadecimal digits and a final 0. "-" is stdin.
 * `progress` may be NULL; it counts bytes. Errors: reading errors, INTERRUPTED. */
tsr_status tsr_file_sha256(tsr_context *ctx, const char *path, char hex[65],
                           tsr_progress_fn progress, void *user);

/* The table of models that can be downloaded. Its text format is described at the top of
 * models/catalog. The library itself never opens a network connection. */
typedef struct tsr_catalog tsr_catalog;

/* One model of a catalog. All texts are owned by the catalog. */
typedef struct tsr_catalog_model {
    const char *name;          /* what a user types: a-z 0-9 . _ - */
    const char *family;        /* tokenizer family that reads the model */
    const char *about;         /* one line */
    const char *page;          /* URL of the authors' page */
    const char *note;          /* what to do with the file, one line; NULL: nothing */
    const char *licence;       /* identifier of the licence */
    const char *licence_title; /* name of the licence */
    const char *notice;        /* what the licence allows, one line */
    int file_count;            /* at least 1; file 0 holds the weights */
} tsr_catalog_model;

/* One file of a model of a catalog. All texts are owned by the catalog. */
typedef struct tsr_catalog_file {
    const char *name, *url;
    uint64_t size;      /* bytes, checked after a download; 0: not known */
    uint64_t about;     /* bytes, approximate, not checked; 0: not known */
    const char *sha256; /* 64 hexadecimal digits; NULL: not known */
} tsr_catalog_file;

/* Opens a catalog file; path NULL opens the catalog that is built into the library. The caller
 * closes *catalog with tsr_catalog_close.
 * Errors: reading errors; FORMAT with the line in the detail text. */
tsr_status tsr_catalog_open(tsr_context *ctx, const char *path, tsr_catalog **catalog);
/* Closes a catalog and sets *catalog to NULL. NULL and a NULL *catalog are accepted. */
void tsr_catalog_close(tsr_catalog **catalog);
/* Number of models in a catalog. */
int tsr_catalog_count(const tsr_catalog *catalog);
/* Index of the model called `name` (not NULL), or -1 when there is none. */
int tsr_catalog_find(const tsr_catalog *catalog, const char *name);
/* Fills *model with model `index`, 0 .. tsr_catalog_count - 1. An index out of range gives zeros.
 */
void tsr_catalog_at(const tsr_catalog *catalog, int index, tsr_catalog_model *model);
/* Fills *entry with file `file` (0 .. file_count - 1) of model `index`. An index out of range gives
 * zeros. */
void tsr_catalog_file_at(const tsr_catalog *catalog, int index, int file, tsr_catalog_file *entry);

/* ---- where weights lie ---------------------------------------------------------------------- */

/* Finds the weights that `name` means and sets *path to a file or folder that
 * tsr_model_settings.model takes; the caller frees it with free(). No connection is opened. The
 * first of these that there is:
 *  1. a file or folder called `name` ("-", stdin, counts as one);
 *  2. where `name` is a model of the built-in catalog, or its repository on Hugging Face
 *     ("ORG/NAME"): its weights in Tessera's cache (tsr_cache_folder), where `tessera fetch` puts
 *     them, and then in Hugging Face's cache. All files of the model must be there. Weights that
 *     are published in torch's format are taken as `model.safetensors` in Tessera's cache, where
 *     `tessera model convert` was told to write them;
 *  3. a repository "ORG/NAME" in Hugging Face's cache: the folder of its files at `main` or, where
 *     a single revision was downloaded without that reference, of that revision.
 * Hugging Face's cache is $HF_HUB_CACHE, else $HUGGINGFACE_HUB_CACHE, else $HF_HOME/hub, else
 * $XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub.
 * Errors: NOT_FOUND (for a model of the catalog the detail text says how to bring it, with size and
 * licence); UNSUPPORTED (weights that must be converted first); MEMORY. */
tsr_status tsr_model_locate(tsr_context *ctx, const char *name, char **path);
/* Sets *path to the folder of a published model in Tessera's cache, whether it exists or not:
 * $XDG_CACHE_HOME/tessera/NAME where that variable holds an absolute path, else
 * $HOME/.cache/tessera/NAME. The caller frees it with free().
 * Errors: ARGUMENT (not a plain name; neither variable is set), MEMORY. */
tsr_status tsr_cache_folder(tsr_context *ctx, const char *name, char **path);
/* Sets *path to the file in Hugging Face's cache that was downloaded from `url`,
 * "https://huggingface.co/ORG/NAME/resolve/REVISION/FILE". The caller frees it with free(). Errors:
 * NOT_FOUND (the file is not there, or the address is not of this form), MEMORY. */
tsr_status tsr_hub_cached_file(tsr_context *ctx, const char *url, char **path);

#endif /* TESSERA_EXPERIMENTAL */
#ifdef __cplusplus
}
#endif
#endif
