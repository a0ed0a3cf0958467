// divide: a division by zero.
//
// DIV by zero raises exception 0, divide error. The guest has not set up its
// interrupt vector 0, so the run ends with an error, which names the vector and
// the address of the DIV.

#include "guest.h"

        guest_begin divide

        // DX:AX / BX = 1 / 0
        xor     dx, dx
        mov     ax, 1
        xor     bx, bx
        div     bx

        guest_end divide
