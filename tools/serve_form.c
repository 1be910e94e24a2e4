/* SPDX-License-Identifier: MIT */
/* serve_form.c: bodies that are forms, and bodies that grow; see serve.h. libmicrohttpd takes the
 * forms apart. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>

bool serve_body_append(serve_exchange *x, const char *bytes, size_t size) {
    if (x->size + size + 1 > x->room) {
        const size_t room = (x->size + size + 1) * 2 < 4096 ? 4096 : (x->size + size + 1) * 2;
        char *body = realloc(x->body, room);
        if (!body) return false;
        x->body = body;
        x->room = room;
    }
    memcpy(x->body + x->size, bytes, size);
    x->size += size;
    x->body[x->size] = 0;
    return true;
}

#ifdef TESSERA_WITH_SERVE
#include <microhttpd.h>

struct serve_form {
    struct MHD_PostProcessor *parts;
    char name[64], value[1200]; /* of the field that is being read; "": none */
    size_t size;
    bool file, failed;
    serve_refusal wrong;
};

/* Makes an option of the field that has ended. */
static bool end_field(serve_exchange *x) {
    struct serve_form *f = x->form;
    if (!*f->name) return true;
    f->value[f->size] = 0;
    const bool good = serve_request_option(&x->request, f->name, f->value, &f->wrong);
    *f->name = 0;
    return good;
}

static bool take(serve_exchange *x, const char *key, const char *bytes, uint64_t offset,
                 size_t size) {
    struct serve_form *f = x->form;
    const char *file = x->request.action == SERVE_ENCODE ? "image" : "tess";
    if (!strcmp(key, file) || !strcmp(key, "file")) {
        if (!offset && f->file)
            return serve_refuse(&f->wrong, 400, "form: wanted one file, got more");
        f->file = true;
        return (!size || serve_body_append(x, bytes, size)) ||
               serve_refuse(&f->wrong, 503, "no memory for the body");
    }
    if (!offset) {
        if (!end_field(x)) return false;
        if (strlen(key) >= sizeof f->name || !*key)
            return serve_refuse(&f->wrong, 400, "form: wanted names of 1 to 63 bytes");
        snprintf(f->name, sizeof f->name, "%s", key);
        f->size = 0;
    }
    if (f->size + size >= sizeof f->value)
        return serve_refuse(&f->wrong, 400, "%.60s: wanted at most %zu bytes", key,
                            sizeof f->value - 1);
    if (size) memcpy(f->value + f->size, bytes, size);
    f->size += size;
    return true;
}

/* MHD_PostDataIterator */
static enum MHD_Result on_part(void *user, enum MHD_ValueKind kind, const char *key,
                               const char *filename, const char *type, const char *encoding,
                               const char *bytes, uint64_t offset, size_t size) {
    (void)kind, (void)filename, (void)type, (void)encoding;
    serve_exchange *x = user;
    if (!x->form->failed) x->form->failed = !take(x, key ? key : "", bytes, offset, size);
    return x->form->failed ? MHD_NO : MHD_YES;
}

bool serve_form_open(serve_exchange *x, serve_refusal *wrong) {
    x->form = calloc(1, sizeof *x->form);
    if (!x->form) return serve_refuse(wrong, 503, "no memory for the form");
    x->form->parts = MHD_create_post_processor(x->connection, 16384, on_part, x);
    if (x->form->parts) return true;
    free(x->form);
    x->form = NULL;
    return serve_refuse(wrong, 400, "Content-Type: wanted multipart/form-data with a boundary");
}

static bool fail(serve_exchange *x, serve_refusal *wrong) {
    if (x->form->failed)
        *wrong = x->form->wrong;
    else
        serve_refuse(wrong, 400, "form: wanted parts between the boundaries that the head names");
    return false;
}

bool serve_form_read(serve_exchange *x, const char *bytes, size_t size, serve_refusal *wrong) {
    return MHD_post_process(x->form->parts, bytes, size) == MHD_YES || fail(x, wrong);
}

bool serve_form_close(serve_exchange *x, serve_refusal *wrong) {
    struct serve_form *f = x->form;
    bool good = MHD_destroy_post_processor(f->parts) == MHD_YES && !f->failed;
    if (good && !end_field(x)) good = !(f->failed = true);
    if (good && f->file) {
        x->request.bytes = (uint8_t *)x->body;
        x->request.size = x->size;
        x->body = NULL;
    }
    if (!good) fail(x, wrong);
    free(f);
    x->form = NULL;
    return good;
}
#endif
