// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/server/access.h"

#include <grp.h>
#include <pwd.h>

#include "controlplane/util/log.h"

const char *berth_role_name(enum berth_role role)
{
	static const char *const names[] = {
		[BERTH_ROLE_NONE] = "none",
		[BERTH_ROLE_VIEWER] = "viewer",
		[BERTH_ROLE_OPERATOR] = "operator",
		[BERTH_ROLE_ADMIN] = "admin",
	};
	return names[role];
}

static bool find_id(const struct berth_access_item *item, uint32_t *id)
{
	const struct group *group = item->is_group ? getgrnam(item->name) : NULL;
	const struct passwd *user = item->is_group ? NULL : getpwnam(item->name);
	if (group)
		*id = group->gr_gid;
	if (user)
		*id = user->pw_uid;
	return group || user;
}

void berth_access_resolve(struct berth_access *access, const struct berth_access_config *config)
{
	*access = (struct berth_access){.is_open = !config->n};
	for (size_t i = 0; i < config->n; i++) {
		const struct berth_access_item *item = &config->items[i];
		if (find_id(item, &access->items[access->n].id)) {
			access->items[access->n].is_group = item->is_group;
			access->items[access->n++].role = item->role;
		} else {
			berth_log("access: %s \"%s\" not found on this host: it gives no access; create it, then "
				  "apply the configuration again",
				  item->is_group ? "group" : "user", item->name);
		}
	}
}

static bool is_in_group(const struct berth_server_peer *peer, gid_t group)
{
	if (peer->gid == group)
		return true;
	for (size_t i = 0; i < peer->n_groups; i++)
		if (peer->groups[i] == group)
			return true;
	return false;
}

enum berth_role berth_access_role(const struct berth_access *access, const struct berth_server_peer *peer)
{
	enum berth_role role = BERTH_ROLE_NONE;
	if (access->is_open || berth_server_peer_is_privileged(peer))
		return BERTH_ROLE_ADMIN;
	for (size_t i = 0; i < access->n; i++) {
		const uint32_t id = access->items[i].id;
		bool is_meant = access->items[i].is_group ? is_in_group(peer, id) : peer->uid == id;
		if (is_meant && access->items[i].role > role)
			role = access->items[i].role;
	}
	return role;
}
