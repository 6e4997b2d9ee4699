#define _POSIX_C_SOURCE 199309L

#include "timing.h"

#include <stdlib.h>
#include <time.h>

/* A sample takes so long, in seconds. */
#define SAMPLE 3e-5
#define MOST_CALLS ((size_t)1 << 16)

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

double edge_turn_time(const struct edge_turn *turn)
{
    double start = seconds();
    for (size_t call = 0; call < turn->calls; call++) {
        turn->run(turn->of);
        __asm__ volatile("" ::: "memory");
    }
    return (seconds() - start) / (double)turn->calls;
}

struct edge_turn edge_turn_of(void (*run)(const void *of), const void *of)
{
    struct edge_turn turn = {run, of, 1};
    while (turn.calls < MOST_CALLS && edge_turn_time(&turn) * (double)turn.calls < SAMPLE)
        turn.calls *= 2;
    return turn;
}

static int ascending(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

struct edge_quantiles edge_quantiles_of(double *samples, size_t count)
{
    qsort(samples, count, sizeof *samples, ascending);
    size_t last = count - 1;
    return (struct edge_quantiles){samples[count / 2], samples[count / 10], samples[last - count / 10],
                                   samples[last - count / 20]};
}

double edge_apart(double a, double b)
{
    return (a > b ? a - b : b - a) / (a > b ? b : a);
}
