/* The bodies that measured faster with 256-bit vectors, compiled for AVX2. No fused multiply-add: bits stay. */
#if defined(__x86_64__)

#include "../attention.h"
#include "../dispatch.h"
#include "../entropy.h"
#include "../image.h"

#define AVX2 __attribute__((target("avx2")))

AVX2 int32_t edge_uncertainty_avx2(const float *logits, size_t classes, struct edge_uncertainty *out)
{
    return edge_uncertainty_body(logits, classes, out);
}

AVX2 int32_t edge_softmax_avx2(const float *logits, size_t classes, float *out)
{
    return edge_softmax_body(logits, classes, out);
}

AVX2 int32_t edge_class_attention_avx2(const float *attention, size_t heads, size_t tokens, float *scores)
{
    return edge_class_attention_body(attention, heads, tokens, scores);
}

AVX2 int32_t edge_rollout_avx2(const float *attention, size_t layers, size_t heads, size_t tokens, double *scratch,
                               float *scores)
{
    return edge_rollout_body(attention, layers, heads, tokens, scratch, scores);
}

AVX2 int32_t edge_resample_vertical_avx2(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                                         const int32_t *weights, size_t taps, size_t out_height, uint8_t *out)
{
    return edge_resample_vertical_body(image, height, width, bounds, weights, taps, out_height, out);
}

#endif
