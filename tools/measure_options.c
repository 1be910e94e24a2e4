/* SPDX-License-Identifier: MIT */
/* measure_options.c: see measure_options.h. */
#include "measure_options.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* ---- lists ---- */

static int read_names(const verb *v, const char *option_name, const char *text, name_list *list) {
    if (!text) return -1;
    list->text = strdup(text);
    if (!list->text) return EXIT_FILES;
    char *rest = list->text;
    for (char *name; (name = strsep(&rest, ","));) {
        if (!*name || list->count == MOST_NAMES)
            return args_wrong(v, "--%s: wanted 1 to %d names with commas between, got '%s'",
                              option_name, MOST_NAMES, text);
        list->at[list->count++] = name;
    }
    return -1;
}

static int read_tokens(const verb *v, const char *text, measure_meaning *m) {
    for (const char *p = text; p;) {
        char *end;
        errno = 0;
        const unsigned long n = *p >= '0' && *p <= '9' ? strtoul(p, &end, 10) : 0;
        if (!n || errno || n > 1u << 24 || (*end && *end != ',') || m->token_count == MOST_NAMES)
            return args_wrong(v, "-k: wanted numbers with commas between, like 16,64, got '%s'",
                              text);
        m->tokens[m->token_count++] = (uint32_t)n;
        p = *end ? end + 1 : NULL;
    }
    return -1;
}

static void list_metrics(bool json) {
    json_out j;
    if (json) {
        json_open(&j, stdout);
        json_array(&j, "metrics");
    }
    for (int i = 0; i < tsr_metric_count(); ++i) {
        tsr_metric_info info;
        tsr_metric_at(i, &info);
        if (json) {
            json_object(&j, NULL);
            json_text(&j, "name", info.name);
            json_text(&j, "label", info.label);
            json_text(&j, "unit", info.unit);
            json_text(&j, "better", info.higher ? "higher" : "lower");
            json_text(&j, "scope", info.clips ? "clips" : info.set ? "set" : "picture");
            json_text(&j, "protocol", info.protocol);
            json_text(&j, "source", info.source);
            json_text(&j, "weights", info.weights);
            json_end(&j, '}');
            continue;
        }
        printf("%-20s %s%s%s, %s is better, one for %s\n", info.name, info.label,
               *info.unit ? " in " : "", info.unit, info.higher ? "more" : "less",
               info.clips ? "all clips"
               : info.set ? "all pictures"
                          : "each picture");
        printf("    ");
        args_print_wrapped(info.protocol, 4, 4);
        printf("    ");
        args_print_wrapped(info.source, 4, 4);
        if (info.weights) {
            printf("    model: %s (--weights %s=FILE)\n", info.weights, info.weights);
        }
    }
    if (json) {
        json_end(&j, ']');
        json_close(&j);
    }
}

static int check_metrics(const verb *v, const name_list *list) {
    for (int i = 0; i < list->count; ++i) {
        const char *names[256];
        int count = 0;
        if (tsr_metric_find(list->at[i]) >= 0) continue;
        for (; count < tsr_metric_count() && count < 256; ++count) {
            tsr_metric_info info;
            tsr_metric_at(count, &info);
            names[count] = info.name;
        }
        const char *near = args_suggest(list->at[i], names, count);
        return near ? args_wrong(v, "--metrics: unknown metric '%s'; did you mean '%s'?",
                                 list->at[i], near)
                    : args_wrong(v, "--metrics: unknown metric '%s'; 'help' lists them",
                                 list->at[i]);
    }
    return -1;
}

int measure_read(const verb *v, const measure_choices *c, const common_options *common,
                 measure_meaning *m) {
    *m = (measure_meaning){.choices = c};
    if (c->metrics && (!strcmp(c->metrics, "help") || !strcmp(c->metrics, "list"))) {
        list_metrics(common->json);
        return EXIT_DONE;
    }
    int code = read_names(v, "metrics", c->metrics, &m->metrics);
    if (code < 0) code = check_metrics(v, &m->metrics);
    if (code < 0) code = read_names(v, "anchor", c->anchors, &m->anchors);
    if (code < 0) code = read_tokens(v, c->tokens, m);
    m->settings = (tsr_measure_settings){.metrics = m->metrics.count ? m->metrics.at : NULL,
                                         .metric_count = m->metrics.count,
                                         .at = c->at ? TSR_AT_ORIGINAL : TSR_AT_FITTED,
                                         .resize = c->resize,
                                         .on_error = TSR_ON_ERROR_SKIP,
                                         .seed = c->seed,
                                         .resamples = c->resamples,
                                         .cache = c->cache,
                                         .features = &m->features,
                                         .model = tsr_model_settings_default()};
    m->settings.model.device = common->device;
    m->settings.model.mask = common->mask;
    m->settings.model.precision = (tsr_precision)common->precision;
    return code;
}

static char *copy_of(const char *text) {
    return text ? strdup(text) : NULL;
}

int measure_locate(tool *t, measure_meaning *m) {
    const measure_choices *c = m->choices;
    const char *path;
    for (int i = 0; i < c->models.count; ++i) {
        const int code = tool_locate(t, c->models.at[i], &path);
        if (code >= 0) return code;
        m->models[m->model_count++] = copy_of(path);
    }
    for (int i = 0; i < c->weights.count; ++i) {
        const char *equal = strchr(c->weights.at[i], '=');
        if (!equal || equal == c->weights.at[i] || !equal[1])
            return args_wrong(t->v, "--weights: wanted METRIC=PATH, got '%s'", c->weights.at[i]);
        const int code = tool_locate(t, equal + 1, &path);
        if (code >= 0) return code;
        const size_t n = (size_t)(equal - c->weights.at[i]) + 1, size = n + strlen(path) + 1;
        char *both = malloc(size);
        if (both) snprintf(both, size, "%.*s%s", (int)n, c->weights.at[i], path);
        m->weights[m->weight_count++] = both;
    }
    m->settings.weights = (const char *const *)m->weights;
    m->settings.weight_count = m->weight_count;
    for (int i = 0; i < m->model_count + m->weight_count; ++i)
        if (!(i < m->model_count ? m->models[i] : m->weights[i - m->model_count]))
            return tool_fail_text(t, TSR_ERROR_MEMORY, "names of models");
    return -1;
}

void measure_say_cache(tool *t, const measure_meaning *m) {
    if (m->choices->cache && m->features.computed + m->features.reused)
        tool_say(t, "features: %" PRIu64 " computed, %" PRIu64 " from before (%s)",
                 m->features.computed, m->features.reused, m->choices->cache);
}

void measure_free(measure_meaning *m) {
    for (int i = 0; i < m->model_count; ++i)
        free(m->models[i]);
    for (int i = 0; i < m->weight_count; ++i)
        free(m->weights[i]);
    free(m->metrics.text);
    free(m->anchors.text);
    *m = (measure_meaning){0};
}

/* ---- the command that repeats a candidate ---- */

static void add(measure_command *c, const char *text) {
    if (c->count < (int)(sizeof c->at / sizeof *c->at)) c->at[c->count++] = text;
}

static void add_option(measure_command *c, const char *name, const char *value) {
    if (!value) return;
    add(c, name);
    add(c, value);
}

static void add_number(measure_command *c, const char *name, uint64_t value) {
    char text[32];
    snprintf(text, sizeof text, "%" PRIu64, value);
    char *kept = value ? strdup(text) : NULL;
    if (!kept) return;
    c->owned[c->owned_count++] = kept;
    add_option(c, name, kept);
}

void measure_command_make(measure_command *c, const char *verb_name, const char *originals,
                          const char *operand, const char *model, uint32_t tokens,
                          const char *anchor, const measure_meaning *m) {
    *c = (measure_command){0};
    add(c, "tessera");
    add(c, verb_name);
    add(c, originals);
    if (operand) add(c, operand);
    if (model) {
        add_option(c, "-t", model);
    } else {
        for (int i = 0; i < m->choices->models.count; ++i)
            add_option(c, "-t", m->choices->models.at[i]);
    }
    add_number(c, "-k", tokens);
    add_option(c, "--metrics", m->choices->metrics);
    for (int i = 0; i < m->choices->weights.count; ++i)
        add_option(c, "--weights", m->choices->weights.at[i]);
    add_option(c, "--anchor", anchor);
    const content_choices *content = m->content;
    if (content) {
        add_option(c, "--text", content->text);
        add_option(c, "--reader", content->reader);
        if (content->ignore_case) add(c, "--ignore-case");
        add_option(c, "--faces", content->faces);
        add_option(c, "--embedder", content->embedder);
    }
    if (m->choices->at) add_option(c, "--at", "original");
    if (m->choices->resize) add(c, "--resize");
    add_number(c, "--seed", m->choices->seed);
    add_number(c, "--resamples", m->choices->resamples);
    add_option(c, "--device", m->settings.model.device);
    if (m->settings.model.precision) add_option(c, "--precision", "fast");
}

void measure_command_free(measure_command *c) {
    for (int i = 0; i < c->owned_count; ++i)
        free(c->owned[i]);
    c->owned_count = c->count = 0;
}
