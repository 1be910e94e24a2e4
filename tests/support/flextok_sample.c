/* SPDX-License-Identifier: MIT */
/* flextok_sample.c: makes and writes a small FlexTok checkpoint. */
#include "flextok_sample.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "codec/tokenizers/flextok/flextok_decoder.h"
#include "codec/tokenizers/flextok/flextok_encoder.h"
#include "everywhere.h"
#include "formats/weights/safetensors.h"

/* Widths differ everywhere, and the hidden sizes are no multiples of 4. */
static const char text[] =
    "{'vae':{'_target_':'flextok.vae_wrapper.StableDiffusionVAE','vae_latents_write_key':'latents',"
    "'latent_channels':4,'scaling_factor':0.5,'sample_posterior':false},"
    "'encoder':{'module_dict':{"
    "'e_last':{'_target_':'x.PerSampleOp','read_key':'latents','write_key':'last',"
    "'per_sample_op':{'_target_':'x.channels_first_to_last','_partial_':true}},"
    "'e_patch':{'_target_':'x.PatchEmbedder','input_tensor_list_read_key':'last',"
    "'patches_list_write_key':'patches','channels_in':4,'dim':32,'patch_sizes':[2,2]},"
    "'e_pos':{'_target_':'x.PositionalEmbeddingAdder','read_key':'patches','write_key':'patches',"
    "'dim':32,'max_sizes':[4,4],'posemb_type':'sincos'},"
    "'e_reg':{'_target_':'x.Registers1D','input_tensor_list_read_key':'patches',"
    "'registers_write_key':'regs','dim':32,'n_max':12},"
    "'e_pack':{'_target_':'x.BlockWiseSequencePacker','input_list_read_keys':['patches','regs'],"
    "'packed_seq_write_key':'seq','mask_mode':'causal_last'},"
    "'e_trunk':{'_target_':'x.FlexTransformer','input_seq_read_key':'seq',"
    "'output_seq_write_key':'seq','dim':32,'depth':2,'head_dim':16},"
    "'e_unpack':{'_target_':'x.SequenceUnpacker','packed_seq_read_key':'seq',"
    "'inner_seq_write_keys':['patches','regs']},"
    "'e_head':{'_target_':'x.LinearHead','read_key':'regs','write_key':'z','dim':32,'dim_out':3}}},"
    "'regularizer':{'_target_':'x.FSQ','latents_read_key':'z','quants_write_key':'codes',"
    "'levels':[8,6,5]},"
    "'decoder':{'module_dict':{"
    "'d_in':{'_target_':'x.LinearLayer','read_key':'codes','write_key':'tokens','dim_in':3,"
    "'dim':48},"
    "'d_tpos':{'_target_':'x.PositionalEmbeddingAdder','read_key':'tokens','write_key':'tokens',"
    "'dim':48,'max_sizes':[12],'posemb_type':'learnable_sum'},"
    "'d_drop':{'_target_':'x.MaskedNestedDropout','read_write_key':'tokens','dim':48},"
    "'d_null':{'_target_':'x.LearnedNullCond','read_write_key':'tokens','dim':48},"
    "'d_last':{'_target_':'x.PerSampleOp','read_key':'noised','write_key':'nlast',"
    "'per_sample_op':{'_target_':'x.channels_first_to_last'}},"
    "'d_patch':{'_target_':'x.PatchEmbedder','input_tensor_list_read_key':'nlast',"
    "'patches_list_write_key':'dp','channels_in':4,'dim':48,'patch_sizes':[2,2]},"
    "'d_pos':{'_target_':'x.PositionalEmbeddingAdder','read_key':'dp','write_key':'dp','dim':48,"
    "'max_sizes':[4,4]},"
    "'d_pack':{'_target_':'x.BlockWiseSequencePacker','input_list_read_keys':['dp','tokens'],"
    "'packed_seq_write_key':'dseq','per_subseq_embs':true},"
    "'d_time':{'_target_':'x.TimestepEmbedder','time_embedding_write_key':'temb','dim':48,"
    "'frequency_embedding_size':32,'max_timestep':1.0},"
    "'d_trunk':{'_target_':'x.FlexTransformer','input_seq_read_key':'dseq',"
    "'output_seq_write_key':'dseq','dim':48,'depth':3,'head_dim':16,'adaLN_emb_read_key':'temb',"
    "'adaLN_expansion':2},"
    "'d_unpack':{'_target_':'x.SequenceUnpacker','packed_seq_read_key':'dseq',"
    "'inner_seq_write_keys':['dp','tokens']},"
    "'d_head':{'_target_':'x.ToPatchesLinearHead','read_key':'dp','write_key':'v','dim':48,"
    "'channels_out':4,'patch_sizes':[2,2],'adaLN_emb_read_key':'temb'},"
    "'d_first':{'_target_':'x.PerSampleOp','read_key':'v','write_key':'out',"
    "'per_sample_op':{'_target_':'x.channels_last_to_first'}}}},"
    "'pipeline':{'_target_':'x.MinRFPipeline','noised_images_read_key':'noised',"
    "'reconst_write_key':'out'}}";

static tsr_status make_tensor(void *user, const char *name, int rank, const int64_t *dim,
                              tsr_weight **where) {
    (void)where;
    flextok_sample *s = user;
    s->names = realloc(s->names, (size_t)(s->count + 1) * sizeof *s->names);
    s->tensors = realloc(s->tensors, (size_t)(s->count + 1) * sizeof *s->tensors);
    ck_assert(s->names && s->tensors);
    tsr_tensor t = tsr_host_tensor(TSR_DTYPE_F32, NULL, rank, dim);
    const int64_t n = tsr_elements(&t);
    float *f = t.data = malloc((size_t)n * sizeof *f);
    ck_assert_ptr_nonnull(f);
    random_normals(f, n);
    const bool vector = rank == 1;
    const bool norm = vector && strstr(name, "norm") && strstr(name, ".weight");
    const float scale = vector ? 0.3f : 1.5f / sqrtf((float)(n / dim[0]));
    for (int64_t i = 0; i < n; ++i)
        f[i] = strstr(name, "posembs") || strstr(name, "registers") ? f[i] * 0.5f
               : norm                                               ? 1 + f[i] * 0.2f
                                                                    : f[i] * scale;
    s->names[s->count] = strdup(name);
    s->tensors[s->count++] = t;
    return TSR_OK;
}

void flextok_sample_fill(flextok_sample *s) {
    tsr_context *ctx = everywhere_context();
    tsr_flextok_config config;
    tsr_flextok *m = calloc(1, sizeof *m);
    ck_assert_ptr_nonnull(m);
    tsr_weight_loader loader = {.ctx = ctx, .path = "sample", .fn = make_tensor, .user = s};
    tsr_status status = tsr_flextok_read_config(ctx, "sample", s->config, &config);
    ck_assert_msg(!status, "%s", tsr_detail(ctx));
    tsr_flextok_load(&loader, &config, m);
    free(m);
    config.vae.blocks = 2;
    config.vae.width[0] = 32;
    config.vae.width[1] = 64;
    config.vae.resnets = 1;
    config.vae.groups = 32;
    config.vae.quant = true;
    tsr_vae_list(&loader, &config.vae, TSR_FLEXTOK_VAE);
    ck_assert_int_eq(loader.status, TSR_OK);
}

flextok_sample *flextok_sample_make(void) {
    flextok_sample *s = calloc(1, sizeof *s);
    char *json = strdup(text);
    ck_assert(s && json);
    for (char *c = json; *c; ++c)
        if (*c == '\'') *c = '"';
    s->config = cJSON_Parse(json);
    free(json);
    ck_assert_ptr_nonnull(s->config);
    flextok_sample_fill(s);
    return s;
}

void flextok_sample_free(flextok_sample *s) {
    for (int i = 0; i < s->count; ++i) {
        free(s->names[i]);
        free(s->tensors[i].data);
    }
    free(s->names);
    free(s->tensors);
    cJSON_Delete(s->config);
    free(s);
}

cJSON *flextok_sample_module(flextok_sample *s, const char *part, const char *name) {
    cJSON *at = cJSON_GetObjectItemCaseSensitive(s->config, part);
    cJSON *list = cJSON_GetObjectItemCaseSensitive(at, "module_dict");
    cJSON *module = cJSON_GetObjectItemCaseSensitive(list ? list : at, name);
    ck_assert_msg(module != NULL, "%s.%s", part, name);
    return module;
}

void flextok_sample_move(flextok_sample *s, const char *part, const char *name, int place) {
    cJSON *at = cJSON_GetObjectItemCaseSensitive(s->config, part);
    cJSON *list = cJSON_GetObjectItemCaseSensitive(at, "module_dict");
    cJSON *moved = cJSON_DetachItemFromObjectCaseSensitive(list, name);
    cJSON *sorted = cJSON_CreateObject();
    ck_assert(moved && sorted);
    for (int i = 0; list->child || i == place; ++i) {
        cJSON *item = i == place ? moved : cJSON_DetachItemViaPointer(list, list->child);
        char *key = strdup(item->string);
        cJSON_AddItemToObject(sorted, key, item);
        free(key);
    }
    cJSON_ReplaceItemInObjectCaseSensitive(at, "module_dict", sorted);
}

tsr_tensor *flextok_sample_tensor(flextok_sample *s, const char *name) {
    for (int i = 0; i < s->count; ++i)
        if (!strcmp(s->names[i], name)) return &s->tensors[i];
    ck_abort_msg("no tensor %s", name);
    return NULL;
}

/* As repr() would print it: good enough for texts without quotes. */
static char *python(const char *json) {
    const size_t n = strlen(json);
    char *out = calloc(2 * n + 1, 1), *to = out;
    ck_assert_ptr_nonnull(out);
    bool inside = false;
    for (const char *c = json; *c;) {
        if (*c == '"') inside = !inside;
        if (inside)
            *to++ = *c == '"' ? '\'' : *c, ++c;
        else if (!strncmp(c, "true", 4))
            to += sprintf(to, "True"), c += 4;
        else if (!strncmp(c, "false", 5))
            to += sprintf(to, "False"), c += 5;
        else if (!strncmp(c, "null", 4))
            to += sprintf(to, "None"), c += 4;
        else
            *to++ = *c == '"' ? '\'' : *c, ++c;
    }
    return out;
}

void flextok_sample_write(const flextok_sample *s, const char *path, flextok_form form,
                          tsr_dtype dtype) {
    tsr_context *ctx = everywhere_context();
    tsr_tensor *list = malloc((size_t)s->count * sizeof *list);
    ck_assert_ptr_nonnull(list);
    for (int i = 0; i < s->count; ++i) {
        list[i] = s->tensors[i];
        if (dtype == TSR_DTYPE_F32) continue;
        const int64_t n = tsr_elements(&list[i]);
        uint16_t *half = malloc((size_t)n * sizeof *half);
        ck_assert_ptr_nonnull(half);
        for (int64_t k = 0; k < n; ++k) {
            const float f = ((const float *)s->tensors[i].data)[k];
            half[k] = dtype == TSR_DTYPE_F16 ? tsr_f32_to_f16(f) : tsr_f32_to_bf16(f);
        }
        list[i].dtype = dtype;
        list[i].data = half;
    }
    tsr_metadata_pair pairs[16];
    int count = 0;
    const cJSON *part;
    if (form == FLEXTOK_BESIDE) {
        char beside[512];
        const char *slash = strrchr(path, '/');
        snprintf(beside, sizeof beside, "%.*s/config.json", (int)(slash - path), path);
        FILE *f = fopen(beside, "w");
        char *all = cJSON_Print(s->config);
        ck_assert(f && all);
        fputs(all, f);
        fclose(f);
        cJSON_free(all);
    } else
        cJSON_ArrayForEach(part, s->config) {
            char *json = cJSON_PrintUnformatted(part);
            pairs[count++] = (tsr_metadata_pair){
                part->string, form == FLEXTOK_PYTHON ? python(json) : strdup(json)};
            cJSON_free(json);
        }
    const tsr_status status = tsr_safetensors_write(ctx, path, (const char *const *)s->names, list,
                                                    s->count, pairs, count);
    ck_assert_msg(!status, "%s", tsr_detail(ctx));
    for (int i = 0; i < count; ++i)
        free((char *)pairs[i].value);
    for (int i = 0; i < s->count && dtype != TSR_DTYPE_F32; ++i)
        free(list[i].data);
    free(list);
}
