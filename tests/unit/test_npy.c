/* SPDX-License-Identifier: MIT */
/* test_npy.c: NumPy arrays there and back, each refused kind by name, every truncation. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "formats/arrays/npy.h"
#include "testing.h"

static tsr_context *ctx;

static void open_context(void) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

/* A version 1 file of `header` and `data`; malloc'd. */
static uint8_t *make(const char *header, const void *data, size_t data_size, size_t *size) {
    size_t n = strlen(header);
    uint8_t *file = malloc(10 + n + data_size + 1);
    memcpy(file, "\x93NUMPY\1\0", 8);
    file[8] = (uint8_t)n;
    file[9] = (uint8_t)(n >> 8);
    memcpy(file + 10, header, n);
    if (data_size) memcpy(file + 10 + n, data, data_size);
    *size = 10 + n + data_size;
    return file;
}

static tsr_status parse(const char *header, const void *data, size_t data_size, tsr_tensor *t) {
    size_t size;
    uint8_t *file = make(header, data, data_size, &size);
    tsr_status status = tsr_npy_parse(ctx, "x.npy", file, size, t);
    free(file);
    return status;
}

START_TEST(round_trips) {
    open_context();
    char path[] = "/tmp/tessera-npy-XXXXXX";
    close(mkstemp(path));
    static const tsr_dtype dtypes[] = {TSR_DTYPE_F32, TSR_DTYPE_F16, TSR_DTYPE_I32, TSR_DTYPE_I64,
                                       TSR_DTYPE_U8};
    int64_t shapes[][4] = {{5}, {2, 3}, {1, 2, 3}, {2, 1, 2, 2}, {0}, {3, 0}};
    int ranks[] = {1, 2, 3, 4, 1, 2};
    uint8_t bytes[64];
    for (int i = 0; i < 64; ++i)
        bytes[i] = (uint8_t)(i * 3);
    for (int d = 0; d < 5; ++d) {
        for (int s = 0; s < 6; ++s) {
            tsr_tensor in = tsr_host_tensor(dtypes[d], bytes, ranks[s], shapes[s]), out;
            ck_assert_int_eq(tsr_npy_write(ctx, path, &in), TSR_OK);
            ck_assert_int_eq(tsr_npy_read(ctx, path, &out), TSR_OK);
            ck_assert_int_eq(out.dtype, in.dtype);
            ck_assert_int_eq(out.rank, in.rank);
            ck_assert_mem_eq(out.dim, in.dim, sizeof in.dim);
            ck_assert_mem_eq(out.data, bytes,
                             (size_t)tsr_elements(&in) * tsr_dtype_bytes(in.dtype));
            free(out.data);
        }
    }
    tsr_tensor bf16 = tsr_host_tensor(TSR_DTYPE_BF16, bytes, 1, shapes[0]);
    ck_assert_int_eq(tsr_npy_write(ctx, path, &bf16), TSR_ERROR_UNSUPPORTED);
    unlink(path);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(converts) {
    open_context();
    tsr_tensor t;
    double d[2] = {0.1, -3};
    ck_assert_int_eq(parse("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", d, 16, &t),
                     TSR_OK);
    ck_assert_int_eq(t.dtype, TSR_DTYPE_F32);
    ck_assert(((float *)t.data)[0] == 0.1f && ((float *)t.data)[1] == -3.0f);
    free(t.data);
    uint16_t u[2] = {65535, 1};
    ck_assert_int_eq(parse("{'descr': '<u2', 'fortran_order': False, 'shape': (1, 2)}", u, 4, &t),
                     TSR_OK);
    ck_assert_int_eq(t.dtype, TSR_DTYPE_I32);
    ck_assert(((int32_t *)t.data)[0] == 65535 && ((int32_t *)t.data)[1] == 1);
    free(t.data);
    ck_assert_int_eq(parse("{'descr': '|u1', 'fortran_order': True, 'shape': ()}", u, 1, &t),
                     TSR_OK);
    ck_assert_int_eq(t.rank, 1);
    ck_assert_int_eq(t.dim[0], 1);
    free(t.data);
    tsr_context_close(&ctx);
}
END_TEST

static const struct {
    const char *header;
    size_t data;
    tsr_status status;
    const char *word; /* in the message */
} bad[] = {
    {"{'descr': '>f4', 'fortran_order': False, 'shape': (1,)}", 4, TSR_ERROR_UNSUPPORTED,
     "got >f4"},
    {"{'descr': '<c8', 'fortran_order': False, 'shape': (1,)}", 8, TSR_ERROR_UNSUPPORTED,
     "got <c8"},
    {"{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", 8, TSR_ERROR_UNSUPPORTED, "got |O"},
    {"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", 4, TSR_ERROR_UNSUPPORTED,
     "a structure"},
    {"{'descr': '<f4', 'fortran_order': True, 'shape': (2, 2)}", 16, TSR_ERROR_UNSUPPORTED,
     "fortran_order"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,1,1,1,1,1,1)}", 4,
     TSR_ERROR_UNSUPPORTED, "at most 8 dimensions, got 9"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,1,1,4294967296,4294967296)}", 4,
     TSR_ERROR_FORMAT, "its bytes overflow"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", 4, TSR_ERROR_FORMAT, "whole"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1.5,)}", 4, TSR_ERROR_FORMAT, "whole"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': ('1',)}", 4, TSR_ERROR_FORMAT, "whole"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (9007199254740992, 9007199254740992)}", 4,
     TSR_ERROR_FORMAT, "overflow"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}", 4, TSR_ERROR_TRUNCATED,
     "wanted 4000000000000 bytes, got 4"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}", 5, TSR_ERROR_FORMAT,
     "wanted 4 bytes, got 5"},
    {"{'descr': '<f4', 'shape': (1,)}", 4, TSR_ERROR_FORMAT, "fortran_order"},
    {"{'descr': '<f4', 'fortran_order': False, 'shape': 3}", 12, TSR_ERROR_FORMAT, "shape"},
    {"[1]", 4, TSR_ERROR_FORMAT, "wanted a dict"},
    {"{", 4, TSR_ERROR_FORMAT, "at character 1"},
};

START_TEST(refuses) {
    open_context();
    static const char zeros[64];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        tsr_tensor t;
        tsr_status status = parse(bad[i].header, zeros, bad[i].data, &t);
        ck_assert_msg(status == bad[i].status, "%s: %s", bad[i].header, tsr_status_name(status));
        ck_assert_msg(strncmp(tsr_detail(ctx), "x.npy: ", 7) == 0, "%s", tsr_detail(ctx));
        ck_assert_msg(strstr(tsr_detail(ctx), bad[i].word) != NULL, "%s", tsr_detail(ctx));
        ck_assert_ptr_null(t.data);
    }
    tsr_tensor t;
    ck_assert_int_eq(tsr_npy_parse(ctx, "x", "plain text, no array", 20, &t), TSR_ERROR_FORMAT);
    ck_assert_int_eq(tsr_npy_parse(ctx, "x", "\x93NUMPY\4\0    ", 12, &t), TSR_ERROR_VERSION);
    ck_assert_int_eq(tsr_npy_read(ctx, "/absent.npy", &t), TSR_ERROR_NOT_FOUND);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(every_truncation) {
    open_context();
    size_t size;
    uint8_t *file = make("{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }\n",
                         "123456789012", 12, &size);
    for (size_t cut = 0; cut < size; ++cut) {
        tsr_tensor t;
        uint8_t *copy = malloc(cut + 1); /* of exactly this size, for the sanitizer */
        memcpy(copy, file, cut);
        ck_assert_int_eq(tsr_npy_parse(ctx, "x", copy, cut, &t), TSR_ERROR_TRUNCATED);
        ck_assert_ptr_null(t.data);
        free(copy);
    }
    free(file);
    tsr_context_close(&ctx);
}
END_TEST

/* NumPy wrote this one: two versions, one array. */
START_TEST(reads_what_numpy_wrote) {
    open_context();
    tsr_tensor t;
    ck_assert_int_eq(
        tsr_npy_read(ctx, TESSERA_TESTS "/golden/flextok/preprocess/normalise.value.npy", &t),
        TSR_OK);
    ck_assert_int_eq(tsr_elements(&t), 256);
    const float *f = t.data;
    ck_assert(f[0] == -1.0f && f[255] == 1.0f);
    free(t.data);
    tsr_context_close(&ctx);
}
END_TEST

START_TEST(doubles_stay_doubles) {
    open_context();
    const double values[4] = {0.1, -1e300, 3, 0x1p-1074};
    char path[] = "/tmp/tessera-npy-XXXXXX";
    tsr_npy_doubles got;
    close(mkstemp(path));
    ck_assert_int_eq(tsr_npy_write_doubles(ctx, path, values, 2, (int64_t[]){2, 2}), TSR_OK);
    ck_assert_int_eq(tsr_npy_read_doubles(ctx, path, &got), TSR_OK);
    ck_assert(got.count == 4 && got.rank == 2 && got.dim[1] == 2);
    ck_assert_mem_eq(got.values, values, sizeof values);
    free(got.values);
    unlink(path);
    ck_assert_int_eq(tsr_npy_read_doubles(ctx, path, &got), TSR_ERROR_NOT_FOUND);
    ck_assert_ptr_null(got.values);
    static const struct {
        const char *header;
        size_t bytes;
        tsr_status status;
    } cases[] = {
        {"{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }", 8, TSR_OK},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", 15, TSR_ERROR_TRUNCATED},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", 17, TSR_ERROR_FORMAT},
        {"{'descr': '>f8', 'fortran_order': False, 'shape': (2,), }", 16, TSR_ERROR_UNSUPPORTED},
        {"{'descr': '<i4', 'fortran_order': False, 'shape': (2,), }", 8, TSR_ERROR_UNSUPPORTED},
        {"{'descr': '<f8', 'fortran_order': True, 'shape': (1, 2), }", 16, TSR_ERROR_UNSUPPORTED},
    };
    const float two[5] = {.5f, -2.25f, 0, 0, 0};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; ++i) {
        size_t size;
        uint8_t *file = make(cases[i].header, two, cases[i].bytes, &size);
        ck_assert_int_eq(tsr_npy_parse_doubles(ctx, "x.npy", file, size, &got), cases[i].status);
        free(file);
        if (!cases[i].status)
            ck_assert(got.count == 2 && got.values[0] == .5 && got.values[1] == -2.25);
        free(got.values);
    }
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("npy", doubles_stay_doubles, round_trips, converts, refuses, every_truncation,
          reads_what_numpy_wrote)
