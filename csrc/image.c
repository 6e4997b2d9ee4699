/* Resize and normalise. */
#include "dispatch.h"
#include "image.h"

int32_t edge_resample_horizontal_scalar(const uint8_t *image, size_t height, size_t width, const int32_t *bounds,
                                        const int32_t *weights, size_t taps, size_t out_width, uint8_t *out)
{
    if (!edge_taps_fit(bounds, out_width, taps, width))
        return EDGE_BAD_SIZE;
    for (size_t y = 0; y < height; y++)
        for (size_t x = 0; x < out_width; x++, out += EDGE_CHANNELS)
            edge_horizontal_pixel(image + (y * width + (size_t)bounds[2 * x]) * EDGE_CHANNELS, weights + x * taps,
                                  (size_t)bounds[2 * x + 1], out);
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
