/* What the drivers of stream coders share: histograms, streams that somebody changed, and what became of those. */
#ifndef EDGE_FUZZ_STREAMS_H
#define EDGE_FUZZ_STREAMS_H

#include "fuzz.h"
#include "rans.h"

#define CHANGED_STREAMS 16
/* What an encoder needs beyond what it uses. */
#define SPARE 32

static struct {
    unsigned long decoded, refused;
} streams;

static inline void expect(int holds, const char *what)
{
    if (holds)
        return;
    fprintf(stderr, "%s\n", what);
    exit(1);
}

/* Adds 1024 less what is there, to symbols below `symbols`. */
static inline void fill_histogram(uint16_t *histogram, size_t symbols)
{
    size_t left = EDGE_SLOTS, largest = (size_t)1 << random_size(4, EDGE_SLOT_BITS);
    for (size_t symbol = 0; symbol < EDGE_SYMBOLS; symbol++)
        left -= histogram[symbol];
    while (left) {
        size_t share = random_size(1, largest < left ? largest : left);
        histogram[random_size(0, symbols - 1)] += (uint16_t)share;
        left -= share;
    }
}

static inline void flip_bits(uint8_t *data, size_t size)
{
    size_t near = random_bits() % 2 && size > 16 ? size - 16 : 0;
    for (size_t flips = random_size(1, 4); size && flips > 0; flips--) {
        uint8_t *byte = data + random_size(near, size - 1);
        *byte ^= (uint8_t)(1u << random_bits() % 8);
    }
}

/* Some bytes again, where others were. */
static inline void splice(uint8_t *data, size_t size)
{
    size_t from = random_size(0, size), to = random_size(0, size);
    memmove(data + to, data + from, random_size(0, size - (from > to ? from : to)));
}

/* A stream with bits flipped, bytes cut off, added or moved, or random from some byte on; its size is changed, too. */
static inline uint8_t *changed_stream(const uint8_t *data, size_t *size)
{
    size_t kind = random_size(0, 4), before = *size;
    *size = kind == 1 ? random_size(0, before) : kind == 2 ? before + random_size(1, 24) : before;
    uint8_t *changed = random_bytes(*size);
    size_t kept = kind == 4 ? random_size(0, before) : before < *size ? before : *size;
    memcpy(changed, data, kept);
    if (kind == 0)
        flip_bits(changed, *size);
    else if (kind == 3)
        splice(changed, *size);
    return changed;
}

static inline uint64_t mix_changed(uint64_t checksum, int32_t status, const void *out, size_t bytes)
{
    expect(status == EDGE_OK || status == EDGE_BAD_STREAM, "a changed stream got another status");
    *(status == EDGE_OK ? &streams.decoded : &streams.refused) += 1;
    return mix_result(checksum, status, out, bytes);
}

/* Prints a family's checksum, and how many changed streams were decoded and refused. */
static inline void fuzz_streams(char **argv, const char *name, uint64_t (*fuzz)(uint64_t))
{
    streams.decoded = streams.refused = 0;
    uint64_t checksum = fuzz_rounds(argv, fuzz);
    printf("%-10s %016" PRIx64 "  %lu streams decoded, %lu refused\n", name, checksum, streams.decoded, streams.refused);
}

#endif
