/* SPDX-License-Identifier: MIT */
/* run_local.c: a model inside the process. */
#include "plot_file.h"
#include "run_local.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/clip.h>
#include <tessera/tokens.h>

/* Embeddings of a prompt. */
typedef struct local_rows {
    float *at; /* [count, width] */
    int32_t count, width;
} local_rows;

struct local_run {
    tool *t;
    const local_options *o;
    tsr_llama *model;
    const tsr_llama_info *info;
    local_rows rows;
    int32_t *before, *after;
    int32_t before_count, after_count;
    char *piece;         /* the text of an id that was asked for last */
    plot_series *curves; /* [curve_count] bits by position, of prompts that were scored */
    int curve_count;
};

/* ---- rows ---- */

static int take_rows(local_run *r, const char *file, const float *rows, int64_t count,
                     int64_t width) {
    if (width != r->info->n_embd)
        return tool_fail_text(
            r->t, TSR_ERROR_MODEL_MISMATCH,
            "%s: wanted rows of %d numbers, as the model embeds its tokens, got %lld "
            "(a projector makes them: --project of tessera features and encode)",
            file, r->info->n_embd, (long long)width);
    if (count < 1 || count > r->info->context)
        return tool_fail_text(r->t, TSR_ERROR_TOO_LARGE,
                              "%s: wanted 1 to %d rows, the model's context, got %lld", file,
                              r->info->context, (long long)count);
    const size_t n = (size_t)count * (size_t)width;
    r->rows = (local_rows){malloc(n * sizeof(float)), (int32_t)count, (int32_t)width};
    if (!r->rows.at) return tool_fail_text(r->t, TSR_ERROR_MEMORY, "%s: memory for its rows", file);
    memcpy(r->rows.at, rows, n * sizeof(float));
    return -1;
}

static int read_features(local_run *r) {
    const local_options *o = r->o;
    tsr_token_set *set = NULL;
    tsr_token_set_info info;
    const tsr_status status = tsr_token_set_read(r->t->ctx, o->features, o->set, &set);
    if (status) return tool_fail(r->t, status);
    int code;
    tsr_token_set_info_get(set, &info);
    if (!o->column) {
        code = take_rows(r, o->features, info.features, info.count, info.channels);
    } else {
        const tsr_token_array a = tsr_token_set_column(set, o->column);
        if (!a.name || a.type != TSR_ARRAY_F32 || a.rank > 2)
            code = tool_fail_text(r->t, TSR_ERROR_NOT_FOUND,
                                  "%s: column %s: wanted rows of numbers, got %s", o->features,
                                  o->column, a.name ? "another array" : "none");
        else
            code = take_rows(r, o->features, a.data, a.rank == 2 ? a.dim[0] : 1, a.dim[a.rank - 1]);
    }
    tsr_token_set_close(&set);
    return code;
}

/* The codebook's rows in the order in which the index map, frame by frame and row by row, first
 * names them, and the learned newline behind them: what VQToken's language model gets. */
static int rows_of_clip(local_run *r, const tsr_token_stream *s) {
    const uint64_t cells = (uint64_t)s->frames * s->rows * s->columns;
    if (!s->codebook)
        return tool_fail_text(r->t, TSR_ERROR_TOKENS,
                              "%s: wanted a clip with a codebook, got ids of %s", r->o->clip,
                              s->source);
    float *rows = malloc(((size_t)s->codebook_size + 1) * s->channels * sizeof *rows);
    bool *seen = calloc(s->codebook_size, sizeof *seen);
    int64_t count = 0;
    for (uint64_t i = 0; rows && seen && i < cells; ++i) {
        const uint32_t id = s->ids[i];
        if (seen[id]) continue;
        seen[id] = true;
        memcpy(rows + (size_t)count++ * s->channels, s->codebook + (size_t)id * s->channels,
               s->channels * sizeof *rows);
    }
    if (rows && s->newline)
        memcpy(rows + (size_t)count++ * s->channels, s->newline, s->channels * sizeof *rows);
    const int code = rows && seen ? take_rows(r, r->o->clip, rows, count, s->channels)
                                  : tool_fail_text(r->t, TSR_ERROR_MEMORY,
                                                   "%s: memory for its rows", r->o->clip);
    free(rows);
    free(seen);
    return code;
}

static int read_clip(local_run *r) {
    tsr_token_file *file = NULL;
    tsr_token_stream stream;
    uint64_t *items = NULL, count = 0;
    tsr_status status = tsr_token_file_open(r->t->ctx, &file, r->o->clip);
    if (!status)
        status = tsr_token_file_select(file, r->o->item ? &r->o->item : NULL, r->o->item ? 1 : 0,
                                       &items, &count);
    if (!status && count == 1)
        status = tsr_token_file_stream(file, items[0], TSR_CLIP_STREAM, &stream);
    int code;
    if (status)
        code = tool_fail(r->t, status);
    else if (count != 1)
        code = tool_fail_text(r->t, TSR_ERROR_ARGUMENT,
                              "%s: wanted one item, got %llu (--item names one)", r->o->clip,
                              (unsigned long long)count);
    else
        code = rows_of_clip(r, &stream);
    free(items);
    tsr_token_file_close(&file);
    return code;
}

/* ---- feeding ---- */

static int read_texts(local_run *r) {
    const local_options *o = r->o;
    const char *before = o->before ? o->before : "";
    tsr_status status = TSR_OK;
    if (o->before || r->rows.at) /* ids alone go as they are */
        status = tsr_llama_tokenize(r->t->ctx, r->model, before, strlen(before), 1, &r->before,
                                    &r->before_count);
    if (!status && o->after)
        status = tsr_llama_tokenize(r->t->ctx, r->model, o->after, strlen(o->after), 0, &r->after,
                                    &r->after_count);
    return status ? tool_fail(r->t, status) : -1;
}

/* Rows stand at floor(p + i * step), as positions of ids are whole. */
static tsr_status feed_rows(local_run *r) {
    const local_rows *rows = &r->rows;
    double *positions = NULL;
    if (!rows->at) return TSR_OK;
    if (r->o->visual_step < 1) {
        positions = malloc((size_t)rows->count * sizeof *positions);
        if (!positions) return TSR_ERROR_MEMORY;
        for (int32_t i = 0; i < rows->count; ++i)
            positions[i] = floor(r->before_count + i * r->o->visual_step);
    }
    const tsr_status status = tsr_llama_feed_embeddings(r->t->ctx, r->model, rows->at, rows->count,
                                                        rows->width, positions);
    free(positions);
    return status;
}

static tsr_status feed_prompt(local_run *r, const run_prompt *p, float *logprobs) {
    tsr_context *ctx = r->t->ctx;
    tsr_llama_reset(r->model);
    tsr_status status = tsr_llama_feed_ids(ctx, r->model, r->before, r->before_count, NULL, NULL);
    if (!status) status = feed_rows(r);
    if (!status && p->id_count) /* above 2^31 they become negative, and are refused as such */
        status = tsr_llama_feed_ids(ctx, r->model, (const int32_t *)p->ids, (int32_t)p->id_count,
                                    NULL, logprobs);
    if (!status) status = tsr_llama_feed_ids(ctx, r->model, r->after, r->after_count, NULL, NULL);
    return status;
}

/* ---- generating ---- */

typedef struct local_reply {
    uint32_t *ids;
    float *logprobs;
    tsr_token_logprob *top; /* [most, wanted], or NULL */
    size_t count;
    tsr_generate_stop stop;
    double first_seconds;
} local_reply;

/* The likeliest ids behind the conversation, of equal ones the lowest first. */
static void take_top(const local_run *r, tsr_token_logprob *top, uint32_t wanted) {
    const float *logits = tsr_llama_logits(r->model);
    const int32_t n_vocab = r->info->n_vocab;
    uint32_t n = 0;
    double sum = 0;
    for (int32_t id = 0; id < n_vocab; ++id) {
        if (n == wanted && !(logits[id] > top[n - 1].logprob)) continue;
        uint32_t at = n < wanted ? n++ : n - 1;
        for (; at > 0 && logits[id] > top[at - 1].logprob; --at)
            top[at] = top[at - 1];
        top[at] = (tsr_token_logprob){(uint32_t)id, logits[id]};
    }
    const double most = (double)top[0].logprob;
    for (int32_t id = 0; id < n_vocab; ++id)
        sum += exp((double)logits[id] - most);
    for (uint32_t i = 0; i < n; ++i)
        top[i].logprob = (float)((double)top[i].logprob - most - log(sum));
    for (uint32_t i = n; i < wanted; ++i)
        top[i] = (tsr_token_logprob){UINT32_MAX, NAN};
}

static tsr_status generate(local_run *r, local_reply *reply) {
    const local_options *o = r->o;
    const double started = tool_seconds();
    tsr_status status = TSR_OK;
    reply->stop = TSR_GENERATE_LENGTH;
    while (reply->count < o->max_tokens && !status) {
        /* SplitMix64's states are equal steps apart: the draws are those of one call. */
        const tsr_llama_sampling sampling = {.temperature = o->temperature,
                                             .top_k = (int32_t)o->top_k,
                                             .top_p = o->top_p < 1 ? o->top_p : 0,
                                             .seed = o->seed + reply->count * 0x9E3779B97F4A7C15u};
        int32_t id = 0, count = 0;
        tsr_llama_end end;
        float logprob;
        if (reply->top) take_top(r, &reply->top[reply->count * o->logprobs], o->logprobs);
        status = tsr_llama_generate(r->t->ctx, r->model, &sampling, 1, &id, &logprob, &count, &end);
        if (status || !count) break;
        reply->ids[reply->count] = (uint32_t)id;
        reply->logprobs[reply->count++] = logprob;
        if (reply->count == 1) reply->first_seconds = tool_seconds() - started;
        if (end == TSR_LLAMA_END_TEXT) {
            reply->stop = TSR_GENERATE_END;
            break;
        }
        if (tool_progress(r->t, "ids", reply->count, o->max_tokens)) status = TSR_ERROR_INTERRUPTED;
    }
    return status;
}

static int hand_over(local_run *r, const run_prompt *p, size_t index, run_output *out,
                     tsr_status status, const local_reply *reply, double seconds) {
    char *text = NULL;
    const tsr_status written = tsr_llama_text(r->t->ctx, r->model, (const int32_t *)reply->ids,
                                              (int32_t)reply->count, 1, &text, NULL);
    if (written && !status) status = written;
    const tsr_generate_reply got = {.status = status,
                                    .detail = status ? tsr_detail(r->t->ctx) : "",
                                    .ids = reply->ids,
                                    .id_count = reply->count,
                                    .logprobs = reply->top ? reply->logprobs : NULL,
                                    .top = reply->top,
                                    .top_count = r->o->logprobs,
                                    .text = text ? text : "",
                                    .stop = reply->stop,
                                    .prompt_tokens =
                                        (uint32_t)tsr_llama_fed(r->model) - (uint32_t)reply->count,
                                    .seconds = seconds,
                                    .first_seconds = reply->first_seconds,
                                    .tries = 1};
    const run_reply one = {.prompt = p, .index = index, .got = &got};
    const int code = run_output_reply(r->t, out, &one);
    free(text);
    return code;
}

static int answer(local_run *r, const run_prompt *p, size_t index, run_output *out) {
    const size_t most = r->o->max_tokens, wanted = r->o->logprobs;
    local_reply reply = {.ids = malloc(most * sizeof *reply.ids),
                         .logprobs = malloc(most * sizeof *reply.logprobs),
                         .top = wanted ? malloc(most * wanted * sizeof *reply.top) : NULL};
    int code;
    if (!reply.ids || !reply.logprobs || (wanted && !reply.top)) {
        code = tool_fail_text(r->t, TSR_ERROR_MEMORY, "%s: memory for its reply", p->name);
    } else {
        const double started = tool_seconds();
        tsr_status status = feed_prompt(r, p, NULL);
        if (!status) status = generate(r, &reply);
        code = status && (out->single || status == TSR_ERROR_INTERRUPTED)
                   ? tool_fail(r->t, status)
                   : hand_over(r, p, index, out, status, &reply, tool_seconds() - started);
    }
    free(reply.ids);
    free(reply.logprobs);
    free(reply.top);
    return code;
}

/* ---- scoring ---- */

/* Keeps a prompt's bits by position for the plot. */
static bool keep_curve(local_run *r, const run_prompt *p, const float *logprobs) {
    plot_series *curves = realloc(r->curves, ((size_t)r->curve_count + 1) * sizeof *curves);
    if (curves) r->curves = curves;
    plot_point *points = curves ? malloc((p->id_count + 1) * sizeof *points) : NULL;
    if (!points) return false;
    for (size_t i = 0; i < p->id_count; ++i)
        points[i] = (plot_point){(double)i, -(double)logprobs[i] / M_LN2, NAN, NAN, NULL};
    r->curves[r->curve_count] = (plot_series){.name = p->name,
                                              .points = points,
                                              .count = (int)p->id_count,
                                              .look = r->curve_count,
                                              .bare = true};
    ++r->curve_count;
    return true;
}

static void tell_score(local_run *r, const run_prompt *p, run_output *out, const float *logprobs,
                       uint64_t scored, double mean) {
    if (out->list) {
        json_out *j = &out->json;
        json_object(j, NULL);
        json_text(j, "name", p->name);
        json_uint(j, "prompt_tokens", p->id_count);
        json_uint(j, "scored_tokens", scored);
        json_real(j, "bits_per_token", mean / M_LN2);
        json_real(j, "perplexity", exp(mean));
        json_array(j, "logprobs"); /* null where nothing stands before an id */
        for (size_t i = 0; i < p->id_count; ++i)
            json_real(j, NULL, (double)logprobs[i]);
        json_end(j, ']');
        json_end(j, '}');
        return;
    }
    char clean[400];
    tool_progress_clear(r->t);
    printf("%s: %.4f bits a token, perplexity %.4g, of %llu ids\n",
           tool_clean(p->name, clean, sizeof clean), mean / M_LN2, exp(mean),
           (unsigned long long)scored);
}

/* What the model makes of the ids of a prompt: the mean of -log2 p over those that something stands
 * before. */
static int score(local_run *r, const run_prompt *p, run_output *out) {
    float *logprobs = malloc((p->id_count + 1) * sizeof *logprobs);
    if (!logprobs) return tool_fail_text(r->t, TSR_ERROR_MEMORY, "%s: memory", p->name);
    const tsr_status status = feed_prompt(r, p, logprobs);
    double sum = 0;
    uint64_t scored = 0;
    for (size_t i = 0; i < p->id_count && !status; ++i) {
        if (isnan(logprobs[i])) continue;
        sum -= (double)logprobs[i];
        ++scored;
    }
    int code = status ? tool_fail(r->t, status) : -1;
    if (code < 0) {
        ++out->written;
        out->tokens += scored;
        tell_score(r, p, out, logprobs, scored, scored ? sum / (double)scored : NAN);
    }
    if (code < 0 && r->o->plot && !keep_curve(r, p, logprobs))
        code = tool_fail_text(r->t, TSR_ERROR_MEMORY, "%s: memory for the plot", r->o->plot);
    free(logprobs);
    return code;
}

static int write_plot(local_run *r) {
    if (!r->o->plot || !r->curve_count) return -1;
    const plot p = {.title = "what each id costs the model",
                    .x_name = "position in the prompt",
                    .y_name = "bits",
                    .series = r->curves,
                    .count = r->curve_count};
    return plot_file_write(r->t, &p, r->o->plot);
}

/* ---- all of it ---- */

static int prepare(local_run *r, run_prompts *prompts) {
    const local_options *o = r->o;
    int code = o->features ? read_features(r) : o->clip ? read_clip(r) : -1;
    if (code < 0) code = read_texts(r);
    if (code < 0 && !prompts->count)
        code = run_prompts_add(r->t, prompts,
                               o->features ? o->features
                               : o->clip   ? o->clip
                                           : "text",
                               NULL, NULL, 0);
    return code;
}

int run_local_open(tool *t, const local_options *o, local_run **out, local_facts *facts) {
    *out = NULL;
    local_run *r = calloc(1, sizeof *r);
    if (!r) return tool_fail_text(t, TSR_ERROR_MEMORY, "%s: memory for a model", o->gguf);
    r->t = t;
    r->o = o;
    const tsr_llama_settings settings = {
        .library = o->library, .context = (int32_t)o->context, .rope_scale = (float)o->rope_scale};
    const tsr_status status = tsr_llama_open(t->ctx, &r->model, o->gguf, &settings);
    if (status) {
        free(r);
        return tool_fail(t, status);
    }
    r->info = tsr_llama_properties(r->model);
    snprintf(facts->library, sizeof facts->library, "%s", r->info->library);
    snprintf(facts->version, sizeof facts->version, "%s", r->info->version);
    snprintf(facts->architecture, sizeof facts->architecture, "%s", r->info->architecture);
    facts->vocabulary = r->info->n_vocab;
    facts->width = r->info->n_embd;
    facts->context = r->info->context;
    *out = r;
    return -1;
}

void run_local_close(local_run **at) {
    local_run *r = *at;
    *at = NULL;
    if (!r) return;
    free(r->rows.at);
    free(r->before);
    free(r->after);
    free(r->piece);
    for (int i = 0; i < r->curve_count; ++i)
        free((plot_point *)(uintptr_t)r->curves[i].points);
    free(r->curves);
    tsr_llama_close(&r->model);
    free(r);
}

static const char *piece_of(void *user, uint32_t id, size_t *size) {
    local_run *r = user;
    const int32_t one = (int32_t)id;
    free(r->piece);
    r->piece = NULL;
    return tsr_llama_text(r->t->ctx, r->model, &one, 1, 1, &r->piece, size) ? NULL : r->piece;
}

tsr_vocabulary run_local_vocabulary(local_run *r) {
    return (tsr_vocabulary){.count = (uint32_t)r->info->n_vocab, .text = piece_of, .user = r};
}

tsr_status run_local_cut(void *user, const char *text, uint32_t **ids, uint64_t *count) {
    local_run *r = user;
    int32_t n = 0, *made = NULL;
    const tsr_status s = tsr_llama_tokenize(r->t->ctx, r->model, text, strlen(text), 0, &made, &n);
    *ids = (uint32_t *)made; /* none is below 0 */
    *count = (uint64_t)n;
    return s;
}

int run_local_prompts(local_run *r, run_prompts *prompts, run_output *out) {
    int code = prepare(r, prompts);
    for (size_t i = 0; i < prompts->count && code < 0; ++i)
        code =
            r->o->perplexity ? score(r, &prompts->at[i], out) : answer(r, &prompts->at[i], i, out);
    return code < 0 ? write_plot(r) : code;
}
