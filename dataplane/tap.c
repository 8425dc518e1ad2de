/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "dataplane/log.h"

static void name_request(struct ifreq *request, const char *name)
{
	memset(request, 0, sizeof(*request));
	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", name);
}

/* A kernel without IPv6 does not have the file. */
static void disable_ip6(const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/disable_ipv6", name);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, "1", 1) != 1)
		berth_log("%s: IPv6 cannot be disabled on it: %s", name, strerror(errno));
	close(fd);
}

/* One that lives as long as the descriptors of a program is that program's. -1: errno. */
static int refuse_foreign(int fd)
{
	struct ifreq request;
	if (ioctl(fd, TUNGETIFF, &request))
		return -1;
	if (request.ifr_flags & IFF_PERSIST)
		return 0;
	errno = EBUSY;
	return -1;
}

/* Of several queues, because berthd holds one; an operator may have made one that has a single queue. -1: errno. */
static int attach(int fd, const struct berth_tap_options *options)
{
	struct ifreq request;
	name_request(&request, options->name);
	request.ifr_flags = IFF_TAP | IFF_NO_PI | (options->silent ? 0 : IFF_MULTI_QUEUE);
	const bool is_new = !if_nametoindex(options->name);
	if (!ioctl(fd, TUNSETIFF, &request))
		return is_new ? 0 : refuse_foreign(fd);
	if (errno != EINVAL || options->silent)
		return -1;
	name_request(&request, options->name);
	request.ifr_flags = IFF_TAP | IFF_NO_PI;
	return ioctl(fd, TUNSETIFF, &request);
}

/* The kernel forgets neighbours when an address is set, also to what it was. */
static int set_mac(int control, const char *name, const uint8_t mac[6])
{
	struct ifreq request;
	name_request(&request, name);
	if (ioctl(control, SIOCGIFHWADDR, &request))
		return -errno;
	if (memcmp(request.ifr_hwaddr.sa_data, mac, 6) == 0)
		return 0;
	name_request(&request, name);
	request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
	memcpy(request.ifr_hwaddr.sa_data, mac, 6);
	return ioctl(control, SIOCSIFHWADDR, &request) ? -errno : 1;
}

static int configure(int control, const struct berth_tap_options *options)
{
	struct ifreq request;
	name_request(&request, options->name);
	request.ifr_mtu = options->mtu;
	if (ioctl(control, SIOCSIFMTU, &request))
		return -errno;

	int error = options->mac ? set_mac(control, options->name, options->mac) : 0;
	if (error < 0)
		return error;

	name_request(&request, options->name);
	if (ioctl(control, SIOCGIFFLAGS, &request))
		return -errno;
	request.ifr_flags |= IFF_UP;
	if (options->silent)
		request.ifr_flags |= IFF_NOARP;
	return ioctl(control, SIOCSIFFLAGS, &request) ? -errno : 0;
}

int berth_tap_open(const struct berth_tap_options *options)
{
	int error = 0;
	int control = -1;
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || attach(fd, options))
		goto fail;
	if (options->silent)
		disable_ip6(options->name);
	control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (control < 0)
		goto fail;
	error = configure(control, options);
	if (error) {
		errno = -error;
		goto fail;
	}
	close(control);
	return fd;

fail:
	error = errno;
	if (-error != options->logged)
		berth_log("%s: cannot create the TAP device: %s", options->name,
			  error == EBUSY || error == EINVAL
				  ? "an interface of that name exists; remove or rename it"
				  : strerror(error));
	if (control >= 0)
		close(control);
	if (fd >= 0)
		close(fd);
	return -error;
}

int berth_tap_keep_mac(const char *name, const uint8_t mac[6])
{
	const int control = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (control < 0)
		return -errno;
	const int error = set_mac(control, name, mac);
	close(control);
	return error;
}

void berth_tap_set_carrier(int fd, bool is_up)
{
	const int carrier = is_up;
	ioctl(fd, TUNSETCARRIER, &carrier);
}

bool berth_tap_is_there(int fd, const char *name)
{
	struct ifreq request = {0};
	return ioctl(fd, TUNGETIFF, &request) == 0 && strcmp(request.ifr_name, name) == 0;
}
