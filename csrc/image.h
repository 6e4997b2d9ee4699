/* The bodies of the picture kernels, inlined into one caller per instruction set. */
#ifndef EDGE_IMAGE_H
#define EDGE_IMAGE_H

#include "edge_arithmetic.h"
#include "edge_kernels.h"

#define EDGE_PRECISION_BITS 22
#define EDGE_CHANNELS 3
/* Bytes of a row that are accumulated together: two cache lines of output, small enough to stay in registers' reach. */
#define EDGE_STRIP 64

EDGE_INLINE uint8_t edge_clip(int32_t fixed)
{
    int32_t value = fixed >> EDGE_PRECISION_BITS;
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* Every output's taps lie inside the source and inside the row of weights. */
EDGE_INLINE int edge_taps_fit(const int32_t *bounds, size_t outputs, size_t taps, size_t source)
{
    for (size_t i = 0; i < outputs; i++) {
        int64_t first = bounds[2 * i], count = bounds[2 * i + 1];
        if (first < 0 || count < 0 || (uint64_t)count > taps || (uint64_t)(first + count) > source)
            return 0;
    }
    return 1;
}

/* One output pixel of the horizontal pass; `count` source pixels lie from `pixel` on. */
EDGE_INLINE void edge_horizontal_pixel(const uint8_t *pixel, const int32_t *weights, size_t count, uint8_t *out)
{
    /* Unsigned, because weights from anywhere may overflow; from a resize they never do. */
    uint32_t r = 1u << (EDGE_PRECISION_BITS - 1), g = r, b = r;
    for (size_t t = 0; t < count; t++, pixel += EDGE_CHANNELS) {
        r += pixel[0] * (uint32_t)weights[t];
        g += pixel[1] * (uint32_t)weights[t];
        b += pixel[2] * (uint32_t)weights[t];
    }
    out[0] = edge_clip((int32_t)r);
    out[1] = edge_clip((int32_t)g);
    out[2] = edge_clip((int32_t)b);
}

EDGE_INLINE void edge_vertical_strip(const uint8_t *source, size_t stride, const int32_t *weights, size_t taps,
                                     size_t bytes, uint8_t *out)
{
    uint32_t sum[EDGE_STRIP];
    for (size_t x = 0; x < bytes; x++)
        sum[x] = 1u << (EDGE_PRECISION_BITS - 1);
    for (size_t t = 0; t < taps; t++)
        for (size_t x = 0; x < bytes; x++)
            sum[x] += source[t * stride + x] * (uint32_t)weights[t];
    for (size_t x = 0; x < bytes; x++)
        out[x] = edge_clip((int32_t)sum[x]);
}

EDGE_INLINE int32_t edge_resample_vertical_body(const uint8_t *image, size_t height, size_t width,
                                                const int32_t *bounds, const int32_t *weights, size_t taps,
                                                size_t out_height, uint8_t *out)
{
    if (!edge_taps_fit(bounds, out_height, taps, height))
        return EDGE_BAD_SIZE;
    size_t stride = width * EDGE_CHANNELS;
    for (size_t y = 0; y < out_height; y++) {
        const uint8_t *source = image + (size_t)bounds[2 * y] * stride;
        size_t used = (size_t)bounds[2 * y + 1], x = 0;
        for (; x + EDGE_STRIP <= stride; x += EDGE_STRIP)
            edge_vertical_strip(source + x, stride, weights + y * taps, used, EDGE_STRIP, out + y * stride + x);
        edge_vertical_strip(source + x, stride, weights + y * taps, used, stride - x, out + y * stride + x);
    }
    return EDGE_OK;
}

#endif
