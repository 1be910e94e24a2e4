/* SPDX-License-Identifier: MIT */
/* vulkan_pace.c: how many multiply-adds a submission and a dispatch may hold. A driver resets a
 * device that one submission, or one dispatch, keeps busy for seconds; many short submissions keep
 * a fast one waiting. So both aim at 50 ms.
 *
 * A recording is made for the rate that the device was last seen to have. Its first run is timed by
 * the device's clock; where that says that submissions are much shorter than need be, or a dispatch
 * much longer, it is recorded once more before its next run. Barriers are the same wherever
 * submissions begin, and the pieces of a dispatch write different rows: results are the same bits.
 */
#include "vulkan_builder.h"

#include <math.h>
#include <string.h>

static const double target = 0.05;               /* seconds */
static const double least = 17179869184.0;       /* 2^34 multiply-adds: a submission's floor */
static const double worth_timing = 4294967296.0; /* 2^32: less says little about the rate */
static const double much = 1.5;                  /* times more than need be */

/* By the rate `rate`; 0: not known. */
static vulkan_pace pace_at(const tsr_device *d, double rate) {
    vulkan_pace p = {.submission = least, .dispatch = least};
    if (rate > 0) {
        p.dispatch = rate * target;
        if (p.dispatch > p.submission) p.submission = p.dispatch;
    }
    if (d->info.software && !(d->settings.rate > 0)) p.dispatch = INFINITY;
    if (d->settings.submission > 0) p.submission = d->settings.submission;
    return p;
}

void vulkan_pace_set(const vulkan_device *v, vulkan_recording *r) {
    const tsr_device *d = v->device;
    const double rate = d->settings.rate > 0 ? d->settings.rate : v->rate;
    r->pace = pace_at(d, rate);
    r->pace.measure =
        !d->info.software && !(d->settings.rate > 0) && d->tick > 0 && !v->rate_is_own;
}

double vulkan_work(const tsr_call *call) {
    return call->op->work ? call->op->work(call) : (double)tsr_elements(call->out[0]);
}

uint32_t vulkan_pace_cut(vulkan_recording *r, const vulkan_step *s, tsr_gpu_dispatch *d) {
    const double work = vulkan_work(&s->call) / s->dispatch_count;
    uint32_t rows;
    d->pieces = 1;
    if (!d->cut.rows || d->cut.axis > 2 || d->cut.count_at * 4u + 4u > d->push_bytes) return 1;
    memcpy(&rows, d->push + 4 * d->cut.count_at, sizeof rows);
    const uint32_t groups = d->groups[d->cut.axis];
    if ((uint64_t)groups * d->cut.rows < rows) return 1; /* groups stride on */
    if (work > r->pace.largest) r->pace.largest = work;
    if (work <= r->pace.dispatch) return 1;
    const double wanted = ceil(work / r->pace.dispatch);
    d->pieces = wanted < groups ? (uint32_t)wanted : groups;
    return d->pieces;
}

void vulkan_pace_measured(vulkan_device *v, vulkan_recording *r, double seconds) {
    if (r->pace.work < worth_timing || !(seconds > 0)) {
        r->pace.measure = false;
        return;
    }
    v->rate = r->pace.rate = r->pace.work / seconds;
    r->pace.measure = false;
}

bool vulkan_pace_outgrown(const vulkan_device *v, const vulkan_recording *r) {
    if (!(r->pace.rate > 0)) return false;
    const vulkan_pace p = pace_at(v->device, r->pace.rate);
    return (r->command_count > 1 && p.submission > much * r->pace.submission) ||
           (r->pace.largest > p.dispatch && r->pace.dispatch > much * p.dispatch);
}
