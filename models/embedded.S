/* SPDX-License-Identifier: MIT */
/* embedded.S: files that are linked into the library as they are: the weights of the default
 * tokenizer and the table of published models. An assembler file, since assembly inside a C file
 * has no place in a link-time optimised build. Run through the C preprocessor; what the C side sees
 * is declared in model.h and catalog.c. */
#if defined(__CET__)
#include <cet.h> /* marks this object, which has no code, as fit for branch tracking */
#endif

#if defined(__APPLE__)
#define SYMBOL(name) _##name
#define HIDDEN .private_extern
    .const
#else
#define SYMBOL(name) name
#define HIDDEN .hidden
    .section .rodata, "a"
#endif

/* The bytes of a file between NAME and NAME_end. */
#define EMBED(name, file)                                                                          \
    .globl SYMBOL(name);                                                                           \
    HIDDEN SYMBOL(name);                                                                           \
    .globl SYMBOL(name##_end);                                                                     \
    HIDDEN SYMBOL(name##_end);                                                                     \
    .balign 64;                                                                                    \
    SYMBOL(name):;                                                                                 \
    .incbin file;                                                                                  \
    SYMBOL(name##_end):;                                                                           \
    .byte 0

EMBED(tsr_bundled_model, TESSERA_BUNDLED_MODEL)
EMBED(tsr_catalog_text, TESSERA_CATALOG)

#if defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
