// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/system_servers.h"

#include <netinet/in.h>
#include <resolv.h>
#include <string.h>

#include "controlplane/util/address.h"

/* c-ares 1.18 would drop link-local addresses with a scope (fe80::1%eth0). */
static bool copy_server(const struct __res_state *system, int i, struct berth_dns_server *server)
{
	const struct sockaddr_in *at4 = &system->nsaddr_list[i];
	const struct sockaddr_in6 *at6 = system->_u._ext.nsaddrs[i];
	*server = (struct berth_dns_server){0};
	if (at4->sin_family == AF_INET) {
		berth_addr_set4(&server->address, (struct berth_be32){at4->sin_addr.s_addr});
		server->port = ntohs(at4->sin_port);
		return true;
	}
	if (!at6)
		return false;
	memcpy(&server->address, &at6->sin6_addr, sizeof(server->address));
	server->port = ntohs(at6->sin6_port);
	server->ifindex = at6->sin6_scope_id;
	return true;
}

size_t berth_dns_system_servers(struct berth_dns_server servers[BERTH_MAX_DNS_SERVERS], uint64_t turn)
{
	struct __res_state system = {0};
	size_t n = 0;
	if (res_ninit(&system))
		return 0;
	const int count = system.nscount;
	const int first = count && (system.options & RES_ROTATE) ? (int)(turn % (uint64_t)count) : 0;
	for (int i = 0; i < count && n < BERTH_MAX_DNS_SERVERS; i++)
		n += copy_server(&system, (first + i) % count, &servers[n]);
	res_nclose(&system);
	return n;
}
