/* SPDX-License-Identifier: BSD-3-Clause */
/* Findings that need no probe: engine, interfaces, kernel settings, DNS names, and next hops of backends. Reads
 * from the kernel and from berthd's state; sends nothing. */
#pragma once

#include <jansson.h>
#include <net/if.h>

#include "controlplane/doctor/findings.h"
#include "controlplane/netlink/rtnl.h"
#include "controlplane/state/state.h"
#include "controlplane/util/ethtool.h"
#include "dataplane/interface/heartbeat.h"

/* Appends findings about the engine, the interfaces and the kernel's settings. */
void berth_doctor_system(const struct berth_daemon_state *state, struct berth_rtnl *rtnl, json_t *checks);

/* Appends findings about the engine, whose `status` this is, and about the publication (engine.c). */
void berth_doctor_engine(const struct berth_daemon_state *state, const json_t *status, json_t *checks);

/* Appends findings about tables that are nearly full (engine.c). */
void berth_doctor_tables(const struct berth_daemon_state *state, json_t *checks);

/* Some 0.3 s after the sample: appends a finding about workers that have not polled since. True: there
 * are none, and the engine runs. */
bool berth_doctor_workers_check(const struct berth_daemon_state *state, const struct berth_heartbeat *before,
				json_t *checks);

/* Appends findings about the i-th interface of the engine, whose `status` this is (links.c). */
void berth_doctor_link(const struct berth_daemon_state *state, size_t i, struct berth_rtnl *rtnl,
		       const json_t *status, json_t *checks);
/* Appends findings about frames that an interface has lost between two samples. */
void berth_doctor_losses(const char *name, const struct berth_rtnl_losses *before,
			 const struct berth_rtnl_losses *now, uint64_t seconds, json_t *checks);

/* Appends a finding if native XDP has fewer queues to send than CPUs, as virtio_net takes what is there. */
void berth_doctor_xdp_queues(const char *name, const struct berth_ethtool *facts, long cpus, json_t *checks);
/* Appends a finding if a queue of a port of the DPDK engine has got nothing while others have: `received` has the
 * packets of each of the `n` workers (ports.c). */
void berth_doctor_queues(const json_t *port, const uint64_t *received, size_t n, json_t *checks);

/* Appends a finding for two workers that share a core, and for a worker that is not on the tables' NUMA node (-1:
 * not known). `status`: the engine's, with the workers' `cpus`. `sysfs`: "/sys" (cores.c). */
void berth_doctor_cpus(const char *sysfs, const json_t *status, int tables_node, json_t *checks);

/* Appends these findings for the DPDK engine, and those about NICs of other nodes (cores.c). */
void berth_doctor_nodes(const struct berth_daemon_state *state, const json_t *status, json_t *checks);

/* Appends findings about queues and losses of the ports of the DPDK engine (ports.c). */
void berth_doctor_dpdk_ports(const struct berth_daemon_state *state, const json_t *status, json_t *checks);

/* Appends a finding about a driver that takes VLAN tags out of frames before XDP sees them, if a VLAN interface is
 * on top of `name`. `path`: the kernel's list of these. */
void berth_doctor_vlan(const char *path, const char *name, const struct berth_ethtool *facts, json_t *checks);

/* True if the interface is down or missing: fills `finding`, whose cause is the same for its backends. Else fills
 * `link`. */
bool berth_doctor_link_is_down(const struct berth_interface_config *config, struct berth_rtnl *rtnl,
			       struct berth_rtnl_link *link, struct berth_doctor_finding *finding);

/* Appends findings about the DNS names of backends (dns.c). */
void berth_doctor_dns(const struct berth_daemon_state *state, json_t *checks);

/* Appends a finding about a service without an eligible backend. */
void berth_doctor_service(const struct berth_model_service *service, json_t *checks);

/* Appends a finding about a backend whose agent is silent or says what berth refuses (agents.c). */
void berth_doctor_agent(const struct berth_daemon_state *state, const struct berth_model_backend *backend,
			const char *subject, uint16_t port, json_t *checks);

/* A default gateway behind an interface of the engine. */
struct berth_doctor_gateway {
	uint32_t ifindex; /* 0: none, or unresolved */
	union berth_addr address;
	union berth_addr source; /* of this host */
	uint8_t mac[6];
};

/* Fills the gateway of IPv6, then of IPv4 (targets.c). */
void berth_doctor_find_gateways(const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
				struct berth_doctor_gateway gateways[2]);
/* Fills the target that shows whether the gateway routes the service's address to this host. False: no gateway. */
bool berth_doctor_make_route(const struct berth_doctor_gateway gateways[2],
			     const struct berth_model_service *service, struct berth_doctor_target *target);
/* Fills the target for a backend. Returns false and fills `finding` if its next hop is unresolved (targets.c). */
bool berth_doctor_make_target(const struct berth_daemon_state *state, struct berth_rtnl *rtnl,
			      const struct berth_model_service *service, const struct berth_model_backend *backend,
			      struct berth_doctor_target *target, struct berth_doctor_finding *finding);
