/* The bodies of the attention kernels, inlined into one caller per instruction set. */
#ifndef EDGE_ATTENTION_H
#define EDGE_ATTENTION_H

#include "edge_arithmetic.h"
#include "edge_kernels.h"

#include <math.h> /* INFINITY; nothing is linked */

/* Divide by the sum. Summing what was already rounded to float keeps every share at or below 1. */
EDGE_INLINE int32_t edge_renormalise(float *values, size_t count)
{
    edge_f64x4 lane = edge_splat(0.0);
    size_t i = 0;
    for (; i + EDGE_LANES <= count; i += EDGE_LANES)
        lane += edge_load(values + i);
    for (; i < count; i++)
        lane[i % EDGE_LANES] += (double)values[i];
    double total = edge_add_lanes(lane);
    if (!(total > 0.0 && total < INFINITY))
        return EDGE_BAD_ATTENTION;
    double inverse = 1.0 / total;
    for (i = 0; i < count; i++)
        values[i] = (float)((double)values[i] * inverse);
    return EDGE_OK;
}

EDGE_INLINE int32_t edge_class_attention_body(const float *attention, size_t heads, size_t tokens, float *scores)
{
    size_t count = tokens - 1, i = 0;
    /* The class token's own column comes first in every row. */
    const float *rows = attention + 1;
    for (; i + EDGE_LANES <= count; i += EDGE_LANES) {
        edge_f64x4 sum = edge_splat(0.0);
        for (size_t head = 0; head < heads; head++)
            sum += edge_load(rows + head * tokens + i);
        edge_f32x4 rounded = __builtin_convertvector(sum, edge_f32x4);
        memcpy(scores + i, &rounded, sizeof rounded);
    }
    for (; i < count; i++) {
        double sum = 0.0;
        for (size_t head = 0; head < heads; head++)
            sum += (double)rows[head * tokens + i];
        scores[i] = (float)sum;
    }
    return edge_renormalise(scores, count);
}

EDGE_INLINE int32_t edge_rollout_body(const float *attention, size_t layers, size_t heads, size_t tokens,
                                      double *restrict scratch, float *restrict scores)
{
    /* row is the class token's row of the product so far, next its product with one more layer's heads. */
    double *row = scratch, *next = scratch + tokens, *summed = scratch + 2 * tokens;
    size_t matrix = tokens * tokens;
    for (size_t j = 0; j < tokens; j++)
        row[j] = 0.0;
    row[0] = 1.0;
    for (size_t layer = layers; layer-- > 0;) {
        const float *a = attention + layer * heads * matrix;
        for (size_t j = 0; j < tokens; j++)
            next[j] = 0.0;
        for (size_t i = 0; i < tokens; i++) {
            double weight = row[i];
            if (weight == 0.0)
                continue;
            for (size_t j = 0; j < tokens; j++)
                summed[j] = 0.0;
            for (size_t head = 0; head < heads; head++)
                for (size_t j = 0; j < tokens; j++)
                    summed[j] += (double)a[head * matrix + i * tokens + j];
            for (size_t j = 0; j < tokens; j++)
                next[j] += weight * summed[j];
        }
        for (size_t j = 0; j < tokens; j++)
            row[j] += next[j] / (double)heads;
    }
    for (size_t j = 1; j < tokens; j++)
        scores[j - 1] = (float)row[j];
    return edge_renormalise(scores, tokens - 1);
}

#endif
