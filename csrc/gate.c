/* The hot path in one call. */
#include "edge_kernels.h"

static int confident(const struct edge_gate_plan *plan, const struct edge_uncertainty *uncertainty)
{
    switch (plan->measure) {
    case EDGE_SHANNON:
        return (double)uncertainty->shannon < plan->eta;
    case EDGE_MARGIN:
        return (double)uncertainty->margin > plan->eta;
    default:
        return (double)uncertainty->min_entropy < plan->eta;
    }
}

static int32_t select_by_rule(const struct edge_gate_plan *plan, const float *scores, size_t count, uint16_t *out)
{
    switch (plan->rule) {
    case EDGE_TOP_K:
        return edge_select_top_k(scores, count, plan->k, out);
    case EDGE_THRESHOLD:
        return edge_select_threshold(scores, count, plan->delta, out);
    default:
        return edge_select_sum(scores, count, plan->delta, plan->include_crossing, out);
    }
}

int32_t edge_gate(const struct edge_gate_plan *plan, const float *logits, const float *attention,
                  const uint8_t *image, const struct edge_gate_buffers *buffers, struct edge_gate_outcome *outcome)
{
    size_t count = plan->tokens - 1;
    if (plan->patch == 0 || count != (plan->height / plan->patch) * (plan->width / plan->patch))
        return EDGE_BAD_SIZE;
    outcome->label = edge_uncertainty(logits, plan->classes, &outcome->uncertainty);
    if (outcome->label < 0)
        return outcome->label;
    outcome->local = confident(plan, &outcome->uncertainty);
    if (outcome->local)
        return 0;
    int32_t status = edge_class_attention(attention, plan->heads, plan->tokens, buffers->scores);
    if (status < 0)
        return status;
    int32_t kept = select_by_rule(plan, buffers->scores, count, buffers->indices);
    if (kept < 0)
        return kept;
    edge_pack_bitmap(buffers->indices, (size_t)kept, count, buffers->bitmap);
    status = edge_gather(image, plan->height, plan->width, plan->patch, buffers->indices, (size_t)kept,
                         buffers->patches);
    return status < 0 ? status : kept;
}
