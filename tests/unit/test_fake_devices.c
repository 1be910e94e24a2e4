/* SPDX-License-Identifier: MIT */
/* What is chosen on devices that are not here: a layer lets the driver report their makers, ids,
 * subgroups and matrix units, and the device list says what would be used. */
#include <tessera/tessera.h>

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "compute/device.h"
#include "fake_layer.h"
#include "testing.h"

typedef struct fake_row {
    const char *what;
    const char *variables[8];
    bool bodies;         /* subgroup bodies are used */
    uint32_t threads;    /* of matrix pipelines; 0: not used */
    const char *because; /* in the reason of subgroup bodies that are not used, or of matrices */
} fake_row;

#define MATRICES "FAKE_MATRICES=16x16x16,8x16x16"

static const fake_row rows[] = {
    {"Arc A770",
     {"FAKE_VENDOR=0x8086", "FAKE_DEVICE=0x56A0", "FAKE_DRIVER=6", "FAKE_SUBGROUP=32:8:32",
      MATRICES},
     true,
     0,
     "Arc of the first generation"},
    {"Arc B580",
     {"FAKE_VENDOR=0x8086", "FAKE_DEVICE=0xE20B", "FAKE_DRIVER=6", "FAKE_SUBGROUP=32:16:32",
      MATRICES},
     true,
     16,
     NULL},
    {"Intel whose least is 32",
     {"FAKE_VENDOR=0x8086", "FAKE_DEVICE=0xE20B", "FAKE_DRIVER=6", "FAKE_SUBGROUP=32:32:32",
      MATRICES},
     true,
     32,
     NULL},
    {"Intel without a say",
     {"FAKE_VENDOR=0x8086", "FAKE_DEVICE=0xE20B", "FAKE_DRIVER=6", "FAKE_SUBGROUP=32", MATRICES},
     false,
     0,
     "varies"},
    {"NVIDIA",
     {"FAKE_VENDOR=0x10DE", "FAKE_DEVICE=0x2330", "FAKE_DRIVER=4", "FAKE_SUBGROUP=32:32:32",
      MATRICES},
     true,
     32,
     NULL},
    {"NVIDIA with matrices of workgroups",
     {"FAKE_VENDOR=0x10DE", "FAKE_DEVICE=0x2330", "FAKE_DRIVER=4", "FAKE_SUBGROUP=32:32:32",
      MATRICES, "FAKE_MATRICES2=scope,dimensions,tensors,elements"},
     true,
     32,
     "tried with 32 threads, and with workgroups, when"},
    {"NVIDIA without tensor addressing",
     {"FAKE_VENDOR=0x10DE", "FAKE_DEVICE=0x2330", "FAKE_DRIVER=4", "FAKE_SUBGROUP=32:32:32",
      MATRICES, "FAKE_MATRICES2=scope,dimensions,elements"},
     true,
     32,
     "not with workgroups for want of tensor addressing when"},
    {"matrices of flexible size in subgroups alone",
     {"FAKE_VENDOR=0x10DE", "FAKE_DEVICE=0x2330", "FAKE_DRIVER=4", "FAKE_SUBGROUP=32:32:32",
      MATRICES, "FAKE_MATRICES2=dimensions,elements"},
     true,
     32,
     "not with workgroups for want of workgroup scope when"},
    {"NVIDIA without a say",
     {"FAKE_VENDOR=0x10DE", "FAKE_DEVICE=0x2330", "FAKE_DRIVER=4", "FAKE_SUBGROUP=32", MATRICES},
     true,
     0,
     "full subgroups"},
    {"7900 XTX, Mesa",
     {"FAKE_VENDOR=0x1002", "FAKE_DEVICE=0x744C", "FAKE_DRIVER=3", "FAKE_SUBGROUP=64:32:64",
      MATRICES},
     true,
     32,
     NULL},
    {"7900 XTX, AMD's driver",
     {"FAKE_VENDOR=0x1002", "FAKE_DEVICE=0x744C", "FAKE_DRIVER=1", "FAKE_SUBGROUP=64:32:64",
      MATRICES},
     true,
     32,
     NULL},
    {"6900 XT, AMD's driver",
     {"FAKE_VENDOR=0x1002", "FAKE_DEVICE=0x73BF", "FAKE_DRIVER=1", "FAKE_SUBGROUP=64:32:64",
      MATRICES},
     true,
     0,
     "emulates"},
    {"6900 XT, Mesa",
     {"FAKE_VENDOR=0x1002", "FAKE_DEVICE=0x73BF", "FAKE_DRIVER=3", "FAKE_SUBGROUP=64:32:64"},
     true,
     0,
     "reports none"},
    {"Adreno without a say",
     {"FAKE_VENDOR=0x5143", "FAKE_DEVICE=0x43050A01", "FAKE_DRIVER=8", "FAKE_SUBGROUP=64"},
     false,
     0,
     "varies"},
    {"Mali",
     {"FAKE_VENDOR=0x13B5", "FAKE_DRIVER=9", "FAKE_SUBGROUP=16:16:16"},
     true,
     0,
     "reports none"},
    {"subgroups of 8", {"FAKE_SUBGROUP=8:8:8"}, true, 0, "reports none"},
};

static tsr_context *ctx;

START_TEST(choices_for_made_up_devices) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
        const fake_row *r = &rows[i];
        tsr_device_info *list = NULL;
        int count = 0;
        fake_layer(r->variables);
        ck_assert_msg(tsr_device_list(ctx, &list, &count) == TSR_OK, "%s: %s", r->what,
                      tsr_detail(ctx));
        ck_assert_int_ge(count, 2);
        const tsr_device_info *d = &list[1];
        printf("%s: subgroup bodies %s; matrix units %s\n", r->what, d->subgroup_reason,
               d->matrix_reason);
        /* a driver here may fail the canary of long loops; that of arithmetic none does */
        ck_assert_msg(!strstr(d->reason, "lose digits") && !strstr(d->reason, "rounded") &&
                          !strstr(d->reason, "NaN"),
                      "%s: %s", r->what, d->reason);
        ck_assert_msg(d->subgroup_bodies == r->bodies, "%s: subgroup bodies %s", r->what,
                      d->subgroup_reason);
        ck_assert_msg(d->matrix_subgroup == r->threads, "%s: wanted %u threads, got %u (%s)",
                      r->what, r->threads, d->matrix_subgroup, d->matrix_reason);
        const char *said = r->bodies ? d->matrix_reason : d->subgroup_reason;
        ck_assert_msg(!r->because || strstr(said, r->because), "%s: %s", r->what, said);
        free(list);
    }
    tsr_context_close(&ctx);
}
END_TEST

static double number(const cJSON *o, const char *key) {
    const cJSON *item = cJSON_GetObjectItem(o, key);
    ck_assert_msg(cJSON_IsNumber(item), "%s", key);
    return item->valuedouble;
}

START_TEST(the_list_as_text_has_them) {
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    fake_layer((const char *[]){"FAKE_VENDOR=0x8086", "FAKE_DEVICE=0xE20B", "FAKE_DRIVER=6",
                                "FAKE_SUBGROUP=32:16:32", MATRICES, "FAKE_HEAPS=local:12G,host:16G",
                                "FAKE_BUDGET=11G:1G,15G", "FAKE_SHARED=32K", NULL});
    char *text = NULL;
    ck_assert_msg(tsr_devices_json(ctx, &text) == TSR_OK, "%s", tsr_detail(ctx));
    cJSON *root = cJSON_Parse(text);
    const cJSON *cpu = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "devices"), 0),
                *d = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "devices"), 1),
                *ids = cJSON_GetObjectItem(d, "ids"), *c = cJSON_GetObjectItem(d, "choices");
    ck_assert(cJSON_IsNull(cJSON_GetObjectItem(cpu, "memory_free_bytes")));
    ck_assert(!cJSON_HasObjectItem(cpu, "choices"));
    ck_assert_str_eq(cJSON_GetObjectItem(d, "vendor")->valuestring, "Intel");
    ck_assert_double_eq(number(d, "memory_bytes"), 12.0 * (1 << 30));
    ck_assert_double_eq(number(d, "memory_free_bytes"), 10.0 * (1 << 30));
    ck_assert_double_eq(number(ids, "vendor"), 0x8086);
    ck_assert_double_eq(number(ids, "device"), 0xE20B);
    ck_assert_double_eq(number(ids, "driver"), 6);
    ck_assert_double_eq(number(c, "matrix_subgroup"), 16);
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(c, "matrix_units")));
    ck_assert(cJSON_IsTrue(cJSON_GetObjectItem(c, "subgroup_bodies")));
    ck_assert_double_eq(number(cJSON_GetObjectItem(d, "limits"), "shared_bytes"), 32 << 10);
    cJSON_Delete(root);
    free(text);
    tsr_context_close(&ctx);
}
END_TEST

TEST_PARTS("fake devices",
           PART(own, need_fake_layer, choices_for_made_up_devices, the_list_as_text_has_them))
