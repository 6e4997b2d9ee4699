/* One typical call of every public kernel, on made-up inputs that are the same on every CPU. */
#ifndef EDGE_CASES_H
#define EDGE_CASES_H

#include <stddef.h>
#include <stdint.h>

#define EDGE_MOST_CASES 64

/* What does a kernel's arithmetic; a limit of its own or that of the nearest wider one. */
enum edge_unit { EDGE_TABLES, EDGE_INTEGERS, EDGE_FLOATS, EDGE_DOUBLES };

struct edge_case {
    const char *name; /* the function's without edge_, and what tells its calls apart */
    int64_t (*run)(void); /* negative when refused */
    size_t bytes; /* read and written, each array once */
    /* Additions, multiplications, comparisons and conversions of the scalar source, in whole numbers per value; what is
     * done once a call is left out. */
    size_t operations;
    enum edge_unit unit;
};

/* Makes the inputs; returns how many cases there are, in the order of edge_kernels.h. */
size_t edge_cases_make(struct edge_case *cases);
/* Its two halves: what happens to a frame and a model's outputs, and the coders. */
size_t edge_frame_cases_make(struct edge_case *cases);
size_t edge_coder_cases_make(struct edge_case *cases);

#endif
