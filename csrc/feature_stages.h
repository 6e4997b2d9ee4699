/* The stages of the feature coder that exist in more than one version. Rows hold `stride` values, a multiple of 16;
 * all arithmetic is on integers but for single products and conversions, so versions agree to the bit. */
#ifndef EDGE_FEATURE_STAGES_H
#define EDGE_FEATURE_STAGES_H

#include "edge_kernels.h"

#include <string.h>

#define EDGE_LARGEST_BLOCK 8
#define EDGE_ROWS_AT_ONCE 4

/* map [channels][positions] to out [positions][stride]: (map - mean) * scale, clamped to -16384..16383, rounded half
 * to even. EDGE_BAD_FEATURES for what is not finite. Columns from `channels` on are zeroed. */
typedef int32_t edge_load_map_function(const float *map, size_t channels, size_t positions, const float *mean,
                                   const float *scale, size_t stride, int16_t *out);
/* out [channels][positions]: mean + in * unscale; where floor [channels] is given, what is not above it is zero. */
typedef void edge_store_map_function(const int16_t *in, size_t channels, size_t positions, const float *mean,
                                 const float *unscale, size_t stride, const float *floor, float *out);

/* One-dimensional transform of `size` lines of `stride` values: out[k] = sum over i of matrix[k][i] * in[i], in units
 * of 2^-14, rounded half up, saturated. matrix [size][size rounded up to 2]; lines do not overlap. */
struct edge_lines {
    const int16_t *in[EDGE_LARGEST_BLOCK];
    int16_t *out[EDGE_LARGEST_BLOCK];
};
typedef void edge_transform_function(const struct edge_lines *lines, const int16_t *matrix, size_t size,
                                     size_t stride);

/* sums[row][o] = sum over i of matrix[i / 2][o][i % 2] * rows[row][i] for the first `outputs` of stride outputs, a
 * multiple of 8 (up to 8 more are written); matrix [stride / 2][stride][2]; at most EDGE_ROWS_AT_ONCE rows. */
typedef void edge_mix_function(const int16_t *rows, size_t count, const int16_t *matrix, size_t stride,
                               size_t outputs, int32_t *sums);

/* out[i] = sums[i] * inverse[i], clamped to -32767..32767, rounded half to even; count is a multiple of 8. */
typedef void edge_quantise_function(const int32_t *sums, const float *inverse, size_t count, int16_t *out);
/* values[i] *= step[i], rounded half to even, saturated; count is a multiple of 8. */
typedef void edge_dequantise_function(int16_t *values, const float *step, size_t count);
/* out[i] = sums[i] in units of 2^-14, rounded half up, saturated; count is a multiple of 16. */
typedef void edge_descale_function(const int32_t *sums, size_t count, int16_t *out);

/* Values as symbols: out[d] = middle[d] + levels[d]; whether any value may be beyond its reach. A vector at a time:
 * up to 15 values beyond `count` are read and their symbols written. */
typedef int32_t edge_code_function(const int16_t *levels, const uint16_t *middle, const int16_t *reach, size_t count,
                                   uint16_t *out);
/* And back; whether any symbol may be an escape or have low bits. */
typedef int32_t edge_uncode_function(const uint16_t *symbols, const uint16_t *middle, const int16_t *reach,
                                     size_t count, int16_t *levels);

edge_load_map_function edge_load_map_scalar;
edge_store_map_function edge_store_map_scalar;
edge_transform_function edge_transform_scalar;
edge_mix_function edge_mix_scalar;
edge_quantise_function edge_quantise_scalar;
edge_dequantise_function edge_dequantise_scalar;
edge_descale_function edge_descale_scalar;
edge_code_function edge_code_scalar;
edge_uncode_function edge_uncode_scalar;

#if defined(__x86_64__)
edge_load_map_function edge_load_map_avx2;
edge_store_map_function edge_store_map_avx2;
edge_transform_function edge_transform_avx2;
edge_mix_function edge_mix_avx2;
edge_quantise_function edge_quantise_avx2;
edge_dequantise_function edge_dequantise_avx2;
edge_descale_function edge_descale_avx2;
edge_code_function edge_code_avx2;
edge_uncode_function edge_uncode_avx2;
edge_transform_function edge_transform_avx512;
edge_mix_function edge_mix_avx512;
#elif defined(__aarch64__)
edge_load_map_function edge_load_map_neon;
edge_store_map_function edge_store_map_neon;
edge_transform_function edge_transform_neon;
edge_mix_function edge_mix_neon;
edge_quantise_function edge_quantise_neon;
edge_dequantise_function edge_dequantise_neon;
edge_descale_function edge_descale_neon;
edge_code_function edge_code_neon;
edge_uncode_function edge_uncode_neon;
#endif

/* The inputs of a row that are not all zero, in pairs, go into `pairs`; returns how many. */
static inline size_t edge_active_pairs(const int16_t *rows, size_t count, size_t stride, uint16_t *pairs)
{
    size_t found = 0;
    for (size_t pair = 0; pair < stride / 2; pair++) {
        uint32_t any = 0, both;
        for (size_t row = 0; row < count; row++) {
            memcpy(&both, rows + row * stride + 2 * pair, sizeof both);
            any |= both;
        }
        pairs[found] = (uint16_t)pair;
        found += any != 0;
    }
    return found;
}

/* More channels than this have no plan. */
#define EDGE_MOST_PAIRS 2048

#endif
