/* SPDX-License-Identifier: MIT */
/* test_unpickle.c: the machine opcode by opcode, what it refuses, and that it takes no more memory
 * than its input deserves. */
#include <stdlib.h>
#include <string.h>

#include "formats/weights/unpickle.h"
#include "testing.h"

static tsr_context *ctx;

/* A tree points into its bytes, so these live as long as the test. */
static struct copy {
    struct copy *before;
    uint8_t bytes[];
} * copies;

static tsr_status parse(const void *bytes, size_t size, tsr_pickle **p) {
    struct copy *kept = malloc(sizeof *kept + size); /* the sanitizer sees one byte too many */
    uint8_t *copy = kept->bytes;
    size_t used = 0;
    memcpy(copy, bytes, size);
    tsr_status status = tsr_pickle_parse(ctx, "p", copy, size, p, &used);
    if (status) {
        free(kept);
        return status;
    }
    ck_assert_uint_eq(used, size);
    kept->before = copies;
    copies = kept;
    return status;
}

#define BYTES(text) text, sizeof text - 1
#define OD          "ccollections\nOrderedDict\n"

static const struct {
    const char *bytes;
    size_t size;
    tsr_pickle_kind kind;
    int64_t integer; /* or the number of items */
    const char *text;
} good[] = {
    {BYTES("N."), TSR_PICKLE_NONE, 0, NULL},
    {BYTES("\x88."), TSR_PICKLE_BOOL, 1, NULL},
    {BYTES("I01\n."), TSR_PICKLE_BOOL, 1, NULL},
    {BYTES("\x80\2K\5."), TSR_PICKLE_INT, 5, NULL},
    {BYTES("M\1\2."), TSR_PICKLE_INT, 513, NULL},
    {BYTES("J\xfe\xff\xff\xff."), TSR_PICKLE_INT, -2, NULL},
    {BYTES("I-77\n."), TSR_PICKLE_INT, -77, NULL},
    {BYTES("L12L\n."), TSR_PICKLE_INT, 12, NULL},
    {BYTES("\x8a\0."), TSR_PICKLE_INT, 0, NULL},
    {BYTES("\x8a\2\0\x80."), TSR_PICKLE_INT, -32768, NULL},
    {BYTES("\x8b\1\0\0\0\xff."), TSR_PICKLE_INT, -1, NULL},
    {BYTES("\x8a\x09\1\0\0\0\0\0\0\0\1."), TSR_PICKLE_LONG, 0, NULL},
    {BYTES("X\2\0\0\0hi."), TSR_PICKLE_TEXT, 0, "hi"},
    {BYTES("\x8c\2hi."), TSR_PICKLE_TEXT, 0, "hi"},
    {BYTES("U\2hi."), TSR_PICKLE_TEXT, 0, "hi"},
    {BYTES("U\2\xff\xfe."), TSR_PICKLE_BYTES, 0, "\xff\xfe"},
    {BYTES("C\2hi."), TSR_PICKLE_BYTES, 0, "hi"},
    {BYTES("S'hi'\n."), TSR_PICKLE_TEXT, 0, "hi"},
    {BYTES("Vhi\n."), TSR_PICKLE_TEXT, 0, "hi"},
    {BYTES("(K\1K\2t."), TSR_PICKLE_TUPLE, 2, NULL},
    {BYTES("K\1K\2K\3\x87."), TSR_PICKLE_TUPLE, 3, NULL},
    {BYTES("]K\1aK\2a."), TSR_PICKLE_LIST, 2, NULL},
    {BYTES("](K\1K\2e."), TSR_PICKLE_LIST, 2, NULL},
    {BYTES("}K\1K\2s."), TSR_PICKLE_DICT, 1, NULL},
    {BYTES("}(K\1K\2K\3K\4u."), TSR_PICKLE_DICT, 2, NULL},
    {BYTES("(K\1K\2d."), TSR_PICKLE_DICT, 1, NULL},
    {BYTES("\x8f(K\1\x90."), TSR_PICKLE_SET, 1, NULL},
    {BYTES("(K\1\x91."), TSR_PICKLE_SET, 1, NULL},
    {BYTES(OD ")R."), TSR_PICKLE_DICT, 0, NULL},
    {BYTES(OD ")RK\1K\2s."), TSR_PICKLE_DICT, 1, NULL},
    {BYTES(OD "(]K\1K\2\x86"
              "atR."),
     TSR_PICKLE_DICT, 1, NULL},
    {BYTES(OD "(]K\1atR."), TSR_PICKLE_NONE, -1, NULL},
    {BYTES("cargparse\nNamespace\n)\x81}K\1K\2sb."), TSR_PICKLE_DICT, 1, NULL},
    {BYTES("ctorch\nSize\n(K\1K\2t\x85R."), TSR_PICKLE_TUPLE, 2, NULL},
    {BYTES("ctorch\nFloatStorage\n."), TSR_PICKLE_GLOBAL, 0, "Float"},
    {BYTES("\x8c\5torch\x8c\x0bHalfStorage\x93."), TSR_PICKLE_GLOBAL, 0, "Half"},
    {BYTES("(K\1K\2tQ."), TSR_PICKLE_PERSISTENT, 2, NULL},
    {BYTES("K\7q\5h\5\x86."), TSR_PICKLE_NONE, -1, NULL},
    {BYTES("K\7\x94h\0\x86."), TSR_PICKLE_TUPLE, 2, NULL},
    {BYTES("K\1K\0020."), TSR_PICKLE_INT, 1, NULL},
    {BYTES("K\0012\x86."), TSR_PICKLE_TUPLE, 2, NULL},
    {BYTES("K\1(K\2K\0031."), TSR_PICKLE_INT, 1, NULL},
    /* What is not known becomes an object, whatever is done to it. */
    {BYTES("cevil\nOrderedDict\n."), TSR_PICKLE_GLOBAL, 0, "OrderedDict"},
    {BYTES("ctorch\nFloatStorageX\n."), TSR_PICKLE_GLOBAL, 0, "FloatStorageX"},
    {BYTES("cnumpy\nscalar\n(K\1K\2tR."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("cnumpy\nndarray\n)\x81}K\1K\2sb."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("cx\ny\n)}\x92."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("cx\ny\n)RK\1aK\1K\2s."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("cx\ny\n)R)R."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("(K\1K\2ix\ny\n."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("(cx\ny\nK\1o."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("K\1(cx\ny\nK\1o\x86."), TSR_PICKLE_TUPLE, 2, NULL},
    {BYTES("\x82\1."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("\x84\1\0\0\0."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("\x97\x98."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("Pabc\n."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("K\1Q."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("S'a\\x41'\n."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("L123456789012345678901234567890L\n."), TSR_PICKLE_OBJECT, 0, NULL},
    {BYTES("]}b."), TSR_PICKLE_LIST, 0, NULL},
    {BYTES("ccollections\nCounter\n}K\1K\2s\x85R."), TSR_PICKLE_DICT, 1, NULL},
    {BYTES("ccollections\ndeque\n)K\3\x86RK\1a."), TSR_PICKLE_LIST, 1, NULL},
    {BYTES("ccollections\ndefaultdict\nc__builtin__\nlist\n\x85RK\1K\2s."), TSR_PICKLE_DICT, 1,
     NULL},
    {BYTES("cbuiltins\nfrozenset\n]K\1a\x85R."), TSR_PICKLE_SET, 1, NULL},
    {BYTES("ctypes\nSimpleNamespace\n)R}K\1K\2sb."), TSR_PICKLE_DICT, 1, NULL},
    {BYTES("\x80\4\x95\3\0\0\0\0\0\0\0K\1."), TSR_PICKLE_INT, 1, NULL},
};

START_TEST(opcodes) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i) {
        tsr_pickle *p;
        tsr_status status = parse(good[i].bytes, good[i].size, &p);
        if (good[i].integer == -1 && good[i].kind == TSR_PICKLE_NONE) { /* refused on purpose */
            ck_assert_msg(status == TSR_ERROR_FORMAT, "%zu: %s", i, tsr_detail(ctx));
            continue;
        }
        ck_assert_msg(status == TSR_OK, "%zu: %s", i, tsr_detail(ctx));
        tsr_pickle_view v = tsr_pickle_look(p, tsr_pickle_root(p));
        ck_assert_msg(v.kind == good[i].kind, "%zu: kind %d", i, v.kind);
        if (v.kind >= TSR_PICKLE_LIST && v.kind != TSR_PICKLE_GLOBAL && v.kind != TSR_PICKLE_OBJECT)
            ck_assert_msg(v.count == good[i].integer, "%zu: %u items", i, v.count);
        else if (v.kind == TSR_PICKLE_INT || v.kind == TSR_PICKLE_BOOL)
            ck_assert_msg(v.integer == good[i].integer, "%zu: %lld", i, (long long)v.integer);
        if (good[i].text) {
            ck_assert_uint_eq(v.text_size, strlen(good[i].text));
            ck_assert(memcmp(v.text, good[i].text, v.text_size) == 0);
        }
        tsr_pickle_close(&p);
    }
    tsr_context_close(&ctx);
}
END_TEST

static const struct {
    const char *bytes;
    size_t size;
    tsr_status status;
    const char *word;
} bad[] = {
    {BYTES(""), TSR_ERROR_TRUNCATED, "byte 0"},
    {BYTES("."), TSR_ERROR_FORMAT, "more from the stack"},
    {BYTES("K"), TSR_ERROR_TRUNCATED, "beyond"},
    {BYTES("N"), TSR_ERROR_TRUNCATED, "beyond"},
    {BYTES("X\xff\xff\xff\x7fhi."), TSR_ERROR_TRUNCATED, "beyond"},
    {BYTES("\x8d\xff\xff\xff\xff\xff\xff\xff\xffhi."), TSR_ERROR_TRUNCATED, "beyond"},
    {BYTES("\x95\xff\xff\xff\xff\xff\xff\xff\x7fN."), TSR_ERROR_TRUNCATED, "beyond"},
    {BYTES("Vhi"), TSR_ERROR_TRUNCATED, "beyond"},
    {BYTES("\x80\6N."), TSR_ERROR_VERSION, "protocol above 5"},
    {BYTES("cos\nsystem\n."), TSR_ERROR_UNSUPPORTED, "got os.system"},
    {BYTES("\x8c\2os\x8c\6system\x93."), TSR_ERROR_UNSUPPORTED, "got os.system"},
    {BYTES("csubprocess\nP\x1b[31m\n."), TSR_ERROR_UNSUPPORTED, "got subprocess.P?[31m"},
    {BYTES("c__builtin__\neval\n."), TSR_ERROR_UNSUPPORTED, "got __builtin__.eval"},
    {BYTES("(ios\nsystem\n."), TSR_ERROR_UNSUPPORTED, "got os.system"},
    {BYTES("(o."), TSR_ERROR_FORMAT, "more from the stack"},
    {BYTES("(K\1o."), TSR_ERROR_FORMAT, "no name"},
    {BYTES("icollections\ndeque\n."), TSR_ERROR_FORMAT, "mark"},
    {BYTES("\x84\1."), TSR_ERROR_TRUNCATED, "beyond"},
    {BYTES("Pabc."), TSR_ERROR_TRUNCATED, "beyond"},
    {BYTES("\x98."), TSR_ERROR_FORMAT, "more from the stack"},
    {BYTES("\x99."), TSR_ERROR_FORMAT, "opcode 0x99"},
    {BYTES("cx\ny\nK\1)\x92."), TSR_ERROR_FORMAT, "no name"},
    {BYTES("cx\ny\n)R(K\1u."), TSR_ERROR_FORMAT, "no dictionary"},
    {BYTES("K\1)R."), TSR_ERROR_FORMAT, "no name"},
    {BYTES(OD "K\1R."), TSR_ERROR_FORMAT, "no name"},
    {BYTES("K\1K\2a."), TSR_ERROR_FORMAT, "no list"},
    {BYTES(")K\2a."), TSR_ERROR_FORMAT, "no list"},
    {BYTES("K\1K\2K\3s."), TSR_ERROR_FORMAT, "no dictionary"},
    {BYTES("}(K\1u."), TSR_ERROR_FORMAT, "no dictionary"},
    {BYTES("e."), TSR_ERROR_FORMAT, "mark"},
    {BYTES("K\1(\x85."), TSR_ERROR_FORMAT, "more from the stack"},
    {BYTES("h\0."), TSR_ERROR_FORMAT, "not filled"},
    {BYTES("Nr\xff\xff\xff\xff."), TSR_ERROR_FORMAT, "no pickler"},
    {BYTES("I12x\n."), TSR_ERROR_FORMAT, "number"},
    {BYTES("Shi\n."), TSR_ERROR_FORMAT, "quotes"},
};

START_TEST(refusals) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        tsr_pickle *p;
        tsr_status status = parse(bad[i].bytes, bad[i].size, &p);
        ck_assert_msg(status == bad[i].status, "%zu: %s: %s", i, tsr_status_name(status),
                      tsr_detail(ctx));
        ck_assert_ptr_null(p);
        ck_assert_msg(strstr(tsr_detail(ctx), bad[i].word) != NULL, "%zu: %s", i, tsr_detail(ctx));
    }
    tsr_context_close(&ctx);
}
END_TEST

/* A list of pairs made into a dictionary again and again would grow with the square of the bytes.
 */
START_TEST(multiplies) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    enum { PAIRS = 2000, COPIES = 20000 };
    uint8_t *bytes = malloc(64 + PAIRS * 3 + COPIES * 8), *at = bytes;
    at = (uint8_t *)memcpy(at, OD "q\1](", sizeof OD + 3) + sizeof OD + 3;
    for (int i = 0; i < PAIRS; ++i)
        at = (uint8_t *)memcpy(at, "NN\x86", 3) + 3;
    at = (uint8_t *)memcpy(at, "eq\2", 3) + 3;
    for (int i = 0; i < COPIES; ++i)
        at = (uint8_t *)memcpy(at, "h\1h\2\x85R0", 7) + 7;
    *at++ = '.';
    tsr_pickle *p;
    ck_assert_int_eq(parse(bytes, (size_t)(at - bytes), &p), TSR_ERROR_TOO_LARGE);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "multiplies itself"));
    free(bytes);
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("unpickle", opcodes, refusals, multiplies)
