/* SPDX-License-Identifier: MIT */
/* file_names.h: what the names of files and of members of archives say, and their order. */
#ifndef FORMATS_FILE_NAMES_H
#define FORMATS_FILE_NAMES_H

#include <stdbool.h>

typedef enum tsr_name_kind {
    TSR_NAME_OTHER,
    TSR_NAME_PICTURE,
    TSR_NAME_ARCHIVE,
    TSR_NAME_TEXT,    /* members of archives that become attributes */
    TSR_NAME_INTEGER, /* "cls" */
    TSR_NAME_JSON
} tsr_name_kind;
/* What a suffix in lower case without its dot says: "jpg", "tar.gz", "txt". */
tsr_name_kind tsr_suffix_kind(const char *suffix);
/* What the name of a file says: PICTURE, ARCHIVE or OTHER. */
tsr_name_kind tsr_file_kind(const char *path);
/* Says whether the name of a file has the suffix of a video: mp4, mkv, webm ... */
bool tsr_is_video_name(const char *path);
/* Natural order: part by part of a path, digits by their value; equal only for equal texts. */
int tsr_natural_order(const char *a, const char *b);

#endif
