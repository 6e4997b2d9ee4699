/* How far each stage of the feature coder is from a memcpy that reads and writes as many bytes, and the transforms
 * from the arithmetic limit. Prints JSON; all figures are ratios of processor times, measured in turns. */
#include "edge_kernels.h"
#include "isas.h"
#include "scene.h"
#include "timing.h"

#include <stdio.h>
#include <string.h>

#define ROUNDS 41
#define MOST_TRIES 5
/* Two tries agree when no median of theirs is further apart. */
#define AGREEMENT 0.1

struct result {
    struct edge_quantiles copies; /* a stage's time over memcpy's */
    struct edge_quantiles limit;  /* products per time over the limit's */
    struct edge_quantiles cycles; /* per value */
};

enum job { STAGE, COPY, CHAIN, LIMIT, JOBS };

struct race {
    const struct edge_stage *stage;
    size_t products; /* of a run of the limit */
    struct edge_scene *scene;
};

static void run_stage(const void *of)
{
    const struct race *race = of;
    race->stage->run(race->scene);
}

static void run_copy(const void *of)
{
    const struct race *race = of;
    memcpy(race->scene->to, race->scene->from, race->stage->bytes / 2);
}

static void run_chain(const void *of)
{
    (void)of;
    edge_limit_chain();
}

static void run_limit(const void *of)
{
    (void)of;
    edge_limit_products();
}

static struct result measure(const struct race *race)
{
    const struct edge_turn turns[JOBS] = {edge_turn_of(run_stage, race), edge_turn_of(run_copy, race),
                                          edge_turn_of(run_chain, race), edge_turn_of(run_limit, race)};
    double times[JOBS], copies[ROUNDS], limit[ROUNDS], cycles[ROUNDS];
    for (size_t round = 0; round < ROUNDS; round++) {
        for (enum job job = 0; job < JOBS; job++)
            times[job] = edge_turn_time(turns + job);
        double products = race->products ? (double)race->stage->products / (double)race->products : 0;
        copies[round] = times[STAGE] / times[COPY];
        limit[round] = products * times[LIMIT] / times[STAGE];
        cycles[round] = times[STAGE] / times[CHAIN] * EDGE_CHAIN_CYCLES / (double)race->stage->values;
    }
    return (struct result){edge_quantiles_of(copies, ROUNDS), edge_quantiles_of(limit, ROUNDS),
                           edge_quantiles_of(cycles, ROUNDS)};
}

/* All stages in turns until two tries agree or there were enough; returns how far the last two were apart. */
static double measure_all(struct race *race, const struct edge_stage *stages, struct result *results, int *tries)
{
    double difference = 0;
    for (*tries = 0; *tries < 2 || (*tries < MOST_TRIES && difference > AGREEMENT); ++*tries) {
        difference = 0;
        for (size_t i = 0; i < EDGE_STAGES; i++) {
            race->stage = stages + i;
            struct result result = measure(race);
            double change = *tries ? edge_apart(result.copies.median, results[i].copies.median) : 0;
            difference = change > difference ? change : difference;
            results[i] = result;
        }
    }
    return difference;
}

static void print_quantiles(const char *name, struct edge_quantiles quantiles)
{
    printf(", \"%s\": [%.3g, %.3g, %.3g]", name, quantiles.low, quantiles.median, quantiles.high);
}

static void print_stage(const struct edge_stage *stage, const struct result *result)
{
    printf("  {\"stage\": \"%s\", \"bytes\": %zu, \"values\": %zu", stage->name, stage->bytes, stage->values);
    print_quantiles("times_memcpy", result->copies);
    print_quantiles("cycles_per_value", result->cycles);
    if (result->limit.median > 0)
        print_quantiles("share_of_limit", result->limit);
    printf("}");
}

static void print_scene(const struct edge_scene *scene)
{
    double values = (double)(scene->channels * scene->rows), coded = (double)scene->coded;
    printf("\"shape\": [%zu, %zu, %zu], \"block\": %zu, ", scene->channels, scene->side, scene->side, scene->block);
    printf("\"coded\": %.3f, \"nonzero\": %.3f, ", coded / values, (double)scene->nonzero / values);
    printf("\"bits_per_symbol\": %.2f, ", 8 * (double)scene->payload_size / coded);
}

static void measure_and_print(struct edge_scene *scene, const char *activity, const char *isa)
{
    struct edge_stage stages[EDGE_STAGES];
    struct result results[EDGE_STAGES];
    struct race race = {.products = edge_limit_products(), .scene = scene};
    int tries;
    edge_scene_stages(scene, stages);
    double difference = measure_all(&race, stages, results, &tries);
    printf("{\"isa\": \"%s\", \"activity\": \"%s\", ", isa, activity);
    print_scene(scene);
    printf("\"tries\": %d, \"apart\": %.3f, \"stages\": [", tries, difference);
    for (size_t i = 0; i < EDGE_STAGES; i++) {
        printf(i ? ",\n" : "\n");
        print_stage(stages + i, results + i);
    }
    printf("]}");
}

static const struct {
    size_t channels, side, block;
} shapes[] = {{24, 56, 8}, {40, 28, 7}, {80, 14, 7}, {192, 7, 7}};
static const struct {
    const char *name;
    size_t busiest;
} activities[] = {{"few", 16}, {"many", 26}};

#define COUNT(array) (sizeof array / sizeof *array)

int main(void)
{
    const char *separator = "";
    printf("{\"compiler\": \"%s\", \"rounds\": %d, \"cases\": [\n", __VERSION__, ROUNDS);
    for (size_t i = 0; i < COUNT(shapes) * COUNT(activities) * EDGE_ISAS; i++) {
        size_t shape = i / EDGE_ISAS / COUNT(activities), activity = i / EDGE_ISAS % COUNT(activities);
        const char *isa = edge_isas[i % EDGE_ISAS];
        if (edge_dispatch_use(isa) != EDGE_OK)
            continue;
        struct edge_scene scene = edge_scene_make(shapes[shape].channels, shapes[shape].side, shapes[shape].block,
                                                  activities[activity].busiest);
        printf("%s", separator);
        measure_and_print(&scene, activities[activity].name, isa);
        edge_scene_free(&scene);
        separator = ",\n";
    }
    printf("\n]}\n");
    return 0;
}
