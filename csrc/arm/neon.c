/* Attention and patches with NEON.
 *
 * A kernel is written for NEON where that needs at most three quarters of the instructions which gcc 12 -O3 makes of
 * the portable code; the compiler uses NEON, too. Of a typical call's instructions (`make count-aarch64`; stages on a map
 * of 40 × 28 × 28) there remain: both transforms of the feature coder 0.15, dequantise 0.16, load_map 0.18, uncode 0.24,
 * quantise 0.25, horizontal pass 0.37, code 0.47, mix 0.49, class_attention 0.59, uncertainty 0.61, vertical pass 0.64,
 * rollout 0.65, gather 0.66, softmax 0.69, store_map 0.73.
 *
 * Portable code stays where vectors were tried or have nothing to hold on to: an encoder of latents kept 0.96, because
 * its time goes into rANS; rANS, selection and bitmaps take each step from the one before; normalise looks a table up,
 * for which NEON has no instruction; scatter is the server's. */
#if defined(__aarch64__)

#include "../attention.h"
#include "../dispatch.h"
#include "../patches.h"

#include <arm_neon.h>

/* Groups of four lanes that share a pass over the heads. */
#define GROUPS 4

/* Four lanes of double. */
struct lanes {
    float64x2_t low, high;
};

EDGE_INLINE struct lanes add_four(struct lanes sums, const float *values)
{
    float32x4_t four = vld1q_f32(values);
    return (struct lanes){vaddq_f64(sums.low, vcvt_f64_f32(vget_low_f32(four))),
                          vaddq_f64(sums.high, vcvt_high_f64_f32(four))};
}

EDGE_INLINE void store_four(float *to, struct lanes lanes)
{
    vst1q_f32(to, vcvt_high_f32_f64(vcvt_f32_f64(lanes.low), lanes.high));
}

/* Divide by the sum. */
static int32_t renormalise(float *values, size_t count)
{
    struct lanes sums = {vdupq_n_f64(0.0), vdupq_n_f64(0.0)};
    size_t i = 0;
    for (; i + EDGE_LANES <= count; i += EDGE_LANES)
        sums = add_four(sums, values + i);
    edge_f64x4 lanes = {sums.low[0], sums.low[1], sums.high[0], sums.high[1]};
    for (; i < count; i++)
        lanes[i % EDGE_LANES] += (double)values[i];
    double total = edge_add_lanes(lanes);
    if (!(total > 0.0 && total < INFINITY))
        return EDGE_BAD_ATTENTION;
    double inverse = 1.0 / total;
    for (i = 0; i + EDGE_LANES <= count; i += EDGE_LANES) {
        float32x4_t four = vld1q_f32(values + i);
        struct lanes shares = {vmulq_n_f64(vcvt_f64_f32(vget_low_f32(four)), inverse),
                               vmulq_n_f64(vcvt_high_f64_f32(four), inverse)};
        store_four(values + i, shares);
    }
    for (; i < count; i++)
        values[i] = (float)((double)values[i] * inverse);
    return EDGE_OK;
}

/* Sums over heads, which are so many values apart, of sixteen neighbours from each. */
EDGE_INLINE void add_heads(struct lanes sums[GROUPS], const float *values, size_t heads, size_t apart)
{
#pragma GCC unroll 4
    for (size_t group = 0; group < GROUPS; group++)
        sums[group] = (struct lanes){vdupq_n_f64(0.0), vdupq_n_f64(0.0)};
    for (size_t head = 0; head < heads; head++, values += apart)
#pragma GCC unroll 4
        for (size_t group = 0; group < GROUPS; group++)
            sums[group] = add_four(sums[group], values + group * EDGE_LANES);
}

/* The same of one. */
EDGE_INLINE double add_heads_of_one(const float *value, size_t heads, size_t apart)
{
    double sum = 0.0;
    for (size_t head = 0; head < heads; head++)
        sum += (double)value[head * apart];
    return sum;
}

int32_t edge_class_attention_neon(const float *attention, size_t heads, size_t tokens, float *scores)
{
    size_t count = tokens - 1, i = 0;
    for (; i + GROUPS * EDGE_LANES <= count; i += GROUPS * EDGE_LANES) {
        struct lanes sums[GROUPS];
        add_heads(sums, attention + 1 + i, heads, tokens);
#pragma GCC unroll 4
        for (size_t group = 0; group < GROUPS; group++)
            store_four(scores + i + group * EDGE_LANES, sums[group]);
    }
    for (; i < count; i++)
        scores[i] = (float)add_heads_of_one(attention + 1 + i, heads, tokens);
    return renormalise(scores, count);
}

EDGE_INLINE void add_weighted(double *to, double weight, struct lanes lanes)
{
    vst1q_f64(to, vaddq_f64(vld1q_f64(to), vmulq_n_f64(lanes.low, weight)));
    vst1q_f64(to + 2, vaddq_f64(vld1q_f64(to + 2), vmulq_n_f64(lanes.high, weight)));
}

/* next += weight * the sum of one token's rows of all heads. */
static void add_row(double *next, double weight, const float *row, size_t heads, size_t tokens)
{
    size_t apart = tokens * tokens, j = 0;
    for (; j + GROUPS * EDGE_LANES <= tokens; j += GROUPS * EDGE_LANES) {
        struct lanes sums[GROUPS];
        add_heads(sums, row + j, heads, apart);
#pragma GCC unroll 4
        for (size_t group = 0; group < GROUPS; group++)
            add_weighted(next + j + group * EDGE_LANES, weight, sums[group]);
    }
    for (; j < tokens; j++)
        next[j] += weight * add_heads_of_one(row + j, heads, apart);
}

int32_t edge_rollout_neon(const float *attention, size_t layers, size_t heads, size_t tokens, double *scratch,
                          float *scores)
{
    double *row = scratch, *next = scratch + tokens;
    for (size_t j = 0; j < tokens; j++)
        row[j] = 0.0;
    row[0] = 1.0;
    for (size_t layer = layers; layer-- > 0;) {
        const float *a = attention + layer * heads * tokens * tokens;
        for (size_t j = 0; j < tokens; j++)
            next[j] = 0.0;
        for (size_t i = 0; i < tokens; i++)
            if (row[i] != 0.0)
                add_row(next, row[i], a + i * tokens, heads, tokens);
        for (size_t j = 0; j < tokens; j++)
            row[j] += next[j] / (double)heads;
    }
    for (size_t j = 1; j < tokens; j++)
        scores[j - 1] = (float)row[j];
    return renormalise(scores, tokens - 1);
}

void edge_gather_usual_neon(const uint8_t *image, size_t width, const uint16_t *indices, size_t k, uint8_t *patches)
{
    uint32_t columns = (uint32_t)(width / EDGE_USUAL_PATCH);
    size_t stride = width * EDGE_PIXEL;
    for (size_t i = 0; i < k; i++) {
        const uint8_t *source = image + edge_patch_offset(indices[i], columns, width, EDGE_USUAL_PATCH);
        for (size_t y = 0; y < EDGE_USUAL_PATCH; y++, source += stride, patches += EDGE_USUAL_ROW)
            vst1q_u8_x3(patches, vld1q_u8_x3(source));
    }
}

#endif
