/* SPDX-License-Identifier: MIT */
/* bench_report.c: rows of `tessera bench` as text, and a file of them that a person can send. */
#include "bench_report.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

static double number(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsNumber(value) ? value->valuedouble : -1;
}

static const char *text(const cJSON *row, const char *key) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, key);
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

/* For what is printed alone: "?" where the row has no such text. */
static const char *word(const cJSON *row, const char *key) {
    const char *value = text(row, key);
    return value ? value : "?";
}

static const char *cell(double value, const char *format, char *out, size_t size) {
    if (value < 0)
        snprintf(out, size, "-");
    else
        snprintf(out, size, format, value);
    return out;
}

void bench_row_head(FILE *to) {
    fprintf(to, "%-34s %-10s %-9s %9s %9s %9s %8s %7s %6s\n", "row", "by", "device", "min ms",
            "median", "p95", "GFLOP/s", "GB/s", "peak");
}

/* The slowest ops of the programs of a row, by the device's clock. */
static void print_ops(FILE *to, const cJSON *row) {
    enum { SHOWN = 5 };
    const cJSON *program, *op;
    cJSON_ArrayForEach(program, cJSON_GetObjectItemCaseSensitive(row, "programs")) {
        int shown = 0;
        fprintf(to, "    %s: %.3f ms a run on the device\n", word(program, "name"),
                number(program, "ms"));
        cJSON_ArrayForEach(op, cJSON_GetObjectItemCaseSensitive(program, "ops")) {
            const char *bound = text(op, "bound");
            const bool products = bound && !strcmp(bound, "arithmetic");
            char rate[32];
            if (shown++ == SHOWN) break;
            fprintf(to, "    %-16s %-20s %5.0f x %10.4f ms %9s %-7s %5.1f %%  %s\n", word(op, "op"),
                    word(op, "shader"), number(op, "count"), number(op, "ms"),
                    cell(number(op, products ? "tflops" : "gbs"), "%.3f", rate, sizeof rate),
                    products ? "TFLOP/s" : "GB/s", 100 * number(op, "share"), word(op, "shape"));
        }
    }
}

static void print_details(FILE *to, const cJSON *row, const cJSON *details) {
    const cJSON *limits = cJSON_GetObjectItemCaseSensitive(details, "limits");
    const cJSON *subgroup = cJSON_GetObjectItemCaseSensitive(details, "subgroup"), *m;
    fprintf(to, "%s: %s, driver %s, Vulkan %s\n", word(row, "device"), word(details, "name"),
            word(details, "driver"), word(details, "api"));
    fprintf(to,
            "    subgroups %.0f to %.0f, workgroup %.0f, shared memory %.0f bytes, buffers up to "
            "%.0f bytes, a timestamp every %g ns\n",
            number(subgroup, "min"), number(subgroup, "max"), number(limits, "workgroup"),
            number(limits, "shared_bytes"), number(limits, "storage_range_bytes"),
            number(limits, "timestamp_ns"));
    cJSON_ArrayForEach(m, cJSON_GetObjectItemCaseSensitive(details, "matrices")) fprintf(
        to, "    matrices %.0f x %.0f x %.0f, %s x %s -> %s, %s\n", number(m, "m"), number(m, "n"),
        number(m, "k"), word(m, "a"), word(m, "b"), word(m, "result"), word(m, "scope"));
}

void bench_row_print(FILE *to, const char *json) {
    cJSON *row = cJSON_Parse(json);
    const char *name = text(row, "name"), *by = text(row, "by"), *device = text(row, "device");
    const char *error = text(row, "error"), *skipped = text(row, "skipped");
    const cJSON *details = cJSON_GetObjectItemCaseSensitive(row, "details");
    if (details) {
        print_details(to, row, details);
        cJSON_Delete(row);
        return;
    }
    fprintf(to, "%-34s %-10s %-9s ", name ? name : "?", by ? by : "?", device ? device : "?");
    if (error || skipped) {
        fprintf(to, "%s: %s\n", error ? "failed" : "skipped", error ? error : skipped);
    } else {
        char a[24], b[24], c[24];
        const double share = number(row, "peak_share");
        fprintf(to, "%9.3f %9.3f %9.3f %8s %7s %6s\n", number(row, "min_ms"),
                number(row, "median_ms"), number(row, "p95_ms"),
                cell(number(row, "gflops"), "%.1f", a, sizeof a),
                cell(number(row, "gbs"), "%.2f", b, sizeof b),
                cell(share < 0 ? share : 100 * share, "%.0f%%", c, sizeof c));
        print_ops(to, row);
    }
    cJSON_Delete(row);
}

/* ---- the report ---- */

/* First line of a small file of the system; false where it is not there. */
static bool read_line(char *line, size_t size, const char *format, int card) {
    char path[128];
    snprintf(path, sizeof path, format, card);
    FILE *f = fopen(path, "r");
    if (!f) return false;
    const bool read = fgets(line, (int)size, f) != NULL;
    fclose(f);
    line[strcspn(line, "\n")] = '\0';
    return read;
}

/* What the system says about the clocks of graphics cards: the driver's own text. Of NVIDIA's cards
 * it says nothing; their program nvidia-smi does. */
static void write_clocks(json_out *j) {
    static const struct {
        const char *name, *path;
    } sources[] = {{"vendor", "/sys/class/drm/card%d/device/vendor"},
                   {"device", "/sys/class/drm/card%d/device/device"},
                   {"gt_cur_freq_mhz", "/sys/class/drm/card%d/gt_cur_freq_mhz"},
                   {"gt_max_freq_mhz", "/sys/class/drm/card%d/gt_max_freq_mhz"},
                   {"xe_max_freq", "/sys/class/drm/card%d/device/tile0/gt0/freq0/max_freq"}};
    enum { CARDS = 16 };
    char line[128];
    json_array(j, "clocks");
    for (int card = 0; card < CARDS; ++card) {
        if (!read_line(line, sizeof line, sources[0].path, card)) continue;
        json_object(j, NULL);
        json_int(j, "card", card);
        for (size_t i = 0; i < sizeof sources / sizeof *sources; ++i)
            if (read_line(line, sizeof line, sources[i].path, card))
                json_text(j, sources[i].name, line);
        static const char *const levels[] = {"pp_dpm_sclk", "pp_dpm_mclk"};
        for (int k = 0; k < 2; ++k) { /* AMD: a line for each level, a star behind the present */
            char path[128];
            snprintf(path, sizeof path, "/sys/class/drm/card%d/device/%s", card, levels[k]);
            FILE *f = fopen(path, "r");
            if (!f) continue;
            json_array(j, levels[k]);
            while (fgets(line, sizeof line, f)) {
                line[strcspn(line, "\n")] = '\0';
                json_text(j, NULL, line);
            }
            json_end(j, ']');
            fclose(f);
        }
        json_end(j, '}');
    }
    json_end(j, ']');
}

static void write_devices(tool *t, json_out *j) {
    char *list = NULL;
    cJSON *root = tsr_devices_json(t->ctx, &list) ? NULL : cJSON_Parse(list);
    const cJSON *d;
    json_array(j, "devices");
    cJSON_ArrayForEach(d, cJSON_GetObjectItemCaseSensitive(root, "devices")) {
        char *one = cJSON_PrintUnformatted(d);
        if (one) json_raw(j, NULL, one);
        cJSON_free(one);
    }
    json_end(j, ']');
    cJSON_Delete(root);
    free(list);
}

int bench_report_open(tool *t, bench_report *r, const char *path, const char *model,
                      const char *filter) {
    snprintf(r->text_path, sizeof r->text_path, "%s.txt", path);
    int code = out_file_open(t, &r->json, path);
    if (code >= 0) return code;
    if ((code = out_file_open(t, &r->text, r->text_path)) >= 0) {
        out_file_close(t, &r->json, false);
        return code;
    }
    struct utsname system = {0};
    uname(&system);
    const time_t now = time(NULL);
    struct tm utc;
    char when[32] = "";
    if (gmtime_r(&now, &utc)) strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &utc);
    json_open(&r->out, r->json.file);
    json_int(&r->out, "tessera_report", 1);
    json_text(&r->out, "version", tsr_version());
    json_text(&r->out, "commit", tsr_build_commit());
    json_text(&r->out, "when", when);
    json_text(&r->out, "system", system.sysname);
    json_text(&r->out, "release", system.release);
    json_text(&r->out, "machine", system.machine);
    json_text(&r->out, "model",
              model ? strrchr(model, '/') ? strrchr(model, '/') + 1 : model : NULL);
    json_text(&r->out, "filter", filter);
    write_devices(t, &r->out);
    write_clocks(&r->out);
    json_array(&r->out, "rows");
    fprintf(r->text.file, "tessera %s (%s), %s, %s %s %s\n", tsr_version(), tsr_build_commit(),
            when, system.sysname, system.release, system.machine);
    bench_row_head(r->text.file);
    return -1;
}

void bench_report_row(bench_report *r, const char *json) {
    json_raw(&r->out, NULL, json);
    bench_row_print(r->text.file, json);
    fflush(r->json.file); /* what a killed run leaves is under the temporary names */
    fflush(r->text.file);
    ++r->rows;
}

int bench_report_close(tool *t, bench_report *r, const char *error) {
    json_end(&r->out, ']');
    json_text(&r->out, "error", error);
    json_close(&r->out);
    if (error) fprintf(r->text.file, "not all rows: %s\n", error);
    const int code = out_file_close(t, &r->json, true);
    const int second = out_file_close(t, &r->text, true);
    if (code < 0 && second < 0 && r->rows)
        tool_say(t, "%s and %s: %d rows", r->json.path, r->text_path, r->rows);
    return code >= 0 ? code : second;
}
