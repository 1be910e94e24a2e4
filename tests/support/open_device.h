/* SPDX-License-Identifier: MIT */
/* open_device.h: a context and a device of one test's own, with a chosen number of threads. */
#ifndef TESTS_OPEN_DEVICE_H
#define TESTS_OPEN_DEVICE_H

#include "compute/device.h"

typedef struct own_device {
    tsr_context *ctx;
    tsr_device *device;
} own_device;

/* Fails the test when the device does not open. */
own_device open_own_device(const char *name, int threads);
void close_own_device(own_device *d);

#endif
