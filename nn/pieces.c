/* SPDX-License-Identifier: MIT */
/* pieces.c: see pieces.h. Pieces are joined two by two, so that what is copied grows with n log n.
 */
#include "pieces.h"
#include "../ops/ops.h"

#include <string.h>

typedef struct cut {
    tsr_run *r;
    tsr_tensor *rows;        /* [1, n, values of an item] */
    const tsr_tensor *whole; /* [n, ...] */
    int64_t most;
    tsr_piece_fn part;
    void *user;
    tsr_tensor made; /* shape of the first piece */
} cut;

/* What the part makes of items first .. first + count - 1: [1, count, values]. */
static tsr_tensor *run_some(cut *c, int64_t first, int64_t count) {
    const tsr_scope scope = tsr_scope_open(c->r);
    tsr_tensor *y;
    if (count > c->most) {
        const int64_t half = (count + c->most - 1) / c->most / 2 * c->most;
        y = run_some(c, first, half);
        y = tsr_concat_rows(c->r, y, run_some(c, first + half, count - half));
    } else {
        int64_t dim[TSR_MAX_RANK];
        memcpy(dim, c->whole->dim, sizeof dim);
        dim[0] = count;
        y = tsr_slice_rows(c->r, c->rows, first, count);
        y = c->part(c->r, c->user, tsr_reshape(c->r, y, c->whole->rank, dim));
        if (!first) c->made = *y;
        y = tsr_reshape(c->r, y, 3, (int64_t[]){1, count, tsr_elements(y) / count});
    }
    return tsr_scope_close(c->r, scope, y);
}

tsr_tensor *tsr_run_pieces(tsr_run *r, tsr_tensor *x, int64_t most, tsr_piece_fn part, void *user) {
    const int64_t n = x->rank ? x->dim[0] : 0; /* of a failed tensor: none */
    if (n <= most) {
        const tsr_scope scope = tsr_scope_open(r);
        return tsr_scope_close(r, scope, part(r, user, x));
    }
    cut c = {.r = r, .whole = x, .most = most, .part = part, .user = user};
    c.rows = tsr_reshape(r, x, 3, (int64_t[]){1, n, tsr_elements(x) / n});
    tsr_tensor *y = run_some(&c, 0, n);
    c.made.dim[0] = n;
    return tsr_reshape(r, y, c.made.rank, c.made.dim);
}
