/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What commands, metrics and doctor read of a running berthd. daemon/ owns it, sets it and keeps it up to date; all
 * else gets it const. One thread.
 */
#pragma once

#include <sys/queue.h>

#include "controlplane/announce/announcer.h"
#include "controlplane/cluster/alarms.h"
#include "controlplane/cluster/operator_set.h"
#include "controlplane/cluster/receiver.h"
#include "controlplane/dns/expand.h"
#include "controlplane/dns/resolver.h"
#include "controlplane/dns/state.h"
#include "controlplane/engine/engine.h"
#include "controlplane/health/health.h"
#include "controlplane/helper/helper.h"
#include "controlplane/history/history.h"
#include "controlplane/model/model.h"
#include "controlplane/netlink/netlink.h"
#include "controlplane/state/link_watch.h"
#include "controlplane/tables/rates.h"
#include "controlplane/tables/scan.h"

struct berth_access;
struct berth_capture;
struct berth_store;

struct berth_publication {
	bool is_pending; /* the model has changes that are not in force: not published, or a worker is not quiescent
			  */
	bool is_late;	 /* it has been pending for a second or more */
	uint64_t failures;
	char error[BERTH_ERROR_BYTES]; /* of the last publication; "": it succeeded */
};

/* Waits until the changes that have been made are in force. */
struct berth_publication_waiter {
	void (*in_force)(void *arg); /* called once; the waiter may be freed in it */
	/* Called in place of it if the configuration does not come into force; NULL: the waiter goes on. */
	void (*failed)(void *arg, const char *error);
	void *arg;
	uint64_t request;
	bool is_waiting;
	bool is_rejected; /* its configuration does not come into force: `failed` is called later */
	LIST_ENTRY(berth_publication_waiter) entry;
};

/* Processes that talk to the network for berthd. */
enum berth_helper_kind {
	BERTH_HELPER_PROBES,
	BERTH_HELPER_DNS,
	BERTH_HELPER_STORE, /* runs if the configuration has a store */
	BERTH_HELPERS,
};

/* The file of the session table. */
struct berth_session_save_state {
	int64_t unix_s;		       /* of the last file written; 0: none yet */
	uint64_t sessions;	       /* in it */
	char error[BERTH_ERROR_BYTES]; /* of the last attempt; "": it succeeded */
};

/* The exchange of exceptions with other nodes. */
struct berth_exchange_state {
	struct berth_sender *sender; /* NULL: there is none */
	struct berth_receiver *receiver;
	bool is_synchronised; /* all that others had told when this node came has been read */
	struct berth_exchange_alarm_state alarms[BERTH_EXCHANGE_ALARM_COUNT];
};

/* What operators have set on nodes of the cluster. */
struct berth_operator_state_now {
	struct berth_operator_set *set; /* empty in no cluster */
	uint64_t told;			/* records */
	uint64_t received[BERTH_OPERATOR_OUTCOME_COUNT];
	bool is_reading_due; /* all that the store has is to be read again: names may have become known */
	uint64_t swept_ms;
};

struct berth_daemon_state {
	const char *config_path;
	const char *instance;
	const struct berth_saved_directory *directory; /* state directory */
	const struct berth_history *history;	       /* of configurations */
	const struct berth_model *model;
	struct berth_engine *engine;
	const struct berth_scan *scan;
	const struct berth_rates *rates;
	struct berth_capture *capture;
	const struct berth_health *health;
	const struct berth_netlink *netlink; /* NULL in some tests */
	const struct berth_access *access;
	const struct berth_helper *helpers[BERTH_HELPERS]; /* NULL: not used */
	const struct berth_dns_state *dns_state;
	const struct berth_dns_resolver *dns_resolver;
	const struct berth_dns_expansion *dns_expansion; /* of the configuration in force */
	const struct berth_store *store;		 /* of the cluster; NULL: the configuration has none */
	struct berth_exchange_state exchange;
	struct berth_operator_state_now operators;
	const char *metrics_fault; /* why the metrics endpoint does not listen; "": it does, or is off */
	struct berth_publication publication;
	char secret_path[BERTH_ERROR_BYTES]; /* file of the secret */
	/* Of the state directory. "": none */
	char saved_fault[BERTH_ERROR_BYTES];  /* why it cannot be written now */
	char saved_damage[BERTH_ERROR_BYTES]; /* of a file that berthd found at its start */
	struct berth_session_save_state session_save;
	struct berth_link_watch link_watch;
	struct berth_node node;
	const struct berth_announcer *announcer; /* NULL in some tests */
	uint64_t started_ms;			 /* CLOCK_MONOTONIC */
	uint64_t applied_ms;			 /* likewise, of the configuration in force */
	uint64_t installs;			 /* of configurations, also by DNS and of former ones */
	uint64_t refused_applies;
	bool is_apply_refused; /* the last one was */
};
