/* SPDX-License-Identifier: MIT */
/* The pieces of the token file that have published or computable answers: CRC-32C, packing at every
 * width, and the range coder within a per cent of the entropy it should reach. */
#include "testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "formats/tokens/bitpack.h"
#include "formats/checksum.h"
#include "formats/tokens/range_coder.h"
#include "formats/tokens/token_layout.h"

START_TEST(crc_published_values) {
    uint8_t b[32];
    ck_assert_uint_eq(tsr_crc32c("123456789", 9), 0xE3069283u);
    ck_assert_uint_eq(tsr_crc32c("", 0), 0);
    memset(b, 0, 32);
    ck_assert_uint_eq(tsr_crc32c(b, 32), 0x8A9136AAu); /* RFC 3720, B.4 */
    memset(b, 255, 32);
    ck_assert_uint_eq(tsr_crc32c(b, 32), 0x62A8AB43u);
    for (int i = 0; i < 32; ++i)
        b[i] = (uint8_t)i;
    ck_assert_uint_eq(tsr_crc32c(b, 32), 0x46DD794Eu);
    for (int i = 0; i < 32; ++i)
        b[i] = (uint8_t)(31 - i);
    ck_assert_uint_eq(tsr_crc32c(b, 32), 0x113FDB5Cu);
}
END_TEST

/* Single bytes go by the table, long stretches by the processor's instruction where it has one. */
START_TEST(crc_in_pieces) {
    uint8_t b[700];
    for (size_t i = 0; i < sizeof b; ++i)
        b[i] = (uint8_t)random_bits();
    for (int round = 0; round < 2000; ++round) {
        const size_t from = (size_t)random_below(40), n = (size_t)random_below(sizeof b - 40);
        uint32_t bytes = 0, pieces = 0;
        for (size_t i = 0; i < n; ++i)
            bytes = tsr_crc32c_add(bytes, b + from + i, 1);
        for (size_t i = 0, k; i < n; i += k) {
            k = 1 + (size_t)random_below(200);
            if (k > n - i) k = n - i;
            pieces = tsr_crc32c_add(pieces, b + from + i, k);
        }
        ck_assert_uint_eq(tsr_crc32c(b + from, n), bytes);
        ck_assert_uint_eq(pieces, bytes);
    }
}
END_TEST

START_TEST(every_width_and_length) {
    for (uint32_t width = 0; width <= 32; ++width)
        for (uint64_t n = 0; n < 70; ++n) {
            uint32_t *ids = guarded(n * 4), *back = guarded(n * 4);
            uint64_t bytes = tsr_bitpack_bytes(n, width), mask = ((uint64_t)1 << width) - 1;
            ck_assert_uint_eq(bytes, (n * width + 7) / 8);
            uint8_t *packed = guarded(bytes);
            for (uint64_t i = 0; i < n; ++i)
                ids[i] = (uint32_t)(random_bits() & mask);
            tsr_bitpack(ids, n, width, packed);
            ck_assert(tsr_bitunpack(packed, n, width, back));
            for (uint64_t i = 0; i < n; ++i) {
                ck_assert_uint_eq(ids[i], back[i]);
                for (uint64_t j = 0; j < width; ++j) {
                    uint64_t bit = i * width + j;
                    ck_assert_uint_eq(packed[bit / 8] >> bit % 8 & 1, ids[i] >> j & 1);
                }
            }
            if (n * width % 8) {
                packed[bytes - 1] |= 0x80;
                ck_assert(!tsr_bitunpack(packed, n, width, back));
            }
            guarded_free(ids);
            guarded_free(back);
            guarded_free(packed);
        }
}
END_TEST

/* Reads one number of `size` bytes, at most `most`; UINT64_MAX: it is refused. */
static uint64_t varint_of(const uint8_t *bytes, size_t size, uint64_t most) {
    uint8_t *exact = guarded(size);
    memcpy(exact, bytes, size);
    tsr_cursor c = {.at = exact, .end = exact + size};
    uint64_t value = tsr_cursor_varint(&c, most);
    if (c.bad) value = UINT64_MAX;
    if (!c.bad) ck_assert_ptr_eq(c.at, c.end);
    guarded_free(exact);
    return value;
}

START_TEST(varints) {
    static const uint64_t values[] = {0,     1,       127,     128,        129,        255,
                                      256,   16256,   16383,   16384,      16385,      2097151,
                                      70000, 2097152, 1 << 28, 1ull << 35, 1ull << 56, 1ull << 62};
    for (size_t i = 0; i < sizeof values / sizeof *values; ++i) {
        tsr_bytes b = {0};
        tsr_bytes_varint(&b, values[i]);
        ck_assert_uint_eq(varint_of(b.at, b.size, UINT64_MAX - 1), values[i]);
        ck_assert_uint_eq(varint_of(b.at, b.size, values[i]), values[i]);
        if (values[i]) ck_assert_uint_eq(varint_of(b.at, b.size, values[i] - 1), UINT64_MAX);
        if (b.size > 1) ck_assert_uint_eq(varint_of(b.at, b.size - 1, UINT64_MAX - 1), UINT64_MAX);
        free(b.at);
    }
    /* One value has one form. */
    ck_assert_uint_eq(varint_of((const uint8_t[]){0x80, 0}, 2, 1000), UINT64_MAX);
    ck_assert_uint_eq(varint_of((const uint8_t[]){0xff, 0}, 2, 1000), UINT64_MAX);
    ck_assert_uint_eq(varint_of((const uint8_t[]){0x80, 0x80, 0}, 3, 1000), UINT64_MAX);
}
END_TEST

/* Bits an id the coder needs for draws from `p` over `codes`, by tiles of 256. */
static double coded_bits(const tsr_token_header *header, const double *p, uint32_t codes,
                         uint32_t tiles, double *entropy) {
    uint32_t n = tiles * 256, *ids = guarded(n * 4), *back = guarded(n * 4),
             *lengths = guarded(tiles * 4);
    *entropy = 0;
    for (uint32_t i = 0; i < codes; ++i)
        if (p[i] > 0) *entropy -= p[i] * log2(p[i]);
    for (uint32_t i = 0; i < n; ++i) {
        double u = (double)(random_bits() >> 11) * 0x1p-53;
        uint32_t id = 0;
        while (id + 1 < codes && u >= p[id])
            u -= p[id++];
        ids[i] = id;
    }
    for (uint32_t t = 0; t < tiles; ++t)
        lengths[t] = 256;
    tsr_range_model model = tsr_range_model_of(header);
    tsr_range_context *contexts = guarded(model.context_count * sizeof *contexts);
    tsr_range_layout layout = {
        .lengths = lengths, .tiles = tiles, .columns = header->geometry ? 16 : 0};
    uint8_t *bytes = guarded(n * 4);
    size_t size = tsr_range_encode(&model, contexts, &layout, ids, bytes, n * 4);
    ck_assert(size != SIZE_MAX);
    uint8_t *exact = guarded(size);
    memcpy(exact, bytes, size);
    ck_assert_int_eq(tsr_range_decode(&model, contexts, &layout, exact, size, back), 0);
    ck_assert_int_eq(memcmp(ids, back, n * 4), 0);
    /* One byte less than it needs must be noticed, and nothing written beyond. */
    uint8_t *less = guarded(size - 1);
    ck_assert(tsr_range_encode(&model, contexts, &layout, ids, less, size - 1) == SIZE_MAX);
    guarded_free(less);
    guarded_free(exact);
    guarded_free(bytes);
    guarded_free(contexts);
    guarded_free(lengths);
    guarded_free(back);
    guarded_free(ids);
    return (double)size * 8 / n;
}

START_TEST(range_coder_reaches_the_entropy) {
    static double p[512];
    tsr_token_header levels = {.codebook_size = 512, .level_count = 3, .levels = {8, 8, 8}};
    tsr_token_header plain = {.codebook_size = 512, .geometry = TSR_GEOMETRY_GRID};
    double entropy, sum = 0, bits;
    for (int i = 0; i < 512; ++i)
        p[i] = 1.0 / 512;
    bits = coded_bits(&levels, p, 512, 64, &entropy);
    ck_assert_msg(bits < 9 * 1.03, "uniform: %.3f bits", bits);
    /* Each digit skewed on its own: what the model of levels can see. */
    for (int i = 0; i < 512; ++i)
        sum += p[i] = exp2(-(i % 8) - 0.5 * (i / 8 % 8) - 0.25 * (i / 64));
    for (int i = 0; i < 512; ++i)
        p[i] /= sum;
    bits = coded_bits(&levels, p, 512, 64, &entropy);
    ck_assert_msg(bits < entropy * 1.03 && bits > entropy * 0.97,
                  "skewed levels: %.3f bits, entropy %.3f", bits, entropy);
    sum = 0;
    for (int i = 0; i < 512; ++i)
        sum += p[i] = exp2(-i / 8.0);
    for (int i = 0; i < 512; ++i)
        p[i] /= sum;
    bits = coded_bits(&plain, p, 512, 64, &entropy);
    ck_assert_msg(bits < entropy * 1.05, "skewed codes: %.3f bits, entropy %.3f", bits, entropy);
}
END_TEST

TEST_MAIN("bit packing, CRC and range coder", crc_published_values, crc_in_pieces,
          every_width_and_length, varints, range_coder_reaches_the_entropy)
