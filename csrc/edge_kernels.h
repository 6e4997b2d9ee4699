/* The whole public interface of the compiled kernels.
 *
 * What this is: the arithmetic between a model's outputs and the bytes that leave a device. What it is not: a
 * tensor library. Plain C11; no libm, no threads, no allocation, no global state but the dispatch table.
 *
 * Precision policy. The same input gives the same bytes on every CPU and in every backend:
 *   - integers and bytes are exact;
 *   - floats are IEEE 754 with round-to-nearest, computed in double, never contracted to fused multiply-adds
 *     (build with -ffp-contract=off), and rounded to float once, at the end;
 *   - a sum over classes or patches runs in four lanes, element i into lane i % 4, added up as (0+1) + (2+3);
 *     a sum over heads, layers or matrix rows runs in order of the index;
 *   - exp and log2 are the polynomials of edge_arithmetic.h, accurate to 1e-11: under 1 ulp of float.
 *
 * Conventions. Arrays are contiguous and in row-major order; pictures are uint8 [height][width][3]. Sizes are
 * positive and products fit in size_t: the caller has checked that. Contents may be anything: no value in an
 * array makes a kernel read or write outside its arrays. A result that is not negative is the answer, a negative
 * one is an edge_status. Outputs of a refused call are unspecified unless said otherwise.
 *
 * The Python build reads the declarations below; keep them free of macros.
 */
#ifndef EDGE_KERNELS_H
#define EDGE_KERNELS_H

#include <stddef.h>
#include <stdint.h>

/* Why a kernel refused. */
enum edge_status {
    EDGE_OK = 0,
    EDGE_BAD_LOGITS = -1,    /* NaN, +inf, or no finite value */
    EDGE_BAD_ATTENTION = -2, /* the sum over patches is not positive and finite */
    EDGE_BAD_SCORES = -3,    /* a score outside 0..1, or NaN */
    EDGE_BAD_INDEX = -4,     /* a patch beyond the grid, or indices not strictly ascending where they must be */
    EDGE_BAD_PADDING = -5,   /* a bit set beyond the last patch */
    EDGE_BAD_SIZE = -6,      /* sizes that contradict each other */
    EDGE_BAD_ISA = -7,       /* an instruction set that is not there */
    EDGE_BAD_FEATURES = -8,  /* a value that is not finite */
    EDGE_BAD_STREAM = -9     /* bytes that no encoder writes */
};

/* What the gate compares with eta: local if an entropy is below it, or the margin above it. */
enum edge_measure { EDGE_MIN_ENTROPY = 0, EDGE_SHANNON = 1, EDGE_MARGIN = 2 };

/* How the gate selects patches. */
enum edge_rule { EDGE_TOP_K = 0, EDGE_THRESHOLD = 1, EDGE_SUM = 2 };

/* Entropies in bits. */
struct edge_uncertainty {
    float min_entropy, shannon, margin;
};

/* What does not change between the frames of a fused call. */
struct edge_gate_plan {
    size_t classes, heads, tokens, height, width, patch, k;
    double eta, delta;
    int32_t measure, rule, include_crossing;
};

/* Where a fused call writes; n = tokens - 1 patches. */
struct edge_gate_buffers {
    float *scores;     /* [n] */
    uint16_t *indices; /* [n] */
    uint8_t *bitmap;   /* [(n + 7) / 8] */
    uint8_t *patches;  /* [n][patch][patch][3] */
};

struct edge_gate_outcome {
    struct edge_uncertainty uncertainty;
    int32_t label, local;
};

/* One symbol of a histogram, as the coder wants it: 2^42 over its frequency, the least state that must give a word
 * away first, the shares before it, and the shares that are not its own. */
struct edge_rans_symbol {
    uint64_t reciprocal;
    uint32_t limit;
    uint16_t start, others;
};

/* One cut of a network (docs/formats/features.md). `stride` is the number of channels, at most 4096, rounded up to 16;
 * what is between them is zero. `even` is the block's side, rounded up to 2. */
struct edge_feature_plan {
    size_t channels, height, width, block, stride;
    int32_t rectified, activity;
    const float *mean, *scale, *unscale;        /* [channels] */
    const int16_t *basis, *transposed;          /* [block][even], 2^-14 */
    const int16_t *forward, *inverse;           /* [stride / 2][stride][2]: two inputs of each output */
    const uint16_t *rank;                       /* [block * block]: place of a frequency in the zigzag */
    const struct edge_rans_symbol *symbols;     /* [histograms][32] */
    const uint8_t *slots;                       /* [histograms][1024] */
};

/* How the components of one frequency are coded in a block of one class. */
struct edge_feature_codes {
    uint16_t *middle; /* [4][block * block][stride]: the symbol of zero, counted through all histograms */
    int16_t *reach;   /* the magnitude up to which every value has a symbol of its own and no low bits, or -1 */
    uint8_t *shift;   /* low bits that are sent as they are */
};

/* What one quality makes of it; rows of components are `stride` apart. */
struct edge_feature_step {
    const uint16_t *extent;       /* [block * block], at most `channels` */
    const float *inverse, *step;  /* [block * block][stride] */
    const uint8_t *ratio;         /* [block * block][stride], at most 63 */
    const float *floor;           /* [channels]: in a rectified map, what is not above it is zero */
    struct edge_feature_codes codes; /* filled by edge_feature_prepare from the rest */
    uint32_t level, activity_table;
};

/* Memory of a coder. rows = block * block * blocks of a channel. */
struct edge_feature_buffers {
    int16_t *positions;    /* [height * width][stride] */
    int16_t *coefficients; /* [rows][stride]; zero before the first use */
    int16_t *levels;       /* [rows][stride] */
    int32_t *sums;         /* [4][stride] */
    uint8_t *classes;      /* [blocks] */
    uint16_t *symbols;     /* [rows * channels + blocks + 16] */
    uint8_t *raw;          /* [4 * rows * channels + 8] */
};

/* How the latents of one number of encoders at one number of levels are coded (docs/formats/latents.md); at most 2048
 * channels, 2..31 levels. Steps and their reciprocals are normal numbers; each level has a share of its channel's
 * histogram, and no other symbol has. */
struct edge_latent_plan {
    size_t channels, positions, levels;
    const float *step;                      /* [channels] */
    const struct edge_rans_symbol *symbols; /* [channels][32] */
    const uint8_t *slots;                   /* [channels][1024] */
};

/* dispatch.c: choose the fastest versions this CPU can run; call once before anything else, harmless again. */
void edge_dispatch_init(void);
/* Choose by name ("scalar"; on x86 "avx2", "avx512"; on 64-bit ARM "neon", "dotprod"): EDGE_OK, or EDGE_BAD_ISA, and no
 * change, where this CPU or build lacks it. */
int32_t edge_dispatch_use(const char *isa);
/* Name of the chosen set. */
const char *edge_dispatch_name(void);

/* limits.c: what a core can do at most, to hold measured kernels against. Both sums use the vectors of the chosen set and
 * return how many operations one call makes, or 0, having done nothing, where nobody wrote the loop. */
enum { EDGE_CHAIN_CYCLES = 16384 };
/* EDGE_CHAIN_CYCLES additions that each wait for the last one: a cycle each. */
void edge_limit_chain(void);
/* Products of 16-bit integers, summed in 32 bits. */
size_t edge_limit_products(void);
/* Products of floats, summed: fused where the set has that. */
size_t edge_limit_floats(void);
/* Memory, so many times over: to[i] = from[i], and out[i] = a[i] + scale * b[i]; no overlap. */
void edge_limit_copy(const float *from, float *to, size_t count, size_t times);
void edge_limit_triad(const float *a, const float *b, float scale, float *out, size_t count, size_t times);

/* image.c: one pass of a resize. Output element i is the sum over t < bounds[2i+1] of source element
 * bounds[2i] + t times weights[i * taps + t], in units of 2^-22, rounded and clipped to 0..255. EDGE_BAD_SIZE if
 * bounds leave the source. image [height][width][3]. */
int32_t edge_resample_horizontal(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                                 const int32_t *weights, size_t taps, size_t out_width, uint8_t *out);
int32_t edge_resample_vertical(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                               const int32_t *weights, size_t taps, size_t out_height, uint8_t *out);
/* out[c][i] = table[c][image[i][c]], table [3][256]. */
void edge_normalise(const uint8_t *image, size_t pixels, const float *table, float *out);

/* attention.c: scores [tokens - 1] from the class token's row [heads][tokens]. */
int32_t edge_class_attention(const float *attention, size_t heads, size_t tokens, float *scores);
/* Class row of the product of (A + I), heads averaged first; attention [layers][heads][tokens][tokens], scratch
 * [3 * tokens]. Rows that the class token does not reach are not read. */
int32_t edge_rollout(const float *attention, size_t layers, size_t heads, size_t tokens, double *scratch,
                     float *scores);

/* selection.c: ascending indices into out [count], return how many; count <= 65536. A score s weighs
 * floor(s * 2^32). Ties by lower index; never none. */
int32_t edge_select_random(size_t count, size_t k, uint32_t seed, uint16_t *out);
int32_t edge_select_top_k(const float *scores, size_t count, size_t k, uint16_t *out);
int32_t edge_select_threshold(const float *scores, size_t count, double delta, uint16_t *out);
int32_t edge_select_sum(const float *scores, size_t count, double delta, int32_t include_crossing, uint16_t *out);

/* sampling.c: the k of rows * columns patches with the lowest ranks of a quadtree that the seed shuffles, level by
 * level or, if jittered, cell by cell; ascending indices into out [rows * columns], return k. EDGE_BAD_SIZE unless
 * rows and columns are 1..256 and k fits. */
int32_t edge_sample_grid(size_t rows, size_t columns, size_t k, uint32_t seed, int32_t jittered, uint16_t *out);

/* entropy.c: both return the label, the lowest of the best classes. */
int32_t edge_uncertainty(const float *logits, size_t classes, struct edge_uncertainty *out);
int32_t edge_softmax(const float *logits, size_t classes, float *out);

/* patches.c: height and width are multiples of patch, else EDGE_BAD_SIZE; patches [k][patch][patch][3]. Scatter
 * checks every index before it writes. */
int32_t edge_gather(const uint8_t *image, size_t height, size_t width, size_t patch, const uint16_t *indices,
                    size_t k, uint8_t *patches);
int32_t edge_scatter(const uint8_t *patches, size_t patch, const uint16_t *indices, size_t k, uint8_t *image,
                     size_t height, size_t width);
/* Bit i % 8 of byte i / 8 says that patch i is there; indices strictly ascending. */
int32_t edge_pack_bitmap(const uint16_t *indices, size_t k, size_t count, uint8_t *bits);
int32_t edge_unpack_bitmap(const uint8_t *bits, size_t count, uint16_t *out);

/* gate.c: uncertainty, gate, class attention, selection, bitmap and patches in one call; returns how many patches
 * leave, 0 when local (the buffers are then untouched). tokens - 1 = (height / patch) * (width / patch). */
int32_t edge_gate(const struct edge_gate_plan *plan, const float *logits, const float *attention,
                  const uint8_t *image, const struct edge_gate_buffers *buffers, struct edge_gate_outcome *outcome);

/* rans.c: tables from histograms [count][32] that sum to 1024 each, no share being all of it; else EDGE_BAD_SIZE.
 * symbols [count][32], slots [count][1024]. */
int32_t edge_rans_prepare(const uint16_t *histograms, size_t count, struct edge_rans_symbol *symbols, uint8_t *slots);
/* Value i, at most 32767 in magnitude, has table tables[i] and shifts[i] <= 16 low bits that are sent as they are;
 * codes [count] is scratch. Returns the bytes written, or EDGE_BAD_SIZE: `out` needs 32 bytes more than are used. */
int64_t edge_rans_encode(const int32_t *values, const uint8_t *tables, const uint8_t *shifts, size_t count,
                         const struct edge_rans_symbol *symbols, uint16_t *codes, uint8_t *out, size_t capacity);
int32_t edge_rans_decode(const uint8_t *data, size_t size, const uint8_t *tables, const uint8_t *shifts, size_t count,
                         const struct edge_rans_symbol *symbols, const uint8_t *slots, uint16_t *codes,
                         int32_t *values);

/* features.c: the FF transform coder. A map [channels][height][width] becomes coefficients in the buffers
 * (EDGE_BAD_FEATURES for a value that is not finite); those become bytes, at any step and as often as wanted
 * (returns how many, or EDGE_BAD_SIZE: `out` needs 32 bytes more than are used); bytes become a map again. */
void edge_feature_prepare(const struct edge_feature_plan *plan, const struct edge_feature_step *step);
int32_t edge_feature_transform(const struct edge_feature_plan *plan, const float *map,
                               const struct edge_feature_buffers *buffers);
int64_t edge_feature_encode(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                            const struct edge_feature_buffers *buffers, uint8_t *out, size_t capacity);
int32_t edge_feature_decode(const struct edge_feature_plan *plan, const struct edge_feature_step *step,
                            const struct edge_feature_buffers *buffers, const uint8_t *data, size_t size, float *map);

/* latents.c: a latent [channels][positions] becomes levels, and these either packed bits or an rANS stream where that is
 * smaller: returns how many bytes, which tells the two apart, EDGE_BAD_FEATURES for a value that is not finite, or
 * EDGE_BAD_SIZE: `out` needs 32 bytes more than the packed bits. codes [channels][positions] is scratch. */
int64_t edge_latent_encode(const struct edge_latent_plan *plan, const float *latent, uint16_t *codes, uint8_t *out,
                           size_t capacity);
int32_t edge_latent_decode(const struct edge_latent_plan *plan, const uint8_t *data, size_t size, uint16_t *codes,
                           float *latent);

#endif
