/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One probe: one attempt to reach a server. Each probe type is one file that defines one struct berth_probe_ops,
 * and a line in types.c. checks.c schedules probes, enforces timeouts and evaluates results. Everything runs on the
 * event loop's thread.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include "controlplane/config/config.h"
#include "controlplane/util/agent_words.h"

enum berth_probe_result {
	BERTH_PROBE_PENDING,
	BERTH_PROBE_SUCCESS,
	BERTH_PROBE_FAILURE,
	BERTH_PROBE_MISCONFIGURED, /* cannot run: program, CA file or permission; counts as a failure */
	BERTH_PROBE_HOST_ERROR,	   /* cannot run: this host lacks something; see `stale` in health.h */
	BERTH_PROBE_TIMED_OUT,	   /* a failure: no answer within the timeout */
	BERTH_PROBE_RESULTS,
};

enum {
	BERTH_PROBE_REASON_BYTES = 160,
};

/* Probes with equal keys are shared. Compared as bytes: no padding, unused bytes 0. */
struct berth_probe_key {
	union berth_addr address;
	const struct berth_health_config *check; /* equal configurations have one address */
	uint64_t tunnel_target;			 /* `via: tunnel`: the target's id; else 0 */
	uint64_t port;
	char service[BERTH_NAME_BYTES]; /* only if the type has is_named; else services share the probe */
	char backend[BERTH_NAME_BYTES];
};
BERTH_ASSERT_SIZE(struct berth_probe_key, 40 + 2 * BERTH_NAME_BYTES);

struct probe_flow;

struct berth_probe {
	struct berth_probe_key key;
	struct event_base *base;
	void (*done)(struct berth_probe *probe, enum berth_probe_result result);
	void *shared;			/* returned by `open` */
	uint64_t started_us;		/* CLOCK_MONOTONIC */
	uint64_t measured_us;		/* its duration where it ran, if in another process; else 0 */
	const char *timeout_reason;	/* "no answer" unless the type sets another; " within N ms" is added */
	struct berth_agent_words agent; /* of a successful probe of an agent */
	bool is_refused;		/* a probe of an agent failed because of what the line says */
	char reason[BERTH_PROBE_REASON_BYTES]; /* of the result; written by the functions below */
	/* State of the probe type between start and end. */
	int fd;
	struct event io;
	uint64_t cookie;
	unsigned int mismatches; /* answers without the expected text */
	bool is_raw;		 /* the socket is a raw socket */
	int given_fd;		 /* a socket that another process opened for this probe; -1: none */
	int ca_fd;		 /* likewise the file with CA certificates */
	void *own;
	struct probe_flow *flow; /* defined in tunnel.c; NULL: the probe does not use the tunnel */
};

struct berth_probe_ops {
	/* Creates what all probes of the type share; called before the first probe. NULL: not possible now. */
	void *(*open)(struct event_base *base);
	/* Called when no probe of the type is pending. */
	void (*close)(void *shared);
	/* Starts a probe. After PENDING the probe calls berth_probe_done, unless it is cancelled first. */
	enum berth_probe_result (*start)(struct berth_probe *probe);
	/* Called only while the probe is pending. */
	void (*cancel)(struct berth_probe *probe);
	bool is_named;	/* needs the names of service and backend */
	bool is_heavy;	/* limited to a few at a time */
	bool times_out; /* ends with TIMED_OUT by itself */
};

/* Completes a pending probe. The probe may be freed on return. */
void berth_probe_done(struct berth_probe *probe, enum berth_probe_result result);

/* How many probes may be pending in a pool: a pending probe holds a descriptor, and there are two pools of many
 * probes, which get a quarter of the process's limit each. */
unsigned int berth_probe_slots(void);
/* CLOCK_MONOTONIC. */
uint64_t berth_probe_now_us(void);
double berth_probe_elapsed_ms(const struct berth_probe *probe);
/* Sets `reason`; replaces bytes that are not printable ASCII, since a server may have sent them. */
__attribute__((format(printf, 2, 3))) void berth_probe_set_reason(struct berth_probe *probe, const char *format,
								  ...);
/* Sets `reason` of a probe that has reached its timeout. */
void berth_probe_set_timeout(struct berth_probe *probe);
/* True if this host lacks descriptors, processes or memory. */
bool berth_probe_lacks_resources(int error);
/* Sets `reason` from an errno. Returns HOST_ERROR if this host lacks descriptors, memory, an address or a route to
 * the server, MISCONFIGURED if it lacks permission, else FAILURE. */
enum berth_probe_result berth_probe_fail(struct berth_probe *probe, int error);
