/* SPDX-License-Identifier: MIT */
/* cmd_decode.c: a token file to PNG. */
#include "tool.h"

#include <inttypes.h>
#include <string.h>

typedef struct decode_options {
    common_options common;
    const char *output, *model;
    const char *noise;
    int guidance_mode;
    uint32_t tokens, batch, steps;
    double guidance;
    uint64_t seed;
    int force;
} decode_options;

#define AT(field) offsetof(decode_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "OUT", NULL,
     "OUT.png for a file with one item, a folder for several (made if missing; a name that ends in "
     "'/' is always a folder), '-' for PNG on stdout",
     NULL, 0, 0},
    {"model", 't', OPTION_MODEL, AT(model), "MODEL", "the bundled tokenizer",
     "the tokenizer the tokens were made with: a file, a folder or a name, as in encode", NULL, 0,
     0},
    {"tokens", 'k', OPTION_UINT, AT(tokens), "N", "all there are",
     "use at most the first N ids of each tile", NULL, 1, 1u << 24},
    {"force", 0, OPTION_FLAG, AT(force), NULL, NULL,
     "decode with weights other than those the file names", NULL, 0, 0},
    {"steps", 0, OPTION_UINT, AT(steps), "N", "as the file says",
     "steps of a decoder that samples (flextok): fewer are faster and coarser", NULL, 1,
     TSR_MAX_STEPS},
    {"guidance", 0, OPTION_REAL, AT(guidance), "W", "as the file says",
     "how closely the picture follows the ids; 1 is without guidance and half the work", NULL,
     TSR_MIN_GUIDANCE, TSR_MAX_GUIDANCE},
    {"guidance-mode", 0, OPTION_CHOICE, AT(guidance_mode), "M", "auto",
     "apg (normalised guidance) or cfg (plain, as it was published first); auto is as the file "
     "says",
     "auto|apg|cfg", 0, 0},
    {"seed", 0, OPTION_UINT64, AT(seed), "N", "as the file says",
     "which noise it starts from; the same on every device", NULL, 0, 0},
    {"noise", 0, OPTION_TEXT, AT(noise), "FILE.npy", "made from the seed",
     "float32 noise [tiles, channels, height, width] to start from", NULL, 0, 0},
    {"batch", 0, OPTION_UINT, AT(batch), "N", "chosen from memory", "tiles computed together", NULL,
     1, TSR_MAX_BATCH},
};

static int run(const verb *v, int argc, char **argv) {
    decode_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o OUT is missing");
    if (o.common.json && strcmp(o.output, "-") == 0)
        return args_wrong(v, "--json and -o - would both write to stdout");
    if (tool_same_file(argv[0], o.output))
        return args_wrong(v, "%s: wanted an output that is not the input", o.output);
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    tsr_decode_file_settings s = tsr_decode_file_settings_default();
    s.model.model = o.model;
    s.model.device = o.common.device;
    s.model.mask = o.common.mask;
    s.model.precision = (tsr_precision)o.common.precision;
    s.force = o.force;
    s.decode.tokens = o.tokens;
    s.decode.batch = o.batch;
    s.decode.sampling = (tsr_sampling_settings){.steps = o.steps,
                                                .guidance = (float)o.guidance,
                                                .mode = (tsr_guidance_mode)o.guidance_mode,
                                                .seed = o.seed};
    s.decode.noise = o.noise;
    s.decode.progress = tool_progress;
    s.decode.progress_user = &t;
    tsr_decode_report report;
    s.report = &report;
    tsr_status status = tsr_decode_file(t.ctx, argv[0], o.output, &s);
    double seconds = tool_seconds() - t.started;
    if (status) {
        code = tool_fail(&t, status);
    } else {
        code = EXIT_DONE;
        tool_progress_clear(&t);
        if (o.common.json) {
            json_out j;
            tool_json(&t, &j);
            json_text(&j, "input", argv[0]);
            json_text(&j, "output", o.output);
            json_text(&j, "device", report.device);
            tool_stages(&j, "decode", report.device, report.host_stages);
            json_real(&j, "total_seconds", seconds);
            json_close(&j);
        } else if (strcmp(o.output, "-") != 0) {
            char on_host[96];
            tool_say(&t, "%s: %.2f s, on %s%s", o.output, seconds, report.device,
                     tool_on_host(report.device, report.host_stages, on_host, sizeof on_host));
        }
    }
    tool_close(&t);
    return code;
}

const verb verb_decode = {
    .name = "decode",
    .summary = "a token file to PNG",
    .usage = "tessera decode FILE.tess -o OUT.png|OUTDIR|- [-k N] [-t MODEL]\n"
             "               [--steps N] [--guidance W] [--guidance-mode apg|cfg] [--seed N | "
             "--noise FILE.npy]\n"
             "               [--device cpu|vulkan[:N]] [--precision f32|fast] [--json]",
    .about =
        "Writes each item as a PNG named after the picture it came from; equal names get -2, -3 "
        "and so on. A file made with other weights is refused unless forced.",
    .exits = "5 when the file was made with another tokenizer or other weights",
    .examples = "# one picture\n"
                "tessera decode photo.tess -o back.png\n"
                "# all pictures of a file\n"
                "tessera decode album.tess -o pictures/\n"
                "# how it looks with 16 ids a tile\n"
                "tessera decode photo.tess -k 16 -o coarse.png\n"
                "# in a pipe\n"
                "tessera decode - -o - < photo.tess > back.png",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE.tess",
    .run = run,
};
