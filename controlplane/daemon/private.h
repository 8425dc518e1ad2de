/* SPDX-License-Identifier: BSD-3-Clause */
/* struct berth_daemon, for the files of this folder and their tests. All of it belongs to the one thread of berthd.
 */
#pragma once

#include "controlplane/cluster/digest.h"
#include "controlplane/cmd/cmd.h"
#include "controlplane/daemon/burst.h"
#include "controlplane/daemon/options.h"
#include "controlplane/metrics/http.h"
#include "controlplane/model/model.h"
#include "controlplane/netlink/netlink.h"
#include "controlplane/saved/directory.h"
#include "controlplane/server/access.h"
#include "controlplane/state/state.h"
#include "controlplane/tables/load.h"
#include "controlplane/tables/publish.h"
#include "controlplane/tables/rates.h"
#include "controlplane/tables/scan.h"
#include "dataplane/interface/process.h"

struct berth_capture;
struct berth_cluster_exceptions;
struct berth_config_history;
struct berth_dns_backends;
struct berth_engine_restart;
struct berth_node_watch;
struct berth_path_mtu_listener;
struct berth_port_taps;
struct berth_publication_queue;
struct berth_saved_state;
struct berth_session_save;
struct berth_stage;
struct berth_store;
struct berth_supervision;
struct event;

enum {
	BERTH_DAEMON_SIGNALS = 10,
};

struct berth_daemon {
	struct berth_daemon_options options;
	struct event_base *base;
	struct berth_model model;
	struct berth_model former;		/* that is to be freed: berth_daemon_free_former */
	struct berth_saved_directory directory; /* state directory */
	uint8_t secret[BERTH_SECRET_BYTES];
	struct berth_engine *engine;
	struct berth_publisher *publisher;
	struct berth_publication_queue *publication;
	struct berth_scan *scan;
	struct berth_load *load;
	struct berth_rates *rates;
	struct berth_capture *capture;
	struct berth_helper *helpers[BERTH_HELPERS];
	struct berth_health *health;
	bool is_health_behind;
	struct berth_burst health_errors;
	struct berth_burst health_recoveries;
	struct berth_netlink *netlink;
	struct berth_path_mtu_listener *too_big; /* NULL: path MTUs are not learned */
	struct berth_stage *prepared;		 /* by berth_daemon_prepare; NULL: none */
	const struct berth_config *preparing;	 /* for the last `prepared`; not to be read */
	unsigned int prepares;			 /* how often that was begun for it */
	uint64_t network_changes;		 /* news of the kernel's links, next hops and routes */
	struct berth_dns_backends *dns;
	struct berth_saved_state *saved;
	struct berth_config_history *config_history;
	uint32_t reload_newest; /* entry of the history at the last signal to read the file */
	struct berth_session_save *session_save;
	struct berth_store *store; /* NULL: the configuration has none */
	struct berth_cluster_config store_config;
	struct berth_cluster_node cluster_node;		     /* of the configuration in force, with a store */
	struct berth_cluster_exceptions *cluster_exceptions; /* NULL: they are not exchanged */
	struct berth_engine_restart *engine_restart;
	struct berth_node_watch *node_watch;
	struct berth_port_taps *port_taps;
	struct berth_supervision *supervision; /* NULL: by no service manager */
	struct berth_server *server;
	struct berth_access access;
	struct berth_metrics_http *metrics;
	struct event *scan_event;
	struct event *step_event; /* the next step of a weight or deadline of a drain: timers.c */
	uint64_t installed_ms;	  /* CLOCK_MONOTONIC of the last change of services or backends */
	uint64_t scan_us;	  /* processor time of the scan under way */
	uint64_t last_scan_us;	  /* and of the one before */
	struct event *signals[BERTH_DAEMON_SIGNALS];
	bool stop;		   /* the engine ends with berthd */
	enum berth_exit exit;	   /* of berthd, when its loop ends */
	const char *routes_logged; /* why the kernel answers clients of mode nat; NULL: berth does */
	bool links_logged;	   /* that the interfaces have more link addresses than there is room for */
	struct event *settle_event;
	bool is_network_settled; /* next hops that were adopted have had time to be resolved again: network.c */
	bool own_logged;	 /* that this host has more addresses than there is room for */
	struct berth_daemon_state state;
	struct berth_cmd_context commands;
	struct berth_cmd_parser *parser;
	struct berth_cmd_planner *planner;
};
