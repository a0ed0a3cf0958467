// Starting the program.

// make_pipe PIPE: makes a pipe that is closed when a program is executed.
.macro make_pipe pipe
        system_call SYS_PIPE2, \pipe, O_CLOEXEC
        fail_on_error EXEC_STEP_RESOURCES
.endm

// keep PIPE, END, OTHER_END, POLL, EVENTS: closes the program's end of a pipe, and sets up the other to be waited for.
.macro keep pipe, end, other_end, poll, events
        mov     eax, [\pipe + \other_end]
        system_call SYS_CLOSE, rax
        mov     ebx, [\pipe + \end]
        mov     [\poll + POLL_FD], ebx
        mov     word ptr [\poll + POLL_EVENTS], \events
        // Only this end: the program finds its own as usual.
        system_call SYS_FCNTL, rbx, F_SETFL, O_NONBLOCK
.endm

// start_program: starts the program of the order, and fills the table for poll(2). Changes all registers.
start_program:
        make_pipe STDIN_PIPE
        make_pipe STDOUT_PIPE
        make_pipe STDERR_PIPE
        make_pipe FAILURE_PIPE

        // The end of a child is waited for as input is: through a descriptor.
        mov     qword ptr [WORD], SIGCHLD_SET
        system_call SYS_RT_SIGPROCMASK, SIG_BLOCK, WORD, 0, SIGNAL_SET_SIZE
        system_call SYS_SIGNALFD4, -1, WORD, SIGNAL_SET_SIZE, O_CLOEXEC | O_NONBLOCK
        fail_on_error EXEC_STEP_RESOURCES
        mov     [POLL_CHILD + POLL_FD], eax
        mov     word ptr [POLL_CHILD + POLL_EVENTS], POLLIN

        system_call SYS_FORK
        fail_on_error EXEC_STEP_RESOURCES
        jz      become_program
        mov     [PROGRAM_PID], eax

        keep    STDIN_PIPE, WRITE_END, READ_END, POLL_STDIN, POLLOUT
        keep    STDOUT_PIPE, READ_END, WRITE_END, POLL_STDOUT, POLLIN
        keep    STDERR_PIPE, READ_END, WRITE_END, POLL_STDERR, POLLIN

        // The pipe of failures is closed when the program has been executed; if that fails, a failure comes out.
        mov     eax, [FAILURE_PIPE + WRITE_END]
        system_call SYS_CLOSE, rax
        mov     eax, [FAILURE_PIPE + READ_END]
        system_call SYS_READ, rax, WORD, 4
        cmp     rax, 4
        mov     eax, [WORD]
        je      report
        test    dword ptr [EXEC_ORDER_ADDRESS + EXEC_ORDER_FLAGS], EXEC_SEND_SYMBOLS
        jnz     trace_program
        ret

// trace_program: the program, which stands at its first instruction, is to stop before it ends. Changes all registers.
trace_program:
        mov     ebx, [PROGRAM_PID]
        system_call SYS_WAIT4, rbx, WORD, 0, 0
        cmp     byte ptr [WORD], WAIT_STOPPED
        jne     finish
        // Where another program takes its place, that is told by an event and not by a signal.
        system_call SYS_PTRACE, PTRACE_SETOPTIONS, rbx, 0, PTRACE_O_TRACEEXEC | PTRACE_O_TRACEEXIT
        system_call SYS_PTRACE, PTRACE_CONT, rbx, 0, 0
        ret

// become_program: the child's part. It does not return.
become_program:
        system_call SYS_SETSID

        mov     edi, [STDIN_PIPE + READ_END]
        system_call SYS_DUP2, rdi, 0
        mov     edi, [STDOUT_PIPE + WRITE_END]
        system_call SYS_DUP2, rdi, 1
        test    dword ptr [EXEC_ORDER_ADDRESS + EXEC_ORDER_FLAGS], EXEC_MERGE_OUTPUT
        jnz     1f
        mov     edi, [STDERR_PIPE + WRITE_END]
1:
        system_call SYS_DUP2, rdi, 2

        // No signal stays blocked.
        mov     qword ptr [WORD], 0
        system_call SYS_RT_SIGPROCMASK, SIG_SETMASK, WORD, 0, SIGNAL_SET_SIZE

        mov     rdi, [EXEC_ORDER_ADDRESS + EXEC_ORDER_DIRECTORY]
        system_call SYS_CHDIR, rdi
        mov     ebx, EXEC_STEP_DIRECTORY
        test    rax, rax
        js      2f

        test    dword ptr [EXEC_ORDER_ADDRESS + EXEC_ORDER_FLAGS], EXEC_SEND_SYMBOLS
        jz      3f
        system_call SYS_PTRACE, PTRACE_TRACEME
3:
        mov     rdi, [EXEC_ORDER_ADDRESS + EXEC_ORDER_PROGRAM]
        mov     rsi, [EXEC_ORDER_ADDRESS + EXEC_ORDER_ARGUMENTS]
        mov     rdx, [EXEC_ORDER_ADDRESS + EXEC_ORDER_ENVIRONMENT]
        system_call SYS_EXECVE, rdi, rsi, rdx
        mov     ebx, EXEC_STEP_EXECUTE
2:
        // Only failures come here. The parent reports them.
        neg     eax
        shl     ebx, EXEC_FAILURE_SHIFT
        or      eax, ebx
        or      eax, EXEC_FAILURE
        mov     [WORD], eax
        mov     eax, [FAILURE_PIPE + WRITE_END]
        system_call SYS_WRITE, rax, WORD, 4
        system_call SYS_EXIT, 1
