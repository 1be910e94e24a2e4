/* SPDX-License-Identifier: MIT */
/* args.h: verbs of the program and their command lines. A verb is a table that declares its options
 * once; parsing, --help, manual pages, completions and the checks of docs/CLI.md come from the
 * table. */
#ifndef TOOLS_ARGS_H
#define TOOLS_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Exit codes of the program, as its --help documents them. */
enum {
    EXIT_DONE = 0,
    EXIT_NEGATIVE = 1,     /* the program worked, and the answer is no */
    EXIT_USAGE = 2,        /* the command line was not understood */
    EXIT_FILES = 3,        /* reading, writing or memory */
    EXIT_FORMAT = 4,       /* the bytes are not what they should be */
    EXIT_MODEL = 5,        /* model or device */
    EXIT_INTERRUPTED = 130 /* Ctrl-C; nothing half-done was left behind */
};

typedef enum option_kind {
    OPTION_FLAG,    /* int, becomes 1 */
    OPTION_COUNT,   /* int, one more each time */
    OPTION_TEXT,    /* const char *; completions offer `choices`, or files where there are none */
    OPTION_MODEL,   /* const char *; a file, a folder or a name, which tool_open makes a path of */
    OPTION_TEXTS,   /* text_list, one more each time */
    OPTION_UINT,    /* uint32_t between least and most */
    OPTION_UINT64,  /* uint64_t */
    OPTION_BYTES,   /* uint64_t; the number may end in K, M or G */
    OPTION_REAL,    /* double between least and most */
    OPTION_REAL_OR, /* the same, and `fallback` where no number stands behind it; value "[T]" */
    OPTION_CHOICE,  /* int, the place in `choices` */
    OPTION_COLOUR   /* uint8_t[3], RRGGBB */
} option_kind;

/* Values of an option that may be given several times. */
enum { MOST_TEXTS = 64 };
typedef struct text_list {
    const char *at[MOST_TEXTS];
    int count;
} text_list;

typedef struct option {
    const char *name; /* without the dashes */
    char letter;      /* 0 = none */
    option_kind kind;
    size_t offset;        /* of the target inside the verb's options */
    const char *value;    /* name of the value in --help; NULL for flags */
    const char *fallback; /* the default as --help prints it; NULL: not printed */
    const char *help;
    const char *choices; /* "auto|crop|pad" */
    double least, most;
} option;

/* First member of every verb's options. */
typedef struct common_options {
    int help, quiet, verbose, json;
    int force;   /* -f of verbs that write */
    int replace; /* the person at the terminal said yes */
    uint32_t threads;
    uint64_t memory;
    const char *device, *mask;
    int precision; /* 0 f32, 1 fast */
} common_options;

enum { DEVICE_NAME = 1, DEVICE_MASK = 2 /* with --mask */, DEVICE_ALL = 3 /* and --precision */ };

typedef struct verb {
    const char *name, *summary;
    const char *usage;    /* one line each, without "usage:" */
    const char *about;    /* what it does, in sentences */
    const char *exits;    /* what the exit code says here, beyond the general list; or NULL */
    const char *examples; /* complete command lines with a comment above each */
    const option *options;
    int option_count;
    int device_options;                /* 0 (none), or one of DEVICE_... */
    bool writes;                       /* has outputs, and -f */
    int least_operands, most_operands; /* most -1 = any number */
    const char *operands;              /* name of the operands in messages: "FILE.tess" */
    option_kind operand_kind;          /* what completions offer: OPTION_MODEL names of models,
                                          OPTION_CHOICE operand_choices; any other kind: files */
    const char *operand_choices;       /* "bash|zsh|fish" */
    int (*run)(const struct verb *verb, int argc, char **argv);
    const struct verb *const *parts; /* verbs inside it ("codebook train"), NULL-terminated */
} verb;

/* Reads argv (behind the verb's name) into `target`, whose first member is common_options and which
 * holds the defaults. Operands are moved to the front of argv, their number is *operands. Returns
 * -1 to go on, or the exit code to leave with (help was printed, or the mistake was). */
int args_parse(const verb *v, int argc, char **argv, void *target, int *operands);

/* What is wrong with a value: "wanted a whole number from 1 to 9, got 'x'". */
typedef struct args_refusal {
    char text[600];
} args_refusal;
/* Says what was wanted and what came; returns false. */
bool args_refuse(args_refusal *wrong, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Reads the value of an option that is no flag into *target, which is of the option's kind; texts
 * are not copied. Returns false, and *wrong says why, when it is none. */
bool args_read_value(const option *o, const char *value, void *target, args_refusal *wrong);

/* Runs the part of `v` that argv names ("codebook train"), or prints v's own help. */
int args_run_part(const verb *v, int argc, char **argv);

/* Option `index` of a verb: its own, then those of the device, then those everyone has; NULL behind
 * the last. */
const option *args_option(const verb *v, int index);
/* How many of them are the verb's own, with -f of those that write: they come first, then those of
 * the device, then those everyone has. */
int args_own_options(const verb *v);
/* Splits "auto|crop|pad" into at most `most` names, which point into `text`. Returns how many. */
int args_choices(const char *choices, char *text, size_t bytes, const char **names, int most);
/* The name of a part without the verb's. */
const char *args_part_name(const verb *part);

/* The nearest of `count` names to what was typed, or NULL when none is near. */
const char *args_suggest(const char *typed, const char *const *names, int count);
/* True if an output by this name goes to stdout: "-", /dev/stdout and the like. */
bool args_is_stdout(const char *path);
/* Looks whether the command line asks for JSON, before anything else: mistakes of the command line
 * are then told in JSON, too. */
void args_look_for_json(int argc, char **argv);
/* Prints one line on stderr: "tessera encode: ... (see 'tessera encode --help')", and with --json
 * the document of a failure on stdout, unless stdout was to be the output. Returns 2. */
int args_wrong(const verb *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
void args_print_help(const verb *v);
/* Prints `text` wrapped at 80 columns; the cursor stands at `column`, further lines begin at
 * `indent`. */
void args_print_wrapped(const char *text, int column, int indent);

#endif
