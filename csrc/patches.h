/* Where a patch lies in a picture. */
#ifndef EDGE_PATCHES_H
#define EDGE_PATCHES_H

#include "edge_arithmetic.h"

#include <stddef.h>

#define EDGE_PIXEL 3
/* The patch side of most vision transformers: copies of known length need no call and no loop. */
#define EDGE_USUAL_PATCH 16
#define EDGE_USUAL_ROW (EDGE_USUAL_PATCH * EDGE_PIXEL)

/* Byte offset of a patch's first pixel. 32 bits, because small divisions are quick ones. */
EDGE_INLINE size_t edge_patch_offset(uint32_t index, uint32_t columns, size_t width, size_t patch)
{
    return (index / columns * patch * width + index % columns * patch) * EDGE_PIXEL;
}

#endif
