/* How fast is every kernel in every instruction set of this CPU, and how far from what the core can do? No Python.
 *
 *     bench_kernels [--json] [--only PART] [--isa NAME]
 *
 * A typical call of each kernel takes turns with a copy of as many bytes and with the limit of its arithmetic, until
 * two tries agree or there were enough. Without --only or --isa the ceilings themselves come first. */
#include "cases.h"
#include "edge_kernels.h"
#include "isas.h"
#include "timing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS 41
#define MOST_TRIES 5
/* Two tries agree when no median of theirs is further apart. */
#define AGREEMENT 0.05
/* Floats of each array, for a size that is in cache and one that is in none. */
#define IN_CACHE ((size_t)1 << 14)
#define BEYOND ((size_t)1 << 24)

struct options {
    int json;
    const char *only, *isa;
};

struct sets {
    size_t count;
    const char *names[EDGE_ISAS];
};

struct memory {
    size_t count;
    float *from, *other, *to;
};

/* A kernel in one set: quantiles of a call's time, and medians of its shares of the limits, 0 without arithmetic. */
struct row {
    const char *isa;
    struct edge_quantiles time;
    double of_copy, of_arithmetic;
};

static void run_case(const void *of)
{
    ((const struct edge_case *)of)->run();
}

static void run_copy(const void *of)
{
    const struct memory *memory = of;
    edge_limit_copy(memory->from, memory->to, memory->count, 1);
}

static void run_triad(const void *of)
{
    const struct memory *memory = of;
    edge_limit_triad(memory->from, memory->other, 3, memory->to, memory->count, 1);
}

static void run_floats(const void *of)
{
    (void)of;
    edge_limit_floats();
}

static void run_products(const void *of)
{
    (void)of;
    edge_limit_products();
}

static struct memory memory_of(size_t count)
{
    struct memory memory = {count, calloc(count, sizeof(float)), calloc(count, sizeof(float)),
                            calloc(count, sizeof(float))};
    if (!memory.from || !memory.other || !memory.to) {
        fprintf(stderr, "no memory for 3 arrays of %zu floats\n", count);
        exit(1);
    }
    /* Touched, or all of it would be one page of zeros. */
    for (size_t i = 0; i < count; i++)
        memory.from[i] = memory.other[i] = memory.to[i] = 1;
    return memory;
}

static void free_memory(struct memory *memory)
{
    free(memory->from);
    free(memory->other);
    free(memory->to);
}

static int counts_floats(const struct edge_case *of)
{
    return of->unit == EDGE_FLOATS || of->unit == EDGE_DOUBLES;
}

/* Operations of a run of the limit with the chosen set: a multiplication and an addition each; half of it in double. */
static double limit_operations(const struct edge_case *of)
{
    size_t sums = counts_floats(of) ? edge_limit_floats() : edge_limit_products();
    return (double)sums * (of->unit == EDGE_DOUBLES ? 1 : 2);
}

static struct row measure(const struct edge_case *of, const char *isa, const struct memory *memory)
{
    double times[ROUNDS], copy[ROUNDS], arithmetic[ROUNDS];
    edge_dispatch_use(isa);
    double limit = limit_operations(of);
    const struct edge_turn kernel = edge_turn_of(run_case, of), copying = edge_turn_of(run_copy, memory);
    const struct edge_turn computing = edge_turn_of(counts_floats(of) ? run_floats : run_products, NULL);
    for (size_t round = 0; round < ROUNDS; round++) {
        times[round] = edge_turn_time(&kernel);
        copy[round] = edge_turn_time(&copying) / times[round];
        double share = limit > 0 ? (double)of->operations / limit : 0;
        arithmetic[round] = share * edge_turn_time(&computing) / times[round];
    }
    return (struct row){isa, edge_quantiles_of(times, ROUNDS), edge_quantiles_of(copy, ROUNDS).median,
                        edge_quantiles_of(arithmetic, ROUNDS).median};
}

/* All sets in turns until two tries agree or there were enough; returns how far the last two were apart. */
static double measure_all(const struct edge_case *of, const struct sets *sets, struct row *rows)
{
    double difference = 1;
    size_t floats = of->bytes / 2 / sizeof(float);
    struct memory memory = memory_of(floats);
    for (int tries = 0; tries < 2 || (tries < MOST_TRIES && difference > AGREEMENT); tries++) {
        difference = 0;
        for (size_t i = 0; i < sets->count; i++) {
            struct row row = measure(of, sets->names[i], &memory);
            double change = tries ? edge_apart(row.time.median, rows[i].time.median) : 0;
            difference = change > difference ? change : difference;
            rows[i] = row;
        }
    }
    free_memory(&memory);
    return difference;
}

static int fastest_first(const void *left, const void *right)
{
    double a = ((const struct row *)left)->time.median, b = ((const struct row *)right)->time.median;
    return (a > b) - (a < b);
}

static void print_row(const struct edge_case *of, const struct row *row, double apart, const struct options *options,
                      const char *separator)
{
    double seconds = row->time.median, spread = (row->time.high - row->time.low) / seconds;
    double bytes = (double)of->bytes / seconds, operations = (double)of->operations / seconds;
    if (options->json) {
        printf("%s{\"kernel\": \"%s\", \"isa\": \"%s\", \"p50_us\": %.4g, \"p95_us\": %.4g, ", separator, of->name,
               row->isa, 1e6 * seconds, 1e6 * row->time.highest);
        printf("\"spread\": %.3g, \"apart\": %.3g, \"bytes\": %zu, \"operations\": %zu, ", spread, apart, of->bytes,
               of->operations);
        printf("\"bytes_per_second\": %.4g, ", bytes);
        printf("\"operations_per_second\": %.4g, \"share_of_copy\": %.3g, \"share_of_arithmetic\": %.3g}", operations,
               row->of_copy, row->of_arithmetic);
    } else {
        printf("%-22s %-8s %11.3f %11.3f %7.1f%% %9.2f %9.2f %7.1f%% %11.1f%%\n", of->name, row->isa, 1e6 * seconds,
               1e6 * row->time.highest, 100 * spread, 1e-9 * bytes, 1e-9 * operations, 100 * row->of_copy,
               100 * row->of_arithmetic);
    }
    fflush(stdout);
}

/* Returns how many kernels there are of that name. */
static size_t print_kernels(const struct sets *sets, const struct options *options)
{
    struct edge_case cases[EDGE_MOST_CASES];
    size_t known = edge_cases_make(cases), printed = 0;
    if (!options->json)
        printf("%-22s %-8s %11s %11s %8s %9s %9s %8s %12s\n", "kernel", "set", "p50 us", "p95 us", "spread", "GB/s",
               "Gop/s", "of copy", "of arithmetic");
    for (size_t i = 0; i < known; i++) {
        struct row rows[EDGE_ISAS];
        if (options->only && !strstr(cases[i].name, options->only))
            continue;
        double apart = measure_all(cases + i, sets, rows);
        qsort(rows, sets->count, sizeof *rows, fastest_first);
        for (size_t set = 0; set < sets->count; set++)
            print_row(cases + i, rows + set, apart, options, printed || set ? ",\n" : "\n");
        printed++;
    }
    return printed;
}

/* Median of the turns per second. */
static double rate(void (*run)(const void *of), const void *of)
{
    double times[ROUNDS];
    const struct edge_turn turn = edge_turn_of(run, of);
    for (size_t round = 0; round < ROUNDS; round++)
        times[round] = edge_turn_time(&turn);
    return 1 / edge_quantiles_of(times, ROUNDS).median;
}

static void print_ceilings(const struct sets *sets, const struct options *options)
{
    struct memory near = memory_of(IN_CACHE), far = memory_of(BEYOND);
    if (!options->json)
        printf("%-8s %16s %16s %16s %16s %14s %14s\n", "set", "copy, cache GB/s", "triad, cache", "copy, memory",
               "triad, memory", "float Gop/s", "int16 Gop/s");
    for (size_t i = 0; i < sets->count; i++) {
        edge_dispatch_use(sets->names[i]);
        double copies[] = {rate(run_copy, &near) * IN_CACHE * 8, rate(run_copy, &far) * BEYOND * 8};
        double triads[] = {rate(run_triad, &near) * IN_CACHE * 12, rate(run_triad, &far) * BEYOND * 12};
        double floats = 2 * (double)edge_limit_floats() * rate(run_floats, NULL);
        double products = 2 * (double)edge_limit_products() * rate(run_products, NULL);
        if (options->json)
            printf("%s{\"isa\": \"%s\", \"copy_in_cache\": %.4g, \"triad_in_cache\": %.4g, \"copy_beyond\": %.4g, "
                   "\"triad_beyond\": %.4g, \"floats\": %.4g, \"products\": %.4g}",
                   i ? ",\n" : "\n", sets->names[i], copies[0], triads[0], copies[1], triads[1], floats, products);
        else
            printf("%-8s %16.1f %16.1f %16.1f %16.1f %14.1f %14.1f\n", sets->names[i], 1e-9 * copies[0],
                   1e-9 * triads[0], 1e-9 * copies[1], 1e-9 * triads[1], 1e-9 * floats, 1e-9 * products);
    }
    free_memory(&near);
    free_memory(&far);
}

static struct sets sets_of(const struct options *options)
{
    struct sets sets = {0};
    for (size_t i = 0; i < EDGE_ISAS; i++)
        if ((!options->isa || !strcmp(options->isa, edge_isas[i])) && edge_dispatch_use(edge_isas[i]) == EDGE_OK)
            sets.names[sets.count++] = edge_isas[i];
    return sets;
}

static int parse(int argc, char **argv, struct options *options)
{
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--json"))
            options->json = 1;
        else if (!strcmp(argv[i], "--only") && i + 1 < argc)
            options->only = argv[++i];
        else if (!strcmp(argv[i], "--isa") && i + 1 < argc)
            options->isa = argv[++i];
        else
            return 0;
    }
    return 1;
}

int main(int argc, char **argv)
{
    struct options options = {0};
    if (!parse(argc, argv, &options)) {
        fprintf(stderr, "usage: %s [--json] [--only PART] [--isa NAME]\n", argv[0]);
        return 2;
    }
    edge_dispatch_init();
    struct sets sets = sets_of(&options);
    if (sets.count == 0) {
        fprintf(stderr, "%s: this CPU or build has no %s\n", argv[0], options.isa);
        return 3;
    }
    if (options.json)
        printf("{\"compiler\": \"%s\", \"rounds\": %d, \"ceilings\": [", __VERSION__, ROUNDS);
    if (!options.only && !options.isa)
        print_ceilings(&sets, &options);
    if (options.json)
        printf("], \"kernels\": [");
    size_t printed = print_kernels(&sets, &options);
    if (options.json)
        printf("]}\n");
    if (printed == 0)
        fprintf(stderr, "%s: no kernel has \"%s\" in its name\n", argv[0], options.only);
    return printed == 0;
}
