/* SPDX-License-Identifier: MIT */
/* mosaic_encode.c: mosaic's encoder on the host, and what both encoders end with. All sums have a
 * fixed order, so that every machine finds the same ids. */
#include "../../../compute/arena.h"
#include "../../../compute/threads.h"
#include "mosaic_model.h"

#include <math.h>
#include <string.h>

const float tsr_mosaic_lead_tie = 1e-6f;
const double tsr_mosaic_class_tie = 1e-6;
const float tsr_mosaic_digit_tie = 1e-5f;
static const double count_tie = 1e-5; /* of a predicted error, as a share of the quality */

/* ---- what both encoders end with ----------------------------------------------------------- */

uint64_t tsr_mosaic_write_ids(const mosaic *m, tsr_mosaic_code *code, int count, uint32_t *ids) {
    const tsr_residual_fsq q = tsr_mosaic_slots(m, code->class_number);
    code->digits[m->lead * DIGITS] = (uint8_t)(code->class_number % tsr_mosaic_levels[0]);
    code->digits[m->lead * DIGITS + 1] = (uint8_t)(code->class_number / tsr_mosaic_levels[0]);
    for (int i = 0; i < count; ++i)
        ids[i] =
            i < m->lead ? code->lead_ids[i] : tsr_residual_fsq_pack(&q, code->digits + i * DIGITS);
    uint64_t ties = code->lead_margin < tsr_mosaic_lead_tie * code->lead_scale;
    if (count > m->lead && code->class_margin < tsr_mosaic_class_tie) ties++;
    for (int i = m->lead; i < count; ++i) {
        bool near = false;
        for (int d = 0; d < DIGITS; ++d)
            near |= code->margin[i * DIGITS + d] < tsr_mosaic_digit_tie;
        ties += near;
    }
    return ties;
}

/* What the decoder will make of it: learned for the powers of two, a line between them. Errors
 * below 1e-6 count as 1e-6, as in models/train_mosaic.py. */
static double predicted_error(const mosaic *m, int count, double linear) {
    const double at = log2(count), x = log(fmax(linear, 1e-6));
    const int low = at >= COUNTS - 1 ? COUNTS - 2 : (int)at;
    const float *row = m->predictor->f32 + 2 * low;
    const double first = row[0] + row[1] * x, second = row[2] + row[3] * x;
    return exp(first + (second - first) * (at - low));
}

tsr_mosaic_search tsr_mosaic_search_open(int most) {
    return (tsr_mosaic_search){.low = 1, .high = most, .predicted = NAN};
}

bool tsr_mosaic_search_goes_on(const tsr_mosaic_search *search) {
    return search->low < search->high || isnan(search->predicted);
}

int tsr_mosaic_search_next(const tsr_mosaic_search *search) {
    return (search->low + search->high) / 2;
}

void tsr_mosaic_search_take(const mosaic *m, tsr_mosaic_search *search, double linear,
                            float quality) {
    const int middle = tsr_mosaic_search_next(search);
    const double predicted = predicted_error(m, middle, linear);
    if (search->low < search->high)
        search->near_tie |= fabs(predicted - (double)quality) < count_tie * (double)quality;
    if (search->low == search->high || predicted <= (double)quality) {
        search->high = middle;
        search->predicted = predicted;
    } else
        search->low = middle + 1;
}

/* ---- the host's arithmetic ----------------------------------------------------------------- */

/* What one tile needs while it is encoded; one for each worker. */
typedef struct workspace {
    float half[SIZE][CORNER];
    float coefficients[COEFFICIENTS]; /* [plane, v, u]; from code_lead on, what that left */
    double energy;                    /* of the whole tile, less what leading ids took */
    float left[SLOTS];
    tsr_mosaic_code code;
    /* for the token count */
    float target[PLANES][SIZE][SIZE];
    float restored[COEFFICIENTS];
    float guess[PLANES][SIZE][SIZE];
} workspace;

/* u8 [256, 256, 3] -> coefficients [plane, v, u] and the tile's energy. */
static void transform(const mosaic *m, const uint8_t *tile, workspace *s) {
    s->energy = 0;
    for (int p = 0; p < PLANES; ++p) {
        for (int y = 0; y < SIZE; ++y) {
            double energy = 0;
            for (int x = 0; x < SIZE; ++x) {
                const uint8_t *rgb = tile + (y * SIZE + x) * 3;
                float v = 0;
                for (int c = 0; c < 3; ++c)
                    v += tsr_mosaic_colour[p][c] * (((float)rgb[c] - 127.5f) / 255.0f);
                s->target[p][y][x] = v;
                energy += (double)v * v;
            }
            s->energy += energy;
        }
        memset(s->half, 0, sizeof s->half);
        for (int y = 0; y < SIZE; ++y)
            for (int x = 0; x < SIZE; ++x) {
                const float v = s->target[p][y][x];
                for (int u = 0; u < CORNER; ++u)
                    s->half[y][u] += v * m->dct[x][u];
            }
        float *out = s->coefficients + p * CORNER * CORNER;
        memset(out, 0, sizeof(float) * CORNER * CORNER);
        for (int y = 0; y < SIZE; ++y)
            for (int v = 0; v < CORNER; ++v) {
                const float w = m->dct[y][v];
                for (int u = 0; u < CORNER; ++u)
                    out[v * CORNER + u] += w * s->half[y][u];
            }
    }
}

static size_t lead_scratch(const mosaic *m) {
    return tsr_rvq_search_scratch(m->lead_dim, BEAM) + 2 * (size_t)m->lead_dim;
}

/* Finds the leading ids and takes what they stand for away from the coefficients. scratch:
 * lead_scratch floats. */
static void code_lead(const mosaic *m, float *scratch, workspace *s) {
    float *x = scratch, *rest = scratch + m->lead_dim;
    for (int i = 0; i < m->lead_dim; ++i)
        rest[i] = x[i] = s->coefficients[m->lead_source[i]];
    int codes[TSR_RVQ_MOST_STAGES];
    const float margin = tsr_rvq_search(m->lead_stage, 2 * m->lead, m->lead_dim, BEAM, x,
                                        scratch + 2 * m->lead_dim, codes);
    s->code.lead_margin = margin;
    s->code.lead_scale = (float)s->energy;
    for (int t = 0; t < m->lead; ++t) {
        s->code.lead_ids[t] = (uint32_t)(codes[2 * t] + FIRST * codes[2 * t + 1]);
        const float *code[2];
        tsr_mosaic_codewords(m, t, s->code.lead_ids[t], code);
        for (int i = 0; i < m->lead_dim; ++i)
            rest[i] -= code[0][i] + code[1][i];
    }
    for (int i = 0; i < m->lead_dim; ++i) {
        s->energy += (double)rest[i] * rest[i] - (double)x[i] * x[i];
        s->coefficients[m->lead_source[i]] = rest[i];
    }
}

/* Mean over the powers of two of the log of the squared error left by class c: what the class is
 * chosen by. It is the mean PSNR over prefixes, so the choice does not depend on the count. The
 * 1e-6 added to a mean squared error is models/fit_mosaic.py's. */
static double class_cost(const mosaic *m, int c, workspace *s) {
    const tsr_residual_fsq q = tsr_mosaic_slots(m, c);
    tsr_residual_fsq_round(&q, SLOTS, s->coefficients, s->left, s->code.digits, NULL);
    double error = s->energy, cost = 0;
    int next = 1;
    while (next <= m->lead)
        next *= 2;
    for (int j = q.first; j < SLOTS; ++j) {
        const double before = s->left[j], after = before - q.table[j * TABLE + s->code.digits[j]];
        error += after * after - before * before;
        if (j + 1 == next * DIGITS) {
            cost += log(fmax(error, 0) / (PLANES * SIZE * SIZE) + 1e-6);
            next *= 2;
        }
    }
    return cost;
}

/* Mean absolute error, 0..1, of the linear codec with `count` ids. */
static double linear_error(const mosaic *m, int c, int count, workspace *s) {
    tsr_mosaic_restore(m, c, count, s->code.lead_ids, s->code.digits, s->restored);
    for (int p = 0; p < PLANES; ++p) {
        memset(s->half, 0, sizeof s->half);
        for (int y = 0; y < SIZE; ++y)
            for (int v = 0; v < CORNER; ++v) {
                const float w = m->dct[y][v], *row = s->restored + (p * CORNER + v) * CORNER;
                for (int u = 0; u < CORNER; ++u)
                    s->half[y][u] += w * row[u];
            }
        for (int y = 0; y < SIZE; ++y)
            for (int x = 0; x < SIZE; ++x) {
                float sum[8] = {0};
                for (int u = 0; u < CORNER; u += 8)
                    for (int i = 0; i < 8; ++i)
                        sum[i] += s->half[y][u + i] * m->dct[x][u + i];
                s->guess[p][y][x] = ((sum[0] + sum[4]) + (sum[1] + sum[5])) +
                                    ((sum[2] + sum[6]) + (sum[3] + sum[7]));
            }
    }
    double total = 0;
    for (int y = 0; y < SIZE; ++y)
        for (int x = 0; x < SIZE; ++x)
            for (int c3 = 0; c3 < 3; ++c3) {
                float want = 0, got = 0; /* colour is orthonormal: its transpose goes back */
                for (int p = 0; p < PLANES; ++p) {
                    want += tsr_mosaic_colour[p][c3] * s->target[p][y][x];
                    got += tsr_mosaic_colour[p][c3] * s->guess[p][y][x];
                }
                got = got < -0.5f ? -0.5f : got > 0.5f ? 0.5f : got;
                total += fabsf(want - got);
            }
    return total / (3.0 * SIZE * SIZE);
}

typedef struct encode_job {
    const mosaic *m;
    const uint8_t *tiles;
    uint32_t tokens;
    float quality;
    uint32_t *ids, *counts;
    uint64_t *ties; /* one for each worker */
    workspace *spaces;
    float *scratch;   /* for each worker, of code_lead */
    float *predicted; /* of each tile; NULL: not asked for */
    tsr_mosaic_code *codes;
} encode_job;

static void encode_tile(void *arg, int64_t tile, int worker) {
    const encode_job *job = arg;
    const mosaic *m = job->m;
    workspace *s = &job->spaces[worker];
    tsr_mosaic_code *code = &s->code;
    transform(m, job->tiles + tile * SIZE * SIZE * 3, s);
    code_lead(m, job->scratch + (size_t)worker * lead_scratch(m), s);

    double least = INFINITY, second = INFINITY;
    code->class_number = 0;
    for (int c = 0; c < m->classes; ++c) {
        const double cost = class_cost(m, c, s);
        if (cost < least)
            second = least, least = cost, code->class_number = c;
        else if (cost < second)
            second = cost;
    }
    code->class_margin = second - least;
    const tsr_residual_fsq q = tsr_mosaic_slots(m, code->class_number);
    tsr_residual_fsq_round(&q, SLOTS, s->coefficients, s->left, code->digits, code->margin);

    tsr_mosaic_search search = tsr_mosaic_search_open(job->tokens ? (int)job->tokens : TOKENS);
    while (job->quality > 0 && tsr_mosaic_search_goes_on(&search))
        tsr_mosaic_search_take(
            m, &search, linear_error(m, code->class_number, tsr_mosaic_search_next(&search), s),
            job->quality);
    if (job->predicted) job->predicted[tile] = (float)search.predicted;
    job->counts[tile] = (uint32_t)search.high;
    job->ties[worker] +=
        search.near_tie + tsr_mosaic_write_ids(m, code, search.high, job->ids + tile * TOKENS);
    if (job->codes) job->codes[tile] = *code;
}

tsr_status tsr_mosaic_encode_on_host(const mosaic *m, const tsr_pixels *pixels,
                                     const tsr_encode_request *request, tsr_token_batch *batch,
                                     tsr_mosaic_code *codes) {
    const int count = pixels->count;
    const size_t workers = (size_t)tsr_thread_count(m->ctx);
    encode_job job = {.m = m,
                      .tiles = pixels->rgb,
                      .tokens = request->tokens,
                      .quality = request->quality,
                      .ids = batch->values,
                      .counts = batch->counts,
                      .predicted = batch->predicted,
                      .codes = codes};
    tsr_scratch s = {.ctx = m->ctx};
    job.spaces = tsr_scratch_take(&s, workers, sizeof *job.spaces, "mosaic: encode");
    job.ties = tsr_scratch_take(&s, workers, sizeof *job.ties, "mosaic: encode");
    job.scratch =
        tsr_scratch_take(&s, workers * lead_scratch(m), sizeof *job.scratch, "mosaic: encode");
    const tsr_status status = s.status;
    if (!status) tsr_parallel(m->ctx, count, encode_tile, &job);
    for (size_t i = 0; i < workers && !status; ++i)
        batch->near_ties += job.ties[i];
    tsr_scratch_free(&s);
    return status;
}
