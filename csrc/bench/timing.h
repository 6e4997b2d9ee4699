/* Processor time of calls that take turns, so that what disturbs one disturbs its rivals as well. */
#ifndef EDGE_TIMING_H
#define EDGE_TIMING_H

#include <stddef.h>

struct edge_turn {
    void (*run)(const void *of);
    const void *of;
    size_t calls; /* of a sample */
};

/* Half, ten, ninety and ninety-five per cent of the samples are below. */
struct edge_quantiles {
    double median, low, high, highest;
};

/* As many calls as take long enough for the clock. */
struct edge_turn edge_turn_of(void (*run)(const void *of), const void *of);
/* Of one call, in seconds. */
double edge_turn_time(const struct edge_turn *turn);
/* Sorts them. */
struct edge_quantiles edge_quantiles_of(double *samples, size_t count);
/* Share of the larger one by which two figures differ. */
double edge_apart(double a, double b);

#endif
