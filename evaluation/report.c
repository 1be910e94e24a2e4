/* SPDX-License-Identifier: MIT */
/* report.c: measurements of several candidates as one thing. */
#include "report.h"
#include "../compute/threads.h"
#include "../formats/file.h"
#include "../formats/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- a report ---- */

/* Names and bytes of all originals. */
static tsr_status hash_originals(tsr_context *ctx, const tsr_originals *o, uint64_t *hash) {
    tsr_hash h;
    tsr_hash_start(&h, 0);
    tsr_status status = TSR_OK;
    for (uint64_t i = 0; i < o->set.count && !status; ++i) {
        const tsr_set_picture *p = &o->set.pictures[i];
        tsr_hash_add(&h, p->name, strlen(p->name) + 1);
        if (p->path && !tsr_in_is_stream(p->path)) {
            tsr_map map = {0};
            if (!tsr_map_open(ctx, p->path, &map)) /* one that cannot be read says so elsewhere */
                tsr_hash_add(&h, map.bytes, map.size);
            tsr_map_close(&map);
        } else if (p->size) {
            uint8_t *bytes = tsr_alloc_raw(ctx, p->size, 1, p->name);
            tsr_spool spool = o->set.spool;
            spool.ctx = ctx;
            status = bytes ? tsr_spool_read(&spool, p->offset, bytes, p->size) : TSR_ERROR_MEMORY;
            if (!status) tsr_hash_add(&h, bytes, p->size);
            free(bytes);
        }
    }
    *hash = tsr_hash_finish(&h);
    return status;
}

static cJSON *array_of(const char *const *texts, int count) {
    cJSON *array = texts ? cJSON_CreateArray() : NULL;
    for (int i = 0; array && i < count; ++i)
        cJSON_AddItemToArray(array, cJSON_CreateString(texts[i]));
    return array;
}

tsr_status tsr_report_open(tsr_context *ctx, tsr_originals *originals, const char *path,
                           const tsr_report_head *head, tsr_report **report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!report) return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "report: wanted an address, got NULL");
    *report = NULL;
    const tsr_report_head h = head ? *head : (tsr_report_head){0};
    tsr_report *r = tsr_alloc(ctx, 1, sizeof *r, "report");
    if (!r) return TSR_ERROR_MEMORY;
    char now[32] = "", program[64];
    const time_t seconds = time(NULL);
    struct tm utc;
    if (gmtime_r(&seconds, &utc)) strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", &utc);
    snprintf(program, sizeof program, "tessera %s", tsr_version());
    r->ctx = ctx;
    r->seed = h.seed ? h.seed : 1;
    r->threads = tsr_thread_count(ctx);
    r->originals = originals ? originals->set.count : 0;
    r->command = array_of(h.command, h.command_count);
    tsr_status status = tsr_copy_text(ctx, program, &r->program);
    if (!status) status = tsr_copy_text(ctx, path ? path : "", &r->path);
    if (!status) status = tsr_copy_text(ctx, h.created ? h.created : now, &r->created);
    if (!status) status = tsr_copy_text(ctx, h.device ? h.device : "cpu", &r->device);
    if (!status && originals) status = hash_originals(ctx, originals, &r->hash);
    if (!status && h.command && !r->command)
        status = tsr_fail(ctx, TSR_ERROR_MEMORY, "report: no memory");
    if (status)
        tsr_report_close(&r);
    else
        *report = r;
    return status;
}

void tsr_report_close(tsr_report **report) {
    if (!report || !*report) return;
    tsr_report *r = *report;
    for (int i = 0; i < r->count; ++i) {
        tsr_measurement_close(&r->candidates[i].m);
        cJSON_Delete(r->candidates[i].command);
        cJSON_Delete(r->candidates[i].extras);
    }
    free(r->candidates);
    cJSON_Delete(r->command);
    cJSON_Delete(r->extras);
    free(r->program);
    free(r->path);
    free(r->created);
    free(r->device);
    free(r);
    *report = NULL;
}

tsr_status tsr_report_take(tsr_report *r, tsr_measurement *m, cJSON *command, cJSON *extras) {
    if (r->count == r->room) {
        const int room = r->room ? 2 * r->room : 16;
        struct tsr_report_entry *more = realloc(r->candidates, (size_t)room * sizeof *more);
        if (!more) {
            tsr_measurement_close(&m);
            cJSON_Delete(command);
            cJSON_Delete(extras);
            return tsr_fail(r->ctx, TSR_ERROR_MEMORY, "report: no memory for a candidate");
        }
        r->candidates = more;
        r->room = room;
    }
    r->candidates[r->count++] = (struct tsr_report_entry){m, command, extras};
    return TSR_OK;
}

tsr_status tsr_report_add(tsr_report *r, tsr_measurement **measurement, const char *const *command,
                          int command_count) {
    tsr_measurement *m = *measurement;
    *measurement = NULL;
    if (m->originals != r->originals) {
        const uint64_t got = m->originals;
        tsr_measurement_close(&m);
        return tsr_fail(r->ctx, TSR_ERROR_ARGUMENT,
                        "report: wanted a measurement of %llu originals, got one of %llu",
                        (unsigned long long)r->originals, (unsigned long long)got);
    }
    return tsr_report_take(r, m, array_of(command, command_count), NULL);
}

tsr_status tsr_report_move(tsr_report *r, tsr_report *from) {
    if (from->originals != r->originals || from->hash != r->hash)
        return tsr_fail(r->ctx, TSR_ERROR_ARGUMENT,
                        "report: wanted one of the same originals, got one of others");
    tsr_status status = TSR_OK;
    int moved = 0;
    for (; moved < from->count && !status; ++moved) {
        const struct tsr_report_entry *e = &from->candidates[moved];
        status = tsr_report_take(r, e->m, e->command, e->extras); /* closes them on an error */
    }
    if (moved)
        memmove(from->candidates, from->candidates + moved,
                (size_t)(from->count - moved) * sizeof *from->candidates);
    from->count -= moved;
    return status;
}

tsr_status tsr_report_attach(tsr_report *r, int index, const char *key, const char *json) {
    if (index < -1 || index >= r->count)
        return tsr_fail(r->ctx, TSR_ERROR_ARGUMENT, "report: candidate: wanted -1 to %d, got %d",
                        r->count - 1, index);
    cJSON *value = cJSON_Parse(json);
    if (!value)
        return tsr_fail(r->ctx, TSR_ERROR_ARGUMENT, "report: %s: wanted JSON, got %.40s", key,
                        json);
    cJSON **extras = index < 0 ? &r->extras : &r->candidates[index].extras;
    if (!*extras) *extras = cJSON_CreateObject();
    if (*extras) cJSON_DeleteItemFromObjectCaseSensitive(*extras, key);
    if (!*extras || !cJSON_AddItemToObject(*extras, key, value)) {
        cJSON_Delete(value);
        return tsr_fail(r->ctx, TSR_ERROR_MEMORY, "report: no memory");
    }
    return TSR_OK;
}

uint64_t tsr_report_hash(const tsr_report *r) {
    return r->hash;
}

uint64_t tsr_report_originals(const tsr_report *r) {
    return r->originals;
}

int tsr_report_count(const tsr_report *r) {
    return r->count;
}

const tsr_measurement *tsr_report_candidate(const tsr_report *r, int index) {
    return index < 0 || index >= r->count ? NULL : r->candidates[index].m;
}

tsr_status tsr_report_write(tsr_context *ctx, const char *path, const char *text) {
    tsr_out out;
    tsr_status status = tsr_out_open(ctx, path, &out);
    if (status) return status;
    status = tsr_out_write(ctx, &out, text, strlen(text));
    if (!status) status = tsr_out_commit(ctx, &out);
    tsr_out_abandon(&out);
    return status;
}
