/* A plugin of QEMU: how many instructions does a program execute between each call of edge_count_from and the next call
 * of edge_count_to? Prints a number a line, in order.
 *
 *     qemu-aarch64 -cpu cortex-a72 -plugin count_instructions.so -d plugin -D COUNTS PROGRAM ...
 *
 * For static programs of one thread: only those show the names of all their functions, and the sum has no lock. A
 * number holds the same few instructions of both marks every time; what an empty call counts is to be taken off.
 *
 * The declarations are those of QEMU's plugin interface, version 1, as far as they are used: QEMU's packages come
 * without its header. */
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
struct qemu_info_t;
enum qemu_plugin_op { QEMU_PLUGIN_INLINE_ADD_U64 };
enum qemu_plugin_cb_flags { QEMU_PLUGIN_CB_NO_REGS };
typedef void on_translation(qemu_plugin_id_t id, struct qemu_plugin_tb *block);
typedef void on_execution(unsigned int cpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, on_translation *callback);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *block, on_execution *callback,
                                          enum qemu_plugin_cb_flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, enum qemu_plugin_op op, void *sum,
                                                uint64_t value);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t i);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *instruction);
void qemu_plugin_outs(const char *line);

#define EXPORTED __attribute__((visibility("default")))
EXPORTED extern int qemu_plugin_version;
EXPORTED int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv);

int qemu_plugin_version = 1;
static uint64_t executed, before;

static void begin(unsigned int cpu, void *data)
{
    (void)cpu;
    (void)data;
    before = executed;
}

static void end(unsigned int cpu, void *data)
{
    char line[24];
    (void)cpu;
    (void)data;
    snprintf(line, sizeof line, "%" PRIu64 "\n", executed - before);
    qemu_plugin_outs(line);
}

/* Blocks are counted instruction by instruction: one that is left half-way and entered again would count twice. */
static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *block)
{
    const char *function = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0));
    (void)id;
    if (function && !strcmp(function, "edge_count_from"))
        qemu_plugin_register_vcpu_tb_exec_cb(block, begin, QEMU_PLUGIN_CB_NO_REGS, NULL);
    if (function && !strcmp(function, "edge_count_to"))
        qemu_plugin_register_vcpu_tb_exec_cb(block, end, QEMU_PLUGIN_CB_NO_REGS, NULL);
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++)
        qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_tb_get_insn(block, i), QEMU_PLUGIN_INLINE_ADD_U64,
                                                   &executed, 1);
}

int qemu_plugin_install(qemu_plugin_id_t id, const struct qemu_info_t *info, int argc, char **argv)
{
    (void)info;
    (void)argc;
    (void)argv;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
    return 0;
}
