/* SPDX-License-Identifier: MIT */
/* unpickle.h: reads Python pickles (protocols 0 to 5) as data. Nothing is ever called or imported.
 *
 * A pickle is a program for a small stack machine that may ask Python to call any function. Here
 * the machine builds nodes; a name of a Python object is looked up in a short list and everything
 * else is refused by name (UNSUPPORTED). A call of a listed name becomes a CALL node that says what
 * was to be called with what; who reads the tree decides what it means. Each opcode costs at most a
 * few words, lengths are checked before use, and there is no recursion. The tree may share nodes
 * and may even hold itself: walk it with a limit on depth and on steps.
 * Errors: FORMAT, TRUNCATED, UNSUPPORTED, TOO_LARGE, MEMORY, naming the byte. */
#ifndef FORMATS_UNPICKLE_H
#define FORMATS_UNPICKLE_H

#include <stdbool.h>
#include "../../compute/context.h"

typedef enum tsr_pickle_kind {
    TSR_PICKLE_NONE,
    TSR_PICKLE_BOOL, /* integer 0 or 1 */
    TSR_PICKLE_INT,  /* integer */
    TSR_PICKLE_LONG, /* beyond 64 bits: text = the two's complement bytes, little-endian */
    TSR_PICKLE_FLOAT,
    TSR_PICKLE_TEXT, /* UTF-8, may hold U+0000 */
    TSR_PICKLE_BYTES,
    TSR_PICKLE_LIST,      /* items */
    TSR_PICKLE_TUPLE,     /* items */
    TSR_PICKLE_SET,       /* items */
    TSR_PICKLE_DICT,      /* items with keys; also OrderedDict, and Namespace with its members */
    TSR_PICKLE_GLOBAL,    /* name */
    TSR_PICKLE_CALL,      /* name called with the items */
    TSR_PICKLE_PERSISTENT /* items: the tuple that names something outside the pickle */
} tsr_pickle_kind;

/* The names that are known. */
typedef enum tsr_pickle_name {
    TSR_PICKLE_INERT, /* a class or constant that may stand somewhere but not be called */
    TSR_PICKLE_ORDERED_DICT,
    TSR_PICKLE_DEFAULT_DICT,
    TSR_PICKLE_SET_TYPE,
    TSR_PICKLE_NAMESPACE,
    TSR_PICKLE_SIZE, /* torch.Size */
    TSR_PICKLE_REBUILD_TENSOR,
    TSR_PICKLE_REBUILD_TENSOR_V2,
    TSR_PICKLE_REBUILD_PARAMETER,
    TSR_PICKLE_STORAGE /* torch.FloatStorage ...: text = "Float" */
} tsr_pickle_name;

typedef struct tsr_pickle tsr_pickle;
typedef uint32_t tsr_pickle_ref; /* a node; 0 is None */

typedef struct tsr_pickle_view { /* of one node */
    tsr_pickle_kind kind;
    int64_t integer;
    double real;
    tsr_pickle_name name;
    const char *text; /* inside the pickle's bytes, not terminated; of a GLOBAL its last part */
    size_t text_size;
    uint32_t count; /* of items */
} tsr_pickle_view;

/* Runs one pickle from the start of `bytes` to its STOP; *used says how many bytes that took.
 * `name` is the file's, for messages. The bytes must stay valid until close. */
tsr_status tsr_pickle_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            tsr_pickle **pickle, size_t *used);
void tsr_pickle_close(tsr_pickle **pickle);
tsr_pickle_ref tsr_pickle_root(const tsr_pickle *pickle);
uint32_t tsr_pickle_count(const tsr_pickle *pickle); /* of nodes: refs are below it */
tsr_pickle_view tsr_pickle_look(const tsr_pickle *pickle, tsr_pickle_ref ref);
/* Items in order: start with *place = 0; false at the end. key is None where there is none. */
bool tsr_pickle_next(const tsr_pickle *pickle, tsr_pickle_ref ref, uint32_t *place,
                     tsr_pickle_ref *key, tsr_pickle_ref *value);
/* Is it text, and this one? */
bool tsr_pickle_is(const tsr_pickle *pickle, tsr_pickle_ref ref, const char *text);

#endif
