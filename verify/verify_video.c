/* SPDX-License-Identifier: MIT */
/* verify_video.c: golden cases of reading videos: what the file says, when each frame is shown, its
 * planes as decoded and its pixels, and what becomes of damaged files. */
#include "../media/video.h"
#include "verify.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 256 }; /* frames of a clip */

typedef struct clip {
    tsr_video *video;
    tsr_video_info info;
    tsr_video_frame frame[MOST]; /* rgb is owned */
    uint64_t planes[MOST];       /* hashes, written by the decoding thread, read at the end */
    int kept, count, tapped;     /* frames that are owned; compared; hashed */
    tsr_status end;              /* how reading ended */
    char detail[1024];
} clip;

static const cJSON *field(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

/* ---- reading ----------------------------------------------------------------------------------
 */

/* tsr_video_tap_fn: FNV-1a of the rows without padding, plane after plane. */
static void hash_planes(void *user, const tsr_video_planes *p) {
    clip *c = user;
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (int i = 0; i < p->count; ++i)
        for (uint32_t y = 0; y < p->rows[i]; ++y) {
            const uint8_t *row = p->row[i] + (ptrdiff_t)y * p->stride[i];
            for (size_t x = 0; x < p->bytes[i]; ++x)
                h = (h ^ row[x]) * UINT64_C(0x100000001b3);
        }
    if (c->tapped < MOST) c->planes[c->tapped++] = h;
}

static void close_clip(void **data) {
    clip *c = *data;
    tsr_video_close(&c->video);
    for (int i = 0; i < c->kept; ++i)
        free((void *)(uintptr_t)c->frame[i].rgb);
    free(c);
    *data = NULL;
}

static tsr_status keep_frame(tsr_verify *v, clip *c, const tsr_video_frame *f) {
    const size_t bytes = (size_t)f->width * f->height * 3;
    if (c->kept == MOST)
        return tsr_fail(v->ctx, TSR_ERROR_TOO_LARGE, "%s: wanted at most %d frames, got more",
                        tsr_verify_name(v), MOST);
    uint8_t *rgb = tsr_alloc(v->ctx, bytes, 1, "frame");
    if (!rgb) return TSR_ERROR_MEMORY;
    memcpy(rgb, f->rgb, bytes);
    c->frame[c->kept] = *f;
    c->frame[c->kept++].rgb = rgb;
    c->count = c->kept;
    return TSR_OK;
}

/* Reads the clip of the run to its end, whatever that is. NULL after a failure of this program. */
static clip *read_clip(tsr_verify *v) {
    char path[4096], raw[96];
    clip *c = tsr_alloc(v->ctx, 1, sizeof *c, "clip");
    if (!c) {
        v->status = TSR_ERROR_MEMORY;
        return NULL;
    }
    tsr_verify_close_later(v, c, close_clip);
    tsr_video_settings s = tsr_video_settings_default();
    const char *name = tsr_verify_text(v, v->run, "input");
    const cJSON *given = field(tsr_verify_entry(v->manifest, "inputs", name), "raw");
    tsr_verify_path(v, name, path, sizeof path);
    if (given) {
        snprintf(raw, sizeof raw, "%s,%.0fx%.0f", tsr_verify_text(v, given, "pix_fmt"),
                 tsr_verify_number(given, "width", 0), tsr_verify_number(given, "height", 0));
        s.raw = raw;
        s.rate = (tsr_rational){atoi(tsr_verify_text(v, given, "rate")), 1};
    }
    if (v->status) return NULL;
    c->end = tsr_video_open_tapped(v->ctx, path, &s, hash_planes, c, &c->video);
    for (const tsr_video_frame *f = NULL; !c->end;) {
        c->end = tsr_video_next(c->video, &f);
        if (c->end || !f) break;
        c->end = keep_frame(v, c, f);
    }
    snprintf(c->detail, sizeof c->detail, "%s", c->end ? tsr_detail(v->ctx) : "");
    if (c->video) c->info = *tsr_video_properties(c->video);
    return c;
}

/* ---- facts ------------------------------------------------------------------------------------
 */

/* The first fact that differs, and how many were compared. */
typedef struct facts {
    const cJSON *want;
    int compared;
    char first[256];
} facts;

static void differ(facts *f, const char *name, const char *want, const char *got) {
    if (!*f->first) snprintf(f->first, sizeof f->first, "%s: wanted %s, got %s", name, want, got);
}

/* A text; JSON's null and FFmpeg's words for no tag are "". */
static void text(facts *f, const cJSON *object, const char *name, const char *got) {
    const cJSON *item = field(object, name);
    if (!item) return;
    const char *want = cJSON_IsString(item) ? item->valuestring : "";
    if (!strcmp(want, "unknown") || !strcmp(want, "unspecified")) want = "";
    ++f->compared;
    if (strcmp(want, got)) differ(f, name, want, got);
}

static void number(facts *f, const char *name, int64_t got) {
    const cJSON *item = field(f->want, name);
    char a[32] = "none", b[32] = "none";
    if (!item) return;
    const int64_t want = cJSON_IsNumber(item)             ? (int64_t)item->valuedouble
                         : cJSON_IsBool(item)             ? cJSON_IsTrue(item)
                         : !strcmp(name, "header_frames") ? 0
                                                          : TSR_NO_TIME;
    ++f->compared;
    if (want == got) return;
    if (want != TSR_NO_TIME) snprintf(a, sizeof a, "%lld", (long long)want);
    if (got != TSR_NO_TIME) snprintf(b, sizeof b, "%lld", (long long)got);
    differ(f, name, a, b);
}

/* "25/1" or "4:3"; 0/0 and 0:1 are none. */
static void fraction(facts *f, const char *name, tsr_rational got) {
    const cJSON *item = field(f->want, name);
    long long a = 0, b = 0;
    char separator = 0, is[64];
    if (!item || sscanf(cJSON_IsString(item) ? item->valuestring : "", "%lld%c%lld", &a, &separator,
                        &b) != 3)
        return;
    ++f->compared;
    snprintf(is, sizeof is, "%lld/%lld", (long long)got.num, (long long)got.den);
    const bool none = !a || !b;
    if (none ? got.den != 0 : a * got.den != got.num * b) differ(f, name, item->valuestring, is);
}

static void compare_facts(tsr_verify *v, const clip *c) {
    static const char *const matrices[] = {"", "bt601", "bt709", "bt2020", "rgb"};
    const tsr_video_info *i = &c->info;
    facts f = {.want = field(v->run, "expect")};
    const cJSON *colour = field(f.want, "colour");
    text(&f, f.want, "container", i->container);
    text(&f, f.want, "codec", i->codec);
    text(&f, f.want, "profile", i->profile);
    text(&f, f.want, "pixel_format", i->samples);
    text(&f, f.want, "field_order", i->field_order);
    text(&f, f.want, "matrix_used", matrices[i->matrix]);
    text(&f, colour, "range", i->color_range);
    text(&f, colour, "matrix", i->color_matrix);
    text(&f, colour, "primaries", i->color_primaries);
    text(&f, colour, "transfer", i->color_transfer);
    text(&f, colour, "chroma", i->chroma_place);
    number(&f, "width", i->width);
    number(&f, "height", i->height);
    number(&f, "display_width", i->display_width);
    number(&f, "display_height", i->display_height);
    number(&f, "start", i->start);
    number(&f, "duration", i->duration);
    number(&f, "header_frames", (int64_t)i->header_frames);
    number(&f, "stream", i->stream);
    number(&f, "video_streams", i->video_streams);
    number(&f, "rotate_clockwise", i->rotation);
    number(&f, "mirror", i->mirror);
    number(&f, "full_range_used", i->range == TSR_VIDEO_RANGE_FULL);
    number(&f, "loop", i->loops);
    fraction(&f, "time_base", i->time_base);
    fraction(&f, "average_rate", i->rate);
    fraction(&f, "base_rate", i->base_rate);
    fraction(&f, "sample_aspect", i->sample_aspect);
    tsr_verify_line(v, "facts", !*f.first, "%d compared%s%s", f.compared, *f.first ? "; " : "",
                    f.first);
}

/* ---- frames -----------------------------------------------------------------------------------
 */

/* One value a frame, or one number for all; null is no time. */
static void compare_values(tsr_verify *v, const char *name, const clip *c,
                           int64_t (*value)(const tsr_video_frame *f)) {
    const cJSON *list = field(v->run, name);
    int differences = 0;
    char first[96] = "";
    if (!list) return;
    for (int i = 0; i < c->count; ++i) {
        const cJSON *item = cJSON_IsArray(list) ? cJSON_GetArrayItem(list, i) : list;
        const int64_t want = cJSON_IsNumber(item) ? (int64_t)item->valuedouble : TSR_NO_TIME,
                      got = value(&c->frame[i]);
        if (item && want == got) continue;
        if (!differences++)
            snprintf(first, sizeof first, "; frame %d: wanted %lld, got %lld", i, (long long)want,
                     (long long)got);
    }
    tsr_verify_line(v, name, !differences, "%d of %d frames differ%s", differences, c->count,
                    first);
}

static int64_t pts_of(const tsr_video_frame *f) {
    return f->pts;
}
static int64_t duration_of(const tsr_video_frame *f) {
    return f->duration;
}

static void compare_keys(tsr_verify *v, const clip *c) {
    const cJSON *list = field(v->run, "key"), *types = field(v->run, "types");
    int keys = 0, differences = 0;
    if (!list) return;
    for (int i = 0; i < c->count; ++i) {
        if (!c->frame[i].key) continue;
        const cJSON *item = cJSON_GetArrayItem(list, keys++);
        differences += !cJSON_IsNumber(item) || item->valueint != i;
    }
    differences += keys != cJSON_GetArraySize(list);
    for (int i = 0; i < c->count && cJSON_IsString(types) && i < (int)strlen(types->valuestring);
         ++i)
        differences += types->valuestring[i] != c->frame[i].type;
    tsr_verify_line(v, "key", !differences, "%d key frames; %d places differ", keys, differences);
}

static void compare_planes(tsr_verify *v, const clip *c) {
    const cJSON *list = field(v->run, "planes"), *item;
    int i = 0, differences = 0;
    if (!list) return;
    if (!cJSON_IsTrue(field(v->run, "planes_exact"))) {
        tsr_verify_leave_out(v, "planes", "the codec leaves the inverse transform open");
        return;
    }
    cJSON_ArrayForEach(item, list) {
        const char *hex = cJSON_IsString(item) ? item->valuestring : "";
        differences += i >= c->tapped || strtoull(hex, NULL, 16) != c->planes[i];
        ++i;
    }
    tsr_verify_line(v, "planes", !differences, "%d of %d frames differ", differences, i);
}

static void compare_interlaced(tsr_verify *v, const clip *c) {
    const cJSON *want = field(v->run, "interlaced"), *top = field(v->run, "top_field_first");
    int differences = 0;
    for (int i = 0; i < c->count; ++i) {
        differences += c->frame[i].interlaced != (want ? cJSON_IsTrue(want) : 0);
        if (top) differences += c->frame[i].top_first != cJSON_IsTrue(top);
    }
    if (want) tsr_verify_line(v, "interlaced", !differences, "%d frames differ", differences);
}

static void compare_sizes(tsr_verify *v, const clip *c) {
    const cJSON *list = field(v->run, "sizes");
    int differences = 0;
    if (!list) return;
    for (int i = 0; i < c->count; ++i) {
        const cJSON *size = cJSON_GetArrayItem(list, i);
        const cJSON *w = cJSON_GetArrayItem(size, 0), *h = cJSON_GetArrayItem(size, 1);
        differences += !w || !h || (uint32_t)w->valueint != c->frame[i].width ||
                       (uint32_t)h->valueint != c->frame[i].height;
    }
    tsr_verify_line(v, "sizes", !differences, "%d of %d frames differ", differences, c->count);
}

/* "rgb": all frames, of one size; "rgb.N": frame N. */
static void compare_pixels(tsr_verify *v, const clip *c) {
    const cJSON *entry;
    cJSON_ArrayForEach(entry, field(v->run, "outputs")) {
        const char *name = tsr_verify_text(v, entry, "name");
        int only = -1, rank = 4;
        if (v->status) return;
        if (sscanf(name, "rgb.%d", &only) == 1) rank = 3;
        const int first = only < 0 ? 0 : only, count = only < 0 ? c->count : 1;
        if (!c->count || first >= c->count) {
            tsr_verify_line(v, name, false, "wanted frames, got %d", c->count);
            continue;
        }
        const tsr_video_frame *f = &c->frame[first];
        const size_t bytes = (size_t)f->width * f->height * 3;
        uint8_t *all = tsr_verify_take(v, count, bytes, "frames");
        const int64_t dim[4] = {count, f->height, f->width, 3};
        bool alike = true;
        for (int i = 0; i < count && all; ++i) {
            alike &= f[i].width == f->width && f[i].height == f->height;
            if (alike) memcpy(all + (size_t)i * bytes, f[i].rgb, bytes);
        }
        if (!alike)
            tsr_verify_line(v, name, false, "wanted frames of one size, got several");
        else
            tsr_verify_u8(v, name, all, rank, dim + 4 - rank);
    }
}

/* ---- all ---------------------------------------------------------------------------------------
 */

/* What must not be read. */
static void compare_refusal(tsr_verify *v, const clip *c, const char *result) {
    bool right = c->end != TSR_OK && !c->count;
    if (!strcmp(result, "no video stream")) right &= strstr(c->detail, "video stream") != NULL;
    if (!strcmp(result, "no frames")) right &= c->end == TSR_ERROR_TRUNCATED && c->video;
    if (!strcmp(result, "refused")) right &= !c->video;
    if (!strcmp(result, "unspecified")) right = true; /* an answer or a refusal, and no crash */
    tsr_verify_line(v, "result", right, "wanted: %s; got %d frames%s%s", result, c->count,
                    *c->detail ? ": " : "", c->detail);
}

void tsr_verify_video(tsr_verify *v) {
    clip *c = read_clip(v);
    const cJSON *expect = field(v->run, "expect"), *result = field(expect, "result");
    if (!c || v->status) return;
    if (c->end == TSR_ERROR_UNSUPPORTED && !c->video && strstr(c->detail, "this build was made")) {
        tsr_verify_leave_out(v, "", "this build was made without what reads it");
        return;
    }
    if (cJSON_IsString(result)) {
        compare_refusal(v, c, result->valuestring);
        return;
    }
    const int frames = (int)tsr_verify_number(expect, "frames", -1);
    const char *damage = cJSON_GetStringValue(field(expect, "damage"));
    const bool told = damage && strncmp(damage, "none", 4) != 0;
    const int got = c->count;
    /* A reader that stops loses whole frames that wait in the decoder to be shown; this one gives
     * them, too (test_video compares them with those of the whole clip). */
    if (told && !field(expect, "shown_by_ffmpeg") && got > frames &&
        got < (int)tsr_verify_number(expect, "header_frames", 0))
        c->count = frames;
    tsr_verify_line(v, "frames", c->count == frames && (c->end != TSR_OK) == told,
                    "wanted %d%s, got %d%s%s", frames,
                    told ? " or more and a report of damage" : "", got, *c->detail ? ": " : "",
                    c->detail);
    compare_facts(v, c);
    compare_values(v, "pts", c, pts_of);
    compare_values(v, "durations", c, duration_of);
    compare_keys(v, c);
    compare_planes(v, c);
    compare_interlaced(v, c);
    compare_sizes(v, c);
    compare_pixels(v, c);
}
