/* Patches out of a picture and back, and the bitmap that says which. */
#include "patches.h"
#include "dispatch.h"

#include <string.h>

static int in_grid(size_t height, size_t width, size_t patch, const uint16_t *indices, size_t k)
{
    size_t count = (height / patch) * (width / patch), beyond = 0;
    for (size_t i = 0; i < k; i++)
        beyond |= indices[i] >= count;
    return !beyond;
}

/* Copies rows of `row` bytes between places that are `stride` bytes apart. */
EDGE_INLINE void copy_rows(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride, size_t rows,
                           size_t row)
{
    for (size_t y = 0; y < rows; y++)
        memcpy(to + y * to_stride, from + y * from_stride, row);
}

void edge_gather_usual_scalar(const uint8_t *image, size_t width, const uint16_t *indices, size_t k,
                              uint8_t *patches)
{
    uint32_t columns = (uint32_t)(width / EDGE_USUAL_PATCH);
    for (size_t i = 0; i < k; i++, patches += EDGE_USUAL_PATCH * EDGE_USUAL_ROW) {
        const uint8_t *source = image + edge_patch_offset(indices[i], columns, width, EDGE_USUAL_PATCH);
        copy_rows(patches, EDGE_USUAL_ROW, source, width * EDGE_PIXEL, EDGE_USUAL_PATCH, EDGE_USUAL_ROW);
    }
}

int32_t edge_gather(const uint8_t *image, size_t height, size_t width, size_t patch, const uint16_t *indices,
                    size_t k, uint8_t *patches)
{
    if (patch == 0 || height % patch || width % patch)
        return EDGE_BAD_SIZE;
    if (!in_grid(height, width, patch, indices, k))
        return EDGE_BAD_INDEX;
    if (patch == EDGE_USUAL_PATCH) {
        edge_gather_usual(image, width, indices, k, patches);
        return EDGE_OK;
    }
    uint32_t columns = (uint32_t)(width / patch);
    size_t row = patch * EDGE_PIXEL;
    for (size_t i = 0; i < k; i++, patches += patch * row) {
        const uint8_t *source = image + edge_patch_offset(indices[i], columns, width, patch);
        copy_rows(patches, row, source, width * EDGE_PIXEL, patch, row);
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
    uint32_t columns = (uint32_t)(width / patch);
    size_t stride = width * EDGE_PIXEL, row = patch * EDGE_PIXEL;
    for (size_t i = 0; i < k; i++, patches += patch * row) {
        uint8_t *target = image + edge_patch_offset(indices[i], columns, width, patch);
        if (patch == EDGE_USUAL_PATCH)
            copy_rows(target, stride, patches, EDGE_USUAL_ROW, EDGE_USUAL_PATCH, EDGE_USUAL_ROW);
        else
            copy_rows(target, stride, patches, row, patch, row);
    }
    return EDGE_OK;
}

static int in_order(const uint16_t *indices, size_t k, size_t count)
{
    size_t wrong = k > 0 && indices[k - 1] >= count;
    for (size_t i = 1; i < k; i++)
        wrong |= indices[i] <= indices[i - 1];
    return !wrong;
}

int32_t edge_pack_bitmap(const uint16_t *indices, size_t k, size_t count, uint8_t *bits)
{
    size_t i = 0, bytes = (count + 7) / 8;
    /* A word at a time: setting bits in memory would wait for the store before. */
    for (size_t start = 0; start < bytes; start += 8) {
        uint64_t word = 0;
        for (; i < k && indices[i] / 64 == start / 8; i++)
            word |= (uint64_t)1 << (indices[i] % 64);
        for (size_t byte = start; byte < bytes && byte < start + 8; byte++, word >>= 8)
            bits[byte] = (uint8_t)word;
    }
    return in_order(indices, k, count) ? EDGE_OK : EDGE_BAD_INDEX;
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
