// string-io: port I/O by the string instructions.
//
// REP OUTS and REP INS move a whole block between memory and a port with one
// instruction, upward or, with the direction flag set, downward. The guest prints
// two lines that way, then reads a port that is nobody's, by bytes and by words,
// and checks that it got all ones, all of them, and nothing past the end. How many
// exits that makes is the hypervisor's affair: one may carry many items.

#include "guest.h"

// The block that is read: free memory above the image. Before it and behind it
// stand guards, zeros that must stay zeros.
#define BUFFER              0x9000
#define BUFFER_SIZE         16
#define GUARD_SIZE          4
#define WORD_SIZE           2
#define ALL_ONES            0xFF

        guest_begin string_io

        xor     bp, bp              // BP = checks that failed

        // Upward: from the first byte of the text to the last.
        cld
        mov     si, offset text_upward
        mov     cx, offset text_upward_size
        mov     dx, PORT_DEBUG
        rep outsb

        // Downward: from the last byte to the first. The text is stored
        // backward, and so comes out forward.
        std
        mov     si, offset text_downward_last
        mov     cx, offset text_downward_size
        rep outsb
        cld

        // Bytes, upward.
        print   "rep insb, upward:   "
        call    clear_buffer
        mov     dx, PORT_UNCLAIMED
        mov     di, BUFFER
        mov     cx, BUFFER_SIZE
        rep insb
        call    check_buffer

        // Words, upward.
        print   "rep insw, upward:   "
        call    clear_buffer
        mov     di, BUFFER
        mov     cx, BUFFER_SIZE / WORD_SIZE
        rep insw
        call    check_buffer

        // Words, downward: DI starts at the last word.
        print   "rep insw, downward: "
        call    clear_buffer
        std
        mov     di, BUFFER + BUFFER_SIZE - WORD_SIZE
        mov     cx, BUFFER_SIZE / WORD_SIZE
        rep insw
        cld
        call    check_buffer

        test    bp, bp
        jnz     mismatch
        print   "OK\n"
        end_run STATUS_OK
mismatch:
        print   "MISMATCH\n"
        end_run STATUS_MISMATCH

// clear_buffer: zeros the buffer and the guards around it. Changes AL, CX, DI.
clear_buffer:
        xor     al, al
        mov     di, BUFFER - GUARD_SIZE
        mov     cx, GUARD_SIZE + BUFFER_SIZE + GUARD_SIZE
        rep stosb
        ret

// check_buffer: checks that the buffer is all ones between guards that are still
// zeros, says so, and counts in BP if it is not. Changes AL, CX, DI, SI.
check_buffer:
        mov     di, BUFFER - GUARD_SIZE

        // The guard, the block, the other guard, one behind the other. REPE
        // SCASB stops at the first byte that differs from AL.
        xor     al, al
        mov     cx, GUARD_SIZE
        repe scasb
        jne     1f
        mov     al, ALL_ONES
        mov     cx, BUFFER_SIZE
        repe scasb
        jne     1f
        xor     al, al
        mov     cx, GUARD_SIZE
        repe scasb
        jne     1f
        print   "all ones\n"
        ret
1:
        print   "wrong\n"
        inc     bp
        ret

        routine_print_string

        place   text_upward
        .ascii  "rep outsb, upward\n"
        place   text_upward_end
        .set    text_upward_size, text_upward_end - text_upward

        place   text_downward
        .ascii  "\ndrawnwod ,bstuo per"
        place   text_downward_end
        .set    text_downward_size, text_downward_end - text_downward
        .set    text_downward_last, text_downward_end - 1

        guest_end string_io
