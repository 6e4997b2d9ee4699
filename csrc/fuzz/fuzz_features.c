/* Feeds the feature coder and rANS random tables, maps and values, and changed streams to the decoders.
 *
 *     fuzz_features SEED ROUNDS [ISA]
 *
 * Every round codes one map and one sequence of values, checks that they come back, and decodes changed streams.
 * Prints a checksum of all bytes and decoded values, which is the same on every CPU, and how many changed streams
 * were decoded and refused. Floats are made from integers by exact operations. Like fuzz_kernels, it is for builds
 * with sanitizers: each array is its own allocation.
 */
#include "streams.h"

#define RATIOS 28
#define ACTIVITY_TABLES 13
#define CLASSES 4
#define LARGEST_RATIO 63
#define LARGEST_SHIFT 16
/* Bytes that hold any coded values: some for each, and some beside them. */
#define BYTES_PER_VALUE 7
#define BYTES_BESIDE 80

struct coder {
    struct edge_feature_plan plan;
    struct edge_feature_step step;
    struct edge_feature_buffers buffers;
    size_t blocks, frequencies, rows, values, largest;
};

struct sequence {
    size_t count;
    const int32_t *values;
    const uint8_t *tables, *shifts, *slots;
    const struct edge_rans_symbol *symbols;
    uint16_t *codes;
};

static size_t round_up(size_t value, size_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* -limit..limit over 2^halvings, which is exact for limits below 2^24. */
static float random_fraction(int32_t limit, size_t halvings)
{
    int32_t whole = (int32_t)random_size(0, 2 * (size_t)limit) - limit;
    return (float)whole / (float)(1u << halvings);
}

/* rows of `used` floats, zeros up to the stride; up to 2^15, divided by about 2^halvings. */
static const float *random_floats(size_t rows, size_t used, size_t stride, size_t halvings)
{
    float *values = allocate_zeros(rows * stride * sizeof *values);
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < used; i++)
            values[row * stride + i] = random_fraction(1 << 15, halvings + random_size(0, 4));
    return values;
}

/* Of values, each with an escape, then of block classes; other symbols have a share or none. */
static void random_histograms(size_t values, size_t classes, struct edge_rans_symbol *symbols, uint8_t *slots)
{
    size_t count = values + classes;
    uint16_t *histograms = allocate_zeros(count * EDGE_SYMBOLS * sizeof *histograms);
    for (size_t i = 0; i < count; i++) {
        uint16_t *histogram = histograms + i * EDGE_SYMBOLS;
        if (i < values)
            histogram[EDGE_ESCAPE] = histogram[random_size(0, EDGE_ESCAPE - 1)] = 1;
        else
            for (size_t class = 0; class < CLASSES; class++)
                histogram[class] = 1;
        fill_histogram(histogram, i < values ? EDGE_SYMBOLS : CLASSES);
    }
    expect(edge_rans_prepare(histograms, count, symbols, slots) == EDGE_OK, "a histogram was refused");
}

/* [size][size]; magnitudes of each row and column sum to 65535 at most, half of the time in one or two values. */
static int16_t *random_matrix(size_t size)
{
    int16_t *matrix = allocate_zeros(size * size * sizeof *matrix);
    if (random_bits() % 2) {
        size_t first = random_size(0, size - 1);
        for (size_t i = 0; i < size; i++) {
            matrix[i * size + (i + first) % size] = INT16_MAX;
            matrix[i * size + (i + first + 1) % size] = INT16_MIN;
        }
        return matrix;
    }
    size_t limit = 65535 / size < INT16_MAX ? 65535 / size : INT16_MAX;
    for (size_t i = 0; i < size * size; i++)
        matrix[i] = (int16_t)((int32_t)random_size(0, 2 * limit) - (int32_t)limit);
    return matrix;
}

/* As an edge_feature_plan has it: [stride / 2][stride][2]. */
static const int16_t *random_mixing(size_t channels, size_t stride)
{
    const int16_t *matrix = random_matrix(channels);
    int16_t *pairs = allocate_zeros(stride * stride * sizeof *pairs);
    for (size_t out = 0; out < channels; out++)
        for (size_t in = 0; in < channels; in++)
            pairs[(in / 2 * stride + out) * 2 + in % 2] = matrix[out * channels + in];
    return pairs;
}

static void random_basis(struct edge_feature_plan *plan)
{
    size_t side = plan->block, even = round_up(side, 2);
    const int16_t *matrix = random_matrix(side);
    int16_t *basis = allocate_zeros(side * even * sizeof *basis);
    int16_t *transposed = allocate_zeros(side * even * sizeof *transposed);
    for (size_t k = 0; k < side; k++)
        for (size_t i = 0; i < side; i++)
            basis[k * even + i] = transposed[i * even + k] = matrix[k * side + i];
    plan->basis = basis;
    plan->transposed = transposed;
}

/* Frequencies go by the sum of their vertical and horizontal one, then by the vertical one. */
static const uint16_t *zigzag_rank(size_t side)
{
    uint16_t *rank = allocate_zeros(side * side * sizeof *rank);
    for (size_t a = 0; a < side * side; a++)
        for (size_t b = 0; b < side * side; b++) {
            size_t sum = a / side + a % side, other = b / side + b % side;
            rank[a] += other < sum || (other == sum && b < a);
        }
    return rank;
}

static struct edge_feature_plan random_plan(void)
{
    static const size_t sides[] = {1, 2, 4, 7, 8};
    struct edge_feature_plan plan = {.channels = random_size(1, 40)};
    plan.height = random_size(1, 12);
    plan.width = random_size(1, 12);
    plan.block = sides[random_size(0, sizeof sides / sizeof *sides - 1)];
    plan.stride = round_up(plan.channels, 16);
    plan.rectified = random_bits() % 2;
    plan.activity = random_bits() % 2 && plan.block > 1;
    plan.mean = random_floats(1, plan.channels, plan.channels, 12);
    plan.scale = random_floats(1, plan.channels, plan.channels, random_size(0, 12));
    plan.unscale = random_floats(1, plan.channels, plan.channels, random_size(0, 24));
    random_basis(&plan);
    plan.forward = random_mixing(plan.channels, plan.stride);
    plan.inverse = random_mixing(plan.channels, plan.stride);
    plan.rank = zigzag_rank(plan.block);
    struct edge_rans_symbol *symbols = allocate((RATIOS + ACTIVITY_TABLES) * EDGE_SYMBOLS * sizeof *symbols);
    uint8_t *slots = allocate((RATIOS + ACTIVITY_TABLES) * EDGE_SLOTS);
    random_histograms(RATIOS, ACTIVITY_TABLES, symbols, slots);
    plan.symbols = symbols;
    plan.slots = slots;
    return plan;
}

/* inverse is further divided by 2^16: sums of products have up to 31 bits. */
static const float *random_inverse(size_t rows, size_t used, size_t stride)
{
    float *inverse = allocate(rows * stride * sizeof *inverse);
    const float *larger = random_floats(rows, used, stride, random_size(0, 24));
    for (size_t i = 0; i < rows * stride; i++)
        inverse[i] = larger[i] / 65536;
    return inverse;
}

static struct edge_feature_step random_step(const struct edge_feature_plan *plan)
{
    size_t rows = plan->block * plan->block, values = rows * plan->stride;
    uint16_t *extent = allocate(rows * sizeof *extent);
    uint8_t *ratio = allocate_zeros(values);
    size_t lowest = random_size(0, LARGEST_RATIO), highest = random_size(lowest, LARGEST_RATIO);
    for (size_t k = 0; k < rows; k++) {
        extent[k] = (uint16_t)random_size(k == 0, plan->channels);
        for (size_t c = 0; c < plan->channels; c++)
            ratio[k * plan->stride + c] = (uint8_t)random_size(lowest, highest);
    }
    struct edge_feature_step step = {.extent = extent, .ratio = ratio};
    step.inverse = random_inverse(rows, plan->channels, plan->stride);
    step.step = random_floats(rows, plan->channels, plan->stride, random_size(0, 16));
    step.floor = random_floats(1, plan->channels, plan->channels, random_size(0, 16));
    step.codes.middle = allocate(CLASSES * values * sizeof *step.codes.middle);
    step.codes.reach = allocate(CLASSES * values * sizeof *step.codes.reach);
    step.codes.shift = allocate(CLASSES * values);
    step.level = random_bits();
    step.level >>= random_size(0, 31);
    step.activity_table = (uint32_t)random_size(RATIOS, RATIOS + ACTIVITY_TABLES - 1);
    return step;
}

static struct coder random_coder(void)
{
    struct coder coder = {.plan = random_plan()};
    const struct edge_feature_plan *plan = &coder.plan;
    coder.step = random_step(plan);
    size_t side = plan->block, stride = plan->stride;
    coder.blocks = (plan->height + side - 1) / side * ((plan->width + side - 1) / side);
    coder.rows = side * side * coder.blocks;
    coder.values = plan->channels * plan->height * plan->width;
    coder.largest = BYTES_BESIDE + BYTES_PER_VALUE * (coder.blocks + coder.rows * plan->channels);
    coder.buffers = (struct edge_feature_buffers){
        .positions = allocate(plan->height * plan->width * stride * sizeof(int16_t)),
        .coefficients = allocate_zeros(coder.rows * stride * sizeof(int16_t)),
        .levels = allocate(coder.rows * stride * sizeof(int16_t)),
        .sums = allocate(4 * stride * sizeof(int32_t)),
        .classes = allocate(coder.blocks),
        .symbols = allocate((coder.rows * plan->channels + coder.blocks + 16) * sizeof(uint16_t)),
        .raw = allocate(4 * coder.rows * plan->channels + 8),
    };
    edge_feature_prepare(plan, &coder.step);
    return coder;
}

/* One time in four any bits at all, NaN and infinity included. */
static const float *random_map(size_t values)
{
    return random_bits() % 4 ? random_floats(1, values, values, random_size(0, 16))
                             : random_bytes(values * sizeof(float));
}

/* An encoder that was given `capacity` bytes wrote the same bytes, or had less than it says it needs. */
static void check_tight(int64_t found, const uint8_t *out, size_t capacity, const uint8_t *data, size_t size)
{
    if (found == EDGE_BAD_SIZE)
        expect(capacity < size + SPARE, "an encoder refused enough room");
    else
        expect(found == (int64_t)size && memcmp(out, data, size) == 0, "bytes depend on the room there is");
}

static uint64_t fuzz_features(uint64_t checksum)
{
    struct coder coder = random_coder();
    const struct edge_feature_plan *plan = &coder.plan;
    const struct edge_feature_step *step = &coder.step;
    size_t bytes = coder.values * sizeof(float);
    /* After a refused map the coefficients are still those of no map. */
    int32_t status = edge_feature_transform(plan, random_map(coder.values), &coder.buffers);
    checksum = mix(checksum, &status, sizeof status);
    uint8_t *data = allocate(coder.largest);
    int64_t size = edge_feature_encode(plan, step, &coder.buffers, data, coder.largest);
    expect(size > 0, "the largest room was too little");
    checksum = mix(checksum, data, (size_t)size);
    size_t capacity = random_size(0, (size_t)size + 2 * SPARE);
    uint8_t *tight = allocate(capacity), *exact = memcpy(allocate((size_t)size), data, (size_t)size);
    check_tight(edge_feature_encode(plan, step, &coder.buffers, tight, capacity), tight, capacity, data, (size_t)size);
    float *map = allocate(bytes), *again = allocate(bytes);
    expect(edge_feature_decode(plan, step, &coder.buffers, exact, (size_t)size, map) == EDGE_OK, "features are lost");
    checksum = mix(checksum, map, bytes);
    for (int i = 0; i < CHANGED_STREAMS; i++) {
        size_t length = (size_t)size;
        const uint8_t *changed = changed_stream(data, &length);
        status = edge_feature_decode(plan, step, &coder.buffers, changed, length, again);
        checksum = mix_changed(checksum, status, again, bytes);
    }
    status = edge_feature_decode(plan, step, &coder.buffers, exact, (size_t)size, again);
    expect(status == EDGE_OK && memcmp(map, again, bytes) == 0, "a coder remembers the streams before");
    return checksum;
}

static struct sequence random_sequence(void)
{
    size_t histograms = random_size(1, 40), count = random_size(0, 400);
    struct edge_rans_symbol *symbols = allocate(histograms * EDGE_SYMBOLS * sizeof *symbols);
    uint8_t *slots = allocate(histograms * EDGE_SLOTS), *tables = allocate(count), *shifts = allocate(count);
    int32_t *values = allocate(count * sizeof *values);
    random_histograms(histograms, 0, symbols, slots);
    for (size_t i = 0; i < count; i++) {
        int32_t largest = EDGE_LARGEST_VALUE >> random_size(0, 15);
        values[i] = (int32_t)random_size(0, 2 * (size_t)largest) - largest;
        tables[i] = (uint8_t)random_size(0, histograms - 1);
        shifts[i] = (uint8_t)(random_bits() % 2 ? random_size(0, LARGEST_SHIFT) : 0);
    }
    uint16_t *codes = allocate(count * sizeof *codes);
    return (struct sequence){count, values, tables, shifts, slots, symbols, codes};
}

static int64_t encode(const struct sequence *of, uint8_t *out, size_t capacity)
{
    return edge_rans_encode(of->values, of->tables, of->shifts, of->count, of->symbols, of->codes, out, capacity);
}

static int32_t decode(const struct sequence *of, const uint8_t *data, size_t size, int32_t *values)
{
    return edge_rans_decode(data, size, of->tables, of->shifts, of->count, of->symbols, of->slots, of->codes, values);
}

static uint64_t fuzz_rans(uint64_t checksum)
{
    struct sequence sequence = random_sequence();
    size_t bytes = sequence.count * sizeof(int32_t), largest = BYTES_BESIDE + BYTES_PER_VALUE * sequence.count;
    uint8_t *data = allocate(largest);
    int64_t size = encode(&sequence, data, largest);
    expect(size > 0, "the largest room was too little");
    checksum = mix(checksum, data, (size_t)size);
    size_t capacity = random_size(0, (size_t)size + 2 * SPARE);
    uint8_t *tight = allocate(capacity), *exact = memcpy(allocate((size_t)size), data, (size_t)size);
    check_tight(encode(&sequence, tight, capacity), tight, capacity, data, (size_t)size);
    int32_t *values = allocate(bytes);
    expect(decode(&sequence, exact, (size_t)size, values) == EDGE_OK && memcmp(values, sequence.values, bytes) == 0,
           "values are lost");
    for (int i = 0; i < CHANGED_STREAMS; i++) {
        size_t length = (size_t)size;
        const uint8_t *changed = changed_stream(data, &length);
        checksum = mix_changed(checksum, decode(&sequence, changed, length, values), values, bytes);
    }
    return checksum;
}

int main(int argc, char **argv)
{
    int refused = fuzz_begin(argc, argv);
    if (refused)
        return refused;
    fuzz_streams(argv, "features", fuzz_features);
    fuzz_streams(argv, "rans", fuzz_rans);
    return 0;
}
