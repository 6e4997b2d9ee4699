/* Random numbers that are the same everywhere, in any order: what samples patches. */
#ifndef EDGE_RANDOM_H
#define EDGE_RANDOM_H

#include <stdint.h>

/* The n-th number of a seed (SplitMix32): a counter in steps of the golden ratio, its bits mixed. */
static inline uint32_t edge_splitmix32(uint32_t seed, uint32_t n)
{
    uint32_t z = seed + n * 0x9E3779B9u;
    z ^= z >> 16;
    z *= 0x21F0AAADu;
    z ^= z >> 15;
    z *= 0x735A2D97u;
    return z ^ (z >> 15);
}

#endif
