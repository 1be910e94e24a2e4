/* SPDX-License-Identifier: MIT */
/* hub.c: see hub.h. */
#include "hub.h"

#include <stdlib.h>
#include <string.h>

static const char official[] = "https://huggingface.co";

static bool is_true(const char *value) {
    static const char *const words[] = {"1", "on", "yes", "true"};
    for (size_t i = 0; value && i < sizeof words / sizeof *words; ++i)
        if (strcasecmp(value, words[i]) == 0) return true;
    return false;
}

/* Copies a value without the blanks around it; false when it is too long, or when it holds what
 * would end a line of a request. */
static bool take(const char *value, char *text, size_t size) {
    value += strspn(value, " \t\r\n");
    size_t n = strlen(value);
    while (n && strchr(" \t\r\n", value[n - 1]))
        --n;
    if (n >= size) return false;
    for (size_t i = 0; i < n; ++i)
        if ((unsigned char)value[i] <= 0x20 || (unsigned char)value[i] >= 0x7F) return false;
    memcpy(text, value, n);
    text[n] = 0;
    return true;
}

int hub_read_settings(const verb *v, hub_settings *hub) {
    const char *endpoint = getenv("HF_ENDPOINT"), *token = getenv("HF_TOKEN");
    *hub = (hub_settings){.offline = is_true(getenv("HF_HUB_OFFLINE"))};
    /* Its value is a secret: it is not repeated. */
    if (token && !take(token, hub->token, sizeof hub->token))
        return args_wrong(v, "HF_TOKEN: wanted below %zu printable characters, got something else",
                          sizeof hub->token);
    if (!endpoint || !*endpoint) endpoint = official;
    const bool plain = take(endpoint, hub->endpoint, sizeof hub->endpoint);
    size_t n = strlen(hub->endpoint);
    while (n && hub->endpoint[n - 1] == '/')
        hub->endpoint[--n] = 0;
    if (!plain || (strncmp(hub->endpoint, "https://", 8) && strncmp(hub->endpoint, "http://", 7)))
        return args_wrong(v, "HF_ENDPOINT: wanted an address of https:// or http://, got '%s'",
                          endpoint);
    return -1;
}

bool hub_address(const hub_settings *hub, const char *url, char *address, size_t size) {
    const size_t n = sizeof official - 1;
    const bool ours = strncmp(url, official, n) == 0 && url[n] == '/';
    snprintf(address, size, "%s%s", ours ? hub->endpoint : "", ours ? url + n : url);
    return ours;
}
