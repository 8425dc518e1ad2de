// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BATCH = 32, /* messages per system call */
	QUEUE_BYTES = 32 << 20,
};

struct queued {
	STAILQ_ENTRY(queued) entry;
	size_t bytes;
	size_t n_fds;
	int fds[BERTH_HELPER_FDS];
	_Alignas(8) uint8_t message[];
};

union control {
	struct cmsghdr header;
	uint8_t space[CMSG_SPACE(BERTH_HELPER_FDS * sizeof(int))];
	uint8_t sender[CMSG_SPACE(sizeof(struct ucred))];
};

struct berth_stream {
	int fd;
	bool takes_fds;
	bool identifies_sender;
	pid_t sender;  /* of the last message */
	bool is_freed; /* by the listener, during a call */
	bool is_receiving;
	struct berth_stream_listener listener;
	struct event *readable;
	struct event *writable; /* also activated by the first message of a batch */
	STAILQ_HEAD(, queued) queue;
	size_t queued_bytes;
};

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void remove_first(struct berth_stream *stream)
{
	struct queued *first = STAILQ_FIRST(&stream->queue);
	STAILQ_REMOVE_HEAD(&stream->queue, entry);
	stream->queued_bytes -= first->bytes;
	close_all(first->fds, first->n_fds);
	free(first);
}

/* --- sending --- */

static void attach_fds(struct msghdr *header, union control *control, const struct queued *queued)
{
	if (!queued->n_fds)
		return;
	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(queued->n_fds * sizeof(int));
	struct cmsghdr *part = CMSG_FIRSTHDR(header);
	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(queued->n_fds * sizeof(int));
	memcpy(CMSG_DATA(part), queued->fds, queued->n_fds * sizeof(int));
}

/* Sends one batch. Returns how many messages were sent, or -errno. */
static int send_batch(struct berth_stream *stream)
{
	struct mmsghdr messages[BATCH] = {0};
	struct iovec pieces[BATCH];
	union control controls[BATCH];
	unsigned int n = 0;
	struct queued *queued;
	STAILQ_FOREACH(queued, &stream->queue, entry)
	{
		if (n == BATCH)
			break;
		pieces[n] = (struct iovec){queued->message, queued->bytes};
		messages[n].msg_hdr.msg_iov = &pieces[n];
		messages[n].msg_hdr.msg_iovlen = 1;
		attach_fds(&messages[n].msg_hdr, &controls[n], queued);
		n++;
	}
	int sent = sendmmsg(stream->fd, messages, n, MSG_DONTWAIT | MSG_NOSIGNAL);
	return sent < 0 ? -errno : sent;
}

/* A broken connection is found by reading. */
static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_stream *stream = arg;
	while (!STAILQ_EMPTY(&stream->queue)) {
		int sent = send_batch(stream);
		if (sent == -EAGAIN || sent == -EINTR || sent == -ENOBUFS) {
			event_add(stream->writable, NULL);
			return;
		}
		if (sent < 0)
			return;
		for (int i = 0; i < sent; i++)
			remove_first(stream);
	}
}

int berth_stream_send(struct berth_stream *stream, struct berth_helper_header *message, size_t bytes,
		      const int *fds, size_t n_fds)
{
	bool has_room = stream->queued_bytes + bytes <= QUEUE_BYTES;
	struct queued *queued = has_room ? malloc(sizeof(*queued) + bytes) : NULL;
	if (!queued) {
		close_all(fds, n_fds);
		return has_room ? -ENOMEM : -ENOBUFS;
	}
	message->version = BERTH_HELPER_VERSION;
	message->bytes = (uint32_t)bytes;
	queued->bytes = bytes;
	queued->n_fds = n_fds;
	if (n_fds)
		memcpy(queued->fds, fds, n_fds * sizeof(*fds));
	memcpy(queued->message, message, bytes);
	if (STAILQ_EMPTY(&stream->queue))
		event_active(stream->writable, EV_WRITE, 0);
	STAILQ_INSERT_TAIL(&stream->queue, queued, entry);
	stream->queued_bytes += bytes;
	return 0;
}

/* --- receiving --- */

struct received {
	_Alignas(8) uint8_t bytes[BERTH_HELPER_MESSAGE_BYTES];
	union control control;
};

static size_t take_fds(struct msghdr *header, int fds[BERTH_HELPER_FDS])
{
	size_t n = 0;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		n = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		n = n < BERTH_HELPER_FDS ? n : BERTH_HELPER_FDS;
		memcpy(fds, CMSG_DATA(part), n * sizeof(int));
	}
	return n;
}

static pid_t find_sender(struct msghdr *header)
{
	struct ucred sender = {0};
	for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part; part = CMSG_NXTHDR(header, part))
		if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_CREDENTIALS)
			memcpy(&sender, CMSG_DATA(part), sizeof(sender));
	return sender.pid;
}

/* Returns what is wrong with the message, or NULL. */
static const char *deliver(struct berth_stream *stream, struct mmsghdr *received)
{
	const struct berth_helper_header *message = received->msg_hdr.msg_iov->iov_base;
	int fds[BERTH_HELPER_FDS];
	size_t n_fds = take_fds(&received->msg_hdr, fds);
	const char *fault = NULL;
	if (stream->identifies_sender)
		stream->sender = find_sender(&received->msg_hdr);
	if (received->msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || received->msg_len < sizeof(*message) ||
	    message->bytes != received->msg_len)
		fault = "a message of wrong length";
	else if (message->version != BERTH_HELPER_VERSION)
		fault = "a message of another version of berth";
	if (fault) {
		close_all(fds, n_fds);
		return fault;
	}
	return stream->listener.received(stream->listener.arg, message, fds, n_fds) ? NULL : "an invalid message";
}

/* The end of the stream is a message without bytes. */
static void handle_batch(struct berth_stream *stream, struct mmsghdr *messages, int n)
{
	const char *fault = NULL;
	bool is_over = false;
	stream->is_receiving = true;
	for (int i = 0; i < n && !is_over && !stream->is_freed; i++) {
		is_over = messages[i].msg_len == 0;
		fault = is_over ? NULL : deliver(stream, &messages[i]);
		is_over |= fault != NULL;
	}
	stream->is_receiving = false;
	if (stream->is_freed) {
		berth_stream_free(stream);
	} else if (is_over) {
		event_del(stream->readable);
		stream->listener.ended(stream->listener.arg, fault);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)what;
	static struct received received[BATCH]; /* one loop per process */
	struct berth_stream *stream = arg;
	struct mmsghdr messages[BATCH] = {0};
	struct iovec pieces[BATCH];
	const size_t control_bytes = stream->takes_fds		 ? CMSG_SPACE(BERTH_HELPER_FDS * sizeof(int))
				     : stream->identifies_sender ? CMSG_SPACE(sizeof(struct ucred))
								 : 0;
	for (int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){received[i].bytes, sizeof(received[i].bytes)};
		messages[i].msg_hdr.msg_iov = &pieces[i];
		messages[i].msg_hdr.msg_iovlen = 1;
		messages[i].msg_hdr.msg_control = control_bytes ? &received[i].control : NULL;
		messages[i].msg_hdr.msg_controllen = control_bytes;
	}
	int n = recvmmsg(fd, messages, BATCH, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	handle_batch(stream, messages, n < 0 ? 1 : n);
}

/* --- creation --- */

struct berth_stream *berth_stream_new(struct event_base *base, int fd, bool takes_fds,
				      const struct berth_stream_listener *listener)
{
	struct berth_stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	*stream = (struct berth_stream){.fd = fd, .takes_fds = takes_fds, .listener = *listener};
	STAILQ_INIT(&stream->queue);
	stream->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, stream);
	stream->writable = event_new(base, fd, EV_WRITE, on_writable, stream);
	if (stream->readable && stream->writable && event_add(stream->readable, NULL) == 0)
		return stream;
	stream->fd = -1;
	berth_stream_free(stream);
	return NULL;
}

int berth_stream_identify_sender(struct berth_stream *stream)
{
	const int on = 1;
	if (setsockopt(stream->fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)))
		return -errno;
	stream->identifies_sender = true;
	return 0;
}

pid_t berth_stream_sender(const struct berth_stream *stream)
{
	return stream->sender;
}

void berth_stream_free(struct berth_stream *stream)
{
	if (!stream)
		return;
	stream->is_freed = true;
	if (stream->is_receiving)
		return;
	while (!STAILQ_EMPTY(&stream->queue))
		remove_first(stream);
	if (stream->readable)
		event_free(stream->readable);
	if (stream->writable)
		event_free(stream->writable);
	if (stream->fd >= 0)
		close(stream->fd);
	free(stream);
}
