/* SPDX-License-Identifier: MIT */
/* source_tar.c: the samples of a tar, as WebDataset lays them out, read through libarchive.
 *
 * The key of a member is its path up to the first dot of the file's name, its suffix what follows;
 * members of one key that are neighbours are one sample. Names never become paths. */
#include "source_parts.h"

#include <stdlib.h>

#if TESSERA_WITH_ARCHIVE
#include "../formats/tokens/token_layout.h"
#include "tar_keys.h"
#include "unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <cjson/cJSON.h>
#include <errno.h>
#include <limits.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#ifdef __APPLE__
#include <xlocale.h>
#endif

enum { BLOCK = 1 << 16, MOST_MEMBERS = 4096, MOST_INTEGER = 32 };

struct tsr_tar {
    tsr_context *ctx;
    tsr_source_bytes *bytes;
    tsr_unpack *unpack; /* of `bytes` */
    uint64_t entry;
    struct archive *archive;
    /* libarchive changes names to the locale's characters, and composes them; in "C" they stay the
     * bytes that they are */
    locale_t plain;
    struct archive_entry *header; /* of a member that was not used yet; NULL: none */
    char *key, *suffix;           /* of `header` */
    char damage[200];             /* what libarchive says of `header`; "": it is whole */
    tsr_sample *sample;           /* whose members are being read; NULL: none */
    uint32_t members;             /* of `sample` */
    char seen[96];                /* suffixes of `sample`, for its message */
    tsr_tar_keys keys;            /* of the samples so far */
    tsr_tar_keys suffixes;        /* of the members of `sample` so far */
    uint64_t outside;             /* members that belong to no sample */
    uint64_t changed;             /* members in whose key '_' stands for a control character */
    tsr_sample *end;              /* what the archive ends with, after `sample`: a failure */
    bool ended;
    bool any;               /* a byte was read */
    tsr_status read_status; /* of the bytes */
    char read_detail[512];
    uint8_t block[BLOCK];
};

/* ---- libarchive ---------------------------------------------------------------------------- */

static la_ssize_t read_block(struct archive *archive, void *user, const void **block) {
    tsr_tar *t = user;
    size_t size = 0, got = 1;
    *block = t->block;
    while (got && size < BLOCK && !t->read_status) { /* blocks are full whatever a pipe delivers */
        t->read_status = tsr_unpack_read(t->unpack, t->block + size, BLOCK - size, &got);
        if (t->read_status)
            snprintf(t->read_detail, sizeof t->read_detail, "%s", tsr_detail(t->ctx));
        size += got;
    }
    t->any |= size > 0;
    if (size || !t->read_status) return (la_ssize_t)size; /* what came before a failure is good */
    archive_set_error(archive, EIO, "%s", "read");
    return -1;
}

void tsr_tar_close(tsr_tar **tar) {
    if (!*tar) return;
    tsr_tar *t = *tar;
    if (t->archive) archive_read_free(t->archive);
    if (t->plain) freelocale(t->plain);
    tsr_unpack_close(&t->unpack);
    tsr_sample_free(&t->sample);
    tsr_sample_free(&t->end);
    tsr_tar_keys_free(&t->keys);
    tsr_tar_keys_free(&t->suffixes);
    free(t->key);
    free(t->suffix);
    free(t);
    *tar = NULL;
}

static const char *error_text(tsr_tar *t) {
    const char *text = archive_error_string(t->archive);
    return text ? text : "no reason given";
}

/* Fails for what libarchive just said, about a member or (NULL) the archive. */
static tsr_status fail_archive(tsr_tar *t, const char *member) {
    char clean[200] = "";
    if (t->read_status) return tsr_fail(t->ctx, t->read_status, "%s", t->read_detail);
    if (member) tsr_token_key_clean(member, clean, sizeof clean);
    const char *text = error_text(t);
    const bool cut = strstr(text, "runcated") != NULL;
    if (archive_errno(t->archive) == ENOMEM)
        return tsr_fail(t->ctx, TSR_ERROR_TOO_LARGE, "%s: %s: no memory for it", t->bytes->name,
                        clean);
    return tsr_fail(t->ctx, cut ? TSR_ERROR_TRUNCATED : TSR_ERROR_FORMAT,
                    "%s: wanted a whole tar archive (plain, gzip or zstd), got one that is %s%s%s: "
                    "%s",
                    t->bytes->name, cut ? "cut" : "damaged", member ? " at " : "", clean, text);
}

/* Lets libarchive read the first block. */
static tsr_status begin_archive(tsr_tar *t) {
    if (archive_read_open(t->archive, t, NULL, read_block, NULL) == ARCHIVE_OK) return TSR_OK;
    if (!t->read_status && !t->any)
        return tsr_fail(t->ctx, TSR_ERROR_TRUNCATED,
                        "%s: wanted a tar archive (plain, gzip or zstd), got 0 bytes",
                        t->bytes->name);
    return fail_archive(t, NULL);
}

tsr_status tsr_tar_open(tsr_context *ctx, tsr_source_bytes *bytes, uint64_t entry, tsr_tar **tar) {
    tsr_tar *t = *tar = tsr_alloc(ctx, 1, sizeof **tar, "archive");
    if (!t) return TSR_ERROR_MEMORY;
    t->ctx = ctx;
    t->bytes = bytes;
    t->entry = entry;
    t->plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    t->archive = archive_read_new();
    tsr_status status = TSR_OK;
    if (!t->plain || !t->archive || archive_read_support_format_tar(t->archive))
        status = tsr_fail(ctx, TSR_ERROR_MEMORY, "%s: no memory for an archive", bytes->name);
    bool archive;
    if (!status) status = tsr_source_bytes_look(bytes, &archive);
    if (!status)
        status = tsr_unpack_open(ctx, bytes->name, bytes->head, bytes->head_size,
                                 tsr_source_bytes_read, bytes, &t->unpack);
    if (!status) status = begin_archive(t);
    if (status) tsr_tar_close(tar);
    return status;
}

/* The archive ends here with a failure, whose text is the context's detail. What was read of its
 * last sample is good when `whole`, and then comes first. */
static tsr_status end_badly(tsr_tar *t, tsr_status status, bool whole) {
    char detail[sizeof t->ctx->detail];
    snprintf(detail, sizeof detail, "%s", tsr_detail(t->ctx));
    if (!whole) tsr_sample_free(&t->sample);
    t->ended = true;
    t->end = tsr_sample_new(t->ctx, t->entry, "", t->bytes->name);
    if (!t->end) return TSR_ERROR_MEMORY;
    t->end->rest_lost = true;
    (void)tsr_fail(t->ctx, status, "%s", detail);
    return tsr_sample_spoil(t->ctx, t->end, status);
}

static int next_header(tsr_tar *t, struct archive_entry **header) {
    const locale_t before = uselocale(t->plain);
    int result = archive_read_next_header(t->archive, header);
    uselocale(before);
    return result;
}

/* ---- names --------------------------------------------------------------------------------- */

static bool is_control(char c) {
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool has_controls(const char *text) {
    while (*text && !is_control(*text))
        ++text;
    return *text;
}

/* Splits the name of a member into key and suffix, both malloc'd: NULL, NULL where it belongs to no
 * sample. Parts that are empty or "." are dropped, a root stays. Errors: MEMORY. */
static tsr_status split_name(tsr_tar *t, const char *name) {
    char *key = malloc(strlen(name) + 1);
    if (!key) return tsr_fail(t->ctx, TSR_ERROR_MEMORY, "%s: no memory", t->bytes->name);
    size_t used = 0, part_at = 0;
    if (*name == '/') key[used++] = '/';
    for (const char *part = name; *part;) {
        const size_t n = strcspn(part, "/");
        if (n && !(n == 1 && *part == '.')) {
            if (used && key[used - 1] != '/') key[used++] = '/';
            memcpy(key + used, part, n);
            part_at = used;
            used += n;
        }
        part += n + (part[n] == '/');
    }
    key[used] = 0;
    char *dot = strchr(key + part_at, '.');
    const char *first_end = strchr(key, '/');
    const size_t first = first_end ? (size_t)(first_end - key) : used;
    const bool meta = first >= 4 && !memcmp(key, "__", 2) && !memcmp(key + first - 2, "__", 2);
    t->key = t->suffix = NULL;
    if (!dot || dot == key + part_at || meta || name[strlen(name) - 1] == '/') {
        free(key);
        return TSR_OK;
    }
    *dot = 0;
    t->suffix = strdup(dot + 1);
    t->key = key;
    if (!t->suffix) return tsr_fail(t->ctx, TSR_ERROR_MEMORY, "%s: no memory", t->bytes->name);
    for (char *c = t->suffix; *c; ++c)
        if (*c >= 'A' && *c <= 'Z') *c = (char)(*c - 'A' + 'a');
    t->changed += has_controls(t->key);
    for (char *c = t->key; *c; ++c)
        if (is_control(*c)) *c = '_';
    return TSR_OK;
}

/* ---- one member ---------------------------------------------------------------------------- */

/* The sample is bad for the reason in the context's detail; its other members are passed over. */
static tsr_status spoil(tsr_tar *t, tsr_status status) {
    return t->sample->status ? TSR_OK : tsr_sample_spoil(t->ctx, t->sample, status);
}

#define BAD(t, status, ...) spoil(t, tsr_fail((t)->ctx, status, __VA_ARGS__))

/* Reads the data of the member, at most `limit` bytes, into *bytes [*size], malloc'd, with a zero
 * behind it. Memory grows with what comes, not with what the header says. *bytes NULL: it is beyond
 * the limit. Errors: those of the archive, MEMORY. */
static tsr_status read_data(tsr_tar *t, const char *name, uint64_t limit, uint8_t **bytes,
                            size_t *size) {
    const int64_t said = archive_entry_size(t->header);
    uint8_t *to = NULL;
    size_t room = 0;
    *bytes = NULL;
    *size = 0;
    if (said < 0 || (uint64_t)said > limit) return TSR_OK;
    for (;;) {
        if (*size + 1 >= room) {
            const size_t rest = (size_t)said + 2 - *size;
            room += room + BLOCK < rest ? room + BLOCK : rest;
            uint8_t *grown = realloc(to, room);
            if (!grown) {
                free(to);
                return tsr_fail(t->ctx, TSR_ERROR_MEMORY, "%s: %s: no memory for %zu bytes",
                                t->bytes->name, name, room);
            }
            to = grown;
        }
        const la_ssize_t got = archive_read_data(t->archive, to + *size, room - 1 - *size);
        if (got < 0) {
            free(to);
            return fail_archive(t, name);
        }
        *size += (size_t)got;
        if (got == 0 || *size > (size_t)said) break;
    }
    to[*size] = 0;
    *bytes = to;
    return TSR_OK;
}

static tsr_status add_picture(tsr_tar *t, uint8_t *bytes, size_t size) {
    tsr_sample *s = t->sample;
    free(s->bytes);
    s->bytes = bytes;
    s->size = size;
    return TSR_OK;
}

/* " 7\n" -> 7 */
static bool to_integer(const char *text, size_t size, int64_t *value) {
    char digits[MOST_INTEGER + 1], *end;
    if (size > MOST_INTEGER || memchr(text, 0, size)) return false;
    memcpy(digits, text, size);
    digits[size] = 0;
    errno = 0;
    const long long number = strtoll(digits, &end, 10);
    const bool some = end != digits && !errno;
    end += strspn(end, " \t\r\n");
    *value = number;
    return some && !*end;
}

static bool is_json(const char *text, size_t size) {
    const char *end = NULL;
    cJSON *document = cJSON_ParseWithLengthOpts(text, size, &end, 0);
    const bool whole = document && end && strspn(end, " \t\r\n") == size - (size_t)(end - text);
    cJSON_Delete(document);
    return whole;
}

static tsr_status add_text(tsr_tar *t, tsr_name_kind kind, const uint8_t *bytes, size_t size) {
    tsr_attribute a = {.name = t->suffix, .bytes = bytes, .size = size};
    const char *name = t->bytes->name, *key = t->sample->key;
    if (kind == TSR_NAME_INTEGER) {
        if (!to_integer((const char *)bytes, size, &a.integer))
            return BAD(t, TSR_ERROR_FORMAT, "%s:%s.%s: wanted an integer, got another text", name,
                       key, t->suffix);
        a.type = TSR_ATTRIBUTE_INTEGER;
        a.bytes = NULL;
        a.size = 0;
    }
    if (kind == TSR_NAME_JSON && !is_json((const char *)bytes, size))
        return BAD(t, TSR_ERROR_FORMAT, "%s:%s.%s: wanted JSON, got another text", name, key,
                   t->suffix);
    const tsr_status status = tsr_sample_add(t->ctx, t->sample, &a);
    return status == TSR_ERROR_FORMAT ? spoil(t, status) : status;
}

static tsr_status skip_data(tsr_tar *t, const char *name) {
    return archive_read_data_skip(t->archive) == ARCHIVE_OK ? TSR_OK : fail_archive(t, name);
}

/* Reads a member that is wanted. */
static tsr_status take_member(tsr_tar *t, tsr_name_kind kind, const char *name) {
    const bool picture = kind == TSR_NAME_PICTURE;
    uint64_t limit = picture ? tsr_source_most_bytes : TSR_MAX_ATTRIBUTE_BYTES;
    if (limit > t->ctx->settings.memory_limit) limit = t->ctx->settings.memory_limit;
    uint8_t *bytes;
    size_t size;
    tsr_status status = read_data(t, name, limit, &bytes, &size);
    if (status) return status;
    if (!bytes) {
        status = BAD(t, TSR_ERROR_TOO_LARGE, "%s:%s.%s: wanted at most %llu bytes, got %lld",
                     t->bytes->name, t->key, t->suffix, (unsigned long long)limit,
                     (long long)archive_entry_size(t->header));
        return status ? status : skip_data(t, name);
    }
    if (picture) return add_picture(t, bytes, size);
    status = add_text(t, kind, bytes, size);
    free(bytes);
    return status;
}

/* Why a member makes its sample bad; NULL: it does not. */
static const char *member_problem(const tsr_tar *t, tsr_name_kind kind, bool again) {
    if (archive_entry_hardlink(t->header)) return "a plain file, got a hard link";
    if (archive_entry_filetype(t->header) == AE_IFLNK) return "a plain file, got a link";
    if (archive_entry_filetype(t->header) != AE_IFREG) return "a plain file, got a device or pipe";
    if (has_controls(t->suffix)) return "a name without control characters behind its key";
    if (t->members > MOST_MEMBERS) return "at most 4096 members of one key, got more";
    if (again) return "each member of a key once, got it again";
    if (kind == TSR_NAME_PICTURE && t->sample->bytes) return "one picture of a key, got a second";
    return NULL;
}

static void note_suffix(tsr_tar *t) {
    const size_t used = strlen(t->seen), n = strlen(t->suffix);
    char clean[40];
    if (used + n + 4 < sizeof t->seen && n < sizeof clean)
        snprintf(t->seen + used, sizeof t->seen - used, "%s.%s", used ? ", " : "",
                 tsr_token_key_clean(t->suffix, clean, sizeof clean));
}

/* Adds the member at hand to the sample. Errors: those of the archive, MEMORY. */
static tsr_status add_member(tsr_tar *t) {
    const tsr_name_kind kind = tsr_suffix_kind(t->suffix);
    const char *name = archive_entry_pathname(t->header), *problem;
    t->members++;
    note_suffix(t);
    if (t->sample->status) return skip_data(t, name);
    bool again;
    tsr_status status = tsr_tar_keys_add(t->ctx, &t->suffixes, t->suffix, &again);
    if (status) return status;
    problem = member_problem(t, kind, again);
    if (problem) {
        char clean[200];
        status = BAD(t, TSR_ERROR_FORMAT, "%s: %s: wanted %s", t->bytes->name,
                     tsr_token_key_clean(name, clean, sizeof clean), problem);
    } else if (kind != TSR_NAME_OTHER && kind != TSR_NAME_ARCHIVE) {
        return take_member(t, kind, name);
    }
    return status ? status : skip_data(t, name);
}

/* ---- samples ------------------------------------------------------------------------------- */

static tsr_status begin_sample(tsr_tar *t) {
    char *name = NULL;
    if (asprintf(&name, "%s:%s", t->bytes->name, t->key) < 0) name = NULL;
    t->sample = name ? tsr_sample_new(t->ctx, t->entry, t->key, name) : NULL;
    free(name);
    t->members = 0;
    tsr_tar_keys_clear(&t->suffixes);
    *t->seen = 0;
    if (!t->sample) return tsr_fail(t->ctx, TSR_ERROR_MEMORY, "%s: no memory", t->bytes->name);
    bool again;
    tsr_status status = tsr_tar_keys_add(t->ctx, &t->keys, t->key, &again);
    if (status) return status;
    char clean[200];
    tsr_token_key_clean(t->key, clean, sizeof clean);
    const char *problem = tsr_token_key_problem(t->key);
    if (problem)
        return BAD(t, TSR_ERROR_FORMAT, "%s: %s: key: wanted %s, got another", t->bytes->name,
                   clean, problem);
    if (again)
        return BAD(t, TSR_ERROR_FORMAT,
                   "%s: %s: wanted all members of a key one behind the other, got the key again",
                   t->bytes->name, clean);
    return TSR_OK;
}

/* Hands out the sample whose members have all been seen. */
static tsr_status finish_sample(tsr_tar *t, tsr_sample **sample) {
    tsr_status status = TSR_OK;
    if (!t->sample->status && !t->sample->bytes)
        status = BAD(t, TSR_ERROR_FORMAT,
                     "%s: wanted a picture (.jpg, .png, .webp ...) among the members, got %s",
                     t->sample->name, t->seen);
    *sample = t->sample;
    t->sample = NULL;
    return status;
}

/* The bytes behind the archive's end mark are read, too, so that check sums are compared, a pipe's
 * writer can finish, and the hash is that of the file. */
static tsr_status end_well(tsr_tar *t) {
    size_t got = 1;
    tsr_status status = t->read_status ? fail_archive(t, NULL) : TSR_OK;
    while (!status && got)
        status = tsr_unpack_read(t->unpack, t->block, BLOCK, &got);
    for (got = 1; !status && got;)
        status = tsr_source_bytes_read(t->bytes, t->block, BLOCK, &got);
    t->ended = true;
    if (t->outside)
        tsr_log(t->ctx, TSR_LOG_INFO, "%s: %llu members belong to no sample and are left out",
                t->bytes->name, (unsigned long long)t->outside);
    if (t->changed)
        tsr_log(t->ctx, TSR_LOG_WARNING,
                "%s: control characters in the names of %llu members: '_' stands for them in keys",
                t->bytes->name, (unsigned long long)t->changed);
    return status ? end_badly(t, status, true) : TSR_OK;
}

/* libarchive warns of names that the locale cannot show, which is no fault of theirs, and of
 * damage. */
static bool is_damage(tsr_tar *t, int result) {
    return result == ARCHIVE_WARN && !strstr(error_text(t), "can't be converted");
}

/* Goes to the next header that belongs to a sample; none at the end. Errors: MEMORY. */
static tsr_status find_header(tsr_tar *t) {
    while (!t->ended && !t->header) {
        const int result = next_header(t, &t->header);
        if (result == ARCHIVE_EOF) {
            t->header = NULL;
            return end_well(t);
        }
        if (result != ARCHIVE_OK && result != ARCHIVE_WARN) {
            t->header = NULL;
            return end_badly(t, fail_archive(t, NULL), true);
        }
        snprintf(t->damage, sizeof t->damage, "%s", is_damage(t, result) ? error_text(t) : "");
        const char *name = archive_entry_pathname(t->header);
        free(t->key);
        free(t->suffix);
        t->key = t->suffix = NULL;
        if (name && *name && archive_entry_filetype(t->header) != AE_IFDIR) {
            const tsr_status status = split_name(t, name);
            if (status) return status;
        }
        if (!t->key && *t->damage) { /* whose name may be lost */
            t->key = strdup("");
            t->suffix = strdup("");
            if (!t->key || !t->suffix)
                return tsr_fail(t->ctx, TSR_ERROR_MEMORY, "%s: no memory", t->bytes->name);
        }
        if (t->key) continue;
        t->outside += archive_entry_filetype(t->header) != AE_IFDIR;
        t->header = NULL;
        if (skip_data(t, name) != TSR_OK) return end_badly(t, fail_archive(t, name), true);
    }
    return TSR_OK;
}

static tsr_status next_sample(tsr_tar *t, tsr_sample **sample) {
    for (;;) {
        tsr_status status = find_header(t);
        if (status) return status;
        if (t->sample && (!t->header || strcmp(t->sample->key, t->key)))
            return finish_sample(t, sample);
        if (!t->header) break;
        if (!t->sample) status = begin_sample(t);
        if (!status && *t->damage)
            status = BAD(t, TSR_ERROR_FORMAT, "%s: damaged header: %s", t->sample->name, t->damage);
        if (!status) {
            status = add_member(t);
            if (status && status != TSR_ERROR_MEMORY) status = end_badly(t, status, false);
        }
        t->header = NULL;
        if (status) return status;
    }
    *sample = t->end;
    t->end = NULL;
    return TSR_OK;
}

tsr_status tsr_tar_next(tsr_tar *tar, tsr_sample **sample) {
    *sample = NULL;
    return next_sample(tar, sample);
}

#else

struct tsr_tar {
    int none;
};

tsr_status tsr_tar_open(tsr_context *ctx, tsr_source_bytes *bytes, uint64_t entry, tsr_tar **tar) {
    (void)entry;
    *tar = NULL;
    return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED,
                    "%s: wanted pictures, got a tar archive (this build was made without "
                    "libarchive; -DTESSERA_ARCHIVE=ON brings it)",
                    bytes->name);
}

tsr_status tsr_tar_next(tsr_tar *tar, tsr_sample **sample) {
    (void)tar;
    *sample = NULL;
    return TSR_OK;
}

void tsr_tar_close(tsr_tar **tar) {
    *tar = NULL;
}

#endif
