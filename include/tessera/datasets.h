/* SPDX-License-Identifier: MIT */
/* datasets.h: where samples come from, and token files in the formats of other tools. */
#ifndef TESSERA_DATASETS_H
#define TESSERA_DATASETS_H

#include "tokens.h"

#ifdef __cplusplus
extern "C" {
#endif

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
    const char *files_from; /* file that lists further inputs, one a line; "-" is stdin; default
                               NULL */
    int files_from_zero;    /* 1: the inputs in it end with a zero byte; default 0 */
    int folder_labels;      /* 1: the name of the folder that holds a picture becomes its attribute
                               "label"; default 0 */
    const char *attributes; /* .tsv or .jsonl file with attributes of keys; default NULL */
} tsr_source_settings;

#ifdef __cplusplus
}
#endif
#endif
