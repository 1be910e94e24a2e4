/* SPDX-License-Identifier: MIT */
/* cmd_model.c: what a weight file holds, its conversion, and which tokenizer families there are. */
#include "tool.h"

#include <tessera/models.h>

#include <cjson/cJSON.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct model_options {
    common_options common;
} model_options;

typedef struct convert_options {
    common_options common;
    const char *key, *licence, *with;
    int dtype, all;
} convert_options;

#define AT(field) offsetof(convert_options, field)
static const char *const dtypes[] = {NULL, "f32", "f16", "bf16"};
static const option convert_list[] = {
    {"dtype", 0, OPTION_CHOICE, AT(dtype), "TYPE", "keep",
     "type of every float: keep (f64 becomes f32), f32, f16 or bf16", "keep|f32|f16|bf16", 0, 0},
    {"key", 0, OPTION_TEXT, AT(key), "KEY", "ema, model_ema, state_dict, model, module or the top",
     "the container of a checkpoint whose tensors are wanted, as list-tensors writes it; / for the "
     "top",
     NULL, 0, 0},
    {"licence", 0, OPTION_TEXT, AT(licence), "TEXT",
     "what `tessera fetch` noted beside IN, or IN's own metadata",
     "noted in OUT: under which licence the weights are", NULL, 0, 0},
    {"with", 0, OPTION_TEXT, AT(with), "FILE", "none",
     "a second file whose tensors are added: the decoder of a model that is published in halves",
     NULL, 0, 0},
    {"all", 0, OPTION_FLAG, AT(all), NULL, NULL,
     "keep also what only training needs: losses, discriminators, counters", NULL, 0, 0},
};

/* ---- model list ---------------------------------------------------------------------------- */

static void list_json(tool *t) {
    json_out j;
    tool_json(t, &j);
    json_array(&j, "families");
    for (int i = 0; i < tsr_family_count(); ++i) {
        tsr_family_info f;
        tsr_family_at(i, &f);
        json_object(&j, NULL);
        json_text(&j, "name", f.name);
        json_uint(&j, "id", f.id);
        json_text(&j, "trade", f.trade);
        json_text(&j, "about", f.about);
        json_text(&j, "needs", f.needs);
        json_text(&j, "verified", f.verified);
        json_end(&j, '}');
    }
    json_end(&j, ']');
    json_close(&j);
}

static void list_text(void) {
    for (int i = 0; i < tsr_family_count(); ++i) {
        tsr_family_info f;
        tsr_family_at(i, &f);
        if (f.id)
            printf("%s%s (family %u)\n", i ? "\n" : "", f.name, f.id);
        else
            printf("%s%s (%s)\n", i ? "\n" : "", f.name, f.trade);
        args_print_wrapped(f.about, printf("  "), 2);
        if (f.needs) args_print_wrapped(f.needs, printf("  needs     "), 12);
        if (f.verified) args_print_wrapped(f.verified, printf("  verified  "), 12);
    }
}

static int run_list(const verb *v, int argc, char **argv) {
    model_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    if (o.common.json)
        list_json(&t);
    else
        list_text();
    tool_close(&t);
    return EXIT_DONE;
}

/* ---- model list-tensors -------------------------------------------------------------------- */

static void shape_text(const tsr_model_tensor *m, char *text, size_t size) {
    size_t used = (size_t)snprintf(text, size, "[");
    for (int d = 0; d < m->rank && used < size; ++d)
        used +=
            (size_t)snprintf(text + used, size - used, d ? ", %" PRId64 : "%" PRId64, m->dim[d]);
    if (used < size) snprintf(text + used, size - used, "]");
}

typedef struct totals {
    uint64_t elements, bytes;
} totals;

static totals sum_tensors(const tsr_model_file *file) {
    totals sum = {0};
    for (int i = 0; i < tsr_model_file_count(file); ++i) {
        tsr_model_tensor m;
        tsr_model_file_tensor(file, i, &m);
        sum.elements += m.elements;
        sum.bytes += m.bytes;
    }
    return sum;
}

static void tensors_json(tool *t, const char *path, const tsr_model_file *file) {
    totals sum = sum_tensors(file);
    json_out j;
    tool_json(t, &j);
    json_text(&j, "file", path);
    json_text(&j, "format", tsr_model_file_format(file));
    json_uint(&j, "file_bytes", tsr_model_file_bytes(file));
    json_uint(&j, "tensor_count", (uint64_t)tsr_model_file_count(file));
    json_uint(&j, "elements", sum.elements);
    json_uint(&j, "bytes", sum.bytes);
    json_text(&j, "weights_under", tsr_model_file_weights_under(file));
    json_uint(&j, "passed_over", tsr_model_file_passed_over(file, NULL));
    json_object(&j, "metadata");
    for (int i = 0; i < tsr_model_file_metadata_count(file); ++i) {
        const char *key, *value;
        tsr_model_file_metadata(file, i, &key, &value);
        json_text(&j, key, value);
    }
    json_end(&j, '}');
    json_array(&j, "tensors");
    for (int i = 0; i < tsr_model_file_count(file); ++i) {
        tsr_model_tensor m;
        tsr_model_file_tensor(file, i, &m);
        json_object(&j, NULL);
        json_text(&j, "name", m.name);
        json_text(&j, "dtype", m.dtype);
        json_array(&j, "shape");
        for (int d = 0; d < m.rank; ++d)
            json_int(&j, NULL, m.dim[d]);
        json_end(&j, ']');
        json_uint(&j, "elements", m.elements);
        json_uint(&j, "bytes", m.bytes);
        json_end(&j, '}');
    }
    json_end(&j, ']');
    json_close(&j);
}

/* One tensor a line; the name comes last, so that a column tool can cut at the third blank. */
static void tensors_text(const tsr_model_file *file) {
    int wide = 8;
    char shape[256];
    tsr_model_tensor m;
    for (int i = 0; i < tsr_model_file_count(file); ++i) {
        tsr_model_file_tensor(file, i, &m);
        shape_text(&m, shape, sizeof shape);
        int width = (int)strlen(shape);
        if (width > wide && width <= 40) wide = width;
    }
    for (int i = 0; i < tsr_model_file_count(file); ++i) {
        char clean[1024];
        tsr_model_file_tensor(file, i, &m);
        shape_text(&m, shape, sizeof shape);
        printf("%-5s %-*s %12" PRIu64 "  %s\n", m.dtype, wide, shape, m.bytes,
               tool_clean(m.name, clean, sizeof clean));
    }
}

static int run_tensors(const verb *v, int argc, char **argv) {
    model_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    tsr_model_file *file = NULL;
    tsr_status status = tsr_model_file_open(t.ctx, argv[0], &file);
    if (status) {
        code = tool_fail(&t, status);
    } else if (o.common.json) {
        tensors_json(&t, argv[0], file);
        code = EXIT_DONE;
    } else {
        totals sum = sum_tensors(file);
        char text[64];
        tensors_text(file);
        const char *first;
        const uint64_t passed = tsr_model_file_passed_over(file, &first);
        if (passed)
            tool_say(&t, "passed over: %" PRIu64 " %s (%s)", passed,
                     passed == 1 ? "value that is no tensor"
                                 : "values that are no tensors, the first",
                     first);
        char tensors[32], values[32], bytes[32];
        printf("total: %s, %s, %s (%s)\n",
               tool_count((uint64_t)tsr_model_file_count(file), "tensor", tensors),
               tool_count(sum.elements, "value", values), tool_count(sum.bytes, "byte", bytes),
               tool_bytes(sum.bytes, text, sizeof text));
        code = EXIT_DONE;
    }
    tsr_model_file_close(&file);
    tool_close(&t);
    return code;
}

/* ---- model convert ------------------------------------------------------------------------- */

static int run_convert(const verb *v, int argc, char **argv) {
    convert_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if ((code = tool_not_input(v, argv[1], argv[0])) >= 0) return code;
    if ((code = tool_output(v, &o.common, argv[1])) >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    t.bar_bytes = true;
    tsr_convert_settings s = tsr_convert_settings_default();
    tsr_convert_report r;
    s.dtype = dtypes[o.dtype];
    s.key = o.key && strcmp(o.key, "/") == 0 ? "" : o.key;
    s.licence = o.licence;
    s.with = o.with;
    s.all = o.all;
    s.progress = tool_progress;
    s.progress_user = &t;
    tsr_status status = tsr_model_convert(t.ctx, argv[0], argv[1], &s, &r);
    tool_progress_clear(&t);
    if (status) {
        code = tool_fail(&t, status);
        tool_close(&t);
        return code;
    }
    char text[64];
    char tensors[32];
    tool_say(&t, "%s: %s (%s)%s%s, %" PRIu64 " left out; licence: %s", argv[1],
             tool_count(r.kept, "tensor", tensors), tool_bytes(r.bytes, text, sizeof text),
             *r.key ? " of " : "", r.key, r.dropped, r.licence);
    if (o.common.json) {
        json_out j;
        tool_json(&t, &j);
        json_text(&j, "input", argv[0]);
        json_text(&j, "output", argv[1]);
        json_text(&j, "key", r.key);
        json_uint(&j, "kept", r.kept);
        json_uint(&j, "dropped", r.dropped);
        json_uint(&j, "bytes", r.bytes);
        json_text(&j, "source_sha256", r.sha256);
        json_text(&j, "licence", r.licence);
        json_real(&j, "total_seconds", tool_seconds() - t.started);
        json_close(&j);
    }
    tool_close(&t);
    return EXIT_DONE;
}

/* ---- model check --------------------------------------------------------------------------- */

typedef struct check_state {
    tool *t;
    json_out *j; /* NULL: text */
} check_state;

static const char *const problems[] = {"missing", "shape", "extra", "model", "value"};

static void on_problem(void *user, tsr_check_kind kind, const char *name, const char *text) {
    check_state *c = user;
    char clean[1024], clean_text[1100];
    if (!c->j) {
        printf("%-8s %s%s%s\n", problems[kind], tool_clean(name, clean, sizeof clean),
               *name ? ": " : "", tool_clean(text, clean_text, sizeof clean_text));
        return;
    }
    json_object(c->j, NULL);
    json_text(c->j, "problem", problems[kind]);
    json_text(c->j, "tensor", name);
    json_text(c->j, "text", text);
    json_end(c->j, '}');
}

static void check_summary(const tsr_model_check_report *r, const char *path) {
    char a[64], b[64], d[64], clean[600];
    uint64_t wrong = r->missing + r->misshapen + r->extra + r->other + r->unusable;
    printf("%s: family %s: ", tool_clean(path, clean, sizeof clean), r->family);
    if (wrong) {
        printf("%" PRIu64 " missing, %" PRIu64 " of another shape, %" PRIu64 " extra, %" PRIu64
               " with values that are not finite, %" PRIu64 " other; it makes no model\n",
               r->missing, r->misshapen, r->extra, r->unusable, r->other);
        return;
    }
    if (r->expected)
        printf("all %" PRIu64 " %s there\n", r->expected,
               r->expected == 1 ? "tensor is" : "tensors are");
    else
        printf("it opens\n");
    if (!r->decode_bytes && r->encode_bytes) {
        printf("memory for one picture: weights %s, and %s of activations\n",
               tool_bytes(r->weight_bytes, a, sizeof a), tool_bytes(r->encode_bytes, b, sizeof b));
        return;
    }
    printf("memory for one tile: weights %s, and to encode %s, to decode %s of activations\n",
           tool_bytes(r->weight_bytes, a, sizeof a), tool_bytes(r->encode_bytes, b, sizeof b),
           tool_bytes(r->decode_bytes, d, sizeof d));
}

/* Which devices have that much. */
static void check_devices(const tsr_model_check_report *r, tool *t, json_out *j) {
    uint64_t most = r->encode_bytes > r->decode_bytes ? r->encode_bytes : r->decode_bytes;
    char *text = NULL;
    if (tsr_devices_json(t->ctx, &text)) return;
    cJSON *document = cJSON_Parse(text);
    const cJSON *device;
    cJSON_ArrayForEach(device, cJSON_GetObjectItemCaseSensitive(document, "devices")) {
        const cJSON *name = cJSON_GetObjectItemCaseSensitive(device, "device");
        const cJSON *bytes = cJSON_GetObjectItemCaseSensitive(device, "memory_bytes");
        if (!cJSON_IsString(name) || !cJSON_IsNumber(bytes)) continue;
        const uint64_t memory = (uint64_t)bytes->valuedouble;
        const bool fits = r->weight_bytes + most <= memory;
        char line[64];
        if (j) {
            json_object(j, NULL);
            json_text(j, "device", name->valuestring);
            json_uint(j, "memory_bytes", memory);
            json_bool(j, "fits", fits);
            json_end(j, '}');
        } else {
            printf("%-10s %s of memory: %s\n", name->valuestring,
                   tool_bytes(memory, line, sizeof line), fits ? "it fits" : "too little");
        }
    }
    cJSON_Delete(document);
    free(text);
}

static int run_check(const verb *v, int argc, char **argv) {
    model_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    const char *path;
    if ((code = tool_locate(&t, argv[0], &path)) >= 0) {
        tool_close(&t);
        return code;
    }
    /* The report's head stands before the list, so the problems wait in memory. */
    char *list = NULL;
    size_t size = 0;
    FILE *memory = o.common.json ? open_memstream(&list, &size) : NULL;
    json_out problem_list = {.file = memory, .depth = 1}, j;
    check_state c = {&t, memory ? &problem_list : NULL};
    tsr_model_check_report r;
    tsr_status status = tsr_model_check(t.ctx, path, on_problem, &c, &r);
    if (memory) fclose(memory);
    bool good = !(r.missing + r.misshapen + r.extra + r.other + r.unusable);
    if (status) {
        code = tool_fail(&t, status);
    } else if (o.common.json) {
        tool_json(&t, &j);
        json_text(&j, "file", r.path);
        json_text(&j, "family", r.family);
        json_bool(&j, "good", good);
        json_uint(&j, "wanted", r.expected);
        json_uint(&j, "missing", r.missing);
        json_uint(&j, "misshapen", r.misshapen);
        json_uint(&j, "extra", r.extra);
        json_uint(&j, "other", r.other);
        json_uint(&j, "unusable", r.unusable);
        json_uint(&j, "weight_bytes", r.weight_bytes);
        json_uint(&j, "encode_bytes", r.encode_bytes);
        json_uint(&j, "decode_bytes", r.decode_bytes);
        json_array(&j, "problems");
        if (size) {
            fputs(list, stdout);
            j.filled[j.depth] = true;
        }
        json_end(&j, ']');
        json_array(&j, "devices");
        if (good) check_devices(&r, &t, &j);
        json_end(&j, ']');
        json_close(&j);
    } else {
        check_summary(&r, r.path);
        if (good) check_devices(&r, &t, NULL);
    }
    if (!status) code = good ? EXIT_DONE : EXIT_NEGATIVE;
    free(list);
    tool_close(&t);
    return code;
}

static const verb verb_model_check = {
    .name = "model check",
    .summary = "every missing, extra or misshapen tensor of a model, and the memory it needs",
    .usage = "tessera model check FILE|FOLDER|NAME [--json]",
    .about =
        "Finds the family of a .safetensors file (or of the folder it lies in, or of the published "
        "model of that name, as -t does) and compares every "
        "tensor with what the family wants from the file's own configuration; `-t` would stop at "
        "the first one. When all is there: the bytes of the weights as f32, of the activations at "
        "their peak for one tile, and which devices have as much. Every value is looked at (not a "
        "number, infinite, too large), nothing is computed; what single ops take for themselves "
        "comes on top.",
    .exits = "1 when a tensor is missing, extra, of another shape or not finite",
    .examples = "# will this file work?\n"
                "tessera model check model.safetensors\n"
                "# the names alone\n"
                "tessera model check --json model.safetensors | jq -r '.problems[].tensor'",
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE",
    .operand_kind = OPTION_MODEL,
    .run = run_check,
};

static const verb verb_model_list = {
    .name = "model list",
    .summary = "the families of models, what they need, what was verified",
    .usage = "tessera model list [--json]",
    .about = "Prints every family this build can run: its name, its number in token files, which "
             "files it takes as -t MODEL, and what its results were compared with.",
    .examples = "# what -t may name\n"
                "tessera model list",
    .operands = "none",
    .run = run_list,
};
static const verb verb_model_tensors = {
    .name = "model list-tensors",
    .summary = "name, type, shape and bytes of every tensor in a weight file",
    .usage = "tessera model list-tensors FILE [--json]",
    .about =
        "Reads the description of a .safetensors file or of a checkpoint of torch.save (.pth, "
        ".pt, .ckpt, .bin), not its data: a file of ten gigabytes answers at once. One line for "
        "each tensor in the order of the file (type, shape, bytes, name), then the total. FILE "
        "may be a folder or the index of several .safetensors files. No family needs to know the "
        "file, nothing of it is run, and values that are no tensors are passed over.",
    .examples = "# what is in a checkpoint\n"
                "tessera model list-tensors model.safetensors\n"
                "tessera model list-tensors last.ckpt\n"
                "# the ten largest tensors\n"
                "tessera model list-tensors --json model.safetensors |\n"
                "  jq -r '.tensors | sort_by(-.bytes) | .[:10][] | [.bytes, .name] | @tsv'",
    .least_operands = 1,
    .most_operands = 1,
    .operands = "FILE",
    .run = run_tensors,
};
static const verb verb_model_convert = {
    .name = "model convert",
    .summary = "a torch checkpoint's inference tensors as .safetensors",
    .usage = "tessera model convert IN OUT.safetensors [--dtype f32|f16|bf16] [--key KEY]\n"
             "                      [--licence TEXT] [--with FILE] [--all] [--json]",
    .about =
        "Takes the weights out of a .pth, .pt, .ckpt, .bin or TorchScript archive (or another "
        ".safetensors) without "
        "Python: the tensors of one container (the moving average where there is one), without "
        "optimizers, losses, discriminators and counters. Nothing of the checkpoint is run; "
        "values that are no tensors are passed over. Where several containers could be meant, the "
        "error lists them. The output's metadata note the source's name and SHA-256, the container "
        "and the licence. Memory: the "
        "largest tensor.",
    .examples =
        "# KARL's checkpoint\n"
        "tessera model convert karl_small_vqgan_quantized_latents.pth karl.safetensors\n"
        "# to where -t llamagen-vq16 looks for it\n"
        "tessera model convert \"$(tessera fetch -q llamagen-vq16)\" \\\n"
        "  ~/.cache/tessera/llamagen-vq16/model.safetensors\n"
        "# a tokenizer that is published as two TorchScript archives\n"
        "tessera model convert encoder.jit cosmos-dv8x16x16.safetensors --with decoder.jit\n"
        "# half the size; what is in it\n"
        "tessera model convert last.ckpt vqgan.safetensors --dtype bf16\n"
        "tessera model list-tensors vqgan.safetensors",
    .options = convert_list,
    .option_count = (int)(sizeof convert_list / sizeof *convert_list),
    .writes = true,
    .least_operands = 2,
    .most_operands = 2,
    .operands = "IN and OUT.safetensors",
    .run = run_convert,
};
static const verb *const parts[] = {&verb_model_list, &verb_model_tensors, &verb_model_check,
                                    &verb_model_convert, NULL};

const verb verb_model = {
    .name = "model",
    .summary = "look into weight files, convert them, list the families of models",
    .usage = "tessera model list\n"
             "tessera model list-tensors FILE\n"
             "tessera model check FILE\n"
             "tessera model convert IN OUT.safetensors [--dtype f32|f16|bf16]",
    .about = "Weight files and the families that read them. Each part has its own --help.",
    .examples = "tessera model list-tensors --help",
    .least_operands = 1,
    .most_operands = -1,
    .operands = "list, list-tensors, check or convert",
    .run = args_run_part,
    .parts = parts,
};
