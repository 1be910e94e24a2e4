/* SPDX-License-Identifier: MIT */
/* reply_pictures.c: see reply_pictures.h. */
#include "reply_pictures.h"

#include <stdlib.h>
#include "prompt_input.h"

int reply_grid(const verb *v, const char *text, tsr_reply_settings *s) {
    uint32_t n[3] = {0};
    int count = 0;
    const char *at = text;
    while (at && *at && count < 3) {
        char *end;
        const unsigned long value = strtoul(at, &end, 10);
        if (end == at || *at == '-' || !value || value > 1u << 26 || (*end && *end != ',')) break;
        n[count++] = (uint32_t)value;
        at = *end ? end + 1 : end;
    }
    if (at && (*at || !count))
        return args_wrong(v, "--grid: wanted [T,]H,W or one number, got '%s'", text);
    s->frames = count == 3 ? n[0] : 0;
    s->rows = count > 1 ? n[count - 2] : 0;
    s->columns = count ? n[count - 1] : 0;
    return -1;
}

static tsr_status read_one(tool *t, const reply_pictures *p, const tsr_reply_settings *s,
                           tsr_reply *reply) {
    return p->text ? tsr_reply_read_string(t->ctx, p->map, p->text, (size_t)p->count, s, reply)
                   : tsr_reply_read(t->ctx, p->map, p->ids, p->count, s, reply);
}

static void tell(tool *t, const reply_pictures *p, const tsr_reply *r, int number) {
    json_out *j = p->json;
    if (!j) {
        tool_say(t, "picture %d: %s: %u x %u x %u codes", number, r->text, r->frames, r->rows,
                 r->columns);
        return;
    }
    json_object(j, NULL);
    json_text(j, "verdict", tsr_reply_verdict_name(r->verdict));
    json_text(j, "text", r->text);
    json_bool(j, "usable", r->usable);
    json_bool(j, "repaired", r->repaired);
    json_uint(j, "before", r->before);
    json_uint(j, "end", r->end);
    json_uint(j, "frames", r->frames);
    json_uint(j, "rows", r->rows);
    json_uint(j, "columns", r->columns);
    json_uint(j, "codes_invented", r->repairs.codes_invented);
    json_end(j, '}');
}

/* Adds the codes of a reply to the file, which is opened for the first. */
static tsr_status add_picture(tool *t, const reply_pictures *p, tsr_token_writer **writer,
                              tsr_token_header *header, const tsr_reply *reply, int number) {
    tsr_token_item item;
    uint32_t tokens;
    char key[32];
    tsr_status s = TSR_OK;
    if (!*writer) {
        tsr_token_file *like = NULL;
        if (p->like) s = tsr_token_file_open(t->ctx, &like, p->like);
        if (!s)
            s = tsr_reply_header(t->ctx, p->map, reply, like ? tsr_token_file_header(like) : NULL,
                                 header);
        const tsr_token_writer_settings settings = tsr_token_writer_settings_default();
        if (!s) s = tsr_token_writer_open(t->ctx, writer, p->output, header, &settings);
        tsr_token_file_close(&like);
    }
    snprintf(key, sizeof key, "picture-%d", number);
    if (!s) s = tsr_reply_item(t->ctx, header, reply, key, &tokens, &item);
    if (!s) s = tsr_token_writer_add(*writer, &item);
    return s;
}

tsr_status reply_pictures_write(tool *t, reply_pictures *p, const tsr_reply_settings *settings) {
    tsr_reply_settings s = *settings;
    tsr_token_writer *writer = NULL;
    tsr_token_header header;
    tsr_status status = TSR_OK;
    uint64_t before = UINT64_MAX;
    for (int number = 0; !status && s.offset != before && number <= MOST_PICTURES; ++number) {
        tsr_reply reply;
        before = s.offset;
        status = read_one(t, p, &s, &reply);
        /* Behind the last picture there is text, or nothing. */
        const bool over = !status && number && reply.verdict == TSR_REPLY_NO_BEGIN;
        if (!status && !over) {
            tell(t, p, &reply, number);
            p->damaged += !reply.usable;
            if (reply.usable) status = add_picture(t, p, &writer, &header, &reply, number);
            p->written += reply.usable && !status;
        }
        s.offset = reply.end;
        s.begun = 0;
        tsr_reply_free(&reply);
        if (over || s.offset >= p->count) break;
    }
    if (!status && writer) status = tsr_token_writer_close(&writer);
    tsr_token_writer_abandon(&writer);
    return status;
}
