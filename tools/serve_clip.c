/* SPDX-License-Identifier: MIT */
/* serve_clip.c: videos to clips; see serve.h. Readers of videos want a file, so the bytes get one
 * in a folder of their own, for as long as it takes; one clip is encoded at a time, by the model
 * that the pictures have, in turns: theirs go on between its frames. */
#include "serve.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/videos.h>
#include <unistd.h>

/* tsr_progress_fn */
static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    (void)what, (void)done, (void)total;
    return serve_clock() > *(const double *)user;
}

static bool write_file(const char *path, const void *bytes, size_t size) {
    FILE *f = fopen(path, "wb");
    const bool good = f && fwrite(bytes, 1, size, f) == size;
    return f && !fclose(f) && good;
}

static char *read_file(const char *path, size_t *size) {
    FILE *f = fopen(path, "rb");
    char *bytes = NULL;
    const long end = f && !fseek(f, 0, SEEK_END) ? ftell(f) : -1;
    if (end > 0 && !fseek(f, 0, SEEK_SET)) bytes = malloc((size_t)end);
    *size = bytes ? fread(bytes, 1, (size_t)end, f) : 0;
    if (f) fclose(f);
    if (bytes && *size != (size_t)end) {
        free(bytes);
        bytes = NULL;
    }
    return bytes;
}

/* The request's name as that of a file: the clip is called so. */
static void file_name(const char *name, char *safe, size_t size) {
    size_t n = 0;
    for (; name && name[n] && n + 1 < size; ++n)
        safe[n] = isalnum((unsigned char)name[n]) || (n && strchr("._-", name[n])) ? name[n] : '_';
    safe[n] = 0;
    if (!n) snprintf(safe, size, "clip");
}

static void encode(serve_server *s, tsr_context *ctx, serve_exchange *x, const encode_meaning *m,
                   const char *input, const char *output) {
    const char *inputs[] = {input};
    double deadline = x->deadline;
    tsr_encode_videos_report report = {0};
    tsr_encode_videos_settings v = tsr_encode_videos_settings_default();
    serve_turns turns = {.model = &s->model, .deadline = x->deadline};
    v.files.model = s->model_settings;
    v.files.tokenizer = s->model.tokenizer;
    v.files.turn = serve_model_turn;
    v.files.turn_user = &turns;
    v.files.encode = m->encode;
    v.files.file = m->file;
    v.files.encode.progress = on_progress;
    v.files.encode.progress_user = &deadline;
    v.video.max_pixels = s->limits.pixels;
    v.frames.rule = x->request.frames  ? TSR_FRAMES_COUNT
                    : x->request.every ? TSR_FRAMES_EVERY
                                       : TSR_FRAMES_ALL;
    v.frames.frames = x->request.frames;
    v.frames.every = x->request.every;
    const tsr_status status = tsr_encode_videos(ctx, inputs, 1, output, &v, &report);
    size_t size;
    char *bytes = status ? NULL : read_file(output, &size);
    if (status) { /* the place of the file is nobody's business */
        const char *detail = tsr_detail(ctx), *at = strstr(detail, input);
        serve_answer_status(x, status, at == detail ? detail + strlen(input) + 2 : detail);
    } else if (bytes) {
        serve_answer_bytes(x, "application/vnd.tessera", bytes, size);
        snprintf(x->answer.about, sizeof x->answer.about, "a clip of %llu frames",
                 (unsigned long long)report.frame_count);
    } else
        serve_answer_error(x, 500, "the clip could not be read again");
}

void serve_clip(serve_server *s, tsr_context *ctx, serve_exchange *x, const encode_meaning *m) {
    static pthread_mutex_t one = PTHREAD_MUTEX_INITIALIZER;
    const char *place = getenv("TMPDIR");
    char folder[512], name[200], input[800], output[600];
    if (!place || !*place || strlen(place) > 400) place = "/tmp";
    snprintf(folder, sizeof folder, "%s/tessera-serve-XXXXXX", place);
    file_name(x->request.name, name, sizeof name);
    if (!mkdtemp(folder)) {
        serve_answer_error(x, 500, "no folder for the clip");
        return;
    }
    snprintf(input, sizeof input, "%s/%s", folder, name);
    snprintf(output, sizeof output, "%s/.out", folder);
    pthread_mutex_lock(&one);
    if (serve_clock() > x->deadline)
        serve_answer_error(x, 503, "other clips took all the time of this one");
    else if (!write_file(input, x->request.bytes, x->request.size))
        serve_answer_error(x, 503, "no room for the clip");
    else
        encode(s, ctx, x, m, input, output);
    pthread_mutex_unlock(&one);
    unlink(input);
    unlink(output);
    rmdir(folder);
}
