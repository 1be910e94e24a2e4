/* SPDX-License-Identifier: MIT */
/* conv_layouts.h: names and habits of the published convolutional autoencoders. */
#ifndef NN_CONV_LAYOUTS_H
#define NN_CONV_LAYOUTS_H

#include "conv_ae.h"

extern const tsr_conv_layout tsr_layout_maskgit[2]; /* names of KARL and MAGE, of 1d-tokenizer */
extern const tsr_conv_layout tsr_layout_taming;
extern const tsr_conv_layout tsr_layout_llamagen;
extern const tsr_conv_layout tsr_layout_karl_vae;
extern const tsr_conv_layout tsr_layout_diffusers[2]; /* names of AutoencoderKL, its old names */

#endif
