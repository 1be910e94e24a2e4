/* SPDX-License-Identifier: MIT */
/* unpickle_names.h: the names of Python objects a checkpoint may hold. */
#ifndef FORMATS_UNPICKLE_NAMES_H
#define FORMATS_UNPICKLE_NAMES_H

#include <stdbool.h>
#include <stddef.h>

typedef enum tsr_pickle_name {
    TSR_PICKLE_NAME_UNKNOWN,   /* any class, function or constant: what it makes is passed over */
    TSR_PICKLE_NAME_FORBIDDEN, /* a function that runs programs or text: no weights need it */
    TSR_PICKLE_NAME_ORDERED_DICT,
    TSR_PICKLE_NAME_DEFAULT_DICT,
    TSR_PICKLE_NAME_COUNTER,
    TSR_PICKLE_NAME_DEQUE,
    TSR_PICKLE_NAME_SET, /* set, frozenset */
    TSR_PICKLE_NAME_NAMESPACE,
    TSR_PICKLE_NAME_SIZE, /* torch.Size */
    TSR_PICKLE_NAME_REBUILD_TENSOR,
    TSR_PICKLE_NAME_REBUILD_TENSOR_V2,
    TSR_PICKLE_NAME_REBUILD_TENSOR_V3,
    TSR_PICKLE_NAME_REBUILD_PARAMETER,
    TSR_PICKLE_NAME_REBUILD_SUBCLASS, /* torch._tensor._rebuild_from_type(_v2) */
    TSR_PICKLE_NAME_REBUILD_SPARSE,
    TSR_PICKLE_NAME_REBUILD_QUANTIZED,
    TSR_PICKLE_NAME_REBUILD_OTHER, /* torch._utils._rebuild_...: a tensor that is not dense */
    TSR_PICKLE_NAME_DTYPE,         /* torch.float32 ...: text = "float32" */
    TSR_PICKLE_NAME_STORAGE        /* torch.FloatStorage ...: text = "Float" */
} tsr_pickle_name;

/* Kind of the object module.name; *stem becomes the length of the part of `name` that carries
 * meaning (5 of "FloatStorage"). */
tsr_pickle_name tsr_pickle_name_of(const char *module, size_t module_size, const char *name,
                                   size_t size, size_t *stem);

#endif
