/* SPDX-License-Identifier: MIT */
/* report_pictures.h: the pictures of a report page: originals, what each candidate made of them,
 * and maps of the error, all inside the page. */
#ifndef TOOLS_REPORT_PICTURES_H
#define TOOLS_REPORT_PICTURES_H

#include "report_parts.h"
#include "tool.h"

enum { REPORT_PICTURES = 12, REPORT_SIDE = 512 };

typedef struct report_page_settings {
    uint32_t pictures; /* in the page, the worst; 0: none */
    uint32_t side;     /* longest side of a picture in the page; larger ones are shrunk */
} report_page_settings;

/* Writes the section. `base` is the folder that paths of the report begin at, `folder` a folder
 * that may be written to. Returns -1, or the exit code after it has told a failure (memory, a full
 * disk, Ctrl-C). */
int report_pictures(tool *t, const report_part *p, const char *base,
                    const report_page_settings *settings);

/* Colour of a mean absolute error of 0..255 (REPORT_ERROR_MOST and more look alike). */
enum { REPORT_ERROR_MOST = 64 };
void report_error_colour(double error, uint8_t rgb[3]);

#endif
