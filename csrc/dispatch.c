/* Which version of each kernel runs: chosen once, by name, from what the CPU reports. */
#include "dispatch.h"

#include <string.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

static const struct edge_dispatch scalar = {
    .name = "scalar",
    .uncertainty = edge_uncertainty_scalar,
    .softmax = edge_softmax_scalar,
    .class_attention = edge_class_attention_scalar,
    .rollout = edge_rollout_scalar,
    .resample_horizontal = edge_resample_horizontal_scalar,
    .resample_vertical = edge_resample_vertical_scalar,
    .gather_usual = edge_gather_usual_scalar,
    .load_map = edge_load_map_scalar,
    .store_map = edge_store_map_scalar,
    .transform = edge_transform_scalar,
    .mix = edge_mix_scalar,
    .quantise = edge_quantise_scalar,
    .dequantise = edge_dequantise_scalar,
    .descale = edge_descale_scalar,
    .code = edge_code_scalar,
    .uncode = edge_uncode_scalar,
};

#if defined(__x86_64__)
static const struct edge_dispatch avx2 = {
    .name = "avx2",
    .uncertainty = edge_uncertainty_avx2,
    .softmax = edge_softmax_avx2,
    .class_attention = edge_class_attention_avx2,
    .rollout = edge_rollout_avx2,
    .resample_horizontal = edge_resample_horizontal_scalar,
    .resample_vertical = edge_resample_vertical_avx2,
    .gather_usual = edge_gather_usual_avx2,
    .load_map = edge_load_map_avx2,
    .store_map = edge_store_map_avx2,
    .transform = edge_transform_avx2,
    .mix = edge_mix_avx2,
    .quantise = edge_quantise_avx2,
    .dequantise = edge_dequantise_avx2,
    .descale = edge_descale_avx2,
    .code = edge_code_avx2,
    .uncode = edge_uncode_avx2,
};

static const struct edge_dispatch avx512 = {
    .name = "avx512",
    .uncertainty = edge_uncertainty_avx2,
    .softmax = edge_softmax_avx2,
    .class_attention = edge_class_attention_avx2,
    .rollout = edge_rollout_avx2,
    .resample_horizontal = edge_resample_horizontal_scalar,
    .resample_vertical = edge_resample_vertical_avx2,
    .gather_usual = edge_gather_usual_avx512,
    .load_map = edge_load_map_avx2,
    .store_map = edge_store_map_avx2,
    .transform = edge_transform_avx512,
    .mix = edge_mix_avx512,
    .quantise = edge_quantise_avx2,
    .dequantise = edge_dequantise_avx2,
    .descale = edge_descale_avx2,
    .code = edge_code_avx2,
    .uncode = edge_uncode_avx2,
};
#elif defined(__aarch64__)
static const struct edge_dispatch neon = {
    .name = "neon",
    .uncertainty = edge_uncertainty_neon,
    .softmax = edge_softmax_neon,
    .class_attention = edge_class_attention_neon,
    .rollout = edge_rollout_neon,
    .resample_horizontal = edge_resample_horizontal_neon,
    .resample_vertical = edge_resample_vertical_neon,
    .gather_usual = edge_gather_usual_neon,
    .load_map = edge_load_map_neon,
    .store_map = edge_store_map_neon,
    .transform = edge_transform_neon,
    .mix = edge_mix_neon,
    .quantise = edge_quantise_neon,
    .dequantise = edge_dequantise_neon,
    .descale = edge_descale_neon,
    .code = edge_code_neon,
    .uncode = edge_uncode_neon,
};

static const struct edge_dispatch dotprod = {
    .name = "dotprod",
    .uncertainty = edge_uncertainty_neon,
    .softmax = edge_softmax_neon,
    .class_attention = edge_class_attention_neon,
    .rollout = edge_rollout_neon,
    .resample_horizontal = edge_resample_horizontal_dotprod,
    .resample_vertical = edge_resample_vertical_neon,
    .gather_usual = edge_gather_usual_neon,
    .load_map = edge_load_map_neon,
    .store_map = edge_store_map_neon,
    .transform = edge_transform_neon,
    .mix = edge_mix_neon,
    .quantise = edge_quantise_neon,
    .dequantise = edge_dequantise_neon,
    .descale = edge_descale_neon,
    .code = edge_code_neon,
    .uncode = edge_uncode_neon,
};

/* Only Linux is asked: elsewhere the dot products stay unused. */
static int has_dotprod(void)
{
#if defined(__linux__)
    return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0;
#else
    return 0;
#endif
}
#endif

/* Starts with a table every CPU can run, so that no order of initialisation can jump into missing instructions. */
static const struct edge_dispatch *chosen = &scalar;

/* Best first; NULL where the CPU or the build lacks it. */
static const struct edge_dispatch *candidate(size_t rank)
{
#if defined(__x86_64__)
    __builtin_cpu_init();
    if (rank == 0)
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                       __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("avx2")
                   ? &avx512
                   : NULL;
    if (rank == 1)
        return __builtin_cpu_supports("avx2") ? &avx2 : NULL;
#elif defined(__aarch64__)
    if (rank == 0)
        return has_dotprod() ? &dotprod : NULL;
    if (rank == 1)
        return &neon;
#endif
    /* 32-bit ARM has no other set: its NEON makes zero of the smallest floats, so its bytes would differ. */
    (void)rank;
    return &scalar;
}

#define CANDIDATES 3

void edge_dispatch_init(void)
{
    chosen = NULL;
    for (size_t rank = 0; !chosen; rank++)
        chosen = candidate(rank);
}

int32_t edge_dispatch_use(const char *isa)
{
    for (size_t rank = 0; rank < CANDIDATES; rank++) {
        const struct edge_dispatch *offered = candidate(rank);
        if (offered && strcmp(isa, offered->name) == 0) {
            chosen = offered;
            return EDGE_OK;
        }
    }
    return EDGE_BAD_ISA;
}

const char *edge_dispatch_name(void)
{
    return chosen->name;
}

int32_t edge_uncertainty(const float *logits, size_t classes, struct edge_uncertainty *out)
{
    return chosen->uncertainty(logits, classes, out);
}

int32_t edge_softmax(const float *logits, size_t classes, float *out)
{
    return chosen->softmax(logits, classes, out);
}

int32_t edge_class_attention(const float *attention, size_t heads, size_t tokens, float *scores)
{
    return chosen->class_attention(attention, heads, tokens, scores);
}

int32_t edge_rollout(const float *attention, size_t layers, size_t heads, size_t tokens, double *scratch,
                     float *scores)
{
    return chosen->rollout(attention, layers, heads, tokens, scratch, scores);
}

int32_t edge_resample_horizontal(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                                 const int32_t *weights, size_t taps, size_t out_width, uint8_t *out)
{
    return chosen->resample_horizontal(image, height, width, bounds, weights, taps, out_width, out);
}

int32_t edge_resample_vertical(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                               const int32_t *weights, size_t taps, size_t out_height, uint8_t *out)
{
    return chosen->resample_vertical(image, height, width, bounds, weights, taps, out_height, out);
}

void edge_gather_usual(const uint8_t *image, size_t width, const uint16_t *indices, size_t k, uint8_t *patches)
{
    chosen->gather_usual(image, width, indices, k, patches);
}

int32_t edge_load_map(const float *map, size_t channels, size_t positions, const float *mean, const float *scale,
                  size_t stride, int16_t *out)
{
    return chosen->load_map(map, channels, positions, mean, scale, stride, out);
}

void edge_store_map(const int16_t *in, size_t channels, size_t positions, const float *mean, const float *unscale,
                size_t stride, const float *floor, float *out)
{
    chosen->store_map(in, channels, positions, mean, unscale, stride, floor, out);
}

void edge_transform(const struct edge_lines *lines, const int16_t *matrix, size_t size, size_t stride)
{
    chosen->transform(lines, matrix, size, stride);
}

void edge_mix(const int16_t *rows, size_t count, const int16_t *matrix, size_t stride, size_t outputs, int32_t *sums)
{
    chosen->mix(rows, count, matrix, stride, outputs, sums);
}

void edge_quantise(const int32_t *sums, const float *inverse, size_t count, int16_t *out)
{
    chosen->quantise(sums, inverse, count, out);
}

void edge_dequantise(int16_t *values, const float *step, size_t count)
{
    chosen->dequantise(values, step, count);
}

void edge_descale(const int32_t *sums, size_t count, int16_t *out)
{
    chosen->descale(sums, count, out);
}

int32_t edge_code(const int16_t *levels, const uint16_t *middle, const int16_t *reach, size_t count, uint16_t *out)
{
    return chosen->code(levels, middle, reach, count, out);
}

int32_t edge_uncode(const uint16_t *symbols, const uint16_t *middle, const int16_t *reach, size_t count,
                    int16_t *levels)
{
    return chosen->uncode(symbols, middle, reach, count, levels);
}
