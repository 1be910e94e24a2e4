/* SPDX-License-Identifier: MIT */
/* maps.S: the vocabulary maps of maps.def, linked into the library as they are. Their folder is in
 * the include path, where .incbin looks too. */
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

/* The bytes of a map between tsr_vocab_map_text_NAME and tsr_vocab_map_text_end_NAME. */
#define MAP(name, known, file)                                                                          \
    .globl SYMBOL(tsr_vocab_map_text_##name);                                                      \
    HIDDEN SYMBOL(tsr_vocab_map_text_##name);                                                      \
    .globl SYMBOL(tsr_vocab_map_text_end_##name);                                                  \
    HIDDEN SYMBOL(tsr_vocab_map_text_end_##name);                                                  \
    SYMBOL(tsr_vocab_map_text_##name):;                                                            \
    .incbin file;                                                                                  \
    SYMBOL(tsr_vocab_map_text_end_##name):;                                                        \
    .byte 0;
#include "maps.def"

#if defined(__ELF__)
    .section .note.GNU-stack, "", %progbits
#endif
