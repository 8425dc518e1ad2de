/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Who may do what on the administration socket, by the kernel's word for the other end of a connection. Root and
 * the user of berthd are administrators. Without a list, every process that can open the socket is one too.
 */
#pragma once

#include "controlplane/config/config.h"
#include "controlplane/server/peer.h"

/* The configuration with ids for names. */
struct berth_access {
	struct {
		uint32_t id;
		bool is_group;
		enum berth_role role;
	} items[BERTH_MAX_ACCESS];
	size_t n;
	bool is_open; /* no list */
};

/* Looks the names up. A name that the host does not have is logged, and gives nothing. May wait for the host's name
 * service. */
void berth_access_resolve(struct berth_access *access, const struct berth_access_config *config);
/* The highest role of a process. */
enum berth_role berth_access_role(const struct berth_access *access, const struct berth_server_peer *peer);
const char *berth_role_name(enum berth_role role);
