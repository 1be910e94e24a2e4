/* SPDX-License-Identifier: MIT */
/* serve_answer.c: what goes out; see serve.h. */
#include "serve.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void serve_answer_refusal(serve_exchange *x, const serve_refusal *refusal) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f) {
        json_out j;
        json_open(&j, f);
        json_object(&j, "error");
        json_text(&j, "code", refusal->code);
        json_text(&j, "message", refusal->text);
        json_end(&j, '}');
        json_close(&j);
    }
    if (!f || fclose(f)) {
        static char none[] = "{\"error\": {\"code\": \"busy\", \"message\": \"no memory\"}}\n";
        free(text);
        x->answer = (serve_answer){.status = 503,
                                   .type = "application/json",
                                   .bytes = none,
                                   .size = sizeof none - 1,
                                   .kept = true};
        return;
    }
    serve_answer_bytes(x, "application/json", text, size);
    x->answer.status = refusal->status;
    snprintf(x->answer.about, sizeof x->answer.about, "%.60s", refusal->text);
}

void serve_answer_error(serve_exchange *x, int status, const char *format, ...) {
    serve_refusal refusal;
    char text[sizeof refusal.text];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    serve_refuse(&refusal, status, "%s", text);
    serve_answer_refusal(x, &refusal);
}

static int http_status(tsr_status status) {
    switch (status) {
    case TSR_ERROR_ARGUMENT:
        return 400;
    case TSR_ERROR_TOO_LARGE:
        return 413;
    case TSR_ERROR_NOT_FOUND:
        return 404;
    case TSR_ERROR_FORMAT:
    case TSR_ERROR_TRUNCATED:
    case TSR_ERROR_CHECKSUM:
    case TSR_ERROR_VERSION:
    case TSR_ERROR_DAMAGED:
    case TSR_ERROR_TOKENS:
    case TSR_ERROR_UNSUPPORTED:
        return 422;
    case TSR_ERROR_MODEL_MISMATCH:
        return 409;
    case TSR_ERROR_MEMORY:
        return 503;
    case TSR_ERROR_INTERRUPTED:
        return 504;
    default:
        return 500;
    }
}

void serve_answer_status(serve_exchange *x, tsr_status status, const char *detail) {
    serve_answer_error(x, http_status(status), "%s%s%s", tsr_status_text(status),
                       *detail ? ": " : "", detail);
}

void serve_answer_bytes(serve_exchange *x, const char *type, void *bytes, size_t size) {
    x->answer = (serve_answer){.status = 200, .type = type, .bytes = bytes, .size = size};
}

static void write_item(json_out *j, const tsr_token_header *h, const tsr_token_item *item) {
    static const char *const fits[] = {"auto", "crop", "pad", "stretch", "tile"};
    static const char *const filters[] = {"bilinear", "bicubic", "lanczos"};
    char colour[8];
    const uint64_t tiles = (uint64_t)item->tile_columns * item->tile_rows;
    snprintf(colour, sizeof colour, "%02x%02x%02x", h->background[0], h->background[1],
             h->background[2]);
    json_object(j, "item");
    json_uint(j, "source_width", item->source_width);
    json_uint(j, "source_height", item->source_height);
    json_uint(j, "orientation", item->orientation);
    json_uint(j, "width", item->width);
    json_uint(j, "height", item->height);
    json_int(j, "crop_x", item->crop_x);
    json_int(j, "crop_y", item->crop_y);
    json_text(j, "fit", fits[h->fit <= TSR_FIT_TILE ? h->fit : 0]);
    json_text(j, "resample", filters[h->filter < 3 ? h->filter : 2]);
    json_text(j, "background", colour);
    json_uint(j, "tile_width", h->tile_width);
    json_uint(j, "tile_height", h->tile_height);
    json_uint(j, "tile_columns", item->tile_columns);
    json_uint(j, "tile_rows", item->tile_rows);
    json_uint(j, "overlap", item->overlap);
    json_numbers(j, "counts", item->counts, tiles);
    json_numbers(j, "ids", item->ids, tsr_token_item_total(item));
    if (item->kept)
        json_base64(j, "kept", item->kept, tiles * tsr_token_mask_bytes(tsr_token_positions(h)));
    json_end(j, '}');
}

void serve_answer_item(serve_exchange *x, const serve_model *m, const serve_work *w) {
    const tsr_token_header *h = tsr_item_header(w->item);
    const tsr_token_item *item = tsr_item_tokens(w->item);
    const uint64_t total = tsr_token_item_total(item), bits = tsr_token_bits(h);
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f) {
        json_out j;
        json_open(&j, f);
        json_text(&j, "model", m->header.tokenizer);
        json_hash(&j, "weights_hash", m->header.weights_hash);
        json_text(&j, "name", item->key);
        json_uint(&j, "token_count", total);
        json_uint(&j, "token_bits", bits);
        json_uint(&j, "id_bytes", (total * bits + 7) / 8);
        write_item(&j, h, item);
        json_close(&j);
    }
    if (f && !fclose(f)) {
        serve_answer_bytes(x, "application/json", text, size);
        return;
    }
    free(text);
    serve_answer_error(x, 503, "no memory for the answer");
}
