/* SPDX-License-Identifier: MIT */
/* info_shards.c: see info_shards.h. */
#include "info_shards.h"
#include "token_damage.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- totals of a folder -------------------------------------------------------------------- */

/* A histogram of more codes is not made: it would take more than 128 MB. */
enum { MOST_CODES = 1 << 24, MOST_KINDS = 64 };

/* Files of one tokenizer. */
typedef struct kind {
    tsr_token_header header;
    uint64_t files, items, tokens;
    uint64_t *uses; /* [codebook_size], how often each code occurs; NULL: not counted */
} kind;

typedef struct totals {
    tool *t;
    kind kinds[MOST_KINDS];
    int count;
    uint64_t items, tokens, bytes, bits;
    uint64_t damaged; /* files */
    bool recovered;
    token_damage damage;
} totals;

/* The tokenizer of a file among those seen; NULL when there are too many. */
static kind *kind_of(totals *s, const tsr_token_header *h) {
    for (int i = 0; i < s->count; ++i) {
        const tsr_token_header *k = &s->kinds[i].header;
        if (!strcmp(k->tokenizer, h->tokenizer) && k->weights_hash == h->weights_hash &&
            k->codebook_size == h->codebook_size && k->channels == h->channels)
            return &s->kinds[i];
    }
    if (s->count == MOST_KINDS) return NULL;
    kind *k = &s->kinds[s->count++];
    *k = (kind){.header = *h};
    if (h->codebook_size && h->codebook_size <= MOST_CODES)
        k->uses = calloc(h->codebook_size, sizeof *k->uses);
    return k;
}

/* Says that a file cannot be opened, as damage without an item. */
static void unopened(token_damage *d, tsr_status status) {
    const tsr_token_damage damage = {
        .item = TSR_NO_ITEM, .status = status, .detail = tsr_detail(d->t->ctx)};
    token_damage_add(d, &damage);
}

/* Reads item `index`; false, and the damage noted, when it cannot be read. */
static bool read_item(token_damage *d, tsr_token_file *file, uint64_t index, tsr_token_item *item) {
    const tsr_status s = tsr_token_file_item(file, index, item);
    if (!s) {
        token_damage_add_lost(d, file);
        return true;
    }
    const tsr_token_damage damage = {.item = index,
                                     .offset = tsr_token_file_item_offset(file, index),
                                     .status = s,
                                     .detail = tsr_detail(d->t->ctx)};
    token_damage_add(d, &damage);
    return false;
}

static uint64_t all_damage(const token_damage *d) {
    return d->items + d->places + d->lost;
}

static void add_file(totals *s, const char *path) {
    tsr_token_file *file;
    const uint64_t before = all_damage(&s->damage);
    const tsr_status status = tsr_token_file_open(s->t->ctx, &file, path);
    if (status) {
        unopened(&s->damage, status);
        s->damaged++;
        return;
    }
    const tsr_token_file_info *f = tsr_token_file_properties(file);
    kind *k = kind_of(s, tsr_token_file_header(file));
    token_damage_add_places(&s->damage, file);
    s->bytes += f->bytes;
    if (k) k->files++;
    for (uint64_t i = 0; i < f->items; ++i) {
        tsr_token_item item;
        if (!read_item(&s->damage, file, i, &item)) continue;
        const uint64_t n = tsr_token_item_total(&item);
        s->items++;
        s->tokens += n;
        s->bits += n * tsr_token_bits(tsr_token_file_header(file));
        if (!k) continue;
        k->items++;
        k->tokens += n;
        for (uint64_t id = 0; k->uses && id < n; ++id)
            k->uses[item.ids[id]]++;
    }
    s->recovered |= f->recovered != 0;
    s->damaged += f->recovered || all_damage(&s->damage) != before;
    tsr_token_file_close(&file);
}

/* 2^entropy of the histogram: so many codes, all as frequent, would say as much. 0 without ids. */
static double perplexity(const kind *k, uint64_t *used) {
    double bits = 0;
    *used = 0;
    for (uint32_t c = 0; c < k->header.codebook_size; ++c) {
        if (!k->uses[c]) continue;
        const double p = (double)k->uses[c] / (double)k->tokens;
        bits -= p * log2(p);
        ++*used;
    }
    return k->tokens ? exp2(bits) : 0;
}

static void kind_text(const kind *k) {
    char clean[80], count[32];
    uint64_t used;
    printf("tokenizer   %s (family %u), weights %016" PRIx64 ": %s\n",
           tool_clean(k->header.tokenizer, clean, sizeof clean), k->header.family,
           k->header.weights_hash, tool_count(k->files, "file", count));
    if (k->header.channels) {
        printf("codes       none: continuous, %u channels\n", k->header.channels);
        return;
    }
    if (!k->uses) {
        printf("codes       %u, their use is not counted\n", k->header.codebook_size);
        return;
    }
    const double p = perplexity(k, &used);
    printf("codes       %" PRIu64 " of %u used (%.1f %%)\n", used, k->header.codebook_size,
           100.0 * (double)used / k->header.codebook_size);
    printf("perplexity  %.1f of %u (2^entropy of how often each code is used)\n", p,
           k->header.codebook_size);
}

static void kind_json(json_out *j, const kind *k) {
    uint64_t used = 0;
    json_object(j, NULL);
    json_text(j, "tokenizer", k->header.tokenizer);
    json_uint(j, "family", k->header.family);
    json_hash(j, "weights_hash", k->header.weights_hash);
    json_uint(j, "codebook_size", k->header.codebook_size);
    json_uint(j, "channels", k->header.channels);
    json_uint(j, "files", k->files);
    json_uint(j, "items", k->items);
    json_uint(j, "tokens", k->tokens);
    if (k->uses) {
        const double p = perplexity(k, &used);
        json_uint(j, "codes_used", used);
        json_real(j, "perplexity", p);
    } else {
        json_null(j, "codes_used");
        json_null(j, "perplexity");
    }
    json_end(j, '}');
}

static void print_folder(totals *s, const char *folder, size_t files) {
    char clean[256];
    printf("folder      %s\n", tool_clean(folder, clean, sizeof clean));
    printf("files       %zu\n", files);
    printf("items       %" PRIu64 "\n", s->items);
    printf("tokens      %" PRIu64 ", %" PRIu64 " bits\n", s->tokens, s->bits);
    printf("bytes       %" PRIu64 "\n", s->bytes);
    for (int i = 0; i < s->count; ++i)
        kind_text(&s->kinds[i]);
    if (s->damaged)
        printf("integrity   not whole: %" PRIu64 " of %zu files cut or damaged\n", s->damaged,
               files);
    else
        printf("integrity   whole\n");
}

int info_folder(tool *t, const char *folder, const shard_list *files) {
    totals *s = calloc(1, sizeof *s);
    if (!s) return tool_fail_text(t, TSR_ERROR_MEMORY, "no memory for the totals");
    s->t = t;
    token_damage_open(&s->damage, t);
    for (size_t i = 0; i < files->count; ++i)
        add_file(s, files->at[i]);
    if (t->o->json) {
        json_out j;
        tool_json(t, &j);
        json_text(&j, "folder", folder);
        json_uint(&j, "files", files->count);
        json_uint(&j, "items", s->items);
        json_uint(&j, "tokens", s->tokens);
        json_uint(&j, "bits", s->bits);
        json_uint(&j, "bytes", s->bytes);
        json_array(&j, "tokenizers");
        for (int i = 0; i < s->count; ++i)
            kind_json(&j, &s->kinds[i]);
        json_end(&j, ']');
        json_uint(&j, "damaged_files", s->damaged);
        token_damage_json(&s->damage, &j, s->recovered);
        json_close(&j);
    } else {
        print_folder(s, folder, files->count);
    }
    if (s->count > 1)
        tool_warn(t, "%s: %d tokenizers: ids of one mean nothing to another", folder, s->count);
    const int code = s->damaged ? EXIT_NEGATIVE : EXIT_DONE;
    for (int i = 0; i < s->count; ++i)
        free(s->kinds[i].uses);
    token_damage_close(&s->damage);
    free(s);
    return code;
}

/* ---- checking ------------------------------------------------------------------------------ */

typedef struct checked {
    uint64_t items, tokens, bytes; /* of one file, or of all */
} checked;

/* An index of keys that does not lead from the key of an item to it, or to one before it of the
 * same key, does not belong to these items. */
static void check_key(token_damage *d, tsr_token_file *file, uint64_t index, const char *key) {
    uint64_t found = 0;
    char text[300];
    if (!tsr_token_file_properties(file)->key_index) return;
    if (!tsr_token_file_find(file, key, &found) && found <= index) return;
    snprintf(text, sizeof text, "item %" PRIu64 ": its key is not where the index of keys says",
             index);
    const tsr_token_damage damage = {.item = TSR_NO_ITEM,
                                     .offset = tsr_token_file_item_offset(file, index),
                                     .status = TSR_ERROR_FORMAT,
                                     .detail = text};
    token_damage_add(d, &damage);
}

/* Reads everything of a file. False when it cannot be opened. */
static bool check_file(token_damage *d, const char *path, checked *c, bool *recovered) {
    tsr_token_file *file;
    const tsr_status status = tsr_token_file_open(d->t->ctx, &file, path);
    *recovered = false;
    if (status) {
        unopened(d, status);
        return false;
    }
    const tsr_token_file_info *f = tsr_token_file_properties(file);
    token_damage_add_places(d, file);
    for (uint64_t i = 0; i < f->items; ++i) {
        tsr_token_item item;
        if (!read_item(d, file, i, &item)) continue;
        c->items++;
        c->tokens += tsr_token_item_total(&item);
        check_key(d, file, i, item.key);
    }
    c->bytes = f->bytes;
    *recovered = f->recovered != 0;
    tsr_token_file_close(&file);
    return true;
}

/* One file of the list: its line, or its entry of the document. */
static bool check_one(tool *t, const char *path, json_out *j, checked *all) {
    token_damage damage;
    checked c = {0};
    bool recovered;
    char clean[256], text[200], items[32], tokens[32];
    token_damage_open(&damage, t);
    const bool opened = check_file(&damage, path, &c, &recovered);
    const bool whole = token_damage_none(&damage, recovered);
    if (j) {
        json_object(j, NULL);
        json_text(j, "file", path);
        json_uint(j, "items", c.items);
        json_uint(j, "tokens", c.tokens);
        json_uint(j, "bytes", c.bytes);
        token_damage_json(&damage, j, recovered);
        json_end(j, '}');
    } else if (!whole || t->o->verbose) {
        printf("%s: %s; %s, %s\n", tool_clean(path, clean, sizeof clean),
               opened ? token_damage_text(&damage, recovered, text, sizeof text)
                      : "not readable as a token file",
               tool_count(c.items, "item", items), tool_count(c.tokens, "token", tokens));
    }
    token_damage_close(&damage);
    all->items += c.items;
    all->tokens += c.tokens;
    all->bytes += c.bytes;
    return whole;
}

int info_check(tool *t, const shard_list *files) {
    json_out document, *j = t->o->json ? &document : NULL;
    checked all = {0};
    uint64_t damaged = 0;
    char count[32], items[32], tokens[32];
    if (j) {
        tool_json(t, j);
        json_array(j, "files");
    }
    for (size_t i = 0; i < files->count; ++i)
        damaged += !check_one(t, files->at[i], j, &all);
    if (j) {
        json_end(j, ']');
        json_uint(j, "file_count", files->count);
        json_uint(j, "damaged_files", damaged);
        json_uint(j, "items", all.items);
        json_uint(j, "tokens", all.tokens);
        json_uint(j, "bytes", all.bytes);
        json_bool(j, "whole", damaged == 0);
        json_close(j);
    } else {
        printf("%s, %s, %s: ", tool_count(files->count, "file", count),
               tool_count(all.items, "item", items), tool_count(all.tokens, "token", tokens));
        if (damaged)
            printf("%" PRIu64 " damaged\n", damaged);
        else
            puts("whole");
    }
    return damaged ? EXIT_NEGATIVE : EXIT_DONE;
}
