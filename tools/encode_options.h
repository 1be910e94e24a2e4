/* SPDX-License-Identifier: MIT */
/* encode_options.h: the options that decide which tokens pictures become, shared by the verbs that
 * encode, and what they mean to the library. */
#ifndef TOOLS_ENCODE_OPTIONS_H
#define TOOLS_ENCODE_OPTIONS_H

#include "tool.h"

/* Member `choices` of a verb's options. */
typedef struct encode_choices {
    const char *model, *tile, *target, *noise;
    uint32_t budget;
    int no_halt;
    uint32_t tokens, layers, batch, steps;
    uint64_t seed;
    double quality, guidance;
    int fit, resampling, latents, guidance_mode, key, key_index, coding;
    uint8_t background[3];
    const char *files_from, *attributes;
    int files_from_zero, labels;
} encode_choices;

/* Where nothing else is said: {.choices = ENCODE_CHOICES}. */
#define ENCODE_CHOICES                                                                             \
    { .background = {255, 255, 255}, .key = TSR_KEY_AUTO }

/* encode_options.def has the rows of the option table. */

/* What the choices mean. */
typedef struct encode_meaning {
    tsr_model_settings model;
    tsr_encode_settings encode; /* without progress */
    tsr_sampling_settings hints;
    tsr_token_writer_settings file;
    tsr_source_settings source;
    const char *const *devices; /* several, of --device A,B; owned here */
    int device_count;
    char *device_text;
    const char *device_names[16];
} encode_meaning;
/* Fills *meaning but for several devices, from choices that did not come from a command line alone.
 * False, and *wrong says why, when they exclude each other or are none. */
bool encode_meaning_fill(const encode_choices *choices, const common_options *common,
                         encode_meaning *meaning, args_refusal *wrong);
/* Fills *meaning, whose texts are those of the choices. Returns -1, or the exit code to leave with
 * after a mistake of the command line. Call encode_meaning_free in either case. */
int encode_meaning_read(const verb *v, const encode_choices *choices, const common_options *common,
                        encode_meaning *meaning);
void encode_meaning_free(encode_meaning *meaning);

#endif
