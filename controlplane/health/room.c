/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/room.h"

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
	MTU = 1280, /* the least with which there is IPv6 (RFC 8200 section 5) */
};

static const char device[] = "probe";

static int enter(const struct berth_room *room)
{
	return setns(room->away, CLONE_NEWNET) ? -errno : 0;
}

/* berthd in the wrong namespace would have nothing left to work on. */
static void leave(const struct berth_room *room)
{
	if (setns(room->home, CLONE_NEWNET))
		abort();
}

int berth_room_socket(const struct berth_room *room, int family, int type, int protocol)
{
	int err = enter(room);

	if (err) {
		errno = -err;
		return -1;
	}
	int fd = socket(family, type, protocol);
	err = errno;
	leave(room);
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

static int route4(int fd)
{
	char name[sizeof(device)];
	struct rtentry route = {.rt_flags = RTF_UP, .rt_dev = name};

	memcpy(name, device, sizeof(device));
	route.rt_dst.sa_family = route.rt_genmask.sa_family = AF_INET;
	return ioctl(fd, SIOCADDRT, &route) ? -errno : 0;
}

static int index_of(int fd)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	return ioctl(fd, SIOCGIFINDEX, &request) ? -errno : request.ifr_ifindex;
}

static int route6(int fd, int index)
{
	struct in6_rtmsg route = {.rtmsg_flags = RTF_UP, .rtmsg_metric = 1, .rtmsg_ifindex = index};
	return ioctl(fd, SIOCADDRT, &route) ? -errno : 0;
}

/* Inside. A host without IPv6 has none in here either. */
static int furnish(void)
{
	int four = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int six = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int err = four < 0 ? -errno : set_interface(four, "lo", IFF_UP, 0);

	if (!err)
		err = set_interface(four, device, IFF_UP, MTU);
	if (!err)
		err = route4(four);
	if (!err && six >= 0)
		err = route6(six, index_of(four));
	if (four >= 0)
		close(four);
	if (six >= 0)
		close(six);
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

/* Once inside the namespace that unshare made. */
static int build(struct berth_room *room)
{
	room->away = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (room->away < 0)
		return -errno;
	room->tun = open_tun();
	return room->tun < 0 ? room->tun : furnish();
}

int berth_room_open(struct berth_room *room)
{
	int err = 0;

	*room = (struct berth_room){.away = -1, .tun = -1};
	room->home = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	if (room->home < 0)
		return -errno;
	if (unshare(CLONE_NEWNET)) {
		err = -errno;
	} else {
		err = build(room);
		leave(room);
	}
	if (err)
		berth_room_close(room);
	return err;
}

void berth_room_close(struct berth_room *room)
{
	if (room->tun >= 0)
		close(room->tun);
	if (room->away >= 0)
		close(room->away);
	if (room->home >= 0)
		close(room->home);
	*room = (struct berth_room){.home = -1, .away = -1, .tun = -1};
}

/* By its label it is one more of the device's, and not the one instead. */
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
	struct in6_ifreq request = {.ifr6_prefixlen = 128, .ifr6_ifindex = index_of(fd)};

	memcpy(&request.ifr6_addr, address, sizeof(request.ifr6_addr));
	return ioctl(fd, SIOCSIFADDR, &request) ? -errno : 0;
}

int berth_room_add(struct berth_room *room, const union berth_addr *address)
{
	bool is4 = berth_addr_is4(address);

	for (unsigned int i = 0; i < room->n_addresses; i++)
		if (berth_addr_equal(&room->addresses[i], address))
			return 0;
	if (room->n_addresses == BERTH_ROOM_ADDRESSES)
		return -ENOSPC;
	int fd = berth_room_socket(room, is4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	int err = is4 ? add4(fd, address, room->n_addresses) : add6(fd, address);
	close(fd);
	if (!err)
		room->addresses[room->n_addresses++] = *address;
	return err;
}
