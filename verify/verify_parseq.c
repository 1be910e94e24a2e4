/* SPDX-License-Identifier: MIT */
/* verify_parseq.c: golden cases of the reader PARSeq. */
#include "verify_picture.h"

#include "../metrics/judges/parseq.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PIXELS = 3 * TSR_PARSEQ_HEIGHT * TSR_PARSEQ_WIDTH,
    CLASSES = TSR_PARSEQ_CLASSES,
    MOST = TSR_PARSEQ_POSITIONS - 1
};

typedef struct reader_model {
    tsr_synthetic *synthetic;
    tsr_parseq *reader;
} reader_model;

static void close_reader(void *model) {
    reader_model *m = model;
    tsr_parseq_close(&m->reader);
    tsr_synthetic_close(&m->synthetic);
}

static void open_reader(tsr_verify *v, void *model) {
    reader_model *m = model;
    tsr_weights *weights = NULL;
    tsr_synthetic_open(v, TSR_DTYPE_F32, &m->synthetic, &weights);
    if (!v->status) v->status = tsr_parseq_open(v->device, weights, v->folder, &m->reader);
}

/* The crops of the run, prepared: [count, 3, 32, 128]. */
static float *prepare(tsr_verify *v, int64_t *count) {
    const cJSON *boxes = cJSON_GetObjectItemCaseSensitive(v->run, "boxes"), *box;
    int width = 0, height = 0;
    *count = cJSON_GetArraySize(boxes);
    uint8_t *page = tsr_verify_picture(v, tsr_verify_text(v, v->run, "input"), &width, &height);
    float *prepared = tsr_verify_take(v, *count * PIXELS, sizeof *prepared, "crops");
    float *at = prepared;
    cJSON_ArrayForEach(box, boxes) {
        int edge[4] = {0};
        for (int i = 0; i < 4; ++i) {
            const cJSON *number = cJSON_GetArrayItem(box, i);
            edge[i] = cJSON_IsNumber(number) ? number->valueint : -1;
        }
        if (edge[0] < 0 || edge[1] < 0 || edge[2] <= edge[0] || edge[3] <= edge[1] ||
            edge[2] > width || edge[3] > height)
            tsr_verify_refuse(v, "boxes: wanted boxes inside the page");
        const int w = edge[2] - edge[0], h = edge[3] - edge[1];
        uint8_t *crop = tsr_verify_take(v, (int64_t)w * h, 3, "crop");
        if (v->status) break;
        for (int y = 0; y < h; ++y)
            memcpy(crop + y * w * 3, page + ((edge[1] + y) * width + edge[0]) * 3, (size_t)w * 3);
        v->status = tsr_parseq_prepare(v->ctx, crop, w, h, at);
        at += PIXELS;
    }
    free(page);
    return v->status ? NULL : prepared;
}

/* Steps that the run stores of the greedy pass: it stops when every word has ended. */
static int64_t steps_of(tsr_verify *v, int64_t positions) {
    const cJSON *entry = tsr_verify_output(v, "ar_ids");
    const cJSON *shape = cJSON_GetObjectItemCaseSensitive(entry, "shape");
    const cJSON *steps = cJSON_GetArrayItem(shape, 1);
    if (!cJSON_IsNumber(steps) || steps->valuedouble < 1 || steps->valuedouble > (double)positions)
        tsr_verify_refuse(v, "ar_ids: shape: wanted 1 to %lld steps", (long long)positions);
    return v->status ? 1 : (int64_t)steps->valuedouble;
}

/* The first `steps` of `positions` rows of each word. */
static void compare_first(tsr_verify *v, const tsr_parseq_parts *p, int64_t count, int64_t l) {
    const int64_t steps = steps_of(v, l), row = CLASSES;
    float *logits = tsr_verify_take(v, count * steps * row, sizeof *logits, "letters");
    int32_t *ids = tsr_verify_take(v, count * steps, sizeof *ids, "letters");
    for (int64_t i = 0; i < count && !v->status; ++i) {
        memcpy(logits + i * steps * row, p->first + i * l * row,
               (size_t)(steps * row) * sizeof *logits);
        memcpy(ids + i * steps, p->choices + i * l, (size_t)steps * sizeof *ids);
    }
    tsr_verify_f32(v, "ar_logits", logits, 3, (int64_t[]){count, steps, row});
    tsr_verify_i32(v, "ar_ids", ids, 2, (int64_t[]){count, steps});
}

static void compare_refined(tsr_verify *v, const float *logits, int64_t count, int64_t l) {
    int32_t *ids = tsr_verify_take(v, count * l, sizeof *ids, "letters");
    float *margin = tsr_verify_take(v, count * l, sizeof *margin, "letters");
    float *confidence = tsr_verify_take(v, count, sizeof *confidence, "letters");
    const cJSON *texts = cJSON_GetObjectItemCaseSensitive(v->run, "texts");
    const uint8_t *ties = tsr_verify_near_ties(v, count * l);
    int same = 0;
    bool tied = false;
    for (int64_t i = 0; i < count * l && !v->status; ++i) {
        const float *row = logits + i * CLASSES;
        float second = -1e30f;
        for (int k = 1; k < CLASSES; ++k)
            if (row[k] > row[ids[i]]) ids[i] = k;
        for (int k = 0; k < CLASSES; ++k)
            if (k != ids[i] && row[k] > second) second = row[k];
        margin[i] = row[ids[i]] - second;
        tied |= ties[i] != 0;
    }
    tsr_verify_i32_ties(v, "ids", ids, 2, (int64_t[]){count, l}, (tsr_verify_ties){ties, 1});
    tsr_verify_f32(v, "margin", margin, 2, (int64_t[]){count, l});
    for (int64_t i = 0; i < count && !v->status; ++i) {
        tsr_reading reading = {{0}, 0};
        const char *want = cJSON_GetStringValue(cJSON_GetArrayItem(texts, (int)i));
        tsr_parseq_text(logits + i * l * CLASSES, (int)l, &reading);
        confidence[i] = (float)reading.confidence;
        same += want && !strcmp(want, reading.text);
    }
    tsr_verify_f32(v, "confidence", confidence, 1, &count);
    if (tied && same < count) /* a text follows from its ids */
        tsr_verify_leave_out(v, "texts", "a letter is a near tie");
    else
        tsr_verify_line(v, "texts", same == count, "%d of %lld texts as written down", same,
                        (long long)count);
}

void tsr_verify_parseq(tsr_verify *v) {
    const reader_model *m = tsr_verify_model(v, sizeof *m, open_reader, close_reader);
    const double limit = tsr_verify_number(v->run, "max_len", MOST);
    const int64_t l = (int64_t)limit + 1;
    int64_t count = 0;
    if (!(limit >= 0 && limit <= MOST)) tsr_verify_refuse(v, "max_len: wanted 0 to %d", MOST);
    float *prepared = prepare(v, &count);
    if (!prepared) return;
    tsr_verify_f32(v, "prepared", prepared, 4,
                   (int64_t[]){count, 3, TSR_PARSEQ_HEIGHT, TSR_PARSEQ_WIDTH});
    const int64_t features[3] = {count, TSR_PARSEQ_PATCHES, m->reader->width};
    const tsr_parseq_parts parts = {
        .features =
            tsr_verify_take(v, features[0] * features[1] * features[2], sizeof(float), "features"),
        .first = tsr_verify_take(v, count * l * CLASSES, sizeof(float), "letters"),
        .choices = tsr_verify_take(v, count * l, sizeof(int32_t), "letters"),
        .logits = tsr_verify_take(v, count * l * CLASSES, sizeof(float), "letters")};
    if (!v->status) v->status = tsr_parseq_run(m->reader, prepared, (int)count, (int)limit, &parts);
    if (v->status) return;
    tsr_verify_f32(v, "features", parts.features, 3, features);
    compare_first(v, &parts, count, l);
    tsr_verify_f32(v, "logits", parts.logits, 3, (int64_t[]){count, l, CLASSES});
    compare_refined(v, parts.logits, count, l);
}
