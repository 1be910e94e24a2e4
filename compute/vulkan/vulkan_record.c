/* SPDX-License-Identifier: MIT */
/* vulkan_record.c: a model function becomes a command buffer.
 *
 * 1. Walk: each op is written down as a step; tensors get numbers, and the steps between which each
 *    is needed. 2. Describe: each op says which dispatches it wants. 3. Plan: activations get
 *    places, all sizes are summed, checked and logged before anything is allocated. 4. Upload
 *    weights that are not on the device yet. 5. Record: inputs in, dispatches with barriers where a
 *    place is touched again, outputs out (vulkan_commands.c). */
#include "vulkan_builder.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- 1. walk ---- */

static tsr_status add_node(vulkan_builder *b, vulkan_node node, tsr_tensor *t) {
    void *list = vulkan_grown(b->v->device->ctx, b->nodes, b->node_count, &b->node_capacity,
                              sizeof *b->nodes);
    if (!list) return TSR_ERROR_MEMORY;
    b->nodes = list;
    t->node = b->node_count;
    b->nodes[b->node_count++] = node;
    return TSR_OK;
}

static size_t bytes_of(const tsr_tensor *t) {
    return (size_t)tsr_elements(t) * tsr_dtype_bytes(t->dtype);
}

tsr_status vulkan_run_make(tsr_run *run, tsr_tensor *t) {
    vulkan_node node = {.kind = VULKAN_NODE_MADE, .bytes = bytes_of(t), .first = -1};
    return add_node(run->recording, node, t);
}

tsr_status vulkan_run_weight(tsr_run *run, tsr_tensor *t, tsr_weight *w, bool kernel) {
    vulkan_builder *b = run->recording;
    for (int i = 0; i < b->node_count; ++i)
        if (b->nodes[i].kind == VULKAN_NODE_WEIGHT && b->nodes[i].weight == w &&
            b->nodes[i].kernel == kernel) {
            t->node = i;
            return TSR_OK;
        }
    vulkan_node node = {
        .kind = VULKAN_NODE_WEIGHT, .bytes = bytes_of(t), .weight = w, .kernel = kernel};
    return add_node(b, node, t);
}

static void touch(vulkan_builder *b, const tsr_tensor *t) {
    if (!t) return;
    vulkan_node *n = &b->nodes[t->node];
    if (n->first < 0) n->first = b->step_count;
    if (n->last < b->step_count) n->last = b->step_count;
}

tsr_status vulkan_run_emit(tsr_run *run, const tsr_call *call) {
    vulkan_builder *b = run->recording;
    tsr_context *ctx = b->v->device->ctx;
    for (int i = 0; i < call->in_count + call->out_count; ++i) {
        const tsr_tensor *t = i < call->in_count ? call->in[i] : call->out[i - call->in_count];
        if (t && (t->rank < 1 || t->node < 0 || t->node >= b->node_count))
            return tsr_fail(ctx, TSR_ERROR_STATE, "%s: operand %d: wanted a tensor of this run",
                            call->op->name, i);
    }
    void *list = vulkan_grown(ctx, b->steps, b->step_count, &b->step_capacity, sizeof *b->steps);
    if (!list) return TSR_ERROR_MEMORY;
    b->steps = list;
    vulkan_step *s = &b->steps[b->step_count];
    *s = (vulkan_step){.call = *call};
    if (call->table_bytes) {
        void *copy = tsr_alloc(ctx, 1, call->table_bytes, "table");
        if (!copy) return TSR_ERROR_MEMORY;
        memcpy(copy, call->table, call->table_bytes);
        s->call.table = copy;
    }
    for (int i = 0; i < call->in_count; ++i)
        touch(b, call->in[i]);
    for (int i = 0; i < call->out_count; ++i)
        touch(b, call->out[i]);
    ++b->step_count;
    return TSR_OK;
}

static void builder_free(vulkan_builder *b) {
    for (int i = 0; i < b->step_count; ++i) {
        if (b->steps[i].call.table_bytes) free((void *)b->steps[i].call.table);
        free(b->steps[i].dispatches);
    }
    free(b->steps);
    free(b->nodes);
    free(b->ranges);
}

/* ---- 2. describe ---- */

static tsr_status refuse(vulkan_builder *b, const vulkan_step *s) {
    char text[TSR_CALL_TENSORS * 100] = "", shape[96];
    size_t at = 0;
    for (int i = 0; i < s->call.in_count && at < sizeof text; ++i)
        if (s->call.in[i])
            at += (size_t)snprintf(text + at, sizeof text - at, " %s",
                                   tsr_shape_text(s->call.in[i], shape, sizeof shape));
    return tsr_fail(b->v->device->ctx, TSR_ERROR_UNSUPPORTED, "%s: device %s has no form for%s",
                    s->call.op->name, b->v->device->name, text);
}

static tsr_status check_dispatch(vulkan_builder *b, const vulkan_step *s,
                                 const tsr_gpu_dispatch *d) {
    tsr_context *ctx = b->v->device->ctx;
    const char *op = s->call.op->name;
    if (!d->variant || d->bind_count < 1 || d->bind_count > TSR_CALL_TENSORS || d->spec_count < 0 ||
        d->spec_count > 16 || d->push_bytes + 4u * (uint32_t)d->bind_count > 128)
        return tsr_fail(ctx, TSR_ERROR_DEVICE, "%s: malformed dispatch", op);
    for (int i = 0; i < 3; ++i)
        if (d->groups[i] < 1 || d->groups[i] > 65535)
            return tsr_fail(ctx, TSR_ERROR_TOO_LARGE, "%s: %s: wanted 1 to 65535 groups, got %u",
                            op, d->variant, d->groups[i]);
    if (tsr_device_masked(b->v->device, d->variant))
        return tsr_fail(ctx, TSR_ERROR_UNSUPPORTED, "%s: %s is masked and nothing else fits", op,
                        d->variant);
    for (int i = 0; i < d->bind_count; ++i) {
        const tsr_tensor *t = vulkan_bound(&s->call, d->bind[i]);
        if (!t && !(d->bind[i] == VULKAN_BIND_TABLE && s->call.table_bytes))
            return tsr_fail(ctx, TSR_ERROR_DEVICE, "%s: %s: binding %d: wanted a tensor, got none",
                            op, d->variant, i);
        size_t bytes = s->call.table_bytes;
        if (t) {
            vulkan_node *n = &b->nodes[t->node];
            const vulkan_form form = vulkan_form_of(d->bind[i]);
            if (form && n->kind != VULKAN_NODE_WEIGHT)
                return tsr_fail(ctx, TSR_ERROR_DEVICE, "%s: %s: binding %d: wanted a weight", op,
                                d->variant, i);
            n->form[form].needed = true;
            if (form) b->v->device->fast_used = true;
            bytes = vulkan_form_bytes(n, form);
        }
        if (vulkan_round(bytes, 16) > b->v->device->info.max_storage_range)
            return tsr_fail(
                ctx, TSR_ERROR_TOO_LARGE,
                "%s: %s: binding %d: wanted at most %llu bytes (the device's limit), got %zu", op,
                d->variant, i, (unsigned long long)b->v->device->info.max_storage_range, bytes);
    }
    return TSR_OK;
}

static tsr_status describe(vulkan_builder *b, vulkan_recording *r) {
    for (int i = 0; i < b->step_count; ++i) {
        vulkan_step *s = &b->steps[i];
        tsr_gpu_dispatch list[TSR_MAX_DISPATCHES];
        memset(list, 0, sizeof list);
        int count = s->call.op->gpu ? s->call.op->gpu(&s->call, &b->v->caps, list) : 0;
        if (count < 1 || count > TSR_MAX_DISPATCHES) return refuse(b, s);
        s->dispatches = tsr_alloc(b->v->device->ctx, (size_t)count, sizeof *list, "dispatches");
        if (!s->dispatches) return TSR_ERROR_MEMORY;
        memcpy(s->dispatches, list, (size_t)count * sizeof *list);
        s->dispatch_count = count;
        r->pace.work += vulkan_work(&s->call);
        for (int k = 0; k < count; ++k) {
            tsr_status status = check_dispatch(b, s, &list[k]);
            if (status) return status;
            const uint32_t pieces = vulkan_pace_cut(r, s, &s->dispatches[k]);
            b->cut_count += pieces > 1;
            b->piece_count += pieces > 1 ? (int)pieces : 0;
            ++b->dispatch_count;
            b->binding_count += list[k].bind_count;
        }
        if (s->call.table_bytes) {
            s->table_at = b->table_bytes;
            b->table_bytes += vulkan_round(s->call.table_bytes, VULKAN_ALIGN);
        }
    }
    return TSR_OK;
}

/* ---- 3. plan ---- */

static size_t chunk_limit(const vulkan_device *v) {
    uint64_t most = (uint64_t)4 << 30, device = v->device->info.max_allocation;
    if (device && device < most) most = device;
    return (size_t)(most / VULKAN_ALIGN * VULKAN_ALIGN);
}

static tsr_status place_nodes(vulkan_builder *b) {
    tsr_context *ctx = b->v->device->ctx;
    bool guard = b->v->device->settings.guard;
    vulkan_item *items = tsr_alloc(ctx, (size_t)b->node_count, sizeof *items, "plan");
    if (!items) return TSR_ERROR_MEMORY;
    int count = 0;
    for (int i = 0; i < b->node_count; ++i) {
        const vulkan_node *n = &b->nodes[i];
        if (n->kind == VULKAN_NODE_WEIGHT || n->first < 0) continue;
        size_t size = vulkan_round(n->bytes, VULKAN_ALIGN);
        if (guard) size += 2 * VULKAN_BAND;
        items[count++] =
            (vulkan_item){size, guard ? 0 : n->first, guard ? INT_MAX : n->last, {0, 0}};
        b->activation_sum += size;
    }
    tsr_status status = vulkan_plan(ctx, items, count, chunk_limit(b->v), b->chunk_sizes,
                                    VULKAN_MAX_CHUNKS, &b->chunk_count);
    for (int i = 0, k = 0; i < b->node_count && !status; ++i) {
        vulkan_node *n = &b->nodes[i];
        if (n->kind == VULKAN_NODE_WEIGHT || n->first < 0) continue;
        n->place = items[k++].place;
        if (guard) n->place.offset += VULKAN_BAND;
    }
    if (guard) b->fenced = count;
    free(items);
    return status;
}

static tsr_status check_budget(vulkan_builder *b, size_t new_weights) {
    vulkan_device *v = b->v;
    tsr_device *d = v->device;
    uint64_t activations = 0, weights = 0;
    for (int i = 0; i < b->chunk_count; ++i) {
        b->arena_bytes += b->chunk_sizes[i];
        uint64_t now = i < v->chunk_count ? v->chunks[i].size : 0;
        activations += now > b->chunk_sizes[i] ? now : b->chunk_sizes[i];
    }
    for (int i = 0; i < v->block_count; ++i)
        weights += v->blocks[i].buffer.size;
    uint64_t total = activations + weights + new_weights + b->table_bytes + b->staging_bytes;
    const char *name = b->program->name ? b->program->name : "program";
    tsr_log(d->ctx, TSR_LOG_INFO,
            "%s on %s: %d ops, %d dispatches, activations %zu bytes (%zu without reuse, %d of them "
            "f16) in %d chunks, statistics of %d norms from products, weights %llu bytes (%zu "
            "new), tables %zu, staging %zu",
            name, d->name, b->step_count, b->dispatch_count, b->arena_bytes, b->activation_sum,
            b->half_count, b->chunk_count, b->statistics_count,
            (unsigned long long)(weights + new_weights), new_weights, b->table_bytes,
            b->staging_bytes);
    uint64_t limit = d->info.memory_bytes;
    if (d->info.software && d->ctx->settings.memory_limit < limit)
        limit = d->ctx->settings.memory_limit;
    /* What others have taken counts as soon as more is to be allocated than the device holds. */
    const uint64_t held = vulkan_allocated(v);
    const uint64_t left =
        total > held ? vulkan_memory_free(v->instance, v->physical, &v->traits) : 0;
    const bool taken = left && held + left < limit;
    if (taken) limit = held + left;
    if (total <= limit) return TSR_OK;
    return tsr_fail(d->ctx, TSR_ERROR_TOO_LARGE,
                    "%s: device %s: wanted at most %llu bytes%s, got %llu (activations %llu, "
                    "weights %llu, staging %zu)",
                    name, d->name, (unsigned long long)limit,
                    taken ? ", as others use its memory, too" : "", (unsigned long long)total,
                    (unsigned long long)activations, (unsigned long long)(weights + new_weights),
                    b->staging_bytes);
}

static void lay_out_staging(vulkan_builder *b, vulkan_recording *r) {
    size_t at = 0;
    for (int i = 0; i < r->in_count; ++i) {
        r->in_at[i] = at;
        at += vulkan_round(bytes_of(&r->in[i]), 64);
    }
    for (int i = 0; i < r->out_count; ++i) {
        r->out_at[i] = at;
        if (r->wanted >> i & 1) at += vulkan_round(bytes_of(&r->made[i]), 64);
    }
    r->bands_at = at;
    r->band_count = b->fenced * 2;
    b->staging_bytes = at + (size_t)r->band_count * VULKAN_BAND;
}

/* Room in slot 0 for uploads to go through in few pieces. */
static VkDeviceSize room_for_uploads(size_t uploads) {
    const size_t piece = (size_t)8 << 20;
    return uploads < piece ? uploads : piece;
}

/* ---- 4. tables ---- */

static tsr_status upload_tables(vulkan_builder *b, vulkan_recording *r) {
    if (!b->table_bytes) return TSR_OK;
    tsr_status status = vulkan_buffer_open(b->v, &r->tables, b->table_bytes, false, "tables");
    for (int i = 0; i < b->step_count && !status; ++i)
        if (b->steps[i].call.table_bytes)
            status = vulkan_upload(b->v, &r->tables, b->steps[i].table_at, b->steps[i].call.table,
                                   b->steps[i].call.table_bytes);
    return status;
}

/* ---- all of it ---- */

void vulkan_recording_close(vulkan_device *v, vulkan_recording *r) {
    if (!r) return;
    if (r->command_count)
        v->vk.vkFreeCommandBuffers(v->handle, v->pool, (uint32_t)r->command_count, r->commands);
    free(r->commands);
    if (r->descriptors) v->vk.vkDestroyDescriptorPool(v->handle, r->descriptors, NULL);
    vulkan_buffer_close(v, &r->tables);
    vulkan_times_close(v, r);
    free(r);
}

void vulkan_recordings_drop(vulkan_device *v, const void *model, bool all) {
    for (vulkan_recording **at = &v->recordings; *at;) {
        vulkan_recording *r = *at;
        if (all || r->program.model == model) {
            *at = r->next;
            vulkan_recording_close(v, r);
        } else
            at = &r->next;
    }
}

static void drop_oldest(vulkan_device *v) {
    int count = 0;
    for (vulkan_recording **at = &v->recordings; *at;) {
        if (++count <= VULKAN_MAX_RECORDINGS) {
            at = &(*at)->next;
            continue;
        }
        vulkan_recording *r = *at;
        *at = r->next;
        vulkan_recording_close(v, r);
    }
}

/* Recordings point to the staging buffer and to the chunks: before either moves, all of them go. */
static tsr_status reserve_staging(vulkan_device *v, int slot, VkDeviceSize size) {
    if (vulkan_staging_fits(v, slot, size)) return TSR_OK;
    vulkan_recordings_drop(v, NULL, true);
    return vulkan_staging_reserve(v, slot, size);
}

static tsr_status reserve_chunks(vulkan_device *v, const size_t *sizes, int count) {
    if (vulkan_chunks_fit(v, sizes, count)) return TSR_OK;
    vulkan_recordings_drop(v, NULL, true);
    return vulkan_chunks_reserve(v, sizes, count);
}

static tsr_status walk(vulkan_builder *b, vulkan_recording *r) {
    tsr_device *d = b->v->device;
    tsr_tensor *inputs = b->inputs, *in[TSR_MAX_IO] = {0}, *made[TSR_MAX_IO];
    tsr_status status = TSR_OK;
    for (int i = 0; i < r->in_count && !status; ++i) {
        inputs[i] = r->in[i];
        in[i] = &inputs[i];
        vulkan_node node = {.kind = VULKAN_NODE_INPUT, .bytes = bytes_of(&inputs[i])};
        status = add_node(b, node, &inputs[i]);
        r->in[i].node = inputs[i].node;
    }
    tsr_run run = {.device = d, .recording = b};
    if (!status) status = tsr_run_walk(&run, b->program, in, made, r->out_count);
    for (int i = 0; i < r->out_count && !status; ++i) {
        r->made[i] = *made[i];
        if (made[i]->node < 0 || made[i]->node >= b->node_count)
            return tsr_fail(d->ctx, TSR_ERROR_STATE, "output %d: wanted a tensor of this run", i);
        if (!(r->wanted >> i & 1)) continue;
        vulkan_node *n = &b->nodes[made[i]->node];
        n->form[0].needed = true;
        if (n->first < 0) n->first = 0;
        n->last = INT_MAX;
    }
    /* ops look at their operands again when they are described, so the structs must live on */
    if (!status) status = vulkan_halves_choose(b, r);
    if (!status) status = vulkan_statistics_choose(b);
    if (!status) status = describe(b, r);
    tsr_arena_rewind(&d->data, (tsr_arena_mark){0});
    return status;
}

tsr_status vulkan_recording_make(vulkan_device *v, const vulkan_request *request,
                                 vulkan_recording **recording) {
    tsr_device *d = v->device;
    const tsr_program *program = request->program;
    vulkan_recording *r = tsr_alloc(d->ctx, 1, sizeof *r, "recording");
    if (!r) return TSR_ERROR_MEMORY;
    r->program = *program;
    r->program.name = NULL; /* the caller's text may go away */
    snprintf(r->name, sizeof r->name, "%s", program->name ? program->name : "program");
    r->in_count = request->in_count;
    r->out_count = request->out_count;
    r->wanted = request->wanted;
    r->slot = request->slot;
    for (int i = 0; i < r->in_count; ++i) {
        r->in[i] = request->in[i];
        r->in[i].data = NULL;
    }
    vulkan_pace_set(v, r);
    vulkan_builder b = {.v = v, .program = program};
    tsr_status status = walk(&b, r);
    if (!status) status = place_nodes(&b);
    if (!status) lay_out_staging(&b, r);
    if (!status) vulkan_traffic_log(&b);
    size_t new_weights = status ? 0 : vulkan_weights_to_come(&b);
    if (!status) status = check_budget(&b, new_weights);
    if (!status) status = reserve_staging(v, 0, room_for_uploads(new_weights + b.table_bytes));
    if (!status) status = reserve_staging(v, r->slot, b.staging_bytes);
    if (!status) status = vulkan_weights_upload(&b, new_weights);
    if (!status) status = upload_tables(&b, r);
    if (!status) status = reserve_chunks(v, b.chunk_sizes, b.chunk_count);
    if (!status) status = vulkan_times_make(&b, r);
    if (!status) status = vulkan_pipelines_make(&b);
    if (!status) status = vulkan_record_commands(&b, r);
    if (!status) status = vulkan_check_messages(v);
    if (!status)
        tsr_log(
            d->ctx, TSR_LOG_DEBUG,
            "%s on %s: %d barriers for %d dispatches, %d submissions; %d dispatches cut into %d",
            program->name ? program->name : "program", d->name, b.barrier_count, b.dispatch_count,
            r->command_count, b.cut_count, b.piece_count);
    r->arena_bytes = b.arena_bytes;
    builder_free(&b);
    tsr_arena_rewind(&d->nodes, (tsr_arena_mark){0});
    if (status) {
        vulkan_recording_close(v, r);
        return status;
    }
    r->next = v->recordings;
    v->recordings = r;
    drop_oldest(v);
    *recording = r;
    return TSR_OK;
}
