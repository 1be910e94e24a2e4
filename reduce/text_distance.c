/* SPDX-License-Identifier: MIT */
/* text_distance.c: edit distance by bit vectors (Myers 1999, Hyyro 2003), words by sorting. */
#include "text_distance.h"

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* ---- edit distance ---- */

/* A code point of the pattern and its place. */
typedef struct placed {
    uint32_t point;
    int32_t at;
} placed;

static int by_point(const void *a, const void *b) {
    const placed *x = a, *y = b;
    if (x->point != y->point) return x->point < y->point ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static int64_t first_of(const placed *sorted, int64_t n, uint32_t point) {
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = (low + high) / 2;
        if (sorted[middle].point < point)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* 64 rows of one column of the table: where it rises and falls from row to row. */
typedef struct block {
    uint64_t rises, falls, equal;
} block;

/* Moves a block to the next column. in: the difference to the last column in the row above the
 * block, -1, 0 or 1; returns the same of its row `last`. */
static int advance(block *b, int in, int last) {
    uint64_t equal = b->equal;
    const uint64_t vertical = equal | b->falls;
    if (in < 0) equal |= 1;
    const uint64_t x = (((equal & b->rises) + b->rises) ^ b->rises) | equal;
    uint64_t up = b->falls | ~(x | b->rises), down = b->rises & x;
    const int out = (int)(up >> last & 1) - (int)(down >> last & 1);
    up = up << 1 | (in > 0);
    down = down << 1 | (in < 0);
    b->rises = down | ~(vertical | up);
    b->falls = up & vertical;
    return out;
}

/* Bytes that tsr_edit_distance takes for texts of up to `points`. */
static size_t edit_bytes(size_t points) {
    return (points / 64 + 1) * sizeof(block) + points * sizeof(placed);
}

int64_t tsr_edit_distance(tsr_text a, tsr_text b, void *workspace) {
    const tsr_text pattern = a.count <= b.count ? a : b, text = a.count <= b.count ? b : a;
    const int64_t m = pattern.count, blocks = (m + 63) / 64;
    if (!m) return text.count;
    block *block_at = workspace;
    placed *sorted = (placed *)(block_at + blocks);
    for (int64_t i = 0; i < m; ++i)
        sorted[i] = (placed){pattern.points[i], (int32_t)i};
    qsort(sorted, (size_t)m, sizeof *sorted, by_point);
    for (int64_t i = 0; i < blocks; ++i)
        block_at[i] = (block){.rises = ~(uint64_t)0};
    int64_t distance = m;
    for (int64_t j = 0; j < text.count; ++j) {
        const uint32_t point = text.points[j];
        const int64_t from = first_of(sorted, m, point);
        for (int64_t i = from; i < m && sorted[i].point == point; ++i)
            block_at[sorted[i].at / 64].equal |= (uint64_t)1 << sorted[i].at % 64;
        int carry = 1; /* an empty pattern is one further from a text that is one longer */
        for (int64_t i = 0; i < blocks; ++i)
            carry = advance(&block_at[i], carry, i + 1 < blocks ? 63 : (int)((m - 1) % 64));
        distance += carry;
        for (int64_t i = from; i < m && sorted[i].point == point; ++i)
            block_at[sorted[i].at / 64].equal = 0;
    }
    return distance;
}

/* ---- words ---- */

enum { ORDERS = 4 };

typedef struct word {
    const uint32_t *points;
    int32_t count, id;
} word;

typedef struct gram {
    int32_t id[ORDERS];
} gram;

static bool is_space(uint32_t c) {
    return (c >= 9 && c <= 13) || (c >= 28 && c <= 32) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
           c == 0x205F || c == 0x3000;
}

static int64_t split(tsr_text text, word *words) {
    int64_t count = 0;
    for (int64_t i = 0; i < text.count; ++i) {
        if (is_space(text.points[i])) continue;
        const int64_t from = i;
        while (i < text.count && !is_space(text.points[i]))
            ++i;
        words[count++] = (word){.points = text.points + from, .count = (int32_t)(i - from)};
    }
    return count;
}

static int by_letters(const void *a, const void *b) {
    const word *x = *(const word *const *)a, *y = *(const word *const *)b;
    for (int32_t i = 0; i < x->count && i < y->count; ++i)
        if (x->points[i] != y->points[i]) return x->points[i] < y->points[i] ? -1 : 1;
    return (x->count > y->count) - (x->count < y->count);
}

static int by_ids(const void *a, const void *b) {
    const gram *x = a, *y = b;
    for (int i = 0; i < ORDERS; ++i)
        if (x->id[i] != y->id[i]) return x->id[i] < y->id[i] ? -1 : 1;
    return 0;
}

static int64_t sorted_grams(const word *words, int64_t count, int order, gram *grams) {
    const int64_t n = count >= order ? count - order + 1 : 0;
    for (int64_t i = 0; i < n; ++i) {
        grams[i] = (gram){{-1, -1, -1, -1}};
        for (int k = 0; k < order; ++k)
            grams[i].id[k] = words[i + k].id;
    }
    qsort(grams, (size_t)n, sizeof *grams, by_ids);
    return n;
}

/* n-grams that two sorted lists share, each as often as both have it. */
static int64_t shared(const gram *a, int64_t n, const gram *b, int64_t m) {
    int64_t count = 0;
    for (int64_t i = 0, j = 0; i < n && j < m;) {
        const int order = by_ids(a + i, b + j);
        count += order == 0;
        i += order <= 0;
        j += order >= 0;
    }
    return count;
}

static double bleu(const word *reference, int64_t n, const word *prediction, int64_t m, gram *a,
                   gram *b) {
    double sum = 0;
    for (int order = 1; order <= ORDERS; ++order) {
        const int64_t in_a = sorted_grams(reference, n, order, a);
        const int64_t in_b = sorted_grams(prediction, m, order, b);
        const int64_t both = shared(a, in_a, b, in_b);
        if (order == 1 && !both) return 0;
        sum += log(both ? (double)both / (double)in_b : DBL_MIN) / ORDERS;
    }
    const double penalty = m > n ? 1 : exp(1 - (double)n / (double)m);
    return penalty * exp(sum);
}

/* Gives equal words equal ids. */
static void number_words(word *words, const word **sorted, int64_t count) {
    for (int64_t i = 0; i < count; ++i)
        sorted[i] = words + i;
    qsort((void *)sorted, (size_t)count, sizeof *sorted, by_letters);
    for (int64_t i = 0, id = 0; i < count; ++id) {
        const word *same = sorted[i];
        for (; i < count && !by_letters(&same, &sorted[i]); ++i)
            words[sorted[i] - words].id = (int32_t)id;
    }
}

/* Workspace: words [2 half], pointers to them, ids [2 half], and what tsr_edit_distance takes. */
int64_t tsr_word_distance(tsr_text a, tsr_text b, void *workspace, int64_t *count) {
    const int64_t longest = a.count > b.count ? a.count : b.count, half = longest / 2 + 1;
    word *words = workspace;
    const word **sorted = (const word **)(words + 2 * half);
    const int64_t n = split(a, words), m = split(b, words + n);
    number_words(words, sorted, n + m);
    block *edits = (block *)(sorted + 2 * half);
    uint32_t *ids = (uint32_t *)((char *)edits + edit_bytes((size_t)half));
    for (int64_t i = 0; i < n + m; ++i)
        ids[i] = (uint32_t)words[i].id;
    *count = n;
    return tsr_edit_distance((tsr_text){ids, n}, (tsr_text){ids + n, m}, edits);
}

/* Workspace: words [2 half], pointers to them, n-grams [2 half]; half = words of the longest text.
 */
tsr_word_scores tsr_compare_words(tsr_text reference, tsr_text prediction, void *workspace) {
    const int64_t longest = reference.count > prediction.count ? reference.count : prediction.count;
    const int64_t half = longest / 2 + 1;
    word *words = workspace;
    const word **sorted = (const word **)(words + 2 * half);
    gram *a = (gram *)(sorted + 2 * half), *b = a + half;
    const int64_t n = split(reference, words), m = split(prediction, words + n);
    for (int64_t i = 0; i < n + m; ++i)
        sorted[i] = words + i;
    qsort((void *)sorted, (size_t)(n + m), sizeof *sorted, by_letters);
    int64_t in_reference = 0, in_prediction = 0, in_both = 0;
    for (int64_t i = 0, id = 0; i < n + m; ++id) {
        bool first = false, second = false;
        const word *same = sorted[i];
        for (; i < n + m && !by_letters(&same, &sorted[i]); ++i) {
            words[sorted[i] - words].id = (int32_t)id;
            first |= sorted[i] - words < n;
            second |= sorted[i] - words >= n;
        }
        in_reference += first;
        in_prediction += second;
        in_both += first && second;
    }
    tsr_word_scores s = {0};
    if (in_prediction) s.precision = (double)in_both / (double)in_prediction;
    if (in_reference) s.recall = (double)in_both / (double)in_reference;
    if (in_both) s.f = 2 * s.precision * s.recall / (s.precision + s.recall);
    s.bleu = bleu(words, n, words + n, m, a, b);
    return s;
}

size_t tsr_text_workspace(int64_t longest) {
    const size_t half = (size_t)longest / 2 + 1, words = 2 * half * (sizeof(word) + sizeof(word *));
    const size_t ids = edit_bytes(half) + 2 * half * sizeof(uint32_t);
    const size_t grams = 2 * half * sizeof(gram), edits = edit_bytes((size_t)longest);
    const size_t compared = words + (grams > ids ? grams : ids);
    return (edits > compared ? edits : compared) + 16;
}
