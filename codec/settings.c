/* SPDX-License-Identifier: MIT */
/* settings.c: the defaults of every call that has settings. */
#include <tessera/tessera.h>

tsr_model_settings tsr_model_settings_default(void) {
    return (tsr_model_settings){0};
}

tsr_fit_settings tsr_fit_settings_default(void) {
    return (tsr_fit_settings){.background = {255, 255, 255}};
}

tsr_encode_settings tsr_encode_settings_default(void) {
    return (tsr_encode_settings){.fit = tsr_fit_settings_default()};
}

tsr_decode_settings tsr_decode_settings_default(void) {
    return (tsr_decode_settings){0};
}

tsr_encode_files_settings tsr_encode_files_settings_default(void) {
    return (tsr_encode_files_settings){.model = tsr_model_settings_default(),
                                       .encode = tsr_encode_settings_default(),
                                       .file = tsr_token_writer_settings_default()};
}

tsr_decode_file_settings tsr_decode_file_settings_default(void) {
    return (tsr_decode_file_settings){.model = tsr_model_settings_default(),
                                      .decode = tsr_decode_settings_default()};
}
