/* SPDX-License-Identifier: MIT */
/* fake_device_layer.c: a Vulkan layer for tests. It lets a driver say that it is another device,
 * and lets a device be lost, hang or be slow when it is told to. Only tests load it
 * (VK_ADD_LAYER_PATH or VK_LAYER_PATH with VK_INSTANCE_LAYERS=VK_LAYER_TESSERA_fake_device), and
 * only it reads these variables, when an instance is made:
 *
 *   FAKE_TYPE=discrete|integrated|software     VkPhysicalDeviceType
 *   FAKE_VENDOR=0x8086  FAKE_DEVICE=0x56a0  FAKE_DRIVER=6 (VkDriverId)  FAKE_DRIVER_VERSION=1
 *   FAKE_UUID=7                                last byte of pipelineCacheUUID
 *   FAKE_HEAPS=local:256M,local:8G,host:16G    memory heaps, each with one type; the driver's own
 *                                              first type is used for all of them
 *   FAKE_BUDGET=3G:1G,...|none                 budget and usage of each heap; none: the extension
 *                                              is not there
 *   FAKE_STORAGE_RANGE=128M  FAKE_ALLOCATION=1G  FAKE_SHARED=32K
 *   FAKE_SUBGROUP=32:8:32|16                   size:least:most; one number: all three, and the
 *                                              size cannot be set
 *   FAKE_MATRICES=16x16x16,8x16x16             cooperative matrices f16 x f16 -> f32: to be looked
 *                                              at; a device is made without them
 *   FAKE_MATRICES2=scope,dimensions,tensors,elements
 *                                              VK_NV_cooperative_matrix2 with these features of it
 *   FAKE_MODULES=wrong|refused                 what becomes of modules that use matrices: they do
 *                                              nothing, or no pipeline is made of them
 *   FAKE_LOST_SUBMIT=N  FAKE_LOST_WAIT=N       the N-th vkQueueSubmit, vkWaitForFences and all that
 *                                              follow give VK_ERROR_DEVICE_LOST
 *   FAKE_STUCK=N                               the N-th submission with a fence never signals it
 *   FAKE_SLOW=N                                each fence is seen only at the N-th wait
 *   FAKE_CACHE=1|2                             pipeline caches keep a word for each pipeline; 2:
 *                                              and give less than Vulkan's header
 *   FAKE_LOG=FILE                              a line for each allocation, pipeline, cache, loss
 *
 * Sizes take K, M, G. Counters begin anew with each instance. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

#include "made_up_matrices.h"

#define EXPORT __attribute__((visibility("default")))
#define NAME   "VK_LAYER_TESSERA_fake_device"

/* One instance and one device at a time is what the tests make; the tables of the last one made
 * serve all, as every one goes to the same driver below. */
#define INSTANCE_FUNCTIONS(X)                                                                      \
    X(EnumerateDeviceExtensionProperties)                                                          \
    X(GetPhysicalDeviceProperties)                                                                 \
    X(GetPhysicalDeviceProperties2)                                                                \
    X(GetPhysicalDeviceFeatures2)                                                                  \
    X(GetPhysicalDeviceMemoryProperties)                                                           \
    X(GetPhysicalDeviceMemoryProperties2)
#define DEVICE_FUNCTIONS(X)                                                                        \
    X(DestroyDevice)                                                                               \
    X(DeviceWaitIdle)                                                                              \
    X(QueueWaitIdle)                                                                               \
    X(QueueSubmit)                                                                                 \
    X(WaitForFences)                                                                               \
    X(GetFenceStatus)                                                                              \
    X(AllocateMemory)                                                                              \
    X(GetBufferMemoryRequirements)                                                                 \
    X(CreateShaderModule)                                                                          \
    X(CreateComputePipelines)                                                                      \
    X(CreatePipelineCache)                                                                         \
    X(GetPipelineCacheData)

#define X(name) static PFN_vk##name next_##name;
INSTANCE_FUNCTIONS(X)
DEVICE_FUNCTIONS(X)
#undef X
static PFN_vkGetInstanceProcAddr next_instance_proc;
static PFN_vkGetDeviceProcAddr next_device_proc;
static PFN_GetPhysicalDeviceProcAddr next_physical_proc;

enum { MOST_HEAPS = 8, MOST_SHAPES = 8, MOST_STUCK = 8 };

static struct {
    const char *type, *log, *matrices2;
    bool wrong_modules, refused_modules, has_budget, no_budget, has_subgroup, can_be_set, cache,
        short_cache;
    unsigned long vendor, device, driver, driver_version, uuid;
    unsigned long long storage_range, allocation, shared;
    unsigned subgroup, least, most;
    int heap_count, shape_count;
    struct {
        bool local;
        unsigned long long bytes, budget, usage;
    } heap[MOST_HEAPS];
    unsigned shape[MOST_SHAPES][3];
    long lost_submit, lost_wait, stuck, slow;
} fake;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static long submits, fenced_submits, waits, slow_waits;
static bool lost, hangs;

enum { MOST_KNOWN = 4096 };
static uint32_t known[MOST_KNOWN]; /* FAKE_CACHE: the pipelines in the cache */
static int known_count, loaded_count;

/* A line of the log. Both numbers are always given: "%.0llu" shows none of 0. */
static void note(const char *format, unsigned long long a, unsigned long long b) {
    if (!fake.log) return;
    pthread_mutex_lock(&lock);
    FILE *f = fopen(fake.log, "a");
    if (f) {
        fprintf(f, format, a, b);
        fclose(f);
    }
    pthread_mutex_unlock(&lock);
}

/* ---- the variables ---- */

static unsigned long long size_of_text(const char *text, const char **end) {
    char *e;
    unsigned long long n = strtoull(text, &e, 0);
    switch (*e) {
    case 'G':
        n <<= 10; /* falls through */
    case 'M':
        n <<= 10; /* falls through */
    case 'K':
        n <<= 10;
        ++e;
    }
    if (end) *end = e;
    return n;
}

static unsigned long long size_variable(const char *name) {
    const char *text = getenv(name);
    return text ? size_of_text(text, NULL) : 0;
}

static void read_heaps(const char *text) {
    fake.heap_count = 0;
    while (text && *text && fake.heap_count < MOST_HEAPS) {
        fake.heap[fake.heap_count].local = !strncmp(text, "local:", 6);
        text = strchr(text, ':');
        if (!text) return;
        fake.heap[fake.heap_count++].bytes = size_of_text(text + 1, &text);
        text += *text == ',';
    }
}

static void read_budget(const char *text) {
    fake.has_budget = text && strcmp(text, "none");
    fake.no_budget = text && !fake.has_budget;
    for (int i = 0; fake.has_budget && *text && i < MOST_HEAPS; ++i) {
        fake.heap[i].budget = size_of_text(text, &text);
        fake.heap[i].usage = *text == ':' ? size_of_text(text + 1, &text) : 0;
        text += *text == ',';
    }
}

static void read_subgroup(const char *text) {
    fake.has_subgroup = text != NULL;
    if (!text) return;
    int n = sscanf(text, "%u:%u:%u", &fake.subgroup, &fake.least, &fake.most);
    fake.can_be_set = n == 3;
    if (n < 3) fake.least = fake.most = fake.subgroup;
}

static void read_shapes(const char *text) {
    fake.shape_count = 0;
    while (text && *text && fake.shape_count < MOST_SHAPES) {
        unsigned *s = fake.shape[fake.shape_count];
        if (sscanf(text, "%ux%ux%u", &s[0], &s[1], &s[2]) != 3) return;
        ++fake.shape_count;
        text = strchr(text, ',');
        if (text) ++text;
    }
}

static void read_variables(void) {
    memset(&fake, 0, sizeof fake);
    submits = fenced_submits = waits = slow_waits = 0;
    lost = hangs = false;
    known_count = loaded_count = 0;
    fake.type = getenv("FAKE_TYPE");
    fake.log = getenv("FAKE_LOG");
    fake.vendor = (unsigned long)size_variable("FAKE_VENDOR");
    fake.device = (unsigned long)size_variable("FAKE_DEVICE");
    fake.driver = (unsigned long)size_variable("FAKE_DRIVER");
    fake.driver_version = (unsigned long)size_variable("FAKE_DRIVER_VERSION");
    fake.uuid = (unsigned long)size_variable("FAKE_UUID");
    fake.storage_range = size_variable("FAKE_STORAGE_RANGE");
    fake.allocation = size_variable("FAKE_ALLOCATION");
    fake.shared = size_variable("FAKE_SHARED");
    fake.lost_submit = (long)size_variable("FAKE_LOST_SUBMIT");
    fake.lost_wait = (long)size_variable("FAKE_LOST_WAIT");
    fake.stuck = (long)size_variable("FAKE_STUCK");
    fake.slow = (long)size_variable("FAKE_SLOW");
    fake.cache = size_variable("FAKE_CACHE") != 0;
    fake.short_cache = size_variable("FAKE_CACHE") == 2;
    read_heaps(getenv("FAKE_HEAPS"));
    read_budget(getenv("FAKE_BUDGET"));
    read_subgroup(getenv("FAKE_SUBGROUP"));
    read_shapes(getenv("FAKE_MATRICES"));
    fake.matrices2 = getenv("FAKE_MATRICES2");
    const char *become = getenv("FAKE_MODULES");
    fake.wrong_modules = become && !strcmp(become, "wrong");
    fake.refused_modules = become && !strcmp(become, "refused");
}

/* ---- what a device says of itself ---- */

static void change_basic(VkPhysicalDeviceProperties *p) {
    if (fake.type)
        p->deviceType = !strcmp(fake.type, "discrete")     ? VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU
                        : !strcmp(fake.type, "integrated") ? VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU
                                                           : VK_PHYSICAL_DEVICE_TYPE_CPU;
    if (fake.vendor) p->vendorID = (uint32_t)fake.vendor;
    if (fake.device) p->deviceID = (uint32_t)fake.device;
    if (fake.driver_version) p->driverVersion = (uint32_t)fake.driver_version;
    if (fake.uuid) p->pipelineCacheUUID[VK_UUID_SIZE - 1] = (uint8_t)fake.uuid;
    if (fake.storage_range) p->limits.maxStorageBufferRange = (uint32_t)fake.storage_range;
    if (fake.shared) p->limits.maxComputeSharedMemorySize = (uint32_t)fake.shared;
}

static VKAPI_ATTR void VKAPI_CALL get_properties(VkPhysicalDevice d,
                                                 VkPhysicalDeviceProperties *p) {
    next_GetPhysicalDeviceProperties(d, p);
    change_basic(p);
}

static VKAPI_ATTR void VKAPI_CALL get_properties2(VkPhysicalDevice d,
                                                  VkPhysicalDeviceProperties2 *p) {
    /* layers below may be older than these structures */
    unlinked a = {0}, b = {0};
    if (fake.shape_count) {
        a = leave_out(p, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_KHR);
        b = leave_out(p, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV);
    }
    next_GetPhysicalDeviceProperties2(d, p);
    put_in(b);
    put_in(a);
    change_basic(&p->properties);
    VkPhysicalDeviceVulkan11Properties *p11 =
        find(p->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES);
    VkPhysicalDeviceVulkan12Properties *p12 =
        find(p->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES);
    VkPhysicalDeviceSubgroupSizeControlProperties *size =
        find(p->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES);
    VkPhysicalDeviceCooperativeMatrixPropertiesKHR *matrices =
        find(p->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_PROPERTIES_KHR);
    if (p11 && fake.allocation) p11->maxMemoryAllocationSize = fake.allocation;
    if (p11 && fake.has_subgroup) p11->subgroupSize = fake.subgroup;
    if (p12 && fake.driver) p12->driverID = (VkDriverId)fake.driver;
    if (size && fake.has_subgroup) {
        size->minSubgroupSize = fake.least;
        size->maxSubgroupSize = fake.most;
        size->requiredSubgroupSizeStages = fake.can_be_set ? VK_SHADER_STAGE_COMPUTE_BIT : 0;
    }
    if (matrices && fake.shape_count)
        matrices->cooperativeMatrixSupportedStages = VK_SHADER_STAGE_COMPUTE_BIT;
    VkPhysicalDeviceCooperativeMatrix2PropertiesNV *more =
        find(p->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_PROPERTIES_NV);
    if (more && fake.matrices2) {
        more->cooperativeMatrixWorkgroupScopeMaxWorkgroupSize = 1024;
        more->cooperativeMatrixFlexibleDimensionsMaxDimension = 1024;
        more->cooperativeMatrixWorkgroupScopeReservedSharedMemory = 16384;
    }
}

static VKAPI_ATTR void VKAPI_CALL get_features2(VkPhysicalDevice d, VkPhysicalDeviceFeatures2 *f) {
    next_GetPhysicalDeviceFeatures2(d, f);
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR *matrices =
        find(f->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR);
    VkPhysicalDeviceSubgroupSizeControlFeatures *size =
        find(f->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES);
    VkPhysicalDeviceVulkan12Features *f12 =
        find(f->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES);
    VkPhysicalDeviceCooperativeMatrix2FeaturesNV *more =
        find(f->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_2_FEATURES_NV);
    if (fake.matrices2 && more) {
        more->cooperativeMatrixWorkgroupScope = strstr(fake.matrices2, "scope") != NULL;
        more->cooperativeMatrixFlexibleDimensions = strstr(fake.matrices2, "dimensions") != NULL;
        more->cooperativeMatrixTensorAddressing = strstr(fake.matrices2, "tensors") != NULL;
        more->cooperativeMatrixPerElementOperations = strstr(fake.matrices2, "elements") != NULL;
    }
    if (fake.shape_count && matrices) matrices->cooperativeMatrix = VK_TRUE;
    if (fake.shape_count && f12) f12->shaderFloat16 = f12->vulkanMemoryModel = VK_TRUE;
    if (fake.has_subgroup && size)
        size->subgroupSizeControl = size->computeFullSubgroups = fake.can_be_set;
}

static VKAPI_ATTR VkResult VKAPI_CALL get_matrices(VkPhysicalDevice d, uint32_t *count,
                                                   VkCooperativeMatrixPropertiesKHR *list) {
    (void)d;
    const uint32_t have = (uint32_t)fake.shape_count, room = *count;
    for (uint32_t i = 0; list && i < have && i < room; ++i) {
        const unsigned *s = fake.shape[i];
        list[i].MSize = s[0], list[i].NSize = s[1], list[i].KSize = s[2];
        list[i].AType = list[i].BType = 0;
        list[i].CType = list[i].ResultType = 1;
        list[i].saturatingAccumulation = VK_FALSE;
        list[i].scope = 3;
    }
    *count = list && room < have ? room : have;
    return list && room < have ? VK_INCOMPLETE : VK_SUCCESS;
}

/* Matrices of a workgroup of 128 and of 256 invocations, sums in f16 and in f32. */
static VKAPI_ATTR VkResult VKAPI_CALL get_flexible(
    VkPhysicalDevice d, uint32_t *count, VkCooperativeMatrixFlexibleDimensionsPropertiesNV *list) {
    (void)d;
    const uint32_t have = 4, room = *count;
    for (uint32_t i = 0; list && i < have && i < room; ++i) {
        list[i].MGranularity = list[i].NGranularity = 32, list[i].KGranularity = 16;
        list[i].AType = list[i].BType = 0;
        list[i].CType = list[i].ResultType = (int)i % 2;
        list[i].saturatingAccumulation = VK_FALSE;
        list[i].scope = 2;
        list[i].workgroupInvocations = 128 << i / 2;
    }
    *count = list && room < have ? room : have;
    return list && room < have ? VK_INCOMPLETE : VK_SUCCESS;
}

static void change_memory(VkPhysicalDeviceMemoryProperties *m) {
    if (!fake.heap_count) return;
    m->memoryHeapCount = m->memoryTypeCount = (uint32_t)fake.heap_count;
    for (int i = 0; i < fake.heap_count; ++i) {
        const bool local = fake.heap[i].local;
        m->memoryHeaps[i] =
            (VkMemoryHeap){fake.heap[i].bytes, local ? VK_MEMORY_HEAP_DEVICE_LOCAL_BIT : 0};
        m->memoryTypes[i] = (VkMemoryType){(local ? VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT : 0) |
                                               VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT |
                                               VK_MEMORY_PROPERTY_HOST_COHERENT_BIT |
                                               (local ? 0 : VK_MEMORY_PROPERTY_HOST_CACHED_BIT),
                                           (uint32_t)i};
    }
}

static VKAPI_ATTR void VKAPI_CALL get_memory(VkPhysicalDevice d,
                                             VkPhysicalDeviceMemoryProperties *m) {
    next_GetPhysicalDeviceMemoryProperties(d, m);
    change_memory(m);
}

static VKAPI_ATTR void VKAPI_CALL get_memory2(VkPhysicalDevice d,
                                              VkPhysicalDeviceMemoryProperties2 *m) {
    next_GetPhysicalDeviceMemoryProperties2(d, m);
    change_memory(&m->memoryProperties);
    VkPhysicalDeviceMemoryBudgetPropertiesEXT *budget =
        find(m->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MEMORY_BUDGET_PROPERTIES_EXT);
    for (int i = 0; budget && fake.has_budget && i < MOST_HEAPS; ++i) {
        budget->heapBudget[i] = fake.heap[i].budget;
        budget->heapUsage[i] = fake.heap[i].usage;
    }
}

static VKAPI_ATTR VkResult VKAPI_CALL list_extensions(VkPhysicalDevice d, const char *layer,
                                                      uint32_t *count,
                                                      VkExtensionProperties *list) {
    if (layer && !strcmp(layer, NAME)) {
        *count = 0;
        return VK_SUCCESS;
    }
    uint32_t have = 0;
    VkResult result = next_EnumerateDeviceExtensionProperties(d, layer, &have, NULL);
    VkExtensionProperties *all = calloc(have + 3, sizeof *all);
    if (!all) return VK_ERROR_OUT_OF_HOST_MEMORY;
    if (!result) result = next_EnumerateDeviceExtensionProperties(d, layer, &have, all);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < have; ++i) {
        const char *name = all[i].extensionName;
        const bool budget = !strcmp(name, "VK_EXT_memory_budget");
        const bool matrices = !strcmp(name, "VK_KHR_cooperative_matrix");
        const bool matrices2 = !strcmp(name, "VK_NV_cooperative_matrix2");
        if ((budget && (fake.no_budget || fake.has_budget)) ||
            ((matrices || matrices2) && fake.shape_count))
            continue;
        all[kept++] = all[i];
    }
    if (fake.has_budget)
        all[kept++] = (VkExtensionProperties){.extensionName = "VK_EXT_memory_budget"};
    if (fake.shape_count)
        all[kept++] = (VkExtensionProperties){.extensionName = "VK_KHR_cooperative_matrix"};
    if (fake.shape_count && fake.matrices2)
        all[kept++] = (VkExtensionProperties){.extensionName = "VK_NV_cooperative_matrix2"};
    const uint32_t room = *count;
    *count = list && room < kept ? room : kept;
    if (list) memcpy(list, all, *count * sizeof *list);
    free(all);
    return !result && list && room < kept ? VK_INCOMPLETE : result;
}

/* ---- loss and hanging ---- */

static VKAPI_ATTR VkResult VKAPI_CALL queue_submit(VkQueue q, uint32_t count,
                                                   const VkSubmitInfo *info, VkFence fence) {
    pthread_mutex_lock(&lock);
    const long n = ++submits, k = fence ? ++fenced_submits : 0;
    if (fake.lost_submit && n >= fake.lost_submit) lost = true;
    const bool gone = lost, sticks = fake.stuck && k == fake.stuck;
    if (sticks) hangs = true;
    pthread_mutex_unlock(&lock);
    if (gone) {
        next_QueueWaitIdle(q); /* a lost device is idle */
        note("lost in submit %llu of %llu\n", (unsigned long long)n, (unsigned long long)n);
        return VK_ERROR_DEVICE_LOST;
    }
    if (sticks)
        note("stuck at submission %llu (%llu with a fence)\n", (unsigned long long)n,
             (unsigned long long)k);
    return next_QueueSubmit(q, count, info, sticks ? VK_NULL_HANDLE : fence);
}

static VKAPI_ATTR VkResult VKAPI_CALL wait_for_fences(VkDevice d, uint32_t count,
                                                      const VkFence *fences, VkBool32 all,
                                                      uint64_t timeout) {
    pthread_mutex_lock(&lock);
    const long n = ++waits;
    if (fake.lost_wait && n >= fake.lost_wait) lost = true;
    const bool gone = lost, late = fake.slow && ++slow_waits % fake.slow;
    pthread_mutex_unlock(&lock);
    if (gone) {
        next_DeviceWaitIdle(d);
        note("lost in wait %llu of %llu\n", (unsigned long long)n, (unsigned long long)n);
        return VK_ERROR_DEVICE_LOST;
    }
    if (late) {
        usleep((useconds_t)(timeout / 1000 < 20000 ? timeout / 1000 : 20000));
        return VK_TIMEOUT;
    }
    return next_WaitForFences(d, count, fences, all, timeout);
}

static VKAPI_ATTR VkResult VKAPI_CALL fence_status(VkDevice d, VkFence fence) {
    if (lost) return VK_ERROR_DEVICE_LOST;
    return next_GetFenceStatus(d, fence);
}

/* A device that hangs hangs here, too: nobody may ask it to become idle. */
static void hang(void) {
    note("hangs for ever\n%.0llu%.0llu", 0, 0);
    for (;;)
        sleep(1000);
}

static VKAPI_ATTR VkResult VKAPI_CALL device_wait_idle(VkDevice d) {
    if (hangs) hang();
    return lost ? VK_ERROR_DEVICE_LOST : next_DeviceWaitIdle(d);
}

static VKAPI_ATTR VkResult VKAPI_CALL queue_wait_idle(VkQueue q) {
    if (hangs) hang();
    return lost ? VK_ERROR_DEVICE_LOST : next_QueueWaitIdle(q);
}

/* ---- memory ---- */

static VKAPI_ATTR void VKAPI_CALL buffer_requirements(VkDevice d, VkBuffer b,
                                                      VkMemoryRequirements *m) {
    next_GetBufferMemoryRequirements(d, b, m);
    if (fake.heap_count) m->memoryTypeBits = (1u << fake.heap_count) - 1;
}

static VKAPI_ATTR VkResult VKAPI_CALL allocate_memory(VkDevice d, const VkMemoryAllocateInfo *info,
                                                      const VkAllocationCallbacks *callbacks,
                                                      VkDeviceMemory *memory) {
    VkMemoryAllocateInfo real = *info;
    note("allocate of type %llu: %llu bytes\n", info->memoryTypeIndex, info->allocationSize);
    if (fake.heap_count) real.memoryTypeIndex = 0;
    return next_AllocateMemory(d, &real, callbacks, memory);
}

/* ---- pipelines ---- */

enum { MOST_MODULES = 512, HEADER = 16 + VK_UUID_SIZE };
static struct {
    VkShaderModule module;
    uint32_t hash;
    bool matrices;
} modules[MOST_MODULES];
static int module_count;
static VkPhysicalDeviceProperties seen; /* of the device that was made last */

static uint32_t hash_of(uint32_t h, const void *bytes, size_t size) {
    for (const unsigned char *p = bytes; size--; ++p)
        h = (h ^ *p) * 16777619u;
    return h;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_module(VkDevice d,
                                                    const VkShaderModuleCreateInfo *info,
                                                    const VkAllocationCallbacks *callbacks,
                                                    VkShaderModule *module) {
    VkShaderModuleCreateInfo real = *info;
    const bool matrices = uses_matrices(info);
    if (matrices && (fake.wrong_modules || fake.refused_modules)) {
        real.pCode = nothing;
        real.codeSize = sizeof nothing;
        note("module of matrices, %llu bytes%.0llu\n", info->codeSize, 0);
    }
    VkResult result = next_CreateShaderModule(d, &real, callbacks, module);
    pthread_mutex_lock(&lock);
    if (!result) {
        const int at = module_count++ % MOST_MODULES;
        modules[at].module = *module;
        modules[at].hash = hash_of(2166136261u, info->pCode, info->codeSize);
        modules[at].matrices = matrices;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

static bool refused(const VkComputePipelineCreateInfo *info, uint32_t count) {
    for (uint32_t k = 0; k < count && fake.refused_modules; ++k)
        for (int i = 0; i < MOST_MODULES; ++i)
            if (modules[i].module == info[k].stage.module && modules[i].matrices) return true;
    return false;
}

static uint32_t hash_of_pipeline(const VkComputePipelineCreateInfo *info) {
    uint32_t h = 0;
    for (int i = 0; i < MOST_MODULES; ++i)
        if (modules[i].module == info->stage.module) h = modules[i].hash;
    const VkSpecializationInfo *s = info->stage.pSpecializationInfo;
    return s ? hash_of(h, s->pData, s->dataSize) : h;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_pipelines(VkDevice d, VkPipelineCache cache,
                                                       uint32_t count,
                                                       const VkComputePipelineCreateInfo *info,
                                                       const VkAllocationCallbacks *callbacks,
                                                       VkPipeline *pipelines) {
    for (uint32_t k = 0; k < count && fake.cache; ++k) {
        pthread_mutex_lock(&lock);
        const uint32_t h = hash_of_pipeline(&info[k]);
        int at = 0;
        while (at < known_count && known[at] != h)
            ++at;
        const bool there = at < known_count;
        if (!there && known_count < MOST_KNOWN) known[known_count++] = h;
        pthread_mutex_unlock(&lock);
        note(there ? "from the cache %08llx%.0llu\n" : "compiled %08llx%.0llu\n", h, 0);
    }
    pthread_mutex_lock(&lock);
    const bool no = refused(info, count);
    pthread_mutex_unlock(&lock);
    if (no) {
        memset(pipelines, 0, count * sizeof *pipelines);
        return VK_ERROR_UNKNOWN;
    }
    /* made-up sizes of subgroups are not asked for */
    unlinked size = {0};
    if (fake.has_subgroup && count == 1)
        size =
            leave_out((void *)&info->stage,
                      VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO);
    const VkResult result =
        next_CreateComputePipelines(d, cache, count, info, callbacks, pipelines);
    put_in(size);
    return result;
}

/* Bytes of a cache: Vulkan's header, how many words, the words. */
static VKAPI_ATTR VkResult VKAPI_CALL create_cache(VkDevice d,
                                                   const VkPipelineCacheCreateInfo *info,
                                                   const VkAllocationCallbacks *callbacks,
                                                   VkPipelineCache *cache) {
    VkPipelineCacheCreateInfo real = *info;
    if (fake.cache) {
        const unsigned char *bytes = info->pInitialData;
        uint32_t head[4] = {0}, n = 0;
        if (info->initialDataSize >= HEADER + 4) {
            memcpy(head, bytes, sizeof head);
            memcpy(&n, bytes + HEADER, 4);
        }
        const bool ours = head[0] == HEADER && head[2] == seen.vendorID &&
                          head[3] == seen.deviceID && n <= MOST_KNOWN &&
                          info->initialDataSize == HEADER + 4 + 4 * (size_t)n &&
                          !memcmp(bytes + 16, seen.pipelineCacheUUID, VK_UUID_SIZE);
        if (ours) memcpy(known, bytes + HEADER + 4, 4 * (size_t)n);
        known_count = loaded_count = ours ? (int)n : 0;
        if (info->initialDataSize)
            note(ours ? "cache of %llu pipelines loaded%.0llu\n"
                      : "foreign or damaged cache of %llu bytes given to the driver%.0llu\n",
                 ours ? n : info->initialDataSize, 0);
        real.initialDataSize = 0;
        real.pInitialData = NULL;
    }
    return next_CreatePipelineCache(d, &real, callbacks, cache);
}

static VKAPI_ATTR VkResult VKAPI_CALL cache_data(VkDevice d, VkPipelineCache cache, size_t *size,
                                                 void *data) {
    if (!fake.cache) return next_GetPipelineCacheData(d, cache, size, data);
    pthread_mutex_lock(&lock);
    const size_t all = HEADER + 4 + 4 * (size_t)known_count;
    VkResult result = VK_SUCCESS;
    if (data && *size < all) {
        *size = 0;
        result = VK_INCOMPLETE;
    } else {
        if (data) {
            const uint32_t head[4] = {HEADER, 1, seen.vendorID, seen.deviceID},
                           n = (uint32_t)known_count;
            unsigned char *bytes = data;
            memcpy(bytes, head, sizeof head);
            memcpy(bytes + 16, seen.pipelineCacheUUID, VK_UUID_SIZE);
            memcpy(bytes + HEADER, &n, 4);
            memcpy(bytes + HEADER + 4, known, 4 * (size_t)n);
        }
        *size = data && fake.short_cache ? HEADER - 12 : all;
    }
    pthread_mutex_unlock(&lock);
    return result;
}

/* ---- the chain ---- */

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(const VkInstanceCreateInfo *info,
                                                      const VkAllocationCallbacks *callbacks,
                                                      VkInstance *instance) {
    VkLayerInstanceCreateInfo *link = (VkLayerInstanceCreateInfo *)info->pNext;
    while (link && (link->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO ||
                    link->function != VK_LAYER_LINK_INFO))
        link = (VkLayerInstanceCreateInfo *)link->pNext;
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    next_instance_proc = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_physical_proc = link->u.pLayerInfo->pfnNextGetPhysicalDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    PFN_vkCreateInstance create =
        (PFN_vkCreateInstance)next_instance_proc(VK_NULL_HANDLE, "vkCreateInstance");
    VkResult result = create(info, callbacks, instance);
    if (result) return result;
    read_variables();
#define X(name) next_##name = (PFN_vk##name)next_instance_proc(*instance, "vk" #name);
    INSTANCE_FUNCTIONS(X)
#undef X
    return VK_SUCCESS;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(VkPhysicalDevice physical,
                                                    const VkDeviceCreateInfo *info,
                                                    const VkAllocationCallbacks *callbacks,
                                                    VkDevice *device) {
    VkLayerDeviceCreateInfo *link = (VkLayerDeviceCreateInfo *)info->pNext;
    while (link && (link->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO ||
                    link->function != VK_LAYER_LINK_INFO))
        link = (VkLayerDeviceCreateInfo *)link->pNext;
    if (!link) return VK_ERROR_INITIALIZATION_FAILED;
    PFN_vkGetInstanceProcAddr instance_proc = link->u.pLayerInfo->pfnNextGetInstanceProcAddr;
    next_device_proc = link->u.pLayerInfo->pfnNextGetDeviceProcAddr;
    link->u.pLayerInfo = link->u.pLayerInfo->pNext;
    PFN_vkCreateDevice create = (PFN_vkCreateDevice)instance_proc(VK_NULL_HANDLE, "vkCreateDevice");
    real_device real = {.info = *info};
    if (fake.shape_count) make_real(&real, next_GetPhysicalDeviceFeatures2, physical);
    VkResult result = create(physical, &real.info, callbacks, device);
    put_back(&real);
    if (result) return result;
#define X(name) next_##name = (PFN_vk##name)next_device_proc(*device, "vk" #name);
    DEVICE_FUNCTIONS(X)
#undef X
    get_properties(physical, &seen);
    lost = hangs = false;
    return VK_SUCCESS;
}

static VKAPI_ATTR void VKAPI_CALL destroy_device(VkDevice d,
                                                 const VkAllocationCallbacks *callbacks) {
    note("device destroyed%.0llu%.0llu\n", 0, 0);
    next_DestroyDevice(d, callbacks);
}

EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fake_instance_proc(VkInstance instance,
                                                                   const char *name);
EXPORT VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fake_device_proc(VkDevice device, const char *name);
EXPORT VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *v);

static const struct replaced {
    const char *name;
    PFN_vkVoidFunction function;
} of_instance[] =
    {
        {"vkGetInstanceProcAddr", (PFN_vkVoidFunction)fake_instance_proc},
        {"vkCreateInstance", (PFN_vkVoidFunction)create_instance},
        {"vkCreateDevice", (PFN_vkVoidFunction)create_device},
        {"vkEnumerateDeviceExtensionProperties", (PFN_vkVoidFunction)list_extensions},
        {"vkGetPhysicalDeviceProperties", (PFN_vkVoidFunction)get_properties},
        {"vkGetPhysicalDeviceProperties2", (PFN_vkVoidFunction)get_properties2},
        {"vkGetPhysicalDeviceFeatures2", (PFN_vkVoidFunction)get_features2},
        {"vkGetPhysicalDeviceMemoryProperties", (PFN_vkVoidFunction)get_memory},
        {"vkGetPhysicalDeviceMemoryProperties2", (PFN_vkVoidFunction)get_memory2},
},
  of_device[] = {
      {"vkGetDeviceProcAddr", (PFN_vkVoidFunction)fake_device_proc},
      {"vkDestroyDevice", (PFN_vkVoidFunction)destroy_device},
      {"vkDeviceWaitIdle", (PFN_vkVoidFunction)device_wait_idle},
      {"vkQueueWaitIdle", (PFN_vkVoidFunction)queue_wait_idle},
      {"vkQueueSubmit", (PFN_vkVoidFunction)queue_submit},
      {"vkWaitForFences", (PFN_vkVoidFunction)wait_for_fences},
      {"vkGetFenceStatus", (PFN_vkVoidFunction)fence_status},
      {"vkAllocateMemory", (PFN_vkVoidFunction)allocate_memory},
      {"vkGetBufferMemoryRequirements", (PFN_vkVoidFunction)buffer_requirements},
      {"vkCreateShaderModule", (PFN_vkVoidFunction)create_module},
      {"vkCreateComputePipelines", (PFN_vkVoidFunction)create_pipelines},
      {"vkCreatePipelineCache", (PFN_vkVoidFunction)create_cache},
      {"vkGetPipelineCacheData", (PFN_vkVoidFunction)cache_data},
};

static PFN_vkVoidFunction replaced(const struct replaced *list, size_t count, const char *name) {
    for (size_t i = 0; i < count; ++i)
        if (!strcmp(list[i].name, name)) return list[i].function;
    return NULL;
}

enum {
    INSTANCE_COUNT = sizeof of_instance / sizeof *of_instance,
    DEVICE_COUNT = sizeof of_device / sizeof *of_device
};

VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fake_device_proc(VkDevice device, const char *name) {
    PFN_vkVoidFunction f = replaced(of_device, DEVICE_COUNT, name);
    return f ? f : next_device_proc(device, name);
}

static PFN_vkVoidFunction of_matrices(const char *name) {
    if (fake.shape_count && !strcmp(name, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"))
        return (PFN_vkVoidFunction)get_matrices;
    if (fake.matrices2 &&
        !strcmp(name, "vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV"))
        return (PFN_vkVoidFunction)get_flexible;
    return NULL;
}

/* A loader that knows these functions asks here, an older one below. */
VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL fake_instance_proc(VkInstance instance, const char *name) {
    PFN_vkVoidFunction f = replaced(of_instance, INSTANCE_COUNT, name);
    if (!f) f = of_matrices(name);
    if (!f) f = replaced(of_device, DEVICE_COUNT, name);
    return f || !next_instance_proc ? f : next_instance_proc(instance, name);
}

/* Through this the loader learns of functions that the driver does not have. */
static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL physical_proc(VkInstance instance,
                                                              const char *name) {
    PFN_vkVoidFunction f = of_matrices(name);
    return f || !next_physical_proc ? f : next_physical_proc(instance, name);
}

VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface *v) {
    if (v->loaderLayerInterfaceVersion > 2) v->loaderLayerInterfaceVersion = 2;
    v->pfnGetInstanceProcAddr = fake_instance_proc;
    v->pfnGetDeviceProcAddr = fake_device_proc;
    v->pfnGetPhysicalDeviceProcAddr = physical_proc;
    return VK_SUCCESS;
}
