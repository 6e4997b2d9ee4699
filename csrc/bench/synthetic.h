/* Made-up inputs that are the same on every CPU: whole random numbers and single IEEE operations, no libm. */
#ifndef EDGE_SYNTHETIC_H
#define EDGE_SYNTHETIC_H

#include <stddef.h>
#include <stdint.h>

/* What follows a seed, which is not 0, is always the same. */
void edge_synthetic_seed(uint32_t seed);
uint32_t edge_synthetic_bits(void);
/* 0..1, 1 left out, in steps of 2^-16. */
float edge_synthetic_unit(void);
void edge_synthetic_bytes(uint8_t *out, size_t count);

/* Number i of histograms a quarter of an octave of expected magnitude apart, from 2^-4 on: shares [32] of values whose
 * probability falls by the same factor with every step from zero; each has one, and they sum to 1024. */
void edge_synthetic_histogram(size_t i, uint16_t *shares);
/* The magnitude that histogram expects. */
double edge_synthetic_magnitude(size_t i);

#endif
