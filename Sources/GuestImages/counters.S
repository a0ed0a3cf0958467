// counters: the guest asks the hypervisor what its own exits cost.
//
// Four leaves of CPUID answer with the hypervisor's counters. The guest reads
// them, does work that makes a known number of exits of each type, reads them
// again, and prints what it read with the arithmetic in plain sight. Every
// difference in counts is known beforehand, down to the last exit, since a CPUID
// is an exit too and the answer counts the exit that carries the question. Cycles
// are not known beforehand; they must have grown.
//
// It ends with the line OK and status 0, or with MISMATCH and status 1. The
// argument of the run tells which layout of the leaves to expect: 21 for f21,
// 121 for s21, anything else for f22. In s21 both totals come in one answer, and
// there are no cycles of one type to ask for.
//
// All questions are asked before the first byte is printed, as printing makes
// exits of its own. There is one CPUID instruction in the whole image.

#include "guest.h"

#define ARGUMENT_F21        21      // the arguments that say so
#define ARGUMENT_S21        121

// The work: how many exits of each type. Plain numbers, to be quoted in the text.
#define OUTS                10
#define INS                 5
#define WRITES              4
#define READS               3
#define CPUIDS              2
#define WORK_IO             (OUTS + INS)
#define WORK_MMIO           (WRITES + READS)

// A reading asks eight questions, or four in s21. From a question in one reading to
// the same question in the next there are as many CPUIDs, wherever in the reading it
// stands: those of the first reading from it on, and those of the second up to it.
#define EXPECTED_IO         (WORK_IO)
#define EXPECTED_MMIO       (WORK_MMIO)
#define EXPECTED_CPUID      (CPUIDS)                                // and the questions
#define EXPECTED_TOTAL      (EXPECTED_IO + EXPECTED_MMIO + CPUIDS)  // and the questions

// A leaf that has nothing to do with the counters: 0, the vendor.
#define LEAF_VENDOR         0

// How a reading is laid out: counts have 32 bits, cycles 64.
#define COUNT_NOTHING       0
#define COUNT_OUTS          4
#define COUNT_IO            8
#define COUNT_MMIO          12
#define COUNT_CPUID         16
#define COUNT_TOTAL         20
#define CYCLES_IO           24
#define CYCLES_MMIO         32
#define CYCLES_CPUID        40
#define CYCLES_TOTAL        48

// A layout: which of the four leaves answers what, 0 if none does, and how many
// questions a reading asks.
#define LEAF_TOTAL_COUNT    0
#define LEAF_TOTAL_CYCLES   4
#define LEAF_TYPE_COUNT     8
#define LEAF_TYPE_CYCLES    12
#define QUESTIONS           16

        guest_begin counters

        // DI = the layout, from here to the end.
        mov     di, offset layout_f22
        cmp     ecx, ARGUMENT_F21
        jne     1f
        mov     di, offset layout_f21
1:
        cmp     ecx, ARGUMENT_S21
        jne     1f
        mov     di, offset layout_s21
1:
        // First experiment: the total, asked twice with nothing in between, and
        // once more with some OUTs in between.
        mov     eax, [di + LEAF_TOTAL_COUNT]
        call    cpuid_leaf
        mov     [BEFORE + COUNT_NOTHING], eax
        mov     eax, [di + LEAF_TOTAL_COUNT]
        call    cpuid_leaf
        mov     [AFTER + COUNT_NOTHING], eax
        mov     [BEFORE + COUNT_OUTS], eax
        call    do_outs
        mov     eax, [di + LEAF_TOTAL_COUNT]
        call    cpuid_leaf
        mov     [AFTER + COUNT_OUTS], eax

        // Second experiment: all counters, around all the work.
        mov     si, BEFORE
        call    take_reading

        call    do_outs

        mov     si, INS
2:
        in      al, PORT_POST
        dec     si
        jnz     2b

        // The text memory of a PC, which nobody claims here. Each access is an
        // exit; which address does not matter.
        mov     ax, SEGMENT_TEXT
        mov     es, ax
        mov     si, WRITES
3:
        mov     es:[0], al
        dec     si
        jnz     3b
        mov     si, READS
4:
        mov     al, es:[0]
        dec     si
        jnz     4b

        mov     si, CPUIDS
5:
        mov     eax, LEAF_VENDOR
        call    cpuid_leaf
        dec     si
        jnz     5b

        mov     si, AFTER
        call    take_reading

        // That was all; from here on exits do not matter. Print, and have BP
        // count what is not as expected.
        xor     bp, bp

        print   "Exit counters by CPUID leaf, layout "
        cmp     di, offset layout_f21
        je      6f
        cmp     di, offset layout_s21
        je      7f
        print   "f22\n"
        jmp     8f
6:
        print   "f21\n"
        jmp     8f
7:
        print   "s21\n"
8:
        print   "\nThe total, asked twice, with this in between:\n"
        call    print_count_heading

        print   "nothing   "
        mov     bx, COUNT_NOTHING
        mov     ecx, 1
        call    print_count
        print   " = the question\n"

        print   TEXT_OF(OUTS), " OUT    "
        mov     bx, COUNT_OUTS
        mov     ecx, OUTS + 1
        call    print_count
        print   " = ", TEXT_OF(OUTS), " OUT + the question\n"

        print   "\nCounts by type (SDM number), around the work. A reading asks "
        call    print_questions
        print   ".\n"
        call    print_count_heading

        print   "I/O    30 "
        mov     bx, COUNT_IO
        mov     ecx, EXPECTED_IO
        call    print_count
        print   " = ", TEXT_OF(OUTS), " OUT + ", TEXT_OF(INS), " IN\n"

        print   "MMIO   48 "
        mov     bx, COUNT_MMIO
        mov     ecx, EXPECTED_MMIO
        call    print_count
        print   " = ", TEXT_OF(WRITES), " writes + ", TEXT_OF(READS), " reads\n"

        print   "CPUID  10 "
        mov     bx, COUNT_CPUID
        mov     ecx, EXPECTED_CPUID
        add     ecx, [di + QUESTIONS]
        call    print_count
        print   " = ", TEXT_OF(CPUIDS), " + "
        call    print_questions
        print   "\n"

        print   "total     "
        mov     bx, COUNT_TOTAL
        mov     ecx, EXPECTED_TOTAL
        add     ecx, [di + QUESTIONS]
        call    print_count
        print   " = the sum\n"

        print   "\nCycles that the hypervisor took for these exits:\n"
        print   "                before       after  difference    per exit\n"

        cmp     dword ptr [di + LEAF_TYPE_CYCLES], 0
        je      9f

        print   "I/O    30 "
        mov     bx, CYCLES_IO
        mov     ecx, EXPECTED_IO
        call    print_cycles

        print   "MMIO   48 "
        mov     bx, CYCLES_MMIO
        mov     ecx, EXPECTED_MMIO
        call    print_cycles

        print   "CPUID  10 "
        mov     bx, CYCLES_CPUID
        mov     ecx, EXPECTED_CPUID
        add     ecx, [di + QUESTIONS]
        call    print_cycles
9:
        print   "total     "
        mov     bx, CYCLES_TOTAL
        mov     ecx, EXPECTED_TOTAL
        add     ecx, [di + QUESTIONS]
        call    print_cycles

        test    bp, bp
        jnz     mismatch
        print   "\nOK\n"
        end_run STATUS_OK
mismatch:
        print   "\nMISMATCH\n"
        end_run STATUS_MISMATCH

// cpuid_leaf: CPUID of leaf EAX, subleaf ECX, answered in EAX, EBX, ECX, EDX.
// The only place where the instruction stands.
cpuid_leaf:
        cpuid
        ret

// do_outs: the OUTs of the work. Changes SI.
do_outs:
        mov     si, OUTS
1:
        out     PORT_POST, al
        dec     si
        jnz     1b
        ret

// ask_count REASON, FIELD and ask_cycles REASON, FIELD: one question about one
// type of exit, and its answer stored in the reading at SI. A count comes in EAX,
// cycles in EBX (high half) and ECX (low half).
.macro ask_count reason, field
        mov     eax, [di + LEAF_TYPE_COUNT]
        mov     ecx, \reason
        call    cpuid_leaf
        mov     [si + \field], eax
.endm

.macro ask_cycles reason, field
        mov     eax, [di + LEAF_TYPE_CYCLES]
        mov     ecx, \reason
        call    cpuid_leaf
        mov     [si + \field], ecx
        mov     [si + \field + 4], ebx
.endm

// take_reading: asks all questions once, and stores the answers from SI on.
// Changes EAX, EBX, ECX, EDX.
take_reading:
        ask_count   REASON_IO, COUNT_IO
        ask_count   REASON_MMIO, COUNT_MMIO
        ask_count   REASON_CPUID, COUNT_CPUID

        mov     eax, [di + LEAF_TOTAL_COUNT]
        call    cpuid_leaf
        mov     [si + COUNT_TOTAL], eax
        cmp     dword ptr [di + LEAF_TYPE_CYCLES], 0
        je      1f                  // the cycles came with it

        ask_cycles  REASON_IO, CYCLES_IO
        ask_cycles  REASON_MMIO, CYCLES_MMIO
        ask_cycles  REASON_CPUID, CYCLES_CPUID

        mov     eax, [di + LEAF_TOTAL_CYCLES]
        call    cpuid_leaf
1:
        mov     [si + CYCLES_TOTAL], ecx
        mov     [si + CYCLES_TOTAL + 4], ebx
        ret

// print_questions: prints how many questions a reading asks. Changes EAX, CL, SI.
print_questions:
        mov     eax, [di + QUESTIONS]
        xor     cl, cl
        call    print_decimal32
        print   " questions"
        ret

// print_cycles: prints before, after and difference of the cycles at BX in the
// two readings, then the difference divided by ECX, the number of exits it is
// made of, and ends the line. Counts in BP if the cycles have not grown.
// Changes EAX, EBX, ECX, EDX, SI.
print_cycles:
        push    ecx
        mov     cl, COLUMN
        mov     eax, [bx + BEFORE]
        mov     edx, [bx + BEFORE + 4]
        call    print_decimal64
        mov     eax, [bx + AFTER]
        mov     edx, [bx + AFTER + 4]
        call    print_decimal64
        sub     eax, [bx + BEFORE]
        sbb     edx, [bx + BEFORE + 4]

        // Below zero or zero?
        jb      1f
        mov     ebx, eax
        or      ebx, edx
        jnz     2f
1:
        inc     bp
2:
        call    print_decimal64

        // EDX:EAX / ECX in two steps, high half first.
        pop     ecx
        mov     ebx, eax
        mov     eax, edx
        xor     edx, edx
        div     ecx                 // EAX = high half of the quotient
        xchg    eax, ebx
        div     ecx                 // EAX = low half
        mov     edx, ebx
        mov     cl, COLUMN
        call    print_decimal64
        print   "\n"
        ret

        routine_print_string
        routine_print_decimal
        routine_print_count

        .balign 4
        place   layout_f22
        .long   COUNTER_LEAVES + 0  // total count
        .long   COUNTER_LEAVES + 1  // total cycles
        .long   COUNTER_LEAVES + 2  // count of one type
        .long   COUNTER_LEAVES + 3  // cycles of one type
        .long   8                   // questions

        place   layout_f21
        .long   COUNTER_LEAVES + 3  // total count
        .long   COUNTER_LEAVES + 2  // total cycles
        .long   COUNTER_LEAVES + 1  // count of one type
        .long   COUNTER_LEAVES + 0  // cycles of one type
        .long   8                   // questions

        place   layout_s21
        .long   COUNTER_LEAVES + 3  // total count
        .long   COUNTER_LEAVES + 3  // total cycles, in the same answer
        .long   COUNTER_LEAVES + 2  // count of one type
        .long   0                   // no cycles of one type
        .long   4                   // questions

        guest_end counters
