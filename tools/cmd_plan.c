/* SPDX-License-Identifier: MIT */
/* cmd_plan.c: operators that answer with a table: how many tokens, which tiles, which positions. */
#include "operator_text.h"

typedef struct plan_options {
    common_options common;
    const char *explain;
    int list;
} plan_options;

#define AT(field) offsetof(plan_options, field)
static const option options[] = {
    {"list", 0, OPTION_FLAG, AT(list), NULL, NULL, "list what can be asked", NULL, 0, 0},
    {"explain", 0, OPTION_TEXT, AT(explain), "NAME", NULL,
     "say what a plan computes, from which source, with which parameters", NULL, 0, 0},
};

enum { MOST_NUMBERS = 64 };

static int plan(tool *t, char **operations, int count) {
    json_out j;
    if (t->o->json) {
        tool_json(t, &j);
        json_array(&j, "plans");
    }
    for (int i = 0; i < count; ++i) {
        tsr_token_set *answer = NULL;
        const tsr_status s = tsr_operator_plan(t->ctx, operations[i], &answer);
        if (s) return tool_fail(t, s);
        if (t->o->json) {
            json_object(&j, NULL);
            json_text(&j, "plan", operations[i]);
        } else if (count > 1) {
            printf("%s%s\n", i ? "\n" : "", operations[i]);
        }
        for (int a = 0; a < tsr_token_set_trace_count(answer); ++a) {
            const tsr_token_array array = tsr_token_set_trace_at(answer, a);
            if (t->o->json)
                operator_json(&j, &array);
            else
                operator_print(&array, MOST_NUMBERS);
        }
        if (t->o->json) json_end(&j, '}');
        tsr_token_set_close(&answer);
    }
    if (t->o->json) {
        json_end(&j, ']');
        json_close(&j);
    }
    return EXIT_DONE;
}

static int run(const verb *v, int argc, char **argv) {
    plan_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!operands && !o.list && !o.explain)
        return args_wrong(v, "a plan is missing: --list names them");
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    if (o.explain)
        code = operator_explain(&t, o.explain);
    else if (o.list) {
        operator_list(&t, true);
        code = EXIT_DONE;
    } else
        code = plan(&t, argv, operands);
    tool_close(&t);
    return code;
}

const verb verb_plan = {
    .name = "plan",
    .summary = "numbers of tokens, tiles, layers and positions, by published rules",
    .usage = "tessera plan NAME[:KEY=VALUE,...]... [--json]\n"
             "tessera plan --list\n"
             "tessera plan --explain NAME",
    .about = "Computes what published systems compute before they see features: into which tiles a "
             "picture is cut, how many tokens each layer keeps, which positions tokens get, what a "
             "number of tokens is expected to cost. No picture and no model is read. Answers are "
             "arrays of numbers; --json prints them in full.",
    .examples = "# how many tokens each of 26 layers keeps when 84 are merged in each\n"
                "tessera plan merge-schedules:rule=tinychart,height=768,width=768,r=84,layers=26\n"
                "# which of 300 frames Qwen's loader takes\n"
                "tessera plan frame-select:rule=qwen-smart-nframes,n=300,fps=25,rate=2\n"
                "# what is there\n"
                "tessera plan --list",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 0,
    .most_operands = -1,
    .operands = "NAME:KEY=VALUE",
    .operand_kind = OPTION_TEXT,
    .run = run,
};
