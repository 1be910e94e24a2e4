/* SPDX-License-Identifier: MIT */
/* conv_layouts.h: how the published convolutional autoencoders name their tensors. */
#ifndef NN_CONV_LAYOUTS_H
#define NN_CONV_LAYOUTS_H

#include "conv_ae.h"

extern const tsr_conv_layout tsr_layout_maskgit[2]; /* KARL's and MAGE's names, 1d-tokenizer's */
extern const tsr_conv_layout tsr_layout_taming;
extern const tsr_conv_layout tsr_layout_llamagen;
extern const tsr_conv_layout tsr_layout_karl_vae;
extern const tsr_conv_layout tsr_layout_diffusers[2]; /* AutoencoderKL's names, its old names */

#endif
