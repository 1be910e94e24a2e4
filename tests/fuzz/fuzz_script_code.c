/* SPDX-License-Identifier: MIT */
/* Any bytes as the code of a TorchScript archive. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "formats/weights/script_code.h"
#include "must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *text = malloc(size ? size : 1); /* its own memory, so that a byte beyond it is seen */
    if (!text) return 0;
    if (size) memcpy(text, data, size);
    tsr_script_facts facts = {0};
    tsr_script_read(text, size, &facts);
    MUST(facts.groups >= 0 && facts.groups < 1 << 20);
    MUST(facts.norms + facts.space_pools + facts.time_pools <= size);
    MUST(facts.norms || !facts.groups);
    free(text);
    return 0;
}
