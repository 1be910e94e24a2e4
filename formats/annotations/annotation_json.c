/* SPDX-License-Identifier: MIT */
/* annotation_json.c: TokBench's and docTR's annotations. */
#include "annotation_list.h"

#include <math.h>
#include <string.h>

static const cJSON *member(const cJSON *object, const char *name) {
    return cJSON_GetObjectItemCaseSensitive(object, name);
}

static double number_of(const cJSON *item) {
    return cJSON_IsNumber(item) ? item->valuedouble : NAN;
}

/* A side in pixels, 0 where there is none. */
static int side_of(const cJSON *item) {
    const double d = number_of(item);
    return d >= 1 && d <= 1 << 24 && d == floor(d) ? (int)d : 0;
}

static tsr_status refuse_file(const tsr_annotation_reader *r, int64_t index, const char *text) {
    return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: picture %lld: %s", r->name, (long long)index,
                    text);
}

/* ---- TokBench ---- */

static tsr_status add_words(tsr_annotation_reader *r, uint64_t picture, const cJSON *list) {
    const cJSON *word;
    tsr_status status = TSR_OK;
    int64_t n = 0;
    cJSON_ArrayForEach(word, list) {
        const char *text = cJSON_GetStringValue(member(word, "rec"));
        const cJSON *bbox = member(word, "bbox");
        double box[4];
        ++n;
        for (int i = 0; i < 4; ++i)
            box[i] = number_of(cJSON_GetArrayItem(bbox, i));
        if (!text || !cJSON_IsArray(bbox) || cJSON_GetArraySize(bbox) != 4 || isnan(box[0]))
            tsr_annotation_refuse(r, picture,
                                  "word %lld: wanted \"rec\", a text, and \"bbox\", four numbers",
                                  (long long)n);
        else
            status = tsr_annotation_text(r, picture, text, box, number_of(member(word, "ratio")));
        if (status) break;
    }
    return status;
}

static tsr_status add_faces(tsr_annotation_reader *r, uint64_t picture, const cJSON *list) {
    const cJSON *face;
    tsr_status status = TSR_OK;
    int64_t n = 0;
    cJSON_ArrayForEach(face, list) {
        const cJSON *kps = member(face, "kps");
        double points[5][2];
        bool good = cJSON_IsArray(kps) && cJSON_GetArraySize(kps) == 5;
        ++n;
        for (int i = 0; i < 10 && good; ++i) {
            const cJSON *pair = cJSON_GetArrayItem(kps, i / 2);
            good = cJSON_IsArray(pair) && cJSON_GetArraySize(pair) == 2;
            points[i / 2][i % 2] = good ? number_of(cJSON_GetArrayItem(pair, i % 2)) : NAN;
        }
        if (good)
            status = tsr_annotation_face(r, picture, points, number_of(member(face, "ratio")));
        else
            tsr_annotation_refuse(r, picture, "face %lld: wanted \"kps\", five points, got %s",
                                  (long long)n, kps ? "others" : "none");
        if (status) break;
    }
    return status;
}

static tsr_status read_tokbench(tsr_annotation_reader *r, const cJSON *list) {
    const bool faces = r->list->kind == TSR_ANNOTATION_FACES;
    const cJSON *entry;
    int64_t n = 0;
    cJSON_ArrayForEach(entry, list) {
        const char *name = cJSON_GetStringValue(member(entry, faces ? "image_name" : "file_name"));
        const cJSON *marks = member(entry, faces ? "faces" : "annotations");
        const int width = side_of(member(entry, faces ? "img_width" : "width"));
        const int height = side_of(member(entry, faces ? "img_height" : "height"));
        uint64_t picture = 0;
        ++n;
        if (!name || !*name)
            return refuse_file(r, n,
                               faces ? "image_name: wanted a text, got none"
                                     : "file_name: wanted a text, got none");
        if (!cJSON_IsArray(marks))
            return refuse_file(r, n,
                               faces ? "faces: wanted a list, got none"
                                     : "annotations: wanted a list, got none");
        if (!width || !height)
            return refuse_file(r, n, "width and height: wanted pixels, got none");
        tsr_status status = tsr_annotation_picture(r, name, width, height, &picture);
        if (!status) status = faces ? add_faces(r, picture, marks) : add_words(r, picture, marks);
        if (status) return status;
    }
    return TSR_OK;
}

/* ---- docTR ---- */

/* The box around a polygon; false where it is none. */
static bool polygon_box(const cJSON *polygon, double box[4]) {
    const cJSON *point;
    box[0] = box[1] = INFINITY;
    box[2] = box[3] = -INFINITY;
    cJSON_ArrayForEach(point, polygon) {
        const double x = number_of(cJSON_GetArrayItem(point, 0));
        const double y = number_of(cJSON_GetArrayItem(point, 1));
        if (!cJSON_IsArray(point) || !isfinite(x) || !isfinite(y)) return false;
        box[0] = fmin(box[0], x);
        box[1] = fmin(box[1], y);
        box[2] = fmax(box[2], x);
        box[3] = fmax(box[3], y);
    }
    return cJSON_GetArraySize(polygon) >= 3;
}

static tsr_status read_page(tsr_annotation_reader *r, const cJSON *entry) {
    const cJSON *size = member(entry, "img_dimensions"), *polygon;
    const cJSON *polygons = member(entry, "polygons"), *labels = member(entry, "labels");
    const int height = side_of(cJSON_GetArrayItem(size, 0));
    const int width = side_of(cJSON_GetArrayItem(size, 1));
    uint64_t picture = 0;
    if (!cJSON_IsArray(polygons) || !cJSON_IsArray(labels) ||
        cJSON_GetArraySize(polygons) != cJSON_GetArraySize(labels))
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: picture %.200s: wanted as many \"labels\" as \"polygons\"", r->name,
                        entry->string);
    tsr_status status =
        tsr_annotation_picture(r, entry->string, height ? width : 0, width ? height : 0, &picture);
    const cJSON *label = labels->child;
    cJSON_ArrayForEach(polygon, polygons) {
        double box[4];
        const char *text = cJSON_GetStringValue(label);
        label = label->next;
        if (status) break;
        if (text && polygon_box(polygon, box))
            status = tsr_annotation_text(r, picture, text, box, NAN);
        else
            tsr_annotation_refuse(r, picture, "word: wanted a text and its polygon, got others");
    }
    return status;
}

static tsr_status read_doctr(tsr_annotation_reader *r, const cJSON *object) {
    static const double whole[4] = {NAN, NAN, NAN, NAN};
    const cJSON *entry;
    if (r->list->kind == TSR_ANNOTATION_FACES)
        return tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                        "%s: wanted a list of pictures with faces, got an "
                        "object",
                        r->name);
    cJSON_ArrayForEach(entry, object) {
        const char *text = cJSON_GetStringValue(entry);
        uint64_t picture = 0;
        tsr_status status = TSR_OK;
        if (!entry->string || !*entry->string)
            return tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: wanted names of pictures, got \"\"",
                            r->name);
        if (text) {
            status = tsr_annotation_picture(r, entry->string, 0, 0, &picture);
            if (!status) status = tsr_annotation_text(r, picture, text, whole, NAN);
        } else if (cJSON_IsObject(entry)) {
            status = read_page(r, entry);
        } else {
            status = tsr_fail(r->ctx, TSR_ERROR_FORMAT,
                              "%s: picture %.200s: wanted a text or an object, got neither",
                              r->name, entry->string);
        }
        if (status) return status;
    }
    return TSR_OK;
}

tsr_status tsr_annotation_json(tsr_annotation_reader *r, const char *bytes, size_t size) {
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(bytes, size, &end, 0);
    tsr_status status;
    if (!json)
        status = tsr_fail(r->ctx, TSR_ERROR_FORMAT, "%s: wanted JSON, which breaks at byte %lld",
                          r->name, end ? (long long)(end - bytes) : 0);
    else
        status = cJSON_IsArray(json) ? read_tokbench(r, json) : read_doctr(r, json);
    cJSON_Delete(json);
    return status;
}
