/* SPDX-License-Identifier: MIT */
/* page_assets.S: the style and the script of report pages and the page of `tessera serve`, linked in
 * as they are; what the C side sees is declared in report_page.c and serve_routes.c. Each ends with
 * a zero byte. */
#if defined(__CET__)
#include <cet.h> /* marks this object, which has no code, as fit for branch tracking */
#endif

#if defined(__APPLE__)
#define SYMBOL(name) _##name
    .const
#else
#define SYMBOL(name) name
    .section .rodata, "a"
#endif

#define EMBED(name, file)                                                                          \
    .globl SYMBOL(name);                                                                           \
    SYMBOL(name):;                                                                                 \
    .incbin file;                                                                                  \
    .byte 0

EMBED(report_style, TESSERA_REPORT_STYLE)
EMBED(report_script, TESSERA_REPORT_SCRIPT)
EMBED(serve_page, TESSERA_SERVE_PAGE)

#if defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
