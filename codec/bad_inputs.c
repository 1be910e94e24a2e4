/* SPDX-License-Identifier: MIT */
/* bad_inputs.c: see bad_inputs.h. */
#include "bad_inputs.h"

#include <stdio.h>

tsr_status tsr_bad_input(tsr_bad_inputs *b, const char *name, tsr_status status,
                         const char *detail) {
    if (!(*b->count)++) {
        b->status = status;
        snprintf(b->detail, sizeof b->detail, "%s", detail);
    }
    const tsr_encode_failure failure = {name, status, detail};
    if (b->tell) b->tell(b->tell_user, &failure);
    return b->on_error == TSR_ON_ERROR_SKIP ? TSR_OK : tsr_fail(b->ctx, status, "%.1000s", detail);
}

tsr_status tsr_bad_input_now(tsr_bad_inputs *b, const char *name, tsr_status status) {
    char detail[1024]; /* the context's own text may be written anew */
    snprintf(detail, sizeof detail, "%s", tsr_detail(b->ctx));
    return tsr_bad_input(b, name, status, detail);
}

tsr_status tsr_bad_inputs_fail(const tsr_bad_inputs *b) {
    return tsr_fail(b->ctx, b->status, "%s", b->detail);
}
