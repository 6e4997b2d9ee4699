/* The entropy coder on its own: symbol tables, and sequences of values with a table and low bits each. */
#include "rans.h"

/* A state is divided when it is below frequency * 2^21, by a frequency below 2^10: the rounded-up reciprocal is off by
 * less than 2^10 / 2^42 of the state, which is too little to reach the next quotient (Alverson 1991). */
#define RECIPROCAL_BITS 42

static struct edge_rans_symbol symbol_for(uint32_t start, uint32_t frequency)
{
    if (frequency == 0)
        return (struct edge_rans_symbol){0, 0, 0, 0};
    return (struct edge_rans_symbol){
        .reciprocal = ((1ull << RECIPROCAL_BITS) + frequency - 1) / frequency,
        .limit = frequency << (31 - EDGE_SLOT_BITS),
        .start = (uint16_t)start,
        .others = (uint16_t)(EDGE_SLOTS - frequency),
    };
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

/* Words leave and enter unpredictably, so neither may become a branch; of `?:` compilers make one. */
static inline uint32_t choose(uint32_t condition, uint32_t yes, uint32_t no)
{
    return no ^ ((yes ^ no) & (0 - condition));
}

static inline uint32_t put(uint32_t state, const struct edge_rans_symbol *symbol, uint8_t **at)
{
    uint32_t leaves = state >= symbol->limit;
    edge_store16(*at - 2, state);
    *at -= 2 * leaves;
    state = choose(leaves, state >> 16, state);
    uint32_t quotient = (uint32_t)(state * symbol->reciprocal >> RECIPROCAL_BITS);
    return state + symbol->start + quotient * symbol->others;
}

size_t edge_rans_put(const uint16_t *codes, size_t count, const struct edge_rans_symbol *symbols, uint8_t *out,
                     size_t capacity)
{
    if (capacity < 2 * EDGE_LANES_BYTES)
        return 0;
    uint8_t *at = out + capacity, *floor = out + EDGE_LANES_BYTES + 2 * EDGE_LANES;
    uint32_t states[EDGE_LANES] = {EDGE_STATE_FLOOR, EDGE_STATE_FLOOR, EDGE_STATE_FLOOR, EDGE_STATE_FLOOR};
    size_t i = count;
    for (; i % EDGE_LANES; i--)
        states[(i - 1) % EDGE_LANES] = put(states[(i - 1) % EDGE_LANES], symbols + codes[i - 1], &at);
    uint32_t state0 = states[0], state1 = states[1], state2 = states[2], state3 = states[3];
    for (; i && at >= floor; i -= EDGE_LANES) {
        state3 = put(state3, symbols + codes[i - 1], &at);
        state2 = put(state2, symbols + codes[i - 2], &at);
        state1 = put(state1, symbols + codes[i - 3], &at);
        state0 = put(state0, symbols + codes[i - 4], &at);
    }
    if (i)
        return 0;
    size_t words = (size_t)(out + capacity - at);
    memmove(out + EDGE_LANES_BYTES, at, words);
    edge_store32(out, state0);
    edge_store32(out + 4, state1);
    edge_store32(out + 8, state2);
    edge_store32(out + 12, state3);
    return EDGE_LANES_BYTES + words;
}

static inline uint32_t take(uint32_t state, uint16_t *restrict code, const struct edge_rans_symbol *restrict symbols,
                            const uint8_t *restrict slots, const uint8_t *restrict *at)
{
    uint32_t table = *code & ~(EDGE_SYMBOLS - 1u), slot = state % EDGE_SLOTS;
    uint32_t found = table | slots[table * (EDGE_SLOTS / EDGE_SYMBOLS) + slot];
    const struct edge_rans_symbol *symbol = symbols + found;
    *code = (uint16_t)found;
    state = (EDGE_SLOTS - symbol->others) * (state >> EDGE_SLOT_BITS) + slot - symbol->start;
    uint32_t enters = state < EDGE_STATE_FLOOR;
    uint32_t refilled = state << 16 | edge_load16(*at);
    *at += 2 * enters;
    return choose(enters, refilled, state);
}

/* One symbol where the words may end. */
static void take_carefully(struct edge_rans_reader *rans, uint16_t *code, size_t lane,
                           const struct edge_rans_symbol *symbols, const uint8_t *slots)
{
    static const uint8_t nothing[2] = {0, 0};
    const uint8_t *at = rans->end - rans->at < 2 ? nothing : rans->at, *before = at;
    rans->states[lane] = take(rans->states[lane], code, symbols, slots, &at);
    if (before == nothing)
        rans->missing |= at != before;
    else
        rans->at = at;
}

void edge_rans_take(struct edge_rans_reader *rans, uint16_t *codes, size_t first, size_t count,
                    const struct edge_rans_symbol *symbols, const uint8_t *slots)
{
    size_t i = 0;
    for (; i < count && (first + i) % EDGE_LANES; i++)
        take_carefully(rans, codes + i, (first + i) % EDGE_LANES, symbols, slots);
    uint32_t state0 = rans->states[0], state1 = rans->states[1], state2 = rans->states[2], state3 = rans->states[3];
    const uint8_t *at = rans->at;
    for (; i + EDGE_LANES <= count && rans->end - at >= 2 * EDGE_LANES; i += EDGE_LANES) {
        state0 = take(state0, codes + i, symbols, slots, &at);
        state1 = take(state1, codes + i + 1, symbols, slots, &at);
        state2 = take(state2, codes + i + 2, symbols, slots, &at);
        state3 = take(state3, codes + i + 3, symbols, slots, &at);
    }
    rans->states[0] = state0, rans->states[1] = state1, rans->states[2] = state2, rans->states[3] = state3;
    rans->at = at;
    for (; i < count && !rans->missing; i++)
        take_carefully(rans, codes + i, (first + i) % EDGE_LANES, symbols, slots);
}

int64_t edge_rans_encode(const int32_t *values, const uint8_t *tables, const uint8_t *shifts, size_t count,
                         const struct edge_rans_symbol *symbols, uint16_t *codes, uint8_t *out, size_t capacity)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t table = EDGE_SYMBOLS * (uint32_t)tables[i];
        codes[i] = (uint16_t)(table + edge_symbol_of(symbols + table, edge_high(values[i], shifts[i])));
    }
    size_t coded = edge_rans_put(codes, count, symbols, out, capacity);
    if (coded == 0)
        return EDGE_BAD_SIZE;
    struct edge_bit_writer bits = {.at = out + coded, .end = out + capacity};
    for (size_t i = 0; i < count && !bits.overflow; i++)
        edge_put_raw(&bits, values[i], shifts[i], codes[i] % EDGE_SYMBOLS == EDGE_ESCAPE);
    edge_flush_bits(&bits);
    return bits.overflow ? EDGE_BAD_SIZE : bits.at - out;
}

int32_t edge_rans_decode(const uint8_t *data, size_t size, const uint8_t *tables, const uint8_t *shifts, size_t count,
                         const struct edge_rans_symbol *symbols, const uint8_t *slots, uint16_t *codes,
                         int32_t *values)
{
    struct edge_rans_reader rans;
    if (!edge_rans_begin(&rans, data, size))
        return EDGE_BAD_STREAM;
    for (size_t i = 0; i < count; i++)
        codes[i] = (uint16_t)(EDGE_SYMBOLS * tables[i]);
    edge_rans_take(&rans, codes, 0, count, symbols, slots);
    if (!edge_rans_end(&rans))
        return EDGE_BAD_STREAM;
    struct edge_bit_reader bits = {.at = rans.at, .end = rans.end};
    for (size_t i = 0; i < count; i++)
        if (!edge_take_raw(&bits, codes[i] % EDGE_SYMBOLS, shifts[i], values + i))
            return EDGE_BAD_STREAM;
    return edge_bits_end(&bits) ? EDGE_OK : EDGE_BAD_STREAM;
}
