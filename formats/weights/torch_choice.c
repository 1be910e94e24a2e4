/* SPDX-License-Identifier: MIT */
/* torch_choice.c: see torch_choice.h. */
#include "torch_choice.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

enum { MOST_LEVELS = 8, MOST_LOOKED_AT = 64, NAME = 64, LIST = 256 };

static const char *const preferred[] = {"ema", "model_ema", "state_dict", "model", "module"};
/* Words in the names of what training keeps beside weights. */
static const char *const training[] = {"optim", "sched",  "scaler", "callback", "loops",
                                       "rng",   "hparam", "hyper",  "sampler",  "args"};

/* What a container holds. */
typedef struct level {
    int direct, dotted,
        weights;          /* tensors of its own; with dotted names; more than single values */
    tsr_pickle_ref found; /* what stands under the first preferred name; 0: none */
    char name[NAME];      /* that name */
    tsr_pickle_ref other; /* the last other container with tensors */
    char other_name[NAME];
    int others;
    char list[LIST]; /* names of what could be meant, here and further out */
} level;

static bool is_container(tsr_pickle_kind kind) {
    return kind == TSR_PICKLE_DICT || kind == TSR_PICKLE_LIST || kind == TSR_PICKLE_TUPLE;
}

static bool has_tensors(const tsr_torch *f, const char *path) {
    const size_t n = strlen(path);
    for (int i = 0; i < tsr_torch_count(f); ++i) {
        const char *p = tsr_torch_at(f, i)->path;
        if (strncmp(p, path, n) == 0 && p[n] == '/') return true;
    }
    return false;
}

static bool only_training(const char *name) {
    for (size_t i = 0; i < sizeof training / sizeof *training; ++i)
        if (strcasestr(name, training[i])) return true;
    return false;
}

/* "a", "b" and so on, for people. */
static void add_name(level *l, const char *path) {
    const size_t used = strlen(l->list);
    snprintf(l->list + used, sizeof l->list - used, "%s\"%.100s\"", used ? ", " : "", path);
}

/* Takes a name away again: the walk goes into it. */
static void remove_name(level *l, const char *path) {
    char quoted[128];
    const int n = snprintf(quoted, sizeof quoted, "\"%.100s\"", path);
    char *at = strstr(l->list, quoted), *end = at ? at + n : NULL;
    if (!at) return;
    if (strncmp(end, ", ", 2) == 0)
        end += 2;
    else if (at >= l->list + 2)
        at -= 2;
    memmove(at, end, strlen(end) + 1);
}

/* Counts the tensors that stand in the container itself. */
static void count_direct(const tsr_torch *f, const tsr_torch_choice *c, level *l) {
    const size_t n = strlen(c->path);
    for (int i = 0; i < tsr_torch_count(f); ++i) {
        const tsr_torch_tensor *t = tsr_torch_at(f, i);
        if (t->keys != c->keys + 1 || (n && strncmp(t->path, c->path, n) != 0)) continue;
        l->direct++;
        l->dotted += strchr(t->path + n, '.') != NULL;
        l->weights += t->elements > 1 && (t->dtype[0] == 'F' || t->dtype[0] == 'B') &&
                      strcmp(t->dtype, "BOOL") != 0;
    }
}

/* Looks at the containers in the dictionary `ref`. */
static void look_inside(const tsr_torch *f, const tsr_torch_choice *c, tsr_pickle_ref ref,
                        level *l) {
    const tsr_pickle *p = tsr_torch_tree(f);
    tsr_pickle_ref key, value;
    int looked_at = 0;
    size_t best = sizeof preferred / sizeof *preferred;
    for (uint32_t place = 0; tsr_pickle_next(p, ref, &place, &key, &value);) {
        const tsr_pickle_view k = tsr_pickle_look(p, key);
        const tsr_pickle_kind kind = tsr_pickle_look(p, value).kind;
        char name[NAME], path[sizeof c->path + NAME];
        if (k.kind != TSR_PICKLE_TEXT || k.text_size >= NAME || memchr(k.text, 0, k.text_size))
            continue;
        if (!is_container(kind) && kind != TSR_PICKLE_OBJECT) continue;
        snprintf(name, sizeof name, "%.*s", (int)k.text_size, k.text);
        for (char *b = name; *b; ++b)
            if ((uint8_t)*b < 0x20 || *b == 0x7F) *b = '?'; /* as in the paths */
        snprintf(path, sizeof path, "%s%s%s", c->path, *c->path ? "/" : "", name);
        size_t rank = 0;
        while (rank < sizeof preferred / sizeof *preferred && strcmp(name, preferred[rank]) != 0)
            ++rank;
        const bool named = rank < sizeof preferred / sizeof *preferred;
        if (!named && looked_at++ >= MOST_LOOKED_AT)
            continue; /* more would cost, and help nobody */
        if (!(named && kind == TSR_PICKLE_OBJECT) && !has_tensors(f, path)) continue;
        if (!only_training(name) && (kind != TSR_PICKLE_OBJECT || has_tensors(f, path)))
            add_name(l, path);
        if (named && rank < best) {
            best = rank;
            l->found = value;
            strcpy(l->name, name);
        } else if (!named && !only_training(name)) {
            l->others++;
            l->other = value;
            strcpy(l->other_name, name);
        }
    }
}

static void unclear(tsr_torch_choice *c, const char *what, const level *l) {
    snprintf(c->unclear, sizeof c->unclear, "wanted one set of weights, got %s%s%s%s", what,
             *what && *l->list ? " " : "", l->list,
             *l->list ? ": say which by --key (--key / is the top)" : "");
}

/* True if the walk may go on into what was found. */
static bool enter(const tsr_torch *f, tsr_torch_choice *c, tsr_pickle_ref value, const char *name,
                  level *l) {
    const tsr_pickle *p = tsr_torch_tree(f);
    const tsr_pickle_kind kind = tsr_pickle_look(p, value).kind;
    const size_t used = strlen(c->path);
    if (used + strlen(name) + 2 > sizeof c->path) return false;
    snprintf(c->path + used, sizeof c->path - used, "%s%s", used ? "/" : "", name);
    c->keys++;
    remove_name(l, c->path);
    const char *rest = *l->list ? ". Tensors are under" : "";
    char text[256], what[400];
    if (kind == TSR_PICKLE_OBJECT && !has_tensors(f, c->path)) {
        snprintf(
            what, sizeof what,
            "under \"%.60s\" an object (%.120s), which needs its own code; in Python, save its "
            "state_dict()%s",
            c->path, tsr_pickle_name_text(p, value, text, sizeof text), rest);
        unclear(c, what, l);
        return false;
    }
    if (kind == TSR_PICKLE_LIST || kind == TSR_PICKLE_TUPLE) {
        snprintf(what, sizeof what, "under \"%.60s\" a list of tensors, which has no names%s",
                 c->path, rest);
        unclear(c, what, l);
        return false;
    }
    return true;
}

void tsr_torch_choose(const tsr_torch *f, tsr_torch_choice *c) {
    const tsr_pickle *p = tsr_torch_tree(f);
    tsr_pickle_ref ref = tsr_pickle_root(p);
    *c = (tsr_torch_choice){0};
    if (tsr_torch_is_script(f)) return; /* one module */
    if (tsr_pickle_look(p, ref).kind == TSR_PICKLE_OBJECT && !has_tensors(f, "")) {
        char text[256];
        snprintf(c->unclear, sizeof c->unclear,
                 "wanted a dictionary of tensors, got a whole object (%.200s), which needs its own "
                 "code; in Python, save its state_dict()",
                 tsr_pickle_name_text(p, ref, text, sizeof text));
        return;
    }
    char list[LIST] = "";
    for (int depth = 0; depth < MOST_LEVELS; ++depth) {
        const tsr_pickle_kind kind = tsr_pickle_look(p, ref).kind;
        if (kind != TSR_PICKLE_DICT && kind != TSR_PICKLE_OBJECT) return;
        level l = {0};
        memcpy(l.list, list, sizeof list);
        count_direct(f, c, &l);
        look_inside(f, c, ref, &l);
        if (l.found && !l.dotted) {
            if (!enter(f, c, l.found, l.name, &l)) return;
            ref = l.found;
        } else if (l.found && depth == 0) {
            unclear(c, "tensors at the top and in containers", &l);
            return;
        } else if (l.weights || l.dotted || l.others == 0) {
            return;
        } else if (l.others == 1) {
            if (!enter(f, c, l.other, l.other_name, &l)) return;
            ref = l.other;
        } else {
            unclear(c, "", &l);
            return;
        }
        memcpy(list, l.list, sizeof list);
    }
}
