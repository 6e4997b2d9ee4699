/* The stages of the feature coder with 256-bit vectors: pairs of 16-bit products summed in one instruction. */
#if defined(__x86_64__)

#include "../feature_stages.h"

#include <immintrin.h>
#include <string.h>

#define AVX2 __attribute__((target("avx2")))

#define UNIT_BITS 14
#define HALF (1 << (UNIT_BITS - 1))
#define TILE 8

AVX2 static inline __m256i load(const int16_t *from)
{
    return _mm256_loadu_si256((const __m256i *)from);
}

/* Two neighbours, for all pairs of a vector. */
AVX2 static inline __m256i broadcast_pair(const int16_t *pair)
{
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return _mm256_set1_epi32(both);
}

AVX2 void edge_transform_avx2(const struct edge_lines *lines, const int16_t *matrix, size_t size, size_t stride)
{
    size_t pairs = (size + 1) / 2;
    const __m256i half = _mm256_set1_epi32(HALF), zero = _mm256_setzero_si256();
    for (size_t first = 0; first < stride; first += 16) {
        __m256i low[EDGE_LARGEST_BLOCK / 2], high[EDGE_LARGEST_BLOCK / 2];
        for (size_t i = 0; i < pairs; i++) {
            __m256i even = load(lines->in[2 * i] + first);
            __m256i odd = 2 * i + 1 < size ? load(lines->in[2 * i + 1] + first) : zero;
            low[i] = _mm256_unpacklo_epi16(even, odd);
            high[i] = _mm256_unpackhi_epi16(even, odd);
        }
        for (size_t k = 0; k < size; k++) {
            __m256i low_sum = half, high_sum = half;
            for (size_t i = 0; i < pairs; i++) {
                __m256i weights = broadcast_pair(matrix + 2 * (k * pairs + i));
                low_sum = _mm256_add_epi32(low_sum, _mm256_madd_epi16(low[i], weights));
                high_sum = _mm256_add_epi32(high_sum, _mm256_madd_epi16(high[i], weights));
            }
            low_sum = _mm256_srai_epi32(low_sum, UNIT_BITS);
            high_sum = _mm256_srai_epi32(high_sum, UNIT_BITS);
            _mm256_storeu_si256((__m256i *)(lines->out[k] + first), _mm256_packs_epi32(low_sum, high_sum));
        }
    }
}

/* Four rows share the loads of a matrix; fewer are done with the last one repeated. */
AVX2 static void mix_four(const int16_t *const rows[EDGE_ROWS_AT_ONCE], const uint16_t *pairs, size_t active,
                          const int16_t *matrix, size_t stride, size_t outputs, int32_t *const sums[EDGE_ROWS_AT_ONCE])
{
    for (size_t first = 0; first < outputs; first += 8) {
        __m256i sum0 = _mm256_setzero_si256(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
        for (size_t i = 0; i < active; i++) {
            size_t pair = pairs[i];
            __m256i weights = load(matrix + 2 * (pair * stride + first));
            sum0 = _mm256_add_epi32(sum0, _mm256_madd_epi16(weights, broadcast_pair(rows[0] + 2 * pair)));
            sum1 = _mm256_add_epi32(sum1, _mm256_madd_epi16(weights, broadcast_pair(rows[1] + 2 * pair)));
            sum2 = _mm256_add_epi32(sum2, _mm256_madd_epi16(weights, broadcast_pair(rows[2] + 2 * pair)));
            sum3 = _mm256_add_epi32(sum3, _mm256_madd_epi16(weights, broadcast_pair(rows[3] + 2 * pair)));
        }
        _mm256_storeu_si256((__m256i *)(sums[0] + first), sum0);
        _mm256_storeu_si256((__m256i *)(sums[1] + first), sum1);
        _mm256_storeu_si256((__m256i *)(sums[2] + first), sum2);
        _mm256_storeu_si256((__m256i *)(sums[3] + first), sum3);
    }
}

AVX2 void edge_mix_avx2(const int16_t *rows, size_t count, const int16_t *matrix, size_t stride, size_t outputs,
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
    mix_four(in, pairs, active, matrix, stride, outputs, out);
}

AVX2 void edge_descale_avx2(const int32_t *sums, size_t count, int16_t *out)
{
    const __m256i half = _mm256_set1_epi32(HALF);
    for (size_t i = 0; i < count; i += 16) {
        __m256i first = _mm256_loadu_si256((const __m256i *)(sums + i));
        __m256i second = _mm256_loadu_si256((const __m256i *)(sums + i + 8));
        first = _mm256_srai_epi32(_mm256_add_epi32(first, half), UNIT_BITS);
        second = _mm256_srai_epi32(_mm256_add_epi32(second, half), UNIT_BITS);
        __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), _MM_SHUFFLE(3, 1, 2, 0));
        _mm256_storeu_si256((__m256i *)(out + i), packed);
    }
}

/* Eight 32-bit integers as 16-bit ones; they fit. */
AVX2 static inline __m128i narrow(__m256i wide)
{
    return _mm_packs_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
}

/* The conversion rounds half to even, as long as nobody changed the processor's mode. */
AVX2 static inline __m256i clamp_and_round(__m256 values, float low, float high)
{
    values = _mm256_max_ps(values, _mm256_set1_ps(low));
    return _mm256_cvtps_epi32(_mm256_min_ps(values, _mm256_set1_ps(high)));
}

AVX2 void edge_quantise_avx2(const int32_t *sums, const float *inverse, size_t count, int16_t *out)
{
    for (size_t i = 0; i < count; i += 8) {
        __m256 values = _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(sums + i)));
        __m256i levels = clamp_and_round(_mm256_mul_ps(values, _mm256_loadu_ps(inverse + i)), -32767, 32767);
        _mm_storeu_si128((__m128i *)(out + i), narrow(levels));
    }
}

AVX2 void edge_dequantise_avx2(int16_t *values, const float *step, size_t count)
{
    for (size_t i = 0; i < count; i += 8) {
        __m256i levels = _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)(values + i)));
        __m256 sized = _mm256_mul_ps(_mm256_cvtepi32_ps(levels), _mm256_loadu_ps(step + i));
        _mm_storeu_si128((__m128i *)(values + i), narrow(clamp_and_round(sized, -32768, 32767)));
    }
}

AVX2 int32_t edge_code_avx2(const int16_t *levels, const uint16_t *middle, const int16_t *reach, size_t count,
                            uint16_t *out)
{
    __m256i beyond = _mm256_setzero_si256();
    for (size_t d = 0; d < count; d += 16) {
        __m256i values = load(levels + d);
        beyond = _mm256_or_si256(beyond, _mm256_cmpgt_epi16(_mm256_abs_epi16(values), load(reach + d)));
        __m256i symbols = _mm256_add_epi16(values, load((const int16_t *)middle + d));
        _mm256_storeu_si256((__m256i *)(out + d), symbols);
    }
    return !_mm256_testz_si256(beyond, beyond);
}

AVX2 int32_t edge_uncode_avx2(const uint16_t *symbols, const uint16_t *middle, const int16_t *reach, size_t count,
                              int16_t *levels)
{
    const __m256i largest = _mm256_set1_epi16(15);
    __m256i beyond = _mm256_setzero_si256();
    for (size_t d = 0; d < count; d += 16) {
        __m256i values = _mm256_sub_epi16(load((const int16_t *)symbols + d), load((const int16_t *)middle + d));
        __m256i sent = _mm256_or_si256(_mm256_cmpgt_epi16(values, largest), load(reach + d));
        beyond = _mm256_or_si256(beyond, _mm256_srai_epi16(sent, 15));
        _mm256_storeu_si256((__m256i *)(levels + d), values);
    }
    return !_mm256_testz_si256(beyond, beyond);
}

/* Rows and columns of 8 × 8 16-bit integers change places. */
AVX2 static inline void transpose(__m128i rows[TILE])
{
    __m128i a[TILE], b[TILE];
    for (size_t i = 0; i < 4; i++) {
        a[2 * i] = _mm_unpacklo_epi16(rows[2 * i], rows[2 * i + 1]);
        a[2 * i + 1] = _mm_unpackhi_epi16(rows[2 * i], rows[2 * i + 1]);
    }
    for (size_t i = 0; i < 2; i++) {
        b[4 * i] = _mm_unpacklo_epi32(a[4 * i], a[4 * i + 2]);
        b[4 * i + 1] = _mm_unpackhi_epi32(a[4 * i], a[4 * i + 2]);
        b[4 * i + 2] = _mm_unpacklo_epi32(a[4 * i + 1], a[4 * i + 3]);
        b[4 * i + 3] = _mm_unpackhi_epi32(a[4 * i + 1], a[4 * i + 3]);
    }
    for (size_t i = 0; i < 4; i++) {
        rows[2 * i] = _mm_unpacklo_epi64(b[i], b[i + 4]);
        rows[2 * i + 1] = _mm_unpackhi_epi64(b[i], b[i + 4]);
    }
}

/* Eight channels of a map that has at least eight positions; the last tile overlaps the one before it. */
AVX2 static __m256 load_channels(const float *map, size_t positions, const float *mean, const float *scale,
                                 size_t stride, int16_t *out)
{
    __m256 strange = _mm256_setzero_ps();
    for (size_t at = 0; at < positions; at += TILE) {
        size_t p = at + TILE <= positions ? at : positions - TILE;
        __m128i tile[TILE];
        for (size_t c = 0; c < TILE; c++) {
            __m256 values = _mm256_sub_ps(_mm256_loadu_ps(map + c * positions + p), _mm256_set1_ps(mean[c]));
            values = _mm256_mul_ps(values, _mm256_set1_ps(scale[c]));
            __m256 nothing = _mm256_sub_ps(values, values);
            strange = _mm256_or_ps(strange, _mm256_cmp_ps(nothing, nothing, _CMP_UNORD_Q));
            tile[c] = narrow(clamp_and_round(values, -16384, 16383));
        }
        transpose(tile);
        for (size_t i = 0; i < TILE; i++)
            _mm_storeu_si128((__m128i *)(out + (p + i) * stride), tile[i]);
    }
    return strange;
}

AVX2 int32_t edge_load_map_avx2(const float *map, size_t channels, size_t positions, const float *mean, const float *scale,
                            size_t stride, int16_t *out)
{
    if (positions < TILE || channels % TILE)
        return edge_load_map_scalar(map, channels, positions, mean, scale, stride, out);
    __m256 strange = _mm256_setzero_ps();
    for (size_t c = 0; c < channels; c += TILE)
        strange = _mm256_or_ps(strange, load_channels(map + c * positions, positions, mean + c, scale + c, stride,
                                                      out + c));
    for (size_t p = 0; p < positions && channels < stride; p++)
        memset(out + p * stride + channels, 0, (stride - channels) * sizeof *out);
    return _mm256_movemask_ps(strange) ? EDGE_BAD_FEATURES : EDGE_OK;
}

AVX2 static void store_channels(const int16_t *in, size_t positions, const float *mean, const float *unscale,
                                size_t stride, const float *floor, float *out)
{
    for (size_t at = 0; at < positions; at += TILE) {
        size_t p = at + TILE <= positions ? at : positions - TILE;
        __m128i tile[TILE];
        for (size_t i = 0; i < TILE; i++)
            tile[i] = _mm_loadu_si128((const __m128i *)(in + (p + i) * stride));
        transpose(tile);
        for (size_t c = 0; c < TILE; c++) {
            __m256 values = _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(tile[c]));
            values = _mm256_mul_ps(values, _mm256_set1_ps(unscale[c]));
            values = _mm256_add_ps(values, _mm256_set1_ps(mean[c]));
            if (floor)
                values = _mm256_and_ps(values, _mm256_cmp_ps(values, _mm256_set1_ps(floor[c]), _CMP_GT_OQ));
            _mm256_storeu_ps(out + c * positions + p, values);
        }
    }
}

AVX2 void edge_store_map_avx2(const int16_t *in, size_t channels, size_t positions, const float *mean,
                              const float *unscale, size_t stride, const float *floor, float *out)
{
    if (positions < TILE || channels % TILE) {
        edge_store_map_scalar(in, channels, positions, mean, unscale, stride, floor, out);
        return;
    }
    for (size_t c = 0; c < channels; c += TILE)
        store_channels(in + c, positions, mean + c, unscale + c, stride, floor ? floor + c : NULL,
                       out + c * positions);
}

#endif
