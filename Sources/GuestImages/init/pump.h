// While the program runs: moving bytes, and waiting for children.

// pump: the main loop. It sleeps until there is something to do, and ends with the program.
pump:
        movsxd  rdx, dword ptr [POLL_TIMEOUT]
        system_call SYS_POLL, DATA, POLL_COUNT, rdx
        test    rax, rax
        js      pump
        // Nothing happened, so this is a guest without a doorbell: time to ask for input.
        jz      4f

        cmp     word ptr [POLL_STDOUT + POLL_REVENTS], 0
        je      1f
        call    pump_stdout
1:
        cmp     word ptr [POLL_STDERR + POLL_REVENTS], 0
        je      2f
        call    pump_stderr
2:
        cmp     word ptr [POLL_CHILD + POLL_REVENTS], 0
        je      3f
        call    reap
3:
        cmp     word ptr [POLL_DOORBELL + POLL_REVENTS], 0
        je      5f
        // It rings. How often does not matter.
        mov     eax, [POLL_DOORBELL + POLL_FD]
        system_call SYS_READ, rax, SCRATCH, SCRATCH_SIZE
        test    rax, rax
        jg      4f
        // The program has done something to the port. There is no doorbell from now on.
        mov     dword ptr [POLL_DOORBELL + POLL_FD], -1
        mov     dword ptr [POLL_TIMEOUT], ASK_INTERVAL
4:
        mov     word ptr [POLL_STDIN + POLL_EVENTS], POLLOUT
5:
        test    word ptr [POLL_STDIN + POLL_REVENTS], POLLERR
        jnz     6f
        test    word ptr [POLL_STDIN + POLL_REVENTS], POLLOUT
        jz      pump
        call    pump_stdin
        jmp     pump
6:
        // The program has closed its input.
        call    close_stdin
        jmp     pump

// pump_stdout, pump_stderr: hand over what the program has written, as much as fits into the window.
// At return ZF is clear if there may be more. Changes all registers.
pump_stdout:
        mov     ebx, POLL_STDOUT
        mov     ebp, REGISTERS + EXEC_REGISTER_STDOUT
        jmp     pump_output
pump_stderr:
        mov     ebx, POLL_STDERR
        mov     ebp, REGISTERS + EXEC_REGISTER_STDERR
pump_output:
        movsxd  rdi, dword ptr [rbx + POLL_FD]
        system_call SYS_READ, rdi, WINDOW + EXEC_OUTPUT_OFFSET, EXEC_OUTPUT_SIZE
        cmp     rax, -EAGAIN
        je      2f
        test    rax, rax
        jle     1f
        mov     [rbp], eax
        cmp     dword ptr [WINDOW + EXEC_RESULT_OFFSET], 0
        jne     1f
        // RBX is not zero.
        test    rbx, rbx
        ret
1:
        // The program is done with this output; or nobody takes it any more, and the program is to notice, as it would
        // with a pipe of its own. poll(2) ignores -1.
        movsxd  rdi, dword ptr [rbx + POLL_FD]
        system_call SYS_CLOSE, rdi
        mov     dword ptr [rbx + POLL_FD], -1
2:
        xor     eax, eax
        ret

// pump_stdin: gives the program what is left of the input in the window, or fetches more. Changes all registers.
pump_stdin:
        mov     ebx, [INPUT_POSITION]
        cmp     ebx, [INPUT_END]
        jb      1f
        mov     eax, [REGISTERS + EXEC_REGISTER_STDIN]
        cmp     eax, EXEC_INPUT_END
        je      close_stdin
        xor     ebx, ebx
        mov     [INPUT_POSITION], ebx
        mov     [INPUT_END], eax
        test    eax, eax
        jz      2f
1:
        mov     edi, [POLL_STDIN + POLL_FD]
        lea     rsi, [rbx + WINDOW + EXEC_INPUT_OFFSET]
        mov     edx, [INPUT_END]
        sub     edx, ebx
        system_call SYS_WRITE, rdi, rsi, rdx
        cmp     rax, -EAGAIN
        je      3f
        test    rax, rax
        js      close_stdin
        add     [INPUT_POSITION], eax
        ret
2:
        // There is none yet. That the pipe has room is of no interest until the doorbell rings.
        mov     word ptr [POLL_STDIN + POLL_EVENTS], 0
3:
        ret

close_stdin:
        mov     edi, [POLL_STDIN + POLL_FD]
        system_call SYS_CLOSE, rdi
        mov     dword ptr [POLL_STDIN + POLL_FD], -1
        // Nor is there any more reason to wake up and ask.
        mov     dword ptr [POLL_TIMEOUT], -1
        ret

// reap: takes note of all children that have ended: the program, and processes that lost their parents. Returns
// unless the program has ended. Changes all registers.
reap:
        mov     edi, [POLL_CHILD + POLL_FD]
        system_call SYS_READ, rdi, SCRATCH, SCRATCH_SIZE
1:
        system_call SYS_WAIT4, -1, WORD, WNOHANG, 0
        test    rax, rax
        jle     2f
        cmp     eax, [PROGRAM_PID]
        jne     1b
        cmp     byte ptr [WORD], WAIT_STOPPED
        jne     finish
        call    resume_program
        jmp     1b
2:
        ret

// resume_program: lets the program go on, which is traced and has stopped. WORD = what wait4(2) said of it. Changes all
// registers.
resume_program:
        // A signal is delivered to it, as if it were not traced. An event is told by SIGTRAP, which is not for it.
        movzx   r12d, byte ptr [WORD + 1]
        movzx   eax, word ptr [WORD + 2]
        test    eax, eax
        jz      1f
        xor     r12d, r12d
        cmp     eax, PTRACE_EVENT_EXIT
        jne     1f
        call    send_mappings
1:
        mov     ebx, [PROGRAM_PID]
        system_call SYS_PTRACE, PTRACE_CONT, rbx, 0, r12
        ret

// finish: the program has ended. WORD = what wait4(2) said of it.
finish:
        mov     r12d, [WORD]
        // What the program left running ends with it, and so there is an end to what is still in the pipes.
        system_call SYS_KILL, -1, SIGKILL
1:
        call    pump_stdout
        jnz     1b
2:
        call    pump_stderr
        jnz     2b
        test    dword ptr [EXEC_ORDER_ADDRESS + EXEC_ORDER_FLAGS], EXEC_SEND_SYMBOLS
        jz      3f
        call    send_symbols
3:
        mov     eax, r12d
        jmp     report

// send_mappings: sends the program's /proc/PID/maps. Changes all registers but R12.
send_mappings:
        // The path is put together from its end: "/maps" and a zero, the digits before that, and "/proc/".
        mov     dword ptr [SCRATCH + 32], 0x70616d2f
        mov     word ptr [SCRATCH + 36], 0x73
        mov     eax, [PROGRAM_PID]
        mov     ebx, SCRATCH + 32
        mov     ecx, 10
1:
        xor     edx, edx
        div     ecx
        add     edx, '0'
        dec     ebx
        mov     [rbx], dl
        test    eax, eax
        jnz     1b
        mov     dword ptr [rbx - 6], 0x6f72702f
        mov     word ptr [rbx - 2], 0x2f63
        lea     rdi, [rbx - 6]
        mov     r13d, REGISTERS + EXEC_REGISTER_MAPPINGS
        jmp     send_file

// send_symbols: sends /proc/kallsyms. Changes all registers but R12.
send_symbols:
        mov     edi, offset path_symbols
        mov     r13d, REGISTERS + EXEC_REGISTER_SYMBOLS

// send_file: sends a file as far as it can be read. RDI = its path, R13 = the register. Changes all registers but R12
// and R13.
send_file:
        system_call SYS_OPEN, rdi, O_RDONLY | O_CLOEXEC
        test    rax, rax
        js      4f
        mov     ebx, eax
1:
        // A read gives a page at most; an exit carries as many as there is room for.
        xor     ebp, ebp
2:
        lea     rsi, [rbp + WINDOW + EXEC_OUTPUT_OFFSET]
        mov     edx, EXEC_OUTPUT_SIZE
        sub     edx, ebp
        system_call SYS_READ, rbx, rsi, rdx
        test    rax, rax
        jle     3f
        add     ebp, eax
        cmp     ebp, EXEC_OUTPUT_SIZE
        jb      2b
3:
        mov     [r13], ebp
        test    ebp, ebp
        jnz     1b
        system_call SYS_CLOSE, rbx
4:
        ret

        text    path_symbols, "/proc/kallsyms"
