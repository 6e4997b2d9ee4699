/* Feeds the latent coder random tables and latents, and changed streams to its decoder.
 *
 *     fuzz_latents SEED ROUNDS [ISA]
 *
 * Every round codes one latent, checks that its levels come back, and decodes changed streams; whatever entropy-coded
 * stream is decoded must be the one that the encoder writes. Prints a checksum of all bytes and decoded values, which
 * is the same on every CPU, and how many changed streams were decoded and refused. Like the other drivers, it is for
 * builds with sanitizers: each array is its own allocation.
 */
#include "streams.h"

#define MOST_LEVELS 16

struct coder {
    struct edge_latent_plan plan;
    size_t values, packed;
    uint16_t *codes;
};

/* Whole numbers over powers of two, one time in four as small or as large as they come. */
static const float *random_steps(size_t channels)
{
    static const float scales[] = {0x1p-104f, 0x1p104f};
    float *steps = allocate(channels * sizeof *steps);
    float scale = random_bits() % 4 ? 1 : scales[random_bits() % 2];
    for (size_t c = 0; c < channels; c++)
        steps[c] = (float)random_size(1, 1 << 15) / (float)(1u << random_size(0, 16)) * scale;
    return steps;
}

static struct coder random_coder(void)
{
    struct edge_latent_plan plan = {.channels = random_size(1, 20), .positions = random_size(1, 60)};
    plan.levels = random_size(2, MOST_LEVELS);
    plan.step = random_steps(plan.channels);
    uint16_t *histograms = allocate_zeros(plan.channels * EDGE_SYMBOLS * sizeof *histograms);
    for (size_t c = 0; c < plan.channels; c++) {
        for (size_t level = 0; level < plan.levels; level++)
            histograms[c * EDGE_SYMBOLS + level] = 1;
        fill_histogram(histograms + c * EDGE_SYMBOLS, plan.levels);
    }
    struct edge_rans_symbol *symbols = allocate(plan.channels * EDGE_SYMBOLS * sizeof *symbols);
    uint8_t *slots = allocate(plan.channels * EDGE_SLOTS);
    expect(edge_rans_prepare(histograms, plan.channels, symbols, slots) == EDGE_OK, "a histogram was refused");
    plan.symbols = symbols;
    plan.slots = slots;
    struct coder coder = {.plan = plan, .values = plan.channels * plan.positions};
    size_t bits = plan.levels > 8 ? 4 : plan.levels > 4 ? 3 : plan.levels > 2 ? 2 : 1;
    coder.packed = (coder.values * bits + 7) / 8;
    coder.codes = allocate(coder.values * sizeof *coder.codes);
    return coder;
}

/* One time in four any bits at all, NaN and infinity included; else up to some steps from zero, in quarters. */
static const float *random_latent(const struct coder *coder)
{
    if (random_bits() % 4 == 0)
        return random_bytes(coder->values * sizeof(float));
    int32_t reach = (int32_t)random_size(0, 4 * MOST_LEVELS);
    float *latent = allocate(coder->values * sizeof *latent);
    for (size_t i = 0; i < coder->values; i++) {
        int32_t quarters = (int32_t)random_size(0, 2 * (size_t)reach) - reach;
        latent[i] = (float)quarters / 4 * coder->plan.step[i / coder->plan.positions];
    }
    return latent;
}

static int64_t encode(const struct coder *coder, const float *latent, uint8_t *out, size_t capacity)
{
    return edge_latent_encode(&coder->plan, latent, coder->codes, out, capacity);
}

static int32_t decode(const struct coder *coder, const uint8_t *data, size_t size, float *latent)
{
    return edge_latent_decode(&coder->plan, data, size, coder->codes, latent);
}

/* What a stream decoded to leads back to it; packed symbols may have a smaller stream. */
static void check_only_one(const struct coder *coder, const float *latent, const uint8_t *data, size_t size)
{
    uint8_t *again = allocate(coder->packed + SPARE);
    int64_t found = encode(coder, latent, again, coder->packed + SPARE);
    expect(found > 0 && (found == (int64_t)size ? memcmp(again, data, size) == 0 : size == coder->packed),
           "a latent has two streams");
}

static uint64_t fuzz_latents(uint64_t checksum)
{
    struct coder coder = random_coder();
    size_t bytes = coder.values * sizeof(float), room = coder.packed + SPARE;
    const float *latent = random_latent(&coder);
    uint8_t *data = allocate(room);
    int64_t size = encode(&coder, latent, data, room);
    checksum = mix(checksum, &size, sizeof size);
    expect(encode(&coder, latent, allocate(room - 1), room - 1) == EDGE_BAD_SIZE, "too little room was taken");
    if (size < 0) {
        expect(size == EDGE_BAD_FEATURES, "a latent got another status");
        return checksum;
    }
    expect((size_t)size <= coder.packed, "a stream is larger than its symbols");
    checksum = mix(checksum, data, (size_t)size);
    float *back = allocate(bytes);
    uint8_t *exact = memcpy(allocate((size_t)size), data, (size_t)size);
    expect(decode(&coder, exact, (size_t)size, back) == EDGE_OK, "a latent is lost");
    checksum = mix(checksum, back, bytes);
    check_only_one(&coder, back, exact, (size_t)size);
    for (int i = 0; i < CHANGED_STREAMS; i++) {
        size_t length = (size_t)size;
        const uint8_t *changed = changed_stream(data, &length);
        int32_t status = decode(&coder, changed, length, back);
        checksum = mix_changed(checksum, status, back, bytes);
        if (status == EDGE_OK)
            check_only_one(&coder, back, changed, length);
    }
    return checksum;
}

int main(int argc, char **argv)
{
    int refused = fuzz_begin(argc, argv);
    if (refused)
        return refused;
    fuzz_streams(argv, "latents", fuzz_latents);
    return 0;
}
