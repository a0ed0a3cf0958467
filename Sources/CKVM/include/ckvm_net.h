// Where a guest's network frames go: a TAP interface of the kernel, or a stream socket.
//
// Source: Linux, Documentation/networking/tuntap.rst, include/uapi/linux/if_tun.h; netdevice(7).
#ifndef CKVM_NET_H
#define CKVM_NET_H

#include <errno.h>
#include <linux/if_tun.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

// What a TAP interface is.
struct ckvm_tap {
    uint32_t mtu;
    bool has_offloads;     // whether it takes checksums that are left out, and large TCP segments
    bool has_device;       // where opening it failed: whether /dev/net/tun was open, and the interface was refused
};

// What ckvm_set_tap_offloads() is told of: frames without a checksum, and TCP segments of IPv4 and IPv6 that are larger
// than the MTU.
static const uint32_t ckvm_tap_checksums = TUN_F_CSUM;
static const uint32_t ckvm_tap_segments_v4 = TUN_F_TSO4;
static const uint32_t ckvm_tap_segments_v6 = TUN_F_TSO6;

// Attaches to a TAP interface that is there, close-on-exec, non-blocking. Each frame has a header of `header_size` bytes
// before it, virtio's. Returns the descriptor; -ENODEV when there is no such interface; or -errno.
int ckvm_open_tap(const char *name, int header_size, struct ckvm_tap *tap);

// What frames that come out of the interface may be like. Returns 0, or -errno.
int ckvm_set_tap_offloads(int fd, uint32_t offloads);

// Two stream sockets that are connected to each other, close-on-exec. Returns 0, or -errno.
int ckvm_socket_pair(int ends[2]);

// An empty file in memory, close-on-exec. Returns the descriptor, or -errno.
int ckvm_memory_file(const char *name);

// Whether there are bytes at a socket, which stay there. Returns 1, 0 when the peer has closed it, or -errno.
int ckvm_has_bytes(int fd);

// Makes a descriptor non-blocking. Returns 0, or -errno.
int ckvm_set_nonblocking(int fd);

// readv(2). Returns the number of bytes, or -errno.
static inline ssize_t ckvm_readv(int fd, const struct iovec *parts, int count) {
    ssize_t result = readv(fd, parts, count);
    return result < 0 ? -errno : result;
}

// writev(2). Returns the number of bytes, or -errno.
static inline ssize_t ckvm_writev(int fd, const struct iovec *parts, int count) {
    ssize_t result = writev(fd, parts, count);
    return result < 0 ? -errno : result;
}

// sendmsg(2) without SIGPIPE. Returns the number of bytes, or -errno.
ssize_t ckvm_send_parts(int fd, const struct iovec *parts, int count);

#endif
