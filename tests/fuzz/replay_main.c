/* SPDX-License-Identifier: MIT */
/* replay_main.c: runs a fuzz target over the files of folders, in builds without libFuzzer. Each
 * file is also given cut in half and with single bytes changed, so that the path through an error
 * is walked as well. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/status.h>
#include "alloc_fail.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The bytes stand at the end of their memory, so that a sanitizer sees one read too many. */
static void give(const uint8_t *bytes, size_t size, size_t change) {
    uint8_t *copy = calloc(size ? size : 1, 1);
    if (!copy) exit(2);
    memcpy(copy, bytes, size);
    if (change < size) copy[change] ^= (uint8_t)(1u << change % 8);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static void replay(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(2);
    }
    static uint8_t bytes[1 << 20];
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    give(bytes, size, SIZE_MAX);
    give(bytes, size / 2, SIZE_MAX);
    size_t step = size / 64 + 1;
    for (size_t i = 0; i < size; i += step)
        give(bytes, size, i);
}

/* Without the linker's help alloc_fail_at does nothing, and no target would notice. */
static int allocations_fail(void) {
    tsr_context *ctx = NULL;
    alloc_fail_at(0);
    const tsr_status status = tsr_context_open(&ctx, NULL);
    alloc_fail_at(-1);
    tsr_context_close(&ctx);
    return status == TSR_ERROR_MEMORY;
}

int main(int argc, char **argv) {
    int files = 0;
    if (!allocations_fail()) {
        fprintf(stderr, "wanted TSR_ERROR_MEMORY from an allocation that fails\n");
        return 2;
    }
    give((const uint8_t *)"", 0, SIZE_MAX);
    for (int i = 1; i < argc; ++i) {
        DIR *folder = opendir(argv[i]);
        if (!folder) {
            perror(argv[i]);
            return 2;
        }
        for (struct dirent *entry; (entry = readdir(folder));) {
            if (entry->d_name[0] == '.') continue;
            char path[4096];
            snprintf(path, sizeof path, "%s/%s", argv[i], entry->d_name);
            replay(path);
            ++files;
        }
        closedir(folder);
    }
    printf("%d files replayed\n", files);
    if (files == 0) {
        fprintf(stderr, "wanted a folder with files\n");
        return 2;
    }
    return 0;
}
