/* SPDX-License-Identifier: MIT */
/* main.c: the `tessera` program: finds the verb and hands over. Verbs are in cmd_<verb>.c and see
 * the public headers only, as any other program would. */
#include <tessera/tessera.h>
#include "args.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define VERB(name) extern const verb verb_##name;
#include "verbs.def"
#undef VERB

static const verb *const verbs[] = {
#define VERB(name) &verb_##name,
#include "verbs.def"
#undef VERB
};
enum { VERB_COUNT = (int)(sizeof verbs / sizeof *verbs) };

static void print_help(void) {
    printf("tessera %s: pictures to discrete tokens and back\n\n"
           "Usage:\n"
           "  tessera VERB ...\n"
           "  tessera VERB --help     what a verb does, its options and examples\n"
           "  tessera --version\n\n"
           "Verbs:\n",
           tsr_version());
    for (int i = 0; i < VERB_COUNT; ++i)
        printf("  %-10s %s\n", verbs[i]->name, verbs[i]->summary);
    printf(
        "\n"
        "'-' as a file name is standard input or output. Results go to stdout, everything said to\n"
        "people to stderr; --json, which every verb takes, makes the result one JSON document.\n\n"
        "Exit codes:\n"
        "  0    done\n"
        "  1    it worked, and the answer is no: a check failed, pictures do not match, a file\n"
        "       is not whole\n"
        "  2    the command line was not understood\n"
        "  3    a file could not be read or written, or memory did not suffice\n"
        "  4    the bytes are not what the format says, or of a kind this build cannot do\n"
        "  5    no such device, weights that make no model, or not the model the tokens were made "
        "with\n"
        "  130  interrupted; no output was left behind\n\n"
        "Example, a picture to a token file and back:\n"
        "  tessera encode photo.jpg -o photo.tess\n"
        "  tessera info photo.tess\n"
        "  tessera decode photo.tess -o back.png\n");
}

/* What was printed must have arrived: a full disk behind a pipe is a failure too. */
static int finish(int code) {
    if (fflush(stdout) == 0 && !ferror(stdout)) return code;
    fprintf(stderr, "tessera: standard output: %s\n", strerror(errno));
    return EXIT_FILES;
}

static const verb *find(const char *name) {
    for (int i = 0; i < VERB_COUNT; ++i)
        if (strcmp(verbs[i]->name, name) == 0) return verbs[i];
    return NULL;
}

/* What people who know other programs type, and what does it here. */
static const char *const elsewhere[][2] = {
    {"compress", "'encode' makes a token file from pictures"},
    {"tokenize", "'encode' makes a token file from pictures"},
    {"pack", "'encode' makes a token file from pictures"},
    {"decompress", "'decode' makes pictures from a token file"},
    {"detokenize", "'decode' makes pictures from a token file"},
    {"reconstruct", "'decode' makes pictures from a token file"},
    {"extract",
     "'decode' makes pictures from a token file, and 'cut --item' takes items out of one"},
    {"unpack", "'decode' makes pictures from a token file"},
    {"merge", "'encode' puts several pictures into one token file"},
    {"join", "'encode' puts several pictures into one token file"},
    {"concat", "'encode' puts several pictures into one token file"},
    {"split", "'cut --item' takes items out of a token file"},
    {"truncate", "'cut' keeps the first ids of each tile"},
    {"trim", "'cut' keeps the first ids of each tile"},
    {"evaluate", "'eval' compares pictures with their originals"},
    {"compare", "'eval' compares pictures with their originals"},
    {"psnr", "'eval' compares pictures with their originals"},
    {"ssim", "'eval' compares pictures with their originals"},
    {"list", "'info' says what a token file holds, 'model list' which families there are"},
    {"show", "'info' says what a token file holds"},
    {"inspect", "'info' says what a token file holds"},
    {"identify", "'info' says what a token file holds"},
    {"export", "'info --npy' writes the ids as an array, 'decode' the pictures"},
    {"dump", "'info --ids' prints the ids"},
    {"test", "'info' says whether a token file is whole"},
    {"download", "'fetch' brings a published model"},
    {"pull", "'fetch' brings a published model"},
    {"install", "'fetch' brings a published model"},
    {"convert", "'model convert' writes the weights of a checkpoint as .safetensors"},
    {"train", "'codebook train' trains a codebook"},
    {"benchmark", "'bench' times ops and models"},
    {"gpus", "'devices' lists the CPU and GPUs"},
};

static int unknown(const char *name) {
    const char *names[VERB_COUNT];
    for (int i = 0; i < VERB_COUNT; ++i)
        names[i] = verbs[i]->name;
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; ++i)
        if (strcmp(name, elsewhere[i][0]) == 0)
            return args_wrong(NULL, "unknown verb '%s'; %s", name, elsewhere[i][1]);
    const char *near = args_suggest(name, names, VERB_COUNT);
    if (near) return args_wrong(NULL, "unknown verb '%s'; did you mean '%s'?", name, near);
    return args_wrong(NULL, "unknown verb '%s'", name);
}

/* Sanitized builds only. The Vulkan loader unloads drivers, and what they leaked has then no name
 * that tests/lsan.supp could list; kept in memory they can be told apart from us. */
static void keep_drivers_loaded(void) {
#if defined(__SANITIZE_ADDRESS__)
    static const char *const drivers[] = {"libvulkan.so.1", "libvulkan_lvp.so",
                                          "libvulkan_radeon.so", "libvulkan_intel.so",
                                          "libvulkan_intel_hasvk.so"};
    for (size_t i = 0; i < sizeof drivers / sizeof *drivers; ++i)
        dlopen(drivers[i], RTLD_LAZY | RTLD_NODELETE);
#endif
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help();
        return finish(EXIT_USAGE);
    }
    args_look_for_json(argc, argv);
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 ||
        (strcmp(name, "help") == 0 && argc == 2)) {
        print_help();
        return finish(EXIT_DONE);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "version") == 0) {
        printf("tessera %s\n", tsr_version());
        return finish(EXIT_DONE);
    }
    if (strcmp(name, "help") == 0) {
        const verb *v = find(argv[2]);
        if (!v) return unknown(argv[2]);
        args_print_help(v);
        return finish(EXIT_DONE);
    }
    const verb *v = find(name);
    if (!v) return unknown(name);
    keep_drivers_loaded();
    return finish(v->run(v, argc - 2, argv + 2));
}
