/* SPDX-License-Identifier: MIT */
/* read_frames_folder.c: a folder of pictures as a video: its pictures in natural order, by their
 * suffix, at a constant rate, or at the times of a file timecodes.txt beside them (format v2: one
 * number of milliseconds a line); or, without that, those that a file frames.json names
 * (frames_list.h), at its times. */
#include "../formats/file.h"
#include "../formats/file_names.h"
#include "frames_list.h"
#include "image.h"
#include "video.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_NAMES = 1 << 24, MICRO = 1000000 };

typedef struct folder {
    tsr_video_opening o;
    char **name; /* [count] */
    uint64_t count, room;
    uint64_t at;
    int64_t *pts;       /* [count] in units of `time_base`; NULL: at the rate */
    uint64_t *duration; /* [count] of frames.json, 0: up to the next one; NULL: all are */
    tsr_rational time_base, rate;
    tsr_video_change change;
} folder;

static int by_name(const void *a, const void *b) {
    return tsr_natural_order(*(char *const *)a, *(char *const *)b);
}

static tsr_status add_name(folder *v, const char *name) {
    if (v->count == v->room) {
        const uint64_t room = v->room ? v->room * 2 : 64;
        char **more = room > MOST_NAMES ? NULL : realloc(v->name, room * sizeof *more);
        if (!more)
            return tsr_fail(v->o.ctx, TSR_ERROR_TOO_LARGE,
                            "%s: wanted at most %d pictures, got more", v->o.input->name,
                            MOST_NAMES);
        v->name = more;
        v->room = room;
    }
    v->name[v->count] = strdup(name);
    if (!v->name[v->count])
        return tsr_fail(v->o.ctx, TSR_ERROR_MEMORY, "%s: no memory for names", v->o.input->name);
    v->count++;
    return TSR_OK;
}

static tsr_status list_names(folder *v) {
    DIR *d = opendir(v->o.input->path);
    if (!d) return tsr_fail_errno(v->o.ctx, "%s: reading the folder", v->o.input->name);
    tsr_status s = TSR_OK;
    for (struct dirent *e; !s && (e = readdir(d));)
        if (e->d_name[0] != '.' && tsr_file_kind(e->d_name) == TSR_NAME_PICTURE)
            s = add_name(v, e->d_name);
    closedir(d);
    if (!s && !v->count)
        s = tsr_fail(v->o.ctx, TSR_ERROR_FORMAT, "%s: wanted numbered pictures, got none",
                     v->o.input->name);
    if (!s) qsort(v->name, v->count, sizeof *v->name, by_name);
    return s;
}

static tsr_status read_picture(folder *v, uint64_t index, tsr_image *image) {
    char path[4096];
    tsr_image_settings s = tsr_image_settings_default();
    memcpy(s.background, v->o.settings->background, 3);
    s.max_pixels = v->o.settings->max_pixels;
    if ((size_t)snprintf(path, sizeof path, "%s/%s", v->o.input->path, v->name[index]) >=
        sizeof path)
        return tsr_fail(v->o.ctx, TSR_ERROR_ARGUMENT,
                        "%s: wanted a path below %zu bytes, got longer", v->o.input->name,
                        sizeof path);
    return tsr_image_read(v->o.ctx, path, &s, image);
}

/* ---- times --------------------------------------------------------------------------------------
 */

/* "1234.567" milliseconds as whole microseconds; false: it is none. */
static bool microseconds(const char *line, size_t length, int64_t *time) {
    int64_t whole = 0, part = 0;
    size_t i = 0;
    int digits = 0;
    for (; i < length && line[i] >= '0' && line[i] <= '9'; ++i, ++digits)
        if (digits >= 14)
            return false;
        else
            whole = whole * 10 + (line[i] - '0');
    if (!digits) return false;
    if (i < length && line[i] == '.') {
        int scale = 100;
        for (++i; i < length && line[i] >= '0' && line[i] <= '9'; ++i, scale /= 10)
            part += (int64_t)scale * (line[i] - '0');
    }
    while (i < length && (line[i] == ' ' || line[i] == '\r'))
        ++i;
    *time = whole * 1000 + part;
    return i == length;
}

/* Maps a file of the folder; *there: there is one. */
static tsr_status map_beside(folder *v, const char *name, char *path, size_t room, tsr_map *map,
                             bool *there) {
    *there =
        (size_t)snprintf(path, room, "%s/%s", v->o.input->path, name) < room && !access(path, F_OK);
    return *there ? tsr_map_open(v->o.ctx, path, map) : TSR_OK;
}

static tsr_status read_timecodes(folder *v, const char *path, const tsr_map *map) {
    tsr_status s = TSR_OK;
    v->time_base = (tsr_rational){1, MICRO};
    v->pts = tsr_alloc(v->o.ctx, v->count, sizeof *v->pts, "times of frames");
    if (!v->pts) return TSR_ERROR_MEMORY;
    uint64_t n = 0;
    const char *at = (const char *)map->bytes, *end = at + map->size;
    for (uint64_t line = 1; at < end && !s; ++line) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        const size_t length = (size_t)((stop ? stop : end) - at);
        int64_t time;
        if (length && *at != '#') {
            if (!microseconds(at, length, &time) || (n && n <= v->count && time <= v->pts[n - 1]))
                s = tsr_fail(v->o.ctx, TSR_ERROR_FORMAT,
                             "%s: line %llu: wanted milliseconds that rise, got \"%.*s\"", path,
                             (unsigned long long)line, (int)(length < 40 ? length : 40), at);
            else if (n < v->count)
                v->pts[n] = time;
            ++n;
        }
        at += length + 1;
    }
    if (!s && n < v->count)
        s = tsr_fail(v->o.ctx, TSR_ERROR_FORMAT,
                     "%s: wanted a time for each of %llu pictures, got %llu", path,
                     (unsigned long long)v->count, (unsigned long long)n);
    return s;
}

static int find_name(const void *text, const void *name) {
    return tsr_natural_order(text, *(char *const *)name);
}

/* Brings the pictures into the order of a list that names all of them, with its times. Frames of
 * the list that are not there are left out. */
static tsr_status take_listed(folder *v, const char *path, const tsr_frames_list *list) {
    char **listed = tsr_alloc(v->o.ctx, list->count, sizeof *listed, "names of frames");
    bool *taken = tsr_alloc(v->o.ctx, v->count, sizeof *taken, "names of frames");
    v->pts = tsr_alloc(v->o.ctx, list->count, sizeof *v->pts, "times of frames");
    v->duration = tsr_alloc(v->o.ctx, list->count, sizeof *v->duration, "times of frames");
    tsr_status s = listed && taken && v->pts && v->duration ? TSR_OK : TSR_ERROR_MEMORY;
    uint64_t n = 0, other = 0;
    for (uint64_t i = 0; i < list->count && !s; ++i) {
        const tsr_listed_frame *f = &list->frame[i];
        char **at = bsearch(f->file, v->name, v->count, sizeof *v->name, find_name);
        if (!at) continue;
        if (taken[at - v->name])
            s = tsr_fail(v->o.ctx, TSR_ERROR_FORMAT, "%s: wanted each file once, got %s twice",
                         path, f->file);
        taken[at - v->name] = true;
        listed[n] = *at;
        v->pts[n] = f->pts;
        v->duration[n++] = (uint64_t)f->duration;
    }
    while (!s && other < v->count && taken[other])
        ++other;
    if (!s && other < v->count)
        s = tsr_fail(v->o.ctx, TSR_ERROR_FORMAT,
                     "%s: wanted a time for each picture, got none for %s", path, v->name[other]);
    if (!s) {
        if (n < list->count)
            tsr_video_remark(v->o.remarks, "%s: %llu of the %llu frames are not there", path,
                             (unsigned long long)(list->count - n),
                             (unsigned long long)list->count);
        memcpy(v->name, listed, n * sizeof *listed); /* all of them, each once: n is v->count */
        v->time_base = list->time_base;
        v->rate = list->rate;
    }
    free(listed);
    free(taken);
    return s;
}

static tsr_status read_times(folder *v) {
    char path[4096];
    tsr_map map;
    tsr_frames_list list;
    bool there;
    tsr_status s = map_beside(v, "timecodes.txt", path, sizeof path, &map, &there);
    if (s) return s;
    if (there) {
        s = read_timecodes(v, path, &map);
        tsr_map_close(&map);
        return s;
    }
    s = map_beside(v, TSR_VIDEO_FRAMES_FILE, path, sizeof path, &map, &there);
    if (s || !there) return s;
    s = tsr_frames_list_parse(v->o.ctx, path, map.bytes, map.size, &list);
    tsr_map_close(&map);
    if (s) return s;
    s = take_listed(v, path, &list);
    tsr_frames_list_free(&list);
    return s;
}

/* ---- the kind -----------------------------------------------------------------------------------
 */

static void describe(folder *v, const tsr_image *first) {
    tsr_video_info *info = v->o.info;
    const tsr_rational rate = v->o.settings->rate;
    const char *dot = strrchr(v->name[0], '.');
    strcpy(info->container, "frames");
    snprintf(info->codec, sizeof info->codec, "%s", dot ? dot + 1 : "");
    strcpy(info->samples, "rgb24");
    info->streams = info->video_streams = 1;
    info->width = info->display_width = (uint32_t)first->width;
    info->height = info->display_height = (uint32_t)first->height;
    info->start = v->pts ? v->pts[0] : 0;
    info->header_frames = v->count;
    info->has_times = 1;
    info->primaries = info->transfer = 2;
    info->matrix = TSR_VIDEO_MATRIX_RGB;
    info->range = TSR_VIDEO_RANGE_FULL;
    if (v->pts) {
        info->time_base = v->time_base;
        info->rate = info->base_rate = v->rate;
        info->duration = TSR_NO_TIME;
        return;
    }
    info->rate = info->base_rate = rate.den ? rate : (tsr_rational){25, 1};
    info->time_base = (tsr_rational){info->rate.den, info->rate.num};
    info->duration = (int64_t)v->count;
    info->rate_assumed = 1;
    tsr_video_remark(v->o.remarks, "%s: pictures have no times: %g frames a second are %s",
                     v->o.input->name, (double)info->rate.num / (double)info->rate.den,
                     rate.den ? "used as asked" : "assumed");
}

static tsr_status open_folder(const tsr_video_opening *o, void **state) {
    folder *v = tsr_alloc(o->ctx, 1, sizeof *v, "video");
    if (!v) return TSR_ERROR_MEMORY;
    *state = v;
    v->o = *o;
    tsr_image first = {0};
    tsr_status s = list_names(v);
    if (!s) s = read_times(v);
    if (!s) s = read_picture(v, 0, &first);
    if (!s) describe(v, &first);
    tsr_image_free(&first);
    return s;
}

static tsr_status next_in_folder(void *state, tsr_video_slot *slot, bool *end) {
    folder *v = state;
    tsr_image image = {0};
    if (v->at == v->count) {
        *end = true;
        return TSR_OK;
    }
    const uint64_t i = v->at;
    tsr_status s = read_picture(v, i, &image);
    if (s) return s;
    ++v->at;
    int64_t duration = v->duration ? (int64_t)v->duration[i] : 0;
    if (!duration)
        duration = !v->pts            ? 1
                   : i + 1 < v->count ? v->pts[i + 1] - v->pts[i]
                   : i                ? v->pts[i] - v->pts[i - 1]
                                      : 0;
    free(slot->bytes);
    slot->bytes = image.rgb;
    slot->room = (size_t)image.width * (size_t)image.height * 3;
    slot->frame = (tsr_video_frame){.rgb = image.rgb,
                                    .width = (uint32_t)image.width,
                                    .height = (uint32_t)image.height,
                                    .pts = v->pts ? v->pts[i] : (int64_t)i,
                                    .duration = duration,
                                    .type = 'I',
                                    .key = 1};
    return tsr_video_change_of(v->o.ctx, &v->change, slot->bytes, (ptrdiff_t)image.width * 3,
                               (size_t)image.width * 3, slot->frame.height,
                               &slot->frame.luma_change);
}

static tsr_status seek_in_folder(void *state, int64_t pts) {
    folder *v = state;
    v->at = 0;
    if (!v->pts && pts > 0) v->at = (uint64_t)pts < v->count ? (uint64_t)pts : v->count - 1;
    while (v->pts && v->at + 1 < v->count && v->pts[v->at + 1] <= pts)
        ++v->at;
    v->change.filled = false;
    return TSR_OK;
}

static void close_folder(void *state) {
    folder *v = state;
    for (uint64_t i = 0; i < v->count; ++i)
        free(v->name[i]);
    free(v->name);
    free(v->pts);
    free(v->duration);
    free(v->change.last);
    free(v);
}

const tsr_video_kind tsr_video_kind_folder = {open_folder, next_in_folder, seek_in_folder,
                                              close_folder};
