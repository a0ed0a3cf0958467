// mmio: reads and writes of memory that is not there.
//
// At 0xA0000 and 0xB8000 a PC has its graphics and text memory, and this machine
// nothing: every access leaves the guest, as one MMIO exit, for the hypervisor to
// find the device that answers. None does, so a write must vanish and a read give
// all ones. The guest tries it in the three sizes of a 386, at both addresses, 12
// exits in all, shows what it read, and ends with status 0 if it was all ones.

#include "guest.h"

#define ALL_ONES            -1

// Hexadecimal digits of what is printed.
#define DIGITS_BYTE         2
#define DIGITS_WORD         4
#define DIGITS_DWORD        8
#define DIGITS_ADDRESS      5

        guest_begin mmio

        // EBP = the AND of all values read: all ones only if each of them is.
        mov     ebp, ALL_ONES

        print   "address  size  wrote       read"
        mov     ax, SEGMENT_GRAPHICS
        call    probe
        mov     ax, SEGMENT_TEXT
        call    probe

        cmp     ebp, ALL_ONES
        jne     mismatch
        print   "\nOK\n"
        end_run STATUS_OK
mismatch:
        print   "\nMISMATCH\n"
        end_run STATUS_MISMATCH

// probe: writes zeros to the start of segment AX and reads it back, in each size,
// and prints a line for each. What was read is sign-extended to 32 bits, so that
// EBP serves every size. Changes EAX, EBX, CL, SI, ES, EBP.
probe:
        mov     es, ax
        movzx   ebx, ax
        shl     ebx, 4              // EBX = linear address: segment * 16

        call    print_address
        print   "  1     0x00        0x"
        mov     byte ptr es:[0], 0
        mov     al, es:[0]
        mov     cl, DIGITS_BYTE
        call    print_hex
        movsx   eax, al
        and     ebp, eax

        call    print_address
        print   "  2     0x0000      0x"
        mov     word ptr es:[0], 0
        mov     ax, es:[0]
        mov     cl, DIGITS_WORD
        call    print_hex
        movsx   eax, ax
        and     ebp, eax

        call    print_address
        print   "  4     0x00000000  0x"
        mov     dword ptr es:[0], 0
        mov     eax, es:[0]
        mov     cl, DIGITS_DWORD
        call    print_hex
        and     ebp, eax
        ret

// print_address: ends the line before, and prints EBX as an address.
// Changes EAX, CL, SI.
print_address:
        print   "\n0x"
        mov     eax, ebx
        mov     cl, DIGITS_ADDRESS
        call    print_hex
        ret

        routine_print_string
        routine_print_hex

        guest_end mmio
