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
            /* Masked stores are slow to be read again, and the other pass reads them next. */
            if (stride - first < 32)
                _mm256_storeu_si256((__m256i *)(lines->out[k] + first), _mm512_castsi512_si256(packed));
            else
                _mm512_storeu_si512(lines->out[k] + first, packed);
        }
    }
}

/* Sums of four rows for `vectors` times sixteen outputs: they share the loads of the matrix. */
AVX512 static inline void mix_four(const int16_t *const in[EDGE_ROWS_AT_ONCE], const uint16_t *pairs, size_t active,
                                   const int16_t *matrix, size_t stride, size_t vectors,
                                   int32_t *const out[EDGE_ROWS_AT_ONCE], size_t first)
{
    __m512i sums[EDGE_ROWS_AT_ONCE][2];
    for (size_t row = 0; row < EDGE_ROWS_AT_ONCE; row++)
        sums[row][0] = sums[row][1] = _mm512_setzero_si512();
    for (size_t i = 0; i < active; i++) {
        const int16_t *weights = matrix + 2 * (pairs[i] * stride + first);
        for (size_t row = 0; row < EDGE_ROWS_AT_ONCE; row++) {
            __m512i both = broadcast_pair(in[row] + 2 * pairs[i]);
            for (size_t v = 0; v < vectors; v++)
                sums[row][v] = _mm512_dpwssd_epi32(sums[row][v], _mm512_loadu_si512(weights + 32 * v), both);
        }
    }
    for (size_t row = 0; row < EDGE_ROWS_AT_ONCE; row++)
        for (size_t v = 0; v < vectors; v++)
            _mm512_storeu_si512(out[row] + first + 16 * v, sums[row][v]);
}

/* Fewer rows than four are done with the last one repeated. */
AVX512 void edge_mix_avx512(const int16_t *rows, size_t count, const int16_t *matrix, size_t stride, size_t outputs,
                            int32_t *sums)
{
    uint16_t pairs[EDGE_MOST_PAIRS + 1];
    size_t active = edge_active_pairs(rows, count, stride, pairs), first = 0;
    const int16_t *in[EDGE_ROWS_AT_ONCE];
    int32_t *out[EDGE_ROWS_AT_ONCE];
    for (size_t row = 0; row < EDGE_ROWS_AT_ONCE; row++) {
        size_t taken = row < count ? row : count - 1;
        in[row] = rows + taken * stride;
        out[row] = sums + taken * stride;
    }
    for (; first + 16 < outputs; first += 32)
        mix_four(in, pairs, active, matrix, stride, 2, out, first);
    if (first < outputs)
        mix_four(in, pairs, active, matrix, stride, 1, out, first);
}

#endif
