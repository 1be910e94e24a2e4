/* SPDX-License-Identifier: MIT */
/* encode_clip.c: see encode_clip.h. */
#include "encode_clip.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/clip.h>

static const tsr_codebook_type types[] = {TSR_CODEBOOK_F16, TSR_CODEBOOK_F32, TSR_CODEBOOK_INT8};

/* "32", "elbow" or "error=0.2". */
static bool parse_rule(const char *text, tsr_clip_settings *s) {
    char *end;
    if (!strcmp(text, "elbow")) {
        s->rule = TSR_CLIP_ELBOW;
        return true;
    }
    if (!strncmp(text, "error=", 6)) {
        s->rule = TSR_CLIP_ERROR;
        s->error = strtod(text + 6, &end);
        return text[6] && !*end && s->error >= 0 && s->error <= 2;
    }
    const unsigned long k = strtoul(text, &end, 10);
    s->rule = TSR_CLIP_FIXED;
    s->clusters = (uint32_t)k;
    return *text >= '1' && *text <= '9' && !*end && k <= 1u << 26;
}

/* What becomes of the clips. */
typedef struct listing {
    tool *t;
    const clip_job *job;
    json_out j, bad; /* file NULL without --json */
    char *text, *bad_text;
    size_t size, bad_size;
    uint64_t unreached;
} listing;

/* tsr_encoded_clip_fn */
static void done_one(void *user, const tsr_encoded_clip *e) {
    listing *l = user;
    const tsr_clip *c = e->clip;
    const bool tell = l->job->common->verbose || !c->reached;
    char clean[256];
    l->unreached += !c->reached;
    if (tell) tool_progress_clear(l->t);
    if (tell)
        tool_say(l->t, "%s: %ux%ux%u cells of %u numbers, K %u%s (%u tried), mean cosine %.4f%s",
                 tool_clean(e->key, clean, sizeof clean), c->frames, c->rows, c->columns,
                 c->channels, c->clusters, e->newline ? " and a newline" : "", c->tried, c->cosine,
                 c->reached ? "" : ": the error asked for is out of reach");
    if (!l->j.file) return;
    json_object(&l->j, NULL);
    json_text(&l->j, "key", e->key);
    json_uint(&l->j, "frames", c->frames);
    json_uint(&l->j, "rows", c->rows);
    json_uint(&l->j, "columns", c->columns);
    json_uint(&l->j, "channels", c->channels);
    json_uint(&l->j, "clusters", c->clusters);
    json_uint(&l->j, "used", c->used);
    json_bool(&l->j, "newline", e->newline != 0);
    json_uint(&l->j, "tried", c->tried);
    json_uint(&l->j, "passes", c->passes);
    json_real(&l->j, "cosine", c->cosine);
    json_real(&l->j, "perplexity", c->perplexity);
    json_bool(&l->j, "error_reached", c->reached != 0);
    json_numbers(&l->j, "counts", c->counts, c->clusters);
    json_end(&l->j, '}');
}

/* tsr_encode_failure_fn */
static void failed_one(void *user, const tsr_encode_failure *f) {
    listing *l = user;
    char text[1200], clean[1200];
    if (l->job->on_error == TSR_ON_ERROR_STOP) return; /* said at the end */
    tool_progress_clear(l->t);
    snprintf(text, sizeof text, "%s: %s", tsr_status_text(f->status), f->detail);
    tool_warn(l->t, "%s", tool_clean(text, clean, sizeof clean));
    if (!l->bad.file) return;
    json_object(&l->bad, NULL);
    json_text(&l->bad, "input", f->input);
    json_text(&l->bad, "name", tsr_status_name(f->status));
    json_text(&l->bad, "detail", f->detail);
    json_end(&l->bad, '}');
}

static void begin(json_out *j, char **text, size_t *size) {
    FILE *f = open_memstream(text, size);
    if (!f) return;
    *j = (json_out){.file = f};
    fputc('[', f);
}

static void end(json_out *j) {
    if (!j->file) return;
    fputs(j->filled[0] ? "\n  ]" : "]", j->file);
    fclose(j->file);
}

static void print_json(tool *t, const clip_job *job, const tsr_clip_report *r, const listing *l) {
    json_out j;
    tool_json(t, &j);
    json_text(&j, "output", job->output);
    json_int(&j, "inputs", job->input_count);
    json_uint(&j, "clips", r->clips);
    json_uint(&j, "cells", r->cells);
    json_uint(&j, "tokens", r->tokens);
    json_uint(&j, "bytes", r->bytes);
    json_uint(&j, "codebook_bytes", r->codebook_bytes);
    json_uint(&j, "map_bytes", r->map_bytes);
    json_uint(&j, "gains_bytes", r->gains_bytes);
    json_real(&j, "cosine", r->cosine);
    json_uint(&j, "error_not_reached", l->unreached);
    json_real(&j, "seconds", r->seconds);
    json_text(&j, "device", r->device);
    json_uint(&j, "failed", r->failed);
    if (l->bad_text) json_raw(&j, "failures", l->bad_text);
    if (l->text) json_raw(&j, "items", l->text);
    json_close(&j);
}

static void say(tool *t, const clip_job *job, const tsr_clip_report *r) {
    char clips[32], tokens[32], bytes[4][32];
    const uint64_t sizes[4] = {r->bytes, r->codebook_bytes, r->map_bytes, r->gains_bytes};
    for (int i = 0; i < 4; ++i)
        tool_bytes(sizes[i], bytes[i], sizeof bytes[i]);
    const bool pipe = tool_is_stream(job->output);
    tool_say(t, "%s: %s, %" PRIu64 " cells to %s%s%s, mean cosine %.4f, %.2f s, on %s",
             args_is_stdout(job->output) ? "stdout" : job->output,
             tool_count(r->clips, "clip", clips), r->cells, tool_count(r->tokens, "token", tokens),
             pipe ? "" : ", ", pipe ? "" : bytes[0], r->cosine, r->seconds, r->device);
    if (!pipe)
        tool_say(t, "few tokens are not few bytes: codebooks %s, maps %s, gains %s", bytes[1],
                 bytes[2], bytes[3]);
    if (r->failed)
        tool_say(t, "%" PRIu64 " %s left out, as said above", r->failed,
                 r->failed == 1 ? "clip was" : "clips were");
}

int encode_clips_check(const verb *v, const clip_job *job) {
    const clip_choices *c = job->choices;
    tsr_clip_settings s = tsr_clip_settings_default();
    if (!parse_rule(c->rule, &s))
        return args_wrong(v,
                          "--clip-codebook: wanted a number K, elbow or error=E (a mean 1 - "
                          "cosine, 0..2), got %s",
                          c->rule);
    if ((c->least || c->most) && s.rule == TSR_CLIP_FIXED)
        return args_wrong(v, "--least-k and --most-k: wanted with elbow or error=E, got K %u",
                          s.clusters);
    const tsr_frame_choice *frames = &job->video->choice;
    const bool linear =
        frames->rule == TSR_FRAMES_ALL || (frames->rule == TSR_FRAMES_COUNT && !frames->rounding);
    if (!job->tower->model && (c->project || frames->rule || job->is_video))
        return args_wrong(v, "--project and --frames: wanted pictures and -t TOWER, got features");
    if (!job->is_video && !linear)
        return args_wrong(v, "of pictures --frames N alone takes some; the other rules take frames "
                             "of a video");
    if (job->is_video && job->input_count > 1)
        return args_wrong(v, "--clip-codebook: wanted one video, got %d", job->input_count);
    return -1;
}

static tsr_clip_files_settings settings_of(const clip_job *job, tool *t, listing *l) {
    const clip_choices *c = job->choices;
    tsr_clip_files_settings s = tsr_clip_files_settings_default();
    parse_rule(c->rule, &s.clip);
    s.clip.least = c->least;
    s.clip.most = c->most;
    s.clip.first = (tsr_clip_first)c->first;
    s.clip.seed = job->seed;
    s.clip.device = job->common->device;
    s.clip.progress = tool_progress;
    s.clip.progress_user = t;
    s.codebook_type = types[c->type];
    s.gains = c->gains;
    s.source = c->source;
    s.file = job->file;
    s.on_error = job->on_error;
    s.encoded = done_one;
    s.failed = failed_one;
    s.encoded_user = s.failed_user = l;
    return s;
}

/* Pictures, or features. */
static tsr_status encode(tool *t, const clip_job *job, const tsr_clip_files_settings *s,
                         tsr_clip_report *report) {
    const char *const *inputs = (const char *const *)job->inputs;
    if (!job->tower->model)
        return tsr_clip_encode_files(t->ctx, inputs, job->input_count, job->output, s, report);
    const tsr_clip_pictures_settings p = {.files = *s,
                                          .tower = *job->tower,
                                          .project = job->choices->project,
                                          .frames = job->video->choice.frames,
                                          .is_video = job->is_video,
                                          .video = job->video->settings,
                                          .choice = job->video->choice,
                                          .source = *job->source};
    return tsr_clip_encode_pictures(t->ctx, inputs, job->input_count, job->output, &p, report);
}

int encode_clips(tool *t, const clip_job *job) {
    listing l = {.t = t, .job = job};
    if (job->common->json) {
        begin(&l.j, &l.text, &l.size);
        begin(&l.bad, &l.bad_text, &l.bad_size);
    }
    const tsr_clip_files_settings s = settings_of(job, t, &l);
    tsr_clip_report report = {0};
    const tsr_status status = encode(t, job, &s, &report);
    int code = report.failed ? EXIT_NEGATIVE : EXIT_DONE;
    end(&l.j);
    end(&l.bad);
    tool_progress_clear(t);
    if (status)
        code = tool_fail(t, status);
    else if (job->common->json)
        print_json(t, job, &report, &l);
    else
        say(t, job, &report);
    free(l.text);
    free(l.bad_text);
    tool_close(t);
    return code;
}
