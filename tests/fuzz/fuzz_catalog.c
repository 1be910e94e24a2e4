/* SPDX-License-Identifier: MIT */
/* Any text as a table of models: what is accepted has every field that the header promises. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <tessera/models.h>
#include "alloc_fail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const tsr_catalog *catalog) {
    for (int i = 0; i < tsr_catalog_count(catalog); ++i) {
        tsr_catalog_model m;
        tsr_catalog_at(catalog, i, &m);
        if (!m.name || !m.family || !m.about || !m.page || !m.licence || !m.notice) abort();
        if (m.file_count < 1 || tsr_catalog_find(catalog, m.name) != i) abort();
        for (int k = 0; k < m.file_count; ++k) {
            tsr_catalog_file f;
            tsr_catalog_file_at(catalog, i, k, &f);
            if (!f.name || !f.url || strchr(f.name, '/') || *f.name == '.') abort();
            if (f.sha256 && strlen(f.sha256) != 64) abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    tsr_catalog *catalog = NULL;
    char path[64];
    const int fd = memfd_create("catalog", 0);
    if (fd < 0 || (size && write(fd, data, size) != (ssize_t)size)) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (tsr_context_open(&ctx, NULL)) abort();
    const tsr_status status = tsr_catalog_open(ctx, path, &catalog);
    if ((status == TSR_OK) != (catalog != NULL)) abort();
    if (catalog) walk(catalog);
    tsr_catalog_close(&catalog);
    alloc_fail_at((int)(size % 8));
    tsr_catalog_open(ctx, path, &catalog);
    alloc_fail_at(-1);
    tsr_catalog_close(&catalog);
    tsr_context_close(&ctx);
    close(fd);
    return 0;
}
