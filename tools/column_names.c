/* SPDX-License-Identifier: MIT */
/* column_names.c: see column_names.h. */
#include "column_names.h"

#include <string.h>

int column_names(const verb *v, const text_list *texts, tsr_dataset_names *names) {
    const struct {
        const char *kind;
        const char **to;
    } all[] = {{"ids", &names->ids},
               {"key", &names->key},
               {"label", &names->label},
               {"caption", &names->caption},
               {"shape", &names->shape}};
    for (int i = 0; i < texts->count; ++i) {
        const char *text = texts->at[i], *equals = strchr(text, '=');
        const char **to = NULL;
        for (size_t k = 0; equals && k < sizeof all / sizeof *all; ++k)
            if (strlen(all[k].kind) == (size_t)(equals - text) &&
                !strncmp(all[k].kind, text, (size_t)(equals - text)))
                to = all[k].to;
        if (!to || !equals[1])
            return args_wrong(v,
                              "--column: wanted ids=NAME, key=NAME, label=NAME, caption=NAME or "
                              "shape=NAME, got '%s'",
                              text);
        *to = equals + 1;
    }
    return -1;
}
