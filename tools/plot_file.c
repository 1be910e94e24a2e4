/* SPDX-License-Identifier: MIT */
/* plot_file.c: see plot_file.h. */
#include "plot_file.h"
#include "out_file.h"
#include "text_draw.h"

#include <tessera/media.h>

#include <stdlib.h>
#include <string.h>
#include <strings.h>

bool plot_file_is_svg(const char *path) {
    const char *dot = strrchr(path, '.');
    return dot && !strcasecmp(dot, ".svg");
}

const char *plot_file_missing(const char *path) {
    return plot_file_is_svg(path) ? NULL : text_draw_missing();
}

int plot_file_write(tool *t, const plot *p, const char *path) {
    const int width = 1100, height = 560 > 110 + 15 * p->count ? 560 : 110 + 15 * p->count;
    if (plot_file_is_svg(path)) {
        out_file out;
        const int code = out_file_open(t, &out, path);
        if (code >= 0) return code;
        plot_svg_document(p, width, height, out.file);
        return out_file_close(t, &out, true);
    }
    uint8_t *rgb = NULL;
    if (!plot_draw(p, width, height, &rgb))
        return tool_fail_text(t, TSR_ERROR_MEMORY, "%s: no memory for the plot", path);
    const tsr_status s = tsr_picture_write(t->ctx, path, width, height, rgb, NULL);
    free(rgb);
    return s ? tool_fail(t, s) : -1;
}
