/* SPDX-License-Identifier: MIT */
/* test_source_tar.c: the samples of tar archives: keys, attributes, packing, and hostile ones. */
#include <cjson/cJSON.h>
#include <locale.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "compute/context.h"
#include "datasets/source_parts.h"
#include "media/image.h"
#include "needs.h"
#include "tar_bytes.h"
#include "testing.h"

static tsr_context *ctx;
static char folder[] = "/tmp/tessera-tar-XXXXXX";

static void open_context(void) {
    if (!ctx) ck_assert_int_eq(tsr_context_open(&ctx, NULL), TSR_OK);
}

static const char *need_archive(void) {
#if TESSERA_WITH_ARCHIVE
    return NULL;
#else
    return "this build was made without libarchive";
#endif
}

static const char *need_archive_and_shared(void) {
    const char *why = need_archive();
    return why ? why : need_shared_golden();
}

/* ---- what came out, as one text ------------------------------------------------------------ */

typedef struct text {
    char at[4096];
    size_t used;
} text;

static void add(text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(text *t, const char *format, ...) {
    va_list list;
    va_start(list, format);
    const int n = vsnprintf(t->at + t->used, sizeof t->at - t->used, format, list);
    va_end(list);
    ck_assert(n >= 0 && (size_t)n < sizeof t->at - t->used);
    t->used += (size_t)n;
}

/* "key=bytes{txt=...}" of a good sample, "key!" of a bad one, "LOST" of what ends an archive. */
static void describe(text *t, const tsr_sample *s) {
    if (t->used) add(t, " ");
    if (s->rest_lost)
        add(t, "LOST");
    else if (s->status)
        add(t, "%s!", s->key);
    else
        add(t, "%s=%.*s", s->key, s->size > 40 ? 0 : (int)s->size, (const char *)s->bytes);
    for (uint32_t i = 0; i < s->attribute_count; ++i) {
        const tsr_attribute *a = &s->attributes[i];
        add(t, "%s%s=", i ? "," : "{", a->name);
        if (a->type == TSR_ATTRIBUTE_INTEGER)
            add(t, "%lld", (long long)a->integer);
        else
            add(t, "%.*s", a->size > 40 ? 0 : (int)a->size, (const char *)a->bytes);
    }
    if (s->attribute_count) add(t, "}");
}

/* Reads all samples of bytes; `last` (1024 bytes) becomes the text of the last bad one. */
static text samples_of(const void *bytes, size_t size, char *last) {
    text t = {.used = 0};
    tsr_hash hash;
    tsr_hash_start(&hash, 0);
    tsr_source_bytes in = {
        .ctx = ctx, .name = "x.tar", .fd = -1, .hash = &hash, .memory = bytes, .memory_size = size};
    tsr_tar *tar = NULL;
    tsr_status status = tsr_tar_open(ctx, &in, 3, &tar);
    *last = 0;
    if (status) {
        snprintf(last, 1024, "%s", tsr_detail(ctx));
        add(&t, "REFUSED %d", status);
        ck_assert_ptr_null(tar);
        return t;
    }
    for (;;) {
        tsr_sample *s;
        status = tsr_tar_next(tar, &s);
        ck_assert_msg(!status, "%s", tsr_detail(ctx));
        if (!s) break;
        ck_assert_uint_eq(s->entry, 3);
        if (s->status) snprintf(last, 1024, "%s", s->detail);
        describe(&t, s);
        tsr_sample_free(&s);
    }
    tsr_tar_close(&tar);
    if (!strstr(t.at, "LOST"))
        ck_assert_uint_eq(tsr_hash_finish(&hash), tsr_hash64(bytes, size, 0));
    return t;
}

static void expect(const char *what, tar_bytes *tar, const char *wanted, const char *detail) {
    char last[1024];
    const text got = samples_of(tar->p, tar->size, last);
    ck_assert_msg(!strcmp(got.at, wanted), "%s: wanted '%s', got '%s' (%s)", what, wanted, got.at,
                  last);
    ck_assert_msg(!detail == !*last && (!detail || strstr(last, detail)),
                  "%s: wanted a text with '%s', got '%s'", what, detail ? detail : "", last);
    free(tar->p);
    *tar = (tar_bytes){0};
}

/* ---- good archives -------------------------------------------------------------------------- */

START_TEST(neighbours_of_a_key_are_a_sample) {
    tar_bytes t = {0};
    open_context();
    tar_file(&t, "a/1.jpg", "J");
    tar_file(&t, "a/1.cls", " -7\n");
    tar_file(&t, "a/1.txt", "");
    tar_file(&t, "2.JSON", "{\"x\": [1]}\n");
    tar_file(&t, "2.caption", "a cat");
    tar_file(&t, "2.npy", "not looked at");
    tar_file(&t, "2.PnG", "P");
    tar_file(&t, "./x//d.e/3.webp", "W"); /* parts "." and "" are dropped, dots of folders stay */
    tar_end(&t);
    expect("samples", &t, "a/1=J{cls=-7,txt=} 2=P{json={\"x\": [1]}\n,caption=a cat} x/d.e/3=W",
           NULL);
}
END_TEST

START_TEST(what_belongs_to_no_sample_is_left_out) {
    tar_bytes t = {0};
    open_context();
    tar_member(&t, "d/", '5', "", 0);
    tar_file(&t, "__meta__/1.jpg", "J");
    tar_file(&t, "__meta__", "J");
    tar_file(&t, "readme", "x");
    tar_file(&t, ".hidden.jpg", "J");
    tar_file(&t, "d/._1.jpg", "J");
    tar_file(&t, "__half/1.jpg", "H");
    tar_file(&t, "d/__x__/1.jpg", "D");
    tar_end(&t);
    expect("left out", &t, "__half/1=H d/__x__/1=D", NULL);
    tar_end(&t);
    expect("only the end", &t, "", NULL);
}
END_TEST

START_TEST(long_and_foreign_names) {
    tar_bytes t = {0};
    char longest[300];
    open_context();
    memset(longest, 'n', 280);
    strcpy(longest + 280, ".png");
    tar_member(&t, "././@LongLink", 'L', longest, strlen(longest) + 1);
    tar_file(&t, "short", "P");
    /* composed and decomposed: two keys, whatever the locale of the program */
    ck_assert_ptr_nonnull(setlocale(LC_ALL, "C.UTF-8"));
    tar_pax_path(&t, "\xc3\xa9.png");
    tar_file(&t, "x", "C");
    tar_pax_path(&t, "e\xcc\x81.png");
    tar_file(&t, "x", "D");
    tar_file(&t, "\xff.png", "L"); /* no UTF-8: its bytes are the key */
    tar_file(&t, "new\nline.png", "N");
    tar_end(&t);
    char wanted[400];
    snprintf(wanted, sizeof wanted, "%.280s=P \xc3\xa9=C e\xcc\x81=D \xff=L new_line=N", longest);
    expect("names", &t, wanted, NULL);
}
END_TEST

/* ---- bad samples ----------------------------------------------------------------------------- */

START_TEST(bad_samples_do_not_cost_their_neighbours) {
    static const struct {
        const char *what, *name[3], *text[3], *wanted, *detail;
    } cases[] = {
        {"no picture", {"b.txt", "b.npy", 0}, {"t", "n", 0}, "b!", "got .txt, .npy"},
        {"two pictures", {"b.jpg", "b.png", 0}, {"J", "P", 0}, "b!", "one picture of a key"},
        {"a member twice", {"b.png", "b.png", 0}, {"P", "Q", 0}, "b!", "once, got it again"},
        {"twice, though left out", {"b.npy", "b.npy", "b.png"}, {"1", "2", "P"}, "b!", "once"},
        {"a label", {"b.png", "b.cls", 0}, {"P", "seven", 0}, "b!", "wanted an integer"},
        {"a large label", {"b.png", "b.cls", 0}, {"P", "9223372036854775808", 0}, "b!", "integer"},
        {"JSON", {"b.json", "b.png", 0}, {"{\"x\": ", "P", 0}, "b!", "wanted JSON"},
        {"two JSONs", {"b.json", "b.png", 0}, {"{} {}", "P", 0}, "b!", "wanted JSON"},
        {"UTF-8", {"b.txt", "b.png", 0}, {"\xff", "P", 0}, "b!", "wanted UTF-8, got byte ff at 0"},
        {"..", {"../b.png", 0, 0}, {"P", 0, 0}, "../b!", "without the parts"},
        {".. inside", {"x/../../b.png", 0, 0}, {"P", 0, 0}, "x/../../b!", "without the parts"},
        {"absolute", {"/etc/b.png", 0, 0}, {"P", 0, 0}, "/etc/b!", "a relative path"},
        {"a suffix with a newline", {"b.png\n", 0, 0}, {"P", 0, 0}, "b!", "control characters"},
        {"a key again", {"a.png", 0, 0}, {"P", 0, 0}, "a!", "got the key again"},
    };
    open_context();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tar_bytes t = {0};
        char wanted[200];
        tar_file(&t, "a.png", "A");
        tar_file(&t, "z.png", "Z");
        for (int k = 0; k < 3 && cases[i].name[k]; ++k)
            tar_file(&t, cases[i].name[k], cases[i].text[k]);
        tar_file(&t, "c.png", "C");
        tar_end(&t);
        snprintf(wanted, sizeof wanted, "a=A z=Z %s c=C", cases[i].wanted);
        expect(cases[i].what, &t, wanted, cases[i].detail);
    }
}
END_TEST

START_TEST(links_and_devices_are_not_followed) {
    static const struct {
        char type;
        const char *detail;
    } cases[] = {{'1', "a hard link"},
                 {'2', "got a link"},
                 {'3', "device"},
                 {'4', "device"},
                 {'6', "device"}};
    open_context();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; ++i) {
        tar_bytes t = {0};
        tar_file(&t, "a.ppm", "A");
        tar_member(&t, "b.ppm", cases[i].type, "", 0);
        tar_file(&t, "b.txt", "t");
        tar_file(&t, "c.ppm", "C");
        tar_end(&t);
        expect("links", &t, "a=A b! c=C", cases[i].detail);
    }
}
END_TEST

START_TEST(members_are_bounded) {
    tar_bytes t = {0};
    open_context();
    char *large = calloc(1, TSR_MAX_ATTRIBUTE_BYTES + 1);
    memset(large, 'x', TSR_MAX_ATTRIBUTE_BYTES + 1);
    tar_file(&t, "a.png", "A");
    tar_member(&t, "a.txt", '0', large, TSR_MAX_ATTRIBUTE_BYTES + 1);
    tar_file(&t, "b.png", "B");
    tar_member(&t, "b.txt", '0', large, TSR_MAX_ATTRIBUTE_BYTES);
    tar_end(&t);
    expect("attributes", &t, "a! b=B{txt=}", "wanted at most 1048576 bytes, got 1048577");
    for (int i = 0; i < 4097; ++i) {
        char name[32];
        snprintf(name, sizeof name, "a.%d", i);
        tar_file(&t, name, "");
    }
    tar_file(&t, "b.png", "B");
    tar_end(&t);
    expect("members of a key", &t, "a! b=B", "at most 4096 members");
    free(large);
}
END_TEST

/* ---- bad archives ---------------------------------------------------------------------------- */

START_TEST(damage_ends_an_archive_and_is_told) {
    tar_bytes t = {0};
    open_context();
    tar_file(&t, "a.png", "A");
    tar_header(&t, "b.png", '0', (uint64_t)10 << 30, "\x80\0\0\0\0\0\0\2\x80\0\0\0"); /* 10 GiB */
    tar_raw(&t, "short", 5);
    expect("a member of 10 GiB that is not there", &t, "a=A LOST", "cut at b.png");
    tar_file(&t, "a.png", "A");
    tar_header(&t, "b.png", '0', 0, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    expect("a negative size", &t, "a=A LOST", "negative size");
    tar_file(&t, "a.png", "A");
    tar_header(&t, "b.png", '0', 0, "\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff");
    expect("a size beyond 63 bits", &t, "a=A LOST", "overflow");
    tar_file(&t, "a.png", "A");
    tar_file(&t, "a.txt", "t");
    t.p[1024] = 'q';
    expect("a damaged header", &t, "a=A LOST", "Damaged tar archive");
    tar_raw(&t, "no archive", 10);
    expect("no archive", &t, "REFUSED 40", "Unrecognized archive format");
    tar_raw(&t, "", 0);
    expect("nothing", &t, "REFUSED 41", "got 0 bytes");
    tar_member(&t, "pax", 'x', "20 path=b.png-------", 20);
    tar_file(&t, "b.png", "B");
    tar_file(&t, "c.png", "C");
    tar_end(&t);
    expect("a pax record without its newline", &t, "b! c=C", "damaged header");
    tar_member(&t, "pax", 'x', "20 path=b.png-------", 20);
    tar_file(&t, "b", "B");
    expect("the same, and the name is lost", &t, "!", "damaged header");
}
END_TEST

/* Cut at every byte: the samples that are whole come first, and but at the end of a member the cut
 * is told. */
START_TEST(cut_anywhere) {
    tar_bytes t = {0};
    open_context();
    tar_file(&t, "a.png", "A");
    tar_file(&t, "a.txt", "t");
    tar_file(&t, "b.png", "B");
    const size_t whole = t.size;
    tar_end(&t);
    tar_end(&t); /* writers pad */
    for (size_t size = 1; size <= t.size; ++size) {
        char last[1024];
        const text got = samples_of(t.p, size, last);
        const char *wanted = size < 512    ? "REFUSED 40"
                             : size < 1024 ? "LOST"
                             : size < 2048 ? (size <= 1024 + 511 ? "a=A" : "")
                             : size < 3072 ? "a=A{txt=t}"
                                           : "a=A{txt=t} b=B";
        const bool told = *last != 0;
        ck_assert_msg(!strncmp(got.at, wanted, strlen(wanted)), "cut at %zu: got '%s'", size,
                      got.at);
        if (size == 1024 || size == 2048 || size == whole || size >= whole + 512)
            ck_assert_msg(!told, "cut at %zu: got '%s' (%s)", size, got.at, last);
        else
            ck_assert_msg(told, "cut at %zu: got '%s' without a word", size, got.at);
    }
    free(t.p);
}
END_TEST

/* ---- packing --------------------------------------------------------------------------------- */

static size_t pack_gzip(const tar_bytes *t, uint8_t *to, size_t room) {
    z_stream z = {0};
    ck_assert_int_eq(deflateInit2(&z, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_in = t->p;
    z.avail_in = (uInt)t->size;
    z.next_out = to;
    z.avail_out = (uInt)room;
    ck_assert_int_eq(deflate(&z, Z_FINISH), Z_STREAM_END);
    deflateEnd(&z);
    return z.total_out;
}

static size_t pack_zstd(const tar_bytes *t, uint8_t *to, size_t room) {
    ZSTD_CCtx *z = ZSTD_createCCtx();
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    const size_t n = ZSTD_compress2(z, to, room, t->p, t->size);
    ck_assert(!ZSTD_isError(n));
    ZSTD_freeCCtx(z);
    return n;
}

START_TEST(packed_archives) {
    tar_bytes t = {0};
    static uint8_t packed[1 << 19];
    char last[1024];
    open_context();
    static char noise[200001]; /* more than zstd unpacks at once */
    for (size_t i = 0; i + 1 < sizeof noise; ++i)
        noise[i] = (char)('a' + random_below(26));
    tar_file(&t, "a.png", "A");
    tar_file(&t, "b.png", noise);
    tar_file(&t, "c.png", "C");
    tar_end(&t);
    for (int kind = 0; kind < 2; ++kind) {
        const size_t n =
            kind ? pack_zstd(&t, packed, sizeof packed) : pack_gzip(&t, packed, sizeof packed);
        text got = samples_of(packed, n, last);
        ck_assert_str_eq(got.at, "a=A b= c=C");
        memset(packed + n, 0, 200000); /* what pads a tape */
        got = samples_of(packed, n + 200000, last);
        ck_assert_str_eq(got.at, "a=A b= c=C");
        for (size_t cut = 4; cut < n; cut += 1 + n / 100) {
            got = samples_of(packed, cut, last);
            ck_assert_msg(strstr(got.at, "LOST") || strstr(got.at, "REFUSED 41"),
                          "%d: cut at %zu of %zu: got '%s'", kind, cut, n, got.at);
        }
        got = samples_of(packed, n - 1, last); /* in the check sum */
        ck_assert_str_eq(got.at, "a=A b= c=C LOST");
        packed[n - 1 - (kind ? 0 : 4)] ^= 1; /* the check sum: all came, and then it is told */
        got = samples_of(packed, n, last);
        ck_assert_msg(!strcmp(got.at, "a=A b= c=C LOST"), "got '%s' (%s)", got.at, last);
        ck_assert_msg(strstr(last, "check"), "got '%s'", last);
    }
    free(t.p);
}
END_TEST

START_TEST(two_packed_members_are_one_text) {
    tar_bytes t = {0}, rest = {0};
    uint8_t packed[4096];
    char last[1024];
    open_context();
    tar_file(&t, "a.png", "A");
    tar_file(&rest, "b.png", "B");
    tar_end(&rest);
    for (int kind = 0; kind < 2; ++kind) {
        size_t (*pack)(const tar_bytes *, uint8_t *, size_t) = kind ? pack_zstd : pack_gzip;
        const size_t n = pack(&t, packed, sizeof packed);
        const size_t m = pack(&rest, packed + n, sizeof packed - n);
        ck_assert_str_eq(samples_of(packed, n + m, last).at, "a=A b=B");
    }
    free(t.p);
    free(rest.p);
}
END_TEST

/* ---- memory ---------------------------------------------------------------------------------- */

static void child_reads(const char *path, uint64_t wanted_good, uint64_t wanted_bad) {
    tsr_source_list *list = NULL;
    tsr_source *source = NULL;
    const char *inputs[] = {path};
    ck_assert_int_eq(tsr_source_list_open(ctx, inputs, 1, NULL, &list), TSR_OK);
    ck_assert_int_eq(tsr_source_open(ctx, list, 0, 1, &source), TSR_OK);
    uint64_t good = 0, bad = 0;
    for (;;) {
        tsr_sample *s;
        ck_assert_int_eq(tsr_source_next(source, &s), TSR_OK);
        if (!s) break;
        good += !s->status;
        bad += s->status != TSR_OK;
        tsr_sample_free(&s);
    }
    ck_assert_uint_eq(good, wanted_good);
    ck_assert_uint_eq(bad, wanted_bad);
    tsr_source_close(&source);
    tsr_source_list_close(&list);
}

/* Writes a gzip of `count` members whose names follow `format`. */
static void write_members(const char *path, int count, const char *format) {
    gzFile to = gzopen(path, "wb1");
    ck_assert_ptr_nonnull(to);
    for (int i = 0; i < count; ++i) {
        tar_bytes t = {0};
        char name[64];
        snprintf(name, sizeof name, format, i);
        tar_file(&t, name, "");
        ck_assert_int_eq(gzwrite(to, t.p, (unsigned)t.size), (int)t.size);
        free(t.p);
    }
    ck_assert_int_eq(gzclose(to), Z_OK);
}

static long peak_kilobytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

START_TEST(many_members_in_flat_memory) {
    char path[64];
    const int count = 400000;
    open_context();
    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/x.tar.gz", folder);
    write_members(path, 1000, "%d");
    child_reads(path, 0, 0);
    const long before = peak_kilobytes();
    write_members(path, count, "%d"); /* belong to no sample */
    child_reads(path, 0, 0);
    write_members(path, count, "a.%d"); /* of one key */
    child_reads(path, 0, 1);
    const long grown = peak_kilobytes() - before;
    unlink(path);
    rmdir(folder);
#if defined(__SANITIZE_ADDRESS__)
    leave_out("the sanitizer keeps freed memory back: %ld kB more", grown);
#else
    ck_assert_msg(grown < 4096, "wanted flat memory, got %ld kB more for %d members", grown, count);
#endif
}
END_TEST

/* A picture of zeros that unpacks to more than the context allows: refused, and memory stays below.
 */
START_TEST(a_bomb_is_refused) {
    char path[64], template[] = "/tmp/tessera-bomb-XXXXXX";
    tsr_context_settings settings = tsr_context_settings_default();
    settings.memory_limit = 64 << 20;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    ck_assert_ptr_nonnull(mkdtemp(template));
    snprintf(path, sizeof path, "%s/x.tar.gz", template);
    gzFile to = gzopen(path, "wb1");
    tar_bytes t = {0};
    tar_header(&t, "a.png", '0', 300 << 20, NULL);
    ck_assert_int_eq(gzwrite(to, t.p, 512), 512);
    t.size = 0;
    tar_raw(&t, NULL, 1 << 20);
    for (int i = 0; i < 300; ++i)
        ck_assert_int_eq(gzwrite(to, t.p, 1 << 20), 1 << 20);
    t.size = 0;
    tar_file(&t, "b.png", "B");
    ck_assert_int_eq(gzwrite(to, t.p, 1024), 1024);
    ck_assert_int_eq(gzclose(to), Z_OK);
    free(t.p);
    const long before = peak_kilobytes();
    child_reads(path, 1, 1);
    ck_assert_int_lt(peak_kilobytes() - before, 8 << 10);
    unlink(path);
    rmdir(template);
}
END_TEST

/* ---- archives of the formats' own libraries ---------------------------------------------------
 */

static cJSON *read_json(const char *path) {
    FILE *f = fopen(path, "rb");
    ck_assert_msg(f != NULL, "%s", path);
    static char bytes[1 << 20];
    const size_t n = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    cJSON *document = cJSON_ParseWithLength(bytes, n);
    ck_assert_msg(document != NULL, "%s", path);
    return document;
}

static const char *string(const cJSON *object, const char *name) {
    return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
}

/* Verdicts that are about ids in an .npy, which is passed over here, and one case that is whole:
 * its pax record is as long as it says. */
static bool is_not_of_tar(const char *name) {
    return !strcmp(name, "member-object-npy") || !strcmp(name, "pax-length-lie");
}

/* Their samples have no pictures (they are of ids): such a sample counts as read, any other fault
 * as found. */
static void check_hostile(const cJSON *c) {
    const char *name = string(c, "name"), *verdict = string(c, "verdict"), *inputs[1];
    const cJSON *keys = cJSON_GetObjectItemCaseSensitive(c, "keys"), *key;
    char path[512], got[4096] = "", wanted[4096] = "";
    int faults = 0, decoded = 0;
    snprintf(path, sizeof path, TESSERA_SHARED "/golden/dataset-formats/hostile/%s",
             string(c, "input"));
    inputs[0] = path;
    tsr_source_list *list = NULL;
    tsr_source *source = NULL;
    ck_assert_int_eq(tsr_source_list_open(ctx, inputs, 1, NULL, &list), TSR_OK);
    ck_assert_int_eq(tsr_source_open(ctx, list, 0, 1, &source), TSR_OK);
    for (;;) {
        tsr_sample *s;
        ck_assert_int_eq(tsr_source_next(source, &s), TSR_OK);
        if (!s) break;
        const bool read = !s->status || strstr(s->detail, "among the members");
        faults += !read;
        if (read) {
            tsr_image image = {0};
            if (!s->status && tsr_image_decode(ctx, s->name, s->bytes, s->size, NULL, &image))
                faults++;
            else
                snprintf(got + strlen(got), sizeof got - strlen(got), "%s ", s->key);
            decoded += image.rgb != NULL;
            tsr_image_free(&image);
        }
        tsr_sample_free(&s);
    }
    cJSON_ArrayForEach(key, keys)
        snprintf(wanted + strlen(wanted), sizeof wanted - strlen(wanted), "%s ", key->valuestring);
    if (!strcmp(verdict, "refuse") || !strcmp(verdict, "skip-item"))
        ck_assert_msg(faults > 0, "%s: wanted a fault, got '%s'", name, got);
    if (!strcmp(verdict, "accept")) ck_assert_msg(!faults, "%s: got %d faults", name, faults);
    if (keys && (!strcmp(verdict, "accept") || !strcmp(verdict, "skip-item")))
        ck_assert_msg(!strcmp(got, wanted), "%s: wanted '%s', got '%s'", name, wanted, got);
    tsr_source_close(&source);
    tsr_source_list_close(&list);
}

START_TEST(hostile_archives_as_their_manifest_says) {
    open_context();
    cJSON *manifest = read_json(TESSERA_SHARED "/golden/dataset-formats/hostile/manifest.json");
    const cJSON *c;
    int count = 0;
    cJSON_ArrayForEach(c, cJSON_GetObjectItemCaseSensitive(manifest, "cases")) {
        const char *format = string(c, "format"), *name = string(c, "name");
        if (strcmp(format, "webdataset") && strcmp(format, "img2dataset")) continue;
        if (is_not_of_tar(name)) continue;
        check_hostile(c);
        count++;
    }
    ck_assert_int_ge(count, 49);
    cJSON_Delete(manifest);
}
END_TEST

static const tsr_attribute *attribute(const tsr_sample *s, const char *name) {
    for (uint32_t i = 0; i < s->attribute_count; ++i)
        if (!strcmp(s->attributes[i].name, name)) return &s->attributes[i];
    return NULL;
}

START_TEST(img2dataset_folder) {
    open_context();
    const char *inputs[] = {TESSERA_SHARED "/golden/dataset-formats/img2dataset/two-shards"};
    char path[300];
    snprintf(path, sizeof path, "%s/manifest.json", inputs[0]);
    cJSON *manifest = read_json(path);
    const cJSON *item;
    tsr_source_list *list = NULL;
    tsr_source *source = NULL;
    tsr_sample *s;
    ck_assert_int_eq(tsr_source_list_open(ctx, inputs, 1, NULL, &list), TSR_OK);
    ck_assert_uint_eq(tsr_source_list_count(list), 2);
    ck_assert_int_eq(tsr_source_open(ctx, list, 0, 2, &source), TSR_OK);
    int count = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(manifest, "items")) {
        const cJSON *shape = cJSON_GetObjectItemCaseSensitive(item, "shape");
        tsr_image image;
        ck_assert_int_eq(tsr_source_next(source, &s), TSR_OK);
        ck_assert_ptr_nonnull(s);
        ck_assert_msg(!s->status, "%s", s->detail);
        ck_assert_str_eq(s->key, string(item, "key"));
        ck_assert_ptr_nonnull(attribute(s, "txt"));
        ck_assert_str_eq(attribute(s, "txt")->bytes, string(item, "caption"));
        ck_assert_ptr_nonnull(attribute(s, "json"));
        ck_assert_int_eq(tsr_image_decode(ctx, s->name, s->bytes, s->size, NULL, &image), TSR_OK);
        ck_assert_int_eq(image.height, cJSON_GetArrayItem(shape, 0)->valueint);
        ck_assert_int_eq(image.width, cJSON_GetArrayItem(shape, 1)->valueint);
        tsr_image_free(&image);
        tsr_sample_free(&s);
        count++;
    }
    ck_assert_int_eq(count, 8);
    ck_assert_int_eq(tsr_source_next(source, &s), TSR_OK);
    ck_assert_ptr_null(s);
    tsr_source_close(&source);
    tsr_source_list_close(&list);
    cJSON_Delete(manifest);
}
END_TEST

/* Shards of ids, without pictures: their keys come in order, and nothing else is wrong. */
START_TEST(webdataset_shards) {
    static const char *const sets[] = {"equal-1024-npy", "ragged-262144-json",
                                       "ragged-64000-npy-json"};
    open_context();
    for (size_t i = 0; i < sizeof sets / sizeof *sets; ++i) {
        char folder_path[300], path[400];
        const char *inputs[] = {folder_path};
        snprintf(folder_path, sizeof folder_path,
                 TESSERA_SHARED "/golden/dataset-formats/webdataset/%s", sets[i]);
        snprintf(path, sizeof path, "%s/manifest.json", folder_path);
        cJSON *manifest = read_json(path);
        const cJSON *item;
        tsr_source_list *list = NULL;
        tsr_source *source = NULL;
        tsr_sample *s;
        ck_assert_int_eq(tsr_source_list_open(ctx, inputs, 1, NULL, &list), TSR_OK);
        ck_assert_int_eq(tsr_source_open(ctx, list, 0, UINT64_MAX, &source), TSR_OK);
        cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(manifest, "items")) {
            ck_assert_int_eq(tsr_source_next(source, &s), TSR_OK);
            ck_assert_msg(s != NULL, "%s: ended before %s", sets[i], string(item, "key"));
            ck_assert_str_eq(s->key, string(item, "key"));
            ck_assert_msg(strstr(s->detail, "among the members") != NULL, "%s", s->detail);
            tsr_sample_free(&s);
        }
        ck_assert_int_eq(tsr_source_next(source, &s), TSR_OK);
        ck_assert_ptr_null(s);
        tsr_source_close(&source);
        tsr_source_list_close(&list);
        cJSON_Delete(manifest);
    }
}
END_TEST

TEST_PARTS("source_tar",
           PART(own, need_archive, neighbours_of_a_key_are_a_sample,
                what_belongs_to_no_sample_is_left_out, long_and_foreign_names,
                bad_samples_do_not_cost_their_neighbours, links_and_devices_are_not_followed,
                members_are_bounded, damage_ends_an_archive_and_is_told, cut_anywhere,
                packed_archives, two_packed_members_are_one_text, many_members_in_flat_memory,
                a_bomb_is_refused),
           PART(shared, need_archive_and_shared, hostile_archives_as_their_manifest_says,
                webdataset_shards, img2dataset_folder))
