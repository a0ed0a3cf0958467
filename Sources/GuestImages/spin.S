// spin: a guest that never ends.
//
// After one line it jumps to itself for ever, with interrupts off and without a
// single exit. Only the hypervisor can end it: by a time limit or a signal.

#include "guest.h"

        guest_begin spin

        print   "spinning\n"
        cli
forever:
        jmp     forever

        routine_print_string

        guest_end spin
