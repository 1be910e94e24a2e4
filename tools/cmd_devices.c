/* SPDX-License-Identifier: MIT */
/* cmd_devices.c: where arithmetic could happen, and what "auto" would take. */
#include "tool.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

typedef struct devices_options {
    common_options common;
} devices_options;

static const char *text(const cJSON *object, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(value) ? value->valuestring : "";
}

static double number(const cJSON *object, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(value) ? value->valuedouble : 0;
}

static bool yes(const cJSON *object, const char *key) {
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/* "3.2 GB", with the binary units that memory comes in. */
static const char *memory(double bytes, char *out, size_t size) {
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    int unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    snprintf(out, size, "%.*f %s", bytes < 10 && unit && bytes != (int)bytes ? 1 : 0, bytes,
             units[unit]);
    return out;
}

static const char *with(bool has) {
    return has ? "yes" : "no";
}

/* In words: what most people ask. The names that Vulkan's documents use are in --json and -v. */
static void print_device(const cJSON *d, bool details) {
    char clean[300], bytes[32];
    const char *state = yes(d, "chosen")     ? "used by default"
                        : !yes(d, "usable")  ? "cannot be used"
                        : yes(d, "software") ? "can be used, software"
                                             : "can be used";
    printf("%-10s  %s\n", text(d, "device"), tool_clean(text(d, "name"), clean, sizeof clean));
    printf("  state     %s%s%s\n", state, *text(d, "reason") ? ": " : "",
           tool_clean(text(d, "reason"), clean, sizeof clean));
    if (*text(d, "vendor"))
        printf("  maker     %s\n", tool_clean(text(d, "vendor"), clean, sizeof clean));
    if (*text(d, "driver") || *text(d, "api")) {
        printf("  driver    %s", tool_clean(text(d, "driver"), clean, sizeof clean));
        if (*text(d, "api")) printf("%sVulkan %s", *text(d, "driver") ? ", " : "", text(d, "api"));
        putchar('\n');
    }
    char unused[32];
    const double left = number(d, "memory_free_bytes"); /* 0: not known */
    printf("  memory    %s%s%s\n", memory(number(d, "memory_bytes"), bytes, sizeof bytes),
           left > 0 ? ", free now " : "", left > 0 ? memory(left, unused, sizeof unused) : "");
    printf("  numbers   16-bit floats %s, bfloat16 %s, 8-bit integers %s, matrix units %s\n",
           with(yes(d, "fp16")), with(yes(d, "bf16")), with(yes(d, "int8")),
           with(yes(d, "cooperative_matrix")));
    if (!details) return;
    const cJSON *s = cJSON_GetObjectItemCaseSensitive(d, "subgroup");
    if (s)
        printf("  subgroup  %.0f threads (%.0f to %.0f%s)\n", number(s, "size"), number(s, "min"),
               number(s, "max"), yes(s, "can_be_set") ? ", can be set" : "");
    const cJSON *l = cJSON_GetObjectItemCaseSensitive(d, "limits");
    if (l) {
        char range[32], allocation[32], shared[32];
        printf("  limits    buffer %s, allocation %s, shared memory %s, workgroup of %.0f threads, "
               "push constants %.0f bytes\n",
               memory(number(l, "storage_range_bytes"), range, sizeof range),
               memory(number(l, "allocation_bytes"), allocation, sizeof allocation),
               memory(number(l, "shared_bytes"), shared, sizeof shared), number(l, "workgroup"),
               number(l, "push_bytes"));
    }
    const cJSON *c = cJSON_GetObjectItemCaseSensitive(d, "choices");
    if (c && *text(c, "subgroup_reason"))
        printf("  choices   subgroup bodies %s; matrix units %s\n",
               tool_clean(text(c, "subgroup_reason"), clean, sizeof clean),
               text(c, "matrix_reason"));
}

static void print_json(tool *t, const cJSON *list) {
    json_out j;
    tool_json(t, &j);
    json_array(&j, "devices");
    const cJSON *d;
    cJSON_ArrayForEach(d, list) {
        char *row = cJSON_PrintUnformatted(d);
        json_raw(&j, NULL, row ? row : "null");
        cJSON_free(row);
    }
    json_end(&j, ']');
    json_close(&j);
}

static int run(const verb *v, int argc, char **argv) {
    devices_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    char *json = NULL;
    tsr_status s = tsr_devices_json(t.ctx, &json);
    cJSON *root = json ? cJSON_Parse(json) : NULL;
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, "devices");
    if (!s && !cJSON_IsArray(list)) s = TSR_ERROR_MEMORY;
    if (s) {
        code = tool_fail(&t, s);
    } else if (o.common.json) {
        print_json(&t, list);
        code = EXIT_DONE;
    } else {
        const cJSON *d;
        cJSON_ArrayForEach(d, list) {
            if (d != list->child) putchar('\n');
            print_device(d, o.common.verbose > 0);
        }
        code = EXIT_DONE;
    }
    cJSON_Delete(root);
    free(json);
    tool_close(&t);
    return code;
}

const verb verb_devices = {
    .name = "devices",
    .summary = "list the CPU and GPUs, and say which one is used and why",
    .usage = "tessera devices [--json]",
    .about =
        "Every device with its maker, driver, memory and number formats; -v adds subgroups, limits "
        "and choices. Without --device the one 'used by default' is taken. A software Vulkan "
        "driver is "
        "a "
        "CPU in disguise and is never taken by itself; a device that cannot be used says why.",
    .exits = NULL,
    .examples = "# what there is, and what 'auto' takes\n"
                "tessera devices\n"
                "# names for --device\n"
                "tessera devices --json | jq -r '.devices[].device'",
    .options = NULL,
    .option_count = 0,
    .least_operands = 0,
    .most_operands = 0,
    .operands = NULL,
    .run = run,
};
