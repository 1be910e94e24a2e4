/* SPDX-License-Identifier: MIT */
/* data_folder.h: the folder that a data set is written to. It is filled under a hidden temporary
 * name beside its place and renamed when everything is there, so that no half of a data set ever
 * stands under the final name. Files above 64 KiB are flushed to the disk one by one; smaller ones
 * are left to the system, since a data set may have a million of them: a power cut (not the end of
 * the process) can cost those of the last seconds. */
#ifndef FORMATS_DATA_FOLDER_H
#define FORMATS_DATA_FOLDER_H

#include "../formats/file.h"
#include "../formats/out_folder.h"

#define TSR_DATASET_CARD "tessera.json" /* what the data are, beside them */

/* A folder without a name is stdout. Committed and abandoned as any tsr_out_folder. */
typedef tsr_out_folder tsr_data_folder;
/* Says what tsr_data_folder_open would say of what exists, and makes nothing. A folder that exists
 * may be replaced when it is empty or holds a tessera.json. Errors: EXISTS, ARGUMENT. */
tsr_status tsr_data_folder_check(tsr_context *ctx, const char *path);
/* Makes the temporary folder; "-" is stdout. Errors: EXISTS, ARGUMENT, IO, NO_SPACE, MEMORY. */
tsr_status tsr_data_folder_open(tsr_context *ctx, const char *path, tsr_data_folder *folder);

/* A file of the folder that is being written. */
typedef struct tsr_data_file {
    tsr_context *ctx;
    int fd;
    char *name;       /* final one, for messages */
    char *path;       /* where it is now; NULL: stdout */
    uint64_t written; /* with what is in the buffer */
    size_t used;
    uint8_t *buffer;
} tsr_data_file;
/* Makes a file; the folders in `name` are made, too. With `folder` a pipe, every name is the pipe.
 * `prefix` stands before the name. Errors: EXISTS (two items of one name), IO, NO_SPACE, MEMORY. */
tsr_status tsr_data_file_open(tsr_data_folder *folder, const char *prefix, const char *name,
                              tsr_data_file *file);
/* Makes a file of a descriptor that can be read, written and placed, which stays open and the
 * caller's; `name` is for messages. Errors: MEMORY. */
tsr_status tsr_data_file_over(tsr_context *ctx, int fd, const char *name, tsr_data_file *file);
tsr_status tsr_data_file_put(tsr_data_file *file, const void *bytes, size_t size);
/* Replaces bytes that were written. */
tsr_status tsr_data_file_patch(tsr_data_file *file, uint64_t at, const void *bytes, size_t size);
/* Reads bytes that were written. */
tsr_status tsr_data_file_get(tsr_data_file *file, uint64_t at, void *bytes, size_t size);
/* Writes what is left and closes the file. */
tsr_status tsr_data_file_close(tsr_data_file *file);
/* Closes a file without caring for it; a zeroed or closed one is accepted. */
void tsr_data_file_abandon(tsr_data_file *file);
/* Closes a file and deletes it: one that only served the writer. */
void tsr_data_file_remove(tsr_data_file *file);

#endif
