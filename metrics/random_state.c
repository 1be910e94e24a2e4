/* SPDX-License-Identifier: MIT */
/* random_state.c: MT19937 as NumPy's RandomState seeds it, and its permutation: Fisher and Yates
 * from the top, places drawn by masking and rejecting. */
#include <tessera/statistics.h>

enum { WORDS = 624, AHEAD = 397 };

void tsr_random_state_seed(tsr_random_state *state, uint32_t seed) {
    for (uint32_t i = 0; i < WORDS; ++i) {
        state->word[i] = seed;
        seed = 1812433253u * (seed ^ seed >> 30) + i + 1;
    }
    state->next = WORDS;
}

static void refill(uint32_t *word) {
    for (int i = 0; i < WORDS; ++i) {
        const uint32_t y = (word[i] & 0x80000000u) | (word[(i + 1) % WORDS] & 0x7fffffffu);
        word[i] = word[(i + AHEAD) % WORDS] ^ y >> 1 ^ (y & 1 ? 0x9908b0dfu : 0);
    }
}

uint32_t tsr_random_state_next(tsr_random_state *state) {
    if (state->next == WORDS) {
        refill(state->word);
        state->next = 0;
    }
    uint32_t y = state->word[state->next++];
    y ^= y >> 11;
    y ^= y << 7 & 0x9d2c5680u;
    y ^= y << 15 & 0xefc60000u;
    return y ^ y >> 18;
}

void tsr_random_state_permutation(tsr_random_state *state, uint32_t count, uint32_t *order) {
    for (uint32_t i = 0; i < count; ++i)
        order[i] = i;
    for (uint32_t i = count; i-- > 1;) {
        uint32_t mask = i, j;
        for (int shift = 1; shift < 32; shift *= 2)
            mask |= mask >> shift;
        do {
            j = tsr_random_state_next(state) & mask;
        } while (j > i);
        const uint32_t moved = order[i];
        order[i] = order[j];
        order[j] = moved;
    }
}
