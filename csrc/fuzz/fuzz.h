/* What the fuzz drivers share: random numbers, memory that ends where the header says, and checksums. */
#ifndef EDGE_FUZZ_H
#define EDGE_FUZZ_H

#include "edge_kernels.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_CHECKSUM 0xCBF29CE484222325u
#define FUZZ_MOST_ALLOCATIONS 256

static uint64_t random_state;
static void *allocations[FUZZ_MOST_ALLOCATIONS];
static size_t allocated;

static inline uint32_t random_bits(void)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(random_state >> 32);
}

/* low..high */
static inline size_t random_size(size_t low, size_t high)
{
    return low + random_bits() % (high - low + 1);
}

/* Lives until `release`. */
static inline void *allocate(size_t bytes)
{
    void *memory = malloc(bytes ? bytes : 1);
    if (!memory || allocated == FUZZ_MOST_ALLOCATIONS)
        abort();
    allocations[allocated++] = memory;
    return memory;
}

static inline void *allocate_zeros(size_t bytes)
{
    return memset(allocate(bytes), 0, bytes);
}

static inline void *random_bytes(size_t bytes)
{
    uint8_t *memory = allocate(bytes);
    for (size_t i = 0; i < bytes; i++)
        memory[i] = (uint8_t)random_bits();
    return memory;
}

static inline void release(void)
{
    while (allocated)
        free(allocations[--allocated]);
}

static inline uint64_t mix(uint64_t checksum, const void *bytes, size_t count)
{
    for (const uint8_t *byte = bytes; count--; byte++)
        checksum = (checksum ^ *byte) * 0x100000001B3u;
    return checksum;
}

/* The answer, and the output it speaks of: what a refused call left behind is unspecified. */
static inline uint64_t mix_result(uint64_t checksum, int32_t result, const void *out, size_t bytes)
{
    checksum = mix(checksum, &result, sizeof result);
    return result < 0 ? checksum : mix(checksum, out, bytes);
}

/* SEED ROUNDS [ISA]: chooses the ISA; the exit status when that cannot be done, else 0. */
static inline int fuzz_begin(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: %s SEED ROUNDS [ISA]\n", argv[0]);
        return 2;
    }
    edge_dispatch_init();
    if (argc > 3 && edge_dispatch_use(argv[3]) < 0) {
        fprintf(stderr, "%s: this CPU or build has no %s\n", argv[0], argv[3]);
        return 3;
    }
    return 0;
}

/* Checksum of ROUNDS calls that start from SEED. */
static inline uint64_t fuzz_rounds(char **argv, uint64_t (*fuzz)(uint64_t))
{
    uint64_t checksum = FUZZ_CHECKSUM;
    random_state = strtoull(argv[1], NULL, 10);
    for (unsigned long round = strtoul(argv[2], NULL, 10); round > 0; round--) {
        checksum = fuzz(checksum);
        release();
    }
    return checksum;
}

#endif
