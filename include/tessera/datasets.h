/* SPDX-License-Identifier: MIT */
/* datasets.h: where samples come from, and token files in the formats of other tools. */
#ifndef TESSERA_DATASETS_H
#define TESSERA_DATASETS_H

#include "tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Inputs are files with one picture each; folders, of which all pictures and archives are taken
 * that are in them and below them, by their suffix and in natural order (x2.png before x10.png;
 * hidden files are left out, links are followed, each folder is read once); tar archives, plain or
 * compressed with gzip or zstd, by their suffix (.tar, .tar.gz, .tgz, .tar.zst) or their first
 * bytes; and "-" (stdin) or other pipes, with pictures one behind the other or a tar.
 *
 * In an archive the key of a member is its path up to the first dot of the file's name, and
 * neighbours of one key are one sample, as in WebDataset: .jpg, .png, .webp ... is its picture;
 * .txt and .caption (text), .cls (an integer) and .json (text) become attributes of these names;
 * other members are left out, and so are those without a dot and what is in folders like __x__. A
 * sample is bad when it has no picture or two, a member twice, a link or device for a member, a key
 * that no token file takes (such as one with ".."), a key that came before, a .cls that is no
 * integer, a .json that is none, text that is not UTF-8, or a member beyond 2^30 bytes
 * (attributes: TSR_MAX_ATTRIBUTE_BYTES). */

/* What the key of an item is made from. A byte below 32 or 127, which no key may hold, becomes '_'.
 */
typedef enum tsr_key {
    TSR_KEY_NAME = 0, /* the file's name without its folder; stdin is "stdin" */
    TSR_KEY_PATH = 1, /* the path as it was given, without its root and with "." and ".." parts
                         resolved: "../a/./x.png" becomes "a/x.png"; of a file in a folder that was
                         given, its path below that folder */
    TSR_KEY_STEM = 2, /* as TSR_KEY_NAME, without the suffix */
    TSR_KEY_AUTO = 3  /* TSR_KEY_PATH for files of a folder or a list, else TSR_KEY_NAME */
} tsr_key;

/* Which samples the inputs of a call are, and what goes with them. A struct of zeros is valid. */
typedef struct tsr_source_settings {
    tsr_key key;            /* default TSR_KEY_NAME; samples of an archive keep their own keys */
    const char *files_from; /* file that lists further inputs, one a line, paths of which each may
                               be what an input may be, but "-"; one that is not there is a bad
                               picture. "-" is stdin; default NULL */
    int files_from_zero;    /* 1: the inputs in it end with a zero byte; default 0 */
    int folder_labels;      /* 1: the name of the folder that holds a picture becomes its attribute
                               "label"; in an archive that of the last folder in its key; default 0 */
    const char *attributes; /* .tsv or .jsonl file with attributes of keys. .tsv: the first line
                               names the columns, the first column is the key, and an empty field
                               is no attribute; .jsonl: an object a line with the text "key". Values
                               are texts and integers, and replace an attribute of the same name
                               that a picture has already. Default NULL */
} tsr_source_settings;

/* ---- token files in the formats of other tools ---------------------------------------------- */

/* A format of token data sets. All texts have static storage. */
typedef struct tsr_dataset_info {
    const char *name;    /* "webdataset" */
    const char *about;   /* one line */
    const char *layouts; /* "npy|npy-json|json": what tsr_export_settings.layout may be, the default
                            first; NULL: the format has one layout */
    int written, read;   /* 1: tsr_export writes it; tsr_import reads it */
    int keys;            /* 1: keeps keys, and takes none twice */
} tsr_dataset_info;
/* Number of formats in this build. */
int tsr_dataset_count(void);
/* Fills *info with format `index`, 0 .. tsr_dataset_count - 1. An index out of range gives a format
 * with an empty name. */
void tsr_dataset_at(int index, tsr_dataset_info *info);

/* Names of columns (mds), members of a line (jsonl, titok-jsonl, liquid) or an archive (npz), or
 * suffixes of members (webdataset), where the format has them. A struct of zeros stands for the
 * format's own names, which docs/DATASETS.md lists. */
typedef struct tsr_dataset_names {
    const char *ids, *key, *label, *caption, *shape; /* default NULL: the format's own */
} tsr_dataset_names;

/* A part of the items, chosen by a hash of their keys, so that an item is in the same part whatever
 * else there is. */
typedef struct tsr_export_split {
    const char *name; /* folder of the part: letters, digits, '-' and '_' */
    double weight;    /* its share is weight / sum of the weights; above 0 */
} tsr_export_split;

/* How token files become a data set. */
typedef struct tsr_export_settings {
    const char *format;      /* name of a format that is written; no default */
    const char *dtype;       /* type of the ids: "u8", "u16", "u32", "i32", "i64" ...; UNSUPPORTED
                                where the format lacks it or it cannot hold the highest id the header
                                (or the vocabulary) allows. Default NULL: the format's own choice,
                                u16 up to 65,536 numbers and else u32; megatron takes u16 below 65,500
                                and else i32 */
    const char *layout;      /* one of the format's layouts; default NULL: its first */
    const char *vocabulary;  /* JSON file that says which ids of a language model the codes become;
                                its members are listed in docs/DATASETS.md. Default NULL: the ids
                                stay as they are */
    tsr_dataset_names names; /* default: zeros */
    const char *name;        /* what the data are called, where the format has a name for them
                                (datatrove, llamagen); default NULL: the tokenizer's */
    uint64_t shard_items;    /* most items of a shard; default 0: no limit, 100,000 for
                                webdataset */
    uint64_t shard_bytes;    /* most bytes of a shard, which a single item may exceed; default
                                0: no limit, 64 MiB for mds, 3 GB for webdataset */
    uint32_t group;          /* items that stand together: sequences of a document (megatron),
                                views of a picture (llamagen). Default 0: 1 */
    const tsr_export_split *splits; /* [split_count] each in a folder of its own; default NULL */
    int split_count;                /* default 0: all items together */
    tsr_token_damage_fn damaged;    /* receives what cannot be used of the inputs; default NULL */
    void *damaged_user;             /* first argument of `damaged`; default NULL */
    tsr_progress_fn progress;       /* counts items; default NULL: no reports */
    void *progress_user;            /* first argument of `progress`; default NULL */
} tsr_export_settings;
/* Totals of one tsr_export. */
typedef struct tsr_export_report {
    uint64_t items, tokens; /* written; tokens with those that a vocabulary adds */
    uint64_t unreadable;    /* items of the inputs that cannot be read */
    uint64_t changed_keys;  /* written with '_' in place of characters the format has no room for */
    char dtype[8];          /* "u16"; "" where ids are text */
    char layout[16];        /* "" where the format has one layout */
} tsr_export_report;
/* Writes the items of token files as a data set. `inputs` are token files, or folders with token
 * files (*.tess, in the byte order of their paths); all of ids, of one codebook. `output` is a
 * folder, which appears under its name when it is complete, with a file tessera.json beside the
 * data (tokenizer, hash of the weights, codebook, type, vocabulary, items, tokens); "-" is stdout
 * for jsonl and webdataset, one shard without tessera.json. A folder that exists is replaced only
 * if the context does not keep what exists and it is empty or holds a tessera.json.
 *
 * All items are looked at before the first byte is written: keys that the format cannot hold, keys
 * that come twice where they must not, and types that are too small end the call. Inputs that are
 * cut or damaged are used as far as they go, and the call returns DAMAGED. report may be NULL.
 * Errors: DAMAGED; ARGUMENT (an unknown format, layout or type); UNSUPPORTED (vectors; a type that
 * is too small; items that the format cannot hold); FORMAT (the vocabulary; a key that is not
 * UTF-8); MODEL_MISMATCH (inputs of different tokenizers); those of opening and reading token
 * files; EXISTS, IO, NO_SPACE, MEMORY; INTERRUPTED. */
tsr_status tsr_export(tsr_context *ctx, const char *const *inputs, int count, const char *output,
                      const tsr_export_settings *settings, tsr_export_report *report);

/* An item, line, sample or file of tsr_import that was left out. The struct is valid during the
 * callback. */
typedef struct tsr_import_failure {
    const char *input; /* file that was read */
    uint64_t record;   /* place of the item in it, from 0 */
    tsr_status status;
    const char *detail; /* one line: file, place, what was wanted and what came */
} tsr_import_failure;
/* Receives each bad item of tsr_import, on the calling thread. */
typedef void (*tsr_import_failure_fn)(void *user, const tsr_import_failure *failure);

/* How a data set becomes a token file. */
typedef struct tsr_import_settings {
    const char *format;             /* name of a format that is read; no default */
    const tsr_token_header *header; /* header of the token file, of a tokenizer
                                       (tsr_tokenizer_header) or of another token file; default
                                       NULL: made of the six numbers and the name below */
    const char
        *tokenizer; /* name of the tokenizer, 1..63 printable ASCII; default NULL: "imported" */
    uint32_t codebook_size; /* every id is below; no default */
    uint32_t rows, columns; /* positions of a tile: a grid, or with rows 0 a sequence of `columns`;
                               default 0, 0: a grid where all items have one shape of two axes, else
                               a sequence as long as the longest item, found by reading everything
                               once before */
    uint32_t tile_width, tile_height; /* pixels of a tile; default 0: 256 */
    uint64_t weights_hash;            /* of the tokenizer; default 0: unknown */
    const char *vocabulary;  /* JSON file by which tsr_export put codes into the ids of a language
                                model: it is undone. Default NULL: ids are codes */
    tsr_dataset_names names; /* default: zeros */
    int stop_on_error; /* 1: the first bad item ends the call; 0: it is reported and left out, where
                          the format can go on behind it. Default 0 */
    tsr_import_failure_fn failed; /* receives each bad item; default NULL: no reports */
    void *failed_user;            /* first argument of `failed`; default NULL */
    tsr_progress_fn progress;     /* counts items, of an unknown total; default NULL: none */
    void *progress_user;          /* first argument of `progress`; default NULL */
} tsr_import_settings;
/* Totals of one tsr_import. */
typedef struct tsr_import_report {
    uint64_t items, tokens; /* written */
    uint64_t failed;        /* bad items */
    uint32_t rows, columns; /* of the header that was written */
} tsr_import_report;
/* Reads data sets of one format into a token file. `inputs` are files of the format, or folders
 * with such files (in the byte order of their paths); "-" is stdin for jsonl, titok-jsonl, liquid
 * and webdataset, where rows and columns are given. Label, caption and other texts and whole
 * numbers become attributes of the items, and so does a shape that the header does not say, as
 * "shape". Formats without keys give items the keys "00000000", "00000001", ... Where the tile of a
 * grid has fewer ids than an item, the item has several tiles.
 *
 * Ids are whole numbers below the codebook size, or they are errors: none is wrapped, rounded,
 * clipped or taken from a float. A bad item is left out and the call returns DAMAGED; in formats of
 * typed arrays (megatron, mds, datatrove, npz, safetensors, llamagen) a bad item is a bad data set
 * and ends the call, as does a key that comes twice. Nothing in a data set is executed, and no name
 * in it becomes a path. On every error but DAMAGED nothing appears under `output`; "-" is stdout.
 * report may be NULL. Errors: DAMAGED; ARGUMENT; FORMAT, TRUNCATED, CHECKSUM, VERSION, TOKENS,
 * TOO_LARGE, UNSUPPORTED (of the input); NOT_FOUND, IO; EXISTS, NO_SPACE, MEMORY; INTERRUPTED. */
tsr_status tsr_import(tsr_context *ctx, const char *const *inputs, int count, const char *output,
                      const tsr_import_settings *settings, tsr_import_report *report);

#ifdef __cplusplus
}
#endif
#endif
