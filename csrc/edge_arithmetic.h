/* exp and log2 without libm, and sums in four lanes: the arithmetic that all backends repeat bit for bit.
 *
 * Everything here is inlined into its callers, so that a caller compiled for a wider instruction set gets a wider
 * version of the same operations. Change a constant or an order here and in edge_runtime/kernels/constants.py
 * together: the tests compare bits.
 */
#ifndef EDGE_ARITHMETIC_H
#define EDGE_ARITHMETIC_H

#include <stdint.h>
#include <string.h>

#define EDGE_INLINE static inline __attribute__((always_inline))

/* Four lanes of everything. The compiler maps them to what the caller's instruction set has: one AVX register, two
 * of SSE2 or NEON. No lane ever meets another before edge_add_lanes. */
#define EDGE_LANES 4
typedef double edge_f64x4 __attribute__((vector_size(32)));
typedef uint64_t edge_u64x4 __attribute__((vector_size(32)));
typedef float edge_f32x4 __attribute__((vector_size(16)));

/* Beyond this distance e^-d is below 2^-1000: nothing that float can show. It also keeps 2^k a normal number. */
#define EDGE_EXP_LIMIT 708.0

#define EDGE_LOG2_E 1.4426950408889634
#define EDGE_TWO_LOG2_E 2.8853900817779268
/* ln 2 in two parts, the first with enough zero bits that k times it is exact. */
#define EDGE_LN2_HIGH 0.693147180369123816490
#define EDGE_LN2_LOW 1.90821492927058770002e-10
/* Adding and subtracting 1.5 * 2^52 rounds a small double to the nearest integer, ties to even. */
#define EDGE_ROUND_TO_INTEGER 6755399441055744.0
#define EDGE_SQRT_HALF 0.70710678118654752440
#define EDGE_SQRT2_MINUS_1 0.41421356237309504880

EDGE_INLINE uint64_t edge_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

EDGE_INLINE double edge_from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

EDGE_INLINE edge_f64x4 edge_splat(double x)
{
    return (edge_f64x4){x, x, x, x};
}

EDGE_INLINE edge_f64x4 edge_load(const float *values)
{
    edge_f32x4 four;
    memcpy(&four, values, sizeof four);
    return __builtin_convertvector(four, edge_f64x4);
}

/* Lane by lane a < b ? a : b, so NaN in a yields b. */
EDGE_INLINE edge_f64x4 edge_min(edge_f64x4 a, edge_f64x4 b)
{
    edge_u64x4 smaller = (edge_u64x4)(a < b);
    return (edge_f64x4)(((edge_u64x4)a & smaller) | ((edge_u64x4)b & ~smaller));
}

EDGE_INLINE double edge_add_lanes(edge_f64x4 lane)
{
    return (lane[0] + lane[1]) + (lane[2] + lane[3]);
}

/* e^x = scale * (1 + q), scale a power of two. Keeping q apart lets e^x - 1 be exact near zero. */
struct edge_exp {
    edge_f64x4 q, scale;
};

/* |x| <= EDGE_EXP_LIMIT */
EDGE_INLINE struct edge_exp edge_exp(edge_f64x4 x)
{
    edge_f64x4 shifted = x * EDGE_LOG2_E + EDGE_ROUND_TO_INTEGER;
    edge_f64x4 k = shifted - EDGE_ROUND_TO_INTEGER;
    edge_f64x4 r = (x - k * EDGE_LN2_HIGH) - k * EDGE_LN2_LOW;
    /* (e^r - 1) / r for |r| <= ln 2 / 2; the first term left out is below 1e-11. */
    edge_f64x4 p = edge_splat(1.0 / 362880);
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 1.0 / 2;
    p = p * r + 1.0;
    /* The low bits of `shifted` hold k: moved up, they are the exponent of 2^k. */
    edge_u64x4 exponent = ((edge_u64x4)shifted << 52) + edge_bits(1.0);
    return (struct edge_exp){p * r, (edge_f64x4)exponent};
}

/* log2(1 + x) for finite x >= 0, relatively exact for small x. */
EDGE_INLINE double edge_log2_1p(double x)
{
    double exponent = 0.0, z;
    if (x < EDGE_SQRT2_MINUS_1) {
        z = x / (2.0 + x);
    } else {
        uint64_t bits = edge_bits(1.0 + x);
        double mantissa = edge_from_bits((bits & 0xFFFFFFFFFFFFF) | edge_bits(0.5));
        exponent = (double)((int64_t)(bits >> 52) - 1022);
        if (mantissa < EDGE_SQRT_HALF) {
            mantissa *= 2.0;
            exponent -= 1.0;
        }
        z = (mantissa - 1.0) / (mantissa + 1.0);
    }
    double square = z * z;
    /* atanh(z) / z; the first term left out is below 1e-14. */
    double p = 1.0 / 17;
    p = p * square + 1.0 / 15;
    p = p * square + 1.0 / 13;
    p = p * square + 1.0 / 11;
    p = p * square + 1.0 / 9;
    p = p * square + 1.0 / 7;
    p = p * square + 1.0 / 5;
    p = p * square + 1.0 / 3;
    p = p * square + 1.0;
    return exponent + (z * p) * EDGE_TWO_LOG2_E;
}

#endif
