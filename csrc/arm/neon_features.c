/* The stages of the feature coder with NEON: 16-bit products are summed by widening multiply-adds, floats are clamped
 * and rounded four at a time. */
#if defined(__aarch64__)

#include "../feature_stages.h"

#include <arm_neon.h>

#define UNIT_BITS 14
/* Positions of a map that are transposed together. */
#define TILE 4

#define INLINE static inline __attribute__((always_inline))

/* Sums of sixteen channels. */
struct sums {
    int32x4_t quarter[4];
};

INLINE struct sums multiply_add(struct sums sums, int16x8_t low, int16x8_t high, int16_t weight)
{
    sums.quarter[0] = vmlal_n_s16(sums.quarter[0], vget_low_s16(low), weight);
    sums.quarter[1] = vmlal_high_n_s16(sums.quarter[1], low, weight);
    sums.quarter[2] = vmlal_n_s16(sums.quarter[2], vget_low_s16(high), weight);
    sums.quarter[3] = vmlal_high_n_s16(sums.quarter[3], high, weight);
    return sums;
}

/* In units of 2^-14, rounded half up, saturated. */
INLINE int16x8_t descale(int32x4_t first, int32x4_t second)
{
    return vqrshrn_high_n_s32(vqrshrn_n_s32(first, UNIT_BITS), second, UNIT_BITS);
}

/* `size` is a constant, so all inputs stay in registers. */
INLINE void transform(const struct edge_lines *lines, const int16_t *matrix, size_t size, size_t stride)
{
    size_t even = (size + 1) & ~(size_t)1;
    for (size_t first = 0; first < stride; first += 16) {
        int16x8_t low[EDGE_LARGEST_BLOCK], high[EDGE_LARGEST_BLOCK];
#pragma GCC unroll 8
        for (size_t i = 0; i < size; i++) {
            low[i] = vld1q_s16(lines->in[i] + first);
            high[i] = vld1q_s16(lines->in[i] + first + 8);
        }
        for (size_t k = 0; k < size; k++) {
            struct sums sums = {{vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)}};
#pragma GCC unroll 8
            for (size_t i = 0; i < size; i++)
                sums = multiply_add(sums, low[i], high[i], matrix[k * even + i]);
            vst1q_s16(lines->out[k] + first, descale(sums.quarter[0], sums.quarter[1]));
            vst1q_s16(lines->out[k] + first + 8, descale(sums.quarter[2], sums.quarter[3]));
        }
    }
}

/* The sizes that blocks of usual maps have. */
void edge_transform_neon(const struct edge_lines *lines, const int16_t *matrix, size_t size, size_t stride)
{
    if (size == 8)
        transform(lines, matrix, 8, stride);
    else if (size == 7)
        transform(lines, matrix, 7, stride);
    else if (size == 4)
        transform(lines, matrix, 4, stride);
    else
        edge_transform_scalar(lines, matrix, size, stride);
}

/* Two inputs of a row, as the lower lanes. */
INLINE int16x4_t load_pair(const int16_t *pair)
{
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return vreinterpret_s16_s32((int32x2_t){both, 0});
}

/* The weights of eight outputs, even and odd inputs apart, times two inputs. */
INLINE void mix_pair(int32x4_t sums[2], int16x8x2_t weights, int16x4_t pair)
{
    sums[0] = vmlal_lane_s16(sums[0], vget_low_s16(weights.val[0]), pair, 0);
    sums[0] = vmlal_lane_s16(sums[0], vget_low_s16(weights.val[1]), pair, 1);
    sums[1] = vmlal_high_lane_s16(sums[1], weights.val[0], pair, 0);
    sums[1] = vmlal_high_lane_s16(sums[1], weights.val[1], pair, 1);
}

/* Four rows share the loads of a matrix; fewer are done with the last one repeated. */
void edge_mix_neon(const int16_t *rows, size_t count, const int16_t *matrix, size_t stride, size_t outputs,
                   int32_t *sums)
{
    uint16_t pairs[EDGE_MOST_PAIRS + 1];
    size_t active = edge_active_pairs(rows, count, stride, pairs);
    const int16_t *in[EDGE_ROWS_AT_ONCE];
    int32_t *out[EDGE_ROWS_AT_ONCE];
    for (size_t row = 0; row < EDGE_ROWS_AT_ONCE; row++) {
        size_t taken = row < count ? row : count - 1;
        in[row] = rows + taken * stride;
        out[row] = sums + taken * stride;
    }
    for (size_t first = 0; first < outputs; first += 16) {
        int32x4_t tile[EDGE_ROWS_AT_ONCE][4];
#pragma GCC unroll 4
        for (size_t row = 0; row < EDGE_ROWS_AT_ONCE; row++)
            tile[row][0] = tile[row][1] = tile[row][2] = tile[row][3] = vdupq_n_s32(0);
        for (size_t i = 0; i < active; i++) {
            const int16_t *weights = matrix + 2 * (pairs[i] * stride + first);
            int16x8x2_t low = vld2q_s16(weights), high = vld2q_s16(weights + 16);
#pragma GCC unroll 4
            for (size_t row = 0; row < EDGE_ROWS_AT_ONCE; row++) {
                int16x4_t pair = load_pair(in[row] + 2 * pairs[i]);
                mix_pair(tile[row], low, pair);
                mix_pair(tile[row] + 2, high, pair);
            }
        }
#pragma GCC unroll 4
        for (size_t row = 0; row < EDGE_ROWS_AT_ONCE; row++)
#pragma GCC unroll 4
            for (size_t v = 0; v < 4; v++)
                vst1q_s32(out[row] + first + 4 * v, tile[row][v]);
    }
}

void edge_descale_neon(const int32_t *sums, size_t count, int16_t *out)
{
    for (size_t i = 0; i < count; i += 8)
        vst1q_s16(out + i, descale(vld1q_s32(sums + i), vld1q_s32(sums + i + 4)));
}

/* Of a number and NaN these two instructions give the number, so NaN becomes `low` as in the scalar clamp; no value here
 * is a signalling NaN. The conversion rounds half to even, whatever the processor's mode. */
INLINE int32x4_t clamp_and_round(float32x4_t values, float low, float high)
{
    values = vmaxnmq_f32(values, vdupq_n_f32(low));
    return vcvtnq_s32_f32(vminnmq_f32(values, vdupq_n_f32(high)));
}

/* Eight 32-bit integers as 16-bit ones; they fit. */
INLINE int16x8_t narrow(int32x4_t first, int32x4_t second)
{
    return vuzp1q_s16(vreinterpretq_s16_s32(first), vreinterpretq_s16_s32(second));
}

void edge_quantise_neon(const int32_t *sums, const float *inverse, size_t count, int16_t *out)
{
    for (size_t i = 0; i < count; i += 8) {
        float32x4_t first = vmulq_f32(vcvtq_f32_s32(vld1q_s32(sums + i)), vld1q_f32(inverse + i));
        float32x4_t second = vmulq_f32(vcvtq_f32_s32(vld1q_s32(sums + i + 4)), vld1q_f32(inverse + i + 4));
        vst1q_s16(out + i, narrow(clamp_and_round(first, -32767, 32767), clamp_and_round(second, -32767, 32767)));
    }
}

void edge_dequantise_neon(int16_t *values, const float *step, size_t count)
{
    for (size_t i = 0; i < count; i += 8) {
        int16x8_t levels = vld1q_s16(values + i);
        float32x4_t first = vmulq_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(levels))), vld1q_f32(step + i));
        float32x4_t second = vmulq_f32(vcvtq_f32_s32(vmovl_high_s16(levels)), vld1q_f32(step + i + 4));
        vst1q_s16(values + i, narrow(clamp_and_round(first, -32768, 32767), clamp_and_round(second, -32768, 32767)));
    }
}

int32_t edge_code_neon(const int16_t *levels, const uint16_t *middle, const int16_t *reach, size_t count,
                       uint16_t *out)
{
    uint16x8_t beyond = vdupq_n_u16(0);
    for (size_t d = 0; d < count; d += 8) {
        int16x8_t values = vld1q_s16(levels + d);
        beyond = vorrq_u16(beyond, vcgtq_s16(vqabsq_s16(values), vld1q_s16(reach + d)));
        vst1q_u16(out + d, vaddq_u16(vreinterpretq_u16_s16(values), vld1q_u16(middle + d)));
    }
    return vmaxvq_u16(beyond) != 0;
}

int32_t edge_uncode_neon(const uint16_t *symbols, const uint16_t *middle, const int16_t *reach, size_t count,
                         int16_t *levels)
{
    const int16x8_t largest = vdupq_n_s16(15);
    int16x8_t beyond = vdupq_n_s16(0);
    for (size_t d = 0; d < count; d += 8) {
        int16x8_t values = vreinterpretq_s16_u16(vsubq_u16(vld1q_u16(symbols + d), vld1q_u16(middle + d)));
        int16x8_t escapes = vreinterpretq_s16_u16(vcgtq_s16(values, largest));
        /* Negative where the symbol is an escape, or the reach says that low bits follow. */
        beyond = vorrq_s16(beyond, vorrq_s16(escapes, vld1q_s16(reach + d)));
        vst1q_s16(levels + d, values);
    }
    return vminvq_s16(beyond) < 0;
}

/* Four rows and columns change places. */
INLINE void transpose(float32x4_t rows[TILE])
{
    float64x2_t pairs[TILE];
#pragma GCC unroll 2
    for (size_t i = 0; i < TILE; i += 2) {
        pairs[i] = vreinterpretq_f64_f32(vtrn1q_f32(rows[i], rows[i + 1]));
        pairs[i + 1] = vreinterpretq_f64_f32(vtrn2q_f32(rows[i], rows[i + 1]));
    }
#pragma GCC unroll 2
    for (size_t i = 0; i < TILE / 2; i++) {
        rows[i] = vreinterpretq_f32_f64(vtrn1q_f64(pairs[i], pairs[i + 2]));
        rows[i + 2] = vreinterpretq_f32_f64(vtrn2q_f64(pairs[i], pairs[i + 2]));
    }
}

/* One value for each of eight channels. */
struct eight {
    float32x4_t half[2];
};

INLINE struct eight load_eight(const float *from)
{
    return (struct eight){{vld1q_f32(from), vld1q_f32(from + 4)}};
}

/* Adds NaN to `strange` where a value is not finite. */
INLINE int32x4_t scale(float32x4_t values, float32x4_t mean, float32x4_t factor, float32x4_t *strange)
{
    values = vmulq_f32(vsubq_f32(values, mean), factor);
    *strange = vfmaq_f32(*strange, values, vdupq_n_f32(0));
    return clamp_and_round(values, -16384, 16383);
}

/* Eight channels of a map that has at least four positions; the last tile overlaps the one before it. */
static float32x4_t load_channels(const float *map, size_t positions, const float *mean, const float *factor,
                                 size_t stride, int16_t *out)
{
    const struct eight means = load_eight(mean), factors = load_eight(factor);
    float32x4_t strange = vdupq_n_f32(0);
    for (size_t at = 0; at < positions; at += TILE) {
        size_t p = at + TILE <= positions ? at : positions - TILE;
        const float *from = map + p;
        int16_t *to = out + p * stride;
        float32x4_t tile[2 * TILE];
#pragma GCC unroll 8
        for (size_t c = 0; c < 2 * TILE; c++, from += positions)
            tile[c] = vld1q_f32(from);
        transpose(tile);
        transpose(tile + TILE);
#pragma GCC unroll 4
        for (size_t i = 0; i < TILE; i++, to += stride)
            vst1q_s16(to, narrow(scale(tile[i], means.half[0], factors.half[0], &strange),
                                 scale(tile[TILE + i], means.half[1], factors.half[1], &strange)));
    }
    return strange;
}

int32_t edge_load_map_neon(const float *map, size_t channels, size_t positions, const float *mean, const float *scale,
                           size_t stride, int16_t *out)
{
    if (positions < TILE || channels % 8)
        return edge_load_map_scalar(map, channels, positions, mean, scale, stride, out);
    float32x4_t strange = vdupq_n_f32(0);
    for (size_t c = 0; c < channels; c += 8)
        strange = vaddq_f32(strange, load_channels(map + c * positions, positions, mean + c, scale + c, stride,
                                                   out + c));
    for (size_t p = 0; p < positions && channels < stride; p++)
        memset(out + p * stride + channels, 0, (stride - channels) * sizeof *out);
    /* Only zeros were added: what is not zero is NaN. */
    return vminvq_u32(vceqzq_f32(strange)) ? EDGE_OK : EDGE_BAD_FEATURES;
}

INLINE float32x4_t unscale(int32x4_t values, float32x4_t mean, float32x4_t factor)
{
    return vaddq_f32(vmulq_f32(vcvtq_f32_s32(values), factor), mean);
}

/* Zero unless it is above. */
INLINE float32x4_t only_above(float32x4_t values, float32x4_t floor)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(values), vcgtq_f32(values, floor)));
}

/* Where it is a constant whether there is a floor, nothing asks again. */
INLINE void store_channels(const int16_t *in, size_t positions, const float *mean, const float *factor, size_t stride,
                           const float *floor, float *out)
{
    const struct eight means = load_eight(mean), factors = load_eight(factor);
    const struct eight floors = load_eight(floor ? floor : mean);
    for (size_t at = 0; at < positions; at += TILE) {
        size_t p = at + TILE <= positions ? at : positions - TILE;
        const int16_t *from = in + p * stride;
        float *to = out + p;
        float32x4_t tile[2 * TILE];
#pragma GCC unroll 4
        for (size_t i = 0; i < TILE; i++, from += stride) {
            int16x8_t values = vld1q_s16(from);
            tile[i] = unscale(vmovl_s16(vget_low_s16(values)), means.half[0], factors.half[0]);
            tile[TILE + i] = unscale(vmovl_high_s16(values), means.half[1], factors.half[1]);
            if (floor) {
                tile[i] = only_above(tile[i], floors.half[0]);
                tile[TILE + i] = only_above(tile[TILE + i], floors.half[1]);
            }
        }
        transpose(tile);
        transpose(tile + TILE);
#pragma GCC unroll 8
        for (size_t c = 0; c < 2 * TILE; c++, to += positions)
            vst1q_f32(to, tile[c]);
    }
}

void edge_store_map_neon(const int16_t *in, size_t channels, size_t positions, const float *mean, const float *unscale,
                         size_t stride, const float *floor, float *out)
{
    if (positions < TILE || channels % 8) {
        edge_store_map_scalar(in, channels, positions, mean, unscale, stride, floor, out);
        return;
    }
    for (size_t c = 0; c < channels; c += 8)
        if (floor)
            store_channels(in + c, positions, mean + c, unscale + c, stride, floor + c, out + c * positions);
        else
            store_channels(in + c, positions, mean + c, unscale + c, stride, NULL, out + c * positions);
}

#endif
