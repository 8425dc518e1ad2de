/* SPDX-License-Identifier: BSD-3-Clause */
/* One end of the socketpair between berthd and berth-helper: messages are queued, and sent many per packet and many
 * packets per system call. */
#pragma once

#include <event2/event.h>

#include "controlplane/helper/message.h"

struct berth_stream;

struct berth_stream_listener {
	/* A message of right length and version. It owns the descriptors. Returns false if the message is invalid.
	 */
	bool (*received)(void *arg, const struct berth_helper_header *message, const int *fds, size_t n_fds);
	/* The other end is closed (NULL), or sent what it must not send. Nothing more is received; the listener
	 * frees the stream, which it may do in the call. */
	void (*ended)(void *arg, const char *fault);
	void *arg;
};

/* Takes the socket. `takes_fds`: messages may bring descriptors. NULL: out of memory; the socket stays open. */
struct berth_stream *berth_stream_new(struct event_base *base, int fd, bool takes_fds,
				      const struct berth_stream_listener *listener);
/* Before the first message: the kernel tells the process that sends each. -errno. */
int berth_stream_identify_sender(struct berth_stream *stream);
/* The process that sent the last message; 0: not known. */
pid_t berth_stream_sender(const struct berth_stream *stream);
/* Closes the socket. */
void berth_stream_free(struct berth_stream *stream);
/* Fills version and length, copies the message, and takes the descriptors also if it fails. Returns 0, -ENOMEM, or
 * -ENOBUFS if the other end has not read for long. */
int berth_stream_send(struct berth_stream *stream, struct berth_helper_header *message, size_t bytes,
		      const int *fds, size_t n_fds);
