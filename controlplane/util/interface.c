// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/interface.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

int berth_interface_read(const char *name, struct berth_port *port)
{
	struct ifreq request = {0};
	int err = -ENODEV;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	*port = (struct berth_port){.ifindex = if_nametoindex(name)};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", name);
	if (!port->ifindex || ioctl(fd, SIOCGIFHWADDR, &request))
		goto out;
	memcpy(port->mac, request.ifr_hwaddr.sa_data, sizeof(port->mac));
	if (ioctl(fd, SIOCGIFMTU, &request))
		goto out;
	port->mtu = (uint16_t)request.ifr_mtu;
	err = 0;
out:
	close(fd);
	return err;
}
