/* Gates one frame and packs what must travel: gate_frame [PICTURE.ppm] >PACKED
 *
 * Without a picture it makes one. Where a real device would run its model, this example says which patches are bright.
 * The bitmap of the patches that travel comes out, then their pixels, in the layout of a raw body of
 * docs/formats/patches.md.
 *
 *     cc example/gate_frame.c $(pkg-config --cflags --libs edge_kernels) -o gate_frame
 */
#include <edge_kernels.h>

#include <stdio.h>
#include <stdlib.h>

enum { SIDE = 224, PATCH = 16, GRID = SIDE / PATCH, COUNT = GRID * GRID, CLASSES = 4, CHOSEN = 49 };

static uint8_t image[SIDE * SIDE * 3];

/* A disc of light on a slope. */
static void make_picture(void)
{
    for (int row = 0; row < SIDE; row++)
        for (int column = 0; column < SIDE; column++) {
            int across = column - 130, down = row - 90, lit = across * across + down * down < 3600;
            uint8_t *pixel = image + 3 * (row * SIDE + column);
            pixel[0] = (uint8_t)(lit ? 250 - row / 4 : row / 2);
            pixel[1] = (uint8_t)(lit ? 220 : column / 2);
            pixel[2] = (uint8_t)(lit ? column : 90);
        }
}

static int read_picture(const char *path)
{
    FILE *file = fopen(path, "rb");
    int width = 0, height = 0, most = 0;
    int read = file && fscanf(file, "P6 %d %d %d", &width, &height, &most) == 3 && fgetc(file) != EOF &&
               width == SIDE && height == SIDE && most == 255 && fread(image, sizeof image, 1, file) == 1;
    if (file)
        fclose(file);
    return read;
}

/* What the class token would attend to: a patch's brightness. A token of its own comes first. */
static void attend(float *attention)
{
    long sums[COUNT] = {0};
    for (int row = 0; row < SIDE; row++)
        for (int byte = 0; byte < SIDE * 3; byte++)
            sums[row / PATCH * GRID + byte / (PATCH * 3)] += image[row * SIDE * 3 + byte];
    attention[0] = 0;
    for (int patch = 0; patch < COUNT; patch++)
        attention[patch + 1] = (float)sums[patch];
}

int main(int count, char **arguments)
{
    static const float logits[CLASSES] = {1.0f, 1.25f, 0.5f, 1.0f}; /* unsure */
    static float attention[COUNT + 1], scores[COUNT];
    static uint16_t indices[COUNT];
    static uint8_t bitmap[(COUNT + 7) / 8], patches[COUNT * PATCH * PATCH * 3];
    struct edge_gate_plan plan = {.classes = CLASSES, .heads = 1, .tokens = COUNT + 1, .height = SIDE, .width = SIDE,
                                  .patch = PATCH, .k = CHOSEN, .eta = 0.8, .measure = EDGE_MIN_ENTROPY,
                                  .rule = EDGE_TOP_K};
    struct edge_gate_buffers buffers = {scores, indices, bitmap, patches};
    struct edge_gate_outcome outcome;

    if (count < 2)
        make_picture();
    else if (!read_picture(arguments[1])) {
        fprintf(stderr, "%s: is no PPM (P6) of %d x %d pixels of 8 bits\n", arguments[1], SIDE, SIDE);
        return EXIT_FAILURE;
    }
    attend(attention);

    edge_dispatch_init();
    int32_t kept = edge_gate(&plan, logits, attention, image, &buffers, &outcome);
    if (kept < 0) {
        fprintf(stderr, "gate_frame: refused with status %d of edge_kernels.h\n", (int)kept);
        return EXIT_FAILURE;
    }
    fprintf(stderr, "%s: min-entropy %.3f bits, label %d, %d of %d patches travel\n", edge_dispatch_name(),
            outcome.uncertainty.min_entropy, (int)outcome.label, (int)kept, COUNT);
    size_t pixels = (size_t)kept * PATCH * PATCH * 3;
    int written = kept == 0 || (fwrite(bitmap, sizeof bitmap, 1, stdout) == 1 && fwrite(patches, 1, pixels, stdout) == pixels);
    return written ? EXIT_SUCCESS : EXIT_FAILURE;
}
