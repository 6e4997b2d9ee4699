/* The bodies of the entropy kernels, inlined into one caller per instruction set. */
#ifndef EDGE_ENTROPY_H
#define EDGE_ENTROPY_H

#include "edge_arithmetic.h"
#include "edge_kernels.h"

#include <math.h> /* INFINITY; nothing is linked */

/* Two running maxima of eight, so that neither waits for itself. */
#define EDGE_SEARCH_BLOCK 16
typedef float edge_f32x8 __attribute__((vector_size(32)));
typedef uint32_t edge_u32x8 __attribute__((vector_size(32)));

EDGE_INLINE edge_f32x8 edge_max(edge_f32x8 a, edge_f32x8 b)
{
    edge_u32x8 larger = (edge_u32x8)(a > b);
    return (edge_f32x8)(((edge_u32x8)a & larger) | ((edge_u32x8)b & ~larger));
}

/* The label, and its logit in *best; EDGE_BAD_LOGITS for NaN, +inf, or nothing finite. */
EDGE_INLINE int32_t edge_find_label(const float *logits, size_t classes, float *best)
{
    edge_f32x8 tops[2] = {(edge_f32x8){0} - INFINITY, (edge_f32x8){0} - INFINITY}, pair[2];
    edge_u32x8 nans = {0};
    size_t i = 0;
    for (; i + EDGE_SEARCH_BLOCK <= classes; i += EDGE_SEARCH_BLOCK) {
        memcpy(pair, logits + i, sizeof pair);
        nans |= (edge_u32x8)(pair[0] != pair[0]) | (edge_u32x8)(pair[1] != pair[1]);
        tops[0] = edge_max(pair[0], tops[0]);
        tops[1] = edge_max(pair[1], tops[1]);
    }
    edge_f32x8 eight = edge_max(tops[0], tops[1]);
    float top = eight[0];
    uint32_t nan = nans[0];
    for (size_t lane = 1; lane < 8; lane++) {
        top = eight[lane] > top ? eight[lane] : top;
        nan |= nans[lane];
    }
    for (; i < classes; i++) {
        top = logits[i] > top ? logits[i] : top;
        nan |= logits[i] != logits[i];
    }
    if (nan || top == INFINITY || top == -INFINITY)
        return EDGE_BAD_LOGITS;
    size_t label = 0;
    while (logits[label] != top)
        label++;
    *best = top;
    return (int32_t)label;
}

/* How far four logits lie below the best. */
EDGE_INLINE edge_f64x4 edge_distance(double best, const float *logits)
{
    return edge_min(best - edge_load(logits), edge_splat(EDGE_EXP_LIMIT));
}

EDGE_INLINE edge_f64x4 edge_decay(edge_f64x4 distance)
{
    struct edge_exp e = edge_exp(-distance);
    return e.scale + e.scale * e.q;
}

/* Up to four logits from `start`; -inf for the label and beyond the last class. */
EDGE_INLINE void edge_masked_block(const float *logits, size_t classes, size_t start, size_t label,
                                   float block[EDGE_LANES])
{
    for (size_t lane = 0; lane < EDGE_LANES; lane++) {
        size_t i = start + lane;
        block[lane] = i < classes && i != label ? logits[i] : -INFINITY;
    }
}

/* Over the classes other than the label, d being a class's distance below it. */
struct edge_tally {
    edge_f64x4 rest;    /* sum of e^-d */
    edge_f64x4 spread;  /* sum of d e^-d */
    edge_f64x4 nearest; /* smallest d */
};

EDGE_INLINE void edge_tally_block(struct edge_tally *tally, double best, const float *logits)
{
    edge_f64x4 distance = edge_distance(best, logits), value = edge_decay(distance);
    tally->rest += value;
    tally->spread += value * distance;
    tally->nearest = edge_min(distance, tally->nearest);
}

EDGE_INLINE struct edge_tally edge_tally_all(const float *logits, size_t classes, size_t label, double best)
{
    struct edge_tally tally = {edge_splat(0.0), edge_splat(0.0), edge_splat(EDGE_EXP_LIMIT)};
    size_t special = label / EDGE_LANES * EDGE_LANES, whole = classes / EDGE_LANES * EDGE_LANES;
    float block[EDGE_LANES];
    for (size_t start = 0; start < special; start += EDGE_LANES)
        edge_tally_block(&tally, best, logits + start);
    edge_masked_block(logits, classes, special, label, block);
    edge_tally_block(&tally, best, block);
    for (size_t start = special + EDGE_LANES; start < whole; start += EDGE_LANES)
        edge_tally_block(&tally, best, logits + start);
    if (whole < classes && special < whole) {
        edge_masked_block(logits, classes, whole, label, block);
        edge_tally_block(&tally, best, block);
    }
    return tally;
}

EDGE_INLINE struct edge_uncertainty edge_uncertainty_of(const struct edge_tally *tally)
{
    double rest = edge_add_lanes(tally->rest), total = 1.0 + rest;
    double min_entropy = edge_log2_1p(rest);
    double nearest = tally->nearest[0];
    for (size_t lane = 1; lane < EDGE_LANES; lane++)
        nearest = tally->nearest[lane] < nearest ? tally->nearest[lane] : nearest;
    struct edge_exp second = edge_exp(edge_splat(-nearest));
    double scale = second.scale[0], gap = (1.0 - scale) - scale * second.q[0];
    return (struct edge_uncertainty){
        .min_entropy = (float)min_entropy,
        .shannon = (float)(min_entropy + edge_add_lanes(tally->spread) * EDGE_LOG2_E / total),
        .margin = (float)(gap / total),
    };
}

EDGE_INLINE int32_t edge_uncertainty_body(const float *logits, size_t classes, struct edge_uncertainty *out)
{
    float best;
    int32_t label = edge_find_label(logits, classes, &best);
    if (label < 0)
        return label;
    struct edge_tally tally = edge_tally_all(logits, classes, (size_t)label, best);
    *out = edge_uncertainty_of(&tally);
    return label;
}

EDGE_INLINE int32_t edge_softmax_body(const float *logits, size_t classes, float *out)
{
    float best;
    int32_t label = edge_find_label(logits, classes, &best);
    if (label < 0)
        return label;
    struct edge_tally tally = edge_tally_all(logits, classes, (size_t)label, best);
    double inverse = 1.0 / (1.0 + edge_add_lanes(tally.rest));
    for (size_t start = 0; start < classes; start += EDGE_LANES) {
        size_t used = classes - start < EDGE_LANES ? classes - start : EDGE_LANES;
        float block[EDGE_LANES] = {0};
        memcpy(block, logits + start, used * sizeof *block);
        edge_f64x4 share = edge_decay(edge_distance(best, block)) * inverse;
        edge_f32x4 rounded = __builtin_convertvector(share, edge_f32x4);
        memcpy(out + start, &rounded, used * sizeof *out);
    }
    return label;
}

#endif
