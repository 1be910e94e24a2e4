/* SPDX-License-Identifier: MIT */
/* llama.c: a model and its conversation. Everything that libllama would end the process for is
 * looked for here first. */
#include "llama_api.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "gguf.h"
#include "llama_sample.h"

enum {
    BATCH = 512,             /* tokens of one call of libllama */
    OUTPUT_BYTES = 64 << 20, /* of logits that one call may give */
    USUAL_CONTEXT = 8192,
    MOST_CONTEXT = 1 << 24
};

struct tsr_llama {
    const tsr_llama_api *api;
    struct llama_model *model;
    struct llama_context *context;
    const struct llama_vocab *vocab;
    tsr_llama_info info;
    char *architecture, *name;
    bool spells;           /* every byte of a text has an id */
    bool sectioned;        /* positions have several parts */
    bool broken;           /* libllama failed: what it holds is not known */
    int32_t outputs;       /* tokens of one call that logits may be asked for */
    int32_t fed, position; /* the last one's, -1 in an empty conversation */
    float *logits;         /* [n_vocab] behind the last token */
    int32_t pos[BATCH];
    int8_t flags[BATCH];
};

tsr_llama_settings tsr_llama_settings_default(void) {
    return (tsr_llama_settings){0};
}

/* ---- opening -------------------------------------------------------------------------------- */

static char *copy_text(tsr_context *ctx, const char *text) {
    char *copy = tsr_alloc(ctx, strlen(text) + 1, 1, "a text");
    return copy ? strcpy(copy, text) : NULL;
}

static int hex(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* What libllama takes for granted of SentencePiece vocabularies: pieces of type BYTE are called
 * <0x00> to <0xFF>; and of text, that all of them are there. */
static tsr_status check_pieces(tsr_context *ctx, const char *path, const tsr_gguf *file,
                               bool *spells) {
    const char *kind = tsr_gguf_text(file, "tokenizer.ggml.model", NULL);
    bool seen[256] = {false};
    int there = 0;
    *spells = true;
    if (!kind || strcmp(kind, "llama") != 0) return TSR_OK;
    for (int32_t id = 0; id < tsr_gguf_n_vocab(file); ++id) {
        size_t size;
        const char *p = tsr_gguf_piece(file, id, &size);
        const bool byte = size == 6 && memcmp(p, "<0x", 3) == 0 && hex(p[3]) >= 0 &&
                          hex(p[4]) >= 0 && p[5] == '>';
        if (tsr_gguf_piece_type_of(file, id) == TSR_GGUF_PIECE_BYTE && !byte)
            return tsr_fail(ctx, TSR_ERROR_MODEL,
                            "%s: piece %d of type BYTE: wanted <0x00> to <0xFF>, got %.40s", path,
                            id, p);
        if (!byte || seen[hex(p[3]) * 16 + hex(p[4])]) continue;
        seen[hex(p[3]) * 16 + hex(p[4])] = true;
        ++there;
    }
    *spells = there == 256;
    return TSR_OK;
}

static tsr_status check_settings(tsr_context *ctx, const tsr_llama_settings *s) {
    if (s->context < 0 || s->context > MOST_CONTEXT)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "context: wanted 0 to %d tokens, got %d",
                        MOST_CONTEXT, s->context);
    if (s->threads < 0 || s->threads > 1024)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "threads: wanted 0 to 1024, got %d", s->threads);
    if (!(s->rope_scale >= 0 && s->rope_scale < INFINITY) ||
        !(s->rope_base >= 0 && s->rope_base < INFINITY))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "rope_scale, rope_base: wanted 0 or more, got %g, %g",
                        (double)s->rope_scale, (double)s->rope_base);
    return TSR_OK;
}

/* The model as libllama loaded it beside what the header said. */
static tsr_status check_model(tsr_context *ctx, const char *path, const tsr_gguf *file,
                              tsr_llama *m) {
    const tsr_llama_api *api = m->api;
    uint32_t width = 0;
    tsr_llama_info *info = &m->info;
    m->vocab = api->llama_model_get_vocab(m->model);
    info->n_vocab = api->llama_vocab_n_tokens(m->vocab);
    info->n_embd = api->llama_model_n_embd_inp(m->model);
    info->layers = api->llama_model_n_layer(m->model);
    info->context_trained = api->llama_model_n_ctx_train(m->model);
    info->bos = api->llama_vocab_bos(m->vocab);
    info->eos = api->llama_vocab_eos(m->vocab);
    info->adds_bos = api->llama_vocab_get_add_bos(m->vocab) && info->bos >= 0;
    const int rope = api->llama_model_rope_type(m->model);
    m->sectioned =
        rope != TSR_LLAMA_ROPE_NONE && rope != TSR_LLAMA_ROPE_NORM && rope != TSR_LLAMA_ROPE_NEOX;
    if (info->n_vocab != tsr_gguf_n_vocab(file) || info->n_vocab < 1 || info->n_embd < 1 ||
        (tsr_gguf_model_u32(file, "embedding_length", &width) && !m->sectioned &&
         width != (uint32_t)info->n_embd))
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: wanted %d ids and embeddings of %u, as its header says, got %d and %d",
                        path, tsr_gguf_n_vocab(file), width, info->n_vocab, info->n_embd);
    if (api->llama_model_has_encoder(m->model) || !api->llama_model_has_decoder(m->model) ||
        api->llama_model_is_diffusion(m->model))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: wanted a model that continues a prompt, got a %s one", path,
                        api->llama_model_is_diffusion(m->model) ? "diffusion" : "encoder");
    return TSR_OK;
}

static tsr_status open_context(tsr_context *ctx, const char *path, const tsr_llama_settings *s,
                               tsr_llama *m) {
    tsr_llama_info *info = &m->info;
    int32_t wanted = s->context ? s->context : info->context_trained;
    if (!s->context && wanted > USUAL_CONTEXT) wanted = USUAL_CONTEXT;
    if (wanted < 1 || (wanted > info->context_trained && s->rope_scale == 0))
        return tsr_fail(
            ctx, TSR_ERROR_ARGUMENT,
            "%s: context: wanted 1 to %d tokens (as trained; more with rope_scale), got "
            "%d",
            path, info->context_trained, wanted);
    m->outputs = (int32_t)(OUTPUT_BYTES / 4 / (int64_t)info->n_vocab);
    if (m->outputs < 1) m->outputs = 1;
    if (m->outputs > BATCH) m->outputs = BATCH;
    struct llama_context_params p = m->api->llama_context_default_params().p;
    p.n_ctx = (uint32_t)wanted;
    p.n_batch = p.n_ubatch = BATCH;
    p.n_outputs_max = (uint32_t)m->outputs;
    p.n_outputs_max_per_seq = (uint32_t)m->outputs;
    p.n_threads = p.n_threads_batch = s->threads ? s->threads : ctx->settings.threads;
    if (s->rope_scale > 0) {
        p.rope_scaling_type = TSR_LLAMA_ROPE_SCALING_LINEAR;
        p.rope_freq_scale = s->rope_scale;
    }
    if (s->rope_base > 0) p.rope_freq_base = s->rope_base;
    m->context = m->api->llama_init_from_model(m->model, p);
    if (!m->context)
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: libllama cannot make a conversation of %d tokens: %s", path, wanted,
                        tsr_llama_said());
    const uint32_t got = m->api->llama_n_ctx(m->context);
    info->context = got < (uint32_t)wanted ? (int32_t)got : wanted;
    m->logits = tsr_alloc(ctx, (size_t)info->n_vocab, sizeof *m->logits, "logits");
    return m->logits ? TSR_OK : TSR_ERROR_MEMORY;
}

static tsr_status open_parts(tsr_context *ctx, const char *path, const tsr_gguf *file,
                             const tsr_llama_settings *s, tsr_llama *m) {
    const char *architecture = tsr_gguf_text(file, "general.architecture", NULL);
    const char *name = tsr_gguf_text(file, "general.name", NULL);
    if (!architecture || !tsr_gguf_n_vocab(file))
        return tsr_fail(ctx, TSR_ERROR_MODEL,
                        "%s: wanted a language model with a vocabulary, got %s", path,
                        architecture ? "no tokenizer.ggml.tokens" : "no general.architecture");
    m->architecture = copy_text(ctx, architecture);
    m->name = copy_text(ctx, name ? name : "");
    if (!m->architecture || !m->name) return TSR_ERROR_MEMORY;
    tsr_status status = check_pieces(ctx, path, file, &m->spells);
    if (!status) status = tsr_llama_library(ctx, s->library, &m->api);
    if (status) return status;
    m->info.library = m->api->path;
    m->info.version = m->api->llama_version();
    m->info.architecture = m->architecture;
    m->info.name = m->name;
    tsr_llama_listen(ctx);
    const struct llama_model_params p = m->api->llama_model_default_params().p;
    m->model = m->api->llama_model_load_from_file(path, p);
    if (!m->model)
        status = tsr_fail(ctx, TSR_ERROR_MODEL, "%s: libllama cannot load it: %s", path,
                          tsr_llama_said());
    if (!status) status = check_model(ctx, path, file, m);
    if (!status) status = open_context(ctx, path, s, m);
    tsr_llama_listen_end();
    return status;
}

tsr_status tsr_llama_open(tsr_context *ctx, tsr_llama **model, const char *path,
                          const tsr_llama_settings *settings) {
    const tsr_llama_settings s = settings ? *settings : tsr_llama_settings_default();
    if (!model) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "model: wanted an address, got NULL");
    *model = NULL;
    if (!path) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "path: wanted a GGUF file, got NULL");
    tsr_status status = check_settings(ctx, &s);
    if (status) return status;
    tsr_gguf *file = NULL;
    status = tsr_gguf_open(ctx, path, &file);
    if (status) return status;
    tsr_llama *m = tsr_alloc(ctx, 1, sizeof *m, path);
    status = m ? open_parts(ctx, path, file, &s, m) : TSR_ERROR_MEMORY;
    tsr_gguf_close(&file);
    if (m) m->position = -1;
    if (status) tsr_llama_close(&m);
    *model = m;
    return status;
}

void tsr_llama_close(tsr_llama **model) {
    if (!model || !*model) return;
    tsr_llama *m = *model;
    if (m->context) m->api->llama_free(m->context);
    if (m->model) m->api->llama_model_free(m->model);
    free(m->architecture);
    free(m->name);
    free(m->logits);
    free(m);
    *model = NULL;
}

const tsr_llama_info *tsr_llama_properties(const tsr_llama *model) {
    return &model->info;
}

/* ---- text ----------------------------------------------------------------------------------- */

tsr_status tsr_llama_tokenize(tsr_context *ctx, const tsr_llama *m, const char *text, size_t size,
                              int begin, int32_t **ids, int32_t *count) {
    *ids = NULL;
    *count = 0;
    if (size > INT32_MAX - 16 || (size && !text))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "text: wanted at most 2^31 bytes, got %zu%s", size,
                        text ? "" : " of NULL");
    if (!m->spells)
        return tsr_fail(
            ctx, TSR_ERROR_MODEL,
            "text: wanted a vocabulary with an id for each byte (<0x00> to <0xFF>), got "
            "one that lacks some");
    int32_t room = (int32_t)size + 16, n = 0;
    for (int attempt = 0; attempt < 2; ++attempt) {
        int32_t *list = tsr_alloc(ctx, (size_t)room, sizeof *list, "ids of a text");
        if (!list) return TSR_ERROR_MEMORY;
        tsr_llama_listen(ctx);
        n = m->api->llama_tokenize(m->vocab, text ? text : "", (int32_t)size, list, room,
                                   begin != 0, true);
        tsr_llama_listen_end();
        if (n >= 0) {
            *ids = list;
            *count = n;
            return TSR_OK;
        }
        free(list);
        if (n == INT32_MIN) break;
        room = -n;
    }
    return tsr_fail(ctx, TSR_ERROR_MODEL, "text: libllama cannot make ids of it (%d): %s", n,
                    tsr_llama_said());
}

static tsr_status check_ids(tsr_context *ctx, const tsr_llama *m, const int32_t *ids,
                            int32_t count) {
    if (count < 0 || (count && !ids))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "ids: wanted 0 or more, got %d%s", count,
                        ids ? "" : " at NULL");
    for (int32_t i = 0; i < count; ++i)
        if (ids[i] < 0 || ids[i] >= m->info.n_vocab)
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "ids: wanted 0 to %d, got %d at %d",
                            m->info.n_vocab - 1, ids[i], i);
    return TSR_OK;
}

tsr_status tsr_llama_text(tsr_context *ctx, const tsr_llama *m, const int32_t *ids, int32_t count,
                          int special, char **text, size_t *size) {
    *text = NULL;
    tsr_status status = check_ids(ctx, m, ids, count);
    if (status) return status;
    size_t used = 0, room = 64 + 8 * (size_t)count;
    char *out = tsr_alloc(ctx, room, 1, "a text");
    if (!out) return TSR_ERROR_MEMORY;
    for (int32_t i = 0; i < count;) {
        const size_t left = room - used - 1;
        const int32_t n = m->api->llama_token_to_piece(m->vocab, ids[i], out + used,
                                                       left < INT32_MAX ? (int32_t)left : INT32_MAX,
                                                       0, special != 0);
        if (n >= 0) {
            used += (size_t)n;
            ++i;
            continue;
        }
        char *more = tsr_alloc(ctx, room * 2 + (size_t) - (int64_t)n, 1, "a text");
        if (!more) {
            free(out);
            return TSR_ERROR_MEMORY;
        }
        memcpy(more, out, used);
        free(out);
        out = more;
        room = room * 2 + (size_t) - (int64_t)n;
    }
    out[used] = 0;
    *text = out;
    if (size) *size = used;
    return TSR_OK;
}

/* ---- feeding -------------------------------------------------------------------------------- */

/* What is fed: ids or rows. */
typedef struct feed {
    const int32_t *ids;
    const float *rows;
    int32_t count;
    const double *positions;
    float *log_probabilities;
} feed;

static tsr_status check_positions(tsr_context *ctx, const tsr_llama *m, const feed *f) {
    int32_t last = m->position, shared = 1;
    if (m->sectioned && (f->rows || f->positions))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "positions: this model's have several parts (%s): wanted ids numbered on, "
                        "got %s",
                        m->architecture, f->rows ? "embeddings" : "given positions");
    for (int32_t i = 0; f->positions && i < f->count; ++i) {
        const double p = f->positions[i];
        if (!(p >= 0 && p <= MOST_CONTEXT) || p != floor(p))
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "positions: wanted whole numbers (libllama takes no others: give the "
                            "floor of fractions, or rope_scale), got %g at %d",
                            p, i);
        const int32_t now = (int32_t)p;
        if (now < last || now > last + 1 || (i == 0 && now == last))
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "positions: wanted %s%d (libllama takes no %s), got %d at %d",
                            i ? "the one before or " : "", last + 1,
                            now > last ? "holes" : "falling ones", now, i);
        shared = now == last ? shared + 1 : 1;
        last = now;
        if (shared > BATCH || (shared > 1 && f->log_probabilities))
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "positions: wanted %s, got %d at %d",
                            f->log_probabilities
                                ? "one token for each where log probabilities are asked for, since "
                                  "tokens that share one see each other"
                                : "at most 512 tokens that share one",
                            now, i);
    }
    return TSR_OK;
}

/* How many of the tokens from `at` on go into one call: tokens that share a position stay together.
 */
static int32_t chunk(const tsr_llama *m, const feed *f, int32_t at) {
    const int32_t most = f->log_probabilities ? m->outputs : BATCH;
    int32_t n = f->count - at < most ? f->count - at : most;
    if (!f->positions || at + n == f->count) return n;
    while (n > 1 && f->positions[at + n] == f->positions[at + n - 1])
        --n;
    return n;
}

/* Log probabilities of the ids of one call, in `at` .. `at + n - 1`. */
static tsr_status take_logits(tsr_context *ctx, tsr_llama *m, const feed *f, int32_t at,
                              int32_t n) {
    const int32_t n_vocab = m->info.n_vocab;
    const float *logits = m->fed ? m->logits : NULL;
    for (int32_t i = 0; i < n; ++i) {
        if (f->log_probabilities) {
            const int32_t id = f->ids[at + i];
            f->log_probabilities[at + i] =
                logits ? (float)((double)logits[id] - tsr_llama_log_sum(logits, n_vocab)) : NAN;
        }
        if (!f->log_probabilities && i + 1 < n) continue;
        logits = m->api->llama_get_logits_ith(m->context, i);
        if (!logits)
            return tsr_fail(ctx, TSR_ERROR_DEVICE, "libllama: wanted logits of token %d, got none",
                            at + i);
    }
    if (isnan(tsr_llama_log_sum(logits, n_vocab)))
        return tsr_fail(ctx, TSR_ERROR_DEVICE,
                        "libllama: wanted logits behind token %d that are numbers, got others",
                        m->fed + n - 1);
    memcpy(m->logits, logits, (size_t)n_vocab * sizeof *logits);
    return TSR_OK;
}

static tsr_status feed_chunk(tsr_context *ctx, tsr_llama *m, const feed *f, int32_t at, int32_t n) {
    struct llama_batch batch = {.n_tokens = n, .logits = m->flags};
    /* libllama reads them; its struct knows no const. */
    if (f->ids) batch.token = (int32_t *)(uintptr_t)(f->ids + at);
    if (f->rows) batch.embd = (float *)(uintptr_t)(f->rows + (size_t)at * (size_t)m->info.n_embd);
    if (f->positions) batch.pos = m->pos;
    for (int32_t i = 0; i < n; ++i) {
        m->flags[i] = f->log_probabilities || i + 1 == n;
        m->pos[i] = f->positions ? (int32_t)f->positions[at + i] : m->position + 1 + i;
    }
    tsr_llama_listen(ctx);
    const int32_t result = m->api->llama_decode(m->context, batch);
    tsr_status status = TSR_OK;
    if (result != 0)
        status = tsr_fail(ctx, TSR_ERROR_DEVICE, "libllama: decoding %d tokens gave %d: %s", n,
                          result, tsr_llama_said());
    if (!status) status = take_logits(ctx, m, f, at, n);
    tsr_llama_listen_end();
    if (status) return status;
    m->fed += n;
    m->position = m->pos[n - 1];
    return TSR_OK;
}

static tsr_status feed_all(tsr_context *ctx, tsr_llama *m, const feed *f) {
    if (m->broken)
        return tsr_fail(ctx, TSR_ERROR_STATE, "model: failed before; wanted tsr_llama_reset first");
    tsr_status status = check_positions(ctx, m, f);
    if (status) return status;
    if (f->count > m->info.context - m->fed)
        return tsr_fail(ctx, TSR_ERROR_STATE,
                        "context: wanted at most %d tokens, got %d fed and %d more",
                        m->info.context, m->fed, f->count);
    for (int32_t at = 0; at < f->count && !status;) {
        const int32_t n = chunk(m, f, at);
        status = feed_chunk(ctx, m, f, at, n);
        at += n;
    }
    m->broken = status != TSR_OK;
    return status;
}

tsr_status tsr_llama_feed_ids(tsr_context *ctx, tsr_llama *model, const int32_t *ids, int32_t count,
                              const double *positions, float *log_probabilities) {
    tsr_status status = check_ids(ctx, model, ids, count);
    const feed f = {
        .ids = ids, .count = count, .positions = positions, .log_probabilities = log_probabilities};
    return status ? status : feed_all(ctx, model, &f);
}

tsr_status tsr_llama_feed_embeddings(tsr_context *ctx, tsr_llama *model, const float *rows,
                                     int32_t count, int32_t width, const double *positions) {
    if (width != model->info.n_embd)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "embeddings: wanted rows of %d floats, as the model's are, got %d",
                        model->info.n_embd, width);
    if (count < 0 || (count && !rows))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "embeddings: wanted 0 or more rows, got %d%s",
                        count, rows ? "" : " at NULL");
    for (size_t i = 0; i < (size_t)count * (size_t)width; ++i)
        if (!isfinite(rows[i]))
            return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                            "embeddings: wanted finite numbers, got %g in row %zu", (double)rows[i],
                            i / (size_t)width);
    const feed f = {.rows = rows, .count = count, .positions = positions};
    return feed_all(ctx, model, &f);
}

void tsr_llama_reset(tsr_llama *m) {
    m->api->llama_memory_clear(m->api->llama_get_memory(m->context), true);
    m->fed = 0;
    m->position = -1;
    m->broken = false;
}

int32_t tsr_llama_fed(const tsr_llama *model) {
    return model->fed;
}

const float *tsr_llama_logits(const tsr_llama *model) {
    return model->fed && !model->broken ? model->logits : NULL;
}

/* ---- generating ----------------------------------------------------------------------------- */

tsr_status tsr_llama_generate(tsr_context *ctx, tsr_llama *m, const tsr_llama_sampling *sampling,
                              int32_t most, int32_t *ids, float *log_probabilities, int32_t *count,
                              tsr_llama_end *end) {
    const tsr_llama_sampling s = sampling ? *sampling : (tsr_llama_sampling){0};
    const int32_t n_vocab = m->info.n_vocab;
    *count = 0;
    *end = TSR_LLAMA_END_MOST;
    tsr_status status = tsr_llama_check_sampling(ctx, &s, n_vocab);
    if (status) return status;
    if (most < 0 || (most && !ids))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "ids to generate: wanted 0 or more, got %d%s",
                        most, ids ? "" : " at NULL");
    if (!tsr_llama_logits(m))
        return tsr_fail(ctx, TSR_ERROR_STATE,
                        "generate: wanted a conversation with a prompt, got %s",
                        m->broken ? "one that failed" : "an empty one");
    tsr_llama_candidate *room = NULL;
    if (s.temperature > 0) {
        room =
            tsr_alloc_raw(ctx, (size_t)n_vocab + (size_t)s.also_count, sizeof *room, "candidates");
        if (!room) return TSR_ERROR_MEMORY;
    }
    uint64_t state = s.seed;
    while (*count < most && !status) {
        if (m->fed >= m->info.context) {
            *end = TSR_LLAMA_END_CONTEXT;
            break;
        }
        const int32_t id = tsr_llama_choose(&s, m->logits, n_vocab, room, &state);
        ids[*count] = id;
        status = tsr_llama_feed_ids(ctx, m, &id, 1, NULL,
                                    log_probabilities ? &log_probabilities[*count] : NULL);
        if (status) break;
        ++*count;
        if (!s.keep_on && m->api->llama_vocab_is_eog(m->vocab, id)) {
            *end = TSR_LLAMA_END_TEXT;
            break;
        }
    }
    free(room);
    return status;
}
