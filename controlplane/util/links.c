// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/util/links.h"

#include <ifaddrs.h>
#include <netinet/in.h>
#include <string.h>

void berth_links_read(struct berth_links *links)
{
	if (getifaddrs(&links->list))
		links->list = NULL;
}

void berth_links_free(struct berth_links *links)
{
	if (links->list)
		freeifaddrs(links->list);
	links->list = NULL;
}

/* The bytes of an address, or of a mask, and their number; 0: of another family. */
static size_t bytes_of(const struct sockaddr *from, const uint8_t **bytes)
{
	if (from && from->sa_family == AF_INET) {
		*bytes = (const uint8_t *)&((const struct sockaddr_in *)(const void *)from)->sin_addr;
		return sizeof(struct in_addr);
	}
	if (from && from->sa_family == AF_INET6) {
		*bytes = (const uint8_t *)&((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
		return sizeof(struct in6_addr);
	}
	return 0;
}

/* With a mask: whether the address is in the network; else whether it is the link's. */
static bool is_on(const struct ifaddrs *link, const union berth_addr *address, bool with_mask)
{
	const uint8_t *own, *mask = NULL, *other = address->byte;
	const size_t n = bytes_of(link->ifa_addr, &own);
	if (!n || (n == sizeof(struct in_addr)) != berth_addr_is4(address) ||
	    (with_mask && bytes_of(link->ifa_netmask, &mask) != n))
		return false;
	other += sizeof(address->byte) - n;
	for (size_t i = 0; i < n; i++)
		if ((own[i] ^ other[i]) & (mask ? mask[i] : 0xff))
			return false;
	return true;
}

static bool is_on_any(const struct berth_links *links, const union berth_addr *address, bool with_mask)
{
	for (const struct ifaddrs *link = links->list; link; link = link->ifa_next)
		if (is_on(link, address, with_mask))
			return true;
	return false;
}

bool berth_links_have(const struct berth_links *links, const union berth_addr *address)
{
	return is_on_any(links, address, false);
}

bool berth_links_reach(const struct berth_links *links, const union berth_addr *address)
{
	return !links->list || is_on_any(links, address, true);
}
