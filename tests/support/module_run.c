/* SPDX-License-Identifier: MIT */
/* module_run.c: see module_run.h. Values lie in memory as SPIR-V's types say: 4 bytes for a number
 * or a bool, vectors of them, a matrix as an array of floats in rows (those of f16 rounded), a
 * pointer as an address with the bytes behind it. No function calls itself, so each result has one
 * place. Tensor layouts follow the text of GL_NV_cooperative_matrix2. */
#include "module_run.h"

#include "compute/tensor.h"
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef TESSERA_WITH_VULKAN
#include "compute/vulkan/vulkan_shaders.h"

/* Check's own write a line for every one that holds, and these are asked millions of times. */
#define WANT(holds, ...)                                                                           \
    do {                                                                                           \
        if (!(holds)) ck_abort_msg(__VA_ARGS__);                                                   \
    } while (0)
#define REQUIRE(holds) WANT(holds, "wanted " #holds)

enum { MOST_IDS = 2048, MOST_MEMBERS = 64, MOST_DIMS = 5, NONE = -1 };

typedef struct pointer {
    uint8_t *at;
    size_t left;
} pointer;

typedef struct tensor_layout {
    uint32_t dims, mode, dim[MOST_DIMS], stride[MOST_DIMS], span[MOST_DIMS];
    int32_t offset[MOST_DIMS];
} tensor_layout;

typedef struct tensor_view {
    uint32_t dims, order[MOST_DIMS];
} tensor_view;

typedef struct machine {
    const module_run *run;
    const uint32_t *words;
    const uint32_t *def[MOST_IDS]; /* the instruction that makes an id; of a label where it is */
    uint32_t type[MOST_IDS];
    void *value[MOST_IDS];
    int spec_id[MOST_IDS], binding[MOST_IDS], builtin[MOST_IDS];
    uint32_t stride[MOST_IDS];
    struct {
        uint32_t type, member, offset;
    } member[MOST_MEMBERS];
    int member_count;
    bool owned[MOST_IDS]; /* what the pointer points to */
    uint32_t group[3];    /* the workgroup that runs */
    uint32_t invocation;
} machine;

static unsigned opcode(const uint32_t *in) {
    return *in & 0xFFFF;
}

static unsigned length(const uint32_t *in) {
    return *in >> 16;
}

static uint32_t u32(const machine *m, uint32_t id) {
    REQUIRE(m->value[id]);
    return *(const uint32_t *)m->value[id];
}

/* ---- types ---- */

static uint32_t rows_of(const machine *m, uint32_t type) {
    return u32(m, m->def[type][4]);
}

static uint32_t cols_of(const machine *m, uint32_t type) {
    return u32(m, m->def[type][5]);
}

static bool is_matrix(const machine *m, uint32_t type) {
    return opcode(m->def[type]) == 4456;
}

static bool is_half_matrix(const machine *m, uint32_t type) {
    return is_matrix(m, type) && m->def[m->def[type][2]][2] == 16;
}

static size_t size_of(const machine *m, uint32_t type) {
    const uint32_t *d = m->def[type];
    REQUIRE(d);
    switch (opcode(d)) {
    case 20: /* OpTypeBool */
        return 4;
    case 21: /* OpTypeInt */
    case 22: /* OpTypeFloat; of 16 bits only in matrices */
        REQUIRE(d[2] == 32);
        return 4;
    case 23: /* OpTypeVector */
        return d[3] * size_of(m, d[2]);
    case 28: /* OpTypeArray */
        return u32(m, d[3]) * size_of(m, d[2]);
    case 30: { /* OpTypeStruct of numbers, in a function */
        size_t bytes = 0;
        for (unsigned i = 2; i < length(d); ++i)
            bytes += size_of(m, d[i]);
        return bytes;
    }
    case 32: /* OpTypePointer */
        return sizeof(pointer);
    case 4456: /* OpTypeCooperativeMatrixKHR, of a workgroup */
        REQUIRE(u32(m, d[3]) == 2);
        return (size_t)rows_of(m, type) * cols_of(m, type) * sizeof(float);
    case 5370:
        return sizeof(tensor_layout);
    case 5371:
        return sizeof(tensor_view);
    }
    ck_abort_msg("%s: type %u has no size", m->run->variant, opcode(d));
    return 0;
}

static void *place_of(machine *m, uint32_t type, uint32_t id) {
    m->type[id] = type;
    if (!m->value[id]) m->value[id] = calloc(1, size_of(m, type));
    REQUIRE(m->value[id]);
    return m->value[id];
}

static void round_matrix(const machine *m, uint32_t type, float *v) {
    if (!is_half_matrix(m, type)) return;
    for (uint32_t i = 0; i < rows_of(m, type) * cols_of(m, type); ++i)
        v[i] = tsr_f16_to_f32(tsr_f32_to_f16(v[i]));
}

/* ---- arithmetic of 4-byte components ---- */

static float f32(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static uint32_t bits_of(float f) {
    uint32_t bits;
    memcpy(&bits, &f, sizeof bits);
    return bits;
}

static bool unary(unsigned op, uint32_t a, uint32_t *r) {
    switch (op) {
    case 110: /* OpConvertFToS */
        *r = (uint32_t)(int32_t)f32(a);
        return true;
    case 112: /* OpConvertUToF */
        *r = bits_of((float)a);
        return true;
    case 124: /* OpBitcast */
        *r = a;
        return true;
    case 127: /* OpFNegate */
        *r = a ^ 0x80000000u;
        return true;
    case 168: /* OpLogicalNot */
        *r = !a;
        return true;
    }
    return false;
}

static bool binary(unsigned op, uint32_t a, uint32_t b, uint32_t *r) {
    const float x = f32(a), y = f32(b);
    const int32_t i = (int32_t)a, k = (int32_t)b;
    REQUIRE((op != 134 && op != 137) || b != 0);
#define CASE(number, result)                                                                       \
    case number:                                                                                   \
        *r = (result);                                                                             \
        return true;
    switch (op) {
        CASE(128, a + b)          /* OpIAdd */
        CASE(129, bits_of(x + y)) /* OpFAdd */
        CASE(130, a - b)          /* OpISub */
        CASE(131, bits_of(x - y)) /* OpFSub */
        CASE(132, a * b)          /* OpIMul */
        CASE(133, bits_of(x * y)) /* OpFMul */
        CASE(134, a / b)          /* OpUDiv */
        CASE(136, bits_of(x / y)) /* OpFDiv */
        CASE(137, a % b)          /* OpUMod */
        CASE(166, a || b)         /* OpLogicalOr */
        CASE(167, a && b)         /* OpLogicalAnd */
        CASE(170, a == b)         /* OpIEqual */
        CASE(171, a != b)         /* OpINotEqual */
        CASE(172, a > b)          /* OpUGreaterThan */
        CASE(174, a >= b)         /* OpUGreaterThanEqual */
        CASE(175, i >= k)         /* OpSGreaterThanEqual */
        CASE(176, a < b)          /* OpULessThan */
        CASE(178, a <= b)         /* OpULessThanEqual */
        CASE(184, x < y)          /* OpFOrdLessThan */
        CASE(186, x > y)          /* OpFOrdGreaterThan */
        CASE(194, a >> b)         /* OpShiftRightLogical */
        CASE(196, a << b)         /* OpShiftLeftLogical */
        CASE(197, a | b)          /* OpBitwiseOr */
        CASE(199, a & b)          /* OpBitwiseAnd */
    }
#undef CASE
    return false;
}

/* An instruction on numbers, each component for itself. `op` and its operands at `args` are
 * those of OpSpecConstantOp where that is what it is. */
static bool compute(machine *m, unsigned op, uint32_t type, uint32_t result, const uint32_t *args) {
    uint32_t r;
    const bool of_one = unary(op, 0, &r);
    if (op != 169 && !of_one && !binary(op, 0, 1, &r)) return false;
    const size_t count = size_of(m, type) / 4;
    REQUIRE(!is_matrix(m, type));
    uint32_t *to = place_of(m, type, result);
    const uint32_t *a = m->value[args[0]], *b = of_one ? NULL : m->value[args[1]];
    for (size_t i = 0; i < count; ++i) {
        if (op == 169) { /* OpSelect; a condition alone decides for all components */
            const bool one = size_of(m, m->type[args[0]]) == 4;
            to[i] = a[one ? 0 : i] ? b[i] : ((const uint32_t *)m->value[args[2]])[i];
        } else if (!unary(op, a[i], &to[i]))
            binary(op, a[i], b[i], &to[i]);
    }
    return true;
}

/* GLSL.std.450 */
static void extended(machine *m, const uint32_t *in) {
    uint32_t *to = place_of(m, in[1], in[2]);
    const uint32_t *a = m->value[in[5]];
    for (size_t i = 0; i < size_of(m, in[1]) / 4; ++i)
        switch (in[4]) {
        case 2: /* RoundEven */
            to[i] = bits_of(rintf(f32(a[i])));
            break;
        case 4: /* FAbs */
            to[i] = a[i] & 0x7FFFFFFFu;
            break;
        case 38: { /* UMin */
            const uint32_t b = ((const uint32_t *)m->value[in[6]])[i];
            to[i] = a[i] < b ? a[i] : b;
            break;
        }
        case 62: { /* UnpackHalf2x16: the only one whose result is longer than its operand */
            to[i] = bits_of(tsr_f16_to_f32((uint16_t)(a[0] >> 16 * i)));
            break;
        }
        case 43: { /* FClamp */
            const float low = f32(((const uint32_t *)m->value[in[6]])[i]);
            const float high = f32(((const uint32_t *)m->value[in[7]])[i]);
            to[i] = bits_of(fminf(fmaxf(f32(a[i]), low), high));
            break;
        }
        default:
            ck_abort_msg("%s: extended instruction %u", m->run->variant, in[4]);
        }
}

/* OpCompositeConstruct and constants of the kind: a vector of scalars, or a matrix of one. */
static void construct(machine *m, const uint32_t *in) {
    float *to = place_of(m, in[1], in[2]);
    const unsigned parts = length(in) - 3;
    if (is_matrix(m, in[1])) {
        REQUIRE(parts == 1);
        for (uint32_t i = 0; i < rows_of(m, in[1]) * cols_of(m, in[1]); ++i)
            to[i] = *(const float *)m->value[in[3]];
        return;
    }
    size_t done = 0;
    for (unsigned i = 0; i < parts; ++i) {
        const size_t bytes = m->type[in[3 + i]] ? size_of(m, m->type[in[3 + i]]) : 4;
        REQUIRE(done + bytes <= size_of(m, in[1]));
        memcpy((uint8_t *)to + done, m->value[in[3 + i]], bytes);
        done += bytes;
    }
    REQUIRE(done == size_of(m, in[1]));
}

/* ---- memory ---- */

static uint32_t offset_of_member(const machine *m, uint32_t type, uint32_t member) {
    for (int i = 0; i < m->member_count; ++i)
        if (m->member[i].type == type && m->member[i].member == member) return m->member[i].offset;
    uint32_t offset = 0; /* of a struct in a function */
    for (uint32_t i = 0; i < member; ++i)
        offset += (uint32_t)size_of(m, m->def[type][2 + i]);
    return offset;
}

static void access_chain(machine *m, const uint32_t *in) {
    uint32_t type = m->def[m->type[in[3]]][3]; /* what the base points to */
    pointer p = *(const pointer *)m->value[in[3]];
    for (unsigned i = 4; i < length(in); ++i) {
        const uint32_t *d = m->def[type], index = u32(m, in[i]);
        size_t bytes;
        if (opcode(d) == 30) { /* OpTypeStruct */
            bytes = offset_of_member(m, type, index);
            type = d[2 + index];
        } else { /* arrays and vectors */
            bytes = (size_t)index * (m->stride[type] ? m->stride[type] : size_of(m, d[2]));
            type = d[2];
        }
        WANT(bytes <= p.left, "%s: %zu bytes behind %zu", m->run->variant, bytes, p.left);
        p = (pointer){p.at + bytes, p.left - bytes};
    }
    *(pointer *)place_of(m, in[1], in[2]) = p;
}

static void variable(machine *m, const uint32_t *in) {
    enum { INPUT = 1, FUNCTION = 7, PUSH = 9, STORAGE = 12 };
    if (m->value[in[2]]) return; /* of a function that has run */
    pointer *p = place_of(m, in[1], in[2]);
    const uint32_t pointee = m->def[in[1]][3], id = in[2];
    if (in[3] == STORAGE) {
        REQUIRE(m->binding[id] >= 0);
        *p = (pointer){m->run->buffer[m->binding[id]].data, m->run->buffer[m->binding[id]].bytes};
    } else if (in[3] == PUSH)
        *p = (pointer){(uint8_t *)m->run->push, m->run->push_bytes};
    else if (in[3] == INPUT && m->builtin[id] == 26) /* WorkgroupId */
        *p = (pointer){(uint8_t *)m->group, sizeof m->group};
    else if (in[3] == INPUT && m->builtin[id] == 24) /* NumWorkgroups */
        *p = (pointer){(uint8_t *)m->run->groups, sizeof m->run->groups};
    else if (in[3] == INPUT && m->builtin[id] == 29) /* LocalInvocationIndex */
        *p = (pointer){(uint8_t *)&m->invocation, m->run->invocations ? 4 : 0};
    else {
        WANT(in[3] == FUNCTION, "%s: built-in %d", m->run->variant, m->builtin[id]);
        *p = (pointer){calloc(1, size_of(m, pointee)), size_of(m, pointee)};
        REQUIRE(p->at);
        m->owned[id] = true;
    }
}

static void move(machine *m, const uint32_t *in) {
    const bool loads = opcode(in) == 61;
    const pointer *p = m->value[in[loads ? 3 : 1]];
    const uint32_t type = loads ? in[1] : m->type[in[2]];
    WANT(size_of(m, type) <= p->left, "%s: outside of its buffer", m->run->variant);
    if (loads)
        memcpy(place_of(m, type, in[2]), p->at, size_of(m, type));
    else
        memcpy(p->at, m->value[in[2]], size_of(m, type));
}

/* ---- tensors ---- */

static void layout(machine *m, const uint32_t *in) {
    tensor_layout *t = place_of(m, in[1], in[2]);
    if (opcode(in) == 5372) { /* OpCreateTensorLayoutNV */
        const uint32_t *d = m->def[in[1]];
        *t = (tensor_layout){.dims = u32(m, d[2]), .mode = u32(m, d[3])};
        REQUIRE(t->dims <= MOST_DIMS);
        return;
    }
    *t = *(const tensor_layout *)m->value[in[3]];
    uint32_t stride = 1;
    for (uint32_t i = t->dims; i-- > 0;)
        if (opcode(in) == 5373) { /* OpTensorLayoutSetDimensionNV */
            t->dim[i] = t->span[i] = u32(m, in[4 + i]);
            t->offset[i] = 0;
            t->stride[i] = stride;
            stride *= t->dim[i];
        } else { /* OpTensorLayoutSliceNV */
            t->offset[i] += (int32_t)u32(m, in[4 + 2 * i]);
            t->span[i] = u32(m, in[5 + 2 * i]);
        }
}

static void view(machine *m, const uint32_t *in) {
    const uint32_t *d = m->def[in[1]];
    tensor_view *v = place_of(m, in[1], in[2]);
    *v = (tensor_view){.dims = u32(m, d[2])};
    REQUIRE(u32(m, d[3]) == 0); /* without dimensions of its own */
    for (uint32_t i = 0; i < v->dims; ++i)
        v->order[i] = u32(m, d[4 + i]);
}

static void split(uint32_t index, const tensor_layout *t, const uint32_t *order, uint32_t *coord) {
    for (uint32_t i = t->dims; i-- > 0;) {
        const uint32_t at = order ? order[i] : i;
        coord[at] = index % t->span[at];
        index /= t->span[at];
    }
}

/* The number of an element in memory, or NONE outside the tensor. */
static int64_t element_of(const machine *m, const tensor_layout *t, const tensor_view *v,
                          uint32_t index) {
    uint32_t coord[MOST_DIMS];
    if (v) {
        split(index, t, v->order, coord);
        index = 0;
        for (uint32_t i = 0; i < t->dims; ++i)
            index = index * t->span[i] + coord[i];
    }
    split(index, t, NULL, coord);
    int64_t at = 0;
    for (uint32_t i = 0; i < t->dims; ++i) {
        const int64_t c = (int64_t)(int32_t)coord[i] + t->offset[i];
        if (c < 0 || c >= (int64_t)t->dim[i]) {
            WANT(t->mode == 1, "%s: outside of a tensor, whose clamp mode is %u", m->run->variant,
                 t->mode);
            return NONE;
        }
        at += c * t->stride[i];
    }
    return at;
}

/* OpCooperativeMatrixLoadTensorNV, OpCooperativeMatrixStoreTensorNV. */
static void move_tensor(machine *m, const uint32_t *in) {
    const bool loads = opcode(in) == 5367;
    const uint32_t *args = loads ? in + 3 : in + 1; /* pointer, object, layout, two masks */
    const uint32_t type = loads ? in[1] : m->type[args[1]];
    const pointer *p = m->value[args[0]];
    const tensor_layout *t = m->value[args[2]];
    REQUIRE(args[3] == 0 || args[3] == 32); /* NonPrivatePointer */
    REQUIRE(args[4] <= 1);                  /* TensorView */
    const tensor_view *v = args[4] ? m->value[args[5]] : NULL;
    WANT((uintptr_t)p->at % 16 == 0, "%s: a tensor that begins amid 16 bytes", m->run->variant);
    float *to = loads ? place_of(m, type, in[2]) : m->value[args[1]];
    const size_t each = is_half_matrix(m, type) ? 2 : 4;
    for (uint32_t i = 0; i < rows_of(m, type) * cols_of(m, type); ++i) {
        const int64_t at = element_of(m, t, v, i);
        if (at == NONE) {
            if (loads) to[i] = 0;
            continue;
        }
        WANT((size_t)(at + 1) * each <= p->left, "%s: a tensor outside of its buffer",
             m->run->variant);
        uint8_t *memory = p->at + (size_t)at * each;
        uint16_t h;
        if (each == 4)
            memcpy(loads ? (void *)(to + i) : memory, loads ? memory : (void *)(to + i), 4);
        else if (loads) {
            memcpy(&h, memory, 2);
            to[i] = tsr_f16_to_f32(h);
        } else {
            h = tsr_f32_to_f16(to[i]);
            memcpy(memory, &h, 2);
        }
    }
}

static void multiply(machine *m, const uint32_t *in) {
    const float *a = m->value[in[3]], *b = m->value[in[4]], *c = m->value[in[5]];
    float *to = place_of(m, in[1], in[2]);
    const uint32_t rows = rows_of(m, in[1]), cols = cols_of(m, in[1]),
                   depth = cols_of(m, m->type[in[3]]);
    REQUIRE(is_half_matrix(m, m->type[in[3]]) && is_half_matrix(m, m->type[in[4]]));
    REQUIRE(rows_of(m, m->type[in[3]]) == rows && cols_of(m, m->type[in[4]]) == cols &&
            rows_of(m, m->type[in[4]]) == depth && !is_half_matrix(m, in[1]));
    memcpy(to, c, (size_t)rows * cols * sizeof *to);
    for (uint32_t i = 0; i < rows; ++i)
        for (uint32_t k = 0; k < depth; ++k) {
            const float x = a[i * depth + k];
            for (uint32_t j = 0; j < cols; ++j)
                to[i * cols + j] += x * b[k * cols + j];
        }
}

/* ---- functions ---- */

static const uint32_t *call(machine *m, uint32_t function, const uint32_t *args);

/* OpCooperativeMatrixPerElementOpNV */
static void each_element(machine *m, const uint32_t *in) {
    const uint32_t type = in[1], cols = cols_of(m, type), count = length(in) - 5;
    const float *from = m->value[in[3]];
    float *to = place_of(m, type, in[2]);
    const uint32_t *parameter[16], *at = m->def[in[4]];
    REQUIRE(count + 3 <= 16);
    at += length(at);
    for (uint32_t i = 0; i < count + 3; ++i, at += length(at)) {
        REQUIRE(opcode(at) == 55);
        parameter[i] = at;
        void *p = place_of(m, at[1], at[2]);
        if (i >= 3) memcpy(p, m->value[in[5 + i - 3]], size_of(m, at[1]));
    }
    for (uint32_t i = 0; i < rows_of(m, type) * cols; ++i) {
        const uint32_t row = i / cols, col = i % cols;
        memcpy(m->value[parameter[0][2]], &row, 4);
        memcpy(m->value[parameter[1][2]], &col, 4);
        memcpy(m->value[parameter[2][2]], from + i, 4);
        const uint32_t *end = call(m, in[4], NULL);
        memcpy(to + i, m->value[end[1]], 4);
    }
}

/* What neither branches nor ends a function. */
static void step(machine *m, const uint32_t *in) {
    switch (opcode(in)) {
    case 12:
        extended(m, in);
        return;
    case 44:
    case 51:
    case 80:
        construct(m, in);
        return;
    case 57: { /* OpFunctionCall */
        const uint32_t *end = call(m, in[3], in + 4);
        if (opcode(end) == 254)
            memcpy(place_of(m, in[1], in[2]), m->value[end[1]], size_of(m, in[1]));
        return;
    }
    case 59:
        variable(m, in);
        return;
    case 61:
    case 62:
        move(m, in);
        return;
    case 65:
        access_chain(m, in);
        return;
    case 79: { /* OpVectorShuffle, of one vector */
        uint32_t *to = place_of(m, in[1], in[2]);
        REQUIRE(in[3] == in[4]);
        for (unsigned i = 5; i < length(in); ++i)
            to[i - 5] = ((const uint32_t *)m->value[in[3]])[in[i]];
        return;
    }
    case 224: /* OpControlBarrier: the invocations come one after the other */
        return;
    case 81: { /* OpCompositeExtract, of a vector or a struct of numbers */
        REQUIRE(length(in) == 5 && size_of(m, in[1]) == 4);
        memcpy(place_of(m, in[1], in[2]), (const uint32_t *)m->value[in[3]] + in[4], 4);
        return;
    }
    case 115: { /* OpFConvert, of a matrix */
        REQUIRE(is_half_matrix(m, in[1]));
        float *to = place_of(m, in[1], in[2]);
        memcpy(to, m->value[in[3]], size_of(m, in[1]));
        round_matrix(m, in[1], to);
        return;
    }
    case 246:
    case 247:
        return; /* merges */
    case 4459:
        multiply(m, in);
        return;
    case 5367:
    case 5368:
        move_tensor(m, in);
        return;
    case 5369:
        each_element(m, in);
        return;
    case 5372:
    case 5373:
    case 5375:
        layout(m, in);
        return;
    case 5377:
        view(m, in);
        return;
    }
    WANT(compute(m, opcode(in), in[1], in[2], in + 3), "%s: instruction %u", m->run->variant,
         opcode(in));
}

static uint32_t branch(const machine *m, const uint32_t *in) {
    switch (opcode(in)) {
    case 249:
        return in[1];
    case 250:
        return u32(m, in[1]) ? in[2] : in[3];
    default: /* OpSwitch */
        for (unsigned i = 3; i + 1 < length(in); i += 2)
            if (in[i] == u32(m, in[1])) return in[i + 1];
        return in[2];
    }
}

/* Runs a function with `args`, or with parameters that are set, and returns the instruction
 * that ended it. */
static const uint32_t *call(machine *m, uint32_t function, const uint32_t *args) {
    const uint32_t *in = m->def[function];
    uint32_t block = 0, before = 0;
    for (in += length(in); opcode(in) == 55; in += length(in))
        if (args) memcpy(place_of(m, in[1], in[2]), m->value[*args++], size_of(m, in[1]));
    for (;; in += length(in)) {
        const unsigned op = opcode(in);
        if (op == 253 || op == 254) return in;
        if (op == 248)
            block = in[1];
        else if (op == 245) { /* OpPhi */
            unsigned i = 3;
            while (in[i + 1] != before)
                i += 2;
            memcpy(place_of(m, in[1], in[2]), m->value[in[i]], size_of(m, in[1]));
        } else if (op >= 249 && op <= 251) {
            before = block;
            block = branch(m, in);
            in = m->def[block];
        } else
            step(m, in);
    }
}

/* ---- the module ---- */

static void decorate(machine *m, const uint32_t *in) {
    enum { SPEC_ID = 1, ARRAY_STRIDE = 6, BUILT_IN = 11, BINDING = 33, OFFSET = 35 };
    if (opcode(in) == 72) {
        if (in[3] != OFFSET) return;
        REQUIRE(m->member_count < MOST_MEMBERS);
        m->member[m->member_count].type = in[1];
        m->member[m->member_count].member = in[2];
        m->member[m->member_count++].offset = in[4];
    } else if (in[2] == SPEC_ID)
        m->spec_id[in[1]] = (int)in[3];
    else if (in[2] == ARRAY_STRIDE)
        m->stride[in[1]] = in[3];
    else if (in[2] == BUILT_IN)
        m->builtin[in[1]] = (int)in[3];
    else if (in[2] == BINDING)
        m->binding[in[1]] = (int)in[3];
}

static void constant(machine *m, const uint32_t *in) {
    const unsigned op = opcode(in);
    if (op == 52) { /* OpSpecConstantOp */
        WANT(compute(m, in[3], in[1], in[2], in + 4), "%s: constant of instruction %u",
             m->run->variant, in[3]);
        return;
    }
    uint32_t *v = place_of(m, in[1], in[2]);
    *v = op == 41 ? 1 : op == 42 ? 0 : in[3];
    if (op == 50 && m->spec_id[in[2]] >= 0 && m->spec_id[in[2]] < m->run->spec_count)
        *v = m->run->spec[m->spec_id[in[2]]];
}

/* Which word of an instruction is its result; 0: it has none. */
static unsigned result_word(unsigned op) {
    if ((op >= 19 && op <= 33) || op == 248 || op == 4456 || op == 5370 || op == 5371) return 1;
    if (op == 54) return 2;
    return 0;
}

void module_run_all(const module_run *run) {
    machine *m = calloc(1, sizeof *m);
    REQUIRE(m);
    m->run = run;
    int shader = 0;
    while (shader < tsr_shader_count && strcmp(tsr_shaders[shader].name, run->variant))
        ++shader;
    WANT(shader < tsr_shader_count, "%s: no such shader", run->variant);
    const uint32_t *words = tsr_shaders[shader].words, *end = words + tsr_shaders[shader].count;
    REQUIRE(words[0] == 0x07230203);
    REQUIRE(words[3] <= MOST_IDS);
    for (int i = 0; i < MOST_IDS; ++i)
        m->spec_id[i] = m->binding[i] = m->builtin[i] = NONE;
    uint32_t entry = 0;
    bool inside = false; /* a function */
    for (const uint32_t *in = words + 5; in < end; in += length(in)) {
        const unsigned op = opcode(in);
        REQUIRE(length(in) > 0);
        if (result_word(op)) m->def[in[result_word(op)]] = in;
        inside |= op == 54;
        if (op == 15) entry = in[2];
        if (op == 71 || op == 72) decorate(m, in);
        if (inside) continue;
        if (op == 41 || op == 42 || op == 43 || op == 50 || op == 52) constant(m, in);
        if (op == 44 || op == 51 || op == 59) step(m, in);
    }
    for (m->group[2] = 0; m->group[2] < run->groups[2]; ++m->group[2])
        for (m->group[1] = 0; m->group[1] < run->groups[1]; ++m->group[1])
            for (m->group[0] = 0; m->group[0] < run->groups[0]; ++m->group[0])
                for (m->invocation = 0; !m->invocation || m->invocation < run->invocations;
                     ++m->invocation)
                    call(m, entry, NULL);
    for (int i = 0; i < MOST_IDS; ++i) {
        if (m->owned[i]) free(((pointer *)m->value[i])->at);
        free(m->value[i]);
    }
    free(m);
}

#else

void module_run_all(const module_run *run) {
    ck_abort_msg("%s: this build has no modules", run->variant);
}

#endif
