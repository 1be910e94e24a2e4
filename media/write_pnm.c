/* SPDX-License-Identifier: MIT */
/* write_pnm.c: binary PPM (P6). */
#include "picture_write.h"

#include <stdio.h>

tsr_status tsr_pnm_put(tsr_context *ctx, const tsr_picture_job *job) {
    char header[64];
    const int n = snprintf(header, sizeof header, "P6\n%d %d\n255\n", job->width, job->height);
    const tsr_status status = tsr_out_write(ctx, job->out, header, (size_t)n);
    return status ? status
                  : tsr_out_write(ctx, job->out, job->rgb,
                                  (size_t)job->width * (size_t)job->height * 3);
}
