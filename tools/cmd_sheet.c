/* SPDX-License-Identifier: MIT */
/* cmd_sheet.c: a contact sheet: what a picture looks like at several numbers of tokens. */
#include "sheet_layout.h"
#include "text_draw.h"
#include "tool.h"

#include <tessera/media.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_COUNTS = 8, STRIP_FRAMES = 6 /* in a row, without pictures above it */ };

typedef struct sheet_options {
    common_options common;
    const char *output, *model, *counts;
    uint32_t cell;
    int fit;
    text_list strips;
} sheet_options;

#define AT(field) offsetof(sheet_options, field)
static const option options[] = {
    {"output", 'o', OPTION_TEXT, AT(output), "SHEET.png", NULL,
     "where to write; the suffix says the format (png, jpg, webp, avif, jxl, tiff, ppm); '-' is "
     "PNG on "
     "stdout",
     NULL, 0, 0},
    {"model", 't', OPTION_MODEL, AT(model), "MODEL", "the bundled tokenizer",
     "the tokenizer: a file, a folder or a name, as in encode", NULL, 0, 0},
    {"tokens", 'k', OPTION_TEXT, AT(counts), "LIST", "16,64,256",
     "numbers of ids a tile, one column each, at most 8", NULL, 0, 0},
    {"fit", 0, OPTION_CHOICE, AT(fit), "F", "auto", "how a picture becomes tiles, see encode",
     "auto|crop|pad|stretch|tile", 0, 0},
    {"cell", 0, OPTION_UINT, AT(cell), "PIXELS", "384",
     "longest side of a picture on the sheet; larger ones are shrunk, small ones stay", NULL, 32,
     4096},
    {"strip", 0, OPTION_TEXTS, AT(strips), "VIDEO", NULL,
     "a row of frames of a video, evenly spread, below the pictures and as many as the columns, or "
     "6; may be given several times, say for a clip and what was decoded of it",
     NULL, 0, 0},
};

typedef struct sheet {
    tool *t;
    tsr_tokenizer *tokenizer;
    uint32_t counts[MOST_COUNTS];
    int columns; /* of reconstructions */
    sheet_layout layout;
    double psnr[MOST_COUNTS]; /* sums of the finite ones, for the JSON */
    int finite[MOST_COUNTS];  /* pictures that differ from the original */
} sheet;

static int parse_counts(const verb *v, const char *text, sheet *s) {
    for (const char *p = text; *p;) {
        char *end;
        unsigned long n = *p >= '0' && *p <= '9' ? strtoul(p, &end, 10) : 0;
        if (n == 0 || n > 1u << 24 || (*end && *end != ',') || s->columns == MOST_COUNTS)
            return args_wrong(v,
                              "--tokens: wanted up to %d whole numbers such as 16,64,256, got '%s'",
                              MOST_COUNTS, text);
        s->counts[s->columns++] = (uint32_t)n;
        p = *end ? end + 1 : end;
    }
    return s->columns ? -1 : args_wrong(v, "--tokens: wanted numbers, got none");
}

/* How many bytes of a name a label has room for, up to the end of a letter. */
static int name_bytes(const char *name) {
    int length = 0;
    while (name[length] && length < 60)
        length++;
    while (name[length] && ((unsigned char)name[length] & 0xC0) == 0x80)
        length--;
    return length;
}

static tsr_status add_columns(sheet *s, const tsr_item *item, const tsr_picture *picture,
                              const char *name) {
    const tsr_token_header *header = tsr_item_header(item);
    tsr_token_item tokens = *tsr_item_tokens(item);
    int w = 0, h = 0;
    const uint8_t *original = tsr_item_fitted(item, &w, &h);
    if (header->fit == TSR_FIT_STRETCH) { /* as the tokenizer saw it, not resized back */
        tokens.source_width = (uint32_t)w;
        tokens.source_height = (uint32_t)h;
    }
    uint8_t *decoded = malloc((size_t)w * (size_t)h * 3);
    tsr_status status = decoded ? TSR_OK : TSR_ERROR_MEMORY;
    char label[128];
    snprintf(label, sizeof label, "%.*s  %dx%d", name_bytes(name), name, picture->width,
             picture->height);
    if (!status && !sheet_add(&s->layout, original, w, h, label)) status = TSR_ERROR_MEMORY;
    const uint64_t tiles = (uint64_t)tokens.tile_columns * tokens.tile_rows;
    for (int i = 0; i < s->columns && !status; ++i) {
        status = tsr_tokenizer_decode(s->tokenizer, header, &tokens, s->counts[i], decoded);
        tsr_evaluation e = {0};
        if (!status) status = tsr_evaluate(s->t->ctx, original, decoded, w, h, &e);
        if (status) break;
        uint64_t total = 0;
        for (uint64_t tile = 0; tile < tiles; ++tile)
            total += tokens.counts[tile] < s->counts[i] ? tokens.counts[tile] : s->counts[i];
        if (isfinite(e.psnr)) {
            s->psnr[i] += e.psnr;
            s->finite[i]++;
        }
        char tokens_text[32];
        snprintf(label, sizeof label, "k=%u  %s  %.1f dB", s->counts[i],
                 tool_count(total, "token", tokens_text), e.psnr);
        if (!sheet_add(&s->layout, decoded, w, h, label)) status = TSR_ERROR_MEMORY;
    }
    free(decoded);
    return status;
}

static tsr_status add_picture(sheet *s, const sheet_options *o, const char *path) {
    static const uint8_t white[3] = {255, 255, 255};
    uint8_t *rgb = NULL;
    int width, height;
    tsr_status status = tsr_picture_read(s->t->ctx, path, white, &rgb, &width, &height);
    if (status) return status;
    char name[256], clean[256];
    tool_stem(path, name, sizeof name);
    const tsr_picture picture = {.rgb = rgb, .width = width, .height = height, .key = name};
    tsr_encode_settings settings = tsr_encode_settings_default();
    settings.fit.fit = (tsr_fit)o->fit;
    settings.keep_fitted = 1;
    uint32_t *tokens = &settings.choice.tokens;
    const uint32_t most = tsr_token_positions(tsr_tokenizer_header(s->tokenizer));
    for (int i = 0; i < s->columns; ++i)
        if (s->counts[i] > *tokens) *tokens = s->counts[i] < most ? s->counts[i] : most;
    tsr_item *item = NULL;
    status = tsr_tokenizer_encode(s->tokenizer, &picture, 1, &settings, &item, NULL);
    if (!status) status = add_columns(s, item, &picture, tool_clean(name, clean, sizeof clean));
    tsr_item_close(&item);
    free(rgb);
    return status;
}

/* A row of frames, the first and the last among them. A short video repeats frames, one that is
 * damaged leaves places empty. */
static tsr_status add_strip(sheet *s, const char *path) {
    const tsr_frame_choice choice = {.rule = TSR_FRAMES_COUNT,
                                     .frames = (uint32_t)s->layout.columns};
    tsr_frames *frames = NULL;
    tsr_status status =
        tsr_frames_open(s->t->ctx, path, NULL, &choice, tool_progress, s->t, &frames);
    if (status) return status;
    char clean[256], label[128]; /* with the suffix: an original and its copy may share the rest */
    const char *slash = strrchr(path, '/');
    tool_clean(slash && slash[1] ? slash + 1 : path, clean, sizeof clean);
    const tsr_video_frame *frame = NULL;
    const tsr_frame_pick *pick = NULL;
    int count = 0;
    while (!(status = tsr_frames_next(frames, &frame, &pick)) && frame) {
        snprintf(label, sizeof label, "%.*s  frame %" PRIu64 "  %.3f s", name_bytes(clean), clean,
                 pick->index, pick->seconds);
        if (!sheet_add(&s->layout, frame->rgb, (int)frame->width, (int)frame->height, label))
            status = TSR_ERROR_MEMORY;
        if (status) break;
        count++;
    }
    static const uint8_t paper[3] = {255, 255, 255};
    for (; !status && count < s->layout.columns; ++count)
        if (!sheet_add(&s->layout, paper, 1, 1, "")) status = TSR_ERROR_MEMORY;
    tsr_frames_close(&frames);
    return status;
}

static void print_json(sheet *s, const sheet_options *o, int pictures) {
    json_out j;
    tool_json(s->t, &j);
    json_text(&j, "output", o->output);
    json_int(&j, "pictures", pictures);
    json_int(&j, "strips", o->strips.count);
    json_text(&j, "device", s->tokenizer ? tsr_tokenizer_device(s->tokenizer) : NULL);
    json_array(&j, "columns");
    for (int i = 0; i < s->columns; ++i) {
        json_object(&j, NULL);
        json_uint(&j, "tokens", s->counts[i]);
        json_real(&j, "psnr", s->finite[i] ? s->psnr[i] / s->finite[i] : NAN);
        json_int(&j, "psnr_count", s->finite[i]);
        json_end(&j, '}');
    }
    json_end(&j, ']');
    json_real(&j, "total_seconds", tool_seconds() - s->t->started);
    json_close(&j);
}

static tsr_status make_sheet(sheet *s, const sheet_options *o, char **paths, int count) {
    tsr_model_settings settings = tsr_model_settings_default();
    settings.model = o->model;
    settings.device = o->common.device;
    settings.mask = o->common.mask;
    settings.precision = (tsr_precision)o->common.precision;
    tsr_status status = tsr_picture_write_check(s->t->ctx, o->output, NULL);
    if (!status && count) status = tsr_tokenizer_open(s->t->ctx, &s->tokenizer, &settings);
    for (int i = 0; i < count && !status; ++i) {
        if (tool_progress(s->t, "drawing", (uint64_t)i, (uint64_t)count))
            return TSR_ERROR_INTERRUPTED;
        status = add_picture(s, o, paths[i]);
    }
    for (int i = 0; i < o->strips.count && !status; ++i)
        status = add_strip(s, o->strips.at[i]);
    if (status) return status;
    sheet_picture page = {0};
    if (!sheet_draw(&s->layout, &page)) return TSR_ERROR_MEMORY;
    status = tsr_picture_write(s->t->ctx, o->output, page.width, page.height, page.rgb, NULL);
    free(page.rgb);
    return status;
}

static void say_done(tool *t, const sheet_options *o, int pictures) {
    const char *missing = text_draw_missing();
    char count[32];
    if (missing) tool_warn(t, "labels are left out: %s", missing);
    tool_say(t, "%s: %s, %.2f s", o->output,
             pictures ? tool_count((uint64_t)pictures, "picture", count)
                      : tool_count((uint64_t)o->strips.count, "strip", count),
             tool_seconds() - t->started);
}

static int run(const verb *v, int argc, char **argv) {
    sheet_options o = {.cell = 384};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (!o.output) return args_wrong(v, "-o SHEET.png is missing");
    if (!operands && !o.strips.count) return args_wrong(v, "wanted pictures or --strip, got none");
    tool t;
    sheet s = {.t = &t};
    if ((code = parse_counts(v, o.counts ? o.counts : "16,64,256", &s)) >= 0) return code;
    if ((code = tool_not_input(v, o.output, o.model)) >= 0) return code;
    for (int i = 0; i < operands; ++i)
        if ((code = tool_not_input(v, o.output, argv[i])) >= 0) return code;
    for (int i = 0; i < o.strips.count; ++i)
        if ((code = tool_not_input(v, o.output, o.strips.at[i])) >= 0) return code;
    if ((code = tool_output(v, &o.common, o.output)) >= 0) return code;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    s.layout.columns = operands || o.counts ? s.columns + 1 : STRIP_FRAMES;
    s.layout.cell = (int)o.cell;
    tsr_status status = make_sheet(&s, &o, argv, operands);
    if (status)
        code = tool_fail(&t, status);
    else {
        code = EXIT_DONE;
        tool_progress_clear(&t);
        if (o.common.json)
            print_json(&s, &o, operands);
        else if (!tool_is_stream(o.output))
            say_done(&t, &o, operands);
    }
    sheet_layout_free(&s.layout);
    tsr_tokenizer_close(&s.tokenizer);
    tool_close(&t);
    return code;
}

const verb verb_sheet = {
    .name = "sheet",
    .summary = "a contact sheet: original beside reconstructions at several token counts",
    .usage =
        "tessera sheet [IN...] [--strip VIDEO] -o SHEET.png [-k 16,64,256] [-t MODEL] [--fit F] "
        "[-f]\n"
        "              [--device cpu|vulkan[:N]] [--json]",
    .about =
        "One row for each picture: the original as the tokenizer saw it, then what each number of "
        "tokens a tile gives back, with all tokens of the picture and the PSNR below it. Every "
        "picture is encoded once; the columns are prefixes of the same ids. Below them stands a "
        "row "
        "of frames of each --strip, with their numbers and times. Names of any script are drawn; "
        "where "
        "nothing draws text (a build without pango, a machine without fonts) labels are left out, "
        "and "
        "it says so.",
    .examples = "# what 16, 64 and 256 tokens a tile keep\n"
                "tessera sheet photos/*.jpg -o sheet.png\n"
                "# every doubling\n"
                "tessera sheet photo.png -o sheet.png -k 1,4,16,64,256\n"
                "# six frames of a clip over the same frames of what was decoded\n"
                "tessera sheet --strip clip.mp4 --strip back.mp4 -o strip.png",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .writes = true,
    .least_operands = 0,
    .most_operands = -1,
    .operands = "IN",
    .run = run,
};
