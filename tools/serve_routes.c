/* SPDX-License-Identifier: MIT */
/* serve_routes.c: what each address answers; see serve.h. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

extern const char serve_page[]; /* page_assets.S */

/* ---- what came, and what is wanted ---- */

static bool type_is(const char *type, const char *wanted) {
    const size_t n = strlen(wanted);
    return !strncasecmp(type, wanted, n) &&
           (!type[n] || type[n] == ';' || type[n] == ' ' || wanted[n - 1] == '/');
}

/* Makes a request of the body: JSON is read, a form was read as it came, anything else is a picture
 * or a token file as it is. */
static bool read_body(serve_exchange *x, serve_refusal *wrong) {
    const bool encode = x->request.action == SERVE_ENCODE;
    const char *type = x->type, *wanted = encode ? "a picture" : "a token file, or ids as JSON";
    if (type_is(type, "application/json"))
        return serve_request_json(&x->request, x->body ? x->body : "", x->size, wrong);
    if (type_is(type, "multipart/form-data")) {
        if (x->request.bytes) return true;
        return serve_refuse(wrong, 400, "form: wanted a field '%s' with %s, got none",
                            encode ? "image" : "tess", wanted);
    }
    if (*type && !type_is(type, "application/octet-stream") &&
        !type_is(type, "application/vnd.tessera") &&
        !(encode && (type_is(type, "image/") || type_is(type, "video/"))))
        return serve_refuse(
            wrong, 415,
            "Content-Type: wanted %s, application/json or multipart/form-data, got '%.100s'",
            encode ? "image/*, video/*, application/octet-stream" : "application/vnd.tessera",
            type);
    if (!x->size) return serve_refuse(wrong, 400, "body: wanted %s, got nothing", wanted);
    x->request.bytes = (uint8_t *)x->body;
    x->request.size = x->size;
    x->body = NULL;
    return true;
}

static const serve_format tokens_out[] = {{"json", "application/json"},
                                          {"tess", "application/vnd.tessera"},
                                          {"tess", "application/octet-stream"},
                                          {NULL, NULL}};
static const serve_format pictures_out[] = {{"png", "image/png"},
                                            {"jpg", "image/jpeg"},
                                            {"webp", "image/webp"},
                                            {"avif", "image/avif"},
                                            {"jxl", "image/jxl"},
                                            {"tiff", "image/tiff"},
                                            {NULL, NULL}};

/* The one that ?format= or the first known part of Accept names; else the first. */
static const serve_format *choose_format(const serve_exchange *x, const serve_format *known,
                                         serve_refusal *wrong) {
    char accept[sizeof x->accept], *rest = accept;
    const char *asked = x->request.format;
    for (const serve_format *f = known; asked && f->name; ++f)
        if (!strcmp(f->name, asked)) return f;
    if (asked) {
        serve_refuse(wrong, 400, "format: wanted %s, got '%.40s'",
                     known == tokens_out ? "json or tess" : "png, jpg, webp, avif, jxl or tiff",
                     asked);
        return NULL;
    }
    snprintf(accept, sizeof accept, "%s", x->accept);
    bool any = !*accept;
    for (char *part; (part = strsep(&rest, ","));) {
        part += strspn(part, " ");
        for (const serve_format *f = known; f->name; ++f)
            if (type_is(part, f->type)) return f;
        any |= type_is(part, "*/*") || (known == pictures_out && type_is(part, "image/*"));
    }
    if (any) return known;
    serve_refuse(wrong, 406, "Accept: wanted %s, got '%.100s'",
                 known == tokens_out ? "application/json or application/vnd.tessera" : "image/png",
                 x->accept);
    return NULL;
}

/* Gives work to the model; the queue was told to expect it. False: the answer says why not. */
static bool do_work(serve_server *s, serve_exchange *x, serve_work *w) {
    w->deadline = x->deadline;
    switch (serve_model_do(&s->model, w)) {
    case SERVE_QUEUE_DONE:
        break;
    case SERVE_QUEUE_LATE:
        serve_answer_error(x, 503, "the model had no time for this request within %u s",
                           s->limits.seconds);
        return false;
    case SERVE_QUEUE_FULL:
        serve_answer_error(x, 503, "too many requests wait for the model");
        return false;
    case SERVE_QUEUE_CLOSED:
        serve_answer_error(x, 503, "the server is stopping");
        return false;
    }
    if (w->status) serve_answer_status(x, w->status, w->detail);
    return !w->status;
}

/* ---- encode ---- */

/* The item as a token file. */
static void answer_file(tsr_context *ctx, serve_exchange *x, const encode_meaning *m,
                        const serve_work *w) {
    tsr_token_writer *writer = NULL;
    uint8_t *bytes = NULL;
    size_t size = 0;
    tsr_status status =
        tsr_token_writer_open_memory(ctx, &writer, tsr_item_header(w->item), &m->file);
    if (!status) status = tsr_token_writer_add(writer, tsr_item_tokens(w->item));
    if (!status)
        status = tsr_token_writer_close_memory(&writer, &bytes, &size);
    else
        tsr_token_writer_abandon(&writer);
    if (status)
        serve_answer_status(x, status, tsr_detail(ctx));
    else
        serve_answer_bytes(x, "application/vnd.tessera", bytes, size);
}

static bool read_picture(serve_server *s, tsr_context *ctx, serve_exchange *x,
                         const encode_meaning *m, serve_work *w) {
    serve_request *r = &x->request;
    uint8_t *rgb = NULL;
    const tsr_status status = tsr_picture_parse(
        ctx, r->name ? r->name : "picture", r->bytes, r->size, m->encode.fit.background,
        s->limits.pixels, &rgb, &w->picture.width, &w->picture.height, &w->picture.orientation);
    w->picture.rgb = rgb;
    w->picture.key = r->name ? r->name : "picture";
    free(r->bytes); /* a picture waits for the model without its file */
    r->bytes = NULL;
    if (status) serve_answer_status(x, status, tsr_detail(ctx));
    return !status;
}

static void encode(serve_server *s, tsr_context *ctx, serve_exchange *x) {
    static const common_options none = {0};
    serve_refusal wrong;
    args_refusal refusal;
    encode_meaning m;
    serve_work w = {0};
    serve_queue_expect(s->model.queue, 1);
    const serve_format *f = NULL;
    bool good = read_body(x, &wrong) && (f = choose_format(x, tokens_out, &wrong));
    if (good && !encode_meaning_fill(&x->request.choices, &none, &m, &refusal))
        good = serve_refuse(&wrong, 400, "%s", refusal.text);
    if (good && f == tokens_out && !s->model.header.codebook_size)
        good = serve_refuse(&wrong, 406, "%s makes vectors, not ids: ask for format=tess",
                            s->model.header.tokenizer);
    if (!good) {
        serve_queue_expect(s->model.queue, -1);
        serve_answer_refusal(x, &wrong);
        return;
    }
    const bool clip = tsr_video_recognised(x->request.bytes, x->request.size);
    if (clip || !read_picture(s, ctx, x, &m, &w)) {
        serve_queue_expect(s->model.queue, -1);
        if (clip && f == tokens_out)
            serve_answer_error(x, 406, "a video becomes a token file: ask for format=tess");
        else if (clip)
            serve_clip(s, ctx, x, &m);
        return;
    }
    w.settings = m.encode;
    const bool done = do_work(s, x, &w);
    free((void *)w.picture.rgb);
    if (done && f == tokens_out)
        serve_answer_item(x, &s->model, &w);
    else if (done)
        answer_file(ctx, x, &m, &w);
    if (done && w.together > 1)
        snprintf(x->answer.about, sizeof x->answer.about, "in a batch of %u", w.together);
    tsr_item_close(&w.item);
}

/* ---- decode ---- */

/* The items of a token file that the request names: one to decode; of a prompt all, where it names
 * none. */
static bool choose_items(tsr_context *ctx, serve_exchange *x, serve_tokens *t) {
    const serve_request *r = &x->request;
    const bool prompt = r->action == SERVE_PROMPT;
    const uint64_t count = tsr_token_file_properties(t->file)->items;
    const int named = prompt ? r->item_count : r->item != NULL;
    const uint64_t most = prompt ? SERVE_MOST_PICTURES : 1;
    tsr_status status = TSR_OK;
    t->count = count;
    if (named)
        status = tsr_token_file_select(t->file, prompt ? r->items : &r->item, named, &t->chosen,
                                       &t->count);
    if (status)
        serve_answer_status(x, status, tsr_detail(ctx));
    else if (!t->count || t->count > most)
        serve_answer_error(x, 400, "item: wanted the %s of %llu items",
                           prompt ? "numbers or the keys of at most 32"
                                  : "number or the key of one",
                           (unsigned long long)count);
    return !status && t->count && t->count <= most;
}

/* Ids that came as JSON as an item of the model. */
static bool place_ids(const serve_model *m, serve_ids *ids, tsr_token_header *h,
                      tsr_token_item *item, uint32_t *single, serve_refusal *wrong) {
    *h = m->header;
    if (!h->codebook_size || h->tile_frames)
        return serve_refuse(wrong, 422, "%s takes a token file, not ids", h->tokenizer);
    *single = (uint32_t)ids->count_of_ids;
    *item = (tsr_token_item){.key = "ids",
                             .source_width = h->tile_width,
                             .source_height = h->tile_height,
                             .orientation = 1,
                             .width = h->tile_width,
                             .height = h->tile_height,
                             .tile_columns = 1,
                             .tile_rows = 1,
                             .counts = single,
                             .ids = ids->ids};
    h->fit = TSR_FIT_CROP;
    uint64_t tiles = 1, total = 0;
    if (ids->placed) {
        h->fit = (tsr_fit)ids->fit;
        h->filter = ids->filter ? (uint32_t)ids->filter - 1 : h->filter;
        memcpy(h->background, ids->background, sizeof h->background);
        h->tile_width = ids->tile_width;
        h->tile_height = ids->tile_height;
        item->source_width = ids->source_width;
        item->source_height = ids->source_height;
        item->orientation = ids->orientation ? ids->orientation : 1;
        item->width = ids->width;
        item->height = ids->height;
        item->crop_x = ids->crop_x;
        item->crop_y = ids->crop_y;
        item->tile_columns = ids->tile_columns;
        item->tile_rows = ids->tile_rows;
        item->overlap = ids->overlap;
        item->counts = ids->counts;
        item->kept = ids->kept;
        tiles = (uint64_t)item->tile_columns * item->tile_rows;
        if (ids->count_of_counts != tiles)
            return serve_refuse(wrong, 400, "item.counts: wanted %llu numbers, got %llu",
                                (unsigned long long)tiles,
                                (unsigned long long)ids->count_of_counts);
    }
    for (uint64_t i = 0; i < tiles; ++i)
        total += item->counts[i];
    if (total != ids->count_of_ids)
        return serve_refuse(wrong, 400, "ids: wanted %llu as the counts say, got %llu",
                            (unsigned long long)total, (unsigned long long)ids->count_of_ids);
    const uint64_t mask = tiles * tsr_token_mask_bytes(tsr_token_positions(h));
    if (item->kept && ids->bytes_of_kept != mask)
        return serve_refuse(wrong, 400, "item.kept: wanted %llu bytes, got %llu",
                            (unsigned long long)mask, (unsigned long long)ids->bytes_of_kept);
    return true;
}

/* Tokens of other weights decode to noise, so they are refused. */
static bool same_weights(const serve_model *m, uint64_t hash, bool force, serve_refusal *wrong) {
    if (!hash || force || hash == m->header.weights_hash) return true;
    return serve_refuse(wrong, 409,
                        "wanted tokens of %s with weights %016llx, got weights %016llx; force=true "
                        "decodes them",
                        m->header.tokenizer, (unsigned long long)m->header.weights_hash,
                        (unsigned long long)hash);
}

/* Decodes the item and answers with the picture. */
static void decode_item(serve_server *s, tsr_context *ctx, serve_exchange *x, serve_work *w,
                        const serve_format *f) {
    const serve_request *r = &x->request;
    int width, height;
    tsr_item_size(w->header, w->tokens, &width, &height);
    const uint64_t frames = w->tokens->frames ? w->tokens->frames : 1;
    const uint64_t pixels =
        width > 0 && height > 0 ? (uint64_t)width * (uint64_t)height * frames : UINT64_MAX;
    uint8_t *bytes = NULL;
    size_t size = 0;
    if (pixels > s->limits.pixels || frames > 1) {
        serve_answer_error(x, frames > 1 ? 422 : 413,
                           frames > 1 ? "wanted a picture, got frames of a video"
                                      : "picture: wanted at most %llu pixels, got %dx%d",
                           (unsigned long long)s->limits.pixels, width, height);
        return;
    }
    w->rgb = malloc((size_t)pixels * 3);
    w->decode = true;
    w->decoding = (tsr_decode_settings){
        .tokens = r->choices.tokens,
        .sampling = {.steps = r->choices.steps,
                     .guidance = (float)r->choices.guidance,
                     .mode = (tsr_guidance_mode)r->choices.guidance_mode,
                     .seed = r->choices.seed},
    };
    const tsr_picture_write_settings how = {
        .format = f->name, .quality = (int)r->picture_quality, .lossless = r->lossless};
    serve_queue_expect(s->model.queue, 1);
    if (!w->rgb) {
        serve_queue_expect(s->model.queue, -1);
        serve_answer_error(x, 503, "no memory for a picture of %dx%d", width, height);
    } else if (do_work(s, x, w)) {
        const tsr_status status =
            tsr_picture_encode(ctx, width, height, w->rgb, &how, &bytes, &size);
        if (status)
            serve_answer_status(x, status, tsr_detail(ctx));
        else
            serve_answer_bytes(x, f->type, bytes, size);
    }
    free(w->rgb);
}

bool serve_tokens_open(serve_server *s, tsr_context *ctx, serve_exchange *x, serve_tokens *t) {
    serve_request *r = &x->request;
    serve_refusal wrong;
    bool good = read_body(x, &wrong);
    *t = (serve_tokens){0};
    /* What cannot be answered is refused before the tokens are looked at. */
    if (good && r->action == SERVE_DECODE)
        good = (t->format = choose_format(x, pictures_out, &wrong)) != NULL;
    if (good && r->ids_count) {
        t->count = (uint64_t)r->ids_count;
        good = same_weights(&s->model, r->weights, r->force, &wrong);
    } else if (good) {
        const tsr_status status = tsr_token_file_parse(ctx, &t->file, "body", r->bytes, r->size);
        if (status) {
            serve_answer_status(x, status, tsr_detail(ctx));
            return false;
        }
        t->header = *tsr_token_file_header(t->file);
        /* A prompt is made without the model. */
        good = same_weights(&s->model, t->header.weights_hash,
                            r->force || r->action == SERVE_PROMPT, &wrong);
        if (good) return choose_items(ctx, x, t);
    }
    if (!good) serve_answer_refusal(x, &wrong);
    return good;
}

bool serve_tokens_item(serve_server *s, tsr_context *ctx, serve_exchange *x, serve_tokens *t,
                       uint64_t index) {
    serve_refusal wrong;
    if (!t->file) {
        const bool good =
            place_ids(&s->model, &x->request.ids[index], &t->header, &t->item, &t->single, &wrong);
        if (!good) serve_answer_refusal(x, &wrong);
        return good;
    }
    const tsr_status status =
        tsr_token_file_item(t->file, t->chosen ? t->chosen[index] : index, &t->item);
    if (status) serve_answer_status(x, status, tsr_detail(ctx));
    return !status;
}

void serve_tokens_close(serve_tokens *t) {
    tsr_token_file_close(&t->file);
    free(t->chosen);
    t->chosen = NULL;
}

static void decode(serve_server *s, tsr_context *ctx, serve_exchange *x) {
    serve_tokens tokens;
    if (serve_tokens_open(s, ctx, x, &tokens) && serve_tokens_item(s, ctx, x, &tokens, 0)) {
        serve_work w = {.header = &tokens.header, .tokens = &tokens.item};
        decode_item(s, ctx, x, &w, tokens.format);
    }
    serve_tokens_close(&tokens);
}

/* ---- the others ---- */

static void health(serve_server *s, tsr_context *ctx, serve_exchange *x) {
    (void)ctx;
    const tsr_token_header *h = &s->model.header;
    char *text = NULL;
    size_t size = 0;
    uint32_t running, waiting;
    serve_workers_count(s->workers, &running, &waiting);
    FILE *f = open_memstream(&text, &size);
    if (f) {
        json_out j;
        json_open(&j, f);
        json_text(&j, "status", "ok");
        json_text(&j, "tessera", tsr_version());
        json_text(&j, "model", h->tokenizer);
        json_hash(&j, "weights_hash", h->weights_hash);
        json_text(&j, "device", s->model.device);
        json_uint(&j, "tokens_of_a_tile", tsr_token_positions(h));
        json_uint(&j, "tile_width", h->tile_width);
        json_uint(&j, "tile_height", h->tile_height);
        json_uint(&j, "codebook_size", h->codebook_size);
        json_bool(&j, "prefixes_decode", h->nested);
        json_uint(&j, "running", running);
        json_uint(&j, "waiting", waiting);
        json_close(&j);
    }
    if (f && !fclose(f))
        serve_answer_bytes(x, "application/json", text, size);
    else
        serve_answer_error(x, 503, "no memory");
}

static void metrics(serve_server *s, tsr_context *ctx, serve_exchange *x) {
    (void)ctx;
    char *text = NULL;
    size_t size = 0;
    serve_gauges g = {.model = s->model.header.tokenizer,
                      .device = s->model.device,
                      .weights_hash = s->model.header.weights_hash,
                      .queue = serve_queue_waiting(s->model.queue),
                      .connections = s->connections(s),
                      .seconds = serve_clock() - s->started};
    serve_workers_count(s->workers, &g.running, &g.waiting);
    FILE *f = open_memstream(&text, &size);
    if (f) serve_metrics_write(s->metrics, &g, f);
    if (f && !fclose(f))
        serve_answer_bytes(x, "text/plain; version=0.0.4; charset=utf-8", text, size);
    else
        serve_answer_error(x, 503, "no memory");
}

static void page(serve_server *s, tsr_context *ctx, serve_exchange *x) {
    (void)s, (void)ctx;
    x->answer = (serve_answer){.status = 200,
                               .type = "text/html; charset=utf-8",
                               .bytes = (char *)serve_page,
                               .size = strlen(serve_page),
                               .kept = true};
}

static const serve_route routes[] = {{"/", "GET", true, 0, page},
                                     {"/health", "GET", true, 0, health},
                                     {"/metrics", "GET", false, 0, metrics},
                                     {"/v1/encode", "POST", false, SERVE_ENCODE, encode},
                                     {"/v1/decode", "POST", false, SERVE_DECODE, decode},
                                     {"/v1/prompt", "POST", false, SERVE_PROMPT, serve_prompt}};

const serve_route *serve_route_find(const char *path) {
    for (size_t i = 0; i < sizeof routes / sizeof *routes; ++i)
        if (!strcmp(routes[i].path, path)) return &routes[i];
    return NULL;
}
