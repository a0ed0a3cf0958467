// The network interface, where there is one whose network is known.

// interface_request REQUEST: asks the kernel by the socket RBX to do something with the interface.
.macro interface_request number, request
        system_call SYS_IOCTL, rbx, \number, "offset \request"
        fail_on_error EXEC_STEP_NETWORK
.endm

// set_up_network: gives the first interface its address, and the way to everywhere else, if the order says so. Changes all
// registers.
set_up_network:
        test    dword ptr [EXEC_ORDER_ADDRESS + EXEC_ORDER_FLAGS], EXEC_HAS_NETWORK
        jz      1f
        system_call SYS_SOCKET, AF_INET, SOCK_DGRAM | O_CLOEXEC, 0
        fail_on_error EXEC_STEP_NETWORK
        mov     ebx, eax
        interface_request SIOCSIFADDR, interface_address
        interface_request SIOCSIFNETMASK, interface_mask
        interface_request SIOCSIFFLAGS, interface_flags
        interface_request SIOCADDRT, interface_route
        system_call SYS_CLOSE, rbx
1:
        ret

// internet_address A, B, C, D: struct sockaddr_in, of 16 bytes.
.macro internet_address a, b, c, d
        .short  AF_INET, 0
        .byte   \a, \b, \c, \d
        .zero   8
.endm

// interface_name: the first field of struct ifreq. A union of 24 bytes follows.
.macro interface_name
        .ascii  "eth0\0\0\0\0\0\0\0\0\0\0\0\0"
.endm

        place   interface_address
        interface_name
        internet_address 10, 0, 2, 15
        .zero   8

        place   interface_mask
        interface_name
        internet_address 255, 255, 255, 0
        .zero   8

        place   interface_flags
        interface_name
        .short  IFF_UP
        .zero   22

        // struct rtentry: to everywhere by a gateway.
        place   interface_route
        .zero   8
        internet_address 0, 0, 0, 0
        internet_address 10, 0, 2, 2
        internet_address 0, 0, 0, 0
        .short  RTF_UP | RTF_GATEWAY
        .zero   62
