/* SPDX-License-Identifier: MIT */
/* bundled.c: the weights of the default tokenizer, linked into the library as they are in the file.
 */
__asm__(".section .rodata\n"
        ".global tsr_bundled_model\n"
        ".global tsr_bundled_model_end\n"
        ".balign 64\n"
        "tsr_bundled_model:\n"
        ".incbin \"" TESSERA_BUNDLED_MODEL "\"\n"
        "tsr_bundled_model_end:\n"
        ".byte 0\n"
        ".previous\n");
