/* Each stage on its own, over a whole map, as features.c walks it. */
#include "scene.h"

#include "dispatch.h"
#include "rans.h"

static int16_t *position(struct edge_scene *scene, int16_t *from, size_t block, size_t i, size_t j)
{
    size_t columns = scene->side / scene->block;
    size_t y = block / columns * scene->block + i, x = block % columns * scene->block + j;
    return from + (y * scene->side + x) * scene->stride;
}

static int16_t *coefficient(struct edge_scene *scene, int16_t *from, size_t block, size_t i, size_t j)
{
    return from + ((i * scene->block + j) * scene->blocks + block) * scene->stride;
}

static void load_map(struct edge_scene *scene)
{
    edge_load_map(scene->map, scene->channels, scene->rows, scene->mean, scene->scale, scene->stride, scene->out);
}

static void transform(struct edge_scene *scene)
{
    struct edge_lines lines;
    for (size_t block = 0; block < scene->blocks; block++) {
        for (size_t j = 0; j < scene->block; j++) {
            for (size_t i = 0; i < scene->block; i++) {
                lines.in[i] = position(scene, scene->positions, block, i, j);
                lines.out[i] = scene->scratch + (i * scene->block + j) * scene->stride;
            }
            edge_transform(&lines, scene->basis, scene->block, scene->stride);
        }
        for (size_t i = 0; i < scene->block; i++) {
            for (size_t j = 0; j < scene->block; j++) {
                lines.in[j] = scene->scratch + (i * scene->block + j) * scene->stride;
                lines.out[j] = coefficient(scene, scene->out, block, i, j);
            }
            edge_transform(&lines, scene->basis, scene->block, scene->stride);
        }
    }
}

static size_t rows_from(const struct edge_scene *scene, size_t first)
{
    return scene->rows - first < EDGE_ROWS_AT_ONCE ? scene->rows - first : EDGE_ROWS_AT_ONCE;
}

static size_t round_up(size_t value)
{
    return (value + 7) / 8 * 8;
}

static size_t widest(const struct edge_scene *scene, size_t first)
{
    size_t found = 0;
    for (size_t row = first; row < first + rows_from(scene, first); row++)
        if (scene->extent[row / scene->blocks] > found)
            found = scene->extent[row / scene->blocks];
    return found;
}

static void mix(struct edge_scene *scene)
{
    for (size_t first = 0; first < scene->rows; first += EDGE_ROWS_AT_ONCE)
        if (widest(scene, first))
            edge_mix(scene->coefficients + first * scene->stride, rows_from(scene, first), scene->matrix,
                     scene->stride, round_up(widest(scene, first)), scene->sums);
}

static void quantise(struct edge_scene *scene)
{
    for (size_t row = 0; row < scene->rows; row++) {
        size_t k = row / scene->blocks;
        edge_quantise(scene->sums + row % EDGE_ROWS_AT_ONCE * scene->stride, scene->steps + k * scene->stride,
                      round_up(scene->extent[k]), (int16_t *)scene->out + row * scene->stride);
    }
}

static void code(struct edge_scene *scene)
{
    uint16_t *out = scene->out;
    for (size_t row = 0; row < scene->rows; row++) {
        size_t k = row / scene->blocks, at = k * scene->stride;
        edge_code(scene->levels + row * scene->stride, scene->middle + at, scene->reach + at, scene->extent[k], out);
        out += scene->extent[k];
    }
}

static void rans_put(struct edge_scene *scene)
{
    edge_rans_put(scene->symbols, scene->coded, scene->tables, scene->out, scene->capacity);
}

/* The symbols that are found replace themselves. */
static void rans_take(struct edge_scene *scene)
{
    struct edge_rans_reader rans;
    edge_rans_begin(&rans, scene->payload, scene->payload_size);
    edge_rans_take(&rans, scene->symbols, 0, scene->coded, scene->tables, scene->slots);
}

static void uncode(struct edge_scene *scene)
{
    const uint16_t *symbols = scene->symbols;
    for (size_t row = 0; row < scene->rows; row++) {
        size_t k = row / scene->blocks, at = k * scene->stride, count = scene->extent[k];
        int16_t *levels = (int16_t *)scene->out + row * scene->stride;
        edge_uncode(symbols, scene->middle + at, scene->reach + at, count, levels);
        memset(levels + count, 0, (scene->stride - count) * sizeof *levels);
        symbols += count;
    }
}

static void dequantise(struct edge_scene *scene)
{
    for (size_t row = 0; row < scene->rows; row++) {
        size_t k = row / scene->blocks;
        edge_dequantise(scene->levels + row * scene->stride, scene->steps + k * scene->stride,
                        round_up(scene->extent[k]));
    }
}

static void mix_back(struct edge_scene *scene)
{
    int16_t *out = scene->out;
    for (size_t first = 0; first < scene->rows; first += EDGE_ROWS_AT_ONCE) {
        size_t count = rows_from(scene, first);
        edge_mix(scene->levels + first * scene->stride, count, scene->matrix, scene->stride, scene->stride,
                 scene->sums);
        edge_descale(scene->sums, count * scene->stride, out + first * scene->stride);
    }
}

static void transform_back(struct edge_scene *scene)
{
    struct edge_lines lines;
    for (size_t block = 0; block < scene->blocks; block++) {
        for (size_t i = 0; i < scene->block; i++) {
            for (size_t j = 0; j < scene->block; j++) {
                lines.in[j] = coefficient(scene, scene->coefficients, block, i, j);
                lines.out[j] = scene->scratch + (i * scene->block + j) * scene->stride;
            }
            edge_transform(&lines, scene->basis, scene->block, scene->stride);
        }
        for (size_t j = 0; j < scene->block; j++) {
            for (size_t i = 0; i < scene->block; i++) {
                lines.in[i] = scene->scratch + (i * scene->block + j) * scene->stride;
                lines.out[i] = position(scene, scene->out, block, i, j);
            }
            edge_transform(&lines, scene->basis, scene->block, scene->stride);
        }
    }
}

static void store_map(struct edge_scene *scene)
{
    edge_store_map(scene->positions, scene->channels, scene->rows, scene->mean, scene->scale, scene->stride, scene->scale,
                   scene->out);
}

static size_t mixed_rows(const struct edge_scene *scene)
{
    size_t sum = 0;
    for (size_t first = 0; first < scene->rows; first += EDGE_ROWS_AT_ONCE)
        sum += widest(scene, first) ? rows_from(scene, first) : 0;
    return sum;
}

/* Products that a mix sums: all inputs for the outputs that are coded, or inputs that are not zero for all. */
static size_t products_forward(const struct edge_scene *scene)
{
    size_t sum = 0;
    for (size_t first = 0; first < scene->rows; first += EDGE_ROWS_AT_ONCE)
        sum += rows_from(scene, first) * widest(scene, first) * scene->channels;
    return sum;
}

static size_t products_back(const struct edge_scene *scene)
{
    uint16_t pairs[EDGE_MOST_PAIRS + 1];
    size_t sum = 0;
    for (size_t first = 0; first < scene->rows; first += EDGE_ROWS_AT_ONCE) {
        size_t count = rows_from(scene, first);
        sum += count * scene->channels * 2 *
               edge_active_pairs(scene->levels + first * scene->stride, count, scene->stride, pairs);
    }
    return sum;
}

void edge_scene_stages(const struct edge_scene *scene, struct edge_stage stages[EDGE_STAGES])
{
    size_t map = scene->channels * scene->rows * sizeof(float), row = scene->rows * scene->stride * sizeof(int16_t);
    size_t matrix = scene->stride * scene->stride * sizeof(int16_t), coded = scene->coded;
    size_t forward = products_forward(scene), mixed = mixed_rows(scene) * scene->stride * sizeof(int16_t) +
                                                      forward / scene->channels * sizeof(int32_t);
    size_t along = 2 * scene->block * scene->rows * scene->channels;
    size_t table = scene->frequencies * scene->stride, values = scene->rows * scene->channels;
    const struct edge_stage all[EDGE_STAGES] = {
        {"load_map", load_map, map + row, 0, values},
        {"transform", transform, 2 * row, along, values},
        {"mix", mix, mixed + matrix, forward, values},
        {"quantise", quantise, 6 * coded + 4 * table, 0, coded},
        {"code", code, 4 * coded + 4 * table, 0, coded},
        {"rans_put", rans_put, 2 * coded + scene->payload_size, 0, coded},
        {"rans_take", rans_take, 4 * coded + scene->payload_size, 0, coded},
        {"uncode", uncode, 2 * coded + 4 * table + row, 0, coded},
        {"dequantise", dequantise, 4 * coded + 4 * table, 0, coded},
        {"mix_back", mix_back, 2 * row + matrix, products_back(scene), values},
        {"transform_back", transform_back, 2 * row, along, values},
        {"store_map", store_map, row + map, 0, values},
    };
    memcpy(stages, all, sizeof all);
}
