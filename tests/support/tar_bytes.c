/* SPDX-License-Identifier: MIT */
/* tar_bytes.c: see tar_bytes.h. */
#include "tar_bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 512 };

void tar_raw(tar_bytes *tar, const void *bytes, size_t size) {
    tar->p = realloc(tar->p, tar->size + size + 1);
    if (!tar->p) abort();
    if (bytes && size) memcpy(tar->p + tar->size, bytes, size);
    if (!bytes) memset(tar->p + tar->size, 0, size);
    tar->size += size;
}

void tar_sum(tar_bytes *tar, size_t offset) {
    uint8_t *h = tar->p + offset;
    char digits[8];
    unsigned sum = 0;
    memset(h + 148, ' ', 8);
    for (int i = 0; i < BLOCK; ++i)
        sum += h[i];
    snprintf(digits, sizeof digits, "%06o", sum & 0777777);
    memcpy(h + 148, digits, 7);
}

void tar_header(tar_bytes *tar, const char *name, char type, uint64_t size, const char *field) {
    const size_t at = tar->size, n = strlen(name);
    char text[24];
    tar_raw(tar, NULL, BLOCK);
    uint8_t *h = tar->p + at;
    memcpy(h, name, n < 100 ? n : 100);
    memcpy(h + 100, "0000644", 7);
    memcpy(h + 108, "0000000", 7);
    memcpy(h + 116, "0000000", 7);
    snprintf(text, sizeof text, "%011llo", (unsigned long long)size);
    memcpy(h + 124, field ? field : text, 12);
    memcpy(h + 136, "00000000000", 11);
    h[156] = (uint8_t)type;
    if (type == '1' || type == '2') memcpy(h + 157, "a.ppm", 5);
    memcpy(h + 257, "ustar", 6);
    memcpy(h + 263, "00", 2);
    tar_sum(tar, at);
}

void tar_member(tar_bytes *tar, const char *name, char type, const void *bytes, size_t size) {
    tar_header(tar, name, type, size, NULL);
    tar_raw(tar, bytes, size);
    tar_raw(tar, NULL, (BLOCK - size % BLOCK) % BLOCK);
}

void tar_file(tar_bytes *tar, const char *name, const char *text) {
    tar_member(tar, name, '0', text, strlen(text));
}

void tar_pax_path(tar_bytes *tar, const char *path) {
    char *record = malloc(strlen(path) + 32);
    if (!record) abort();
    size_t n = strlen(path) + 7; /* blank, "path=", newline */
    n += snprintf(NULL, 0, "%zu", n + 3) > 2 ? 3 : 2;
    snprintf(record, strlen(path) + 32, "%zu path=%s\n", n, path);
    tar_member(tar, "pax", 'x', record, n);
    free(record);
}

void tar_end(tar_bytes *tar) {
    tar_raw(tar, NULL, (size_t)2 * BLOCK);
}
