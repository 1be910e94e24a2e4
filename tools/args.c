/* SPDX-License-Identifier: MIT */
/* args.c: see args.h. One message for one mistake, always with what was wanted. */
#include "args.h"
#include "json_out.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/tessera.h>

#define COMMON(field) offsetof(common_options, field)

static const option general_options[] = {
    {"json", 0, OPTION_FLAG, COMMON(json), NULL, NULL,
     "print the result as one JSON document on stdout", NULL, 0, 0},
    {"quiet", 'q', OPTION_COUNT, COMMON(quiet), NULL, NULL,
     "no summary, no progress, errors only; -qq prints nothing at all on stderr", NULL, 0, 0},
    {"verbose", 'v', OPTION_COUNT, COMMON(verbose), NULL, NULL,
     "say what is done (device, plan, memory); -vv says more", NULL, 0, 0},
    {"threads", 0, OPTION_UINT, COMMON(threads), "N", "one for each processor it may use",
     "worker threads on the CPU; never changes a result", NULL, 1, 1024},
    {"memory", 0, OPTION_BYTES, COMMON(memory), "SIZE", "three quarters of what it may use",
     "refuse work that would need more than this, but for large tiles of grid tokenizers and "
     "autoencoders, which go by windows; 500M and 2G are understood",
     NULL, 1, 0},
    {"help", 'h', OPTION_FLAG, COMMON(help), NULL, NULL, "print this text", NULL, 0, 0},
};
static const option device_options[DEVICE_ALL] = {
    {"device", 0, OPTION_TEXT, COMMON(device), "NAME", "auto",
     "where the arithmetic happens: auto, cpu, vulkan or vulkan:N ('tessera devices' lists them)",
     "auto|cpu|vulkan", 0, 0},
    {"mask", 0, OPTION_TEXT, COMMON(mask), "LIST", "none",
     "comma-separated op variants or capabilities that must not be used (subgroup, coopmat, onednn "
     "...), to find out which one is at fault; +pairs asks for f32 products of pairs of f16 on "
     "matrix units",
     NULL, 0, 0},
    {"precision", 0, OPTION_CHOICE, COMMON(precision), "P", "f32",
     "f32, or fast: operands of products may be rounded to 16 bits where the device is good at it; "
     "'tessera bench --agreement' measures how many ids stay the same",
     "f32|fast", 0, 0},
};
/* Of verbs that write. */
static const option writing_options[] = {
    {"force", 'f', OPTION_FLAG, COMMON(force), NULL, NULL,
     "replace outputs that exist, and write bytes to a terminal; without it a terminal asks, and a "
     "pipe or script ends with exit code 3",
     NULL, 0, 0},
};
#define COUNT(a) ((int)(sizeof(a) / sizeof(*(a))))

int args_own_options(const verb *v) {
    return v->option_count + (v->writes ? COUNT(writing_options) : 0);
}

const option *args_option(const verb *v, int index) {
    if (index < v->option_count) return &v->options[index];
    index -= v->option_count;
    if (v->writes && index < COUNT(writing_options)) return &writing_options[index];
    index -= v->writes ? COUNT(writing_options) : 0;
    if (index < v->device_options) return &device_options[index];
    index -= v->device_options;
    return index < COUNT(general_options) ? &general_options[index] : NULL;
}

bool args_is_stdout(const char *path) {
    static const char *const names[] = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
    for (size_t i = 0; i < sizeof names / sizeof *names; ++i)
        if (strcmp(path, names[i]) == 0) return true;
    return false;
}

static bool json_asked; /* the command line has --json, and stdout is free for it */

void args_look_for_json(int argc, char **argv) {
    json_asked = false;
    bool taken = false;
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; ++i) {
        json_asked |= strcmp(argv[i], "--json") == 0;
        taken |= strcmp(argv[i], "-o-") == 0 || strcmp(argv[i], "--output=-") == 0;
        if (strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0 ||
            strcmp(argv[i], "--npy") == 0)
            taken |= i + 1 < argc && args_is_stdout(argv[i + 1]);
    }
    json_asked &= !taken;
}

int args_wrong(const verb *v, const char *format, ...) {
    char text[1000];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    fprintf(stderr, "tessera%s%s: %s (see 'tessera %s%s--help')\n", v ? " " : "", v ? v->name : "",
            text, v ? v->name : "", v ? " " : "");
    if (!json_asked) return EXIT_USAGE;
    json_out j;
    json_open(&j, stdout);
    json_text(&j, "tessera", tsr_version());
    json_text(&j, "verb", v ? v->name : NULL);
    json_object(&j, "error");
    json_int(&j, "status", TSR_ERROR_ARGUMENT);
    json_text(&j, "name", tsr_status_name(TSR_ERROR_ARGUMENT));
    json_text(&j, "text", tsr_status_text(TSR_ERROR_ARGUMENT));
    json_text(&j, "detail", text);
    json_end(&j, '}');
    json_close(&j);
    return EXIT_USAGE;
}

/* Edit distance with neighbours exchanged counting one: the common slips of typing. */
static int distance(const char *a, const char *b) {
    enum { MOST = 40 };
    int table[MOST + 1][MOST + 1];
    int n = (int)strlen(a), m = (int)strlen(b);
    if (n > MOST || m > MOST) return MOST;
    for (int i = 0; i <= n; ++i)
        table[i][0] = i;
    for (int j = 0; j <= m; ++j)
        table[0][j] = j;
    for (int i = 1; i <= n; ++i)
        for (int j = 1; j <= m; ++j) {
            int best = table[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            if (table[i - 1][j] + 1 < best) best = table[i - 1][j] + 1;
            if (table[i][j - 1] + 1 < best) best = table[i][j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] &&
                table[i - 2][j - 2] + 1 < best)
                best = table[i - 2][j - 2] + 1;
            table[i][j] = best;
        }
    return table[n][m];
}

const char *args_suggest(const char *typed, const char *const *names, int count) {
    const char *best = NULL;
    int least = (int)strlen(typed) <= 3 ? 2 : 3; /* must be below */
    for (int i = 0; i < count; ++i) {
        int d = distance(typed, names[i]);
        if (strlen(typed) >= 3 && strncmp(typed, names[i], strlen(typed)) == 0) d = 1;
        if (d < least) {
            least = d;
            best = names[i];
        }
    }
    return best;
}

int args_choices(const char *choices, char *text, size_t bytes, const char **names, int most) {
    snprintf(text, bytes, "%s", choices);
    int count = 0;
    for (char *p = text; p && count < most;) {
        names[count++] = p;
        p = strchr(p, '|');
        if (p) *p++ = 0;
    }
    return count;
}

bool args_refuse(args_refusal *wrong, const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(wrong->text, sizeof wrong->text, format, list);
    va_end(list);
    return false;
}

static bool read_choice(const option *o, const char *value, int *target, args_refusal *wrong) {
    char text[256], list[256] = "";
    const char *names[16];
    int count = args_choices(o->choices, text, sizeof text, names, 16);
    for (int i = 0; i < count; ++i)
        if (strcmp(value, names[i]) == 0) {
            *target = i;
            return true;
        }
    for (int i = 0; i < count; ++i) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s",
                 i == 0           ? ""
                 : i == count - 1 ? " or "
                                  : ", ",
                 names[i]);
    }
    const char *near = args_suggest(value, names, count);
    if (near)
        return args_refuse(wrong, "wanted %s, got '%s'; did you mean '%s'?", list, value, near);
    return args_refuse(wrong, "wanted %s, got '%s'", list, value);
}

/* A whole decimal number and nothing else; strtoull alone would take "-1" and " 7x". */
static bool read_digits(const char *text, char **end, uint64_t *number) {
    if (text[0] < '0' || text[0] > '9') return false;
    errno = 0;
    *number = strtoull(text, end, 10);
    return errno == 0;
}

bool args_read_value(const option *o, const char *value, void *target, args_refusal *wrong) {
    char *end = NULL;
    uint64_t number = 0;
    switch (o->kind) {
    case OPTION_TEXT:
    case OPTION_MODEL:
        if (!*value) return args_refuse(wrong, "wanted %s, got an empty text", o->value);
        *(const char **)target = value;
        return true;
    case OPTION_TEXTS: {
        text_list *list = target;
        if (!*value) return args_refuse(wrong, "wanted %s, got an empty text", o->value);
        if (list->count == MOST_TEXTS)
            return args_refuse(wrong,
                               "wanted at most %d times, got more: a list like 0,2,5-7 holds "
                               "any number",
                               MOST_TEXTS);
        list->at[list->count++] = value;
        return true;
    }
    case OPTION_UINT:
        if (!read_digits(value, &end, &number) || *end || (double)number < o->least ||
            (double)number > o->most)
            return args_refuse(wrong, "wanted a whole number from %.0f to %.0f, got '%s'", o->least,
                               o->most, value);
        *(uint32_t *)target = (uint32_t)number;
        return true;
    case OPTION_UINT64:
        if (!read_digits(value, &end, &number) || *end)
            return args_refuse(wrong, "wanted a whole number, got '%s'", value);
        *(uint64_t *)target = number;
        return true;
    case OPTION_BYTES: {
        bool ok = read_digits(value, &end, &number);
        int shift = 0;
        if (ok && *end) {
            shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;
            ok = shift && !end[1];
        }
        if (!ok || number == 0 || number > UINT64_MAX >> shift)
            return args_refuse(wrong, "wanted a size such as 500M or 2G, got '%s'", value);
        *(uint64_t *)target = number << shift;
        return true;
    }
    case OPTION_REAL:
    case OPTION_REAL_OR: {
        errno = 0;
        double real = strtod(value, &end);
        if (end == value || *end || errno || !isfinite(real) || real < o->least || real > o->most)
            return args_refuse(wrong, "wanted a number from %g to %g, got '%s'", o->least, o->most,
                               value);
        *(double *)target = real;
        return true;
    }
    case OPTION_CHOICE:
        return read_choice(o, value, target, wrong);
    case OPTION_COLOUR: {
        const char *digits = value[0] == '#' ? value + 1 : value;
        if (strlen(digits) != 6 || strspn(digits, "0123456789abcdefABCDEF") != 6)
            return args_refuse(wrong, "wanted six hexadecimal digits RRGGBB, got '%s'", value);
        unsigned long rgb = strtoul(digits, NULL, 16);
        uint8_t *colour = target;
        for (int i = 0; i < 3; ++i)
            colour[i] = (uint8_t)(rgb >> (16 - 8 * i));
        return true;
    }
    case OPTION_FLAG:
    case OPTION_COUNT:
        break;
    }
    return true;
}

static int read_value(const verb *v, const option *o, const char *value, void *target) {
    args_refusal wrong;
    return args_read_value(o, value, target, &wrong)
               ? -1
               : args_wrong(v, "--%s: %s", o->name, wrong.text);
}

static int unknown_option(const verb *v, const char *typed) {
    const char *names[64];
    int count = 0;
    for (const option *o; count < 64 && (o = args_option(v, count)); ++count)
        names[count] = o->name;
    const char *near = args_suggest(typed, names, count);
    if (near) return args_wrong(v, "unknown option '--%s'; did you mean '--%s'?", typed, near);
    return args_wrong(v, "unknown option '--%s'", typed);
}

static bool is_number(const char *text) {
    char *end;
    if (!text) return false;
    (void)strtod(text, &end);
    return end != text && !*end;
}

/* Sets one option; *used says whether the next argument was its value. */
static int set_option(const verb *v, const option *o, const char *attached, const char *next,
                      void *target, bool *used) {
    void *place = (char *)target + o->offset;
    *used = false;
    if (o->kind == OPTION_FLAG || o->kind == OPTION_COUNT) {
        if (attached) return args_wrong(v, "--%s takes no value, got '%s'", o->name, attached);
        *(int *)place = o->kind == OPTION_FLAG ? 1 : *(int *)place + 1;
        return -1;
    }
    const char *value = attached ? attached : next;
    if (o->kind == OPTION_REAL_OR && !attached && !is_number(next))
        return read_value(v, o, o->fallback, place);
    if (!value) return args_wrong(v, "--%s: a value %s is missing", o->name, o->value);
    *used = !attached;
    return read_value(v, o, value, place);
}

static int parse_long(const verb *v, const char *text, const char *next, void *target, bool *used) {
    const char *equals = strchr(text, '=');
    size_t length = equals ? (size_t)(equals - text) : strlen(text);
    const option *o;
    for (int i = 0; (o = args_option(v, i)); ++i)
        if (strlen(o->name) == length && strncmp(o->name, text, length) == 0)
            return set_option(v, o, equals ? equals + 1 : NULL, next, target, used);
    char typed[64];
    snprintf(typed, sizeof typed, "%.*s", (int)(length < 63 ? length : 63), text);
    return unknown_option(v, typed);
}

/* -k 32, -k32, -vv, -qv */
static int parse_short(const verb *v, const char *text, const char *next, void *target,
                       bool *used) {
    for (; *text; ++text) {
        const option *o;
        int i = 0;
        while ((o = args_option(v, i)) && o->letter != *text)
            ++i;
        if (!o) return args_wrong(v, "unknown option '-%c'", *text);
        if (o->kind == OPTION_FLAG || o->kind == OPTION_COUNT) {
            set_option(v, o, NULL, NULL, target, used);
            continue;
        }
        return set_option(v, o, text[1] ? text + 1 : NULL, next, target, used);
    }
    return -1;
}

int args_parse(const verb *v, int argc, char **argv, void *target, int *operands) {
    bool options = true;
    int count = 0, code = -1;
    for (int i = 0; i < argc && code < 0; ++i) {
        char *a = argv[i];
        const char *next = i + 1 < argc ? argv[i + 1] : NULL;
        bool used = false;
        if (options && strcmp(a, "--") == 0)
            options = false;
        else if (options && a[0] == '-' && a[1] == '-')
            code = parse_long(v, a + 2, next, target, &used);
        else if (options && a[0] == '-' && a[1])
            code = parse_short(v, a + 1, next, target, &used);
        else
            argv[count++] = a;
        i += used;
        if (((common_options *)target)->help) {
            args_print_help(v);
            return EXIT_DONE;
        }
    }
    if (code >= 0) return code;
    if (count < v->least_operands) return args_wrong(v, "%s is missing", v->operands);
    if (v->most_operands >= 0 && count > v->most_operands)
        return args_wrong(v, "'%s' is one argument too many; wanted %s", argv[v->most_operands],
                          v->operands ? v->operands : "none");
    *operands = count;
    return -1;
}

void args_print_wrapped(const char *text, int column, int indent) {
    while (*text) {
        int length = (int)strcspn(text, " \n");
        if (column > indent && column + 1 + length > 80) {
            printf("\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            putchar(' ');
            column++;
        }
        fwrite(text, 1, (size_t)length, stdout);
        column += length;
        text += length;
        if (*text == '\n') {
            printf("\n%*s", indent, "");
            column = indent;
        }
        if (*text) text++;
    }
    putchar('\n');
}

static void print_option(const option *o) {
    char left[64], text[512];
    if (o->letter)
        snprintf(left, sizeof left, "  -%c, --%s%s%s", o->letter, o->name, o->value ? " " : "",
                 o->value ? o->value : "");
    else
        snprintf(left, sizeof left, "      --%s%s%s", o->name, o->value ? " " : "",
                 o->value ? o->value : "");
    snprintf(text, sizeof text, "%s%s%s%s", o->help, o->fallback ? " (default: " : "",
             o->fallback ? o->fallback : "", o->fallback ? ")" : "");
    int column = printf("%s", left);
    if (column >= 26) {
        putchar('\n');
        column = 0;
    }
    column += printf("%*s", 26 - column, "");
    args_print_wrapped(text, column, 26);
}

/* Every line of `text` behind `indent` spaces. */
static void print_block(const char *text, int indent) {
    while (*text) {
        int length = (int)strcspn(text, "\n");
        printf("%*s%.*s\n", indent, "", length, text);
        text += length;
        if (*text) text++;
    }
}

void args_print_help(const verb *v) {
    printf("tessera %s: %s\n\nUsage:\n", v->name, v->summary);
    print_block(v->usage, 2);
    putchar('\n');
    args_print_wrapped(v->about, 0, 0);
    if (v->parts) {
        printf("\nParts:\n");
        for (const verb *const *p = v->parts; *p; ++p)
            printf("  %-18s %s\n", (*p)->name, (*p)->summary);
    }
    const int own = args_own_options(v);
    if (own) printf("\nOptions:\n");
    for (int i = 0; i < own; ++i)
        print_option(args_option(v, i));
    if (v->device_options) printf("\nDevice:\n");
    for (int i = 0; i < v->device_options; ++i)
        print_option(&device_options[i]);
    printf("\nGeneral:\n");
    for (int i = 0; i < COUNT(general_options); ++i)
        print_option(&general_options[i]);
    printf("\nExit codes:\n");
    if (v->exits) print_block(v->exits, 2);
    printf(
        "  0 done   1 the answer is no   2 usage   3 files or memory   4 bad format   5 model or "
        "device\n");
    printf("\nExamples:\n");
    print_block(v->examples, 2);
}

const char *args_part_name(const verb *part) {
    const char *blank = strrchr(part->name, ' ');
    return blank ? blank + 1 : part->name;
}

int args_run_part(const verb *v, int argc, char **argv) {
    const char *names[16];
    int count = 0;
    for (; count < COUNT(names) && v->parts[count]; ++count)
        names[count] = args_part_name(v->parts[count]);
    if (argc == 0) return args_wrong(v, "wanted %s, got nothing", v->operands);
    if (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0) {
        args_print_help(v);
        return EXIT_DONE;
    }
    for (int i = 0; i < count; ++i)
        if (strcmp(argv[0], names[i]) == 0)
            return v->parts[i]->run(v->parts[i], argc - 1, argv + 1);
    const char *near = args_suggest(argv[0], names, count);
    if (near)
        return args_wrong(v, "wanted %s, got '%s'; did you mean '%s'?", v->operands, argv[0], near);
    return args_wrong(v, "wanted %s, got '%s'", v->operands, argv[0]);
}
