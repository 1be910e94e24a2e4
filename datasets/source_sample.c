/* SPDX-License-Identifier: MIT */
/* source_sample.c: samples and their attributes. */
#include "source_parts.h"

#include "../formats/utf8.h"

#include <stdlib.h>
#include <string.h>

static void free_attribute(tsr_attribute *a) {
    free((void *)a->name);
    free((void *)a->bytes);
}

static void drop_contents(tsr_sample *sample) {
    for (uint32_t i = 0; i < sample->attribute_count; ++i)
        free_attribute(&sample->attributes[i]);
    free(sample->attributes);
    free(sample->bytes);
    sample->attributes = NULL;
    sample->attribute_count = 0;
    sample->bytes = NULL;
    sample->size = 0;
}

void tsr_sample_free(tsr_sample **sample) {
    if (!sample || !*sample) return;
    drop_contents(*sample);
    free((*sample)->key);
    free((*sample)->name);
    free((*sample)->detail);
    free(*sample);
    *sample = NULL;
}

tsr_sample *tsr_sample_new(tsr_context *ctx, uint64_t entry, const char *key, const char *name) {
    tsr_sample *sample = tsr_alloc(ctx, 1, sizeof *sample, "sample");
    if (!sample) return NULL;
    sample->entry = entry;
    sample->key = strdup(key);
    sample->name = strdup(name);
    sample->detail = strdup("");
    if (sample->key && sample->name && sample->detail) return sample;
    tsr_sample_free(&sample);
    tsr_fail(ctx, TSR_ERROR_MEMORY, "sample: no memory for its names");
    return NULL;
}

tsr_status tsr_sample_spoil(tsr_context *ctx, tsr_sample *sample, tsr_status status) {
    drop_contents(sample);
    char *detail = strdup(tsr_detail(ctx));
    if (!detail) return tsr_fail(ctx, TSR_ERROR_MEMORY, "sample: no memory for a message");
    free(sample->detail);
    sample->detail = detail;
    sample->status = status;
    return TSR_OK;
}

static size_t bytes_of(const tsr_attribute *a) {
    return strlen(a->name) + (a->type == TSR_ATTRIBUTE_INTEGER ? 8 : a->size);
}

/* Where an attribute of this name stands, or attribute_count. */
static uint32_t find(const tsr_sample *sample, const char *name, size_t *bytes) {
    uint32_t at = sample->attribute_count;
    *bytes = 0;
    for (uint32_t i = 0; i < sample->attribute_count; ++i) {
        if (!strcmp(sample->attributes[i].name, name))
            at = i;
        else
            *bytes += bytes_of(&sample->attributes[i]);
    }
    return at;
}

static tsr_status check(tsr_context *ctx, const tsr_sample *sample, const tsr_attribute *a,
                        uint32_t at, size_t bytes) {
    size_t bad;
    if (at >= TSR_MAX_ATTRIBUTES)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: attributes: wanted at most %u, got more",
                        sample->name, TSR_MAX_ATTRIBUTES);
    if (a->size > TSR_MAX_ATTRIBUTE_BYTES)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: attribute %s: wanted at most %u bytes, got %zu",
                        sample->name, a->name, TSR_MAX_ATTRIBUTE_BYTES, a->size);
    if (bytes + bytes_of(a) > TSR_MAX_ATTRIBUTES_BYTES)
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: attribute %s: wanted at most %u bytes in all attributes, got more",
                        sample->name, a->name, TSR_MAX_ATTRIBUTES_BYTES);
    if (a->type == TSR_ATTRIBUTE_TEXT && a->size && !tsr_utf8_valid(a->bytes, a->size, &bad))
        return tsr_fail(ctx, TSR_ERROR_FORMAT,
                        "%s: attribute %s: wanted UTF-8, got byte %02x at %zu", sample->name,
                        a->name, ((const uint8_t *)a->bytes)[bad], bad);
    return TSR_OK;
}

tsr_status tsr_sample_add(tsr_context *ctx, tsr_sample *sample, const tsr_attribute *attribute) {
    size_t bytes;
    const uint32_t at = find(sample, attribute->name, &bytes);
    const tsr_status status = check(ctx, sample, attribute, at, bytes);
    if (status) return status;
    tsr_attribute copy = *attribute;
    copy.name = strdup(attribute->name);
    uint8_t *value = calloc(1, attribute->size + 1);
    copy.bytes = value;
    if (value && attribute->size) memcpy(value, attribute->bytes, attribute->size);
    const bool more = at == sample->attribute_count;
    tsr_attribute *grown = sample->attributes;
    if (more) grown = realloc(grown, ((size_t)at + 1) * sizeof *grown);
    if (grown) sample->attributes = grown;
    if (!copy.name || !value || !grown) {
        free_attribute(&copy);
        return tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for attribute %s", sample->name,
                        attribute->name);
    }
    if (!more) free_attribute(&grown[at]);
    grown[at] = copy;
    sample->attribute_count += more;
    return TSR_OK;
}
