/* SPDX-License-Identifier: MIT */
/* vulkan_flights.c: programs on their way. Two may be in flight, so that the host copies the next
 * inputs and looks at the last outputs while the device computes. Each has a slot with a staging
 * buffer and fences; the command buffers of a recording name a slot's staging buffer, so a program
 * that is begun twice before it ends has two recordings. Activations are shared: commands of a
 * queue begin in the order of submission, and a recording begins with a barrier.
 *
 * Making a recording, forgetting a model and closing finish everything first: they move or free
 * what programs in flight use. */
#include "../clock.h"
#include "vulkan_internal.h"

#include <stdio.h>
#include <string.h>

static size_t bytes_of(const tsr_tensor *t) {
    return (size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype);
}

void vulkan_flights_close(vulkan_device *v) {
    for (int i = 0; i < TSR_FLIGHTS; ++i) {
        vulkan_buffer_close(v, &v->slot[i].staging);
        for (int k = 0; k < v->slot[i].fence_count; ++k)
            v->vk.vkDestroyFence(v->handle, v->slot[i].fences[k], NULL);
    }
}

/* ---- beginning ---- */

static bool fits_recording(const vulkan_recording *r, const tsr_tensor *in) {
    for (int i = 0; i < r->in_count; ++i)
        if (r->in[i].dtype != in[i].dtype || r->in[i].rank != in[i].rank ||
            memcmp(r->in[i].dim, in[i].dim, sizeof in[i].dim))
            return false;
    return true;
}

vulkan_recording *vulkan_recording_find(vulkan_device *v, const vulkan_request *q) {
    const tsr_program *p = q->program;
    for (vulkan_recording **at = &v->recordings; *at; at = &(*at)->next) {
        vulkan_recording *r = *at;
        if (r->program.fn != p->fn || r->program.model != p->model ||
            r->program.variant != p->variant || r->in_count != q->in_count ||
            r->out_count != q->out_count || r->wanted != q->wanted || r->slot != q->slot ||
            r->timed != v->device->timing || !fits_recording(r, q->in))
            continue;
        *at = r->next; /* to the front */
        r->next = v->recordings;
        v->recordings = r;
        return r;
    }
    return NULL;
}

/* The slot whose flight began first, or -1. */
static int oldest(const vulkan_device *v) {
    int best = -1;
    for (int i = 0; i < TSR_FLIGHTS; ++i)
        if (v->slot[i].flight && (best < 0 || v->slot[i].number < v->slot[best].number)) best = i;
    return best;
}

/* A free slot; finishes the oldest flight when there is none. */
static int take_slot(vulkan_device *v) {
    const int most = tsr_device_masked(v->device, "in_flight") ? 1 : TSR_FLIGHTS;
    for (int i = 0; i < most; ++i)
        if (!v->slot[i].flight) return i;
    const int slot = oldest(v);
    vulkan_finish(v->device, v->slot[slot].flight);
    return slot;
}

tsr_status vulkan_begin(tsr_device *d, const tsr_program *program, const tsr_tensor *in,
                        int in_count, tsr_flight *flight) {
    vulkan_device *v = d->vulkan;
    vulkan_request q = {program, in, in_count, flight->out_count, 0, take_slot(v)};
    tsr_status status = d->lost ? tsr_fail(d->ctx, d->lost, "%s", d->lost_detail) : TSR_OK;
    for (int i = 0; i < flight->out_count; ++i)
        q.wanted |= (uint32_t)(flight->out[i].data != NULL) << i;
    vulkan_recording *r = status ? NULL : vulkan_recording_find(v, &q);
    if (r && vulkan_pace_outgrown(v, r)) { /* it is the first of the list now */
        v->rate = r->pace.rate;
        v->rate_is_own = true;
        vulkan_flights_finish(v);
        v->recordings = r->next;
        vulkan_recording_close(v, r);
        r = NULL;
    }
    if (!r && !status) {
        vulkan_flights_finish(v);
        status = vulkan_recording_make(v, &q, &r);
    }
    v->rate_is_own = false;
    for (int i = 0; i < flight->out_count && !status; ++i)
        if (q.wanted >> i & 1)
            status = tsr_check_output(d, program, i, &r->made[i], &flight->out[i]);
    if (status) return status;
    d->peak = r->arena_bytes;
    struct vulkan_slot *slot = &v->slot[q.slot];
    for (int i = 0; i < in_count; ++i) {
        memcpy((char *)slot->staging.mapped + r->in_at[i], in[i].data, bytes_of(&in[i]));
        d->traffic.bytes_up += bytes_of(&in[i]);
    }
    slot->began = tsr_seconds();
    status = vulkan_submit(v, slot, r->commands, r->command_count);
    if (status) return status;
    d->traffic.submissions += (uint64_t)r->command_count;
    slot->flight = flight;
    slot->recording = r;
    slot->number = v->flights++;
    flight->pending = true;
    return TSR_OK;
}

/* ---- finishing ---- */

static tsr_status check_bands(vulkan_device *v, const struct vulkan_slot *slot) {
    enum { WORDS = VULKAN_BAND / 4 };
    const vulkan_recording *r = slot->recording;
    const uint32_t *p = (const uint32_t *)((const char *)slot->staging.mapped + r->bands_at);
    for (int i = 0; i < r->band_count; ++i, p += WORDS)
        for (int k = 0; k < WORDS; ++k)
            if (p[k] != VULKAN_BAND_WORD)
                return tsr_fail(v->device->ctx, TSR_ERROR_DEVICE,
                                "%s on %s: activation %d: wrote %s its memory", r->name,
                                v->device->name, i / 2, i % 2 ? "behind" : "before");
    return TSR_OK;
}

static tsr_status finish(vulkan_device *v, int index) {
    struct vulkan_slot *slot = &v->slot[index];
    const vulkan_recording *r = slot->recording;
    tsr_device_traffic *traffic = &v->device->traffic;
    const double before = tsr_seconds();
    tsr_status status = vulkan_await(v, slot);
    const double now = tsr_seconds();
    traffic->host_waited += now - before;
    /* Without timestamps the time since it was submitted, or since the one before was seen ended.
     */
    double computed = now - (slot->began > v->last_seen ? slot->began : v->last_seen);
    if (!status) status = vulkan_times_read(v, slot->recording, &computed);
    if (!status) traffic->busy += computed;
    v->last_seen = now;
    if (!status) status = vulkan_check_messages(v);
    if (!status && r->band_count) status = check_bands(v, slot);
    for (int i = 0; i < r->out_count && !status; ++i) {
        const tsr_tensor *out = &slot->flight->out[i];
        if (!out->data) continue;
        memcpy(out->data, (const char *)slot->staging.mapped + r->out_at[i], bytes_of(out));
        traffic->bytes_down += bytes_of(out);
    }
    return status;
}

void vulkan_finish(tsr_device *d, tsr_flight *flight) {
    vulkan_device *v = d->vulkan;
    if (!flight->pending) return;
    if (tsr_device_is_left_by_fork(d)) { /* its outputs are the parent's */
        flight->pending = false;
        flight->status = TSR_ERROR_DEVICE_LOST;
        snprintf(flight->detail, sizeof flight->detail,
                 "device %s: a GPU does not follow fork(); open the model again in the child",
                 d->name);
        return;
    }
    for (int i; flight->pending && (i = oldest(v)) >= 0;) { /* those before it come first */
        tsr_flight *first = v->slot[i].flight;
        first->status = finish(v, i);
        if (first->status)
            snprintf(first->detail, sizeof first->detail, "%.255s", tsr_detail(d->ctx));
        first->pending = false;
        v->slot[i].flight = NULL;
    }
}

void vulkan_flights_finish(vulkan_device *v) {
    for (int i; (i = oldest(v)) >= 0;)
        vulkan_finish(v->device, v->slot[i].flight);
}
