/* The kernels that exist in more than one version, as one table per instruction set. */
#ifndef EDGE_DISPATCH_H
#define EDGE_DISPATCH_H

#include "edge_kernels.h"
#include "feature_stages.h"

typedef int32_t edge_uncertainty_function(const float *, size_t, struct edge_uncertainty *);
typedef int32_t edge_softmax_function(const float *, size_t, float *);
typedef int32_t edge_class_attention_function(const float *, size_t, size_t, float *);
typedef int32_t edge_rollout_function(const float *, size_t, size_t, size_t, double *, float *);
typedef int32_t edge_resample_function(const uint8_t *, size_t, size_t, const int32_t *, const int32_t *, size_t,
                                       size_t, uint8_t *);

/* Gather for patches of 16 × 16; indices are in the grid. */
typedef void edge_gather_usual_function(const uint8_t *, size_t, const uint16_t *, size_t, uint8_t *);

struct edge_dispatch {
    const char *name;
    edge_uncertainty_function *uncertainty;
    edge_softmax_function *softmax;
    edge_class_attention_function *class_attention;
    edge_rollout_function *rollout;
    edge_resample_function *resample_horizontal;
    edge_resample_function *resample_vertical;
    edge_gather_usual_function *gather_usual;
    edge_load_map_function *load_map;
    edge_store_map_function *store_map;
    edge_transform_function *transform;
    edge_mix_function *mix;
    edge_quantise_function *quantise;
    edge_dequantise_function *dequantise;
    edge_descale_function *descale;
    edge_code_function *code;
    edge_uncode_function *uncode;
};

/* The scalar versions are the specification; the compiler may use the baseline's vectors for them. */
edge_uncertainty_function edge_uncertainty_scalar;
edge_softmax_function edge_softmax_scalar;
edge_class_attention_function edge_class_attention_scalar;
edge_rollout_function edge_rollout_scalar;
edge_resample_function edge_resample_horizontal_scalar;
edge_resample_function edge_resample_vertical_scalar;
edge_gather_usual_function edge_gather_usual_scalar;

/* The chosen version. */
edge_gather_usual_function edge_gather_usual;
edge_load_map_function edge_load_map;
edge_store_map_function edge_store_map;
edge_transform_function edge_transform;
edge_mix_function edge_mix;
edge_quantise_function edge_quantise;
edge_dequantise_function edge_dequantise;
edge_descale_function edge_descale;
edge_code_function edge_code;
edge_uncode_function edge_uncode;

#if defined(__x86_64__)
edge_uncertainty_function edge_uncertainty_avx2;
edge_softmax_function edge_softmax_avx2;
edge_class_attention_function edge_class_attention_avx2;
edge_rollout_function edge_rollout_avx2;
edge_resample_function edge_resample_vertical_avx2;
edge_gather_usual_function edge_gather_usual_avx2;
edge_gather_usual_function edge_gather_usual_avx512;
#elif defined(__aarch64__)
edge_uncertainty_function edge_uncertainty_neon;
edge_softmax_function edge_softmax_neon;
edge_class_attention_function edge_class_attention_neon;
edge_rollout_function edge_rollout_neon;
edge_resample_function edge_resample_horizontal_neon;
edge_resample_function edge_resample_horizontal_dotprod;
edge_resample_function edge_resample_vertical_neon;
edge_gather_usual_function edge_gather_usual_neon;
#endif

#endif
