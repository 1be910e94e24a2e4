/* SPDX-License-Identifier: MIT */
/* Names for the items of a token file: numbered when they repeat, harmless whatever the key, and
 * found with at most two look-ups each, however many items have one name. */
#include <dlfcn.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "codec/item_names.h"
#include "testing.h"

static void expect(tsr_item_names *names, const char *folder, const char *key, const char *want) {
    char *got = tsr_item_names_path(names, folder, key);
    ck_assert_ptr_nonnull(got);
    ck_assert_str_eq(got, want);
    free(got);
}

START_TEST(repeated_names_are_numbered) {
    tsr_item_names n = {0};
    expect(&n, "out", "a.jpg", "out/a.png");
    expect(&n, "out/", "a.png", "out/a-2.png");
    expect(&n, "out", "a-3.png", "out/a-3.png"); /* takes the next number away */
    expect(&n, "out", "a", "out/a-4.png");
    expect(&n, "out", "a-2", "out/a-2-2.png");
    expect(&n, "out", "", "out/item.png");
    expect(&n, "", "b.c.d", "/b.c.png");
    tsr_item_names_free(&n);
    expect(&n, "out", "a.jpg", "out/a.png");
    tsr_item_names_free(&n);
}
END_TEST

START_TEST(folders_of_keys_are_kept) {
    tsr_item_names n = {0};
    expect(&n, "out", "a/x.png", "out/a/x.png");
    expect(&n, "out", "b/x.png", "out/b/x.png");
    expect(&n, "out", "a/x.jpg", "out/a/x-2.png");
    expect(&n, "out", "x.png", "out/x.png");
    expect(&n, "out", "a.b/c.d.e", "out/a.b/c.d.png");
    /* a folder that would stand where the picture of "p" goes */
    expect(&n, "out", "p", "out/p.png");
    expect(&n, "out", "p.png/q", "out/p.png_/q.png");
    tsr_item_names_free(&n);
}
END_TEST

START_TEST(long_parts_are_cut_between_characters) {
    tsr_item_names n = {0};
    char key[300] = "k";
    for (int i = 0; i < 140; ++i)
        strcat(key, "\xc3\xa9"); /* e acute: an odd number of bytes stands before each */
    char *path = tsr_item_names_path(&n, "out", key);
    ck_assert_ptr_nonnull(path);
    ck_assert_uint_eq(strlen(path), strlen("out/") + 199 + strlen(".png"));
    free(path);
    memmove(key, key + 1, strlen(key));
    path = tsr_item_names_path(&n, "out", key);
    ck_assert_ptr_nonnull(path);
    ck_assert_uint_eq(strlen(path), strlen("out/") + 198 + strlen(".png"));
    free(path);
    tsr_item_names_free(&n);
}
END_TEST

START_TEST(hostile_keys_stay_inside) {
    tsr_item_names n = {0};
    expect(&n, "out", "../../etc/passwd", "out/_./_./etc/passwd.png");
    expect(&n, "out", "a/../b\n.png", "out/a/_./b_.png");
    expect(&n, "out", "/etc//x", "out/_/etc/_/x.png");
    expect(&n, "out", "a.png/", "out/a.png_/_.png");
    expect(&n, "out", ".hidden", "out/_hidden.png");
    char key[1000];
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = 0;
    for (int i = 0; i < 3; ++i) { /* cut to one length, so they repeat */
        char *path = tsr_item_names_path(&n, "out", key);
        ck_assert_ptr_nonnull(path);
        ck_assert_uint_lt(strlen(path), 250);
        ck_assert_int_eq(path[strlen(path) - 5] == 'k', i == 0);
        free(path);
    }
    tsr_item_names_free(&n);
}
END_TEST

static int look_ups; /* in the tree of names */

/* Stands before libc's for the whole program. */
void *tsearch(const void *key, void **root, int (*compare)(const void *, const void *)) {
    static void *(*real)(const void *, void **, int (*)(const void *, const void *));
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "tsearch");
    ++look_ups;
    return real(key, root, compare);
}

/* Trying the numbers from 2 on for each item would be 200 million look-ups. */
START_TEST(an_item_takes_two_look_ups) {
    enum { ITEMS = 20000 };
    tsr_item_names n = {0};
    look_ups = 0;
    for (int i = 0; i < 2 * ITEMS; ++i) { /* half of one name, half of names of their own */
        char key[32], want[64];
        snprintf(key, sizeof key, i % 2 ? "%d.png" : "same.png", i);
        if (i % 2)
            snprintf(want, sizeof want, "out/%d.png", i);
        else if (i)
            snprintf(want, sizeof want, "out/same-%d.png", i / 2 + 1);
        else
            snprintf(want, sizeof want, "out/same.png");
        expect(&n, "out", key, want);
    }
    tsr_item_names_free(&n);
    /* a name of its own, and the first of the others: one; a repeated name: the name and a number
     */
    ck_assert_int_eq(look_ups, ITEMS + 1 + 2 * (ITEMS - 1));
}
END_TEST

TEST_MAIN("item names", repeated_names_are_numbered, folders_of_keys_are_kept,
          long_parts_are_cut_between_characters, hostile_keys_stay_inside,
          an_item_takes_two_look_ups)
