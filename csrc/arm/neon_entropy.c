/* Uncertainty and softmax with NEON: the operations of entropy.h, two lanes of double at a time. What the compiler
 * makes of the four-lane code compares lane by lane. */
#if defined(__aarch64__)

#include "../dispatch.h"
#include "../entropy.h"

#include <arm_neon.h>

/* Over every other lane: (0, 1) or (2, 3). */
struct tally {
    float64x2_t rest, spread, nearest;
};

/* The label, and its logit in *best; EDGE_BAD_LOGITS for NaN, +inf, or nothing finite. A maximum with NaN is NaN. */
static int32_t find_label(const float *logits, size_t classes, float *best)
{
    float32x4_t tops[2] = {vdupq_n_f32(-INFINITY), vdupq_n_f32(-INFINITY)};
    size_t i = 0;
    for (; i + 8 <= classes; i += 8) {
        tops[0] = vmaxq_f32(tops[0], vld1q_f32(logits + i));
        tops[1] = vmaxq_f32(tops[1], vld1q_f32(logits + i + 4));
    }
    for (; i < classes; i++)
        tops[0] = vmaxq_f32(tops[0], vdupq_n_f32(logits[i]));
    float top = *best = vmaxvq_f32(vmaxq_f32(tops[0], tops[1]));
    if (!(top < INFINITY && top > -INFINITY))
        return EDGE_BAD_LOGITS;
    for (i = 0; i + 8 <= classes; i += 8) {
        uint32x4_t first = vceqq_f32(vld1q_f32(logits + i), vdupq_n_f32(top));
        uint32x4_t second = vceqq_f32(vld1q_f32(logits + i + 4), vdupq_n_f32(top));
        if (vmaxvq_u32(vorrq_u32(first, second)))
            break;
    }
    while (logits[i] != top)
        i++;
    return (int32_t)i;
}

/* e^-distance: see edge_exp and edge_decay, whose every rounding is repeated. */
EDGE_INLINE float64x2_t decay(float64x2_t distance)
{
    const float64x2_t magic = vdupq_n_f64(EDGE_ROUND_TO_INTEGER);
    float64x2_t x = vnegq_f64(distance), shifted = vaddq_f64(vmulq_n_f64(x, EDGE_LOG2_E), magic);
    float64x2_t k = vsubq_f64(shifted, magic);
    float64x2_t r = vsubq_f64(vsubq_f64(x, vmulq_n_f64(k, EDGE_LN2_HIGH)), vmulq_n_f64(k, EDGE_LN2_LOW));
    float64x2_t p = vdupq_n_f64(1.0 / 362880);
    p = vaddq_f64(vmulq_f64(p, r), vdupq_n_f64(1.0 / 40320));
    p = vaddq_f64(vmulq_f64(p, r), vdupq_n_f64(1.0 / 5040));
    p = vaddq_f64(vmulq_f64(p, r), vdupq_n_f64(1.0 / 720));
    p = vaddq_f64(vmulq_f64(p, r), vdupq_n_f64(1.0 / 120));
    p = vaddq_f64(vmulq_f64(p, r), vdupq_n_f64(1.0 / 24));
    p = vaddq_f64(vmulq_f64(p, r), vdupq_n_f64(1.0 / 6));
    p = vaddq_f64(vmulq_f64(p, r), vdupq_n_f64(1.0 / 2));
    p = vaddq_f64(vmulq_f64(p, r), vdupq_n_f64(1.0));
    int64x2_t exponent = vshlq_n_s64(vreinterpretq_s64_f64(shifted), 52);
    float64x2_t scale = vreinterpretq_f64_s64(vaddq_s64(exponent, vreinterpretq_s64_f64(vdupq_n_f64(1.0))));
    return vaddq_f64(scale, vmulq_f64(scale, vmulq_f64(p, r)));
}

/* No logit is NaN. */
EDGE_INLINE float64x2_t distance_from(float64x2_t best, float64x2_t logits)
{
    return vminq_f64(vsubq_f64(best, logits), vdupq_n_f64(EDGE_EXP_LIMIT));
}

EDGE_INLINE void tally_two(struct tally *tally, float64x2_t best, float64x2_t logits)
{
    float64x2_t distance = distance_from(best, logits), value = decay(distance);
    tally->rest = vaddq_f64(tally->rest, value);
    tally->spread = vaddq_f64(tally->spread, vmulq_f64(value, distance));
    tally->nearest = vminq_f64(distance, tally->nearest);
}

EDGE_INLINE void tally_four(struct tally tally[2], float64x2_t best, const float *logits)
{
    float32x4_t four = vld1q_f32(logits);
    tally_two(tally, best, vcvt_f64_f32(vget_low_f32(four)));
    tally_two(tally + 1, best, vcvt_high_f64_f32(four));
}

EDGE_INLINE edge_f64x4 join(float64x2_t low, float64x2_t high)
{
    edge_f64x4 lanes = {low[0], low[1], high[0], high[1]};
    return lanes;
}

static struct edge_tally tally_all(const float *logits, size_t classes, size_t label, double top)
{
    const struct tally nothing = {vdupq_n_f64(0.0), vdupq_n_f64(0.0), vdupq_n_f64(EDGE_EXP_LIMIT)};
    const float64x2_t best = vdupq_n_f64(top);
    struct tally tally[2] = {nothing, nothing};
    float block[EDGE_LANES];
    for (size_t start = 0; start < classes; start += EDGE_LANES) {
        const float *four = logits + start;
        if (start + EDGE_LANES > classes || start == label / EDGE_LANES * EDGE_LANES) {
            edge_masked_block(logits, classes, start, label, block);
            four = block;
        }
        tally_four(tally, best, four);
    }
    return (struct edge_tally){
        .rest = join(tally[0].rest, tally[1].rest),
        .spread = join(tally[0].spread, tally[1].spread),
        .nearest = join(tally[0].nearest, tally[1].nearest),
    };
}

int32_t edge_uncertainty_neon(const float *logits, size_t classes, struct edge_uncertainty *out)
{
    float best;
    int32_t label = find_label(logits, classes, &best);
    if (label < 0)
        return label;
    struct edge_tally tally = tally_all(logits, classes, (size_t)label, best);
    *out = edge_uncertainty_of(&tally);
    return label;
}

int32_t edge_softmax_neon(const float *logits, size_t classes, float *out)
{
    float top;
    int32_t label = find_label(logits, classes, &top);
    if (label < 0)
        return label;
    struct edge_tally tally = tally_all(logits, classes, (size_t)label, top);
    const float64x2_t best = vdupq_n_f64(top), inverse = vdupq_n_f64(1.0 / (1.0 + edge_add_lanes(tally.rest)));
    for (size_t start = 0; start < classes; start += EDGE_LANES) {
        size_t used = classes - start < EDGE_LANES ? classes - start : EDGE_LANES;
        float block[EDGE_LANES] = {0};
        if (used < EDGE_LANES)
            memcpy(block, logits + start, used * sizeof *block);
        float32x4_t four = vld1q_f32(used < EDGE_LANES ? block : logits + start);
        float64x2_t low = decay(distance_from(best, vcvt_f64_f32(vget_low_f32(four))));
        float64x2_t high = decay(distance_from(best, vcvt_high_f64_f32(four)));
        four = vcvt_high_f32_f64(vcvt_f32_f64(vmulq_f64(low, inverse)), vmulq_f64(high, inverse));
        if (used == EDGE_LANES)
            vst1q_f32(out + start, four);
        else
            memcpy(out + start, &four, used * sizeof *out);
    }
    return label;
}

#endif
