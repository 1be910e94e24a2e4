/* SPDX-License-Identifier: MIT */
/* test_sha256.c: the standard's examples, and every length around a block against pieces that
 * another program computed. */
#include <stdlib.h>
#include <string.h>

#include "formats/sha256.h"
#include "testing.h"

static void expect(const void *bytes, size_t size, const char *want) {
    char hex[65];
    ck_assert_int_eq(tsr_sha256_of(NULL, bytes, size, hex), TSR_OK);
    ck_assert_str_eq(hex, want);
}

START_TEST(standard) {
    expect("", 0, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    expect("abc", 3, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    expect("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56,
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    char *million = malloc(1000000);
    memset(million, 'a', 1000000);
    expect(million, 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
    free(million);
}
END_TEST

/* Digest of the digests of i bytes 0, 1, 2 ... for i = 0 .. 199: one number for all lengths. */
START_TEST(lengths) {
    unsigned char bytes[200];
    char all[200 * 64 + 1];
    for (int i = 0; i < 200; ++i) {
        bytes[i] = (unsigned char)i;
        ck_assert_int_eq(tsr_sha256_of(NULL, bytes, (size_t)i, all + 64 * i), TSR_OK);
    }
    expect(all, 200 * 64, "7a38a844c9e159de39f0862ee2e28569a8250831150a3fbf0a59c001129b2fb2");
}
END_TEST

/* However the bytes are cut, the digest is that of the whole. */
START_TEST(pieces) {
    unsigned char bytes[1000];
    for (size_t i = 0; i < sizeof bytes; ++i)
        bytes[i] = (unsigned char)random_bits();
    for (int round = 0; round < 200; ++round) {
        size_t size = (size_t)random_below(sizeof bytes + 1);
        tsr_sha256 *digest;
        char hex[65], want[65];
        ck_assert_int_eq(tsr_sha256_open(NULL, &digest), TSR_OK);
        for (size_t at = 0; at < size;) {
            size_t take = (size_t)random_below(150);
            if (take > size - at) take = size - at;
            tsr_sha256_add(digest, bytes + at, take);
            at += take;
        }
        ck_assert_int_eq(tsr_sha256_finish(NULL, digest, hex), TSR_OK);
        tsr_sha256_close(&digest);
        ck_assert_ptr_null(digest);
        ck_assert_int_eq(tsr_sha256_of(NULL, bytes, size, want), TSR_OK);
        ck_assert_str_eq(hex, want);
    }
}
END_TEST

TEST_MAIN("sha256", standard, lengths, pieces)
