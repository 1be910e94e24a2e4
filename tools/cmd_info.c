/* SPDX-License-Identifier: MIT */
/* cmd_info.c: what a token file holds, without a model. */
#include "attribute_out.h"
#include "info_clips.h"
#include "info_shards.h"
#include "info_streams.h"
#include "info_video.h"
#include "token_damage.h"
#include "tool.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <tessera/media.h>

typedef struct info_options {
    common_options common;
    int ids, latents, check;
    const char *npy;
    double accuracy;
    text_list items, keys;
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
    {"item", 0, OPTION_TEXTS, offsetof(info_options, items), "N|KEY", "every item",
     "look at this item alone: its number from 0 on, a range or list of numbers (0,2,5-7), or its "
     "key; may be given several times",
     NULL, 0, 0},
    {"key", 0, OPTION_TEXTS, offsetof(info_options, keys), "KEY", NULL,
     "look at the first item of this key, also where the key reads as a number; may be given "
     "several "
     "times. A file that was written with an index of keys is not searched through",
     NULL, 0, 0},
    {"check", 0, OPTION_FLAG, offsetof(info_options, check), NULL, NULL,
     "read every item and every checksum of all files named, and the shards (*.tess) of folders, "
     "and "
     "say which are damaged",
     NULL, 0, 0},
    {"accuracy", 0, OPTION_REAL, offsetof(info_options, accuracy), "A", NULL,
     "accuracy in percent of a language model that got the clip codebooks of this file: print the "
     "token density, A for each token of a clip (newlines not counted)",
     NULL, 0, 100},
    {"npy", 0, OPTION_TEXT, offsetof(info_options, npy), "F.npy", NULL,
     "write the ids as an array of int32 [items, tiles * tokens]; all tiles must have as many ids, "
     "and all items as many tiles; '-' is stdout",
     NULL, 0, 0},
};

/* The file that is looked at, and what was found in it. */
typedef struct view {
    tool *t;
    tsr_token_file *file;
    uint64_t *indexes; /* of the items that are looked at; NULL: all */
    uint64_t count;
    token_damage damage;
    uint64_t tiles; /* of the items that can be read */
    stream_totals streams;
    double accuracy;               /* of --accuracy, 0: not said */
    uint64_t chosen, chosen_items; /* tokens of items whose tokenizer chose them */
    bool counted;                  /* tiles, chosen and damage are complete */
} view;

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

/* What most people ask for. */
static void print_totals(const char *path, const view *w) {
    const tsr_token_header *h = tsr_token_file_header(w->file);
    const tsr_token_file_info *f = tsr_token_file_properties(w->file);
    char clean[256], text[200];
    uint32_t count = 0;
    const tsr_attribute *list = tsr_token_file_attributes(w->file, &count);
    printf("file        %s\n", tool_clean(path, clean, sizeof clean));
    attribute_lines("attribute   ", list, count);
    printf("items       %" PRIu64 "\n", f->items);
    printf("tiles       %" PRIu64 "\n", w->tiles);
    if (f->tokens || !w->streams.streams)
        printf("tokens      %" PRIu64 ", %" PRIu64 " bits\n", f->tokens,
               f->tokens * tsr_token_bits(h));
    printf("bytes       %" PRIu64 ": header %" PRIu64 ", payload %" PRIu64 ", index %" PRIu64 "\n",
           f->bytes, f->header_bytes, f->payload_bytes, f->index_bytes);
    printf("tokenizer   %s (family %u), weights %016" PRIx64 "\n",
           tool_clean(h->tokenizer, clean, sizeof clean), h->family, h->weights_hash);
    printf("integrity   %s\n", token_damage_text(&w->damage, f->recovered != 0, text, sizeof text));
    if (w->chosen_items)
        printf("complexity  %.1f tokens an item (KC: what the tokenizer found it needs)\n",
               (double)w->chosen / (double)w->chosen_items);
    clip_lines(w->file);
    stream_totals_print(&w->streams, w->accuracy);
}

static void print_header(const view *w) {
    const tsr_token_header *h = tsr_token_file_header(w->file);
    const tsr_token_file_info *f = tsr_token_file_properties(w->file);
    printf("format      tess %u.%u%s\n", f->version_major, f->version_minor,
           f->key_index ? ", with an index of keys" : "");
    if (!f->tokens && w->streams.streams) return; /* the rest is of ids that are not there */
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
    if (h->frames) printf(", %u times", h->frames);
    printf("%s\n", h->nested ? ", any prefix decodes" : "");
    printf("tile        %ux%u", h->tile_width, h->tile_height);
    if (h->tile_frames) printf(" pixels, up to %u frames", h->tile_frames);
    printf(", fit %s, %s filter, background %02x%02x%02x\n", fit_name(h->fit),
           filter_name(h->filter), h->background[0], h->background[1], h->background[2]);
    if (h->hints.present)
        printf("decoding    %u steps, guidance %g (%s), seed %" PRIu64 "%s\n", h->hints.steps,
               (double)h->hints.guidance, h->hints.plain ? "cfg" : "apg", h->hints.seed,
               h->hints.fast ? ", fast precision" : "");
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
    stream_lines("        ", item);
    attribute_lines("        ", item->attributes, item->attribute_count);
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
    attribute_json(j, "attributes", item->attributes, item->attribute_count);
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
    stream_json(j, item);
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
    uint32_t count = 0;
    const tsr_attribute *list = tsr_token_file_attributes(file, &count);
    json_text(j, "file", path);
    attribute_json(j, "attributes", list, count);
    json_bool(j, "key_index", f->key_index != 0);
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
    if (h->tile_frames) {
        json_uint(j, "tile_frames", h->tile_frames);
        json_uint(j, "frames", h->frames);
    }
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

enum walk_kind { WALK_COUNT, WALK_LINES, WALK_VALUES };

/* Reads the items and does with each what `kind` says, or writes it to `j`. The first walk
 * counts and notes damage. */
static void walk(view *w, enum walk_kind kind, json_out *j, bool values) {
    const tsr_token_header *h = tsr_token_file_header(w->file);
    if (kind == WALK_LINES && w->count)
        printf("%6s  %-11s %-11s %-7s %8s %9s %9s  %-6s %s\n", "item", "source", "covered", "tiles",
               "tokens", "bits", "bytes", "coding", "key");
    for (uint64_t n = 0; n < w->count; ++n) {
        const uint64_t i = w->indexes ? w->indexes[n] : n;
        tsr_token_item item;
        tsr_status s = tsr_token_file_item(w->file, i, &item);
        if (s) {
            const char *detail = tsr_detail(w->t->ctx);
            if (j) {
                json_object(j, NULL);
                json_uint(j, "index", i);
                json_text(j, "error", detail);
                json_end(j, '}');
            }
            if (w->counted) continue;
            const tsr_token_damage damage = {
                .item = i,
                .offset = tsr_token_file_item_offset(w->file, i),
                .status = s,
                .detail = detail,
            };
            token_damage_add(&w->damage, &damage);
            continue;
        }
        if (!w->counted) token_damage_add_lost(&w->damage, w->file);
        if (!w->counted) {
            w->tiles += (uint64_t)item.tile_columns * item.tile_rows;
            w->chosen += item.kept ? tsr_token_item_total(&item) : 0;
            w->chosen_items += item.kept != NULL;
            stream_totals_add(&w->streams, &item);
        }
        if (j)
            json_item(j, w->file, i, &item, values);
        else if (kind == WALK_VALUES)
            print_values(i, h, &item);
        else if (kind == WALK_LINES)
            print_item(w->file, i, &item);
    }
    w->counted = true;
}

static void print_json(view *w, const char *path, bool values) {
    json_out j;
    tool_json(w->t, &j);
    json_header(&j, path, w->file);
    json_array(&j, "items");
    walk(w, WALK_COUNT, &j, values);
    json_end(&j, ']');
    json_uint(&j, "tiles", w->tiles);
    clip_json(&j, w->file);
    stream_totals_json(&j, &w->streams, w->accuracy);
    token_damage_json(&w->damage, &j, tsr_token_file_properties(w->file)->recovered != 0);
    json_close(&j);
}

static void print_text(view *w, const char *path, bool lines) {
    walk(w, WALK_COUNT, NULL, false);
    print_totals(path, w);
    print_header(w);
    if (!lines || !w->count) return;
    putchar('\n');
    walk(w, WALK_LINES, NULL, false);
}

/* The ids of the items as rows of one array; false with a text where they do not make one. */
static bool gather(view *w, uint32_t **ids, uint64_t *rows, uint32_t *columns, char *why,
                   size_t why_size) {
    uint32_t tokens = 0, tiles = 0;
    size_t room = 0, used = 0;
    *rows = 0;
    for (uint64_t n = 0; n < w->count; ++n) {
        const uint64_t i = w->indexes ? w->indexes[n] : n;
        tsr_token_item item;
        if (tsr_token_file_item(w->file, i, &item)) continue; /* said in the first walk */
        const uint32_t here = item.tile_columns * item.tile_rows;
        if (!*rows) tiles = here, tokens = item.counts[0];
        for (uint32_t t = 0; t < here; ++t)
            if (here != tiles || item.counts[t] != tokens || item.kept) {
                snprintf(why, why_size,
                         "wanted as many ids in every tile (%u) and as many tiles in every item "
                         "(%u), got %u ids in tile %u of %u of item %" PRIu64
                         "%s; --json --ids holds ids of any shape",
                         tokens, tiles, item.counts[t], t, here, i,
                         item.kept ? ", at places of their own" : "");
                return false;
            }
        const size_t size = (size_t)tsr_token_item_total(&item);
        if (used + size > room) {
            room = 2 * (used + size);
            uint32_t *more = realloc(*ids, (room ? room : 1) * sizeof *more);
            if (!more) {
                snprintf(why, why_size, "no memory for %zu ids", room);
                return false;
            }
            *ids = more;
        }
        if (size) memcpy(*ids + used, item.ids, size * sizeof *item.ids);
        used += size;
        ++*rows;
    }
    if ((uint64_t)tiles * tokens > INT32_MAX) {
        snprintf(why, why_size, "wanted at most 2^31-1 ids in an item, got more");
        return false;
    }
    *columns = tiles * tokens;
    return true;
}

static int write_npy(view *w, const char *path) {
    uint32_t *ids = NULL, columns = 0;
    uint64_t rows = 0;
    char why[400];
    int code = -1;
    if (!gather(w, &ids, &rows, &columns, why, sizeof why))
        code = tool_fail_text(w->t, TSR_ERROR_UNSUPPORTED, "--npy: %s", why);
    else if (!rows || !columns)
        code = tool_fail_text(w->t, TSR_ERROR_UNSUPPORTED, "--npy: wanted ids, got none");
    else {
        tsr_status s = tsr_ids_write(w->t->ctx, path, ids, rows, columns);
        if (s) code = tool_fail(w->t, s);
    }
    free(ids);
    if (code < 0 && strcmp(path, "-") != 0)
        tool_say(w->t, "%s: int32 [%" PRIu64 ", %u]", path, rows, columns);
    return code;
}

/* The exit code of a wrong choice of output for the kind of tokens, or -1. */
static int check_kind(view *w, const info_options *o, const char *path) {
    const uint32_t channels = tsr_token_file_header(w->file)->channels;
    if (channels && (o->ids || o->npy))
        return tool_fail_text(w->t, TSR_ERROR_UNSUPPORTED,
                              "%s: wanted ids, got vectors of %u numbers: --latents prints them",
                              path, channels);
    if (!channels && o->latents)
        return tool_fail_text(w->t, TSR_ERROR_UNSUPPORTED,
                              "%s: wanted a continuous model's vectors, got ids: --ids prints them",
                              path);
    return -1;
}

static int by_number(const void *a, const void *b) {
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* Which items are looked at: those of --item and --key, each once in rising order, or all. Returns
 * -1, or the exit code after a failure. */
static int choose(view *w, const info_options *o) {
    const size_t keys = (size_t)o->keys.count;
    w->count = tsr_token_file_properties(w->file)->items;
    if (!o->items.count && !keys) return -1;
    uint64_t found = 0, kept = 0;
    tsr_status s = TSR_OK;
    if (o->items.count)
        s = tsr_token_file_select(w->file, o->items.at, o->items.count, &w->indexes, &found);
    if (s) return tool_fail(w->t, s);
    uint64_t *more = realloc(w->indexes, ((size_t)found + keys) * sizeof *more);
    if (!more) return tool_fail_text(w->t, TSR_ERROR_MEMORY, "no memory for the choice of items");
    w->indexes = more;
    for (size_t i = 0; i < keys; ++i)
        if ((s = tsr_token_file_find(w->file, o->keys.at[i], &more[found++])))
            return tool_fail(w->t, s);
    qsort(more, (size_t)found, sizeof *more, by_number);
    for (uint64_t i = 0; i < found; ++i)
        if (!kept || more[kept - 1] != more[i]) more[kept++] = more[i];
    w->count = kept;
    return -1;
}

static int look(view *w, const info_options *o, const char *path) {
    tsr_status s = tsr_token_file_open(w->t->ctx, &w->file, path);
    if (s) return tool_fail(w->t, s);
    int code = check_kind(w, o, path);
    if (code >= 0) return code;
    code = choose(w, o);
    if (code >= 0) return code;
    const bool recovered = tsr_token_file_properties(w->file)->recovered != 0;
    token_damage_add_places(&w->damage, w->file);
    if (o->npy) {
        walk(w, WALK_COUNT, NULL, false);
        code = write_npy(w, o->npy);
        if (code >= 0) return code;
    }
    if (o->npy && strcmp(o->npy, "-") == 0)
        ; /* stdout is the array's */
    else if (o->common.json)
        print_json(w, path, o->ids || o->latents);
    else if (o->ids || o->latents)
        walk(w, WALK_VALUES, NULL, true);
    else if (w->indexes)
        walk(w, WALK_LINES, NULL, false);
    else if (!o->npy)
        print_text(w, path, o->common.verbose > 0);
    return token_damage_none(&w->damage, recovered) ? EXIT_DONE : EXIT_NEGATIVE;
}

static int look_at_one(tool *t, const info_options *o, const char *path) {
    view w = {.t = t, .accuracy = o->accuracy};
    token_damage_open(&w.damage, t);
    const int code = look(&w, o, path);
    token_damage_close(&w.damage);
    free(w.indexes);
    tsr_token_file_close(&w.file);
    return code;
}

/* --check, and a folder. */
static int look_at_shards(tool *t, const info_options *o, char **paths, int count) {
    shard_list files = {0};
    int code = -1;
    for (int i = 0; i < count && code < 0; ++i)
        code = shard_list_add(t, &files, paths[i]);
    if (code < 0) code = o->check ? info_check(t, &files) : info_folder(t, paths[0], &files);
    shard_list_free(&files);
    return code;
}

/* What cannot be asked of many files, or -1. */
static int check_options(const verb *v, const info_options *o, char **paths, int count) {
    const bool folder = !o->check && count == 1 && shard_is_folder(paths[0]);
    if (count > 1 && !o->check)
        return args_wrong(v, "wanted one FILE.tess or DIR, got %d; --check takes several", count);
    if (!folder && !o->check) return -1;
    if (o->ids || o->latents || o->npy || o->items.count || o->keys.count)
        return args_wrong(v,
                          "--ids, --latents, --npy, --item and --key are for one file, without %s",
                          folder ? "a folder" : "--check");
    return -1;
}

static int run(const verb *v, int argc, char **argv) {
    info_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if ((code = check_options(v, &o, argv, operands)) >= 0) return code;
    if (o.npy && strcmp(o.npy, "-") == 0 && o.common.json)
        return args_wrong(v, "--json and --npy - would both write to stdout");
    if (o.npy && (code = tool_not_input(v, o.npy, argv[0])) >= 0) return code;
    if (o.npy && (code = tool_output(v, &o.common, o.npy)) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    if (o.check || shard_is_folder(argv[0]))
        code = look_at_shards(&t, &o, argv, operands);
    else if (tsr_video_is(argv[0]))
        code = info_video(&t, argv[0]);
    else
        code = look_at_one(&t, &o, argv[0]);
    tool_close(&t);
    return code;
}

const verb verb_info = {
    .name = "info",
    .summary = "say what a token file or a folder of them holds, and whether it is whole",
    .usage = "tessera info FILE.tess [--item N|KEY] [--key KEY] [--ids | --latents] [--npy F.npy "
             "[-f]]\n"
             "               [--accuracy A] [--json]\n"
             "tessera info DIR [--json]\n"
             "tessera info VIDEO [--json]\n"
             "tessera info --check FILE.tess|DIR... [--json]",
    .about =
        "Of a video file: what FFmpeg finds in it, and what would be assumed. Of a token file: "
        "how many items, tiles, tokens and bytes there are, the tokenizer and the hash of "
        "its "
        "weights, whether the file is whole, codebook, geometry and preprocessing. With -v, or for "
        "the items of --item, a line for each item: size of the source, size of the picture the "
        "tiles cover, tiles, tokens, bits, bytes and coding. Every item is read, so that damage is "
        "found: a cut or damaged file is read as far as it goes, and each damaged place gets a "
        "line. Clips get a line each: which items are their frames, their times, and what was "
        "known or assumed of the source. Attributes of the file come first, those of an item under "
        "its line, behind its "
        "streams. Of "
        "clip codebooks it says tokens and bytes, which are not the same thing.\n\n"
        "Of a folder: the totals of its shards (*.tess), their tokenizers, how many codes of the "
        "codebook are used, and the perplexity of the ids: 2 to the power of the entropy, in bits, "
        "of how often each code is used, which is the number of codes that would say as much if "
        "all "
        "were used alike.\n\n"
        "With --check every item and checksum of all files is read, and the index of keys is "
        "compared with the items. Damaged files get a line, with -v whole ones too.",
    .exits = "1 when a file is cut or damaged; what could be read is printed all the same",
    .examples = "# what is inside\n"
                "tessera info photo.tess\n"
                "# a line for each picture\n"
                "tessera info -v album.tess\n"
                "# the ids as an array for NumPy, int32 [items, tiles * tokens]\n"
                "tessera info album.tess --npy ids.npy\n"
                "# the ids, for a language model or a diff\n"
                "tessera info --ids photo.tess\n"
                "# totals of a folder of shards, use of the codebook\n"
                "tessera info shards/\n"
                "# is everything whole?\n"
                "tessera info --check shards/ album.tess\n"
                "# tokens of each item\n"
                "tessera info --json album.tess | jq '.items[] | [.key, .tokens]'",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 1,
    .most_operands = -1,
    .operands = "FILE.tess",
    .run = run,
};
