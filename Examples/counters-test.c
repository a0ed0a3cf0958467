// counters-test: reads the hypervisor's exit counters from inside a virtual machine, as an ordinary program.
//
//     gcc -O1 -Wall -o counters-test counters-test.c
//     minivmm exec -- ./counters-test                     the default layout of the leaves, f22
//     minivmm exec --leaves f21 -- ./counters-test f21    another one
//     minivmm exec --leaves s21 -- ./counters-test s21    and the third, which has two leaves
//
// It executes CPUID with each of the leaves, prints the registers as they come back, and what they mean. Then it
// asks for every exit type that the Intel SDM could number, 0 to 80. Exit status 0: the counters live.

#include <cpuid.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define LAST_REASON 80

// Where each question is asked. s21 has both totals in one answer, and no cycles of one type.
struct layout {
    const char *name;
    uint32_t total_exits;
    uint32_t total_cycles;
    uint32_t exits_of_type;
    uint32_t cycles_of_type;
};

static const struct layout layouts[] = {
    {"f22", 0x4FFFFFFC, 0x4FFFFFFD, 0x4FFFFFFE, 0x4FFFFFFF},
    {"f21", 0x4FFFFFFF, 0x4FFFFFFE, 0x4FFFFFFD, 0x4FFFFFFC},
    {"s21", 0x4FFFFFFF, 0x4FFFFFFF, 0x4FFFFFFE, 0},
};

struct registers {
    uint32_t eax, ebx, ecx, edx;
};

// CPUID, with the leaf in EAX and the exit type in ECX.
static struct registers cpuid(uint32_t leaf, uint32_t type) {
    struct registers result;
    __cpuid_count(leaf, type, result.eax, result.ebx, result.ecx, result.edx);
    return result;
}

// Cycles: the high half in EBX, the low half in ECX.
static uint64_t cycles(struct registers registers) {
    return (uint64_t)registers.ebx << 32 | registers.ecx;
}

// What an exit type that the SDM does not define is answered with.
static int is_undefined(struct registers registers) {
    return registers.eax == 0 && registers.ebx == 0 && registers.ecx == 0 && registers.edx == 0xFFFFFFFF;
}

// Names of exit types that are met often. Source: Intel SDM, volume 3, appendix "VMX basic exit reasons".
static const char *name(uint32_t type) {
    switch (type) {
    case 0: return "  exception or NMI";
    case 1: return "  external interrupt";
    case 2: return "  triple fault";
    case 7: return "  interrupt window";
    case 10: return "  CPUID";
    case 12: return "  HLT";
    case 18: return "  VMCALL";
    case 28: return "  control-register access";
    case 30: return "  I/O instruction";
    case 31: return "  RDMSR";
    case 32: return "  WRMSR";
    case 48: return "  EPT violation";
    case 49: return "  EPT misconfiguration";
    case 54: return "  WBINVD";
    case 55: return "  XSETBV";
    default: return "";
    }
}

static void print_registers(const char *question, uint32_t leaf, struct registers registers) {
    printf("CPUID(0x%08" PRIX32 ") %-18s", leaf, question);
    printf(" eax=%08" PRIX32 " ebx=%08" PRIX32, registers.eax, registers.ebx);
    printf(" ecx=%08" PRIX32 " edx=%08" PRIX32 "\n", registers.ecx, registers.edx);
}

static void print_leaves(const struct layout *layout) {
    const int has_cycles = layout->cycles_of_type != 0;
    // All of them before the first line is printed: printing makes exits of its own.
    struct registers total_exits = cpuid(layout->total_exits, 0);
    struct registers total_cycles = cpuid(layout->total_cycles, 0);
    struct registers io_exits = cpuid(layout->exits_of_type, 30);
    struct registers io_cycles = {0};
    if (has_cycles) io_cycles = cpuid(layout->cycles_of_type, 30);

    print_registers("total exits", layout->total_exits, total_exits);
    print_registers("total cycles", layout->total_cycles, total_cycles);
    print_registers("exits of type 30", layout->exits_of_type, io_exits);
    if (has_cycles) print_registers("cycles of type 30", layout->cycles_of_type, io_cycles);
    printf("\n");
    printf("CPUID(0x%08" PRIX32 "), total number of exits = %" PRIu32 "\n", layout->total_exits, total_exits.eax);
    printf("CPUID(0x%08" PRIX32 "), total cycles in the hypervisor = %" PRIu64 "\n", layout->total_cycles,
           cycles(total_cycles));
    printf("\n");
}

// Every type: how often, and how many cycles where the layout has them.
static void print_types(const struct layout *layout) {
    if (layout->cycles_of_type == 0) {
        printf("%5s %10s\n", "type", "exits");
    } else {
        printf("%5s %10s %16s %12s\n", "type", "exits", "cycles", "mean");
    }
    for (uint32_t type = 0; type <= LAST_REASON; type++) {
        struct registers exits = cpuid(layout->exits_of_type, type);
        if (layout->cycles_of_type == 0) {
            printf("%5" PRIu32 " %10" PRIu32 "%s\n", type, exits.eax,
                   is_undefined(exits) ? "  not defined by the SDM" : name(type));
            continue;
        }
        struct registers spent = cpuid(layout->cycles_of_type, type);
        if (is_undefined(exits) && is_undefined(spent)) {
            printf("%5" PRIu32 " %10s %16s %12s  not defined by the SDM\n", type, "-", "-", "-");
        } else if (exits.eax == 0) {
            printf("%5" PRIu32 " %10d %16d %12s%s\n", type, 0, 0, "-", name(type));
        } else {
            printf("%5" PRIu32 " %10" PRIu32 " %16" PRIu64 " %12" PRIu64 "%s\n", type, exits.eax, cycles(spent),
                   cycles(spent) / exits.eax, name(type));
        }
    }
    printf("\n");
}

// Asks for the total again and again with nothing in between. Returns the least rise between two answers.
static uint32_t least_rise(const struct layout *layout) {
    uint32_t answers[8], least = UINT32_MAX;
    const int count = sizeof answers / sizeof *answers;
    for (int i = 0; i < count; i++) answers[i] = cpuid(layout->total_exits, 0).eax;

    printf("Total exits, asked for %d times in a row:", count);
    for (int i = 0; i < count; i++) {
        printf(" %" PRIu32, answers[i]);
        // The counter has 32 bits here and may wrap; the difference does not mind.
        if (i > 0 && answers[i] - answers[i - 1] < least) least = answers[i] - answers[i - 1];
    }
    printf("\n");
    return least;
}

int main(int argc, char **argv) {
    const struct layout *layout = NULL;
    for (size_t i = 0; i < sizeof layouts / sizeof *layouts; i++) {
        if (strcmp(argc > 1 ? argv[1] : "f22", layouts[i].name) == 0) layout = &layouts[i];
    }
    if (layout == NULL || argc > 2) {
        fprintf(stderr, "usage: %s [f22 | f21 | s21]\n", argv[0]);
        return 64;
    }
    print_leaves(layout);
    print_types(layout);
    uint32_t rise = least_rise(layout);
    if (rise == 0) {
        printf("The counters stand still: nobody answers these leaves here.\n");
        return 1;
    }
    printf("The counters live: each question is at least %" PRIu32 " more.\n", rise);
    return 0;
}
