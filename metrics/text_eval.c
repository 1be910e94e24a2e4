/* SPDX-License-Identifier: MIT */
/* text_eval.c: the marked words of pictures, read in batches, and their scores by size. */
#include <tessera/text_faces.h>

#include "../compute/context.h"
#include "../formats/utf8.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 64, LETTERS_MOST = 30 }; /* TokBench's */

/* A word that waits to be read. */
typedef struct word {
    tsr_picture crop; /* whose pixels are owned */
    const char *picture;
    const tsr_text_mark *mark;
    double size;
    int64_t letters;
} word;

struct tsr_text_eval {
    tsr_context *ctx;
    const tsr_annotations *annotations;
    tsr_reader *reader;
    tsr_text_eval_settings settings;
    word words[BATCH];
    int count;
    uint8_t *seen; /* [pictures of the annotations] */
    tsr_text_result result;
};

/* Whether edges rise and are as many as they may be. */
static bool bins_are_good(const tsr_size_bins *b) {
    bool good = b->count >= 1 && b->count <= TSR_SIZE_BINS_MOST;
    for (int i = 0; good && i < b->count; ++i)
        good = b->edges[i] < b->edges[i + 1];
    return good;
}

tsr_status tsr_text_eval_open(tsr_context *ctx, const tsr_annotations *annotations,
                              tsr_reader *reader, const tsr_text_eval_settings *settings,
                              tsr_text_eval **eval) {
    static const tsr_size_bins usual = {8, {0, 4, 6, 8, 12, 16, 24, 32, 1e9}};
    if (!ctx) return TSR_ERROR_ARGUMENT;
    if (!annotations || !reader || !eval || tsr_annotations_kind(annotations))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "text: wanted annotations of text and a reader, got others");
    *eval = NULL;
    tsr_text_eval *e = tsr_alloc(ctx, 1, sizeof *e, "text");
    if (!e) return TSR_ERROR_MEMORY;
    e->ctx = ctx;
    e->annotations = annotations;
    e->reader = reader;
    if (settings) e->settings = *settings;
    if (!e->settings.bins.count) e->settings.bins = usual;
    e->result.bins = e->settings.bins;
    tsr_status status = TSR_OK;
    if (!bins_are_good(&e->settings.bins))
        status = tsr_fail(ctx, TSR_ERROR_ARGUMENT, "text: bins: wanted 1 to %d with rising edges",
                          TSR_SIZE_BINS_MOST);
    else if (!(e->seen = tsr_alloc(ctx, tsr_annotations_count(annotations) + 1, 1, "text")))
        status = TSR_ERROR_MEMORY;
    if (status)
        tsr_text_eval_close(&e);
    else
        *eval = e;
    return status;
}

void tsr_text_eval_close(tsr_text_eval **eval) {
    tsr_text_eval *e = eval ? *eval : NULL;
    if (!e) return;
    for (int i = 0; i < e->count; ++i)
        free((uint8_t *)(uintptr_t)e->words[i].crop.rgb);
    free(e->seen);
    free(e);
    *eval = NULL;
}

static int64_t letters_of(const char *text) {
    int64_t n = 0;
    for (; *text; tsr_utf8_next(&text))
        ++n;
    return n;
}

static tsr_status take_score(tsr_text_eval *e, const word *w, const tsr_reading *reading) {
    tsr_text_row row = {.picture = w->picture,
                        .truth = w->mark->text,
                        .read = reading->text,
                        .confidence = reading->confidence,
                        .size = w->size};
    const tsr_status status =
        tsr_text_compare(e->ctx, w->mark->text, reading->text, e->settings.ignore_case, &row.score);
    if (status) return status;
    const int bin = row.bin = tsr_size_bins_find(&e->settings.bins, w->size);
    tsr_text_totals_add(&e->result.totals, &row.score);
    tsr_bin_means_add(&e->result.accuracy, bin, row.score.exact);
    tsr_bin_means_add(&e->result.similarity, bin, row.score.similarity);
    bool outside = false;
    for (const char *at = w->mark->text; *at;)
        outside |= tsr_reader_knows(e->reader, tsr_utf8_next(&at)) == 0;
    e->result.outside += outside;
    if (e->settings.row) e->settings.row(e->settings.row_user, &row);
    return TSR_OK;
}

/* Reads the words that wait. */
static tsr_status flush(tsr_text_eval *e) {
    tsr_picture crops[BATCH];
    int64_t longest = 1;
    tsr_status status = TSR_OK;
    if (!e->count) return TSR_OK;
    tsr_reading *readings = tsr_alloc(e->ctx, BATCH, sizeof *readings, "words");
    if (!readings) return TSR_ERROR_MEMORY;
    for (int i = 0; i < e->count; ++i) {
        crops[i] = e->words[i].crop;
        if (e->words[i].letters > longest) longest = e->words[i].letters;
    }
    if (longest > LETTERS_MOST) longest = LETTERS_MOST;
    status = tsr_reader_read(e->reader, crops, e->count,
                             e->settings.limit_letters ? (int)longest : 0, readings);
    for (int i = 0; i < e->count; ++i) {
        if (!status) status = take_score(e, &e->words[i], &readings[i]);
        free((uint8_t *)(uintptr_t)e->words[i].crop.rgb);
    }
    e->count = 0;
    free(readings);
    return status;
}

static void leave_out(tsr_text_eval *e, const char *name, const tsr_text_mark *mark,
                      const tsr_picture *p) {
    char line[1024];
    e->result.left_out++;
    if (!e->settings.problem) return;
    snprintf(line, sizeof line,
             "%.400s: box of \"%.80s\": wanted a pixel inside %dx%d, got %g,%g,%g,%g", name,
             mark->text, p->width, p->height, mark->box[0], mark->box[1], mark->box[2],
             mark->box[3]);
    e->settings.problem(e->settings.problem_user, line);
}

/* Cuts a word out, towards zero to whole pixels. */
static tsr_status add_word(tsr_text_eval *e, const char *name, const tsr_text_mark *mark,
                           const tsr_picture *p) {
    double edge[4] = {0, 0, p->width, p->height};
    int box[4];
    if (!isnan(mark->box[0])) memcpy(edge, mark->box, sizeof edge);
    if (edge[2] > p->width || edge[3] > p->height) {
        leave_out(e, name, mark, p);
        return TSR_OK;
    }
    for (int i = 0; i < 4; ++i)
        box[i] = (int)edge[i];
    const int w = box[2] - box[0], h = box[3] - box[1];
    if (w < 1 || h < 1) {
        leave_out(e, name, mark, p);
        return TSR_OK;
    }
    uint8_t *crop = tsr_alloc(e->ctx, (size_t)w * (size_t)h, 3, "word");
    if (!crop) return TSR_ERROR_MEMORY;
    for (int y = 0; y < h; ++y)
        memcpy(crop + (size_t)y * (size_t)w * 3,
               p->rgb + ((size_t)(box[1] + y) * (size_t)p->width + (size_t)box[0]) * 3,
               (size_t)w * 3);
    const int64_t letters = letters_of(mark->text);
    const double extent = fmax(edge[2] - edge[0], edge[3] - edge[1]) / (double)letters;
    const double longer = p->width > p->height ? p->width : p->height;
    const double size = !e->settings.by_ratio ? extent
                        : mark->size > 0      ? mark->size
                                              : extent / longer;
    e->words[e->count++] =
        (word){.crop = {.rgb = crop, .width = w, .height = h}, name, mark, size, letters};
    return e->count == BATCH ? flush(e) : TSR_OK;
}

tsr_status tsr_text_eval_picture(tsr_text_eval *e, const char *name, const tsr_picture *picture) {
    if (!e) return TSR_ERROR_ARGUMENT;
    if (!name || !picture || !picture->rgb || picture->width < 1 || picture->height < 1)
        return tsr_fail(e->ctx, TSR_ERROR_ARGUMENT,
                        "text: wanted a picture and its name, got none");
    const int64_t index = tsr_annotations_find(e->annotations, name);
    if (index < 0) return TSR_OK;
    const tsr_marked_picture *p = tsr_annotations_picture(e->annotations, (uint64_t)index);
    if (p->width && (p->width != picture->width || p->height != picture->height))
        return tsr_fail(e->ctx, TSR_ERROR_ARGUMENT,
                        "%s: size: wanted %dx%d, in which its words are marked, got %dx%d", name,
                        p->width, p->height, picture->width, picture->height);
    e->result.pictures += !e->seen[index];
    e->seen[index] = 1;
    tsr_status status = TSR_OK;
    for (uint64_t i = 0; i < p->count && !status; ++i)
        status = add_word(e, p->name, tsr_annotations_text(e->annotations, p->first + i), picture);
    return status;
}

tsr_status tsr_text_eval_finish(tsr_text_eval *e, tsr_text_result *result) {
    const tsr_status status = flush(e);
    if (status) return status;
    e->result.rates = tsr_text_totals_rates(&e->result.totals);
    e->result.missing_pictures = tsr_annotations_count(e->annotations) - e->result.pictures;
    *result = e->result;
    return TSR_OK;
}

static void add_means(tsr_bin_means *sum, const tsr_bin_means *more) {
    for (int i = 0; i < TSR_SIZE_BINS_MOST; ++i) {
        sum->count[i] += more->count[i];
        sum->sum[i] += more->sum[i];
    }
    sum->dropped += more->dropped;
    sum->all_count += more->all_count;
    sum->all_sum += more->all_sum;
}

void tsr_text_result_add(tsr_text_result *sum, const tsr_text_result *more) {
    tsr_text_totals *t = &sum->totals;
    const tsr_text_totals *m = &more->totals;
    sum->pictures += more->pictures;
    sum->missing_pictures += more->missing_pictures;
    sum->left_out += more->left_out;
    sum->outside += more->outside;
    t->texts += m->texts;
    t->exact += m->exact;
    t->similarity += m->similarity;
    t->length += m->length;
    t->distance += m->distance;
    t->words += m->words;
    t->word_distance += m->word_distance;
    sum->rates = tsr_text_totals_rates(t);
    sum->bins = more->bins;
    add_means(&sum->accuracy, &more->accuracy);
    add_means(&sum->similarity, &more->similarity);
}
