/* SPDX-License-Identifier: MIT */
/* Any bytes as report.json, as `tessera fit` and a report that goes on read it: a status, or a
 * report that laws can be asked of, and that is written and read again. */
#include <stdlib.h>
#include <string.h>

#include <tessera/measure.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void ask(const tsr_report *report) {
    tsr_law law;
    const tsr_law_settings few = {.resamples = 3};
    if (tsr_report_originals(report) > 64 || tsr_report_count(report) > 16) return;
    (void)tsr_report_law(report, "psnr", &few, &law);
    (void)tsr_report_law(report, "l1", &few, &law);
    tsr_fewest fewest[64];
    (void)tsr_report_fewest(report, "l1", NULL, 1, 0.1, fewest);
    char *csv = NULL;
    for (int pictures = 0; pictures < 2; ++pictures, csv = NULL) {
        if (tsr_report_csv(report, pictures, &csv)) abort();
        free(csv);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tsr_context *ctx = NULL;
    tsr_context_settings settings = tsr_context_settings_default();
    settings.threads = 1;
    settings.memory_limit = 1 << 26;
    if (tsr_context_open(&ctx, &settings)) abort();
    tsr_report *report = NULL, *again = NULL;
    char *json = NULL;
    if (!tsr_report_parse(ctx, "fuzz", (const char *)data, size, &report)) {
        ask(report);
        if (!tsr_report_json(report, &json) &&
            tsr_report_parse(ctx, "again", json, strlen(json), &again))
            abort(); /* what was written can be read */
    }
    free(json);
    tsr_report_close(&report);
    tsr_report_close(&again);
    tsr_context_close(&ctx);
    return 0;
}
