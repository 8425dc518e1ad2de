// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/own_addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/netlink/rtnl.h"

int berth_own_follow(struct berth_own *own, bool follow)
{
	if (follow == (own->addresses != NULL))
		return 0;
	if (follow) {
		own->addresses = calloc(BERTH_NEIGH_MAX_OWN, sizeof(*own->addresses));
		own->next = calloc(BERTH_NEIGH_MAX_OWN, sizeof(*own->next));
		if (own->addresses && own->next)
			return 0;
	}
	free(own->addresses);
	free(own->next);
	*own = (struct berth_own){0};
	return follow ? -ENOMEM : 0;
}

int berth_own_survey(struct berth_own *own, bool *changed)
{
	size_t n;

	if (own->addresses == NULL)
		return 0;
	int err = berth_rtnl_own_addresses(own->next, BERTH_NEIGH_MAX_OWN, &n);
	bool more = err == -E2BIG;
	if (err < 0 && !more)
		return err;
	if (n == own->n && more == own->more && memcmp(own->next, own->addresses, n * sizeof(*own->next)) == 0)
		return 0;
	union berth_addr *next = own->next;
	own->next = own->addresses;
	own->addresses = next;
	own->n = n;
	own->more = more;
	*changed = true;
	return 0;
}
