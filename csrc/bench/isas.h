/* The instruction sets that some build of the kernels has, by their names in dispatch.c. */
#ifndef EDGE_ISAS_H
#define EDGE_ISAS_H

static const char *const edge_isas[] = {"scalar", "avx2", "avx512", "neon", "dotprod"};
#define EDGE_ISAS (sizeof edge_isas / sizeof *edge_isas)

#endif
