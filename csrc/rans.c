/* The entropy coder on its own: symbol tables, and sequences of values with a table and low bits each. */
#include "rans.h"

/* Reciprocals after Alverson, "Integer division using reciprocals", 1991: exact for states below 2^31. */
static struct edge_rans_symbol symbol_for(uint32_t start, uint32_t frequency)
{
    if (frequency < 2)
        /* (state * (2^32 - 1)) >> 32 is state - 1, which the bias makes good. */
        return (struct edge_rans_symbol){~0u, start + EDGE_SLOTS - 1, (uint16_t)frequency, (uint16_t)start, 0};
    uint32_t shift = 0;
    while (frequency > 1u << shift)
        shift++;
    uint32_t reciprocal = (uint32_t)(((1ull << (shift + 31)) + frequency - 1) / frequency);
    return (struct edge_rans_symbol){reciprocal, start, (uint16_t)frequency, (uint16_t)start, shift - 1};
}

int32_t edge_rans_prepare(const uint16_t *histograms, size_t count, struct edge_rans_symbol *symbols, uint8_t *slots)
{
    for (size_t i = 0; i < count; i++, histograms += EDGE_SYMBOLS, symbols += EDGE_SYMBOLS, slots += EDGE_SLOTS) {
        uint32_t start = 0;
        for (uint32_t symbol = 0; symbol < EDGE_SYMBOLS; symbol++) {
            uint32_t frequency = histograms[symbol];
            if (frequency >= EDGE_SLOTS || frequency > EDGE_SLOTS - start)
                return EDGE_BAD_SIZE;
            symbols[symbol] = symbol_for(start, frequency);
            memset(slots + start, (int)symbol, frequency);
            start += frequency;
        }
        if (start != EDGE_SLOTS)
            return EDGE_BAD_SIZE;
    }
    return EDGE_OK;
}

int64_t edge_rans_encode(const int32_t *values, const uint8_t *tables, const uint8_t *shifts, size_t count,
                         const struct edge_rans_symbol *symbols, uint8_t *out, size_t capacity)
{
    struct edge_rans_writer rans;
    edge_rans_open(&rans, out, capacity);
    for (size_t i = count; i-- && !rans.overflow;)
        edge_rans_put(&rans, edge_symbol_of(symbols + EDGE_SYMBOLS * tables[i], edge_high(values[i], shifts[i])), i);
    if (rans.overflow)
        return EDGE_BAD_SIZE;
    size_t coded = edge_rans_close(&rans, out, capacity);
    struct edge_bit_writer bits = {.at = out + coded, .end = out + capacity};
    for (size_t i = 0; i < count && !bits.overflow; i++) {
        const struct edge_rans_symbol *table = symbols + EDGE_SYMBOLS * tables[i];
        edge_put_raw(&bits, values[i], shifts[i],
                     edge_symbol_of(table, edge_high(values[i], shifts[i])) == table + EDGE_ESCAPE);
    }
    edge_flush_bits(&bits);
    return bits.overflow ? EDGE_BAD_SIZE : bits.at - out;
}

int32_t edge_rans_decode(const uint8_t *data, size_t size, const uint8_t *tables, const uint8_t *shifts, size_t count,
                         const struct edge_rans_symbol *symbols, const uint8_t *slots, int32_t *values)
{
    struct edge_rans_reader rans;
    if (!edge_rans_begin(&rans, data, size))
        return EDGE_BAD_STREAM;
    for (size_t i = 0; i < count && !rans.missing; i++)
        values[i] = (int32_t)edge_rans_take(&rans, symbols + EDGE_SYMBOLS * tables[i],
                                            slots + (size_t)EDGE_SLOTS * tables[i], i);
    if (!edge_rans_end(&rans))
        return EDGE_BAD_STREAM;
    struct edge_bit_reader bits = {.at = rans.at, .end = rans.end};
    for (size_t i = 0; i < count; i++)
        if (!edge_take_raw(&bits, (uint32_t)values[i], shifts[i], values + i))
            return EDGE_BAD_STREAM;
    return edge_bits_end(&bits) ? EDGE_OK : EDGE_BAD_STREAM;
}
