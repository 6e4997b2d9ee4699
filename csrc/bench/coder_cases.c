/* A feature map of 40 x 28 x 28 at the cut that the zoo's split network has by default, a latent of 12 x 28 x 28, and
 * values for the entropy coder alone. Only sizes, and which symbols are frequent, are true to life: the map is noise,
 * and steps, not magnitudes, differ between its components. */
#include "cases.h"
#include "edge_kernels.h"
#include "rans.h"
#include "synthetic.h"

#include <string.h>

enum {
    CHANNELS = 40,
    MAP_SIDE = 28,
    POSITIONS = MAP_SIDE * MAP_SIDE,
    MAP = CHANNELS * POSITIONS,
    BLOCK = 7,
    EVEN = BLOCK + 1,
    STRIDE = 48,
    FREQUENCIES = BLOCK * BLOCK,
    BLOCKS = POSITIONS / FREQUENCIES,
    ROWS = FREQUENCIES * BLOCKS,
    CLASSES = 4,
    VALUE_TABLES = 28,
    TABLES = VALUE_TABLES + 1,
    VALUES = 4096,
    LATENT_CHANNELS = 12,
    LATENT = LATENT_CHANNELS * POSITIONS,
    LEVELS = 16,
    LATENT_BYTES = LATENT / 2,
    STREAM = 1 << 17,
    /* Histograms by which expected magnitudes fall from the first frequency and component to the last ones, as in
     * scene.c, and what is too small to be coded. */
    BUSIEST = 22,
    FALL = 14,
    LEAST_CODED = 6
};

/* Operations per value, from the sources. */
enum {
    LOAD = 6,
    PRODUCT = 2,
    SIZE = 5,
    CODE = 4,
    SYMBOL = 6,
    UNCODE = 3,
    UNSIZE = 5,
    DESCALE = 4,
    STORE = 3,
    LEVEL = 8,
    UNLEVEL = 4
};

/* Orthonormal but for its rows' angles, in units of 2^-14: 2^14 over the root of 7. */
#define BASIS 6193
/* Rows of `forward` sum to 65000 in magnitude; those of `inverse` are 2^14 over the root of 40 each. */
#define FORWARD 1625
#define INVERSE 2590
/* Noise of up to 4096 either way: its mean magnitude after two transforms, and after channels are mixed. */
#define REACH 4096
#define MIXED (REACH * 0.5774 * 0.7979 * FORWARD * 6.3246)

static struct edge_rans_symbol symbols[TABLES * EDGE_SYMBOLS], latent_symbols[LATENT_CHANNELS * EDGE_SYMBOLS];
static struct edge_rans_symbol prepared[TABLES * EDGE_SYMBOLS];
static uint8_t slots[TABLES * EDGE_SLOTS], prepared_slots[TABLES * EDGE_SLOTS];
static uint8_t latent_slots[LATENT_CHANNELS * EDGE_SLOTS];
static uint16_t histograms[TABLES * EDGE_SYMBOLS];

static int32_t values[VALUES];
static uint8_t tables[VALUES], shifts[VALUES], value_stream[STREAM];
static uint16_t value_codes[VALUES];
static int64_t value_size;

static float map[MAP], restored[MAP], zeros[CHANNELS], ones[CHANNELS];
static int16_t basis[BLOCK * EVEN], transposed[BLOCK * EVEN], forward[STRIDE * STRIDE], inverse[STRIDE * STRIDE];
static uint16_t rank[FREQUENCIES], extent[FREQUENCIES];
static float inverse_step[FREQUENCIES * STRIDE], step_size[FREQUENCIES * STRIDE];
static uint8_t ratio[FREQUENCIES * STRIDE], shift[CLASSES * FREQUENCIES * STRIDE];
static uint16_t middle[CLASSES * FREQUENCIES * STRIDE];
static int16_t reach[CLASSES * FREQUENCIES * STRIDE];
static int16_t positions[POSITIONS * STRIDE], coefficients[ROWS * STRIDE], levels[ROWS * STRIDE];
static int32_t sums[4 * STRIDE];
static uint8_t classes[BLOCKS], raw[4 * ROWS * CHANNELS + 8], map_stream[STREAM];
static uint16_t map_symbols[ROWS * CHANNELS + BLOCKS + 16];
static int64_t map_size;
static size_t coded;

static const struct edge_feature_plan plan = {
    CHANNELS, MAP_SIDE, MAP_SIDE, BLOCK, STRIDE, .rectified = 0, .activity = 1, .mean = zeros, .scale = ones,
    .unscale = ones, .basis = basis, .transposed = transposed, .forward = forward, .inverse = inverse, .rank = rank,
    .symbols = symbols, .slots = slots};
static const struct edge_feature_buffers buffers = {positions, coefficients, levels, sums, classes, map_symbols, raw};
static struct edge_feature_step step = {extent, inverse_step, step_size, ratio, zeros, {middle, reach, shift},
                                        .activity_table = VALUE_TABLES};

static float latent[LATENT], latent_restored[LATENT], latent_steps[LATENT_CHANNELS];
static uint16_t latent_codes[LATENT];
static uint8_t latent_stream[LATENT_BYTES + 32];
static int64_t latent_size;
static const struct edge_latent_plan latent_plan = {LATENT_CHANNELS, POSITIONS, LEVELS, latent_steps, latent_symbols,
                                                    latent_slots};

static int64_t run_rans_prepare(void)
{
    return edge_rans_prepare(histograms, TABLES, prepared, prepared_slots);
}

static int64_t run_rans_encode(void)
{
    return value_size = edge_rans_encode(values, tables, shifts, VALUES, symbols, value_codes, value_stream, STREAM);
}

static int64_t run_rans_decode(void)
{
    return edge_rans_decode(value_stream, (size_t)value_size, tables, shifts, VALUES, symbols, slots, value_codes,
                            values);
}

static int64_t run_feature_prepare(void)
{
    edge_feature_prepare(&plan, &step);
    return 0;
}

static int64_t run_feature_transform(void)
{
    return edge_feature_transform(&plan, map, &buffers);
}

static int64_t run_feature_encode(void)
{
    return map_size = edge_feature_encode(&plan, &step, &buffers, map_stream, STREAM);
}

static int64_t run_feature_decode(void)
{
    return edge_feature_decode(&plan, &step, &buffers, map_stream, (size_t)map_size, restored);
}

static int64_t run_latent_encode(void)
{
    return latent_size = edge_latent_encode(&latent_plan, latent, latent_codes, latent_stream, sizeof latent_stream);
}

static int64_t run_latent_decode(void)
{
    return edge_latent_decode(&latent_plan, latent_stream, (size_t)latent_size, latent_codes, latent_restored);
}

/* Of values, then of blocks' classes: most blocks are as busy as expected. */
static void make_histograms(void)
{
    static const uint16_t class_shares[CLASSES] = {12, 215, 690, 107};
    for (size_t i = 0; i < VALUE_TABLES; i++)
        edge_synthetic_histogram(i, histograms + i * EDGE_SYMBOLS);
    memcpy(histograms + VALUE_TABLES * EDGE_SYMBOLS, class_shares, sizeof class_shares);
    edge_rans_prepare(histograms, TABLES, symbols, slots);
}

/* Symbols as frequent as their histograms say. */
static void make_values(void)
{
    for (size_t i = 0; i < VALUES; i++) {
        tables[i] = (uint8_t)(LEAST_CODED + edge_synthetic_bits() % (BUSIEST - LEAST_CODED));
        uint32_t symbol = slots[tables[i] * EDGE_SLOTS + edge_synthetic_bits() % EDGE_SLOTS];
        values[i] = symbol == EDGE_ESCAPE ? EDGE_LARGEST_SYMBOL + 1 : (int32_t)symbol - EDGE_LARGEST_SYMBOL;
    }
}

static int16_t either(int16_t value)
{
    return edge_synthetic_bits() >> 31 ? value : (int16_t)-value;
}

static void make_matrices(void)
{
    for (size_t k = 0; k < BLOCK; k++)
        for (size_t i = 0; i < BLOCK; i++)
            basis[k * EVEN + i] = transposed[i * EVEN + k] = either(BASIS);
    for (size_t in = 0; in < CHANNELS; in++)
        for (size_t out = 0; out < CHANNELS; out++) {
            forward[(in / 2 * STRIDE + out) * 2 + in % 2] = either(FORWARD);
            inverse[(in / 2 * STRIDE + out) * 2 + in % 2] = either(INVERSE);
        }
    for (size_t k = 0; k < FREQUENCIES; k++)
        rank[k] = (uint16_t)k;
}

/* Steps that make the noise as large as the histograms expect. */
static void make_step(void)
{
    double block = 0;
    for (size_t k = 0; k < FREQUENCIES; k++)
        for (size_t d = 0; d < CHANNELS; d++) {
            size_t fall = FALL * (k / BLOCK + k % BLOCK) / (2 * BLOCK - 2) + FALL * d / CHANNELS, at = k * STRIDE + d;
            ratio[at] = (uint8_t)(fall < BUSIEST ? BUSIEST - fall : 0);
            double magnitude = edge_synthetic_magnitude(ratio[at]);
            inverse_step[at] = (float)(magnitude / MIXED);
            step_size[at] = (float)(REACH / magnitude);
            if (ratio[at] < LEAST_CODED)
                continue;
            extent[k] = (uint16_t)(d + 1);
            block += k ? magnitude : 0;
        }
    step.level = (uint32_t)(16 * block);
    edge_feature_prepare(&plan, &step);
    for (size_t k = 0; k < FREQUENCIES; k++)
        coded += BLOCKS * extent[k];
}

static void make_map(void)
{
    for (size_t i = 0; i < CHANNELS; i++)
        ones[i] = 1;
    for (size_t i = 0; i < MAP; i++)
        map[i] = (2 * edge_synthetic_unit() - 1) * REACH;
    make_matrices();
    make_step();
    run_feature_transform();
    run_feature_encode();
}

/* Levels in the middle are the most frequent, in values and histograms alike. */
static void make_latent(void)
{
    static const uint16_t rising[LEVELS / 2] = {8, 24, 40, 56, 72, 88, 104, 120};
    uint16_t shares[LATENT_CHANNELS * EDGE_SYMBOLS] = {0};
    for (size_t c = 0; c < LATENT_CHANNELS; c++) {
        latent_steps[c] = 0.25f;
        for (size_t i = 0; i < LEVELS; i++)
            shares[c * EDGE_SYMBOLS + i] = rising[i < LEVELS / 2 ? i : LEVELS - 1 - i];
    }
    for (size_t i = 0; i < LATENT; i++)
        latent[i] = (edge_synthetic_unit() + edge_synthetic_unit() - 1) * (LEVELS / 2) * 0.25f;
    edge_rans_prepare(shares, LATENT_CHANNELS, latent_symbols, latent_slots);
    run_latent_encode();
}

size_t edge_coder_cases_make(struct edge_case *cases)
{
    edge_synthetic_seed(2);
    make_histograms();
    make_values();
    run_rans_encode();
    make_map();
    make_latent();
    size_t along = 2 * BLOCK * PRODUCT * MAP, row = sizeof coefficients, matrix = sizeof forward;
    size_t codes = sizeof middle / CLASSES + sizeof reach / CLASSES, steps = sizeof step_size;
    size_t value_bytes = sizeof values + sizeof tables + sizeof shifts + (size_t)value_size;
    const struct edge_case all[] = {
        {"rans_prepare", run_rans_prepare, sizeof histograms + sizeof prepared + sizeof prepared_slots,
         TABLES * EDGE_SLOTS, EDGE_TABLES},
        {"rans_encode", run_rans_encode, value_bytes, (CODE + SYMBOL) * VALUES, EDGE_INTEGERS},
        {"rans_decode", run_rans_decode, value_bytes, (UNCODE + SYMBOL) * VALUES, EDGE_INTEGERS},
        {"feature_prepare", run_feature_prepare, sizeof ratio + sizeof middle + sizeof reach + sizeof shift,
         SIZE * CLASSES * FREQUENCIES * STRIDE, EDGE_INTEGERS},
        {"feature_transform", run_feature_transform, sizeof map + row, along + LOAD * MAP, EDGE_INTEGERS},
        {"feature_encode", run_feature_encode, row + matrix + codes + steps + 2 * coded + (size_t)map_size,
         PRODUCT * CHANNELS * coded + (SIZE + CODE + SYMBOL) * coded, EDGE_INTEGERS},
        {"feature_decode", run_feature_decode, sizeof map + matrix + codes + steps + 2 * coded + (size_t)map_size,
         (SYMBOL + UNCODE + UNSIZE) * coded + PRODUCT * CHANNELS * coded + along + (DESCALE + STORE) * MAP,
         EDGE_INTEGERS},
        {"latent_encode", run_latent_encode, sizeof latent + sizeof latent_codes + (size_t)latent_size,
         (LEVEL + SYMBOL) * LATENT, EDGE_FLOATS},
        {"latent_decode", run_latent_decode, sizeof latent + sizeof latent_codes + (size_t)latent_size,
         (SYMBOL + UNLEVEL) * LATENT, EDGE_FLOATS},
    };
    memcpy(cases, all, sizeof all);
    return sizeof all / sizeof *all;
}
