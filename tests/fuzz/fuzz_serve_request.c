/* SPDX-License-Identifier: MIT */
/* Any bytes as what a client of `tessera serve` asks for: the first says which route, the rest is a
 * JSON document, lines of options "name=value", or base 64. A request, or one line that says why
 * not; never a file. */
#include "alloc_fail.h"

#include <stdlib.h>
#include <string.h>

#include "tools/args.c"
#include "tools/encode_options.c"
#include "tools/json_out.c"
#include "tools/serve_request.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of tool.c, which needs the whole program. */
const char *tool_clean(const char *text, char *clean, size_t size) {
    size_t n = 0;
    for (; *text && n + 1 < size; ++text)
        clean[n++] = (unsigned char)*text < 32 || *text == 127 ? '?' : *text;
    clean[n] = 0;
    return clean;
}

static void check(bool good, const serve_refusal *wrong) {
    if (!good && (wrong->status < 400 || !*wrong->text || !strcmp(wrong->code, "internal")))
        abort();
}

/* What was read is as it must be for those who use it. */
static void use_ids(const serve_ids *ids) {
    volatile uint64_t sum = 0;
    (void)sum;
    for (uint64_t i = 0; i < ids->count_of_ids; ++i)
        sum += ids->ids[i];
    for (uint64_t i = 0; ids->placed && i < ids->count_of_counts; ++i)
        sum += ids->counts[i];
    if (ids->placed && (!ids->width || !ids->tile_columns || ids->fit < 1 || ids->fit > 4)) abort();
}

static void use(const serve_request *r) {
    volatile uint64_t sum = 0;
    (void)sum;
    if ((r->ids_count > 0) == (r->bytes != NULL)) abort();
    if (r->ids_count > (r->action == SERVE_PROMPT ? SERVE_MOST_PICTURES : 1)) abort();
    for (int i = 0; i < r->ids_count; ++i)
        use_ids(&r->ids[i]);
    for (int i = 0; i < r->item_count; ++i)
        sum += strlen(r->items[i]);
    for (size_t i = 0; i < r->size && r->bytes; ++i)
        sum += r->bytes[i];
}

static void try_json(serve_action action, const char *text, size_t size) {
    serve_request r = {.action = action, .choices = ENCODE_CHOICES};
    serve_refusal wrong = {0};
    const bool good = serve_request_json(&r, text, size, &wrong);
    check(good, &wrong);
    if (good) use(&r);
    serve_request_free(&r);
}

static void try_options(serve_action action, char *text) {
    serve_request r = {.action = action, .choices = ENCODE_CHOICES};
    for (char *line; (line = strsep(&text, "\n"));) {
        serve_refusal wrong = {0};
        char *value = strchr(line, '=');
        if (value) *value++ = 0;
        check(serve_request_option(&r, line, value ? value : "", &wrong), &wrong);
    }
    static const common_options none = {0};
    encode_meaning meaning;
    args_refusal refusal;
    if (!encode_meaning_fill(&r.choices, &none, &meaning, &refusal) && !*refusal.text) abort();
    serve_request_free(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const serve_action actions[] = {SERVE_ENCODE, SERVE_DECODE, SERVE_PROMPT};
    if (!size) return 0;
    const serve_action action = actions[data[0] % 3];
    char *text = malloc(size);
    if (!text) return 0;
    memcpy(text, data + 1, --size); /* and room for a zero byte, later */
    text[size] = '"';
    try_json(action, text, size);
    alloc_fail_at(data[0] / 3 % 16);
    try_json(action, text, size);
    alloc_fail_at(-1);
    uint8_t *bytes;
    size_t count;
    if (serve_base64(text, size, &bytes, &count) && count > size) abort();
    free(bytes);
    text[size] = 0;
    try_options(action, text);
    free(text);
    return 0;
}
