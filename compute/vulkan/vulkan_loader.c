/* SPDX-License-Identifier: MIT */
/* vulkan_loader.c: the Vulkan loader (through volk) and instances.
 *
 * volk keeps the loader's entry points in variables of the process. They are set once, by one
 * thread at a time, and hold the same values for everyone; all else is in tables of each instance
 * and device. */
#include "vulkan_internal.h"

#include <dlfcn.h> /* before the pragma below reaches it through volk */
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#pragma GCC visibility push(hidden)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#define VOLK_IMPLEMENTATION
#include <volk.h>
#pragma GCC diagnostic pop
#pragma GCC visibility pop

/* Process whose thread is at volk's variables, or 0. A mutex would stay locked for ever in a child
 * that was forked while another thread had it; this one's owner is seen to be somebody else. */
static atomic_long volk_owner;
static bool volk_tried, volk_there;

static void lock_volk(void) {
    const long self = (long)getpid();
    for (;;) {
        long owner = 0;
        if (atomic_compare_exchange_strong(&volk_owner, &owner, self)) return;
        if (owner != self && atomic_compare_exchange_strong(&volk_owner, &owner, self)) return;
        nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL); /* loading takes milliseconds */
    }
}

static void unlock_volk(void) {
    atomic_store(&volk_owner, 0);
}

/* Sanitized builds only. The Vulkan loader unloads drivers, and what they leaked has then no name
 * that tests/lsan.supp could list; kept in memory they can be told apart from us. Here, because a
 * driver and its compiler take longer to load than many a process runs that needs none. */
static void keep_drivers_loaded(void) {
#if defined(__SANITIZE_ADDRESS__)
    static const char *const drivers[] = {
        "libvulkan.so.1",     "libvulkan_lvp.so",         "libvulkan_radeon.so",
        "libvulkan_intel.so", "libvulkan_intel_hasvk.so", "libVkLayer_khronos_validation.so"};
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; ++i)
        dlopen(drivers[i], RTLD_LAZY | RTLD_NODELETE);
#endif
}

static bool loader_there(void) {
    lock_volk();
    if (!volk_tried) {
        keep_drivers_loaded();
        volk_there = volkInitialize() == VK_SUCCESS && vkGetInstanceProcAddr && vkCreateInstance;
        volk_tried = true;
    }
    bool there = volk_there;
    unlock_volk();
    return there;
}

void vulkan_load_device_table(const vulkan_instance *instance, VkDevice device,
                              struct VolkDeviceTable *table) {
    lock_volk();
    vkGetDeviceProcAddr = instance->GetDeviceProcAddr; /* what volk fills the table with */
    volkLoadDeviceTable(table, device);
    unlock_volk();
}

static VKAPI_ATTR VkBool32 VKAPI_CALL on_message(VkDebugUtilsMessageSeverityFlagBitsEXT severity,
                                                 VkDebugUtilsMessageTypeFlagsEXT types,
                                                 const VkDebugUtilsMessengerCallbackDataEXT *data,
                                                 void *user) {
    (void)severity, (void)types;
    vulkan_messages *m = user;
    pthread_mutex_lock(&m->lock);
    if (m->count++ == 0)
        snprintf(m->first, sizeof m->first, "%s", data->pMessage ? data->pMessage : "(no text)");
    pthread_mutex_unlock(&m->lock);
    return VK_FALSE;
}

static bool has_extension(const char *layer, const char *name) {
    uint32_t count = 0;
    if (vkEnumerateInstanceExtensionProperties(layer, &count, NULL) != VK_SUCCESS) return false;
    VkExtensionProperties *list = calloc(count + 1, sizeof *list);
    bool found = false;
    if (list && vkEnumerateInstanceExtensionProperties(layer, &count, list) >= VK_SUCCESS)
        for (uint32_t i = 0; i < count; ++i)
            found |= !strcmp(list[i].extensionName, name);
    free(list);
    return found;
}

static bool has_layer(const char *name) {
    uint32_t count = 0;
    if (vkEnumerateInstanceLayerProperties(&count, NULL) != VK_SUCCESS) return false;
    VkLayerProperties *list = calloc(count + 1, sizeof *list);
    bool found = false;
    if (list && vkEnumerateInstanceLayerProperties(&count, list) >= VK_SUCCESS)
        for (uint32_t i = 0; i < count; ++i)
            found |= !strcmp(list[i].layerName, name);
    free(list);
    return found;
}

static tsr_status start_messages(tsr_context *ctx, vulkan_instance *n) {
    PFN_vkCreateDebugUtilsMessengerEXT create = (PFN_vkCreateDebugUtilsMessengerEXT)(void (*)(
        void))vkGetInstanceProcAddr(n->handle, "vkCreateDebugUtilsMessengerEXT");
    n->DestroyDebugUtilsMessengerEXT = (PFN_vkDestroyDebugUtilsMessengerEXT)(void (*)(
        void))vkGetInstanceProcAddr(n->handle, "vkDestroyDebugUtilsMessengerEXT");
    VkDebugUtilsMessengerCreateInfoEXT info = {
        .sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
        .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT |
                           VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
        /* not GENERAL: there the loader speaks about drivers we do not use */
        .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT |
                       VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
        .pfnUserCallback = on_message,
        .pUserData = &n->messages};
    if (!create || !n->DestroyDebugUtilsMessengerEXT ||
        create(n->handle, &info, NULL, &n->messenger) != VK_SUCCESS)
        return tsr_fail(ctx, TSR_ERROR_DEVICE, "vulkan: no debug messenger for validation");
    return TSR_OK;
}

tsr_status vulkan_instance_open(tsr_context *ctx, bool validation, vulkan_instance **instance) {
    *instance = NULL;
    if (!loader_there() || volkGetInstanceVersion() < VK_API_VERSION_1_1) return TSR_OK;
    const char *layers[] = {"VK_LAYER_KHRONOS_validation"}, *extensions[4];
    uint32_t extension_count = 0;
    VkInstanceCreateFlags flags = 0;
    if (validation && !has_layer(layers[0]))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "validation: wanted the layer %s, got none",
                        layers[0]);
    bool features_extension = validation && has_extension(layers[0], "VK_EXT_validation_features");
    if (validation) extensions[extension_count++] = VK_EXT_DEBUG_UTILS_EXTENSION_NAME;
    if (features_extension) extensions[extension_count++] = "VK_EXT_validation_features";
    if (has_extension(NULL, "VK_KHR_portability_enumeration")) {
        extensions[extension_count++] = "VK_KHR_portability_enumeration";
        flags |= 1; /* VK_INSTANCE_CREATE_ENUMERATE_PORTABILITY_BIT_KHR */
    }
    VkValidationFeatureEnableEXT enable =
        VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT;
    VkValidationFeaturesEXT features = {.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT,
                                        .enabledValidationFeatureCount = 1,
                                        .pEnabledValidationFeatures = &enable};
    /* 1.2 is enough for all modules but those of VK_NV_cooperative_matrix2, which are SPIR-V 1.6.
     */
    const uint32_t api =
        volkGetInstanceVersion() < VK_API_VERSION_1_3 ? VK_API_VERSION_1_2 : VK_API_VERSION_1_3;
    VkApplicationInfo application = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                     .pApplicationName = "tessera",
                                     .pEngineName = "tessera",
                                     .apiVersion = api};
    VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                 .pNext = features_extension ? &features : NULL,
                                 .flags = flags,
                                 .pApplicationInfo = &application,
                                 .enabledLayerCount = validation,
                                 .ppEnabledLayerNames = layers,
                                 .enabledExtensionCount = extension_count,
                                 .ppEnabledExtensionNames = extensions};
    vulkan_instance *n = tsr_alloc(ctx, 1, sizeof *n, "vulkan instance");
    if (!n) return TSR_ERROR_MEMORY;
    VkResult result = vkCreateInstance(&info, NULL, &n->handle);
    if (result != VK_SUCCESS) {
        free(n);
        if (result == VK_ERROR_INCOMPATIBLE_DRIVER) return TSR_OK;
        return tsr_fail(ctx,
                        result == VK_ERROR_OUT_OF_HOST_MEMORY ? TSR_ERROR_MEMORY : TSR_ERROR_DEVICE,
                        "vulkan: vkCreateInstance gave %d", result);
    }
    pthread_mutex_init(&n->messages.lock, NULL);
    bool whole = true;
#define X(name)                                                                                    \
    n->name = (PFN_vk##name)(void (*)(void))vkGetInstanceProcAddr(n->handle, "vk" #name);          \
    whole &= n->name != NULL;
    VULKAN_INSTANCE_FUNCTIONS(X)
#undef X
    n->GetPhysicalDeviceCooperativeMatrixPropertiesKHR =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(void (*)(void))
            vkGetInstanceProcAddr(n->handle, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR");
    n->GetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV =
        (PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV)(void (*)(
            void))vkGetInstanceProcAddr(n->handle, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDim"
                                                   "ensionsPropertiesNV");
    tsr_status status = TSR_OK;
    if (!whole)
        status = tsr_fail(ctx, TSR_ERROR_DEVICE, "vulkan: the loader lacks functions of 1.1");
    if (!status && validation) status = start_messages(ctx, n);
    *instance = n;
    if (status) vulkan_instance_close(instance);
    return status;
}

void vulkan_instance_close(vulkan_instance **instance) {
    if (!*instance) return;
    vulkan_instance *n = *instance;
    if (n->messenger) n->DestroyDebugUtilsMessengerEXT(n->handle, n->messenger, NULL);
    if (n->handle && n->DestroyInstance) n->DestroyInstance(n->handle, NULL);
    pthread_mutex_destroy(&n->messages.lock);
    free(n);
    *instance = NULL;
}

tsr_status vulkan_physical_devices(tsr_context *ctx, const vulkan_instance *n,
                                   VkPhysicalDevice **list, uint32_t *count) {
    *list = NULL;
    *count = 0;
    VkResult result = n->EnumeratePhysicalDevices(n->handle, count, NULL);
    if (result == VK_SUCCESS && *count) {
        *list = tsr_alloc(ctx, *count, sizeof **list, "vulkan devices");
        if (!*list) return TSR_ERROR_MEMORY;
        result = n->EnumeratePhysicalDevices(n->handle, count, *list);
    }
    if (result == VK_SUCCESS || result == VK_INCOMPLETE) return TSR_OK;
    free(*list);
    *list = NULL;
    *count = 0;
    /* A loader without a single working driver ends here: that is no device, not a failure. */
    if (result == VK_ERROR_INITIALIZATION_FAILED) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_DEVICE, "vulkan: vkEnumeratePhysicalDevices gave %d", result);
}
