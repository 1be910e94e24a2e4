/* SPDX-License-Identifier: MIT */
/* file_names.c: what the names of files and of members of archives say, and their order. */
#include "file_names.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

static const struct {
    const char *suffix;
    tsr_name_kind kind;
} suffixes[] = {
    {"jpg", TSR_NAME_PICTURE},      {"jpeg", TSR_NAME_PICTURE}, {"png", TSR_NAME_PICTURE},
    {"webp", TSR_NAME_PICTURE},     {"gif", TSR_NAME_PICTURE},  {"bmp", TSR_NAME_PICTURE},
    {"tif", TSR_NAME_PICTURE},      {"tiff", TSR_NAME_PICTURE}, {"ppm", TSR_NAME_PICTURE},
    {"pgm", TSR_NAME_PICTURE},      {"pbm", TSR_NAME_PICTURE},  {"pnm", TSR_NAME_PICTURE},
    {"pam", TSR_NAME_PICTURE},      {"qoi", TSR_NAME_PICTURE},  {"jp2", TSR_NAME_PICTURE},
    {"j2k", TSR_NAME_PICTURE},      {"j2c", TSR_NAME_PICTURE},  {"jpx", TSR_NAME_PICTURE},
    {"avif", TSR_NAME_PICTURE},     {"jxl", TSR_NAME_PICTURE},  {"heic", TSR_NAME_PICTURE},
    {"heif", TSR_NAME_PICTURE},     {"jpe", TSR_NAME_PICTURE},  {"jfif", TSR_NAME_PICTURE},
    {"dib", TSR_NAME_PICTURE},      {"txt", TSR_NAME_TEXT},     {"caption", TSR_NAME_TEXT},
    {"cls", TSR_NAME_INTEGER},      {"json", TSR_NAME_JSON},    {"tar", TSR_NAME_ARCHIVE},
    {"tar.gz", TSR_NAME_ARCHIVE},   {"tgz", TSR_NAME_ARCHIVE},  {"tar.zst", TSR_NAME_ARCHIVE},
    {"tar.zstd", TSR_NAME_ARCHIVE}, {"tzst", TSR_NAME_ARCHIVE},
};

tsr_name_kind tsr_suffix_kind(const char *suffix) {
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; ++i)
        if (!strcmp(suffixes[i].suffix, suffix)) return suffixes[i].kind;
    return TSR_NAME_OTHER;
}

tsr_name_kind tsr_file_kind(const char *path) {
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const size_t n = strlen(name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; ++i) {
        const tsr_name_kind kind = suffixes[i].kind;
        const size_t m = strlen(suffixes[i].suffix);
        if (kind != TSR_NAME_PICTURE && kind != TSR_NAME_ARCHIVE) continue;
        /* a name that is a suffix alone has none */
        if (n > m + 1 && name[n - m - 1] == '.' && !strcasecmp(name + n - m, suffixes[i].suffix))
            return kind;
    }
    return TSR_NAME_OTHER;
}

bool tsr_is_video_name(const char *path) {
    static const char *const videos[] = {"mp4", "m4v",  "mov", "mkv",  "webm", "avi", "mpg", "mpeg",
                                         "ts",  "m2ts", "mts", "ogv",  "flv",  "wmv", "3gp", "nut",
                                         "y4m", "h264", "264", "hevc", "h265", "265", "ivf"};
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && dot > name && i < sizeof videos / sizeof *videos; ++i)
        if (!strcasecmp(dot + 1, videos[i])) return true;
    return false;
}

static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

int tsr_natural_order(const char *a, const char *b) {
    const char *x = a, *y = b;
    while (*x && *y) {
        if (is_digit(*x) && is_digit(*y)) {
            while (*x == '0')
                ++x;
            while (*y == '0')
                ++y;
            const size_t n = strspn(x, "0123456789"), m = strspn(y, "0123456789");
            if (n != m) return n < m ? -1 : 1;
            const int order = memcmp(x, y, n);
            if (order) return order;
            x += n;
            y += m;
        } else if (*x == *y) {
            ++x;
            ++y;
        } else { /* what is in a folder stands at the folder's own place */
            if (*x == '/') return -1;
            if (*y == '/') return 1;
            return (unsigned char)*x < (unsigned char)*y ? -1 : 1;
        }
    }
    if (*x || *y) return *x ? 1 : -1;
    return strcmp(a, b); /* "01" and "1" */
}
