/* SPDX-License-Identifier: MIT */
/* main.c: the `tessera` program: finds the verb and hands over. Verbs are in cmd_<verb>.c and see
 * the public headers only, as any other program would. */
#include <tessera/tessera.h>
#include "json_out.h"
#include "manual.h"
#include "verbs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void print_help(void) {
    printf("tessera %s: pictures to discrete tokens and back\n\n"
           "Usage:\n"
           "  tessera VERB ...\n"
           "  tessera VERB --help     what a verb does, its options and examples\n"
           "  tessera help [--man] VERB\n"
           "  tessera --version       version, commit, features and libraries\n\n"
           "Verbs:\n",
           tsr_version());
    const verb *v;
    for (int i = 0; (v = verb_at(i)); ++i)
        printf("  %-10s %s\n", v->name, v->summary);
    printf(
        "\n"
        "'-' as a file name is standard input or output. Results go to stdout, everything said to\n"
        "people to stderr; --json, which every verb takes, makes the result one JSON document.\n\n"
        "Exit codes:\n");
    for (const manual_row *row = manual_exits; row->name; ++row)
        args_print_wrapped(row->text, printf("  %-4s ", row->name), 7);
    printf(
        "\n"
        "The variables and files it looks at: 'man tessera', or 'tessera help --man | man -l -'.\n"
        "\n"
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
    {"join", "'merge' makes one token file of several"},
    {"concat", "'merge' makes one token file of several"},
    {"shard", "'split' makes several token files of one"},
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
    const char *names[64] = {"help", "version", "--help", "--version"};
    const verb *v;
    int count = 4;
    for (; count < 64 && (v = verb_at(count - 4)); ++count)
        names[count] = v->name;
    for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; ++i)
        if (strcmp(name, elsewhere[i][0]) == 0)
            return args_wrong(NULL, "unknown verb '%s'; %s", name, elsewhere[i][1]);
    const char *near = args_suggest(name, names, count);
    if (near) return args_wrong(NULL, "unknown verb '%s'; did you mean '%s'?", name, near);
    return args_wrong(NULL, "unknown verb '%s'", name);
}

/* "help", "help VERB", "help VERB PART", each with --man: the page for man(1) instead. */
static int help(int argc, char **argv) {
    bool man = false;
    int count = 0;
    for (int i = 0; i < argc; ++i)
        if (strcmp(argv[i], "--man") == 0)
            man = true;
        else
            argv[count++] = argv[i];
    if (count == 0 && !man) print_help();
    if (count == 0 && man) manual_print(NULL);
    if (count == 0) return EXIT_DONE;
    const verb *v = verb_find(argv[0]);
    if (!v) return unknown(argv[0]);
    if (man) {
        manual_print(v);
    } else if (count > 1 && v->parts) {
        char *words[] = {argv[1], "--help"};
        return args_run_part(v, 2, words);
    } else {
        args_print_help(v);
    }
    return EXIT_DONE;
}

/* What `list` says, "A=1 B=2" or "+a -b", as rows of text or members of an object. */
static void print_features(json_out *j, const char *list) {
    if (!j) {
        printf("features   %s\n", list);
        return;
    }
    json_object(j, "features");
    while (*list) {
        char name[64];
        const int length = (int)strcspn(list, " ");
        snprintf(name, sizeof name, "%.*s", length - 1, list + 1);
        json_bool(j, name, *list == '+');
        list += length;
        list += *list == ' ';
    }
    json_end(j, '}');
}

static void print_libraries(json_out *j, const char *list) {
    const char *before = "libraries  ";
    if (j) json_object(j, "libraries");
    while (*list) {
        char name[64], version[64];
        const int length = (int)strcspn(list, " "), stem = (int)strcspn(list, "=");
        snprintf(name, sizeof name, "%.*s", stem, list);
        snprintf(version, sizeof version, "%.*s", length - stem - 1, list + stem + 1);
        if (j)
            json_text(j, name, version);
        else
            printf("%s%s %s", before, name, version);
        before = ", ";
        list += length;
        list += *list == ' ';
    }
    if (j)
        json_end(j, '}');
    else
        putchar('\n');
}

/* Parts that the program alone has: the library draws no text and opens no connection. */
#ifdef TESSERA_WITH_CURL
#define FETCH_FEATURE "+fetch"
#define FETCH_LIBRARY " libcurl=" TESSERA_WITH_CURL
#else
#define FETCH_FEATURE "-fetch"
#define FETCH_LIBRARY ""
#endif
#ifdef TESSERA_WITH_PANGO
#define PANGO_FEATURE "+pango"
#define PANGO_LIBRARY " pangocairo=" TESSERA_WITH_PANGO
#else
#define PANGO_FEATURE "-pango"
#define PANGO_LIBRARY ""
#endif

static int print_version(bool json) {
    char features[512], libraries[1024];
    json_out j;
    snprintf(features, sizeof features, "%s " FETCH_FEATURE " " PANGO_FEATURE,
             tsr_build_features());
    snprintf(libraries, sizeof libraries, "%s" FETCH_LIBRARY PANGO_LIBRARY, tsr_build_libraries());
    if (json) {
        json_open(&j, stdout);
        json_text(&j, "tessera", tsr_version());
        json_text(&j, "verb", "version");
        json_text(&j, "commit", tsr_build_commit());
    } else {
        printf("tessera %s\ncommit     %s\n", tsr_version(), tsr_build_commit());
    }
    print_features(json ? &j : NULL, features);
    print_libraries(json ? &j : NULL, libraries);
    if (json) json_close(&j);
    return EXIT_DONE;
}

static bool is_one_of(const char *text, const char *a, const char *b, const char *c) {
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        print_help();
        return finish(EXIT_USAGE);
    }
    args_look_for_json(argc, argv);
    const char *name = argv[1];
    if (is_one_of(name, "help", "--help", "-h")) return finish(help(argc - 2, argv + 2));
    if (is_one_of(name, "version", "--version", "-V")) {
        const bool json = argc == 3 && strcmp(argv[2], "--json") == 0;
        if (argc > 2 && !json)
            return args_wrong(NULL, "%s: wanted nothing behind it, or --json, got '%s'", name,
                              argv[2]);
        return finish(print_version(json));
    }
    const verb *v = verb_find(name);
    if (!v) return unknown(name);
    return finish(v->run(v, argc - 2, argv + 2));
}
