/* SPDX-License-Identifier: MIT */
/* size_bins.c: means of scores by the relative size of what was scored. */
#include <tessera/scores.h>

#include <math.h>

/* Text: first publication. Faces: as corrected later (commit 855802d of the benchmark); the first
 * publication had 0 .1 .2 1, 0 .05 .2 1 and 0 .05 .1 1, which gives other numbers. */
static const struct {
    int setting;
    double edges[2][4]; /* text, faces */
} published[] = {{256, {{.02, .03, .04, 1}, {.1, .2, .3, 1}}},
                 {512, {{.01, .02, .03, 1}, {.05, .1, .2, 1}}},
                 {1024, {{.005, .01, .02, 1}, {.02, .05, .1, 1}}}};

int tsr_size_bins_tokbench(int setting, int faces, tsr_size_bins *bins) {
    for (unsigned i = 0; i < sizeof published / sizeof *published; ++i) {
        if (published[i].setting != setting) continue;
        *bins = (tsr_size_bins){.count = 3};
        for (int k = 0; k < 4; ++k)
            bins->edges[k] = published[i].edges[faces != 0][k];
        return 0;
    }
    return -1;
}

int tsr_size_bins_find(const tsr_size_bins *bins, double size) {
    for (int i = 0; i < bins->count; ++i)
        if (size >= bins->edges[i] && size < bins->edges[i + 1]) return i;
    return -1;
}

void tsr_bin_means_add(tsr_bin_means *means, int bin, double score) {
    means->all_count++;
    means->all_sum += score;
    if (bin < 0) {
        means->dropped++;
        return;
    }
    means->count[bin]++;
    means->sum[bin] += score;
}

double tsr_bin_means_of(const tsr_bin_means *means, int bin) {
    return means->count[bin] ? means->sum[bin] / (double)means->count[bin] : NAN;
}

double tsr_bin_means_macro(const tsr_bin_means *means, int count) {
    double sum = 0;
    for (int i = 0; i < count; ++i)
        sum += tsr_bin_means_of(means, i);
    return sum / count;
}

double tsr_bin_means_instances(const tsr_bin_means *means, int count, int binned) {
    double sum = means->all_sum, n = (double)means->all_count;
    if (binned) {
        sum = n = 0;
        for (int i = 0; i < count; ++i) {
            sum += means->sum[i];
            n += (double)means->count[i];
        }
    }
    return n > 0 ? sum / n : NAN;
}
