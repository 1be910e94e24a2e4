/* SPDX-License-Identifier: MIT */
/* radv_compile.c: compiles SPIR-V modules for the device the environment chooses (an AMD chip on
 * RADV's null device: RADV_FORCE_FAMILY=navi21) and prints what the compiler says of each: one line
 * of tab-separated fields, header first. Nothing is run.
 *
 *     radv_compile FOLDER [ASSEMBLY] < pipelines.txt
 *
 * With ASSEMBLY, a folder, the machine code of line n goes to ASSEMBLY/n.s (0, 1, ...), as the
 * driver writes it. Each input line is `variant subgroup count constants...`: the module is
 * FOLDER/variant.spv; subgroup is the size to require, 0 = the driver's choice; specialisation
 * constants get ids 0, 1,
 * ... */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vulkan.h>

#include "../../compute/vulkan/vulkan_newer.h"

#ifndef VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME
#define VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME "VK_KHR_cooperative_matrix"
#endif

#define MAX_CONSTANTS 32
#define MAX_BINDINGS  32

static void check(VkResult result, const char *what) {
    if (result == VK_SUCCESS || result == VK_INCOMPLETE) return;
    fprintf(stderr, "radv_compile: %s: VkResult %d\n", what, (int)result);
    exit(1);
}

static uint32_t *read_module(const char *path, size_t *bytes) {
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    fseek(f, 0, SEEK_END);
    long size = ftell(f);
    rewind(f);
    uint32_t *words = size > 20 ? malloc((size_t)size) : NULL;
    if (words && fread(words, 1, (size_t)size, f) != (size_t)size) {
        free(words);
        words = NULL;
    }
    fclose(f);
    *bytes = (size_t)size;
    return words;
}

/* Highest binding number + 1, from OpDecorate <id> Binding <n>. */
static uint32_t count_bindings(const uint32_t *words, size_t bytes) {
    uint32_t count = 0;
    for (size_t i = 5; i < bytes / 4;) {
        uint32_t length = words[i] >> 16, op = words[i] & 0xffff;
        if (!length || i + length > bytes / 4) break;
        if (op == 71 && length == 4 && words[i + 2] == 33 && words[i + 3] + 1 > count)
            count = words[i + 3] + 1;
        i += length;
    }
    return count;
}

typedef struct gpu {
    VkPhysicalDevice physical;
    VkDevice device;
    VkPhysicalDeviceProperties properties;
    PFN_vkGetPipelineExecutableStatisticsKHR statistics;
    PFN_vkGetPipelineExecutableInternalRepresentationsKHR representations;
} gpu;

static bool has_extension(VkPhysicalDevice physical, const char *name) {
    uint32_t count = 0;
    check(vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL), "extensions");
    VkExtensionProperties *list = calloc(count + 1, sizeof *list);
    if (!list) exit(1);
    check(vkEnumerateDeviceExtensionProperties(physical, NULL, &count, list), "extensions");
    bool found = false;
    for (uint32_t i = 0; i < count; ++i)
        found |= !strcmp(list[i].extensionName, name);
    free(list);
    return found;
}

static gpu open_gpu(void) {
    gpu g = {0};
    VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                             .apiVersion = VK_API_VERSION_1_3};
    VkInstanceCreateInfo instance_info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                          .pApplicationInfo = &app};
    VkInstance instance;
    check(vkCreateInstance(&instance_info, NULL, &instance), "vkCreateInstance");
    uint32_t count = 1;
    check(vkEnumeratePhysicalDevices(instance, &count, &g.physical), "vkEnumeratePhysicalDevices");
    if (!count) {
        fprintf(stderr, "radv_compile: no Vulkan device\n");
        exit(1);
    }
    vkGetPhysicalDeviceProperties(g.physical, &g.properties);

    /* Everything the device has is switched on: whether the library asks for what it uses is the
     * validation layer's question, not this program's. */
    VkPhysicalDevicePipelineExecutablePropertiesFeaturesKHR executable = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PIPELINE_EXECUTABLE_PROPERTIES_FEATURES_KHR};
    const bool matrices = has_extension(g.physical, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
        .pNext = &executable};
    VkPhysicalDeviceVulkan13Features v13 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_3_FEATURES,
        .pNext = matrices ? (void *)&matrix : &executable};
    VkPhysicalDeviceVulkan12Features v12 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &v13};
    VkPhysicalDeviceVulkan11Features v11 = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES, .pNext = &v12};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &v11};
    vkGetPhysicalDeviceFeatures2(g.physical, &features);
    if (!executable.pipelineExecutableInfo) {
        fprintf(stderr, "radv_compile: %s has no pipeline statistics\n", g.properties.deviceName);
        exit(1);
    }
    float priority = 1;
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    const char *extensions[] = {VK_KHR_PIPELINE_EXECUTABLE_PROPERTIES_EXTENSION_NAME,
                                VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME};
    VkDeviceCreateInfo device_info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                                      .pNext = &features,
                                      .queueCreateInfoCount = 1,
                                      .pQueueCreateInfos = &queue,
                                      .enabledExtensionCount = matrices ? 2 : 1,
                                      .ppEnabledExtensionNames = extensions};
    check(vkCreateDevice(g.physical, &device_info, NULL, &g.device), "vkCreateDevice");
    g.statistics = (PFN_vkGetPipelineExecutableStatisticsKHR)vkGetDeviceProcAddr(
        g.device, "vkGetPipelineExecutableStatisticsKHR");
    g.representations = (PFN_vkGetPipelineExecutableInternalRepresentationsKHR)vkGetDeviceProcAddr(
        g.device, "vkGetPipelineExecutableInternalRepresentationsKHR");
    return g;
}

static uint64_t statistic(const VkPipelineExecutableStatisticKHR *list, uint32_t count,
                          const char *name) {
    for (uint32_t i = 0; i < count; ++i)
        if (!strcmp(list[i].name, name)) return list[i].value.u64;
    return 0;
}

/* Writes the representation "Assembly" of a pipeline made with it captured. */
static int write_assembly(const gpu *g, VkPipeline pipeline, const char *path) {
    VkPipelineExecutableInfoKHR which = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                         .pipeline = pipeline};
    VkPipelineExecutableInternalRepresentationKHR list[16];
    uint32_t count = 16;
    for (uint32_t i = 0; i < count; ++i)
        list[i] = (VkPipelineExecutableInternalRepresentationKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INTERNAL_REPRESENTATION_KHR};
    check(g->representations(g->device, &which, &count, list), "representations");
    for (uint32_t i = 0; i < count; ++i) {
        if (strcmp(list[i].name, "Assembly")) continue;
        char *text = malloc(list[i].dataSize + 1);
        if (!text) return 1;
        list[i].pData = text;
        /* The second call fills every entry that has memory. */
        check(g->representations(g->device, &which, &count, list), "assembly");
        FILE *f = fopen(path, "w");
        const size_t length = strnlen(text, list[i].dataSize);
        const bool wrong = !f || fwrite(text, 1, length, f) != length;
        if ((f && fclose(f)) || wrong) {
            perror(path);
            exit(1);
        }
        free(text);
        return 0;
    }
    fprintf(stderr, "radv_compile: the driver gives no assembly\n");
    return 1;
}

static int compile(const gpu *g, const char *folder, const char *variant, uint32_t subgroup,
                   const uint32_t *constants, uint32_t constant_count, const char *assembly) {
    char path[4096];
    size_t bytes = 0;
    snprintf(path, sizeof path, "%s/%s.spv", folder, variant);
    uint32_t *words = read_module(path, &bytes);
    if (!words) {
        fprintf(stderr, "radv_compile: %s: cannot be read\n", path);
        return 1;
    }
    VkDescriptorSetLayoutBinding bindings[MAX_BINDINGS];
    uint32_t binding_count = count_bindings(words, bytes);
    if (binding_count > MAX_BINDINGS) binding_count = MAX_BINDINGS;
    for (uint32_t i = 0; i < binding_count; ++i)
        bindings[i] =
            (VkDescriptorSetLayoutBinding){.binding = i,
                                           .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                           .descriptorCount = 1,
                                           .stageFlags = VK_SHADER_STAGE_COMPUTE_BIT};
    VkDescriptorSetLayoutCreateInfo set_info = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = binding_count,
        .pBindings = bindings};
    VkDescriptorSetLayout set;
    check(vkCreateDescriptorSetLayout(g->device, &set_info, NULL, &set), "set layout");
    VkPushConstantRange push = {.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT, .size = 128};
    VkPipelineLayoutCreateInfo layout_info = {.sType =
                                                  VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                              .setLayoutCount = 1,
                                              .pSetLayouts = &set,
                                              .pushConstantRangeCount = 1,
                                              .pPushConstantRanges = &push};
    VkPipelineLayout layout;
    check(vkCreatePipelineLayout(g->device, &layout_info, NULL, &layout), "pipeline layout");
    VkShaderModuleCreateInfo module_info = {
        .sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO, .codeSize = bytes, .pCode = words};
    VkShaderModule module;
    check(vkCreateShaderModule(g->device, &module_info, NULL, &module), variant);

    VkSpecializationMapEntry entries[MAX_CONSTANTS];
    for (uint32_t i = 0; i < constant_count; ++i)
        entries[i] = (VkSpecializationMapEntry){.constantID = i, .offset = 4 * i, .size = 4};
    VkSpecializationInfo special = {.mapEntryCount = constant_count,
                                    .pMapEntries = entries,
                                    .dataSize = 4 * constant_count,
                                    .pData = constants};
    VkPipelineShaderStageRequiredSubgroupSizeCreateInfo size = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = subgroup};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .flags = VK_PIPELINE_CREATE_CAPTURE_STATISTICS_BIT_KHR |
                 (assembly ? VK_PIPELINE_CREATE_CAPTURE_INTERNAL_REPRESENTATIONS_BIT_KHR : 0u),
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .pNext = subgroup ? &size : NULL,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .module = module,
                  .pName = "main",
                  .pSpecializationInfo = &special},
        .layout = layout};
    VkPipeline pipeline;
    check(vkCreateComputePipelines(g->device, VK_NULL_HANDLE, 1, &info, NULL, &pipeline), variant);

    VkPipelineExecutableInfoKHR which = {.sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_INFO_KHR,
                                         .pipeline = pipeline};
    VkPipelineExecutableStatisticKHR list[64];
    uint32_t count = 64;
    for (uint32_t i = 0; i < count; ++i)
        list[i] = (VkPipelineExecutableStatisticKHR){
            .sType = VK_STRUCTURE_TYPE_PIPELINE_EXECUTABLE_STATISTIC_KHR};
    check(g->statistics(g->device, &which, &count, list), "statistics");
    if (getenv("RADV_COMPILE_ALL"))
        for (uint32_t i = 0; i < count; ++i)
            fprintf(stderr, "%s: %s = %llu\n", variant, list[i].name,
                    (unsigned long long)list[i].value.u64);
    printf("%s\t%u", variant, subgroup);
    putchar('\t');
    for (uint32_t i = 0; i < constant_count; ++i)
        printf("%s%u", i ? "," : "", constants[i]);
    static const char *const shown[] = {
        "VGPRs",        "SGPRs",    "Spilled VGPRs",      "Spilled SGPRs",
        "Scratch size", "LDS size", "Subgroups per SIMD", "Code size"};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; ++i)
        printf("\t%llu", (unsigned long long)statistic(list, count, shown[i]));
    putchar('\n');
    const int failed = assembly ? write_assembly(g, pipeline, assembly) : 0;

    vkDestroyPipeline(g->device, pipeline, NULL);
    vkDestroyShaderModule(g->device, module, NULL);
    vkDestroyPipelineLayout(g->device, layout, NULL);
    vkDestroyDescriptorSetLayout(g->device, set, NULL);
    free(words);
    return failed;
}

int main(int argc, char **argv) {
    if (argc != 2 && argc != 3) {
        fprintf(stderr, "usage: radv_compile FOLDER [ASSEMBLY] < pipelines.txt\n");
        return 2;
    }
    gpu g = open_gpu();
    printf("# %s\n", g.properties.deviceName);
    printf(
        "variant\tsubgroup\tconstants\tvgprs\tsgprs\tspilled_vgprs\tspilled_sgprs\tscratch\tlds\t"
        "waves\tcode\n");
    char line[1024], assembly[4096];
    int failed = 0, number = 0;
    while (fgets(line, sizeof line, stdin)) {
        char variant[128], *at = line;
        int used = 0;
        unsigned subgroup = 0, count = 0;
        if (sscanf(line, "%127s %u %u%n", variant, &subgroup, &count, &used) < 3) continue;
        if (count > MAX_CONSTANTS) return fprintf(stderr, "radv_compile: %s", line), 1;
        uint32_t constants[MAX_CONSTANTS];
        at += used;
        for (unsigned i = 0; i < count; ++i)
            constants[i] = (uint32_t)strtoul(at, &at, 10);
        if (argc == 3) snprintf(assembly, sizeof assembly, "%s/%d.s", argv[2], number++);
        failed |=
            compile(&g, argv[1], variant, subgroup, constants, count, argc == 3 ? assembly : NULL);
        fflush(stdout);
    }
    return failed;
}
