/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A process berth-helper, as berthd sees it: it is started by berthd, or by systemd for it (util/activation.h),
 * watched, and started again when it ends, does not answer or sends what it must not send. It talks to the network
 * for berthd and has no privileges. Event loop's thread.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>

#include "controlplane/helper/message.h"

struct berth_helper;

struct berth_helper_listener {
	/* An answer. Returns false if it is invalid: then the helper is ended. */
	bool (*received)(void *arg, const struct berth_helper_header *message);
	/* The helper has ended; what it was to do is lost. berth_helper_status says how. */
	void (*ended)(void *arg);
	void *arg;
};

struct berth_helper_options {
	const char *program; /* path of berth-helper */
	const char *name;    /* of this helper: "probes", "dns" */
	const char *run_dir; /* where it makes its empty root */
};

struct berth_helper_status {
	const char *name;
	bool is_running;
	pid_t pid; /* 0: it does not run, or systemd has started it and it has sent nothing yet */
	uint64_t restarts;
	char fault[128]; /* of the last end: "killed by signal 9"; "": none */
};

/* Starts it; if that fails it is tried again later. The strings must outlive the helper. NULL: out of memory. */
struct berth_helper *berth_helper_new(struct event_base *base, const struct berth_helper_options *options);
void berth_helper_free(struct berth_helper *helper);
void berth_helper_set_listener(struct berth_helper *helper, const struct berth_helper_listener *listener);
/* Takes the descriptors also if it fails. Returns 0 or -errno (-ENOTCONN: it does not run). */
int berth_helper_send(struct berth_helper *helper, struct berth_helper_header *message, size_t bytes,
		      const int *fds, size_t n_fds);
const struct berth_helper_status *berth_helper_status(const struct berth_helper *helper);
