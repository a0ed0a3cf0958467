// The channel to MiniVMM: opening it, and the last words that go through it.

// How often to ask for input when there is no doorbell: milliseconds.
#define ASK_INTERVAL        10

// open_channel: gets access to the registers, the window, the doorbell and the order. Changes all registers.
open_channel:
        system_call SYS_OPEN, "offset path_memory", O_RDWR | O_CLOEXEC
        mov     ebx, eax

        // The registers. Without them there is no way to say anything: the console has to do.
        mov     r9d, EXEC_REGISTERS_ADDRESS
        system_call SYS_MMAP, REGISTERS, EXEC_REGISTERS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, rbx, r9
        test    rax, rax
        js      no_registers

        // The window.
        system_call SYS_MMAP, WINDOW, EXEC_WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, rbx, \
            EXEC_WINDOW_ADDRESS
        fail_on_error EXEC_STEP_WINDOW

        // The order, as large as it is. The descriptor is closed when the program is executed.
        system_call SYS_OPEN, "offset path_order", O_RDONLY | O_CLOEXEC
        fail_on_error EXEC_STEP_ORDER
        mov     ebx, eax
        system_call SYS_FSTAT, rbx, SCRATCH
        fail_on_error EXEC_STEP_ORDER
        mov     rsi, [SCRATCH + STAT_SIZE]
        system_call SYS_MMAP, EXEC_ORDER_ADDRESS, rsi, PROT_READ, MAP_PRIVATE | MAP_FIXED, rbx, 0
        fail_on_error EXEC_STEP_ORDER

        // The doorbell: bytes that arrive at the first serial port say that there is input. They mean nothing else, and
        // the kernel may print there all the same. Without the port, init asks for input at intervals.
        mov     dword ptr [POLL_TIMEOUT], ASK_INTERVAL
        mov     dword ptr [POLL_DOORBELL + POLL_FD], -1
        system_call SYS_OPEN, "offset path_serial", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC
        test    rax, rax
        js      1f
        mov     ebx, eax
        // Every byte counts at once, and is not echoed, whatever it is. A port that is not there fails here.
        system_call SYS_IOCTL, rbx, TCGETS, SCRATCH
        test    rax, rax
        js      1f
        mov     dword ptr [SCRATCH + TERMIOS_INPUT], 0
        mov     dword ptr [SCRATCH + TERMIOS_LOCAL], 0
        or      dword ptr [SCRATCH + TERMIOS_CONTROL], CREAD | CLOCAL
        mov     byte ptr [SCRATCH + TERMIOS_TIME], 0
        mov     byte ptr [SCRATCH + TERMIOS_LEAST], 1
        system_call SYS_IOCTL, rbx, TCSETS, SCRATCH
        test    rax, rax
        js      1f
        mov     [POLL_DOORBELL + POLL_FD], ebx
        mov     word ptr [POLL_DOORBELL + POLL_EVENTS], POLLIN
        mov     dword ptr [POLL_TIMEOUT], -1
1:
        ret

// fail: ends the guest. RAX = what a system call returned, EDI = the step.
fail:
        neg     eax
        shl     edi, EXEC_FAILURE_SHIFT
        or      eax, edi
        or      eax, EXEC_FAILURE

// report: ends the guest. EAX = what to write to the register of the status.
report:
        mov     [REGISTERS + EXEC_REGISTER_STATUS], eax

        // MiniVMM ends the run there. If it did not, the machine is switched off as usual.
power_off:
        system_call SYS_SYNC
        mov     edi, REBOOT_MAGIC1
        mov     edx, REBOOT_POWER_OFF
        system_call SYS_REBOOT, rdi, REBOOT_MAGIC2, rdx
1:
        // The first process must not end: the kernel would panic.
        system_call SYS_PAUSE
        jmp     1b

no_registers:
        system_call SYS_WRITE, 2, "offset message_no_registers", "offset message_no_registers_size"
        jmp     power_off

        text    path_memory, "/dev/mem"
        text    path_serial, "/dev/ttyS0"
        text    path_order, "/.minivmm/order"
        text    message_no_registers, "minivmm: /dev/mem cannot be mapped: this needs CONFIG_DEVMEM and no lockdown.\n"
        place   message_no_registers_end
        .set    message_no_registers_size, message_no_registers_end - message_no_registers - 1
