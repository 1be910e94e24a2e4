/* SPDX-License-Identifier: MIT */
/* test_source.c: lists of inputs (folders, lists, pipes) and the samples that come of them. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compute/context.h"
#include "datasets/source_parts.h"
#include "tar_bytes.h"
#include "testing.h"

static tsr_context *ctx;
static char logged[4096];

/* tsr_log_fn */
static void keep_log(void *user, tsr_log_level level, const char *message) {
    (void)user;
    (void)level;
    const size_t used = strlen(logged);
    snprintf(logged + used, sizeof logged - used, "%s\n", message);
}

/* A folder of its own, in which the test then works. */
static void enter_folder(void) {
    char folder[] = "/tmp/tessera-source-XXXXXX";
    tsr_context_settings settings = tsr_context_settings_default();
    settings.log = keep_log;
    settings.log_level = TSR_LOG_INFO;
    settings.memory_limit = 64 << 20;
    *logged = 0;
    ck_assert_int_eq(tsr_context_open(&ctx, &settings), TSR_OK);
    ck_assert_ptr_nonnull(mkdtemp(folder));
    ck_assert_int_eq(chdir(folder), 0);
}

static void leave_folder(void) {
    char command[600], folder[512];
    ck_assert_ptr_nonnull(getcwd(folder, sizeof folder));
    ck_assert_int_eq(chdir("/"), 0);
    ck_assert_int_eq(strncmp(folder, "/tmp/tessera-source-", 20), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    ck_assert_int_eq(system(command), 0);
    tsr_context_close(&ctx);
}

/* Writes files, with the folders they are in; the contents of each are its path. NULL ends. */
static void put_files(const char *path, ...) {
    va_list list;
    va_start(list, path);
    for (; path; path = va_arg(list, const char *)) {
        char folder[256];
        snprintf(folder, sizeof folder, "%s", path);
        for (char *c = strchr(folder + 1, '/'); c; c = strchr(c + 1, '/')) {
            *c = 0;
            ck_assert(mkdir(folder, 0777) == 0 || errno == EEXIST);
            *c = '/';
        }
        FILE *f = fopen(path, "wb");
        ck_assert_ptr_nonnull(f);
        fputs(path, f);
        ck_assert_int_eq(fclose(f), 0);
    }
    va_end(list);
}

static void put_text(const char *path, const char *text, size_t size) {
    FILE *f = fopen(path, "wb");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fwrite(text, 1, size, f), size);
    ck_assert_int_eq(fclose(f), 0);
}

/* "path>key" of each entry, '#' before those of archives and '|' before those of pipes, '!' behind
 * those that cannot be read. */
static const char *describe(const tsr_source_list *list) {
    static char text[8192];
    size_t used = 0;
    *text = 0;
    for (uint64_t i = 0; i < tsr_source_list_count(list); ++i) {
        const tsr_source_entry e = tsr_source_list_entry(list, i);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s>%s%s", i ? " " : "",
                                 e.kind == TSR_SOURCE_ARCHIVE  ? "#"
                                 : e.kind == TSR_SOURCE_STREAM ? "|"
                                                               : "",
                                 e.path, e.key, e.problem ? "!" : "");
        ck_assert_uint_lt(used, sizeof text);
    }
    return text;
}

static tsr_source_list *list_of(const tsr_source_settings *s, int count, ...) {
    const char *inputs[16];
    va_list list;
    va_start(list, count);
    for (int i = 0; i < count; ++i)
        inputs[i] = va_arg(list, const char *);
    va_end(list);
    tsr_source_list *made = NULL;
    const tsr_status status = tsr_source_list_open(ctx, inputs, count, s, &made);
    ck_assert_msg(!status, "%s", tsr_detail(ctx));
    return made;
}

static void expect_list(const tsr_source_settings *s, const char *input, const char *wanted) {
    tsr_source_list *list = list_of(s, 1, input);
    ck_assert_str_eq(describe(list), wanted);
    tsr_source_list_close(&list);
}

/* "key=bytes{label=...}" of each sample of a part of a list, "key!" of a bad one. */
static const char *samples(const tsr_source_list *list, uint64_t first, uint64_t count) {
    static char text[8192];
    size_t used = 0;
    tsr_source *source;
    *text = 0;
    ck_assert_int_eq(tsr_source_open(ctx, list, first, count, &source), TSR_OK);
    for (;;) {
        tsr_sample *s;
        ck_assert_int_eq(tsr_source_next(source, &s), TSR_OK);
        if (!s) break;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s%s", used ? " " : "", s->key,
                                 s->status ? "!" : "=");
        if (s->bytes)
            used += (size_t)snprintf(text + used, sizeof text - used, "%.*s", (int)s->size,
                                     (const char *)s->bytes);
        for (uint32_t i = 0; i < s->attribute_count; ++i) {
            const tsr_attribute *a = &s->attributes[i];
            used += (size_t)snprintf(text + used, sizeof text - used, "{%s=%.*s}", a->name,
                                     (int)a->size, (const char *)a->bytes);
            if (a->type == TSR_ATTRIBUTE_INTEGER)
                used += (size_t)snprintf(text + used, sizeof text - used, "{%lld}",
                                         (long long)a->integer);
        }
        ck_assert_int_eq(s->status == TSR_OK, !*s->detail);
        tsr_sample_free(&s);
        ck_assert_uint_lt(used, sizeof text);
    }
    tsr_source_close(&source);
    return text;
}

START_TEST(natural_order) {
    static const char *const sorted[] = {"",
                                         "/",
                                         "1",
                                         "01",
                                         "2",
                                         "02",
                                         "10",
                                         "a",
                                         "a/b",
                                         "a/b1/c",
                                         "a/b2",
                                         "a/b10",
                                         "a b",
                                         "a-1",
                                         "a-02",
                                         "a-2x",
                                         "a1",
                                         "a1b",
                                         "a2",
                                         "a10",
                                         "a99999999999999999999",
                                         "a100000000000000000000",
                                         "b",
                                         "\xc3\xa9"};
    const int n = (int)(sizeof sorted / sizeof *sorted);
    for (int i = 0; i < n; ++i)
        for (int k = 0; k < n; ++k) {
            const int order = tsr_natural_order(sorted[i], sorted[k]);
            const int wanted = i < k ? -1 : i > k;
            if ((i == 2 || i == 3) && (k == 2 || k == 3)) continue; /* "1" and "01": below */
            if ((i == 4 || i == 5) && (k == 4 || k == 5)) continue;
            ck_assert_msg((order > 0) - (order < 0) == wanted, "'%s' and '%s': %d", sorted[i],
                          sorted[k], order);
        }
    ck_assert_int_lt(tsr_natural_order("01", "1"), 0);
    ck_assert_int_gt(tsr_natural_order("1", "01"), 0);
}
END_TEST

START_TEST(suffixes) {
    ck_assert_int_eq(tsr_file_kind("a/x.JPG"), TSR_NAME_PICTURE);
    ck_assert_int_eq(tsr_file_kind("x.tar.png"), TSR_NAME_PICTURE);
    ck_assert_int_eq(tsr_file_kind("a.png/x"), TSR_NAME_OTHER);
    ck_assert_int_eq(tsr_file_kind("a/.png"), TSR_NAME_OTHER);
    ck_assert_int_eq(tsr_file_kind("png"), TSR_NAME_OTHER);
    ck_assert_int_eq(tsr_file_kind("x.txt"), TSR_NAME_OTHER); /* of members alone */
    ck_assert_int_eq(tsr_file_kind("x.tar.gz"), TSR_NAME_ARCHIVE);
    ck_assert_int_eq(tsr_file_kind("x.TGZ"), TSR_NAME_ARCHIVE);
    ck_assert_int_eq(tsr_file_kind("x.gz"), TSR_NAME_OTHER);
    ck_assert_int_eq(tsr_suffix_kind("cls"), TSR_NAME_INTEGER);
    ck_assert_int_eq(tsr_suffix_kind("v2.jpg"), TSR_NAME_OTHER);
}
END_TEST

START_TEST(folders) {
    enter_folder();
    put_files("p/x10.png", "p/x2.png", "p/b/1.jpg", "p/b/.hidden.jpg", "p/._x2.png", "p/.git/a.png",
              "p/notes.txt", "p/stats.json", "p/shard-2.tar", "p/a/c/d.webp", "p/X.PNG", NULL);
    ck_assert_int_eq(mkdir("p/empty", 0777), 0);
    ck_assert_int_eq(mkfifo("p/pipe.png", 0666), 0); /* would wait for a writer */
    tsr_source_settings s = {.key = TSR_KEY_AUTO};
    expect_list(&s, "p",
                "p/X.PNG>X.PNG p/a/c/d.webp>a/c/d.webp p/b/1.jpg>b/1.jpg "
                "#p/shard-2.tar>shard-2.tar p/x2.png>x2.png p/x10.png>x10.png");
    ck_assert_str_eq(logged, "p: 3 files that are no pictures by their suffix are left out\n");
    s.key = TSR_KEY_STEM;
    expect_list(&s, "p//",
                "p//X.PNG>X p//a/c/d.webp>d p//b/1.jpg>1 #p//shard-2.tar>shard-2 "
                "p//x2.png>x2 p//x10.png>x10");
    s.key = TSR_KEY_PATH;
    ck_assert_int_eq(chdir("p"), 0);
    expect_list(&s, ".",
                "./X.PNG>X.PNG ./a/c/d.webp>a/c/d.webp ./b/1.jpg>b/1.jpg "
                "#./shard-2.tar>shard-2.tar ./x2.png>x2.png ./x10.png>x10.png");
    expect_list(&s, "../p/b", "../p/b/1.jpg>1.jpg");
    expect_list(&s, "../p/b/1.jpg", "../p/b/1.jpg>p/b/1.jpg");
    ck_assert_int_eq(chdir(".."), 0);
    leave_folder();
}
END_TEST

START_TEST(links_are_followed_once) {
    enter_folder();
    put_files("p/m/1.png", "p/z/9.png", "out/o/5.png", NULL);
    ck_assert_int_eq(symlink("..", "p/m/up"), 0);         /* a loop */
    ck_assert_int_eq(symlink("z", "p/a"), 0);             /* to what is reached without it */
    ck_assert_int_eq(symlink("../out", "p/n"), 0);        /* to elsewhere */
    ck_assert_int_eq(symlink("../../out", "p/m/out"), 0); /* to the same again */
    ck_assert_int_eq(symlink("z/9.png", "p/b.png"), 0);   /* a picture */
    ck_assert_int_eq(symlink("nowhere", "p/c.png"), 0);
    ck_assert_int_eq(symlink("loop.png", "p/loop.png"), 0);
    tsr_source_settings s = {.key = TSR_KEY_AUTO};
    tsr_source_list *list = list_of(&s, 1, "p");
    ck_assert_str_eq(describe(list),
                     "p/b.png>b.png p/c.png>c.png p/loop.png>loop.png p/m/1.png>m/1.png "
                     "p/m/out/o/5.png>m/out/o/5.png p/z/9.png>z/9.png");
    ck_assert_str_eq(samples(list, 0, 6), "b.png=p/z/9.png c.png! loop.png! m/1.png=p/m/1.png "
                                          "m/out/o/5.png=out/o/5.png z/9.png=p/z/9.png");
    ck_assert_str_eq(logged, "p: 3 links to folders that were read are left out\n");
    tsr_source_list_close(&list);
    leave_folder();
}
END_TEST

START_TEST(folders_that_cannot_be_read) {
    tsr_source_list *list;
    enter_folder();
    put_files("p/a/1.png", "p/b/1.png", NULL);
    ck_assert_int_eq(mkdir("none", 0777), 0);
    list = list_of(NULL, 2, "none", "p/a");
    ck_assert_str_eq(describe(list), "none>! p/a/1.png>1.png");
    ck_assert_str_eq(samples(list, 0, 9), "! 1.png=p/a/1.png");
    tsr_source_list_close(&list);
    if (geteuid() == 0)
        leave_out("root reads every folder");
    else {
        ck_assert_int_eq(chmod("p/a", 0), 0);
        list = list_of(NULL, 1, "p");
        ck_assert_str_eq(describe(list), "p/a>! p/b/1.png>1.png");
        tsr_source_list_close(&list);
        ck_assert_int_eq(chmod("p/a", 0777), 0);
    }
    leave_folder();
}
END_TEST

START_TEST(keys) {
    tsr_source_list *list;
    tsr_source_settings s = {.key = TSR_KEY_NAME};
    enter_folder();
    put_files("a/x.png", "b/x.png", "b/.y", "t\tt.png", NULL);
    list = list_of(&s, 5, "a/x.png", "./b//x.png", "b/.y", "t\tt.png", "a/x.png");
    ck_assert_str_eq(describe(list), "a/x.png>x.png ./b//x.png>x.png b/.y>.y t\tt.png>t_t.png "
                                     "a/x.png>x.png");
    tsr_source_list_info info = tsr_source_list_properties(list);
    ck_assert_uint_eq(info.changed_keys, 1);
    ck_assert_uint_eq(info.equal_keys, 2);
    ck_assert(info.counted);
    ck_assert_str_eq(logged, "t?t.png: control characters in the name: its key is 't_t.png'\n"
                             "3 pictures have the key 'x.png': a/x.png, ./b//x.png ...\n");
    tsr_source_list_close(&list);
    *logged = 0; /* one picture that is named again surprises nobody */
    list = list_of(&s, 2, "a/x.png", "a/x.png");
    ck_assert_uint_eq(tsr_source_list_properties(list).equal_keys, 1);
    ck_assert_str_eq(logged, "");
    tsr_source_list_close(&list);
    s.key = TSR_KEY_PATH;
    expect_list(&s, "../a/.././b/x.png", "../a/.././b/x.png>b/x.png");
    expect_list(&s, "/a/x.png", "/a/x.png>a/x.png");
    s.key = TSR_KEY_STEM;
    expect_list(&s, "b/.y", "b/.y>.y");
    expect_list(&s, "a.b/x.tar.png", "a.b/x.tar.png>x.tar");
    s.key = TSR_KEY_AUTO;
    expect_list(&s, "a/x.png", "a/x.png>x.png");
    expect_list(&s, "-", "|->stdin");
    /* a named input that can have no key is an error */
    tsr_source_list *none;
    char name[1100];
    memset(name, 'n', sizeof name);
    memcpy(name + 1090, ".png", 5);
    const char *longer[] = {"a/x.png", name};
    s.key = TSR_KEY_NAME;
    ck_assert_int_eq(tsr_source_list_open(ctx, longer, 2, &s, &none), TSR_ERROR_ARGUMENT);
    ck_assert_ptr_null(none);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "key: wanted at most 1024 bytes, got 1 picture"));
    s.key = (tsr_key)4;
    ck_assert_int_eq(tsr_source_list_open(ctx, longer, 1, &s, &none), TSR_ERROR_ARGUMENT);
    leave_folder();
}
END_TEST

START_TEST(lists_of_inputs) {
    static const char lines[] = "a/1.png\n\nnothere.png\nf\nnothere/\n-\nx y.png";
    static const char zeros[] = "a/1.png\0x\ny.png\0";
    tsr_source_list *list;
    enter_folder();
    put_files("a/1.png", "f/2.png", "f/10.png", "x y.png", "x\ny.png", NULL);
    put_text("lines", lines, sizeof lines - 1);
    put_text("zeros", zeros, sizeof zeros - 1);
    tsr_source_settings s = {.key = TSR_KEY_AUTO, .files_from = "lines"};
    list = list_of(&s, 1, "f/2.png");
    ck_assert_str_eq(describe(list), "f/2.png>2.png a/1.png>a/1.png nothere.png>! f/2.png>2.png "
                                     "f/10.png>10.png nothere/>! ->! x y.png>x y.png");
    ck_assert_str_eq(tsr_source_list_entry(list, 2).detail,
                     "lines:3: nothere.png: No such file or directory");
    ck_assert_int_eq(tsr_source_list_entry(list, 2).problem, TSR_ERROR_NOT_FOUND);
    ck_assert_str_eq(samples(list, 1, 2), "a/1.png=a/1.png !");
    tsr_source_list_close(&list);
    s = (tsr_source_settings){.key = TSR_KEY_NAME, .files_from = "zeros", .files_from_zero = 1};
    list = list_of(&s, 0);
    ck_assert_str_eq(describe(list), "a/1.png>1.png x\ny.png>x_y.png");
    tsr_source_list_close(&list);
    s.files_from_zero = 0;
    ck_assert_int_eq(tsr_source_list_open(ctx, NULL, 0, &s, &list), TSR_ERROR_FORMAT);
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "zeros:1: wanted one path a line, got a zero"));
    put_text("empty", "\n\n", 2);
    s.files_from = "empty";
    ck_assert_int_eq(tsr_source_list_open(ctx, NULL, 0, &s, &list), TSR_ERROR_ARGUMENT);
    s.files_from = "not there";
    ck_assert_int_eq(tsr_source_list_open(ctx, NULL, 0, &s, &list), TSR_ERROR_NOT_FOUND);
    static char line[70000];
    memset(line, 'l', sizeof line);
    put_text("long", line, sizeof line);
    s.files_from = "long";
    ck_assert_int_eq(tsr_source_list_open(ctx, NULL, 0, &s, &list), TSR_ERROR_FORMAT);
    const char *twice[] = {"-", "-"};
    ck_assert_int_eq(tsr_source_list_open(ctx, twice, 2, NULL, &list), TSR_ERROR_ARGUMENT);
    s.files_from = "-";
    ck_assert_int_eq(tsr_source_list_open(ctx, twice, 1, &s, &list), TSR_ERROR_ARGUMENT);
    ck_assert_int_eq(tsr_source_list_open(ctx, NULL, 0, NULL, &list), TSR_ERROR_ARGUMENT);
    leave_folder();
}
END_TEST

START_TEST(parts_of_a_list_and_their_hash) {
    tsr_source_list *list;
    tsr_source *source;
    tsr_sample *s;
    enter_folder();
    put_files("1.png", "2.png", "4.png", NULL);
    list = list_of(NULL, 4, "1.png", "2.png", "3.png", "4.png");
    ck_assert_str_eq(samples(list, 0, 4), "1.png=1.png 2.png=2.png 3.png! 4.png=4.png");
    ck_assert_str_eq(samples(list, 1, 2), "2.png=2.png 3.png!");
    ck_assert_str_eq(samples(list, 3, 100), "4.png=4.png");
    ck_assert_str_eq(samples(list, 4, 1), "");
    ck_assert_str_eq(samples(list, 1, 0), "");
    ck_assert_int_eq(tsr_source_open(ctx, list, 0, UINT64_MAX, &source), TSR_OK);
    ck_assert_uint_eq(tsr_source_hash(source), tsr_hash64("", 0, 0));
    for (uint64_t i = 0; i < 4; ++i) {
        ck_assert_int_eq(tsr_source_next(source, &s), TSR_OK);
        ck_assert_uint_eq(s->entry, i);
        tsr_sample_free(&s);
    }
    ck_assert_uint_eq(tsr_source_hash(source), tsr_hash64("1.png2.png4.png", 15, 0));
    tsr_source_close(&source);
    tsr_source_list_leave_out(list, 1);
    tsr_source_list_leave_out(list, 2);
    ck_assert_str_eq(samples(list, 0, 4), "1.png=1.png 4.png=4.png");
    tsr_source_list_close(&list);
    tsr_source_list_close(&list);
    leave_folder();
}
END_TEST

START_TEST(pictures_are_bounded) {
    tsr_source_list *list;
    enter_folder();
    put_files("1.png", "3.png", "empty.png", NULL);
    put_text("empty.png", "", 0);
    const int fd = open("2.png", O_CREAT | O_WRONLY, 0666);
    ck_assert_int_eq(ftruncate(fd, 65 << 20), 0); /* the context allows 64 MiB */
    close(fd);
    list = list_of(NULL, 4, "1.png", "2.png", "empty.png", "3.png");
    ck_assert_str_eq(samples(list, 0, 4), "1.png=1.png 2.png! empty.png= 3.png=3.png");
    tsr_source_list_close(&list);
    leave_folder();
}
END_TEST

START_TEST(labels_and_attributes) {
    static const char table[] = "key\tlabel\tn\n1.png\tother\t5\nd/2.png\t\t6\nnone\tx\t7\n";
    tsr_source_list *list;
    enter_folder();
    put_files("cat/1.png", "cat/d/2.png", "3.png", NULL);
    put_text("t.tsv", table, sizeof table - 1);
    tsr_source_settings s = {.key = TSR_KEY_AUTO, .folder_labels = 1};
    list = list_of(&s, 5, "cat", "3.png", "./3.png", "../nothere/3.png", "cat//1.png");
    ck_assert_str_eq(samples(list, 0, 5), "1.png=cat/1.png{label=cat} d/2.png=cat/d/2.png{label=d} "
                                          "3.png=3.png 3.png=3.png 3.png!");
    ck_assert_str_eq(samples(list, 5, 1), "1.png=cat/1.png{label=cat}");
    tsr_source_list_close(&list);
    s.attributes = "t.tsv";
    list = list_of(&s, 1, "cat");
    ck_assert_str_eq(samples(list, 0, 2), "1.png=cat/1.png{label=other}{n=}{5} "
                                          "d/2.png=cat/d/2.png{label=d}{n=}{6}");
    tsr_unused_keys unused;
    tsr_source_list_unused_keys(ctx, list, &unused);
    ck_assert_int_eq(unused.known, 1);
    ck_assert_uint_eq(unused.count, 1);
    ck_assert_str_eq(unused.first[0], "none");
    ck_assert_str_eq(unused.first[1], "");
    tsr_source_list_close(&list);
    s.attributes = "nothere.tsv";
    ck_assert_int_eq(tsr_source_list_open(ctx, (const char *const[]){"cat"}, 1, &s, &list),
                     TSR_ERROR_NOT_FOUND);
    /* a folder whose name is no text */
    put_files("\xff/1.png", NULL);
    s = (tsr_source_settings){.folder_labels = 1};
    list = list_of(&s, 1, "\xff/1.png");
    ck_assert_str_eq(samples(list, 0, 1), "1.png!");
    tsr_source_list_close(&list);
    leave_folder();
}
END_TEST

#define RED "P6 1 1 255\n\xff\x01\x01"

/* A pipe that holds these bytes, as a path. */
static const char *pipe_of(const void *bytes, size_t size, int *end) {
    static char path[32];
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(write(ends[1], bytes, size), (ssize_t)size);
    close(ends[1]);
    snprintf(path, sizeof path, "/dev/fd/%d", ends[0]);
    *end = ends[0];
    return path;
}

START_TEST(pipes_hold_pictures_or_an_archive) {
    tsr_source_list *list;
    char wanted[100];
    int end;
    enter_folder();
    const char *path = pipe_of(RED RED, 2 * (sizeof RED - 1), &end);
    list = list_of(NULL, 1, path);
    ck_assert(!tsr_source_list_properties(list).counted);
    snprintf(wanted, sizeof wanted, "%d-000001=" RED " %d-000002=" RED, end, end);
    ck_assert_str_eq(samples(list, 0, 1), wanted);
    tsr_source_list_close(&list);
    close(end);
    path = pipe_of(RED, sizeof RED - 1, &end);
    list = list_of(NULL, 1, path);
    snprintf(wanted, sizeof wanted, "%d=" RED, end);
    ck_assert_str_eq(samples(list, 0, 1), wanted);
    tsr_source_list_close(&list);
    close(end);
#if TESSERA_WITH_ARCHIVE
    tar_bytes t = {0};
    tar_file(&t, "cat/a.ppm", "A");
    tar_file(&t, "b.ppm", "B");
    tar_end(&t);
    const tsr_source_settings s = {.folder_labels = 1};
    path = pipe_of(t.p, t.size, &end);
    list = list_of(&s, 1, path);
    ck_assert_str_eq(samples(list, 0, 1), "cat/a=A{label=cat} b=B");
    tsr_source_list_close(&list);
    close(end);
    /* a file with a suffix of its own is looked at, too */
    put_text("shard-0001", (const char *)t.p, t.size);
    list = list_of(NULL, 1, "shard-0001");
    ck_assert_str_eq(samples(list, 0, 1), "cat/a=A b=B");
    tsr_source_list_close(&list);
    free(t.p);
#else
    leave_out("this build was made without libarchive");
#endif
    leave_folder();
}
END_TEST

#if TESSERA_WITH_ARCHIVE
START_TEST(a_bad_archive_does_not_cost_the_next) {
    tsr_source_list *list;
    tar_bytes t = {0};
    enter_folder();
    tar_file(&t, "a.ppm", "A");
    put_text("1.tar", (const char *)t.p, t.size - 1);
    tar_file(&t, "b.ppm", "B");
    put_text("2.tar", (const char *)t.p, t.size - 513);
    tar_end(&t);
    put_text("3.tar", (const char *)t.p, t.size);
    put_text("4.tar", "", 0);
    put_files("5.png", NULL);
    list = list_of(NULL, 5, "1.tar", "2.tar", "3.tar", "4.tar", "5.png");
    ck_assert_str_eq(samples(list, 0, 5), "! a=A ! a=A b=B 4.tar! 5.png=5.png");
    tsr_source *source;
    tsr_sample *s;
    ck_assert_int_eq(tsr_source_open(ctx, list, 2, 1, &source), TSR_OK);
    do {
        ck_assert_int_eq(tsr_source_next(source, &s), TSR_OK);
        if (s) ck_assert_int_eq(strncmp(s->name, "3.tar:", 6), 0);
        tsr_sample_free(&s);
    } while (tsr_source_hash(source) == tsr_hash64("", 0, 0));
    while (!tsr_source_next(source, &s) && s)
        tsr_sample_free(&s);
    ck_assert_uint_eq(tsr_source_hash(source), tsr_hash64(t.p, t.size, 0));
    tsr_source_close(&source);
    tsr_source_list_close(&list);
    free(t.p);
    leave_folder();
}
END_TEST
#else
START_TEST(a_bad_archive_does_not_cost_the_next) {
    enter_folder();
    put_files("1.tar", "5.png", NULL);
    tsr_source_list *list = list_of(NULL, 2, "1.tar", "5.png");
    ck_assert_str_eq(samples(list, 0, 2), "1.tar! 5.png=5.png");
    ck_assert_ptr_nonnull(strstr(tsr_detail(ctx), "made without libarchive"));
    tsr_source_list_close(&list);
    leave_folder();
}
END_TEST
#endif

TEST_MAIN("source", natural_order, suffixes, folders, links_are_followed_once,
          folders_that_cannot_be_read, keys, lists_of_inputs, parts_of_a_list_and_their_hash,
          pictures_are_bounded, labels_and_attributes, pipes_hold_pictures_or_an_archive,
          a_bad_archive_does_not_cost_the_next)
