// hello: the smallest guest that says something.
//
// It prints one line through the debug port and halts. Shows that each byte
// printed is one exit: 22 bytes, 22 I/O exits, and one more for the HLT. It asks
// the hypervisor nothing: there is no CPUID instruction in it.

#include "guest.h"

        guest_begin hello

        // SI = the text; print_string does one OUT for each byte of it.
        mov     si, offset greeting
        call    print_string

        // Nothing can wake a CPU that halts with interrupts off: the run is
        // over, and has gone well.
        cli
        hlt

        routine_print_string

        place   greeting
        .asciz  "Hello from real mode!\n"

        guest_end hello
