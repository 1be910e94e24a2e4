/* SPDX-License-Identifier: MIT */
/* flextok_config.c: reads the configuration a FlexTok checkpoint carries.
 *
 * It is a list of modules in the order they run; they pass arrays to each other through a
 * dictionary by key. The reader follows the keys: it knows what each array is, so modules may have
 * any names, and an order that means something else is refused. Keys whose meaning is not known are
 * named in a warning. What the published classes assume when a key is absent is assumed here too.
 *
 * The reader is sticky: its first failure stays in reader.status, and later reads report nothing
 * and give values that are safe to go on with. So each module's function is the list of what it
 * accepts, in the order in which complaints are made.
 */
#include "../../../formats/weights/config_file.h"
#include "../../../formats/weights/python_repr.h"
#include "../../../quantizer/quantizer.h"
#include "flextok_config.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- finding it ---- */

static const char *const parts[] = {"vae", "encoder", "decoder", "regularizer", "pipeline"};
enum { PARTS = sizeof parts / sizeof *parts };

static tsr_status parse_text(tsr_context *ctx, const char *path, const char *key, const char *text,
                             cJSON **json) {
    char name[4400];
    if ((*json = cJSON_Parse(text))) return TSR_OK;
    snprintf(name, sizeof name, "%s: __metadata__ %s", path, key);
    return tsr_python_repr_parse(ctx, name, text, strlen(text), json);
}

static tsr_status read_metadata(tsr_context *ctx, const tsr_safetensors *file, const char *path,
                                cJSON *json) {
    for (int i = 0; i < PARTS; ++i) {
        const char *text = tsr_safetensors_metadata(file, parts[i]);
        cJSON *part = NULL;
        if (!text)
            return tsr_fail(ctx, TSR_ERROR_MODEL,
                            "%s: __metadata__ %s: wanted a configuration, "
                            "got none",
                            path, parts[i]);
        tsr_status status = parse_text(ctx, path, parts[i], text, &part);
        if (status) return status;
        if (!cJSON_AddItemToObject(json, parts[i], part)) {
            cJSON_Delete(part);
            return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: configuration: no memory", path);
        }
    }
    return TSR_OK;
}

tsr_status tsr_flextok_find_config(tsr_context *ctx, const tsr_safetensors *file, const char *path,
                                   cJSON **json) {
    *json = NULL;
    bool inside = false;
    for (int i = 0; i < PARTS; ++i)
        inside |= tsr_safetensors_metadata(file, parts[i]) != NULL;
    if (!inside) {
        tsr_status status = tsr_config_file_read(ctx, path, json);
        if (status == TSR_ERROR_NOT_FOUND)
            return tsr_fail(ctx, TSR_ERROR_MODEL,
                            "%s: configuration: wanted it in __metadata__ or in config.json beside "
                            "the file, got none",
                            path);
        /* Some writers put everything one level down. */
        cJSON *inner = cJSON_GetObjectItemCaseSensitive(*json, "config");
        if (!status && !cJSON_GetObjectItemCaseSensitive(*json, "encoder") &&
            cJSON_GetObjectItemCaseSensitive(inner, "encoder")) {
            inner = cJSON_DetachItemViaPointer(*json, inner);
            cJSON_Delete(*json);
            *json = inner;
        }
        return status;
    }
    if (!(*json = cJSON_CreateObject()))
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: configuration: no memory", path);
    tsr_status status = read_metadata(ctx, file, path, *json);
    if (status) {
        cJSON_Delete(*json);
        *json = NULL;
    }
    return status;
}

/* ---- reading values ---- */

/* What stands under a key of the dictionary. */
typedef enum array_kind {
    NOTHING,
    LATENTS,
    LATENTS_LAST,
    PATCHES,
    REGISTERS,
    CODES,
    PACKED,
    BESIDE,
    HEAD,
    OUTPUT,
    TIME
} array_kind;
static const char *const kind_names[] = {
    [NOTHING] = "nothing",
    [LATENTS] = "latents",                     /* [C, h, w] */
    [LATENTS_LAST] = "latents, channels last", /* [h, w, C] */
    [PATCHES] = "patches",
    [REGISTERS] = "tokens", /* encoder: registers */
    [CODES] = "codes",      /* decoder: what FSQ gives */
    [PACKED] = "a sequence",
    [BESIDE] = "training only",
    [HEAD] = "the head's output", /* encoder: z; decoder: velocity [h, w, C] */
    [OUTPUT] = "the velocity",    /* decoder: [C, h, w] */
    [TIME] = "the time embedding",
};

enum { MAX_KEYS = 48 };

typedef struct reader {
    tsr_context *ctx;
    const char *path;    /* begins the messages */
    const char *part;    /* member of the configuration: "encoder" */
    const cJSON *module; /* being read; module->string is its name. NULL: none */
    const char *class;   /* the module's, without its Python modules */
    bool decoder;        /* the part is the decoder */
    bool subsequences;   /* the part's packer has embeddings for each subsequence */
    tsr_flextok_config *c;
    tsr_status status; /* the first failure */
    struct {
        const char *key;
        array_kind kind;
    } array[MAX_KEYS]; /* the dictionary; a later entry hides an earlier one with its key */
    int arrays;
    const char *seen[64]; /* keys of the module that were looked at */
    int seen_count;
} reader;

/* Records MODEL with "<path>: configuration: <part>.<module>.<key>: <text>". */
static void bad(reader *r, const char *key, const char *format, ...) TSR_PRINTF(3, 4);
static void bad(reader *r, const char *key, const char *format, ...) {
    char text[512];
    if (r->status) return;
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const bool inside = r->module && r->module->string && strcmp(r->module->string, r->part) != 0;
    r->status = tsr_fail(r->ctx, TSR_ERROR_MODEL, "%s: configuration: %s%s%.64s%s%s: %s", r->path,
                         r->part, inside ? "." : "", inside ? r->module->string : "",
                         *key && (inside || *r->part) ? "." : "", key, text);
}

static void bad_value(reader *r, const char *key, const char *wanted, const cJSON *got) {
    char *text = got ? cJSON_PrintUnformatted(got) : NULL;
    bad(r, key, "wanted %s, got %.80s", wanted, text ? text : "none");
    cJSON_free(text);
}

/* Value of a key, NULL where there is none or null; the key is known from now on. */
static const cJSON *value_of(reader *r, const char *key) {
    if (r->seen_count < (int)(sizeof r->seen / sizeof *r->seen)) r->seen[r->seen_count++] = key;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(r->module, key);
    return cJSON_IsNull(value) ? NULL : value;
}

/* Keys that mean nothing to inference: known, and not read. */
#define IGNORE(r, ...) ignore(r, (const char *const[]){__VA_ARGS__, NULL})
static void ignore(reader *r, const char *const *keys) {
    for (; *keys; ++keys)
        value_of(r, *keys);
}

static const int64_t required = INT64_MIN;

/* Integer of low to high; `otherwise` where there is none; `low` after a failure. */
static int64_t get_int(reader *r, const char *key, int64_t otherwise, int64_t low, int64_t high) {
    const cJSON *item = value_of(r, key);
    char wanted[80];
    if (!item && otherwise != required) return otherwise;
    const double d = cJSON_GetNumberValue(item); /* NaN where it is no number */
    if (d >= (double)low && d <= (double)high && d == floor(d)) return (int64_t)d;
    snprintf(wanted, sizeof wanted, "an integer of %lld to %lld", (long long)low, (long long)high);
    bad_value(r, key, wanted, item);
    return low;
}

static bool get_bool(reader *r, const char *key, bool otherwise) {
    const cJSON *item = value_of(r, key);
    if (item && !cJSON_IsBool(item)) bad_value(r, key, "true or false", item);
    return item ? cJSON_IsTrue(item) : otherwise;
}

static double get_real(reader *r, const char *key, double otherwise, double low, double high) {
    const cJSON *item = value_of(r, key);
    char wanted[80];
    if (!item) return otherwise;
    const double d = cJSON_GetNumberValue(item);
    if (d >= low && d <= high) return d;
    snprintf(wanted, sizeof wanted, "a number of %g to %g", low, high);
    bad_value(r, key, wanted, item);
    return low;
}

static const char *get_text(reader *r, const char *key) {
    return cJSON_GetStringValue(value_of(r, key));
}

static void want_text(reader *r, const char *key, const char *otherwise, const char *wanted) {
    const cJSON *item = value_of(r, key);
    const char *got = item ? cJSON_GetStringValue(item) : otherwise;
    if (!got || strcmp(got, wanted) != 0) bad_value(r, key, wanted, item);
}

/* Keys of what this build cannot do: absent, null or false. */
#define WANT_ABSENT(r, ...) want_absent(r, (const char *const[]){__VA_ARGS__, NULL})
static void want_absent(reader *r, const char *const *keys) {
    for (; *keys; ++keys) {
        const cJSON *item = value_of(r, *keys);
        if (item && !cJSON_IsFalse(item)) bad_value(r, *keys, "none", item);
    }
}

static void want_own_norm(reader *r) {
    const cJSON *norm = value_of(r, "norm_layer");
    if (norm) bad_value(r, "norm_layer", "none (the class's own)", norm);
}

/* `count` sizes of 1 to high, all equal if `square`. */
static void get_sizes(reader *r, const char *key, int count, int64_t high, bool square,
                      int64_t *sizes) {
    const cJSON *list = value_of(r, key);
    bool good = cJSON_IsArray(list) && cJSON_GetArraySize(list) == count;
    char wanted[80];
    for (int i = 0; i < count && good; ++i) {
        const double d = cJSON_GetNumberValue(cJSON_GetArrayItem(list, i));
        good =
            d >= 1 && d <= (double)high && d == floor(d) && !(square && i && d != (double)sizes[0]);
        if (good) sizes[i] = (int64_t)d;
    }
    snprintf(wanted, sizeof wanted, "%d %ssize%s of 1 to %lld", count, square ? "equal " : "",
             count == 1 ? "" : "s", (long long)high);
    if (!good) bad_value(r, key, wanted, list);
}

/* The class's name without its Python modules. */
static const char *last_name(const char *target) {
    const char *dot = target ? strrchr(target, '.') : NULL;
    return dot ? dot + 1 : target ? target : "";
}

/* ---- the dictionary ---- */

static array_kind kind_of(const reader *r, const char *key) {
    for (int i = r->arrays; key && i-- > 0;)
        if (!strcmp(r->array[i].key, key)) return r->array[i].kind;
    return NOTHING;
}

/* From here on an array of this kind stands under `key`, the value of `field`. */
static void put_key(reader *r, const char *field, const char *key, array_kind kind) {
    if (!key) bad(r, field, "wanted a key, got none");
    if (r->arrays == MAX_KEYS) bad(r, field, "wanted at most %d keys, got more", MAX_KEYS);
    if (r->status) return;
    r->array[r->arrays].key = key;
    r->array[r->arrays++].kind = kind;
}

static void put(reader *r, const char *field, array_kind kind) {
    put_key(r, field, get_text(r, field), kind);
}

/* An array of this kind must stand under `key`, the value of `field`. */
static void take_key(reader *r, const char *field, const char *key, array_kind wanted) {
    const array_kind got = kind_of(r, key);
    if (got != wanted)
        bad(r, field, "wanted the key of %s, got %.64s (%s)", kind_names[wanted],
            key ? key : "none", kind_names[got]);
}

static void take(reader *r, const char *field, array_kind wanted) {
    take_key(r, field, get_text(r, field), wanted);
}

/* Text of item i of a list of keys. */
static const char *key_at(const cJSON *keys, int i) {
    return cJSON_GetStringValue(cJSON_GetArrayItem(keys, i));
}

/* The module's name into name [TSR_FLEXTOK_NAME], which must be "" before. */
static void take_name(reader *r, char *name) {
    const char *own = r->module->string;
    if (*name) bad(r, "", "wanted one module of this kind, got a second");
    for (const char *c = own; *c; ++c)
        if ((unsigned char)*c <= ' ' || strlen(own) >= TSR_FLEXTOK_NAME)
            bad(r, "", "wanted a name below %d bytes without spaces, got another",
                TSR_FLEXTOK_NAME);
    if (!r->status) snprintf(name, TSR_FLEXTOK_NAME, "%s", own);
}

/* ---- modules, one function for each class ---- */

enum { DIM_MOST = 1 << 16 };

/* Sets *dim, or compares where modules before have set it. */
static void same_dim(reader *r, const char *key, int64_t got, int64_t *dim) {
    if (*dim && *dim != got)
        bad(r, key, "wanted %lld as in the modules before, got %lld", (long long)*dim,
            (long long)got);
    *dim = got;
}

static void read_dim(reader *r, const char *key, int64_t *dim) {
    same_dim(r, key, get_int(r, key, required, 1, DIM_MOST), dim);
}

static tsr_flextok_block_spec *trunk_of(reader *r) {
    return r->decoder ? &r->c->decoder.trunk : &r->c->encoder.trunk;
}

static void read_per_sample_op(reader *r) {
    const cJSON *op = value_of(r, "per_sample_op");
    const char *target = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(op, "_target_"));
    const bool to_last = !strcmp(last_name(target), "channels_first_to_last");
    if (!to_last && (!r->decoder || strcmp(last_name(target), "channels_last_to_first") != 0))
        bad(r, "per_sample_op._target_",
            "wanted channels_first_to_last or channels_last_to_first, got %.80s",
            target ? target : "none");
    take(r, "read_key", to_last ? LATENTS : HEAD);
    put(r, "write_key", to_last ? LATENTS_LAST : OUTPUT);
}

static void read_patch_size(reader *r) {
    int64_t patch[2] = {1, 1};
    get_sizes(r, "patch_sizes", 2, 64, true, patch);
    same_dim(r, "patch_sizes", patch[0], &r->c->patch);
}

static void read_patch_embedder(reader *r) {
    take_name(r, r->decoder ? r->c->decoder.patches : r->c->encoder.patches);
    take(r, "input_tensor_list_read_key", LATENTS_LAST);
    read_dim(r, "channels_in", &r->c->channels);
    read_dim(r, "dim", &trunk_of(r)->dim);
    read_patch_size(r);
    get_bool(r, "flatten_patches", true);
    IGNORE(r, "n_patches_write_key");
    put(r, "patches_list_write_key", PATCHES);
}

/* Adds a step on the decoder's tokens, which are under `key` as an array of this kind. */
static tsr_flextok_token_step *add_token_step(reader *r, tsr_flextok_token_kind kind,
                                              const char *key, array_kind from) {
    tsr_flextok_config *c = r->c;
    const int n = c->decoder.step_count;
    if (n == TSR_FLEXTOK_MAX_STEPS) {
        bad(r, "", "wanted at most %d modules on tokens, got more", TSR_FLEXTOK_MAX_STEPS);
        return &c->decoder.step[n - 1];
    }
    for (int i = 0; i < n; ++i)
        if (c->decoder.step[i].kind == kind) bad(r, "", "wanted one of its kind, got two");
    c->decoder.step_count = n + 1;
    c->decoder.step[n].kind = kind;
    take_name(r, c->decoder.step[n].module);
    take(r, key, from);
    return &c->decoder.step[n];
}

static void read_positions(reader *r) {
    tsr_flextok_config *c = r->c;
    const bool tokens = r->decoder && kind_of(r, get_text(r, "read_key")) == REGISTERS;
    tsr_flextok_positions *p = tokens       ? &c->decoder.token_positions
                               : r->decoder ? &c->decoder.positions
                                            : &c->encoder.positions;
    if (tokens)
        add_token_step(r, TSR_FLEXTOK_STEP_POSITIONS, "read_key", REGISTERS);
    else
        take(r, "read_key", PATCHES);
    take_name(r, p->module);
    const char *type = get_text(r, "posemb_type");
    if (!type) type = "sincos";
    p->sum = !strcmp(type, "learnable_sum");
    if (!p->sum && (strcmp(type, "sincos") != 0 || tokens))
        bad(r, "posemb_type", "wanted %slearnable_sum, got %.40s", tokens ? "" : "sincos or ",
            type);
    p->axes = tokens ? 1 : 2;
    p->max[1] = 1;
    get_sizes(r, "max_sizes", p->axes, 1 << 14, false, p->max);
    if (p->sum && !tokens && p->max[0] != p->max[1])
        bad_value(r, "max_sizes", "equal sizes for learnable_sum", value_of(r, "max_sizes"));
    want_text(r, "posemb_scaling", "absolute", "absolute");
    read_dim(r, "dim", &trunk_of(r)->dim);
    put(r, "write_key", tokens ? REGISTERS : PATCHES);
}

static void read_registers(reader *r) {
    tsr_flextok_config *c = r->c;
    take_name(r, c->encoder.registers);
    take(r, "input_tensor_list_read_key", PATCHES);
    read_dim(r, "dim", &c->encoder.trunk.dim);
    c->encoder.table = get_int(r, "n_max", required, 1, 1 << 16);
    c->registers = get_int(r, "n_eval", c->encoder.table, 1, c->encoder.table);
    want_text(r, "ordering_mode", "nested", "nested");
    IGNORE(r, "n_min", "size_sampling_mode", "register_sizes_read_write_key");
    put(r, "registers_write_key", REGISTERS);
}

static void read_packer(reader *r) {
    const cJSON *keys = value_of(r, "input_list_read_keys");
    if (cJSON_GetArraySize(keys) != 2)
        bad_value(r, "input_list_read_keys", "patches and tokens", keys);
    take_key(r, "input_list_read_keys", key_at(keys, 0), PATCHES);
    take_key(r, "input_list_read_keys", key_at(keys, 1), REGISTERS);
    want_text(r, "mask_mode", "full", r->decoder ? "full" : "causal_last");
    r->subsequences = get_bool(r, "per_subseq_embs", false);
    IGNORE(r, "pad_to_multiple", "block_mask_write_key", "inner_packed_shapes_write_key",
           "outer_packed_shapes_write_key", "emb_packing_fn_write_key", "compile_block_mask",
           "return_materialized_mask");
    put(r, "packed_seq_write_key", PACKED);
}

static void read_transformer(reader *r) {
    tsr_flextok_block_spec *t = trunk_of(r);
    take_name(r, r->decoder ? r->c->decoder.transformer : r->c->encoder.transformer);
    take(r, "input_seq_read_key", PACKED);
    read_dim(r, "dim", &t->dim);
    t->depth = (int)get_int(r, "depth", required, 1, TSR_FLEXTOK_MAX_DEPTH);
    const int64_t head = get_int(r, "head_dim", 64, 1, t->dim);
    if (t->dim % head)
        bad(r, "head_dim", "wanted a divisor of %lld, got %lld", (long long)t->dim,
            (long long)head);
    t->heads = (int)(t->dim / head);
    const int64_t hidden = (int64_t)((double)t->dim * get_real(r, "mlp_ratio", 4.0, 0.01, 64));
    t->qkv_bias = get_bool(r, "qkv_bias", false);
    t->proj_bias = get_bool(r, "proj_bias", false);
    t->mlp_bias = get_bool(r, "mlp_bias", false);
    t->gated_mlp = get_bool(r, "gated_mlp", true);
    t->qk_norm = get_bool(r, "qk_norm", true);
    const int groups = (int)get_int(r, "adaLN_expansion", 1, 1, 2);
    const cJSON *act = value_of(r, "act_layer");
    const cJSON *act_target = cJSON_GetObjectItemCaseSensitive(act, "_target_");
    if (act && strcmp(last_name(cJSON_GetStringValue(act_target)), "SiLU") != 0)
        bad_value(r, "act_layer", "SiLU", act);
    want_own_norm(r);
    WANT_ABSENT(r, "xattn_embed_read_key", "context_read_key", "score_mod", "score_mod_read_key",
                "use_mup_readout", "layer_scale");
    t->hidden = t->gated_mlp ? 2 * hidden / 3 : hidden;
    if (t->hidden < 1)
        bad(r, "mlp_ratio", "wanted a hidden size of 1 or more, got %lld", (long long)t->hidden);
    const char *time = get_text(r, "adaLN_emb_read_key");
    t->groups = time ? groups : 0;
    if (time) take_key(r, "adaLN_emb_read_key", time, TIME);
    if (time && r->subsequences != (groups == 2))
        bad(r, "adaLN_expansion", "wanted %d as the packer has it, got %d", r->subsequences ? 2 : 1,
            groups);
    IGNORE(r, "block_mask_read_key", "adaLN_packing_fn_read_key", "use_act_checkpoint",
           "intermediate_layers", "drop", "proj_drop", "attn_drop", "mlp_drop", "drop_path",
           "drop_path_rate", "weight_init_style", "init_style");
    const char *beside = get_text(r, "intermediate_layer_write_key");
    if (beside) put_key(r, "intermediate_layer_write_key", beside, BESIDE);
    put(r, "output_seq_write_key", PACKED);
}

static void read_unpacker(reader *r) {
    const cJSON *keys = value_of(r, "inner_seq_write_keys");
    const bool beside = kind_of(r, get_text(r, "packed_seq_read_key")) == BESIDE;
    IGNORE(r, "inner_packed_shapes_read_key", "outer_packed_shapes_read_key");
    if (!beside) take(r, "packed_seq_read_key", PACKED);
    if (cJSON_GetArraySize(keys) != 2)
        bad_value(r, "inner_seq_write_keys", "patches and tokens", keys);
    put_key(r, "inner_seq_write_keys", key_at(keys, 0), beside ? BESIDE : PATCHES);
    put_key(r, "inner_seq_write_keys", key_at(keys, 1), beside ? BESIDE : REGISTERS);
}

/* How both heads end. */
static void read_head_end(reader *r) {
    WANT_ABSENT(r, "use_mup_readout");
    want_own_norm(r);
    IGNORE(r, "weight_init_style", "dtype_override");
    put(r, "write_key", HEAD);
}

static void read_linear_head(reader *r) {
    tsr_flextok_config *c = r->c;
    int64_t out = c->level_count;
    take_name(r, c->encoder.head);
    take(r, "read_key", REGISTERS);
    read_dim(r, "dim", &c->encoder.trunk.dim);
    read_dim(r, "dim_out", &out);
    c->encoder.head_bias = get_bool(r, "proj_bias", true);
    WANT_ABSENT(r, "adaLN_emb_read_key");
    read_head_end(r);
}

static void read_patches_head(reader *r) {
    tsr_flextok_config *c = r->c;
    take_name(r, c->decoder.head);
    take(r, "read_key", PATCHES);
    read_dim(r, "dim", &c->decoder.trunk.dim);
    read_dim(r, "channels_out", &c->channels);
    read_patch_size(r);
    c->decoder.head_bias = get_bool(r, "proj_bias", true);
    const char *time = get_text(r, "adaLN_emb_read_key");
    c->decoder.head_modulated = time != NULL;
    if (time) take_key(r, "adaLN_emb_read_key", time, TIME);
    if (!get_bool(r, "adaLN_bias", true))
        bad_value(r, "adaLN_bias", "true", value_of(r, "adaLN_bias"));
    WANT_ABSENT(r, "adaLN_packing_fn_read_key");
    read_head_end(r);
}

static void read_linear_layer(reader *r) {
    int64_t in = r->c->level_count;
    tsr_flextok_token_step *step = add_token_step(r, TSR_FLEXTOK_STEP_LINEAR, "read_key", CODES);
    read_dim(r, "dim_in", &in);
    read_dim(r, "dim", &r->c->decoder.trunk.dim);
    step->bias = get_bool(r, "proj_bias", true);
    IGNORE(r, "weight_init_style", "dtype_override");
    put(r, "write_key", REGISTERS);
}

/* Nested dropout, or one of the two null conditions. */
static void read_dropped(reader *r) {
    const bool null = strcmp(r->class, "MaskedNestedDropout") != 0;
    tsr_flextok_token_step *step = add_token_step(
        r, null ? TSR_FLEXTOK_STEP_NULL : TSR_FLEXTOK_STEP_DROPOUT, "read_write_key", REGISTERS);
    step->learned = strcmp(r->class, "ZeroNullCond") != 0;
    if (step->learned) read_dim(r, "dim", &r->c->decoder.trunk.dim);
    if (null) step->single = get_bool(r, "replace_with_single_token", false);
    IGNORE(r, "dropout_prob", "eval_keep_k_read_key", "train_keep_k_write_key",
           "size_sampling_mode", "eval_dropout_mask_read_key", "dtype_override");
}

static void read_time(reader *r) {
    tsr_flextok_config *c = r->c;
    take_name(r, c->decoder.time);
    read_dim(r, "dim", &c->decoder.trunk.dim);
    c->decoder.frequencies = get_int(r, "frequency_embedding_size", 256, 2, 1 << 14);
    if (c->decoder.frequencies % 2)
        bad(r, "frequency_embedding_size", "wanted an even number, got %lld",
            (long long)c->decoder.frequencies);
    c->decoder.max_timestep = get_real(r, "max_timestep", 1000.0, 1e-6, 1e9);
    IGNORE(r, "timesteps_read_key");
    put(r, "time_embedding_write_key", TIME);
}

/* ---- the two lists of modules ---- */

static const struct {
    const char *class;
    bool encoder, decoder; /* where it may stand */
    void (*read)(reader *r);
} classes[] = {
    {"PerSampleOp", true, true, read_per_sample_op},
    {"PatchEmbedder", true, true, read_patch_embedder},
    {"PositionalEmbeddingAdder", true, true, read_positions},
    {"BlockWiseSequencePacker", true, true, read_packer},
    {"FlexTransformer", true, true, read_transformer},
    {"SequenceUnpacker", true, true, read_unpacker},
    {"Registers1D", true, false, read_registers},
    {"LinearHead", true, false, read_linear_head},
    {"ToPatchesLinearHead", false, true, read_patches_head},
    {"TimestepEmbedder", false, true, read_time},
    {"LinearLayer", false, true, read_linear_layer},
    {"MaskedNestedDropout", false, true, read_dropped},
    {"LearnedNullCond", false, true, read_dropped},
    {"ZeroNullCond", false, true, read_dropped},
};

static void read_module(reader *r) {
    if (!cJSON_IsObject(r->module)) {
        bad(r, "", "wanted an object, got another");
        return;
    }
    const char *target = get_text(r, "_target_");
    r->class = last_name(target);
    for (size_t i = 0; i < sizeof classes / sizeof *classes; ++i)
        if (!strcmp(r->class, classes[i].class) &&
            (r->decoder ? classes[i].decoder : classes[i].encoder)) {
            classes[i].read(r);
            return;
        }
    bad(r, "_target_", "wanted a class this build knows, got %.120s", target ? target : "none");
}

static void warn_of_unseen(reader *r) {
    const cJSON *item;
    cJSON_ArrayForEach(item, r->module) {
        bool seen = cJSON_IsNull(item) || !strcmp(item->string, "_partial_");
        for (int i = 0; i < r->seen_count && !seen; ++i)
            seen = !strcmp(r->seen[i], item->string);
        if (!seen)
            tsr_log(r->ctx, TSR_LOG_WARNING,
                    "%s: configuration: %s.%s.%.64s: not known to this build, ignored", r->path,
                    r->part, r->module->string ? r->module->string : "", item->string);
    }
}

static void read_modules(reader *r, const cJSON *json) {
    const cJSON *part = cJSON_GetObjectItemCaseSensitive(json, r->part);
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(part, "module_dict");
    r->subsequences = false;
    if (!cJSON_IsObject(list)) bad(r, "module_dict", "wanted an object, got none");
    cJSON_ArrayForEach(r->module, list) {
        if (r->status) break;
        r->seen_count = 0;
        read_module(r);
        if (!r->status) warn_of_unseen(r);
    }
    r->module = NULL;
}

/* ---- everything ---- */

/* Text of a part's key, NULL where there is none. */
static const char *text_of(const cJSON *json, const char *part, const char *key) {
    return cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, part), key));
}

/* Begins a part that is one object of this class. */
static void begin_object(reader *r, const cJSON *json, const char *part, const char *class) {
    r->part = part;
    r->module = cJSON_GetObjectItemCaseSensitive(json, part);
    const char *target = get_text(r, "_target_");
    if (strcmp(last_name(target), class) != 0)
        bad(r, "_target_", "wanted %s, got %.120s", class, target ? target : "none");
}

static void read_levels(reader *r, const cJSON *json) {
    tsr_flextok_config *c = r->c;
    begin_object(r, json, "regularizer", "FSQ");
    const cJSON *list = value_of(r, "levels");
    const int n = cJSON_GetArraySize(list);
    if (!cJSON_IsArray(list) || n < 1 || n > TSR_FSQ_MAX_LEVELS)
        bad_value(r, "levels", "a list of 1 to 16 levels", list);
    for (int i = 0; i < n && !r->status; ++i) {
        const double d = cJSON_GetNumberValue(cJSON_GetArrayItem(list, i));
        if (!(d >= 2 && d <= 1000) || d != floor(d))
            bad_value(r, "levels", "levels of 2 to 1000", list);
        else
            c->levels[i] = (int)d;
    }
    c->level_count = n;
    if (!r->status && tsr_levels_check(r->ctx, c->levels, n, &c->codebook))
        bad_value(r, "levels", "a product below 2^31", list);
}

static void read_vae(reader *r, const cJSON *json) {
    tsr_vae_config *v = &r->c->vae;
    begin_object(r, json, "vae", "StableDiffusionVAE");
    v->channels = get_int(r, "latent_channels", 16, 1, 1024);
    v->scaling_factor = get_real(r, "scaling_factor", 0.18215, 1e-6, 1e6);
    if (!r->status && !value_of(r, "scaling_factor"))
        tsr_log(r->ctx, TSR_LOG_WARNING,
                "%s: configuration: vae.scaling_factor: none, taken to be %g", r->path,
                v->scaling_factor);
    v->sample_posterior = get_bool(r, "sample_posterior", true);
}

/* Begins the encoder or the decoder, a list of modules with a dictionary of their own. */
static void begin_modules(reader *r, bool decoder) {
    r->part = decoder ? "decoder" : "encoder";
    r->decoder = decoder;
    r->module = NULL;
    r->arrays = 0;
}

static void read_encoder(reader *r, const cJSON *json) {
    const tsr_flextok_config *c = r->c;
    begin_modules(r, false);
    put_key(r, "vae_latents_write_key", text_of(json, "vae", "vae_latents_write_key"), LATENTS);
    read_modules(r, json);
    if (!*c->encoder.head || !*c->encoder.transformer || !c->encoder.positions.axes)
        bad(r, "module_dict",
            "wanted patches, positions, registers, a transformer and a head, got fewer");
    const char *z = text_of(json, "regularizer", "latents_read_key");
    if (kind_of(r, z) != HEAD)
        bad(r, "module_dict", "wanted the head to write %s, got another key",
            z ? z : "regularizer.latents_read_key");
    if (c->encoder.trunk.groups)
        bad(r, "module_dict", "wanted a transformer without adaLN, got one with it");
    if (c->channels != c->vae.channels)
        bad(r, "module_dict", "wanted %lld latent channels as the VAE has, got %lld",
            (long long)c->vae.channels, (long long)c->channels);
}

/* The modules on tokens: all there, the linear layer first, the null condition last. */
static void check_token_steps(reader *r) {
    const tsr_flextok_config *c = r->c;
    const tsr_flextok_token_step *steps = c->decoder.step;
    const int n = c->decoder.step_count;
    bool has[TSR_FLEXTOK_STEP_NULL + 1] = {false};
    for (int i = 0; i < n; ++i)
        has[steps[i].kind] = true;
    const bool both = has[TSR_FLEXTOK_STEP_LINEAR] && has[TSR_FLEXTOK_STEP_NULL];
    if (both &&
        (steps[0].kind != TSR_FLEXTOK_STEP_LINEAR || steps[n - 1].kind != TSR_FLEXTOK_STEP_NULL))
        bad(r, "module_dict",
            "wanted the linear layer first and the null condition last among the modules on "
            "tokens, got another order");
    if (!both || !has[TSR_FLEXTOK_STEP_DROPOUT])
        bad(r, "module_dict",
            "wanted a linear layer, a nested dropout and a null condition, got fewer");
    if (c->decoder.token_positions.axes && c->decoder.token_positions.max[0] < c->encoder.table)
        bad(r, c->decoder.token_positions.module, "wanted positions for %lld tokens, got %lld",
            (long long)c->encoder.table, (long long)c->decoder.token_positions.max[0]);
}

static void read_decoder(reader *r, const cJSON *json) {
    const tsr_flextok_config *c = r->c;
    begin_modules(r, true);
    put_key(r, "quants_write_key", text_of(json, "regularizer", "quants_write_key"), CODES);
    put_key(r, "noised_images_read_key", text_of(json, "pipeline", "noised_images_read_key"),
            LATENTS);
    read_modules(r, json);
    if (!*c->decoder.head || !*c->decoder.transformer || !*c->decoder.time ||
        !c->decoder.positions.axes || !c->decoder.trunk.groups)
        bad(r, "module_dict",
            "wanted patches, positions, a time embedding, a transformer with adaLN and a head, "
            "got fewer");
    const char *out = text_of(json, "pipeline", "reconst_write_key");
    if (out && kind_of(r, out) != OUTPUT)
        bad(r, "module_dict", "wanted the last module to write %.64s channels first, got %s", out,
            kind_names[kind_of(r, out)]);
    check_token_steps(r);
}

tsr_status tsr_flextok_read_config(tsr_context *ctx, const char *path, const cJSON *json,
                                   tsr_flextok_config *config) {
    reader r = {.ctx = ctx, .path = path, .part = "", .c = config};
    *config = (tsr_flextok_config){0};
    for (int i = 0; i < PARTS; ++i)
        if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, parts[i])))
            bad(&r, parts[i], "wanted an object, got none");
    read_levels(&r, json);
    read_vae(&r, json);
    read_encoder(&r, json);
    read_decoder(&r, json);
    return r.status;
}
