/* What a core can do at most, measured: sums of products of 16-bit integers whose operands never leave registers, and
 * a chain of additions that each wait for the last one, which counts cycles. */
#ifndef EDGE_LIMITS_H
#define EDGE_LIMITS_H

#include <stddef.h>

typedef void edge_limit_function(void);

struct edge_limit {
    const char *isa;
    edge_limit_function *run;
    size_t products; /* that one run sums */
};

/* That of an instruction set by its name in dispatch.c; NULL where nobody wrote one. */
const struct edge_limit *edge_limit_of(const char *isa);

#define EDGE_CHAIN_CYCLES 16384

/* EDGE_CHAIN_CYCLES additions, a cycle each. */
edge_limit_function edge_limit_chain;

#endif
