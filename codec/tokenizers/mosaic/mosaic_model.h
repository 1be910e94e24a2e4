/* SPDX-License-Identifier: MIT */
/* mosaic_model.h: the loaded model, and what its files share: mosaic.c loads and decodes,
 * mosaic_encode.c encodes on the host, mosaic_device.c on a GPU. */
#ifndef CODEC_TOKENIZERS_MOSAIC_MODEL_H
#define CODEC_TOKENIZERS_MOSAIC_MODEL_H

#include "../../../nn/family.h"
#include "../../../nn/vit.h"
#include "../../../quantizer/residual_fsq.h"
#include "../../../quantizer/rvq_search.h"

enum {
    SIZE = 256, /* pixels of a tile's side */
    PLANES = 3, /* brightness, red-blue, green-magenta */
    PATCH = 16,
    PATCHES = (SIZE / PATCH) * (SIZE / PATCH),
    TOKENS = 256,
    DIGITS = 6, /* of an id */
    SLOTS = TOKENS * DIGITS,
    CLASS_DIGITS = 2, /* the first slots after the leading ids; they name the class */
    CORNER = 64,      /* side of the low corner of the DCT that is coded */
    COEFFICIENTS = PLANES * CORNER * CORNER,
    FIRST = 8 * 8 * 8, /* codewords that an id's first three digits number */
    SECOND = 5 * 5 * 5,
    CODES = FIRST + SECOND, /* of a leading id */
    MOST_LEAD = TSR_RVQ_MOST_STAGES / 2,
    BEAM = 16,
    TABLE = 8,  /* most levels of a digit */
    COUNTS = 9, /* powers of two 1 .. 256 */
    MAX_CLASSES = 64,
    MAX_DEPTH = 64
};
/* Levels of an id's digits. */
extern const int tsr_mosaic_levels[DIGITS];
/* Rows are orthonormal, so errors in planes are errors in pixels. */
extern const float tsr_mosaic_colour[PLANES][3];

typedef struct mosaic {
    tsr_device *device;
    tsr_context *ctx;
    tsr_weights *weights;
    const char *path;
    char name[64];
    int classes, width, depth, heads;
    /* the leading ids */
    int lead, lead_dim;
    const int32_t *lead_source; /* [lead_dim] index into [plane, v, u] */
    tsr_weight *lead_codes;     /* [lead, CODES, lead_dim] */
    float *lead_norms;          /* [lead, CODES] */
    tsr_rvq_stage lead_stage[TSR_RVQ_MOST_STAGES];
    /* the other ids, one row for each class */
    const int32_t
        *source;       /* [classes, SLOTS] index into [plane, v, u]; -1 where there is no slot */
    int32_t *previous; /* [classes, SLOTS] */
    tsr_weight *scale; /* [classes, SLOTS] */
    tsr_weight *table; /* [classes, SLOTS, TABLE] */
    tsr_weight *predictor;   /* [COUNTS, 2]: log error = a + b * log error of the linear codec */
    float dct[SIZE][CORNER]; /* transposed: dct[x][u] */
    float *dct_rows;         /* [SIZE, CORNER] dct, for the device */
    struct tsr_mosaic_device *on_device; /* NULL on a cpu device */
    /* the decoder */
    tsr_weight *inverse;            /* [SIZE, CORNER] */
    tsr_weight *patch, *patch_bias; /* [D, 768], [D] */
    tsr_weight *position;           /* [PATCHES, D] */
    tsr_weight *count;              /* [TOKENS + 1, D] what a number of ids adds */
    tsr_weight *class_embedding;    /* [classes, D] */
    tsr_vit_block block[MAX_DEPTH];
    tsr_weight *norm_gamma, *norm_beta; /* [D] */
    tsr_weight *head, *head_bias;       /* [768, D], [768] */
} mosaic;

/* Reads the weights of a model whose ctx and path are set. Errors: MODEL, MEMORY, those of reading.
 */
tsr_status tsr_mosaic_load(mosaic *m, const tsr_safetensors *file);
/* Frees a model and what tsr_mosaic_load made of it. */
void tsr_mosaic_free(mosaic *m);
/* The quantiser of class c. */
tsr_residual_fsq tsr_mosaic_slots(const mosaic *m, int c);
/* Two codewords of leading id number id_index. */
void tsr_mosaic_codewords(const mosaic *m, int id_index, uint32_t id, const float *code[2]);
/* The linear codec's coefficients for the first `count` ids. digits: of the ids after the leading
 * ones; c: their class, where there are any. */
void tsr_mosaic_restore(const mosaic *m, int c, int count, const uint32_t *lead_ids,
                        const uint8_t *digits, float *restored);

/* ---- encoding ------------------------------------------------------------------------------ */

/* What an encoder decided for one tile, and by how much. */
typedef struct tsr_mosaic_code {
    uint32_t lead_ids[MOST_LEAD];
    float lead_margin; /* squared error of the second best chain less that of the best ... */
    float lead_scale;  /* ... which is judged beside the tile's energy, this one */
    int class_number;
    double class_margin;   /* cost of the second best class less that of the best */
    uint8_t digits[SLOTS]; /* of the class; those of the leading ids are unused */
    float margin[SLOTS];   /* distance to the nearest boundary, in steps between two levels */
} tsr_mosaic_code;

/* Bounds of near ties: of lead_margin as a share of lead_scale, of class_margin, and of margin.
 * Decisions with less of a margin may be taken otherwise by an equally exact arithmetic. */
extern const float tsr_mosaic_lead_tie, tsr_mosaic_digit_tie;
extern const double tsr_mosaic_class_tie;

/* Writes the first `count` ids of a tile and returns how many of them are near ties. */
uint64_t tsr_mosaic_write_ids(const mosaic *m, tsr_mosaic_code *code, int count, uint32_t *ids);

/* A search for the fewest ids of a tile whose predicted error is within a quality, or all. */
typedef struct tsr_mosaic_search {
    int low, high;    /* the answer is among these */
    double predicted; /* error of `high` ids; NaN while it is not known */
    bool near_tie;    /* a comparison on the way was within rounding */
} tsr_mosaic_search;
/* A search among 1 to `most` ids. */
tsr_mosaic_search tsr_mosaic_search_open(int most);
/* True until the number of ids and its error are known. */
bool tsr_mosaic_search_goes_on(const tsr_mosaic_search *search);
/* Number of ids that the search asks about next. */
int tsr_mosaic_search_next(const tsr_mosaic_search *search);
/* Narrows a search that goes on by the linear codec's mean absolute error with
 * tsr_mosaic_search_next ids. */
void tsr_mosaic_search_take(const mosaic *m, tsr_mosaic_search *search, double linear,
                            float quality);

/* Encode tiles, as tsr_tokenizer_ops.encode. codes [count] gets what was decided; or NULL. The
 * host's arithmetic has a fixed order: the same ids on every machine. The device's ids are the
 * host's outside near ties. */
tsr_status tsr_mosaic_encode_on_host(const mosaic *m, const tsr_pixels *pixels,
                                     const tsr_encode_request *request, tsr_token_batch *batch,
                                     tsr_mosaic_code *codes);
tsr_status tsr_mosaic_encode_on_device(const mosaic *m, const tsr_pixels *pixels,
                                       const tsr_encode_request *request, tsr_token_batch *batch,
                                       tsr_mosaic_code *codes);
/* Cost of a tile that is encoded on the device. */
tsr_tile_cost tsr_mosaic_encode_cost(void);

/* Makes what the encoder on a device needs beside the host's. Errors: MEMORY. */
tsr_status tsr_mosaic_open_on_device(mosaic *m);
/* Frees what tsr_mosaic_open_on_device made. */
void tsr_mosaic_close_on_device(mosaic *m);

#endif
