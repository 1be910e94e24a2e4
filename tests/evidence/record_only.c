/* SPDX-License-Identifier: MIT */
/* record_only.c: what a model asks of a Vulkan device, without the wait for it. A picture of 256 x
 * 256 is encoded, and what the library logs goes to standard error; once the model is open, all
 * that is submitted is left out (the linker puts the function below in place of the library's,
 * --wrap), so that published sizes take seconds on a software driver, too. The tokens mean nothing.
 *
 *     record_only MODEL [DEVICE [f32|fast [MASK]]] */
#include "compute/vulkan/vulkan_internal.h"
#include <tessera/tessera.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void __real_vulkan_load_device_table(const vulkan_instance *instance, VkDevice device,
                                     struct VolkDeviceTable *table);
void __wrap_vulkan_load_device_table(const vulkan_instance *instance, VkDevice device,
                                     struct VolkDeviceTable *table);

static bool leave_out;
static PFN_vkQueueSubmit submit;
static PFN_vkGetQueryPoolResults results;

/* Nothing, whose end signals the fence all the same. */
static VKAPI_ATTR VkResult VKAPI_CALL submit_nothing(VkQueue queue, uint32_t count,
                                                     const VkSubmitInfo *info, VkFence fence) {
    return leave_out ? submit(queue, 0, NULL, fence) : submit(queue, count, info, fence);
}

/* Timestamps that nobody has written would be waited for. */
static VKAPI_ATTR VkResult VKAPI_CALL no_results(VkDevice device, VkQueryPool pool, uint32_t first,
                                                 uint32_t count, size_t size, void *data,
                                                 VkDeviceSize stride, VkQueryResultFlags flags) {
    if (!leave_out) return results(device, pool, first, count, size, data, stride, flags);
    memset(data, 0, size);
    return VK_SUCCESS;
}

void __wrap_vulkan_load_device_table(const vulkan_instance *instance, VkDevice device,
                                     struct VolkDeviceTable *table) {
    __real_vulkan_load_device_table(instance, device, table);
    submit = table->vkQueueSubmit;
    results = table->vkGetQueryPoolResults;
    table->vkQueueSubmit = submit_nothing;
    table->vkGetQueryPoolResults = no_results;
}

static void print(void *user, tsr_log_level level, const char *text) {
    (void)user;
    (void)level;
    fprintf(stderr, "%s\n", text);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 5) {
        fprintf(stderr, "usage: record_only MODEL [DEVICE [f32|fast [MASK]]]\n");
        return 2;
    }
    enum { SIZE = 256 };
    static uint8_t pixels[SIZE * SIZE * 3];
    for (size_t i = 0; i < sizeof pixels; ++i)
        pixels[i] = (uint8_t)(i * 7 / 3);
    tsr_context *ctx = NULL;
    tsr_context_settings settings = {.log_level = TSR_LOG_DEBUG, .log = print};
    if (tsr_context_open(&ctx, &settings)) return 1;
    tsr_model_settings model = {
        .model = argv[1],
        .device = argc > 2 ? argv[2] : "vulkan:0",
        .precision = argc > 3 && !strcmp(argv[3], "fast") ? TSR_PRECISION_FAST : TSR_PRECISION_F32,
        .mask = argc > 4 ? argv[4] : NULL};
    tsr_tokenizer *t = NULL;
    tsr_item *item = NULL;
    tsr_status s = tsr_tokenizer_open(ctx, &t, &model);
    leave_out = true;
    tsr_picture picture = {.rgb = pixels, .width = SIZE, .height = SIZE};
    if (!s) s = tsr_tokenizer_encode(t, &picture, 1, NULL, &item, NULL);
    if (s) fprintf(stderr, "record_only: %s: %s\n", tsr_status_text(s), tsr_detail(ctx));
    tsr_item_close(&item);
    tsr_tokenizer_close(&t);
    tsr_context_close(&ctx);
    return s != TSR_OK;
}
