/* SPDX-License-Identifier: MIT */
/* journal.h: what a folder of shards says about itself, so that a run goes on where an earlier one
 * was ended, however it was ended.
 *
 *   job.json        the settings that decide the bytes of the shards; one for all ranks and runs
 *   manifest.jsonl  a line for each finished shard, written when the shard stands under its name
 *   errors.jsonl    a line for each picture that has no item, written with its shard's
 *   .rank-R.lock    held while rank R is at work
 *
 * Lines are appended under a lock, whole: several processes write to one folder. */
#ifndef BATCH_JOURNAL_H
#define BATCH_JOURNAL_H

#include <tessera/tessera.h>

#include <stdbool.h>

/* One setting of a job, as text. */
typedef struct tsr_job_field {
    const char *name;
    char value[192];
} tsr_job_field;

typedef enum tsr_shard_state {
    TSR_SHARD_ABSENT,  /* to be made */
    TSR_SHARD_DONE,    /* made from these inputs */
    TSR_SHARD_CHANGED, /* made from other inputs */
    TSR_SHARD_PARTIAL  /* made of an archive that could not be read to its end */
} tsr_shard_state;

typedef struct tsr_journal tsr_journal;

/* Makes the folder if it is missing, takes the lock of the rank, compares the job with that of
 * earlier runs and reads the manifest. With `overwrite` another job takes the place of the one that
 * stands there, and no shard counts as made. Errors: STATE (the rank is at work), ARGUMENT (another
 * job, naming the field), EXISTS (a folder with other files), IO, NO_SPACE, MEMORY. */
tsr_status tsr_journal_open(tsr_context *ctx, const char *folder, const tsr_job_field *fields,
                            int count, int rank, bool overwrite, tsr_journal **journal);
void tsr_journal_close(tsr_journal **journal);
/* Has this shard been made? `input` identifies its inputs. */
tsr_shard_state tsr_journal_state(const tsr_journal *journal, const char *shard, uint64_t input);
/* Deletes what a killed run left of a shard. */
void tsr_journal_sweep(tsr_journal *journal, const char *shard);

/* Notes a picture without item for the shard that is being made. Errors: MEMORY. */
tsr_status tsr_journal_note(tsr_journal *journal, const char *shard, const char *key,
                            const char *input, tsr_status status, const char *detail);
/* Forgets what was noted. */
void tsr_journal_forget(tsr_journal *journal);
/* Appends the noted errors, in place of those of an earlier try at the shard, and then the line of
 * a shard that stands under its name. Errors: IO, NO_SPACE, MEMORY. */
tsr_status tsr_journal_finish(tsr_journal *journal, const tsr_batch_shard *shard);
/* Appends the noted errors of a shard that could not be made. Errors: as above. */
tsr_status tsr_journal_give_up(tsr_journal *journal, const char *shard);

#endif
