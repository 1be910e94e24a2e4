/* SPDX-License-Identifier: MIT */
/* Answers of servers in each dialect, in one piece and as streams cut at every byte, and answers
 * that lie. */
#include <math.h>
#include <string.h>

#include "runner/server_answer.h"
#include "testing.h"

static tsr_answer_reader reader(tsr_server_dialect dialect, uint32_t top) {
    return (tsr_answer_reader){
        .dialect = tsr_dialect_of(dialect), .vocabulary = 1200, .most_ids = 8, .top_count = top};
}

static bool read_in_pieces(tsr_answer_reader *r, const char *text, size_t piece, bool events) {
    const size_t size = strlen(text);
    tsr_answer_begin(r, events);
    for (size_t at = 0; at < size; at += piece) {
        const size_t n = size - at < piece ? size - at : piece;
        if (!tsr_answer_take(r, (const uint8_t *)text + at, n)) return false;
    }
    return tsr_answer_finish(r);
}

static const struct {
    tsr_server_dialect dialect;
    bool events;
    uint32_t prompt_tokens;
    const char *text;
} same[] = {
    {TSR_SERVER_LLAMA, false, 9,
     "{\"content\":\"ab\",\"tokens\":[7,1199],\"stop\":true,\"stop_type\":\"eos\",\"tokens_"
     "evaluated\":"
     "9,\"completion_probabilities\":[{\"id\":7,\"logprob\":-0.5,\"top_logprobs\":[{\"id\":7,"
     "\"logprob\":"
     "-0.5},{\"id\":8,\"logprob\":-2}]},{\"id\":1199,\"logprob\":-1,\"top_logprobs\":[{\"id\":1199,"
     "\"logprob\":-1}]}]}"},
    {TSR_SERVER_LLAMA, true, 9,
     "data: "
     "{\"content\":\"a\",\"tokens\":[7],\"stop\":false,\"completion_probabilities\":[{\"id\":7,"
     "\"logprob\":-0.5,\"top_logprobs\":[{\"id\":7,\"logprob\":-0.5},{\"id\":8,\"logprob\":-2}]}]}"
     "\r\n\r\n"
     ": a comment\n\ndata:{\"content\":\"b\",\"tokens\":[1199],\"stop\":false,"
     "\"completion_probabilities\":[{\"id\":1199,\"logprob\":-1,\"top_logprobs\":[{\"id\":1199,"
     "\"logprob\""
     ":-1}]}]}\n\ndata: {\"content\":\"\",\"tokens\":[],\"stop\":true,\"stop_type\":\"eos\","
     "\"tokens_evaluated\":9}\n\n"},
    {TSR_SERVER_OPENAI, false, 9,
     "{\"choices\":[{\"text\":\"ab\",\"finish_reason\":\"stop\",\"logprobs\":{\"content\":[{\"id\":"
     "7,"
     "\"logprob\":-0.5,\"top_logprobs\":[{\"id\":7,\"logprob\":-0.5},{\"id\":8,\"logprob\":-2}]},{"
     "\"id\":"
     "1199,\"logprob\":-1,\"top_logprobs\":[{\"id\":1199,\"logprob\":-1}]}]}}],\"usage\":{\"prompt_"
     "tokens"
     "\":9}}"},
    {TSR_SERVER_VLLM, false, 0,
     "{\"choices\":[{\"index\":0,\"token_ids\":[7,1199],\"finish_reason\":\"stop\",\"logprobs\":{"
     "\"content\":[{\"token\":\"token_id:7\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"token_"
     "id:7\","
     "\"logprob\":-0.5},{\"token\":\"token_id:8\",\"logprob\":-2}]},{\"token\":\"token_id:1199\","
     "\"logprob\":-1,\"top_logprobs\":[{\"token\":\"token_id:1199\",\"logprob\":-1}]}]}}]}"},
    {TSR_SERVER_SGLANG, false, 9,
     "{\"text\":\"ab\",\"meta_info\":{\"finish_reason\":{\"type\":\"stop\"},\"prompt_tokens\":9,"
     "\"output_token_logprobs\":[[-0.5,7,null],[-1,1199,null]],\"output_top_logprobs\":[[[-0.5,7,"
     "null],"
     "[-2,8,null]],[[-1,1199,null]]]}}"},
};

START_TEST(test_dialects_say_the_same) {
    for (size_t i = 0; i < sizeof same / sizeof *same; ++i) {
        for (size_t piece = 1; piece < 40; piece += piece < 4 ? 1 : 13) {
            tsr_answer_reader r = reader(same[i].dialect, 2);
            ck_assert_msg(read_in_pieces(&r, same[i].text, piece, same[i].events), "%zu: %s", i,
                          r.wrong);
            ck_assert_uint_eq(r.id_count, 2);
            ck_assert_uint_eq(r.ids[0], 7);
            ck_assert_uint_eq(r.ids[1], 1199);
            ck_assert(r.ended && r.stop == TSR_GENERATE_END);
            ck_assert_uint_eq(r.prompt_tokens, same[i].prompt_tokens);
            ck_assert(r.logprobs[0] == -0.5f && r.logprobs[1] == -1.0f);
            ck_assert(r.top[0].id == 7 && r.top[0].logprob == -0.5f);
            ck_assert(r.top[1].id == 8 && r.top[1].logprob == -2.0f);
            ck_assert(r.top[2].id == 1199 && r.top[3].id == UINT32_MAX);
            if (same[i].dialect != TSR_SERVER_VLLM) ck_assert_str_eq((char *)r.text.at, "ab");
            tsr_answer_free(&r);
        }
    }
}
END_TEST

static const struct {
    tsr_server_dialect dialect;
    bool events;
    const char *text, *wrong;
} lies[] = {
    {TSR_SERVER_LLAMA, false, "{\"tokens\":[1200]}", "wanted a number below 1200"},
    {TSR_SERVER_LLAMA, false, "{\"tokens\":[-1]}", "wanted a number below 1200"},
    {TSR_SERVER_LLAMA, false, "{\"tokens\":[1.5]}", "wanted a number below 1200"},
    {TSR_SERVER_LLAMA, false, "{\"tokens\":[\"5\"]}", "wanted a number below 1200"},
    {TSR_SERVER_LLAMA, false, "{\"tokens\":[1e300]}", "wanted a number below 1200"},
    {TSR_SERVER_LLAMA, false, "{\"tokens\":[1,2,3,4,5,6,7,8,9]}", "more ids than were asked for"},
    {TSR_SERVER_LLAMA, false, "{\"tokens\":[1,2", "wanted JSON"},
    {TSR_SERVER_LLAMA, false, "", "wanted JSON"},
    {TSR_SERVER_LLAMA, false, "<html>", "wanted JSON"},
    {TSR_SERVER_LLAMA, false, "[5]", "wanted a JSON object"},
    {TSR_SERVER_LLAMA, false,
     "{\"tokens\":[5],\"completion_probabilities\":[{\"id\":6,\"logprob\":-1}]}", "other ids"},
    {TSR_SERVER_LLAMA, false,
     "{\"tokens\":[5],\"completion_probabilities\":[{\"id\":5},{\"id\":5}]}", "more probabilities"},
    {TSR_SERVER_LLAMA, true, "data: {\"tokens\":[1,\n\n", "wanted JSON"},
    {TSR_SERVER_LLAMA, true, "error: {\"code\":500,\"message\":\"slot lost\"}\n\n", "slot lost"},
    {TSR_SERVER_LLAMA, false, "{\"error\":{\"code\":503,\"message\":\"busy\"}}", "busy"},
    {TSR_SERVER_LLAMA, true, "error: \"\"\n\n", "an error without a message"},
    {TSR_SERVER_OPENAI, false, "{\"choices\":[]}", "wanted a list \"choices\""},
    {TSR_SERVER_OPENAI, false, "{\"choices\":[5]}", "wanted a JSON object"},
    {TSR_SERVER_OPENAI, false, "{\"choices\":[{\"text\":\"abc\"}]}", "text without ids"},
    {TSR_SERVER_SGLANG, false, "{\"text\":\"a\",\"meta_info\":{\"output_token_logprobs\":[[-1]]}}",
     "[logprob, id, text]"},
    {TSR_SERVER_SGLANG, false,
     "{\"output_ids\":[4],\"meta_info\":{\"output_token_logprobs\":[[-1,5,null]]}}", "other ids"},
};

START_TEST(test_lies_are_named) {
    for (size_t i = 0; i < sizeof lies / sizeof *lies; ++i) {
        tsr_answer_reader r = reader(lies[i].dialect, 0);
        ck_assert_msg(!read_in_pieces(&r, lies[i].text, 7, lies[i].events), "%zu was believed", i);
        ck_assert_msg(strstr(r.wrong, lies[i].wrong) != NULL, "%zu: %s", i, r.wrong);
        tsr_answer_free(&r);
    }
}
END_TEST

START_TEST(test_an_error_has_its_code) {
    tsr_answer_reader r = reader(TSR_SERVER_LLAMA, 0);
    ck_assert(
        !read_in_pieces(&r, "data: {\"error\":{\"code\":503,\"message\":\"x\"}}\n\n", 99, true));
    ck_assert_int_eq(r.refused, 503);
    tsr_answer_begin(&r, true);
    ck_assert(!read_in_pieces(&r, "error: {\"code\":400,\"message\":\"x\"}\n\n", 99, true));
    ck_assert_int_eq(r.refused, 400);
    tsr_answer_free(&r);
}
END_TEST

/* Probabilities above 1 and words for numbers are not passed on. */
START_TEST(test_bad_probabilities_are_none) {
    tsr_answer_reader r = reader(TSR_SERVER_LLAMA, 1);
    ck_assert(
        read_in_pieces(&r,
                       "{\"tokens\":[5,6],\"completion_probabilities\":[{\"id\":5,\"logprob\":"
                       "3},{\"id\":6,\"logprob\":\"x\"}]}",
                       99, false));
    ck_assert(isnan(r.logprobs[0]) && isnan(r.logprobs[1]));
    ck_assert(r.top[0].id == UINT32_MAX);
    tsr_answer_free(&r);
}
END_TEST

/* What goes on behind a cut stream adds to what came. */
START_TEST(test_resumed) {
    tsr_answer_reader r = reader(TSR_SERVER_LLAMA, 0);
    tsr_answer_begin(&r, true);
    const char *first =
        "data: {\"content\":\"a\",\"tokens\":[3,4]}\n\ndata: {\"content\":\"b\",\"tok";
    ck_assert(tsr_answer_take(&r, (const uint8_t *)first, strlen(first)));
    ck_assert_uint_eq(r.id_count, 2);
    ck_assert(!r.ended);
    ck_assert(read_in_pieces(
        &r, "data: {\"content\":\"b\",\"tokens\":[5],\"stop_type\":\"limit\"}\n\n", 5, true));
    ck_assert_uint_eq(r.id_count, 3);
    ck_assert_uint_eq(r.ids[2], 5);
    ck_assert_str_eq((char *)r.text.at, "ab");
    ck_assert(r.ended && r.stop == TSR_GENERATE_LENGTH);
    tsr_answer_forget(&r);
    ck_assert_uint_eq(r.id_count, 0);
    tsr_answer_free(&r);
}
END_TEST

static void request_is(tsr_server_dialect dialect, const char *want) {
    const uint32_t ids[] = {1, 70000}, more[] = {9};
    tsr_generate_request q = tsr_generate_request_default();
    q.ids = ids;
    q.id_count = 2;
    q.max_tokens = 4;
    q.logprobs = 3;
    tsr_bytes body = {0};
    tsr_dialect_request(&body, dialect, "m\"1", &q, more, 1);
    tsr_bytes_u8(&body, 0);
    ck_assert_str_eq((char *)body.at, want);
    tsr_bytes_free(&body);
}

START_TEST(test_requests) {
    request_is(
        TSR_SERVER_LLAMA,
        "{\"prompt\":[1,70000,9],\"stream\":true,\"return_tokens\":true,\"cache_prompt\":false,"
        "\"min_p\":0,\"n_probs\":3,\"n_predict\":3,\"temperature\":0,\"top_p\":1,\"top_k\":0}");
    request_is(
        TSR_SERVER_OPENAI,
        "{\"model\":\"m\\\"1\",\"prompt\":[1,70000,9],\"stream\":true,\"return_token_ids\":true,"
        "\"logprobs\":3,\"max_tokens\":3,\"temperature\":0,\"top_p\":1}");
    request_is(
        TSR_SERVER_VLLM,
        "{\"model\":\"m\\\"1\",\"token_ids\":[1,70000,9],\"sampling_params\":{\"max_tokens\":3,"
        "\"temperature\":0,\"top_p\":1,\"logprobs\":3}}");
    request_is(TSR_SERVER_SGLANG,
               "{\"input_ids\":[1,70000,9],\"return_logprob\":true,\"top_logprobs_num\":3,"
               "\"sampling_params\":{\"max_new_tokens\":3,\"temperature\":0,\"top_p\":1,"
               "\"skip_special_tokens\":false}}");
}
END_TEST

START_TEST(test_refusals) {
    static const struct {
        const char *body, *text;
    } cases[] = {{"{\"error\":{\"message\":\"no\\nway\"}}", "no way"},
                 {"{\"error\":\"no\"}", "no"},
                 {"{\"message\":\"bad\"}", "bad"},
                 {"{\"detail\":\"Not Found\"}", "Not Found"},
                 {"<h1>502</h1>", "<h1>502</h1>"},
                 {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        char text[64];
        tsr_bytes body = {0};
        tsr_bytes_put(&body, cases[i].body, strlen(cases[i].body));
        ck_assert_str_eq(tsr_refusal_text(&body, text, sizeof text), cases[i].text);
        tsr_bytes_free(&body);
    }
}
END_TEST

TEST_MAIN("server_answer", test_dialects_say_the_same, test_lies_are_named,
          test_an_error_has_its_code, test_bad_probabilities_are_none, test_resumed, test_requests,
          test_refusals)
