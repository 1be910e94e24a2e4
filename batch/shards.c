/* SPDX-License-Identifier: MIT */
/* shards.c: see shards.h. */
#include "shards.h"
#include "../compute/context.h"
#include "../formats/hash.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "NAME" of "folder/NAME.tar.gz"; "stdin" of "-". */
static void stem_of(const char *path, char *stem, size_t size) {
    static const char *const suffixes[] = {".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    size_t length = strlen(name);
    if (!strcmp(path, "-")) name = "stdin", length = 5;
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; ++i) {
        const size_t tail = strlen(suffixes[i]);
        if (length > tail && !strcmp(name + length - tail, suffixes[i])) {
            length -= tail;
            break;
        }
    }
    snprintf(stem, size, "%.*s", (int)length, name);
}

/* "FOLDER-NAME" of the key "FOLDER/NAME". */
static void stem_of_video(const char *key, char *stem, size_t size) {
    snprintf(stem, size, "%s", key);
    for (char *c = stem; *c; ++c)
        if (*c == '/') *c = '-';
}

typedef struct named {
    const char *name;
    uint64_t first; /* entry */
} named;

static int compare_names(const void *a, const void *b) {
    return strcmp(((const named *)a)->name, ((const named *)b)->name);
}

static tsr_status check_names(tsr_context *ctx, const tsr_source_list *list,
                              const tsr_shards *shards) {
    named *names = tsr_alloc(ctx, shards->count + 1, sizeof *names, "batch: shards");
    if (!names) return TSR_ERROR_MEMORY;
    for (uint64_t i = 0; i < shards->count; ++i)
        names[i] = (named){shards->shard[i].name, shards->shard[i].first};
    qsort(names, shards->count, sizeof *names, compare_names);
    tsr_status status = TSR_OK;
    for (uint64_t i = 1; i < shards->count && !status; ++i)
        if (!strcmp(names[i - 1].name, names[i].name))
            status = tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                              "inputs: wanted shards of different names, got %s of %s and of %s: "
                              "give each its own output folder",
                              names[i].name, tsr_source_list_entry(list, names[i - 1].first).path,
                              tsr_source_list_entry(list, names[i].first).path);
    free(names);
    return status;
}

tsr_status tsr_shards_make(tsr_context *ctx, const tsr_source_list *list, uint64_t size,
                           tsr_shards *shards) {
    const uint64_t entries = tsr_source_list_count(list);
    *shards = (tsr_shards){0};
    uint64_t of_pictures = 0, room = 0;
    for (uint64_t i = 0; i < entries;) {
        const tsr_source_entry first = tsr_source_list_entry(list, i);
        if (shards->count == room) {
            room = room ? 2 * room : 64;
            tsr_shard *more = realloc(shards->shard, room * sizeof *more);
            if (!more) {
                tsr_shards_free(shards);
                return tsr_fail(ctx, TSR_ERROR_MEMORY, "batch: no memory for %" PRIu64 " shards",
                                room);
            }
            shards->shard = more;
        }
        tsr_shard *shard = &shards->shard[shards->count++];
        *shard = (tsr_shard){.first = i, .count = 1};
        if (first.kind == TSR_SOURCE_PICTURE) {
            while (shard->count < size && i + shard->count < entries &&
                   tsr_source_list_entry(list, i + shard->count).kind == TSR_SOURCE_PICTURE)
                ++shard->count;
            snprintf(shard->name, sizeof shard->name, "%06" PRIu64 ".tess", of_pictures++);
        } else {
            char stem[240];
            if (first.kind == TSR_SOURCE_VIDEO)
                stem_of_video(first.key, stem, sizeof stem);
            else
                stem_of(first.path, stem, sizeof stem);
            snprintf(shard->name, sizeof shard->name, "%s.tess", stem);
        }
        i += shard->count;
    }
    const tsr_status status = check_names(ctx, list, shards);
    if (status) tsr_shards_free(shards);
    return status;
}

void tsr_shards_free(tsr_shards *shards) {
    free(shards->shard);
    *shards = (tsr_shards){0};
}

uint64_t tsr_shard_input_hash(const tsr_source_list *list, const tsr_shard *shard) {
    tsr_hash hash;
    tsr_hash_start(&hash, 0);
    for (uint64_t i = shard->first; i < shard->first + shard->count; ++i) {
        const tsr_source_entry entry = tsr_source_list_entry(list, i);
        struct stat st;
        const bool file = strcmp(entry.path, "-") && stat(entry.path, &st) == 0;
        uint8_t size[8];
        for (int k = 0; k < 8; ++k)
            size[k] = file ? (uint8_t)((uint64_t)st.st_size >> 8 * k) : 0;
        tsr_hash_add(&hash, entry.key, strlen(entry.key) + 1);
        tsr_hash_add(&hash, size, sizeof size);
    }
    return tsr_hash_finish(&hash);
}
