/* SPDX-License-Identifier: MIT */
/* npy_out.c: see npy_out.h. */
#include "npy_out.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int write_all(FILE *f, const uint32_t *ids, uint64_t rows, uint32_t columns) {
    char header[128], text[128 - 10];
    int length = snprintf(text, sizeof text,
                          "{'descr': '<i4', 'fortran_order': False, 'shape': (%" PRIu64 ", %u), }",
                          rows, columns);
    memset(header, ' ', sizeof header);
    memcpy(header, "\x93NUMPY\x01\x00\x76\x00", 10); /* version 1.0, 118 bytes of text */
    memcpy(header + 10, text, (size_t)length);
    header[127] = '\n';
    errno = 0;
    fwrite(header, 1, sizeof header, f);
    for (uint64_t i = 0; i < rows * columns; ++i) {
        uint8_t b[4] = {(uint8_t)ids[i], (uint8_t)(ids[i] >> 8), (uint8_t)(ids[i] >> 16),
                        (uint8_t)(ids[i] >> 24)};
        fwrite(b, 1, 4, f);
    }
    if (fflush(f) != 0 || ferror(f)) return errno ? errno : EIO;
    return 0;
}

int npy_write_ids(const char *path, const uint32_t *ids, uint64_t rows, uint32_t columns) {
    if (strcmp(path, "-") == 0) return write_all(stdout, ids, rows, columns);
    size_t room = strlen(path) + 32;
    char *temporary = malloc(room);
    if (!temporary) return ENOMEM;
    snprintf(temporary, room, "%s.%ld.part", path, (long)getpid());
    FILE *f = fopen(temporary, "wxb");
    int failed = f ? write_all(f, ids, rows, columns) : errno;
    if (f && !failed && fsync(fileno(f)) != 0) failed = errno;
    if (f && fclose(f) != 0 && !failed) failed = errno;
    if (!failed && rename(temporary, path) != 0) failed = errno;
    if (f && failed) unlink(temporary);
    free(temporary);
    return failed;
}
