/* SPDX-License-Identifier: MIT */
/* record_sort.c: see record_sort.h. */
#include "record_sort.h"

#include <stdlib.h>
#include <string.h>

enum { PIECE = 65536, FAN = 32, WINDOW = 1024 }; /* records, runs, records of a run in memory */

static int by_numbers(const void *a, const void *b) {
    const tsr_record *x = a, *y = b;
    if (x->first != y->first) return x->first < y->first ? -1 : 1;
    return x->second < y->second ? -1 : x->second > y->second;
}

/* The records in memory become a run of the spool. */
static tsr_status put_run(tsr_record_sort *s) {
    if (!s->used) return TSR_OK;
    qsort(s->records, s->used, sizeof *s->records, by_numbers);
    const tsr_status status = tsr_spool_put(&s->spool, s->records, s->used * sizeof *s->records);
    s->used = 0;
    return status;
}

tsr_status tsr_record_sort_add(tsr_record_sort *s, uint64_t first, uint64_t second) {
    if (!s->piece) s->piece = PIECE;
    if (s->used == s->piece) {
        s->run = s->piece;
        const tsr_status status = put_run(s);
        if (status) return status;
    }
    if (s->used == s->room) {
        size_t room = s->room ? 2 * s->room : 64;
        if (room > s->piece) room = s->piece;
        tsr_record *more = realloc(s->records, room * sizeof *more);
        if (!more)
            return tsr_fail(s->spool.ctx, TSR_ERROR_MEMORY, "no memory for %zu sorted records",
                            room);
        s->records = more;
        s->room = room;
    }
    s->records[s->used++] = (tsr_record){first, second};
    ++s->count;
    return TSR_OK;
}

/* ---- merging ---------------------------------------------------------------------------- */

typedef struct run_window {
    uint64_t next, end; /* records of the spool that are not in the window yet */
    size_t at, filled;
    tsr_record records[WINDOW];
} run_window;

static tsr_status refill(tsr_record_sort *s, run_window *w) {
    if (w->at < w->filled) return TSR_OK;
    const uint64_t left = w->end - w->next;
    w->at = 0;
    w->filled = left < WINDOW ? (size_t)left : WINDOW;
    const tsr_status status = tsr_spool_read(&s->spool, w->next * sizeof(tsr_record), w->records,
                                             w->filled * sizeof(tsr_record));
    w->next += w->filled;
    return status;
}

/* Merges the runs that begin with record `from`, at most FAN of them, and moves `from` behind them.
 */
static tsr_status merge(tsr_record_sort *s, run_window *windows, uint64_t *from, tsr_record_fn each,
                        void *user) {
    int count = 0;
    tsr_status status = TSR_OK;
    for (; count < FAN && *from < s->count && !status; ++count) {
        run_window *w = &windows[count];
        const uint64_t left = s->count - *from;
        w->next = *from;
        w->end = *from += left < s->run ? left : s->run;
        w->at = w->filled = 0;
        status = refill(s, w);
    }
    while (!status && count > 0) {
        run_window *least = &windows[0];
        for (int i = 1; i < count; ++i)
            if (by_numbers(&windows[i].records[windows[i].at], &least->records[least->at]) < 0)
                least = &windows[i];
        status = each(user, &least->records[least->at++]);
        if (!status) status = refill(s, least);
        if (least->at == least->filled && least != &windows[--count]) *least = windows[count];
    }
    return status;
}

static tsr_status put_record(void *user, const tsr_record *record) {
    return tsr_spool_put(user, record, sizeof *record);
}

/* One more pass: runs FAN times as long, in another spool. */
static tsr_status lengthen(tsr_record_sort *s, run_window *windows) {
    tsr_spool longer = {.ctx = s->spool.ctx,
                        .beside = s->spool.beside,
                        .in_memory = s->spool.in_memory,
                        .most = s->spool.most};
    uint64_t from = 0;
    tsr_status status = TSR_OK;
    while (from < s->count && !status)
        status = merge(s, windows, &from, put_record, &longer);
    tsr_spool_clear(status ? &longer : &s->spool);
    if (status) return status;
    s->spool = longer;
    s->run *= FAN;
    return TSR_OK;
}

tsr_status tsr_record_sort_walk(tsr_record_sort *s, tsr_record_fn each, void *user) {
    tsr_status status = TSR_OK;
    if (!s->run) { /* all of it is in memory */
        if (!s->finished && s->used) qsort(s->records, s->used, sizeof *s->records, by_numbers);
        s->finished = true;
        for (size_t i = 0; i < s->used && !status; ++i)
            status = each(user, &s->records[i]);
        return status;
    }
    if (!s->finished) status = put_run(s);
    s->finished = true;
    run_window *windows =
        status ? NULL : tsr_alloc(s->spool.ctx, FAN, sizeof *windows, "windows of sorted records");
    if (!windows) return status ? status : TSR_ERROR_MEMORY;
    while (!status && s->count > FAN * s->run)
        status = lengthen(s, windows);
    uint64_t from = 0;
    if (!status) status = merge(s, windows, &from, each, user);
    free(windows);
    return status;
}

void tsr_record_sort_free(tsr_record_sort *s) {
    tsr_spool_clear(&s->spool);
    free(s->records);
    s->records = NULL;
    s->used = s->room = 0;
    s->count = s->run = 0;
    s->finished = false;
}
