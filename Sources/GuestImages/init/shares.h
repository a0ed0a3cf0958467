// Folders of the host, each a file system by virtio.

#define SHARE_TAG           0
#define SHARE_PATH          8
#define SHARE_FLAGS         16
#define SHARE_SIZE          24

// mount_shares: mounts the folders of the order, one after the other, at paths that are there. Changes all registers.
mount_shares:
        mov     rbx, [EXEC_ORDER_ADDRESS + EXEC_ORDER_SHARES]
1:
        mov     rdi, [rbx + SHARE_TAG]
        test    rdi, rdi
        jz      2f
        mov     rsi, [rbx + SHARE_PATH]
        mov     r10, [rbx + SHARE_FLAGS]
        system_call SYS_MOUNT, rdi, rsi, "offset type_virtiofs", r10, "offset options_none"
        fail_on_error EXEC_STEP_SHARES
        add     rbx, SHARE_SIZE
        jmp     1b
2:
        ret

        text    type_virtiofs, "virtiofs"
