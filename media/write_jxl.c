/* SPDX-License-Identifier: MIT */
/* write_jxl.c: JPEG XL through libjxl, 8 bits of sRGB. One thread, so that equal pixels give equal
 * bytes. */
#include "picture_write.h"

#include <jxl/encode.h>
#include <stdlib.h>

/* Quality 1..100 as the distance that libjxl wants (1: no difference to be seen), by the rule of
 * its own tools and of JxlEncoderDistanceFromQuality, which releases before 0.8 do not have. */
static float distance_of(int quality) {
    const float q = (float)quality;
    return quality >= 30 ? 0.1f + (100.0f - q) * 0.09f
                         : 53.0f / 3000.0f * q * q - 23.0f / 20.0f * q + 25.0f;
}

static bool set_up(JxlEncoder *jxl, const tsr_picture_job *job) {
    JxlBasicInfo info;
    JxlColorEncoding color;
    JxlEncoderInitBasicInfo(&info);
    info.xsize = (uint32_t)job->width;
    info.ysize = (uint32_t)job->height;
    info.uses_original_profile = job->lossless; /* else the pixels go through XYB, with losses */
    JxlColorEncodingSetToSRGB(&color, JXL_FALSE);
    return JxlEncoderSetBasicInfo(jxl, &info) == JXL_ENC_SUCCESS &&
           JxlEncoderSetColorEncoding(jxl, &color) == JXL_ENC_SUCCESS;
}

static bool add_frame(JxlEncoder *jxl, const tsr_picture_job *job) {
    const JxlPixelFormat format = {3, JXL_TYPE_UINT8, JXL_NATIVE_ENDIAN, 0};
    JxlEncoderFrameSettings *frame = JxlEncoderFrameSettingsCreate(jxl, NULL);
    if (!frame) return false;
    const JxlEncoderStatus set = job->lossless
                                     ? JxlEncoderSetFrameLossless(frame, JXL_TRUE)
                                     : JxlEncoderSetFrameDistance(frame, distance_of(job->quality));
    return set == JXL_ENC_SUCCESS &&
           JxlEncoderAddImageFrame(frame, &format, job->rgb,
                                   (size_t)job->width * (size_t)job->height * 3) == JXL_ENC_SUCCESS;
}

tsr_status tsr_jxl_put(tsr_context *ctx, const tsr_picture_job *job) {
    uint8_t buffer[16384];
    JxlEncoder *jxl = JxlEncoderCreate(NULL);
    if (!jxl) return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: JPEG XL: no memory", job->name);
    tsr_status status = TSR_OK;
    JxlEncoderStatus made = JXL_ENC_ERROR;
    if (set_up(jxl, job) && add_frame(jxl, job)) {
        JxlEncoderCloseInput(jxl);
        do {
            uint8_t *next = buffer;
            size_t left = sizeof buffer;
            made = JxlEncoderProcessOutput(jxl, &next, &left);
            if (made != JXL_ENC_ERROR)
                status = tsr_out_write(ctx, job->out, buffer, sizeof buffer - left);
        } while (!status && made == JXL_ENC_NEED_MORE_OUTPUT);
    }
    if (!status && made != JXL_ENC_SUCCESS)
        status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: JPEG XL: the encoder stopped", job->name);
    JxlEncoderDestroy(jxl);
    return status;
}
