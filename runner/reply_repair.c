/* SPDX-License-Identifier: MIT */
/* reply_repair.c: a damaged reply made whole, and what was done to it. Only on request: nothing
 * here is what the model said. Ids that are no codes are left out, rows that lack their separator
 * are cut where they must be, and where codes lack the last one is repeated; every step is counted.
 * Without a single code there is nothing to repair. */
#include "../formats/tokens/token_layout.h"
#include "reply_layout.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct mender {
    tsr_reply_reader *r;
    tsr_reply *reply;
    uint32_t *codes; /* gathered, [count] */
    uint64_t count;
    uint32_t *widths; /* [lines] of the gathered codes */
    size_t lines, room;
    uint64_t most; /* codes of a whole picture, 0: not known */
} mender;

static bool is_code(const tsr_reply_reader *r, uint64_t at) {
    return tsr_reply_place(r, r->ids[at]) < r->block->count;
}

static bool is_token(const tsr_reply_reader *r, uint64_t at, int special) {
    return special >= 0 && r->ids[at] == tsr_vocab_id(r->map, special);
}

/* Gathers codes and lines from the first code to the end id, or to where the next picture begins
 * when this one is whole. */
static tsr_status gather(mender *m) {
    tsr_reply_reader *r = m->r;
    tsr_reply_repairs *done = &m->reply->repairs;
    const uint32_t separator = tsr_reply_separator(r);
    uint32_t width = 0;
    uint64_t at = r->body;
    while (at < r->count && !is_code(r, at) && m->reply->verdict <= TSR_REPLY_BAD_SIZE)
        ++at; /* what stands where begin id and size should is neither code nor damage */
    m->codes = tsr_alloc_raw(r->ctx, (size_t)(r->count - at) + 1, sizeof *m->codes,
                             "codes of a damaged reply");
    if (!m->codes) return TSR_ERROR_MEMORY;
    for (; at <= r->count; ++at) {
        const bool last = at == r->count || is_token(r, at, r->p->end) ||
                          (is_token(r, at, r->p->begin) && m->most && m->count >= m->most);
        if (!last && is_code(r, at)) {
            m->codes[m->count++] = r->block->first_code + tsr_reply_place(r, r->ids[at]);
            ++width;
            continue;
        }
        const bool separates = !last && separator != TSR_NO_ID && r->ids[at] == separator;
        if (!last && !separates) {
            if (!is_token(r, at, r->p->frame_end)) ++done->ids_left_out;
            continue;
        }
        if (!width && separates) ++done->separators_left_out;
        if (width) {
            const tsr_status status = tsr_grow(r->ctx, &m->widths, &m->room, m->lines + 1,
                                               sizeof *m->widths, "rows of a damaged reply");
            if (status) return status;
            m->widths[m->lines++] = width;
            width = 0;
        }
        if (last) break;
    }
    done->end_added = r->p->end >= 0 && (at == r->count || !is_token(r, at, r->p->end));
    m->reply->end = at + (at < r->count && is_token(r, at, r->p->end) ? 1 : 0);
    return TSR_OK;
}

/* The width that most lines have. */
static uint32_t usual_width(const mender *m) {
    uint32_t best = 0;
    size_t most = 0;
    for (size_t i = 0; i < m->lines && i < 256; ++i) {
        size_t n = 0;
        for (size_t k = 0; k < m->lines; ++k)
            n += m->widths[k] == m->widths[i];
        if (n > most) {
            most = n;
            best = m->widths[i];
        }
    }
    return best;
}

/* Lines that the gathered ones make at that width: joined ones are cut. */
static uint64_t lines_at(const mender *m, uint32_t width) {
    uint64_t n = 0;
    for (size_t i = 0; i < m->lines; ++i)
        n += m->widths[i] >= 2 * (uint64_t)width && m->widths[i] % width == 0 ? m->widths[i] / width
                                                                              : 1;
    return n;
}

/* Writes `lines` lines of `width` codes. */
static tsr_status lay(mender *m, uint64_t lines, uint32_t width) {
    tsr_reply_repairs *done = &m->reply->repairs;
    const uint64_t all = lines * width;
    if (!all || all > TSR_VOCAB_MOST_IDS) return TSR_OK; /* not to be repaired */
    uint32_t *out = tsr_alloc_raw(m->r->ctx, (size_t)all, sizeof *out, "codes of a reply");
    if (!out) return TSR_ERROR_MEMORY;
    uint64_t line = 0, from = 0, used = 0;
    for (size_t i = 0; i < m->lines && line < lines; from += m->widths[i++]) {
        const uint32_t got = m->widths[i];
        const bool joined = got >= 2 * (uint64_t)width && got % width == 0 && lines > 1;
        const uint32_t parts = joined ? got / width : 1;
        for (uint32_t k = 0; k < parts && line < lines; ++k, ++line) {
            const uint32_t have = joined || got > width ? width : got;
            uint32_t *to = out + line * width;
            memcpy(to, m->codes + from + (uint64_t)k * width, have * sizeof *to);
            for (uint32_t c = have; c < width; ++c)
                to[c] = to[have - 1];
            used += have;
            done->separators_added += k > 0;
        }
    }
    for (; line < lines; ++line)
        memcpy(out + line * width, out + (line - 1) * width, width * sizeof *out);
    done->codes_cut = m->count - used;
    done->codes_invented = all - used;
    m->reply->codes = out;
    m->reply->usable = m->reply->repaired = 1;
    return TSR_OK;
}

/* Rows and columns of a layout with rows: those asked for, or those of the body. */
static tsr_status lay_rows(mender *m) {
    tsr_reply_reader *r = m->r;
    tsr_reply *reply = m->reply;
    const bool asked = r->s->rows != 0 || r->p->grid_count == 1;
    uint32_t width = asked ? r->s->rows ? r->s->columns : r->p->grids[0][1] : r->size_columns;
    uint64_t rows = asked ? r->s->rows ? r->s->rows : r->p->grids[0][0] : 0;
    bool fits = width && r->size_rows && lines_at(m, width) == r->size_rows;
    for (size_t i = 0; i < m->lines && !asked && !fits; ++i)
        fits = width && m->widths[i] == width;
    if (!asked && !fits) width = usual_width(m);
    if (!asked) rows = lines_at(m, width);
    if (r->p->size && (r->size_rows != rows || r->size_columns != width))
        reply->repairs.size_left_out = 1;
    reply->frames = 1;
    reply->rows = (uint32_t)rows;
    reply->columns = width;
    return tsr_vocab_grid_allowed(r->p, 1, (uint32_t)rows, width) ? lay(m, rows, width) : TSR_OK;
}

/* What was done, behind the verdict. */
static void say(tsr_reply *reply) {
    const tsr_reply_repairs *d = &reply->repairs;
    const struct {
        uint64_t number;
        const char *what;
    } steps[] = {{d->ids_left_out, "ids left out"},
                 {d->separators_added, "separators added"},
                 {d->separators_left_out, "separators left out"},
                 {d->codes_cut, "codes cut"},
                 {d->codes_invented, "codes invented"}};
    size_t used = strlen(reply->text);
    const size_t size = sizeof reply->text;
    used += (size_t)snprintf(reply->text + used, size - used, "; repaired:");
    for (size_t i = 0; i < sizeof steps / sizeof *steps && used < size; ++i)
        if (steps[i].number)
            used += (size_t)snprintf(reply->text + used, size - used, " %llu %s,",
                                     (unsigned long long)steps[i].number, steps[i].what);
    if (used < size)
        used += (size_t)snprintf(
            reply->text + used, size - used, "%s%s%s", d->begin_added ? " begin added," : "",
            d->end_added ? " end added," : "", d->size_left_out ? " size left out," : "");
    if (used < size && reply->text[used - 1] == ':')
        snprintf(reply->text + used, size - used, " separators put right");
    else if (used < size)
        reply->text[used - 1] = '\0';
}

static tsr_status lay_all(mender *m) {
    tsr_reply_reader *r = m->r;
    uint64_t least, most;
    if (r->p->rows) return lay_rows(m);
    if (r->p->frame_separator >= 0) {
        const uint32_t width = r->p->grids[0][0] * r->p->grids[0][1];
        uint64_t frames = r->s->frames ? r->s->frames : lines_at(m, width);
        if (frames > r->p->most_frames) frames = r->p->most_frames;
        m->reply->frames = (uint32_t)frames;
        m->reply->rows = r->p->grids[0][0];
        m->reply->columns = r->p->grids[0][1];
        return lay(m, frames, width);
    }
    uint64_t want = m->count;
    if (!tsr_reply_grid(r, m->count, m->reply, &least, &most))
        want = m->count < least ? least : most;
    if (r->p->geometry != TSR_MAP_GRID) m->reply->columns = (uint32_t)want;
    m->widths[0] = (uint32_t)m->count; /* without separators there is one line */
    m->lines = 1;
    return want <= UINT32_MAX ? lay(m, 1, (uint32_t)want) : TSR_OK;
}

tsr_status tsr_reply_repair(tsr_reply_reader *r, tsr_reply *reply) {
    mender m = {.r = r, .reply = reply};
    tsr_reply scratch = *reply;
    uint64_t least = 0;
    reply->repairs.begin_added = reply->verdict == TSR_REPLY_NO_BEGIN;
    reply->repairs.size_left_out = reply->verdict <= TSR_REPLY_BAD_SIZE && r->p->size;
    if (r->p->rows)
        m.most = (uint64_t)r->want_rows * r->want_columns;
    else if (r->p->frame_separator < 0 && !tsr_reply_grid(r, 0, &scratch, &least, &m.most))
        m.most = least;
    tsr_status status = gather(&m);
    if (!status && m.count) status = lay_all(&m);
    if (!status && reply->usable)
        say(reply);
    else
        reply->repairs = (tsr_reply_repairs){0};
    free(m.codes);
    free(m.widths);
    return status;
}
