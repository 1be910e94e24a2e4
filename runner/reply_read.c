/* SPDX-License-Identifier: MIT */
/* reply_read.c: the ids of a reply to the codes of a picture, or to the first thing that is wrong
 * with it. The order of the checks is written at tsr_reply_read (prompt.h). */
#include "../formats/tokens/token_layout.h"
#include "reply_layout.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const verdicts[] = {"ok",
                                       "no_begin",
                                       "bad_size",
                                       "no_end",
                                       "outside_block",
                                       "extra_separator",
                                       "missing_separator",
                                       "short_row",
                                       "long_row",
                                       "size_disagrees",
                                       "too_few_rows",
                                       "too_many_rows",
                                       "missing_frame_end",
                                       "too_few_codes",
                                       "too_many_codes",
                                       "too_few_frames",
                                       "too_many_frames"};

const char *tsr_reply_verdict_name(tsr_reply_verdict verdict) {
    const size_t at = (size_t)verdict;
    return at < sizeof verdicts / sizeof *verdicts ? verdicts[at] : "unknown";
}

static bool is(const tsr_reply_reader *r, uint64_t at, int special) {
    return at < r->count && special >= 0 && r->ids[at] == tsr_vocab_id(r->map, special);
}

/* A number of decimal digits without leading zero, 1 to 65536; 0 where there is none. */
static uint32_t read_side(const tsr_reply_reader *r, uint64_t *at) {
    uint32_t value = 0;
    for (int digits = 0; *at < r->count; ++*at, ++digits) {
        int d = 0;
        while (d < 10 && r->ids[*at] != tsr_vocab_size_id(r->map, d))
            ++d;
        if (d == 10) break;
        if ((!digits && !d) || value > 6553) return 0;
        value = 10 * value + (uint32_t)d;
    }
    return value > 65536 ? 0 : value;
}

/* Reads the size behind the begin id; false where none is well-formed. *at moves to the first
 * code. */
static bool read_size(tsr_reply_reader *r, uint64_t *at) {
    const tsr_vocab_picture *p = r->p;
    if (p->size == TSR_MAP_SIZE_TEXT) {
        r->size_rows = read_side(r, at);
        const bool star =
            *at < r->count && r->ids[*at] == tsr_vocab_size_id(r->map, TSR_VOCAB_STAR);
        if (!r->size_rows || !star) return false;
        ++*at;
        r->size_columns = read_side(r, at);
        if (!r->size_columns) return false;
    } else if (p->size == TSR_MAP_SIZE_GRID) {
        const uint32_t base = r->map->specials[p->size_base].id;
        uint32_t side[2] = {0, 0};
        for (int i = 0; i < 2; ++i, ++*at) {
            if (*at >= r->count || r->ids[*at] <= base || r->ids[*at] - base > 65536 / p->size_unit)
                return false;
            side[i] = (r->ids[*at] - base) * p->size_unit;
        }
        r->size_rows = side[0];
        r->size_columns = side[1];
    }
    if (p->start < 0) return true;
    return is(r, (*at)++, p->start);
}

/* From the body to the first id that is neither a code nor a separator. */
static void find_stop(tsr_reply_reader *r) {
    const uint32_t separator = tsr_reply_separator(r);
    uint64_t at = r->body;
    while (at < r->count &&
           (tsr_reply_place(r, r->ids[at]) < r->block->count ||
            (r->ids[at] == separator && separator != TSR_NO_ID) || is(r, at, r->p->frame_end)))
        ++at;
    r->stop = at;
}

static void set(tsr_reply *reply, tsr_reply_verdict verdict, uint64_t got, uint64_t want) {
    reply->verdict = verdict;
    reply->got = got;
    reply->want = reply->want_most = want;
}

/* Cuts the body into lines. Notes empty rows and other separators that belong nowhere. */
static tsr_status read_lines(tsr_reply_reader *r, tsr_reply *reply) {
    const uint32_t separator = tsr_reply_separator(r);
    uint64_t end = r->stop;
    uint32_t width = 0;
    r->frame_end = end > r->body && is(r, end - 1, r->p->frame_end);
    if (r->frame_end) --end;
    for (uint64_t i = r->body; i <= end; ++i) {
        const bool last = i == end;
        if (!last && tsr_reply_place(r, r->ids[i]) < r->block->count) {
            ++width;
            continue;
        }
        const bool wrong = !last && (r->ids[i] != separator || (r->p->rows && !width));
        if (wrong && !reply->verdict) {
            reply->verdict = TSR_REPLY_EXTRA_SEPARATOR;
            reply->row = (int64_t)r->lines - 1;
        }
        if (last) r->closed = !width && r->lines;
        /* An empty row is none, but an empty frame is one. */
        if (wrong || (last && !width && (r->p->rows || separator == TSR_NO_ID))) continue;
        const tsr_status status = tsr_grow(r->ctx, &r->widths, &r->room, r->lines + 1,
                                           sizeof *r->widths, "rows of a reply");
        if (status) return status;
        r->widths[r->lines++] = width;
        r->codes += width;
        width = 0;
    }
    return TSR_OK;
}

/* The width that most rows have, for a layout that says none. */
static uint32_t common_width(const tsr_reply_reader *r) {
    uint32_t best = r->lines ? r->widths[0] : 0;
    size_t most = 0;
    for (size_t i = 0; i < r->lines && i < 256; ++i) {
        size_t n = 0;
        for (size_t k = 0; k < r->lines; ++k)
            n += r->widths[k] == r->widths[i];
        if (n > most) {
            most = n;
            best = r->widths[i];
        }
    }
    return best;
}

/* The first line that is a whole multiple, two or more, of the width wanted; -1 for none. */
static int64_t find_joined(const tsr_reply_reader *r, uint32_t width) {
    for (size_t i = 0; i < r->lines && width; ++i)
        if (r->widths[i] >= 2 * (uint64_t)width && r->widths[i] % width == 0) return (int64_t)i;
    return -1;
}

static void check_rows(tsr_reply_reader *r, tsr_reply *reply) {
    const uint32_t width = r->want_columns ? r->want_columns : common_width(r);
    bool equal = true;
    for (size_t i = 1; i < r->lines; ++i)
        equal &= r->widths[i] == r->widths[0];
    if (reply->verdict) return; /* an empty row */
    if (r->p->rows == TSR_MAP_ROWS_BETWEEN && r->closed) {
        reply->verdict = TSR_REPLY_EXTRA_SEPARATOR;
        reply->row = (int64_t)r->lines - 1;
        return;
    }
    if (!equal) {
        const int64_t joined = find_joined(r, width);
        size_t at = 0;
        while (at + 1 < r->lines && r->widths[at] == width)
            ++at;
        reply->row = joined >= 0 ? joined : (int64_t)at;
        if (joined >= 0)
            reply->verdict = TSR_REPLY_MISSING_SEPARATOR;
        else
            set(reply, r->widths[at] < width ? TSR_REPLY_SHORT_ROW : TSR_REPLY_LONG_ROW,
                r->widths[at], width);
        return;
    }
    if (r->lines && r->widths[0] != width) {
        const bool all =
            find_joined(r, width) == 0 && r->codes == (uint64_t)r->want_rows * r->want_columns;
        reply->verdict = all ? TSR_REPLY_MISSING_SEPARATOR : TSR_REPLY_SIZE_DISAGREES;
        if (all) reply->row = 0;
        reply->size[0] = r->want_rows;
        reply->size[1] = r->want_columns;
        reply->body[0] = (uint32_t)r->lines;
        reply->body[1] = r->widths[0];
        return;
    }
    const uint64_t rows = r->want_rows ? r->want_rows : r->lines ? r->lines : 1;
    if (r->lines != rows) {
        set(reply, r->lines < rows ? TSR_REPLY_TOO_FEW_ROWS : TSR_REPLY_TOO_MANY_ROWS, r->lines,
            rows);
    } else if (r->p->rows == TSR_MAP_ROWS_EVERY && !r->closed) {
        reply->verdict = TSR_REPLY_MISSING_SEPARATOR;
        reply->row = (int64_t)r->lines - 1;
    } else if (r->p->frame_end >= 0 && !r->frame_end) {
        reply->verdict = TSR_REPLY_MISSING_FRAME_END;
    }
    reply->frames = 1;
    reply->rows = (uint32_t)rows;
    reply->columns = width;
}

static void check_frames(tsr_reply_reader *r, tsr_reply *reply) {
    const uint32_t frame = r->p->grids[0][0] * r->p->grids[0][1];
    const int64_t joined = find_joined(r, frame);
    if (joined >= 0) {
        reply->verdict = TSR_REPLY_MISSING_SEPARATOR;
        reply->frame = joined;
        return;
    }
    for (size_t i = 0; i < r->lines; ++i)
        if (r->widths[i] != frame) {
            set(reply, r->widths[i] < frame ? TSR_REPLY_TOO_FEW_CODES : TSR_REPLY_TOO_MANY_CODES,
                r->widths[i], frame);
            reply->frame = (int64_t)i;
            return;
        }
    const uint64_t least = r->s->frames ? r->s->frames : r->p->least_frames;
    const uint64_t most = r->s->frames ? r->s->frames : r->p->most_frames;
    if (r->lines < least)
        set(reply, TSR_REPLY_TOO_FEW_FRAMES, r->lines, least);
    else if (r->lines > most)
        set(reply, TSR_REPLY_TOO_MANY_FRAMES, r->lines, most);
    reply->frames = (uint32_t)r->lines;
    reply->rows = r->p->grids[0][0];
    reply->columns = r->p->grids[0][1];
}

bool tsr_reply_grid(const tsr_reply_reader *r, uint64_t codes, tsr_reply *reply, uint64_t *least,
                    uint64_t *most) {
    const tsr_vocab_picture *p = r->p;
    const tsr_reply_settings *s = r->s;
    if (p->geometry != TSR_MAP_GRID) {
        *least = s->columns ? s->columns : p->most_codes ? p->least_codes : 1;
        *most = s->columns ? s->columns : p->most_codes ? p->most_codes : TSR_VOCAB_MOST_IDS;
        reply->frames = reply->rows = 1;
        reply->columns = (uint32_t)codes;
        return codes >= *least && codes <= *most;
    }
    *least = *most = 0;
    for (int i = 0; i < (p->grid_count ? p->grid_count : 1); ++i) {
        const uint32_t rows = r->want_rows ? r->want_rows : p->grids[i][0];
        const uint32_t columns = r->want_columns ? r->want_columns : p->grids[i][1];
        const uint64_t frame = (uint64_t)rows * columns;
        const uint64_t fewest = s->frames ? s->frames : p->least_frames;
        const uint64_t frames = s->frames ? s->frames : p->most_frames;
        if (frame && codes && codes % frame == 0 && codes / frame >= fewest &&
            codes / frame <= frames) {
            reply->frames = (uint32_t)(codes / frame);
            reply->rows = rows;
            reply->columns = columns;
            return true;
        }
        /* The nearest number: the next one above, or the greatest there is. */
        uint64_t near =
            frame && codes > fewest * frame ? (codes + frame - 1) / frame * frame : fewest * frame;
        if (near > frames * frame) near = frames * frame;
        if (!*least || (*least < codes && near > *least) || (near >= codes && near < *least)) {
            *least = *most = near;
            reply->frames = (uint32_t)(frame ? near / frame : 1);
            reply->rows = rows;
            reply->columns = columns;
        }
    }
    return false;
}

static void check_count(tsr_reply_reader *r, tsr_reply *reply) {
    uint64_t least, most;
    if (tsr_reply_grid(r, r->codes, reply, &least, &most)) return;
    set(reply, r->codes < least ? TSR_REPLY_TOO_FEW_CODES : TSR_REPLY_TOO_MANY_CODES, r->codes,
        least);
    reply->want_most = most;
}

/* All checks up to the first that fails. */
static tsr_status judge(tsr_reply_reader *r, tsr_reply *reply) {
    const tsr_vocab_picture *p = r->p;
    uint64_t at = r->s->offset;
    r->body = at;
    if (!r->s->begun && p->begin >= 0) {
        while (at < r->count && !is(r, at, p->begin))
            ++at;
        if (at == r->count) {
            reply->verdict = TSR_REPLY_NO_BEGIN;
            reply->end = r->count;
            return TSR_OK;
        }
        reply->before = at++ - r->s->offset;
    }
    r->body = at;
    if (!r->s->begun && !read_size(r, &at)) {
        r->size_rows = r->size_columns = 0;
        reply->verdict = TSR_REPLY_BAD_SIZE;
        reply->end = r->body;
        return TSR_OK;
    }
    r->body = at;
    if (r->size_rows) {
        r->want_rows = r->size_rows;
        r->want_columns = r->size_columns;
    }
    find_stop(r);
    const tsr_status status = read_lines(r, reply);
    if (status) return status;
    const bool ended = is(r, r->stop, p->end);
    reply->end = r->stop + (ended ? 1 : 0);
    if (r->stop == r->count ? p->end >= 0 : !ended) {
        const bool cut = r->stop == r->count;
        reply->verdict = cut ? TSR_REPLY_NO_END : TSR_REPLY_OUTSIDE_BLOCK;
        reply->got = cut ? r->codes : 0;
        reply->row = -1;
        if (!cut) {
            reply->position = (int64_t)(r->offsets ? r->offsets[r->stop] : r->stop);
            reply->id = r->ids[r->stop] >= TSR_VOCAB_SIZE_ID ? TSR_NO_ID : r->ids[r->stop];
        }
        return TSR_OK;
    }
    if (p->rows)
        check_rows(r, reply);
    else if (p->frame_separator >= 0)
        check_frames(r, reply);
    else
        check_count(r, reply);
    return TSR_OK;
}

/* The codes of a reply without damage. */
static tsr_status take_codes(tsr_reply_reader *r, tsr_reply *reply) {
    uint64_t n = 0;
    reply->codes =
        tsr_alloc_raw(r->ctx, (size_t)r->codes, sizeof *reply->codes, "codes of a reply");
    if (!reply->codes) return TSR_ERROR_MEMORY;
    for (uint64_t i = r->body; i < r->stop && n < r->codes; ++i) {
        const uint32_t place = tsr_reply_place(r, r->ids[i]);
        if (place < r->block->count) reply->codes[n++] = r->block->first_code + place;
    }
    reply->usable = 1;
    return TSR_OK;
}

/* ---- words ---- */

static void say(const tsr_reply *reply, char *text, size_t size) {
    const char *name = tsr_reply_verdict_name(reply->verdict);
    const unsigned long long got = reply->got, want = reply->want, most = reply->want_most;
    switch (reply->verdict) {
    case TSR_REPLY_OUTSIDE_BLOCK:
        if (reply->id == TSR_NO_ID)
            snprintf(text, size, "%s: text that is no code at byte %lld", name,
                     (long long)reply->position);
        else
            snprintf(text, size, "%s: id %u at place %lld", name, reply->id,
                     (long long)reply->position);
        break;
    case TSR_REPLY_EXTRA_SEPARATOR:
    case TSR_REPLY_MISSING_SEPARATOR:
        snprintf(text, size, "%s: %s %lld", name, reply->frame >= 0 ? "frame" : "row",
                 (long long)(reply->frame >= 0 ? reply->frame : reply->row));
        break;
    case TSR_REPLY_SHORT_ROW:
    case TSR_REPLY_LONG_ROW:
        snprintf(text, size, "%s: row %lld: wanted %llu codes, got %llu", name,
                 (long long)reply->row, want, got);
        break;
    case TSR_REPLY_SIZE_DISAGREES:
        snprintf(text, size, "%s: wanted %u x %u codes, got %u x %u", name, reply->size[0],
                 reply->size[1], reply->body[0], reply->body[1]);
        break;
    case TSR_REPLY_NO_END:
        snprintf(text, size, "%s: %llu codes", name, got);
        break;
    case TSR_REPLY_OK:
    case TSR_REPLY_NO_BEGIN:
    case TSR_REPLY_BAD_SIZE:
    case TSR_REPLY_MISSING_FRAME_END:
        snprintf(text, size, "%s", name);
        break;
    default:
        if (want != most)
            snprintf(text, size, "%s: wanted %llu to %llu, got %llu", name, want, most, got);
        else if (reply->frame >= 0)
            snprintf(text, size, "%s: frame %lld: wanted %llu, got %llu", name,
                     (long long)reply->frame, want, got);
        else
            snprintf(text, size, "%s: wanted %llu, got %llu", name, want, got);
    }
}

/* ---- settings ---- */

/* Whether the layout can be read at all: its tokens have ids, and its grid is known. */
static tsr_status check_settings(tsr_reply_reader *r, const tsr_reply_settings *s) {
    const tsr_vocab_picture *p = r->p;
    const int tokens[] = {p->begin, p->start, p->eol, p->frame_separator, p->frame_end, p->end};
    for (int i = 0; i < 6 && !r->offsets; ++i)
        if (tokens[i] >= 0 && r->map->specials[tokens[i]].id == TSR_NO_ID)
            return tsr_fail(r->ctx, TSR_ERROR_UNSUPPORTED,
                            "map %s: special.%s: no id is known for \"%s\": give the model's "
                            "tokenizer.json, or read a string",
                            r->map->name, r->map->specials[tokens[i]].name,
                            r->map->specials[tokens[i]].text);
    if (s->offset > r->count)
        return tsr_fail(r->ctx, TSR_ERROR_ARGUMENT, "reply: offset: wanted at most %llu, got %llu",
                        (unsigned long long)r->count, (unsigned long long)s->offset);
    r->want_rows = s->rows;
    r->want_columns = s->columns;
    if (p->geometry != TSR_MAP_GRID) return TSR_OK;
    char wants[256];
    tsr_vocab_allowed_text(p, wants, sizeof wants);
    if (!s->rows != !s->columns ||
        (s->rows &&
         !tsr_vocab_grid_allowed(p, s->frames ? s->frames : p->least_frames, s->rows, s->columns)))
        return tsr_fail(r->ctx, TSR_ERROR_ARGUMENT,
                        "reply: grid: map %s wants %s, got %u x %u x %u", r->map->name, wants,
                        s->frames, s->rows, s->columns);
    if (!r->want_rows && p->grid_count == 1) {
        r->want_rows = p->grids[0][0];
        r->want_columns = p->grids[0][1];
    }
    if (!p->rows && !p->grid_count && !s->rows)
        return tsr_fail(
            r->ctx, TSR_ERROR_ARGUMENT,
            "reply: grid: layout %s of map %s does not hold it: wanted rows and columns, "
            "got none",
            p->name, r->map->name);
    return TSR_OK;
}

static tsr_status read_reply(tsr_reply_reader *r, const char *picture, tsr_reply *reply) {
    tsr_status status = tsr_vocab_has_layouts(r->ctx, r->map);
    if (status) return status;
    const int at = tsr_vocab_picture_find(r->map, picture);
    if (at < 0)
        return tsr_fail(r->ctx, TSR_ERROR_NOT_FOUND, "map %s: wanted one of its layouts, got %.60s",
                        r->map->name, picture);
    if (r->count > TSR_VOCAB_MOST_IDS)
        return tsr_fail(r->ctx, TSR_ERROR_TOO_LARGE, "reply: wanted at most %d ids, got %llu",
                        TSR_VOCAB_MOST_IDS, (unsigned long long)r->count);
    r->p = &r->map->pictures[at];
    r->block = &r->map->blocks[r->p->block];
    reply->row = reply->frame = reply->position = -1;
    reply->id = TSR_NO_ID;
    reply->geometry = r->p->geometry;
    if (!status) status = check_settings(r, r->s);
    if (!status) status = judge(r, reply);
    if (!status && !reply->verdict) status = take_codes(r, reply);
    if (!status) say(reply, reply->text, sizeof reply->text);
    if (!status && reply->verdict && r->s->repair) status = tsr_reply_repair(r, reply);
    if (!status && !reply->usable) reply->frames = reply->rows = reply->columns = 0;
    free(r->widths);
    return status;
}

static const tsr_reply_settings no_settings;

tsr_status tsr_reply_read(tsr_context *ctx, const tsr_vocab_map *map, const uint32_t *ids,
                          uint64_t count, const tsr_reply_settings *settings, tsr_reply *reply) {
    if (reply) *reply = (tsr_reply){0};
    if (!map || (!ids && count) || !reply)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_reply_read: wanted map, ids and reply, got NULL");
    tsr_reply_reader r = {.ctx = ctx,
                          .map = map,
                          .s = settings ? settings : &no_settings,
                          .ids = ids,
                          .count = count};
    const tsr_status status = read_reply(&r, r.s->picture, reply);
    if (status) tsr_reply_free(reply);
    return status;
}

/* The token at `text`: a code of the layout's block, a special token, a digit of a size, or a byte
 * of other text. Returns its length. */
static size_t next_token(const tsr_vocab_map *map, const tsr_vocab_block *block, const char *text,
                         size_t size, uint32_t *id) {
    static const char characters[] = "0123456789*";
    uint32_t code;
    size_t length = tsr_vocab_code_read(block, text, size, &code);
    if (length) {
        *id = block->first_id + (code - block->first_code);
        return length;
    }
    *id = TSR_VOCAB_TEXT_ID;
    for (int i = 0; i < map->info.specials; ++i) {
        const size_t n = strlen(map->specials[i].text);
        if (n > length && n <= size && !memcmp(map->specials[i].text, text, n)) {
            length = n;
            *id = tsr_vocab_id(map, i);
        }
    }
    if (length) return length;
    const char *digit = *text ? strchr(characters, *text) : NULL;
    if (digit) *id = tsr_vocab_size_id(map, (int)(digit - characters));
    return 1;
}

tsr_status tsr_reply_read_string(tsr_context *ctx, const tsr_vocab_map *map, const char *text,
                                 size_t size, const tsr_reply_settings *settings,
                                 tsr_reply *reply) {
    if (reply) *reply = (tsr_reply){0};
    if (!map || (!text && size) || !reply)
        return tsr_fail(ctx, TSR_ERROR_ARGUMENT,
                        "tsr_reply_read_string: wanted map, text and reply, got NULL");
    const tsr_reply_settings *given = settings ? settings : &no_settings;
    const int at = tsr_vocab_picture_find(map, given->picture);
    const tsr_vocab_block *block = at < 0 ? NULL : &map->blocks[map->pictures[at].block];
    if (block && !*block->text)
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                        "map %s: blocks.%s: codes have no text, so a string cannot hold them",
                        map->name, block->name);
    if (size > TSR_VOCAB_MOST_IDS)
        return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "reply: wanted at most %d bytes, got %zu",
                        TSR_VOCAB_MOST_IDS, size);
    uint32_t *ids = tsr_alloc_raw(ctx, size + 1, sizeof *ids, "ids of a string");
    uint64_t *offsets = ids ? tsr_alloc_raw(ctx, size + 1, sizeof *offsets, "places of ids") : NULL;
    tsr_reply_settings s = *given;
    tsr_reply_reader r = {.ctx = ctx, .map = map, .s = &s, .ids = ids, .offsets = offsets};
    tsr_status status = offsets ? TSR_OK : TSR_ERROR_MEMORY;
    s.offset = 0;
    for (size_t i = (size_t)given->offset; i < size && block && !status; ++r.count) {
        offsets[r.count] = i;
        i += next_token(map, block, text + i, size - i, &ids[r.count]);
    }
    if (!status) {
        offsets[r.count] = size;
        status = read_reply(&r, given->picture, reply);
    }
    if (!status) {
        reply->end = offsets[reply->end];
        reply->before = offsets[reply->before] - (r.count ? offsets[0] : 0);
    }
    free(ids);
    free(offsets);
    if (status) tsr_reply_free(reply);
    return status;
}

void tsr_reply_free(tsr_reply *reply) {
    free(reply->codes);
    *reply = (tsr_reply){0};
}
