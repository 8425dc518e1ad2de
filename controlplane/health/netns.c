/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <net/route.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/util/address.h"

enum {
	MTU = 1280, /* the minimum for IPv6 (RFC 8200 section 5) */
};

static const char device[] = "probe";

static int enter(const struct berth_probe_netns *netns)
{
	return setns(netns->netns_fd, CLONE_NEWNET) ? -errno : 0;
}

/* berthd cannot work in the wrong namespace: no other remedy than a restart. */
static void leave(const struct berth_probe_netns *netns)
{
	if (setns(netns->host_fd, CLONE_NEWNET))
		abort();
}

int berth_probe_netns_socket(const struct berth_probe_netns *netns, int family, int type, int protocol)
{
	int err = enter(netns);

	if (err) {
		errno = -err;
		return -1;
	}
	int fd = socket(family, type, protocol);
	err = errno;
	leave(netns);
	errno = err;
	return fd;
}

static int set_interface(int fd, const char *name, short flags, int mtu)
{
	struct ifreq request = {.ifr_flags = flags};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		return -errno;
	request.ifr_mtu = mtu;
	return mtu && ioctl(fd, SIOCSIFMTU, &request) ? -errno : 0;
}

static int add_route4(int fd)
{
	char name[sizeof(device)];
	struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = name};

	memcpy(name, device, sizeof(device));
	route.rt_dst.sa_family = route.rt_genmask.sa_family = AF_INET;
	return ioctl(fd, SIOCADDRT, &route) ? -errno : 0;
}

static int find_index(int fd)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	return ioctl(fd, SIOCGIFINDEX, &request) ? -errno : request.ifr_ifindex;
}

static int add_route6(int fd, int index)
{
	struct in6_rtmsg route = {.rtmsg_flags = RTF_UP, .rtmsg_metric = 1, .rtmsg_ifindex = index};
	return ioctl(fd, SIOCADDRT, &route) ? -errno : 0;
}

/* Runs in the namespace. Without IPv6 on the host there is none in the namespace. */
static int configure(void)
{
	int fd4 = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd6 = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = fd4 < 0 ? -errno : set_interface(fd4, "lo", IFF_UP, 0);

	if (!err)
		err = set_interface(fd4, device, IFF_UP, MTU);
	if (!err)
		err = add_route4(fd4);
	if (!err && fd6 >= 0)
		err = add_route6(fd6, find_index(fd4));
	if (fd4 >= 0)
		close(fd4);
	if (fd6 >= 0)
		close(fd6);
	return err;
}

static int open_tun(void)
{
	struct ifreq request = {.ifr_flags = IFF_TUN | IFF_NO_PI | IFF_VNET_HDR};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	if (!ioctl(fd, TUNSETIFF, &request))
		return fd;
	int err = -errno;
	close(fd);
	return err;
}

/* Runs in the namespace, after unshare. */
static int set_up(struct berth_probe_netns *netns)
{
	netns->netns_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns->netns_fd < 0)
		return -errno;
	netns->tun_fd = open_tun();
	return netns->tun_fd < 0 ? netns->tun_fd : configure();
}

int berth_probe_netns_open(struct berth_probe_netns *netns)
{
	int err = 0;

	*netns = (struct berth_probe_netns){.netns_fd = -1, .tun_fd = -1};
	netns->host_fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (netns->host_fd < 0)
		return -errno;
	if (unshare(CLONE_NEWNET)) {
		err = -errno;
	} else {
		err = set_up(netns);
		leave(netns);
	}
	if (err)
		berth_probe_netns_close(netns);
	return err;
}

void berth_probe_netns_close(struct berth_probe_netns *netns)
{
	if (netns->tun_fd >= 0)
		close(netns->tun_fd);
	if (netns->netns_fd >= 0)
		close(netns->netns_fd);
	if (netns->host_fd >= 0)
		close(netns->host_fd);
	*netns = (struct berth_probe_netns){.host_fd = -1, .netns_fd = -1, .tun_fd = -1};
}

/* SIOCSIFADDR on a label adds an address; on the device it would replace the address. */
static int add4(int fd, const union berth_addr *address, unsigned int n)
{
	struct ifreq request = {0};
	struct sockaddr_storage to;

	berth_address_to_socket(address, 0, &to);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s:%u", device, n);
	memcpy(&request.ifr_addr, &to, sizeof(request.ifr_addr));
	return ioctl(fd, SIOCSIFADDR, &request) ? -errno : 0;
}

static int add6(int fd, const union berth_addr *address)
{
	struct in6_ifreq request = {.ifr6_prefixlen = 128, .ifr6_ifindex = find_index(fd)};

	memcpy(&request.ifr6_addr, address, sizeof(request.ifr6_addr));
	return ioctl(fd, SIOCSIFADDR, &request) ? -errno : 0;
}

int berth_probe_netns_add_address(struct berth_probe_netns *netns, const union berth_addr *address)
{
	bool is4 = berth_addr_is4(address);

	for (unsigned int i = 0; i < netns->n_addresses; i++)
		if (berth_addr_equal(&netns->addresses[i], address))
			return 0;
	if (netns->n_addresses == BERTH_PROBE_NETNS_ADDRESSES)
		return -ENOSPC;
	int fd = berth_probe_netns_socket(netns, is4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int err = is4 ? add4(fd, address, netns->n_addresses) : add6(fd, address);
	close(fd);
	if (!err)
		netns->addresses[netns->n_addresses++] = *address;
	return err;
}
