/* SPDX-License-Identifier: MIT */
/* error_fit.c: the scaling law of an error over model sizes and token counts, computed and fitted.
 * Everything is float64. */
#include "operator.h"

#include <math.h>
#include <string.h>

/* error = A / N^b / T^c + d */
typedef struct law {
    double A, b, c, d;
} law;

/* A table over n model sizes and t token counts. */
typedef struct table {
    const double *N, *T, *error; /* [n], [t], [n, t] or NULL */
    int n, t;
} table;

static double predict(law p, double N, double T) {
    return p.A / pow(N, p.b) / pow(T, p.c) + p.d;
}

static double loss_of(const table *x, law p) {
    double sum = 0;
    for (int i = 0; i < x->n; ++i)
        for (int j = 0; j < x->t; ++j) {
            const double difference = predict(p, x->N[i], x->T[j]) - x->error[i * x->t + j];
            sum += difference * difference;
        }
    return sum;
}

/* ---- search: for given b and c the law is linear in A and d ---- */

enum { STEPS = 100 }; /* of b and c over 0..1 */

/* The best A and d for b and c: least squares with one regressor. Where N^-b T^-c is the same
 * everywhere the table says nothing of A, which is then 0. */
static law solve_linear(const table *x, double b, double c) {
    double mean_u = 0, mean_e = 0, uu = 0, ue = 0;
    const double count = (double)x->n * x->t;
    for (int i = 0; i < x->n; ++i)
        for (int j = 0; j < x->t; ++j) {
            mean_u += pow(x->N[i], -b) * pow(x->T[j], -c) / count;
            mean_e += x->error[i * x->t + j] / count;
        }
    for (int i = 0; i < x->n; ++i)
        for (int j = 0; j < x->t; ++j) {
            const double u = pow(x->N[i], -b) * pow(x->T[j], -c) - mean_u;
            uu += u * u;
            ue += u * (x->error[i * x->t + j] - mean_e);
        }
    const double A = uu > 1e-24 * count ? ue / uu : 0;
    return (law){A, b, c, mean_e - A * mean_u};
}

static law search(const table *x) {
    law best = {0};
    double least = INFINITY;
    for (int i = 0; i <= STEPS; ++i)
        for (int j = 0; j <= STEPS; ++j) {
            const law p = solve_linear(x, (double)i / STEPS, (double)j / STEPS);
            const double loss = loss_of(x, p);
            if (loss < least) {
                least = loss;
                best = p;
            }
        }
    return best;
}

/* ---- refinement: Levenberg and Marquardt's damped least squares in A, b, c and d ---- */

/* Solves m x = v by elimination with row exchange; false where m is singular. */
static bool solve(double m[4][4], double v[4], double x[4]) {
    for (int k = 0; k < 4; ++k) {
        int pivot = k;
        for (int r = k + 1; r < 4; ++r)
            if (fabs(m[r][k]) > fabs(m[pivot][k])) pivot = r;
        if (m[pivot][k] == 0) return false;
        for (int c = 0; c < 4; ++c) {
            const double t = m[k][c];
            m[k][c] = m[pivot][c];
            m[pivot][c] = t;
        }
        const double t = v[k];
        v[k] = v[pivot];
        v[pivot] = t;
        for (int r = k + 1; r < 4; ++r) {
            const double f = m[r][k] / m[k][k];
            for (int c = k; c < 4; ++c)
                m[r][c] -= f * m[k][c];
            v[r] -= f * v[k];
        }
    }
    for (int k = 3; k >= 0; --k) {
        x[k] = v[k];
        for (int c = k + 1; c < 4; ++c)
            x[k] -= m[k][c] * x[c];
        x[k] /= m[k][k];
    }
    return true;
}

/* Adds what the table says of a step: J^T J and -J^T residual. */
static void normal_equations(const table *x, law p, double m[4][4], double v[4]) {
    memset(m, 0, 16 * sizeof(double));
    memset(v, 0, 4 * sizeof(double));
    for (int i = 0; i < x->n; ++i)
        for (int j = 0; j < x->t; ++j) {
            const double u = pow(x->N[i], -p.b) * pow(x->T[j], -p.c);
            const double g[4] = {u, -p.A * u * log(x->N[i]), -p.A * u * log(x->T[j]), 1};
            const double residual = p.A * u + p.d - x->error[i * x->t + j];
            for (int r = 0; r < 4; ++r) {
                v[r] -= g[r] * residual;
                for (int c = 0; c < 4; ++c)
                    m[r][c] += g[r] * g[c];
            }
        }
}

static law refine(const table *x, law p) {
    double loss = loss_of(x, p), damping = 1e-3;
    for (int round = 0; round < 1000 && damping < 1e12 && loss > 0; ++round) {
        double m[4][4], v[4], step[4];
        normal_equations(x, p, m, v);
        for (int k = 0; k < 4; ++k)
            m[k][k] += damping * (m[k][k] + 1e-12);
        const bool solved = solve(m, v, step);
        const law q =
            solved ? (law){p.A + step[0], p.b + step[1], p.c + step[2], p.d + step[3]} : p;
        const double next = solved ? loss_of(x, q) : INFINITY;
        if (next < loss) {
            p = q;
            loss = next;
            damping *= 0.1;
        } else
            damping *= 10;
    }
    return p;
}

/* ---- the operator ---- */

static table read_table(tsr_operation *o) {
    table x = {0};
    int errors = 0;
    x.N = tsr_operation_list(o, "N", &x.n);
    x.T = tsr_operation_list(o, "T", &x.t);
    if (tsr_operation_has(o, "error")) x.error = tsr_operation_list(o, "error", &errors);
    if (!o->status && x.error && errors != x.n * x.t)
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "error: wanted %d values, one for each N and T, got %d", x.n * x.t,
                           errors);
    return x;
}

static void error_fit(tsr_operation *o) {
    static const char *const names[] = {"A", "b", "c", "d"};
    const table x = read_table(o);
    int given = 0;
    for (int i = 0; i < 4; ++i)
        given += tsr_operation_has(o, names[i]);
    if (!o->status && given != 4 && (given || !x.error))
        tsr_operation_fail(o, TSR_ERROR_ARGUMENT,
                           "wanted A, b, c and d, or error to fit them to, got %d of the four%s",
                           given, x.error ? " and error" : "");
    double *prediction = tsr_operation_take(o, (int64_t)x.n * x.t, sizeof *prediction, "table");
    if (o->status) return;
    const law p = given ? (law){tsr_operation_number(o, "A"), tsr_operation_number(o, "b"),
                                tsr_operation_number(o, "c"), tsr_operation_number(o, "d")}
                        : refine(&x, search(&x));
    for (int i = 0; i < x.n; ++i)
        for (int j = 0; j < x.t; ++j)
            prediction[i * x.t + j] = predict(p, x.N[i], x.T[j]);
    if (x.error) {
        const double loss = loss_of(&x, p);
        tsr_operation_trace_f64(o, "loss", &loss, 1);
    }
    tsr_operation_trace_f64(o, "law", (const double[]){p.A, p.b, p.c, p.d}, 4);
    tsr_operation_trace(o, "prediction", TSR_ARRAY_F64, 2, (int64_t[]){x.n, x.t}, prediction);
}

const tsr_operator tsr_operator_error_fit = {
    .info = {.name = "error-fit",
             .kind = TSR_OPERATOR_PLAN,
             .about =
                 "computes error = A * N^-b * T^-c + d over model sizes N and token counts T, or "
                 "fits it to a table of errors",
             .formula =
                 "fit: b and c over 0, 0.01 .. 1 each, with the best A and d of each pair by "
                 "least squares; the pair of least squared error is then refined by damped least "
                 "squares in all four",
             .source = "Inference-optimal VLM (locuslab/llava-token-compression @ bdedebd, "
                       "func_error_fit)",
             .differs = "a search over a fifth of a grid in unseeded random order, so that "
                        "fits differ from run to run; here the whole grid, and a refinement",
             .cost = "10,201 passes over the table, then some dozen",
             .columns = NULL},
    .parameters = {{"N", TSR_PARAMETER_LIST, NULL, 1e-12, 1e15, NULL, "model sizes"},
                   {"T", TSR_PARAMETER_LIST, NULL, 1e-12, 1e15, NULL, "token counts"},
                   {"error", TSR_PARAMETER_LIST, NULL, -1e15, 1e15, NULL,
                    "errors, all T of the first N first; not needed where A, b, c and d are given"},
                   {"A", TSR_PARAMETER_NUMBER, NULL, -1e15, 1e15, NULL,
                    "of the law: give all four, or none to fit"},
                   {"b", TSR_PARAMETER_NUMBER, NULL, -100, 100, NULL, "exponent of N"},
                   {"c", TSR_PARAMETER_NUMBER, NULL, -100, 100, NULL, "exponent of T"},
                   {"d", TSR_PARAMETER_NUMBER, NULL, -1e15, 1e15, NULL, "what no size removes"}},
    .apply = error_fit,
};
