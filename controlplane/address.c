/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

int berth_address_parse(const char *text, union berth_addr *address)
{
	union berth_addr parsed = {{0}};
	struct berth_be32 v4;

	if (inet_pton(AF_INET, text, &v4.raw) == 1) {
		berth_addr_set4(address, v4);
		return 0;
	}
	/* ::ffff:192.0.2.1 is how IPv4 stands in memory. As text it would be a second spelling of the same
	 * address, one that no packet carries. */
	if (inet_pton(AF_INET6, text, parsed.byte) != 1 || berth_addr_is4(&parsed))
		return -EINVAL;
	*address = parsed;
	return 0;
}

const char *berth_address_format(const union berth_addr *address, char text[BERTH_ADDRESS_TEXT])
{
	bool is4 = berth_addr_is4(address);
	const void *from = is4 ? (const void *)&address->word[3] : address->byte;

	_Static_assert((int)BERTH_ADDRESS_TEXT == INET6_ADDRSTRLEN, "room for every address");
	return inet_ntop(is4 ? AF_INET : AF_INET6, from, text, BERTH_ADDRESS_TEXT);
}

socklen_t berth_address_to_socket(const union berth_addr *address, uint16_t port, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (berth_addr_is4(address)) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;
		in->sin_family = AF_INET;
		in->sin_port = htons(port);
		in->sin_addr.s_addr = address->word[3].raw;
		return sizeof(*in);
	}
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(port);
	memcpy(&in6->sin6_addr, address->byte, sizeof(in6->sin6_addr));
	return sizeof(*in6);
}
