/* SPDX-License-Identifier: MIT */
/* torch_container.c: where a checkpoint keeps its pickle and its storages.
 *
 * Zip layout: <folder>/data.pkl, <folder>/data/<key> (raw little-endian), <folder>/version, and in
 * newer files <folder>/byteorder. Old layout: five pickles one after the other (magic number,
 * protocol 1001, facts about the machine, the object, the list of keys), then for each key a u64
 * number of elements and the raw bytes. */
#include "torch_container.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static tsr_status refuse(torch_container *c, tsr_status status, const char *what) {
    return tsr_fail(c->ctx, status, "%s: %s", c->name, what);
}

static const tsr_zip_entry *find_in_folder(const torch_container *c, const char *rest,
                                           size_t size) {
    char name[512];
    if (c->prefix_size + size >= sizeof name) return NULL;
    memcpy(name, c->prefix, c->prefix_size);
    memcpy(name + c->prefix_size, rest, size);
    name[c->prefix_size + size] = 0;
    return tsr_zip_find(c->zip, name);
}

static tsr_status fetch(const torch_container *c, const tsr_zip_entry *e) {
    return c->fetch ? c->fetch(c->user, (uint64_t)(e->bytes - c->bytes), e->size) : TSR_OK;
}

/* A zip archive of other things is called what it is, by the name of its first file; TSR_OK when
 * that is a checkpoint's. */
static tsr_status refuse_other_zip(torch_container *c) {
    enum { HEADER = 30, NAME_AT = 26, MOST = 200 };
    const size_t seen = c->size < HEADER + MOST ? c->size : HEADER + MOST;
    if (c->fetch && c->fetch(c->user, 0, seen)) return TSR_OK;
    if (seen <= HEADER) return TSR_OK;
    const size_t n = c->bytes[NAME_AT] | (size_t)c->bytes[NAME_AT + 1] << 8;
    char name[MOST + 1];
    snprintf(name, sizeof name, "%.*s", (int)(n < seen - HEADER ? n : seen - HEADER),
             (const char *)c->bytes + HEADER);
    const char *dot = strrchr(name, '.');
    if (dot && strcmp(dot, ".npy") == 0)
        return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                        "%s: wanted weights, got a .npz archive of numpy arrays: in Python, save "
                        "them as .safetensors",
                        c->name);
    if (!dot || strcmp(dot, ".pkl") == 0 || strcmp(dot, ".storage_alignment") == 0) return TSR_OK;
    return tsr_fail(
        c->ctx, TSR_ERROR_FORMAT,
        "%s: wanted weights, got a zip archive of other files (the first is %s): unpack "
        "it first",
        c->name, name);
}

/* Only the code of a script may be compressed. */
static tsr_status check_stored(torch_container *c, const tsr_zip_entry *e) {
    if (!e->deflated) return TSR_OK;
    return tsr_fail(c->ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: zip entry %.200s: wanted it stored, got it compressed (%llu bytes that "
                    "would become %llu); torch.save never compresses",
                    c->name, e->name, (unsigned long long)e->size, (unsigned long long)e->plain);
}

/* Looks through the code of a script, so far as it is of a size that code has. */
static tsr_status read_code(torch_container *c) {
    enum { MOST = 16 << 20 };
    uint64_t left = MOST;
    for (int i = 0; i < tsr_zip_count(c->zip); ++i) {
        const tsr_zip_entry *e = tsr_zip_at(c->zip, i);
        const char *dot = strrchr(e->name, '.');
        if (strncmp(e->name, c->prefix, c->prefix_size) != 0 ||
            strncmp(e->name + c->prefix_size, "code/", 5) != 0 || !dot || strcmp(dot, ".py") != 0 ||
            e->plain > left)
            continue;
        left -= e->plain;
        char *text = tsr_alloc(c->ctx, (size_t)e->plain, 1, c->name);
        if (!text) return TSR_ERROR_MEMORY;
        tsr_status status = fetch(c, e);
        if (!status) status = tsr_zip_unpack(c->ctx, c->name, e, text, (size_t)e->plain);
        if (!status) tsr_script_read(text, (size_t)e->plain, &c->facts);
        free(text);
        if (status) return status;
    }
    return TSR_OK;
}

/* Nothing of an archive that is no script is compressed, and other archives are called what they
 * are. */
static tsr_status check_plain(torch_container *c) {
    for (int i = 0; i < tsr_zip_count(c->zip); ++i) {
        const tsr_zip_entry *e = tsr_zip_at(c->zip, i);
        if (!e->deflated) continue;
        const tsr_status other = refuse_other_zip(c);
        return other ? other : check_stored(c, e);
    }
    return TSR_OK;
}

tsr_status tsr_torch_open_zip(torch_container *c) {
    tsr_status status =
        tsr_zip_parse_fetched(c->ctx, c->name, c->bytes, c->size, c->fetch, c->user, &c->zip);
    if (status == TSR_ERROR_UNSUPPORTED) { /* compressed: in better words, if it is no checkpoint */
        const tsr_status other = refuse_other_zip(c);
        return other ? other : status;
    }
    if (status) return status;
    const tsr_zip_entry *pickle = NULL;
    for (int i = 0; i < tsr_zip_count(c->zip); ++i) {
        const tsr_zip_entry *e = tsr_zip_at(c->zip, i);
        const char *slash = strchr(e->name, '/');
        if (!slash || strcmp(slash, "/data.pkl") != 0) continue;
        if (pickle) return refuse(c, TSR_ERROR_FORMAT, "zip: wanted one data.pkl, got two");
        pickle = e;
        c->prefix = e->name;
        c->prefix_size = (size_t)(slash - e->name) + 1;
    }
    c->script = pickle && find_in_folder(c, "constants.pkl", 13);
    if (!c->script && (status = check_plain(c))) return status;
    if (!pickle && (status = refuse_other_zip(c))) return status;
    if (!pickle)
        return refuse(c, TSR_ERROR_FORMAT,
                      "zip: wanted a checkpoint of torch.save with FOLDER/data.pkl, got none");
    const tsr_zip_entry *order = find_in_folder(c, "byteorder", 9);
    if (order && (status = check_stored(c, order))) return status;
    if (order && (status = fetch(c, order))) return status;
    if ((status = check_stored(c, pickle))) return status;
    if (order && (order->size != 6 || memcmp(order->bytes, "little", 6) != 0))
        return refuse(c, TSR_ERROR_UNSUPPORTED, "byteorder: wanted little, got another one");
    status = fetch(c, pickle);
    if (!status) status = tsr_zip_check(c->ctx, c->name, pickle);
    size_t used = 0;
    if (!status)
        status =
            tsr_pickle_parse(c->ctx, c->name, pickle->bytes, (size_t)pickle->size, &c->tree, &used);
    return status || !c->script ? status : read_code(c);
}

tsr_status tsr_torch_place_zip(torch_container *c) {
    for (size_t i = 0; i < c->storage_count; ++i) {
        torch_storage *s = &c->storages[i];
        char name[256] = "data/";
        memcpy(name + 5, s->key, s->key_size); /* below 200 bytes, without slashes */
        const tsr_zip_entry *e = find_in_folder(c, name, 5 + s->key_size);
        s->record = -1;
        if (!e) continue;
        const tsr_status status = check_stored(c, e);
        if (status) return status;
        s->bytes = e->bytes;
        s->record_bytes = e->size;
        s->record = (int)(e - tsr_zip_at(c->zip, 0));
    }
    return TSR_OK;
}

/* One of the small pickles before the object. */
static tsr_status next_pickle(torch_container *c, size_t *at, tsr_pickle **pickle) {
    size_t used = 0;
    tsr_status status =
        tsr_pickle_parse(c->ctx, c->name, c->bytes + *at, c->size - *at, pickle, &used);
    *at += used;
    return status;
}

static tsr_status check_machine(torch_container *c, const tsr_pickle *p) {
    tsr_pickle_ref key, value, root = tsr_pickle_root(p);
    bool little = false;
    if (tsr_pickle_look(p, root).kind != TSR_PICKLE_DICT)
        return refuse(c, TSR_ERROR_FORMAT, "facts about the machine: wanted a dictionary");
    for (uint32_t place = 0; tsr_pickle_next(p, root, &place, &key, &value);)
        if (tsr_pickle_is(p, key, "little_endian")) little = tsr_pickle_look(p, value).integer == 1;
    if (!little) return refuse(c, TSR_ERROR_UNSUPPORTED, "little_endian: wanted True");
    return TSR_OK;
}

tsr_status tsr_torch_open_legacy(torch_container *c) {
    tsr_pickle *p = NULL;
    size_t at = 0;
    tsr_status status = next_pickle(c, &at, &p); /* the magic number was seen already */
    tsr_pickle_close(&p);
    if (!status) status = next_pickle(c, &at, &p);
    if (!status && tsr_pickle_look(p, tsr_pickle_root(p)).integer != 1001)
        status = refuse(c, TSR_ERROR_VERSION, "protocol: wanted 1001, got another one");
    tsr_pickle_close(&p);
    if (!status) status = next_pickle(c, &at, &p);
    if (!status) status = check_machine(c, p);
    tsr_pickle_close(&p);
    if (!status) status = next_pickle(c, &at, &c->tree);
    c->records_at = at;
    return status;
}

static int compare_keys(const void *a, const void *b) {
    const torch_storage *x = *(torch_storage *const *)a, *y = *(torch_storage *const *)b;
    size_t least = x->key_size < y->key_size ? x->key_size : y->key_size;
    int order = memcmp(x->key, y->key, least);
    return order ? order : (x->key_size > y->key_size) - (x->key_size < y->key_size);
}

/* Reads the record of `key` at *at and gives it to every storage of that key. */
static tsr_status place_record(torch_container *c, torch_storage **sorted, size_t *at,
                               tsr_pickle_view key) {
    torch_storage wanted = {.key = key.text, .key_size = key.text_size}, *pointer = &wanted;
    torch_storage **found = NULL;
    if (key.kind == TSR_PICKLE_TEXT && c->storage_count)
        found = bsearch(&pointer, sorted, c->storage_count, sizeof *sorted, compare_keys);
    if (!found) return refuse(c, TSR_ERROR_FORMAT, "list of keys: a key that no tensor names");
    while (found > sorted && compare_keys(found - 1, &pointer) == 0)
        --found;
    torch_storage *s = *found;
    if (s->bytes) return refuse(c, TSR_ERROR_FORMAT, "list of keys: a key that comes twice");
    uint64_t elements = 0;
    for (int i = 7; c->size - *at >= 8 && i >= 0; --i)
        elements = elements << 8 | c->bytes[*at + (size_t)i];
    if (c->size - *at < 8 || s->elements > (c->size - *at - 8) / s->element_bytes)
        return tsr_fail(c->ctx, TSR_ERROR_TRUNCATED, "%s: storage %.*s: wanted %llu bytes, got %zu",
                        c->name, (int)s->key_size, s->key,
                        (unsigned long long)(s->elements * s->element_bytes + 8), c->size - *at);
    if (elements != s->elements)
        return tsr_fail(c->ctx, TSR_ERROR_FORMAT,
                        "%s: storage %.*s: wanted %llu elements, got %llu", c->name,
                        (int)s->key_size, s->key, (unsigned long long)s->elements,
                        (unsigned long long)elements);
    uint64_t bytes = s->elements * s->element_bytes;
    for (; found < sorted + c->storage_count && compare_keys(found, &pointer) == 0; ++found) {
        if ((*found)->elements != s->elements || (*found)->element_bytes != s->element_bytes)
            return refuse(c, TSR_ERROR_FORMAT, "a storage that is described in two ways");
        (*found)->bytes = c->bytes + *at + 8;
        (*found)->record_bytes = bytes;
    }
    *at += 8 + (size_t)bytes;
    return TSR_OK;
}

tsr_status tsr_torch_place_legacy(torch_container *c) {
    tsr_pickle *keys = NULL;
    size_t at = c->records_at;
    torch_storage **sorted = tsr_alloc(c->ctx, c->storage_count, sizeof *sorted, c->name);
    if (!sorted) return TSR_ERROR_MEMORY;
    for (size_t i = 0; i < c->storage_count; ++i) {
        sorted[i] = &c->storages[i];
        sorted[i]->record = -1;
    }
    qsort(sorted, c->storage_count, sizeof *sorted, compare_keys);
    tsr_status status = next_pickle(c, &at, &keys);
    if (!status && tsr_pickle_look(keys, tsr_pickle_root(keys)).kind != TSR_PICKLE_LIST)
        status = refuse(c, TSR_ERROR_FORMAT, "list of keys: wanted a list");
    tsr_pickle_ref none, key;
    for (uint32_t place = 0;
         !status && tsr_pickle_next(keys, tsr_pickle_root(keys), &place, &none, &key);)
        status = place_record(c, sorted, &at, tsr_pickle_look(keys, key));
    tsr_pickle_close(&keys);
    free(sorted);
    return status;
}
