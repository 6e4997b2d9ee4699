/* Attention and patches with NEON. */
#if defined(__aarch64__)

#include "../attention.h"
#include "../dispatch.h"
#include "../patches.h"

#include <arm_neon.h>

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

int32_t edge_class_attention_neon(const float *attention, size_t heads, size_t tokens, float *scores)
{
    size_t count = tokens - 1, i = 0;
    const float *rows = attention + 1;
    for (; i + EDGE_LANES <= count; i += EDGE_LANES) {
        struct lanes sums = {vdupq_n_f64(0.0), vdupq_n_f64(0.0)};
        for (size_t head = 0; head < heads; head++)
            sums = add_four(sums, rows + head * tokens + i);
        store_four(scores + i, sums);
    }
    for (; i < count; i++) {
        double sum = 0.0;
        for (size_t head = 0; head < heads; head++)
            sum += (double)rows[head * tokens + i];
        scores[i] = (float)sum;
    }
    return renormalise(scores, count);
}

/* next += weight * the sum of one token's rows of all heads, which are a matrix apart. */
static void add_row(double *next, double weight, const float *row, size_t heads, size_t tokens)
{
    size_t matrix = tokens * tokens, j = 0;
    for (; j + EDGE_LANES <= tokens; j += EDGE_LANES) {
        struct lanes sums = {vdupq_n_f64(0.0), vdupq_n_f64(0.0)};
        for (size_t head = 0; head < heads; head++)
            sums = add_four(sums, row + head * matrix + j);
        vst1q_f64(next + j, vaddq_f64(vld1q_f64(next + j), vmulq_n_f64(sums.low, weight)));
        vst1q_f64(next + j + 2, vaddq_f64(vld1q_f64(next + j + 2), vmulq_n_f64(sums.high, weight)));
    }
    for (; j < tokens; j++) {
        double sum = 0.0;
        for (size_t head = 0; head < heads; head++)
            sum += (double)row[head * matrix + j];
        next[j] += weight * sum;
    }
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
#pragma GCC unroll 16
        for (size_t y = 0; y < EDGE_USUAL_PATCH; y++, source += stride, patches += EDGE_USUAL_ROW)
            vst1q_u8_x3(patches, vld1q_u8_x3(source));
    }
}

#endif
