/* SPDX-License-Identifier: MIT */
/* limits.c: see limits.h. The kernel says which groups a process is in (/proc/self/cgroup:
 * "0::PATH" in version 2, "N:cpu,cpuacct:PATH" in version 1) and where they are mounted
 * (/proc/self/mountinfo), which in a container is another place than outside. A limit of a group
 * holds for all groups below, so every folder from the group's own to the mount point is asked. */
#ifdef __linux__
#include <sched.h>
#endif

#include "limits.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_BYTES = 4096 };

/* ---- control groups ---- */

/* A hierarchy of groups: version 2 has one, version 1 one for each set of controllers. */
typedef struct hierarchy {
    const char *root;              /* of tsr_cgroup_limits_read */
    const char *controller;        /* "cpu", "memory"; NULL: version 2 */
    char group[PATH_BYTES];        /* of this process, from the root of the hierarchy */
    char mounted_root[PATH_BYTES]; /* group that is seen at the mount point */
    char mount_point[PATH_BYTES];
} hierarchy;

static bool list_holds(const char *list, const char *name) {
    const size_t length = strlen(name);
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",\n") == length && !memcmp(at, name, length)) return true;
    return false;
}

static FILE *open_below(const char *root, const char *path) {
    char full[2 * PATH_BYTES];
    const int length = snprintf(full, sizeof full, "%s%s", root, path);
    return length > 0 && (size_t)length < sizeof full ? fopen(full, "re") : NULL;
}

/* Finds the group of this process. */
static bool find_group(hierarchy *h) {
    FILE *f = open_below(h->root, "/proc/self/cgroup");
    if (!f) return false;
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found && getline(&line, &size, f) > 0) { /* NUMBER:CONTROLLERS:PATH */
        char *controllers = strchr(line, ':'), *path = NULL;
        if (controllers) path = strchr(++controllers, ':');
        if (!path) continue;
        *path++ = 0;
        path[strcspn(path, "\n")] = 0;
        if (h->controller ? !list_holds(controllers, h->controller) : strcmp(line, "0:") != 0)
            continue;
        found = strlen(path) < sizeof h->group;
        if (found) memcpy(h->group, path, strlen(path) + 1);
    }
    free(line);
    fclose(f);
    return found;
}

/* Replaces the \ooo that the kernel writes for blanks in paths. */
static void unescape(char *text) {
    char *to = text;
    for (const char *from = text; *from; ++to) {
        unsigned octal = 0;
        bool escaped = from[0] == '\\';
        for (int i = 1; i <= 3 && escaped; ++i) {
            escaped = from[i] >= '0' && from[i] <= '7';
            octal = octal * 8 + (unsigned)(from[i] - '0');
        }
        *to = escaped ? (char)octal : *from;
        from += escaped ? 4 : 1;
    }
    *to = 0;
}

/* Finds where the hierarchy is mounted. */
static bool find_mount(hierarchy *h) {
    FILE *f = open_below(h->root, "/proc/self/mountinfo");
    if (!f) return false;
    char *line = NULL;
    size_t size = 0;
    bool found = false;
    while (!found &&
           getline(&line, &size, f) > 0) { /* ids and device, root, point ... - type ... */
        char type[64], *options = strstr(line, " - ");
        if (!options || sscanf(options, " - %63s", type) != 1) continue;
        if (strcmp(type, h->controller ? "cgroup" : "cgroup2") != 0) continue;
        options = strrchr(line, ' ') + 1;
        if (h->controller && !list_holds(options, h->controller)) continue;
        found = sscanf(line, "%*s %*s %*s %4095s %4095s", h->mounted_root, h->mount_point) == 2;
    }
    unescape(h->mounted_root);
    unescape(h->mount_point);
    free(line);
    fclose(f);
    return found;
}

/* Cuts the part of the group's path that lies above the mount. What does not lie below it (a group
 * outside the namespace) leaves "": the mount point alone. */
static void make_group_relative(hierarchy *h) {
    size_t cut = strlen(h->mounted_root);
    if (cut && h->mounted_root[cut - 1] == '/') --cut;
    const char next = strncmp(h->group, h->mounted_root, cut) ? 'x' : h->group[cut];
    if ((next && next != '/') || strstr(h->group, "/../"))
        h->group[0] = 0;
    else
        memmove(h->group, h->group + cut, strlen(h->group + cut) + 1);
    size_t end = strlen(h->group);
    while (end && h->group[end - 1] == '/')
        h->group[--end] = 0;
}

static bool open_hierarchy(hierarchy *h, const char *root, const char *controller) {
    h->root = root;
    h->controller = controller;
    h->mounted_root[0] = h->mount_point[0] = 0;
    if (!find_group(h) || !find_mount(h)) return false;
    make_group_relative(h);
    return true;
}

/* Reads the first line of a file of the group. */
static bool read_value(const hierarchy *h, const char *file, char text[100]) {
    char path[3 * PATH_BYTES];
    snprintf(path, sizeof path, "%s%s/%s", h->mount_point, h->group, file);
    FILE *f = open_below(h->root, path);
    if (!f) return false;
    const bool there = fgets(text, 100, f) != NULL;
    fclose(f);
    return there;
}

static void read_memory(const hierarchy *h, const char *file, uint64_t *least) {
    char text[100];
    unsigned long long bytes;
    if (read_value(h, file, text) && sscanf(text, "%llu", &bytes) == 1 && bytes < *least)
        *least = bytes;
}

static void take_quota(double quota, double period, double *least) {
    if (quota > 0 && period > 0 && (*least == 0 || quota / period < *least))
        *least = quota / period;
}

static void read_processors(const hierarchy *h, double *least) {
    char text[100];
    double quota, period;
    if (!h->controller) { /* "max 100000" is no quota */
        if (read_value(h, "cpu.max", text) && sscanf(text, "%lf %lf", &quota, &period) == 2)
            take_quota(quota, period, least);
        return;
    }
    if (!read_value(h, "cpu.cfs_quota_us", text) || sscanf(text, "%lf", &quota) != 1) return;
    if (!read_value(h, "cpu.cfs_period_us", text) || sscanf(text, "%lf", &period) != 1) return;
    take_quota(quota, period, least); /* -1 is no quota */
}

tsr_cgroup_limits tsr_cgroup_limits_read(const char *root) {
    static const char *const controllers[] = {NULL, "cpu", "memory"};
    tsr_cgroup_limits limits = {.memory = UINT64_MAX};
    for (size_t i = 0; i < sizeof controllers / sizeof *controllers; ++i) {
        hierarchy h;
        if (!open_hierarchy(&h, root, controllers[i])) continue;
        for (char *end = h.group;; *end = 0) {
            if (!h.controller) {
                read_memory(&h, "memory.max", &limits.memory);
                read_memory(&h, "memory.high", &limits.memory); /* above it everything crawls */
            } else
                read_memory(&h, "memory.limit_in_bytes", &limits.memory);
            read_processors(&h, &limits.processors);
            end = strrchr(h.group, '/');
            if (!end) break;
        }
    }
    return limits;
}

/* ---- this process ---- */

/* Processors the scheduler may put this process on, or 0. */
static int count_affine(void) {
    int count = 0;
#ifdef __linux__
    for (int most = 1024; most <= 1 << 16 && !count;
         most *= 4) { /* EINVAL: the kernel's set is larger */
        cpu_set_t *set = CPU_ALLOC((size_t)most);
        if (!set) return 0;
        const size_t bytes = CPU_ALLOC_SIZE((size_t)most);
        if (sched_getaffinity(0, bytes, set) == 0) count = CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
    }
#endif
    return count;
}

int tsr_limits_processors(void) {
    long count = count_affine();
    if (count < 1) count = sysconf(_SC_NPROCESSORS_ONLN);
    const double quota = tsr_cgroup_limits_read("").processors;
    if (quota > 0 && quota < (double)count) count = (long)ceil(quota);
    return count < 1 ? 1 : count > 1024 ? 1024 : (int)count;
}

/* Bytes of address space that are mapped already; 0 where it is not known. */
static uint64_t mapped_bytes(void) {
    unsigned long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "re");
    if (!f) return 0;
    if (fscanf(f, "%llu", &pages) != 1) pages = 0;
    fclose(f);
    return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

uint64_t tsr_limits_memory(void) {
    uint64_t least = tsr_cgroup_limits_read("").memory;
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    if (pages > 0 && page > 0 && (uint64_t)pages * (uint64_t)page < least)
        least = (uint64_t)pages * (uint64_t)page;
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur != RLIM_INFINITY) {
        const uint64_t used = mapped_bytes();
        const uint64_t left = space.rlim_cur > used ? space.rlim_cur - used : 0;
        if (left < least) least = left;
    }
    return least == UINT64_MAX ? (uint64_t)1 << 31 : least;
}
