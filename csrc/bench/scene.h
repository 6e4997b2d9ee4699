/* A made-up feature map with all that a coder holds of it, and the stages that work on it one at a time. */
#ifndef EDGE_SCENE_H
#define EDGE_SCENE_H

#include "feature_stages.h"

#define EDGE_STAGES 12

struct edge_scene {
    size_t channels, side, block, stride; /* maps are square, and so many whole blocks wide */
    size_t rows, blocks, frequencies;
    float *map, *mean, *scale;
    int16_t *positions, *coefficients, *levels, *scratch;
    int16_t *basis, *matrix;
    int32_t *sums;
    float *steps;      /* [frequencies][stride], all one: what is sized in place stays the same */
    uint16_t *extent;  /* [frequencies] */
    uint16_t *middle;  /* [frequencies][stride] */
    int16_t *reach;    /* the same */
    uint16_t *symbols; /* of all rows, one after the other */
    struct edge_rans_symbol *tables;
    uint8_t *slots, *payload;
    size_t coded, nonzero, capacity, payload_size;
    uint8_t *from, *to; /* for memcpy of as many bytes as a stage reads and writes */
    void *out; /* every stage's result, so that none changes another one's input */
};

struct edge_stage {
    const char *name;
    void (*run)(struct edge_scene *scene);
    size_t bytes;    /* read and written, what serves every block counted once */
    size_t products; /* that a transform sums */
    size_t values;
};

/* Levels have the sizes that histograms up to number `busiest` promise. Ends the program where memory does. */
struct edge_scene edge_scene_make(size_t channels, size_t side, size_t block, size_t busiest);
void edge_scene_free(struct edge_scene *scene);
/* In the order of encoding, then of decoding. */
void edge_scene_stages(const struct edge_scene *scene, struct edge_stage stages[EDGE_STAGES]);

#endif
