/* SPDX-License-Identifier: MIT */
/* XXH64 against its published values and against zstd, whose frames end with its low half. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>
#include "formats/hash.h"

START_TEST(published_values) {
    ck_assert_uint_eq(tsr_hash64("", 0, 0), 0xEF46DB3751D8E999u);
    ck_assert_uint_eq(tsr_hash64("a", 1, 0), 0xD24EC4F1A98C6E5Bu);
    ck_assert_uint_eq(tsr_hash64("abc", 3, 0), 0x44BC2CF5AD770999u);
}
END_TEST

START_TEST(equals_zstd_at_every_length) {
    uint8_t bytes[600], frame[2048];
    for (size_t i = 0; i < sizeof bytes; ++i)
        bytes[i] = (uint8_t)(i * 2654435761u >> 13);
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ck_assert_ptr_nonnull(z);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    for (size_t n = 0; n <= sizeof bytes; ++n) {
        size_t got = ZSTD_compress2(z, frame, sizeof frame, bytes, n);
        ck_assert(!ZSTD_isError(got));
        const uint8_t *end = frame + got;
        uint32_t low = end[-4] | end[-3] << 8 | end[-2] << 16 | (uint32_t)end[-1] << 24;
        ck_assert_uint_eq((uint32_t)tsr_hash64(bytes, n, 0), low);
    }
    ZSTD_freeCCtx(z);
}
END_TEST

START_TEST(pieces_do_not_matter) {
    uint8_t bytes[300];
    for (size_t i = 0; i < sizeof bytes; ++i)
        bytes[i] = (uint8_t)(i * i);
    uint64_t whole = tsr_hash64(bytes, sizeof bytes, 7);
    ck_assert_uint_ne(whole, tsr_hash64(bytes, sizeof bytes, 8));
    for (size_t step = 1; step < 100; ++step) {
        tsr_hash h;
        tsr_hash_start(&h, 7);
        for (size_t at = 0; at < sizeof bytes; at += step)
            tsr_hash_add(&h, bytes + at, sizeof bytes - at < step ? sizeof bytes - at : step);
        ck_assert_uint_eq(tsr_hash_finish(&h), whole);
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("hash");
    TCase *tc = tcase_create("hash");
    tcase_add_test(tc, published_values);
    tcase_add_test(tc, equals_zstd_at_every_length);
    tcase_add_test(tc, pieces_do_not_matter);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
