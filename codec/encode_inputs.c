/* SPDX-License-Identifier: MIT */
/* encode_inputs.c: see encode_inputs.h. */
#include "encode_inputs.h"
#include "../formats/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

tsr_status tsr_encode_inputs_open(tsr_context *ctx, const char *const *paths, char *const *keys,
                                  int count, const tsr_image_settings *settings,
                                  tsr_encode_inputs *inputs) {
    *inputs = (tsr_encode_inputs){
        .ctx = ctx, .paths = paths, .keys = keys, .count = count, .settings = settings};
    inputs->bad = tsr_alloc(ctx, (size_t)count, sizeof *inputs->bad, "encode: inputs");
    return inputs->bad ? TSR_OK : TSR_ERROR_MEMORY;
}

void tsr_encode_inputs_close(tsr_encode_inputs *inputs) {
    tsr_picture_stream_close(&inputs->stream);
    free(inputs->bad);
    inputs->bad = NULL;
}

tsr_status tsr_encode_inputs_look(tsr_encode_inputs *in, int index) {
    const char *path = in->paths[index];
    if (tsr_in_is_stream(path)) return TSR_OK;
    const tsr_status status = tsr_image_look(in->ctx, path, in->settings);
    in->bad[index] = status != TSR_OK;
    return status;
}

bool tsr_encode_inputs_have_streams(const tsr_encode_inputs *in) {
    for (int i = 0; i < in->count; ++i)
        if (tsr_in_is_stream(in->paths[i])) return true;
    return false;
}

/* The next picture of the pipe that is open. */
static tsr_status read_from_stream(tsr_encode_inputs *in, tsr_encode_input *input) {
    const char *path = strcmp(input->path, "-") ? input->path : "standard input";
    const uint8_t *bytes;
    size_t size;
    bool more = false;
    const uint64_t number = ++in->number;
    tsr_status status = tsr_picture_stream_next(in->stream, &bytes, &size, &more);
    char *name = NULL;
    int written;
    if (number == 1 && !more) {
        written = asprintf(&name, "%s", path);
        if (!status) input->key = strdup(in->keys[in->next - 1]);
    } else {
        written = asprintf(&name, "%s: picture %" PRIu64, path, number);
        if (asprintf(&input->key, "%s-%06" PRIu64, in->keys[in->next - 1], number) < 0)
            input->key = NULL;
    }
    if (!status && (written < 0 || !input->key))
        status = tsr_fail(in->ctx, TSR_ERROR_MEMORY, "%s: no memory for its name", path);
    if (!status) status = tsr_image_decode(in->ctx, name, bytes, size, in->settings, &input->image);
    if (written >= 0) free(name);
    if (!more) tsr_picture_stream_close(&in->stream);
    return status;
}

bool tsr_encode_inputs_next(tsr_encode_inputs *in, tsr_encode_input *input) {
    *input = (tsr_encode_input){0};
    if (in->stream) {
        input->path = in->paths[in->next - 1];
        input->status = read_from_stream(in, input);
        return true;
    }
    while (in->next < in->count && in->bad[in->next])
        ++in->next;
    if (in->next == in->count) return false;
    input->path = in->paths[in->next++];
    if (tsr_in_is_stream(input->path)) {
        in->number = 0;
        input->status = tsr_picture_stream_open(in->ctx, input->path, &in->stream);
        if (!input->status) input->status = read_from_stream(in, input);
        return true;
    }
    input->status = tsr_image_read(in->ctx, input->path, in->settings, &input->image);
    input->key = input->status ? NULL : strdup(in->keys[in->next - 1]);
    if (!input->status && !input->key) {
        tsr_image_free(&input->image);
        input->status =
            tsr_fail(in->ctx, TSR_ERROR_MEMORY, "%s: no memory for its key", input->path);
    }
    return true;
}
