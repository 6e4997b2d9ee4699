/* The two transforms of the feature coder with 512-bit vectors: a sum of pairs of products is one instruction. */
#if defined(__x86_64__)

#include "../feature_stages.h"

#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni")))

#define UNIT_BITS 14
#define HALF (1 << (UNIT_BITS - 1))

AVX512 static inline __m512i broadcast_pair(const int16_t *pair)
{
    int32_t both;
    memcpy(&both, pair, sizeof both);
    return _mm512_set1_epi32(both);
}

AVX512 void edge_transform_avx512(const struct edge_lines *lines, const int16_t *matrix, size_t size, size_t stride)
{
    size_t pairs = (size + 1) / 2;
    const __m512i half = _mm512_set1_epi32(HALF), zero = _mm512_setzero_si512();
    for (size_t first = 0; first < stride; first += 32) {
        /* The stride is a multiple of 16: the last vector may be half of one. */
        __mmask32 there = stride - first < 32 ? 0xFFFF : 0xFFFFFFFF;
        __m512i low[EDGE_LARGEST_BLOCK / 2], high[EDGE_LARGEST_BLOCK / 2];
        for (size_t i = 0; i < pairs; i++) {
            __m512i even = _mm512_maskz_loadu_epi16(there, lines->in[2 * i] + first);
            __m512i odd = 2 * i + 1 < size ? _mm512_maskz_loadu_epi16(there, lines->in[2 * i + 1] + first) : zero;
            low[i] = _mm512_unpacklo_epi16(even, odd);
            high[i] = _mm512_unpackhi_epi16(even, odd);
        }
        for (size_t k = 0; k < size; k++) {
            __m512i low_sum = half, high_sum = half;
            for (size_t i = 0; i < pairs; i++) {
                __m512i weights = broadcast_pair(matrix + 2 * (k * pairs + i));
                low_sum = _mm512_dpwssd_epi32(low_sum, low[i], weights);
                high_sum = _mm512_dpwssd_epi32(high_sum, high[i], weights);
            }
            __m512i packed = _mm512_packs_epi32(_mm512_srai_epi32(low_sum, UNIT_BITS),
                                                _mm512_srai_epi32(high_sum, UNIT_BITS));
            _mm512_mask_storeu_epi16(lines->out[k] + first, there, packed);
        }
    }
}

/* Four rows share the loads of a matrix; fewer are done with the last one repeated. */
AVX512 void edge_mix_avx512(const int16_t *rows, size_t count, const int16_t *matrix, size_t stride, size_t outputs,
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
        __m512i sum0 = _mm512_setzero_si512(), sum1 = sum0, sum2 = sum0, sum3 = sum0;
        for (size_t i = 0; i < active; i++) {
            size_t pair = pairs[i];
            __m512i weights = _mm512_loadu_si512(matrix + 2 * (pair * stride + first));
            sum0 = _mm512_dpwssd_epi32(sum0, weights, broadcast_pair(in[0] + 2 * pair));
            sum1 = _mm512_dpwssd_epi32(sum1, weights, broadcast_pair(in[1] + 2 * pair));
            sum2 = _mm512_dpwssd_epi32(sum2, weights, broadcast_pair(in[2] + 2 * pair));
            sum3 = _mm512_dpwssd_epi32(sum3, weights, broadcast_pair(in[3] + 2 * pair));
        }
        _mm512_storeu_si512(out[0] + first, sum0);
        _mm512_storeu_si512(out[1] + first, sum1);
        _mm512_storeu_si512(out[2] + first, sum2);
        _mm512_storeu_si512(out[3] + first, sum3);
    }
}

#endif
