/* Runs every case of csrc/bench and every stage of the feature coder once, for an emulator that counts instructions
 * between two marks.
 *
 *     run_kernels          its C library, then each instruction set that this CPU has
 *     run_kernels ISA      an empty call, then every case and stage; their names in order
 */
#include "bench/cases.h"
#include "bench/isas.h"
#include "bench/scene.h"
#include "edge_kernels.h"

#include <stdio.h>

#define APART __attribute__((noinline))
#define PAGE 4096

/* count_instructions.c knows these two by their names. */
APART void edge_count_from(void)
{
    __asm__ volatile("" ::: "memory");
}

APART void edge_count_to(void)
{
    __asm__ volatile("" ::: "memory");
}

static int64_t run_nothing(void)
{
    return 0;
}

/* Named before it runs: 1 when it refuses. */
static int count(const char *name, int64_t (*volatile run)(void))
{
    puts(name);
    edge_count_from();
    int64_t result = run();
    edge_count_to();
    return result < 0;
}

static void offer(void)
{
    printf("glibc %d.%d\n", __GLIBC__, __GLIBC_MINOR__);
    for (size_t i = 0; i < EDGE_ISAS; i++)
        if (edge_dispatch_use(edge_isas[i]) == EDGE_OK)
            puts(edge_isas[i]);
}

static struct edge_scene scene;
static void (*run_stage)(struct edge_scene *scene);

static int64_t run_chosen_stage(void)
{
    run_stage(&scene);
    return 0;
}

/* On the map and the mix of levels whose stages docs/performance.md shows. */
static void count_stages(void)
{
    struct edge_stage stages[EDGE_STAGES];
    char name[32];
    scene = edge_scene_make(40, 28, 7, 26);
    edge_scene_stages(&scene, stages);
    for (size_t i = 0; i < EDGE_STAGES; i++) {
        run_stage = stages[i].run;
        snprintf(name, sizeof name, "stage %s", stages[i].name);
        count(name, run_chosen_stage);
    }
    edge_scene_free(&scene);
}

/* Returns how many refused. */
APART static size_t count_all(void)
{
    struct edge_case cases[EDGE_MOST_CASES];
    size_t known = edge_cases_make(cases), refused = (size_t)count("nothing", run_nothing);
    for (size_t i = 0; i < known; i++)
        refused += (size_t)count(cases[i].name, cases[i].run);
    count_stages();
    return refused;
}

int main(int argc, char **argv)
{
    edge_dispatch_init();
    if (argc < 2) {
        offer();
        return 0;
    }
    if (edge_dispatch_use(argv[1]) != EDGE_OK) {
        fprintf(stderr, "%s: this CPU or build has no %s\n", argv[0], argv[1]);
        return 3;
    }
    /* Arguments and environment lie above this frame and move it; how a kernel's arrays lie in cache lines decides what
     * it costs to clear them. From here on the stack is always as far from the start of a page. */
    uint8_t *volatile gap = __builtin_alloca((uintptr_t)__builtin_frame_address(0) % PAGE + 1);
    *gap = 0;
    return count_all() > 0;
}
