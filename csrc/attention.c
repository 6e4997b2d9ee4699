/* Patch scores from attention, for the baseline instruction set. */
#include "attention.h"
#include "dispatch.h"

int32_t edge_class_attention_scalar(const float *attention, size_t heads, size_t tokens, float *scores)
{
    return edge_class_attention_body(attention, heads, tokens, scores);
}

int32_t edge_rollout_scalar(const float *attention, size_t layers, size_t heads, size_t tokens, double *scratch,
                            float *scores)
{
    return edge_rollout_body(attention, layers, heads, tokens, scratch, scores);
}
