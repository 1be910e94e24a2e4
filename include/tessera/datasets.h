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

#ifdef __cplusplus
}
#endif
#endif
