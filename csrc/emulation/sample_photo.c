/* The patches that a device which only samples takes of a photo, as a program that an emulator can run.
 *
 *     sample_photo PATTERN K SEEDS
 *
 * Takes K of the 14 × 14 patches of a photo once for each of the seeds 0..SEEDS-1, and writes their indices, uint16.
 * `python benchmarks/arm_sampling.py` compares these.
 */
#include "edge_kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GRID = 14, COUNT = GRID * GRID };

static int32_t sample(const char *pattern, size_t k, uint32_t seed, uint16_t *out)
{
    if (!strcmp(pattern, "random"))
        return edge_select_random(COUNT, k, seed, out);
    return edge_sample_grid(GRID, GRID, k, seed, !strcmp(pattern, "jittered-grid"), out);
}

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s PATTERN K SEEDS\n", argv[0]);
        return 2;
    }
    size_t k = strtoul(argv[2], NULL, 10);
    uint32_t seeds = (uint32_t)strtoul(argv[3], NULL, 10);
    uint16_t indices[COUNT];
    edge_dispatch_init();
    for (uint32_t seed = 0; seed < seeds; seed++) {
        if (sample(argv[1], k, seed, indices) != (int32_t)k) {
            fprintf(stderr, "%s: cannot take %zu of %d patches\n", argv[0], k, COUNT);
            return 1;
        }
        fwrite(indices, sizeof *indices, k, stdout);
    }
    return fflush(stdout) != 0;
}
