/* Feeds every kernel random sizes and random bytes, and prints one checksum per family.
 *
 *     fuzz_kernels SEED ROUNDS [ISA]
 *
 * Built with the sanitizers it finds reads and writes out of bounds: each array is its own allocation, exactly as
 * large as the header says. Built for another CPU or run with another ISA, the same checksums show the same bytes.
 */
#include "fuzz.h"

/* One time in four any bits at all, NaN and infinity included; otherwise 0..1, many ties and zeros. */
static float *random_floats(size_t count)
{
    if (random_bits() % 4 == 0)
        return random_bytes(count * sizeof(float));
    float *values = allocate(count * sizeof *values);
    uint32_t levels = random_bits() % 2 ? 8 : 1u << 24;
    for (size_t i = 0; i < count; i++) {
        float level = (float)(random_bits() % levels);
        values[i] = level / (float)(levels * (1u << random_bits() % 8));
    }
    return values;
}

static uint64_t fuzz_entropy(uint64_t checksum)
{
    size_t classes = random_size(1, 70);
    float *logits = random_floats(classes), *out = allocate(classes * sizeof *out);
    float stretch = (float)(1u << random_bits() % 12);
    for (size_t i = 0; i < classes; i++)
        logits[i] *= stretch;
    struct edge_uncertainty uncertainty = {0};
    int32_t label = edge_uncertainty(logits, classes, &uncertainty);
    checksum = mix_result(checksum, label, &uncertainty, sizeof uncertainty);
    checksum = mix_result(checksum, edge_softmax(logits, classes, out), out, classes * sizeof *out);
    return checksum;
}

static uint64_t fuzz_attention(uint64_t checksum)
{
    size_t layers = random_size(1, 3), heads = random_size(1, 4), tokens = random_size(2, 40);
    float *attention = random_floats(layers * heads * tokens * tokens);
    float *scores = allocate((tokens - 1) * sizeof *scores);
    double *scratch = allocate(3 * tokens * sizeof *scratch);
    int32_t status = edge_class_attention(attention, heads, tokens, scores);
    checksum = mix_result(checksum, status, scores, (tokens - 1) * sizeof *scores);
    status = edge_rollout(attention, layers, heads, tokens, scratch, scores);
    checksum = mix_result(checksum, status, scores, (tokens - 1) * sizeof *scores);
    return checksum;
}

/* One time in eight sizes that are refused. */
static uint64_t fuzz_sampling(uint64_t checksum)
{
    size_t rows = random_size(1, 24), columns = random_size(1, 24);
    if (random_bits() % 16 == 0)
        rows = random_size(0, 257);
    size_t count = rows * columns, k = random_size(0, random_bits() % 16 ? count : count + 1);
    uint16_t *out = allocate(count * sizeof *out);
    for (int jittered = 0; jittered < 2; jittered++) {
        int32_t kept = edge_sample_grid(rows, columns, k, random_bits(), jittered, out);
        checksum = mix_result(checksum, kept, out, kept < 0 ? 0 : (size_t)kept * sizeof *out);
    }
    return checksum;
}

static uint64_t fuzz_selection(uint64_t checksum)
{
    size_t count = random_size(1, 700), k = random_size(1, count);
    float *scores = random_floats(count);
    uint16_t *out = allocate(count * sizeof *out);
    double delta = random_size(0, 1000) / 1000.0;
    for (int rule = 0; rule < 5; rule++) {
        int32_t kept = rule == 0   ? edge_select_random(count, k, random_bits(), out)
                       : rule == 1 ? edge_select_top_k(scores, count, k, out)
                       : rule == 2 ? edge_select_threshold(scores, count, delta, out)
                                   : edge_select_sum(scores, count, delta, rule == 4, out);
        checksum = mix_result(checksum, kept, out, kept < 0 ? 0 : (size_t)kept * sizeof *out);
    }
    return checksum;
}

static uint64_t fuzz_patches(uint64_t checksum)
{
    size_t patch = random_bits() % 2 ? 16 : random_size(1, 9);
    size_t height = patch * random_size(1, 6), width = patch * random_size(1, 6);
    size_t count = (height / patch) * (width / patch), k = random_size(0, count), bytes = k * patch * patch * 3;
    uint8_t *image = random_bytes(height * width * 3), *patches = allocate(bytes);
    uint8_t *bitmap = random_bytes((count + 7) / 8);
    uint16_t *indices = random_bytes(k * sizeof *indices), *unpacked = allocate(count * sizeof *unpacked);
    if (random_bits() % 4)
        edge_select_random(count, k, random_bits(), indices);
    int32_t status = edge_gather(image, height, width, patch, indices, k, patches);
    checksum = mix_result(checksum, status, patches, bytes);
    if (status == EDGE_OK)
        checksum = mix_result(checksum, edge_scatter(patches, patch, indices, k, image, height, width), image,
                              height * width * 3);
    int32_t number = edge_unpack_bitmap(bitmap, count, unpacked);
    checksum = mix_result(checksum, number, unpacked, number < 0 ? 0 : (size_t)number * sizeof *unpacked);
    status = edge_pack_bitmap(indices, k, count, bitmap);
    checksum = mix_result(checksum, status, bitmap, (count + 7) / 8);
    return checksum;
}

static uint64_t fuzz_image(uint64_t checksum)
{
    size_t height = random_size(1, 20), width = random_size(1, 40), taps = random_size(1, 9);
    size_t outputs = random_size(1, 50), source = height < width ? height : width;
    uint8_t *image = random_bytes(height * width * 3);
    int32_t *bounds = random_bytes(outputs * 2 * sizeof *bounds);
    int32_t *weights = random_bytes(outputs * taps * sizeof *weights);
    if (random_bits() % 8)
        for (size_t i = 0; i < outputs; i++) {
            size_t first = random_size(0, source - 1), most = source - first < taps ? source - first : taps;
            bounds[2 * i] = (int32_t)first;
            bounds[2 * i + 1] = (int32_t)random_size(0, most);
        }
    uint8_t *wide = allocate(height * outputs * 3), *tall = allocate(outputs * width * 3);
    int32_t status = edge_resample_horizontal(image, height, width, bounds, weights, taps, outputs, wide);
    checksum = mix_result(checksum, status, wide, height * outputs * 3);
    status = edge_resample_vertical(image, height, width, bounds, weights, taps, outputs, tall);
    checksum = mix_result(checksum, status, tall, outputs * width * 3);
    float *table = random_floats(768), *planes = allocate(height * width * 3 * sizeof *planes);
    edge_normalise(image, height * width, table, planes);
    checksum = mix(checksum, planes, height * width * 3 * sizeof *planes);
    return checksum;
}

static uint64_t fuzz_gate(uint64_t checksum)
{
    struct edge_gate_plan plan = {.classes = random_size(1, 30)};
    plan.heads = random_size(1, 3);
    plan.patch = random_bits() % 2 ? 16 : 3;
    plan.eta = random_size(0, 40) / 10.0;
    plan.delta = random_size(0, 100) / 100.0;
    plan.measure = (int32_t)random_size(0, 2);
    plan.rule = (int32_t)random_size(0, 2);
    plan.include_crossing = (int32_t)random_size(0, 1);
    plan.height = plan.patch * random_size(1, 5);
    plan.width = plan.patch * random_size(1, 5);
    size_t count = (plan.height / plan.patch) * (plan.width / plan.patch);
    plan.tokens = count + 1;
    plan.k = random_size(1, count);
    float *logits = random_floats(plan.classes), *attention = random_floats(plan.heads * plan.tokens);
    uint8_t *image = random_bytes(plan.height * plan.width * 3);
    size_t each = plan.patch * plan.patch * 3;
    struct edge_gate_buffers buffers = {
        allocate(count * sizeof(float)), allocate(count * sizeof(uint16_t)), allocate((count + 7) / 8),
        allocate(count * each),
    };
    struct edge_gate_outcome outcome = {0};
    int32_t kept = edge_gate(&plan, logits, attention, image, &buffers, &outcome);
    checksum = mix_result(checksum, kept, &outcome, sizeof outcome);
    checksum = mix_result(checksum, kept, buffers.patches, kept < 0 ? 0 : (size_t)kept * each);
    return checksum;
}

int main(int argc, char **argv)
{
    int refused = fuzz_begin(argc, argv);
    if (refused)
        return refused;
    static const struct {
        const char *name;
        uint64_t (*fuzz)(uint64_t);
    } families[] = {
        {"attention", fuzz_attention}, {"entropy", fuzz_entropy}, {"gate", fuzz_gate},
        {"image", fuzz_image},         {"patches", fuzz_patches}, {"sampling", fuzz_sampling},
        {"selection", fuzz_selection},
    };
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        printf("%-10s %016" PRIx64 "\n", families[f].name, fuzz_rounds(argv, families[f].fuzz));
    return 0;
}
