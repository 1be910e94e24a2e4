/* SPDX-License-Identifier: MIT */
/* cmd_run.c: prompts to a language model, its replies back. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "run_local.h"

typedef struct run_options {
    common_options common;
    const char *output, *server, *model_name, *key_file, *grammar, *log;
    text_list ids;
    int dialect, format, whole;
    uint32_t max_tokens, top_k, logprobs, jobs, timeout, most_seconds, retries;
    double temperature, top_p;
    uint64_t seed;
    const char *gguf, *library, *before, *after, *features, *set, *column, *clip, *item;
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
    {"item", 0, OPTION_TEXT, AT(item), "ITEM", "the only one", "which item of --clip-codebook",
     NULL, 0, 0},
    {"visual-step", 0, OPTION_REAL, AT(visual_step), "D", "1",
     "with --gguf: positions from embedding to embedding; those that share one see each other",
     NULL, 1e-6, 1},
    {"rope-scale", 0, OPTION_REAL, AT(rope_scale), "S", "the model's",
     "with --gguf: factor of all positions", NULL, 1e-6, 1e6},
    {"perplexity", 0, OPTION_FLAG, AT(perplexity), NULL, NULL,
     "with --gguf: no reply, but how many bits the model needs for each id of --ids", NULL, 0, 0},
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
    {"output", 'o', OPTION_TEXT, AT(output), "OUT", "the text to stdout",
     "where the reply goes: .json (ids and everything known), .bin (ids) or .txt; OUT/ is a folder "
     "for several",
     NULL, 0, 0},
    {"format", 0, OPTION_CHOICE, AT(format), "F", "json", "what is written into a folder",
     "json|bin|txt", 0, 0},
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
    const run_prompts *prompts;
    run_output output;
    tsr_server_facts facts;
    local_facts local;
    char *key, *grammar;
    int code; /* of a reply that could not be written; -1: none */
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
    const run_reply reply = {.prompt = &r->prompts->at[index], .index = index, .got = got};
    const int code = run_output_reply(r->t, &r->output, &reply);
    if (code >= 0) r->code = code;
    return code >= 0;
}

static int on_again(void *user, size_t index, const char *why) {
    run_state *r = user;
    if (r->t->o->verbose) tool_warn(r->t, "%s: again: %s", r->prompts->at[index].name, why);
    return 0;
}

static int on_progress(void *user, const char *what, uint64_t done, uint64_t total) {
    return tool_progress(((run_state *)user)->t, what, done, total);
}

static tsr_status ask(run_state *r, const run_options *o) {
    tsr_server *server = NULL;
    tsr_server_settings where = tsr_server_settings_default();
    where.url = o->server;
    where.dialect = (tsr_server_dialect)o->dialect;
    where.model = o->model_name;
    where.key = r->key;
    where.timeout = o->timeout;
    where.most_seconds = o->most_seconds;
    where.retries = o->retries;
    where.in_flight = o->jobs;
    tsr_status status = tsr_server_open(r->t->ctx, &where, &server);
    if (status) return status;
    r->facts = tsr_server_get_facts(server);
    tsr_generate_request *requests = calloc(r->prompts->count, sizeof *requests);
    for (size_t i = 0; requests && i < r->prompts->count; ++i)
        requests[i] = (tsr_generate_request){.ids = r->prompts->at[i].ids,
                                             .id_count = r->prompts->at[i].id_count,
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
    status = requests ? tsr_server_generate(server, requests, r->prompts->count, &events)
                      : TSR_ERROR_MEMORY;
    free(requests);
    tsr_server_close(&server);
    return status;
}

/* ---- the end ---- */

static void print_json(run_state *r, const run_options *o, double seconds) {
    json_out j;
    run_output *out = &r->output;
    fputs(out->json.filled[0] ? "\n  ]" : "]", out->list);
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
    return !out->failed ? EXIT_DONE : out->written ? EXIT_NEGATIVE : tool_exit_code(status);
}

static int ask_local(run_state *r, const run_options *o, run_prompts *prompts) {
    const local_options local = {.gguf = o->gguf,
                                 .library = o->library,
                                 .before = o->before,
                                 .after = o->after,
                                 .features = o->features,
                                 .set = o->set,
                                 .column = o->column,
                                 .clip = o->clip,
                                 .item = o->item,
                                 .visual_step = o->visual_step,
                                 .rope_scale = o->rope_scale,
                                 .temperature = o->temperature,
                                 .top_p = o->top_p,
                                 .seed = o->seed,
                                 .context = o->context,
                                 .max_tokens = o->max_tokens,
                                 .top_k = o->top_k,
                                 .logprobs = o->logprobs,
                                 .perplexity = o->perplexity};
    return run_local(r->t, &local, prompts, &r->output, &r->local);
}

static int run_all(run_state *r, run_options *o, run_prompts *prompts) {
    int code = -1;
    for (int i = 0; i < o->ids.count && code < 0; ++i) {
        uint32_t *ids;
        size_t count;
        code = run_read_ids(r->t, o->ids.at[i], &ids, &count);
        if (code < 0) code = run_prompts_add(r->t, prompts, o->ids.at[i], ids, count);
    }
    if (code < 0) code = read_key(r, o);
    if (code < 0 && o->grammar) code = read_text(r->t, o->grammar, &r->grammar);
    if (code < 0) code = run_output_open(r->t, &r->output, prompts->count ? prompts->count : 1);
    if (code < 0 && o->gguf) code = ask_local(r, o, prompts);
    return code < 0 ? finish(r, o, o->gguf ? TSR_OK : ask(r, o)) : code;
}

static int choose_output(const verb *v, run_options *o, run_output *out) {
    static const char *const kinds[] = {"json", "bin", "txt"};
    const size_t length = o->output ? strlen(o->output) : 0;
    out->path = o->output;
    out->log = o->log;
    out->folder = length && o->output[length - 1] == '/';
    out->kind = kinds[o->format];
    if (!o->output || out->folder) return -1;
    for (size_t i = 0; i < 3; ++i) {
        const char *dot = strrchr(o->output, '.');
        if (!dot || strcmp(dot + 1, kinds[i])) continue;
        out->kind = kinds[i];
        return tool_output(v, &o->common, o->output);
    }
    if (args_is_stdout(o->output)) return tool_output(v, &o->common, o->output);
    return args_wrong(v, "-o %s: wanted a name that ends in .json, .bin, .txt or '/'", o->output);
}

/* What goes with what. Returns -1, or the exit code. */
static int check_options(const verb *v, const run_options *o) {
    const bool local = o->library || o->before || o->after || o->features || o->clip ||
                       o->context || o->perplexity || o->rope_scale > 0 || o->visual_step < 1;
    if (!o->server == !o->gguf)
        return args_wrong(v, o->gguf ? "--server and --gguf: wanted one of them"
                                     : "--server URL is missing (or --gguf MODEL.gguf)");
    if (o->server && local)
        return args_wrong(v, "--server: texts, embeddings, positions and scores need --gguf");
    if (o->gguf && (o->grammar || o->model_name || o->key_file || o->whole || o->dialect))
        return args_wrong(v, "--gguf: grammars and what speaks to servers need --server");
    if (o->features && o->clip)
        return args_wrong(v, "--features and --clip-codebook: wanted one of them");
    if ((!o->features && (o->set || o->column)) || (!o->clip && o->item))
        return args_wrong(v, "--set and --column go with --features, --item with --clip-codebook");
    if (o->perplexity && (!o->ids.count || o->output || o->log))
        return args_wrong(v, "--perplexity scores --ids, and has no -o and no --log");
    if (!o->ids.count && !o->features && !o->clip && !o->before && !o->after)
        return args_wrong(v, "--ids FILE is missing");
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
    if ((code = check_options(v, &o)) >= 0) return code;
    tool t;
    run_prompts prompts = {0};
    run_state r = {.t = &t, .prompts = &prompts, .code = -1};
    if ((code = choose_output(v, &o, &r.output)) >= 0) return code;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    code = run_all(&r, &o, &prompts);
    run_output_close(&r.output);
    run_prompts_free(&prompts);
    free(r.key);
    free(r.grammar);
    tool_close(&t);
    return code;
}

const verb verb_run = {
    .name = "run",
    .summary = "prompts in ids to a language model, and its replies back",
    .usage =
        "tessera run --ids FILE --server URL [-n N] [-o OUT] [--json]\n"
        "tessera run --gguf MODEL.gguf [--ids FILE] [--before TEXT] [--features F] [--after TEXT]",
    .about = "Sends ids to a server that takes them (llama-server, vLLM, SGLang, TensorRT-LLM) and "
             "takes "
             "ids back, which are checked against the server's vocabulary. A server that is busy "
             "is asked "
             "again; a stream that is cut goes on behind the ids that came. With --gguf the model "
             "runs inside the program: "
             "prompts "
             "may then hold embeddings, too.",
    .exits = "1 when some requests failed and others did not",
    .examples =
        "# what does the model say behind these ids?\n"
        "tessera run --ids prompt.json --server http://127.0.0.1:8080 -n 64 -o reply.json\n"
        "# many prompts, eight at a time, with a log\n"
        "tessera run --ids a.json --ids b.json --server http://gpu:8000 -j 8 -o replies/ --log "
        "run.jsonl\n"
        "# projected features of a picture as embeddings between two texts\n"
        "tessera features photo.jpg -t llava --project -o photo.safetensors\n"
        "tessera run --gguf m.gguf --before 'USER: ' --features photo.safetensors --after "
        "' What?'\n"
        "# how many bits does the model need for each token?\n"
        "tessera run --gguf model.gguf --ids prompt.json --perplexity",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .writes = true,
    .least_operands = 0,
    .most_operands = 0,
    .run = run,
};
