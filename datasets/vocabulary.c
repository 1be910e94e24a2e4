/* SPDX-License-Identifier: MIT */
/* vocabulary.c: see vocabulary.h. */
#include "vocabulary.h"
#include "../formats/sha256.h"

#include <stdio.h>
#include <stdlib.h>

enum { MAX_FILE = 1 << 20 };

static const char *const names[TSR_SPECIALS] = {"bos", "eos", "boi", "eoi", "eol", "pad"};

static void read_text(tsr_json *j, char *to, size_t room) {
    size_t size;
    const char *text = tsr_json_string(j, &size);
    if (size >= room || strlen(text) != size)
        tsr_json_wrong(j, "a text of at most 127 bytes");
    else
        memcpy(to, text, size + 1);
}

static void read_blocks(tsr_json *j, tsr_vocabulary *v) {
    const char *name;
    int blocks = 0;
    uint64_t first_code = 0;
    tsr_json_enter(j, '[');
    while (tsr_json_element(j)) {
        if (blocks++) tsr_json_wrong(j, "one block");
        tsr_json_enter(j, '{');
        while (tsr_json_member(j, &name)) {
            if (!strcmp(name, "first_code"))
                first_code = tsr_json_unsigned(j);
            else if (!strcmp(name, "count"))
                v->codes = tsr_json_unsigned(j);
            else if (!strcmp(name, "first_id"))
                v->first_id = tsr_json_unsigned(j);
            else
                tsr_json_wrong(j, "first_code, count or first_id of a block");
        }
    }
    if (!blocks || first_code || !v->codes)
        tsr_json_wrong(j, "one block, from code 0, with a count");
}

static void read_special(tsr_json *j, tsr_vocabulary *v) {
    const char *name;
    tsr_json_enter(j, '{');
    while (tsr_json_member(j, &name)) {
        int i = 0;
        while (i < TSR_SPECIALS && strcmp(name, names[i]))
            ++i;
        if (i == TSR_SPECIALS || v->has[i]) {
            tsr_json_wrong(j, "bos, eos, boi, eoi, eol or pad, each once");
            return;
        }
        const uint64_t id = tsr_json_unsigned(j);
        if (id > UINT32_MAX) tsr_json_wrong(j, "an id below 2^32");
        v->has[i] = true;
        v->special[i] = (uint32_t)id;
    }
}

static void read_rows(tsr_json *j, tsr_vocabulary *v) {
    const char *name;
    char word[16] = "";
    tsr_json_enter(j, '{');
    while (tsr_json_member(j, &name)) {
        if (!strcmp(name, "eol_after"))
            read_text(j, word, sizeof word);
        else
            tsr_json_wrong(j, "eol_after of rows");
    }
    v->eol_between = !strcmp(word, "between");
    v->eol_every = !strcmp(word, "every");
    if (!v->eol_between && !v->eol_every && strcmp(word, "none"))
        tsr_json_wrong(j, "eol_after none, between or every");
}

/* Every number is one of the vocabulary, and no special one is a code. */
static tsr_status check(tsr_context *ctx, const char *path, const tsr_vocabulary *v) {
    if (!v->name[0] || !v->numbers || v->numbers > (uint64_t)1 << 32 || !v->codes ||
        v->first_id >= v->numbers || v->codes > v->numbers - v->first_id)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: wanted a name, n_vocab up to 2^32, and a block of codes inside it",
                        path);
    if ((v->eol_between || v->eol_every) && !v->has[TSR_EOL])
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: rows: wanted the id eol in special, got none",
                        path);
    for (int i = 0; i < TSR_SPECIALS; ++i)
        if (v->has[i] && (v->special[i] >= v->numbers ||
                          (v->special[i] >= v->first_id && v->special[i] - v->first_id < v->codes)))
            return tsr_fail(ctx, TSR_ERROR_FORMAT,
                            "%s: special: %s: wanted an id below %llu that is no code, got %u",
                            path, names[i], (unsigned long long)v->numbers, v->special[i]);
    return TSR_OK;
}

tsr_status tsr_vocabulary_parse(tsr_context *ctx, const char *path, const void *bytes, size_t size,
                                tsr_vocabulary *v) {
    const char *name;
    bool seen[6] = {0};
    static const char *const members[] = {"name",   "revision", "n_vocab",
                                          "blocks", "special",  "rows"};
    *v = (tsr_vocabulary){0};
    tsr_status s = tsr_sha256_of(ctx, bytes, size, v->sha256);
    if (s) return s;
    tsr_json j = tsr_json_start(bytes, size);
    tsr_json_enter(&j, '{');
    while (tsr_json_member(&j, &name)) {
        int i = 0;
        while (i < 6 && strcmp(name, members[i]))
            ++i;
        if (i == 6 || seen[i]) {
            tsr_json_wrong(&j, "name, revision, n_vocab, blocks, special or rows, each once");
            break;
        }
        seen[i] = true;
        switch (i) {
        case 0:
            read_text(&j, v->name, sizeof v->name);
            break;
        case 1:
            read_text(&j, v->revision, sizeof v->revision);
            break;
        case 2:
            v->numbers = tsr_json_unsigned(&j);
            break;
        case 3:
            read_blocks(&j, v);
            break;
        case 4:
            read_special(&j, v);
            break;
        default:
            read_rows(&j, v);
        }
    }
    if (tsr_json_finish(&j)) s = tsr_json_failed(ctx, path, &j);
    tsr_json_free(&j);
    return s ? s : check(ctx, path, v);
}

tsr_status tsr_vocabulary_load(tsr_context *ctx, const char *path, tsr_vocabulary *v) {
    uint8_t *bytes = NULL;
    size_t size;
    *v = (tsr_vocabulary){0};
    tsr_status s = tsr_data_load(ctx, NULL, path, MAX_FILE, &bytes, &size);
    if (!s) s = tsr_vocabulary_parse(ctx, path, bytes, size, v);
    free(bytes);
    return s;
}

tsr_status tsr_vocabulary_apply(tsr_context *ctx, tsr_vocabulary *v, tsr_record *r) {
    const bool lines = v->eol_between || v->eol_every;
    const uint64_t columns = lines && r->shape[r->rank - 1] ? r->shape[r->rank - 1] : r->count + 1;
    const uint64_t rows = lines && r->count ? r->count / columns : 0;
    const uint64_t most = r->count + rows + 4;
    if (most > TSR_TESS_MAX_IDS)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE,
                        "%s: wanted at most %d ids with the vocabulary's, got "
                        "more",
                        r->key ? r->key : "item", TSR_TESS_MAX_IDS);
    tsr_status s = tsr_grow(ctx, &v->ids, &v->room, (size_t)most, sizeof *v->ids, "ids");
    if (s) return s;
    uint64_t n = 0;
    if (v->has[TSR_BOS]) v->ids[n++] = v->special[TSR_BOS];
    if (v->has[TSR_BOI]) v->ids[n++] = v->special[TSR_BOI];
    for (uint64_t i = 0; i < r->count; ++i) {
        v->ids[n++] = (uint32_t)(r->ids[i] + v->first_id); /* below n_vocab, at most 2^32 */
        const bool end = lines && (i + 1) % columns == 0;
        if (end && (v->eol_every || i + 1 < r->count)) v->ids[n++] = v->special[TSR_EOL];
    }
    if (v->has[TSR_EOI]) v->ids[n++] = v->special[TSR_EOI];
    if (v->has[TSR_EOS]) v->ids[n++] = v->special[TSR_EOS];
    if (n != r->count) {
        r->rank = 1;
        r->shape[0] = n;
    }
    r->ids = v->ids;
    r->count = n;
    return TSR_OK;
}

/* Is the id of `special` at place `at`, where the map has one? */
static tsr_status expect(tsr_context *ctx, const tsr_vocabulary *v, const char *where,
                         tsr_special special, const tsr_record *r, uint64_t at) {
    char got[16] = "the end";
    if (at < r->count && r->ids[at] == v->special[special]) return TSR_OK;
    if (at < r->count) snprintf(got, sizeof got, "%u", r->ids[at]);
    return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: id %llu: wanted %s, %u, got %s", where,
                    (unsigned long long)at, names[special], v->special[special], got);
}

/* Takes ids[at .. end - 1], codes with the ends of rows, to v->ids; *rows of *columns each. */
static tsr_status take_codes(tsr_context *ctx, tsr_vocabulary *v, const char *where, uint32_t codes,
                             const tsr_record *r, uint64_t at, uint64_t end, uint64_t *rows,
                             uint64_t *columns) {
    const bool lines = v->eol_between || v->eol_every;
    uint64_t n = 0, row = 0; /* codes in all, codes of this row */
    *rows = *columns = 0;
    for (; at < end; ++at) {
        const uint32_t id = r->ids[at];
        const bool eol = lines && id == v->special[TSR_EOL];
        if (!eol && (id < v->first_id || id - v->first_id >= codes))
            return tsr_fail(ctx, TSR_ERROR_TOKENS,
                            "%s: id %llu: wanted a code, %llu to %llu, got %u", where,
                            (unsigned long long)at, (unsigned long long)v->first_id,
                            (unsigned long long)(v->first_id + codes - 1), id);
        if (!eol) v->ids[n++] = (uint32_t)(id - v->first_id);
        row += !eol;
        if (!eol && (at + 1 < end || v->eol_every || !lines)) continue;
        if (!*rows) *columns = row;
        if (!row || row != *columns || (eol && v->eol_between && at + 1 == end))
            return tsr_fail(ctx, TSR_ERROR_TOKENS,
                            "%s: id %llu: wanted rows of %llu codes with eol %s, got one of %llu",
                            where, (unsigned long long)at, (unsigned long long)*columns,
                            v->eol_every ? "behind each" : "between", (unsigned long long)row);
        ++*rows;
        row = 0;
    }
    if (lines && row)
        return tsr_fail(ctx, TSR_ERROR_TOKENS, "%s: id %llu: wanted eol, %u, got the end", where,
                        (unsigned long long)end, v->special[TSR_EOL]);
    return TSR_OK;
}

tsr_status tsr_vocabulary_undo(tsr_context *ctx, tsr_vocabulary *v, const char *where,
                               uint32_t codes, tsr_record *r) {
    static const tsr_special before[] = {TSR_BOS, TSR_BOI}, behind[] = {TSR_EOI, TSR_EOS};
    uint64_t at = 0, rows, columns;
    const uint64_t tail = (uint64_t)v->has[TSR_EOI] + v->has[TSR_EOS];
    tsr_status s = tsr_grow(ctx, &v->ids, &v->room, (size_t)r->count + 1, sizeof *v->ids, "ids");
    for (int i = 0; i < 2 && !s; ++i)
        if (v->has[before[i]]) s = expect(ctx, v, where, before[i], r, at++);
    const uint64_t end = r->count >= at + tail ? r->count - tail : at;
    if (!s) s = take_codes(ctx, v, where, codes, r, at, end, &rows, &columns);
    for (uint64_t i = 0, place = end; i < 2 && !s; ++i)
        if (v->has[behind[i]]) s = expect(ctx, v, where, behind[i], r, place++);
    if (s) return s;
    const bool lines = v->eol_between || v->eol_every;
    const uint64_t count = lines ? rows * columns : end - at;
    if (lines && count) {
        r->rank = 2;
        r->shape[0] = rows;
        r->shape[1] = columns;
    } else if (count != r->count) {
        r->rank = 1;
        r->shape[0] = count;
    }
    r->ids = v->ids;
    r->count = count;
    return TSR_OK;
}

void tsr_vocabulary_free(tsr_vocabulary *v) {
    free(v->ids);
    v->ids = NULL;
    v->room = 0;
}
