/* SPDX-License-Identifier: MIT */
/* Writes the tensors that a golden case's manifest lists as a safetensors file in f32.
 *     make_weights MANIFEST OUT
 * The rule that makes the values is in SOURCES.md beside this file. */
#include <cjson/cJSON.h>

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what) {
    fprintf(stderr, "make_weights: %s\n", what);
    exit(1);
}

static char *read_text(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) fail(path);
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    rewind(f);
    char *text = calloc(1, (size_t)size + 1);
    if (!text || fread(text, 1, (size_t)size, f) != (size_t)size) fail("read");
    fclose(f);
    return text;
}

static const cJSON *field(const cJSON *object, const char *name) {
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, name);
    if (!item) fail(name);
    return item;
}

static uint64_t elements(const cJSON *tensor) {
    uint64_t n = 1;
    const cJSON *dim;
    cJSON_ArrayForEach(dim, field(tensor, "shape")) n *= (uint64_t)dim->valuedouble;
    return n;
}

static int by_name(const void *a, const void *b) {
    return strcmp(field(*(cJSON *const *)a, "name")->valuestring,
                  field(*(cJSON *const *)b, "name")->valuestring);
}

/* What Python's repr() makes of a JSON value: how FlexTok files hold their configuration. */
static void put_repr(FILE *to, const cJSON *value) {
    const cJSON *item;
    if (cJSON_IsBool(value)) fputs(cJSON_IsTrue(value) ? "True" : "False", to);
    if (cJSON_IsNull(value)) fputs("None", to);
    if (cJSON_IsString(value)) fprintf(to, "'%s'", value->valuestring);
    if (cJSON_IsNumber(value)) {
        char *text = cJSON_PrintUnformatted(value);
        fputs(text, to);
        free(text);
    }
    if (!cJSON_IsArray(value) && !cJSON_IsObject(value)) return;
    fputc(cJSON_IsArray(value) ? '[' : '{', to);
    cJSON_ArrayForEach(item, value) {
        if (cJSON_IsObject(value)) fprintf(to, "'%s': ", item->string);
        put_repr(to, item);
        if (item->next) fputs(", ", to);
    }
    fputc(cJSON_IsArray(value) ? ']' : '}', to);
}

static cJSON *metadata(const cJSON *manifest) {
    cJSON *meta = cJSON_CreateObject();
    const cJSON *item;
    if (strcmp(field(manifest, "container")->valuestring, "flextok") != 0) {
        cJSON_AddStringToObject(meta, "format", "pt");
        return meta;
    }
    cJSON_ArrayForEach(item, field(manifest, "config")) {
        char *text = NULL;
        size_t size = 0;
        FILE *to = open_memstream(&text, &size);
        if (cJSON_IsString(item))
            fputs(item->valuestring, to);
        else
            put_repr(to, item);
        fclose(to);
        cJSON_AddStringToObject(meta, item->string, text);
        free(text);
    }
    return meta;
}

static void put_values(FILE *to, const cJSON *tensor, uint64_t seed) {
    const double scale = field(tensor, "scale")->valuedouble;
    const double offset = field(tensor, "offset")->valuedouble;
    const uint64_t n = elements(tensor);
    uint64_t h = 0xCBF29CE484222325u;
    for (const char *c = field(tensor, "name")->valuestring; *c; ++c)
        h = (h ^ (uint8_t)*c) * 0x100000001B3u;
    for (uint64_t i = 0; i < n; ++i) {
        uint64_t z = (h ^ seed) + (i + 1) * 0x9E3779B97F4A7C15u;
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
        z ^= z >> 31;
        const float f = (float)((2 * ((double)(z >> 40) * 0x1p-24) - 1) * scale + offset);
        fwrite(&f, sizeof f, 1, to);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) fail("usage: make_weights MANIFEST OUT");
    char *text = read_text(argv[1]);
    cJSON *manifest = cJSON_Parse(text), *header = cJSON_CreateObject();
    if (!manifest) fail("the manifest is no JSON");
    const int count = cJSON_GetArraySize(field(manifest, "tensors"));
    const cJSON **list = calloc((size_t)count, sizeof *list), *item;
    int i = 0;
    cJSON_ArrayForEach(item, field(manifest, "tensors")) list[i++] = item;
    qsort(list, (size_t)count, sizeof *list, by_name);
    cJSON_AddItemToObject(header, "__metadata__", metadata(manifest));
    double at = 0;
    for (i = 0; i < count; ++i) {
        const double end = at + 4 * (double)elements(list[i]);
        cJSON *entry = cJSON_AddObjectToObject(header, field(list[i], "name")->valuestring);
        cJSON_AddStringToObject(entry, "dtype", "F32");
        cJSON_AddItemToObject(entry, "shape", cJSON_Duplicate(field(list[i], "shape"), 1));
        cJSON_AddItemToObject(entry, "data_offsets",
                              cJSON_CreateDoubleArray((double[]){at, end}, 2));
        at = end;
    }
    char *json = cJSON_PrintUnformatted(header);
    const uint64_t length = strlen(json), padded = (length + 7) / 8 * 8;
    FILE *to = fopen(argv[2], "wb");
    if (!to) fail(argv[2]);
    fwrite(&padded, sizeof padded, 1, to);
    fprintf(to, "%-*s", (int)padded, json);
    for (i = 0; i < count; ++i)
        put_values(to, list[i], (uint64_t)field(manifest, "seed")->valuedouble);
    if (fclose(to)) fail(argv[2]);
    cJSON_Delete(header);
    cJSON_Delete(manifest);
    free(list);
    free(json);
    free(text);
    return 0;
}
