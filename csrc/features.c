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

/* Blocks of a channel, and rows of channels: one for each frequency of each block. */
struct grid {
    size_t columns, blocks, frequencies, rows;
};

static struct grid grid_of(const struct edge_feature_plan *plan)
{
    size_t columns = (plan->width + plan->block - 1) / plan->block;
    size_t blocks = (plan->height + plan->block - 1) / plan->block * columns, frequencies = plan->block * plan->block;
    return (struct grid){columns, blocks, frequencies, frequencies * blocks};
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
                       size_t stride, const float *floor, float *out)
{
    for (size_t c = 0; c < channels; c++)
        for (size_t p = 0; p < positions; p++) {
            float product = (float)in[p * stride + c] * unscale[c];
            float value = product + mean[c];
            out[c * positions + p] = floor && !(value > floor[c]) ? 0 : value;
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
        for (size_t j = 0; j < side; j++)
            lines.out[j] = buffers->coefficients + (plan->rank[i * side + j] * grid->blocks + block) * stride;
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

/* Rows that are mixed together, and the frequency of each. */
struct group {
    size_t first, count, frequency[EDGE_ROWS_AT_ONCE];
};

static struct group group_at(const struct grid *grid, size_t first)
{
    struct group group = {.first = first};
    size_t k = (uint32_t)first / (uint32_t)grid->blocks, next = (k + 1) * grid->blocks;
    for (size_t row = first; row < grid->rows && group.count < EDGE_ROWS_AT_ONCE; row++) {
        if (row == next) {
            k++;
            next += grid->blocks;
        }
        group.frequency[group.count++] = k;
    }
    return group;
}

/* Levels of every row, up to its frequency's extent. */
static void quantise(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                     const struct edge_feature_buffers *buffers)
{
    struct grid grid = grid_of(plan);
    size_t stride = plan->stride;
    for (size_t first = 0; first < grid.rows; first += EDGE_ROWS_AT_ONCE) {
        struct group group = group_at(&grid, first);
        size_t widest = 0;
        for (size_t i = 0; i < group.count; i++)
            if (step->extent[group.frequency[i]] > widest)
                widest = step->extent[group.frequency[i]];
        if (widest == 0)
            continue;
        edge_mix(buffers->coefficients + first * stride, group.count, plan->forward, stride, round_up(widest, 8),
                 buffers->sums);
        for (size_t i = 0; i < group.count; i++) {
            size_t k = group.frequency[i];
            edge_quantise(buffers->sums + i * stride, step->inverse + k * stride, round_up(step->extent[k], 8),
                          buffers->levels + (first + i) * stride);
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

/* Largest magnitude up to which every value has a symbol of its own. */
static int16_t reach_of(const struct edge_rans_symbol *symbols)
{
    int16_t reach = -1;
    while (reach < EDGE_LARGEST_SYMBOL && edge_symbol_of(symbols, reach + 1) != EDGE_ESCAPE &&
           edge_symbol_of(symbols, -reach - 1) != EDGE_ESCAPE)
        reach++;
    return reach;
}

void edge_feature_prepare(const struct edge_feature_plan *plan, const struct edge_feature_step *step)
{
    size_t values = plan->block * plan->block * plan->stride;
    for (int32_t class = 0; class <= HIGHEST; class++)
        for (size_t i = 0; i < values; i++) {
            int32_t ratio = step->ratio[i] + 4 * (class - USUAL);
            ratio = ratio < 0 ? 0 : ratio > LARGEST_RATIO ? LARGEST_RATIO : ratio;
            int32_t shift = ratio < 28 ? 0 : (ratio - 24) >> 2;
            uint32_t table = EDGE_SYMBOLS * (uint32_t)(ratio - 4 * shift);
            size_t at = (size_t)class * values + i;
            step->codes.middle[at] = (uint16_t)(table + EDGE_LARGEST_SYMBOL);
            step->codes.reach[at] = shift ? -1 : reach_of(plan->symbols + table);
            step->codes.shift[at] = (uint8_t)shift;
        }
}

static uint32_t class_of(const struct edge_feature_plan *plan, const struct edge_feature_buffers *buffers,
                         size_t frequency, size_t block)
{
    return plan->activity && frequency ? buffers->classes[block] : USUAL;
}

/* Where the codes of a frequency begin in a block of that class. */
static size_t codes_at(const struct edge_feature_plan *plan, uint32_t class, size_t frequency)
{
    return (class * plan->block * plan->block + frequency) * plan->stride;
}

/* Symbols, escapes and low bits of those of `count` values that are beyond their reach. */
static void code_beyond(const int16_t *levels, size_t count, const struct edge_feature_codes *codes, size_t at,
                        const struct edge_rans_symbol *symbols, uint16_t *out, struct edge_bit_writer *raw)
{
    for (size_t d = 0; d < count; d++) {
        if (levels[d] <= codes->reach[at + d] && levels[d] >= -codes->reach[at + d])
            continue;
        uint32_t shift = codes->shift[at + d], table = codes->middle[at + d] - EDGE_LARGEST_SYMBOL;
        uint32_t symbol = edge_symbol_of(symbols + table, edge_high(levels[d], shift));
        out[d] = (uint16_t)(table + symbol);
        if (shift || symbol == EDGE_ESCAPE)
            edge_put_raw(raw, levels[d], shift, symbol == EDGE_ESCAPE);
    }
}

int32_t edge_code_scalar(const int16_t *levels, const uint16_t *middle, const int16_t *reach, size_t count,
                         uint16_t *out)
{
    int32_t beyond = 0;
    for (size_t d = 0; d < count; d++) {
        out[d] = (uint16_t)(middle[d] + levels[d]);
        beyond |= levels[d] > reach[d] || levels[d] < -reach[d];
    }
    return beyond;
}

int64_t edge_feature_encode(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                            const struct edge_feature_buffers *buffers, uint8_t *out, size_t capacity)
{
    struct grid grid = grid_of(plan);
    size_t coded = 0;
    struct edge_bit_writer raw = {.at = buffers->raw, .end = buffers->raw + 4 * grid.rows * plan->channels + 8};
    quantise(plan, step, buffers);
    if (plan->activity) {
        classify(plan, step, buffers);
        for (; coded < grid.blocks; coded++)
            buffers->symbols[coded] = (uint16_t)(EDGE_SYMBOLS * step->activity_table + buffers->classes[coded]);
    }
    for (size_t k = 0; k < grid.frequencies; k++)
        for (size_t block = 0; block < grid.blocks; block++) {
            uint32_t class = class_of(plan, buffers, k, block);
            if (class == SKIPPED)
                continue;
            const int16_t *levels = buffers->levels + (k * grid.blocks + block) * plan->stride;
            size_t at = codes_at(plan, class, k), count = step->extent[k];
            /* Up to fifteen symbols more are written, and written over. */
            if (edge_code(levels, step->codes.middle + at, step->codes.reach + at, count, buffers->symbols + coded))
                code_beyond(levels, count, &step->codes, at, plan->symbols, buffers->symbols + coded, &raw);
            coded += count;
        }
    edge_flush_bits(&raw);
    size_t size = edge_rans_put(buffers->symbols, coded, plan->symbols, out, capacity);
    size_t raw_size = (size_t)(raw.at - buffers->raw);
    if (size == 0 || raw_size > capacity - size)
        return EDGE_BAD_SIZE;
    memcpy(out + size, buffers->raw, raw_size);
    return (int64_t)(size + raw_size);
}

/* Values of those of `count` symbols that are escapes or have low bits; 0 when no encoder wrote them. */
static int read_beyond(size_t count, const uint8_t *shift, struct edge_bit_reader *raw, int16_t *levels)
{
    for (size_t d = 0; d < count; d++) {
        int32_t value, symbol = levels[d] + EDGE_LARGEST_SYMBOL;
        if (symbol != EDGE_ESCAPE && shift[d] == 0)
            continue;
        if (!edge_take_raw(raw, (uint32_t)symbol, shift[d], &value))
            return 0;
        levels[d] = (int16_t)value;
    }
    return 1;
}

int32_t edge_uncode_scalar(const uint16_t *symbols, const uint16_t *middle, const int16_t *reach, size_t count,
                           int16_t *levels)
{
    int32_t beyond = 0;
    for (size_t d = 0; d < count; d++) {
        levels[d] = (int16_t)(symbols[d] - middle[d]);
        beyond |= levels[d] > EDGE_LARGEST_SYMBOL || reach[d] < 0;
    }
    return beyond;
}

/* Class of each block from the first symbols; 0 when no encoder wrote them. */
static int read_classes(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                        const struct edge_feature_buffers *buffers, struct edge_rans_reader *rans)
{
    size_t blocks = grid_of(plan).blocks;
    for (size_t block = 0; block < blocks; block++)
        buffers->symbols[block] = (uint16_t)(EDGE_SYMBOLS * step->activity_table);
    edge_rans_take(rans, buffers->symbols, 0, blocks, plan->symbols, plan->slots);
    for (size_t block = 0; block < blocks; block++) {
        buffers->classes[block] = buffers->symbols[block] % EDGE_SYMBOLS;
        if (buffers->classes[block] > HIGHEST)
            return 0;
    }
    return 1;
}

/* Names the histogram of every symbol to come after the `first`; returns how many symbols there are in all. */
static size_t expect_symbols(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                             const struct edge_feature_buffers *buffers, size_t first)
{
    struct grid grid = grid_of(plan);
    size_t coded = first;
    for (size_t k = 0; k < grid.frequencies; k++)
        for (size_t block = 0; block < grid.blocks; block++) {
            uint32_t class = class_of(plan, buffers, k, block);
            if (class == SKIPPED)
                continue;
            memcpy(buffers->symbols + coded, step->codes.middle + codes_at(plan, class, k),
                   step->extent[k] * sizeof *buffers->symbols);
            coded += step->extent[k];
        }
    return coded;
}

/* Levels of every row from the stream; zero where nothing was coded. */
static int32_t read_levels(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                           const struct edge_feature_buffers *buffers, const uint8_t *data, size_t size)
{
    struct grid grid = grid_of(plan);
    struct edge_rans_reader rans;
    size_t first = plan->activity ? grid.blocks : 0;
    if (!edge_rans_begin(&rans, data, size) || (plan->activity && !read_classes(plan, step, buffers, &rans)))
        return EDGE_BAD_STREAM;
    size_t coded = expect_symbols(plan, step, buffers, first);
    edge_rans_take(&rans, buffers->symbols + first, first, coded - first, plan->symbols, plan->slots);
    if (!edge_rans_end(&rans))
        return EDGE_BAD_STREAM;
    struct edge_bit_reader raw = {.at = rans.at, .end = rans.end};
    const uint16_t *symbols = buffers->symbols + first;
    int16_t *levels = buffers->levels;
    for (size_t k = 0; k < grid.frequencies; k++)
        for (size_t block = 0; block < grid.blocks; block++, levels += plan->stride) {
            uint32_t class = class_of(plan, buffers, k, block);
            size_t at = codes_at(plan, class, k), count = class == SKIPPED ? 0 : step->extent[k];
            /* Up to fifteen symbols more are read, and what comes of them is zeroed. */
            if (edge_uncode(symbols, step->codes.middle + at, step->codes.reach + at, count, levels) &&
                !read_beyond(count, step->codes.shift + at, &raw, levels))
                return EDGE_BAD_STREAM;
            memset(levels + count, 0, (plan->stride - count) * sizeof *levels);
            symbols += count;
        }
    return edge_bits_end(&raw) ? EDGE_OK : EDGE_BAD_STREAM;
}

/* Coefficients of every row from its levels, which are lost. */
static void unmix(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                  const struct edge_feature_buffers *buffers)
{
    struct grid grid = grid_of(plan);
    size_t stride = plan->stride;
    for (size_t first = 0; first < grid.rows; first += EDGE_ROWS_AT_ONCE) {
        struct group group = group_at(&grid, first);
        int16_t *levels = buffers->levels + first * stride;
        for (size_t i = 0; i < group.count; i++) {
            size_t k = group.frequency[i];
            edge_dequantise(levels + i * stride, step->step + k * stride, round_up(step->extent[k], 8));
        }
        edge_mix(levels, group.count, plan->inverse, stride, stride, buffers->sums);
        edge_descale(buffers->sums, group.count * stride, buffers->coefficients + first * stride);
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
        for (size_t j = 0; j < side; j++) {
            lines.in[j] = buffers->coefficients + (plan->rank[i * side + j] * grid->blocks + block) * stride;
            lines.out[j] = scratch + (i * side + j) * stride;
        }
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
               plan->stride, plan->rectified ? step->floor : NULL, map);
    return EDGE_OK;
}
