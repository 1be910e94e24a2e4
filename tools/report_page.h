/* SPDX-License-Identifier: MIT */
/* report_page.h: report.json as a page that people look at: one HTML file that needs nothing else,
 * in light and dark, for screens and paper. docs/REPORT.md says what is on it. */
#ifndef TOOLS_REPORT_PAGE_H
#define TOOLS_REPORT_PAGE_H

#include "report_parts.h"
#include "report_pictures.h"

/* Writes folder/index.html of the report in `json_path`; pictures are found from the folder of
 * json_path. One that is there is replaced. settings NULL: REPORT_PICTURES and REPORT_SIDE. Returns
 * -1, or the exit code after it has told the failure. A picture that cannot be read is said on the
 * page and is no failure. */
int report_page_write(tool *t, const char *json_path, const char *folder,
                      const report_page_settings *settings);

/* Writes one plot of the report in `json_path` as the file `path`: a metric's by its name, t_acc,
 * t_ned or f_sim. Returns -1, or the exit code after it has told the failure. */
int report_page_plot(tool *t, const char *json_path, const char *number, report_plot_over over,
                     const char *path);

/* Prints for people what was read and whom faces resembled, a line for each candidate of the report
 * in `json_path` that has such numbers. Returns -1, or the exit code after it has told the failure.
 */
int report_page_content(tool *t, const char *json_path);

#endif
