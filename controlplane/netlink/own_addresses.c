// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/own_addresses.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/model/model.h"
#include "controlplane/netlink/rtnl.h"

int berth_own_reader_enable(struct berth_own_reader *own, bool enable)
{
	if (enable == (own->addresses != NULL))
		return 0;
	if (enable) {
		own->addresses = calloc(BERTH_MAX_OWN, sizeof(*own->addresses));
		own->next = calloc(BERTH_MAX_OWN, sizeof(*own->next));
		if (own->addresses && own->next)
			return 0;
	}
	free(own->addresses);
	free(own->next);
	*own = (struct berth_own_reader){0};
	return enable ? -ENOMEM : 0;
}

int berth_own_reader_read(struct berth_own_reader *own, bool *changed)
{
	size_t n;

	if (own->addresses == NULL)
		return 0;
	int err = berth_rtnl_own_addresses(own->next, BERTH_MAX_OWN, &n);
	bool is_truncated = err == -E2BIG;
	if (err < 0 && !is_truncated)
		return err;
	if (n == own->n && is_truncated == own->is_truncated &&
	    memcmp(own->next, own->addresses, n * sizeof(*own->next)) == 0)
		return 0;
	union berth_addr *next = own->next;
	own->next = own->addresses;
	own->addresses = next;
	own->n = n;
	own->is_truncated = is_truncated;
	*changed = true;
	return 0;
}
