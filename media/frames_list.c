/* SPDX-License-Identifier: MIT */
/* frames_list.c: see frames_list.h. */
#include "frames_list.h"
#include "../formats/json_text.h"

#include <stdlib.h>

enum { MOST_FRAMES = 1 << 24 };

static const int64_t most_time = (int64_t)1 << 60;

/* A number of digits alone, at most 2^31 - 1, up to `end`; -1: another text. */
static int64_t whole(const char *text, char end) {
    int64_t n = 0;
    const char *p = text;
    for (; *p >= '0' && *p <= '9' && n <= INT32_MAX; ++p)
        n = 10 * n + (*p - '0');
    return p > text && *p == end && n <= INT32_MAX ? n : -1;
}

/* "25/1"; "0/0", where that is allowed, is a fraction that is not known. */
static tsr_rational read_fraction(tsr_json *j, bool unknown, const char *wanted) {
    size_t size;
    const char *text = tsr_json_string(j, &size), *bar = strchr(text, '/');
    const tsr_rational r = {whole(text, '/'), bar ? whole(bar + 1, 0) : -1};
    const bool good = strlen(text) == size && r.num > 0 && r.den > 0;
    if (good || (unknown && r.num == 0 && r.den == 0)) return r;
    tsr_json_wrong(j, wanted);
    return (tsr_rational){0, 0};
}

static int64_t read_time(tsr_json *j, int64_t least) {
    const int64_t time = tsr_json_signed(j);
    if (time < least || time > most_time)
        tsr_json_wrong(j, least ? "a pts of -2^60 to 2^60" : "a duration of 0 to 2^60");
    return time;
}

/* Room for one frame more; NULL: the fault says why. */
static tsr_listed_frame *add_frame(tsr_json *j, tsr_frames_list *list, uint64_t *room) {
    if (list->count == *room) {
        const uint64_t more = *room ? *room * 2 : 64;
        tsr_listed_frame *frames =
            more > MOST_FRAMES ? NULL : realloc(list->frame, more * sizeof *frames);
        if (!frames) {
            tsr_json_wrong(j, more > MOST_FRAMES ? "at most 16777216 frames" : "memory");
            return NULL;
        }
        list->frame = frames;
        *room = more;
    }
    list->frame[list->count] = (tsr_listed_frame){0};
    return &list->frame[list->count++];
}

static void read_frame(tsr_json *j, tsr_frames_list *list, uint64_t *room) {
    tsr_listed_frame *f = add_frame(j, list, room);
    bool timed = false;
    const char *name;
    if (!f || !tsr_json_enter(j, '{')) return;
    while (tsr_json_member(j, &name)) {
        size_t size;
        if (!strcmp(name, "file")) {
            const char *text = tsr_json_string(j, &size);
            if (!size || strlen(text) != size) tsr_json_wrong(j, "the name of a file");
            free(f->file);
            if (!(f->file = strdup(text))) tsr_json_wrong(j, "memory");
        } else if (!strcmp(name, "pts")) {
            f->pts = read_time(j, -most_time);
            timed = true;
        } else if (!strcmp(name, "duration"))
            f->duration = read_time(j, 0);
        else
            tsr_json_skip(j);
    }
    if (!f->file || !timed) tsr_json_wrong(j, "a frame with \"file\" and \"pts\"");
    if (list->count > 1 && f->pts <= f[-1].pts) tsr_json_wrong(j, "pts that rise");
}

tsr_status tsr_frames_list_parse(tsr_context *ctx, const char *where, const void *bytes,
                                 size_t size, tsr_frames_list *list) {
    tsr_json j = tsr_json_start(bytes, size);
    uint64_t room = 0;
    bool listed = false;
    const char *name;
    *list = (tsr_frames_list){0};
    tsr_json_enter(&j, '{');
    while (tsr_json_member(&j, &name)) {
        if (!strcmp(name, "time_base"))
            list->time_base = read_fraction(&j, false, "a fraction of seconds like \"1/12800\"");
        else if (!strcmp(name, "rate"))
            list->rate = read_fraction(&j, true, "a fraction like \"25/1\"");
        else if (!strcmp(name, "frames")) {
            if (listed) tsr_json_wrong(&j, "one list of frames");
            listed = true;
            tsr_json_enter(&j, '[');
            while (tsr_json_element(&j))
                read_frame(&j, list, &room);
        } else
            tsr_json_skip(&j);
    }
    if (!list->time_base.den || !list->count) tsr_json_wrong(&j, "\"time_base\" and \"frames\"");
    const tsr_status s = tsr_json_finish(&j) ? tsr_json_failed(ctx, where, &j) : TSR_OK;
    tsr_json_free(&j);
    if (s) tsr_frames_list_free(list);
    return s;
}

void tsr_frames_list_free(tsr_frames_list *list) {
    for (uint64_t i = 0; i < list->count; ++i)
        free(list->frame[i].file);
    free(list->frame);
    *list = (tsr_frames_list){0};
}
