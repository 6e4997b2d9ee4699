#include "synthetic.h"

#include "rans.h"

#define QUARTER_OCTAVE 1.189207115002721
#define LEAST_MAGNITUDE 0.0625
#define HALVINGS 60

static uint32_t state = 1;

void edge_synthetic_seed(uint32_t seed)
{
    state = seed;
}

/* Marsaglia's xorshift. */
uint32_t edge_synthetic_bits(void)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

float edge_synthetic_unit(void)
{
    return (float)(edge_synthetic_bits() >> 16) / 65536;
}

void edge_synthetic_bytes(uint8_t *out, size_t count)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (uint8_t)(edge_synthetic_bits() >> 24);
}

double edge_synthetic_magnitude(size_t i)
{
    double magnitude = LEAST_MAGNITUDE;
    while (i-- > 0)
        magnitude *= QUARTER_OCTAVE;
    return magnitude;
}

/* The factor f of a two-sided geometric distribution, whose mean magnitude is 2 f / (1 - f^2), by halving. */
static double factor_of(double magnitude)
{
    double low = 0, high = 1;
    for (size_t i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;
        int below = 2 * middle < magnitude * (1 - middle * middle);
        low = below ? middle : low;
        high = below ? high : middle;
    }
    return low;
}

void edge_synthetic_histogram(size_t i, uint16_t *shares)
{
    double factor = factor_of(edge_synthetic_magnitude(i)), chance[EDGE_SYMBOLS] = {0}, total = 1;
    chance[EDGE_LARGEST_SYMBOL] = 1;
    for (size_t s = 1; s <= EDGE_LARGEST_SYMBOL; s++) {
        double next = chance[EDGE_LARGEST_SYMBOL + s - 1] * factor;
        chance[EDGE_LARGEST_SYMBOL - s] = chance[EDGE_LARGEST_SYMBOL + s] = next;
        total += 2 * next;
    }
    uint32_t left = EDGE_SLOTS;
    for (size_t s = 0; s < EDGE_SYMBOLS; s++) {
        shares[s] = (uint16_t)(1 + chance[s] / total * (EDGE_SLOTS - EDGE_SYMBOLS));
        left -= shares[s];
    }
    shares[EDGE_LARGEST_SYMBOL] = (uint16_t)(shares[EDGE_LARGEST_SYMBOL] + left);
}
