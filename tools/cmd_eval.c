/* SPDX-License-Identifier: MIT */
/* cmd_eval.c: how far a reconstruction is from its original. */
#include "eval_video.h"
#include "tool.h"

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

typedef struct eval_options {
    common_options common;
    int csv, per_frame, as_video, square;
    const char *model;
    uint32_t clip;
} eval_options;

#define AT(field) offsetof(eval_options, field)
static const option options[] = {
    {"csv", 0, OPTION_FLAG, AT(csv), NULL, NULL,
     "a line of comma-separated values for each picture, of clips for each frame, behind a line of "
     "names; a cell is empty where there is no number",
     NULL, 0, 0},
    {"per-frame", 0, OPTION_FLAG, AT(per_frame), NULL, NULL,
     "of clips: a line for each frame, too, and in JSON the member \"frames\"", NULL, 0, 0},
    {"as-video", 0, OPTION_FLAG, AT(as_video), NULL, NULL,
     "compare as clips what would be pictures: GIF, APNG and WebP that move, folders of numbered "
     "frames, pipes",
     NULL, 0, 0},
    {"model", 't', OPTION_MODEL, AT(model), "MODEL", "the bundled tokenizer",
     "of a clip in a token file: the tokenizer that decodes it", NULL, 0, 0},
    {"clip", 0, OPTION_UINT, AT(clip), "N", "the only one",
     "of a token file with several clips: which one, from 1 on", NULL, 1, UINT32_MAX},
    {"square-pixels", 0, OPTION_FLAG, AT(square), NULL, NULL,
     "of a clip in a token file: it was encoded with --square-pixels", NULL, 0, 0},
};

typedef struct pair {
    char *stem, *original, *reconstruction; /* either path may be NULL: no counterpart */
    tsr_status status;
    char detail[512];
    tsr_evaluation e;
} pair;

typedef struct pairs {
    pair *list;
    int count, room;
} pairs;

static const char *const protocols[][2] = {
    {"psnr", "8-bit RGB, range 255, one mean over all channels; dB"},
    {"ssim_gaussian",
     "Wang et al. 2004: 11x11 gaussian, sigma 1.5, valid region, mean of channels"},
    {"ssim_uniform", "7x7 uniform window, sample covariance (scikit-image's default)"},
    {"l1", "mean absolute error on the 0..1 scale"},
    {"mse", "mean squared error on the 0..255 scale"},
};

/* Only these are taken from a folder, so that a README, Thumbs.db or desktop.ini beside the
 * pictures does no harm. A name that begins with a dot is hidden: "._a.png" is what macOS leaves
 * beside a.png on foreign disks and in archives. */
static bool is_picture_name(const char *name) {
    static const char *const suffixes[] = {".png",  ".jpg",  ".jpeg", ".webp", ".bmp",  ".tif",
                                           ".tiff", ".gif",  ".ppm",  ".pgm",  ".pnm",  ".pbm",
                                           ".pam",  ".qoi",  ".jp2",  ".j2k",  ".avif", ".jxl",
                                           ".heic", ".heif", ".jpe",  ".jfif"};
    const char *dot = strrchr(name, '.');
    for (size_t i = 0; dot && name[0] != '.' && i < sizeof suffixes / sizeof *suffixes; ++i)
        if (strcasecmp(dot, suffixes[i]) == 0) return true;
    return false;
}

static pair *pair_add(pairs *p) {
    if (p->count == p->room) {
        int room = p->room ? 2 * p->room : 64;
        pair *list = realloc(p->list, (size_t)room * sizeof *list);
        if (!list) return NULL;
        p->list = list;
        p->room = room;
    }
    pair *added = &p->list[p->count++];
    memset(added, 0, sizeof *added);
    return added;
}

static void pairs_free(pairs *p) {
    for (int i = 0; i < p->count; ++i) {
        free(p->list[i].stem);
        free(p->list[i].original);
        free(p->list[i].reconstruction);
    }
    free(p->list);
}

static int by_stem(const void *a, const void *b) {
    return strcmp(((const pair *)a)->stem, ((const pair *)b)->stem);
}

/* The pictures of a folder, sorted by stem; each path in `original`. */
static int list_folder(tool *t, const char *folder, pairs *p) {
    DIR *dir = opendir(folder);
    if (!dir) return tool_fail_text(t, TSR_ERROR_IO, "%s: %s", folder, strerror(errno));
    struct dirent *entry;
    bool memory = true;
    while (memory && (entry = readdir(dir))) {
        struct stat st;
        if (!is_picture_name(entry->d_name)) continue;
        if (!fstatat(dirfd(dir), entry->d_name, &st, 0) && S_ISDIR(st.st_mode)) continue;
        pair *added = pair_add(p);
        size_t length = strlen(folder) + strlen(entry->d_name) + 2;
        memory = added && (added->stem = malloc(length)) && (added->original = malloc(length));
        if (!memory) break;
        tool_stem(entry->d_name, added->stem, length);
        snprintf(added->original, length, "%s%s%s", folder,
                 folder[strlen(folder) - 1] == '/' ? "" : "/", entry->d_name);
    }
    closedir(dir);
    if (!memory) return tool_fail_text(t, TSR_ERROR_MEMORY, "%s: list of pictures", folder);
    if (p->count == 0)
        return tool_fail_text(t, TSR_ERROR_NOT_FOUND, "%s: wanted pictures, got none", folder);
    qsort(p->list, (size_t)p->count, sizeof *p->list, by_stem);
    for (int i = 1; i < p->count; ++i)
        if (strcmp(p->list[i].stem, p->list[i - 1].stem) == 0)
            return tool_fail_text(t, TSR_ERROR_ARGUMENT,
                                  "%s: wanted one picture called '%s', got two suffixes", folder,
                                  p->list[i].stem);
    return -1;
}

/* Both lists are sorted: one walk gives the pairs and those left over on either side. */
static int match_folders(tool *t, const char *original, const char *reconstruction, pairs *out) {
    pairs a = {0}, b = {0};
    int code = list_folder(t, original, &a);
    if (code < 0) code = list_folder(t, reconstruction, &b);
    for (int i = 0, k = 0; code < 0 && (i < a.count || k < b.count);) {
        int order = i == a.count ? 1 : k == b.count ? -1 : by_stem(&a.list[i], &b.list[k]);
        pair *added = pair_add(out);
        if (!added) {
            code = tool_fail_text(t, TSR_ERROR_MEMORY, "list of pictures");
            break;
        }
        if (order <= 0) { /* the pair takes the strings over */
            added->stem = a.list[i].stem;
            added->original = a.list[i].original;
            a.list[i].stem = a.list[i].original = NULL;
            i++;
        }
        if (order >= 0) {
            if (order > 0)
                added->stem = b.list[k].stem;
            else
                free(b.list[k].stem);
            added->reconstruction = b.list[k].original;
            b.list[k].stem = b.list[k].original = NULL;
            k++;
        }
    }
    pairs_free(&a);
    pairs_free(&b);
    return code;
}

static bool is_folder(const char *path) {
    struct stat s;
    return strcmp(path, "-") != 0 && stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

static int collect(tool *t, const char *original, const char *reconstruction, pairs *out) {
    bool a = is_folder(original), b = is_folder(reconstruction);
    if (a != b)
        return tool_fail_text(t, TSR_ERROR_ARGUMENT,
                              "wanted two files or two folders, got %s '%s' and "
                              "%s '%s'",
                              a ? "the folder" : "the file", original,
                              b ? "the folder" : "the file", reconstruction);
    if (a) return match_folders(t, original, reconstruction, out);
    pair *added = pair_add(out);
    size_t length = strlen(original) + 1;
    if (!added || !(added->stem = malloc(length)) || !(added->original = strdup(original)) ||
        !(added->reconstruction = strdup(reconstruction)))
        return tool_fail_text(t, TSR_ERROR_MEMORY, "list of pictures");
    tool_stem(original, added->stem, length);
    return -1;
}

/* A mean over the pictures that have the number: PSNR is infinite for equal pictures, and an SSIM
 * is no number where a side is below its window. */
typedef struct mean {
    double sum;
    int count;
} mean;

static void mean_add(mean *m, double value) {
    if (!isfinite(value)) return;
    m->sum += value;
    m->count++;
}

static double mean_of(const mean *m) {
    return m->count ? m->sum / m->count : NAN;
}

typedef struct sums {
    int count, equal, failed, sizes, unmatched; /* failed: of another size, or unreadable */
    mean psnr, ssim_gaussian, ssim_uniform, l1, mse;
} sums;

static void add(sums *s, const pair *p) {
    if (!p->original || !p->reconstruction) {
        s->unmatched++;
        return;
    }
    if (p->status) {
        s->failed++;
        s->sizes += p->status == TSR_ERROR_ARGUMENT;
        return;
    }
    s->count++;
    s->equal += p->e.mse == 0;
    mean_add(&s->psnr, p->e.psnr);
    mean_add(&s->ssim_gaussian, p->e.ssim_gaussian);
    mean_add(&s->ssim_uniform, p->e.ssim_uniform);
    mean_add(&s->l1, p->e.l1);
    mean_add(&s->mse, p->e.mse);
}

static bool all_equal(const sums *s) {
    return s->count && s->equal == s->count;
}

static void json_picture(json_out *j, const pair *q) {
    json_object(j, NULL);
    json_text(j, "name", q->stem);
    json_text(j, "original", q->original);
    json_text(j, "reconstruction", q->reconstruction);
    if (q->status) {
        json_text(j, "error", q->detail);
    } else if (q->original && q->reconstruction) {
        json_int(j, "width", q->e.width);
        json_int(j, "height", q->e.height);
        json_real(j, "psnr", q->e.psnr);
        json_real(j, "ssim_gaussian", q->e.ssim_gaussian);
        json_real(j, "ssim_uniform", q->e.ssim_uniform);
        json_real(j, "l1", q->e.l1);
        json_real(j, "mse", q->e.mse);
        json_bool(j, "equal", q->e.mse == 0);
    }
    json_end(j, '}');
}

static void json_mean(json_out *j, const char *name, const char *count, const mean *m) {
    json_real(j, name, mean_of(m));
    json_int(j, count, m->count);
}

static void print_json(tool *t, const pairs *p, const sums *s) {
    json_out j;
    tool_json(t, &j);
    json_object(&j, "protocol");
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; ++i)
        json_text(&j, protocols[i][0], protocols[i][1]);
    json_end(&j, '}');
    json_array(&j, "pictures");
    for (int i = 0; i < p->count; ++i)
        json_picture(&j, &p->list[i]);
    json_end(&j, ']');
    json_object(&j, "mean");
    json_int(&j, "count", s->count);
    json_bool(&j, "all_equal", all_equal(s));
    json_mean(&j, "psnr", "psnr_count", &s->psnr);
    json_mean(&j, "ssim_gaussian", "ssim_gaussian_count", &s->ssim_gaussian);
    json_mean(&j, "ssim_uniform", "ssim_uniform_count", &s->ssim_uniform);
    json_real(&j, "l1", mean_of(&s->l1));
    json_real(&j, "mse", mean_of(&s->mse));
    json_end(&j, '}');
    json_int(&j, "equal", s->equal);
    json_int(&j, "failed", s->failed);
    json_int(&j, "unmatched", s->unmatched);
    json_close(&j);
}

static void csv_cell(double value, const char *after) {
    if (isnan(value))
        printf("%s", after);
    else
        printf("%.9g%s", value, after);
}

/* Names in quotes, with quotes doubled (RFC 4180). What has no numbers has empty cells. */
static void print_csv(const pairs *p) {
    printf("picture,psnr,ssim_gaussian,ssim_uniform,l1,mse\n");
    for (int i = 0; i < p->count; ++i) {
        const pair *q = &p->list[i];
        putchar('"');
        for (const char *c = q->stem; *c; ++c) {
            if (*c == '"') putchar('"');
            putchar(*c);
        }
        fputs("\",", stdout);
        const bool measured = q->original && q->reconstruction && !q->status;
        csv_cell(measured ? q->e.psnr : NAN, ",");
        csv_cell(measured ? q->e.ssim_gaussian : NAN, ",");
        csv_cell(measured ? q->e.ssim_uniform : NAN, ",");
        csv_cell(measured ? q->e.l1 : NAN, ",");
        csv_cell(measured ? q->e.mse : NAN, "\n");
    }
}

static void print_row(const char *name, double psnr, double gaussian, double uniform, double l1) {
    char clean[64];
    printf("%-24.60s %9.4f %9.6f %9.6f %9.6f\n", tool_clean(name, clean, sizeof clean), psnr,
           gaussian, uniform, l1);
}

/* Which means leave pictures out, and why. */
static void print_counts(const sums *s) {
    char count[32];
    if (s->equal && !all_equal(s))
        printf("# psnr: mean of the %d that differ; %s equal, without a finite psnr\n",
               s->psnr.count, tool_count((uint64_t)s->equal, "picture", count));
    else if (s->equal)
        printf("# psnr: all measured pictures are equal\n");
    const mean *ssim[] = {&s->ssim_gaussian, &s->ssim_uniform};
    static const char *const names[] = {"ssim_gaussian", "ssim_uniform"};
    for (int i = 0; i < 2; ++i) {
        if (ssim[i]->count == s->count) continue;
        if (ssim[i]->count)
            printf("# %s: mean of %d; the other pictures are smaller than its window\n", names[i],
                   ssim[i]->count);
        else
            printf("# %s: all pictures are smaller than its window\n", names[i]);
    }
}

static void print_table(const pairs *p, const sums *s) {
    for (size_t i = 0; i < 4; ++i)
        printf("# %-13s %s\n", protocols[i][0], protocols[i][1]);
    printf("%-24s %9s %9s %9s %9s\n", "picture", "psnr", "ssim_gau", "ssim_uni", "l1");
    for (int i = 0; i < p->count; ++i) {
        const pair *q = &p->list[i];
        char name[64], clean[700];
        tool_clean(q->stem, name, sizeof name);
        if (!q->original || !q->reconstruction)
            printf("%-24s no %s\n", name, q->original ? "reconstruction" : "original");
        else if (q->status)
            printf("%-24s %s\n", name, tool_clean(q->detail, clean, sizeof clean));
        else
            print_row(q->stem, q->e.psnr, q->e.ssim_gaussian, q->e.ssim_uniform, q->e.l1);
    }
    if (s->count > 1) {
        char name[32];
        snprintf(name, sizeof name, "mean of %d", s->count);
        print_row(name, all_equal(s) ? INFINITY : mean_of(&s->psnr), mean_of(&s->ssim_gaussian),
                  mean_of(&s->ssim_uniform), mean_of(&s->l1));
        print_counts(s);
    }
}

/* Compares one pair. A picture that cannot be read, or has another size, is an answer about this
 * pair and no reason to stop when there are others. Returns -1 to go on, or the exit code. */
static int compare(tool *t, pair *q, bool folders) {
    if (!q->original || !q->reconstruction) return -1;
    q->status = tsr_evaluate_files(t->ctx, q->original, q->reconstruction, &q->e);
    if (!q->status) return -1;
    if (q->status == TSR_ERROR_INTERRUPTED || (!folders && q->status != TSR_ERROR_ARGUMENT))
        return tool_fail(t, q->status);
    if (q->status == TSR_ERROR_ARGUMENT)
        snprintf(q->detail, sizeof q->detail, "%s", tsr_detail(t->ctx));
    else
        snprintf(q->detail, sizeof q->detail, "%s: %s", tsr_status_text(q->status),
                 tsr_detail(t->ctx));
    return -1;
}

static void say_failures(tool *t, const sums *s) {
    char unmatched[32];
    if (s->failed + s->unmatched)
        tool_say(t, "tessera eval: %s without counterpart, %d of different size, %d unreadable",
                 tool_count((uint64_t)s->unmatched, "picture", unmatched), s->sizes,
                 s->failed - s->sizes);
}

static int run_pictures(tool *t, const char *original, const char *reconstruction, bool csv) {
    pairs p = {0};
    sums s = {0};
    int code = collect(t, original, reconstruction, &p);
    const bool folders = is_folder(original);
    for (int i = 0; code < 0 && i < p.count; ++i) {
        if (tool_progress(t, "comparing", (uint64_t)i, (uint64_t)p.count))
            code = tool_fail_text(t, TSR_ERROR_INTERRUPTED, "%s", "");
        else
            code = compare(t, &p.list[i], folders);
        add(&s, &p.list[i]);
    }
    if (code < 0) {
        tool_progress_clear(t);
        if (t->o->json)
            print_json(t, &p, &s);
        else if (csv)
            print_csv(&p);
        else
            print_table(&p, &s);
        say_failures(t, &s);
        code = s.failed + s.unmatched ? EXIT_NEGATIVE : EXIT_DONE;
    }
    pairs_free(&p);
    return code;
}

static int run(const verb *v, int argc, char **argv) {
    eval_options o = {0};
    int operands;
    int code = args_parse(v, argc, argv, &o, &operands);
    if (code >= 0) return code;
    if (o.csv && o.common.json) return args_wrong(v, "wanted --csv or --json, got both");
    tool t;
    if ((code = tool_open(&t, v, &o.common)) >= 0) return code;
    const bool clip = eval_is_clip(&t, argv[1]);
    const bool videos = o.as_video || tsr_video_is(argv[0]) || tsr_video_is(argv[1]);
    const eval_clip_job job = {.original = argv[0],
                               .tokens = argv[1],
                               .model = o.model,
                               .clip = o.clip,
                               .square_pixels = o.square != 0,
                               .per_frame = o.per_frame != 0,
                               .csv = o.csv != 0};
    if (o.per_frame && !videos && !clip)
        code = args_wrong(v, "--per-frame: wanted clips (or --as-video), got pictures");
    else if (!clip && (o.model || o.clip || o.square))
        code = args_wrong(v,
                          "-t, --clip and --square-pixels: wanted a clip in a "
                          "token file (.tess), got %s",
                          argv[1]);
    else if (clip)
        code = eval_clip(&t, &job);
    else
        code = videos ? eval_videos(&t, argv[0], argv[1], o.per_frame, o.csv)
                      : run_pictures(&t, argv[0], argv[1], o.csv);
    tool_close(&t);
    return code;
}

const verb verb_eval = {
    .name = "eval",
    .summary = "measure a reconstruction against its original: PSNR, SSIM, L1, flicker",
    .usage = "tessera eval ORIGINAL RECON [--json | --csv]\n"
             "tessera eval CLIP CLIP [--as-video] [--per-frame] [--json | --csv]\n"
             "tessera eval VIDEO CLIP.tess [-t MODEL] [--clip N] [--square-pixels]\n"
             "             [--per-frame] [--json | --csv] [--device cpu|vulkan[:N]]",
    .about =
        "ORIGINAL and RECON are two pictures, or two folders whose pictures are matched by name "
        "without suffix. Every number stands beside the name of its protocol: PSNR over 8-bit "
        "RGB with one mean of all channels; SSIM in two variants that papers mix up (Wang's 11x11 "
        "gaussian, and the 7x7 uniform window that scikit-image takes by default); L1 on the 0..1 "
        "scale. The mean row is the mean of the pictures' values: PSNR of equal pictures is inf "
        "(null "
        "in JSON) and an SSIM is nan where a side is below its window, and each mean is over the "
        "pictures that have the number. Names in folders that begin with a dot, and what has no "
        "picture's suffix, do not count.\n\n"
        "Two clips are compared frame by frame, which must agree in size, number and time (from "
        "the first frame on, within a unit of the coarser time base, since Matroska rounds to "
        "milliseconds); what does not is named. PSNR comes pooled (of the error of all frames) and "
        "as the mean of the frames' own; the flicker is the mean absolute change of the error from "
        "frame to frame, on the 0..255 scale.\n\n"
        "A clip in a token file is decoded on the way and compared with its video: each of its "
        "frames with the video's frame of the same time, so that frames which were not chosen are "
        "passed over. Where the tokenizer crops or pads, the video's frames are fitted as they "
        "were "
        "for it, which is said.",
    .exits =
        "1 when pictures have no counterpart or another size, or cannot be read (in folders);\n"
        "  when clips differ in size, times or number of frames",
    .examples = "# one picture\n"
                "tessera eval photo.png back.png\n"
                "# a folder of originals against a folder of decoded pictures\n"
                "tessera eval originals/ decoded/\n"
                "# the mean alone\n"
                "tessera eval originals/ decoded/ --json | jq .mean\n"
                "# a clip, and each of its frames as a table for a plot\n"
                "tessera eval clip.mp4 back.mp4\n"
                "tessera eval clip.mp4 back.mp4 --csv > frames.csv\n"
                "# a clip in a token file, decoded on the way\n"
                "tessera encode clip.mp4 -o clip.tess && tessera eval clip.mp4 clip.tess",
    .options = options,
    .option_count = sizeof options / sizeof *options,
    .device_options = DEVICE_ALL,
    .least_operands = 2,
    .most_operands = 2,
    .operands = "ORIGINAL RECON",
    .run = run,
};
