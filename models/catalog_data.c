/* SPDX-License-Identifier: MIT */
/* catalog_data.c: the table of published models, linked into the library as its file is. */
__asm__(".section .rodata\n"
        ".global tsr_catalog_text\n"
        ".global tsr_catalog_text_end\n"
        "tsr_catalog_text:\n"
        ".incbin \"" TESSERA_CATALOG "\"\n"
        "tsr_catalog_text_end:\n"
        ".byte 0\n"
        ".previous\n");
