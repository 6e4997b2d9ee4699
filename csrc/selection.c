/* Which patches are worth sending, in time linear in their number whatever the scores are.
 *
 * A rule on sorted scores comes down to a cut: keep every score above it, and the first few that equal it. Scores
 * in 0..1 sort like their bits, so the cut is found without sorting: a histogram over the leading bits finds its
 * bucket, bisection over the remaining bits finds the score.
 */
#include "edge_kernels.h"
#include "random.h"

#include <string.h>

/* Exponent and three bits of the mantissa: eight buckets an octave, 32 octaves below 1, everything smaller last. */
#define BUCKET_SHIFT 20
#define BUCKETS 256
#define KEY_OF_ONE 0x3F800000u

struct cut {
    uint32_t key; /* keep what is above */
    uint64_t ties; /* and this many of those that equal it, lowest index first */
};

/* What a patch contributes to the sum that is cut. */
enum weigh { BY_NUMBER, BY_SCORE };

static uint32_t key_of(float score)
{
    score += 0.0f; /* -0 becomes +0 */
    uint32_t key;
    memcpy(&key, &score, sizeof key);
    return key;
}

/* Best first. */
static size_t bucket_of(uint32_t key)
{
    uint32_t below = (KEY_OF_ONE >> BUCKET_SHIFT) - (key >> BUCKET_SHIFT);
    return below < BUCKETS ? below : BUCKETS - 1;
}

static uint64_t weight_of(float score, enum weigh weigh)
{
    return weigh == BY_SCORE ? (uint64_t)((double)score * 4294967296.0) : 1;
}

static int valid(const float *scores, size_t count)
{
    int ok = 1;
    for (size_t i = 0; i < count; i++)
        ok &= (scores[i] >= 0.0f) & (scores[i] <= 1.0f);
    return ok;
}

/* Cut where the sum of weights, best first, exceeds target; the patch that crosses is kept if include_crossing.
 * candidates [count] is scratch. */
static struct cut find_cut(const float *scores, size_t count, enum weigh weigh, const uint64_t histogram[BUCKETS],
                           uint64_t target, int include_crossing, uint16_t *candidates)
{
    uint64_t above = 0;
    size_t bucket = 0;
    while (bucket < BUCKETS && above + histogram[bucket] <= target)
        above += histogram[bucket++];
    if (bucket == BUCKETS)
        return (struct cut){0, count};

    size_t number = 0;
    for (size_t i = 0; i < count; i++) {
        candidates[number] = (uint16_t)i;
        number += bucket_of(key_of(scores[i])) == bucket;
    }

    /* Halve the range of keys and keep the half in which the sum crosses, until one key is left. */
    uint32_t low = 0, high = KEY_OF_ONE;
    if (bucket < BUCKETS - 1) {
        low = ((KEY_OF_ONE >> BUCKET_SHIFT) - (uint32_t)bucket) << BUCKET_SHIFT;
        high = low | ((1u << BUCKET_SHIFT) - 1);
    }
    while (low < high && number > 1) {
        uint32_t middle = low + (high - low + 1) / 2;
        uint64_t sum = above;
        for (size_t c = 0; c < number; c++)
            sum += key_of(scores[candidates[c]]) >= middle ? weight_of(scores[candidates[c]], weigh) : 0;
        int crosses = sum > target;
        low = crosses ? middle : low;
        high = crosses ? high : middle - 1;
        above = crosses ? above : sum;
        size_t left = 0;
        for (size_t c = 0; c < number; c++) {
            candidates[left] = candidates[c];
            left += (key_of(scores[candidates[c]]) >= middle) == crosses;
        }
        number = left;
    }

    float score = scores[candidates[0]];
    uint64_t ties = (target - above) / weight_of(score, weigh) + (include_crossing != 0);
    if (above == 0 && ties == 0)
        ties = 1;
    return (struct cut){key_of(score), ties};
}

static int32_t keep(const float *scores, size_t count, struct cut cut, uint16_t *out)
{
    size_t number = 0;
    for (size_t i = 0; i < count; i++) {
        uint32_t key = key_of(scores[i]);
        out[number] = (uint16_t)i;
        number += key > cut.key;
        if (key == cut.key && cut.ties > 0) {
            cut.ties--;
            number++;
        }
    }
    return (int32_t)number;
}

int32_t edge_select_top_k(const float *scores, size_t count, size_t k, uint16_t *out)
{
    if (k < 1 || k > count)
        return EDGE_BAD_SIZE;
    if (!valid(scores, count))
        return EDGE_BAD_SCORES;
    uint64_t histogram[BUCKETS] = {0};
    for (size_t i = 0; i < count; i++)
        histogram[bucket_of(key_of(scores[i]))]++;
    return keep(scores, count, find_cut(scores, count, BY_NUMBER, histogram, k - 1, 1, out), out);
}

int32_t edge_select_threshold(const float *scores, size_t count, double delta, uint16_t *out)
{
    if (!valid(scores, count))
        return EDGE_BAD_SCORES;
    size_t number = 0;
    for (size_t i = 0; i < count; i++) {
        out[number] = (uint16_t)i;
        number += (double)scores[i] >= delta;
    }
    return number ? (int32_t)number : edge_select_top_k(scores, count, 1, out);
}

int32_t edge_select_sum(const float *scores, size_t count, double delta, int32_t include_crossing, uint16_t *out)
{
    if (!(delta >= 0.0 && delta <= 1.0))
        return EDGE_BAD_SIZE;
    if (!valid(scores, count))
        return EDGE_BAD_SCORES;
    uint64_t histogram[BUCKETS] = {0}, total = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t weight = weight_of(scores[i], BY_SCORE);
        histogram[bucket_of(key_of(scores[i]))] += weight;
        total += weight;
    }
    uint64_t target = (uint64_t)(delta * (double)total);
    return keep(scores, count, find_cut(scores, count, BY_SCORE, histogram, target, include_crossing, out), out);
}

/* Knuth's selection sampling: ascending without a sort, and without memory. A multiplication scales the 32 random
 * bits to what is left. */
int32_t edge_select_random(size_t count, size_t k, uint32_t seed, uint16_t *out)
{
    if (k > count)
        return EDGE_BAD_SIZE;
    size_t kept = 0;
    for (size_t i = 0; i < count && kept < k; i++)
        if (((uint64_t)edge_splitmix32(seed, (uint32_t)i + 1) * (count - i)) >> 32 < k - kept)
            out[kept++] = (uint16_t)i;
    return (int32_t)kept;
}
