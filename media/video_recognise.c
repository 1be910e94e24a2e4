/* SPDX-License-Identifier: MIT */
/* video_recognise.c: which bytes begin a video, for those who have pictures and videos before them.
 */
#include "video.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct mark {
    size_t at, length;
    const char *text;
} mark;
static const mark marks[] = {
    {0, 4, "\x1a\x45\xdf\xa3"},     /* Matroska, WebM */
    {8, 4, "AVI "},                 /* RIFF */
    {0, 4, "OggS"},                 /* Theora, and sound */
    {0, 4, "FLV\x01"},              /* Flash */
    {0, 4, "\x30\x26\xb2\x75"},     /* ASF, Windows Media */
    {0, 4, "\x06\x0e\x2b\x34"},     /* MXF */
    {0, 4, "DKIF"},                 /* IVF */
    {0, 10, "YUV4MPEG2 "},          /* y4m */
    {0, 9, "nut/multi"},            /* NUT */
    {0, 4, "\x00\x00\x01\xba"},     /* MPEG programme stream */
    {0, 4, "\x00\x00\x01\xb3"},     /* MPEG-1 and 2 video */
    {0, 5, "\x00\x00\x00\x01\x67"}, /* H.264, parameter set */
    {0, 5, "\x00\x00\x00\x01\x27"},
    {0, 5, "\x00\x00\x00\x01\x09"}, /* H.264, delimiter */
    {0, 4, "\x00\x00\x01\x67"},
    {0, 5, "\x00\x00\x00\x01\x40"}, /* HEVC, parameter set */
    {0, 5, "\x00\x00\x00\x01\x46"}, /* HEVC, delimiter */
    {4, 4, "moov"},                 /* QuickTime without a ftyp */
    {4, 4, "mdat"},
    {4, 4, "wide"},
};

/* Brands of pictures in the same boxes: HEIC, AVIF, JPEG 2000, JPEG XL, Canon's raw. */
static bool is_picture_brand(const uint8_t *brand) {
    static const char *const brands[] = {"heic", "heix", "heim", "heis", "mif1", "mif2", "avif",
                                         "jp2 ", "jpx ", "jpm ", "jxl ", "crx ", "miaf"};
    for (size_t i = 0; i < sizeof brands / sizeof *brands; ++i)
        if (!memcmp(brands[i], brand, 4)) return true;
    return false;
}

int tsr_video_recognised(const void *bytes, uint64_t size) {
    const uint8_t *p = bytes;
    if (!p) return 0;
    for (size_t i = 0; i < sizeof marks / sizeof *marks; ++i)
        if (size >= marks[i].at + marks[i].length &&
            !memcmp(p + marks[i].at, marks[i].text, marks[i].length))
            return 1;
    if (size >= 12 && !memcmp(p + 4, "ftyp", 4)) return !is_picture_brand(p + 8);
    if (size >= 21 && !memcmp(p, "RIFF", 4) && !memcmp(p + 8, "WEBPVP8X", 8))
        return (p[20] & 2) != 0;
    /* Transport streams repeat their mark after 188 bytes, or 192 with a time before each. */
    if (size >= 377 && p[0] == 0x47 && p[188] == 0x47 && p[376] == 0x47) return 1;
    return size >= 389 && p[4] == 0x47 && p[196] == 0x47 && p[388] == 0x47;
}

int tsr_video_is(const char *path) {
    enum { HEAD = 512 };
    uint8_t head[HEAD];
    struct stat st;
    const bool in = path && !strcmp(path, "-");
    /* A named pipe is not even opened: whoever waits to write into it would take this for a
     * reader. */
    if (!path || (in ? fstat(0, &st) : stat(path, &st)) || !S_ISREG(st.st_mode)) return 0;
    const int fd = in ? 0 : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return 0;
    const ssize_t got = pread(fd, head, sizeof head, in ? lseek(fd, 0, SEEK_CUR) : 0);
    if (!in) close(fd);
    return got > 0 && tsr_video_recognised(head, (uint64_t)got);
}
