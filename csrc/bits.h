/* Bits, least significant first: what the entropy coder sends as it is. */
#ifndef EDGE_BITS_H
#define EDGE_BITS_H

#include <stddef.h>
#include <stdint.h>

struct edge_bit_writer {
    uint8_t *at, *end;
    uint64_t held;
    uint32_t count;
    int overflow;
};

/* count <= 32; value < 2^count. */
static inline void edge_put_bits(struct edge_bit_writer *bits, uint32_t value, uint32_t count)
{
    bits->held |= (uint64_t)value << bits->count;
    for (bits->count += count; bits->count >= 8; bits->count -= 8, bits->held >>= 8) {
        if (bits->at == bits->end) {
            bits->overflow = 1;
            return;
        }
        *bits->at++ = (uint8_t)bits->held;
    }
}

/* Write the last, zero-padded byte. */
static inline void edge_flush_bits(struct edge_bit_writer *bits)
{
    if (bits->count)
        edge_put_bits(bits, 0, 8 - bits->count);
}

/* Length of the magnitude in 4 bits, what follows its leading one, the sign. |value| < 2^15. */
static inline void edge_put_escape(struct edge_bit_writer *bits, int32_t value)
{
    uint32_t magnitude = value < 0 ? (uint32_t)-value : (uint32_t)value;
    uint32_t length = magnitude ? 32 - (uint32_t)__builtin_clz(magnitude) : 0;
    edge_put_bits(bits, length, 4);
    if (length == 0)
        return;
    edge_put_bits(bits, magnitude - (1u << (length - 1)), length - 1);
    edge_put_bits(bits, value < 0, 1);
}

struct edge_bit_reader {
    const uint8_t *at, *end;
    uint64_t held;
    uint32_t count;
    int missing; /* more bits were asked for than there are */
};

/* count <= 32; zero bits follow the last byte. */
static inline uint32_t edge_take_bits(struct edge_bit_reader *bits, uint32_t count)
{
    for (; bits->count < count; bits->count += 8) {
        if (bits->at == bits->end)
            bits->missing = 1;
        else
            bits->held |= (uint64_t)*bits->at++ << bits->count;
    }
    uint32_t value = (uint32_t)(bits->held & ((1ull << count) - 1));
    bits->held >>= count;
    bits->count -= count;
    return value;
}

static inline int32_t edge_take_escape(struct edge_bit_reader *bits)
{
    uint32_t length = edge_take_bits(bits, 4);
    if (length == 0)
        return 0;
    int32_t magnitude = (int32_t)((1u << (length - 1)) + edge_take_bits(bits, length - 1));
    return edge_take_bits(bits, 1) ? -magnitude : magnitude;
}

/* Nothing is left but the zero padding of the last byte. */
static inline int edge_bits_end(const struct edge_bit_reader *bits)
{
    return !bits->missing && bits->at == bits->end && bits->count < 8 && bits->held == 0;
}

#endif
