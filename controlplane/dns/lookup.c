// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/dns/lookup.h"

#include <ares.h>
#include <arpa/nameser.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "controlplane/dns/scoped_socket.h"
#include "controlplane/util/address.h"

enum {
	TRIES = 2,				/* per server; the second has twice the timeout */
	EDNS_BYTES = 1232,			/* avoids IP fragments; c-ares repeats truncated answers over TCP */
	CAPACITY = BERTH_DNS_MAX_ADDRESSES + 1, /* one more, so that too large answers are detected */
};

struct watch {
	SLIST_ENTRY(watch) next;
	struct berth_dns_lookup *lookup;
	ares_socket_t fd;
	struct event *event;
};

/* Argument of c-ares' answer callback. */
struct question {
	struct berth_dns_lookup *lookup;
	enum berth_dns_record_type type;
};

struct berth_dns_lookup {
	struct event_base *base;
	ares_channel channel;
	struct berth_dns_scopes scopes; /* of its link-local servers */
	struct event *timer;		/* c-ares' timeouts */
	struct event *report;		/* reports from the event loop, not from inside c-ares */
	SLIST_HEAD(, watch) watches;
	struct question questions[BERTH_DNS_TYPES];
	struct berth_dns_result results[BERTH_DNS_TYPES];
	berth_dns_lookup_fn *on_results;
	void *arg;
};

static void arm_timer(struct berth_dns_lookup *lookup)
{
	struct timeval wait;
	if (ares_timeout(lookup->channel, NULL, &wait))
		event_add(lookup->timer, &wait);
	else
		event_del(lookup->timer);
}

static void on_socket(evutil_socket_t fd, short what, void *arg)
{
	struct berth_dns_lookup *lookup = ((struct watch *)arg)->lookup; /* ares_process_fd may free the watch */
	ares_process_fd(lookup->channel, what & EV_READ ? fd : ARES_SOCKET_BAD,
			what & EV_WRITE ? fd : ARES_SOCKET_BAD);
	arm_timer(lookup);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_dns_lookup *lookup = arg;
	ares_process_fd(lookup->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
	arm_timer(lookup);
}

static struct watch *find_or_create_watch(struct berth_dns_lookup *lookup, ares_socket_t fd)
{
	struct watch *watch;
	SLIST_FOREACH(watch, &lookup->watches, next)
	if (watch->fd == fd)
		return watch;
	watch = calloc(1, sizeof(*watch));
	if (!watch)
		return NULL;
	*watch = (struct watch){.lookup = lookup, .fd = fd};
	SLIST_INSERT_HEAD(&lookup->watches, watch, next);
	return watch;
}

/* c-ares sets the events that it waits for on a socket; none: it closes the socket. Without memory for a watch the
 * query times out. */
static void on_state(void *arg, ares_socket_t fd, int readable, int writable)
{
	struct berth_dns_lookup *lookup = arg;
	struct watch *watch = find_or_create_watch(lookup, fd);
	if (!watch)
		return;
	if (watch->event)
		event_free(watch->event);
	watch->event = NULL;
	if (!readable && !writable) {
		SLIST_REMOVE(&lookup->watches, watch, watch, next);
		free(watch);
		return;
	}
	short what = (short)(EV_PERSIST | (readable ? EV_READ : 0) | (writable ? EV_WRITE : 0));
	watch->event = event_new(lookup->base, fd, what, on_socket, watch);
	if (watch->event)
		event_add(watch->event, NULL);
}

static uint32_t min_ttl(uint32_t least, int ttl)
{
	uint32_t own = ttl > 0 ? (uint32_t)ttl : 0; /* a negative TTL counts as 0: RFC 2181 section 8 */
	return own < least ? own : least;
}

static int parse4(struct berth_dns_result *result, const unsigned char *answer, int length)
{
	struct ares_addrttl *records = calloc(CAPACITY, sizeof(*records));
	int n = CAPACITY;
	int status = records ? ares_parse_a_reply(answer, length, NULL, records, &n) : ARES_ENOMEM;
	for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
		berth_addr_set4(&result->addresses[result->n++], (struct berth_be32){records[i].ipaddr.s_addr});
		result->ttl_s = min_ttl(result->ttl_s, records[i].ttl);
	}
	free(records);
	return status;
}

static int parse6(struct berth_dns_result *result, const unsigned char *answer, int length)
{
	struct ares_addr6ttl *records = calloc(CAPACITY, sizeof(*records));
	int n = CAPACITY;
	int status = records ? ares_parse_aaaa_reply(answer, length, NULL, records, &n) : ARES_ENOMEM;
	for (int i = 0; status == ARES_SUCCESS && i < n; i++) {
		union berth_addr address;
		memcpy(&address, &records[i].ip6addr, sizeof(address));
		result->ttl_s = min_ttl(result->ttl_s, records[i].ttl);
		/* IPv4-mapped IPv6 addresses are not valid on the wire. */
		if (!berth_addr_is4(&address))
			result->addresses[result->n++] = address;
	}
	free(records);
	return status;
}

/* Parses an answer; returns a status of c-ares. */
static int parse(struct berth_dns_result *result, enum berth_dns_record_type type, const unsigned char *answer,
		 int length)
{
	result->addresses = calloc(CAPACITY, sizeof(*result->addresses));
	if (!result->addresses)
		return ARES_ENOMEM;
	result->ttl_s = UINT32_MAX;
	int status = type == BERTH_DNS_A ? parse4(result, answer, length) : parse6(result, answer, length);
	return status == ARES_SUCCESS && !result->n ? ARES_ENODATA : status;
}

static const char *error_text(int status)
{
	switch (status) {
	case ARES_ENOTFOUND:
		return "name not found (NXDOMAIN)";
	case ARES_ETIMEOUT:
		return "timeout";
	case ARES_ECONNREFUSED: /* c-ares also returns it for SERVFAIL and REFUSED from every server */
		return "no server answers: unreachable, SERVFAIL or REFUSED";
	default:
		return ares_strerror(status);
	}
}

static void on_answer(void *arg, int status, int timeouts, unsigned char *answer, int length)
{
	(void)timeouts;
	struct question *question = arg;
	struct berth_dns_lookup *lookup = question->lookup;
	struct berth_dns_result *result = &lookup->results[question->type];
	if (status == ARES_EDESTRUCTION)
		return;
	if (status == ARES_SUCCESS)
		status = parse(result, question->type, answer, length);
	result->status = status == ARES_SUCCESS	  ? BERTH_DNS_FOUND
			 : status == ARES_ENODATA ? BERTH_DNS_NONE
						  : BERTH_DNS_FAILED;
	if (result->status == BERTH_DNS_FAILED)
		result->error = error_text(status);
	if (result->status != BERTH_DNS_FOUND)
		result->n = 0;
	event_active(lookup->report, 0, 0);
}

static void on_report(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_dns_lookup *lookup = arg;
	bool ended = true;
	for (int type = 0; type < BERTH_DNS_TYPES; type++)
		ended = ended && lookup->results[type].status != BERTH_DNS_PENDING;
	lookup->on_results(lookup->arg, lookup->results, ended);
}

static int set_servers(ares_channel channel, const struct berth_dns_config *config)
{
	struct ares_addr_port_node nodes[BERTH_MAX_DNS_SERVERS] = {0};
	for (size_t i = 0; i < config->n_servers; i++) {
		const struct berth_dns_server *server = &config->servers[i];
		struct ares_addr_port_node *node = &nodes[i];
		node->next = i + 1 < config->n_servers ? &nodes[i + 1] : NULL;
		node->family = berth_addr_is4(&server->address) ? AF_INET : AF_INET6;
		if (node->family == AF_INET)
			memcpy(&node->addr.addr4, &server->address.byte[12], sizeof(node->addr.addr4));
		else
			memcpy(&node->addr.addr6, &server->address, sizeof(node->addr.addr6));
		node->udp_port = node->tcp_port = server->port;
	}
	return config->n_servers ? ares_set_servers_ports(channel, nodes) : ARES_SUCCESS;
}

static bool open_channel(struct berth_dns_lookup *lookup, const struct berth_dns_config *config)
{
	/* Fully qualified names only: no search list, no HOSTALIASES. */
	struct ares_options options = {
		.flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES | ARES_FLAG_EDNS,
		.timeout = (int)config->timeout_ms,
		.tries = TRIES,
		.ednspsz = EDNS_BYTES,
		.sock_state_cb = on_state,
		.sock_state_cb_data = lookup,
	};
	const int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_EDNSPSZ |
			 ARES_OPT_SOCK_STATE_CB;
	if (ares_init_options(&lookup->channel, &options, mask) != ARES_SUCCESS) {
		lookup->channel = NULL;
		return false;
	}
	berth_dns_scopes_use(&lookup->scopes, lookup->channel, config);
	return set_servers(lookup->channel, config) == ARES_SUCCESS;
}

struct berth_dns_lookup *berth_dns_lookup_new(struct event_base *base, const struct berth_dns_config *config,
					      const char *name, berth_dns_lookup_fn *on_results, void *arg)
{
	static const int types[BERTH_DNS_TYPES] = {[BERTH_DNS_A] = ns_t_a, [BERTH_DNS_AAAA] = ns_t_aaaa};
	struct berth_dns_lookup *lookup = calloc(1, sizeof(*lookup));
	if (!lookup)
		return NULL;
	*lookup = (struct berth_dns_lookup){.base = base, .on_results = on_results, .arg = arg};
	SLIST_INIT(&lookup->watches);
	lookup->timer = evtimer_new(base, on_timer, lookup);
	lookup->report = event_new(base, -1, 0, on_report, lookup);
	if (!lookup->timer || !lookup->report || !open_channel(lookup, config)) {
		berth_dns_lookup_free(lookup);
		return NULL;
	}
	for (int type = 0; type < BERTH_DNS_TYPES; type++) {
		lookup->questions[type] = (struct question){lookup, (enum berth_dns_record_type)type};
		ares_query(lookup->channel, name, ns_c_in, types[type], on_answer, &lookup->questions[type]);
	}
	arm_timer(lookup);
	return lookup;
}

void berth_dns_lookup_free(struct berth_dns_lookup *lookup)
{
	if (lookup->channel)
		ares_destroy(lookup->channel);
	if (lookup->timer)
		event_free(lookup->timer);
	if (lookup->report)
		event_free(lookup->report);
	for (int type = 0; type < BERTH_DNS_TYPES; type++)
		free(lookup->results[type].addresses);
	free(lookup);
}
