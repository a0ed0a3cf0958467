// smp: several CPUs make exits at once, and the counters are right to the last one.
//
// The boot processor reads the counters and starts the other CPUs. Every CPU, the
// boot processor included, makes a known number of exits of each type, all at the
// same time, and says when it is done. When all are, the boot processor reads the
// counters again, and prints what it read with the arithmetic in plain sight. The
// counters are sums over all CPUs, and exact while the others do nothing.
//
// The CPUIDs among the exits ask for the id of the CPU's local APIC, which must be
// another one on each CPU, from 0 up.
//
// The argument of the run is the number of CPUs; 0 stands for as many as CPUID
// says. It ends with the line OK and status 0, or with MISMATCH and status 1.
//
// The counter leaves are expected in the layout f22.

#include "guest.h"
#include "smp.h"

// The work of each CPU. Plain numbers, to be quoted in the text.
#define OUTS                100
#define INS                 50
#define WRITES              20
#define READS               10
#define CPUIDS              5
#define WORK_IO             (OUTS + INS)
#define WORK_MMIO           (WRITES + READS)

// A reading asks four questions, so there are as many CPUIDs from a question in
// one reading to the same question in the next, the work's aside.
#define QUESTIONS           4

// The leaves of layout f22.
#define LEAF_TOTAL_COUNT    (COUNTER_LEAVES + 0)
#define LEAF_TYPE_COUNT     (COUNTER_LEAVES + 2)

// How a reading is laid out.
#define COUNT_IO            0
#define COUNT_MMIO          4
#define COUNT_CPUID         8
#define COUNT_TOTAL         12

// Variables, in free memory above the image, which is all zeros.
#define CPUS                0x9200  // dword: how many there should be
#define STARTED             0x9204  // word: other CPUs that have taken a number
#define DONE                0x9206  // word: other CPUs that are done
#define SEEN                0x9300  // a byte for each APIC id: the CPUs that have it

// The stacks of the others, below the boot processor's: as much as two calls take.
#define STACKS              0x7000
#define STACK_SHIFT         4

        guest_begin smp

        test    ecx, ecx
        jnz     1f
        mov     eax, LEAF_FEATURES
        call    cpuid_leaf
        cpu_count
        mov     ecx, ebx
1:
        mov     [CPUS], ecx

        mov     si, BEFORE
        call    take_reading

        // One CPU alone may have no local APIC.
        cmp     dword ptr [CPUS], 1
        jbe     2f
        start_others other_cpu
2:
        call    work

        // Wait for the others. The loop makes no exits.
        mov     cx, [CPUS]
        dec     cx
3:
        pause
        cmp     [DONE], cx
        jb      3b

        mov     si, AFTER
        call    take_reading

        // That was all; from here on exits do not matter. Print, and have BP
        // count what is not as expected.
        xor     bp, bp

        print   "CPUs: "
        mov     eax, [CPUS]
        xor     cl, cl
        call    print_decimal32
        print   ", each with ", TEXT_OF(OUTS), " OUT, ", TEXT_OF(INS), " IN, "
        print   TEXT_OF(WRITES), " writes, ", TEXT_OF(READS), " reads, ", TEXT_OF(CPUIDS), " CPUID.\n"

        print   "\nCounts by type (SDM number), around the work. A reading asks "
        print   TEXT_OF(QUESTIONS), " questions.\n"
        call    print_count_heading

        // EDI = the total that is expected, summed up line by line.
        print   "I/O    30 "
        mov     bx, COUNT_IO
        imul    ecx, [CPUS], WORK_IO
        mov     edi, ecx
        call    print_count
        call    print_times_cpus
        print   "(", TEXT_OF(OUTS), " OUT + ", TEXT_OF(INS), " IN)\n"

        print   "MMIO   48 "
        mov     bx, COUNT_MMIO
        imul    ecx, [CPUS], WORK_MMIO
        add     edi, ecx
        call    print_count
        call    print_times_cpus
        print   "(", TEXT_OF(WRITES), " writes + ", TEXT_OF(READS), " reads)\n"

        print   "CPUID  10 "
        mov     bx, COUNT_CPUID
        imul    ecx, [CPUS], CPUIDS
        add     ecx, QUESTIONS
        add     edi, ecx
        call    print_count
        call    print_times_cpus
        print   TEXT_OF(CPUIDS), " + ", TEXT_OF(QUESTIONS), " questions\n"

        print   "total     "
        mov     bx, COUNT_TOTAL
        mov     ecx, edi
        call    print_count
        print   " = the sum\n"

        // The APIC ids: 0, 1, 2, and so on, each on one CPU.
        print   "\nAPIC ids  "
        xor     bx, bx
4:
        cmp     byte ptr [bx + SEEN], 1
        jne     5f
        inc     bx
        cmp     bx, [CPUS]
        jb      4b
        print   "0 and up, another one on each CPU\n"
        jmp     6f
5:
        inc     bp
        movzx   eax, bx
        xor     cl, cl
        call    print_decimal32
        print   " is on no CPU, or on several\n"
6:
        test    bp, bp
        jnz     mismatch
        print   "\nOK\n"
        end_run STATUS_OK
mismatch:
        print   "\nMISMATCH\n"
        end_run STATUS_MISMATCH

// Where the other CPUs begin: take a number, and with it a stack; do the work;
// say so; stop.
        place   other_cpu
        mov     ax, 1
        lock xadd [STARTED], ax
        inc     ax                  // the first of them is number 1
        shl     ax, STACK_SHIFT
        mov     sp, STACKS
        sub     sp, ax
        call    work
        lock inc word ptr [DONE]
        stop

// cpuid_leaf: CPUID of leaf EAX, subleaf ECX, answered in EAX, EBX, ECX, EDX.
// The only place where the instruction stands.
cpuid_leaf:
        cpuid
        ret

// work: the work of one CPU. Changes EAX, EBX, ECX, EDX, SI, ES.
work:
        mov     si, OUTS
1:
        out     PORT_POST, al
        dec     si
        jnz     1b

        mov     si, INS
2:
        in      al, PORT_POST
        dec     si
        jnz     2b

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
        mov     eax, LEAF_FEATURES
        call    cpuid_leaf
        dec     si
        jnz     5b

        shr     ebx, FEATURES_APIC_ID
        lock inc byte ptr [bx + SEEN]
        ret

// ask_count REASON, FIELD: asks for the count of one type of exit, and stores it
// in the reading at SI.
.macro ask_count reason, field
        mov     eax, LEAF_TYPE_COUNT
        mov     ecx, \reason
        call    cpuid_leaf
        mov     [si + \field], eax
.endm

// take_reading: asks all questions once, and stores the answers from SI on.
// Changes EAX, EBX, ECX, EDX.
take_reading:
        ask_count   REASON_IO, COUNT_IO
        ask_count   REASON_MMIO, COUNT_MMIO
        ask_count   REASON_CPUID, COUNT_CPUID
        mov     eax, LEAF_TOTAL_COUNT
        call    cpuid_leaf
        mov     [si + COUNT_TOTAL], eax
        ret

// print_times_cpus: prints the number of CPUs as a factor. Changes EAX, CL, SI.
print_times_cpus:
        print   " = "
        mov     eax, [CPUS]
        xor     cl, cl
        call    print_decimal32
        print   " x "
        ret

        routine_print_string
        routine_print_decimal
        routine_print_count

        guest_end smp
