// storm-smp: `storm` on all CPUs at once.
//
// Every CPU writes to port 0x80 again and again, ECX times (a million if the run
// has no argument). When all have, the boot processor ends the run with status 0:
// halting would not, as the other CPUs could still wake this one.
//
// The time of the run is that of the slowest CPU. Compared with the run on one CPU
// it shows what the CPUs cost each other in the hypervisor.

#include "guest.h"
#include "smp.h"

#define DEFAULT_COUNT       1000000

// Variables, in free memory above the image, which is all zeros.
#define COUNT               0x9000  // dword: the writes of each CPU
#define DONE                0x9100  // word, far from COUNT: other CPUs that are done

        guest_begin storm_smp

        // The argument of the run is in ECX; 0 stands for "none given".
        test    ecx, ecx
        jnz     1f
        mov     ecx, DEFAULT_COUNT
1:
        mov     [COUNT], ecx

        // SI = how many others there are. One CPU alone may have no local APIC.
        mov     eax, LEAF_FEATURES
        cpuid
        cpu_count
        mov     si, bx
        dec     si
        jz      2f
        start_others other_cpu
2:
        mov     ecx, [COUNT]
3:
        // One exit a turn, and no instruction more than it takes.
        out     PORT_POST, al
        dec     ecx
        jnz     3b

        // Wait for the others. The loop makes no exits.
4:
        pause
        cmp     [DONE], si
        jb      4b
        end_run STATUS_OK

// Where the other CPUs begin.
        place   other_cpu
        mov     ecx, [COUNT]
5:
        out     PORT_POST, al
        dec     ecx
        jnz     5b
        lock inc word ptr [DONE]
        stop

        guest_end storm_smp
