/* SPDX-License-Identifier: MIT */
/* token_zstd.c: byte planes through zstd, at the level that files are written with. */
#include "token_layout.h"

#include <zstd.h>

enum { ZSTD_LEVEL = 12 };

void tsr_token_zstd_free(tsr_token_zstd *z) {
    ZSTD_freeCCtx(z->compress);
    ZSTD_freeDCtx(z->decompress);
    *z = (tsr_token_zstd){0};
}

tsr_status tsr_token_zstd_put(tsr_context *ctx, tsr_token_zstd *z, const uint8_t *bytes,
                              size_t size, uint8_t *out, size_t room, size_t *coded) {
    if (!z->compress) z->compress = ZSTD_createCCtx();
    if (!z->compress) return tsr_fail(ctx, TSR_ERROR_MEMORY, "zstd: no memory for its state");
    ZSTD_CCtx_reset(z->compress, ZSTD_reset_session_and_parameters);
    ZSTD_CCtx_setParameter(z->compress, ZSTD_c_compressionLevel, ZSTD_LEVEL);
    ZSTD_CCtx_setParameter(z->compress, ZSTD_c_contentSizeFlag, 0);
    const size_t got = ZSTD_compress2(z->compress, out, room, bytes, size);
    *coded = ZSTD_isError(got) ? SIZE_MAX : got; /* mostly: it does not fit */
    return TSR_OK;
}

tsr_status tsr_token_zstd_get(tsr_context *ctx, tsr_token_zstd *z, uint8_t *bytes, size_t size,
                              const tsr_cursor *data) {
    if (!z->decompress) z->decompress = ZSTD_createDCtx();
    if (!z->decompress) return tsr_fail(ctx, TSR_ERROR_MEMORY, "zstd: no memory for its state");
    const size_t got =
        ZSTD_decompressDCtx(z->decompress, bytes, size, data->at, tsr_cursor_left(data));
    if (ZSTD_isError(got))
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "zstd: %s", ZSTD_getErrorName(got));
    if (got != size)
        return tsr_fail(ctx, TSR_ERROR_FORMAT, "zstd: wanted %zu bytes of planes, got %zu", size,
                        got);
    return TSR_OK;
}
