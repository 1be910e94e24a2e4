/* SPDX-License-Identifier: MIT */
/* cmd_info.c: what a token file holds, without a model. */
#include "tool.h"

#include <inttypes.h>
#include <string.h>

typedef struct info_options {
    common_options common;
    int ids, latents;
} info_options;

static const option options[] = {
    {"ids", 0, OPTION_FLAG, offsetof(info_options, ids), NULL, NULL,
     "print the ids: a line for each tile with item, tile and its ids, separated by blanks; with "
     "--json an array in each item",
     NULL, 0, 0},
    {"latents", 0, OPTION_FLAG, offsetof(info_options, latents), NULL, NULL,
     "the same of a continuous model's vectors: a line for each vector with item, tile, position "
     "and its numbers; with --json one array in each item",
     NULL, 0, 0},
};

typedef struct totals {
    uint64_t tokens, unreadable;
    uint64_t chosen, chosen_items; /* tokens of items whose tokenizer chose them */
} totals;

static const char *const fits[] = {"auto", "crop", "pad", "stretch", "tile"};
static const char *const filters[] = {"bilinear", "bicubic", "lanczos"};

static const char *fit_name(tsr_fit fit) {
    return (unsigned)fit < 5 ? fits[fit] : "unknown";
}

static const char *filter_name(uint32_t filter) {
    return filter < 3 ? filters[filter] : "unknown";
}

static const char *latent_name(const tsr_token_header *h) {
    return h->latent_type == TSR_LATENT_F16 ? "f16" : "f32";
}

static void print_header(const char *path, tsr_token_file *file) {
    const tsr_token_header *h = tsr_token_file_header(file);
    const tsr_token_file_info *f = tsr_token_file_properties(file);
    char clean[256];
    printf("file        %s\n", tool_clean(path, clean, sizeof clean));
    printf("format      tess %u.%u\n", f->version_major, f->version_minor);
    printf("tokenizer   %s (family %u), weights %016" PRIx64 "\n",
           tool_clean(h->tokenizer, clean, sizeof clean), h->family, h->weights_hash);
    if (h->channels) {
        printf("codebook    none: continuous, %u channels, %s, %u bits a vector\n", h->channels,
               latent_name(h), tsr_token_bits(h));
    } else {
        printf("codebook    %u codes", h->codebook_size);
        if (h->level_count) {
            printf(" (FSQ");
            for (uint32_t i = 0; i < h->level_count; ++i)
                printf(" %u", h->levels[i]);
            printf(")");
        }
        printf(", %u bits an id\n", tsr_token_bits(h));
    }
    if (h->geometry == TSR_GEOMETRY_GRID)
        printf("geometry    grid of %u rows and %u columns a tile", h->rows, h->columns);
    else
        printf("geometry    sequence of up to %u %s a tile", h->columns,
               h->channels ? "vectors" : "ids");
    printf("%s\n", h->nested ? ", any prefix decodes" : "");
    printf("tile        %ux%u, fit %s, %s filter, background %02x%02x%02x\n", h->tile_width,
           h->tile_height, fit_name(h->fit), filter_name(h->filter), h->background[0],
           h->background[1], h->background[2]);
    if (h->hints.present)
        printf("decoding    %u steps, guidance %g (%s), seed %" PRIu64 "%s\n", h->hints.steps,
               (double)h->hints.guidance, h->hints.plain ? "cfg" : "apg", h->hints.seed,
               h->hints.fast ? ", fast precision" : "");
}

static void print_bytes(tsr_token_file *file) {
    const tsr_token_file_info *f = tsr_token_file_properties(file);
    uint64_t bits = f->tokens * tsr_token_bits(tsr_token_file_header(file));
    printf("items       %" PRIu64 "\n", f->items);
    printf("tokens      %" PRIu64 ", %" PRIu64 " bits\n", f->tokens, bits);
    printf("bytes       %" PRIu64 ": header %" PRIu64 ", payload %" PRIu64 ", index %" PRIu64 "\n",
           f->bytes, f->header_bytes, f->payload_bytes, f->index_bytes);
}

static void print_item(tsr_token_file *file, uint64_t index, const tsr_token_item *item) {
    uint64_t bytes = 0, total = tsr_token_item_total(item);
    const char *coding = "?";
    char clean[256], source[32], covered[32], tiles[32];
    tsr_token_file_item_storage(file, index, &bytes, &coding);
    snprintf(source, sizeof source, "%ux%u", item->source_width, item->source_height);
    snprintf(covered, sizeof covered, "%ux%u", item->width, item->height);
    snprintf(tiles, sizeof tiles, "%ux%u", item->tile_columns, item->tile_rows);
    printf("%6" PRIu64 "  %-11s %-11s %-7s %8" PRIu64 " %9" PRIu64 " %9" PRIu64 "  %-6s %s\n",
           index, source, covered, tiles, total,
           total * tsr_token_bits(tsr_token_file_header(file)), bytes, coding,
           tool_clean(item->key, clean, sizeof clean));
}

/* A line for each tile. A kept mask puts ids at positions of their own: those are written
 * "position=id". Vectors have a line each. */
static void print_values(uint64_t index, const tsr_token_header *h, const tsr_token_item *item) {
    const uint32_t *id = item->ids;
    const float *vector = item->latents;
    uint64_t tiles = (uint64_t)item->tile_columns * item->tile_rows;
    const uint32_t positions = tsr_token_positions(h);
    const size_t stride = tsr_token_mask_bytes(positions);
    for (uint64_t tile = 0; tile < tiles; ++tile) {
        if (!vector) printf("%" PRIu64 " %" PRIu64, index, tile);
        uint32_t position = 0;
        const uint8_t *kept = item->kept ? item->kept + tile * stride : NULL;
        for (uint32_t i = 0; i < item->counts[tile]; ++i, ++position) {
            while (kept && position < positions && !(kept[position / 8] >> position % 8 & 1))
                position++;
            if (vector) {
                printf("%" PRIu64 " %" PRIu64 " %u", index, tile, position);
                for (uint32_t c = 0; c < h->channels; ++c)
                    printf(" %.9g", (double)*vector++);
                putchar('\n');
            } else if (kept)
                printf(" %u=%u", position, *id++);
            else
                printf(" %u", *id++);
        }
        if (!vector) putchar('\n');
    }
}

static void json_item(json_out *j, tsr_token_file *file, uint64_t index, const tsr_token_item *item,
                      bool values) {
    uint64_t bytes = 0, total = tsr_token_item_total(item);
    uint64_t tiles = (uint64_t)item->tile_columns * item->tile_rows;
    const char *coding = NULL;
    tsr_token_file_item_storage(file, index, &bytes, &coding);
    json_object(j, NULL);
    json_uint(j, "index", index);
    json_text(j, "key", item->key);
    json_uint(j, "source_width", item->source_width);
    json_uint(j, "source_height", item->source_height);
    json_uint(j, "orientation", item->orientation);
    json_uint(j, "width", item->width);
    json_uint(j, "height", item->height);
    json_int(j, "crop_x", item->crop_x);
    json_int(j, "crop_y", item->crop_y);
    json_uint(j, "tile_columns", item->tile_columns);
    json_uint(j, "tile_rows", item->tile_rows);
    json_uint(j, "overlap", item->overlap);
    json_real(j, "time", item->time);
    json_real(j, "quality", item->quality);
    if (item->target.metric) {
        json_object(j, "target");
        json_text(j, "metric", tsr_target_name(item->target.metric));
        json_real(j, "wanted", item->target.threshold);
        json_real(j, "reached", item->target.reached);
        json_end(j, '}');
    } else {
        json_null(j, "target");
    }
    json_uint(j, "tokens", total);
    if (item->kept)
        json_uint(j, "complexity", total);
    else
        json_null(j, "complexity");
    json_uint(j, "bits", total * tsr_token_bits(tsr_token_file_header(file)));
    json_uint(j, "bytes", bytes);
    json_text(j, "coding", coding);
    json_array(j, "counts");
    for (uint64_t tile = 0; tile < tiles; ++tile)
        json_uint(j, NULL, item->counts[tile]);
    json_end(j, ']');
    if (values && item->latents)
        json_floats(j, "latents", item->latents, total * tsr_token_file_header(file)->channels);
    else if (values)
        json_numbers(j, "ids", item->ids, total);
    json_end(j, '}');
}

static void json_header(json_out *j, const char *path, tsr_token_file *file) {
    const tsr_token_header *h = tsr_token_file_header(file);
    const tsr_token_file_info *f = tsr_token_file_properties(file);
    char background[16];
    snprintf(background, sizeof background, "%02x%02x%02x", h->background[0], h->background[1],
             h->background[2]);
    json_text(j, "file", path);
    json_uint(j, "version_major", f->version_major);
    json_uint(j, "version_minor", f->version_minor);
    json_text(j, "tokenizer", h->tokenizer);
    json_uint(j, "family", h->family);
    json_hash(j, "weights_hash", h->weights_hash);
    json_uint(j, "codebook_size", h->codebook_size);
    json_uint(j, "channels", h->channels);
    json_text(j, "latent_type", h->channels ? latent_name(h) : NULL);
    json_numbers(j, "levels", h->levels, h->level_count);
    json_uint(j, "bits_per_token", tsr_token_bits(h));
    json_text(j, "geometry", h->geometry == TSR_GEOMETRY_GRID ? "grid" : "sequence");
    json_uint(j, "rows", h->rows);
    json_uint(j, "columns", h->columns);
    json_bool(j, "nested", h->nested != 0);
    json_uint(j, "tile_width", h->tile_width);
    json_uint(j, "tile_height", h->tile_height);
    json_text(j, "fit", fit_name(h->fit));
    json_text(j, "filter", filter_name(h->filter));
    json_text(j, "background", background);
    if (h->hints.present) {
        json_object(j, "decoding");
        json_uint(j, "steps", h->hints.steps);
        json_real(j, "guidance", (double)h->hints.guidance);
        json_text(j, "guidance_mode", h->hints.plain ? "cfg" : "apg");
        json_uint(j, "seed", h->hints.seed);
        json_text(j, "precision", h->hints.fast ? "fast" : "f32");
        json_end(j, '}');
    }
    json_uint(j, "item_count", f->items);
    json_uint(j, "tokens", f->tokens);
    json_uint(j, "bits", f->tokens * tsr_token_bits(h));
    json_uint(j, "bytes", f->bytes);
    json_uint(j, "header_bytes", f->header_bytes);
    json_uint(j, "payload_bytes", f->payload_bytes);
    json_uint(j, "index_bytes", f->index_bytes);
}

static void walk(tool *t, tsr_token_file *file, bool values, json_out *j, totals *sum) {
    const tsr_token_file_info *f = tsr_token_file_properties(file);
    if (!j && !values && f->items)
        printf("\n%6s  %-11s %-11s %-7s %8s %9s %9s  %-6s %s\n", "item", "source", "covered",
               "tiles", "tokens", "bits", "bytes", "coding", "key");
    for (uint64_t i = 0; i < f->items; ++i) {
        tsr_token_item item;
        tsr_status s = tsr_token_file_item(file, i, &item);
        if (s) {
            sum->unreadable++;
            tool_say(t, "tessera info: item %" PRIu64 ": %s: %s", i, tsr_status_text(s),
                     tsr_detail(t->ctx));
            continue;
        }
        sum->tokens += tsr_token_item_total(&item);
        if (item.kept) {
            sum->chosen += tsr_token_item_total(&item);
            sum->chosen_items++;
        }
        if (j)
            json_item(j, file, i, &item, values);
        else if (values)
            print_values(i, tsr_token_file_header(file), &item);
        else
            print_item(file, i, &item);
    }
}

static int run(const verb *v, int argc, char **argv) {
    info_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    tsr_token_file *file = NULL;
    tsr_status s = tsr_token_file_open(t.ctx, &file, argv[0]);
    if (s) {
        code = tool_fail(&t, s);
        tool_close(&t);
        return code;
    }
    const tsr_token_file_info *f = tsr_token_file_properties(file);
    const uint32_t channels = tsr_token_file_header(file)->channels;
    const bool values = o.ids || o.latents;
    if (channels ? o.ids : o.latents) {
        code = channels ? tool_fail_text(&t, TSR_ERROR_UNSUPPORTED,
                                         "%s: wanted ids, got vectors of %u numbers: --latents "
                                         "prints them",
                                         argv[0], channels)
                        : tool_fail_text(&t, TSR_ERROR_UNSUPPORTED,
                                         "%s: wanted a continuous model's vectors, got ids: --ids "
                                         "prints them",
                                         argv[0]);
        tsr_token_file_close(&file);
        tool_close(&t);
        return code;
    }
    totals sum = {0};
    if (o.common.json) {
        json_out j;
        tool_json(&t, &j);
        json_header(&j, argv[0], file);
        json_array(&j, "items");
        walk(&t, file, values, &j, &sum);
        json_end(&j, ']');
        json_bool(&j, "recovered", f->recovered);
        json_int(&j, "damaged", f->damaged);
        json_uint(&j, "unreadable_items", sum.unreadable);
        json_bool(&j, "whole", !f->recovered && !f->damaged && !sum.unreadable);
        json_close(&j);
    } else if (values) {
        walk(&t, file, true, NULL, &sum);
    } else {
        print_header(argv[0], file);
        print_bytes(file);
        if (!f->recovered && !f->damaged)
            printf("integrity   whole\n");
        else
            printf("integrity   not whole:%s %d damaged chunks left out\n",
                   f->recovered ? " index missing, items found by scanning," : "", f->damaged);
        walk(&t, file, false, NULL, &sum);
        if (sum.chosen_items)
            printf("\ncomplexity  %.1f tokens an item (KC: what the tokenizer found it needs)\n",
                   (double)sum.chosen / (double)sum.chosen_items);
    }
    bool whole = !f->recovered && !f->damaged && !sum.unreadable;
    tsr_token_file_close(&file);
    tool_close(&t);
    return whole ? EXIT_DONE : EXIT_NEGATIVE;
}

const verb verb_info = {
    .name = "info",
    .summary = "say what a token file holds, and whether it is whole",
    .usage = "tessera info FILE.tess [--ids | --latents] [--json]",
    .about =
        "Prints the tokenizer and the hash of its weights, codebook, geometry, preprocessing, the "
        "bytes of each part, and a line for each item: size of the source, size of the picture "
        "the tiles cover, tiles, tokens, bits, bytes and coding. Every item is read, so that "
        "damage is found. A cut or damaged file is read as far as it goes.",
    .exits = "1 when the file is cut or damaged; what could be read is printed all the same",
    .examples = "# what is inside\n"
                "tessera info photo.tess\n"
                "# the ids, for a language model or a diff\n"
                "tessera info --ids photo.tess\n"
                "# tokens of each item\n"
                "tessera info --json album.tess | jq '.items[] | [.key, .tokens]'",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE.tess",
    .run = run,
};
