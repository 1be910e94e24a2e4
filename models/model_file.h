/* SPDX-License-Identifier: MIT */
/* model_file.h: the inside of tsr_model_file: one of two readers behind one face. */
#ifndef MODELS_MODEL_FILE_H
#define MODELS_MODEL_FILE_H

#define TESSERA_EXPERIMENTAL
#include <tessera/models.h>

#include "../formats/weights/safetensors.h"
#include "../formats/weights/torch_choice.h"

struct tsr_model_file {
    char *path;  /* of the file that was opened: what was named, or a file in that folder */
    tsr_map map; /* of a pipe */
    tsr_safetensors *safetensors; /* one of both */
    tsr_torch *torch;
    tsr_torch_choice choice; /* of a torch file */
    struct {
        const char *key;
        char value[24];
    } facts[3]; /* of a TorchScript archive */
    int fact_count;
};

/* Row-major bytes of a tensor, own element type; checked against the file's checksum where it has
 * one. */
tsr_status tsr_model_file_read(tsr_context *ctx, const tsr_model_file *file, int index,
                               void *bytes);

/* Is one of the name's parts between dots a thing of training ("loss", "discriminator" ...)? */
bool tsr_model_only_training(const char *name);

#endif
