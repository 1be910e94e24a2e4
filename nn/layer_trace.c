/* SPDX-License-Identifier: MIT */
/* layer_trace.c: see layer_trace.h. */
#include "layer_trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

tsr_tensor *tsr_layer_see(const tsr_layer_view *view, tsr_tensor *x, const char *format, ...) {
    char name[160];
    va_list args;
    if (!view->trace) return x;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    for (int i = 0; i < view->trace->count; ++i)
        if (!strcmp(view->trace->names[i], name)) view->seen[i] = x;
    return x;
}

tsr_tensor *tsr_layer_close(const tsr_layer_view *view, tsr_run *r, tsr_scope scope,
                            tsr_tensor *x) {
    return view->trace ? x : tsr_scope_close(r, scope, x);
}

int tsr_layer_trace_add(const tsr_layer_trace *trace, tsr_tensor *out, int count) {
    for (int i = 0; trace && i < trace->count; ++i)
        out[count++] = trace->out[i];
    return count;
}
