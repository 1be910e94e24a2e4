/* SPDX-License-Identifier: MIT */
/* foreign_file.c: see foreign_file.h. */
#include "foreign_file.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* Kinds that begin with fixed bytes at a fixed place. */
static const struct {
    size_t at;
    const char *bytes;
    size_t size;
    const char *what;
} kinds[] = {
    {0, "GGUF", 4, "a GGUF file (llama.cpp): wanted the .safetensors it was made from"},
    {0, "ggml", 4, "a GGML file (llama.cpp): wanted the .safetensors it was made from"},
    {0, "lmgg", 4, "a GGML file (llama.cpp): wanted the .safetensors it was made from"},
    {0, "\x93NUMPY", 6, "a .npy array: wanted the .safetensors or .pth of the model"},
    {0, "\x89HDF\r\n\x1a\n", 8, "an HDF5 file (Keras, .h5): wanted the .safetensors or .pth"},
    {4, "TFL3", 4, "a TensorFlow Lite model: wanted the .safetensors or .pth it was made from"},
    {0, "\x1f\x8b", 2, "compressed by gzip: unpack it first (gunzip, or tar -xzf)"},
    {0, "\x28\xb5\x2f\xfd", 4, "compressed by zstd: unpack it first (unzstd)"},
    {0,
     "\xfd"
     "7zXZ",
     5, "compressed by xz: unpack it first (unxz)"},
    {0, "BZh", 3, "compressed by bzip2: unpack it first (bunzip2)"},
    {0, "7z\xbc\xaf\x27\x1c", 6, "a 7z archive: unpack it first"},
    {0, "Rar!", 4, "a RAR archive: unpack it first"},
    {0, "\x89PNG", 4, "a picture (PNG), not a model"},
    {0, "\xff\xd8\xff", 3, "a picture (JPEG), not a model"},
    {0, "\x89TSR", 4, "a token file of tessera, not a model"},
    {0, "%PDF", 4, "a PDF document, not a model"},
    {0,
     "\x7f"
     "ELF",
     4, "a program, not a model"},
};

static const char *skip_blanks(const char *text) {
    if (strncmp(text, "\xef\xbb\xbf", 3) == 0) text += 3;
    return text + strspn(text, " \t\r\n");
}

static bool begins(const char *text, const char *with) {
    return strncasecmp(text, with, strlen(with)) == 0;
}

/* Number behind a line's key, or 0. */
static unsigned long long number_after(const char *text, const char *key) {
    unsigned long long n = 0;
    const char *at = strstr(text, key);
    if (at) sscanf(at + strlen(key), "%20llu", &n);
    return n;
}

/* A value of a JSON text for people, shortened; control bytes are the failure text's to hide. */
static void json_error(const char *text, char *what, size_t size) {
    const char *at = strstr(text, "\"error\"");
    if (!at) at = strstr(text, "\"message\"");
    at = at ? strchr(at + 1, ':') : NULL;
    snprintf(what, size, "a JSON text%s%.*s%s: wanted a model's .safetensors or .pth",
             at ? " (error" : "", at ? (int)strcspn(at, "\n}") : 0, at ? at : "", at ? ")" : "");
}

/* Kinds that are text. */
static bool describe_text(const char *raw, uint64_t file_size, char *what, size_t size) {
    const char *text = skip_blanks(raw);
    if (begins(text, "version https://git-lfs.github.com/")) {
        snprintf(what, size,
                 "a git-lfs pointer (its size says %llu bytes), the file itself was not fetched: "
                 "run git lfs pull",
                 number_after(text, "\nsize "));
        return true;
    }
    if (begins(text, "<!doctype html") || begins(text, "<html") || begins(text, "<head")) {
        snprintf(
            what, size,
            "an HTML page (%llu bytes), as a failed download leaves it: download the file again",
            (unsigned long long)file_size);
        return true;
    }
    if (begins(text, "<?xml") || begins(text, "<Error>")) {
        snprintf(what, size, "an XML text%s: download the file again",
                 strstr(text, "AccessDenied") ? " (access denied)" : "");
        return true;
    }
    if ((*text == '{' && strchr("\" \t\r\n}", text[1])) ||
        (*text == '[' && strchr("{\"", text[1]))) {
        if (strstr(text, "\"weight_map\""))
            snprintf(what, size,
                     "an index of weights in several files, under another name: call it "
                     "model.safetensors.index.json, beside them");
        else
            json_error(text, what, size);
        return true;
    }
    static const char *const answers[] = {
        "Entry not found", "Repository not found", "Not Found",           "404",
        "Access to model", "Invalid username",     "Invalid credentials", "Unauthorized",
        "Forbidden",       "Access denied",        "Too Many Requests",   "Rate limit"};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; ++i)
        if (begins(text, answers[i]) && file_size < 4096) {
            snprintf(what, size, "a server's answer (\"%.*s\"): download the file again",
                     (int)strcspn(text, "\r\n") < 80 ? (int)strcspn(text, "\r\n") : 80, text);
            return true;
        }
    return false;
}

/* ONNX: a protocol buffer that begins with the version of its format and the name of its maker, or
 * its graph. */
static bool is_onnx(const uint8_t *b, size_t size) {
    if (size < 16 || b[0] != 8 || b[1] < 1 || b[1] > 32 || b[2] != 0x12 || b[3] < 3 || b[3] > 64)
        return false;
    for (int i = 0; i < 3; ++i)
        if (b[4 + i] < 'A' || b[4 + i] > 'z') return false;
    return true;
}

tsr_status tsr_foreign_refuse(tsr_context *ctx, const char *name, const uint8_t *bytes, size_t size,
                              uint64_t file_size) {
    char text[TSR_FOREIGN_BYTES + 1], what[400] = "";
    size = size < TSR_FOREIGN_BYTES ? size : TSR_FOREIGN_BYTES;
    memcpy(text, bytes, size);
    text[size] = 0;
    if (file_size == 0)
        return tsr_fail(ctx, TSR_ERROR_TRUNCATED,
                        "%s: wanted weights, got an empty file: download it again", name);
    /* A length below 2^32 and '{' is a .safetensors, whatever the length spells. */
    if (size > 8 && !(bytes[4] | bytes[5] | bytes[6] | bytes[7]) && bytes[8] == '{') return TSR_OK;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds && !*what; ++i)
        if (size >= kinds[i].at + kinds[i].size &&
            memcmp(bytes + kinds[i].at, kinds[i].bytes, kinds[i].size) == 0)
            snprintf(what, sizeof what, "%s", kinds[i].what);
    if (!*what) describe_text(text, file_size, what, sizeof what);
    if (!*what && is_onnx(bytes, size))
        snprintf(what, sizeof what,
                 "an ONNX model: wanted the .safetensors or .pth it was made from");
    if (!*what && size >= 2 && bytes[0] == 0x80 && bytes[1] >= 2 && bytes[1] <= 5 && size >= 8 &&
        bytes[7] != 0)
        snprintf(
            what, sizeof what,
            "a plain pickle, not one of torch.save: in Python, torch.save the dict of tensors");
    if (!*what) return TSR_OK;
    return tsr_fail(ctx, TSR_ERROR_FORMAT, "%s: wanted weights, got %s", name, what);
}
