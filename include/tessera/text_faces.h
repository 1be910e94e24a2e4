/* SPDX-License-Identifier: MIT */
/* text_faces.h: what survives of text and of faces in pictures: readers that read the marked words
 * of a picture, embedders that compare its marked faces with those of the original, and the numbers
 * that come of it by size.
 *
 *     tsr_annotations_open(ctx, "words.tsv", TSR_ANNOTATION_TEXT, NULL, NULL, &marks);
 *     tsr_reader_open(ctx, "tesseract:eng", NULL, &reader);
 *     tsr_text_eval_open(ctx, marks, reader, NULL, &eval);
 *     for (each picture) tsr_text_eval_picture(eval, "a.jpg", &picture);
 *     tsr_text_eval_finish(eval, &result);
 *
 * The conventions of tessera.h hold here, too. */
#ifndef TESSERA_TEXT_FACES_H
#define TESSERA_TEXT_FACES_H

#include "annotations.h"
#include "judges.h"
#include "scores.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- readers ------------------------------------------------------------------------------- */

/* Something that reads the words of a picture: a network, or Tesseract. */
typedef struct tsr_reader tsr_reader;
/* Opens a reader by a text: "parseq:WEIGHTS" (a judge that reads, file or folder), "tesseract" or
 * "tesseract:LANG" (Tesseract's language data, "eng" unless given; "deu+eng" for two). settings are
 * those of the judge, whose `model` is not read; NULL: the defaults. Tesseract uses one handle for
 * each thread of the context; set OMP_THREAD_LIMIT=1 in the environment, since it also starts
 * threads of its own for each word. The caller closes *reader with tsr_reader_close. Errors:
 * ARGUMENT (a text that means no reader), UNSUPPORTED (a judge that does not read; a build without
 * Tesseract), NOT_FOUND (no language data), those of tsr_judge_open, MEMORY. */
tsr_status tsr_reader_open(tsr_context *ctx, const char *text, const tsr_model_settings *settings,
                           tsr_reader **reader);
/* Closes a reader and sets *reader to NULL. NULL and a NULL *reader are accepted. */
void tsr_reader_close(tsr_reader **reader);
/* What a reader is, "tesseract 5.3.0 (eng)", and how it reads, in a sentence. Owned by the reader.
 */
const char *tsr_reader_name(const tsr_reader *reader);
const char *tsr_reader_protocol(const tsr_reader *reader);
/* Whether a reader has a letter for a code point: 1 yes, 0 no, -1 not known (Tesseract). */
int tsr_reader_knows(const tsr_reader *reader, uint32_t point);
/* Reads the word in each of `count` cut-out pictures of any sizes into readings [count]. most: at
 * most so many letters, where the reader can be held to them (PARSeq); 0: its own limit. White
 * space around a text is cut off. Errors: those of tsr_judge_read; MEMORY. */
tsr_status tsr_reader_read(tsr_reader *reader, const tsr_picture *crops, int count, int most,
                           tsr_reading *readings);

/* ---- texts of pictures ---------------------------------------------------------------------- */

/* What happened to one marked word. Valid during the call. */
typedef struct tsr_text_row {
    const char *picture, *truth, *read; /* read "": the reader saw nothing */
    double confidence;
    double size; /* what the bins are made by: see by_ratio */
    int bin;     /* of that size; -1: in none */
    tsr_text_score score;
} tsr_text_row;
typedef void (*tsr_text_row_fn)(void *user, const tsr_text_row *row);
/* Receives a line about a word or face that cannot be used in the picture that was given (a box
 * outside of it), which is then left out. */
typedef tsr_annotation_problem_fn tsr_problem_fn;

/* How texts are evaluated. A struct of zeros is the default. */
typedef struct tsr_text_eval_settings {
    int ignore_case;    /* 1: texts are compared in lower case. Default 0 */
    tsr_size_bins bins; /* default, count 0: pixels per character with edges 0, 4, 6, 8, 12, 16,
                           24, 32 and 1e9 */
    int by_ratio; /* 1: the size of a word is its annotation's, or without one its longer side /
                     characters / longer side of the picture (TokBench); 0: its longer side in
                     pixels / characters. Default 0 */
    int limit_letters;   /* 1: as TokBench reads: words in batches of 64 in their order, in each of
                            which the reader makes at most as many letters as the longest true text
                            has, and at most 30. Default 0: the reader's own limit */
    tsr_text_row_fn row; /* default NULL */
    void *row_user;
    tsr_problem_fn problem; /* default NULL */
    void *problem_user;
} tsr_text_eval_settings;

/* Numbers of all words that were read. */
typedef struct tsr_text_result {
    uint64_t pictures;         /* that were given */
    uint64_t missing_pictures; /* of the annotations, not given */
    uint64_t left_out;         /* words whose box is not inside the picture that was given */
    uint64_t outside;          /* words with a letter that the reader does not have, which it can
                                  therefore never read right; they count like others */
    tsr_text_totals totals;
    tsr_text_rates rates;
    tsr_size_bins bins;                 /* as used */
    tsr_bin_means accuracy, similarity; /* by bin */
} tsr_text_result;

/* Adds what was found in one set of pictures to a sum over sets with the same bins, so that all
 * words are pooled. A struct of zeros is an empty sum. */
void tsr_text_result_add(tsr_text_result *sum, const tsr_text_result *more);

/* An evaluation that is going on, over one candidate for the pictures. */
typedef struct tsr_text_eval tsr_text_eval;
/* Begins an evaluation; annotations and reader outlive it. settings may be NULL. Errors: ARGUMENT
 * (annotations of faces; bins), MEMORY. */
tsr_status tsr_text_eval_open(tsr_context *ctx, const tsr_annotations *annotations,
                              tsr_reader *reader, const tsr_text_eval_settings *settings,
                              tsr_text_eval **eval);
/* Cuts the marked words out of a picture and reads them, at once or with words of later pictures.
 * `name` is looked up among the annotations; a picture without marks counts for nothing. A picture
 * whose size differs from what the annotations say is refused: the boxes are in pixels. Boxes are
 * cut to whole pixels towards zero. Errors: ARGUMENT (size), those of tsr_reader_read. */
tsr_status tsr_text_eval_picture(tsr_text_eval *eval, const char *name, const tsr_picture *picture);
/* Reads what is left and gives the numbers. Errors: those of tsr_reader_read. */
tsr_status tsr_text_eval_finish(tsr_text_eval *eval, tsr_text_result *result);
/* Closes an evaluation. NULL and a NULL *eval are accepted. */
void tsr_text_eval_close(tsr_text_eval **eval);

/* ---- faces of pictures ---------------------------------------------------------------------- */

/* A network that embeds faces, and how faces are aligned for it. */
typedef struct tsr_embedder tsr_embedder;
/* Opens an embedder by a text: "arcface:WEIGHTS" or "mobilefacenet:WEIGHTS" (file or folder). Faces
 * are brought to 112 x 112, or 96 x 112 of MobileFaceNet, by the similarity that brings their five
 * points nearest to the published template, with OpenCV 4's bilinear warp; outside is black. The
 * caller closes *embedder. Errors: ARGUMENT (a text that means no embedder, or weights of the other
 * one), UNSUPPORTED, those of tsr_judge_open. */
tsr_status tsr_embedder_open(tsr_context *ctx, const char *text, const tsr_model_settings *settings,
                             tsr_embedder **embedder);
/* Closes an embedder and sets *embedder to NULL. NULL and a NULL *embedder are accepted. */
void tsr_embedder_close(tsr_embedder **embedder);
/* What an embedder is, "mobilefacenet"; how faces are compared; licence of its weights. Owned by
 * the embedder. */
const char *tsr_embedder_name(const tsr_embedder *embedder);
const char *tsr_embedder_protocol(const tsr_embedder *embedder);
const char *tsr_embedder_licence(const tsr_embedder *embedder);
/* Numbers of an embedding. */
uint32_t tsr_embedder_channels(const tsr_embedder *embedder);
/* Aligns and embeds the faces of a picture: embeddings [count, channels], not normalised. Errors:
 * those of tsr_judge_embed, MEMORY. */
tsr_status tsr_embedder_embed(tsr_embedder *embedder, const tsr_picture *picture,
                              const tsr_face_mark *faces, int count, float *embeddings);
/* Cosine of two embeddings; 0 where one of them is zero. */
double tsr_embedding_cosine(const float *a, const float *b, uint32_t channels);

/* What happened to one marked face. */
typedef struct tsr_face_row {
    const char *picture;
    uint64_t face; /* number in its picture */
    double size, similarity;
    int bin; /* of that size; -1: in none */
} tsr_face_row;
typedef void (*tsr_face_row_fn)(void *user, const tsr_face_row *row);

/* How faces are evaluated. A struct of zeros is the default. */
typedef struct tsr_face_eval_settings {
    tsr_size_bins bins; /* default, count 0: side in pixels with edges 0, 24, 48, 96, 192 and 1e9 */
    int by_ratio; /* 1: the size of a face is its annotation's, or without one the side below /
                     longer side of the picture; 0: side of the aligned crop in pixels of the
                     picture. Default 0 */
    tsr_face_row_fn row; /* default NULL */
    void *row_user;
} tsr_face_eval_settings;

/* Numbers of all faces. */
typedef struct tsr_face_result {
    uint64_t pictures, missing_pictures;
    uint64_t faces;
    double similarity; /* F-Sim: mean cosine over all faces; NaN without any */
    tsr_size_bins bins;
    tsr_bin_means similarities; /* by bin */
} tsr_face_result;

/* An evaluation that is going on. */
typedef struct tsr_face_eval tsr_face_eval;
/* Begins an evaluation; annotations and embedder outlive it. settings may be NULL. Errors: ARGUMENT
 * (annotations of text; bins), MEMORY. */
tsr_status tsr_face_eval_open(tsr_context *ctx, const tsr_annotations *annotations,
                              tsr_embedder *embedder, const tsr_face_eval_settings *settings,
                              tsr_face_eval **eval);
/* Compares the faces of a picture with those of its original at the same points: no face is looked
 * for, so that none is missed. Both pictures have one size. Errors: ARGUMENT (sizes), those of
 * tsr_embedder_embed. */
tsr_status tsr_face_eval_pair(tsr_face_eval *eval, const char *name, const tsr_picture *original,
                              const tsr_picture *candidate);
/* Gives the numbers. */
void tsr_face_eval_finish(tsr_face_eval *eval, tsr_face_result *result);
/* Closes an evaluation. NULL and a NULL *eval are accepted. */
void tsr_face_eval_close(tsr_face_eval **eval);

#ifdef __cplusplus
}
#endif
#endif
