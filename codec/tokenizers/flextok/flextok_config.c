/* SPDX-License-Identifier: MIT */
/* flextok_config.c: reads the configuration a FlexTok checkpoint carries.
 *
 * It is a list of modules in the order they run; they pass arrays to each other through a
 * dictionary by key. The reader follows the keys: it knows what each array is, so modules may have
 * any names, and an order that means something else is refused. Keys whose meaning is not known are
 * named in a warning. What the published classes assume when a key is absent is assumed here too.
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

typedef enum array_kind { /* what stands under a key of the dictionary */
                          NOTHING,
                          LATENTS,      /* [C, h, w] */
                          LATENTS_LAST, /* [h, w, C] */
                          PATCHES,
                          REGISTERS, /* encoder: registers; decoder: tokens */
                          CODES,     /* decoder: what FSQ gives */
                          PACKED,
                          BESIDE, /* for training only */
                          HEAD,   /* encoder: z; decoder: velocity [h, w, C] */
                          OUTPUT, /* decoder: velocity [C, h, w] */
                          TIME    /* time embedding */
} array_kind;
static const char *const kind_names[] = {"nothing",
                                         "latents",
                                         "latents, channels last",
                                         "patches",
                                         "tokens",
                                         "codes",
                                         "a sequence",
                                         "training only",
                                         "the head's output",
                                         "the velocity",
                                         "the time embedding"};

enum { MAX_KEYS = 48 };

typedef struct reader {
    tsr_context *ctx;
    const char *path, *part; /* "encoder" */
    const cJSON *module;     /* the one being read; its name is module->string */
    tsr_flextok_config *c;
    struct {
        const char *key;
        array_kind kind;
    } array[MAX_KEYS];
    int arrays;
    const char *seen[64]; /* keys of the module that were looked at */
    int seen_count;
} reader;

static tsr_status bad(reader *r, const char *key, const char *format, ...) TSR_PRINTF(3, 4);
static tsr_status bad(reader *r, const char *key, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const bool inside = r->module && r->module->string && strcmp(r->module->string, r->part) != 0;
    return tsr_fail(r->ctx, TSR_ERROR_MODEL, "%s: configuration: %s%s%.64s%s%s: %s", r->path,
                    r->part, inside ? "." : "", inside ? r->module->string : "",
                    *key && (inside || *r->part) ? "." : "", key, text);
}

static const cJSON *value_of(reader *r, const char *key) {
    if (r->seen_count < (int)(sizeof r->seen / sizeof *r->seen)) r->seen[r->seen_count++] = key;
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(r->module, key);
    return cJSON_IsNull(value) ? NULL : value;
}

static tsr_status bad_value(reader *r, const char *key, const char *wanted, const cJSON *got) {
    char *text = got ? cJSON_PrintUnformatted(got) : NULL;
    tsr_status status = bad(r, key, "wanted %s, got %.80s", wanted, text ? text : "none");
    cJSON_free(text);
    return status;
}

static const int64_t required = INT64_MIN;

static tsr_status get_int(reader *r, const char *key, int64_t otherwise, int64_t low, int64_t high,
                          int64_t *value) {
    const cJSON *item = value_of(r, key);
    char wanted[80];
    if (!item && otherwise != required) {
        *value = otherwise;
        return TSR_OK;
    }
    snprintf(wanted, sizeof wanted, "an integer of %lld to %lld", (long long)low, (long long)high);
    if (!cJSON_IsNumber(item) || !(item->valuedouble >= (double)low) ||
        !(item->valuedouble <= (double)high) || item->valuedouble != floor(item->valuedouble))
        return bad_value(r, key, wanted, item);
    *value = (int64_t)item->valuedouble;
    return TSR_OK;
}

static tsr_status get_bool(reader *r, const char *key, bool otherwise, bool *value) {
    const cJSON *item = value_of(r, key);
    *value = item ? cJSON_IsTrue(item) : otherwise;
    return !item || cJSON_IsBool(item) ? TSR_OK : bad_value(r, key, "true or false", item);
}

static tsr_status get_real(reader *r, const char *key, double otherwise, double low, double high,
                           double *value) {
    const cJSON *item = value_of(r, key);
    char wanted[80];
    *value = item ? item->valuedouble : otherwise;
    snprintf(wanted, sizeof wanted, "a number of %g to %g", low, high);
    if (item && (!cJSON_IsNumber(item) || !(*value >= low && *value <= high)))
        return bad_value(r, key, wanted, item);
    return TSR_OK;
}

static const char *get_text(reader *r, const char *key) {
    return cJSON_GetStringValue(value_of(r, key));
}

static tsr_status want_text(reader *r, const char *key, const char *otherwise, const char *wanted) {
    const cJSON *item = value_of(r, key);
    const char *got = item ? cJSON_GetStringValue(item) : otherwise;
    return got && !strcmp(got, wanted) ? TSR_OK : bad_value(r, key, wanted, item);
}

/* What this build cannot do must be absent. */
static tsr_status want_absent(reader *r, const char *key) {
    const cJSON *item = value_of(r, key);
    return !item || cJSON_IsFalse(item) ? TSR_OK : bad_value(r, key, "none", item);
}

/* [n, n] with n of 1 to high, or [a, b] each of 1 to high when `square` is not asked. */
static tsr_status get_sizes(reader *r, const char *key, int count, int64_t high, bool square,
                            int64_t *sizes) {
    const cJSON *list = value_of(r, key);
    char wanted[80];
    snprintf(wanted, sizeof wanted, "%d %ssize%s of 1 to %lld", count, square ? "equal " : "",
             count == 1 ? "" : "s", (long long)high);
    if (!cJSON_IsArray(list) || cJSON_GetArraySize(list) != count)
        return bad_value(r, key, wanted, list);
    for (int i = 0; i < count; ++i) {
        const double d = cJSON_GetNumberValue(cJSON_GetArrayItem(list, i));
        if (!(d >= 1 && d <= (double)high) || d != floor(d) ||
            (square && i && d != (double)sizes[0]))
            return bad_value(r, key, wanted, list);
        sizes[i] = (int64_t)d;
    }
    return TSR_OK;
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

static tsr_status put(reader *r, const char *field, const char *key, array_kind kind) {
    if (!key) return bad(r, field, "wanted a key, got none");
    if (r->arrays == MAX_KEYS) return bad(r, field, "wanted at most %d keys, got more", MAX_KEYS);
    r->array[r->arrays].key = key;
    r->array[r->arrays++].kind = kind;
    return TSR_OK;
}

static tsr_status put_field(reader *r, const char *field, array_kind kind) {
    return put(r, field, get_text(r, field), kind);
}

static tsr_status take_key(reader *r, const char *field, const char *key, array_kind wanted) {
    const array_kind got = kind_of(r, key);
    return got == wanted ? TSR_OK
                         : bad(r, field, "wanted the key of %s, got %.64s (%s)", kind_names[wanted],
                               key ? key : "none", kind_names[got]);
}

static tsr_status take_field(reader *r, const char *field, array_kind wanted) {
    return take_key(r, field, get_text(r, field), wanted);
}

static tsr_status take_name(reader *r, char *name) {
    if (*name) return bad(r, "", "wanted one module of this kind, got a second");
    const char *own = r->module->string;
    for (const char *c = own; *c; ++c)
        if ((unsigned char)*c <= ' ' || strlen(own) >= TSR_FLEXTOK_NAME)
            return bad(r, "", "wanted a name below %d bytes without spaces, got another",
                       TSR_FLEXTOK_NAME);
    snprintf(name, TSR_FLEXTOK_NAME, "%s", own);
    return TSR_OK;
}

/* ---- modules, one function for each class ---- */

enum { DIM_MOST = 1 << 16 };

static tsr_status same_dim(reader *r, const char *key, int64_t got, int64_t *dim) {
    if (*dim && *dim != got)
        return bad(r, key, "wanted %lld as in the modules before, got %lld", (long long)*dim,
                   (long long)got);
    *dim = got;
    return TSR_OK;
}

static tsr_status read_dim(reader *r, const char *key, int64_t *dim) {
    int64_t got = 0;
    tsr_status status = get_int(r, key, required, 1, DIM_MOST, &got);
    return status ? status : same_dim(r, key, got, dim);
}

static tsr_status read_per_sample_op(reader *r, bool decoder) {
    const cJSON *op = value_of(r, "per_sample_op");
    const char *target = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(op, "_target_"));
    const char *name = last_name(target);
    if (!strcmp(name, "channels_first_to_last")) {
        tsr_status status = take_field(r, "read_key", LATENTS);
        return status ? status : put_field(r, "write_key", LATENTS_LAST);
    }
    if (decoder && !strcmp(name, "channels_last_to_first")) {
        tsr_status status = take_field(r, "read_key", HEAD);
        return status ? status : put_field(r, "write_key", OUTPUT);
    }
    return bad(r, "per_sample_op._target_",
               "wanted channels_first_to_last or channels_last_to_first, got %.80s",
               target ? target : "none");
}

static tsr_status read_patch_embedder(reader *r, char *name, int64_t *dim) {
    tsr_flextok_config *c = r->c;
    int64_t patch[2] = {0};
    bool flatten;
    tsr_status status = take_name(r, name);
    if (!status) status = take_field(r, "input_tensor_list_read_key", LATENTS_LAST);
    if (!status) status = read_dim(r, "channels_in", &c->channels);
    if (!status) status = read_dim(r, "dim", dim);
    if (!status) status = get_sizes(r, "patch_sizes", 2, 64, true, patch);
    if (!status) status = same_dim(r, "patch_sizes", patch[0], &c->patch);
    if (!status) status = get_bool(r, "flatten_patches", true, &flatten);
    value_of(r, "n_patches_write_key");
    return status ? status : put_field(r, "patches_list_write_key", PATCHES);
}

static tsr_status read_positions(reader *r, tsr_flextok_positions *p, int axes, array_kind kind,
                                 int64_t *dim) {
    tsr_status status = take_name(r, p->module);
    const char *type = get_text(r, "posemb_type");
    const cJSON *sizes = value_of(r, "max_sizes");
    if (status) return status;
    if (!type) type = "sincos";
    p->sum = !strcmp(type, "learnable_sum");
    if (!p->sum && (strcmp(type, "sincos") != 0 || axes == 1))
        return bad(r, "posemb_type", "wanted %slearnable_sum, got %.40s",
                   axes == 1 ? "" : "sincos or ", type);
    p->axes = axes;
    p->max[1] = 1;
    status = get_sizes(r, "max_sizes", axes, 1 << 14, false, p->max);
    if (!status && p->sum && axes == 2 && p->max[0] != p->max[1])
        status = bad_value(r, "max_sizes", "equal sizes for learnable_sum", sizes);
    if (!status) status = want_text(r, "posemb_scaling", "absolute", "absolute");
    if (!status) status = read_dim(r, "dim", dim);
    return status ? status : put_field(r, "write_key", kind);
}

static tsr_status read_registers(reader *r) {
    tsr_flextok_config *c = r->c;
    tsr_status status = take_name(r, c->encoder.registers);
    if (!status) status = take_field(r, "input_tensor_list_read_key", PATCHES);
    if (!status) status = read_dim(r, "dim", &c->encoder.trunk.dim);
    if (!status) status = get_int(r, "n_max", required, 1, 1 << 16, &c->encoder.table);
    if (!status)
        status = get_int(r, "n_eval", c->encoder.table, 1, c->encoder.table, &c->registers);
    if (!status) status = want_text(r, "ordering_mode", "nested", "nested");
    const char *const ignored[] = {"n_min", "size_sampling_mode", "register_sizes_read_write_key"};
    for (int i = 0; i < 3; ++i)
        value_of(r, ignored[i]);
    return status ? status : put_field(r, "registers_write_key", REGISTERS);
}

static tsr_status read_packer(reader *r, const char *mask, bool *subsequences) {
    const cJSON *keys = value_of(r, "input_list_read_keys");
    if (cJSON_GetArraySize(keys) != 2)
        return bad_value(r, "input_list_read_keys", "patches and tokens", keys);
    const array_kind wanted[2] = {PATCHES, REGISTERS};
    tsr_status status = TSR_OK;
    for (int i = 0; i < 2 && !status; ++i)
        status = take_key(r, "input_list_read_keys",
                          cJSON_GetStringValue(cJSON_GetArrayItem(keys, i)), wanted[i]);
    if (!status) status = want_text(r, "mask_mode", "full", mask);
    if (!status) status = get_bool(r, "per_subseq_embs", false, subsequences);
    const char *const ignored[] = {"pad_to_multiple",
                                   "block_mask_write_key",
                                   "inner_packed_shapes_write_key",
                                   "outer_packed_shapes_write_key",
                                   "emb_packing_fn_write_key",
                                   "compile_block_mask",
                                   "return_materialized_mask"};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; ++i)
        value_of(r, ignored[i]);
    return status ? status : put_field(r, "packed_seq_write_key", PACKED);
}

static tsr_status read_transformer(reader *r, char *name, tsr_flextok_block_spec *t,
                                   bool subsequences) {
    int64_t depth = 0, head = 0, groups = 0;
    double ratio = 0;
    tsr_status status = take_name(r, name);
    if (!status) status = take_field(r, "input_seq_read_key", PACKED);
    if (!status) status = read_dim(r, "dim", &t->dim);
    if (!status) status = get_int(r, "depth", required, 1, TSR_FLEXTOK_MAX_DEPTH, &depth);
    if (!status) status = get_int(r, "head_dim", 64, 1, t->dim, &head);
    if (!status && t->dim % head)
        status = bad(r, "head_dim", "wanted a divisor of %lld, got %lld", (long long)t->dim,
                     (long long)head);
    if (!status) status = get_real(r, "mlp_ratio", 4.0, 0.01, 64, &ratio);
    if (!status) status = get_bool(r, "qkv_bias", false, &t->qkv_bias);
    if (!status) status = get_bool(r, "proj_bias", false, &t->proj_bias);
    if (!status) status = get_bool(r, "mlp_bias", false, &t->mlp_bias);
    if (!status) status = get_bool(r, "gated_mlp", true, &t->gated_mlp);
    if (!status) status = get_bool(r, "qk_norm", true, &t->qk_norm);
    if (!status) status = get_int(r, "adaLN_expansion", 1, 1, 2, &groups);
    const cJSON *act = value_of(r, "act_layer"), *norm = value_of(r, "norm_layer");
    const cJSON *act_target = cJSON_GetObjectItemCaseSensitive(act, "_target_");
    if (!status && act && strcmp(last_name(cJSON_GetStringValue(act_target)), "SiLU") != 0)
        status = bad_value(r, "act_layer", "SiLU", act);
    if (!status && norm) status = bad_value(r, "norm_layer", "none (the class's own)", norm);
    const char *const refused[] = {"xattn_embed_read_key", "context_read_key", "score_mod",
                                   "score_mod_read_key",   "use_mup_readout",  "layer_scale"};
    for (size_t i = 0; i < sizeof refused / sizeof *refused && !status; ++i)
        status = want_absent(r, refused[i]);
    if (status) return status;
    t->depth = (int)depth;
    t->heads = (int)(t->dim / head);
    const int64_t hidden = (int64_t)((double)t->dim * ratio);
    t->hidden = t->gated_mlp ? 2 * hidden / 3 : hidden;
    if (t->hidden < 1)
        return bad(r, "mlp_ratio", "wanted a hidden size of 1 or more, got %lld",
                   (long long)t->hidden);
    const char *time = get_text(r, "adaLN_emb_read_key");
    t->groups = time ? (int)groups : 0;
    if (time) status = take_key(r, "adaLN_emb_read_key", time, TIME);
    if (!status && time && subsequences != (groups == 2))
        status = bad(r, "adaLN_expansion", "wanted %d as the packer has it, got %lld",
                     subsequences ? 2 : 1, (long long)groups);
    const char *const ignored[] = {"block_mask_read_key",
                                   "adaLN_packing_fn_read_key",
                                   "use_act_checkpoint",
                                   "intermediate_layers",
                                   "drop",
                                   "proj_drop",
                                   "attn_drop",
                                   "mlp_drop",
                                   "drop_path",
                                   "drop_path_rate",
                                   "weight_init_style",
                                   "init_style"};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; ++i)
        value_of(r, ignored[i]);
    const char *beside = get_text(r, "intermediate_layer_write_key");
    if (!status && beside) status = put(r, "intermediate_layer_write_key", beside, BESIDE);
    return status ? status : put_field(r, "output_seq_write_key", PACKED);
}

static tsr_status read_unpacker(reader *r) {
    const cJSON *keys = value_of(r, "inner_seq_write_keys");
    const array_kind from = kind_of(r, get_text(r, "packed_seq_read_key"));
    value_of(r, "inner_packed_shapes_read_key");
    value_of(r, "outer_packed_shapes_read_key");
    tsr_status status = from == BESIDE ? TSR_OK : take_field(r, "packed_seq_read_key", PACKED);
    if (!status && cJSON_GetArraySize(keys) != 2)
        status = bad_value(r, "inner_seq_write_keys", "patches and tokens", keys);
    for (int i = 0; i < 2 && !status; ++i)
        status = put(r, "inner_seq_write_keys", cJSON_GetStringValue(cJSON_GetArrayItem(keys, i)),
                     from == BESIDE ? BESIDE
                     : i            ? REGISTERS
                                    : PATCHES);
    return status;
}

static tsr_status read_head_options(reader *r) {
    tsr_status status = want_absent(r, "use_mup_readout");
    const cJSON *norm = value_of(r, "norm_layer");
    if (!status && norm) status = bad_value(r, "norm_layer", "none (the class's own)", norm);
    value_of(r, "weight_init_style");
    value_of(r, "dtype_override");
    return status;
}

static tsr_status read_linear_head(reader *r) {
    tsr_flextok_config *c = r->c;
    int64_t out = c->level_count;
    tsr_status status = take_name(r, c->encoder.head);
    if (!status) status = take_field(r, "read_key", REGISTERS);
    if (!status) status = read_dim(r, "dim", &c->encoder.trunk.dim);
    if (!status) status = read_dim(r, "dim_out", &out);
    if (!status) status = get_bool(r, "proj_bias", true, &c->encoder.head_bias);
    if (!status) status = want_absent(r, "adaLN_emb_read_key");
    if (!status) status = read_head_options(r);
    return status ? status : put_field(r, "write_key", HEAD);
}

static tsr_status read_patches_head(reader *r) {
    tsr_flextok_config *c = r->c;
    int64_t patch[2];
    tsr_status status = take_name(r, c->decoder.head);
    if (!status) status = take_field(r, "read_key", PATCHES);
    if (!status) status = read_dim(r, "dim", &c->decoder.trunk.dim);
    if (!status) status = read_dim(r, "channels_out", &c->channels);
    if (!status) status = get_sizes(r, "patch_sizes", 2, 64, true, patch);
    if (!status) status = same_dim(r, "patch_sizes", patch[0], &c->patch);
    if (!status) status = get_bool(r, "proj_bias", true, &c->decoder.head_bias);
    const char *time = get_text(r, "adaLN_emb_read_key");
    c->decoder.head_modulated = time != NULL;
    if (!status && time) status = take_key(r, "adaLN_emb_read_key", time, TIME);
    bool bias = true;
    if (!status) status = get_bool(r, "adaLN_bias", true, &bias);
    if (!status && !bias) status = bad_value(r, "adaLN_bias", "true", value_of(r, "adaLN_bias"));
    if (!status) status = want_absent(r, "adaLN_packing_fn_read_key");
    if (!status) status = read_head_options(r);
    return status ? status : put_field(r, "write_key", HEAD);
}

static tsr_status add_token_step(reader *r, tsr_flextok_token_kind kind, const char *key,
                                 array_kind from, tsr_flextok_token_step **step) {
    tsr_flextok_config *c = r->c;
    if (c->decoder.step_count == TSR_FLEXTOK_MAX_STEPS)
        return bad(r, "", "wanted at most %d modules on tokens, got more", TSR_FLEXTOK_MAX_STEPS);
    *step = &c->decoder.step[c->decoder.step_count++];
    for (int i = 0; i + 1 < c->decoder.step_count; ++i)
        if (c->decoder.step[i].kind == kind) return bad(r, "", "wanted one of its kind, got two");
    (*step)->kind = kind;
    tsr_status status = take_name(r, (*step)->module);
    return status ? status : take_field(r, key, from);
}

static tsr_status read_token_module(reader *r, const char *class) {
    tsr_flextok_config *c = r->c;
    tsr_flextok_token_step *step;
    tsr_status status;
    if (!strcmp(class, "LinearLayer")) {
        int64_t in = c->level_count;
        status = add_token_step(r, TSR_FLEXTOK_STEP_LINEAR, "read_key", CODES, &step);
        if (!status) status = read_dim(r, "dim_in", &in);
        if (!status) status = read_dim(r, "dim", &c->decoder.trunk.dim);
        if (!status) status = get_bool(r, "proj_bias", true, &step->bias);
        value_of(r, "weight_init_style");
        value_of(r, "dtype_override");
        return status ? status : put_field(r, "write_key", REGISTERS);
    }
    const bool dropout = !strcmp(class, "MaskedNestedDropout");
    status = add_token_step(r, dropout ? TSR_FLEXTOK_STEP_DROPOUT : TSR_FLEXTOK_STEP_NULL,
                            "read_write_key", REGISTERS, &step);
    if (status) return status;
    step->learned = dropout || !strcmp(class, "LearnedNullCond");
    if (step->learned) status = read_dim(r, "dim", &c->decoder.trunk.dim);
    if (!status && !dropout)
        status = get_bool(r, "replace_with_single_token", false, &step->single);
    const char *const ignored[] = {
        "dropout_prob",       "eval_keep_k_read_key",       "train_keep_k_write_key",
        "size_sampling_mode", "eval_dropout_mask_read_key", "dtype_override"};
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; ++i)
        value_of(r, ignored[i]);
    return status;
}

static tsr_status read_time(reader *r) {
    tsr_flextok_config *c = r->c;
    tsr_status status = take_name(r, c->decoder.time);
    if (!status) status = read_dim(r, "dim", &c->decoder.trunk.dim);
    if (!status)
        status = get_int(r, "frequency_embedding_size", 256, 2, 1 << 14, &c->decoder.frequencies);
    if (!status && c->decoder.frequencies % 2)
        status = bad(r, "frequency_embedding_size", "wanted an even number, got %lld",
                     (long long)c->decoder.frequencies);
    if (!status) status = get_real(r, "max_timestep", 1000.0, 1e-6, 1e9, &c->decoder.max_timestep);
    value_of(r, "timesteps_read_key");
    return status ? status : put_field(r, "time_embedding_write_key", TIME);
}

/* ---- the two lists of modules ---- */

static tsr_status read_module(reader *r, bool decoder, bool *subsequences) {
    tsr_flextok_config *c = r->c;
    tsr_flextok_block_spec *trunk = decoder ? &c->decoder.trunk : &c->encoder.trunk;
    const char *target = get_text(r, "_target_"), *class = last_name(target);
    if (!strcmp(class, "PerSampleOp")) return read_per_sample_op(r, decoder);
    if (!strcmp(class, "PatchEmbedder"))
        return read_patch_embedder(r, decoder ? c->decoder.patches : c->encoder.patches,
                                   &trunk->dim);
    if (!strcmp(class, "PositionalEmbeddingAdder")) {
        const array_kind kind = kind_of(r, get_text(r, "read_key"));
        if (decoder && kind == REGISTERS) {
            tsr_flextok_token_step *step;
            tsr_status status =
                add_token_step(r, TSR_FLEXTOK_STEP_POSITIONS, "read_key", REGISTERS, &step);
            return status
                       ? status
                       : read_positions(r, &c->decoder.token_positions, 1, REGISTERS, &trunk->dim);
        }
        tsr_status status = take_field(r, "read_key", PATCHES);
        return status ? status
                      : read_positions(r, decoder ? &c->decoder.positions : &c->encoder.positions,
                                       2, PATCHES, &trunk->dim);
    }
    if (!decoder && !strcmp(class, "Registers1D")) return read_registers(r);
    if (!strcmp(class, "BlockWiseSequencePacker"))
        return read_packer(r, decoder ? "full" : "causal_last", subsequences);
    if (!strcmp(class, "FlexTransformer"))
        return read_transformer(r, decoder ? c->decoder.transformer : c->encoder.transformer, trunk,
                                *subsequences);
    if (!strcmp(class, "SequenceUnpacker")) return read_unpacker(r);
    if (!decoder && !strcmp(class, "LinearHead")) return read_linear_head(r);
    if (decoder && !strcmp(class, "ToPatchesLinearHead")) return read_patches_head(r);
    if (decoder && !strcmp(class, "TimestepEmbedder")) return read_time(r);
    if (decoder && (!strcmp(class, "LinearLayer") || !strcmp(class, "MaskedNestedDropout") ||
                    !strcmp(class, "LearnedNullCond") || !strcmp(class, "ZeroNullCond")))
        return read_token_module(r, class);
    return bad(r, "_target_", "wanted a class this build knows, got %.120s",
               target ? target : "none");
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
    r->seen_count = 0;
}

static tsr_status read_modules(reader *r, const cJSON *part, const char *name, bool decoder) {
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(part, "module_dict"), *module;
    r->part = name;
    r->module = NULL;
    bool subsequences = false;
    tsr_status status = TSR_OK;
    if (!cJSON_IsObject(list)) return bad(r, "module_dict", "wanted an object, got none");
    cJSON_ArrayForEach(module, list) {
        r->module = module;
        r->seen_count = 0;
        if (!status && !cJSON_IsObject(module))
            status = bad(r, "", "wanted an object, got another");
        if (!status) status = read_module(r, decoder, &subsequences);
        if (!status) warn_of_unseen(r);
        if (status) break;
    }
    r->module = NULL;
    return status;
}

/* ---- everything ---- */

static tsr_status read_levels(reader *r, const cJSON *part) {
    tsr_flextok_config *c = r->c;
    r->part = "regularizer";
    r->module = part;
    const char *target = get_text(r, "_target_");
    if (strcmp(last_name(target), "FSQ") != 0)
        return bad(r, "_target_", "wanted FSQ, got %.120s", target ? target : "none");
    const cJSON *list = value_of(r, "levels");
    const int n = cJSON_GetArraySize(list);
    if (!cJSON_IsArray(list) || n < 1 || n > TSR_FSQ_MAX_LEVELS)
        return bad_value(r, "levels", "a list of 1 to 16 levels", list);
    for (int i = 0; i < n; ++i) {
        const double d = cJSON_GetNumberValue(cJSON_GetArrayItem(list, i));
        if (!(d >= 2 && d <= 1000) || d != floor(d))
            return bad_value(r, "levels", "levels of 2 to 1000", list);
        c->levels[i] = (int)d;
    }
    c->level_count = n;
    tsr_status status = tsr_levels_check(r->ctx, c->levels, n, &c->codebook);
    return status ? bad_value(r, "levels", "a product below 2^31", list) : TSR_OK;
}

static const char *text_of(const cJSON *json, const char *part, const char *key) {
    return cJSON_GetStringValue(
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, part), key));
}

static tsr_status read_vae(reader *r, const cJSON *part) {
    tsr_vae_config *v = &r->c->vae;
    r->part = "vae";
    r->module = part;
    const char *target = get_text(r, "_target_");
    if (strcmp(last_name(target), "StableDiffusionVAE") != 0)
        return bad(r, "_target_", "wanted StableDiffusionVAE, got %.120s",
                   target ? target : "none");
    int64_t channels = 0;
    tsr_status status = get_int(r, "latent_channels", 16, 1, 1024, &channels);
    if (!status) status = get_real(r, "scaling_factor", 0.18215, 1e-6, 1e6, &v->scaling_factor);
    if (!status && !value_of(r, "scaling_factor"))
        tsr_log(r->ctx, TSR_LOG_WARNING,
                "%s: configuration: vae.scaling_factor: none, taken to be %g", r->path,
                v->scaling_factor);
    if (!status) status = get_bool(r, "sample_posterior", true, &v->sample_posterior);
    v->channels = channels;
    return status;
}

static tsr_status check_whole(reader *r, const cJSON *json) {
    const tsr_flextok_config *c = r->c;
    r->part = "encoder";
    r->module = NULL;
    if (!*c->encoder.head || !*c->encoder.transformer || !c->encoder.positions.axes)
        return bad(r, "module_dict",
                   "wanted patches, positions, registers, a transformer and a head, got fewer");
    const char *z = text_of(json, "regularizer", "latents_read_key");
    if (kind_of(r, z) != HEAD)
        return bad(r, "module_dict", "wanted the head to write %s, got another key",
                   z ? z : "regularizer.latents_read_key");
    if (c->encoder.trunk.groups)
        return bad(r, "module_dict", "wanted a transformer without adaLN, got one with it");
    if (c->channels != c->vae.channels)
        return bad(r, "module_dict", "wanted %lld latent channels as the VAE has, got %lld",
                   (long long)c->vae.channels, (long long)c->channels);
    return TSR_OK;
}

static tsr_status check_decoder(reader *r, const cJSON *json) {
    const tsr_flextok_config *c = r->c;
    r->part = "decoder";
    r->module = NULL;
    if (!*c->decoder.head || !*c->decoder.transformer || !*c->decoder.time ||
        !c->decoder.positions.axes || !c->decoder.trunk.groups)
        return bad(r, "module_dict",
                   "wanted patches, positions, a time embedding, a transformer with adaLN and a "
                   "head, got fewer");
    const char *out = text_of(json, "pipeline", "reconst_write_key");
    if (out && kind_of(r, out) != OUTPUT)
        return bad(r, "module_dict", "wanted the last module to write %.64s channels first, got %s",
                   out, kind_names[kind_of(r, out)]);
    bool linear = false, null = false, dropout = false;
    for (int i = 0; i < c->decoder.step_count; ++i) {
        linear |= c->decoder.step[i].kind == TSR_FLEXTOK_STEP_LINEAR;
        dropout |= c->decoder.step[i].kind == TSR_FLEXTOK_STEP_DROPOUT;
        null |= c->decoder.step[i].kind == TSR_FLEXTOK_STEP_NULL;
    }
    const tsr_flextok_token_step *steps = c->decoder.step;
    if (linear && null &&
        (steps[0].kind != TSR_FLEXTOK_STEP_LINEAR ||
         steps[c->decoder.step_count - 1].kind != TSR_FLEXTOK_STEP_NULL))
        return bad(r, "module_dict",
                   "wanted the linear layer first and the null condition last among the modules "
                   "on tokens, got another order");
    if (!linear || !null || !dropout)
        return bad(r, "module_dict",
                   "wanted a linear layer, a nested dropout and a null condition, got fewer");
    if (c->decoder.token_positions.axes && c->decoder.token_positions.max[0] < c->encoder.table)
        return bad(r, c->decoder.token_positions.module,
                   "wanted positions for %lld tokens, got "
                   "%lld",
                   (long long)c->encoder.table, (long long)c->decoder.token_positions.max[0]);
    return TSR_OK;
}

tsr_status tsr_flextok_read_config(tsr_context *ctx, const char *path, const cJSON *json,
                                   tsr_flextok_config *config) {
    reader r = {.ctx = ctx, .path = path, .part = "", .c = config};
    *config = (tsr_flextok_config){0};
    for (int i = 0; i < PARTS; ++i)
        if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(json, parts[i])))
            return bad(&r, parts[i], "wanted an object, got none");
    tsr_status status = read_levels(&r, cJSON_GetObjectItemCaseSensitive(json, "regularizer"));
    if (!status) status = read_vae(&r, cJSON_GetObjectItemCaseSensitive(json, "vae"));
    r.part = "encoder";
    r.module = NULL;
    const char *latents = text_of(json, "vae", "vae_latents_write_key");
    if (!status) status = put(&r, "vae_latents_write_key", latents, LATENTS);
    if (!status)
        status =
            read_modules(&r, cJSON_GetObjectItemCaseSensitive(json, "encoder"), "encoder", false);
    if (!status) status = check_whole(&r, json);
    r.arrays = 0;
    r.part = "decoder";
    r.module = NULL;
    const char *codes = text_of(json, "regularizer", "quants_write_key");
    const char *noised = text_of(json, "pipeline", "noised_images_read_key");
    if (!status) status = put(&r, "quants_write_key", codes, CODES);
    if (!status) status = put(&r, "noised_images_read_key", noised, LATENTS);
    if (!status)
        status =
            read_modules(&r, cJSON_GetObjectItemCaseSensitive(json, "decoder"), "decoder", true);
    return status ? status : check_decoder(&r, json);
}
