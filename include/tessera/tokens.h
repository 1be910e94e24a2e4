/* SPDX-License-Identifier: MIT */
/* tokens.h: token sets and the token file (.tess). A program that only moves tokens needs no model,
 * no device and nothing else of libtessera. The byte layout is formats/tokens/SPEC.md.
 *
 * A writer and a file use their context until they are closed and belong to its thread. Files of
 * different contexts may be used at the same time. The context of a call must not be NULL. */
#ifndef TESSERA_TOKENS_H
#define TESSERA_TOKENS_H

#include <stddef.h>
#include "status.h"

#ifdef __cplusplus
extern "C" {
#endif

#define TSR_MAX_LEVELS 16

/* Arrangement of the positions of one tile. Numbers are written to files. */
typedef enum tsr_geometry {
    TSR_GEOMETRY_SEQUENCE = 0, /* one row of positions */
    TSR_GEOMETRY_GRID = 1      /* rows x columns, row by row */
} tsr_geometry;

/* How a picture becomes tiles. Numbers are written to files. */
typedef enum tsr_fit {
    TSR_FIT_AUTO = 0, /* the tokenizer's preference; in settings only, never in a file */
    TSR_FIT_CROP = 1, /* short side resized to the tile, centre cropped */
    TSR_FIT_PAD = 2,  /* long side resized to the tile, the rest padded; decoding removes the pad */
    TSR_FIT_STRETCH = 3, /* both sides resized to the tile; decoding resizes back */
    TSR_FIT_TILE = 4     /* size unchanged, covered by overlapping tiles, which decoding blends */
} tsr_fit;

/* How a sampling decoder combines its two predictions, with the ids and without them. Guidance adds
 * a multiple of their difference. */
typedef enum tsr_guidance_mode {
    TSR_GUIDANCE_AUTO = 0, /* the mode in the file's hints, or else APG */
    TSR_GUIDANCE_APG = 1,  /* adaptive projected guidance (Sadat et al. 2024): the difference is
                              smoothed, bounded, and made orthogonal to the guided velocity */
    TSR_GUIDANCE_CFG = 2   /* classifier-free guidance (Ho and Salimans 2022): the plain
                              difference */
} tsr_guidance_mode;

/* Advice of the writer of a file on how a sampling decoder should make the pictures. Hints change
 * no id, and the reader may decode otherwise. */
typedef struct tsr_decode_hints {
    int present;    /* 0: the file has no hints, and the other fields mean nothing */
    uint32_t steps; /* steps of the sampler */
    float guidance; /* scale of guidance; 1 is without guidance */
    uint64_t seed;  /* seed of the starting noise */
    int fast;       /* 1: the writer used TSR_PRECISION_FAST */
    int plain;      /* 1: TSR_GUIDANCE_CFG; 0: TSR_GUIDANCE_APG */
} tsr_decode_hints;

/* Stored type of the numbers of a vector. Numbers of this enum are written to files. */
typedef enum tsr_latent_type {
    TSR_LATENT_F32 = 0, /* exact, 4 bytes */
    TSR_LATENT_F16 = 1  /* rounded to 11 significant bits, 2 bytes; magnitudes below 65520 */
} tsr_latent_type;

/* Description of the tokens of a file: what made them and how they are arranged. A file has one
 * header for all of its items. Tokens are ids (codebook_size > 0) or vectors (channels > 0). */
typedef struct tsr_token_header {
    char tokenizer[64];          /* name of the model, 1..63 printable ASCII: "mosaic-256" */
    uint32_t family;             /* number of the family in models/registry.def */
    uint64_t weights_hash;       /* XXH64 identity of the weights; 0: unknown */
    uint32_t codebook_size;      /* every id is below this number; 0: tokens are vectors */
    uint32_t channels;           /* numbers in a vector, 1..4096; 0: tokens are ids */
    tsr_latent_type latent_type; /* stored type of vectors; TSR_LATENT_F32 for ids */
    uint32_t level_count; /* entries of `levels`, 0..TSR_MAX_LEVELS; 0: not an FSQ codebook */
    uint32_t levels[TSR_MAX_LEVELS]; /* levels of FSQ, 2..65536; product = codebook_size */
    tsr_geometry geometry;
    uint32_t rows, columns; /* positions of a tile: a grid of rows x columns; a sequence has rows 1
                               and as many columns as a tile has tokens at most */
    uint32_t nested;        /* 1: the first n ids of a tile decode for every n; 0: all are needed */
    uint32_t tile_width, tile_height; /* pixels, 1..65536 */
    uint32_t tile_frames; /* tokenizers of video: most frames of a tile, 1..65536, whose rows x
                             columns positions come `frames` times; 0: tiles are pictures */
    uint32_t frames;      /* positions of a tile along time, 1..tile_frames; 0 with tile_frames 0 */
    tsr_fit fit;          /* how the pictures were fitted; never TSR_FIT_AUTO */
    uint32_t filter;      /* resampling of the fit: 0 bilinear, 1 bicubic, 2 Lanczos */
    uint8_t background[3]; /* RGB under transparent pixels and of the padding */
    tsr_decode_hints hints;
} tsr_token_header;

/* Metric of a quality target. Numbers are written to files. */
typedef enum tsr_target_metric {
    TSR_TARGET_NONE = 0, /* no target */
    TSR_TARGET_PSNR = 1, /* dB over 8-bit RGB, 0..200; more is better */
    TSR_TARGET_SSIM = 2, /* gaussian window of 11 x 11 (Wang et al. 2004), -1..1; more is better */
    TSR_TARGET_L1 = 3    /* mean absolute error on the 0..1 scale; less is better */
} tsr_target_metric;
/* A quality that the tokens of a picture were chosen to reach, or shall be. */
typedef struct tsr_target {
    tsr_target_metric metric; /* default TSR_TARGET_NONE */
    float threshold;          /* value of the metric to reach: at least this much, or at most for
                                 L1; default 0 */
    float reached; /* value that was reached, worse than `threshold` when all ids were not enough;
                      written by a search, default 0 */
} tsr_target;

/* Type of an attribute's value. Numbers are written to files. */
typedef enum tsr_attribute_type {
    TSR_ATTRIBUTE_TEXT = 0,    /* UTF-8 */
    TSR_ATTRIBUTE_INTEGER = 1, /* signed, 64 bits */
    TSR_ATTRIBUTE_BYTES = 2    /* any bytes */
} tsr_attribute_type;
/* A named value that goes with an item or with a whole file: a class, a caption, the JSON of a
 * WebDataset sample. Attributes change no token. A struct of zeros is the empty text without a
 * name, which no file takes. */
typedef struct tsr_attribute {
    const char *name;        /* UTF-8, 1..255 bytes without control characters; the names of one
                                item differ. Files hold attributes in the order of the bytes of
                                their names, and are read in it */
    tsr_attribute_type type; /* default TSR_ATTRIBUTE_TEXT */
    int64_t integer;         /* value of TSR_ATTRIBUTE_INTEGER; 0 for the other types */
    const void *bytes;       /* [size] value of TSR_ATTRIBUTE_TEXT and TSR_ATTRIBUTE_BYTES; a zero
                                byte, not counted in `size`, follows one that was read from a file.
                                May be NULL when `size` is 0 */
    size_t size;             /* bytes of the value, at most TSR_MAX_ATTRIBUTE_BYTES; 0 for an
                                integer */
} tsr_attribute;
#define TSR_MAX_ATTRIBUTES      4096u      /* of one item or file */
#define TSR_MAX_ATTRIBUTE_BYTES (1u << 20) /* of one value */
#define TSR_MAX_ATTRIBUTES_BYTES                                                                   \
    (1u << 24) /* of all names and values of one item or file; an                                  \
                 integer counts as 8 */

/* Stored type of the rows of a stream's codebook. Numbers are written to files. */
typedef enum tsr_codebook_type {
    TSR_CODEBOOK_F32 = 0, /* exact */
    TSR_CODEBOOK_F16 = 1, /* rounded to 11 significant bits; magnitudes below 65520 */
    TSR_CODEBOOK_INT8 = 2 /* rounded to 1/127 of the greatest magnitude in the row, with one scale
                             a row; magnitudes below 2^119 */
} tsr_codebook_type;

/* What a stream takes in a file. */
typedef struct tsr_stream_bytes {
    uint64_t codebook, ids, gains, map; /* coded parts; a newline counts as codebook */
    uint64_t all;                       /* the chunk */
} tsr_stream_bytes;

/* A named grid of ids that goes with an item and is read without the other streams: semantic ids
 * before pixel ids, a fast stream beside a slow one, the codebook and index map of a clip. An id
 * means a code of whatever `source` names, or a row of the stream's own codebook. A struct of zeros
 * is no stream: names, sizes and ids are wanted. */
typedef struct tsr_token_stream {
    const char *name;      /* 0..63 letters, digits, '_', '-', '.'; those of an item differ. NULL
                              is "" when written */
    const char *source;    /* what made it: a tokenizer, or tower, layer and projector; 0..255 bytes
                              of UTF-8 without control characters. NULL is "" when written */
    uint64_t weights_hash; /* of the source's weights; default 0: unknown */
    uint32_t frames, rows, columns; /* of the grid, 1 or more; product at most 2^26 */
    uint32_t codebook_size;         /* K: every id is below it */
    const uint32_t *ids;            /* [frames, rows, columns] */
    uint32_t channels; /* D of the stream's own codebook, 1..65536; default 0: it has none */
    tsr_codebook_type codebook_type; /* default TSR_CODEBOOK_F32 */
    const float *codebook;           /* [K, D] finite; NULL without channels */
    const float *newline; /* [D] learned row that a language model gets behind the codebook, and no
                             id means; default NULL: there is none */
    const float *gains;   /* [frames, rows, columns] length that each cell's feature had, stored as
                             f16: the feature is gain * row / |row|. Default NULL: it is the row */
    uint32_t finer; /* number, from 1, of the stream of this item whose cells these cells hold;
                       default 0: none */
    uint32_t finer_frames, finer_rows, finer_columns; /* of that stream; default 0 */
    uint32_t window[3];     /* frames, rows and columns of finer cells pooled into one; this grid is
                               the finer one divided by it, rounded up. Default 0: `map` says it */
    const uint32_t *map;    /* [finer cells] cell of this grid that holds each, or TSR_NO_CELL; NULL
                               with a window */
    tsr_stream_bytes bytes; /* in the file: filled by reading, not looked at by writing */
} tsr_token_stream;
#define TSR_MAX_STREAMS 64u /* of one item */
#define TSR_NO_CELL     UINT32_MAX

/* Tokens of one picture, or of a stretch of a video: tiles row by row, and the tokens of each tile
 * in the order of its positions. The memory belongs to whoever filled the struct. */
typedef struct tsr_token_item {
    const char *key; /* name of the picture: its file name, or its path with '/' between the parts,
                        at most 1024 bytes, without control characters and without parts that are
                        empty, "." or ".."; not NULL */
    uint32_t source_width, source_height; /* of the source picture as displayed, in pixels */
    uint32_t orientation;                 /* EXIF tag that was applied to the source, 1..8 */
    uint32_t width, height;               /* of the fitted picture in pixels: after resizing, before
                                             padding */
    int32_t crop_x, crop_y;           /* corner of the tiled area in the fitted picture, in pixels;
                                         negative: that many pixels of padding */
    uint32_t tile_columns, tile_rows; /* product 1..1048576 */
    uint32_t frames;  /* of each tile: 1..tile_frames of the header; 0 with tile_frames 0. A tile of
                         fewer frames than tile_frames has fewer tokens: those of the first times */
    uint32_t overlap; /* pixels shared by neighbouring tiles, below 65536 */
    double time;      /* seconds from the start of a clip; 0 for a picture.
                         tsr_token_writer_clip_add sets it by the frame's pts */
    float quality;    /* tolerated mean absolute error that chose the tokens, on the 0..1
                         scale; 0: the tokens were not chosen so */
    tsr_target target;      /* quality target that chose the number of tokens, if any */
    const uint32_t *counts; /* [tile_rows * tile_columns] tokens of each tile */
    const uint32_t *ids;    /* [sum of counts] ids; NULL for vectors */
    const float *latents;   /* [sum of counts, channels] vectors, all finite; NULL for ids */
    const uint8_t *kept;    /* [tiles, tsr_token_mask_bytes] one bit for each position: 1 = has a
                               token. Bit 0 of byte 0 is position 0. NULL: the first counts[t]
                               positions of tile t have one */
    const tsr_attribute *attributes; /* [attribute_count] NULL: none */
    uint32_t attribute_count;        /* 0..TSR_MAX_ATTRIBUTES */
    const tsr_token_stream *streams; /* [stream_count] NULL: none. An item of streams alone has
                                        counts of 0 */
    uint32_t stream_count;           /* 0..TSR_MAX_STREAMS; stream n of a file is streams[n - 1] */
} tsr_token_item;

/* ---- clips: items that are frames of a video ---- */

/* What was assumed of a clip because its file did not say it: bits of tsr_token_clip.assumed. */
enum {
    TSR_CLIP_ASSUMED_MATRIX = 1,
    TSR_CLIP_ASSUMED_RANGE = 2,
    TSR_CLIP_ASSUMED_RATE = 4,  /* frames a second */
    TSR_CLIP_ASSUMED_TIMES = 8, /* the frames had no times: theirs are made from the rate */
    TSR_CLIP_ASSUMED_ALL = 15
};
/* Fields of an interlaced picture. Numbers are written to files. */
typedef enum tsr_clip_fields {
    TSR_CLIP_PROGRESSIVE = 0,  /* or not known */
    TSR_CLIP_TOP_FIRST = 1,    /* the first line belongs to the earlier field */
    TSR_CLIP_BOTTOM_FIRST = 2, /* the second line does */
    TSR_CLIP_MIXED = 3         /* frames of more than one kind */
} tsr_clip_fields;

/* A clip: items that follow each other in a file and are frames of one video, with their exact
 * times. Of an image tokenizer each item is one frame; of a video tokenizer each is a window of
 * frames. A file may hold several clips, and items that belong to none. A struct of zeros with a
 * time base is a clip of which nothing else is known. */
typedef struct tsr_token_clip {
    const char *name; /* of the source: its file name; UTF-8 without control characters, 0..255
                         bytes. Clips may share one. NULL is "" when written */
    tsr_rational time_base; /* seconds of a tick: 1/12800; both numbers 1..2^31-1 */
    int64_t start; /* pts of the first frame that the source shows, in ticks, -2^60..2^60. Seconds
                      count from here */
    tsr_rational rate; /* nominal frames a second: 30000/1001, likewise; default 0/0: not known. It
                          says nothing about the times of the frames */
    uint64_t source_frames; /* frames that the source shows, of which those of the clip were chosen;
                               default 0: unknown */
    uint32_t coded_width,
        coded_height;  /* of the frames as stored, in pixels, before rotation;
                          default 0: unknown. The size as displayed is the items' */
    uint32_t rotation; /* degrees clockwise that were applied to the frames: 0, 90, 180 or 270 */
    int mirrored;      /* 1: they were mirrored left to right, after the rotation */
    tsr_rational sample_aspect; /* width to height of a stored pixel, likewise; default 0/0: not
                                   known, taken as square. Pixels were not resampled by it */
    tsr_clip_fields fields;     /* of interlaced frames, which are woven unless `deinterlaced` */
    int deinterlaced;           /* 1: each frame was made progressive */
    int sound_dropped;          /* 1: the source has sound, which a token file does not keep */
    /* Colour, as numbered by ISO/IEC 23091-2 (H.273): how pixels became RGB, and what else the
     * source says; below 256. */
    uint32_t matrix, range, primaries, transfer; /* range: 0 unknown, 1 limited, 2 full */
    uint32_t assumed; /* bits TSR_CLIP_ASSUMED_*: what the source did not say */
    uint32_t group; /* every so many items one is coded without the items before it, so that reading
                       one item reads fewer than that before it; 1..256, 1: every item alone.
                       Default 0: 32 */
    /* Filled by reading, not looked at by writing. */
    uint64_t first_item, items; /* of the file: the clip's are consecutive */
    uint64_t frames;            /* with those of items that are lost */
    uint64_t lost_items;        /* of the clip, that are not in the file: 0 unless it is scanned */
} tsr_token_clip;
/* Time of a frame. */
typedef struct tsr_clip_frame {
    int64_t pts;       /* when it is shown, in ticks, -2^60..2^60; TSR_NO_PTS: not known */
    uint64_t duration; /* how long it is shown, in ticks, at most 2^60; 0: not known */
} tsr_clip_frame;
#define TSR_NO_PTS          INT64_MIN
#define TSR_MAX_ITEM_FRAMES 65536u

/* Number of tokens of an item: the sum of its counts. */
uint64_t tsr_token_item_total(const tsr_token_item *item);
/* Bits of one token before entropy coding: for an id the smallest b with 2^b >= codebook_size, for
 * a vector all of its numbers in their stored type. */
uint32_t tsr_token_bits(const tsr_token_header *header);
/* Bytes of one token in memory: 4 for an id, 4 * channels for a vector. */
size_t tsr_token_value_bytes(const tsr_token_header *header);
/* Positions of a tile: rows * columns, times `frames` where tiles have frames. */
uint32_t tsr_token_positions(const tsr_token_header *header);
/* Bytes of one tile's kept mask: a bit for each of `positions`, rounded up. */
size_t tsr_token_mask_bytes(uint32_t positions);

/* ---- writing: one pass, items in order ---- */

/* A token file being written. */
typedef struct tsr_token_writer tsr_token_writer;
/* How a token file is stored. No field changes a token. */
typedef struct tsr_token_writer_settings {
    uint32_t layer_tokens; /* nested ids: number of ids of each tile in the first layer. Layers end
                              at layer_tokens, 4 * layer_tokens, 16 * layer_tokens, ..., so that a
                              prefix of the file decodes to a coarser picture. Default 0: one
                              layer */
    int entropy;           /* 1 codes an item's tokens where that makes them smaller, 0 stores them
                              raw; default 1, which a struct of zeros is not */
    int key_index;         /* 1 writes an index of the keys, 16 bytes an item, by which
                              tsr_token_file_find and tsr_token_file_select find a key in
                              microseconds instead of looking at every item; default 0 */
} tsr_token_writer_settings;
/* Default settings of a writer. */
tsr_token_writer_settings tsr_token_writer_settings_default(void);
/* Opens a token file for writing. It appears under `path` when the writer is closed; "-" is stdout.
 * The memory of a writer does not grow with the number of items: what is written at the end waits
 * in a temporary file without a name beside the output, once it is more than a quarter of a MiB.
 * The header is copied. settings may be NULL (the defaults). *writer is NULL on error; else the
 * caller ends it with tsr_token_writer_close or tsr_token_writer_abandon.
 * Errors: ARGUMENT (a header field out of range; layers of tokens that are not nested), IO,
 * NO_SPACE, MEMORY. */
tsr_status tsr_token_writer_open(tsr_context *ctx, tsr_token_writer **writer, const char *path,
                                 const tsr_token_header *header,
                                 const tsr_token_writer_settings *settings);
/* Opens a writer to memory, which is ended with tsr_token_writer_close_memory. Its bytes are those
 * that a file would have. Errors: as tsr_token_writer_open, without IO and NO_SPACE. */
tsr_status tsr_token_writer_open_memory(tsr_context *ctx, tsr_token_writer **writer,
                                        const tsr_token_header *header,
                                        const tsr_token_writer_settings *settings);
/* Sets the attributes of the file, before its first item; they are copied. A second call replaces
 * them, and count 0 takes them away.
 * Errors: ARGUMENT (an attribute out of range, two of one name, NULL), STATE (an item was added),
 * MEMORY. */
tsr_status tsr_token_writer_attributes(tsr_token_writer *writer, const tsr_attribute *attributes,
                                       uint32_t count);
/* Appends an item. Its memory may be freed after the call.
 * Errors after which the writer accepts further items: ARGUMENT (a field out of range), TOKENS (an
 * id outside the codebook; a number that is not finite or too large for its type; more tokens than
 * positions; a kept mask that disagrees with the counts; a map to a cell that is not there).
 * Errors after which every call on the writer fails: IO, NO_SPACE, MEMORY. */
tsr_status tsr_token_writer_add(tsr_token_writer *writer, const tsr_token_item *item);
/* Opens a clip: items that tsr_token_writer_clip_add appends are its frames, up to
 * tsr_token_writer_clip_end. The facts are copied. No other items can be added meanwhile.
 * Errors: ARGUMENT (a field out of range, NULL), STATE (a clip is open), MEMORY, that of an earlier
 * write. */
tsr_status tsr_token_writer_clip_begin(tsr_token_writer *writer, const tsr_token_clip *clip);
/* Appends an item that holds frames [count] of the open clip in display order: one of an image
 * tokenizer, 1..65536 of a video tokenizer. `skip` is the number of decoded frames in front of them
 * that are not shown (padding, or the overlap of windows), 0..65535; decoded frames behind them are
 * not shown either. item->time is not looked at: it becomes seconds from the clip's start, if the
 * first frame has a pts.
 * Errors: STATE (no clip is open), ARGUMENT (a time out of range), those of tsr_token_writer_add.
 */
tsr_status tsr_token_writer_clip_add(tsr_token_writer *writer, const tsr_token_item *item,
                                     const tsr_clip_frame *frames, uint32_t count, uint32_t skip);
/* Ends the open clip and writes its facts and times, a few bytes where frames come at a constant
 * rate. A clip without items leaves nothing in the file. Closing a writer ends its clip, too.
 * Errors: STATE (no clip is open), IO, NO_SPACE, MEMORY, that of an earlier write. */
tsr_status tsr_token_writer_clip_end(tsr_token_writer *writer);
/* Writes index and footer, moves the file to its final name and frees the writer. *writer becomes
 * NULL, also on error; nothing then appears under the final name.
 * Errors: ARGUMENT (writer or *writer is NULL), that of an earlier add, IO, NO_SPACE, MEMORY. */
tsr_status tsr_token_writer_close(tsr_token_writer **writer);
/* The same for a writer to memory: *bytes [*size] is the whole file, which the caller frees with
 * free(). *writer becomes NULL, also on error; *bytes is then NULL. Errors: that of an earlier add,
 * MEMORY. */
tsr_status tsr_token_writer_close_memory(tsr_token_writer **writer, uint8_t **bytes, size_t *size);
/* Deletes what was written, frees the writer and sets *writer to NULL. Nothing appears under the
 * final name. NULL and a NULL *writer are accepted. */
void tsr_token_writer_abandon(tsr_token_writer **writer);

/* ---- reading: by index, or by scanning when the end is missing ---- */

/* An open token file. */
typedef struct tsr_token_file tsr_token_file;
/* What a token file holds. */
typedef struct tsr_token_file_info {
    uint64_t bytes;                        /* size of the file */
    uint64_t header_bytes;                 /* of `bytes`: start and header chunks */
    uint64_t payload_bytes;                /* of `bytes`: items and clips */
    uint64_t index_bytes;                  /* of `bytes`: index and footer */
    uint64_t items, tokens;                /* tokens: of all items */
    uint32_t version_major, version_minor; /* of the format */
    int recovered; /* 1: the index is missing or damaged, and items were found by scanning */
    int damaged; /* damaged places that opening found, see tsr_token_file_damage; what stands there
                    is left out. Items that the index lists are not looked at */
    int key_index;  /* 1: keys are found without looking at every item */
    uint64_t clips; /* see tsr_token_file_clip */
} tsr_token_file_info;
/* Opens a token file; "-" reads stdin to its end. A file that was cut or damaged after its header
 * opens with `recovered` set. A file of more than a MiB is mapped, and its index stays where it is:
 * memory takes a quarter of a byte for each item, and of the file itself a few MiB when it is read
 * in order, at most 256 MiB when it is read at random. *file is NULL on error; else the caller
 * closes it with tsr_token_file_close. Errors: ARGUMENT (path or file is NULL), NOT_FOUND, IO,
 * FORMAT (not a token file, or one that a transfer in text mode changed), VERSION, TRUNCATED and
 * CHECKSUM (the header), TOO_LARGE, MEMORY.
 */
tsr_status tsr_token_file_open(tsr_context *ctx, tsr_token_file **file, const char *path);
/* Opens a token file in memory. `bytes` belong to the caller and must stay valid until
 * tsr_token_file_close. `name` stands for the path in detail texts and is copied; NULL is "token
 * file in memory". Errors: as tsr_token_file_open, without NOT_FOUND and IO. */
tsr_status tsr_token_file_parse(tsr_context *ctx, tsr_token_file **file, const char *name,
                                const void *bytes, size_t size);
/* Closes a token file and sets *file to NULL. NULL and a NULL *file are accepted. */
void tsr_token_file_close(tsr_token_file **file);
/* Header of a file. Owned by the file; `file` must not be NULL. */
const tsr_token_header *tsr_token_file_header(const tsr_token_file *file);
/* Sizes, counts and state of a file. Owned by the file; `file` must not be NULL. */
const tsr_token_file_info *tsr_token_file_properties(const tsr_token_file *file);
/* Attributes of a file, in the order of their names, owned by the file; NULL when it has none.
 * *count becomes their number. `file` must not be NULL. */
const tsr_attribute *tsr_token_file_attributes(const tsr_token_file *file, uint32_t *count);
/* Reads item `index`, 0 .. items - 1. *item points into memory that the file owns, valid until the
 * next tsr_token_file_item on this file or its close. *item is zeros on error. Damaged attributes
 * cost themselves alone: the item comes without them, and tsr_token_file_item_lost says so.
 * Errors: ARGUMENT (index out of range; NULL), CHECKSUM, FORMAT, UNSUPPORTED, TOO_LARGE, MEMORY. */
tsr_status tsr_token_file_item(tsr_token_file *file, uint64_t index, tsr_token_item *item);
/* Reads the stream called `name` of item `index`, without looking at the parts of the others.
 * *stream points into memory that the file owns, valid until the next call of this function on the
 * file or its close; it is zeros on error. Errors: NOT_FOUND (the item has no such stream), and
 * those of tsr_token_file_item. */
tsr_status tsr_token_file_stream(tsr_token_file *file, uint64_t index, const char *name,
                                 tsr_token_stream *stream);
/* Sets *bytes to the size of item `index` in the file, and *coding to how its tokens are coded:
 * "raw", "zstd", "range", or "mixed" when its layers differ (static storage). Either pointer may be
 * NULL. A result of tsr_token_file_item stays valid. Errors: as tsr_token_file_item. */
tsr_status tsr_token_file_item_storage(tsr_token_file *file, uint64_t index, uint64_t *bytes,
                                       const char **coding);

/* ---- reading clips ---- */

/* Describes clip `index`, 0 .. info.clips - 1. clip->name is owned by the file, valid until the
 * next call about clips on it or its close. *clip is zeros on error. Errors: ARGUMENT, MEMORY, IO.
 */
tsr_status tsr_token_file_clip(tsr_token_file *file, uint64_t index, tsr_token_clip *clip);
/* A frame of a clip. */
typedef struct tsr_clip_place {
    uint64_t item;       /* index of the item in the file; TSR_NO_ITEM: that item is lost */
    uint32_t decoded;    /* number of the frame among those that the item decodes to, from 0 */
    tsr_clip_frame time; /* as written */
    double seconds; /* from the clip's start. Of a frame without pts: that of the last one before it
                       which has one, and a frame of the nominal rate for each since; NAN where
                       there is no rate */
} tsr_clip_place;
/* Where frame `frame` of a clip is, 0 .. clip.frames - 1, and when it is shown. Errors: as
 * tsr_token_file_clip. */
tsr_status tsr_token_file_clip_frame(tsr_token_file *file, uint64_t clip, uint64_t frame,
                                     tsr_clip_place *place);
/* Finds the frame that is on screen at a time in seconds from the clip's start: the last one whose
 * pts is not later, or the first when all are. A pts that is later by a thousandth of a tick counts
 * as not later, so that seconds that were computed from a pts find it. Frames without pts are not
 * found. Errors: ARGUMENT (a time that is no number), NOT_FOUND (no frame has a pts), those of
 * tsr_token_file_clip. */
tsr_status tsr_token_file_clip_at(tsr_token_file *file, uint64_t clip, double seconds,
                                  uint64_t *frame);
/* Finds the clip that an item belongs to, and which of its frames the item holds: *first and the
 * *count - 1 after it. Any of the pointers may be NULL. Errors: NOT_FOUND (it belongs to none),
 * those of tsr_token_file_clip. */
tsr_status tsr_token_file_item_clip(tsr_token_file *file, uint64_t item, uint64_t *clip,
                                    uint64_t *first, uint32_t *count);

/* Finds the first item of that key. With a key index that takes microseconds, whatever the number
 * of items; without one, or in a file whose index is damaged, every item is looked at. Items that
 * cannot be read have no key. A result of tsr_token_file_item stays valid.
 * Errors: NOT_FOUND (*index stays as it was), ARGUMENT (NULL), MEMORY. */
tsr_status tsr_token_file_find(tsr_token_file *file, const char *key, uint64_t *index);

/* Offset of item `index` in the file, in bytes, also of one that cannot be read; 0 for an index out
 * of range. `file` must not be NULL. */
uint64_t tsr_token_file_item_offset(const tsr_token_file *file, uint64_t index);

/* A place of a token file that cannot be used. */
typedef struct tsr_token_damage {
    uint64_t item;   /* index of the item that cannot be read; TSR_NO_ITEM for a place that was left
                        out when the file was opened */
    uint64_t offset; /* of the first damaged byte in the file; of an item: of its first byte */
    tsr_status status;  /* CHECKSUM, FORMAT, ... */
    const char *detail; /* one line: file, place, and what is wrong there */
    int attributes;     /* 1: the item was read, its attributes are lost */
} tsr_token_damage;
#define TSR_NO_ITEM UINT64_MAX
/* Describes damaged place `index`, 0 .. info.damaged - 1, in the order of the file. damage->detail
 * is owned by the file and valid until the next call on it. Errors: ARGUMENT. */
tsr_status tsr_token_file_damage(tsr_token_file *file, int index, tsr_token_damage *damage);
/* 1 when the item that tsr_token_file_item read last has attributes that are damaged; *damage then
 * says where, its detail owned by the file until its next item is read. 0 otherwise. `damage` may
 * be NULL. */
int tsr_token_file_item_lost(const tsr_token_file *file, tsr_token_damage *damage);
/* Receives damage that a call met while it used the rest of a file, on the calling thread. The
 * struct is valid during the call. */
typedef void (*tsr_token_damage_fn)(void *user, const tsr_token_damage *damage);

/* Finds the items of a file that are named by texts. A text is an item's number ("3", counted from
 * 0), a range of numbers ("1-4", both included), a list of both ("0,2,5-7"), or else the key of an
 * item, which names every item of that key. A number that is beyond the last item is tried as a
 * key. *indexes becomes the indexes in rising order, each once, which the caller frees with free().
 * `count` 0 names every item. Items whose key cannot be read are named by their number alone.
 * Errors: ARGUMENT (a text that names no item), MEMORY. */
tsr_status tsr_token_file_select(tsr_token_file *file, const char *const *texts, int count,
                                 uint64_t **indexes, uint64_t *found);

/* What tsr_token_file_cut keeps. A struct of zeros is the default: a copy. */
typedef struct tsr_token_cut_settings {
    uint32_t tokens; /* most ids of a tile, for nested ids; default 0: all there are */
    const char *const
        *items;     /* [item_count] items to keep, see tsr_token_file_select; default NULL */
    int item_count; /* default 0: every item */
    tsr_token_damage_fn damaged; /* receives what cannot be used of the input; default NULL */
    void *damaged_user;          /* first argument of `damaged`; default NULL */
} tsr_token_cut_settings;
/* Totals of one tsr_token_file_cut. */
typedef struct tsr_token_cut_report {
    uint64_t items, tokens; /* written */
    uint64_t unreadable;    /* selected items of the input that cannot be read */
    uint64_t lost; /* items that were written without their attributes, which are damaged */
    int recovered, damaged; /* of the input, as in tsr_token_file_info */
} tsr_token_cut_report;
/* Copies a token file, or some of its items, with at most settings->tokens ids of each tile. No
 * model is needed. "-" is stdin or stdout. The items that are kept are numbered anew from 0.
 * Attributes of the file and of the items are kept, and so is having a key index. Of a clip the
 * frames that are kept stay a clip, with its facts and their times as they were.
 *
 * An input that is cut or damaged costs what stands in the damaged place and nothing else: the
 * items that can be read are written, and the call returns DAMAGED. When no item can be read,
 * nothing appears under `output`. On every other error nothing appears there either. settings may
 * be NULL (the defaults), and so may report.
 * Errors: DAMAGED; those of opening, reading and writing; ARGUMENT (a NULL path; a text that names
 * no item); UNSUPPORTED (fewer ids of tokens that are not nested, or of an item with streams). */
tsr_status tsr_token_file_cut(tsr_context *ctx, const char *input, const char *output,
                              const tsr_token_cut_settings *settings, tsr_token_cut_report *report);

/* How tsr_token_file_merge and tsr_token_file_split write. A struct of zeros is valid for merging;
 * splitting needs `items` or `parts`. */
typedef struct tsr_token_shard_settings {
    uint64_t items; /* splitting: items of each part, the last may have fewer; default 0 */
    uint64_t parts; /* splitting, without `items`: number of parts, whose items differ by one at
                       most; default 0 */
    int key_index;  /* 1: outputs get an index of keys; default 0: when the (first) input has one */
    tsr_token_damage_fn damaged; /* receives what cannot be used of an input; default NULL */
    void *damaged_user;          /* first argument of `damaged`; default NULL */
    tsr_progress_fn progress;    /* counts items; default NULL: no reports */
    void *progress_user;         /* first argument of `progress`; default NULL */
} tsr_token_shard_settings;
/* Totals of one tsr_token_file_merge or tsr_token_file_split. */
typedef struct tsr_token_shard_report {
    uint64_t files;         /* outputs that were written */
    uint64_t items, tokens; /* written */
    uint64_t unreadable;    /* items of the inputs that cannot be read */
    uint64_t lost;       /* items that were written without their attributes, which are damaged */
    uint64_t damaged;    /* inputs of which something is cut or damaged */
    int recovered;       /* 1: the index of an input is missing or damaged */
    uint64_t equal_keys; /* merging: items whose key an item before them has, by the XXH64 of the
                            keys */
    uint64_t equal_first, equal_second; /* of the first of them: item of the output with that key,
                                           and the item itself */
    uint64_t dropped; /* merging: attributes of an input file that were left out, because an input
                         before it has that name with another value */
} tsr_token_shard_report;
/* Writes the items of all inputs, one file after the other, into one output. No model is needed.
 * The headers must agree in every field, hints and layers too. Items keep their attributes and are
 * numbered anew; the file gets the attributes of all inputs, of two values of one name the first.
 * Clips come one after the other.
 * Nothing is written before every input has been opened. Of damaged inputs every whole item is
 * written, and the call returns DAMAGED. On every other error nothing appears under `output`.
 * settings may be NULL, and so may report.
 * Errors: DAMAGED; MODEL_MISMATCH (headers that differ; the detail names file and field); ARGUMENT
 * (NULL, no input, an input that is a pipe); those of opening, reading and writing. */
tsr_status tsr_token_file_merge(tsr_context *ctx, const char *const *inputs, int count,
                                const char *output, const tsr_token_shard_settings *settings,
                                tsr_token_shard_report *report);
/* Writes the items of a file into several files of a folder, which is made if it is not there:
 * "<input without .tess>-00000.tess", "-00001.tess" and so on; "-" is stdin, named "stdin". Each
 * part has the header and the attributes of the file. A clip that a part ends in goes on in the
 * next part as a clip with the same facts, its frames with their own times. A part that exists is
 * replaced, or refused
 * before anything is written, as the context says. On an error the parts that are complete stay.
 * report may be NULL.
 * Errors: DAMAGED; ARGUMENT (NULL; `items` and `parts` both 0 or both set; more parts than items,
 * or than 10 million; a part that would replace the input); those of opening, reading and writing.
 */
tsr_status tsr_token_file_split(tsr_context *ctx, const char *input, const char *folder,
                                const tsr_token_shard_settings *settings,
                                tsr_token_shard_report *report);

#ifdef __cplusplus
}
#endif
#endif
