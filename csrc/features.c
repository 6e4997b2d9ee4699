/* The FF transform coder, our reconstruction of the compressor in Hou et al., IEEE TCC 2024.
 *
 * A map goes through: scaling to 16 bits, a DCT of each block, a transform across channels, quantisation, rANS. Rows
 * of `stride` channels are the unit of work, so that the transforms have no inner transpositions. */
#include "feature_stages.h"

#include "dispatch.h"
#include "rans.h"

#include <string.h>

#define LARGEST_RATIO 63
#define SKIPPED 0
#define USUAL 2
#define HIGHEST 3

/* Adding and subtracting it rounds |x| < 2^22 to a whole number, ties to even. */
#define ROUND 12582912.0f

struct grid {
    size_t rows, columns, blocks, frequencies;
};

static struct grid grid_of(const struct edge_feature_plan *plan)
{
    size_t rows = (plan->height + plan->block - 1) / plan->block;
    size_t columns = (plan->width + plan->block - 1) / plan->block;
    return (struct grid){rows, columns, rows * columns, plan->block * plan->block};
}

/* Not a minimum: NaN becomes `low`. */
static float clamp(float value, float low, float high)
{
    float floored = value > low ? value : low;
    return floored < high ? floored : high;
}

int32_t edge_load_map_scalar(const float *map, size_t channels, size_t positions, const float *mean, const float *scale,
                         size_t stride, int16_t *out)
{
    int finite = 1;
    for (size_t c = 0; c < stride; c++)
        for (size_t p = 0; p < positions; p++) {
            float scaled = c < channels ? (map[c * positions + p] - mean[c]) * scale[c] : 0;
            finite &= scaled - scaled == 0;
            out[p * stride + c] = (int16_t)(clamp(scaled, -16384, 16383) + ROUND - ROUND);
        }
    return finite ? EDGE_OK : EDGE_BAD_FEATURES;
}

void edge_store_map_scalar(const int16_t *in, size_t channels, size_t positions, const float *mean, const float *unscale,
                       size_t stride, int32_t rectified, float *out)
{
    for (size_t c = 0; c < channels; c++)
        for (size_t p = 0; p < positions; p++) {
            float product = (float)in[p * stride + c] * unscale[c];
            float value = product + mean[c];
            out[c * positions + p] = rectified && !(value > 0) ? 0 : value;
        }
}

void edge_quantise_scalar(const int32_t *sums, const float *inverse, size_t count, int16_t *out)
{
    for (size_t i = 0; i < count; i++)
        out[i] = (int16_t)(clamp((float)sums[i] * inverse[i], -32767, 32767) + ROUND - ROUND);
}

void edge_dequantise_scalar(int16_t *values, const float *step, size_t count)
{
    for (size_t i = 0; i < count; i++)
        values[i] = (int16_t)(clamp((float)values[i] * step[i], -32768, 32767) + ROUND - ROUND);
}

/* Coefficients of one block, from its positions; beyond the map's edge its last row and column are repeated. */
static void transform_block(const struct edge_feature_plan *plan, const struct grid *grid, size_t block,
                            const struct edge_feature_buffers *buffers, int16_t *scratch)
{
    size_t side = plan->block, stride = plan->stride;
    size_t top = block / grid->columns * side, left = block % grid->columns * side;
    struct edge_lines lines;
    for (size_t j = 0; j < side; j++) {
        size_t x = left + j < plan->width ? left + j : plan->width - 1;
        for (size_t i = 0; i < side; i++) {
            size_t y = top + i < plan->height ? top + i : plan->height - 1;
            lines.in[i] = buffers->positions + (y * plan->width + x) * stride;
            lines.out[i] = scratch + (i * side + j) * stride;
        }
        edge_transform(&lines, plan->basis, side, stride);
    }
    for (size_t i = 0; i < side; i++) {
        for (size_t j = 0; j < side; j++)
            lines.in[j] = scratch + (i * side + j) * stride;
        for (size_t k = 0; k < grid->frequencies; k++)
            if (plan->zigzag[k] / side == i)
                lines.out[plan->zigzag[k] % side] = buffers->coefficients + (k * grid->blocks + block) * stride;
        edge_transform(&lines, plan->basis, side, stride);
    }
}

int32_t edge_feature_transform(const struct edge_feature_plan *plan, const float *map,
                               const struct edge_feature_buffers *buffers)
{
    struct grid grid = grid_of(plan);
    int32_t status = edge_load_map(map, plan->channels, plan->height * plan->width, plan->mean, plan->scale, plan->stride,
                               buffers->positions);
    if (status != EDGE_OK)
        return status;
    /* The levels are not needed yet: their memory holds a block between its two passes. */
    for (size_t block = 0; block < grid.blocks; block++)
        transform_block(plan, &grid, block, buffers, buffers->levels);
    return EDGE_OK;
}

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* Levels of every row, up to its frequency's extent. */
static void quantise(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                     const struct edge_feature_buffers *buffers)
{
    struct grid grid = grid_of(plan);
    size_t stride = plan->stride, rows = grid.frequencies * grid.blocks;
    for (size_t first = 0; first < rows; first += EDGE_ROWS_AT_ONCE) {
        size_t count = rows - first < EDGE_ROWS_AT_ONCE ? rows - first : EDGE_ROWS_AT_ONCE;
        size_t widest = 0;
        for (size_t row = first; row < first + count; row++)
            if (step->extent[row / grid.blocks] > widest)
                widest = step->extent[row / grid.blocks];
        if (widest == 0)
            continue;
        edge_mix(buffers->coefficients + first * stride, count, plan->forward, stride, round_up(widest, 8),
                 buffers->sums);
        for (size_t row = first; row < first + count; row++) {
            size_t k = row / grid.blocks;
            edge_quantise(buffers->sums + (row - first) * stride, step->inverse + k * stride,
                          round_up(step->extent[k], 8), buffers->levels + row * stride);
        }
    }
}

/* Class of each block, from the magnitudes of all but its lowest frequency. */
static void classify(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                     const struct edge_feature_buffers *buffers)
{
    struct grid grid = grid_of(plan);
    for (size_t block = 0; block < grid.blocks; block++) {
        uint64_t sum = 0;
        for (size_t k = 1; k < grid.frequencies; k++) {
            const int16_t *levels = buffers->levels + (k * grid.blocks + block) * plan->stride;
            uint32_t row = 0;
            for (size_t d = 0; d < step->extent[k]; d++)
                row += (uint32_t)(levels[d] < 0 ? -levels[d] : levels[d]);
            sum += row;
        }
        uint64_t scaled = 128 * sum, level = step->level;
        buffers->classes[block] = sum == 0 ? SKIPPED : scaled > 13 * level ? HIGHEST : scaled < 5 * level ? 1 : USUAL;
    }
}

/* Histogram and low bits of every ratio, moved by a block's class. */
struct ratios {
    uint8_t table[LARGEST_RATIO + 1], shift[LARGEST_RATIO + 1];
};

static void ratios_of(uint32_t class, struct ratios *ratios)
{
    for (int32_t ratio = 0; ratio <= LARGEST_RATIO; ratio++) {
        int32_t moved = ratio + 4 * ((int32_t)class - USUAL);
        moved = moved < 0 ? 0 : moved > LARGEST_RATIO ? LARGEST_RATIO : moved;
        int32_t shift = moved < 28 ? 0 : (moved - 24) >> 2;
        ratios->table[ratio] = (uint8_t)(moved - 4 * shift);
        ratios->shift[ratio] = (uint8_t)shift;
    }
}

static void all_ratios(struct ratios ratios[HIGHEST + 1])
{
    for (uint32_t class = 0; class <= HIGHEST; class++)
        ratios_of(class, ratios + class);
}

static uint32_t class_of(const struct edge_feature_plan *plan, const struct edge_feature_buffers *buffers,
                         size_t frequency, size_t block)
{
    return plan->activity && frequency ? buffers->classes[block] : USUAL;
}

static size_t coded_symbols(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                            const struct edge_feature_buffers *buffers)
{
    struct grid grid = grid_of(plan);
    size_t sent = 0, symbols = plan->activity ? grid.blocks : 0;
    for (size_t block = 0; block < grid.blocks; block++)
        sent += class_of(plan, buffers, 1, block) != SKIPPED;
    for (size_t k = 0; k < grid.frequencies; k++)
        symbols += step->extent[k] * (k ? sent : grid.blocks);
    return symbols;
}

/* Histogram and low bits of the value at `offset` of the levels. */
struct coding {
    const struct edge_rans_symbol *symbols;
    uint32_t shift;
};

static struct coding coding_at(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                               const struct edge_feature_buffers *buffers, const struct ratios *ratios,
                               size_t offset)
{
    size_t blocks = grid_of(plan).blocks, row = offset / plan->stride, d = offset % plan->stride;
    size_t k = row / blocks;
    const struct ratios *moved = ratios + class_of(plan, buffers, k, row % blocks);
    uint32_t ratio = step->ratio[k * plan->stride + d];
    return (struct coding){plan->symbols + EDGE_SYMBOLS * moved->table[ratio], moved->shift[ratio]};
}

int64_t edge_feature_encode(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                            const struct edge_feature_buffers *buffers, uint8_t *out, size_t capacity)
{
    struct grid grid = grid_of(plan);
    struct ratios ratios[HIGHEST + 1];
    struct edge_rans_writer rans;
    size_t pending = 0;
    all_ratios(ratios);
    quantise(plan, step, buffers);
    if (plan->activity)
        classify(plan, step, buffers);
    size_t index = coded_symbols(plan, step, buffers);
    edge_rans_open(&rans, out, capacity);
    for (size_t row = grid.frequencies * grid.blocks; row-- && !rans.overflow;) {
        size_t k = row / grid.blocks;
        uint32_t class = class_of(plan, buffers, k, row % grid.blocks);
        if (class == SKIPPED)
            continue;
        const int16_t *levels = buffers->levels + row * plan->stride;
        const uint8_t *ratio = step->ratio + k * plan->stride;
        for (size_t d = step->extent[k]; d--;) {
            uint32_t shift = ratios[class].shift[ratio[d]];
            const struct edge_rans_symbol *table = plan->symbols + EDGE_SYMBOLS * ratios[class].table[ratio[d]];
            const struct edge_rans_symbol *symbol = edge_symbol_of(table, edge_high(levels[d], shift));
            buffers->pending[pending] = (uint32_t)(row * plan->stride + d);
            pending += shift || symbol == table + EDGE_ESCAPE;
            edge_rans_put(&rans, symbol, --index);
        }
    }
    for (size_t block = plan->activity ? grid.blocks : 0; block--;)
        edge_rans_put(&rans, plan->symbols + EDGE_SYMBOLS * step->activity_table + buffers->classes[block], --index);
    if (rans.overflow)
        return EDGE_BAD_SIZE;
    struct edge_bit_writer bits = {.at = out + edge_rans_close(&rans, out, capacity), .end = out + capacity};
    while (pending-- && !bits.overflow) {
        struct coding coding = coding_at(plan, step, buffers, ratios, buffers->pending[pending]);
        int32_t value = buffers->levels[buffers->pending[pending]];
        edge_put_raw(&bits, value, coding.shift,
                     edge_symbol_of(coding.symbols, edge_high(value, coding.shift)) == coding.symbols + EDGE_ESCAPE);
    }
    edge_flush_bits(&bits);
    return bits.overflow ? EDGE_BAD_SIZE : bits.at - out;
}

/* Levels of every row from the stream; zero where nothing was coded. */
static int32_t read_levels(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                           const struct edge_feature_buffers *buffers, const uint8_t *data, size_t size)
{
    struct grid grid = grid_of(plan);
    struct ratios ratios[HIGHEST + 1];
    struct edge_rans_reader rans;
    size_t index = 0, pending = 0;
    all_ratios(ratios);
    if (!edge_rans_begin(&rans, data, size))
        return EDGE_BAD_STREAM;
    for (size_t block = 0; plan->activity && block < grid.blocks; block++, index++) {
        uint32_t table = step->activity_table;
        uint32_t class = edge_rans_take(&rans, plan->symbols + EDGE_SYMBOLS * table,
                                        plan->slots + (size_t)EDGE_SLOTS * table, index);
        if (class > HIGHEST)
            return EDGE_BAD_STREAM;
        buffers->classes[block] = (uint8_t)class;
    }
    for (size_t row = 0; row < grid.frequencies * grid.blocks; row++) {
        size_t k = row / grid.blocks;
        uint32_t class = class_of(plan, buffers, k, row % grid.blocks);
        int16_t *levels = buffers->levels + row * plan->stride;
        const uint8_t *ratio = step->ratio + k * plan->stride;
        size_t coded = class == SKIPPED ? 0 : step->extent[k];
        for (size_t d = 0; d < coded; d++, index++) {
            uint32_t table = ratios[class].table[ratio[d]], shift = ratios[class].shift[ratio[d]];
            uint32_t symbol = edge_rans_take(&rans, plan->symbols + EDGE_SYMBOLS * table,
                                             plan->slots + (size_t)EDGE_SLOTS * table, index);
            levels[d] = (int16_t)((int32_t)symbol - EDGE_LARGEST_SYMBOL);
            buffers->pending[pending] = (uint32_t)(row * plan->stride + d);
            pending += shift || symbol == EDGE_ESCAPE;
        }
        memset(levels + coded, 0, (plan->stride - coded) * sizeof *levels);
    }
    if (!edge_rans_end(&rans))
        return EDGE_BAD_STREAM;
    struct edge_bit_reader bits = {.at = rans.at, .end = rans.end};
    for (size_t i = 0; i < pending; i++) {
        int16_t *level = buffers->levels + buffers->pending[i];
        uint32_t shift = coding_at(plan, step, buffers, ratios, buffers->pending[i]).shift;
        int32_t value;
        if (!edge_take_raw(&bits, (uint32_t)(*level + EDGE_LARGEST_SYMBOL), shift, &value))
            return EDGE_BAD_STREAM;
        *level = (int16_t)value;
    }
    return edge_bits_end(&bits) ? EDGE_OK : EDGE_BAD_STREAM;
}

/* Coefficients of every row from its levels, which are lost. */
static void unmix(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                  const struct edge_feature_buffers *buffers)
{
    struct grid grid = grid_of(plan);
    size_t stride = plan->stride, rows = grid.frequencies * grid.blocks;
    for (size_t first = 0; first < rows; first += EDGE_ROWS_AT_ONCE) {
        size_t count = rows - first < EDGE_ROWS_AT_ONCE ? rows - first : EDGE_ROWS_AT_ONCE;
        int16_t *levels = buffers->levels + first * stride, *out = buffers->coefficients + first * stride;
        for (size_t row = 0; row < count; row++) {
            size_t k = (first + row) / grid.blocks;
            edge_dequantise(levels + row * stride, step->step + k * stride, round_up(step->extent[k], 8));
        }
        edge_mix(levels, count, plan->inverse, stride, stride, buffers->sums);
        edge_descale(buffers->sums, count * stride, out);
    }
}

/* Positions of one block, from its coefficients. */
static void restore_block(const struct edge_feature_plan *plan, const struct grid *grid, size_t block,
                          const struct edge_feature_buffers *buffers, int16_t *scratch, int16_t *beyond)
{
    size_t side = plan->block, stride = plan->stride;
    size_t top = block / grid->columns * side, left = block % grid->columns * side;
    struct edge_lines lines;
    for (size_t i = 0; i < side; i++) {
        for (size_t k = 0; k < grid->frequencies; k++)
            if (plan->zigzag[k] / side == i)
                lines.in[plan->zigzag[k] % side] = buffers->coefficients + (k * grid->blocks + block) * stride;
        for (size_t j = 0; j < side; j++)
            lines.out[j] = scratch + (i * side + j) * stride;
        edge_transform(&lines, plan->transposed, side, stride);
    }
    for (size_t j = 0; j < side; j++) {
        for (size_t i = 0; i < side; i++) {
            int inside = left + j < plan->width && top + i < plan->height;
            lines.in[i] = scratch + (i * side + j) * stride;
            lines.out[i] = inside ? buffers->positions + ((top + i) * plan->width + left + j) * stride : beyond;
        }
        edge_transform(&lines, plan->transposed, side, stride);
    }
}

int32_t edge_feature_decode(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                            const struct edge_feature_buffers *buffers, const uint8_t *data, size_t size, float *map)
{
    struct grid grid = grid_of(plan);
    int32_t status = read_levels(plan, step, buffers, data, size);
    if (status != EDGE_OK)
        return status;
    unmix(plan, step, buffers);
    /* What lies beyond the map's edge goes where nobody looks; the levels' memory holds a block between passes. */
    for (size_t block = 0; block < grid.blocks; block++)
        restore_block(plan, &grid, block, buffers, buffers->levels, (int16_t *)buffers->sums);
    edge_store_map(buffers->positions, plan->channels, plan->height * plan->width, plan->mean, plan->unscale,
               plan->stride, plan->rectified, map);
    return EDGE_OK;
}
