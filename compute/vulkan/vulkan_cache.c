/* SPDX-License-Identifier: MIT */
/* vulkan_cache.c: compiled pipelines in a folder (tsr_context_settings.cache_folder), for the next
 * process. One file for each device, driver and set of shaders:
 *
 *     <pipelineCacheUUID>-<driver version>-<hash of the shaders>.pipelines
 *     "TSRPIPE1"  u32 flags  u32 size  u64 hash of flags, size and data    data of VkPipelineCache
 *
 * Drivers trust what they are given, so what was damaged on the way, or was made by another device
 * or driver, never reaches them. A file appears under its name when it is whole (written to a name
 * of its own, then renamed), so that processes may read and write at the same time; of two that
 * write, the last one's stays. Nothing that goes wrong here is a failure: it is logged, and the
 * pipelines are compiled. */
#include "vulkan_internal.h"
#include "vulkan_shaders.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_BYTES = 64 << 20, /* of one file */
    MOST_ALL = 256 << 20,  /* of all files in the folder */
    OLD_SECONDS = 3600,    /* age of what a killed process left unfinished */
    VULKAN_HEADER = 16 + VK_UUID_SIZE
};

static const char suffix[] = ".pipelines";

typedef struct file_head {
    char magic[8];
    uint32_t flags, size;
    uint64_t hash;
} file_head;

static const char magic[8] = {'T', 'S', 'R', 'P', 'I', 'P', 'E', '1'};

static uint64_t hash_of(uint64_t h, const void *bytes, size_t size) { /* FNV-1a */
    for (const unsigned char *p = bytes; size--; ++p)
        h = (h ^ *p) * 1099511628211u;
    return h;
}

static uint64_t hash_of_file(const file_head *head, const void *data) {
    uint64_t h = hash_of(14695981039346656037u, &head->flags, sizeof head->flags);
    h = hash_of(h, &head->size, sizeof head->size);
    return hash_of(h, data, head->size);
}

/* Of all that is compiled; what the try-outs said holds for the same shaders. */
static uint64_t hash_of_shaders(void) {
    uint64_t h = 14695981039346656037u;
    for (int i = 0; i < tsr_shader_count; ++i) /* by words: four times as fast */
        for (uint32_t k = 0; k < tsr_shaders[i].count; ++k)
            h = (h ^ tsr_shaders[i].words[k]) * 1099511628211u;
    return h;
}

static char *path_of(vulkan_device *v, const VkPhysicalDeviceProperties *p, const char *folder) {
    const size_t size = strlen(folder) + 120;
    char *path = tsr_alloc(v->device->ctx, 1, size, "pipeline cache"), *at = path;
    if (!path) return NULL;
    at += snprintf(path, size, "%s/", folder);
    for (uint32_t i = 0; i < VK_UUID_SIZE; ++i)
        at += snprintf(at, 3, "%02x", p->pipelineCacheUUID[i]);
    snprintf(at, size - (size_t)(at - path), "-%08x-%016llx%s", p->driverVersion,
             (unsigned long long)hash_of_shaders(), suffix);
    return path;
}

/* Whether the bytes begin as Vulkan says a cache of this device begins. */
static bool is_of_device(const VkPhysicalDeviceProperties *p, const unsigned char *data,
                         size_t size) {
    uint32_t head[4];
    if (size < VULKAN_HEADER) return false;
    memcpy(head, data, sizeof head);
    return head[0] == VULKAN_HEADER && head[1] == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
           head[2] == p->vendorID && head[3] == p->deviceID &&
           !memcmp(data + sizeof head, p->pipelineCacheUUID, VK_UUID_SIZE);
}

/* Reads the file. NULL without a reason: there is none. */
static unsigned char *read_file(vulkan_device *v, const VkPhysicalDeviceProperties *p,
                                file_head *head, const char **why) {
    struct stat s;
    unsigned char *data = NULL;
    /* not blocking: a pipe under the name would wait for somebody who writes */
    const int f = open(v->kept.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    *why = NULL;
    if (f < 0) {
        if (errno != ENOENT && errno != ENOTDIR) *why = "it cannot be opened";
        return NULL;
    }
    if (fstat(f, &s) || !S_ISREG(s.st_mode))
        *why = "it is no file";
    else if (s.st_size < (off_t)sizeof *head || s.st_size > MOST_BYTES ||
             read(f, head, sizeof *head) != (ssize_t)sizeof *head ||
             memcmp(head->magic, magic, sizeof magic) ||
             (off_t)head->size != s.st_size - (off_t)sizeof *head)
        *why = "it is damaged";
    else if (!(data = malloc((size_t)head->size + 1)))
        *why = "there is no memory for it";
    else if (read(f, data, head->size) != (ssize_t)head->size ||
             head->hash != hash_of_file(head, data))
        *why = "it is damaged";
    else if (!is_of_device(p, data, head->size))
        *why = "it is of another device or driver";
    close(f);
    if (!*why) return data;
    free(data);
    return NULL;
}

tsr_status vulkan_cache_open(vulkan_device *v) {
    tsr_device *d = v->device;
    const char *folder = d->ctx->settings.cache_folder, *why = NULL;
    VkPhysicalDeviceProperties p;
    file_head head = {.flags = 0};
    unsigned char *data = NULL;
    if (folder && *folder) {
        v->instance->GetPhysicalDeviceProperties(v->physical, &p);
        v->kept.path = path_of(v, &p, folder);
        if (!v->kept.path) return TSR_ERROR_MEMORY;
        data = read_file(v, &p, &head, &why);
        if (why)
            tsr_log(d->ctx, TSR_LOG_INFO, "device %s: %s is not used: %s", d->name, v->kept.path,
                    why);
    }
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO,
                                      .initialDataSize = data ? head.size : 0,
                                      .pInitialData = data};
    VkResult result = v->vk.vkCreatePipelineCache(v->handle, &info, NULL, &v->cache);
    if (result && data) { /* a driver may refuse what it wrote itself */
        info.initialDataSize = 0;
        free(data);
        data = NULL;
        result = v->vk.vkCreatePipelineCache(v->handle, &info, NULL, &v->cache);
    }
    if (data) {
        v->kept.flags = v->kept.read_flags = head.flags;
        v->kept.read_size = head.size;
        v->kept.read_hash = hash_of(0, data, head.size);
        tsr_log(d->ctx, TSR_LOG_INFO, "device %s: %u bytes of compiled pipelines from %s", d->name,
                head.size, v->kept.path);
    }
    free(data);
    if (result) v->cache = VK_NULL_HANDLE;
    return result ? vulkan_fail(v, result, "pipeline cache") : TSR_OK;
}

bool vulkan_cache_passed(const vulkan_device *v, uint32_t what) {
    return (v->kept.flags & what) == what;
}

void vulkan_cache_pass(vulkan_device *v, uint32_t what) {
    v->kept.flags |= what;
}

/* Makes the folder and those above it; one that is there already is well, too. */
static void make_folders(const char *path) {
    char *copy = strdup(path);
    for (char *at = copy ? strchr(copy + 1, '/') : NULL; at; at = strchr(at + 1, '/')) {
        *at = 0;
        mkdir(copy, 0700);
        *at = '/';
    }
    free(copy);
}

static bool write_all(int f, const void *bytes, size_t size) {
    for (const char *p = bytes; size;) {
        const ssize_t n = write(f, p, size);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        p += n;
        size -= (size_t)n;
    }
    return true;
}

/* Keeps the folder small: what killed processes left unfinished goes, and of the rest the oldest
 * until all are within MOST_ALL. */
static void tidy(const char *path) {
    char *folder = strdup(path), *name = folder ? strrchr(folder, '/') : NULL;
    if (name) *name = 0;
    for (int turn = 0; name && turn < 1000; ++turn) {
        DIR *dir = opendir(folder);
        struct dirent *e;
        struct stat s;
        char oldest[sizeof e->d_name] = "";
        time_t age = 0, now = time(NULL);
        off_t all = 0;
        bool removed = false;
        while (dir && (e = readdir(dir))) {
            const char *at = strstr(e->d_name, suffix);
            if (!at || fstatat(dirfd(dir), e->d_name, &s, AT_SYMLINK_NOFOLLOW) ||
                !S_ISREG(s.st_mode))
                continue;
            if (at[sizeof suffix - 1]) { /* a file that was being written */
                if (now - s.st_mtime > OLD_SECONDS) unlinkat(dirfd(dir), e->d_name, 0);
                continue;
            }
            all += s.st_size;
            if (*oldest && s.st_mtime >= age) continue;
            age = s.st_mtime;
            memcpy(oldest, e->d_name, strlen(e->d_name) + 1);
        }
        if (dir && all > MOST_ALL && *oldest) removed = !unlinkat(dirfd(dir), oldest, 0);
        if (dir) closedir(dir);
        if (!removed) break;
    }
    free(folder);
}

/* Writes the file; the reason why not, or NULL. */
static const char *write_file(const char *path, const file_head *head, const void *data) {
    const size_t size = strlen(path) + 8;
    char *unfinished = malloc(size);
    if (!unfinished) return "there is no memory for it";
    snprintf(unfinished, size, "%s.XXXXXX", path);
    make_folders(path);
    const int f = mkstemp(unfinished);
    const char *why = f < 0 ? strerror(errno) : NULL;
    if (f >= 0) {
        bool whole = write_all(f, head, sizeof *head) && write_all(f, data, head->size);
        whole = !close(f) && whole;
        if (!whole || rename(unfinished, path)) {
            why = strerror(errno);
            unlink(unfinished);
        }
    }
    free(unfinished);
    return why;
}

/* What Vulkan says a cache of this device begins with. */
static size_t write_head(const VkPhysicalDeviceProperties *p, unsigned char *data) {
    const uint32_t head[4] = {VULKAN_HEADER, VK_PIPELINE_CACHE_HEADER_VERSION_ONE, p->vendorID,
                              p->deviceID};
    memcpy(data, head, sizeof head);
    memcpy(data + sizeof head, p->pipelineCacheUUID, VK_UUID_SIZE);
    return VULKAN_HEADER;
}

static void save(vulkan_device *v) {
    tsr_device *d = v->device;
    const uint32_t news = v->kept.flags & ~v->kept.read_flags;
    size_t size = 0;
    if (!v->kept.path || d->lost || (!v->kept.compiled && !news)) return;
    if (v->vk.vkGetPipelineCacheData(v->handle, v->cache, &size, NULL)) return;
    if (size <= VULKAN_HEADER && !news) return; /* this driver keeps nothing */
    VkPhysicalDeviceProperties p;
    v->instance->GetPhysicalDeviceProperties(v->physical, &p);
    const char *why = NULL;
    unsigned char *data = NULL;
    if (size > MOST_BYTES - sizeof(file_head))
        why = "it would be too large";
    else if (!(data = malloc(size + VULKAN_HEADER)))
        why = "there is no memory for it";
    else if (v->vk.vkGetPipelineCacheData(v->handle, v->cache, &size, data))
        why = "the driver does not give it";
    /* One that keeps nothing may give less than a header (of 20 bytes on lavapipe 26.2): the
     * try-outs are worth a file all the same. */
    else if (!is_of_device(&p, data, size) && (!news || !(size = write_head(&p, data))))
        why = "the driver gives no cache of its own";
    else if (size == v->kept.read_size && hash_of(0, data, size) == v->kept.read_hash && !news) {
        free(data); /* what was made was in it already */
        return;
    } else {
        file_head head = {.flags = v->kept.flags, .size = (uint32_t)size};
        memcpy(head.magic, magic, sizeof magic);
        head.hash = hash_of_file(&head, data);
        why = write_file(v->kept.path, &head, data);
        if (!why) tidy(v->kept.path);
    }
    free(data);
    tsr_log(d->ctx, TSR_LOG_INFO, "device %s: %zu bytes of compiled pipelines %s %s%s%s", d->name,
            size, why ? "not written to" : "written to", v->kept.path, why ? ": " : "",
            why ? why : "");
}

void vulkan_cache_close(vulkan_device *v) {
    if (v->cache) {
        save(v);
        v->vk.vkDestroyPipelineCache(v->handle, v->cache, NULL);
        v->cache = VK_NULL_HANDLE;
    }
}
