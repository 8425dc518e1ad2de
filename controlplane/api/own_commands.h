/* SPDX-License-Identifier: BSD-3-Clause */
/* Commands that berthctl runs itself. Their help and their manual pages are made of this table. */
#pragma once

struct berth_own_command {
	const char *words;
	const char *arguments; /* as in its usage; empty: none */
	const char *help;
};

static const struct berth_own_command berth_own_commands[] = {
	{"help", "[COMMAND]", "this text, or the arguments of a command"},
	{"report", "[--anonymous]", "all that a report of a fault needs, as JSON"},
	{"schema", "", "the JSON schema of the configuration, for editors"},
	{"top", "[--once] [services|backends|workers|drops]", "services, backends, workers or drops, live"},
	{"config import", "ipvs|keepalived|haproxy FILE", "services of another load balancer as a configuration"},
};

enum {
	BERTH_OWN_COMMAND_COUNT = sizeof(berth_own_commands) / sizeof(berth_own_commands[0]),
};
