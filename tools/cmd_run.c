/* SPDX-License-Identifier: MIT */
/* cmd_run.c: prompts to a language model, its replies back. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "id_file.h"
#include "prompt_input.h"
#include "reply_pictures.h"
#include "run_local.h"

typedef struct run_options {
    common_options common;
    const char *output, *server, *model_name, *key_file, *grammar, *log;
    const char *map, *template_name, *tokenizer, *picture, *grid, *like, *model;
    text_list ids, items, texts, text_ids;
    int dialect, format, whole, frames, repair, shape, unchecked;
    uint32_t text_length;
    uint32_t max_tokens, top_k, logprobs, jobs, timeout, most_seconds, retries;
    double temperature, top_p;
    uint64_t seed;
    const char *gguf, *library, *before, *after, *features, *set, *column, *clip, *plot;
    uint32_t context;
    double visual_step, rope_scale;
    int perplexity;
} run_options;

#define AT(field) offsetof(run_options, field)
static const option options[] = {
    {"server", 0, OPTION_TEXT, AT(server), "URL", NULL,
     "address of the server: http://HOST:PORT, with the path in front of its routes if it has one",
     NULL, 0, 0},
    {"gguf", 0, OPTION_TEXT, AT(gguf), "MODEL.gguf", NULL,
     "a model to run in this program with libllama, in place of a server (scripts/llama.sh)", NULL,
     0, 0},
    {"llama-library", 0, OPTION_TEXT, AT(library), "FILE", "$TESSERA_LLAMA",
     "libllama, of the release that `tessera run` knows", NULL, 0, 0},
    {"context", 0, OPTION_UINT, AT(context), "N", "as trained, at most 8192",
     "with --gguf: tokens of prompt and reply together", NULL, 1, 1u << 24},
    {"before", 0, OPTION_TEXT, AT(before), "TEXT", NULL,
     "with --gguf: text before embeddings and ids; names of special tokens become their ids", NULL,
     0, 0},
    {"after", 0, OPTION_TEXT, AT(after), "TEXT", NULL, "with --gguf: text behind them", NULL, 0, 0},
    {"features", 0, OPTION_TEXT, AT(features), "F.safetensors", NULL,
     "with --gguf: rows of a token set as embeddings, as wide as the model's", NULL, 0, 0},
    {"set", 0, OPTION_TEXT, AT(set), "KEY", "the only one", "which set of --features", NULL, 0, 0},
    {"column", 0, OPTION_TEXT, AT(column), "NAME", "features",
     "rows of this array of the set: codebook, vq_tokens", NULL, 0, 0},
    {"clip-codebook", 0, OPTION_TEXT, AT(clip), "CLIP.tess", NULL,
     "with --gguf: rows of a clip's codebook as embeddings, in the order of its index map", NULL, 0,
     0},
    {"visual-step", 0, OPTION_REAL, AT(visual_step), "D", "1",
     "with --gguf: positions from embedding to embedding; those that share one see each other",
     NULL, 1e-6, 1},
    {"rope-scale", 0, OPTION_REAL, AT(rope_scale), "S", "the model's",
     "with --gguf: factor of all positions", NULL, 1e-6, 1e6},
    {"perplexity", 0, OPTION_FLAG, AT(perplexity), NULL, NULL,
     "with --gguf: no reply, but how many bits the model needs for each id of --ids", NULL, 0, 0},
    {"plot", 0, OPTION_TEXT, AT(plot), "FILE", NULL,
     "with --perplexity: the bits of each id by its position, as .svg or a picture", NULL, 0, 0},
    {"dialect", 0, OPTION_CHOICE, AT(dialect), "D", "ask",
     "how the server is spoken to; ask: as it says of itself", "ask|llama|openai|vllm|sglang", 0,
     0},
    {"model-name", 0, OPTION_TEXT, AT(model_name), "NAME", "the first one",
     "the model's name on a server that has several", NULL, 0, 0},
    {"key-file", 0, OPTION_TEXT, AT(key_file), "FILE", "$TESSERA_SERVER_KEY",
     "the first line of this file is the server's bearer token", NULL, 0, 0},
    {"ids", 0, OPTION_TEXTS, AT(ids), "FILE", NULL,
     "a prompt in ids: a list in JSON, or 4 bytes each, little-endian (.bin); '-' is stdin; may be "
     "given several times",
     NULL, 0, 0},
    {"map", 0, OPTION_TEXT, AT(map), "MAP", NULL,
     "the model's vocabulary map: a name of `tessera map list`, or a file; it is checked against "
     "the server first",
     NULL, 0, 0},
    {"template", 0, OPTION_TEXT, AT(template_name), "NAME", "the map's first",
     "the sequence that prompts are: `tessera map show MAP` lists them", NULL, 0, 0},
    {"item", 0, OPTION_TEXTS, AT(items), "N|KEY", "every item",
     "a picture, or the clip of --clip-codebook: number from 0 on, range or list (0,2,5-7), or "
     "key; may be given several times",
     NULL, 0, 0},
    {"frames", 0, OPTION_FLAG, AT(frames), NULL, NULL,
     "join the items of a file to the frames of one video", NULL, 0, 0},
    {"text", 0, OPTION_TEXTS, AT(texts), "KEY=TEXT", NULL,
     "text for the place KEY of the template, cut into ids by the server's tokenizer", NULL, 0, 0},
    {"text-ids", 0, OPTION_TEXTS, AT(text_ids), "KEY=IDS", NULL,
     "the same as ids, 5,17,3 (KEY= is no text)", NULL, 0, 0},
    {"text-length", 0, OPTION_UINT, AT(text_length), "N", "the map's",
     "ids of the fields that text is filled or cut to", NULL, 1, 65536},
    {"tokenizer", 0, OPTION_TEXT, AT(tokenizer), "FILE", NULL,
     "tokenizer.json, config.json or GGUF of the model, for tokens whose ids the map does not know",
     NULL, 0, 0},
    {"unchecked", 0, OPTION_FLAG, AT(unchecked), NULL, NULL,
     "do not compare the map with the server's vocabulary", NULL, 0, 0},
    {"output", 'o', OPTION_TEXT, AT(output), "OUT", "the text to stdout",
     "where the reply goes: .json (ids and everything known), .bin (ids), .txt, or its pictures as "
     ".tess or decoded (.png ...); OUT/ is a folder for several",
     NULL, 0, 0},
    {"format", 0, OPTION_CHOICE, AT(format), "F", "json", "what is written into a folder",
     "json|bin|txt|tess|png|jpg|webp", 0, 0},
    {"picture", 0, OPTION_TEXT, AT(picture), "NAME", "the map's first",
     "layout of the pictures in replies", NULL, 0, 0},
    {"grid", 0, OPTION_TEXT, AT(grid), "[T,]H,W", "what the reply says",
     "frames, rows and columns that were asked for, or one number of codes", NULL, 0, 0},
    {"shape", 0, OPTION_FLAG, AT(shape), NULL, NULL,
     "have llama-server keep to --grid: separators and the end stand where they belong", NULL, 0,
     0},
    {"repair", 0, OPTION_FLAG, AT(repair), NULL, NULL,
     "repair damaged pictures, and say what was done", NULL, 0, 0},
    {"like", 0, OPTION_TEXT, AT(like), "FILE.tess", "the prompt's own",
     "a file of the tokenizer, whose name, weights and preprocessing pictures of replies have",
     NULL, 0, 0},
    {"model", 't', OPTION_MODEL, AT(model), "MODEL", "the bundled tokenizer",
     "the tokenizer that decodes the pictures of replies", NULL, 0, 0},
    {"max-tokens", 'n', OPTION_UINT, AT(max_tokens), "N", "256", "ids of a reply at most", NULL, 1,
     1u << 24},
    {"temperature", 0, OPTION_REAL, AT(temperature), "T", "0",
     "how freely ids are drawn; 0 takes the likeliest each time", NULL, 0, 100},
    {"top-k", 0, OPTION_UINT, AT(top_k), "K", "every id", "draw from the K likeliest ids", NULL, 1,
     1u << 24},
    {"top-p", 0, OPTION_REAL, AT(top_p), "P", "1",
     "draw from the likeliest ids that together have this probability", NULL, 1e-6, 1},
    {"seed", 0, OPTION_UINT64, AT(seed), "N", "0", "of what is drawn", NULL, 0, 0},
    {"logprobs", 0, OPTION_UINT, AT(logprobs), "K", "none",
     "report the probability of each id and of the K likeliest (log, natural)", NULL, 1, 100},
    {"grammar", 0, OPTION_TEXT, AT(grammar), "FILE.gbnf", NULL,
     "a grammar that the reply must fit (llama-server's GBNF)", NULL, 0, 0},
    {"jobs", 'j', OPTION_UINT, AT(jobs), "N", "1", "requests at a time", NULL, 1, 256},
    {"timeout", 0, OPTION_UINT, AT(timeout), "SECONDS", "300",
     "without a byte before an answer is given up", NULL, 1, 86400},
    {"time-limit", 0, OPTION_UINT, AT(most_seconds), "SECONDS", "3600", "for one answer", NULL, 1,
     604800},
    {"retries", 0, OPTION_UINT, AT(retries), "N", "5",
     "tries in a row without a new id before a request is given up", NULL, 0, 1000},
    {"whole", 0, OPTION_FLAG, AT(whole), NULL, NULL, "ask for replies in one piece, not as streams",
     NULL, 0, 0},
    {"log", 0, OPTION_TEXT, AT(log), "RUN.jsonl", NULL,
     "add a line for each reply: ids in and out, seconds, ids a second", NULL, 0, 0},
};

typedef struct run_state {
    tool *t;
    const run_options *o;
    run_prompts prompts;
    prompt_input input;
    tsr_server *server;
    local_run *model; /* of --gguf */
    local_options model_options;
    run_output output;
    tsr_server_facts facts;
    local_facts local;
    char *key, *grammar;
    char differs[600]; /* of map and server: the first comparison */
    int code;          /* of a reply that could not be written; -1: none */
} run_state;

/* ---- files that requests need ---- */

/* The text of a file into *text, which the caller frees. Returns -1, or the exit code. */
static int read_text(tool *t, const char *path, char **text) {
    enum { MOST = 1 << 20 };
    FILE *file = fopen(path, "rb");
    if (!file) return tool_fail_text(t, TSR_ERROR_NOT_FOUND, "%s: cannot be opened", path);
    *text = malloc(MOST + 1);
    const size_t n = *text ? fread(*text, 1, MOST, file) : 0;
    const bool whole = *text && !ferror(file) && (n < MOST || feof(file));
    fclose(file);
    if (!whole) {
        free(*text);
        *text = NULL;
        return tool_fail_text(t, TSR_ERROR_IO, "%s: wanted a text of at most 1 MiB", path);
    }
    (*text)[n] = 0;
    return -1;
}

static int read_key(run_state *r, const run_options *o) {
    const char *of_environment = getenv("TESSERA_SERVER_KEY");
    if (!o->key_file) {
        r->key = of_environment && *of_environment ? strdup(of_environment) : NULL;
        return -1;
    }
    const int code = read_text(r->t, o->key_file, &r->key);
    if (code < 0) r->key[strcspn(r->key, "\r\n")] = 0;
    return code;
}

/* ---- requests ---- */

static int on_done(void *user, size_t index, const tsr_generate_reply *got) {
    run_state *r = user;
    const run_reply reply = {.prompt = &r->prompts.at[index], .index = index, .got = got};
    const int code = run_output_reply(r->t, &r->output, &reply);
    if (code >= 0) r->code = code;
    return code >= 0;
}

static int on_again(void *user, size_t index, const char *why) {
    run_state *r = user;
    if (r->t->o->verbose) tool_warn(r->t, "%s: again: %s", r->prompts.at[index].name, why);
    return 0;
}

static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    return tool_progress(((run_state *)user)->t, what, done, total);
}

static tsr_status ask(run_state *r) {
    const run_options *o = r->o;
    const run_prompts *p = &r->prompts;
    tsr_generate_request *requests = calloc(p->count, sizeof *requests);
    if (!requests) return TSR_ERROR_MEMORY;
    for (size_t i = 0; i < p->count; ++i)
        requests[i] = (tsr_generate_request){.ids = p->at[i].ids,
                                             .id_count = p->at[i].id_count,
                                             .max_tokens = o->max_tokens,
                                             .temperature = o->temperature,
                                             .top_p = o->top_p,
                                             .top_k = o->top_k,
                                             .seed = o->seed,
                                             .logprobs = o->logprobs,
                                             .grammar = r->grammar,
                                             .whole = o->whole};
    const tsr_generate_events events = {
        .done = on_done, .again = on_again, .progress = on_progress, .user = r};
    const tsr_status status = tsr_server_generate(r->server, requests, p->count, &events);
    free(requests);
    return status;
}

static int connect_server(run_state *r) {
    const run_options *o = r->o;
    tsr_server_settings where = tsr_server_settings_default();
    where.url = o->server;
    where.dialect = (tsr_server_dialect)o->dialect;
    where.model = o->model_name;
    where.key = r->key;
    where.timeout = o->timeout;
    where.most_seconds = o->most_seconds;
    where.retries = o->retries;
    where.in_flight = o->jobs;
    const tsr_status status = tsr_server_open(r->t->ctx, &where, &r->server);
    if (status) return tool_fail(r->t, status);
    r->facts = tsr_server_get_facts(r->server);
    return -1;
}

/* ---- prompts ---- */

/* tsr_map_line_fn: keeps the first comparison that does not agree. */
static void on_comparison(void *user, const char *what, int agrees, const char *text) {
    run_state *r = user;
    if (agrees || *r->differs) return;
    snprintf(r->differs, sizeof r->differs, "%s: %s", what, text);
}

/* Silent drift of ids is the worst failure: nothing is sent before texts and numbers agree. */
static int check_map(run_state *r) {
    const tsr_vocabulary vocabulary =
        r->model ? run_local_vocabulary(r->model) : tsr_server_vocabulary(r->server);
    int failed = 0;
    tsr_status s = tsr_vocab_map_runnable(r->t->ctx, r->input.map);
    if (!s && !r->o->unchecked)
        s = tsr_vocab_map_check(r->t->ctx, r->input.map, &vocabulary, 0, on_comparison, r, &failed);
    if (s) return tool_fail(r->t, s);
    if (failed)
        return tool_fail_text(r->t, TSR_ERROR_MODEL_MISMATCH,
                              "%s: its vocabulary is not that of the map %s: %s (%d differ; "
                              "--unchecked goes on)",
                              r->model ? r->o->gguf : r->o->server,
                              tsr_vocab_map_info(r->input.map)->name, r->differs, failed);
    return -1;
}

/* tsr_server_tokenize for prompt_input. */
static tsr_status cut_text(void *user, const char *text, uint32_t **ids, uint64_t *count) {
    size_t n = 0;
    const tsr_status s = tsr_server_tokenize(((run_state *)user)->server, text, ids, &n);
    *count = n;
    return s;
}

static int build_prompt(run_state *r, const char *source, const char *name,
                        const tsr_codes *pictures, int count) {
    const tsr_prompt_settings s = {.template_name =
                                       prompt_input_template(&r->input, r->o->template_name),
                                   .pictures = pictures,
                                   .picture_count = count,
                                   .texts = r->input.texts,
                                   .text_count = r->input.text_count,
                                   .text_length = r->o->text_length};
    tsr_prompt *prompt = NULL;
    uint64_t n = 0;
    const tsr_status status = tsr_prompt_build(r->t->ctx, r->input.map, &s, &prompt);
    const uint32_t *ids = status ? NULL : tsr_prompt_ids(prompt, &n);
    uint32_t *copy = status ? NULL : malloc((size_t)(n + !n) * sizeof *copy);
    if (copy) memcpy(copy, ids, (size_t)n * sizeof *copy);
    tsr_prompt_close(&prompt);
    if (status) return tool_fail(r->t, status);
    if (!copy) return tool_fail_text(r->t, TSR_ERROR_MEMORY, "%s: memory for its prompt", name);
    return run_prompts_add(r->t, &r->prompts, name, source, copy, (size_t)n);
}

/* How many pictures a prompt of the template takes; -1: any number. */
static int pictures_of_template(const run_state *r) {
    const tsr_map_info *info = tsr_vocab_map_info(r->input.map);
    const char *name = prompt_input_template(&r->input, r->o->template_name);
    for (int i = 0; i < info->templates; ++i) {
        const tsr_map_template t = tsr_vocab_map_template(r->input.map, i);
        if (!strcmp(t.name, name)) return t.pictures;
    }
    return 1; /* tsr_prompt_build says that it is not there */
}

/* The prompts of a token file: one for each picture where the template takes one. */
static int file_prompts(run_state *r, const char *path) {
    const int first = r->input.count;
    int code = prompt_input_items(r->t, &r->input, path, &r->o->items, r->o->frames);
    if (code >= 0) return code;
    if (pictures_of_template(r) != 1)
        return build_prompt(r, path, path, r->input.pictures + first, r->input.count - first);
    for (int i = first; i < r->input.count && code < 0; ++i)
        code = build_prompt(r, path, r->input.names[i], r->input.pictures + i, 1);
    return code;
}

/* A prompt without a picture, or with the size alone of the one that is asked for. */
static int empty_prompt(run_state *r) {
    const tsr_reply_settings *s = &r->output.layout;
    const tsr_codes size = {.geometry = s->rows ? TSR_GEOMETRY_GRID : TSR_GEOMETRY_SEQUENCE,
                            .frames = s->frames,
                            .rows = s->rows,
                            .columns = s->columns};
    return build_prompt(r, NULL, "prompt", &size, s->columns ? pictures_of_template(r) == 1 : 0);
}

static int all_prompts(run_state *r, char **files, int count) {
    const run_options *o = r->o;
    int code = -1;
    r->input.cut = r->model ? run_local_cut : cut_text;
    r->input.user = r->model ? (void *)r->model : (void *)r;
    for (int i = 0; i < o->texts.count && code < 0; ++i)
        code = prompt_input_text(r->t, &r->input, o->texts.at[i], false, false);
    for (int i = 0; i < o->text_ids.count && code < 0; ++i)
        code = prompt_input_text(r->t, &r->input, o->text_ids.at[i], true, false);
    for (int i = 0; i < count && code < 0; ++i)
        code = file_prompts(r, files[i]);
    if (code < 0 && o->map && !count && !o->ids.count) code = empty_prompt(r);
    for (int i = 0; i < o->ids.count && code < 0; ++i) {
        uint32_t *ids;
        uint64_t n;
        code = id_file_read(r->t, o->ids.at[i], &ids, &n);
        if (code < 0) code = run_prompts_add(r->t, &r->prompts, o->ids.at[i], NULL, ids, (size_t)n);
    }
    return code;
}

/* How pictures of replies are read, and the grammar that --shape makes of it. */
static int choose_layout(run_state *r) {
    const run_options *o = r->o;
    tsr_reply_settings *s = &r->output.layout;
    *s = (tsr_reply_settings){.picture = o->picture, .repair = o->repair};
    const int code = reply_grid(r->t->v, o->grid, s);
    if (code >= 0 || !r->input.map) return code;
    const char *name = prompt_input_template(&r->input, o->template_name);
    const int templates = tsr_vocab_map_info(r->input.map)->templates;
    for (int i = 0; i < templates; ++i) {
        const tsr_map_template t = tsr_vocab_map_template(r->input.map, i);
        const char *last = strrchr(t.parts, ' ');
        last = last ? last + 1 : t.parts;
        if (!strcmp(t.name, name) && !strncmp(last, "head", 4)) s->begun = 1;
    }
    r->output.map = r->input.map;
    if (!o->shape) return -1;
    const tsr_status status = tsr_reply_grammar(r->t->ctx, r->input.map, s, &r->grammar);
    return status ? tool_fail(r->t, status) : -1;
}

/* ---- the end ---- */

static void print_json(run_state *r, const run_options *o, double seconds) {
    json_out j;
    run_output *out = &r->output;
    fputs(out->json.filled[1] ? "\n  ]" : "]", out->list);
    const bool whole = fclose(out->list) == 0;
    out->list = NULL;
    tool_json(r->t, &j);
    if (o->gguf) {
        json_text(&j, "model", o->gguf);
        json_text(&j, "library", r->local.library);
        json_text(&j, "library_version", r->local.version);
        json_text(&j, "architecture", r->local.architecture);
        json_int(&j, "vocabulary", r->local.vocabulary);
        json_int(&j, "embedding", r->local.width);
        json_int(&j, "context", r->local.context);
    } else {
        json_text(&j, "server", o->server);
        json_text(&j, "dialect", tsr_server_dialect_name(r->facts.dialect));
        json_uint(&j, "vocabulary", r->facts.vocabulary);
        json_uint(&j, "context", r->facts.context);
    }
    json_uint(&j, "replies", out->written);
    json_uint(&j, "failed", out->failed);
    json_uint(&j, "tokens", out->tokens);
    json_real(&j, "total_seconds", seconds);
    if (whole) json_raw(&j, "requests", out->text);
    json_close(&j);
}

static int finish(run_state *r, const run_options *o, tsr_status status) {
    run_output *out = &r->output;
    char replies[32], ids[32];
    const double seconds = tool_seconds() - r->t->started;
    tool_progress_clear(r->t);
    if (r->code >= 0) return r->code;
    if (status && (!out->failed || (out->single && !out->list))) return tool_fail(r->t, status);
    if (out->list)
        print_json(r, o, seconds);
    else
        tool_say(r->t, "%s, %s in %.2f s", tool_count(out->written, "answer", replies),
                 tool_count(out->tokens, "id", ids), seconds);
    if (status == TSR_ERROR_INTERRUPTED) return EXIT_INTERRUPTED;
    if (!out->failed && out->damaged) return EXIT_NEGATIVE;
    return !out->failed ? EXIT_DONE : out->written ? EXIT_NEGATIVE : tool_exit_code(status);
}

/* A model inside the program: ids, texts and rows, no map. */
static int open_model(run_state *r) {
    const run_options *o = r->o;
    r->model_options = (local_options){.gguf = o->gguf,
                                       .library = o->library,
                                       .before = o->before,
                                       .after = o->after,
                                       .features = o->features,
                                       .set = o->set,
                                       .column = o->column,
                                       .clip = o->clip,
                                       .item = o->items.count ? o->items.at[0] : NULL,
                                       .visual_step = o->visual_step,
                                       .rope_scale = o->rope_scale,
                                       .temperature = o->temperature,
                                       .top_p = o->top_p,
                                       .seed = o->seed,
                                       .context = o->context,
                                       .max_tokens = o->max_tokens,
                                       .top_k = o->top_k,
                                       .logprobs = o->logprobs,
                                       .perplexity = o->perplexity,
                                       .plot = o->plot};
    return run_local_open(r->t, &r->model_options, &r->model, &r->local);
}

static int answer_all(run_state *r) {
    if (!r->model) return finish(r, r->o, ask(r));
    const int code = run_local_prompts(r->model, &r->prompts, &r->output);
    return code < 0 ? finish(r, r->o, TSR_OK) : code;
}

static int run_all(run_state *r, char **files, int count) {
    const run_options *o = r->o;
    int code = read_key(r, o);
    if (code < 0 && o->map) code = prompt_input_map(r->t, &r->input, o->map, o->tokenizer);
    if (code < 0) code = o->gguf ? open_model(r) : connect_server(r);
    if (code < 0 && o->map) code = check_map(r);
    if (code < 0) code = choose_layout(r);
    if (code < 0) code = all_prompts(r, files, count);
    if (code < 0 && o->grammar) code = read_text(r->t, o->grammar, &r->grammar);
    if (code < 0) code = run_output_open(r->t, &r->output, r->prompts.count ? r->prompts.count : 1);
    return code < 0 ? answer_all(r) : code;
}

static int choose_output(const verb *v, const run_options *o, common_options *common,
                         run_output *out) {
    static const char *const kinds[] = {"json", "bin", "txt", "tess", "png", "jpg", "webp"};
    const size_t length = o->output ? strlen(o->output) : 0;
    out->path = o->output;
    out->log = o->log;
    out->like = o->like;
    out->folder = length && o->output[length - 1] == '/';
    out->kind = kinds[o->format];
    if (!o->output || (out->folder && (o->format < 3 || o->map))) return -1;
    const char *dot = out->folder ? NULL : strrchr(o->output, '.');
    for (size_t i = 0; dot && i < sizeof kinds / sizeof *kinds; ++i)
        if (!strcmp(dot + 1, kinds[i])) {
            out->kind = kinds[i];
            if (i >= 3 && !o->map) break;
            return tool_output(v, common, o->output);
        }
    if (args_is_stdout(o->output) && o->format < 3) return tool_output(v, common, o->output);
    if (!o->map) return args_wrong(v, "-o %s: pictures of replies need --map MAP", o->output);
    return args_wrong(v,
                      "-o %s: wanted a name that ends in .json, .bin, .txt, .tess, .png, .jpg, "
                      ".webp or '/'",
                      o->output);
}

/* What goes with --gguf. Returns -1, or the exit code. */
static int check_local(const verb *v, const run_options *o, int operands) {
    const bool local = o->library || o->before || o->after || o->features || o->clip || o->set ||
                       o->column || o->plot || o->context || o->perplexity || o->rope_scale > 0 ||
                       o->visual_step < 1;
    if (!o->gguf)
        return local ? args_wrong(v, "texts around embeddings, positions and scores need --gguf")
                     : -1;
    if (o->server) return args_wrong(v, "--server and --gguf: wanted one of them");
    if (o->map && (o->features || o->clip || o->before || o->after))
        return args_wrong(v, "--map and embeddings between texts: wanted one of them");
    if (o->grammar || o->shape || o->model_name || o->key_file || o->whole || o->dialect)
        return args_wrong(v, "--gguf: grammars and what speaks to servers need --server");
    if (o->features && o->clip)
        return args_wrong(v, "--features and --clip-codebook: wanted one of them");
    if ((!o->features && (o->set || o->column)) || (!o->clip && !o->map && o->items.count))
        return args_wrong(v, "--set and --column go with --features, --item with --clip-codebook");
    if (o->items.count > 1 && !o->map) return args_wrong(v, "--item: --clip-codebook takes one");
    if (o->perplexity && ((!o->ids.count && !operands) || o->output || o->log))
        return args_wrong(v, "--perplexity scores --ids or FILE.tess, and has no -o and no --log");
    if (o->plot && !o->perplexity) return args_wrong(v, "--plot goes with --perplexity");
    if (!o->ids.count && !o->map && !o->features && !o->clip && !o->before && !o->after)
        return args_wrong(v, "--ids FILE is missing");
    return -1;
}

static int check_options(const verb *v, const run_options *o, int operands) {
    const int code = check_local(v, o, operands);
    if (code >= 0) return code;
    if (!o->server && !o->gguf) return args_wrong(v, "--server URL or --gguf MODEL is missing");
    if (!o->map && operands) return args_wrong(v, "--map MAP is missing: it says what codes are");
    if (!o->map && !o->ids.count && !o->gguf)
        return args_wrong(v, "FILE.tess with --map, or --ids is missing");
    if (!o->map &&
        (o->template_name || (o->items.count && !o->clip) || o->texts.count || o->text_ids.count ||
         o->frames || o->picture || o->grid || o->shape || o->repair || o->tokenizer))
        return args_wrong(v, "--template, --item, --text, --text-ids, --frames, --picture, --grid, "
                             "--shape, --repair and --tokenizer need --map");
    if (o->shape && !o->grid) return args_wrong(v, "--shape: --grid H,W is missing");
    if (o->shape && o->grammar) return args_wrong(v, "--shape and --grammar do not go together");
    return -1;
}

static int run(const verb *v, int argc, char **argv) {
    run_options o = {.max_tokens = 256,
                     .top_p = 1,
                     .jobs = 1,
                     .timeout = 300,
                     .most_seconds = 3600,
                     .retries = 5,
                     .visual_step = 1};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    run_state r = {.t = &t, .o = &o, .code = -1};
    if ((code = check_options(v, &o, operands)) >= 0) return code;
    if ((code = choose_output(v, &o, &o.common, &r.output)) >= 0) return code;
    if (o.plot && (code = tool_output(v, &o.common, o.plot)) >= 0) return code;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    r.output.model = tsr_model_settings_default();
    r.output.model.model = o.model;
    r.output.model.device = o.common.device;
    code = run_all(&r, argv, operands);
    run_output_close(&r.output);
    run_prompts_free(&r.prompts);
    tsr_server_close(&r.server);
    run_local_close(&r.model);
    prompt_input_free(&r.input);
    free(r.key);
    free(r.grammar);
    tool_close(&t);
    return code;
}

const verb verb_run = {
    .name = "run",
    .summary = "token files to a language model, and its replies back",
    .usage =
        "tessera run FILE.tess... --map MAP --server URL [--template NAME] [--text KEY=TEXT]\n"
        "            [-n N] [-o OUT] [-j N] [--log RUN.jsonl] [-f] [--json]\n"
        "tessera run --ids FILE --server URL [-n N] [-o OUT] [-f] [--json]\n"
        "tessera run --gguf MODEL.gguf [--ids FILE] [--before TEXT] [--features F] [--after TEXT]\n"
        "tessera run --gguf MODEL.gguf FILE.tess... --map MAP [--template NAME] [--text KEY=TEXT]",
    .about = "Sends ids to a server that takes them (llama-server, vLLM, SGLang, TensorRT-LLM) and "
             "takes "
             "ids back, which are checked against the server's vocabulary. A server that is busy "
             "is asked "
             "again; a stream that is cut goes on behind the ids that came. With --gguf the model "
             "runs inside the program: "
             "prompts "
             "may then hold embeddings, too.",
    .exits = "1 when some requests failed and others did not, or a picture could not be used",
    .examples =
        "# what does a model of Liquid's say to a picture?\n"
        "tessera run photo.tess --map liquid-7b --template caption --text caption= --server "
        "http://gpu:8000\n"
        "# a picture out of a model's reply\n"
        "tessera run --map emu3 --template generate --text caption=cat --grid 9,9 -o cat.png "
        "--server "
        "URL\n"
        "# ids as they are, eight requests at a time, with a log\n"
        "tessera run --ids a.json --ids b.json --server http://gpu:8000 -j 8 -o replies/ "
        "--log run.jsonl\n"
        "# projected features of a picture as embeddings between two texts\n"
        "tessera features photo.jpg -t llava --project -o photo.safetensors\n"
        "tessera run --gguf m.gguf --before 'USER: ' --features photo.safetensors --after 'What?'\n"
        "# how many bits does the model need for each token?\n"
        "tessera run --gguf model.gguf --ids prompt.json --perplexity",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .device_options = DEVICE_NAME,
    .least_operands = 0,
    .most_operands = -1,
    .operands = "FILE.tess",
    .run = run,
};
