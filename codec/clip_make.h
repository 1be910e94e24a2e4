/* SPDX-License-Identifier: MIT */
/* clip_make.h: making clips on a device that is open. */
#ifndef CODEC_CLIP_MAKE_H
#define CODEC_CLIP_MAKE_H

#ifndef TESSERA_EXPERIMENTAL
#define TESSERA_EXPERIMENTAL
#endif
#include <tessera/clip.h>

#include "../compute/device.h"

/* As tsr_clip_make; settings->device is not looked at. `name` begins detail texts. */
tsr_status tsr_clip_make_on(tsr_device *device, const char *name, const float *features,
                            const uint32_t grid[3], uint32_t channels,
                            const tsr_clip_settings *settings, tsr_clip *clip);

#endif
