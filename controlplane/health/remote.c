// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/health/remote.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/health/ca.h"
#include "controlplane/health/icmp.h"
#include "controlplane/health/probe_io.h"

enum {
	NO_SLOT = UINT32_MAX,
};

_Static_assert((int)BERTH_HELPER_REASON_BYTES == (int)BERTH_PROBE_REASON_BYTES, "one size of reasons");

/* A pending probe; its id is the slot's index and generation, so that a late answer finds no other probe. */
struct slot {
	struct berth_probe *probe; /* NULL: free */
	uint32_t generation;
	uint32_t next_free;
};

struct berth_remote {
	struct berth_helper *helper;
	struct slot *slots;
	uint32_t n;
	uint32_t first_free;
};

static bool grow(struct berth_remote *remote)
{
	uint32_t n = remote->n ? 2 * remote->n : 64;
	struct slot *slots = realloc(remote->slots, n * sizeof(*slots));
	if (!slots)
		return false;
	for (uint32_t i = remote->n; i < n; i++)
		slots[i] = (struct slot){.next_free = i + 1 < n ? i + 1 : NO_SLOT};
	remote->first_free = remote->n;
	remote->slots = slots;
	remote->n = n;
	return true;
}

static bool take_slot(struct berth_remote *remote, struct berth_probe *probe)
{
	if (remote->first_free == NO_SLOT && !grow(remote))
		return false;
	uint32_t index = remote->first_free;
	struct slot *slot = &remote->slots[index];
	remote->first_free = slot->next_free;
	slot->probe = probe;
	slot->generation++;
	probe->cookie = (uint64_t)slot->generation << 32 | index;
	return true;
}

/* NULL: the probe is not pending any more. */
static struct berth_probe *find(const struct berth_remote *remote, uint64_t id)
{
	uint32_t index = (uint32_t)id;
	const struct slot *slot = index < remote->n ? &remote->slots[index] : NULL;
	return slot && slot->generation == id >> 32 ? slot->probe : NULL;
}

static void free_slot(struct berth_remote *remote, const struct berth_probe *probe)
{
	uint32_t index = (uint32_t)probe->cookie;
	remote->slots[index].probe = NULL;
	remote->slots[index].next_free = remote->first_free;
	remote->first_free = index;
}

/* --- answers --- */

static bool on_received(void *arg, const struct berth_helper_header *message)
{
	struct berth_remote *remote = arg;
	const struct berth_helper_probed *probed = (const struct berth_helper_probed *)message;
	if (message->type != BERTH_HELPER_PROBED || message->bytes != sizeof(*probed) ||
	    probed->result <= BERTH_PROBE_PENDING || probed->result >= BERTH_PROBE_RESULTS ||
	    !berth_agent_is_valid(&probed->agent) || !memchr(probed->reason, 0, sizeof(probed->reason)))
		return false;
	struct berth_probe *probe = find(remote, message->id);
	if (!probe)
		return true;
	free_slot(remote, probe);
	berth_probe_set_reason(probe, "%s", probed->reason);
	probe->measured_us = probed->duration_us;
	probe->agent = probed->agent;
	probe->is_refused = probed->is_refused;
	berth_probe_done(probe, (enum berth_probe_result)probed->result);
	return true;
}

/* Probes that start in the meantime fail at once: the helper does not run yet. */
static void on_ended(void *arg)
{
	struct berth_remote *remote = arg;
	for (uint32_t i = 0; i < remote->n; i++) {
		struct berth_probe *probe = remote->slots[i].probe;
		if (!probe)
			continue;
		free_slot(remote, probe);
		berth_probe_set_reason(probe, "berth's helper for probes ended: %s",
				       berth_helper_status(remote->helper)->fault);
		berth_probe_done(probe, BERTH_PROBE_HOST_ERROR);
	}
}

/* --- start --- */

/* What a probe takes along: descriptors, and the flags that name them. */
struct luggage {
	uint16_t flags;
	int fds[BERTH_HELPER_FDS];
	size_t n;
};

/* Sockets that need privileges: those in a network namespace, and for pings. Returns 0 or an errno. */
static int open_socket(struct berth_probe *probe, struct luggage *luggage)
{
	const enum berth_health_type type = probe->key.check->type;
	const bool is4 = berth_addr_is4(&probe->key.address);
	bool is_raw = false;
	int fd;
	if (type == BERTH_HEALTH_ICMP)
		fd = berth_icmp_socket(is4, &is_raw);
	else if (probe->flow)
		fd = berth_probe_socket(probe, is4 ? AF_INET : AF_INET6,
					(type == BERTH_HEALTH_UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK |
						SOCK_CLOEXEC,
					type == BERTH_HEALTH_UDP ? IPPROTO_UDP : IPPROTO_TCP);
	else
		return 0;
	if (fd < 0)
		return errno;
	luggage->fds[luggage->n++] = fd;
	luggage->flags |= (uint16_t)(BERTH_HELPER_HAS_SOCKET | (is_raw ? BERTH_HELPER_IS_RAW : 0) |
				     (probe->flow ? BERTH_HELPER_IS_TUNNEL : 0));
	return 0;
}

static enum berth_probe_result pack(struct berth_probe *probe, struct luggage *luggage)
{
	if (berth_ca_is_needed(probe->key.check)) {
		int fd = berth_ca_open(probe->key.check);
		if (fd < 0)
			return berth_ca_fail(probe, -fd);
		luggage->fds[luggage->n++] = fd;
		luggage->flags |= BERTH_HELPER_HAS_CA;
	}
	struct luggage sockets = {0};
	int error = open_socket(probe, &sockets);
	if (error) {
		if (luggage->n)
			close(luggage->fds[0]);
		return berth_probe_fail(probe, error);
	}
	/* The socket is the first descriptor. */
	for (size_t i = 0; i < luggage->n; i++)
		sockets.fds[sockets.n++] = luggage->fds[i];
	sockets.flags |= luggage->flags;
	*luggage = sockets;
	return BERTH_PROBE_PENDING;
}

static int send_probe(struct berth_remote *remote, const struct berth_probe *probe, const struct luggage *luggage)
{
	const struct berth_health_config *check = probe->key.check;
	static struct berth_helper_probe message; /* its unused part is never sent */
	message.header = (struct berth_helper_header){.type = BERTH_HELPER_PROBE, .id = probe->cookie};
	message.address = probe->key.address;
	message.port = (uint16_t)probe->key.port;
	message.flags = luggage->flags;
	memcpy(&message.check, check, berth_helper_check_bytes(check->type));
	return berth_helper_send(remote->helper, &message.header, berth_helper_probe_bytes(check->type),
				 luggage->fds, luggage->n);
}

static enum berth_probe_result start(struct berth_probe *probe)
{
	struct berth_remote *remote = probe->shared;
	struct luggage luggage = {0};
	const struct berth_helper_status *status = berth_helper_status(remote->helper);
	if (!status->is_running) {
		berth_probe_set_reason(probe, "berth's helper for probes does not run: %s", status->fault);
		return BERTH_PROBE_HOST_ERROR;
	}
	enum berth_probe_result result = pack(probe, &luggage);
	if (result != BERTH_PROBE_PENDING)
		return result;
	int err = take_slot(remote, probe) ? 0 : -ENOMEM;
	if (err) {
		for (size_t i = 0; i < luggage.n; i++)
			close(luggage.fds[i]);
		return berth_probe_fail(probe, -err);
	}
	err = send_probe(remote, probe, &luggage);
	if (!err)
		return BERTH_PROBE_PENDING;
	free_slot(remote, probe);
	return berth_probe_fail(probe, ENOBUFS);
}

static void cancel(struct berth_probe *probe)
{
	struct berth_remote *remote = probe->shared;
	struct berth_helper_header message = {.type = BERTH_HELPER_CANCEL, .id = probe->cookie};
	free_slot(remote, probe);
	berth_helper_send(remote->helper, &message, sizeof(message), NULL, 0);
}

struct berth_remote *berth_remote_new(struct berth_helper *helper)
{
	struct berth_remote *remote = calloc(1, sizeof(*remote));
	if (!remote)
		return NULL;
	*remote = (struct berth_remote){.helper = helper, .first_free = NO_SLOT};
	berth_helper_set_listener(
		helper, &(struct berth_helper_listener){.received = on_received, .ended = on_ended, .arg = remote});
	return remote;
}

void berth_remote_free(struct berth_remote *remote)
{
	if (!remote)
		return;
	berth_helper_set_listener(remote->helper, &(struct berth_helper_listener){0});
	free(remote->slots);
	free(remote);
}

const struct berth_probe_ops berth_probe_remote = {.start = start, .cancel = cancel, .times_out = true};
