/* SPDX-License-Identifier: MIT */
/* scores.h: numbers about what was read, recognised and coded: how far a text that was read is from
 * the true one, means over sizes of text and faces, and how a codebook is used. Nothing here needs
 * a model. Every number stands for a protocol, which its comment names. The conventions of
 * tessera.h hold here, too. */
#ifndef TESSERA_SCORES_H
#define TESSERA_SCORES_H

#include "status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- texts -------------------------------------------------------------------------------- */

/* How far a text that was read is from the true one. Lengths and distances count Unicode code
 * points of the strings as they are given: nothing is normalised, stripped or folded, so that an
 * accent written as a code point of its own differs from the composed letter. */
typedef struct tsr_text_score {
    int64_t length;        /* code points of the true text */
    int64_t read_length;   /* code points of the text that was read */
    int64_t distance;      /* Levenshtein: insertions, deletions and substitutions cost 1 each, a
                              transposition costs 2 */
    int exact;             /* 1: the texts are equal (T-ACC of one word) */
    double similarity;     /* 1 - distance / max(length, read_length), 0..1; 1 for two empty texts
                              (T-NED of one word: the ICDAR 2019 form, where more is better) */
    int64_t words;         /* of the true text, split at Unicode white space */
    int64_t word_distance; /* Levenshtein over words */
} tsr_text_score;
/* Compares two texts, UTF-8 ended by 0. ignore_case: 1 compares the lower case of both (Python's
 * str.lower). Errors: FORMAT (not UTF-8), TOO_LARGE (2^24 code points or more), ARGUMENT, MEMORY.
 * Source: Levenshtein 1966; T-ACC and T-NED as TokBench (Wu et al. 2025) computes them. */
tsr_status tsr_text_compare(tsr_context *ctx, const char *truth, const char *read, int ignore_case,
                            tsr_text_score *score);

/* Sums over the texts of a corpus. A struct of zeros is an empty corpus. */
typedef struct tsr_text_totals {
    uint64_t texts, exact;
    double similarity; /* sum over texts */
    int64_t length, distance, words, word_distance;
} tsr_text_totals;
/* Adds the score of a text. */
void tsr_text_totals_add(tsr_text_totals *totals, const tsr_text_score *score);
/* Rates over a corpus; NaN where nothing is divided by. */
typedef struct tsr_text_rates {
    double accuracy;   /* T-ACC: share of texts that are equal, 0..1 */
    double similarity; /* T-NED: mean similarity, 0..1 */
    double cer; /* character error rate: sum of distances / sum of true lengths; may exceed 1. Not
                   the mean of the texts' rates */
    double wer; /* word error rate: the same over words */
} tsr_text_rates;
tsr_text_rates tsr_text_totals_rates(const tsr_text_totals *totals);

/* ---- sizes of text and faces --------------------------------------------------------------- */

enum { TSR_SIZE_BINS_MOST = 16 };
/* Classes of relative size, each from its edge up to below the next edge. What is below the first
 * edge or not below the last one is in no bin. */
typedef struct tsr_size_bins {
    int count;                            /* 1..TSR_SIZE_BINS_MOST */
    double edges[TSR_SIZE_BINS_MOST + 1]; /* [count + 1], rising */
} tsr_size_bins;
/* Fills *bins with TokBench's three: small, medium, large. setting: 256, 512 or 1024, the side of
 * the square that the tokenizer sees. faces: 0 for text, 1 for faces. The size of a word is its
 * longer side in pixels / number of characters / longer side of its picture; that of a face is what
 * its annotation says. Returns 0, or -1 for another setting. */
int tsr_size_bins_tokbench(int setting, int faces, tsr_size_bins *bins);
/* Bin of a size, 0 .. count-1; -1: in none, as is NaN. */
int tsr_size_bins_find(const tsr_size_bins *bins, double size);

/* Means of a score by bin. A struct of zeros is empty. */
typedef struct tsr_bin_means {
    uint64_t count[TSR_SIZE_BINS_MOST];
    double sum[TSR_SIZE_BINS_MOST];
    uint64_t dropped;   /* scores in no bin */
    uint64_t all_count; /* of all scores, the dropped ones among them */
    double all_sum;
} tsr_bin_means;
/* Adds a score to `bin`, as tsr_size_bins_find gives it. */
void tsr_bin_means_add(tsr_bin_means *means, int bin, double score);
/* Mean of a bin; NaN where it is empty. */
double tsr_bin_means_of(const tsr_bin_means *means, int bin);
/* Unweighted mean of the means of bins 0 .. count-1, which TokBench prints as "mean"; NaN when one
 * of them is empty. */
double tsr_bin_means_macro(const tsr_bin_means *means, int count);
/* Mean over all scores that are in a bin (binned 1), or over all (binned 0). NaN without any. */
double tsr_bin_means_instances(const tsr_bin_means *means, int count, int binned);

/* ---- use of a codebook ---------------------------------------------------------------------- */

/* Which codes the tokens of a set of pictures use. */
typedef struct tsr_code_use tsr_code_use;
/* Opens an empty count over ids 0 .. codes-1, codes 1..2^24. The caller frees *use with
 * tsr_code_use_close. Errors: ARGUMENT, MEMORY. */
tsr_status tsr_code_use_open(tsr_context *ctx, uint32_t codes, tsr_code_use **use);
/* Frees a count and sets *use to NULL. NULL and a NULL *use are accepted. */
void tsr_code_use_close(tsr_code_use **use);
/* Adds the ids of a picture in the order of its positions: place i of every picture is position i.
 * Errors: TOKENS (an id that is no code), MEMORY. */
tsr_status tsr_code_use_add(tsr_code_use *use, const uint32_t *ids, uint32_t count);
/* What is known of a codebook's use. */
typedef struct tsr_code_use_summary {
    uint32_t codes;
    uint64_t pictures, tokens;
    uint32_t used;       /* codes that occur */
    double usage;        /* used / codes */
    double entropy_bits; /* of the relative frequencies over all tokens; NaN without tokens */
    double perplexity;   /* 2^entropy_bits: codes that a uniform use of this entropy would take */
    /* Mean over pictures of exp(-sum p ln(p + 1e-10)), each over the picture's own ids: what
       training logs of VQGAN code print for a batch. Far below `perplexity`, and no substitute */
    double picture_perplexity;
    uint32_t positions; /* of the picture with the most ids */
} tsr_code_use_summary;
void tsr_code_use_summarise(const tsr_code_use *use, tsr_code_use_summary *summary);
/* How often each code occurs, [codes]. Owned by the count, valid until the next call with it. */
const uint64_t *tsr_code_use_counts(const tsr_code_use *use);
/* Entropy in bits of the ids at each position, over the pictures that have it: bits [positions]. It
 * is at most log2 of the number of pictures, so that few pictures give too little. Errors: MEMORY.
 */
tsr_status tsr_code_use_positions(const tsr_code_use *use, double *bits);

#ifdef __cplusplus
}
#endif
#endif
