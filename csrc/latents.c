/* Latents of slimmable encoders: a few levels a channel, packed or through rANS, whichever is smaller. */
#include "rans.h"

/* What the entropy coder needs beyond what it uses. */
#define SPARE 32

static uint32_t bits_of(size_t levels)
{
    uint32_t bits = 1;
    while ((size_t)1 << bits < levels)
        bits++;
    return bits;
}

static size_t packed_size(const struct edge_latent_plan *plan)
{
    return (plan->channels * plan->positions * bits_of(plan->levels) + 7) / 8;
}

/* Symbols of one channel, counted through all histograms; 0 when a value is not finite. The comparisons are no minimum
 * and maximum: NaN becomes 0. They come before the conversion, which truncates what is then not negative. */
static int quantise(const float *values, size_t count, float inverse, size_t levels, uint16_t table, uint16_t *codes)
{
    float half = (float)levels / 2, top = (float)(levels - 1);
    int finite = 1;
    for (size_t p = 0; p < count; p++) {
        float scaled = values[p] * inverse;
        float place = scaled + half;
        float floored = place > 0 ? place : 0;
        codes[p] = (uint16_t)(table + (int32_t)(floored < top ? floored : top));
        finite &= values[p] - values[p] == 0;
    }
    return finite;
}

static void dequantise(const uint16_t *codes, size_t count, float step, size_t levels, float *values)
{
    float middle = (float)(levels - 1) / 2;
    for (size_t p = 0; p < count; p++)
        values[p] = ((float)(codes[p] % EDGE_SYMBOLS) - middle) * step;
}

static void pack(const struct edge_latent_plan *plan, const uint16_t *codes, uint8_t *out, size_t size)
{
    struct edge_bit_writer bits = {.at = out, .end = out + size};
    uint32_t each = bits_of(plan->levels);
    for (size_t i = 0; i < plan->channels * plan->positions; i++)
        edge_put_bits(&bits, codes[i] % EDGE_SYMBOLS, each);
    edge_flush_bits(&bits);
}

/* Symbols of packed bytes; 0 when no encoder wrote them. */
static int unpack(const struct edge_latent_plan *plan, const uint8_t *data, size_t size, uint16_t *codes)
{
    struct edge_bit_reader bits = {.at = data, .end = data + size};
    uint32_t each = bits_of(plan->levels), beyond = 0;
    for (size_t i = 0; i < plan->channels * plan->positions; i++) {
        codes[i] = (uint16_t)edge_take_bits(&bits, each);
        beyond |= codes[i] >= plan->levels;
    }
    return !beyond && edge_bits_end(&bits);
}

/* Symbols of an rANS stream; 0 when no encoder wrote it. No histogram has a share for a symbol beyond the levels. */
static int uncode(const struct edge_latent_plan *plan, const uint8_t *data, size_t size, uint16_t *codes)
{
    struct edge_rans_reader rans;
    if (!edge_rans_begin(&rans, data, size))
        return 0;
    for (size_t c = 0; c < plan->channels; c++)
        for (size_t p = 0; p < plan->positions; p++)
            codes[c * plan->positions + p] = (uint16_t)(c * EDGE_SYMBOLS);
    edge_rans_take(&rans, codes, 0, plan->channels * plan->positions, plan->symbols, plan->slots);
    return edge_rans_end(&rans) && rans.at == rans.end;
}

int64_t edge_latent_encode(const struct edge_latent_plan *plan, const float *latent, uint16_t *codes, uint8_t *out,
                           size_t capacity)
{
    size_t packed = packed_size(plan);
    if (capacity < packed + SPARE)
        return EDGE_BAD_SIZE;
    int finite = 1;
    for (size_t c = 0; c < plan->channels; c++)
        finite &= quantise(latent + c * plan->positions, plan->positions, 1 / plan->step[c], plan->levels,
                           (uint16_t)(c * EDGE_SYMBOLS), codes + c * plan->positions);
    if (!finite)
        return EDGE_BAD_FEATURES;
    /* With this much room, only streams that are larger than the packed symbols are refused. */
    size_t coded = edge_rans_put(codes, plan->channels * plan->positions, plan->symbols, out, packed + SPARE);
    if (coded > 0 && coded < packed)
        return (int64_t)coded;
    pack(plan, codes, out, packed);
    return (int64_t)packed;
}

int32_t edge_latent_decode(const struct edge_latent_plan *plan, const uint8_t *data, size_t size, uint16_t *codes,
                           float *latent)
{
    size_t packed = packed_size(plan);
    if (size > packed || !(size == packed ? unpack : uncode)(plan, data, size, codes))
        return EDGE_BAD_STREAM;
    for (size_t c = 0; c < plan->channels; c++)
        dequantise(codes + c * plan->positions, plan->positions, plan->step[c], plan->levels,
                   latent + c * plan->positions);
    return EDGE_OK;
}
