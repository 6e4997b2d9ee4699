/* From a photo to the patches that leave: the sizes of the attention and A-MOT systems at 224 pixels. */
#include "cases.h"
#include "edge_kernels.h"
#include "synthetic.h"

#include <string.h>

enum {
    PHOTO_HEIGHT = 375,
    PHOTO_WIDTH = 500,
    CHANNELS = 3,
    SIDE = 224,
    PIXELS = SIDE * SIDE,
    PATCH = 16,
    GRID = SIDE / PATCH,
    COUNT = GRID * GRID,
    PATCH_BYTES = PATCH * PATCH * CHANNELS,
    BITMAP = (COUNT + 7) / 8,
    TOKENS = COUNT + 1,
    HEADS = 3,
    LAYERS = 12,
    CLASSES = 1000,
    SAMPLED = 49,
    TOP = 64,
    MOST_TAPS = 16
};

#define DELTA 0.97

/* Operations per value, from the sources. */
enum {
    TAP = 2,          /* multiply, add */
    CHECK = 2,        /* a score against both ends of 0..1 */
    BUCKET = 3,       /* subtract, compare, add */
    CUT = 2,          /* is it in the bucket that is cut? above the cut? */
    WEIGH = 2,        /* multiply, convert */
    MIX = 9,          /* a hash */
    DIGIT = 8,        /* one level of the quadtree, but for the hash */
    LABEL = 3,        /* NaN, larger, larger than the other's */
    DECAY = 31,       /* distance, and the polynomial of an exponential */
    TALLY = 5,        /* three sums */
    SHARE = 2         /* multiply, convert */
};

struct taps {
    size_t most, total;
    int32_t bounds[2 * SIDE], weights[SIDE * MOST_TAPS];
};

static struct taps across, down;
static uint8_t photo[PHOTO_HEIGHT * PHOTO_WIDTH * CHANNELS], narrow[PHOTO_HEIGHT * SIDE * CHANNELS];
static uint8_t frame[PIXELS * CHANNELS], patches[COUNT * PATCH_BYTES], bitmap[BITMAP];
static float table[CHANNELS * 256], pixels[CHANNELS * PIXELS];
static float layers[LAYERS * HEADS * TOKENS * TOKENS], heads[HEADS * TOKENS], scores[COUNT], gated[COUNT];
static float logits[CLASSES], shares[CLASSES];
static double rows[3 * TOKENS];
static uint16_t chosen[COUNT], sampled[COUNT], indices[COUNT];
static size_t kept;
static struct edge_uncertainty uncertainty;
static const struct edge_gate_plan plan = {.classes = CLASSES, .heads = HEADS, .tokens = TOKENS, .height = SIDE,
                                           .width = SIDE, .patch = PATCH, .eta = 0, .delta = DELTA,
                                           .measure = EDGE_MIN_ENTROPY, .rule = EDGE_SUM, .include_crossing = 1};
static const struct edge_gate_buffers buffers = {gated, indices, bitmap, patches};
static struct edge_gate_outcome outcome;

static int64_t run_resample_horizontal(void)
{
    return edge_resample_horizontal(photo, PHOTO_HEIGHT, PHOTO_WIDTH, across.bounds, across.weights, across.most, SIDE,
                                    narrow);
}

static int64_t run_resample_vertical(void)
{
    return edge_resample_vertical(narrow, PHOTO_HEIGHT, SIDE, down.bounds, down.weights, down.most, SIDE, frame);
}

static int64_t run_normalise(void)
{
    edge_normalise(frame, PIXELS, table, pixels);
    return 0;
}

static int64_t run_class_attention(void)
{
    return edge_class_attention(heads, HEADS, TOKENS, scores);
}

static int64_t run_rollout(void)
{
    return edge_rollout(layers, LAYERS, HEADS, TOKENS, rows, gated);
}

static int64_t run_select_random(void)
{
    return edge_select_random(COUNT, SAMPLED, 1, sampled);
}

static int64_t run_select_top_k(void)
{
    return edge_select_top_k(scores, COUNT, TOP, indices);
}

static int64_t run_select_threshold(void)
{
    return edge_select_threshold(scores, COUNT, 1.0 / COUNT, indices);
}

static int64_t run_select_sum(void)
{
    return edge_select_sum(scores, COUNT, DELTA, 1, chosen);
}

static int64_t run_sample_grid(void)
{
    return edge_sample_grid(GRID, GRID, SAMPLED, 1, 0, sampled);
}

static int64_t run_sample_grid_jittered(void)
{
    return edge_sample_grid(GRID, GRID, SAMPLED, 1, 1, sampled);
}

static int64_t run_uncertainty(void)
{
    return edge_uncertainty(logits, CLASSES, &uncertainty);
}

static int64_t run_softmax(void)
{
    return edge_softmax(logits, CLASSES, shares);
}

static int64_t run_gather(void)
{
    return edge_gather(frame, SIDE, SIDE, PATCH, chosen, kept, patches);
}

static int64_t run_gather_sampled(void)
{
    return edge_gather(frame, SIDE, SIDE, PATCH, sampled, SAMPLED, patches);
}

static int64_t run_scatter(void)
{
    return edge_scatter(patches, PATCH, chosen, kept, frame, SIDE, SIDE);
}

static int64_t run_pack_bitmap(void)
{
    return edge_pack_bitmap(chosen, kept, COUNT, bitmap);
}

static int64_t run_unpack_bitmap(void)
{
    return edge_unpack_bitmap(bitmap, COUNT, indices);
}

static int64_t run_gate(void)
{
    return edge_gate(&plan, logits, heads, frame, &buffers, &outcome);
}

static double cubic(double x)
{
    x = x < 0 ? -x : x;
    if (x >= 2)
        return 0;
    return x < 1 ? (1.5 * x - 2.5) * x * x + 1 : ((-0.5 * x + 2.5) * x - 4) * x + 2;
}

/* Bicubic, widened by the scale, as a resize from `source` to SIDE pixels has them. */
static void make_taps(size_t source, struct taps *taps)
{
    double scale = (double)source / SIDE, reach = 2 * scale;
    taps->most = 2 * (size_t)reach + 3;
    for (size_t i = 0; i < SIDE; i++) {
        double centre = ((double)i + 0.5) * scale, sum = 0, values[MOST_TAPS];
        double low = centre - reach + 0.5, high = centre + reach + 0.5;
        size_t first = low > 0 ? (size_t)low : 0, last = high < (double)source ? (size_t)high : source;
        for (size_t t = 0; t < last - first; t++)
            sum += values[t] = cubic(((double)(first + t) - centre + 0.5) / scale);
        for (size_t t = 0; t < last - first; t++) {
            double weight = values[t] / sum * (1 << 22);
            taps->weights[i * taps->most + t] = (int32_t)(weight + (weight < 0 ? -0.5 : 0.5));
        }
        taps->bounds[2 * i] = (int32_t)first;
        taps->bounds[2 * i + 1] = (int32_t)(last - first);
        taps->total += last - first;
    }
}

/* A row of attention: shares of few patches are large, so that about seven in ten make up 97 per cent. */
static void make_shares(float *row)
{
    float sum = 0;
    for (size_t i = 0; i < TOKENS; i++) {
        float unit = edge_synthetic_unit();
        sum += row[i] = unit * unit;
    }
    for (size_t i = 0; i < TOKENS; i++)
        row[i] /= sum;
}

/* Every head is a little different. */
static void make_heads(void)
{
    float base[TOKENS];
    make_shares(base);
    for (size_t head = 0; head < HEADS; head++) {
        make_shares(heads + head * TOKENS);
        for (size_t i = 0; i < TOKENS; i++)
            heads[head * TOKENS + i] = (7 * base[i] + heads[head * TOKENS + i]) / 8;
    }
}

static void make_inputs(void)
{
    edge_synthetic_seed(1);
    edge_synthetic_bytes(photo, sizeof photo);
    make_taps(PHOTO_WIDTH, &across);
    make_taps(PHOTO_HEIGHT, &down);
    run_resample_horizontal();
    run_resample_vertical();
    for (size_t i = 0; i < CHANNELS * 256; i++)
        table[i] = ((float)(i % 256) - 120) / 58;
    make_heads();
    for (size_t row = 0; row < LAYERS * HEADS * TOKENS; row++)
        make_shares(layers + row * TOKENS);
    /* The sum of four is near to normal. */
    for (size_t i = 0; i < CLASSES; i++)
        logits[i] = edge_synthetic_unit() + edge_synthetic_unit() + edge_synthetic_unit() + edge_synthetic_unit();
    run_class_attention();
    kept = (size_t)run_select_sum();
    run_sample_grid();
}

size_t edge_frame_cases_make(struct edge_case *cases)
{
    make_inputs();
    size_t levels = 4, copied = 2 * kept * PATCH_BYTES, packed = kept * sizeof *chosen + BITMAP;
    size_t ranks = SAMPLED * (1 << 2 * levels) / COUNT;
    size_t attended = (HEADS + 2) * COUNT, summed = (CHECK + BUCKET + CUT + 2 * WEIGH) * COUNT;
    size_t judged = (LABEL + DECAY + TALLY) * CLASSES;
    size_t scored = sizeof heads + sizeof scores, selected = sizeof scores + sizeof chosen;
    const struct edge_case all[] = {
        {"resample_horizontal", run_resample_horizontal, sizeof photo + sizeof narrow,
         TAP * CHANNELS * PHOTO_HEIGHT * across.total, EDGE_INTEGERS},
        {"resample_vertical", run_resample_vertical, sizeof narrow + sizeof frame, TAP * CHANNELS * SIDE * down.total,
         EDGE_INTEGERS},
        {"normalise", run_normalise, sizeof frame + sizeof table + sizeof pixels, 0, EDGE_TABLES},
        {"class_attention", run_class_attention, scored, attended, EDGE_DOUBLES},
        {"rollout", run_rollout, sizeof layers + sizeof rows, (HEADS + 2) * LAYERS * TOKENS * TOKENS, EDGE_DOUBLES},
        {"select_random", run_select_random, SAMPLED * sizeof *sampled, (MIX + 3) * COUNT, EDGE_INTEGERS},
        {"select_top_k", run_select_top_k, selected, (CHECK + BUCKET + CUT) * COUNT, EDGE_INTEGERS},
        {"select_threshold", run_select_threshold, selected, (CHECK + 2) * COUNT, EDGE_DOUBLES},
        {"select_sum", run_select_sum, selected, summed, EDGE_INTEGERS},
        {"sample_grid", run_sample_grid, sizeof sampled, levels * (MIX + DIGIT) * ranks, EDGE_INTEGERS},
        {"sample_grid_jittered", run_sample_grid_jittered, sizeof sampled, levels * (MIX + DIGIT) * ranks,
         EDGE_INTEGERS},
        {"uncertainty", run_uncertainty, sizeof logits, judged, EDGE_DOUBLES},
        {"softmax", run_softmax, sizeof logits + sizeof shares, judged + (DECAY + SHARE) * CLASSES, EDGE_DOUBLES},
        {"gather", run_gather, copied, 0, EDGE_TABLES},
        {"gather_sampled", run_gather_sampled, 2 * SAMPLED * PATCH_BYTES, 0, EDGE_TABLES},
        {"scatter", run_scatter, copied, 0, EDGE_TABLES},
        {"pack_bitmap", run_pack_bitmap, packed, 3 * kept, EDGE_INTEGERS},
        {"unpack_bitmap", run_unpack_bitmap, packed, 3 * COUNT, EDGE_INTEGERS},
        {"gate", run_gate, sizeof logits + scored + selected + packed + copied, judged + attended + summed + 3 * kept,
         EDGE_DOUBLES},
    };
    memcpy(cases, all, sizeof all);
    return sizeof all / sizeof *all;
}
