/* SPDX-License-Identifier: MIT */
/* serve_prompt.c: ids to the prompts of language models, by the vocabulary maps that are part of
 * the library; see serve.h. */
#include "serve.h"

#include <stdlib.h>
#include <string.h>
#include <tessera/runner/prompt.h>

/* Maps by their names alone: a client's text is never a path. */
static bool open_map(tsr_context *ctx, serve_exchange *x, tsr_vocab_map **map) {
    const char *name = x->request.map;
    const char *names[64];
    int count = 0, found = -1;
    while (count < tsr_vocab_map_count() && count < 64) {
        names[count] = tsr_vocab_map_name(count);
        if (name && !strcmp(name, names[count])) found = count;
        ++count;
    }
    if (found < 0) {
        const char *near = name ? args_suggest(name, names, count) : NULL;
        serve_answer_error(x, 400, "map: wanted one of 'tessera map list', got %s%.60s%s%s%s",
                           name ? "'" : "none", name ? name : "", name ? "'" : "",
                           near ? "; did you mean " : "", near ? near : "");
        return false;
    }
    const tsr_status status = tsr_vocab_map_open(ctx, name, map);
    if (status) serve_answer_status(x, status, tsr_detail(ctx));
    return !status;
}

static void write_ids(json_out *j, const tsr_prompt *prompt, tsr_prompt_form form) {
    uint64_t count;
    size_t size;
    const uint32_t *ids = tsr_prompt_ids(prompt, &count);
    const char *text = tsr_prompt_string(prompt, &size);
    if (form == TSR_PROMPT_IDS) json_numbers(j, "ids", ids, count);
    if (form == TSR_PROMPT_STRING) json_text_of(j, "text", text, size);
    if (form != TSR_PROMPT_MIXED) return;
    json_array(j, "pieces");
    for (int i = 0; i < tsr_prompt_pieces(prompt); ++i) {
        const tsr_prompt_piece p = tsr_prompt_piece_at(prompt, i);
        if (p.ids)
            json_numbers(j, NULL, p.ids, p.count);
        else
            json_text(j, NULL, p.text);
    }
    json_end(j, ']');
}

static void answer_prompt(serve_exchange *x, const tsr_vocab_map *map, const tsr_prompt *prompt,
                          const tsr_prompt_settings *s) {
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (f) {
        json_out j;
        json_open(&j, f);
        json_text(&j, "map", tsr_vocab_map_info(map)->name);
        json_text(&j, "revision", tsr_vocab_map_info(map)->revision);
        json_text(&j, "template", s->template_name);
        write_ids(&j, prompt, s->form);
        json_close(&j);
    }
    if (f && !fclose(f)) {
        serve_answer_bytes(x, "application/json", text, size);
        return;
    }
    free(text);
    serve_answer_error(x, 503, "no memory for the answer");
}

/* Codes of all pictures, which are the caller's to free, also after a failure. */
static bool read_codes(serve_server *s, tsr_context *ctx, serve_exchange *x, serve_tokens *tokens,
                       tsr_codes *codes) {
    for (uint64_t i = 0; i < tokens->count; ++i) {
        tsr_codes c;
        if (!serve_tokens_item(s, ctx, x, tokens, i)) return false;
        const tsr_status status = tsr_codes_of_item(ctx, &tokens->header, &tokens->item, &c);
        if (status) {
            serve_answer_status(x, status, tsr_detail(ctx));
            return false;
        }
        const size_t n = (size_t)c.frames * c.rows * c.columns;
        uint32_t *copy = malloc(n * sizeof *copy + 1);
        if (!copy) {
            serve_answer_error(x, 503, "no memory for the codes");
            return false;
        }
        memcpy(copy, c.codes, n * sizeof *copy);
        c.codes = copy;
        codes[i] = c;
    }
    return true;
}

static void build(tsr_context *ctx, serve_exchange *x, const tsr_vocab_map *map,
                  const tsr_codes *codes, int count, tsr_prompt_form form) {
    const serve_request *r = &x->request;
    tsr_prompt_text texts[SERVE_MOST_PLACES] = {{0}};
    tsr_prompt *prompt = NULL;
    for (int i = 0; i < r->place_count; ++i)
        texts[i] = (tsr_prompt_text){.key = r->text_keys[i], .text = r->text_values[i]};
    tsr_prompt_settings s = {.template_name = r->template_name,
                             .pictures = codes,
                             .picture_count = count,
                             .texts = texts,
                             .text_count = r->place_count,
                             .form = form};
    if (!s.template_name && tsr_vocab_map_info(map)->templates)
        s.template_name = tsr_vocab_map_template(map, 0).name;
    else if (!s.template_name)
        s.template_name = ""; /* the map's reason is told, not this */
    const tsr_status status = tsr_prompt_build(ctx, map, &s, &prompt);
    if (status)
        serve_answer_status(x, status, tsr_detail(ctx));
    else
        answer_prompt(x, map, prompt, &s);
    tsr_prompt_close(&prompt);
}

void serve_prompt(serve_server *s, tsr_context *ctx, serve_exchange *x) {
    static const char *const forms[] = {"ids", "mixed", "string"};
    serve_tokens tokens;
    tsr_codes codes[SERVE_MOST_PICTURES] = {{0}};
    tsr_vocab_map *map = NULL;
    int form = 0;
    const bool good = serve_tokens_open(s, ctx, x, &tokens);
    while (good && x->request.form && form < 3 && strcmp(x->request.form, forms[form]))
        ++form;
    if (form == 3)
        serve_answer_error(x, 400, "form: wanted ids, mixed or string, got '%.40s'",
                           x->request.form);
    else if (good && open_map(ctx, x, &map) && read_codes(s, ctx, x, &tokens, codes))
        build(ctx, x, map, codes, (int)tokens.count, (tsr_prompt_form)form);
    for (int i = 0; i < SERVE_MOST_PICTURES; ++i)
        free((uint32_t *)(uintptr_t)codes[i].codes);
    tsr_vocab_map_close(&map);
    serve_tokens_close(&tokens);
}
