/* SPDX-License-Identifier: MIT */
/* tool.h: what every verb shares: a context whose log goes to stderr, a progress bar, one way to
 * report a failure and to begin a JSON document. */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <tessera/tessera.h>
#include "args.h"
#include "json_out.h"

typedef struct tool {
    const verb *v;
    const common_options *o;
    tsr_context *ctx;
    double started; /* of the verb, seconds */
    bool bar;       /* stderr is a terminal and nobody asked for silence */
    bool bar_drawn; /* a line without newline stands there */
    double bar_started, bar_last;
    uint64_t bar_base; /* what was done when the bar began: a resumed download */
    bool bar_bytes;    /* numbers are bytes */
    char bar_what[64];
} tool;

/* Opens the context of a verb. Returns -1, or the exit code after a failure; tool_close is then
 * allowed, too. */
int tool_open(tool *t, const verb *v, const common_options *o);
void tool_close(tool *t);

/* Prints the failure of the last call on `ctx` in one line (and as JSON with --json); returns the
 * exit code that belongs to the status. */
int tool_fail(tool *t, tsr_status status);
/* Prints a failure that the program found itself, like tool_fail. */
int tool_fail_text(tool *t, tsr_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Exit code that belongs to a status. */
int tool_exit_code(tsr_status status);
/* Prints a line for people on stderr; silent with -q. */
void tool_say(tool *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints a line on stderr about something that is wrong, after "tessera VERB: "; silent with -qq.
 */
void tool_warn(tool *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* "1 picture", "3 pictures", into text[32]; returns text. `one` takes an s. */
const char *tool_count(uint64_t number, const char *one, char text[32]);
/* tsr_progress_fn with a tool as user: draws the bar, and asks to stop after Ctrl-C. */
int tool_progress(void *user, const char *what, uint64_t done, uint64_t total);
/* Erases the bar. */
void tool_progress_clear(tool *t);
/* Opens the document and writes "tessera" and "verb". */
void tool_json(tool *t, json_out *j);
double tool_seconds(void); /* a monotonic clock */
/* True if both names lead to the same file (neither is "-"). */
bool tool_same_file(const char *a, const char *b);
/* Writes a number of bytes for people, "1234 bytes" or "12.3 MB", into text and returns text. */
const char *tool_bytes(uint64_t bytes, char *text, size_t size);
/* A copy of text without control characters, so that a hostile key cannot drive the terminal. */
const char *tool_clean(const char *text, char *clean, size_t size);
/* A file's name without folder and suffix, into `stem`. */
void tool_stem(const char *path, char *stem, size_t size);

#endif
