// storm: as many exits as possible, as fast as possible.
//
// It writes to port 0x80 again and again, ECX times (a million if the run has no
// argument), and halts. The port ignores what it gets, so that what remains is
// the bare cost of an exit: the time of the run divided by the count.

#include "guest.h"

#define DEFAULT_COUNT       1000000

        guest_begin storm

        // The argument of the run is in ECX; 0 stands for "none given".
        test    ecx, ecx
        jnz     next
        mov     ecx, DEFAULT_COUNT

next:
        // One exit a turn, and no instruction more than it takes. Not LOOP: in
        // 16-bit code it would count in CX alone, to 65536 at most.
        out     PORT_POST, al
        dec     ecx
        jnz     next

        cli
        hlt

        guest_end storm
