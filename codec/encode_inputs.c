/* SPDX-License-Identifier: MIT */
/* encode_inputs.c: see encode_inputs.h. */
#include "encode_inputs.h"

#include <stdlib.h>
#include <string.h>

tsr_status tsr_encode_inputs_open(tsr_context *ctx, const char *const *paths, int count,
                                  const tsr_source_settings *sources,
                                  const tsr_image_settings *settings, tsr_encode_inputs *inputs) {
    *inputs = (tsr_encode_inputs){.ctx = ctx, .settings = settings};
    return tsr_source_list_open(ctx, paths, count, sources, &inputs->list);
}

void tsr_encode_inputs_close(tsr_encode_inputs *inputs) {
    tsr_source_close(&inputs->source);
    tsr_source_list_close(&inputs->list);
}

tsr_status tsr_encode_inputs_look(tsr_encode_inputs *in, uint64_t index) {
    const tsr_source_entry entry = tsr_source_list_entry(in->list, index);
    tsr_status status = entry.problem;
    if (status)
        (void)tsr_fail(in->ctx, status, "%s", entry.detail);
    else if (entry.kind == TSR_SOURCE_PICTURE)
        status = tsr_image_look(in->ctx, entry.path, in->settings);
    if (status) tsr_source_list_leave_out(in->list, index);
    return status;
}

bool tsr_encode_inputs_next(tsr_encode_inputs *in, tsr_encode_input *input) {
    *input = (tsr_encode_input){0};
    if (!in->source)
        input->status =
            tsr_source_open(in->ctx, in->list, 0, tsr_source_list_count(in->list), &in->source);
    if (!input->status) input->status = tsr_source_next(in->source, &input->sample);
    tsr_sample *s = input->sample;
    if (!s) return input->status != TSR_OK;
    if (s->status)
        input->status = tsr_fail(in->ctx, s->status, "%s", s->detail);
    else
        input->status =
            tsr_image_decode(in->ctx, s->name, s->bytes, s->size, in->settings, &input->image);
    free(s->bytes);
    s->bytes = NULL;
    s->size = 0;
    return true;
}
