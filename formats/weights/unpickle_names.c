/* SPDX-License-Identifier: MIT */
/* unpickle_names.c: the names of Python objects a checkpoint may hold. What is not here is refused;
 * adding a name means that its meaning as data was understood, never that something is run. */
#include "unpickle_names.h"

#include <string.h>

static const struct {
    const char *module, *name;
    tsr_pickle_name kind;
} known[] = {
    {"collections", "OrderedDict", TSR_PICKLE_NAME_ORDERED_DICT},
    {"collections", "defaultdict", TSR_PICKLE_NAME_DEFAULT_DICT},
    {"argparse", "Namespace", TSR_PICKLE_NAME_NAMESPACE},
    {"torch", "Size", TSR_PICKLE_NAME_SIZE},
    {"torch._utils", "_rebuild_tensor", TSR_PICKLE_NAME_REBUILD_TENSOR},
    {"torch._utils", "_rebuild_tensor_v2", TSR_PICKLE_NAME_REBUILD_TENSOR_V2},
    {"torch._utils", "_rebuild_parameter", TSR_PICKLE_NAME_REBUILD_PARAMETER},
    {"builtins", "set", TSR_PICKLE_NAME_SET},
    {"__builtin__", "set", TSR_PICKLE_NAME_SET},
    {"builtins", "dict", TSR_PICKLE_NAME_INERT}, /* the factory of a defaultdict */
    {"__builtin__", "dict", TSR_PICKLE_NAME_INERT},
    {"torch", "float32", TSR_PICKLE_NAME_INERT},
    {"torch", "float16", TSR_PICKLE_NAME_INERT},
    {"torch", "bfloat16", TSR_PICKLE_NAME_INERT},
    {"torch", "float64", TSR_PICKLE_NAME_INERT},
    {"torch", "int64", TSR_PICKLE_NAME_INERT},
    /* Lightning files name each callback's state by its class. */
    {"pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint", TSR_PICKLE_NAME_INERT},
    {"lightning.pytorch.callbacks.model_checkpoint", "ModelCheckpoint", TSR_PICKLE_NAME_INERT},
    {"pytorch_lightning.callbacks.early_stopping", "EarlyStopping", TSR_PICKLE_NAME_INERT},
};
static const char *const storages[] = {"Float", "Half", "BFloat16",     "Double",
                                       "Long",  "Int",  "Short",        "Char",
                                       "Byte",  "Bool", "ComplexFloat", "ComplexDouble"};

static bool equals(const char *text, size_t size, const char *want) {
    return strlen(want) == size && memcmp(text, want, size) == 0;
}

static bool storage_name(const char *name, size_t size, size_t *stem) {
    for (size_t i = 0; i < sizeof storages / sizeof *storages; ++i) {
        *stem = strlen(storages[i]);
        if (size == *stem + 7 && memcmp(name, storages[i], *stem) == 0 &&
            memcmp(name + *stem, "Storage", 7) == 0)
            return true;
    }
    return false;
}

bool tsr_pickle_known(const char *module, size_t module_size, const char *name, size_t size,
                      tsr_pickle_name *kind, size_t *stem) {
    if (equals(module, module_size, "torch") && storage_name(name, size, stem)) {
        *kind = TSR_PICKLE_NAME_STORAGE;
        return true;
    }
    *stem = size;
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i) {
        *kind = known[i].kind;
        if (equals(module, module_size, known[i].module) && equals(name, size, known[i].name))
            return true;
    }
    return false;
}
