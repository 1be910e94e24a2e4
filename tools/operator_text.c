/* SPDX-License-Identifier: MIT */
/* operator_text.c: lists and explanations of operators, made from their own tables. */
#include "operator_text.h"

#include <inttypes.h>
#include <string.h>

static const char *kind_name(tsr_operator_kind kind) {
    static const char *const names[] = {"select", "merge", "pool", "quantise",
                                        "order",  "plan",  "score"};
    return names[kind];
}
static const char *type_name(tsr_parameter_type type) {
    static const char *const names[] = {"integer", "number", "choice", "list", "file"};
    return names[type];
}

/* What a parameter may be, for people. */
static const char *range_text(const tsr_parameter *p, char *text, size_t size) {
    if (p->type == TSR_PARAMETER_CHOICE)
        snprintf(text, size, "%s", p->choices);
    else if (p->type == TSR_PARAMETER_FILE)
        snprintf(text, size, "a file");
    else if (p->most >= 1e9)
        snprintf(text, size, "%s from %.10g", type_name(p->type), p->least);
    else
        snprintf(text, size, "%s in %.10g..%.10g", type_name(p->type), p->least, p->most);
    return text;
}

static void info_json(json_out *j, const tsr_operator_info *info) {
    char text[160];
    json_object(j, NULL);
    json_text(j, "name", info->name);
    json_text(j, "kind", kind_name(info->kind));
    json_text(j, "about", info->about);
    json_text(j, "formula", info->formula);
    json_text(j, "source", info->source);
    json_text(j, "differs", info->differs);
    json_text(j, "cost", info->cost);
    json_text(j, "columns", info->columns);
    json_array(j, "parameters");
    for (int i = 0; i < info->parameter_count; ++i) {
        const tsr_parameter *p = &info->parameters[i];
        json_object(j, NULL);
        json_text(j, "name", p->name);
        json_text(j, "type", type_name(p->type));
        json_text(j, "default", p->standard);
        json_text(j, "range", range_text(p, text, sizeof text));
        json_text(j, "about", p->about);
        json_end(j, '}');
    }
    json_end(j, ']');
    json_end(j, '}');
}

/* Lists the operators of one kind under its name. */
static void list_kind(tsr_operator_kind kind, bool *any) {
    bool first = true;
    for (int i = 0; i < tsr_operator_count(); ++i) {
        tsr_operator_info info;
        tsr_operator_at(i, &info);
        if (info.kind != kind) continue;
        if (first && kind != TSR_OPERATOR_PLAN)
            printf("%s%s:\n", *any ? "\n" : "", kind_name(kind));
        *any = true;
        first = false;
        printf("  %-26s ", info.name);
        args_print_wrapped(info.about, 29, 29);
    }
}

void operator_list(tool *t, bool plans) {
    static const tsr_operator_kind kinds[] = {TSR_OPERATOR_SCORE,    TSR_OPERATOR_SELECT,
                                              TSR_OPERATOR_MERGE,    TSR_OPERATOR_POOL,
                                              TSR_OPERATOR_QUANTISE, TSR_OPERATOR_ORDER};
    if (!t->o->json) {
        bool any = false;
        if (plans) list_kind(TSR_OPERATOR_PLAN, &any);
        for (size_t i = 0; !plans && i < sizeof kinds / sizeof *kinds; ++i)
            list_kind(kinds[i], &any);
        return;
    }
    json_out j;
    tool_json(t, &j);
    json_array(&j, "operators");
    for (int i = 0; i < tsr_operator_count(); ++i) {
        tsr_operator_info info;
        tsr_operator_at(i, &info);
        if ((info.kind == TSR_OPERATOR_PLAN) == plans) info_json(&j, &info);
    }
    json_end(&j, ']');
    json_close(&j);
}

static void paragraph(const char *title, const char *text) {
    if (!text) return;
    printf("\n%s:", title);
    args_print_wrapped(text, (int)strlen(title) + 1, 2);
}

int operator_explain(tool *t, const char *name) {
    const int index = tsr_operator_find(name);
    tsr_operator_info info;
    if (index < 0) {
        const char *names[256];
        int count = 0;
        for (int i = 0; i < tsr_operator_count() && count < 256; ++i) {
            tsr_operator_at(i, &info);
            names[count++] = info.name;
        }
        const char *near = args_suggest(name, names, count);
        return tool_fail_text(t, TSR_ERROR_NOT_FOUND, "no operator is called '%.100s'%s%s%s", name,
                              near ? "; is it '" : "", near ? near : "", near ? "'?" : "");
    }
    tsr_operator_at(index, &info);
    if (t->o->json) {
        json_out j;
        tool_json(t, &j);
        json_array(&j, "operators");
        info_json(&j, &info);
        json_end(&j, ']');
        json_close(&j);
        return EXIT_DONE;
    }
    printf("%s (%s):", info.name, kind_name(info.kind));
    args_print_wrapped(info.about, (int)(strlen(info.name) + strlen(kind_name(info.kind))) + 4, 2);
    paragraph("formula", info.formula);
    paragraph("source", info.source);
    paragraph("published code", info.differs);
    paragraph("cost", info.cost);
    paragraph("columns read", info.columns);
    for (int i = 0; i < info.parameter_count; ++i) {
        const tsr_parameter *p = &info.parameters[i];
        char range[160], text[512];
        if (i == 0) printf("\nparameters:\n");
        snprintf(text, sizeof text, "%s; %s%s%s", p->about, range_text(p, range, sizeof range),
                 p->standard ? "; default " : "", p->standard ? p->standard : "");
        printf("  %-14s ", p->name);
        args_print_wrapped(text, 17, 17);
    }
    return EXIT_DONE;
}

static int64_t elements(const tsr_token_array *a) {
    int64_t n = 1;
    for (int i = 0; i < a->rank; ++i)
        n *= a->dim[i];
    return n;
}
static double value_at(const tsr_token_array *a, int64_t i) {
    return a->type == TSR_ARRAY_I32   ? ((const int32_t *)a->data)[i]
           : a->type == TSR_ARRAY_F32 ? (double)((const float *)a->data)[i]
                                      : ((const double *)a->data)[i];
}

void operator_json(json_out *j, const tsr_token_array *a) {
    const int64_t n = elements(a);
    if (n == 0) { /* an answer without numbers */
        json_array(j, a->name);
        json_end(j, ']');
    }
    for (int64_t i = 0; i < n; ++i) {
        int64_t part = n; /* elements below one index of an axis */
        for (int axis = 0; axis < a->rank; part /= a->dim[axis++])
            if (i % part == 0) json_array(j, axis ? NULL : a->name);
        if (a->type == TSR_ARRAY_I32)
            json_int(j, NULL, ((const int32_t *)a->data)[i]);
        else
            json_real(j, NULL, value_at(a, i));
        part = a->dim[a->rank - 1];
        for (int axis = a->rank - 1; axis >= 0 && (i + 1) % part == 0; --axis) {
            json_end(j, ']');
            if (axis) part *= a->dim[axis - 1];
        }
    }
}

void operator_print(const tsr_token_array *a, int64_t most) {
    const int64_t n = elements(a), width = a->rank > 1 ? a->dim[a->rank - 1] : n;
    printf("%s:%s", a->name, a->rank > 1 ? "\n " : "");
    for (int64_t i = 0; i < n && i < most; ++i) {
        if (a->rank > 1 && i && i % width == 0) printf("\n ");
        if (a->type == TSR_ARRAY_I32)
            printf(" %" PRId32, ((const int32_t *)a->data)[i]);
        else
            printf(" %.9g", value_at(a, i));
    }
    if (n > most) printf(" ... (%" PRId64 " in all; --json prints them)", n);
    putchar('\n');
}

/* ---- chains ---- */

int chain_add(tool *t, chain *c, char *text) {
    for (char *next; text; text = next) {
        next = strchr(text, '|');
        if (next) *next++ = 0;
        if (c->count == MOST_OPERATIONS)
            return tool_fail_text(t, TSR_ERROR_ARGUMENT,
                                  "--op: wanted at most %d operations, got more", MOST_OPERATIONS);
        c->at[c->count++] = text;
    }
    return -1;
}

void report_json(json_out *j, const tsr_reduce_report *r) {
    json_array(j, "steps");
    for (int i = 0; i < r->step_count; ++i) {
        json_object(j, NULL);
        json_text(j, "ran_on", r->steps[i].ran_on);
        json_uint(j, "near_ties", r->steps[i].near_ties);
        json_end(j, '}');
    }
    json_end(j, ']');
    json_uint(j, "programs", r->programs);
    json_uint(j, "submissions", r->submissions);
    json_uint(j, "bytes_up", r->bytes_up);
    json_uint(j, "bytes_down", r->bytes_down);
}

void report_text(tool *t, const char *const *operations, const tsr_reduce_report *r) {
    char programs[32], submissions[32], up[32], down[32];
    for (int i = 0; i < r->step_count; ++i) {
        char ties[48] = "";
        if (r->steps[i].near_ties)
            snprintf(ties, sizeof ties, ", %" PRIu64 " near ties", r->steps[i].near_ties);
        tool_say(t, "  %s on %s%s", operations[i], r->steps[i].ran_on, ties);
    }
    if (r->submissions)
        tool_say(t, "  %s, %s, %s up, %s down", tool_count(r->programs, "program", programs),
                 tool_count(r->submissions, "submission", submissions),
                 tool_bytes(r->bytes_up, up, sizeof up),
                 tool_bytes(r->bytes_down, down, sizeof down));
}
