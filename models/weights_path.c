/* SPDX-License-Identifier: MIT */
/* weights_path.c: see weights_path.h. */
#include "weights_path.h"

#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *const names[] = {"model.safetensors", "diffusion_pytorch_model.safetensors",
                                    "model.safetensors.index.json",
                                    "diffusion_pytorch_model.safetensors.index.json"};

static bool ends_with(const char *text, const char *end) {
    const size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* How useful it is to name a file of the folder: 0 not at all. */
static int worth(const char *name) {
    if (ends_with(name, ".safetensors")) return 5;
    if (ends_with(name, ".bin.index.json")) return 4;
    if (ends_with(name, ".bin") || ends_with(name, ".pth") || ends_with(name, ".pt") ||
        ends_with(name, ".ckpt") || ends_with(name, ".jit"))
        return 3;
    return ends_with(name, ".index.json") || ends_with(name, ".gguf") || ends_with(name, ".h5") ||
           ends_with(name, ".msgpack") || ends_with(name, ".onnx");
}

static tsr_status none_found(tsr_context *ctx, const char *folder) {
    char best[256] = "";
    int most = 0;
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        const int w = worth(e->d_name);
        if (w < most || !w || (w == most && strcmp(e->d_name, best) > 0)) continue;
        most = w;
        snprintf(best, sizeof best, "%s", e->d_name);
    }
    if (d) closedir(d);
    if (!*best)
        return tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "%s: wanted %s in the folder, got none", folder,
                        names[0]);
    return tsr_fail(
        ctx, TSR_ERROR_NOT_FOUND, "%s: wanted %s in the folder, got none; there is %.200s%s",
        folder, names[0], best,
        most == 5   ? ": name that file"
        : most == 4 ? ", weights of torch.save in several files: in Python, load them and save one "
                      ".safetensors"
        : most == 3 ? ": tessera model convert makes a .safetensors of it"
                    : ", which is not read");
}

tsr_status tsr_weights_path(tsr_context *ctx, const char *path, char **found) {
    struct stat st;
    *found = NULL;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        *found = strdup(path);
        return *found ? TSR_OK : tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a path", path);
    }
    const char *slash = ends_with(path, "/") ? "" : "/";
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
        if (asprintf(found, "%s%s%s", path, slash, names[i]) < 0) {
            *found = NULL;
            return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a path", path);
        }
        if (stat(*found, &st) == 0) return TSR_OK;
        free(*found);
        *found = NULL;
    }
    return none_found(ctx, path);
}
