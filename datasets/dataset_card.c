/* SPDX-License-Identifier: MIT */
/* dataset_card.c: see dataset_card.h. */
#include "dataset_card.h"

static void put_text(tsr_bytes *b, const char *key, const char *text) {
    tsr_json_put_format(b, ",\n  \"%s\": ", key);
    tsr_json_put(b, text, strlen(text), true);
}

static void put_number(tsr_bytes *b, const char *key, uint64_t number) {
    tsr_json_put_format(b, ",\n  \"%s\": %llu", key, (unsigned long long)number);
}

tsr_status tsr_dataset_card_write(tsr_data_folder *folder, const tsr_dataset_card *card) {
    const tsr_token_header *h = card->header;
    const tsr_vocabulary *v = card->vocabulary;
    tsr_data_file file = {.fd = -1};
    tsr_bytes b = {0};
    tsr_json_put_format(&b, "{\n  \"format\": \"%s\"", card->format);
    if (*card->report->layout) put_text(&b, "layout", card->report->layout);
    put_text(&b, "dtype", *card->report->dtype ? card->report->dtype : "text");
    put_text(&b, "tokenizer", h->tokenizer);
    tsr_json_put_format(&b, ",\n  \"weights_hash\": \"%016llx\"",
                        (unsigned long long)h->weights_hash);
    put_number(&b, "codebook_size", h->codebook_size);
    put_text(&b, "geometry", h->geometry == TSR_GEOMETRY_GRID ? "grid" : "sequence");
    put_number(&b, "rows", h->rows);
    put_number(&b, "columns", h->columns);
    put_number(&b, "tile_width", h->tile_width);
    put_number(&b, "tile_height", h->tile_height);
    if (v) {
        tsr_json_put_format(&b, ",\n  \"vocabulary\": {\"name\": ");
        tsr_json_put(&b, v->name, strlen(v->name), true);
        tsr_json_put_format(&b, ", \"revision\": ");
        tsr_json_put(&b, v->revision, strlen(v->revision), true);
        tsr_json_put_format(&b, ", \"n_vocab\": %llu, \"first_id\": %llu, \"sha256\": \"%s\"}",
                            (unsigned long long)v->numbers, (unsigned long long)v->first_id,
                            v->sha256);
    } else {
        tsr_json_put_format(&b, ",\n  \"vocabulary\": null");
    }
    put_number(&b, "items", card->report->items);
    put_number(&b, "tokens", card->report->tokens);
    for (int i = 0; i < card->split_count; ++i)
        tsr_json_put_format(&b, "%s\"%s\": %llu", i ? ", " : ",\n  \"splits\": {",
                            card->splits[i].name, (unsigned long long)card->split_items[i]);
    tsr_json_put_format(&b, "%s\n}\n", card->split_count ? "}" : "");
    tsr_status s = b.failed
                       ? tsr_fail(folder->ctx, TSR_ERROR_MEMORY, TSR_DATASET_CARD ": no memory")
                       : tsr_data_file_open(folder, "", TSR_DATASET_CARD, &file);
    if (!s) s = tsr_data_file_put(&file, b.at, b.size);
    if (!s) s = tsr_data_file_close(&file);
    tsr_data_file_abandon(&file);
    tsr_bytes_free(&b);
    return s;
}
