// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/dns_backends.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api/plural.h"
#include "controlplane/daemon/private.h"
#include "controlplane/netlink/rtnl.h"
#include "controlplane/saved/directory.h"
#include "controlplane/tables/usage.h"
#include "controlplane/util/address.h"
#include "controlplane/util/log.h"

#define FILE_NAME "dns.json"

enum {
	LEAVING_MS = 1000, /* between two checks of draining backends; a scan of the tables takes as long */
	OWN_TRIES = 5,	   /* reads of the host's addresses, which may change meanwhile */
	MAX_TOLD = 1024,   /* skipped addresses that are compared with the former ones */
};

struct berth_dns_backends {
	struct berth_daemon *daemon;
	berth_dns_backends_fn *renew;
	struct berth_dns_state state;
	struct berth_dns_expansion expansion; /* of the configuration in force */
	struct berth_dns_expansion next;      /* of the staged one, or of one that is only read */
	struct berth_dns_member *members;     /* staged; NULL: no stage */
	size_t n_members;
	struct berth_dns_resolver *resolver;
	struct event *leaving; /* pending while some backend drains */
	char *saved;	       /* content of the file */
	bool save_failed;
};

const struct berth_dns_state *berth_dns_backends_state(const struct berth_daemon *daemon)
{
	return &daemon->dns->state;
}

const struct berth_dns_expansion *berth_dns_backends_expansion(const struct berth_daemon *daemon)
{
	return &daemon->dns->expansion;
}

const struct berth_dns_resolver *berth_dns_backends_resolver(const struct berth_daemon *daemon)
{
	return daemon->dns->resolver;
}

/* --- the file --- */

static void load(struct berth_dns_backends *dns)
{
	const struct berth_saved_directory *directory = &dns->daemon->directory;
	size_t length = 0;
	char error[BERTH_ERROR_BYTES];
	char *text = berth_saved_read(directory, FILE_NAME, &length, error);
	if (text && berth_dns_state_parse(&dns->state, text, length))
		snprintf(error, sizeof(error), "its content is damaged");
	if (error[0])
		berth_saved_set_aside(directory, FILE_NAME, error, dns->daemon->state.saved_damage);
	free(text);
}

/* Writes no file while there is nothing to write. */
static void save(struct berth_dns_backends *dns)
{
	bool empty = !dns->state.n_answers && !dns->state.n_members && !dns->saved;
	char *text = empty ? NULL : berth_dns_state_format(&dns->state);
	if (!text || (dns->saved && strcmp(text, dns->saved) == 0)) {
		free(text);
		return;
	}
	char error[BERTH_ERROR_BYTES];
	int err = berth_saved_write(&dns->daemon->directory, FILE_NAME, text, error);
	if (err && !dns->save_failed)
		berth_log("%s; berthd could not use these addresses after a restart without DNS", error);
	dns->save_failed = err != 0;
	free(dns->saved);
	dns->saved = err ? NULL : text;
	if (err)
		free(text);
}

/* --- from DNS to the model --- */

/* Reads the host's addresses. Some of them, if the host has more than there is room for. */
static int read_own(union berth_addr addresses[BERTH_MAX_OWN], struct berth_own_addresses *own)
{
	int err = -EINTR;
	for (int tries = 0; err == -EINTR && tries < OWN_TRIES; tries++)
		err = berth_rtnl_own_addresses(addresses, BERTH_MAX_OWN, &own->n);
	own->addresses = addresses;
	own->is_truncated = err == -E2BIG;
	return own->is_truncated ? 0 : err;
}

bool berth_dns_backends_has_names(const struct berth_config *config)
{
	for (size_t i = 0; i < config->n_services; i++)
		if (config->services[i].n_sources)
			return true;
	return false;
}

static int expand(struct berth_dns_backends *dns, struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	union berth_addr addresses[BERTH_MAX_OWN];
	struct berth_own_addresses own = {0};
	int err = berth_dns_backends_has_names(config) ? read_own(addresses, &own) : 0;
	if (err) {
		snprintf(error, BERTH_ERROR_BYTES,
			 "cannot read the addresses of this host, which are no backends from DNS: %s",
			 strerror(-err));
		return err;
	}
	err = berth_dns_expand(config, &dns->state, &own, &dns->next);
	if (err)
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return err;
}

int berth_dns_backends_expand(struct berth_daemon *daemon, struct berth_config *config,
			      char error[BERTH_ERROR_BYTES])
{
	struct berth_dns_backends *dns = daemon->dns;
	bool first = daemon->model.config == NULL;
	berth_dns_expansion_clear(&dns->next);
	int err = expand(dns, config, error);
	if (err)
		return err;
	if (dns->next.n_over_limit <= dns->expansion.n_over_limit)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES,
		 "no room for %zu address%s from DNS; raise limits.backends (%u) or table-size",
		 dns->next.n_over_limit, BERTH_PLURAL_ES(dns->next.n_over_limit), config->limits.backends);
	if (first)
		berth_log("%s", error);
	return first ? 0 : -ENOSPC;
}

static bool was_skipped(const struct berth_dns_expansion *expansion, const struct berth_dns_skipped *skipped)
{
	for (size_t i = 0; i < expansion->n_skipped && i < MAX_TOLD; i++) {
		const struct berth_dns_skipped *one = &expansion->skipped[i];
		if (berth_addr_equal(&one->address, &skipped->address) &&
		    strcmp(one->service, skipped->service) == 0 && strcmp(one->reason, skipped->reason) == 0)
			return true;
	}
	return false;
}

/* Logs the first newly skipped address; `show dns` lists all. */
static void log_skipped(const struct berth_dns_backends *dns)
{
	char text[BERTH_ADDRESS_TEXT];
	for (size_t i = 0; i < dns->next.n_skipped && i < MAX_TOLD; i++) {
		const struct berth_dns_skipped *skipped = &dns->next.skipped[i];
		if (was_skipped(&dns->expansion, skipped))
			continue;
		berth_log("dns %s: %s is no backend of %s: %s; `berthctl show dns` lists all", skipped->dns,
			  berth_address_format(&skipped->address, text), skipped->service, skipped->reason);
		return;
	}
}

static bool has_leaving(const struct berth_model *model)
{
	for (size_t i = 0; i < model->n_services; i++)
		for (size_t j = 0; j < model->services[i].n_backends; j++)
			if (model->services[i].backends[j].config.leaving)
				return true;
	return false;
}

int berth_dns_backends_stage(struct berth_daemon *daemon, struct berth_config *config,
			     char error[BERTH_ERROR_BYTES])
{
	struct berth_dns_backends *dns = daemon->dns;
	int err = berth_dns_backends_expand(daemon, config, error);
	if (err)
		return err;
	dns->members = berth_dns_state_stage(&dns->state, config, &dns->n_members);
	if (dns->members && !berth_dns_resolver_stage(dns->resolver, config))
		return 0;
	free(dns->members);
	dns->members = NULL;
	snprintf(error, BERTH_ERROR_BYTES, "out of memory");
	return -ENOMEM;
}

void berth_dns_backends_drop(struct berth_daemon *daemon)
{
	struct berth_dns_backends *dns = daemon->dns;
	berth_dns_resolver_drop(dns->resolver);
	free(dns->members);
	dns->members = NULL;
}

void berth_dns_backends_commit(struct berth_daemon *daemon)
{
	const struct timeval soon = {.tv_sec = LEAVING_MS / 1000, .tv_usec = LEAVING_MS % 1000 * 1000};
	struct berth_dns_backends *dns = daemon->dns;
	log_skipped(dns);
	berth_dns_expansion_clear(&dns->expansion);
	dns->expansion = dns->next;
	dns->next = (struct berth_dns_expansion){0};
	berth_dns_state_commit(&dns->state, daemon->model.config, dns->members, dns->n_members);
	dns->members = NULL;
	berth_dns_resolver_commit(dns->resolver, daemon->model.config);
	save(dns);
	if (has_leaving(&daemon->model) && !event_pending(dns->leaving, EV_TIMEOUT, NULL))
		event_add(dns->leaving, &soon);
}

/* --- answers, and backends that leave --- */

/* Whether a backend that DNS still has is eligible for new clients, and not only for want of a better one.
 * `written`: the service in the configuration. */
static bool has_eligible(const struct berth_dns_state *state, const struct berth_model_service *service,
			 const struct berth_service_config *written)
{
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		if (backend->is_kept || !(berth_model_eligibility(backend) & BERTH_ELIGIBLE_NEW))
			continue;
		if (!berth_dns_state_has_left(state, written, &backend->config))
			return true;
	}
	return false;
}

/* A name may get new servers before they are up. Until one is, backends that have left DNS and are up stay eligible
 * for new clients. True: the weight of a leaving backend is to change. */
static bool hold(struct berth_dns_backends *dns)
{
	const struct berth_model *model = &dns->daemon->model;
	bool changed = false;
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_service_config *written = &model->config->services[i];
		const struct berth_model_service *service = &model->services[i];
		bool held = written->n_sources && !has_eligible(&dns->state, service, written);
		for (size_t j = 0; written->n_sources && j < service->n_backends; j++) {
			const struct berth_backend_config *backend = &service->backends[j].config;
			if (berth_dns_state_has_left(&dns->state, written, backend))
				changed |= berth_dns_state_set_retained(&dns->state, service->id, backend, held);
		}
	}
	return changed;
}

/* Writes the addresses that `a` has and `b` does not: "2 new (192.0.2.13, ...)". */
static int describe(char *text, size_t size, const char *what, const struct berth_dns_answer *a,
		    const struct berth_dns_answer *b)
{
	char first[BERTH_ADDRESS_TEXT] = "";
	size_t n = 0;
	for (size_t i = 0; i < a->n; i++) {
		if (berth_dns_answer_contains(b, &a->addresses[i]))
			continue;
		if (!n++)
			berth_address_format(&a->addresses[i], first);
	}
	return n ? snprintf(text, size, ", %zu %s (%s%s)", n, what, first, n > 1 ? ", ..." : "") : 0;
}

static void log_change(const char *name, const struct berth_dns_answer *before, const struct berth_dns_answer *now)
{
	char text[256] = "";
	int used = describe(text, sizeof(text), "new", now, before);
	describe(text + used, sizeof(text) - (size_t)used, "gone", before, now);
	berth_log("dns %s: %zu address%s%s", name, now->n, BERTH_PLURAL_ES(now->n), text);
}

/* Exchanges the addresses of `name` with `answer`, and applies the configuration again. On an error all is as
 * before. */
static int exchange(struct berth_dns_backends *dns, const char *name, struct berth_dns_answer *answer,
		    char error[BERTH_ERROR_BYTES])
{
	if (berth_dns_state_exchange(&dns->state, name, answer)) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	hold(dns);
	int err = dns->renew(dns->daemon, error);
	if (!err)
		return 0;
	berth_dns_state_exchange(&dns->state, name, answer);
	hold(dns);
	return err;
}

/* A name has other addresses. They are applied when this returns 0, else all is as before. */
static int on_changed(void *arg, const char *name, const union berth_addr *addresses, size_t n,
		      char error[BERTH_ERROR_BYTES])
{
	struct berth_dns_backends *dns = arg;
	struct berth_dns_answer answer = {.addresses = calloc(n + 1, sizeof(*addresses)), .n = n};
	if (!answer.addresses) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	memcpy(answer.addresses, addresses, n * sizeof(*addresses));
	int err = exchange(dns, name, &answer, error);
	if (!err)
		log_change(name, &answer, berth_dns_state_answer(&dns->state, name));
	free(answer.addresses);
	return err;
}

/* Removes backends that have left DNS and are down or drained from the members. Returns how many. */
static size_t remove_drained(struct berth_dns_backends *dns)
{
	const struct berth_model *model = &dns->daemon->model;
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		for (size_t j = 0; j < service->n_backends; j++) {
			const struct berth_model_backend *backend = &service->backends[j];
			bool down = berth_model_health(backend) == BERTH_HEALTH_DOWN;
			bool drained = !backend->config.weight &&
				       berth_usage_is_drained(dns->daemon->scan, &dns->daemon->model, backend);
			if (!backend->config.leaving || (!down && !drained))
				continue;
			if (!berth_dns_state_remove_member(&dns->state, service->id, &backend->config))
				continue;
			berth_log_about(BERTH_ABOUT(service->config.name, backend->config.name),
					"%s/%s has left DNS and is removed: it is %s", service->config.name,
					backend->config.name, down ? "down" : "drained");
			n++;
		}
	}
	return n;
}

/* Removes drained backends; if that cannot be applied, they are members again. */
static void renew_without_drained(struct berth_dns_backends *dns)
{
	char error[BERTH_ERROR_BYTES];
	const size_t n = dns->state.n_members;
	struct berth_dns_member *before = calloc(n + 1, sizeof(*before));
	if (!before)
		return; /* tried again */
	if (n)
		memcpy(before, dns->state.members, n * sizeof(*before));
	bool changed = remove_drained(dns) > 0;
	changed |= hold(dns);
	if (!changed || !dns->renew(dns->daemon, error)) {
		free(before);
		return;
	}
	berth_dns_state_set_members(&dns->state, before, n);
	berth_log("cannot remove backends that have left DNS: %s", error);
}

static void on_leaving(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	const struct timeval soon = {.tv_sec = LEAVING_MS / 1000, .tv_usec = LEAVING_MS % 1000 * 1000};
	struct berth_dns_backends *dns = arg;
	renew_without_drained(dns);
	if (has_leaving(&dns->daemon->model))
		event_add(dns->leaving, &soon);
}

int berth_dns_backends_open(struct berth_daemon *daemon, berth_dns_backends_fn *renew)
{
	struct berth_dns_backends *dns = calloc(1, sizeof(*dns));
	if (!dns)
		return -ENOMEM;
	daemon->dns = dns;
	dns->daemon = daemon;
	dns->renew = renew;
	dns->leaving = evtimer_new(daemon->base, on_leaving, dns);
	dns->resolver = berth_dns_resolver_new(daemon->base, daemon->helpers[BERTH_HELPER_DNS], &dns->state,
					       on_changed, dns);
	if (!dns->leaving || !dns->resolver)
		return -ENOMEM;
	load(dns);
	return 0;
}

void berth_dns_backends_close(struct berth_daemon *daemon)
{
	struct berth_dns_backends *dns = daemon->dns;
	if (!dns)
		return;
	if (dns->resolver)
		berth_dns_resolver_free(dns->resolver);
	if (dns->leaving)
		event_free(dns->leaving);
	berth_dns_state_clear(&dns->state);
	berth_dns_expansion_clear(&dns->expansion);
	berth_dns_expansion_clear(&dns->next);
	free(dns->saved);
	free(dns);
}
