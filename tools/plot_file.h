/* SPDX-License-Identifier: MIT */
/* plot_file.h: a plot as a file, whose suffix says of which kind: .svg, or a picture. */
#ifndef TOOLS_PLOT_FILE_H
#define TOOLS_PLOT_FILE_H

#include "plot.h"
#include "tool.h"

/* Whether the suffix is .svg. */
bool plot_file_is_svg(const char *path);
/* Why this build cannot write a plot of that name; NULL: it can. */
const char *plot_file_missing(const char *path);
/* Writes the plot, wider than high, higher with many series. Returns -1, or the exit code after it
 * has told the failure. */
int plot_file_write(tool *t, const plot *p, const char *path);

#endif
