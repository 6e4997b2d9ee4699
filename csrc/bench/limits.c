/* Weights pass through an empty assembler line, so that no compiler moves products out of a loop. */
#include "limits.h"

#include <stdint.h>
#include <string.h>

/* Accumulators: as many as two units with a latency of five cycles can keep busy, and room for the operands. */
#define HELD 10
#define ROUNDS 2048
#define PRODUCTS(bits) ((size_t)ROUNDS * HELD * (bits) / 16)

#if defined(__x86_64__)
#include <immintrin.h>

/* SSE2 is what every x86-64 has: the scalar sources are compiled to it. */
static void limit_sse2(void)
{
    __m128i values = _mm_set1_epi16(3), weights = values, sums[HELD];
    for (size_t i = 0; i < HELD; i++)
        sums[i] = values;
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < HELD; i++) {
            __asm__ volatile("" : "+x"(weights));
            sums[i] = _mm_add_epi32(sums[i], _mm_madd_epi16(values, weights));
        }
    for (size_t i = 0; i < HELD; i++)
        __asm__ volatile("" ::"x"(sums[i]));
}

__attribute__((target("avx2"))) static void limit_avx2(void)
{
    __m256i values = _mm256_set1_epi16(3), weights = values, sums[HELD];
    for (size_t i = 0; i < HELD; i++)
        sums[i] = values;
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < HELD; i++) {
            __asm__ volatile("" : "+x"(weights));
            sums[i] = _mm256_add_epi32(sums[i], _mm256_madd_epi16(values, weights));
        }
    for (size_t i = 0; i < HELD; i++)
        __asm__ volatile("" ::"x"(sums[i]));
}

__attribute__((target("avx512f,avx512vnni"))) static void limit_avx512(void)
{
    __m512i values = _mm512_set1_epi16(3), weights = values, sums[HELD];
    for (size_t i = 0; i < HELD; i++)
        sums[i] = values;
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < HELD; i++) {
            __asm__ volatile("" : "+v"(weights));
            sums[i] = _mm512_dpwssd_epi32(sums[i], values, weights);
        }
    for (size_t i = 0; i < HELD; i++)
        __asm__ volatile("" ::"v"(sums[i]));
}
#endif

static const struct edge_limit limits[] = {
#if defined(__x86_64__)
    {"scalar", limit_sse2, PRODUCTS(128)},
    {"avx2", limit_avx2, PRODUCTS(256)},
    {"avx512", limit_avx512, PRODUCTS(512)},
#endif
    {NULL, NULL, 0},
};

const struct edge_limit *edge_limit_of(const char *isa)
{
    const struct edge_limit *limit = limits;
    while (limit->isa && strcmp(isa, limit->isa))
        limit++;
    return limit->isa ? limit : NULL;
}

void edge_limit_chain(void)
{
    uint64_t sum = 1, step = 3;
    for (size_t i = 0; i < EDGE_CHAIN_CYCLES; i += 8)
        for (size_t unrolled = 0; unrolled < 8; unrolled++) {
            sum += step;
            __asm__ volatile("" : "+r"(sum), "+r"(step));
        }
}
