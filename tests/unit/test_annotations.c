/* SPDX-License-Identifier: MIT */
/* test_annotations.c: each form of annotations, each mark that is left out with its line, each file
 * that is refused. */
#include <tessera/annotations.h>

#include "testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static tsr_context *ctx;
static char lines[8][600];
static int line_count;

static void keep_line(void *user, const char *line) {
    (void)user;
    if (line_count < 8) snprintf(lines[line_count], sizeof lines[0], "%s", line);
    ++line_count;
}

static tsr_status parse(const char *text, tsr_annotation_kind kind, tsr_annotations **a) {
    if (!ctx) ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    line_count = 0;
    return tsr_annotations_parse(ctx, "marks", text, strlen(text), kind, keep_line, NULL, a);
}

static void done(tsr_annotations **a) {
    tsr_annotations_close(a);
    tsr_context_close(&ctx);
}

START_TEST(tokbench_words) {
    tsr_annotations *a;
    ck_assert_int_eq(
        parse("[{\"file_name\":\"b/one.jpg\",\"height\":40,\"width\":100,\"annotations\":["
              "{\"bbox\":[1,2,30.5,20],\"rec\":\"kills\",\"ratio\":0.058},"
              "{\"bbox\":[1,2,101,20],\"rec\":\"out\"},"
              "{\"bbox\":[3,2,3,20],\"rec\":\"thin\"},"
              "{\"bbox\":[-1,2,3,20],\"rec\":\"left\"},"
              "{\"bbox\":[1,2,3,4],\"rec\":\" \"},"
              "{\"bbox\":[1,2,3],\"rec\":\"three\"},"
              "{\"bbox\":[0,0,100,40],\"rec\":\"\\u00e9\"}]},"
              "{\"file_name\":\"two.png\",\"height\":4,\"width\":4,\"annotations\":[]}]",
              TSR_ANNOTATION_TEXT, &a),
        TSR_OK);
    ck_assert_int_eq(tsr_annotations_count(a), 2);
    ck_assert_int_eq(tsr_annotations_marks(a), 2);
    ck_assert_int_eq(tsr_annotations_refused(a), 5);
    ck_assert_int_eq(line_count, 5);
    ck_assert_ptr_nonnull(strstr(lines[0], "marks: picture b/one.jpg: box of \"out\": wanted x0 < "
                                           "x1, y0 < y1 inside 100x40, got 1,2,101,20"));
    ck_assert_ptr_nonnull(strstr(lines[1], "box of \"thin\""));
    ck_assert_ptr_nonnull(strstr(lines[2], "box of \"left\""));
    ck_assert_ptr_nonnull(strstr(lines[3], "text: wanted a text, got an empty one"));
    ck_assert_ptr_nonnull(strstr(lines[4], "word 6: wanted \"rec\""));
    const tsr_text_mark *m = tsr_annotations_text(a, 0);
    ck_assert_str_eq(m->text, "kills");
    ck_assert(m->box[2] == 30.5 && m->size == 0.058);
    ck_assert_str_eq(tsr_annotations_text(a, 1)->text, "\xC3\xA9");
    ck_assert(isnan(tsr_annotations_text(a, 1)->size));
    ck_assert_ptr_null(tsr_annotations_face(a, 0));
    ck_assert_ptr_null(tsr_annotations_text(a, 2));
    ck_assert_int_eq(tsr_annotations_find(a, "b/one.jpg"), 0);
    ck_assert_int_eq(tsr_annotations_find(a, "b/one.png"), 0); /* made of it */
    ck_assert_int_eq(tsr_annotations_find(a, "one.jpg"), -1);
    ck_assert_int_eq(tsr_annotations_find(a, "two.png"), 1);
    done(&a);
}
END_TEST

START_TEST(tokbench_faces) {
    tsr_annotations *a;
    ck_assert_int_eq(
        parse("[{\"image_name\":\"f.jpg\",\"img_height\":250,\"img_width\":200,\"faces\":["
              "{\"kps\":[[96,150],[155,152],[124,183],[98,212],[148,213]],\"ratio\":0.4},"
              "{\"ratio\":0.2},"
              "{\"kps\":[[1,1],[1,1],[1,1],[1,1],[1,1]]},"
              "{\"kps\":[[1,1],[2,1],[1,1],[1,1]]}]}]",
              TSR_ANNOTATION_FACES, &a),
        TSR_OK);
    ck_assert_int_eq(tsr_annotations_marks(a), 1);
    ck_assert_int_eq(line_count, 3);
    ck_assert_ptr_nonnull(
        strstr(lines[0], "picture f.jpg: face 2: wanted \"kps\", five points, got none"));
    ck_assert_ptr_nonnull(strstr(lines[1], "wanted five points that are not all one"));
    ck_assert_ptr_nonnull(strstr(lines[2], "face 4: wanted \"kps\", five points, got others"));
    const tsr_face_mark *f = tsr_annotations_face(a, 0);
    ck_assert(f->points[4][0] == 148 && f->points[4][1] == 213 && f->size == 0.4);
    done(&a);
}
END_TEST

START_TEST(doctr) {
    tsr_annotations *a;
    ck_assert_int_eq(
        parse("{\"p.png\":{\"img_dimensions\":[40,100],\"polygons\":[[[9,1],[1,2],[2,8],[9,8]],"
              "[[1,1]]],\"labels\":[\"word\",\"point\"]},\"w.png\":\"whole\"}",
              TSR_ANNOTATION_TEXT, &a),
        TSR_OK);
    ck_assert_int_eq(tsr_annotations_marks(a), 2);
    ck_assert_int_eq(line_count, 1);
    const tsr_text_mark *m = tsr_annotations_text(a, 0);
    ck_assert(m->box[0] == 1 && m->box[1] == 1 && m->box[2] == 9 && m->box[3] == 8);
    ck_assert(isnan(tsr_annotations_text(a, 1)->box[0]));
    ck_assert_int_eq(tsr_annotations_picture(a, 0)->width, 100);
    ck_assert_int_eq(tsr_annotations_picture(a, 1)->width, 0);
    done(&a);
}
END_TEST

START_TEST(rows) {
    tsr_annotations *a;
    ck_assert_int_eq(parse("\xEF\xBB\xBF"
                           "file\tbox\ttext\r\nb.png\t0,0,10,10.5\thello you\r\n\r\n"
                           "a.png\twhole\nb.png\t5,5,5,9\tempty\nb.png\t1,2,3\tthree\n"
                           "b.png\t1,2,3,4\t\n",
                           TSR_ANNOTATION_TEXT, &a),
                     TSR_OK);
    ck_assert_int_eq(tsr_annotations_count(a), 2);
    ck_assert_int_eq(tsr_annotations_marks(a), 2);
    ck_assert_str_eq(tsr_annotations_text(a, 0)->text, "hello you");
    ck_assert_str_eq(tsr_annotations_picture(a, 0)->name, "b.png");
    ck_assert_int_eq(line_count, 3);
    ck_assert_ptr_nonnull(strstr(lines[0], "marks:5: picture b.png: box of \"empty\""));
    ck_assert_ptr_nonnull(
        strstr(lines[1], "marks:6: picture b.png: box: wanted x0,y0,x1,y1, got \"1,2,3\""));
    ck_assert_ptr_nonnull(strstr(lines[2], "marks:7: picture b.png: text: wanted a text"));
    tsr_annotations_close(&a);
    ck_assert_int_eq(
        parse("f.jpg\t96.0\t150.5\t155.4\t152.5\t124.8\t183.9\t98.6\t212.5\t148\t213.2\n"
              "g.jpg\nh.jpg\t1\t2\tx\t4\t5\t6\t7\t8\t9\t10\n",
              TSR_ANNOTATION_FACES, &a),
        TSR_OK);
    ck_assert_int_eq(tsr_annotations_marks(a), 1);
    ck_assert(tsr_annotations_face(a, 0)->points[1][0] == 155.4);
    ck_assert_ptr_nonnull(strstr(lines[0], "picture g.jpg: face: wanted ten numbers, x and y of "
                                           "five points, got none"));
    ck_assert_ptr_nonnull(strstr(lines[1], "picture h.jpg: face: wanted ten numbers"));
    done(&a);
}
END_TEST

START_TEST(refuses) {
    static const struct {
        tsr_annotation_kind kind;
        const char *text, *detail;
    } cases[] = {
        {TSR_ANNOTATION_TEXT, "", "marks: wanted marks, got none"},
        {TSR_ANNOTATION_TEXT, "[", "wanted JSON, which breaks at byte"},
        {TSR_ANNOTATION_TEXT, "[{\"height\":1}]", "picture 1: file_name: wanted a text, got none"},
        {TSR_ANNOTATION_TEXT, "[{\"file_name\":\"a\",\"height\":1,\"width\":1}]",
         "picture 1: annotations: wanted a list"},
        {TSR_ANNOTATION_TEXT, "[{\"file_name\":\"a\",\"annotations\":[]}]",
         "picture 1: width and height: wanted pixels"},
        {TSR_ANNOTATION_TEXT, "{\"a\":{\"polygons\":[[]],\"labels\":[]}}",
         "picture a: wanted as many \"labels\" as \"polygons\""},
        {TSR_ANNOTATION_TEXT, "{\"a\":3}", "picture a: wanted a text or an object"},
        {TSR_ANNOTATION_TEXT, "a.png\t1,1,2,2\tx\ty\n",
         "marks:1: wanted file, x0,y0,x1,y1 and text"},
        {TSR_ANNOTATION_TEXT, "a.png\tx\n\t1,1,2,2\tx\n", "marks:2: wanted the name of a picture"},
        {TSR_ANNOTATION_TEXT, "a.png\t \n", "wanted marks, got none that can be used"},
        {TSR_ANNOTATION_FACES, "{\"a\":\"b\"}", "wanted a list of pictures with faces"},
        {TSR_ANNOTATION_FACES, "[{\"file_name\":\"a\"}]", "picture 1: image_name: wanted a text"},
        {TSR_ANNOTATION_TEXT,
         "[{\"file_name\":\"a\",\"height\":1,\"width\":1,\"annotations\":[]},"
         "{\"file_name\":\"a\",\"height\":2,\"width\":1,\"annotations\":[]}]",
         "picture a: wanted 1x1 as before, got 1x2"},
    };
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tsr_annotations *a;
        ck_assert_int_eq(parse(cases[i].text, cases[i].kind, &a), TSR_ERROR_FORMAT);
        ck_assert_ptr_null(a);
        if (!strstr(tsr_detail(ctx), cases[i].detail))
            ck_abort_msg("case %u: got %s", i, tsr_detail(ctx));
    }
    tsr_context_close(&ctx);
}
END_TEST

TEST_MAIN("test_annotations", tokbench_words, tokbench_faces, doctr, rows, refuses)
