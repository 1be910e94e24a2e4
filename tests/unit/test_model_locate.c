/* SPDX-License-Identifier: MIT */
/* Names of models: what tsr_model_locate, tsr_cache_folder and tsr_hub_cached_file say of paths,
 * caches and hostile names. tests/cli/model_names.sh goes through the program. */
#include "testing.h"
#include <tessera/models.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[] = "/tmp/tessera-locate-XXXXXX";
static tsr_context *ctx;

static void open_all(void) {
    ck_assert_ptr_nonnull(mkdtemp(root));
    ck_assert_int_eq(chdir(root), 0);
    ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
    const char *const unset[] = {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"};
    for (size_t i = 0; i < sizeof unset / sizeof *unset; ++i)
        unsetenv(unset[i]);
    setenv("XDG_CACHE_HOME", root, 1);
    setenv("HOME", root, 1);
}

static void close_all(void) {
    char command[128];
    tsr_context_close(&ctx);
    snprintf(command, sizeof command, "rm -rf '%s'", root);
    ck_assert_int_eq(system(command), 0);
}

static void make(const char *path, const char *text) {
    char command[600];
    snprintf(command, sizeof command, "mkdir -p \"$(dirname '%s')\"", path);
    ck_assert_int_eq(system(command), 0);
    FILE *file = fopen(path, "w");
    ck_assert_ptr_nonnull(file);
    fputs(text, file);
    fclose(file);
}

static void finds(const char *name, const char *end) {
    char *path = NULL;
    tsr_status status = tsr_model_locate(ctx, name, &path);
    ck_assert_msg(status == TSR_OK, "%s: %s", name, tsr_detail(ctx));
    const size_t n = strlen(path), m = strlen(end);
    ck_assert_msg(n >= m && strcmp(path + n - m, end) == 0, "%s: wanted %s, got %s", name, end,
                  path);
    free(path);
}

static void refuses(const char *name, tsr_status wanted) {
    char *path = root;
    tsr_status status = tsr_model_locate(ctx, name, &path);
    ck_assert_msg(status == wanted, "%s: wanted %d, got %d: %s", name, wanted, status,
                  tsr_detail(ctx));
    ck_assert_ptr_null(path);
}

START_TEST(arguments) {
    open_all();
    char *path = NULL;
    ck_assert_int_eq(tsr_model_locate(NULL, "x", &path), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_model_locate(ctx, NULL, &path), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_model_locate(ctx, "x", NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_cache_folder(NULL, "x", &path), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_cache_folder(ctx, NULL, &path), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_cache_folder(ctx, "x", NULL), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_hub_cached_file(NULL, "x", &path), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_hub_cached_file(ctx, NULL, &path), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_hub_cached_file(ctx, "x", NULL), TSR_ERROR_ARGUMENT);
    close_all();
}
END_TEST

START_TEST(paths_come_first) {
    open_all();
    finds("-", "-");
    refuses("titok-s128", TSR_ERROR_NOT_FOUND);
    make("titok-s128", "");
    finds("titok-s128", "titok-s128");
    finds(".", ".");
    refuses("", TSR_ERROR_NOT_FOUND);
    close_all();
}
END_TEST

START_TEST(cache_folders) {
    open_all();
    char *path = NULL, wanted[256];
    snprintf(wanted, sizeof wanted, "%s/tessera/a-b", root);
    ck_assert_int_eq(tsr_cache_folder(ctx, "a-b", &path), TSR_OK);
    ck_assert_str_eq(path, wanted);
    free(path);
    setenv("XDG_CACHE_HOME", "not/absolute", 1);
    snprintf(wanted, sizeof wanted, "%s/.cache/tessera/a-b", root);
    ck_assert_int_eq(tsr_cache_folder(ctx, "a-b", &path), TSR_OK);
    ck_assert_str_eq(path, wanted);
    free(path);
    const char *const bad[] = {"", ".", "..", "../a", "a/b", "-a", "a b", "a\nb"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i)
        ck_assert_int_eq(tsr_cache_folder(ctx, bad[i], &path), TSR_ERROR_ARGUMENT);
    unsetenv("XDG_CACHE_HOME");
    unsetenv("HOME");
    ck_assert_int_eq(tsr_cache_folder(ctx, "a-b", &path), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_null(path);
    close_all();
}
END_TEST

START_TEST(hub_files) {
    open_all();
    char *path = NULL;
    make("hub/models--o--n/snapshots/c1/sub/w.bin", "x");
    make("hub/models--o--n/refs/v2", "c1\n");
    make("outside/w.bin", "x");
    setenv("HF_HUB_CACHE", "hub", 1);
    const char *const good[] = {"https://huggingface.co/o/n/resolve/v2/sub/w.bin",
                                "https://huggingface.co/o/n/resolve/c1/sub/w.bin",
                                "https://huggingface.co/o/n/resolve/main/sub/w.bin"};
    for (size_t i = 0; i < sizeof good / sizeof *good; ++i) {
        ck_assert_int_eq(tsr_hub_cached_file(ctx, good[i], &path), TSR_OK);
        ck_assert_str_eq(path, "hub/models--o--n/snapshots/c1/sub/w.bin");
        free(path);
    }
    const char *const bad[] = {
        "https://huggingface.co/o/n/resolve/v2/sub",
        "https://huggingface.co/o/n/resolve/v2/sub/../sub/w.bin",
        "https://huggingface.co/o/n/resolve/v2/../../../../outside/w.bin",
        "https://huggingface.co/o/n/resolve/../w.bin",
        "https://huggingface.co/o/n/resolve/v2//w.bin",
        "https://huggingface.co/o/n/resolve/v2/",
        "https://huggingface.co/o/n/resolve/v2",
        "https://huggingface.co/o/../resolve/v2/sub/w.bin",
        "https://huggingface.co/o/n/x/resolve/v2/sub/w.bin",
        "https://huggingface.co/n/resolve/v2/sub/w.bin",
        "https://example.org/o/n/resolve/v2/sub/w.bin",
        "",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; ++i) {
        ck_assert_msg(tsr_hub_cached_file(ctx, bad[i], &path) == TSR_ERROR_NOT_FOUND, "%s", bad[i]);
        ck_assert_ptr_null(path);
    }
    char address[2000];
    memset(address, 'a', sizeof address - 1);
    address[sizeof address - 1] = 0;
    memcpy(address, "https://huggingface.co/o/n/resolve/v2/", 38);
    ck_assert_int_eq(tsr_hub_cached_file(ctx, address, &path), TSR_ERROR_NOT_FOUND);
    close_all();
}
END_TEST

START_TEST(repositories) {
    open_all();
    setenv("HF_HUB_CACHE", "hub", 1);
    make("hub/models--o--n/snapshots/c1/model.safetensors", "x");
    finds("o/n", "hub/models--o--n/snapshots/c1");
    make("hub/models--o--n/snapshots/c2/model.safetensors", "x");
    refuses("o/n", TSR_ERROR_NOT_FOUND);
    make("hub/models--o--n/refs/main", "c2");
    finds("o/n", "hub/models--o--n/snapshots/c2");
    make("hub/models--o--n/refs/main", "../../../..");
    refuses("o/n", TSR_ERROR_NOT_FOUND);
    char many[4096];
    memset(many, 'c', sizeof many - 1);
    many[sizeof many - 1] = 0;
    make("hub/models--o--n/refs/main", many);
    refuses("o/n", TSR_ERROR_NOT_FOUND);
    refuses("o/..", TSR_ERROR_NOT_FOUND);
    refuses(many, TSR_ERROR_NOT_FOUND);
    close_all();
}
END_TEST

START_TEST(published) {
    open_all();
    refuses("flextok-d12-d12", TSR_ERROR_NOT_FOUND);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "`tessera fetch flextok-d12-d12` brings them"));
    make("tessera/flextok-d12-d12/model.safetensors", "x");
    refuses("flextok-d12-d12", TSR_ERROR_NOT_FOUND); /* a file of it is missing */
    make("tessera/flextok-d12-d12/config.json", "{}");
    finds("flextok-d12-d12", "/tessera/flextok-d12-d12/model.safetensors");
    finds("EPFL-VILAB/flextok_d12_d12_in1k", "/tessera/flextok-d12-d12/model.safetensors");
    make("tessera/taming-f16-1024/last.ckpt", "x");
    make("tessera/taming-f16-1024/model.yaml", "x");
    refuses("taming-f16-1024", TSR_ERROR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "/last.ckpt "));
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "/taming-f16-1024/model.safetensors` once"));
    make("tessera/taming-f16-1024/model.safetensors", "x");
    finds("taming-f16-1024", "/tessera/taming-f16-1024/model.safetensors");
    close_all();
}
END_TEST

TEST_MAIN("model locate", arguments, paths_come_first, cache_folders, hub_files, repositories,
          published)
