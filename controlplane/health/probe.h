/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One kind of probe is one file with one struct berth_probe_ops, and a line of types.c. When it runs, how long it
 * may take and what its result means is checks.c's. All of it is one thread's: the event loop's.
 */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include "controlplane/config/config.h"

enum berth_probe_result {
	BERTH_PROBE_UNDER_WAY,
	BERTH_PROBE_SUCCESS,
	BERTH_PROBE_FAILURE,
	BERTH_PROBE_UNSURE, /* nothing is learned of the server: this machine lacks something */
};

enum {
	BERTH_PROBE_WHY_BYTES = 128,
};

/* What makes two probes the same, compared as bytes: no padding, unused bytes 0. */
struct berth_probe_key {
	union berth_addr address;
	const struct berth_health_config *check; /* of equal ones there is one */
	uint64_t way;				 /* `via: tunnel`: the target's id; else 0 */
	uint64_t port;
	char service[BERTH_NAME_BYTES]; /* where the probe is told them; else two services share it */
	char backend[BERTH_NAME_BYTES];
};
BERTH_ASSERT_SIZE(struct berth_probe_key, 40 + 2 * BERTH_NAME_BYTES);

struct berth_probe {
	struct berth_probe_key key;
	struct event_base *base;
	void *shared;			 /* what `open` made */
	uint64_t started_us;		 /* CLOCK_MONOTONIC */
	const char *missing;		 /* what there was none of, if time runs out; start may set another */
	char why[BERTH_PROBE_WHY_BYTES]; /* of the result; the probe writes it, by the functions below */
	/* The probe's own, between start and its end. */
	int fd;
	struct event io;
	uint64_t cookie;
	unsigned int strays; /* answers that were none */
	bool is_raw;	     /* the socket */
	void *own;
	struct flow *flow; /* tunnel.c's; NULL: not by the tunnel */
};

struct berth_probe_ops {
	/* Once, before the first probe of the type starts: what all of them share. NULL: it cannot be made now. */
	void *(*open)(struct event_base *base);
	/* After the last one; none is under way. */
	void (*close)(void *shared);
	/* UNDER_WAY: berth_probe_done will be called, unless it is cancelled before. */
	enum berth_probe_result (*start)(struct berth_probe *probe);
	/* Called only while it is under way. */
	void (*cancel)(struct berth_probe *probe);
	bool is_named; /* it is told the service's and backend's names */
	bool is_heavy; /* only a few at a time */
};

/* types.c: by enum berth_health_type; NULL: no probes, always up. */
extern const struct berth_probe_ops *const berth_probe_types[BERTH_HEALTH_TYPES];

extern const struct berth_probe_ops berth_probe_tcp;
extern const struct berth_probe_ops berth_probe_http; /* and https */
extern const struct berth_probe_ops berth_probe_udp;
extern const struct berth_probe_ops berth_probe_icmp;
extern const struct berth_probe_ops berth_probe_exec;

/* checks.c: hands in the result of a probe that was under way. The probe may be gone on return. */
void berth_probe_done(struct berth_probe *probe, enum berth_probe_result result);

/* probe.c: what several kinds do. */
uint64_t berth_probe_now_us(void);
double berth_probe_took_ms(const struct berth_probe *probe);
/* Writes `why`; whatever a server put into it comes out as printable ASCII. */
__attribute__((format(printf, 2, 3))) void berth_probe_say(struct berth_probe *probe, const char *format, ...);
/* An errno: writes `why`, and returns FAILURE, or UNSURE where the error is this machine's. */
enum berth_probe_result berth_probe_error(struct berth_probe *probe, int error);
/* socket(2), by the tunnel where the probe is to take it. -1 with the reason in errno. */
int berth_probe_socket(const struct berth_probe *probe, int family, int type, int protocol);
/* Calls `fn` once `fd` is ready for `events`. With an error `fd` is closed, and its result returned. */
enum berth_probe_result berth_probe_wait(struct berth_probe *probe, int fd, short events, event_callback_fn fn);
/* The end of that: no more events, `fd` closed. Also what cancel is, where there is nothing else. */
void berth_probe_close(struct berth_probe *probe);
