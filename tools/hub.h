/* SPDX-License-Identifier: MIT */
/* hub.h: what the environment says about Hugging Face's hub, as Hugging Face's own tools take it:
 * HF_ENDPOINT (another server that answers as the hub does), HF_TOKEN (a login) and HF_HUB_OFFLINE
 * (no connection at all). */
#ifndef TOOLS_HUB_H
#define TOOLS_HUB_H

#include "tool.h"

typedef struct hub_settings {
    char endpoint[512]; /* without a slash at the end */
    char token[512];    /* "": none */
    bool offline;
} hub_settings;

/* Reads the environment. Returns -1, or the exit code after a value that makes no sense. */
int hub_read_settings(const verb *v, hub_settings *hub);
/* Writes the address to ask for `url` into `address`: the endpoint stands in place of
 * https://huggingface.co, every other address stays as it is. Returns whether it is one of the
 * endpoint's, which alone may see the token. */
bool hub_address(const hub_settings *hub, const char *url, char *address, size_t size);

#endif
