/* SPDX-License-Identifier: MIT */
/* page_words.c: see page_words.h. */
#include "page_words.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const nouns[] = {
    "river",  "lantern", "gardener", "harbour",  "window", "teacher",  "bridge",  "kettle",
    "forest", "engine",  "sailor",   "mirror",   "valley", "painter",  "clock",   "market",
    "island", "letter",  "mountain", "baker",    "candle", "train",    "orchard", "neighbour",
    "tower",  "basket",  "doctor",   "meadow",   "pocket", "village",  "violin",  "carpenter",
    "garden", "hammer",  "journey",  "kitchen",  "ladder", "notebook", "pigeon",  "quarry",
    "rope",   "shadow",  "table",    "umbrella", "wagon",  "yard",     "compass", "drawer",
    "egg",    "feather", "glove",    "hat",      "ink",    "jar",      "key",     "lamp"};
static const char *const adjectives[] = {
    "old",   "quiet",   "narrow", "bright",  "wooden", "heavy",  "distant", "yellow", "patient",
    "cold",  "curious", "empty",  "gentle",  "hidden", "broken", "careful", "early",  "famous",
    "green", "honest",  "little", "modern",  "proud",  "rusty",  "silent",  "tall",   "useful",
    "warm",  "young",   "plain",  "crooked", "golden", "ready",  "small",   "wet",    "dry"};
static const char *const verbs[] = {"carried",  "painted",  "followed",  "remembered", "opened",
                                    "crossed",  "repaired", "watched",   "found",      "sold",
                                    "borrowed", "counted",  "described", "left",       "measured",
                                    "noticed",  "ordered",  "pushed",    "reached",    "showed",
                                    "turned",   "visited",  "washed",    "lifted",     "kept"};
static const char *const adverbs[] = {"slowly", "twice",   "again",     "carefully", "yesterday",
                                      "often",  "quietly", "at night",  "in spring", "by hand",
                                      "soon",   "never",   "in winter", "with care", "too late"};
static const char *const places[] = {"near",   "behind", "above",  "under",
                                     "beside", "across", "before", "without"};
static const char *const joints[] = {"while", "because", "until", "although", "and", "but"};

/* splitmix64: every page has numbers of its own, the same on every machine. */
static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}
static int below(uint64_t *state, int n) {
    return (int)((next(state) >> 33) % (uint64_t)n);
}
#define ANY(list) list[below(state, (int)(sizeof list / sizeof *list))]

typedef struct writer {
    page_words *words;
    int room;
    int lost; /* no memory */
} writer;

/* Adds the words of a text with blanks between. */
static void say(writer *w, const char *text) {
    while (*text && !w->lost) {
        if (w->words->count == w->room) {
            const int room = w->room ? 2 * w->room : 128;
            void *more = realloc(w->words->at, (size_t)room * PAGE_WORD);
            w->lost = !more;
            if (!more) return;
            w->words->at = more;
            w->room = room;
        }
        const int length = (int)strcspn(text, " ");
        snprintf(w->words->at[w->words->count++], PAGE_WORD, "%.*s", length, text);
        text += length + (text[length] == ' ');
    }
}

static void thing(writer *w, uint64_t *state) {
    say(w, below(state, 3) ? "the" : "one");
    if (below(state, 3)) say(w, ANY(adjectives));
    say(w, ANY(nouns));
    if (below(state, 4) == 0) {
        say(w, ANY(places));
        say(w, "the");
        say(w, ANY(nouns));
    }
}

static void mark(writer *w, char c) {
    if (w->lost || !w->words->count) return;
    char *last = w->words->at[w->words->count - 1];
    const size_t length = strlen(last);
    if (length + 1 < PAGE_WORD) {
        last[length] = c;
        last[length + 1] = 0;
    }
}

static void sentence(writer *w, uint64_t *state) {
    const int first = w->words->count;
    const int number = below(state, 5) == 0;
    for (int clause = 0, clauses = 1 + (below(state, 3) == 0); clause < clauses; ++clause) {
        if (clause) {
            mark(w, ',');
            say(w, ANY(joints));
        }
        thing(w, state);
        say(w, ANY(verbs));
        if (number && !clause) {
            char digits[PAGE_WORD];
            snprintf(digits, sizeof digits, "%d", 2 + below(state, 1998));
            say(w, digits);
            say(w, ANY(adjectives));
            say(w, ANY(nouns));
            mark(w, 's');
        } else {
            thing(w, state);
        }
        if (below(state, 2)) say(w, ANY(adverbs));
    }
    mark(w, below(state, 9) ? '.' : '!');
    if (!w->lost && w->words->count > first)
        w->words->at[first][0] = (char)toupper((unsigned char)w->words->at[first][0]);
}

/* How many letters and digits begin a word: all but the mark at its end. */
static size_t letters_of(const char *word) {
    size_t n = 0;
    while (isalnum((unsigned char)word[n]))
        ++n;
    return n;
}

/* Changes places among words of as many letters; marks stay where they are, and so does the size of
 * a first letter. */
static void shuffle_words(page_words *words, uint64_t *state) {
    for (int i = words->count - 1; i > 0; --i) {
        const size_t n = letters_of(words->at[i]);
        int alike = 0, with = i;
        for (int k = 0; k <= i; ++k)
            alike += letters_of(words->at[k]) == n;
        int wanted = below(state, alike);
        for (int k = 0; k <= i; ++k)
            if (letters_of(words->at[k]) == n && wanted-- == 0) with = k;
        const int upper_i = isupper((unsigned char)words->at[i][0]),
                  upper_k = isupper((unsigned char)words->at[with][0]);
        char kept[PAGE_WORD];
        memcpy(kept, words->at[i], n);
        memcpy(words->at[i], words->at[with], n);
        memcpy(words->at[with], kept, n);
        char *a = words->at[i], *b = words->at[with];
        a[0] = (char)(upper_i ? toupper((unsigned char)a[0]) : tolower((unsigned char)a[0]));
        b[0] = (char)(upper_k ? toupper((unsigned char)b[0]) : tolower((unsigned char)b[0]));
    }
}

/* Changes places among all small letters, and among all digits. Returns 0 without memory. */
static int shuffle_letters(page_words *words, uint64_t *state) {
    for (int digits = 0; digits < 2; ++digits) {
        char **at = malloc(sizeof *at * (size_t)words->count * PAGE_WORD);
        int count = 0;
        if (!at) return 0;
        for (int i = 0; i < words->count; ++i)
            for (char *c = words->at[i]; *c; ++c)
                if (digits ? isdigit((unsigned char)*c) : islower((unsigned char)*c))
                    at[count++] = c;
        for (int i = count - 1; i > 0; --i) {
            const int k = below(state, i + 1);
            const char kept = *at[i];
            *at[i] = *at[k];
            *at[k] = kept;
        }
        free(at);
    }
    return 1;
}

int page_words_make(page_words *words, page_kind kind, uint64_t seed, int least) {
    uint64_t state = seed;
    writer w = {.words = words};
    *words = (page_words){0};
    while (words->count < least && !w.lost)
        sentence(&w, &state);
    if (!w.lost && kind == PAGE_SHUFFLED) shuffle_words(words, &state);
    if (!w.lost && kind == PAGE_RANDOM) w.lost = !shuffle_letters(words, &state);
    if (w.lost) {
        free(words->at);
        *words = (page_words){0};
        return 0;
    }
    return 1;
}
