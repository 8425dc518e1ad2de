// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/helper/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	BATCH = 8, /* packets per system call, and per turn of the loop */
	/* Of several messages; to send and to receive a packet takes as long as some forty messages of a probe. */
	PACKET_BYTES = 8 << 10,
	QUEUE_BYTES = 32 << 20,
	ALIGNMENT = 8,
};
_Static_assert((int)PACKET_BYTES <= (int)BERTH_HELPER_MESSAGE_BYTES, "the other end has room for it");

struct packet {
	STAILQ_ENTRY(packet) entry;
	size_t room;
	size_t bytes;
	size_t n_fds;
	int fds[BERTH_HELPER_FDS];
	_Alignas(ALIGNMENT) uint8_t messages[];
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
	STAILQ_HEAD(, packet) queue;
	struct packet *last; /* of the queue, if it has any */
	size_t queued_bytes;
};

static size_t aligned(size_t bytes)
{
	return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static void close_all(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
}

static void remove_first(struct berth_stream *stream)
{
	struct packet *first = STAILQ_FIRST(&stream->queue);
	STAILQ_REMOVE_HEAD(&stream->queue, entry);
	stream->queued_bytes -= first->room;
	close_all(first->fds, first->n_fds);
	free(first);
}

/* --- sending --- */

static void attach_fds(struct msghdr *header, union control *control, const struct packet *packet)
{
	if (!packet->n_fds)
		return;
	header->msg_control = control;
	header->msg_controllen = CMSG_SPACE(packet->n_fds * sizeof(int));
	struct cmsghdr *part = CMSG_FIRSTHDR(header);
	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(packet->n_fds * sizeof(int));
	memcpy(CMSG_DATA(part), packet->fds, packet->n_fds * sizeof(int));
}

/* Sends one batch. Returns how many packets were sent, or -errno. */
static int send_batch(struct berth_stream *stream)
{
	struct mmsghdr headers[BATCH] = {0};
	struct iovec pieces[BATCH];
	union control controls[BATCH];
	unsigned int n = 0;
	struct packet *packet;
	STAILQ_FOREACH(packet, &stream->queue, entry)
	{
		if (n == BATCH)
			break;
		pieces[n] = (struct iovec){packet->messages, packet->bytes};
		headers[n].msg_hdr.msg_iov = &pieces[n];
		headers[n].msg_hdr.msg_iovlen = 1;
		attach_fds(&headers[n].msg_hdr, &controls[n], packet);
		n++;
	}
	int sent = sendmmsg(stream->fd, headers, n, MSG_DONTWAIT | MSG_NOSIGNAL);
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

/* The last packet of the queue if it has room for a message without descriptors, else a new one. NULL: no memory,
 * or `is_full`. */
static struct packet *take_packet(struct berth_stream *stream, size_t bytes, size_t n_fds, bool *is_full)
{
	struct packet *last = STAILQ_EMPTY(&stream->queue) ? NULL : stream->last;
	if (last && !n_fds && !last->n_fds && last->bytes + bytes <= last->room)
		return last;
	const size_t room = n_fds || bytes > PACKET_BYTES ? bytes : PACKET_BYTES;
	*is_full = stream->queued_bytes + room > QUEUE_BYTES;
	struct packet *packet = *is_full ? NULL : malloc(sizeof(*packet) + room);
	if (!packet)
		return NULL;
	packet->room = room;
	packet->bytes = packet->n_fds = 0;
	if (STAILQ_EMPTY(&stream->queue))
		event_active(stream->writable, EV_WRITE, 0);
	STAILQ_INSERT_TAIL(&stream->queue, packet, entry);
	stream->last = packet;
	stream->queued_bytes += room;
	return packet;
}

int berth_stream_send(struct berth_stream *stream, struct berth_helper_header *message, size_t bytes,
		      const int *fds, size_t n_fds)
{
	bool is_full = false;
	struct packet *packet = take_packet(stream, aligned(bytes), n_fds, &is_full);
	if (!packet) {
		close_all(fds, n_fds);
		return is_full ? -ENOBUFS : -ENOMEM;
	}
	message->version = BERTH_HELPER_VERSION;
	message->bytes = (uint32_t)bytes;
	if (n_fds)
		memcpy(packet->fds, fds, n_fds * sizeof(*fds));
	packet->n_fds = n_fds;
	memcpy(packet->messages + packet->bytes, message, bytes);
	memset(packet->messages + packet->bytes + bytes, 0, aligned(bytes) - bytes);
	packet->bytes += aligned(bytes);
	return 0;
}

/* --- receiving --- */

struct received {
	_Alignas(ALIGNMENT) uint8_t bytes[BERTH_HELPER_MESSAGE_BYTES];
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

/* Returns what is wrong with the first message of so many bytes, or NULL. */
static const char *find_fault(const struct berth_helper_header *message, size_t bytes)
{
	if (bytes < sizeof(*message) || message->bytes < sizeof(*message) || message->bytes > bytes)
		return "a message of wrong length";
	return message->version == BERTH_HELPER_VERSION ? NULL : "a message of another version of berth";
}

/* The first message owns the descriptors. Returns what is wrong with the packet, or NULL. */
static const char *deliver(struct berth_stream *stream, struct mmsghdr *received)
{
	const struct berth_stream_listener *listener = &stream->listener;
	const uint8_t *bytes = received->msg_hdr.msg_iov->iov_base;
	size_t left = received->msg_len;
	int fds[BERTH_HELPER_FDS];
	size_t n_fds = take_fds(&received->msg_hdr, fds);
	if (stream->identifies_sender)
		stream->sender = find_sender(&received->msg_hdr);
	if (received->msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC))
		left = 0;
	do {
		const struct berth_helper_header *message = (const struct berth_helper_header *)bytes;
		const char *fault = find_fault(message, left);
		if (fault) {
			close_all(fds, n_fds);
			return fault;
		}
		const size_t taken = aligned(message->bytes);
		if (!listener->received(listener->arg, message, fds, n_fds))
			return "an invalid message";
		n_fds = 0;
		bytes += taken;
		left -= taken < left ? taken : left;
	} while (left && !stream->is_freed);
	return NULL;
}

/* The end of the stream is a packet without bytes. */
static void handle_batch(struct berth_stream *stream, struct mmsghdr *packets, int n)
{
	const char *fault = NULL;
	bool is_over = false;
	stream->is_receiving = true;
	for (int i = 0; i < n && !is_over && !stream->is_freed; i++) {
		is_over = packets[i].msg_len == 0;
		fault = is_over ? NULL : deliver(stream, &packets[i]);
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
	struct mmsghdr packets[BATCH] = {0};
	struct iovec pieces[BATCH];
	const size_t control_bytes = stream->takes_fds		 ? CMSG_SPACE(BERTH_HELPER_FDS * sizeof(int))
				     : stream->identifies_sender ? CMSG_SPACE(sizeof(struct ucred))
								 : 0;
	for (int i = 0; i < BATCH; i++) {
		pieces[i] = (struct iovec){received[i].bytes, sizeof(received[i].bytes)};
		packets[i].msg_hdr.msg_iov = &pieces[i];
		packets[i].msg_hdr.msg_iovlen = 1;
		packets[i].msg_hdr.msg_control = control_bytes ? &received[i].control : NULL;
		packets[i].msg_hdr.msg_controllen = control_bytes;
	}
	int n = recvmmsg(fd, packets, BATCH, MSG_DONTWAIT | MSG_CMSG_CLOEXEC, NULL);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	handle_batch(stream, packets, n < 0 ? 1 : n);
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
