/* SPDX-License-Identifier: MIT */
/* Any bytes as the manifest and the errors of a folder of shards, and the same as its job: a status
 * or a journal that can be asked and written to. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "batch/journal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/fuzz_journal-XXXXXX";

static void write_file(const char *name, const uint8_t *data, size_t size) {
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "w");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f)) abort();
}

static void clean(void) {
    static const char *const names[] = {"job.json", "manifest.jsonl", "errors.jsonl"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
}

static void at_exit(void) {
    clean();
    rmdir(folder);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const tsr_job_field fields[] = {{"tokenizer", "mosaic-64"}, {"tokens", "0"}};
    static bool made;
    if (!made && !mkdtemp(folder)) abort();
    if (!made) atexit(at_exit);
    made = true;
    if (size < 1) return 0;
    clean();
    if (data[0] & 1) write_file("job.json", data + 1, size - 1);
    if (data[0] & 2) write_file("manifest.jsonl", data + 1, size - 1);
    if (data[0] & 4) write_file("errors.jsonl", data + 1, size - 1);
    tsr_context *ctx = NULL;
    tsr_journal *journal = NULL;
    if (tsr_context_open(&ctx, NULL)) abort();
    if (!tsr_journal_open(ctx, folder, fields, 2, 0, data[0] & 8, &journal)) {
        (void)tsr_journal_state(journal, "000000.tess", 1);
        const tsr_batch_shard shard = {.name = "000000.tess", .input = "a.tar", .items = 1};
        if (tsr_journal_note(journal, shard.name, "key", "a.jpg", TSR_ERROR_FORMAT, "bad") ||
            tsr_journal_finish(journal, &shard))
            abort();
        tsr_journal_close(&journal);
        /* What was written can be read. */
        if (tsr_journal_open(ctx, folder, fields, 2, 0, false, &journal)) abort();
        tsr_journal_close(&journal);
    }
    tsr_context_close(&ctx);
    return 0;
}
