/* Interleaved rANS with static tables (Duda 2013; Giesen 2014): four states take the symbols in turn. */
#ifndef EDGE_RANS_H
#define EDGE_RANS_H

#include "bits.h"
#include "edge_kernels.h"

#include <string.h>

#define EDGE_LANES 4
#define EDGE_LANES_BYTES (4 * EDGE_LANES)
#define EDGE_SYMBOLS 32
#define EDGE_ESCAPE 31
#define EDGE_LARGEST_SYMBOL 15
#define EDGE_LARGEST_VALUE 32767
#define EDGE_SLOT_BITS 10
#define EDGE_SLOTS (1u << EDGE_SLOT_BITS)
/* States lie in 2^15..2^31 between symbols. */
#define EDGE_STATE_FLOOR (1u << 15)

static inline void edge_store16(uint8_t *to, uint32_t value)
{
    to[0] = (uint8_t)value;
    to[1] = (uint8_t)(value >> 8);
}

static inline void edge_store32(uint8_t *to, uint32_t value)
{
    edge_store16(to, value);
    edge_store16(to + 2, value >> 16);
}

static inline uint32_t edge_load16(const uint8_t *from)
{
    return from[0] | (uint32_t)from[1] << 8;
}

static inline uint32_t edge_load32(const uint8_t *from)
{
    return edge_load16(from) | edge_load16(from + 2) << 16;
}

/* Code symbols, counted through all histograms, into words that end at `out + capacity`, then move everything to the
 * front. Returns the bytes written, or 0 when there is no room. */
size_t edge_rans_put(const uint16_t *codes, size_t count, const struct edge_rans_symbol *symbols, uint8_t *out,
                     size_t capacity);

struct edge_rans_reader {
    uint32_t states[EDGE_LANES];
    const uint8_t *at, *end;
    int missing; /* more words were asked for than there are */
};

static inline int edge_rans_begin(struct edge_rans_reader *rans, const uint8_t *data, size_t size)
{
    if (size < EDGE_LANES_BYTES)
        return 0;
    for (size_t lane = 0; lane < EDGE_LANES; lane++) {
        rans->states[lane] = edge_load32(data + 4 * lane);
        /* What an encoder never leaves could make a state overflow. */
        if (rans->states[lane] < EDGE_STATE_FLOOR || rans->states[lane] >= 1u << 31)
            return 0;
    }
    rans->at = data + EDGE_LANES_BYTES;
    rans->end = data + size;
    rans->missing = 0;
    return 1;
}

/* The next symbols of a sequence, from its `first`; codes[i] names any symbol of the histogram before the call, and
 * the one that was found in it after the call. */
void edge_rans_take(struct edge_rans_reader *rans, uint16_t *codes, size_t first, size_t count,
                    const struct edge_rans_symbol *symbols, const uint8_t *slots);

/* All words were there, and the states are back where the encoder started. */
static inline int edge_rans_end(const struct edge_rans_reader *rans)
{
    uint32_t differ = 0;
    for (size_t lane = 0; lane < EDGE_LANES; lane++)
        differ |= rans->states[lane] ^ EDGE_STATE_FLOOR;
    return !rans->missing && differ == 0;
}

/* A value before and after the bits that are sent as they are. */
static inline int32_t edge_high(int32_t value, uint32_t shift)
{
    return (value + (int32_t)((1u << shift) >> 1)) >> shift;
}

static inline uint32_t edge_symbol_of(const struct edge_rans_symbol *symbols, int32_t high)
{
    if (high < -EDGE_LARGEST_SYMBOL || high > EDGE_LARGEST_SYMBOL || symbols[high + EDGE_LARGEST_SYMBOL].limit == 0)
        return EDGE_ESCAPE;
    return (uint32_t)(high + EDGE_LARGEST_SYMBOL);
}

static inline void edge_put_raw(struct edge_bit_writer *bits, int32_t value, uint32_t shift, int escaped)
{
    int32_t high = edge_high(value, shift);
    if (escaped)
        edge_put_escape(bits, high);
    edge_put_bits(bits, (uint32_t)(value - high * (1 << shift) + (int32_t)((1u << shift) >> 1)), shift);
}

/* Returns 0 for a value that no encoder writes. */
static inline int edge_take_raw(struct edge_bit_reader *bits, uint32_t symbol, uint32_t shift, int32_t *value)
{
    int32_t high = symbol == EDGE_ESCAPE ? edge_take_escape(bits) : (int32_t)symbol - EDGE_LARGEST_SYMBOL;
    *value = high * (1 << shift) + (int32_t)edge_take_bits(bits, shift) - (int32_t)((1u << shift) >> 1);
    return *value >= -EDGE_LARGEST_VALUE && *value <= EDGE_LARGEST_VALUE;
}

#endif
