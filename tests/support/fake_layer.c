/* SPDX-License-Identifier: MIT */
/* fake_layer.c: see fake_layer.h. */
#include "fake_layer.h"

#include "needs.h"
#include "testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef TESSERA_FAKE_LAYER
#define TESSERA_FAKE_LAYER ""
#endif

extern char **environ;

#define LAYER "VK_LAYER_TESSERA_fake_device"

static char log_name[64];
static char outer[512]; /* layers that were asked for from outside: validation, in front of ours */
static bool outer_known;

static void remember_outer(void) {
    const char *list = getenv("VK_INSTANCE_LAYERS");
    if (!outer_known && list && *list) snprintf(outer, sizeof outer, "%s", list);
    outer_known = true;
}

const char *need_fake_layer(void) {
    if (access(TESSERA_FAKE_LAYER "/fake_device_layer.json", R_OK) ||
        access(TESSERA_FAKE_LAYER "/libfake_device_layer.so", R_OK))
        return "the layer is not built (vulkan/vk_layer.h)";
    return need_vulkan();
}

void fake_layer_off(void) {
    for (char **e = environ; *e;) /* unsetting moves the rest down */
        if (!strncmp(*e, "FAKE_", 5)) {
            char name[64];
            snprintf(name, sizeof name, "%.*s", (int)strcspn(*e, "="), *e);
            unsetenv(name);
        } else
            ++e;
    remember_outer();
    unsetenv("VK_ADD_LAYER_PATH");
    if (*outer)
        setenv("VK_INSTANCE_LAYERS", outer, 1);
    else
        unsetenv("VK_INSTANCE_LAYERS");
}

static void remove_log(void) {
    unlink(log_name);
}

void fake_layer(const char *const *variables) {
    fake_layer_off();
    if (!log_name[0]) {
        snprintf(log_name, sizeof log_name, "/tmp/tessera-fake-layer-%ld.log", (long)getpid());
        atexit(remove_log);
    }
    remove_log();
    setenv("FAKE_LOG", log_name, 1);
    for (; *variables; ++variables) {
        const char *equals = strchr(*variables, '=');
        char name[64];
        ck_assert_ptr_nonnull(equals);
        snprintf(name, sizeof name, "%.*s", (int)(equals - *variables), *variables);
        setenv(name, equals + 1, 1);
    }
    /* beside the system's layers, as validation may be wanted, too */
    setenv("VK_ADD_LAYER_PATH", TESSERA_FAKE_LAYER, 1);
    char layers[sizeof outer + sizeof LAYER + 1];
    snprintf(layers, sizeof layers, "%s%s" LAYER, outer, *outer ? ":" : "");
    setenv("VK_INSTANCE_LAYERS", layers, 1);
}

int fake_layer_lines(const char *start) {
    FILE *f = fopen(log_name, "r");
    char line[256];
    int count = 0;
    while (f && fgets(line, sizeof line, f))
        count += !strncmp(line, start, strlen(start));
    if (f) fclose(f);
    return count;
}
