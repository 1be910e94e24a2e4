/* SPDX-License-Identifier: MIT */
/* llama_library.c: finds libllama, opens it once, and believes it only when it is the release whose
 * structs llama_api.h declares. */
#include "llama_api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../compute/context.h"

#define FILE_NAME "libllama.v" TSR_LLAMA_VERSION ".so"

/* libllama keeps state of the process, and so there is one of it. Never closed: its threads and
 * those of its backends may outlive the last model. */
static pthread_mutex_t once = PTHREAD_MUTEX_INITIALIZER;
static tsr_llama_api the_api;
static char *the_path;

static _Thread_local tsr_context *listener;
static _Thread_local char said[512];

static void hear(int level, const char *text, void *user) {
    static const tsr_log_level levels[] = {TSR_LOG_DEBUG,   TSR_LOG_DEBUG,   TSR_LOG_DEBUG,
                                           TSR_LOG_WARNING, TSR_LOG_WARNING, TSR_LOG_DEBUG};
    (void)user;
    size_t size = strlen(text);
    while (size && (text[size - 1] == '\n' || text[size - 1] == ' '))
        --size;
    if (!size || level < 0 || level > 5) return;
    if (level == 4) { /* the last error, in one line */
        const size_t most = size < sizeof said - 1 ? size : sizeof said - 1;
        memcpy(said, text, most);
        said[most] = 0;
        for (char *c = said; *c; ++c)
            if (*c == '\n') *c = ' ';
    }
    if (listener) tsr_log(listener, levels[level], "libllama: %.*s", (int)size, text);
}

void tsr_llama_listen(tsr_context *ctx) {
    listener = ctx;
    said[0] = 0;
}

void tsr_llama_listen_end(void) {
    listener = NULL;
}

const char *tsr_llama_said(void) {
    return said;
}

/* Parameters that this release has, where this release has them. */
static bool known_defaults(const tsr_llama_api *api) {
    const tsr_llama_model_params_room model = api->llama_model_default_params();
    const tsr_llama_context_params_room context = api->llama_context_default_params();
    const struct llama_model_params *m = &model.p;
    const struct llama_context_params *c = &context.p;
    return !m->devices && m->n_gpu_layers == -1 && m->split_mode == 1 && m->load_mode == -1 &&
           m->lazy_mode == 1 && m->main_gpu == 0 && !m->progress_callback && !m->kv_overrides &&
           !m->vocab_only && m->use_extra_bufts && !m->no_alloc && c->n_ctx == 512 &&
           c->n_batch == 2048 && c->n_ubatch == 512 && c->n_seq_max == 1 && c->n_outputs_max == 0 &&
           c->n_outputs_max_per_seq == 1 && c->rope_scaling_type == -1 &&
           c->flash_attn_type == -1 && c->rope_freq_scale == 0 && c->yarn_ext_factor == -1 &&
           c->defrag_thold == -1 && c->type_k == 1 && c->type_v == 1 && !c->abort_callback &&
           !c->embeddings && c->offload_kqv && c->no_perf && c->swa_full && !c->samplers &&
           c->n_samplers == 0 && !c->ctx_other;
}

/* "v0.5.0", "0.5.0", "0.5.0-x". */
static bool wanted_version(const char *text) {
    const size_t n = strlen(TSR_LLAMA_VERSION);
    if (*text == 'v') ++text;
    return strncmp(text, TSR_LLAMA_VERSION, n) == 0 && !(text[n] >= '0' && text[n] <= '9') &&
           text[n] != '.';
}

static tsr_status load(tsr_context *ctx, void *handle, const char *path, tsr_llama_api *api) {
#define TSR_LLAMA_LOAD(result, name, arguments)                                                    \
    *(void **)&api->name = dlsym(handle, #name);                                                   \
    if (!api->name)                                                                                \
        return tsr_fail(ctx, TSR_ERROR_VERSION,                                                    \
                        "%s: wanted libllama %s, got a library without " #name, path,              \
                        TSR_LLAMA_VERSION);
    TSR_LLAMA_FUNCTIONS(TSR_LLAMA_LOAD)
#undef TSR_LLAMA_LOAD
    const char *version = api->llama_version();
    if (!version || !wanted_version(version))
        return tsr_fail(ctx, TSR_ERROR_VERSION, "%s: wanted libllama %s, got %.60s", path,
                        TSR_LLAMA_VERSION, version ? version : "no version");
    if (!known_defaults(api))
        return tsr_fail(ctx, TSR_ERROR_VERSION,
                        "%s: wanted the parameters of libllama %s, got others (a build with "
                        "changes?)",
                        path, TSR_LLAMA_VERSION);
    return TSR_OK;
}

/* Opens a candidate. An optional one that is not there is no error: *handle is NULL then. */
static tsr_status open_one(tsr_context *ctx, const char *path, bool optional, void **handle) {
    dlerror();
    *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (*handle || optional) return TSR_OK;
    const char *why = dlerror();
    return tsr_fail(ctx, TSR_ERROR_NOT_FOUND, "libllama: %.600s", why ? why : path);
}

/* The library's own path, when it was found by name. */
static void real_path(void *function, char *path, size_t room) {
    Dl_info info;
    if (dladdr(function, &info) && info.dli_fname) snprintf(path, room, "%s", info.dli_fname);
}

static tsr_status find(tsr_context *ctx, const char *path, char *found, size_t room,
                       void **handle) {
    const char *set = getenv("TESSERA_LLAMA");
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    if (!path && set && *set) path = set;
    if (path) {
        snprintf(found, room, "%s", path);
        return open_one(ctx, path, false, handle);
    }
    *found = 0;
    if (cache && *cache == '/')
        snprintf(found, room, "%s/tessera/llama/lib/" FILE_NAME, cache);
    else if (home && *home)
        snprintf(found, room, "%s/.cache/tessera/llama/lib/" FILE_NAME, home);
    tsr_status status = *found ? open_one(ctx, found, true, handle) : TSR_OK;
    if (status || *handle) return status;
    status = open_one(ctx, FILE_NAME, true, handle);
    if (status || *handle) return status;
    return tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                    "libllama: wanted " FILE_NAME " at a path that is named (TESSERA_LLAMA), at "
                    "%.300s or among the system's libraries, got none; scripts/llama.sh brings it",
                    *found ? found : "~/.cache");
}

tsr_status tsr_llama_library(tsr_context *ctx, const char *path, const tsr_llama_api **api) {
    char found[4096];
    void *handle = NULL;
    tsr_llama_api loaded = {0};
    *api = NULL;
    pthread_mutex_lock(&once);
    tsr_status status = TSR_OK;
    if (the_path) {
        /* Another name of the same file gives the same handle, and so the same function. */
        status = path ? open_one(ctx, path, false, &handle) : TSR_OK;
        if (handle && dlsym(handle, "llama_version") != *(void **)&the_api.llama_version)
            status = tsr_fail(ctx, TSR_ERROR_STATE,
                              "libllama: wanted %.300s, got %.300s, which is "
                              "in the process already",
                              path, the_path);
        if (handle) dlclose(handle);
        if (!status) *api = &the_api;
        pthread_mutex_unlock(&once);
        return status;
    }
    status = find(ctx, path, found, sizeof found, &handle);
    if (!status) status = load(ctx, handle, found, &loaded);
    if (!status) {
        real_path(*(void **)&loaded.llama_version, found, sizeof found);
        the_path = strdup(found);
        if (!the_path) status = tsr_fail(ctx, TSR_ERROR_MEMORY, "libllama: no memory");
    }
    if (!status) {
        the_api = loaded;
        the_api.path = the_path;
        loaded.llama_log_set(hear, NULL);
        tsr_llama_listen(ctx);
        char *slash = strrchr(found, '/');
        if (slash) *slash = 0;
        loaded.ggml_backend_load_all_from_path(slash ? found : NULL); /* they stand beside it */
        loaded.llama_backend_init();
        tsr_llama_listen_end();
        *api = &the_api;
    } else if (handle) {
        dlclose(handle);
    }
    pthread_mutex_unlock(&once);
    return status;
}
