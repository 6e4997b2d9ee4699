/* A second opinion on csrc/limits.c: the copy and the triad of McCalpin's STREAM, and a polynomial of 16 multiply-adds a
 * value, as plain loops that the compiler makes vectors of. benchmarks/ceilings.py builds it with -O3 -march=native. */
#include <stddef.h>

void stream_copy(const float *restrict from, float *restrict to, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

void stream_triad(const float *restrict a, const float *restrict b, float scale, float *restrict out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = a[i] + scale * b[i];
}

/* Values follow each other closely enough that the core computes several at a time; returns how many multiply-adds. */
size_t stream_floats(const float *restrict in, float *restrict out, size_t count)
{
    enum { DEGREE = 16 };
    for (size_t i = 0; i < count; i++) {
        float sum = 1, x = in[i];
        for (size_t term = 0; term < DEGREE; term++)
            sum = sum * x + 0.5f;
        out[i] = sum;
    }
    return DEGREE * count;
}
