/* SPDX-License-Identifier: MIT */
/* cmd_schedule.c: what it saves that later layers of a language model see fewer visual tokens. */
#include <tessera/runner/schedule.h>
#include "tool.h"

#include <string.h>

typedef struct schedule_options {
    common_options common;
    const char *steps, *gguf;
    int list;
    uint32_t layers, visual, text;
    uint32_t hidden, feed_forward, heads, kv_heads;
} schedule_options;

#define AT(field) offsetof(schedule_options, field)
static const option options[] = {
    {"list", 0, OPTION_FLAG, AT(list), NULL, NULL, "list the published schedules", NULL, 0, 0},
    {"steps", 0, OPTION_TEXT, AT(steps), "LAYER:TOKENS,...", NULL,
     "a schedule of one's own: from each layer on so many visual tokens; the first is layer 0",
     NULL, 0, 0},
    {"layers", 0, OPTION_UINT, AT(layers), "N", "the model's", "layers of --steps", NULL, 1,
     TSR_SCHEDULE_MOST_LAYERS},
    {"visual", 0, OPTION_UINT, AT(visual), "N", "576",
     "visual tokens of --steps before anything is dropped", NULL, 1, 1u << 24},
    {"text", 0, OPTION_UINT, AT(text), "N", "0", "text tokens beside them", NULL, 0, 1u << 24},
    {"gguf", 0, OPTION_TEXT, AT(gguf), "MODEL.gguf", "Vicuna 7B's shape",
     "take the decoder's sizes from this file's header", NULL, 0, 0},
    {"hidden", 0, OPTION_UINT, AT(hidden), "N", "4096", "numbers of a token", NULL, 1, 1u << 20},
    {"feed-forward", 0, OPTION_UINT, AT(feed_forward), "N", "11008", "inner numbers of its MLP",
     NULL, 1, 1u << 22},
    {"heads", 0, OPTION_UINT, AT(heads), "N", "32", "heads of attention", NULL, 1, 4096},
    {"kv-heads", 0, OPTION_UINT, AT(kv_heads), "N", "as many as heads", "heads of keys and values",
     NULL, 1, 4096},
};

static int list(tool *t) {
    json_out j;
    if (t->o->json) {
        tool_json(t, &j);
        json_array(&j, "schedules");
    }
    for (int i = 0; i < tsr_published_schedule_count(); ++i) {
        const tsr_published_schedule p = tsr_published_schedule_at(i);
        if (t->o->json) {
            json_object(&j, NULL);
            json_text(&j, "name", p.name);
            json_text(&j, "source", p.source);
            json_text(&j, "steps", p.steps);
            json_uint(&j, "layers", p.layers);
            json_uint(&j, "visual", p.visual);
            json_end(&j, '}');
        } else {
            printf("%-20s %3u layers, %u tokens, %s  (%s)\n", p.name, p.layers, p.visual, p.steps,
                   p.source);
        }
    }
    if (t->o->json) {
        json_end(&j, ']');
        json_close(&j);
    }
    return EXIT_DONE;
}

/* The decoder of a schedule of `layers`: that of a file, or the sizes given. */
static int find_shape(tool *t, const schedule_options *o, uint32_t layers,
                      tsr_decoder_shape *shape) {
    if (o->gguf) {
        const tsr_status s = tsr_decoder_shape_read(t->ctx, o->gguf, shape);
        return s ? tool_fail(t, s) : -1;
    }
    *shape = (tsr_decoder_shape){.layers = layers,
                                 .hidden = o->hidden,
                                 .feed_forward = o->feed_forward,
                                 .heads = o->heads,
                                 .kv_heads = o->kv_heads ? o->kv_heads : o->heads,
                                 .head_size = o->hidden / o->heads,
                                 .feed_forward_matrices = 3};
    return o->hidden % o->heads ? args_wrong(t->v, "--hidden %u: wanted a multiple of --heads %u",
                                             o->hidden, o->heads)
                                : -1;
}

static void print_cost(tool *t, const char *name, const tsr_schedule *s,
                       const tsr_schedule_cost *c) {
    if (!t->o->json) {
        printf("%s: %.1f visual tokens a layer, %.3f TFLOPs of %.3f (%.1f %%), %.1f MB of keys and "
               "values of %.1f (%.1f %%)\n",
               name, c->mean_visual, 1e-12 * c->operations, 1e-12 * c->operations_whole,
               100 * c->operations / c->operations_whole, 1e-6 * c->kv_bytes,
               1e-6 * c->kv_bytes_whole, 100 * c->kv_bytes / c->kv_bytes_whole);
        return;
    }
    json_out j;
    tool_json(t, &j);
    json_text(&j, "schedule", name);
    json_uint(&j, "layers", s->layers);
    json_uint(&j, "visual", s->visual);
    json_numbers(&j, "kept", s->kept, s->layers);
    json_real(&j, "mean_visual", c->mean_visual);
    json_real(&j, "operations", c->operations);
    json_real(&j, "operations_whole", c->operations_whole);
    json_real(&j, "kv_bytes", c->kv_bytes);
    json_real(&j, "kv_bytes_whole", c->kv_bytes_whole);
    json_close(&j);
}

static int find_published(tool *t, const char *name, tsr_published_schedule *found) {
    const char *names[64];
    int count = 0;
    for (; count < tsr_published_schedule_count() && count < 64; ++count) {
        *found = tsr_published_schedule_at(count);
        names[count] = found->name;
        if (!strcmp(found->name, name)) return -1;
    }
    const char *near = args_suggest(name, names, count);
    return tool_fail_text(t, TSR_ERROR_NOT_FOUND, "no published schedule '%s'%s%s%s", name,
                          near ? "; did you mean '" : "; --list names them", near ? near : "",
                          near ? "'?" : "");
}

static int predict(tool *t, const schedule_options *o, const char *name) {
    tsr_published_schedule p = {
        .name = o->steps, .steps = o->steps, .layers = o->layers, .visual = o->visual};
    tsr_decoder_shape shape;
    tsr_schedule schedule;
    tsr_schedule_cost cost;
    int code = name ? find_published(t, name, &p) : -1;
    if (code < 0) code = find_shape(t, o, p.layers, &shape);
    if (code >= 0) return code;
    if (!p.layers) p.layers = shape.layers;
    tsr_status s = tsr_schedule_parse(t->ctx, p.steps, p.layers, p.visual, &schedule);
    if (!s) s = tsr_schedule_predict(t->ctx, &schedule, &shape, o->text, &cost);
    if (s) return tool_fail(t, s);
    print_cost(t, p.name, &schedule, &cost);
    return EXIT_DONE;
}

static int run(const verb *v, int argc, char **argv) {
    schedule_options o = {.visual = 576, .hidden = 4096, .feed_forward = 11008, .heads = 32};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.list && !operands && !o.steps)
        return args_wrong(v, "a schedule is missing: --list names the published ones");
    if (operands && o.steps) return args_wrong(v, "a name and --steps: wanted one of them");
    if (o.steps && !o.layers && !o.gguf) return args_wrong(v, "--steps: --layers N is missing");
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    code = o.list ? list(&t) : predict(&t, &o, operands ? argv[0] : NULL);
    tool_close(&t);
    return code;
}

const verb verb_schedule = {
    .name = "schedule",
    .summary = "what fewer visual tokens in later layers save: operations and bytes",
    .usage = "tessera schedule NAME [--text N] [--gguf MODEL.gguf] [--json]\n"
             "tessera schedule --steps LAYER:TOKENS,... --layers N [--visual N] [--text N]\n"
             "tessera schedule --list",
    .about =
        "Published methods drop visual tokens on the way through a language model. This says how "
        "many enter each layer, and what reading the prompt then costs beside all tokens in all "
        "layers: operations (a multiply-add is two) and bytes of keys and values in f16. "
        "Carrying a schedule out takes a runner with a mask for each layer.",
    .examples = "# VisionDrop's 32 tokens on the mean, 60 text tokens\n"
                "tessera schedule visiondrop-32 --text 60\n"
                "# all tokens for two layers, then half, then a tenth\n"
                "tessera schedule --steps 0:576,2:288,16:58 --layers 32",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 0,
    .most_operands = 1,
    .operands = "NAME",
    .run = run,
};
