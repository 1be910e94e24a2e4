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

static char log_name[64];

const char *need_fake_layer(void) {
    if (access(TESSERA_FAKE_LAYER "/fake_device_layer.json", R_OK))
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
    unsetenv("VK_INSTANCE_LAYERS");
    unsetenv("VK_ADD_LAYER_PATH");
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
    setenv("VK_INSTANCE_LAYERS", "VK_LAYER_TESSERA_fake_device", 1);
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
