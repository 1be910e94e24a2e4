/* SPDX-License-Identifier: MIT */
/* manual.c: see manual.h. Pages use the classic macros that groff and mandoc both know. */
#include "manual.h"
#include "verbs.h"

#include <tessera/tessera.h>

#include <stdio.h>
#include <string.h>

const manual_row manual_exits[] = {
    {"0", "done"},
    {"1", "it worked, and the answer is no: a check failed, pictures do not match, a file is not "
          "whole"},
    {"2", "the command line was not understood, or its values contradict each other or the input"},
    {"3", "a file could not be read or written, or memory did not suffice"},
    {"4", "the bytes are not what the format says, or of a kind this build cannot do"},
    {"5", "no such device, weights that make no model, or not the model the tokens were made with"},
    {"130", "interrupted; nothing half-done was left behind, and what is complete is named"},
    {NULL, NULL},
};

const manual_row manual_environment[] = {
    {"XDG_CACHE_HOME", "where published models are kept: the folder tessera in it, and Hugging "
                       "Face's cache where no variable below names another; default ~/.cache"},
    {"HOME", "the home folder, for the default of XDG_CACHE_HOME"},
    {"HF_HUB_CACHE", "Hugging Face's cache, which is read and never written; default $HF_HOME/hub"},
    {"HUGGINGFACE_HUB_CACHE", "the older name of HF_HUB_CACHE"},
    {"HF_HOME", "Hugging Face's folder; default $XDG_CACHE_HOME/huggingface"},
    {"HF_ENDPOINT", "the server that 'tessera fetch' asks instead of https://huggingface.co"},
    {"HF_TOKEN", "a login that 'tessera fetch' shows to that server, and to no other"},
    {"HF_HUB_OFFLINE", "1, yes, on or true: 'tessera fetch' downloads nothing"},
    {"TESSERA_SERVER_KEY",
     "the bearer token that 'tessera run' shows to its server where --key-file "
     "names none"},
    {"TESSERA_SERVE_TOKEN",
     "the bearer token that 'tessera serve' wants where --token-file names none"},
    {"TESSERA_LLAMA", "libllama, for 'tessera run --gguf'; default where scripts/llama.sh --user "
                      "puts it, or a library of the system"},
    {"https_proxy, http_proxy, all_proxy, no_proxy", "proxies of 'tessera fetch', as curl(1) has "
                                                     "them"},
    {"TESSERA_PIPELINE_CACHE",
     "0, no or off: compiled programs of GPUs are not kept for later runs"},
    {"VK_DRIVER_FILES, VK_ICD_FILENAMES", "which drivers the Vulkan loader offers"},
    {NULL, NULL},
};

const manual_row manual_files[] = {
    {"~/.cache/tessera/NAME/", "the files of a published model, with NOTICE-NAME.txt: licence, "
                               "source, size and sha256"},
    {"~/.cache/huggingface/hub/models--ORG--NAME/snapshots/REV/",
     "models that Hugging Face's own tools have downloaded"},
    {"~/.cache/tessera/*.pipelines",
     "compiled programs of GPUs, one file for each device, driver and build, 256 MiB at most; may "
     "be removed at any time"},
    {NULL, NULL},
};

/* ---- text as troff has it ---- */

/* What stands for a character that troff would take for something else, or NULL. */
static const char *escape(char c) {
    switch (c) {
    case '-':
        return "\\-";
    case '\\':
        return "\\e";
    case '\'':
        return "\\(aq";
    case '`':
        return "\\(ga";
    case '^':
        return "\\(ha";
    case '~':
        return "\\(ti";
    case '"':
        return "\\(dq";
    default:
        return NULL;
    }
}

static void put(const char *text, size_t length) {
    for (size_t i = 0; i < length; ++i) {
        const char *other = escape(text[i]);
        if (i == 0 && text[i] == '.') fputs("\\&", stdout);
        if (other)
            fputs(other, stdout);
        else
            putchar(text[i]);
    }
}

/* The words of paragraphs, with an empty line between them, in lines of a length that can be read
 * in the source too. */
static void put_words(const char *text) {
    size_t column = 0;
    while (*text) {
        size_t length = strcspn(text, " \n");
        if (column && column + length > 76) {
            putchar('\n');
            column = 0;
        } else if (column && length) {
            putchar(' ');
            column++;
        }
        put(text, length);
        column += length;
        text += length;
        if (text[0] == '\n' && text[1] == '\n') {
            puts("\n.PP");
            column = 0;
            text++;
        }
        if (*text) text++;
    }
    putchar('\n');
}

/* Lines as they are. */
static void put_lines(const char *text) {
    puts(".EX");
    while (*text) {
        size_t length = strcspn(text, "\n");
        put(text, length);
        putchar('\n');
        text += length;
        if (*text) text++;
    }
    puts(".EE");
}

static void section(const char *title) {
    printf(".SH \"%s\"\n", title);
}

static void put_rows(const manual_row *rows) {
    for (; rows->name; ++rows) {
        fputs(".TP\n\\fB", stdout);
        put(rows->name, strlen(rows->name));
        puts("\\fR");
        put_words(rows->text);
    }
}

/* ---- a verb ---- */

static void put_option(const option *o) {
    char text[1024];
    fputs(".TP\n", stdout);
    if (o->letter) printf("\\fB\\-%c\\fR, ", o->letter);
    fputs("\\fB\\-\\-", stdout);
    put(o->name, strlen(o->name));
    fputs("\\fR", stdout);
    if (o->value) {
        fputs(" \\fI", stdout);
        put(o->value, strlen(o->value));
        fputs("\\fR", stdout);
    }
    putchar('\n');
    snprintf(text, sizeof text, "%s%s%s%s", o->help, o->fallback ? " (default: " : "",
             o->fallback ? o->fallback : "", o->fallback ? ")" : "");
    put_words(text);
    if (o->kind != OPTION_CHOICE) return;
    puts(".br");
    snprintf(text, sizeof text, "%s", o->choices);
    for (char *bar; (bar = strchr(text, '|'));)
        *bar = ' ';
    fputs("One of: ", stdout);
    put_words(text);
}

/* Options from `first` to before `end`, under a title where there are any. */
static void put_options(const verb *v, int first, int end, const char *title, bool sub) {
    if (first >= end) return;
    if (sub)
        printf(".PP\n%s:\n", title);
    else
        section(title);
    for (int i = first; i < end; ++i)
        put_option(args_option(v, i));
}

static int count_options(const verb *v) {
    int count = 0;
    while (args_option(v, count))
        ++count;
    return count;
}

/* One synopsis for each line that is not indented: a line that is goes on with the one before.
 * Brackets are not broken. */
static void put_synopsis(const char *text) {
    int depth = 0;
    while (*text) {
        size_t words = 0; /* the program and its verbs: what is bold */
        for (size_t n; (n = strspn(text + words, "abcdefghijklmnopqrstuvwxyz-")) > 0 &&
                       text[words] != '-' && strchr(" \n", text[words + n]);)
            words += n + (text[words + n] == ' ');
        const bool blank = words && text[words - 1] == ' ';
        fputs(".SY \"", stdout);
        put(text, words - blank);
        puts("\"");
        text += words;
        for (; *text && (*text != '\n' || text[1] == ' '); ++text) {
            depth += *text == '[' ? 1 : *text == ']' ? -1 : 0;
            if (*text != ' ' && *text != '\n')
                put(text, 1);
            else if (text[1] != ' ' && text[1])
                fputs(depth ? "\\ " : " ", stdout);
        }
        puts("\n.YS");
        if (*text) text++;
    }
}

static void put_part(const verb *part) {
    printf(".SS \"tessera ");
    put(part->name, strlen(part->name));
    puts("\"");
    put_words(part->about);
    const int own = args_own_options(part);
    put_options(part, 0, own, "Options", true);
    put_options(part, own, own + part->device_options, "Device", true);
    if (part->exits) {
        puts(".PP\nExit status:");
        put_words(part->exits);
    }
    puts(".PP\nExamples:\n.PP");
    put_lines(part->examples);
}

static void put_title(const char *name, const char *summary) {
    char capitals[64];
    snprintf(capitals, sizeof capitals, "%s", name);
    for (char *c = capitals; *c; ++c)
        if (*c >= 'a' && *c <= 'z') *c = (char)(*c - 'a' + 'A');
    fputs(".\\\" SPDX-License-Identifier: MIT\n.\\\" Made by `tessera help --man`.\n.TH \"",
          stdout);
    put(capitals, strlen(capitals));
    printf("\" \"1\" \"\" \"tessera %s\" \"Tessera\"\n", tsr_version());
    section("NAME");
    put(name, strlen(name));
    fputs(" \\- ", stdout);
    put_words(summary);
}

/* All pages but that of `v`; NULL: the program's. */
static void put_other_pages(const verb *v) {
    const verb *other;
    section("SEE ALSO");
    if (v) puts(".BR tessera (1),");
    for (int i = 0; (other = verb_at(i)); ++i) {
        const verb *next = verb_at(i + 1) == v ? verb_at(i + 2) : verb_at(i + 1);
        if (other != v) printf(".BR tessera\\-%s (1)%s\n", other->name, next ? "," : "");
    }
}

static void print_verb(const verb *v) {
    char name[64];
    snprintf(name, sizeof name, "tessera-%s", v->name);
    put_title(name, v->summary);
    section("SYNOPSIS");
    put_synopsis(v->usage);
    section("DESCRIPTION");
    put_words(v->about);
    for (const verb *const *part = v->parts; part && *part; ++part)
        put_part(*part);
    const int own = args_own_options(v), device = own + v->device_options;
    put_options(v, 0, own, "OPTIONS", false);
    put_options(v, own, device, "DEVICE OPTIONS", false);
    put_options(v, device, count_options(v), "GENERAL OPTIONS", false);
    section("EXIT STATUS");
    put_rows(manual_exits);
    if (v->exits) {
        puts(".PP\nOf this verb:");
        puts(".PP");
        put_lines(v->exits);
    }
    section("ENVIRONMENT");
    puts("See\n.BR tessera (1).");
    section("EXAMPLES");
    put_lines(v->examples);
    put_other_pages(v);
}

/* ---- the program ---- */

static void print_program(void) {
    const verb *v;
    put_title("tessera", "pictures to discrete tokens and back");
    section("SYNOPSIS");
    put_synopsis("tessera VERB ...\ntessera help [--man] [VERB]\ntessera --version");
    section("DESCRIPTION");
    put_words("Turns pictures into short lists of integers (token files, .tess), decodes them "
              "again, measures what survived, and trains codebooks.");
    puts(".PP");
    put_words("Results go to standard output, everything said to people to standard error. '-' as "
              "a file name is standard input or output. --json, which every verb takes, makes the "
              "result one JSON document. An output appears under its name only when it is "
              "complete.");
    section("VERBS");
    for (int i = 0; (v = verb_at(i)); ++i) {
        printf(".TP\n.BR tessera\\-%s (1)\n", v->name);
        put_words(v->summary);
    }
    section("OPTIONS");
    puts(".TP\n\\fB\\-\\-version\\fR, \\fB\\-V\\fR");
    put_words("print version, commit, features and libraries of the build; with --json as a "
              "document");
    puts(".TP\n\\fB\\-\\-help\\fR, \\fB\\-h\\fR");
    put_words("print the verbs; behind a verb, its options and examples");
    section("GENERAL OPTIONS");
    puts("Every verb takes these.");
    const verb none = {0};
    for (int i = 0; args_option(&none, i); ++i)
        put_option(args_option(&none, i));
    section("EXIT STATUS");
    put_rows(manual_exits);
    section("ENVIRONMENT");
    put_rows(manual_environment);
    section("FILES");
    put_rows(manual_files);
    section("EXAMPLES");
    put_lines("# a picture to a token file and back\n"
              "tessera encode photo.jpg -o photo.tess\n"
              "tessera info photo.tess\n"
              "tessera decode photo.tess -o back.png\n"
              "# how much survived\n"
              "tessera eval photo.jpg back.png");
    put_other_pages(NULL);
}

void manual_print(const verb *v) {
    if (v)
        print_verb(v);
    else
        print_program();
}
