# SPDX-License-Identifier: MIT
"""Items by rule, and the header of their files."""
import numpy as np

import tessera

HEADER = tessera.Header(tokenizer="test-16", family=1, weights_hash=77, codebook_size=1024, geometry="grid", rows=4,
                        columns=4, tile_width=64, tile_height=64)


def item(number, tokens=16, codes=1024, **further):
    """An item of HEADER: ids follow from its number."""
    ids = (np.arange(tokens, dtype=np.uint64) * 7919 + number * 104729) % codes
    return tessera.Item(key=f"sub/{number:05}.jpg", ids=ids.astype(np.uint32), counts=np.array([tokens], np.uint32),
                        source_width=64, source_height=48, width=64, height=64, **further)
