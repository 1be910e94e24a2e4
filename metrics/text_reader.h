/* SPDX-License-Identifier: MIT */
/* text_reader.h: the inside of readers. */
#ifndef METRICS_TEXT_READER_H
#define METRICS_TEXT_READER_H

#include <tessera/text_faces.h>

#include "../compute/context.h"

/* Tesseract, where the build has it. */
typedef struct tsr_tesseract tsr_tesseract;
/* Opens Tesseract for a language; `about` [128] becomes its name and version. Errors: UNSUPPORTED
 * (a build without it), NOT_FOUND (no data of the language), MEMORY. */
tsr_status tsr_tesseract_open(tsr_context *ctx, const char *language, char about[128],
                              tsr_tesseract **tesseract);
/* Reads crops. Errors: MEMORY. */
tsr_status tsr_tesseract_read(tsr_tesseract *tesseract, const tsr_picture *crops, int count,
                              tsr_reading *readings);
void tsr_tesseract_close(tsr_tesseract **tesseract);

/* A crop as Tesseract reads it best: resized to TSR_LINE_HEIGHT rows with the aspect kept, between
 * 1 and TSR_LINE_WIDTH columns, by a triangle filter with antialias; a border of TSR_LINE_BORDER
 * pixels around it in the crop's background, the median of each channel over its edge. *rgb is
 * malloc'd. Errors: MEMORY. */
enum { TSR_LINE_HEIGHT = 64, TSR_LINE_BORDER = 8, TSR_LINE_WIDTH = 8192 };
tsr_status tsr_line_prepare(tsr_context *ctx, const tsr_picture *crop, uint8_t **rgb, int *width,
                            int *height);

#endif
