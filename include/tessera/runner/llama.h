/* SPDX-License-Identifier: MIT */
/* llama.h: a language model in a GGUF file, run inside the process by libllama (llama.cpp). Prompts
 * are ids, embeddings, or both in turn.
 *
 *     tsr_llama *model = NULL;
 *     tsr_llama_open(ctx, &model, "model.gguf", NULL);
 *     tsr_llama_feed_ids(ctx, model, ids, count, NULL, NULL);
 *     tsr_llama_generate(ctx, model, NULL, 64, answer, NULL, &length, &end);
 *     tsr_llama_close(&model);
 *
 * libllama is not linked: it is opened when the first model is, from a path (scripts/llama.sh
 * brings one). Its structs change from release to release, so that exactly one is accepted:
 * TSR_LLAMA_VERSION. Once opened, the library stays in the process, and another path is refused.
 * What libllama logs goes to the context's log, its chatter as TSR_LOG_DEBUG, and nothing to
 * stderr. libllama ends the process at some mistakes of its callers: those are looked for before it
 * is called (ids, context length, widths, positions, the file's header).
 *
 * Same model, same machine, same threads, same calls: the same logits, bit for bit. Another
 * processor or another division of the prompt may change the last digits.
 *
 * A model holds one conversation: what is fed is appended to what was fed before. It may be used by
 * one thread at a time, together with the context of the call; opening takes turns between threads.
 * The conventions of tessera.h hold here, too. Errors of all calls that compute: ARGUMENT, STATE
 * (the context is full; the model failed before), MEMORY, DEVICE (libllama gave up: its last
 * message is in the detail text). */
#ifndef TESSERA_RUNNER_LLAMA_H
#define TESSERA_RUNNER_LLAMA_H

#include <stddef.h>

#include "../status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The release of llama.cpp whose library is accepted; a build of it may call itself otherwise
 * behind the digits ("0.5.0-dev"). */
#define TSR_LLAMA_VERSION "0.5.0"

/* An open model with its conversation. */
typedef struct tsr_llama tsr_llama;

/* How a model is opened. A struct of zeros is the default. */
typedef struct tsr_llama_settings {
    const char *library; /* path of libllama; default NULL: $TESSERA_LLAMA, else
                            $XDG_CACHE_HOME or ~/.cache, /tessera/llama/lib/ (where scripts/llama.sh
                            --user puts it), else where the system looks for libraries */
    int32_t context;     /* tokens that a conversation may have, at most what the model was trained
                            with unless rope_scale is set; default 0: as trained, at most 8192 */
    int32_t threads;     /* default 0: those of the tsr_context */
    float rope_scale;    /* factor of all positions, above 0: 0.5 puts twice the trained context
                            between the trained positions. Default 0: the model's own */
    float rope_base;     /* base of the rotary frequencies, above 0; default 0: the model's own */
} tsr_llama_settings;
/* Default settings of tsr_llama_open. */
tsr_llama_settings tsr_llama_settings_default(void);

/* What is known about an open model. */
typedef struct tsr_llama_info {
    const char *library; /* path of libllama, and what it calls its version */
    const char *version;
    const char *architecture; /* "llama", "qwen2" */
    const char *name;         /* general.name; "" where the file has none */
    int32_t n_vocab;          /* ids are 0 .. n_vocab - 1 */
    int32_t n_embd;           /* floats of an embedding */
    int32_t layers;
    int32_t context; /* tokens that a conversation may have */
    int32_t context_trained;
    int32_t bos, eos; /* ids; -1: the vocabulary has none */
    int adds_bos;     /* 1: text prompts of this model begin with bos */
} tsr_llama_info;

/* Opens a model, which the caller closes with tsr_llama_close; *model is NULL on error. `settings`
 * may be NULL (the defaults). Errors: NOT_FOUND (the file; no libllama anywhere, the detail says
 * where it was looked for), VERSION (another libllama), FORMAT and TRUNCATED (the file), MODEL
 * (libllama cannot load it, or sees other numbers than the file's header), UNSUPPORTED (a model
 * that encodes or denoises instead of continuing), STATE (another libllama is in the process),
 * ARGUMENT, MEMORY. */
tsr_status tsr_llama_open(tsr_context *ctx, tsr_llama **model, const char *path,
                          const tsr_llama_settings *settings);
/* Closes a model and sets *model to NULL. NULL and a NULL *model are accepted. */
void tsr_llama_close(tsr_llama **model);
/* Description of an open model. Owned by the model. */
const tsr_llama_info *tsr_llama_properties(const tsr_llama *model);

/* ---- text ----------------------------------------------------------------------------------- */

/* The ids of a text of `size` bytes by the model's vocabulary; "<|image start|>" and other special
 * pieces become their one id. `begin` 1: with what the model wants at the beginning of a prompt
 * (bos). *ids [*count] is the caller's to free with free(); *ids is NULL on error. Errors: ARGUMENT
 * (more than 2^31 - 1 bytes), MODEL (the vocabulary cannot), MEMORY. */
tsr_status tsr_llama_tokenize(tsr_context *ctx, const tsr_llama *model, const char *text,
                              size_t size, int begin, int32_t **ids, int32_t *count);
/* The text of ids, ended by a zero byte, the caller's to free with free(). `special` 1: control
 * pieces are written as they are called, 0: they are left out; user-defined pieces always appear.
 * *size is its length (may be NULL): bytes of a byte vocabulary may be zeros, or no UTF-8. Errors:
 * ARGUMENT (an id out of range), MEMORY. */
tsr_status tsr_llama_text(tsr_context *ctx, const tsr_llama *model, const int32_t *ids,
                          int32_t count, int special, char **text, size_t *size);

/* ---- feeding -------------------------------------------------------------------------------- */

/* Positions: NULL numbers tokens on from the last one fed. Given ones must be whole, must start one
 * behind the last position fed (0 in an empty conversation), must not fall, and must leave no
 * hole: libllama takes nothing else (ARGUMENT, with the reason). Tokens may share a position, as
 * visual tokens do whose steps are below 1 (V2PE: give floor(p0 + j * delta)); tokens that share
 * one see each other. Tokens that share a position must be fed in one call of at most 512 tokens. A
 * stretch of all positions by one factor is rope_scale. Models whose positions have several parts
 * (Qwen2-VL's) take ids only, and no positions (UNSUPPORTED). */

/* Appends ids [count]. log_probabilities [count] (may be NULL) becomes the natural logarithm of the
 * probability that the model gave each id, knowing what stood before it; NAN for the first of a
 * conversation, which nothing stands before. Errors: ARGUMENT (an id out of range: its place is
 * named). On error nothing more may be fed before tsr_llama_reset, unless it was ARGUMENT or the
 * context is too short: then nothing was fed. */
tsr_status tsr_llama_feed_ids(tsr_context *ctx, tsr_llama *model, const int32_t *ids, int32_t count,
                              const double *positions, float *log_probabilities);
/* Appends rows [count, width] as if they were what the model looks up for ids. Rows of the model's
 * own token embedding give the same logits as the ids, bit for bit. Errors: ARGUMENT (width is not
 * n_embd; a value is not finite). */
tsr_status tsr_llama_feed_embeddings(tsr_context *ctx, tsr_llama *model, const float *rows,
                                     int32_t count, int32_t width, const double *positions);
/* Forgets the conversation. */
void tsr_llama_reset(tsr_llama *model);
/* Tokens fed, generated ones included. */
int32_t tsr_llama_fed(const tsr_llama *model);
/* Logits [n_vocab] behind the last token fed; NULL in an empty conversation. Owned by the model and
 * valid until the next call that feeds, generates, resets or closes. */
const float *tsr_llama_logits(const tsr_llama *model);

/* ---- generating ----------------------------------------------------------------------------- */

/* How the next id is chosen. A struct of zeros is the default: the id of the greatest logit, of
 * equal ones the lowest. */
typedef struct tsr_llama_sampling {
    double temperature; /* divides the logits, 0 or above; default 0: greedy */
    int32_t top_k;      /* draws among this many of the greatest logits; default 0: all */
    double top_p;       /* draws among the fewest ids whose probabilities reach this sum, above 0 to
                           1; default 0: all */
    uint64_t seed;      /* of the draws; same seed, same logits: same ids. Default 0 */
    int32_t allowed_first, allowed_count; /* only these ids (and ids of `also`) may be chosen, as
                           the codes of an image are; log probabilities remain those among all
                           ids. Default 0, 0: all */
    const int32_t *also; /* further ids [also_count] that may be chosen; default NULL, 0 */
    int32_t also_count;
    int keep_on; /* 1: an id that ends a text does not end generating; default 0 */
} tsr_llama_sampling;

/* Why generating ended. */
typedef enum tsr_llama_end {
    TSR_LLAMA_END_MOST = 0,   /* `most` ids were generated */
    TSR_LLAMA_END_TEXT = 1,   /* the last id generated ends a text */
    TSR_LLAMA_END_CONTEXT = 2 /* the context is full */
} tsr_llama_end;

/* Generates up to `most` ids, and feeds each. ids [most]; log_probabilities [most] (may be NULL)
 * are natural logarithms as in tsr_llama_feed_ids. *count is how many, *end why no more. The
 * conversation must not be empty (STATE). `sampling` may be NULL (the default). Errors: ARGUMENT (a
 * number of `sampling` out of range). */
tsr_status tsr_llama_generate(tsr_context *ctx, tsr_llama *model,
                              const tsr_llama_sampling *sampling, int32_t most, int32_t *ids,
                              float *log_probabilities, int32_t *count, tsr_llama_end *end);

#ifdef __cplusplus
}
#endif
#endif
