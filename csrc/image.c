/* Resize and normalise. The vertical pass is a family of its own in image.h: it has versions per instruction set. */
#include "dispatch.h"
#include "image.h"

int32_t edge_resample_horizontal(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                                 const int32_t *weights, size_t taps, size_t out_width, uint8_t *out)
{
    if (!edge_taps_fit(bounds, out_width, taps, width))
        return EDGE_BAD_SIZE;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < out_width; x++, out += EDGE_CHANNELS) {
            const uint8_t *pixel = image + (y * width + (size_t)bounds[2 * x]) * EDGE_CHANNELS;
            const int32_t *weight = weights + x * taps;
            /* Unsigned, because weights from anywhere may overflow; from a resize they never do. */
            uint32_t r = 1u << (EDGE_PRECISION_BITS - 1), g = r, b = r;
            for (int32_t t = 0; t < bounds[2 * x + 1]; t++, pixel += EDGE_CHANNELS) {
                r += pixel[0] * (uint32_t)weight[t];
                g += pixel[1] * (uint32_t)weight[t];
                b += pixel[2] * (uint32_t)weight[t];
            }
            out[0] = edge_clip((int32_t)r);
            out[1] = edge_clip((int32_t)g);
            out[2] = edge_clip((int32_t)b);
        }
    return EDGE_OK;
}

int32_t edge_resample_vertical_scalar(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                                      const int32_t *weights, size_t taps, size_t out_height, uint8_t *out)
{
    return edge_resample_vertical_body(image, height, width, bounds, weights, taps, out_height, out);
}

void edge_normalise(const uint8_t *image, size_t pixels, const float *table, float *out)
{
    float *red = out, *green = out + pixels, *blue = out + 2 * pixels;
    for (size_t i = 0; i < pixels; i++, image += EDGE_CHANNELS) {
        red[i] = table[image[0]];
        green[i] = table[256 + image[1]];
        blue[i] = table[512 + image[2]];
    }
}
