/* SPDX-License-Identifier: MIT */
/* image_look.c: what can be said of pictures without decoding them. */
#include "../formats/file.h"
#include "image.h"
#include "picture_extent.h"

#include <stdlib.h>

tsr_status tsr_image_look(tsr_context *ctx, const char *path, const tsr_image_settings *settings) {
    enum { HEAD = 1 << 16 };
    tsr_image_settings defaults = tsr_image_settings_default();
    uint8_t *head = tsr_alloc(ctx, HEAD, 1, "look");
    if (!head) return TSR_ERROR_MEMORY;
    int fd = -1;
    size_t size = 0, got = 1;
    tsr_status status = tsr_in_open(ctx, path, &fd);
    while (!status && got && size < HEAD) {
        status = tsr_in_read(ctx, path, fd, head + size, HEAD - size, &got);
        size += got;
    }
    if (!status)
        status = tsr_image_recognise(ctx, path, head, size, settings ? settings : &defaults);
    tsr_in_close(fd);
    free(head);
    return status;
}

void tsr_image_warn_of_more(tsr_context *ctx, const char *name, const uint8_t *bytes, size_t size) {
    tsr_extent_scan scan = {0};
    size_t end;
    if (tsr_picture_extent(bytes, size, &scan, &end) != TSR_EXTENT_KNOWN) return;
    tsr_extent_scan next = {0};
    if (end < size && tsr_picture_extent(bytes + end, size - end, &next, &end) != TSR_EXTENT_NONE)
        tsr_log(ctx, TSR_LOG_WARNING, "%s: more pictures came; the first alone is used", name);
}
