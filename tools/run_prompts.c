/* SPDX-License-Identifier: MIT */
/* run_prompts.c: prompts for a model. */
#include <stdlib.h>
#include <string.h>
#include "run_job.h"

int run_prompts_add(tool *t, run_prompts *p, const char *name, const char *source, uint32_t *ids,
                    size_t count) {
    if (p->count == p->room) {
        const size_t room = p->room ? 2 * p->room : 16;
        run_prompt *at = realloc(p->at, room * sizeof *at);
        if (at) p->at = at, p->room = room;
    }
    char *copy = p->count < p->room ? strdup(name) : NULL;
    if (!copy) {
        free(ids);
        return tool_fail_text(t, TSR_ERROR_MEMORY, "%s: memory for its prompt", name);
    }
    p->at[p->count++] = (run_prompt){copy, source, ids, count};
    return -1;
}

void run_prompts_free(run_prompts *p) {
    for (size_t i = 0; i < p->count; ++i) {
        free(p->at[i].name);
        free(p->at[i].ids);
    }
    free(p->at);
    *p = (run_prompts){0};
}
