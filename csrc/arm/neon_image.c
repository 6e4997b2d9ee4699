/* The two passes of a resize with NEON. A weight w is high * 2^16 + low, so a sum of products with bytes is one of 32
 * bits with the lower halves, to whose upper half one of 16 bits with the upper halves is added: all modulo 2^32, as
 * the specification has it, for any weights. */
#if defined(__aarch64__)

#include "../dispatch.h"
#include "horizontal.h"

#define STRIP 32

/* The upper halves of the sums of eight values. */
EDGE_INLINE uint16x8_t add_halves(uint32x4_t first, uint32x4_t second, uint16x8_t high)
{
    return vaddq_u16(vuzp2q_u16(vreinterpretq_u16_u32(first), vreinterpretq_u16_u32(second)), high);
}

/* One weight, its lower half first. */
EDGE_INLINE uint16x4_t load_weight(const int32_t *weight)
{
    return vreinterpret_u16_s32((int32x2_t){*weight, 0});
}

static void vertical_strip(const uint8_t *source, size_t stride, const int32_t *weights, size_t taps, uint8_t *out)
{
    uint32x4_t low[8];
    uint16x8_t high[4];
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        low[2 * i] = low[2 * i + 1] = vdupq_n_u32(1u << (EDGE_PRECISION_BITS - 1));
        high[i] = vdupq_n_u16(0);
    }
    for (size_t t = 0; t < taps; t++, source += stride) {
        uint16x4_t weight = load_weight(weights + t);
        uint8x16_t first = vld1q_u8(source), second = vld1q_u8(source + 16);
        uint16x8_t bytes[4] = {vmovl_u8(vget_low_u8(first)), vmovl_high_u8(first), vmovl_u8(vget_low_u8(second)),
                               vmovl_high_u8(second)};
#pragma GCC unroll 4
        for (size_t i = 0; i < 4; i++) {
            low[2 * i] = vmlal_lane_u16(low[2 * i], vget_low_u16(bytes[i]), weight, 0);
            low[2 * i + 1] = vmlal_high_lane_u16(low[2 * i + 1], bytes[i], weight, 0);
            high[i] = vmlaq_lane_u16(high[i], bytes[i], weight, 1);
        }
    }
#pragma GCC unroll 4
    for (size_t i = 0; i < 4; i++) {
        int16x8_t sums = vreinterpretq_s16_u16(add_halves(low[2 * i], low[2 * i + 1], high[i]));
        vst1_u8(out + 8 * i, vqshrun_n_s16(sums, EDGE_PRECISION_BITS - 16));
    }
}

int32_t edge_resample_vertical_neon(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                                    const int32_t *weights, size_t taps, size_t out_height, uint8_t *out)
{
    size_t stride = width * EDGE_CHANNELS;
    if (stride < STRIP)
        return edge_resample_vertical_scalar(image, height, width, bounds, weights, taps, out_height, out);
    if (!edge_taps_fit(bounds, out_height, taps, height))
        return EDGE_BAD_SIZE;
    for (size_t y = 0; y < out_height; y++, weights += taps, out += stride) {
        const uint8_t *source = image + (size_t)bounds[2 * y] * stride;
        size_t used = (size_t)bounds[2 * y + 1];
        for (size_t x = 0; x < stride - STRIP; x += STRIP)
            vertical_strip(source + x, stride, weights, used, out + x);
        /* The last strip may overlap the one before it. */
        vertical_strip(source + stride - STRIP, stride, weights, used, out + stride - STRIP);
    }
    return EDGE_OK;
}

/* Places of red, green and blue of two pixels among the loaded bytes, widened; 255 makes zero. */
static const uint8_t first_two[16] = {0, 255, 1, 255, 2, 255, 255, 255, 3, 255, 4, 255, 5, 255, 255, 255};
static const uint8_t last_two[16] = {6, 255, 7, 255, 8, 255, 255, 255, 9, 255, 10, 255, 11, 255, 255, 255};

/* A row's sums; of the upper halves' eight, two are of each colour. */
struct sums {
    uint32x4_t low;
    uint16x8_t high;
};

/* Four taps of every row, from byte `offset` on. */
EDGE_INLINE void add_taps(struct sums sums[EDGE_BLOCK_ROWS], const struct edge_block *block, size_t offset,
                          int32x4_t weights)
{
    const uint8x16_t first_places = vld1q_u8(first_two), last_places = vld1q_u8(last_two);
    uint16x8_t halves = vreinterpretq_u16_s32(weights);
    uint16x8_t first_high = vcombine_u16(vdup_laneq_u16(halves, 1), vdup_laneq_u16(halves, 3));
    uint16x8_t last_high = vcombine_u16(vdup_laneq_u16(halves, 5), vdup_laneq_u16(halves, 7));
#pragma GCC unroll 4
    for (size_t i = 0; i < EDGE_BLOCK_ROWS; i++) {
        uint8x16_t bytes = vld1q_u8(block->in[i] + offset);
        uint16x8_t first = vreinterpretq_u16_u8(vqtbl1q_u8(bytes, first_places));
        uint16x8_t last = vreinterpretq_u16_u8(vqtbl1q_u8(bytes, last_places));
        sums[i].low = vmlal_laneq_u16(sums[i].low, vget_low_u16(first), halves, 0);
        sums[i].low = vmlal_high_laneq_u16(sums[i].low, first, halves, 2);
        sums[i].low = vmlal_laneq_u16(sums[i].low, vget_low_u16(last), halves, 4);
        sums[i].low = vmlal_high_laneq_u16(sums[i].low, last, halves, 6);
        sums[i].high = vmlaq_u16(vmlaq_u16(sums[i].high, first, first_high), last, last_high);
    }
}

/* The upper halves of the sums of two rows. */
EDGE_INLINE uint16x8_t add_two(const struct sums *first, const struct sums *second)
{
    uint64x2_t even = vreinterpretq_u64_u16(first->high), odd = vreinterpretq_u64_u16(second->high);
    uint16x8_t high = vaddq_u16(vreinterpretq_u16_u64(vtrn1q_u64(even, odd)),
                                vreinterpretq_u16_u64(vtrn2q_u64(even, odd)));
    return add_halves(first->low, second->low, high);
}

static void resample_block(const struct edge_block *block, const int32_t *bounds, const int32_t *weights, size_t taps,
                           size_t out_width)
{
    for (size_t x = 0; x < out_width; x++, weights += taps) {
        size_t offset = (size_t)bounds[2 * x] * EDGE_CHANNELS, count = (size_t)bounds[2 * x + 1], t = 0;
        if (!edge_loads_fit(block, offset, count)) {
            edge_pixels_at_the_end(block, offset, weights, count, x);
            continue;
        }
        struct sums sums[EDGE_BLOCK_ROWS];
#pragma GCC unroll 4
        for (size_t i = 0; i < EDGE_BLOCK_ROWS; i++)
            sums[i] = (struct sums){vdupq_n_u32(1u << (EDGE_PRECISION_BITS - 1)), vdupq_n_u16(0)};
        for (; t + EDGE_TAPS_AT_ONCE <= count; t += EDGE_TAPS_AT_ONCE)
            add_taps(sums, block, offset + t * EDGE_CHANNELS, vld1q_s32(weights + t));
        if (t < count)
            add_taps(sums, block, offset + t * EDGE_CHANNELS, edge_few_weights(weights + t, count - t));
#pragma GCC unroll 2
        for (size_t i = 0; i < EDGE_BLOCK_ROWS; i += 2)
            edge_store_two(add_two(sums + i, sums + i + 1), block->out + i, x, x + 1 == out_width);
    }
}

int32_t edge_resample_horizontal_neon(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                                      const int32_t *weights, size_t taps, size_t out_width, uint8_t *out)
{
    return edge_resample_blocks(resample_block, image, height, width, bounds, weights, taps, out_width, out);
}

#endif
