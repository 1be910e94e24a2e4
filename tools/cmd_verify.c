/* SPDX-License-Identifier: MIT */
/* cmd_verify.c: golden cases: known answers, computed again. */
#include <tessera/runner/map.h>
#include "tool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

typedef struct verify_options {
    common_options common;
    const char *write;
} verify_options;

typedef struct verify_state {
    tool *t;
    json_out j;
    bool json;
} verify_state;

static void on_line(void *user, const char *output, int passed, const char *text) {
    verify_state *state = user;
    if (state->json) {
        json_object(&state->j, NULL);
        json_text(&state->j, "output", output);
        json_bool(&state->j, "passed", passed > 0);
        if (passed < 0) json_bool(&state->j, "left_out", true);
        json_text(&state->j, "text", text);
        json_end(&state->j, '}');
    } else {
        printf("%-6s %-28s %s\n",
               passed > 0    ? "passed"
               : passed == 0 ? "FAILED"
                             : "left out",
               output, text);
        fflush(stdout);
    }
}

/* True for a golden file of vocabulary maps; a case is a folder. */
static bool is_map_file(const char *path) {
    struct stat found;
    const size_t n = strlen(path);
    return n > 5 && !strcmp(path + n - 5, ".json") && !stat(path, &found) && S_ISREG(found.st_mode);
}

static int run(const verb *v, int argc, char **argv) {
    verify_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (o.write && operands > 1)
        return args_wrong(v, "--write: wanted one CASE-FOLDER with it, got %d", operands);
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    verify_state state = {.t = &t, .json = o.common.json != 0};
    if (state.json) {
        tool_json(&t, &state.j);
        json_array(&state.j, "cases");
    }
    int passed = 0, failed = 0;
    tsr_status failure = TSR_OK;
    for (int i = 0; i < operands; ++i) {
        int case_passed = 0, case_failed = 0;
        char clean[256];
        if (state.json) {
            json_object(&state.j, NULL);
            json_text(&state.j, "case", argv[i]);
            json_array(&state.j, "outputs");
        } else if (operands > 1)
            printf("%s\n", tool_clean(argv[i], clean, sizeof clean));
        const tsr_verify_settings settings = {.device = o.common.device,
                                              .write = o.write,
                                              .line = on_line,
                                              .user = &state,
                                              .mask = o.common.mask,
                                              .precision = o.common.precision ? TSR_PRECISION_FAST
                                                                              : TSR_PRECISION_F32};
        tsr_status s =
            is_map_file(argv[i])
                ? tsr_vocab_map_verify(t.ctx, argv[i], on_line, &state, &case_passed, &case_failed)
                : tsr_verify_case(t.ctx, argv[i], &settings, &case_passed, &case_failed);
        if (state.json) {
            json_end(&state.j, ']');
            json_int(&state.j, "passed", case_passed);
            json_int(&state.j, "failed", case_failed);
            json_text(&state.j, "error", s ? tsr_detail(t.ctx) : NULL);
            json_end(&state.j, '}');
        }
        if (s && o.common.quiet < 2)
            fprintf(stderr, "tessera verify: %s: %s\n", tsr_status_text(s), tsr_detail(t.ctx));
        if (s && !failure) failure = s;
        passed += case_passed;
        failed += case_failed;
    }
    if (state.json) {
        json_end(&state.j, ']');
        json_int(&state.j, "passed", passed);
        json_int(&state.j, "failed", failed);
        json_close(&state.j);
    } else
        printf("%d passed, %d failed\n", passed, failed);
    tool_close(&t);
    return failure ? tool_exit_code(failure) : failed ? EXIT_NEGATIVE : EXIT_DONE;
}

static const option options[] = {
    {.name = "write",
     .kind = OPTION_TEXT,
     .offset = offsetof(verify_options, write),
     .value = "FOLDER",
     .help = "keep every array that is compared, as it was made, as FOLDER/<run>.<output>.npy"},
};

const verb verb_verify = {
    .name = "verify",
    .summary = "compute golden cases again and compare with the known answers",
    .usage = "tessera verify CASE-FOLDER... [--write FOLDER] [--device cpu|vulkan[:N]]\n"
             "               [--precision P] [--json]",
    .about =
        "Reads a case folder (its manifest.json), makes its weights and inputs by the rule the "
        "manifest names, runs it on the device, and compares every output within the case's "
        "tolerance. One line for each output, of floats with the largest difference and the root "
        "of "
        "the mean square, then the counts. Tolerances are of f32: --precision fast misses some, "
        "and "
        "its lines say how far it is off. A file of JSON is one of vocabulary maps: prompts are "
        "built and read back, and damaged replies get "
        "their verdicts.",
    .exits = "0 only if nothing failed; 1 when an output is outside its tolerance",
    .examples = "# one case\n"
                "tessera verify golden/flextok/fsq\n"
                "# several, on the first Vulkan device\n"
                "tessera verify golden/flextok/* --device vulkan:0\n"
                "# prompts and replies of a language model\n"
                "tessera verify golden/vocabulary-maps/emu3.json",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .writes = true,
    .least_operands = 1,
    .most_operands = -1,
    .operands = "CASE-FOLDER",
    .run = run,
};
