/* The horizontal pass of a resize, in blocks of four rows that share the loads of their weights. */
#ifndef EDGE_ARM_HORIZONTAL_H
#define EDGE_ARM_HORIZONTAL_H

#include "../image.h"

#include <arm_neon.h>

#define EDGE_BLOCK_ROWS 4
/* Taps that one load of pixels is for, and the bytes that it reads. */
#define EDGE_TAPS_AT_ONCE 4
#define EDGE_LOADED 16

/* Four rows, the last one repeated where there are fewer, and the bytes from the start of the lowest one to the end of
 * the picture. */
struct edge_block {
    const uint8_t *in[EDGE_BLOCK_ROWS];
    uint8_t *out[EDGE_BLOCK_ROWS];
    size_t room;
};

/* All output pixels of a block; the arguments are those of edge_resample_horizontal. */
typedef void edge_block_function(const struct edge_block *block, const int32_t *bounds, const int32_t *weights,
                                 size_t taps, size_t out_width);

EDGE_INLINE int32_t edge_resample_blocks(edge_block_function *resample, const uint8_t *image, size_t height,
                                         size_t width, const int32_t *bounds, const int32_t *weights, size_t taps,
                                         size_t out_width, uint8_t *out)
{
    if (!edge_taps_fit(bounds, out_width, taps, width))
        return EDGE_BAD_SIZE;
    size_t stride = width * EDGE_CHANNELS, out_stride = out_width * EDGE_CHANNELS;
    for (size_t top = 0; top < height; top += EDGE_BLOCK_ROWS) {
        struct edge_block block;
        for (size_t i = 0; i < EDGE_BLOCK_ROWS; i++) {
            size_t row = top + i < height ? top + i : height - 1;
            block.in[i] = image + row * stride;
            block.out[i] = out + row * out_stride;
            block.room = (height - row) * stride;
        }
        resample(&block, bounds, weights, taps, out_width);
    }
    return EDGE_OK;
}

/* Whether loads for `count` taps from byte `offset` of each row stay within the picture. */
EDGE_INLINE int edge_loads_fit(const struct edge_block *block, size_t offset, size_t count)
{
    size_t loads = (count + EDGE_TAPS_AT_ONCE - 1) / EDGE_TAPS_AT_ONCE;
    return loads == 0 || offset + (loads - 1) * EDGE_TAPS_AT_ONCE * EDGE_CHANNELS + EDGE_LOADED <= block->room;
}

/* One output pixel of every row where they do not. */
EDGE_INLINE void edge_pixels_at_the_end(const struct edge_block *block, size_t offset, const int32_t *weights,
                                        size_t count, size_t x)
{
    for (size_t i = 0; i < EDGE_BLOCK_ROWS; i++)
        edge_horizontal_pixel(block->in[i] + offset, weights, count, block->out[i] + x * EDGE_CHANNELS);
}

/* Fewer weights than four, then zeros. */
EDGE_INLINE int32x4_t edge_few_weights(const int32_t *weights, size_t count)
{
    int32x4_t few = vsetq_lane_s32(weights[0], vdupq_n_s32(0), 0);
    if (count > 1)
        few = vsetq_lane_s32(weights[1], few, 1);
    return count > 2 ? vsetq_lane_s32(weights[2], few, 2) : few;
}

/* But for the last pixel of a row, what is written beyond it is written over by the next. */
EDGE_INLINE void edge_store_pixel(uint32_t pixel, uint8_t *to, int last)
{
    if (last)
        memcpy(to, &pixel, EDGE_CHANNELS);
    else
        memcpy(to, &pixel, sizeof pixel);
}

/* Pixel `x` of two rows, from the upper halves of the sums for red, green, blue and nothing, in units of 2^-6. */
EDGE_INLINE void edge_store_two(uint16x8_t sums, uint8_t *const rows[2], size_t x, int last)
{
    uint8x8_t bytes = vqshrun_n_s16(vreinterpretq_s16_u16(sums), EDGE_PRECISION_BITS - 16);
    edge_store_pixel(vget_lane_u32(vreinterpret_u32_u8(bytes), 0), rows[0] + x * EDGE_CHANNELS, last);
    edge_store_pixel(vget_lane_u32(vreinterpret_u32_u8(bytes), 1), rows[1] + x * EDGE_CHANNELS, last);
}

#endif
