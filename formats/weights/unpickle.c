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
    n->count++;
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

/* 'text' of protocol 0; escapes would need a copy and do not occur in checkpoints. */
static void push_quoted(machine *m) {
    size_t size;
    const char *line = take_line(m, &size);
    if (!line) return;
    if (size < 2 || (line[0] != '\'' && line[0] != '"') || line[size - 1] != line[0] ||
        memchr(line, '\\', size))
        refuse(m, TSR_ERROR_UNSUPPORTED, "a text of protocol 0 with escapes");
    else
        push(m, add_bytes(m, TSR_PICKLE_TEXT, line + 1, size - 2));
}

static void push_unicode_line(machine *m) {
    size_t size;
    const char *line = take_line(m, &size);
    if (!line) return;
    if (memchr(line, '\\', size))
        refuse(m, TSR_ERROR_UNSUPPORTED, "a text of protocol 0 with escapes");
    else
        push(m, add_bytes(m, TSR_PICKLE_TEXT, line, size));
}

/* ---- names ---- */

static void push_global(machine *m, const char *module, size_t module_size, const char *name,
                        size_t size) {
    if (m->status) return;
    size_t stem;
    tsr_pickle_name kind;
    if (!tsr_pickle_known(module, module_size, name, size, &kind, &stem)) {
        char text[256];
        for (size_t i = 0; i < sizeof text; ++i) { /* hostile names must not drive a terminal */
            size_t dot = module_size < 120 ? module_size : 120;
            char c = 0;
            if (i < dot)
                c = module[i];
            else if (i == dot)
                c = '.';
            else if (i - dot - 1 < (size < 120 ? size : 120))
                c = name[i - dot - 1];
            text[i] = c && ((uint8_t)c < 0x20 || (uint8_t)c >= 0x7F) ? '?' : c;
            if (!c) break;
        }
        text[255] = 0;
        m->status = tsr_fail(m->ctx, TSR_ERROR_UNSUPPORTED,
                             "%s: pickle: byte %zu: wanted tensors and plain containers, got %s: "
                             "code is not run; save the weights alone (a dict of tensors)",
                             m->name, m->opcode_at, text);
        return;
    }
    tsr_pickle_ref ref = add_bytes(m, TSR_PICKLE_GLOBAL, name, stem);
    if (m->status) return;
    node_at(m, ref)->kind = TSR_PICKLE_GLOBAL; /* also when it is not UTF-8 */
    node_at(m, ref)->name = (uint8_t)kind;
    push(m, ref);
}

static void global_lines(machine *m) {
    size_t module_size, size;
    const char *module = take_line(m, &module_size);
    const char *name = take_line(m, &size);
    if (module && name) push_global(m, module, module_size, name, size);
}

static void global_from_stack(machine *m) {
    tsr_pickle_ref name = pop(m), module = pop(m);
    if (m->status) return;
    if (kind_of(m, name) != TSR_PICKLE_TEXT || kind_of(m, module) != TSR_PICKLE_TEXT) {
        refuse(m, TSR_ERROR_FORMAT, "a name that is not text");
        return;
    }
    node n = *node_at(m, name), o = *node_at(m, module);
    push_global(m, (const char *)m->bytes + o.u.at, o.count, (const char *)m->bytes + n.u.at,
                n.count);
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
    if (kind_of(m, dict) != TSR_PICKLE_DICT || (end - first) % 2) {
        refuse(m, TSR_ERROR_FORMAT, "pairs for something that is no dictionary");
        return;
    }
    for (uint32_t i = first; i < end; i += 2)
        add_item(m, dict, m->stack[i], m->stack[i + 1]);
}

static void append_items(machine *m, tsr_pickle_ref list, uint32_t first, uint32_t end) {
    if (m->status) return;
    if (kind_of(m, list) != TSR_PICKLE_LIST && kind_of(m, list) != TSR_PICKLE_SET) {
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

/* callable(*args), or cls.__new__(cls, *args): what is known becomes a node, nothing is called. */
static void reduce(machine *m) {
    tsr_pickle_ref args = pop(m), callee = pop(m), none, first = 0;
    if (m->status) return;
    if (kind_of(m, callee) != TSR_PICKLE_GLOBAL || kind_of(m, args) != TSR_PICKLE_TUPLE) {
        refuse(m, TSR_ERROR_FORMAT, "a call of something that is no name");
        return;
    }
    uint32_t place = 0, count = node_at(m, args)->count;
    if (count) tsr_pickle_next(m->p, args, &place, &none, &first);
    tsr_pickle_name name = (tsr_pickle_name)node_at(m, callee)->name;
    tsr_pickle_ref ref;
    switch (name) {
    case TSR_PICKLE_NAME_ORDERED_DICT:
        ref = add_node(m, TSR_PICKLE_DICT);
        if (count && kind_of(m, first) == TSR_PICKLE_LIST)
            fill_dict(m, ref, first);
        else if (count)
            refuse(m, TSR_ERROR_FORMAT, "an OrderedDict of something else than a list");
        break;
    case TSR_PICKLE_NAME_NAMESPACE:
    case TSR_PICKLE_NAME_DEFAULT_DICT:
        ref = add_node(m, TSR_PICKLE_DICT);
        break;
    case TSR_PICKLE_NAME_SET:
    case TSR_PICKLE_NAME_SIZE:
        ref = add_node(m, name == TSR_PICKLE_NAME_SIZE ? TSR_PICKLE_TUPLE : TSR_PICKLE_SET);
        place = 0;
        if (count == 1 &&
            (kind_of(m, first) == TSR_PICKLE_LIST || kind_of(m, first) == TSR_PICKLE_TUPLE)) {
            tsr_pickle_ref value;
            while (!m->status && tsr_pickle_next(m->p, first, &place, &none, &value))
                add_item(m, ref, 0, value);
        }
        break;
    case TSR_PICKLE_NAME_REBUILD_TENSOR:
    case TSR_PICKLE_NAME_REBUILD_TENSOR_V2:
    case TSR_PICKLE_NAME_REBUILD_PARAMETER:
        ref = add_node(m, TSR_PICKLE_CALL);
        if (m->status) return;
        node_at(m, ref)->name = (uint8_t)name;
        node_at(m, ref)->u = node_at(m, args)->u; /* tuples do not change: the items are shared */
        node_at(m, ref)->count = count;
        break;
    default: {
        char text[128];
        snprintf(text, sizeof text,
                 "%.*s is called: only the names of containers and tensors may be",
                 (int)(node_at(m, callee)->count < 60 ? node_at(m, callee)->count : 60),
                 (const char *)m->bytes + node_at(m, callee)->u.at);
        refuse(m, TSR_ERROR_UNSUPPORTED, text);
        return;
    }
    }
    push(m, ref);
}

/* obj.__setstate__(state): a Namespace takes its members, what an OrderedDict or a tensor carries
 * beside its content (_metadata, hooks) is left out. */
static void build(machine *m) {
    tsr_pickle_ref state = pop(m), object = top(m), key, value;
    if (m->status) return;
    tsr_pickle_kind kind = kind_of(m, object);
    if (kind == TSR_PICKLE_CALL) return;
    if (kind != TSR_PICKLE_DICT || kind_of(m, state) != TSR_PICKLE_DICT) {
        refuse(m, TSR_ERROR_UNSUPPORTED, "a state for an object that is not known");
        return;
    }
    if (node_at(m, object)->name != TSR_PICKLE_NAME_NAMESPACE || state == object) return;
    for (uint32_t place = 0; tsr_pickle_next(m->p, state, &place, &key, &value) && !m->status;)
        add_item(m, object, key, value);
}

static void new_object(machine *m) {
    tsr_pickle_ref callee = m->stack_count - floor_of(m) >= 2 ? m->stack[m->stack_count - 2] : 0;
    bool space = kind_of(m, callee) == TSR_PICKLE_GLOBAL &&
                 node_at(m, callee)->name == TSR_PICKLE_NAME_NAMESPACE;
    reduce(m);
    if (!m->status && space) node_at(m, top(m))->name = TSR_PICKLE_NAME_NAMESPACE;
}

static void persistent(machine *m) {
    tsr_pickle_ref id = pop(m);
    if (m->status) return;
    if (kind_of(m, id) != TSR_PICKLE_TUPLE) {
        refuse(m, TSR_ERROR_UNSUPPORTED, "a persistent id that is no tuple");
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

static void scalar(machine *m, uint8_t op) {
    const uint8_t *p;
    switch (op) {
    case 'N':
        push(m, 0);
        break;
    case 0x88:
        push(m, 2);
        break;
    case 0x89:
        push(m, 1);
        break;
    case 'J':
        push_integer(m, TSR_PICKLE_INT, (int32_t)take_number(m, 4));
        break;
    case 'K':
        push_integer(m, TSR_PICKLE_INT, (int64_t)take_number(m, 1));
        break;
    case 'M':
        push_integer(m, TSR_PICKLE_INT, (int64_t)take_number(m, 2));
        break;
    case 'I':
    case 'L':
        push_decimal(m, false);
        break;
    case 'F':
        push_decimal(m, true);
        break;
    case 'G':
        if ((p = take(m, 8))) push_real(m, big_endian_double(p));
        break;
    case 0x8A:
        push_long(m, take_number(m, 1));
        break;
    case 0x8B:
        push_long(m, take_number(m, 4));
        break;
    case 'S':
        push_quoted(m);
        break;
    case 'V':
        push_unicode_line(m);
        break;
    case 'T':
        push_bytes(m, TSR_PICKLE_TEXT, take_number(m, 4));
        break;
    case 'U':
        push_bytes(m, TSR_PICKLE_TEXT, take_number(m, 1));
        break;
    case 'X':
        push_bytes(m, TSR_PICKLE_TEXT, take_number(m, 4));
        break;
    case 0x8C:
        push_bytes(m, TSR_PICKLE_TEXT, take_number(m, 1));
        break;
    case 0x8D:
        push_bytes(m, TSR_PICKLE_TEXT, take_number(m, 8));
        break;
    case 'B':
        push_bytes(m, TSR_PICKLE_BYTES, take_number(m, 4));
        break;
    case 'C':
        push_bytes(m, TSR_PICKLE_BYTES, take_number(m, 1));
        break;
    case 0x8E:
    case 0x96:
        push_bytes(m, TSR_PICKLE_BYTES, take_number(m, 8));
        break;
    default: {
        char text[64];
        snprintf(text, sizeof text, "opcode 0x%02x is not one that weights need", op);
        refuse(m, TSR_ERROR_UNSUPPORTED, text);
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
        push(m, add_node(m, TSR_PICKLE_LIST));
        break;
    case '}':
        push(m, add_node(m, TSR_PICKLE_DICT));
        break;
    case ')':
        push(m, add_node(m, TSR_PICKLE_TUPLE));
        break;
    case 0x8F:
        push(m, add_node(m, TSR_PICKLE_SET));
        break;
    case 'l':
        first = pop_mark(m);
        push_items(m, TSR_PICKLE_LIST, first, m->stack_count);
        break;
    case 't':
        first = pop_mark(m);
        push_items(m, TSR_PICKLE_TUPLE, first, m->stack_count);
        break;
    case 0x91: /* FROZENSET */
        first = pop_mark(m);
        push_items(m, TSR_PICKLE_SET, first, m->stack_count);
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
        push_tuple(m, 1);
        break;
    case 0x86:
        push_tuple(m, 2);
        break;
    case 0x87:
        push_tuple(m, 3);
        break;
    case 'a': {
        tsr_pickle_ref value = pop(m), list = top(m);
        if (!m->status) append_items(m, list, m->stack_count, m->stack_count + 1);
        (void)value; /* it stands just above the top */
        break;
    }
    case 'e':
    case 0x90:
        gather(m, false);
        break;
    case 's': {
        tsr_pickle_ref value = pop(m), key = pop(m), dict = top(m);
        if (!m->status) set_items(m, dict, m->stack_count, m->stack_count + 2);
        (void)value, (void)key;
        break;
    }
    case 'u':
        gather(m, true);
        break;
    case 'c':
        global_lines(m);
        break;
    case 0x93:
        global_from_stack(m);
        break;
    case 'R':
        reduce(m);
        break;
    case 0x81:
        new_object(m);
        break;
    case 'b':
        build(m);
        break;
    case 'Q':
        persistent(m);
        break;
    case 'p':
        put(m, line_index(m));
        break;
    case 'q':
        put(m, take_number(m, 1));
        break;
    case 'r':
        put(m, take_number(m, 4));
        break;
    case 0x94:
        put(m, m->memo_next);
        break;
    case 'g':
        get(m, line_index(m));
        break;
    case 'h':
        get(m, take_number(m, 1));
        break;
    case 'j':
        get(m, take_number(m, 4));
        break;
    default:
        scalar(m, op);
    }
    /* MEMOIZE takes the number of entries so far as its index. */
    if (op == 'p' || op == 'q' || op == 'r' || op == 0x94) m->memo_next++;
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
