/* SPDX-License-Identifier: MIT */
/* shards.h: which output files a list of inputs becomes. The division depends on the list and the
 * shard size alone. */
#ifndef BATCH_SHARDS_H
#define BATCH_SHARDS_H

#include "../datasets/source.h"

/* An output file and the list's entries it is made of. */
typedef struct tsr_shard {
    char name[256]; /* "000000.tess" */
    uint64_t first, count;
} tsr_shard;

typedef struct tsr_shards {
    tsr_shard *shard; /* [count] */
    uint64_t count;
} tsr_shards;

/* Pictures that stand next to each other in the list share a shard, up to `size` of them; an
 * archive, a video or a pipe is one. Errors: ARGUMENT (two shards of one name), MEMORY. On success
 * tsr_shards_free. */
tsr_status tsr_shards_make(tsr_context *ctx, const tsr_source_list *list, uint64_t size,
                           tsr_shards *shards);
void tsr_shards_free(tsr_shards *shards);
/* XXH64 of the keys and sizes of a shard's inputs. A missing file counts as empty. */
uint64_t tsr_shard_input_hash(const tsr_source_list *list, const tsr_shard *shard);

#endif
