/* SPDX-License-Identifier: MIT */
/* test_llama.c: a model by rule in the real libllama: ids and embeddings give the same logits, log
 * probabilities and draws are what their definitions say, and mistakes are refused before libllama
 * sees them. Skipped where libllama is not (scripts/llama.sh brings it). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/runner/llama.h>
#include <unistd.h>

#include "gguf_sample.h"
#include "needs.h"
#include "runner/gguf.h"
#include "runner/llama_sample.h"
#include "testing.h"

/* libllama keeps keys and values as float16, so that another division of a prompt changes the last
 * of some three digits; logits of these models are around 10. */
static tsr_context *ctx;
static tsr_llama *model;
static char path[64];

static void open_model(const gguf_sample *sample, const tsr_llama_settings *settings) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    snprintf(path, sizeof path, "/tmp/tessera_llama_%d.gguf", (int)getpid());
    gguf_sample_write(sample, path);
    tsr_llama_settings s = settings ? *settings : tsr_llama_settings_default();
    s.library = libllama_path();
    s.threads = 1;
    const tsr_status status = tsr_llama_open(ctx, &model, path, &s);
    ck_assert_msg(status == TSR_OK, "%s", tsr_detail(ctx));
}

static void open_small(void) {
    const gguf_sample sample = gguf_sample_small();
    open_model(&sample, NULL);
}

static void close_model(void) {
    tsr_llama_close(&model);
    ck_assert_ptr_null(model);
    tsr_context_close(&ctx);
    unlink(path);
}

#define OK(call) ck_assert_msg((call) == TSR_OK, "%s", tsr_detail(ctx))

static void refused(tsr_status status, tsr_status wanted, const char *word) {
    ck_assert_msg(status == wanted && strstr(tsr_detail(ctx), word), "%s: %s",
                  tsr_status_name(status), tsr_detail(ctx));
}

/* bos, the codes of an image between its marks. */
static int32_t image_prompt(const gguf_sample *s, int32_t codes, int32_t *ids) {
    int32_t n = 0;
    ids[n++] = 1;
    ids[n++] = (int32_t)s->first_code - 2;
    for (int32_t i = 0; i < codes; ++i)
        ids[n++] = (int32_t)(s->first_code + (uint32_t)(127 * i) % s->codes);
    ids[n++] = (int32_t)s->first_code - 1;
    return n;
}

static float *copy_logits(void) {
    const size_t bytes = (size_t)tsr_llama_properties(model)->n_vocab * sizeof(float);
    ck_assert_ptr_nonnull(tsr_llama_logits(model));
    return memcpy(malloc(bytes), tsr_llama_logits(model), bytes);
}

static void same_logits(const float *want, const char *what) {
    const int32_t n = tsr_llama_properties(model)->n_vocab;
    const float *got = tsr_llama_logits(model);
    for (int32_t i = 0; i < n; ++i)
        ck_assert_msg(got[i] == want[i], "%s: id %d: %a and %a", what, i, (double)got[i],
                      (double)want[i]);
}

/* Rows of the model's own embedding. */
static float *rows_of(const int32_t *ids, int32_t count, int32_t width) {
    tsr_gguf *file = NULL;
    OK(tsr_gguf_open(ctx, path, &file));
    const tsr_gguf_tensor *t = tsr_gguf_find(file, "token_embd.weight");
    float *rows = malloc((size_t)count * (size_t)width * sizeof *rows);
    for (int32_t i = 0; i < count; ++i)
        OK(tsr_gguf_rows(ctx, file, t, ids[i], 1, rows + (size_t)i * (size_t)width));
    tsr_gguf_close(&file);
    return rows;
}

START_TEST(describes_itself) {
    open_small();
    const gguf_sample s = gguf_sample_small();
    const tsr_llama_info *i = tsr_llama_properties(model);
    ck_assert_str_eq(i->architecture, "llama");
    ck_assert_str_eq(i->name, "random weights by rule");
    ck_assert_ptr_nonnull(strstr(i->version, TSR_LLAMA_VERSION));
    ck_assert(i->n_vocab == (int32_t)s.n_vocab && i->n_embd == (int32_t)s.dim && i->layers == 2);
    ck_assert(i->context == 1024 && i->context_trained == 1024);
    ck_assert(i->bos == 1 && i->eos == 2 && i->adds_bos == 1);
    ck_assert_ptr_null(tsr_llama_logits(model));
    close_model();
}
END_TEST

/* Ids above 65,535 and the whole way of an image: 259 ids, greedy. The same ids as embeddings. */
START_TEST(embeddings_are_ids) {
    const gguf_sample sample = gguf_sample_large();
    open_model(&sample, NULL);
    int32_t ids[259], greedy[8], again[8], count;
    tsr_llama_end end;
    ck_assert_int_eq(image_prompt(&sample, 256, ids), 259);
    ids[200] = 69999;
    OK(tsr_llama_feed_ids(ctx, model, ids, 259, NULL, NULL));
    ck_assert_int_eq(tsr_llama_fed(model), 259);
    float *by_ids = copy_logits();
    OK(tsr_llama_generate(ctx, model, NULL, 8, greedy, NULL, &count, &end));
    ck_assert(count == 8 && end == TSR_LLAMA_END_MOST && tsr_llama_fed(model) == 267);
    int32_t best = 0;
    for (int32_t i = 1; i < 70000; ++i)
        if (by_ids[i] > by_ids[best]) best = i;
    ck_assert_int_eq(greedy[0], best);

    tsr_llama_reset(model);
    float *rows = rows_of(ids, 259, 64);
    OK(tsr_llama_feed_embeddings(ctx, model, rows, 259, 64, NULL));
    same_logits(by_ids, "embeddings");
    OK(tsr_llama_generate(ctx, model, NULL, 8, again, NULL, &count, &end));
    expect_equal_i32("greedy ids", again, greedy, 8);

    /* In turn, in one division of the prompt: text, embeddings, text. */
    tsr_llama_reset(model);
    OK(tsr_llama_feed_ids(ctx, model, ids, 2, NULL, NULL));
    OK(tsr_llama_feed_ids(ctx, model, ids + 2, 256, NULL, NULL));
    OK(tsr_llama_feed_ids(ctx, model, ids + 258, 1, NULL, NULL));
    float *in_turn = copy_logits();
    tsr_llama_reset(model);
    OK(tsr_llama_feed_ids(ctx, model, ids, 2, NULL, NULL));
    OK(tsr_llama_feed_embeddings(ctx, model, rows + 2 * 64, 256, 64, NULL));
    OK(tsr_llama_feed_ids(ctx, model, ids + 258, 1, NULL, NULL));
    same_logits(in_turn, "in turn");
    expect_close_f32("another division of the prompt", in_turn, by_ids, 70000, 0.1);
    free(in_turn);
    free(by_ids);
    free(rows);
    close_model();
}
END_TEST

/* Another row changes the logits: the comparison above can fail. */
START_TEST(another_row_is_another_prompt) {
    open_small();
    const gguf_sample s = gguf_sample_small();
    int32_t ids[19];
    image_prompt(&s, 16, ids);
    OK(tsr_llama_feed_ids(ctx, model, ids, 19, NULL, NULL));
    float *by_ids = copy_logits();
    float *rows = rows_of(ids, 19, 16);
    rows[5 * 16] += 0.125f;
    tsr_llama_reset(model);
    OK(tsr_llama_feed_embeddings(ctx, model, rows, 19, 16, NULL));
    ck_assert(memcmp(tsr_llama_logits(model), by_ids, 1200 * sizeof(float)) != 0);
    free(rows);
    free(by_ids);
    close_model();
}
END_TEST

/* 530 ids are more than one call of libllama. */
START_TEST(log_probabilities) {
    open_small();
    const gguf_sample s = gguf_sample_small();
    enum { N = 530 };
    int32_t ids[N];
    float all[N], one[N];
    image_prompt(&s, N - 3, ids);
    OK(tsr_llama_feed_ids(ctx, model, ids, N, NULL, all));
    ck_assert(isnan(all[0]));
    float *end = copy_logits();
    tsr_llama_reset(model);
    double sum = 0;
    for (int i = 0; i < N; ++i) { /* by definition: softmax of the logits before the id */
        const float *logits = tsr_llama_logits(model);
        double total = 0;
        for (int32_t k = 0; logits && k < 1200; ++k)
            total += exp((double)logits[k]);
        if (logits) one[i] = (float)((double)logits[ids[i]] - log(total));
        if (logits) sum += (double)one[i];
        OK(tsr_llama_feed_ids(ctx, model, &ids[i], 1, NULL, NULL));
    }
    expect_close_f32("log probabilities", all + 1, one + 1, N - 1, 0.1);
    expect_close_f32("logits behind the prompt", end, tsr_llama_logits(model), 1200, 0.1);
    ck_assert(sum < 0);

    /* Generated ones are of the same kind; probabilities of all ids sum to 1. */
    int32_t next[4], count;
    float log_next[4];
    tsr_llama_end why;
    tsr_llama_reset(model);
    OK(tsr_llama_feed_ids(ctx, model, ids, N, NULL, NULL));
    const double before = tsr_llama_log_sum(tsr_llama_logits(model), 1200);
    float *logits = copy_logits();
    OK(tsr_llama_generate(ctx, model, NULL, 4, next, log_next, &count, &why));
    double mass = 0;
    for (int32_t k = 0; k < 1200; ++k)
        mass += exp((double)logits[k] - before);
    ck_assert_double_eq_tol(mass, 1, 1e-9);
    ck_assert_double_eq_tol((double)log_next[0], (double)logits[next[0]] - before, 1e-6);
    free(logits);
    free(end);
    close_model();
}
END_TEST

START_TEST(two_runs_are_equal) {
    open_small();
    const gguf_sample s = gguf_sample_small();
    int32_t ids[300], a[32], b[32], count;
    float la[32], lb[32];
    tsr_llama_end end;
    image_prompt(&s, 297, ids);
    const tsr_llama_sampling draw = {.temperature = 1, .seed = 7, .keep_on = 1};
    OK(tsr_llama_feed_ids(ctx, model, ids, 300, NULL, NULL));
    float *first = copy_logits();
    OK(tsr_llama_generate(ctx, model, &draw, 32, a, la, &count, &end));
    tsr_llama_close(&model);
    tsr_llama_settings settings = tsr_llama_settings_default();
    settings.library = libllama_path();
    settings.threads = 1;
    OK(tsr_llama_open(ctx, &model, path, &settings));
    OK(tsr_llama_feed_ids(ctx, model, ids, 300, NULL, NULL));
    same_logits(first, "second run");
    OK(tsr_llama_generate(ctx, model, &draw, 32, b, lb, &count, &end));
    ck_assert_int_eq(memcmp(a, b, sizeof a), 0);
    ck_assert_int_eq(memcmp(la, lb, sizeof la), 0);
    tsr_llama_reset(model); /* another seed draws otherwise */
    const tsr_llama_sampling other = {.temperature = 1, .seed = 8, .keep_on = 1};
    OK(tsr_llama_feed_ids(ctx, model, ids, 300, NULL, NULL));
    OK(tsr_llama_generate(ctx, model, &other, 32, b, NULL, &count, &end));
    ck_assert_int_ne(memcmp(a, b, sizeof a), 0);
    free(first);
    close_model();
}
END_TEST

START_TEST(only_codes) {
    open_small();
    const gguf_sample s = gguf_sample_small();
    int32_t ids[19], got[64], count;
    tsr_llama_end end;
    const int32_t stop = (int32_t)s.first_code - 1;
    image_prompt(&s, 16, ids);
    const tsr_llama_sampling codes = {.temperature = 2,
                                      .seed = 3,
                                      .allowed_first = (int32_t)s.first_code,
                                      .allowed_count = (int32_t)s.codes,
                                      .also = &stop,
                                      .also_count = 1};
    OK(tsr_llama_feed_ids(ctx, model, ids, 18, NULL, NULL));
    OK(tsr_llama_generate(ctx, model, &codes, 64, got, NULL, &count, &end));
    ck_assert_int_eq(count, 64);
    for (int i = 0; i < 64; ++i)
        ck_assert(got[i] >= stop && got[i] < (int32_t)(s.first_code + s.codes));
    close_model();
}
END_TEST

START_TEST(text_both_ways) {
    open_small();
    const gguf_sample s = gguf_sample_small();
    static const char prompt[] = "<|image start|><|visual token 000006|><|image end|>abc \xC3\xA9";
    int32_t *ids, count;
    char *text;
    size_t size;
    OK(tsr_llama_tokenize(ctx, model, prompt, strlen(prompt), 1, &ids, &count));
    ck_assert_int_eq(count, 10); /* bos, three special ones, a, b, c, a space, two bytes */
    ck_assert_int_eq(ids[0], 1);
    ck_assert_int_eq(ids[1], (int32_t)s.first_code - 2);
    ck_assert_int_eq(ids[2], (int32_t)s.first_code + 6);
    ck_assert_int_eq(ids[4], 259 + 'a' - ' ');
    ck_assert_int_eq(ids[8], 3 + 0xC3);
    OK(tsr_llama_text(ctx, model, ids + 1, count - 1, 1, &text, &size));
    ck_assert_str_eq(text, prompt);
    ck_assert_uint_eq(size, strlen(prompt));
    free(text);
    OK(tsr_llama_text(ctx, model, ids, count, 0, &text, &size)); /* control pieces are left out */
    ck_assert_str_eq(text, "abc \xC3\xA9");
    free(text);
    free(ids);
    OK(tsr_llama_text(ctx, model, NULL, 0, 0, &text, &size));
    ck_assert(size == 0 && !text[0]);
    free(text);
    OK(tsr_llama_tokenize(ctx, model, "", 0, 0, &ids, &count));
    ck_assert_int_eq(count, 0);
    free(ids);
    const int32_t wrong = 1200;
    refused(tsr_llama_text(ctx, model, &wrong, 1, 0, &text, NULL), TSR_ERROR_ARGUMENT,
            "wanted 0 to 1199, got 1200 at 0");
    close_model();
}
END_TEST

START_TEST(positions) {
    open_small();
    const gguf_sample s = gguf_sample_small();
    int32_t ids[7];
    image_prompt(&s, 4, ids);
    const double counted[] = {0, 1, 2, 3, 4, 5, 6};
    OK(tsr_llama_feed_ids(ctx, model, ids, 7, NULL, NULL));
    float *plain = copy_logits();
    tsr_llama_reset(model);
    OK(tsr_llama_feed_ids(ctx, model, ids, 7, counted, NULL));
    same_logits(plain, "counted positions");

    /* V2PE, steps of 1/2: 0, 1, then 2, 2.5, 3, 3.5, then 4. Tokens that share a position see each
     * other, so that their order means nothing; with positions of their own it does. */
    const double shared[] = {0, 1, 2, 2, 3, 3, 4};
    int32_t swapped[7];
    memcpy(swapped, ids, sizeof ids);
    swapped[2] = ids[3];
    swapped[3] = ids[2];
    tsr_llama_reset(model);
    OK(tsr_llama_feed_ids(ctx, model, ids, 7, shared, NULL));
    float *pairs = copy_logits();
    ck_assert(memcmp(pairs, plain, 1200 * sizeof(float)) != 0);
    tsr_llama_reset(model);
    OK(tsr_llama_feed_ids(ctx, model, swapped, 7, shared, NULL));
    expect_close_f32("a pair in the other order", tsr_llama_logits(model), pairs, 1200, 0.05);
    tsr_llama_reset(model);
    OK(tsr_llama_feed_ids(ctx, model, swapped, 7, NULL, NULL));
    double most = 0;
    for (int i = 0; i < 1200; ++i)
        most = fmax(most, fabs((double)tsr_llama_logits(model)[i] - (double)plain[i]));
    ck_assert_double_gt(most, 0.5);

    /* What comes next stands behind the last position, not behind the number of tokens. */
    tsr_llama_reset(model);
    OK(tsr_llama_feed_ids(ctx, model, ids, 6, shared, NULL));
    OK(tsr_llama_feed_ids(ctx, model, ids + 6, 1, NULL, NULL));
    expect_close_f32("fed in two parts", tsr_llama_logits(model), pairs, 1200, 0.05);

    const struct {
        double at[3];
        const char *word;
    } wrong[] = {{{0, 0.5, 1}, "wanted whole numbers"},
                 {{1, 2, 3}, "no holes"},
                 {{0, 2, 3}, "no holes"},
                 {{0, 1, 0}, "no falling ones"},
                 {{0, NAN, 1}, "wanted whole numbers"},
                 {{-1, 0, 1}, "wanted whole numbers"}};
    tsr_llama_reset(model);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        refused(tsr_llama_feed_ids(ctx, model, ids, 3, wrong[i].at, NULL), TSR_ERROR_ARGUMENT,
                wrong[i].word);
    float log_p[7];
    refused(tsr_llama_feed_ids(ctx, model, ids, 7, shared, log_p), TSR_ERROR_ARGUMENT,
            "see each other");
    ck_assert_int_eq(tsr_llama_fed(model), 0); /* nothing was fed, and the model is as it was */
    OK(tsr_llama_feed_ids(ctx, model, ids, 7, NULL, NULL));
    same_logits(plain, "after refusals");
    refused(tsr_llama_feed_ids(ctx, model, ids, 3, (const double[]){6, 7, 8}, NULL),
            TSR_ERROR_ARGUMENT, "wanted 7");
    free(pairs);
    free(plain);
    close_model();
}
END_TEST

/* A scale of positions changes what lies between two tokens, and nothing of one alone. */
START_TEST(stretched_positions) {
    open_small();
    const gguf_sample s = gguf_sample_small();
    int32_t ids[7];
    image_prompt(&s, 4, ids);
    OK(tsr_llama_feed_ids(ctx, model, ids, 1, NULL, NULL));
    float *one = copy_logits();
    OK(tsr_llama_feed_ids(ctx, model, ids + 1, 6, NULL, NULL));
    float *seven = copy_logits();
    tsr_llama_close(&model);
    tsr_context_close(&ctx);
    const tsr_llama_settings half = {.context = 2048, .rope_scale = 0.5f};
    open_model(&s, &half);
    ck_assert_int_eq(tsr_llama_properties(model)->context, 2048);
    OK(tsr_llama_feed_ids(ctx, model, ids, 1, NULL, NULL));
    same_logits(one, "one token");
    OK(tsr_llama_feed_ids(ctx, model, ids + 1, 6, NULL, NULL));
    ck_assert(memcmp(tsr_llama_logits(model), seven, 1200 * sizeof(float)) != 0);
    free(one);
    free(seven);
    close_model();
}
END_TEST

START_TEST(mistakes_are_refused) {
    open_small();
    const gguf_sample s = gguf_sample_small();
    int32_t ids[1025], got[4], count;
    float rows[32] = {0};
    tsr_llama_end end;
    image_prompt(&s, 1022, ids);
    refused(tsr_llama_generate(ctx, model, NULL, 4, got, NULL, &count, &end), TSR_ERROR_STATE,
            "an empty one");
    refused(tsr_llama_feed_ids(ctx, model, ids, 1025, NULL, NULL), TSR_ERROR_STATE,
            "at most 1024 tokens, got 0 fed and 1025 more");
    ids[9] = 1200;
    refused(tsr_llama_feed_ids(ctx, model, ids, 20, NULL, NULL), TSR_ERROR_ARGUMENT,
            "wanted 0 to 1199, got 1200 at 9");
    ids[9] = -5;
    refused(tsr_llama_feed_ids(ctx, model, ids, 20, NULL, NULL), TSR_ERROR_ARGUMENT, "got -5 at 9");
    refused(tsr_llama_feed_embeddings(ctx, model, rows, 2, 15, NULL), TSR_ERROR_ARGUMENT,
            "rows of 16 floats, as the model's are, got 15");
    rows[17] = INFINITY;
    refused(tsr_llama_feed_embeddings(ctx, model, rows, 2, 16, NULL), TSR_ERROR_ARGUMENT,
            "finite numbers, got inf in row 1");
    ids[9] = 5;
    OK(tsr_llama_feed_ids(ctx, model, ids, 0, NULL, NULL));
    ck_assert_ptr_null(tsr_llama_logits(model));
    OK(tsr_llama_feed_ids(ctx, model, ids, 1023, NULL, NULL));
    OK(tsr_llama_generate(ctx, model, NULL, 4, got, NULL, &count, &end)); /* room for one more */
    ck_assert(count == 1 && (end == TSR_LLAMA_END_CONTEXT || end == TSR_LLAMA_END_TEXT));
    const tsr_llama_sampling wrong[] = {{.temperature = -1},
                                        {.temperature = NAN},
                                        {.top_k = -1},
                                        {.top_p = 1.5},
                                        {.allowed_first = 1100, .allowed_count = 101},
                                        {.also = ids, .also_count = -1}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
        ck_assert_int_eq(tsr_llama_generate(ctx, model, &wrong[i], 4, got, NULL, &count, &end),
                         TSR_ERROR_ARGUMENT);
    close_model();
}
END_TEST

START_TEST(wrong_files) {
    open_small();
    tsr_llama *other = NULL;
    tsr_llama_settings settings = {.library = libllama_path(), .context = 1025};
    refused(tsr_llama_open(ctx, &other, path, &settings), TSR_ERROR_ARGUMENT, "1 to 1024 tokens");
    settings.context = 0;
    settings.library = "/nowhere/libllama.so";
    refused(tsr_llama_open(ctx, &other, path, &settings), TSR_ERROR_NOT_FOUND, "/nowhere");
    settings.library = libllama_path();
    refused(tsr_llama_open(ctx, &other, "/nowhere.gguf", &settings), TSR_ERROR_NOT_FOUND,
            "/nowhere.gguf");
    /* A good header of a model without its tensors: libllama's refusal, in the detail text. */
    const gguf_sample s = gguf_sample_small();
    gguf_bytes b = gguf_sample_make(&s);
    b.at[8] = 0; /* number of tensors: what stands behind the keys is then not looked at */
    FILE *f = fopen(path, "wb");
    ck_assert(f && fwrite(b.at, 1, b.size, f) == b.size && fclose(f) == 0);
    refused(tsr_llama_open(ctx, &other, path, &settings), TSR_ERROR_MODEL, "libllama cannot load");
    /* A BYTE piece of another form, at which libllama would end the process. */
    uint8_t *piece = memmem(b.at, b.size, "<0x41>", 6);
    ck_assert_ptr_nonnull(piece);
    memcpy(piece, "<0x4G>", 6);
    b.at[8] = 20;
    f = fopen(path, "wb");
    ck_assert(f && fwrite(b.at, 1, b.size, f) == b.size && fclose(f) == 0);
    refused(tsr_llama_open(ctx, &other, path, &settings), TSR_ERROR_MODEL, "<0x4G>");
    ck_assert_ptr_null(other);
    free(b.at);
    close_model();
}
END_TEST

/* The choice alone, against its definition. */
START_TEST(draws_follow_the_probabilities) {
    const float logits[6] = {0, 1, 2, 2, -INFINITY, 1.5f};
    tsr_llama_candidate room[8];
    uint64_t state = 1;
    enum { N = 200000 };
    const struct {
        tsr_llama_sampling s;
        double share[6]; /* unnormalised */
    } cases[] = {
        {{.temperature = 1}, {1, 2.718281828, 7.389056099, 7.389056099, 0, 4.48168907}},
        {{.temperature = 2}, {1, 1.648721271, 2.718281828, 2.718281828, 0, 2.117000017}},
        {{.temperature = 1, .top_k = 3}, {0, 0, 7.389056099, 7.389056099, 0, 4.48168907}},
        {{.temperature = 1, .top_p = 0.4}, {0, 0, 1, 1, 0, 0}},
        {{.temperature = 1, .top_p = 0.3}, {0, 0, 1, 0, 0, 0}},
        {{.temperature = 1, .allowed_first = 0, .allowed_count = 2}, {1, 2.718281828, 0, 0, 0, 0}},
        {{.temperature = 1,
          .allowed_first = 0,
          .allowed_count = 2,
          .also = (const int32_t[]){1, 5},
          .also_count = 2},
         {1, 2.718281828, 0, 0, 0, 4.48168907}},
        {{.temperature = 0}, {0, 0, 1, 0, 0, 0}},
    };
    for (size_t c = 0; c < sizeof cases / sizeof *cases; ++c) {
        double total = 0, count[6] = {0};
        for (int i = 0; i < 6; ++i)
            total += cases[c].share[i];
        for (int i = 0; i < N; ++i)
            ++count[tsr_llama_choose(&cases[c].s, logits, 6, room, &state)];
        for (int i = 0; i < 6; ++i) /* five standard deviations */
            ck_assert_msg(fabs(count[i] / N - cases[c].share[i] / total) <= 5 * 0.5 / sqrt(N),
                          "case %zu: id %d: %g of %g", c, i, count[i] / N,
                          cases[c].share[i] / total);
        if (cases[c].share[0] == 0) ck_assert(count[0] == 0);
    }
    ck_assert_double_eq_tol(tsr_llama_log_sum(logits, 6), log(22.978083096), 1e-8);
    ck_assert(isnan(tsr_llama_log_sum((const float[]){0, NAN}, 2)));
}
END_TEST

TEST_PARTS("llama", PART(own, NULL, draws_follow_the_probabilities),
           PART(model, need_libllama, describes_itself, embeddings_are_ids,
                another_row_is_another_prompt, log_probabilities, two_runs_are_equal, only_codes,
                text_both_ways, positions, stretched_positions, mistakes_are_refused, wrong_files))
