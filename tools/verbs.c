/* SPDX-License-Identifier: MIT */
/* verbs.c: see verbs.h. */
#include "verbs.h"

#include <string.h>

#define VERB(name) extern const verb verb_##name;
#include "verbs.def"
#undef VERB

static const verb *const verbs[] = {
#define VERB(name) &verb_##name,
#include "verbs.def"
#undef VERB
};

const verb *verb_at(int index) {
    return index >= 0 && index < (int)(sizeof verbs / sizeof *verbs) ? verbs[index] : NULL;
}

const verb *verb_find(const char *name) {
    const verb *v = NULL;
    for (int i = 0; (v = verb_at(i)) && strcmp(v->name, name) != 0; ++i)
        ;
    return v;
}

void verb_each_leaf(void (*each)(const verb *v, void *user), void *user) {
    const verb *v;
    for (int i = 0; (v = verb_at(i)); ++i) {
        if (!v->parts) each(v, user);
        for (const verb *const *part = v->parts; part && *part; ++part)
            each(*part, user);
    }
}
