/* SPDX-License-Identifier: MIT */
/* dataset_export.c: tsr_export. Token files are read twice: first everything is looked at, so that
 * nothing is written of a data set that cannot be whole; then it is written. */
#include "dataset_card.h"
#include "item_records.h"
#include "key_set.h"
#include "vocabulary.h"
#include "../formats/hash.h"
#include "../formats/utf8.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_SPLITS = 64 };
#define PLAIN "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"

typedef struct part { /* of the items: all of them, or a split */
    tsr_dataset_plan plan;
    tsr_dataset_output output;
    char prefix[80];
    double until; /* of the hash, 0..1 */
    void *writer;
    tsr_key_set keys;
    uint64_t written, labels, captions; /* items with one */
    uint64_t text_labels;
} part;

typedef struct exporter {
    tsr_context *ctx;
    const tsr_export_settings *settings;
    const tsr_dataset_format *format;
    tsr_path_list paths;
    tsr_token_file *stdin_file; /* read once, used twice */
    tsr_token_header header;
    bool has_header;
    bool mapped;
    tsr_vocabulary vocabulary;
    uint64_t numbers; /* that an id may be */
    tsr_item_record item;
    part *parts;
    int part_count;
    tsr_data_folder folder;
    tsr_export_report report;
    int recovered, damaged;
    uint64_t total, done;
    uint64_t bytes; /* attributes of bytes, which no format takes */
    char name[64];  /* of the data: the tokenizer's, as a file may be called */
} exporter;

typedef tsr_status (*record_fn)(exporter *ex, part *p, const char *where, const tsr_record *r);

/* ---- the inputs ------------------------------------------------------------------------------ */

static tsr_status add_input(exporter *ex, const char *path) {
    tsr_context *ctx = ex->ctx;
    const size_t before = ex->paths.count;
    if (tsr_data_is_folder(NULL, path)) {
        tsr_status s = tsr_data_list(ctx, NULL, path, ".tess", true, &ex->paths);
        if (!s && ex->paths.count == before)
            s = tsr_fail(ctx, TSR_ERROR_NOT_FOUND,
                         "%s: wanted token files (*.tess) in the folder, got none", path);
        return s;
    }
    tsr_status s =
        tsr_grow(ctx, &ex->paths.at, &ex->paths.room, before + 1, sizeof *ex->paths.at, "paths");
    if (s) return s;
    ex->paths.at[before] = strdup(path);
    if (!ex->paths.at[before])
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for a path", path);
    ++ex->paths.count;
    return TSR_OK;
}

/* One data set has the ids of one codebook. */
static tsr_status check_header(exporter *ex, const char *path, const tsr_token_header *h) {
    tsr_context *ctx = ex->ctx;
    if (h->channels)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: wanted ids, got vectors of %u numbers",
                        path, h->channels);
    if (!ex->has_header) {
        ex->header = *h;
        ex->has_header = true;
        return TSR_OK;
    }
    const tsr_token_header *first = &ex->header;
    if (strcmp(h->tokenizer, first->tokenizer) || h->weights_hash != first->weights_hash ||
        h->codebook_size != first->codebook_size || h->geometry != first->geometry ||
        h->frames != first->frames || h->rows != first->rows || h->columns != first->columns)
        return tsr_fail(
            ctx, TSR_ERROR_MODEL_MISMATCH,
            "%s: wanted tokens of %s (%u codes, %u x %u, weights %016llx) as in %s, got %s (%u "
            "codes, %u x %u, weights %016llx)",
            path, first->tokenizer, first->codebook_size, first->rows, first->columns,
            (unsigned long long)first->weights_hash, ex->paths.at[0], h->tokenizer,
            h->codebook_size, h->rows, h->columns, (unsigned long long)h->weights_hash);
    return TSR_OK;
}

static part *choose_part(exporter *ex, const char *key) {
    const double place = (double)(tsr_hash64(key, strlen(key), 0) >> 11) * 0x1p-53;
    int i = 0;
    while (i + 1 < ex->part_count && place >= ex->parts[i].until)
        ++i;
    return &ex->parts[i];
}

static tsr_status report_progress(exporter *ex, const char *what) {
    const tsr_export_settings *set = ex->settings;
    ++ex->done;
    if (!set->progress || !set->progress(set->progress_user, what, ex->done, ex->total))
        return TSR_OK;
    return tsr_fail(ex->ctx, TSR_ERROR_INTERRUPTED, "export: stopped after %llu items",
                    (unsigned long long)ex->done);
}

static void tell(exporter *ex, const tsr_token_damage *damage) {
    if (ex->settings->damaged) ex->settings->damaged(ex->settings->damaged_user, damage);
}

/* Gives every item of a token file that can be read to `fn`; damage is told the first time. */
static tsr_status walk_file(exporter *ex, const char *path, tsr_token_file *file, bool first,
                            record_fn fn) {
    tsr_context *ctx = ex->ctx;
    const tsr_token_file_info *info = tsr_token_file_properties(file);
    tsr_token_damage damage;
    tsr_status s = check_header(ex, path, tsr_token_file_header(file));
    if (first && !s) {
        ex->total += info->items;
        ex->recovered |= info->recovered;
        ex->damaged += info->damaged;
        for (int i = 0; i < info->damaged && !tsr_token_file_damage(file, i, &damage); ++i)
            tell(ex, &damage);
    }
    for (uint64_t i = 0; !s && i < info->items; ++i) {
        tsr_token_item item;
        char where[700];
        s = tsr_token_file_item(file, i, &item);
        if (s && s != TSR_ERROR_MEMORY) {
            if (first) {
                tsr_token_file_item_damage(file, i, s, &damage);
                tell(ex, &damage);
                ++ex->report.unreadable;
            }
            s = TSR_OK;
            continue;
        }
        snprintf(where, sizeof where, "%.500s: item %llu", path, (unsigned long long)i);
        if (!s) s = tsr_item_to_record(ctx, where, &ex->header, &item, &ex->item);
        tsr_record *r = &ex->item.record;
        part *p = s ? NULL : choose_part(ex, r->key);
        if (!s && ex->mapped && (ex->vocabulary.eol_between || ex->vocabulary.eol_every) &&
            r->rank != 2)
            s = tsr_fail(
                ctx, TSR_ERROR_UNSUPPORTED,
                "%s: wanted rows and columns, which the vocabulary ends rows with, got ids of %d "
                "axes",
                where, r->rank);
        if (!s && ex->mapped) s = tsr_vocabulary_apply(ctx, &ex->vocabulary, r);
        if (!s) s = fn(ex, p, where, r);
        if (!s) s = report_progress(ex, first ? "check" : "export");
    }
    return s;
}

static tsr_status walk(exporter *ex, bool first, record_fn fn) {
    tsr_status s = TSR_OK;
    ex->done = 0;
    for (size_t i = 0; !s && i < ex->paths.count; ++i) {
        const char *path = ex->paths.at[i];
        const bool pipe = !strcmp(path, "-");
        tsr_token_file *file = pipe ? ex->stdin_file : NULL;
        if (!file) s = tsr_token_file_open(ex->ctx, &file, path);
        if (!s) s = walk_file(ex, path, file, first, fn);
        if (pipe)
            ex->stdin_file = file;
        else
            tsr_token_file_close(&file);
    }
    return s;
}

/* ---- looking --------------------------------------------------------------------------------- */

static size_t code_points(const char *text, size_t size) {
    size_t n = 0;
    for (size_t i = 0; i < size; ++i)
        n += ((uint8_t)text[i] & 0xC0) != 0x80;
    return n;
}

static tsr_status look(exporter *ex, part *p, const char *where, const tsr_record *r) {
    tsr_context *ctx = ex->ctx;
    tsr_dataset_plan *plan = &p->plan;
    const tsr_attribute *label = tsr_record_attribute(r, "label", TSR_ATTRIBUTE_INTEGER);
    const tsr_attribute *caption = tsr_record_attribute(r, "caption", TSR_ATTRIBUTE_TEXT);
    const size_t points = code_points(r->key, strlen(r->key));
    const size_t caption_points = caption ? code_points(caption->bytes, caption->size) : 0;
    bool there;
    if ((ex->format->flags & TSR_DATASET_NO_EMPTY) && !r->count)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "%s: '%s': wanted ids, which %s cannot do without, got "
                        "none",
                        where, r->key, ex->format->name);
    if (ex->format->flags & TSR_DATASET_KEYS) {
        if (!*r->key)
            return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: key: wanted one for %s, got none",
                            where, ex->format->name);
        tsr_status s = tsr_key_set_add(ctx, &p->keys, r->key, &there);
        if (s) return s;
        if (there)
            return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                            "%s: key: wanted one of its own for %s, got '%s' "
                            "again",
                            where, ex->format->name, r->key);
    }
    for (uint32_t i = 0; i < r->attribute_count; ++i) {
        const tsr_attribute *a = &r->attributes[i];
        ex->bytes += a->type == TSR_ATTRIBUTE_BYTES;
        if (a->type == TSR_ATTRIBUTE_TEXT && !tsr_utf8_valid(a->bytes, a->size, NULL))
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: attribute %s: wanted UTF-8, got other bytes", where, a->name);
    }
    if (!plan->items) {
        plan->rank = r->rank;
        memcpy(plan->shape, r->shape, sizeof plan->shape);
        plan->equal_shapes = plan->labels = plan->captions = true;
    }
    plan->equal_shapes &=
        plan->rank == r->rank && !memcmp(plan->shape, r->shape, sizeof *r->shape * (size_t)r->rank);
    plan->labels &= label != NULL;
    plan->captions &= caption != NULL;
    p->labels += label != NULL;
    p->text_labels += tsr_record_attribute(r, "label", TSR_ATTRIBUTE_TEXT) != NULL;
    p->captions += caption != NULL;
    plan->modes |= tsr_record_attribute(r, "mode", TSR_ATTRIBUTE_INTEGER) != NULL;
    if (points > plan->key_points) plan->key_points = points;
    if (caption_points > plan->caption_points) plan->caption_points = caption_points;
    ++plan->items;
    plan->tokens += r->count;
    return TSR_OK;
}

/* ---- the plan -------------------------------------------------------------------------------- */

static tsr_status choose_type(exporter *ex, tsr_id_type *type) {
    tsr_context *ctx = ex->ctx;
    const tsr_dataset_format *f = ex->format;
    const char *dtype = ex->settings->dtype;
    const unsigned long long highest = (unsigned long long)ex->numbers - 1;
    *type = TSR_ID_U32;
    if (!f->choose && dtype)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "dtype: wanted none, since ids are text in %s, got %s", f->name, dtype);
    if (!f->choose) return TSR_OK;
    if (!dtype)
        *type = f->choose(ex->numbers);
    else if (!tsr_id_type_find(dtype, type))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "dtype: wanted u8, u16, u32, u64, i8, i16, i32 or i64, got "
                        "%s",
                        dtype);
    if (!(f->types & 1u << *type))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "dtype: wanted a type that %s has, got %s",
                        f->name, tsr_id_type_name(*type));
    if (tsr_id_type_most(*type) < highest)
        return tsr_fail(
            ctx, TSR_ERROR_UNSUPPORTED,
            "dtype: wanted a type that holds ids up to %llu, got %s, which ends at %llu", highest,
            tsr_id_type_name(*type), (unsigned long long)tsr_id_type_most(*type));
    return TSR_OK;
}

/* Place of a word in "a|b|c", or -1. */
static int find_word(const char *words, const char *word) {
    const size_t n = strlen(word);
    for (int i = 0; words && *words; ++i) {
        const size_t m = strcspn(words, "|");
        if (n == m && !memcmp(words, word, n)) return i;
        words += m + (words[m] == '|');
    }
    return -1;
}

static void word_at(const char *words, int index, char to[16]) {
    while (index-- > 0 && words)
        words += strcspn(words, "|") + 1;
    snprintf(to, 16, "%.*s", words ? (int)strcspn(words, "|") : 0, words ? words : "");
}

/* The layout of a part: "auto" is the next one of the list where all shapes are equal, and else the
 * one behind it. */
static const char *part_layout(const exporter *ex, const part *p, char to[16]) {
    snprintf(to, 16, "%s", ex->report.layout);
    if (strcmp(to, "auto")) return to;
    const bool equal = p->plan.equal_shapes && p->plan.items && p->plan.rank < TSR_RECORD_MAX_RANK;
    word_at(ex->format->layouts, equal ? 1 : 2, to);
    return to;
}

static bool plain_name(const char *name) {
    const size_t n = strlen(name);
    return n && n < 64 && strspn(name, PLAIN) == n;
}

static tsr_status make_parts(exporter *ex) {
    tsr_context *ctx = ex->ctx;
    const tsr_export_settings *set = ex->settings;
    double sum = 0, until = 0;
    if (set->split_count < 0 || set->split_count > MAX_SPLITS)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "splits: wanted at most %d, got %d", MAX_SPLITS,
                        set->split_count);
    ex->part_count = set->split_count ? set->split_count : 1;
    ex->parts = tsr_alloc(ctx, (size_t)ex->part_count, sizeof *ex->parts, "splits");
    if (!ex->parts) return TSR_ERROR_MEMORY;
    for (int i = 0; i < set->split_count; ++i) {
        if (!set->splits[i].name || !plain_name(set->splits[i].name) ||
            !(set->splits[i].weight > 0) || !(set->splits[i].weight < 1e9))
            return tsr_fail(
                ctx, TSR_ERROR_ARGUMENT,
                "splits: wanted a name of letters, digits, '-' and '_' and a weight above 0, got "
                "%.80s",
                set->splits[i].name ? set->splits[i].name : "none");
        for (int k = 0; k < i; ++k)
            if (!strcmp(set->splits[i].name, set->splits[k].name))
                return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "splits: %s: wanted once, got twice",
                                set->splits[i].name);
        sum += set->splits[i].weight;
    }
    for (int i = 0; i < set->split_count; ++i) {
        until += set->splits[i].weight;
        ex->parts[i].until = until / sum;
        snprintf(ex->parts[i].prefix, sizeof ex->parts[i].prefix, "%s/", set->splits[i].name);
    }
    return TSR_OK;
}

static const char *chosen(const char *name, const char *own) {
    return name ? name : own ? own : "";
}

/* A column's name may be a suffix or a member's name: no path. */
static tsr_status check_names(exporter *ex) {
    const tsr_dataset_names *n = &ex->settings->names;
    const char *const all[] = {n->ids, n->key, n->label, n->caption, n->shape};
    for (int i = 0; i < 5; ++i)
        if (all[i] &&
            (!*all[i] || strlen(all[i]) > 60 || strchr(all[i], '/') || all[i][0] == '.' ||
             !tsr_utf8_valid(all[i], strlen(all[i]), NULL) || tsr_token_key_problem(all[i])))
            return tsr_fail(ex->ctx, TSR_ERROR_ARGUMENT,
                            "names: wanted 1 to 60 bytes without '/', got '%.60s'", all[i]);
    return TSR_OK;
}

/* What is known before anything is read but the headers. */
static tsr_status prepare(exporter *ex, const char *const *inputs, int count) {
    const tsr_export_settings *set = ex->settings;
    tsr_status s = check_names(ex);
    for (int i = 0; !s && i < count; ++i)
        s = inputs[i]
                ? add_input(ex, inputs[i])
                : tsr_fail(ex->ctx, TSR_ERROR_ARGUMENT, "export: input: wanted a path, got NULL");
    if (!s) s = make_parts(ex);
    if (!s && set->layout && find_word(ex->format->layouts, set->layout) < 0)
        s = tsr_fail(ex->ctx, TSR_ERROR_ARGUMENT, "layout: wanted %s%s for %s, got %s",
                     ex->format->layouts ? "one of " : "none",
                     ex->format->layouts ? ex->format->layouts : "", ex->format->name, set->layout);
    if (s) return s;
    if (set->layout)
        snprintf(ex->report.layout, sizeof ex->report.layout, "%s", set->layout);
    else
        word_at(ex->format->layouts, 0, ex->report.layout);
    ex->mapped = set->vocabulary != NULL;
    return ex->mapped ? tsr_vocabulary_load(ex->ctx, set->vocabulary, &ex->vocabulary) : TSR_OK;
}

/* With the header of the inputs: the types that hold every id. */
static tsr_status plan_types(exporter *ex) {
    tsr_id_type type;
    if (!ex->has_header)
        return tsr_fail(ex->ctx, TSR_ERROR_ARGUMENT, "export: wanted a token file, got none");
    if (ex->mapped && ex->header.codebook_size > ex->vocabulary.codes)
        return tsr_fail(ex->ctx, TSR_ERROR_UNSUPPORTED,
                        "vocabulary %s: wanted a block of %u codes, as %s has, got %llu",
                        ex->vocabulary.name, ex->header.codebook_size, ex->header.tokenizer,
                        (unsigned long long)ex->vocabulary.codes);
    ex->numbers = ex->mapped ? ex->vocabulary.numbers : ex->header.codebook_size;
    snprintf(ex->name, sizeof ex->name, "%s", ex->header.tokenizer);
    for (char *c = ex->name; *c; ++c)
        if (!strchr(PLAIN, *c)) *c = '_';
    tsr_status s = choose_type(ex, &type);
    if (!s && ex->format->choose)
        snprintf(ex->report.dtype, sizeof ex->report.dtype, "%s", tsr_id_type_name(type));
    const tsr_export_settings *set = ex->settings;
    const tsr_dataset_names *n = &set->names;
    const tsr_dataset_columns *own = &ex->format->columns;
    for (int i = 0; !s && i < ex->part_count; ++i) {
        tsr_dataset_plan *plan = &ex->parts[i].plan;
        plan->type = type;
        plan->shard_items = set->shard_items;
        plan->shard_bytes = set->shard_bytes;
        plan->group = set->group ? set->group : 1;
        plan->name = set->name ? set->name : ex->name;
        plan->codebook_size = ex->numbers > UINT32_MAX ? UINT32_MAX : (uint32_t)ex->numbers;
        plan->columns = (tsr_dataset_columns){
            chosen(n->ids, own->ids), chosen(n->key, own->key), chosen(n->label, own->label),
            chosen(n->caption, own->caption), chosen(n->shape, own->shape)};
    }
    if (!s && set->name && !plain_name(set->name))
        s = tsr_fail(ex->ctx, TSR_ERROR_ARGUMENT,
                     "name: wanted letters, digits, '-' and '_', at most 63, got '%.80s'",
                     set->name);
    return s;
}

/* ---- writing --------------------------------------------------------------------------------- */

static tsr_status write_record(exporter *ex, part *p, const char *where, const tsr_record *r) {
    if (p->written == p->plan.items)
        return tsr_fail(ex->ctx, TSR_ERROR_STATE, "%s: the input changed while it was exported",
                        where);
    ++p->written;
    return ex->format->add(p->writer, r);
}

/* A column that some items have no value for is left out: that is said. */
static void tell_columns(exporter *ex, const part *p) {
    const struct {
        const char *name;
        uint64_t items;
    } all[] = {{"label", p->labels}, {"caption", p->captions}};
    for (int i = 0; i < 2; ++i)
        if (all[i].items && all[i].items < p->plan.items &&
            (ex->format->flags & TSR_DATASET_COLUMNS))
            tsr_log(ex->ctx, TSR_LOG_WARNING,
                    "%s%s: %llu of %llu items have one, so there is no such column", p->prefix,
                    all[i].name, (unsigned long long)all[i].items,
                    (unsigned long long)p->plan.items);
}

static void tell_texts(exporter *ex, const part *p) {
    if (p->text_labels && (ex->format->flags & TSR_DATASET_COLUMNS))
        tsr_log(ex->ctx, TSR_LOG_WARNING,
                "%slabel: %llu of %llu items have a text, so there is no column of numbers",
                p->prefix, (unsigned long long)p->text_labels, (unsigned long long)p->plan.items);
}

/* Replacing a folder must not cost an input that lies in it. */
static tsr_status check_inputs(exporter *ex, const char *output) {
    char *folder = realpath(output, NULL);
    tsr_status s = TSR_OK;
    const size_t n = folder ? strlen(folder) : 0;
    for (size_t i = 0; folder && !s && i < ex->paths.count; ++i) {
        char *input = realpath(ex->paths.at[i], NULL);
        if (input && !strncmp(input, folder, n) && input[n] == '/')
            s = tsr_fail(ex->ctx, TSR_ERROR_ARGUMENT,
                         "%s: wanted a folder without the inputs, got that of %s", output,
                         ex->paths.at[i]);
        free(input);
    }
    free(folder);
    return s;
}

static tsr_status write_parts(exporter *ex) {
    tsr_status s = TSR_OK;
    char layout[64][16];
    for (int i = 0; !s && i < ex->part_count; ++i) {
        part *p = &ex->parts[i];
        p->plan.layout = part_layout(ex, p, layout[i]);
        tell_columns(ex, p);
        tell_texts(ex, p);
        p->output = (tsr_dataset_output){
            .ctx = ex->ctx, .folder = &ex->folder, .prefix = p->prefix, .plan = &p->plan};
        s = ex->format->begin(&p->output, &p->writer);
    }
    if (!s) s = walk(ex, false, write_record);
    for (int i = 0; !s && i < ex->part_count; ++i) {
        part *p = &ex->parts[i];
        if (p->written != p->plan.items)
            s = tsr_fail(ex->ctx, TSR_ERROR_STATE,
                         "export: wanted %llu items as before, got %llu: the input "
                         "changed while it was exported",
                         (unsigned long long)p->plan.items, (unsigned long long)p->written);
        if (!s) s = ex->format->finish(p->writer);
        ex->report.items += p->plan.items;
        ex->report.tokens += p->plan.tokens;
        ex->report.changed_keys += p->output.changed_keys;
        snprintf(ex->report.layout, sizeof ex->report.layout, "%s", p->plan.layout);
    }
    return s;
}

static tsr_status write_card(exporter *ex) {
    const tsr_export_settings *set = ex->settings;
    tsr_dataset_card card = {.format = ex->format->name,
                             .report = &ex->report,
                             .header = &ex->header,
                             .vocabulary = ex->mapped ? &ex->vocabulary : NULL,
                             .split_count = set->split_count,
                             .splits = set->splits};
    for (int i = 0; i < set->split_count; ++i)
        card.split_items[i] = ex->parts[i].plan.items;
    return ex->folder.temporary ? tsr_dataset_card_write(&ex->folder, &card) : TSR_OK;
}

static tsr_status export_all(exporter *ex, const char *const *inputs, int count,
                             const char *output) {
    tsr_context *ctx = ex->ctx;
    const bool pipe = !strcmp(output, "-");
    if (pipe && (!(ex->format->flags & TSR_DATASET_STREAM) || ex->settings->split_count))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "-: wanted a folder, since %s is no stream, got stdout",
                        ex->settings->split_count ? "a data set with splits" : ex->format->name);
    if (pipe && (ex->settings->shard_items || ex->settings->shard_bytes))
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "-: wanted a folder for shards, got stdout");
    tsr_status s = tsr_data_folder_check(ctx, output);
    if (!s) s = prepare(ex, inputs, count);
    if (!s && !pipe) s = check_inputs(ex, output);
    if (!s) s = walk(ex, true, look);
    if (!s) s = plan_types(ex);
    if (!s) s = tsr_data_folder_open(ctx, output, &ex->folder);
    if (!s) s = write_parts(ex);
    if (!s && ex->report.changed_keys)
        tsr_log(ctx, TSR_LOG_WARNING, "%llu keys: '_' stands for dots, at which %s would cut them",
                (unsigned long long)ex->report.changed_keys, ex->format->name);
    if (!s && ex->bytes)
        tsr_log(ctx, TSR_LOG_WARNING, "%llu attributes of bytes are left out: no format has them",
                (unsigned long long)ex->bytes);
    if (!s) s = write_card(ex);
    if (!s) s = tsr_out_folder_commit(&ex->folder);
    if (s || !(ex->recovered || ex->damaged || ex->report.unreadable)) return s;
    return tsr_fail(ctx, TSR_ERROR_DAMAGED, "%s: inputs are cut or damaged: %llu items written",
                    output, (unsigned long long)ex->report.items);
}

tsr_status tsr_export(tsr_context *ctx, const char *const *inputs, int count, const char *output,
                      const tsr_export_settings *settings, tsr_export_report *report) {
    char names[400];
    if (!inputs || count < 1 || !output || !settings || !settings->format)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "export: wanted inputs, an output and a format, got none of one");
    const tsr_dataset_format *format = tsr_dataset_format_find(settings->format);
    if (!format || !format->begin)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT, "format: wanted one of %s, got %s",
                        tsr_dataset_format_names(true, names, sizeof names), settings->format);
    exporter *ex = tsr_alloc(ctx, 1, sizeof *ex, "export");
    if (!ex) return TSR_ERROR_MEMORY;
    ex->ctx = ctx;
    ex->settings = settings;
    ex->format = format;
    tsr_status s = export_all(ex, inputs, count, output);
    if (report) *report = ex->report;
    for (int i = 0; ex->parts && i < ex->part_count; ++i) {
        if (ex->parts[i].writer) format->abandon(&ex->parts[i].writer);
        tsr_key_set_free(&ex->parts[i].keys);
    }
    tsr_out_folder_abandon(&ex->folder);
    tsr_token_file_close(&ex->stdin_file);
    tsr_path_list_free(&ex->paths);
    tsr_item_record_free(&ex->item);
    tsr_vocabulary_free(&ex->vocabulary);
    free(ex->parts);
    free(ex);
    return s;
}
