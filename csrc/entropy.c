/* Uncertainty and softmax, for the baseline instruction set. */
#include "dispatch.h"
#include "entropy.h"

int32_t edge_uncertainty_scalar(const float *logits, size_t classes, struct edge_uncertainty *out)
{
    return edge_uncertainty_body(logits, classes, out);
}

int32_t edge_softmax_scalar(const float *logits, size_t classes, float *out)
{
    return edge_softmax_body(logits, classes, out);
}
