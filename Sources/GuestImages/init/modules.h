// Modules of the kernel, for devices whose drivers are not in it.

#define MODULE_PATH         0
#define MODULE_FLAGS        8
#define MODULE_SIZE         16

// load_modules: loads the modules of the order, one after the other. One that is there already is as good. Changes all
// registers.
load_modules:
        mov     rbx, [EXEC_ORDER_ADDRESS + EXEC_ORDER_MODULES]
1:
        mov     rax, [rbx + MODULE_PATH]
        test    rax, rax
        jz      3f
        system_call SYS_OPEN, rax, O_RDONLY | O_CLOEXEC
        fail_on_error EXEC_STEP_MODULES
        mov     ebp, eax
        mov     rdx, [rbx + MODULE_FLAGS]
        system_call SYS_FINIT_MODULE, rbp, "offset options_none", rdx
        cmp     rax, -EEXIST
        je      2f
        fail_on_error EXEC_STEP_MODULES
2:
        system_call SYS_CLOSE, rbp
        add     rbx, MODULE_SIZE
        jmp     1b
3:
        ret
