/* The bodies of the entropy kernels, inlined into one caller per instruction set. */
#ifndef EDGE_ENTROPY_H
#define EDGE_ENTROPY_H

#include "edge_arithmetic.h"
#include "edge_kernels.h"

#include <math.h> /* INFINITY; nothing is linked */

#define EDGE_SEARCH_LANES 16

/* The label, and its logit in *best; EDGE_BAD_LOGITS for NaN, +inf, or nothing finite. */
EDGE_INLINE int32_t edge_find_label(const float *logits, size_t classes, float *best)
{
    float top[EDGE_SEARCH_LANES];
    uint32_t nan[EDGE_SEARCH_LANES] = {0};
    for (size_t lane = 0; lane < EDGE_SEARCH_LANES; lane++)
        top[lane] = -INFINITY;
    size_t i = 0;
    for (; i + EDGE_SEARCH_LANES <= classes; i += EDGE_SEARCH_LANES)
        for (size_t lane = 0; lane < EDGE_SEARCH_LANES; lane++) {
            float x = logits[i + lane];
            top[lane] = x > top[lane] ? x : top[lane];
            nan[lane] |= x != x;
        }
    for (; i < classes; i++) {
        top[0] = logits[i] > top[0] ? logits[i] : top[0];
        nan[0] |= logits[i] != logits[i];
    }
    for (size_t lane = 1; lane < EDGE_SEARCH_LANES; lane++) {
        top[0] = top[lane] > top[0] ? top[lane] : top[0];
        nan[0] |= nan[lane];
    }
    if (nan[0] || top[0] == INFINITY || top[0] == -INFINITY)
        return EDGE_BAD_LOGITS;
    size_t label = 0;
    while (logits[label] != top[0])
        label++;
    *best = top[0];
    return (int32_t)label;
}

/* Sums over the classes other than the label, d being a class's distance below it. */
struct edge_tally {
    double rest[EDGE_LANES];    /* of e^-d */
    double spread[EDGE_LANES];  /* of d e^-d */
    double nearest[EDGE_LANES]; /* smallest d */
};

EDGE_INLINE void edge_tally_block(struct edge_tally *tally, const float *logits, double best)
{
    for (size_t lane = 0; lane < EDGE_LANES; lane++) {
        double distance = best - (double)logits[lane];
        distance = distance < EDGE_EXP_LIMIT ? distance : EDGE_EXP_LIMIT;
        struct edge_exp e = edge_exp(-distance);
        double value = e.scale + e.scale * e.q;
        tally->rest[lane] += value;
        tally->spread[lane] += value * distance;
        tally->nearest[lane] = distance < tally->nearest[lane] ? distance : tally->nearest[lane];
    }
}

/* Copy of the block at `start`, the label and what lies beyond the last class replaced by -inf. */
EDGE_INLINE void edge_masked_block(const float *logits, size_t classes, size_t start, size_t label, float *block)
{
    for (size_t lane = 0; lane < EDGE_LANES; lane++) {
        size_t i = start + lane;
        block[lane] = i < classes && i != label ? logits[i] : -INFINITY;
    }
}

EDGE_INLINE struct edge_tally edge_tally_all(const float *logits, size_t classes, size_t label, double best)
{
    struct edge_tally tally = {.nearest = {EDGE_EXP_LIMIT, EDGE_EXP_LIMIT, EDGE_EXP_LIMIT, EDGE_EXP_LIMIT}};
    for (size_t start = 0; start < classes; start += EDGE_LANES) {
        int whole = start + EDGE_LANES <= classes && label - start >= EDGE_LANES;
        if (whole) {
            edge_tally_block(&tally, logits + start, best);
        } else {
            float block[EDGE_LANES];
            edge_masked_block(logits, classes, start, label, block);
            edge_tally_block(&tally, block, best);
        }
    }
    return tally;
}

EDGE_INLINE int32_t edge_uncertainty_body(const float *logits, size_t classes, struct edge_uncertainty *out)
{
    float best;
    int32_t label = edge_find_label(logits, classes, &best);
    if (label < 0)
        return label;
    struct edge_tally tally = edge_tally_all(logits, classes, (size_t)label, best);
    double rest = edge_add_lanes(tally.rest);
    double total = 1.0 + rest;
    double min_entropy = edge_log2_1p(rest);
    double nearest = tally.nearest[0];
    for (size_t lane = 1; lane < EDGE_LANES; lane++)
        nearest = tally.nearest[lane] < nearest ? tally.nearest[lane] : nearest;
    struct edge_exp second = edge_exp(-nearest);
    out->min_entropy = (float)min_entropy;
    out->shannon = (float)(min_entropy + edge_add_lanes(tally.spread) * EDGE_LOG2_E / total);
    out->margin = (float)(((1.0 - second.scale) - second.scale * second.q) / total);
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
    for (size_t i = 0; i < classes; i++) {
        double distance = (double)best - (double)logits[i];
        distance = distance < EDGE_EXP_LIMIT ? distance : EDGE_EXP_LIMIT;
        struct edge_exp e = edge_exp(-distance);
        out[i] = (float)((e.scale + e.scale * e.q) * inverse);
    }
    return label;
}

#endif
