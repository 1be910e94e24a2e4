/* SPDX-License-Identifier: MIT */
/* status.c: the texts of tsr_status, in one place. */
#include <tessera/status.h>

static const struct {
    tsr_status status;
    const char *name, *text;
} statuses[] = {
    {TSR_OK, "TSR_OK", "success"},
    {TSR_ERROR_ARGUMENT, "TSR_ERROR_ARGUMENT", "invalid argument"},
    {TSR_ERROR_STATE, "TSR_ERROR_STATE", "call out of order"},
    {TSR_ERROR_MEMORY, "TSR_ERROR_MEMORY", "out of memory"},
    {TSR_ERROR_TOO_LARGE, "TSR_ERROR_TOO_LARGE", "input is too large"},
    {TSR_ERROR_IO, "TSR_ERROR_IO", "input or output failed"},
    {TSR_ERROR_NOT_FOUND, "TSR_ERROR_NOT_FOUND", "not found"},
    {TSR_ERROR_NO_SPACE, "TSR_ERROR_NO_SPACE", "no space left"},
    {TSR_ERROR_EXISTS, "TSR_ERROR_EXISTS", "output exists"},
    {TSR_ERROR_FORMAT, "TSR_ERROR_FORMAT", "malformed data"},
    {TSR_ERROR_TRUNCATED, "TSR_ERROR_TRUNCATED", "data end too early"},
    {TSR_ERROR_CHECKSUM, "TSR_ERROR_CHECKSUM", "checksum does not match"},
    {TSR_ERROR_VERSION, "TSR_ERROR_VERSION", "unknown version"},
    {TSR_ERROR_DAMAGED, "TSR_ERROR_DAMAGED", "file is not whole"},
    {TSR_ERROR_MODEL, "TSR_ERROR_MODEL", "not a usable model"},
    {TSR_ERROR_MODEL_MISMATCH, "TSR_ERROR_MODEL_MISMATCH", "made by another model"},
    {TSR_ERROR_TOKENS, "TSR_ERROR_TOKENS", "tokens do not fit the model"},
    {TSR_ERROR_DEVICE, "TSR_ERROR_DEVICE", "device failure"},
    {TSR_ERROR_NO_DEVICE, "TSR_ERROR_NO_DEVICE", "no such device"},
    {TSR_ERROR_DEVICE_LOST, "TSR_ERROR_DEVICE_LOST", "device was lost"},
    {TSR_ERROR_UNSUPPORTED, "TSR_ERROR_UNSUPPORTED", "not supported"},
    {TSR_ERROR_INTERRUPTED, "TSR_ERROR_INTERRUPTED", "interrupted"},
};

const char *tsr_status_text(tsr_status status) {
    for (unsigned i = 0; i < sizeof statuses / sizeof *statuses; ++i)
        if (statuses[i].status == status) return statuses[i].text;
    return "unknown status";
}

const char *tsr_status_name(tsr_status status) {
    for (unsigned i = 0; i < sizeof statuses / sizeof *statuses; ++i)
        if (statuses[i].status == status) return statuses[i].name;
    return "TSR_ERROR_UNKNOWN";
}
