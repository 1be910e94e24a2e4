/* SPDX-License-Identifier: MIT */
/* unpickle.c: see unpickle.h. Opcodes are those of Python's pickletools, which describes them. */
#include "unpickle.h"
#include "unpickle_nodes.h"
#include "../utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_PICKLE ((size_t)256 << 20) /* a description of tensors; their data is elsewhere */

typedef struct machine {
    tsr_context *ctx;
    const char *name;
    const uint8_t *bytes;
    size_t size, at, opcode_at;
    tsr_pickle *p;
    tsr_pickle_ref *stack;
    uint32_t *marks; /* heights of the stack */
    tsr_pickle_ref *memo;
    uint32_t stack_count, stack_room, mark_count, mark_room, memo_room, memo_next;
    tsr_status status; /* the first failure; nothing is done after it */
} machine;

/* ---- failing ---- */

static void refuse(machine *m, tsr_status status, const char *what) {
    if (m->status) return;
    m->status = tsr_fail(m->ctx, status, "%s: pickle: byte %zu: %s", m->name, m->opcode_at, what);
}

static void cut(machine *m) {
    refuse(m, TSR_ERROR_TRUNCATED, "it goes on beyond the end of the data");
}

/* ---- memory: arrays that double ---- */

static bool grow(machine *m, void *array, uint32_t *room, uint32_t need, size_t size) {
    if (need <= *room) return true;
    uint64_t wanted = *room ? (uint64_t)*room * 2 : 64;
    if (wanted < need) wanted = need;
    if (wanted > UINT32_MAX) {
        refuse(m, TSR_ERROR_TOO_LARGE, "too many objects");
        return false;
    }
    void **at = array, *bigger = NULL;
    if (wanted * size <= (m->ctx ? m->ctx->settings.memory_limit : UINT64_MAX))
        bigger = realloc(*at, (size_t)(wanted * size));
    if (!bigger) {
        if (!m->status)
            m->status = tsr_fail(m->ctx, TSR_ERROR_MEMORY, "%s: pickle: no memory for %llu bytes",
                                 m->name, (unsigned long long)(wanted * size));
        return false;
    }
    memset((char *)bigger + *room * size, 0, (size_t)(wanted - *room) * size);
    *at = bigger;
    *room = (uint32_t)wanted;
    return true;
}

static tsr_pickle_ref add_node(machine *m, tsr_pickle_kind kind) {
    if (m->status || !grow(m, &m->p->nodes, &m->p->node_room, m->p->node_count + 1, sizeof(node)))
        return 0;
    m->p->nodes[m->p->node_count] = (node){.kind = (uint8_t)kind};
    return m->p->node_count++;
}

static void add_item(machine *m, tsr_pickle_ref to, tsr_pickle_ref key, tsr_pickle_ref value) {
    /* Each item has been pushed once, and copied once more where a list makes a dictionary. */
    if (m->p->item_count / 4 > m->at) refuse(m, TSR_ERROR_TOO_LARGE, "it multiplies itself");
    if (m->status || !grow(m, &m->p->items, &m->p->item_room, m->p->item_count + 1, sizeof(item)))
        return;
    m->p->items[m->p->item_count++] = (item){key, value, 0};
    node *n = &m->p->nodes[to];
    if (n->u.items.last)
        m->p->items[n->u.items.last - 1].next = m->p->item_count;
    else
        n->u.items.first = m->p->item_count;
    n->u.items.last = m->p->item_count;
    if (n->kind != TSR_PICKLE_OBJECT) n->count++; /* an object's class stands there */
}

static void push(machine *m, tsr_pickle_ref ref) {
    if (m->status || !grow(m, &m->stack, &m->stack_room, m->stack_count + 1, sizeof *m->stack))
        return;
    m->stack[m->stack_count++] = ref;
}

static uint32_t floor_of(const machine *m) {
    return m->mark_count ? m->marks[m->mark_count - 1] : 0;
}

static tsr_pickle_ref pop(machine *m) {
    if (m->stack_count <= floor_of(m)) {
        refuse(m, TSR_ERROR_FORMAT, "it takes more from the stack than there is");
        return 0;
    }
    return m->stack[--m->stack_count];
}

static tsr_pickle_ref top(machine *m) {
    tsr_pickle_ref ref = pop(m);
    if (!m->status) m->stack_count++;
    return ref;
}

/* Everything above the last mark: [first, stack_count). The mark is taken away. */
static uint32_t pop_mark(machine *m) {
    if (m->mark_count == 0) {
        refuse(m, TSR_ERROR_FORMAT, "a mark is missing");
        return m->stack_count;
    }
    return m->marks[--m->mark_count];
}

static node *node_at(machine *m, tsr_pickle_ref ref) {
    return &m->p->nodes[ref];
}

static tsr_pickle_kind kind_of(machine *m, tsr_pickle_ref ref) {
    return (tsr_pickle_kind)m->p->nodes[ref].kind;
}

/* ---- reading operands ---- */

static const uint8_t *take(machine *m, uint64_t count) {
    if (m->status) return NULL;
    if (count > m->size - m->at) {
        cut(m);
        return NULL;
    }
    m->at += (size_t)count;
    return m->bytes + m->at - count;
}

static uint64_t take_number(machine *m, int bytes) {
    const uint8_t *p = take(m, (uint64_t)bytes);
    uint64_t value = 0;
    for (int i = bytes - 1; p && i >= 0; --i)
        value = value << 8 | p[i];
    return value;
}

/* Up to the next newline, which is taken too. */
static const char *take_line(machine *m, size_t *size) {
    *size = 0;
    if (m->status) return NULL;
    const uint8_t *start = m->bytes + m->at, *end = memchr(start, '\n', m->size - m->at);
    if (!end) {
        cut(m);
        return NULL;
    }
    *size = (size_t)(end - start);
    m->at += *size + 1;
    return (const char *)start;
}

static tsr_pickle_ref add_bytes(machine *m, tsr_pickle_kind kind, const void *start,
                                uint64_t size) {
    if (m->status) return 0;
    if (kind == TSR_PICKLE_TEXT && !tsr_utf8_valid(start, (size_t)size, NULL))
        kind = TSR_PICKLE_BYTES; /* Python 2's str, or lone surrogates */
    if (size > UINT32_MAX) {
        refuse(m, TSR_ERROR_TOO_LARGE, "a text above 4 GiB");
        return 0;
    }
    tsr_pickle_ref ref = add_node(m, kind);
    if (!m->status) {
        node_at(m, ref)->u.at = (uint64_t)((const uint8_t *)start - m->bytes);
        node_at(m, ref)->count = (uint32_t)size;
    }
    return ref;
}

static void push_bytes(machine *m, tsr_pickle_kind kind, uint64_t size) {
    const uint8_t *start = take(m, size);
    if (start) push(m, add_bytes(m, kind, start, size));
}

static void push_integer(machine *m, tsr_pickle_kind kind, int64_t value) {
    tsr_pickle_ref ref = add_node(m, kind);
    if (m->status) return;
    node_at(m, ref)->u.integer = value;
    push(m, ref);
}

static void push_real(machine *m, double value) {
    tsr_pickle_ref ref = add_node(m, TSR_PICKLE_FLOAT);
    if (m->status) return;
    node_at(m, ref)->u.real = value;
    push(m, ref);
}

/* Two's complement, little-endian, any length. */
static void push_long(machine *m, uint64_t size) {
    const uint8_t *p = take(m, size);
    if (!p) return;
    if (size > 8) {
        push(m, add_bytes(m, TSR_PICKLE_LONG, p, size));
        return;
    }
    uint64_t value = size && p[size - 1] & 0x80 ? UINT64_MAX : 0;
    for (uint64_t i = size; i-- > 0;)
        value = value << 8 | p[i];
    push_integer(m, TSR_PICKLE_INT, (int64_t)value);
}

/* A value that is not looked into: `callee` (0: not known) would make it from `args` (0: none). */
static void push_object(machine *m, tsr_pickle_ref callee, tsr_pickle_ref args) {
    tsr_pickle_ref ref = add_node(m, TSR_PICKLE_OBJECT);
    if (m->status) return;
    /* What an object makes when it is called is called after the object's own maker. */
    node_at(m, ref)->count =
        kind_of(m, callee) == TSR_PICKLE_OBJECT ? node_at(m, callee)->count : callee;
    if (args) add_item(m, ref, 0, args);
    push(m, ref);
}

/* Decimal texts of protocol 0. */
static void push_decimal(machine *m, bool real) {
    size_t size;
    const char *line = take_line(m, &size);
    char text[64], *end;
    if (!line) return;
    if (!real && size == 2 && line[0] == '0' && (line[1] == '0' || line[1] == '1')) {
        push_integer(m, TSR_PICKLE_BOOL, line[1] == '1');
        return;
    }
    if (size > 0 && line[size - 1] == 'L') --size;
    if (!real && size > 18) { /* beyond 64 bits, or nearly: a step counter it is not */
        push_object(m, 0, 0);
        return;
    }
    if (size == 0 || size >= sizeof text || memchr(line, 0, size)) {
        refuse(m, TSR_ERROR_FORMAT, "a number that is not one");
        return;
    }
    memcpy(text, line, size);
    text[size] = 0;
    if (real)
        push_real(m, strtod(text, &end));
    else
        push_integer(m, TSR_PICKLE_INT, strtoll(text, &end, 10));
    if (*end) refuse(m, TSR_ERROR_FORMAT, "a number that is not one");
}

/* 'text' of protocol 0, which torch.save cannot write: with escapes it would need a copy. */
static void push_quoted(machine *m) {
    size_t size;
    const char *line = take_line(m, &size);
    if (!line) return;
    if (size < 2 || (line[0] != '\'' && line[0] != '"') || line[size - 1] != line[0])
        refuse(m, TSR_ERROR_FORMAT, "a text without quotes");
    else if (memchr(line, '\\', size))
        push_object(m, 0, 0);
    else
        push(m, add_bytes(m, TSR_PICKLE_TEXT, line + 1, size - 2));
}

static void push_unicode_line(machine *m) {
    size_t size;
    const char *line = take_line(m, &size);
    if (!line) return;
    if (memchr(line, '\\', size))
        push_object(m, 0, 0);
    else
        push(m, add_bytes(m, TSR_PICKLE_TEXT, line, size));
}

/* ---- names ---- */

static tsr_pickle_ref add_global(machine *m, const char *module, size_t module_size,
                                 const char *name, size_t size) {
    size_t stem;
    const tsr_pickle_name kind = tsr_pickle_name_of(module, module_size, name, size, &stem);
    tsr_pickle_ref ref = add_node(m, TSR_PICKLE_GLOBAL);
    if (m->status) return 0;
    node *n = node_at(m, ref);
    n->name = (uint8_t)kind;
    n->module_size = (uint16_t)(module_size < 200 ? module_size : 200);
    n->count = (uint32_t)stem;
    n->u.global.at = (uint32_t)((const uint8_t *)name - m->bytes);
    n->u.global.module_at = (uint32_t)((const uint8_t *)module - m->bytes);
    if (kind == TSR_PICKLE_NAME_FORBIDDEN) {
        char text[256];
        m->status =
            tsr_fail(m->ctx, TSR_ERROR_UNSUPPORTED,
                     "%s: pickle: byte %zu: wanted tensors and plain containers, got %s: "
                     "code is not run; save the weights alone (a dict of tensors)",
                     m->name, m->opcode_at, tsr_pickle_name_text(m->p, ref, text, sizeof text));
    }
    return ref;
}

static tsr_pickle_ref global_line(machine *m) {
    size_t module_size, size;
    const char *module = take_line(m, &module_size);
    const char *name = take_line(m, &size);
    return module && name ? add_global(m, module, module_size, name, size) : 0;
}

static void global_from_stack(machine *m) {
    tsr_pickle_ref name = pop(m), module = pop(m);
    if (m->status) return;
    if (kind_of(m, name) != TSR_PICKLE_TEXT || kind_of(m, module) != TSR_PICKLE_TEXT) {
        refuse(m, TSR_ERROR_FORMAT, "a name that is not text");
        return;
    }
    node n = *node_at(m, name), o = *node_at(m, module);
    push(m, add_global(m, (const char *)m->bytes + o.u.at, o.count, (const char *)m->bytes + n.u.at,
                       n.count));
}

/* ---- containers and calls ---- */

static void push_items(machine *m, tsr_pickle_kind kind, uint32_t first, uint32_t end) {
    tsr_pickle_ref ref = add_node(m, kind);
    for (uint32_t i = first; i < end; ++i)
        add_item(m, ref, 0, m->stack[i]);
    m->stack_count = first;
    push(m, ref);
}

static void push_tuple(machine *m, uint32_t count) {
    if (m->stack_count - floor_of(m) < count)
        refuse(m, TSR_ERROR_FORMAT, "it takes more from the stack than there is");
    else
        push_items(m, TSR_PICKLE_TUPLE, m->stack_count - count, m->stack_count);
}

static void set_items(machine *m, tsr_pickle_ref dict, uint32_t first, uint32_t end) {
    if (m->status) return;
    if ((kind_of(m, dict) != TSR_PICKLE_DICT && kind_of(m, dict) != TSR_PICKLE_OBJECT) ||
        (end - first) % 2) {
        refuse(m, TSR_ERROR_FORMAT, "pairs for something that is no dictionary");
        return;
    }
    for (uint32_t i = first; i < end; i += 2)
        add_item(m, dict, m->stack[i], m->stack[i + 1]);
}

static void append_items(machine *m, tsr_pickle_ref list, uint32_t first, uint32_t end) {
    if (m->status) return;
    if (kind_of(m, list) != TSR_PICKLE_LIST && kind_of(m, list) != TSR_PICKLE_SET &&
        kind_of(m, list) != TSR_PICKLE_OBJECT) {
        refuse(m, TSR_ERROR_FORMAT, "items for something that is no list");
        return;
    }
    for (uint32_t i = first; i < end; ++i)
        add_item(m, list, 0, m->stack[i]);
}

/* Everything above the mark goes to what stands below it. */
static void gather(machine *m, bool pairs) {
    uint32_t first = pop_mark(m), end = m->stack_count;
    if (m->status) return;
    m->stack_count = first;
    tsr_pickle_ref to = top(m);
    if (pairs)
        set_items(m, to, first, end);
    else
        append_items(m, to, first, end);
}

/* OrderedDict([(k, v), ...]) or of lists of two. */
static void fill_dict(machine *m, tsr_pickle_ref dict, tsr_pickle_ref pairs) {
    tsr_pickle_ref none, pair, key, value;
    for (uint32_t place = 0; tsr_pickle_next(m->p, pairs, &place, &none, &pair) && !m->status;) {
        uint32_t inner = 0;
        tsr_pickle_kind kind = kind_of(m, pair);
        if ((kind != TSR_PICKLE_TUPLE && kind != TSR_PICKLE_LIST) || node_at(m, pair)->count != 2) {
            refuse(m, TSR_ERROR_FORMAT, "a dictionary made of something else than pairs");
            return;
        }
        tsr_pickle_next(m->p, pair, &inner, &none, &key);
        tsr_pickle_next(m->p, pair, &inner, &none, &value);
        add_item(m, dict, key, value);
    }
}

/* The items of the one list, tuple, set or dictionary in `args`, as items of a new node. */
static tsr_pickle_ref copy_container(machine *m, tsr_pickle_kind kind, tsr_pickle_ref args) {
    tsr_pickle_ref none, key, value, from = 0, ref = add_node(m, kind);
    uint32_t place = 0;
    if (!tsr_pickle_next(m->p, args, &place, &none, &from)) return ref;
    const tsr_pickle_kind have = kind_of(m, from);
    if ((have == TSR_PICKLE_DICT) != (kind == TSR_PICKLE_DICT) || have < TSR_PICKLE_LIST ||
        have > TSR_PICKLE_DICT)
        return ref;
    for (place = 0; !m->status && tsr_pickle_next(m->p, from, &place, &key, &value);)
        add_item(m, ref, key, value);
    return ref;
}

static void push_call(machine *m, tsr_pickle_name name, tsr_pickle_ref args) {
    tsr_pickle_ref ref = add_node(m, TSR_PICKLE_CALL);
    if (m->status) return;
    node_at(m, ref)->name = (uint8_t)name;
    node_at(m, ref)->u = node_at(m, args)->u; /* tuples do not change: the items are shared */
    node_at(m, ref)->count = node_at(m, args)->count;
    push(m, ref);
}

static void push_ordered_dict(machine *m, tsr_pickle_ref args) {
    tsr_pickle_ref none, first = 0, ref = add_node(m, TSR_PICKLE_DICT);
    uint32_t place = 0;
    bool given = tsr_pickle_next(m->p, args, &place, &none, &first);
    if (given && kind_of(m, first) == TSR_PICKLE_LIST)
        fill_dict(m, ref, first);
    else if (given)
        refuse(m, TSR_ERROR_FORMAT, "an OrderedDict of something else than a list");
    push(m, ref);
}

/* callee(*args), or cls.__new__(cls, *args): what is known becomes a node, nothing is called. */
static void call(machine *m, tsr_pickle_ref callee, tsr_pickle_ref args) {
    if (m->status) return;
    const tsr_pickle_kind kind = kind_of(m, callee);
    if ((kind != TSR_PICKLE_GLOBAL && kind != TSR_PICKLE_OBJECT && kind != TSR_PICKLE_PERSISTENT) ||
        kind_of(m, args) != TSR_PICKLE_TUPLE) {
        refuse(m, TSR_ERROR_FORMAT, "a call of something that is no name");
        return;
    }
    const tsr_pickle_name name = kind == TSR_PICKLE_GLOBAL
                                     ? (tsr_pickle_name)node_at(m, callee)->name
                                     : TSR_PICKLE_NAME_UNKNOWN;
    switch (name) {
    case TSR_PICKLE_NAME_ORDERED_DICT:
        push_ordered_dict(m, args);
        break;
    case TSR_PICKLE_NAME_NAMESPACE:
    case TSR_PICKLE_NAME_DEFAULT_DICT: {
        tsr_pickle_ref ref = add_node(m, TSR_PICKLE_DICT);
        if (!m->status) node_at(m, ref)->name = (uint8_t)name; /* build asks for it */
        push(m, ref);
        break;
    }
    case TSR_PICKLE_NAME_COUNTER:
        push(m, copy_container(m, TSR_PICKLE_DICT, args));
        break;
    case TSR_PICKLE_NAME_DEQUE:
        push(m, copy_container(m, TSR_PICKLE_LIST, args));
        break;
    case TSR_PICKLE_NAME_SET:
        push(m, copy_container(m, TSR_PICKLE_SET, args));
        break;
    case TSR_PICKLE_NAME_SIZE:
        push(m, copy_container(m, TSR_PICKLE_TUPLE, args));
        break;
    case TSR_PICKLE_NAME_REBUILD_TENSOR:
    case TSR_PICKLE_NAME_REBUILD_TENSOR_V2:
    case TSR_PICKLE_NAME_REBUILD_TENSOR_V3:
    case TSR_PICKLE_NAME_REBUILD_PARAMETER:
    case TSR_PICKLE_NAME_REBUILD_SUBCLASS:
    case TSR_PICKLE_NAME_REBUILD_SPARSE:
    case TSR_PICKLE_NAME_REBUILD_QUANTIZED:
    case TSR_PICKLE_NAME_REBUILD_OTHER:
        push_call(m, name, args);
        break;
    default:
        push_object(m, callee, args);
    }
}

static void reduce(machine *m) {
    tsr_pickle_ref args = pop(m), callee = pop(m);
    call(m, callee, args);
}

/* obj.__setstate__(state): a Namespace takes its members, an object keeps its state, and what a
 * container or a tensor carries beside its content (_metadata, hooks) is left out. */
static void build(machine *m) {
    tsr_pickle_ref state = pop(m), object = top(m), key, value;
    if (m->status || state == object) return;
    const tsr_pickle_kind kind = kind_of(m, object);
    if (kind == TSR_PICKLE_OBJECT) add_item(m, object, 0, state);
    if (kind != TSR_PICKLE_DICT || kind_of(m, state) != TSR_PICKLE_DICT ||
        node_at(m, object)->name != TSR_PICKLE_NAME_NAMESPACE)
        return;
    for (uint32_t place = 0; tsr_pickle_next(m->p, state, &place, &key, &value) && !m->status;)
        add_item(m, object, key, value);
}

static void new_object(machine *m, bool keywords) {
    if (keywords) pop(m);
    tsr_pickle_ref args = pop(m), callee = pop(m);
    call(m, callee, args);
}

/* An instance in the words of protocol 0 and 1: a mark, its class (`named`, or on the stack),
 * the arguments. */
static void instance(machine *m, tsr_pickle_ref named, bool on_stack) {
    uint32_t first = pop_mark(m), end = m->stack_count;
    if (m->status) return;
    if (on_stack && first == end) {
        refuse(m, TSR_ERROR_FORMAT, "it takes more from the stack than there is");
        return;
    }
    const tsr_pickle_ref callee = on_stack ? m->stack[first] : named;
    push_items(m, TSR_PICKLE_TUPLE, first + on_stack, end);
    tsr_pickle_ref args = m->status ? 0 : pop(m);
    m->stack_count = first;
    call(m, callee, args);
}

static void persistent(machine *m) {
    tsr_pickle_ref id = pop(m);
    if (m->status) return;
    if (kind_of(m, id) != TSR_PICKLE_TUPLE) {
        push_object(m, 0, 0);
        return;
    }
    tsr_pickle_ref ref = add_node(m, TSR_PICKLE_PERSISTENT);
    if (m->status) return;
    node_at(m, ref)->u = node_at(m, id)->u;
    node_at(m, ref)->count = node_at(m, id)->count;
    push(m, ref);
}

/* ---- memo ---- */

static void put(machine *m, uint64_t index) {
    tsr_pickle_ref ref = top(m);
    if (m->status) return;
    /* Picklers count up, and each put takes bytes of its own. */
    if (index > m->at) {
        refuse(m, TSR_ERROR_FORMAT, "a memo index that no pickler would write");
        return;
    }
    if (!grow(m, &m->memo, &m->memo_room, (uint32_t)index + 1, sizeof *m->memo)) return;
    m->memo[index] = ref + 1;
}

static void get(machine *m, uint64_t index) {
    if (m->status) return;
    if (index >= m->memo_room || !m->memo[index])
        refuse(m, TSR_ERROR_FORMAT, "a memo index that was not filled");
    else
        push(m, m->memo[index] - 1);
}

static uint64_t line_index(machine *m) {
    size_t size;
    const char *line = take_line(m, &size);
    uint64_t value = 0;
    if (!line) return 0;
    for (size_t i = 0; i < size; ++i) {
        if (line[i] < '0' || line[i] > '9' || i > 9) {
            refuse(m, TSR_ERROR_FORMAT, "a memo index that is not a number");
            return 0;
        }
        value = value * 10 + (uint64_t)(line[i] - '0');
    }
    return value;
}

/* ---- the machine ---- */

static double big_endian_double(const uint8_t *p) {
    uint64_t bits = 0;
    double value;
    for (int i = 0; i < 8; ++i)
        bits = bits << 8 | p[i];
    memcpy(&value, &bits, 8);
    return value;
}

static void mark(machine *m) {
    if (m->status || !grow(m, &m->marks, &m->mark_room, m->mark_count + 1, sizeof *m->marks))
        return;
    m->marks[m->mark_count++] = m->stack_count;
}

/* Texts and bytes behind a length of 1, 4 or 8 bytes. */
static bool counted_bytes(machine *m, uint8_t op) {
    static const struct {
        uint8_t op, kind, width;
    } rows[] = {
        {'T', TSR_PICKLE_TEXT, 4},  {'U', TSR_PICKLE_TEXT, 1},   {'X', TSR_PICKLE_TEXT, 4},
        {0x8C, TSR_PICKLE_TEXT, 1}, {0x8D, TSR_PICKLE_TEXT, 8},  {'B', TSR_PICKLE_BYTES, 4},
        {'C', TSR_PICKLE_BYTES, 1}, {0x8E, TSR_PICKLE_BYTES, 8}, {0x96, TSR_PICKLE_BYTES, 8}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
        if (rows[i].op != op) continue;
        push_bytes(m, (tsr_pickle_kind)rows[i].kind, take_number(m, rows[i].width));
        return true;
    }
    return false;
}

static void scalar(machine *m, uint8_t op) {
    const uint8_t *p;
    if (counted_bytes(m, op)) return;
    switch (op) {
    case 'N':
        push(m, 0);
        break;
    case 0x88:
    case 0x89:
        push(m, op == 0x88 ? 2 : 1);
        break;
    case 'J':
        push_integer(m, TSR_PICKLE_INT, (int32_t)take_number(m, 4));
        break;
    case 'K':
    case 'M':
        push_integer(m, TSR_PICKLE_INT, (int64_t)take_number(m, op == 'K' ? 1 : 2));
        break;
    case 'I':
    case 'L':
    case 'F':
        push_decimal(m, op == 'F');
        break;
    case 'G':
        if ((p = take(m, 8))) push_real(m, big_endian_double(p));
        break;
    case 0x8A:
    case 0x8B:
        push_long(m, take_number(m, op == 0x8A ? 1 : 4));
        break;
    case 'S':
        push_quoted(m);
        break;
    case 'V':
        push_unicode_line(m);
        break;
    case 0x82: /* EXT1, 2, 4: a class by its number in a registry that the file does not hold */
    case 0x83:
    case 0x84:
    case 0x97: /* NEXT_BUFFER: bytes that are not in the pickle */
        take(m, op == 0x97 ? 0 : op == 0x84 ? 4 : op - 0x81u);
        push_object(m, 0, 0);
        break;
    case 0x98: /* READONLY_BUFFER */
        top(m);
        break;
    case 'P': { /* a persistent id that is a line of text */
        size_t size;
        if (take_line(m, &size)) push_object(m, 0, 0);
        break;
    }
    default: {
        char text[64];
        snprintf(text, sizeof text, "opcode 0x%02x is none of Python's", op);
        refuse(m, TSR_ERROR_FORMAT, text);
    }
    }
}

/* Runs one opcode; true at STOP. */
static bool step(machine *m, uint8_t op) {
    uint32_t first;
    switch (op) {
    case '.':
        return true;
    case 0x80: /* PROTO */
        if (take_number(m, 1) > 5) refuse(m, TSR_ERROR_VERSION, "a protocol above 5");
        break;
    case 0x95: /* FRAME */
        if (take_number(m, 8) > m->size - m->at) cut(m);
        break;
    case '(':
        mark(m);
        break;
    case '0':
        if (m->mark_count && m->stack_count == floor_of(m))
            pop_mark(m);
        else
            pop(m);
        break;
    case '1':
        m->stack_count = pop_mark(m);
        break;
    case '2':
        push(m, top(m));
        break;
    case ']':
    case '}':
        push(m, add_node(m, op == ']' ? TSR_PICKLE_LIST : TSR_PICKLE_DICT));
        break;
    case ')':
    case 0x8F:
        push(m, add_node(m, op == ')' ? TSR_PICKLE_TUPLE : TSR_PICKLE_SET));
        break;
    case 'l':
    case 't':
    case 0x91: /* FROZENSET */
        first = pop_mark(m);
        push_items(m,
                   op == 'l'   ? TSR_PICKLE_LIST
                   : op == 't' ? TSR_PICKLE_TUPLE
                               : TSR_PICKLE_SET,
                   first, m->stack_count);
        break;
    case 'd': {
        first = pop_mark(m);
        uint32_t end = m->stack_count;
        tsr_pickle_ref dict = add_node(m, TSR_PICKLE_DICT);
        set_items(m, dict, first, end);
        m->stack_count = first;
        push(m, dict);
        break;
    }
    case 0x85:
    case 0x86:
    case 0x87:
        push_tuple(m, op - 0x84u);
        break;
    case 'a': /* the value then stands just above the top */
        pop(m);
        first = top(m);
        append_items(m, first, m->stack_count, m->stack_count + 1);
        break;
    case 's':
        pop(m);
        pop(m);
        first = top(m);
        set_items(m, first, m->stack_count, m->stack_count + 2);
        break;
    case 'e':
    case 'u':
    case 0x90:
        gather(m, op == 'u');
        break;
    case 'c':
        push(m, global_line(m));
        break;
    case 0x93:
        global_from_stack(m);
        break;
    case 'R':
        reduce(m);
        break;
    case 0x81:
    case 0x92:
        new_object(m, op == 0x92);
        break;
    case 'i':
    case 'o':
        instance(m, op == 'i' ? global_line(m) : 0, op == 'o');
        break;
    case 'b':
        build(m);
        break;
    case 'Q':
        persistent(m);
        break;
    case 'p':
    case 'q':
    case 'r':
    case 0x94: /* MEMOIZE takes the number of entries so far as its index */
        put(m, op == 0x94  ? m->memo_next
               : op == 'p' ? line_index(m)
                           : take_number(m, op == 'q' ? 1 : 4));
        m->memo_next++;
        break;
    case 'g':
    case 'h':
    case 'j':
        get(m, op == 'g' ? line_index(m) : take_number(m, op == 'h' ? 1 : 4));
        break;
    default:
        scalar(m, op);
    }
    return false;
}

static void run(machine *m) {
    add_node(m, TSR_PICKLE_NONE); /* 0, 1, 2: the values every pickle shares */
    add_node(m, TSR_PICKLE_BOOL);
    add_node(m, TSR_PICKLE_BOOL);
    if (m->status) return;
    m->p->nodes[2].u.integer = 1;
    for (bool stopped = false; !stopped && !m->status;) {
        m->opcode_at = m->at;
        if (m->at == m->size)
            cut(m);
        else
            stopped = step(m, m->bytes[m->at++]);
    }
    if (!m->status) m->p->root = pop(m);
}

tsr_status tsr_pickle_parse(tsr_context *ctx, const char *name, const void *bytes, size_t size,
                            tsr_pickle **pickle, size_t *used) {
    *pickle = NULL;
    machine m = {.ctx = ctx, .name = name, .bytes = bytes};
    m.size = size < MAX_PICKLE ? size : MAX_PICKLE;
    m.p = tsr_alloc(ctx, 1, sizeof *m.p, name);
    if (!m.p) return TSR_ERROR_MEMORY;
    m.p->bytes = bytes;
    run(&m);
    free(m.stack);
    free(m.marks);
    free(m.memo);
    if (m.status) tsr_pickle_close(&m.p);
    *pickle = m.p;
    if (used) *used = m.at;
    return m.status;
}
