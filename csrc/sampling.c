/* Patches spread evenly by a seed alone: those with the lowest ranks of a quadtree over the grid.
 *
 * A rank has one base-4 digit a level, the coarsest level's lowest, so that following ranks lie far apart. A digit
 * says which child comes when: the diagonal neighbour second, as in ordered dithering, exclusive-or'ed with random
 * bits of the level, or of the cell. A cell's bits depend on coarser levels only, so a rank leads down to its patch.
 */
#include "edge_kernels.h"
#include "random.h"

#include <string.h>

#define MOST_SIDE 256

int32_t edge_sample_grid(size_t rows, size_t columns, size_t k, uint32_t seed, int32_t jittered, uint16_t *out)
{
    if (rows < 1 || rows > MOST_SIDE || columns < 1 || columns > MOST_SIDE || k > rows * columns)
        return EDGE_BAD_SIZE;
    uint32_t levels = 0;
    while (1u << levels < rows || 1u << levels < columns)
        levels++;

    /* Mark the patches of the lowest ranks, leaving out what is only padding to a power of two. */
    memset(out, 0, rows * columns * sizeof *out);
    size_t marked = 0;
    for (uint32_t rank = 0; marked < k; rank++) {
        uint32_t y = 0, x = 0, digits = rank;
        for (uint32_t level = levels; level-- > 0; digits >>= 2) {
            uint32_t cell = jittered ? y << 8 | x : 0;
            uint32_t child = (digits & 3) ^ edge_splitmix32(seed, level << 16 | cell) >> 30;
            y = y << 1 | (child & 1);
            x = x << 1 | ((child ^ child >> 1) & 1);
        }
        if (y < rows && x < columns) {
            out[y * columns + x] = 1;
            marked++;
        }
    }

    /* An index never stands behind its own mark. */
    size_t kept = 0;
    for (size_t i = 0; kept < k; i++)
        if (out[i])
            out[kept++] = (uint16_t)i;
    return (int32_t)kept;
}
