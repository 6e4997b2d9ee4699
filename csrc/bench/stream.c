/* A second opinion on csrc/limits.c: the copy and the triad of McCalpin's STREAM, and polynomials of 8 multiply-adds,
 * as plain loops that the compiler makes vectors of. benchmarks/ceilings.py builds it with -O3 -march=native. */
#include <stddef.h>

/* All are done `times` over: what a call from Python costs then weighs nothing. No compiler leaves the others out. */
#define AGAIN __asm__ volatile("" ::: "memory")

void stream_copy(const float *restrict from, float *restrict to, size_t count, size_t times)
{
    while (times-- > 0) {
        for (size_t i = 0; i < count; i++)
            to[i] = from[i];
        AGAIN;
    }
}

void stream_triad(const float *restrict a, const float *restrict b, float scale, float *restrict out, size_t count,
                  size_t times)
{
    while (times-- > 0) {
        for (size_t i = 0; i < count; i++)
            out[i] = a[i] + scale * b[i];
        AGAIN;
    }
}

/* Values do not wait for each other, so that the core computes several at a time; returns how many multiply-adds. */
size_t stream_floats(const float *restrict in, float *restrict out, size_t count, size_t times)
{
    enum { DEGREE = 8 };
    size_t sums = DEGREE * count * times;
    while (times-- > 0) {
        for (size_t i = 0; i < count; i++) {
            float sum = 1, x = in[i];
            for (size_t term = 0; term < DEGREE; term++)
                sum = sum * x + 0.5f;
            out[i] = sum;
        }
        AGAIN;
    }
    return sums;
}
