/* SPDX-License-Identifier: MIT */
/* bench_batch.c: a data set to shards, pictures a second of all of it beside its parts alone: what
 * batch reaches, what reading, decoding and resampling would allow, and what the model would. The
 * slower of the two parts is the bottleneck. On a GPU batch takes little more than that part; on
 * the cpu both parts share the cores, and it takes about their sum. The pictures are painted here:
 * JPEG files of 640 x 480, one tile each. */
#include "bench.h"
#include "../codec/encoder.h"
#include "../compute/threads.h"
#include "../media/image.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PICTURES = 4 * TSR_ENCODER_GROUP, WIDTH = 640, HEIGHT = 480, PATH = 512 };

typedef struct batch_bench {
    tsr_context *ctx;
    char folder[PATH / 2], in[PATH], out[PATH];
    tsr_model_settings model;
    tsr_encode_settings encode;
    tsr_sampling_settings hints;
    tsr_encoder encoder;
    tsr_encoding encodings[PICTURES];
    int workers;
    tsr_context **contexts; /* [workers] */
    tsr_device **hosts;     /* [workers] */
    tsr_status status[PICTURES];
} batch_bench;

/* ---- files -------------------------------------------------------------------------------- */

static void picture_path(const batch_bench *m, int64_t index, char *path) {
    snprintf(path, PATH + 32, "%s/%06lld.jpg", m->in, (long long)index);
}

static void remove_folder(const char *path) {
    DIR *folder = opendir(path);
    const struct dirent *entry;
    char file[PATH + 260];
    while (folder && (entry = readdir(folder))) {
        snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
        unlink(file);
    }
    if (folder) closedir(folder);
    rmdir(path);
}

static tsr_status make_pictures(batch_bench *m) {
    const char *place = getenv("TMPDIR");
    char path[PATH + 32];
    snprintf(m->folder, sizeof m->folder, "%.200s/tessera-bench-XXXXXX",
             place && *place ? place : "/tmp");
    if (!mkdtemp(m->folder)) {
        const tsr_status status =
            tsr_fail(m->ctx, TSR_ERROR_IO, "%s: no folder for pictures", m->folder);
        *m->folder = 0;
        return status;
    }
    snprintf(m->in, sizeof m->in, "%s/in", m->folder);
    snprintf(m->out, sizeof m->out, "%s/out", m->folder);
    if (mkdir(m->in, 0700)) return tsr_fail(m->ctx, TSR_ERROR_IO, "%s: no folder", m->in);
    uint8_t *rgb = tsr_alloc(m->ctx, (size_t)WIDTH * HEIGHT, 3, "bench: a picture");
    tsr_status status = rgb ? TSR_OK : TSR_ERROR_MEMORY;
    for (int i = 0; i < PICTURES && !status; ++i) {
        picture_path(m, i, path);
        tsr_bench_paint(rgb, i, WIDTH, HEIGHT);
        status = tsr_picture_write(m->ctx, path, WIDTH, HEIGHT, rgb, NULL);
    }
    free(rgb);
    return status;
}

/* ---- the three rows ------------------------------------------------------------------------- */

/* tsr_tile_fn: reads, decodes and fits one picture. */
static void fit_one(void *arg, int64_t tile, int worker) {
    batch_bench *m = arg;
    tsr_context *ctx = m->contexts[worker];
    const tsr_image_settings settings = tsr_image_settings_default();
    tsr_encoding *e = &m->encodings[tile];
    char path[PATH + 32];
    tsr_image image = {0};
    picture_path(m, tile, path);
    tsr_canvas_free(&e->fitted.canvas);
    tsr_status status = tsr_image_read(ctx, path, &settings, &image);
    if (!status) {
        e->fitted.picture = (tsr_picture){
            .rgb = image.rgb, .width = image.width, .height = image.height, .key = "picture"};
        status = tsr_canvas_open(m->hosts[worker], &e->fitted.picture, &m->encoder.plan.header,
                                 &e->fitted.canvas);
    }
    if (!status && !e->fitted.canvas.owned) {
        e->fitted.canvas.rgb = e->fitted.canvas.owned = image.rgb; /* the canvas is the picture */
        image.rgb = NULL;
    }
    tsr_image_free(&image);
    m->status[tile] = status;
}

static tsr_status read_body(void *arg) {
    batch_bench *m = arg;
    tsr_parallel(m->ctx, PICTURES, fit_one, m);
    for (int i = 0; i < PICTURES; ++i)
        if (m->status[i])
            return tsr_fail(m->ctx, m->status[i], "picture %d: %s", i,
                            tsr_status_text(m->status[i]));
    return TSR_OK;
}

/* The pictures that read_body left. */
static tsr_status encode_body(void *arg) {
    batch_bench *m = arg;
    tsr_encoding *group[TSR_ENCODER_GROUP];
    tsr_status status = TSR_OK;
    for (int at = 0; at < PICTURES && !status; at += TSR_ENCODER_GROUP) {
        for (int i = 0; i < TSR_ENCODER_GROUP; ++i) {
            group[i] = &m->encodings[at + i];
            tsr_item_close(&group[i]->item);
        }
        status = tsr_encoder_run(&m->encoder, group, TSR_ENCODER_GROUP);
    }
    return status;
}

static tsr_status batch_body(void *arg) {
    batch_bench *m = arg;
    const char *const inputs[] = {m->in};
    tsr_batch_settings s = tsr_batch_settings_default();
    s.model = m->model;
    s.encode = m->encode;
    s.on_error = TSR_ON_ERROR_STOP;
    remove_folder(m->out);
    return tsr_batch(m->ctx, inputs, 1, m->out, &s, NULL);
}

/* ---- a device ------------------------------------------------------------------------------ */

static tsr_status open_workers(batch_bench *m) {
    m->workers = tsr_thread_count(m->ctx);
    m->contexts = tsr_alloc(m->ctx, (size_t)m->workers, sizeof *m->contexts, "bench: contexts");
    m->hosts = tsr_alloc(m->ctx, (size_t)m->workers, sizeof *m->hosts, "bench: devices");
    if (!m->contexts || !m->hosts) return TSR_ERROR_MEMORY;
    tsr_context_settings settings = m->ctx->settings;
    tsr_device_settings cpu = tsr_device_settings_default();
    settings.threads = 1;
    settings.log_level = TSR_LOG_WARNING;
    cpu.name = "cpu";
    tsr_status status = TSR_OK;
    for (int i = 0; i < m->workers && !status; ++i) {
        status = tsr_context_open(&m->contexts[i], &settings);
        if (!status) status = tsr_device_open(m->contexts[i], &m->hosts[i], &cpu);
        if (status)
            status = tsr_fail(m->ctx, status, "bench: decoder: %s", tsr_status_text(status));
    }
    return status;
}

static void close_all(batch_bench *m) {
    for (int i = 0; i < PICTURES; ++i)
        tsr_encoding_clear(&m->encodings[i]);
    tsr_encoder_close(&m->encoder);
    for (int i = 0; i < m->workers; ++i) {
        if (m->hosts) tsr_device_close(&m->hosts[i]);
        if (m->contexts) tsr_context_close(&m->contexts[i]);
    }
    free(m->contexts);
    free(m->hosts);
    if (!*m->folder) return;
    remove_folder(m->out);
    remove_folder(m->in);
    rmdir(m->folder);
}

static tsr_status time_row(tsr_bencher *b, batch_bench *m, const tsr_device_info *device,
                           const char *name, tsr_bench_body body) {
    const tsr_bench_row row = {.name = name, .by = "tessera", .device = device, .items = PICTURES};
    return tsr_bench_wants(b, name) ? tsr_bench_time(b, &row, body, m) : TSR_OK;
}

static const char all_name[] = "batch", read_name[] = "batch: read, decode, fit",
                  encode_name[] = "batch: the model";

static tsr_status bench_device(tsr_bencher *b, const tsr_bench_device *d) {
    batch_bench *m = tsr_alloc(b->ctx, 1, sizeof *m, "bench: batch");
    if (!m) return TSR_ERROR_MEMORY;
    char device[32] = "cpu";
    if (d->info.kind != TSR_DEVICE_CPU) snprintf(device, sizeof device, "vulkan:%d", d->info.index);
    m->ctx = b->ctx;
    m->model = tsr_model_settings_default();
    m->model.device = device;
    m->model.mask = b->settings.mask;
    m->encode = tsr_encode_settings_default();
    m->encode.fit.fit = TSR_FIT_CROP;
    const tsr_encoder_settings settings = {
        .model = &m->model, .encode = &m->encode, .hints = &m->hints};
    tsr_status status = tsr_encoder_open(b->ctx, &settings, &m->encoder);
    if (!status) status = open_workers(m);
    if (!status) status = make_pictures(m);
    if (!status && d->info.kind == TSR_DEVICE_CPU)
        status = time_row(b, m, &d->info, read_name, read_body);
    if (!status && tsr_bench_wants(b, encode_name)) status = read_body(m);
    if (!status) status = time_row(b, m, &d->info, encode_name, encode_body);
    if (!status) status = time_row(b, m, &d->info, all_name, batch_body);
    close_all(m);
    free(m);
    return status;
}

tsr_status tsr_bench_suite_batch(tsr_bencher *b) {
    tsr_status status = TSR_OK;
    if (!tsr_bench_wants(b, all_name) && !tsr_bench_wants(b, read_name) &&
        !tsr_bench_wants(b, encode_name))
        return TSR_OK;
    for (int i = 0; i < b->device_count && !status; ++i) {
        const tsr_bench_device *d = &b->devices[i];
        if (d->reference || (d->info.software && !b->settings.device)) continue;
        status = bench_device(b, d);
    }
    return status;
}
