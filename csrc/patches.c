/* Patches out of a picture and back, and the bitmap that says which. */
#include "edge_kernels.h"

#include <string.h>

#define CHANNELS 3
/* The patch side of most vision transformers: a copy of known length is three 16-byte moves. */
#define USUAL_PATCH 16

static int in_grid(size_t height, size_t width, size_t patch, const uint16_t *indices, size_t k)
{
    size_t count = (height / patch) * (width / patch), beyond = 0;
    for (size_t i = 0; i < k; i++)
        beyond |= indices[i] >= count;
    return !beyond;
}

static size_t offset_of(size_t index, size_t width, size_t patch)
{
    size_t columns = width / patch;
    return ((index / columns) * patch * width + (index % columns) * patch) * CHANNELS;
}

int32_t edge_gather(const uint8_t *image, size_t height, size_t width, size_t patch, const uint16_t *indices,
                    size_t k, uint8_t *patches)
{
    if (patch == 0 || height % patch || width % patch)
        return EDGE_BAD_SIZE;
    if (!in_grid(height, width, patch, indices, k))
        return EDGE_BAD_INDEX;
    size_t stride = width * CHANNELS, row = patch * CHANNELS;
    for (size_t i = 0; i < k; i++) {
        const uint8_t *source = image + offset_of(indices[i], width, patch);
        if (patch == USUAL_PATCH)
            for (size_t y = 0; y < USUAL_PATCH; y++)
                memcpy(patches + y * USUAL_PATCH * CHANNELS, source + y * stride, USUAL_PATCH * CHANNELS);
        else
            for (size_t y = 0; y < patch; y++)
                memcpy(patches + y * row, source + y * stride, row);
        patches += patch * row;
    }
    return EDGE_OK;
}

int32_t edge_scatter(const uint8_t *patches, size_t patch, const uint16_t *indices, size_t k, uint8_t *image,
                     size_t height, size_t width)
{
    if (patch == 0 || height % patch || width % patch)
        return EDGE_BAD_SIZE;
    if (!in_grid(height, width, patch, indices, k))
        return EDGE_BAD_INDEX;
    size_t stride = width * CHANNELS, row = patch * CHANNELS;
    for (size_t i = 0; i < k; i++) {
        uint8_t *target = image + offset_of(indices[i], width, patch);
        for (size_t y = 0; y < patch; y++, patches += row)
            memcpy(target + y * stride, patches, row);
    }
    return EDGE_OK;
}

int32_t edge_pack_bitmap(const uint16_t *indices, size_t k, size_t count, uint8_t *bits)
{
    memset(bits, 0, (count + 7) / 8);
    for (size_t i = 0; i < k; i++) {
        if (indices[i] >= count || (i > 0 && indices[i] <= indices[i - 1]))
            return EDGE_BAD_INDEX;
        bits[indices[i] / 8] |= (uint8_t)(1u << (indices[i] % 8));
    }
    return EDGE_OK;
}

int32_t edge_unpack_bitmap(const uint8_t *bits, size_t count, uint16_t *out)
{
    if (count % 8 && bits[count / 8] >> (count % 8))
        return EDGE_BAD_PADDING;
    size_t number = 0;
    for (size_t i = 0; i < count; i++) {
        out[number] = (uint16_t)i;
        number += (bits[i / 8] >> (i % 8)) & 1u;
    }
    return (int32_t)number;
}
