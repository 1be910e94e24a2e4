/* SPDX-License-Identifier: MIT */
/* torch_choice.h: which container of a checkpoint holds the weights.
 *
 * The first of ema, model_ema, state_dict, model and module that holds tensors; inside it again,
 * as long as tensors lie deeper. Where none of these names stands: the container that has weights
 * of its own, or the only container with tensors. Single values and counters beside a container (a
 * score, a step, the state of random numbers) are no weights, and neither is what optimizers and
 * schedulers keep. Where tensors with dotted names stand beside such a container, where several
 * containers are left, or where the container is a list or an object, the choice is not clear. */
#ifndef FORMATS_TORCH_CHOICE_H
#define FORMATS_TORCH_CHOICE_H

#include "torch_pickle.h"

typedef struct tsr_torch_choice {
    char path[512];
    int keys;          /* on the path */
    char unclear[800]; /* "", or why no container was chosen and which there are */
} tsr_torch_choice;

/* Chooses the container of a file whose tensors are listed. */
void tsr_torch_choose(const tsr_torch *file, tsr_torch_choice *choice);

#endif
