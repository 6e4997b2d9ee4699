/* What the stages compute does not change how long they take, but for which values are zero and which symbols are
 * frequent: those follow the tables. Everything else is random. */
#include "scene.h"

#include "rans.h"
#include "synthetic.h"

#include <stdio.h>
#include <stdlib.h>

#define HISTOGRAMS 28
/* Expected sizes that are a fifth of a step or less are not coded. */
#define LEAST_CODED 6
/* How many histograms the highest frequency, and the last component, lie below the first one. */
#define FREQUENCY_FALL 14
#define COMPONENT_FALL 14

static void *room(size_t count, size_t size)
{
    void *memory = aligned_alloc(64, (count * size + 127) / 64 * 64);
    if (!memory) {
        fprintf(stderr, "no memory for %zu values\n", count);
        exit(1);
    }
    return memset(memory, 0, count * size);
}

static int16_t *random_integers(size_t count)
{
    int16_t *values = room(count, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (int16_t)(edge_synthetic_bits() >> 18) - 8192;
    return values;
}

static float *random_floats(size_t count)
{
    float *values = room(count, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = (float)(edge_synthetic_bits() >> 16) - 32768;
    return values;
}

static float *same_floats(size_t count, float value)
{
    float *values = room(count, sizeof *values);
    for (size_t i = 0; i < count; i++)
        values[i] = value;
    return values;
}

static void make_tables(struct edge_scene *scene)
{
    uint16_t histograms[HISTOGRAMS * EDGE_SYMBOLS];
    for (size_t i = 0; i < HISTOGRAMS; i++)
        edge_synthetic_histogram(i, histograms + i * EDGE_SYMBOLS);
    scene->tables = room(HISTOGRAMS * EDGE_SYMBOLS, sizeof *scene->tables);
    scene->slots = room(HISTOGRAMS, EDGE_SLOTS);
    if (edge_rans_prepare(histograms, HISTOGRAMS, scene->tables, scene->slots) != EDGE_OK) {
        fprintf(stderr, "a histogram does not sum to %u\n", EDGE_SLOTS);
        exit(1);
    }
}

/* Histogram of a component, and how many components of each frequency are coded. */
static void make_codes(struct edge_scene *scene, size_t busiest)
{
    size_t stride = scene->stride, side = scene->block;
    for (size_t k = 0; k < scene->frequencies; k++)
        for (size_t d = 0; d < scene->channels; d++) {
            size_t fall = FREQUENCY_FALL * (k / side + k % side) / (2 * side - 2) +
                          COMPONENT_FALL * d / scene->channels;
            size_t table = fall < busiest ? busiest - fall : 0;
            scene->middle[k * stride + d] = (uint16_t)(EDGE_SYMBOLS * table + EDGE_LARGEST_SYMBOL);
            scene->reach[k * stride + d] = EDGE_LARGEST_SYMBOL;
            if (table >= LEAST_CODED)
                scene->extent[k] = (uint16_t)(d + 1);
        }
}

static int16_t random_level(const struct edge_scene *scene, uint16_t middle)
{
    uint32_t table = middle / EDGE_SYMBOLS;
    uint32_t symbol = scene->slots[table * EDGE_SLOTS + (edge_synthetic_bits() >> 16) % EDGE_SLOTS];
    return symbol == EDGE_ESCAPE ? 0 : (int16_t)(symbol - EDGE_LARGEST_SYMBOL);
}

static void make_levels(struct edge_scene *scene)
{
    size_t stride = scene->stride;
    for (size_t row = 0; row < scene->rows; row++) {
        size_t k = row / scene->blocks;
        for (size_t d = 0; d < scene->extent[k]; d++) {
            int16_t level = random_level(scene, scene->middle[k * stride + d]);
            scene->levels[row * stride + d] = level;
            scene->symbols[scene->coded++] = (uint16_t)(scene->middle[k * stride + d] + level);
            scene->nonzero += level != 0;
        }
    }
}

struct edge_scene edge_scene_make(size_t channels, size_t side, size_t block, size_t busiest)
{
    edge_synthetic_seed(1); /* the same scene, whatever was made before */
    struct edge_scene scene = {.channels = channels, .side = side, .block = block};
    size_t stride = scene.stride = (channels + 15) / 16 * 16, rows = scene.rows = side * side;
    scene.frequencies = block * block;
    scene.blocks = rows / scene.frequencies;
    scene.map = random_floats(channels * rows);
    scene.mean = same_floats(channels, 0);
    scene.scale = same_floats(channels, 1);
    scene.positions = random_integers(rows * stride);
    scene.coefficients = random_integers(rows * stride);
    scene.levels = room(rows * stride, sizeof *scene.levels);
    scene.scratch = room(scene.frequencies * stride, sizeof *scene.scratch);
    scene.basis = random_integers(EDGE_LARGEST_BLOCK * EDGE_LARGEST_BLOCK);
    scene.matrix = random_integers(stride * stride);
    scene.sums = room(EDGE_ROWS_AT_ONCE * stride, sizeof *scene.sums);
    scene.steps = same_floats(scene.frequencies * stride, 1);
    scene.extent = room(scene.frequencies, sizeof *scene.extent);
    scene.middle = room(scene.frequencies * stride, sizeof *scene.middle);
    scene.reach = room(scene.frequencies * stride, sizeof *scene.reach);
    scene.symbols = room(rows * stride + 16, sizeof *scene.symbols);
    scene.capacity = 2 * rows * stride + 64;
    scene.payload = room(scene.capacity, 1);
    scene.from = room(5 * rows + stride, stride);
    scene.to = room(5 * rows + stride, stride);
    scene.out = room(rows * stride, sizeof(float));
    make_tables(&scene);
    make_codes(&scene, busiest);
    make_levels(&scene);
    scene.payload_size = edge_rans_put(scene.symbols, scene.coded, scene.tables, scene.payload, scene.capacity);
    return scene;
}

void edge_scene_free(struct edge_scene *scene)
{
    void *all[] = {scene->map,    scene->mean,  scene->scale,   scene->positions, scene->coefficients,
                   scene->levels, scene->scratch, scene->basis, scene->matrix,    scene->sums,
                   scene->steps,  scene->extent, scene->middle, scene->reach,     scene->symbols,
                   scene->tables, scene->slots, scene->payload, scene->from,      scene->to,
                   scene->out};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        free(all[i]);
}
