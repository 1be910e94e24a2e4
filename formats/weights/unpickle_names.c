/* SPDX-License-Identifier: MIT */
/* unpickle_names.c: the names of Python objects a checkpoint may hold. A row here means that what
 * the name makes was understood as data, or that no weights need it; everything else is unknown and
 * passed over. Nothing is ever imported or run. */
#include "unpickle_names.h"

#include <string.h>

static const struct {
    const char *module, *name; /* a name that ends with '*' stands for all that begin so */
    tsr_pickle_name kind;
} known[] = {
    {"collections", "OrderedDict", TSR_PICKLE_NAME_ORDERED_DICT},
    {"collections", "defaultdict", TSR_PICKLE_NAME_DEFAULT_DICT},
    {"collections", "Counter", TSR_PICKLE_NAME_COUNTER},
    {"collections", "deque", TSR_PICKLE_NAME_DEQUE},
    {"argparse", "Namespace", TSR_PICKLE_NAME_NAMESPACE},
    {"types", "SimpleNamespace", TSR_PICKLE_NAME_NAMESPACE},
    {"builtins", "set", TSR_PICKLE_NAME_SET},
    {"__builtin__", "set", TSR_PICKLE_NAME_SET},
    {"builtins", "frozenset", TSR_PICKLE_NAME_SET},
    {"__builtin__", "frozenset", TSR_PICKLE_NAME_SET},
    {"torch", "Size", TSR_PICKLE_NAME_SIZE},
    {"torch._utils", "_rebuild_tensor", TSR_PICKLE_NAME_REBUILD_TENSOR},
    {"torch._utils", "_rebuild_tensor_v2", TSR_PICKLE_NAME_REBUILD_TENSOR_V2},
    {"torch._utils", "_rebuild_tensor_v3", TSR_PICKLE_NAME_REBUILD_TENSOR_V3},
    {"torch._utils", "_rebuild_parameter", TSR_PICKLE_NAME_REBUILD_PARAMETER},
    {"torch._utils", "_rebuild_parameter_with_state", TSR_PICKLE_NAME_REBUILD_PARAMETER},
    {"torch._utils", "_rebuild_sparse*", TSR_PICKLE_NAME_REBUILD_SPARSE},
    {"torch._utils", "_rebuild_qtensor", TSR_PICKLE_NAME_REBUILD_QUANTIZED},
    {"torch._utils", "_rebuild_*", TSR_PICKLE_NAME_REBUILD_OTHER},
    {"torch._tensor", "_rebuild_from_type*", TSR_PICKLE_NAME_REBUILD_SUBCLASS},
    {"torch.tensor", "_rebuild_from_type*", TSR_PICKLE_NAME_REBUILD_SUBCLASS},
    {"torch", "float*", TSR_PICKLE_NAME_DTYPE},
    {"torch", "bfloat16", TSR_PICKLE_NAME_DTYPE},
    {"torch", "uint*", TSR_PICKLE_NAME_DTYPE},
    {"torch", "int*", TSR_PICKLE_NAME_DTYPE},
    {"torch", "bool", TSR_PICKLE_NAME_DTYPE},
    {"torch", "complex*", TSR_PICKLE_NAME_DTYPE},
    {"torch", "bits*", TSR_PICKLE_NAME_DTYPE},
    /* Who names these wants something run. The reader would pass over them like over any other name
     * (it runs nothing), but the file is not what it is taken for and others may load it. */
    {"os", "system", TSR_PICKLE_NAME_FORBIDDEN},
    {"os", "popen*", TSR_PICKLE_NAME_FORBIDDEN},
    {"os", "exec*", TSR_PICKLE_NAME_FORBIDDEN},
    {"os", "spawn*", TSR_PICKLE_NAME_FORBIDDEN},
    {"os", "posix_spawn*", TSR_PICKLE_NAME_FORBIDDEN},
    {"os", "remove*", TSR_PICKLE_NAME_FORBIDDEN},
    {"os", "unlink", TSR_PICKLE_NAME_FORBIDDEN},
    {"os", "startfile", TSR_PICKLE_NAME_FORBIDDEN},
    {"posix", "system", TSR_PICKLE_NAME_FORBIDDEN},
    {"posix", "popen*", TSR_PICKLE_NAME_FORBIDDEN},
    {"posix", "exec*", TSR_PICKLE_NAME_FORBIDDEN},
    {"posix", "posix_spawn*", TSR_PICKLE_NAME_FORBIDDEN},
    {"posix", "remove", TSR_PICKLE_NAME_FORBIDDEN},
    {"posix", "unlink", TSR_PICKLE_NAME_FORBIDDEN},
    {"nt", "system", TSR_PICKLE_NAME_FORBIDDEN},
    {"nt", "exec*", TSR_PICKLE_NAME_FORBIDDEN},
    {"nt", "spawn*", TSR_PICKLE_NAME_FORBIDDEN},
    {"nt", "startfile", TSR_PICKLE_NAME_FORBIDDEN},
    {"subprocess", "*", TSR_PICKLE_NAME_FORBIDDEN},
    {"commands", "*", TSR_PICKLE_NAME_FORBIDDEN},
    {"pty", "*", TSR_PICKLE_NAME_FORBIDDEN},
    {"runpy", "*", TSR_PICKLE_NAME_FORBIDDEN},
    {"importlib", "*", TSR_PICKLE_NAME_FORBIDDEN},
    {"shutil", "rmtree", TSR_PICKLE_NAME_FORBIDDEN},
    {"webbrowser", "*", TSR_PICKLE_NAME_FORBIDDEN},
    {"builtins", "eval", TSR_PICKLE_NAME_FORBIDDEN},
    {"builtins", "exec", TSR_PICKLE_NAME_FORBIDDEN},
    {"builtins", "compile", TSR_PICKLE_NAME_FORBIDDEN},
    {"builtins", "open", TSR_PICKLE_NAME_FORBIDDEN},
    {"builtins", "__import__", TSR_PICKLE_NAME_FORBIDDEN},
    {"builtins", "breakpoint", TSR_PICKLE_NAME_FORBIDDEN},
    {"__builtin__", "eval", TSR_PICKLE_NAME_FORBIDDEN},
    {"__builtin__", "exec*", TSR_PICKLE_NAME_FORBIDDEN},
    {"__builtin__", "compile", TSR_PICKLE_NAME_FORBIDDEN},
    {"__builtin__", "open", TSR_PICKLE_NAME_FORBIDDEN},
    {"__builtin__", "__import__", TSR_PICKLE_NAME_FORBIDDEN},
};
/* torch.*Storage names that are storages. What is quantized has a size, so that older files can be
 * walked through, and is refused where a weight is wanted. */
static const char *const storages[] = {
    "Float", "Half", "BFloat16", "Double", "Long",         "Int",           "Short",  "Char",
    "Byte",  "Bool", "QInt8",    "QUInt8", "ComplexFloat", "ComplexDouble", "QInt32", "Untyped"};
static const char *const storage_modules[] = {"torch", "torch.cuda", "torch.storage"};

static bool equals(const char *text, size_t size, const char *want) {
    return strlen(want) == size && memcmp(text, want, size) == 0;
}

static bool matches(const char *text, size_t size, const char *want) {
    size_t n = strlen(want);
    if (n && want[n - 1] == '*') return size >= n - 1 && memcmp(text, want, n - 1) == 0;
    return equals(text, size, want);
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

tsr_pickle_name tsr_pickle_name_of(const char *module, size_t module_size, const char *name,
                                   size_t size, size_t *stem) {
    for (size_t i = 0; i < sizeof storage_modules / sizeof *storage_modules; ++i)
        if (equals(module, module_size, storage_modules[i]) && storage_name(name, size, stem))
            return TSR_PICKLE_NAME_STORAGE;
    *stem = size;
    for (size_t i = 0; i < sizeof known / sizeof *known; ++i)
        if (equals(module, module_size, known[i].module) && matches(name, size, known[i].name))
            return known[i].kind;
    return TSR_PICKLE_NAME_UNKNOWN;
}
