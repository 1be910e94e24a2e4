/* SPDX-License-Identifier: MIT */
/* batch.c: data sets to a folder of shards. The reader's thread goes through the shards of this
 * rank and puts a mark into the pipeline where one begins and where it ends; the calling thread
 * meets the marks in their places, and opens and closes token files there, and in the shard of a
 * video its clip. */
#include "../codec/video_feed.h"
#include "../compute/clock.h"
#include "../datasets/source_parts.h"
#include "journal.h"
#include "shards.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SHARD_SIZE = 10000 };

/* Begin or end of a shard in the pipeline, or of the clip in one. */
typedef struct mark {
    const tsr_shard *shard;
    bool end;
    const void *clip; /* the mark of the video's feed; NULL: of the shard */
    uint64_t input_hash, content_hash;
} mark;

/* One call's work. */
typedef struct job {
    tsr_context *ctx;
    const tsr_batch_settings *s;
    tsr_batch_report *report;
    const char *folder;
    tsr_source_list *list;
    tsr_shards shards;
    tsr_pipeline *pipeline;
    tsr_journal *journal;
    uint64_t *todo; /* [todo_count] shards of this rank that are to be made */
    uint64_t todo_count, pictures_todo, pictures_done;
    /* reader's */
    uint64_t next; /* in todo */
    bool within;   /* between the marks of `next` */
    tsr_source *source;
    tsr_video_feed *videos; /* NULL: the list has none */
    bool of_video;          /* the shard at work: its video was begun */
    mark *marks;            /* [todo_count][4] begin and end of each, and of its clip */
    /* caller's: the shard at work */
    tsr_token_writer *writer;
    bool clip; /* is open in it */
    char *path;
    tsr_batch_shard now;
    double began;
} job;

tsr_batch_settings tsr_batch_settings_default(void) {
    return (tsr_batch_settings){.model = tsr_model_settings_default(),
                                .encode = tsr_encode_settings_default(),
                                .file = tsr_token_writer_settings_default(),
                                .source = {.key = TSR_KEY_AUTO},
                                .video = tsr_video_settings_default(),
                                .on_error = TSR_ON_ERROR_SKIP};
}

/* ---- reader ------------------------------------------------------------------------------- */

static void end_shard_of(job *j, uint64_t content_hash, tsr_feed *feed) {
    mark *m = &j->marks[4 * j->next + 1];
    *m = (mark){.shard = m[-1].shard, .end = true, .content_hash = content_hash};
    tsr_source_close(&j->source);
    j->within = j->of_video = false;
    ++j->next;
    feed->mark = m;
}

/* XXH64 of a file as it is read now; of what is no file that of nothing. */
static uint64_t hash_of_file(tsr_context *ctx, const char *path) {
    tsr_hash hash;
    tsr_source_bytes bytes;
    char piece[1 << 14];
    struct stat st;
    size_t got = 1;
    tsr_hash_start(&hash, 0);
    if (strcmp(path, "-") && !stat(path, &st) && S_ISREG(st.st_mode) &&
        !tsr_source_bytes_open(ctx, path, &hash, &bytes)) {
        while (got && !tsr_source_bytes_read(&bytes, piece, sizeof piece, &got)) {
        }
        tsr_source_bytes_close(&bytes);
    }
    return tsr_hash_finish(&hash);
}

/* The next step of the shard of a video. */
static tsr_status feed_video(job *j, tsr_context *ctx, const tsr_shard *shard, tsr_feed *feed) {
    const tsr_source_entry entry = tsr_source_list_entry(j->list, shard->first);
    if (!j->of_video) tsr_video_feed_begin(j->videos, shard->first, entry.path, entry.key);
    j->of_video = true;
    tsr_status status = tsr_video_feed_next(j->videos, ctx, feed);
    if (!status && feed->sample) status = tsr_source_list_complete(ctx, j->list, feed->sample);
    if (!status && !feed->sample && !feed->mark)
        end_shard_of(j, hash_of_file(ctx, entry.path), feed);
    else if (feed->mark) {
        mark *m = &j->marks[4 * j->next + 2];
        m += m->clip != NULL; /* the clip's begin came before */
        *m = (mark){.shard = shard, .clip = feed->mark};
        feed->mark = m;
    }
    return status;
}

/* tsr_feed_fn */
static tsr_status feed_next(void *user, tsr_context *ctx, tsr_feed *feed) {
    job *j = user;
    if (!j->within && j->next == j->todo_count) return TSR_OK;
    const tsr_shard *shard = &j->shards.shard[j->todo[j->next]];
    if (!j->within) {
        mark *m = &j->marks[4 * j->next];
        *m = (mark){.shard = shard, .input_hash = tsr_shard_input_hash(j->list, shard)};
        j->within = true;
        feed->mark = m;
        return TSR_OK;
    }
    tsr_status status = TSR_OK;
    if (tsr_source_list_entry(j->list, shard->first).kind == TSR_SOURCE_VIDEO)
        return feed_video(j, ctx, shard, feed);
    if (!j->source) status = tsr_source_open(ctx, j->list, shard->first, shard->count, &j->source);
    if (!status) status = tsr_source_next(j->source, &feed->sample);
    if (!status && !feed->sample) end_shard_of(j, tsr_source_hash(j->source), feed);
    return status;
}

/* ---- caller ------------------------------------------------------------------------------- */

static tsr_status tell_bad(job *j, const tsr_sample *sample, tsr_status status,
                           const char *detail) {
    const tsr_encode_failure failure = {sample->name, status, detail};
    ++j->report->failed;
    ++j->now.errors;
    if (j->s->failed) j->s->failed(j->s->failed_user, &failure);
    if (j->s->on_error == TSR_ON_ERROR_STOP) return tsr_fail(j->ctx, status, "%s", detail);
    return tsr_journal_note(j->journal, j->now.name, sample->key, sample->name, status, detail);
}

static tsr_status begin_shard(job *j, const mark *m) {
    const tsr_source_entry entry = tsr_source_list_entry(j->list, m->shard->first);
    j->now = (tsr_batch_shard){
        .name = m->shard->name, .input = entry.path, .input_hash = m->input_hash, .complete = 1};
    j->began = tsr_seconds();
    free(j->path);
    if (asprintf(&j->path, "%s/%s", j->folder, m->shard->name) < 0) {
        j->path = NULL;
        return tsr_fail(j->ctx, TSR_ERROR_MEMORY, "batch: no memory for a name");
    }
    /* What stands there is of an earlier run and not in its manifest, or is to be made anew. */
    const int keep = j->ctx->settings.keep_existing;
    j->ctx->settings.keep_existing = 0;
    const tsr_status status =
        tsr_token_writer_open(j->ctx, &j->writer, j->path,
                              &tsr_pipeline_encoder(j->pipeline, 0)->plan.header, &j->s->file);
    j->ctx->settings.keep_existing = keep;
    return status;
}

/* Of an archive that could not be read to its end what came before is kept, unless nothing was. */
static tsr_status end_shard(job *j, const mark *m) {
    tsr_batch_report *r = j->report;
    if (!j->now.complete && !j->now.items) {
        tsr_token_writer_abandon(&j->writer);
        ++r->unmade;
        return tsr_journal_give_up(j->journal, j->now.name);
    }
    tsr_status status = tsr_token_writer_close(&j->writer);
    if (status) return status;
    struct stat st;
    j->now.bytes = stat(j->path, &st) == 0 ? (uint64_t)st.st_size : 0;
    j->now.content_hash = m->content_hash;
    j->now.seconds = tsr_seconds() - j->began;
    status = tsr_journal_finish(j->journal, &j->now);
    if (status) return status;
    ++r->made;
    r->partial += !j->now.complete;
    r->pictures += j->now.items;
    r->tokens += j->now.tokens;
    r->bytes += j->now.bytes;
    if (j->s->shard) j->s->shard(j->s->shard_user, &j->now);
    return TSR_OK;
}

static tsr_status add_item(job *j, const tsr_passed *passed) {
    const tsr_encoding *e = passed->encoding;
    const tsr_sample *sample = passed->sample;
    ++j->pictures_done;
    j->report->near_ties += e->near_ties;
    if (sample->rest_lost) j->now.complete = 0;
    if (!e->item && !tsr_fault_of_input(e->status))
        return tsr_fail(j->ctx, e->status, "%s", e->detail ? e->detail : "");
    if (!e->item) return tell_bad(j, sample, e->status, e->detail ? e->detail : "");
    const tsr_token_item *item = tsr_item_tokens(e->item);
    const tsr_clip_frame *times;
    const uint32_t frames = j->clip ? tsr_video_feed_times(j->videos, &times) : 0;
    const tsr_status status = j->clip ? tsr_token_writer_clip_add(j->writer, item, times, frames, 0)
                                      : tsr_token_writer_add(j->writer, item);
    if (tsr_fault_of_picture(status)) {
        char detail[1024]; /* the context's own text is about to be written anew */
        snprintf(detail, sizeof detail, "%s", tsr_detail(j->ctx));
        return tell_bad(j, sample, status, detail);
    }
    if (status) return status;
    ++j->now.items;
    j->now.tokens += tsr_token_item_total(item);
    j->report->tiles += (uint64_t)item->tile_columns * item->tile_rows;
    return TSR_OK;
}

/* tsr_consume_fn */
static tsr_status consume(void *user, const tsr_passed *passed) {
    job *j = user;
    if (!passed->mark) {
        if (j->clip) tsr_video_feed_pass(j->videos, passed->sample);
        return add_item(j, passed);
    }
    const mark *m = passed->mark;
    if (m->clip) {
        const tsr_status status = tsr_video_feed_mark(j->videos, m->clip, j->writer, &j->clip);
        j->report->clips += !status && j->clip;
        return status;
    }
    return m->end ? end_shard(j, m) : begin_shard(j, m);
}

/* tsr_stop_fn */
static bool stop(void *user) {
    const job *j = user;
    const tsr_encode_settings *s = &j->s->encode;
    return s->progress &&
           s->progress(s->progress_user, "encode", j->pictures_done, j->pictures_todo) != 0;
}

/* ---- the job ------------------------------------------------------------------------------ */

/* The settings that decide the bytes of the shards. */
enum { FIELDS_MOST = 40 };
typedef struct fields {
    tsr_job_field field[FIELDS_MOST];
    int count;
} fields;

static void add_field(fields *f, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void add_field(fields *f, const char *name, const char *format, ...) {
    tsr_job_field *field = &f->field[f->count++];
    va_list arguments;
    va_start(arguments, format);
    field->name = name;
    vsnprintf(field->value, sizeof field->value, format, arguments);
    va_end(arguments);
}

static void describe_job(const job *j, fields *f) {
    const tsr_batch_settings *s = j->s;
    const tsr_token_header *h = &tsr_pipeline_encoder(j->pipeline, 0)->plan.header;
    const tsr_token_choice *c = &s->encode.choice;
    static const char *const keys[] = {"name", "path", "stem", "auto"};
    f->count = 0;
    add_field(f, "tokenizer", "%s", h->tokenizer);
    add_field(f, "weights_hash", "%016" PRIx64, h->weights_hash);
    add_field(f, "precision", "%s", s->model.precision == TSR_PRECISION_FAST ? "fast" : "f32");
    add_field(f, "tile", "%ux%u", h->tile_width, h->tile_height);
    add_field(f, "fit", "%d", (int)h->fit);
    add_field(f, "resampling", "%u", h->filter);
    add_field(f, "background", "%02x%02x%02x", h->background[0], h->background[1],
              h->background[2]);
    add_field(f, "latent_type", "%d", (int)h->latent_type);
    add_field(f, "tokens", "%u", c->tokens);
    add_field(f, "quality", "%.9g", (double)c->quality);
    add_field(f, "target", "%s", tsr_target_name(c->target.metric));
    add_field(f, "target_threshold", "%.9g", (double)c->target.threshold);
    add_field(f, "budget", "%u", c->budget);
    add_field(f, "keep_all", "%d", c->keep_all);
    add_field(f, "noise", "%.150s", s->encode.noise ? s->encode.noise : "");
    add_field(f, "hint_steps", "%u", s->hints.steps);
    add_field(f, "hint_guidance", "%.9g", (double)s->hints.guidance);
    add_field(f, "hint_mode", "%d", (int)s->hints.mode);
    add_field(f, "hint_seed", "%" PRIu64, s->hints.seed);
    add_field(f, "layer_tokens", "%u", s->file.layer_tokens);
    add_field(f, "entropy", "%d", s->file.entropy);
    add_field(f, "key_index", "%d", s->file.key_index);
    add_field(f, "key", "%s", keys[s->source.key]);
    add_field(f, "folder_labels", "%d", s->source.folder_labels);
    add_field(f, "attributes", "%.150s", s->source.attributes ? s->source.attributes : "");
    add_field(f, "shard_size", "%" PRIu64, s->shard_size);
}

/* Keys of attributes are looked for in the whole job, whatever part of it this call makes. */
static void find_unused_keys(const job *j) {
    bool known = true;
    uint64_t next = 0; /* in todo */
    for (uint64_t i = 0; i < j->shards.count; ++i) {
        const tsr_shard *shard = &j->shards.shard[i];
        if (next < j->todo_count && j->todo[next] == i)
            ++next;
        else
            known &= tsr_source_list_pass_over(j->list, shard->first, shard->count);
    }
    if (known) tsr_source_list_unused_keys(j->ctx, j->list, &j->report->unused_keys);
}

/* Which shards of this rank are to be made. */
static tsr_status choose(job *j) {
    const tsr_batch_settings *s = j->s;
    tsr_batch_report *r = j->report;
    const uint64_t world = s->world ? (uint64_t)s->world : 1;
    j->todo = tsr_alloc(j->ctx, j->shards.count + 1, sizeof *j->todo, "batch: shards");
    if (!j->todo) return TSR_ERROR_MEMORY;
    for (uint64_t i = (uint64_t)s->rank; i < j->shards.count; i += world) {
        const tsr_shard *shard = &j->shards.shard[i];
        const tsr_shard_state state =
            tsr_journal_state(j->journal, shard->name, tsr_shard_input_hash(j->list, shard));
        ++r->shards;
        if (state == TSR_SHARD_CHANGED && !s->overwrite)
            return tsr_fail(j->ctx, TSR_ERROR_ARGUMENT,
                            "%s/%s: inputs: wanted those it was made of, got others (%s, %" PRIu64
                            " in all); give another folder, or overwrite",
                            j->folder, shard->name,
                            tsr_source_list_entry(j->list, shard->first).path, shard->count);
        if (state == TSR_SHARD_DONE || state == TSR_SHARD_PARTIAL) {
            ++r->done_before;
            continue;
        }
        tsr_journal_sweep(j->journal, shard->name);
        j->todo[j->todo_count++] = i;
        j->pictures_todo += shard->count;
    }
    if (!tsr_source_list_properties(j->list).counted) j->pictures_todo = 0;
    j->marks = tsr_alloc(j->ctx, 4 * j->todo_count + 1, sizeof *j->marks, "batch: shards");
    return j->marks ? TSR_OK : TSR_ERROR_MEMORY;
}

/* Where there are videos: what reads them, and the settings that decide their frames. */
static tsr_status open_videos(job *j, fields *f) {
    const tsr_batch_settings *s = j->s;
    const tsr_frame_choice *c = &s->frames;
    const tsr_video_settings *v = &s->video;
    bool videos = false;
    for (uint64_t i = 0; i < tsr_source_list_count(j->list) && !videos; ++i)
        videos = tsr_source_list_entry(j->list, i).kind == TSR_SOURCE_VIDEO;
    if (!videos) return TSR_OK;
    add_field(f, "frames", "%d %.40s %u %" PRId64 "/%" PRId64 " %u %.9g %u:%u %.9g..%.9g %d",
              (int)c->rule, c->rounding ? c->rounding : "", c->frames, c->rate.num, c->rate.den,
              c->every, c->threshold, c->clips, c->gap, c->start, c->end, c->square_pixels);
    add_field(f, "video", "%d %d %d %d %" PRId64 "/%" PRId64 " %.60s", (int)v->matrix,
              (int)v->range, v->deinterlace, v->lenient, v->rate.num, v->rate.den,
              v->raw ? v->raw : "");
    const tsr_video_feed_settings feeds = {.video = v,
                                           .frames = c,
                                           .background = s->encode.fit.background,
                                           .header =
                                               &tsr_pipeline_encoder(j->pipeline, 0)->plan.header};
    return tsr_video_feed_open(j->ctx, &feeds, &j->videos);
}

static tsr_status run(job *j, const char *const *inputs, int input_count) {
    const tsr_batch_settings *s = j->s;
    tsr_image_settings image = tsr_image_settings_default();
    memcpy(image.background, s->encode.fit.background, 3);
    const tsr_pipeline_settings settings = {
        .encoder = {.model = &s->model, .encode = &s->encode, .hints = &s->hints},
        .devices = s->devices,
        .device_count = s->device_count,
        .image = &image};
    fields f;
    tsr_status status =
        tsr_source_list_open_videos(j->ctx, inputs, input_count, &s->source,
                                    s->as_video ? TSR_SOURCE_ALL : TSR_SOURCE_SOME, &j->list);
    if (!status) status = tsr_shards_make(j->ctx, j->list, s->shard_size, &j->shards);
    if (!status) status = tsr_pipeline_open(j->ctx, &settings, &j->pipeline);
    if (status) return status;
    tsr_pipeline_describe(j->pipeline, &j->report->model);
    describe_job(j, &f);
    status = open_videos(j, &f);
    if (status) return status;
    status = tsr_journal_open(j->ctx, j->folder, f.field, f.count, s->rank, s->overwrite != 0,
                              &j->journal);
    if (!status) status = choose(j);
    if (status || !j->todo_count) return status;
    const tsr_pipeline_ends ends = {.feed = feed_next, .consume = consume, .stop = stop, .user = j};
    status = tsr_pipeline_run(j->pipeline, &ends);
    tsr_pipeline_times(j->pipeline, &j->report->stages);
    if (!status) find_unused_keys(j);
    return status;
}

static tsr_status check(tsr_context *ctx, const char *const *inputs, int count, const char *folder,
                        const tsr_batch_settings *s) {
    if ((!inputs || count < 1) && !s->source.files_from)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "inputs: wanted at least one, got none");
    if (!folder || !*folder)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "folder: wanted a path, got none");
    if (s->world < 0 || s->rank < 0 || s->rank >= (s->world ? s->world : 1))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "rank: wanted 0 to %d, got %d",
                        (s->world ? s->world : 1) - 1, s->rank);
    if ((unsigned)s->source.key > TSR_KEY_AUTO)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "source: key: wanted 0 to %d, got %d",
                        (int)TSR_KEY_AUTO, (int)s->source.key);
    return TSR_OK;
}

tsr_status tsr_batch(tsr_context *ctx, const char *const *inputs, int input_count,
                     const char *folder, const tsr_batch_settings *settings,
                     tsr_batch_report *report) {
    if (!ctx) return TSR_ERROR_ARGUMENT;
    tsr_batch_settings s = settings ? *settings : tsr_batch_settings_default();
    if (!s.shard_size) s.shard_size = SHARD_SIZE;
    tsr_batch_report own;
    if (!report) report = &own;
    *report = (tsr_batch_report){0};
    tsr_status status = check(ctx, inputs, input_count, folder, &s);
    if (status) return status;
    job *j = tsr_alloc(ctx, 1, sizeof *j, "batch");
    if (!j) return TSR_ERROR_MEMORY;
    j->ctx = ctx;
    j->s = &s;
    j->report = report;
    j->folder = folder;
    status = run(j, inputs, input_count);
    tsr_token_writer_abandon(&j->writer);
    tsr_source_close(&j->source);
    tsr_pipeline_close(&j->pipeline);
    tsr_video_feed_close(&j->videos);
    tsr_journal_close(&j->journal);
    tsr_shards_free(&j->shards);
    tsr_source_list_close(&j->list);
    free(j->marks);
    free(j->todo);
    free(j->path);
    free(j);
    return status;
}
