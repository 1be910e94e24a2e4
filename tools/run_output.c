/* SPDX-License-Identifier: MIT */
/* run_output.c: replies of a model to files, a run log and the document of --json. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "id_file.h"
#include "reply_pictures.h"
#include "run_job.h"

static const char *stop_name(const tsr_generate_reply *r) {
    static const char *const names[] = {"length", "end", "cut"};
    return names[r->stop];
}

int run_output_open(tool *t, run_output *o, size_t prompts) {
    o->single = prompts == 1;
    if (o->path && o->folder && mkdir(o->path, 0777) && errno != EEXIST)
        return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", o->path, strerror(errno));
    if (o->path && !o->folder && prompts > 1)
        return args_wrong(t->v, "%zu prompts: -o names a folder for their replies (OUT/)", prompts);
    /* A log is added to: it is the history of runs. */
    if (o->log && !(o->log_file = fopen(o->log, "ae")))
        return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", o->log, strerror(errno));
    if (!t->o->json) return -1;
    if (!(o->list = open_memstream(&o->text, &o->size)))
        return tool_fail_text(t, TSR_ERROR_MEMORY, "memory for the document");
    o->json = (json_out){.file = o->list, .depth = 1};
    fputc('[', o->list);
    return -1;
}

void run_output_close(run_output *o) {
    if (o->log_file) fclose(o->log_file);
    if (o->list) fclose(o->list);
    free(o->text);
}

/* ---- one reply ---- */

static void write_top(json_out *j, const tsr_generate_reply *got) {
    json_array(j, "logprobs");
    for (size_t i = 0; i < got->id_count; ++i)
        json_real(j, NULL, (double)got->logprobs[i]); /* null where the server did not say */
    json_end(j, ']');
    json_array(j, "top");
    for (size_t i = 0; i < got->id_count; ++i) {
        uint32_t ids[100], n = 0;
        float logprobs[100];
        for (uint32_t k = 0; k < got->top_count; ++k) {
            const tsr_token_logprob *top = &got->top[i * got->top_count + k];
            if (top->id == UINT32_MAX || isnan(top->logprob)) continue;
            ids[n] = top->id;
            logprobs[n++] = top->logprob;
        }
        json_object(j, NULL);
        json_numbers(j, "ids", ids, n);
        json_floats(j, "logprobs", logprobs, n);
        json_end(j, '}');
    }
    json_end(j, ']');
}

static void write_members(json_out *j, const run_reply *r, bool prompt) {
    const tsr_generate_reply *got = r->got;
    json_text(j, "name", r->prompt->name);
    if (got->status) json_text(j, "error", got->detail);
    if (prompt) json_numbers(j, "prompt", r->prompt->ids, r->prompt->id_count);
    json_uint(j, "prompt_tokens", r->prompt->id_count);
    json_numbers(j, "tokens", got->ids, got->id_count);
    json_text(j, "text", got->text);
    json_text(j, "stop", stop_name(got));
    if (got->logprobs) write_top(j, got);
    json_real(j, "seconds", got->seconds);
    json_real(j, "first_seconds", got->first_seconds);
    json_real(j, "tokens_per_second", got->seconds > 0 ? (double)got->id_count / got->seconds : 0);
    json_uint(j, "tries", got->tries);
    json_uint(j, "resumed", got->resumed);
}

/* One line of the log: the document of the reply without line ends. */
static int write_log(tool *t, run_output *o, const run_reply *r) {
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    if (!file) return tool_fail_text(t, TSR_ERROR_MEMORY, "memory for a line of %s", o->log);
    json_out j;
    json_open(&j, file);
    write_members(&j, r, true);
    json_close(&j);
    if (fclose(file)) size = 0;
    for (size_t i = 0; i < size; ++i) {
        if (text[i] != '\n') putc(text[i], o->log_file);
        while (text[i] == '\n' && i + 1 < size && text[i + 1] == ' ') {
            text[++i] = '\n'; /* the indent of a line */
        }
    }
    putc('\n', o->log_file);
    free(text);
    if (fflush(o->log_file) == 0 && size) return -1;
    return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", o->log, strerror(errno));
}

static int write_text_file(tool *t, const run_output *o, const run_reply *r, const char *path) {
    out_file out;
    int code = out_file_open(t, &out, path);
    if (code >= 0) return code;
    if (!strcmp(o->kind, "json")) {
        json_out j;
        json_open(&j, out.file);
        write_members(&j, r, true);
        json_close(&j);
    } else if (!strcmp(o->kind, "bin")) {
        id_file_put(out.file, r->got->ids, r->got->id_count);
    } else {
        fputs(r->got->text, out.file);
    }
    return out_file_close(t, &out, true);
}

/* Decodes the token file `from` to pictures, and removes it. */
static int decode(tool *t, const run_output *o, const char *from, const char *path) {
    tsr_decode_file_settings s = tsr_decode_file_settings_default();
    s.model = o->model;
    const tsr_status status = tsr_decode_file(t->ctx, from, path, &s);
    const int code = status ? tool_fail(t, status) : -1;
    unlink(from);
    return code;
}

/* The pictures of a reply as tokens, or decoded. */
static int write_pictures(tool *t, run_output *o, const run_reply *r, const char *path) {
    char tokens[4300];
    const bool stays = !strcmp(o->kind, "tess");
    snprintf(tokens, sizeof tokens, stays ? "%s" : "%s.part.tess", path);
    reply_pictures p = {.map = o->map,
                        .ids = r->got->ids,
                        .count = r->got->id_count,
                        .like = o->like ? o->like : r->prompt->source,
                        .output = tokens,
                        .json = o->list ? &o->json : NULL};
    if (o->list) json_array(&o->json, "pictures");
    const tsr_status status = reply_pictures_write(t, &p, &o->layout);
    if (o->list) json_end(&o->json, ']');
    o->damaged += (size_t)p.damaged;
    if (status) return tool_fail(t, status);
    if (!p.written) tool_warn(t, "%s: no picture could be used", r->prompt->name);
    return p.written && !stays ? decode(t, o, tokens, path) : -1;
}

static bool is_text(const char *kind) {
    return !strcmp(kind, "json") || !strcmp(kind, "bin") || !strcmp(kind, "txt");
}

/* The name of a reply's file: that of the prompt without what leads out of the folder. */
static void name_file(const run_output *o, const run_reply *r, char *path, size_t size) {
    char stem[256];
    if (!o->folder) {
        snprintf(path, size, "%s", o->path);
        return;
    }
    tool_stem(r->prompt->name, stem, sizeof stem);
    const size_t length = strlen(o->path);
    snprintf(path, size, "%s%s%05zu-%s.%s", o->path,
             length && o->path[length - 1] == '/' ? "" : "/", r->index, stem, o->kind);
}

int run_output_reply(tool *t, run_output *o, const run_reply *r) {
    char path[4200] = "";
    int code = -1;
    tool_progress_clear(t);
    o->tokens += r->got->id_count;
    if (o->log_file) code = write_log(t, o, r);
    if (o->list) json_object(&o->json, NULL);
    if (code < 0 && !r->got->status && o->path) {
        name_file(o, r, path, sizeof path);
        code = is_text(o->kind) ? write_text_file(t, o, r, path) : write_pictures(t, o, r, path);
    }
    if (code >= 0) return code;
    if (r->got->status) {
        ++o->failed;
        if (!o->single) tool_warn(t, "%s: %s", r->prompt->name, r->got->detail);
    } else {
        ++o->written;
        if (!o->path && !o->list) printf("%s\n", r->got->text);
    }
    if (o->list) {
        if (*path) json_text(&o->json, "output", path);
        write_members(&o->json, r, false);
        json_end(&o->json, '}');
    }
    return -1;
}
