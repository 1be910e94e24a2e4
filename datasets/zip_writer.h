/* SPDX-License-Identifier: MIT */
/* zip_writer.h: a zip archive of stored entries, written as NumPy's savez writes it: zip64 sizes in
 * every local header, the time 1980-01-01, so that equal contents are equal bytes. */
#ifndef FORMATS_ZIP_WRITER_H
#define FORMATS_ZIP_WRITER_H

#include "data_folder.h"
#include "../formats/tokens/token_layout.h"

typedef struct tsr_zip_writer {
    tsr_data_file *file;
    tsr_bytes directory;
    uint64_t entries;
    uint64_t begin, data; /* of the entry that is open */
    uint32_t crc;
    char *name;
} tsr_zip_writer;
tsr_status tsr_zip_entry_begin(tsr_zip_writer *z, const char *name);
tsr_status tsr_zip_entry_put(tsr_zip_writer *z, const void *bytes, size_t size);
tsr_status tsr_zip_entry_end(tsr_zip_writer *z);
/* Writes the directory. The file stays open. */
tsr_status tsr_zip_writer_end(tsr_zip_writer *z);
void tsr_zip_writer_free(tsr_zip_writer *z);

#endif
