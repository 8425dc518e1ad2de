// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/rtnl_attr.h"

#include <string.h>
#include <sys/socket.h>

unsigned char berth_rtnl_family(const union berth_addr *address)
{
	return berth_addr_is4(address) ? AF_INET : AF_INET6;
}

void berth_rtnl_put_address(struct nlmsghdr *message, uint16_t type, const union berth_addr *address)
{
	if (berth_addr_is4(address))
		mnl_attr_put(message, type, sizeof(address->word[3]), &address->word[3]);
	else
		mnl_attr_put(message, type, sizeof(*address), address);
}

bool berth_rtnl_copy_address(const void *bytes, size_t length, union berth_addr *address)
{
	struct berth_be32 v4;

	if (length == sizeof(v4)) {
		memcpy(&v4, bytes, sizeof(v4));
		berth_addr_set4(address, v4);
		return true;
	}
	if (length == sizeof(*address))
		memcpy(address, bytes, sizeof(*address));
	return length == sizeof(*address);
}

bool berth_rtnl_get_address(const struct nlattr *attr, union berth_addr *address)
{
	return berth_rtnl_copy_address(mnl_attr_get_payload(attr), mnl_attr_get_payload_len(attr), address);
}

bool berth_rtnl_get_mac(const struct nlattr *attr, uint8_t mac[6])
{
	if (mnl_attr_get_payload_len(attr) != 6)
		return false;
	memcpy(mac, mnl_attr_get_payload(attr), 6);
	return true;
}

uint32_t berth_rtnl_get_word(const struct nlattr *attr)
{
	return mnl_attr_get_payload_len(attr) == sizeof(uint32_t) ? mnl_attr_get_u32(attr) : 0;
}
