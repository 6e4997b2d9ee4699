/* Integer transforms of the feature coder: along a block's side, and across channels. The scalar versions are the
 * specification. */
#include "feature_stages.h"

#include <string.h>

#define UNIT_BITS 14
#define HALF (1 << (UNIT_BITS - 1))

static int16_t saturate(int32_t value)
{
    return (int16_t)(value < -32768 ? -32768 : value > 32767 ? 32767 : value);
}

void edge_transform_scalar(const struct edge_lines *lines, const int16_t *matrix, size_t size, size_t stride)
{
    int32_t sums[64];
    size_t even = (size + 1) & ~(size_t)1;
    for (size_t first = 0; first < stride; first += 16)
        for (size_t k = 0; k < size; k++) {
            for (size_t c = 0; c < 16; c++)
                sums[c] = HALF;
            for (size_t i = 0; i < size; i++)
                for (size_t c = 0; c < 16; c++)
                    sums[c] += matrix[k * even + i] * lines->in[i][first + c];
            for (size_t c = 0; c < 16; c++)
                lines->out[k][first + c] = saturate(sums[c] >> UNIT_BITS);
        }
}

void edge_mix_scalar(const int16_t *rows, size_t count, const int16_t *matrix, size_t stride, size_t outputs,
                     int32_t *sums)
{
    uint16_t pairs[EDGE_MOST_PAIRS + 1];
    size_t active = edge_active_pairs(rows, count, stride, pairs);
    for (size_t row = 0; row < count; row++, rows += stride, sums += stride) {
        memset(sums, 0, outputs * sizeof *sums);
        for (size_t i = 0; i < active; i++) {
            const int16_t *weights = matrix + pairs[i] * 2 * stride;
            int32_t even = rows[2 * pairs[i]], odd = rows[2 * pairs[i] + 1];
            for (size_t o = 0; o < outputs; o++)
                sums[o] += weights[2 * o] * even + weights[2 * o + 1] * odd;
        }
    }
}

void edge_descale_scalar(const int32_t *sums, size_t count, int16_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = saturate((sums[i] + HALF) >> UNIT_BITS);
}
