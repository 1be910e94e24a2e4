/* SPDX-License-Identifier: MIT */
/* golden_case.h: one golden case on one device. */
#ifndef TESTS_GOLDEN_CASE_H
#define TESTS_GOLDEN_CASE_H

/* <shared>/golden/<folder> must give `lines` lines, none of them a failure. Prints why it was
 * skipped when the folder or the device is not there. */
void golden_case(const char *folder, const char *device, int lines);

#endif
