// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "controlplane/saved/secret.h"
#include "controlplane/store/failure.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	PERIOD_MS = 1000,
	TIMEOUT_MS = 1500, /* of a visit */
	LIFE_MS = 5000,	   /* of a value in the store */
};

struct berth_store {
	struct berth_helper *helper;
	struct berth_cluster_config config;
	berth_store_describe_fn *describe;
	void *arg;
	struct event *timer;
	struct berth_rounds *rounds;
	struct berth_store_status status;
	char password[BERTH_STORE_SECRET_BYTES];
	uint64_t id; /* of the visit */
	uint64_t visit_ms;
	bool is_visiting;
	bool has_authorities; /* the helper, for TLS */
	uint64_t refused;     /* in the visit */
	size_t turn;	      /* the server in use */
	struct berth_backoff backoff;
};

/* --- the end of a visit --- */

static void set_connected(struct berth_store *store, bool is_connected)
{
	struct berth_store_status *status = &store->status;
	if (status->is_connected != is_connected)
		status->since_ms = berth_clock_ms();
	status->is_connected = is_connected;
	if (status->is_alarm == !is_connected)
		return;
	status->is_alarm = !is_connected;
	if (is_connected)
		berth_log("alarm over: cluster %s: the store is reached again", store->config.name);
	else
		berth_log("ALARM: cluster %s: the store cannot be reached (%s); forwarding goes on without it",
			  store->config.name, status->error);
}

static void end_visit(struct berth_store *store)
{
	store->is_visiting = false;
	berth_peers_compare(&store->status.peers, store->config.name, &store->status.own, berth_clock_ms());
}

static void fail(struct berth_store *store, const char *reason)
{
	berth_failure_copy(store->status.error, reason);
	store->status.failures++;
	store->has_authorities = false;
	set_connected(store, false);
	berth_rounds_forbid(store->rounds);
	end_visit(store);
	store->turn++;
	berth_timer_set(store->timer, berth_backoff_next(&store->backoff));
}

static void set_refused(struct berth_store *store, uint64_t now)
{
	struct berth_store_status *status = &store->status;
	const uint64_t before = status->refused_now;
	status->refused += now;
	status->refused_now = now;
	if (now && !before)
		berth_log("ALARM: cluster %s: the store has %" PRIu64
			  " values that are not from nodes; they are ignored",
			  store->config.name, now);
	else if (!now && before)
		berth_log("alarm over: cluster %s: the store has values from nodes alone", store->config.name);
}

static void succeed(struct berth_store *store, const struct berth_helper_store_visited *answer)
{
	const uint64_t spent_ms = berth_clock_ms() - store->visit_ms;
	struct berth_store_status *status = &store->status;
	status->server = answer->server;
	set_refused(store, store->refused + answer->refused);
	set_connected(store, true);
	end_visit(store);
	berth_rounds_allow(store->rounds, &answer->server, store->password);
	store->backoff = (struct berth_backoff){0};
	berth_timer_set(store->timer, spent_ms < PERIOD_MS ? PERIOD_MS - spent_ms : 0);
}

/* --- what comes from the helper --- */

/* The value before this visit is of a former visit, or of a former berthd that has ended. */
static void check_own(struct berth_store *store, const struct berth_presence *presence)
{
	struct berth_store_status *status = &store->status;
	const bool is_doubled = status->is_connected && presence->epoch != status->own.epoch;
	if (is_doubled && !status->is_doubled)
		berth_log("ALARM: cluster %s: another berthd has the same name of a node, %s; give each node a "
			  "name of "
			  "its own in `cluster.node`",
			  store->config.name, store->config.node);
	else if (!is_doubled && status->is_doubled)
		berth_log("alarm over: cluster %s: no other berthd is called %s", store->config.name,
			  store->config.node);
	status->is_doubled = is_doubled;
}

/* Returns false if it is not from a node, or there is no room for another one. */
static bool take_node(struct berth_store *store, const struct berth_helper_store_node *message)
{
	struct berth_presence presence;
	if (!berth_presence_parse(&presence, message->name, message->value, message->bytes))
		return false;
	if (strcmp(presence.node, store->config.node) != 0)
		return berth_peers_take(&store->status.peers, &presence, berth_clock_ms());
	check_own(store, &presence);
	return true;
}

static bool on_node(struct berth_store *store, const struct berth_helper_header *header)
{
	const struct berth_helper_store_node *message = (const struct berth_helper_store_node *)header;
	if (header->bytes != sizeof(*message) || message->bytes > sizeof(message->value) ||
	    !memchr(message->name, 0, sizeof(message->name)))
		return false;
	store->refused += !take_node(store, message);
	return true;
}

static bool on_visited(struct berth_store *store, const struct berth_helper_header *header)
{
	const struct berth_helper_store_visited *answer = (const struct berth_helper_store_visited *)header;
	if (header->bytes != sizeof(*answer) || !memchr(answer->reason, 0, sizeof(answer->reason)))
		return false;
	if (answer->failed)
		fail(store, answer->reason);
	else
		succeed(store, answer);
	return true;
}

static bool on_received(void *arg, const struct berth_helper_header *message)
{
	struct berth_store *store = arg;
	const bool is_node = message->type == BERTH_HELPER_STORE_NODE;
	if (!is_node && message->type != BERTH_HELPER_STORE_VISITED)
		return berth_rounds_received(store->rounds, message);
	if (!store->is_visiting || message->id != store->id)
		return true;
	return is_node ? on_node(store, message) : on_visited(store, message);
}

static void on_ended(void *arg)
{
	struct berth_store *store = arg;
	store->has_authorities = false;
	berth_rounds_helper_ended(store->rounds);
	if (store->is_visiting)
		fail(store, "berth's helper for the store ended");
}

/* --- a visit --- */

/* Read when a connection begins: another password needs no other configuration. -EINVAL with the reason. */
static int read_password(struct berth_store *store, char error[BERTH_ERROR_BYTES])
{
	const char *path = store->config.store.password_file;
	char reason[BERTH_ERROR_BYTES];
	size_t length = 0;
	if (!path[0] || store->status.is_connected)
		return 0;
	char *text = berth_secret_read_file(path, &length, reason);
	const size_t n = text ? strcspn(text, "\r\n") : 0;
	if (text && (!n || n >= sizeof(store->password) || text[n + strspn(text + n, "\r\n")])) {
		snprintf(reason, sizeof(reason), "it is not one line of 1 to %zu bytes",
			 sizeof(store->password) - 1);
	} else if (text) {
		memcpy(store->password, text, n);
		store->password[n] = 0;
		reason[0] = 0;
	}
	free(text);
	if (reason[0])
		snprintf(error, BERTH_ERROR_BYTES, "password-file %s cannot be used: %s", path, reason);
	return reason[0] ? -EINVAL : 0;
}

/* The authorities are sent when a connection begins, and to a new helper. Returns the number of descriptors, or
 * -EINVAL with the reason. */
static int open_authorities(const struct berth_store *store, int *fd, char error[BERTH_ERROR_BYTES])
{
	const char *path = store->config.store.tls_ca;
	if (!path[0] || store->has_authorities)
		return 0;
	*fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (*fd >= 0)
		return 1;
	snprintf(error, BERTH_ERROR_BYTES, "tls.ca %s cannot be used: %s", path, strerror(errno));
	return -EINVAL;
}

static int send_visit(struct berth_store *store, const int *fds, size_t n_fds)
{
	const struct berth_store_config *config = &store->config.store;
	struct berth_helper_store_visit message = {
		.header = {.type = BERTH_HELPER_STORE_VISIT, .id = ++store->id},
		.server = config->servers[store->turn % config->n_servers],
		.timeout_ms = TIMEOUT_MS,
		.life_ms = LIFE_MS,
	};
	memcpy(message.sentinel, config->sentinel, sizeof(message.sentinel));
	memcpy(message.username, config->username, sizeof(message.username));
	memcpy(message.password, store->password, sizeof(message.password));
	memcpy(message.cluster, store->config.name, sizeof(message.cluster));
	memcpy(message.node, store->config.node, sizeof(message.node));
	message.uses_tls = config->tls_ca[0] != 0;
	memcpy(message.tls_name, config->tls_name, sizeof(message.tls_name));
	int err = berth_presence_format(&store->status.own, message.value);
	if (!err)
		return berth_helper_send(store->helper, &message.header, sizeof(message), fds, n_fds);
	if (n_fds)
		close(fds[0]);
	return err;
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_store *store = arg;
	struct berth_store_status *status = &store->status;
	char error[BERTH_ERROR_BYTES];
	store->visit_ms = berth_clock_ms();
	store->refused = 0;
	status->visits++;
	status->own.beat++;
	store->describe(store->arg, &status->own);
	int authorities = -1;
	const int n_fds = read_password(store, error) ? -EINVAL : open_authorities(store, &authorities, error);
	if (n_fds < 0) {
		fail(store, error);
		return;
	}
	int err = send_visit(store, &authorities, (size_t)n_fds);
	store->is_visiting = !err;
	store->has_authorities = !err;
	if (err)
		fail(store, err == -ENOTCONN ? "berth's helper for the store does not run" : strerror(-err));
}

struct berth_store *berth_store_new(struct event_base *base, struct berth_helper *helper,
				    const struct berth_cluster_config *config, berth_store_describe_fn *describe,
				    void *arg)
{
	struct berth_store *store = calloc(1, sizeof(*store));
	if (!store)
		return NULL;
	*store = (struct berth_store){
		.helper = helper,
		.config = *config,
		.describe = describe,
		.arg = arg,
		.status.since_ms = berth_clock_ms(),
	};
	memcpy(store->status.own.node, config->node, sizeof(config->node));
	store->timer = evtimer_new(base, on_timer, store);
	if (getrandom(&store->status.own.epoch, sizeof(uint64_t), 0) == sizeof(uint64_t))
		store->rounds = berth_rounds_new(base, helper, &store->config, store->status.own.epoch);
	if (!store->timer || !store->rounds) {
		berth_store_free(store);
		return NULL;
	}
	berth_helper_set_listener(
		helper, &(struct berth_helper_listener){.received = on_received, .ended = on_ended, .arg = store});
	berth_timer_set(store->timer, 0);
	return store;
}

void berth_store_free(struct berth_store *store)
{
	if (!store)
		return;
	berth_helper_set_listener(store->helper, &(struct berth_helper_listener){0});
	if (store->timer)
		event_free(store->timer);
	berth_rounds_free(store->rounds);
	explicit_bzero(store->password, sizeof(store->password));
	free(store);
}

const struct berth_store_status *berth_store_status(const struct berth_store *store)
{
	return &store->status;
}

/* --- records --- */

void berth_store_set_listener(struct berth_store *store, const struct berth_store_listener *listener)
{
	berth_rounds_set_listener(store->rounds, listener);
}

int berth_store_follow_services(struct berth_store *store, const struct berth_followed_wish *wishes, size_t n)
{
	return berth_rounds_follow(store->rounds, wishes, n);
}

void berth_store_read_again(struct berth_store *store, uint64_t service)
{
	berth_rounds_read_again(store->rounds, service);
}

void berth_store_read_missed(struct berth_store *store)
{
	berth_rounds_read_missed(store->rounds);
}

bool berth_store_tell(struct berth_store *store, uint64_t service, const uint8_t *batch, size_t bytes)
{
	return berth_rounds_tell(store->rounds, service, batch, bytes);
}

const struct berth_store_records *berth_store_records(const struct berth_store *store)
{
	return berth_rounds_status(store->rounds);
}

uint64_t berth_store_refused_records(const struct berth_store *store, const struct berth_receiver *receiver)
{
	return berth_store_records(store)->refused_entries +
	       berth_receiver_refused(berth_receiver_counts(receiver));
}
