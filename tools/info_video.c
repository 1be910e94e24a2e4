/* SPDX-License-Identifier: MIT */
/* info_video.c: see info_video.h. */
#include "info_video.h"

#include <inttypes.h>
#include <string.h>
#include <tessera/media.h>

static const char *const matrices[] = {"", "bt601", "bt709", "bt2020", "rgb"};
static const char *const ranges[] = {"", "limited", "full"};

/* Units of the time base as seconds. */
static double seconds(const tsr_video_info *i, int64_t units) {
    return (double)units * (double)i->time_base.num / (double)i->time_base.den;
}

static const char *or_none(const char *text) {
    return *text ? text : "not said";
}

static void print_text(const tsr_video_info *i, const char *path, tsr_video *video) {
    char clean[256], text[96];
    int count = 0;
    const tsr_rational rate = i->rate.den ? i->rate : i->base_rate;
    printf("file        %s\n", tool_clean(path, clean, sizeof clean));
    printf("video       %s%s%s in %s, samples %s\n", i->codec, *i->profile ? ", " : "", i->profile,
           i->container, or_none(i->samples));
    printf("streams     %d of video (number %d is read), %d of sound, %d in all\n",
           i->video_streams, i->stream, i->audio_streams, i->streams);
    printf("size        %ux%u", i->width, i->height);
    if (i->display_width != i->width || i->display_height != i->height)
        printf(", shown as %ux%u", i->display_width, i->display_height);
    if (i->sample_aspect.den && i->sample_aspect.num != i->sample_aspect.den)
        printf(", pixels %" PRId64 ":%" PRId64, i->sample_aspect.num, i->sample_aspect.den);
    if (i->rotation) printf(", turned by %d degrees", i->rotation);
    printf("%s\n", i->mirror ? ", mirrored" : "");
    if (rate.den)
        snprintf(text, sizeof text, "%.6g frames a second (%" PRId64 "/%" PRId64 ")%s",
                 (double)rate.num / (double)rate.den, rate.num, rate.den,
                 i->rate_assumed ? ", assumed" : "");
    printf("rate        %s\n", rate.den ? text : "not said");
    printf("times       ");
    if (!i->has_times)
        printf("none in the file");
    else
        printf("units of %" PRId64 "/%" PRId64 " s", i->time_base.num, i->time_base.den);
    if (i->has_times && i->start != TSR_NO_TIME) printf(", from %.3f s", seconds(i, i->start));
    if (i->has_times && i->duration != TSR_NO_TIME)
        printf(", %.3f s by the header", seconds(i, i->duration));
    if (i->header_frames) printf(", %" PRIu64 " frames by the header", i->header_frames);
    printf("\ncolour      matrix %s%s, %s range%s; primaries %s, transfer %s, chroma %s\n",
           matrices[i->matrix], i->matrix_assumed ? " (assumed)" : "", ranges[i->range],
           i->range_assumed ? " (assumed)" : "", or_none(i->color_primaries),
           or_none(i->color_transfer), or_none(i->chroma_place));
    printf("fields      %s\n", or_none(i->field_order));
    if (i->loops >= 0) printf("loops       %d%s\n", i->loops, i->loops ? "" : " (without end)");
    const char *const *remarks = tsr_video_remarks(video, &count);
    for (int k = 0; k < count; ++k)
        printf("remark      %s\n", tool_clean(remarks[k], clean, sizeof clean));
}

static void json_rational(json_out *j, const char *key, tsr_rational r) {
    char text[64];
    snprintf(text, sizeof text, "%" PRId64 "/%" PRId64, r.num, r.den);
    if (r.den)
        json_text(j, key, text);
    else
        json_null(j, key);
}

static void json_units(json_out *j, const char *key, int64_t units) {
    if (units == TSR_NO_TIME)
        json_null(j, key);
    else
        json_int(j, key, units);
}

static void print_json(tool *t, const tsr_video_info *i, const char *path, tsr_video *video) {
    json_out j;
    int count = 0;
    tool_json(t, &j);
    json_text(&j, "file", path);
    json_text(&j, "kind", "video");
    json_text(&j, "container", i->container);
    json_text(&j, "codec", i->codec);
    json_text(&j, "profile", i->profile);
    json_text(&j, "samples", i->samples);
    json_int(&j, "stream", i->stream);
    json_int(&j, "streams", i->streams);
    json_int(&j, "video_streams", i->video_streams);
    json_int(&j, "audio_streams", i->audio_streams);
    json_uint(&j, "width", i->width);
    json_uint(&j, "height", i->height);
    json_uint(&j, "display_width", i->display_width);
    json_uint(&j, "display_height", i->display_height);
    json_rational(&j, "sample_aspect", i->sample_aspect);
    json_int(&j, "rotation", i->rotation);
    json_bool(&j, "mirrored", i->mirror != 0);
    json_rational(&j, "time_base", i->time_base);
    json_units(&j, "start", i->start);
    json_units(&j, "duration", i->duration);
    json_uint(&j, "header_frames", i->header_frames);
    json_rational(&j, "rate", i->rate);
    json_rational(&j, "base_rate", i->base_rate);
    json_bool(&j, "rate_assumed", i->rate_assumed != 0);
    json_bool(&j, "has_times", i->has_times != 0);
    json_text(&j, "matrix", matrices[i->matrix]);
    json_bool(&j, "matrix_assumed", i->matrix_assumed != 0);
    json_text(&j, "range", ranges[i->range]);
    json_bool(&j, "range_assumed", i->range_assumed != 0);
    json_text(&j, "primaries", i->color_primaries);
    json_text(&j, "transfer", i->color_transfer);
    json_text(&j, "chroma_place", i->chroma_place);
    json_text(&j, "field_order", i->field_order);
    json_array(&j, "remarks");
    const char *const *remarks = tsr_video_remarks(video, &count);
    for (int k = 0; k < count; ++k)
        json_text(&j, NULL, remarks[k]);
    json_end(&j, ']');
    json_close(&j);
}

int info_video(tool *t, const char *path) {
    tsr_video *video = NULL;
    const tsr_status s = tsr_video_open(t->ctx, path, NULL, &video);
    if (s) return tool_fail(t, s);
    const tsr_video_info *i = tsr_video_properties(video);
    if (t->o->json)
        print_json(t, i, path, video);
    else
        print_text(i, path, video);
    tsr_video_close(&video);
    return EXIT_DONE;
}
