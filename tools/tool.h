/* SPDX-License-Identifier: MIT */
/* tool.h: what every verb shares: a context whose log goes to stderr, a progress bar, one way to
 * report a failure and to begin a JSON document. */
#ifndef TOOLS_TOOL_H
#define TOOLS_TOOL_H

#include <tessera/models.h>
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
    char *located[4]; /* paths of models that were given by name */
} tool;

/* Opens the context of a verb, and makes paths of its OPTION_MODEL options, which are in the same
 * struct as `o`. Returns -1, or the exit code after a failure; tool_close is then allowed, too. */
int tool_open(tool *t, const verb *v, const common_options *o);
void tool_close(tool *t);

/* Sets *path to the file or folder that `name` of a model means (tsr_model_locate); the tool owns
 * the text. Returns -1, or the exit code after a failure, which names a model of about this name.
 */
int tool_locate(tool *t, const char *name, const char **path);
/* The name of a published model nearest to `name`, into `near`; false when none is near. */
bool tool_nearest_model(const tsr_catalog *catalog, const char *name, char *near, size_t size);

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
/* Makes a folder and those above it; what is there stays. Returns -1, or the exit code after it has
 * told the failure. */
int tool_make_folders(tool *t, const char *path);
/* Opens the document and writes "tessera" and "verb". */
void tool_json(tool *t, json_out *j);
/* The same to `file`: for a document that is shown only when the work has succeeded. */
void tool_json_to(tool *t, json_out *j, FILE *file);
/* Writes "stages", the device of each stage: of those in `stages` (words with blanks between) the
 * short form of `device` ("vulkan:0"), of those in `on_host` "cpu". */
void tool_stages(json_out *j, const char *stages, const char *device, const char *on_host);
/* "" for a cpu device or when nothing is on the host, or else ", on the host: select". */
const char *tool_on_host(const char *device, const char *on_host, char *text, size_t size);
/* Writes "stage_seconds": what reading, decoding, encoding and writing took, and which of them was
 * the bottleneck. */
void tool_stage_seconds(json_out *j, const tsr_stage_times *times);
/* Writes "unused_keys" where they are known. */
void tool_unused_keys(json_out *j, const tsr_unused_keys *unused);
/* Says what tool_stage_seconds writes in lines for people. */
void tool_say_stages(tool *t, const tsr_stage_times *times);
double tool_seconds(void); /* a monotonic clock */
/* Looks at an output before the work begins, also before tool_open. A file that exists is not
 * replaced unless there is -f or the person at the terminal says yes; bytes do not go to a terminal
 * without -f; --json and the output do not share stdout. Returns -1, or the exit code to leave
 * with. */
int tool_output(const verb *v, common_options *o, const char *path);
/* Refuses an output that is the file `input`, with -f, too; input may be NULL. Returns -1, or the
 * exit code to leave with. */
int tool_not_input(const verb *v, const char *output, const char *input);
/* True if it goes to stdout or to anything else that is no file and no folder: a pipe, a device. */
bool tool_is_stream(const char *path);
/* Writes a number of bytes for people, "1234 bytes" or "12.3 MB", into text and returns text. */
const char *tool_bytes(uint64_t bytes, char *text, size_t size);
/* A copy of text without control characters, so that a hostile key cannot drive the terminal. */
const char *tool_clean(const char *text, char *clean, size_t size);
/* A file's name without folder and suffix, into `stem`. */
void tool_stem(const char *path, char *stem, size_t size);

#endif
