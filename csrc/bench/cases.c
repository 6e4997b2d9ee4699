#include "cases.h"

size_t edge_cases_make(struct edge_case *cases)
{
    size_t count = edge_frame_cases_make(cases);
    return count + edge_coder_cases_make(cases + count);
}
