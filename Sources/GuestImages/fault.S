// fault: an exception that the guest has no handler for.
//
// UD2 is the instruction that is undefined on purpose: it raises exception 6,
// invalid opcode. The guest has not set up its interrupt vector 6, so the run
// ends with an error, which names the vector and the address of the UD2.

#include "guest.h"

        guest_begin fault

        ud2

        guest_end fault
