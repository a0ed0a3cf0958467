#define _GNU_SOURCE

#include "ckvm.h"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

// Finds an interface that is there. Returns 0, or -errno.
static int find_interface(const char *name, struct ifreq *request, uint32_t *mtu) {
    *request = (struct ifreq){0};
    if (strlen(name) >= sizeof request->ifr_name) return -ENODEV;
    memcpy(request->ifr_name, name, strlen(name));
    // Of any kind: the calls are the same for all.
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0) return -errno;
    int error = ioctl(fd, SIOCGIFMTU, request) < 0 ? -errno : 0;
    if (!error) *mtu = (uint32_t)request->ifr_mtu;
    close(fd);
    return error;
}

int ckvm_open_tap(const char *name, int header_size, struct ckvm_tap *tap) {
    *tap = (struct ckvm_tap){0};
    int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0) return -errno;
    tap->has_device = true;
    struct ifreq request;
    int error = find_interface(name, &request, &tap->mtu);
    request.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
    if (!error && ioctl(fd, TUNSETIFF, &request) < 0) error = -errno;
    if (!error && ioctl(fd, TUNSETVNETHDRSZ, &header_size) < 0) error = -errno;
    if (error) {
        close(fd);
        return error;
    }
    tap->has_offloads = ckvm_set_tap_offloads(fd, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6) == 0;
    ckvm_set_tap_offloads(fd, 0);
    return fd;
}

int ckvm_set_tap_offloads(int fd, uint32_t offloads) {
    return ioctl(fd, TUNSETOFFLOAD, (unsigned long)offloads) < 0 ? -errno : 0;
}

int ckvm_socket_pair(int ends[2]) {
    return socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0 ? -errno : 0;
}

int ckvm_memory_file(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int ckvm_has_bytes(int fd) {
    char byte;
    ssize_t result = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return result < 0 ? -errno : (int)result;
}

int ckvm_set_nonblocking(int fd) {
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

ssize_t ckvm_send_parts(int fd, const struct iovec *parts, int count) {
    struct msghdr message = {.msg_iov = (struct iovec *)parts, .msg_iovlen = (size_t)count};
    ssize_t result = sendmsg(fd, &message, MSG_NOSIGNAL);
    return result < 0 ? -errno : result;
}
