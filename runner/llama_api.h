/* SPDX-License-Identifier: MIT */
/* llama_api.h: what is used of libllama's interface, declared anew for the one release that is
 * accepted (TSR_LLAMA_VERSION), and the library once it is open. Names and order are those of its
 * llama.h; tests/cli/llama_layout.sh holds sizes and offsets against it. */
#ifndef RUNNER_LLAMA_API_H
#define RUNNER_LLAMA_API_H

#include <stdbool.h>
#include <tessera/runner/llama.h>

struct llama_vocab;
struct llama_model;
struct llama_context;
struct llama_memory_i;

struct llama_batch {
    int32_t n_tokens;
    int32_t *token;
    float *embd;
    int32_t *pos;
    int32_t *n_seq_id;
    int32_t **seq_id;
    int8_t *logits;
};

struct llama_model_params {
    void *devices;
    const void *tensor_buft_overrides;
    int32_t n_gpu_layers;
    int32_t split_mode;
    int32_t load_mode;
    int32_t lazy_mode;
    int32_t main_gpu;
    const float *tensor_split;
    bool (*progress_callback)(float progress, void *user);
    void *progress_callback_user_data;
    const void *kv_overrides;
    bool vocab_only;
    bool check_tensors;
    bool use_extra_bufts;
    bool no_host;
    bool no_alloc;
    bool load_mtp;
};

struct llama_context_params {
    uint32_t n_ctx;
    uint32_t n_batch;
    uint32_t n_ubatch;
    uint32_t n_seq_max;
    uint32_t n_rs_seq;
    uint32_t n_outputs_max;
    uint32_t n_outputs_max_per_seq;
    int32_t n_threads;
    int32_t n_threads_batch;
    int32_t ctx_type;
    int32_t rope_scaling_type;
    int32_t pooling_type;
    int32_t attention_type;
    int32_t flash_attn_type;
    float rope_freq_base;
    float rope_freq_scale;
    float yarn_ext_factor;
    float yarn_attn_factor;
    float yarn_beta_fast;
    float yarn_beta_slow;
    uint32_t yarn_orig_ctx;
    float defrag_thold;
    void *cb_eval;
    void *cb_eval_user_data;
    int32_t type_k;
    int32_t type_v;
    void *abort_callback;
    void *abort_callback_data;
    bool embeddings;
    bool offload_kqv;
    bool no_perf;
    bool op_offload;
    bool swa_full;
    bool kv_unified;
    void *samplers;
    size_t n_samplers;
    struct llama_context *ctx_other;
};

enum {
    TSR_LLAMA_ROPE_SCALING_LINEAR = 1,
    TSR_LLAMA_ROPE_NONE = -1,
    TSR_LLAMA_ROPE_NORM = 0,
    TSR_LLAMA_ROPE_NEOX = 2
};

/* Parameters come back in memory of the caller's: room for those of a release that has more, so
 * that asking an unknown library for them overwrites nothing. */
typedef struct tsr_llama_model_params_room {
    struct llama_model_params p;
    char room[512];
} tsr_llama_model_params_room;
typedef struct tsr_llama_context_params_room {
    struct llama_context_params p;
    char room[512];
} tsr_llama_context_params_room;

/* X(result, name, arguments) for each function. */
#define TSR_LLAMA_FUNCTIONS(X)                                                                     \
    X(const char *, llama_version, (void))                                                         \
    X(tsr_llama_model_params_room, llama_model_default_params, (void))                             \
    X(tsr_llama_context_params_room, llama_context_default_params, (void))                         \
    X(void, llama_backend_init, (void))                                                            \
    X(void, llama_log_set, (void (*)(int level, const char *text, void *user), void *user))        \
    X(struct llama_model *, llama_model_load_from_file, (const char *, struct llama_model_params)) \
    X(void, llama_model_free, (struct llama_model *))                                              \
    X(struct llama_context *, llama_init_from_model,                                               \
      (struct llama_model *, struct llama_context_params))                                         \
    X(void, llama_free, (struct llama_context *))                                                  \
    X(uint32_t, llama_n_ctx, (const struct llama_context *))                                       \
    X(struct llama_memory_i *, llama_get_memory, (const struct llama_context *))                   \
    X(void, llama_memory_clear, (struct llama_memory_i *, bool data))                              \
    X(const struct llama_vocab *, llama_model_get_vocab, (const struct llama_model *))             \
    X(int, llama_model_rope_type, (const struct llama_model *))                                    \
    X(int32_t, llama_model_n_ctx_train, (const struct llama_model *))                              \
    X(int32_t, llama_model_n_embd_inp, (const struct llama_model *))                               \
    X(int32_t, llama_model_n_layer, (const struct llama_model *))                                  \
    X(bool, llama_model_has_encoder, (const struct llama_model *))                                 \
    X(bool, llama_model_has_decoder, (const struct llama_model *))                                 \
    X(bool, llama_model_is_diffusion, (const struct llama_model *))                                \
    X(int32_t, llama_vocab_n_tokens, (const struct llama_vocab *))                                 \
    X(int32_t, llama_vocab_bos, (const struct llama_vocab *))                                      \
    X(int32_t, llama_vocab_eos, (const struct llama_vocab *))                                      \
    X(bool, llama_vocab_get_add_bos, (const struct llama_vocab *))                                 \
    X(bool, llama_vocab_is_eog, (const struct llama_vocab *, int32_t))                             \
    X(int32_t, llama_decode, (struct llama_context *, struct llama_batch))                         \
    X(float *, llama_get_logits_ith, (struct llama_context *, int32_t))                            \
    X(int32_t, llama_tokenize,                                                                     \
      (const struct llama_vocab *, const char *, int32_t, int32_t *, int32_t, bool, bool))         \
    X(int32_t, llama_token_to_piece,                                                               \
      (const struct llama_vocab *, int32_t, char *, int32_t, int32_t, bool))                       \
    X(void, ggml_backend_load_all_from_path, (const char *))

typedef struct tsr_llama_api {
#define TSR_LLAMA_POINTER(result, name, arguments) result(*name) arguments;
    TSR_LLAMA_FUNCTIONS(TSR_LLAMA_POINTER)
#undef TSR_LLAMA_POINTER
    const char *path; /* of the library */
} tsr_llama_api;

/* Opens the library, or gives the one that is open. `path` NULL: where tsr_llama_settings.library
 * says. Errors: NOT_FOUND, VERSION, STATE, MEMORY. */
tsr_status tsr_llama_library(tsr_context *ctx, const char *path, const tsr_llama_api **api);
/* Between these two, what libllama logs on this thread goes to the log of ctx, and its last error
 * is kept: tsr_llama_said() is that text, "" when there was none. */
void tsr_llama_listen(tsr_context *ctx);
void tsr_llama_listen_end(void);
const char *tsr_llama_said(void);

#endif
