/* SPDX-License-Identifier: MIT */
/* unpickle_names.h: the names of Python objects a checkpoint may hold. */
#ifndef FORMATS_UNPICKLE_NAMES_H
#define FORMATS_UNPICKLE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

typedef enum tsr_pickle_name {
    TSR_PICKLE_NAME_INERT, /* a class or constant that may stand somewhere but not be called */
    TSR_PICKLE_NAME_ORDERED_DICT,
    TSR_PICKLE_NAME_DEFAULT_DICT,
    TSR_PICKLE_NAME_SET,
    TSR_PICKLE_NAME_NAMESPACE,
    TSR_PICKLE_NAME_SIZE, /* torch.Size */
    TSR_PICKLE_NAME_REBUILD_TENSOR,
    TSR_PICKLE_NAME_REBUILD_TENSOR_V2,
    TSR_PICKLE_NAME_REBUILD_PARAMETER,
    TSR_PICKLE_NAME_STORAGE /* torch.FloatStorage ...: text = "Float" */
} tsr_pickle_name;

/* True if module.name is a known name; *kind becomes its kind, and *stem the length of the part of
 * `name` that carries meaning (5 of "FloatStorage"). */
bool tsr_pickle_known(const char *module, size_t module_size, const char *name, size_t size,
                      tsr_pickle_name *kind, size_t *stem);

#endif
