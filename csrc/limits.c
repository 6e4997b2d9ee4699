/* What a core can do at most, for comparison: arithmetic whose operands never leave registers, and memory that is only
 * read and written. Operands pass through empty assembler lines, so that no compiler moves work out of a loop. */
#include "dispatch.h"

#include <string.h>

/* Accumulators: as many as two units with a latency of five cycles can keep busy, and room for the operands. */
#define HELD 10
#define ROUNDS 2048

/* A loop of sums; `place` is the constraint of a register that holds such a vector, `sum` may use sums[i], value and
 * weight. */
#define DEFINE_LOOP(name, attributes, vector, place, start, sum)                                                       \
    attributes static void name(void)                                                                                  \
    {                                                                                                                  \
        vector value = start, weight = value, sums[HELD];                                                              \
        for (size_t i = 0; i < HELD; i++)                                                                              \
            sums[i] = (vector)value;                                                                                   \
        for (size_t round = 0; round < ROUNDS; round++)                                                                \
            for (size_t i = 0; i < HELD; i++) {                                                                        \
                __asm__ volatile("" : "+" place(weight));                                                              \
                sums[i] = sum;                                                                                         \
            }                                                                                                          \
        for (size_t i = 0; i < HELD; i++)                                                                              \
            __asm__ volatile("" ::place(sums[i]));                                                                     \
    }

typedef void run_triad(const float *a, const float *b, float scale, float *out, size_t count);

static inline __attribute__((always_inline)) void triad(const float *restrict a, const float *restrict b, float scale,
                                                        float *restrict out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] + scale * b[i];
}

static void triad_baseline(const float *a, const float *b, float scale, float *out, size_t count)
{
    triad(a, b, scale, out, count);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define FMA __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512vnni,prefer-vector-width=512")))

/* SSE2 is what every x86-64 has: the scalar sources are compiled to it. */
DEFINE_LOOP(products_sse2, , __m128i, "x", _mm_set1_epi16(3), _mm_add_epi32(sums[i], _mm_madd_epi16(value, weight)))
DEFINE_LOOP(products_avx2, AVX2, __m256i, "x", _mm256_set1_epi16(3),
            _mm256_add_epi32(sums[i], _mm256_madd_epi16(value, weight)))
DEFINE_LOOP(products_avx512, AVX512, __m512i, "v", _mm512_set1_epi16(3), _mm512_dpwssd_epi32(sums[i], value, weight))
DEFINE_LOOP(floats_sse2, , __m128, "x", _mm_set1_ps(3), _mm_add_ps(sums[i], _mm_mul_ps(value, weight)))
DEFINE_LOOP(floats_apart, AVX2, __m256, "x", _mm256_set1_ps(3), _mm256_add_ps(sums[i], _mm256_mul_ps(value, weight)))
DEFINE_LOOP(floats_fused, FMA, __m256, "x", _mm256_set1_ps(3), _mm256_fmadd_ps(value, weight, sums[i]))
DEFINE_LOOP(floats_avx512, AVX512, __m512, "v", _mm512_set1_ps(3), _mm512_fmadd_ps(value, weight, sums[i]))

/* A CPU may have AVX2 without FMA. */
static void floats_avx2(void)
{
    if (__builtin_cpu_supports("fma"))
        floats_fused();
    else
        floats_apart();
}

AVX2 static void triad_avx2(const float *a, const float *b, float scale, float *out, size_t count)
{
    triad(a, b, scale, out, count);
}

AVX512 static void triad_avx512(const float *a, const float *b, float scale, float *out, size_t count)
{
    triad(a, b, scale, out, count);
}
#elif defined(__ARM_NEON)
#include <arm_neon.h>

/* Accumulators of products hold half as many lanes as there are operands, so these bring their own. */
static void products_neon(void)
{
    int16x4_t value = vdup_n_s16(3), weight = value;
    int32x4_t sums[HELD];
    for (size_t i = 0; i < HELD; i++)
        sums[i] = vdupq_n_s32(3);
    for (size_t round = 0; round < ROUNDS; round++)
        for (size_t i = 0; i < HELD; i++) {
            __asm__ volatile("" : "+w"(weight));
            sums[i] = vmlal_s16(sums[i], value, weight);
        }
    for (size_t i = 0; i < HELD; i++)
        __asm__ volatile("" ::"w"(sums[i]));
}

#if defined(__ARM_FEATURE_FMA)
#define MULTIPLY_ADD(sum, value, weight) vfmaq_f32(sum, value, weight)
#else
#define MULTIPLY_ADD(sum, value, weight) vmlaq_f32(sum, value, weight)
#endif
DEFINE_LOOP(floats_neon, , float32x4_t, "w", vdupq_n_f32(3), MULTIPLY_ADD(sums[i], value, weight))
#endif

/* Of one set; `products` and `floats` are how many a run sums, 0 without a loop. */
struct limits {
    const char *isa;
    void (*run_products)(void);
    size_t products;
    void (*run_floats)(void);
    size_t floats;
    run_triad *triad;
};

#define LANES(count) ((size_t)ROUNDS * HELD * (count))

/* The last one serves every set that has none of its own. */
static const struct limits all_limits[] = {
#if defined(__x86_64__)
    {"avx512", products_avx512, LANES(32), floats_avx512, LANES(16), triad_avx512},
    {"avx2", products_avx2, LANES(16), floats_avx2, LANES(8), triad_avx2},
    {NULL, products_sse2, LANES(8), floats_sse2, LANES(4), triad_baseline},
#elif defined(__ARM_NEON)
    /* No set has products of 16 bits beyond NEON's: the dot product's operands have 8. */
    {NULL, products_neon, LANES(4), floats_neon, LANES(4), triad_baseline},
#else
    {NULL, NULL, 0, NULL, 0, triad_baseline},
#endif
};

static const struct limits *chosen_limits(void)
{
    const struct limits *limits = all_limits;
    while (limits->isa && strcmp(limits->isa, edge_dispatch_name()))
        limits++;
    return limits;
}

void edge_limit_chain(void)
{
    size_t sum = 1, step = 3;
    for (size_t i = 0; i < EDGE_CHAIN_CYCLES; i += 8)
        for (size_t unrolled = 0; unrolled < 8; unrolled++) {
            sum += step;
            __asm__ volatile("" : "+r"(sum), "+r"(step));
        }
}

size_t edge_limit_products(void)
{
    const struct limits *limits = chosen_limits();
    if (limits->run_products)
        limits->run_products();
    return limits->products;
}

size_t edge_limit_floats(void)
{
    const struct limits *limits = chosen_limits();
    if (limits->run_floats)
        limits->run_floats();
    return limits->floats;
}

void edge_limit_copy(const float *from, float *to, size_t count, size_t times)
{
    for (size_t time = 0; time < times; time++) {
        memcpy(to, from, count * sizeof *to);
        __asm__ volatile("" ::: "memory");
    }
}

void edge_limit_triad(const float *a, const float *b, float scale, float *out, size_t count, size_t times)
{
    const struct limits *limits = chosen_limits();
    for (size_t time = 0; time < times; time++) {
        limits->triad(a, b, scale, out, count);
        __asm__ volatile("" ::: "memory");
    }
}
