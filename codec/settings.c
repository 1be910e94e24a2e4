/* SPDX-License-Identifier: MIT */
/* settings.c: the defaults of every call that has settings. */
#include <tessera/tessera.h>

tsr_tokenizer_settings tsr_tokenizer_settings_default(void) {
    return (tsr_tokenizer_settings){0};
}

tsr_encode_settings tsr_encode_settings_default(void) {
    return (tsr_encode_settings){.fit = TSR_FIT_AUTO, .background = {255, 255, 255}};
}

tsr_decode_settings tsr_decode_settings_default(void) {
    return (tsr_decode_settings){0};
}
