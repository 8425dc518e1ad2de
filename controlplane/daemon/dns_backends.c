// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/dns_backends.h"

#include <errno.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/daemon/private.h"
#include "controlplane/tables/usage.h"
#include "controlplane/util/address.h"
#include "controlplane/util/file.h"
#include "controlplane/util/log.h"

enum {
	LEAVING_MS = 1000, /* between two looks at those that drain; a scan over the tables takes as long */
	PATH_BYTES = 512,
	MAX_TOLD = 1024, /* skipped addresses that are compared with those before */
};

struct berth_dns_backends {
	struct berth_daemon *daemon;
	berth_dns_backends_fn *renew;
	struct berth_dns_state known;
	struct berth_dns_expansion expansion; /* of the configuration in force */
	struct berth_dns_expansion next;      /* of the one that is about to be */
	struct berth_dns_resolver *resolver;
	struct event *leaving; /* pending while some backend drains */
	char path[PATH_BYTES];
	char *saved; /* what the file has */
	bool save_failed;
};

const struct berth_dns_state *berth_dns_backends_state(const struct berth_daemon *daemon)
{
	return &daemon->dns->known;
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
	size_t length = 0;
	char *text = berth_file_read(dns->path, &length);
	if (!text && errno != ENOENT)
		berth_log("%s: cannot be read: %s; DNS is asked anew", dns->path, strerror(errno));
	if (!text)
		return;
	if (berth_dns_state_parse(&dns->known, text, length))
		berth_log("%s: damaged; it is not used, DNS is asked anew", dns->path);
	free(text);
}

/* Where there is nothing to know there is no file. */
static void save(struct berth_dns_backends *dns)
{
	bool empty = !dns->known.n_answers && !dns->known.n_members && !dns->saved;
	char *text = empty ? NULL : berth_dns_state_format(&dns->known);
	if (!text || (dns->saved && strcmp(text, dns->saved) == 0)) {
		free(text);
		return;
	}
	int err = berth_file_write(dns->path, text, strlen(text), 0640);
	if (err && !dns->save_failed)
		berth_log("%s: cannot be written: %s; a restart without DNS would not know these addresses",
			  dns->path, strerror(errno));
	dns->save_failed = err != 0;
	free(dns->saved);
	dns->saved = err ? NULL : text;
	if (err)
		free(text);
}

/* --- into the model --- */

int berth_dns_backends_expand(struct berth_daemon *daemon, struct berth_config *config,
			      char error[BERTH_ERROR_BYTES])
{
	struct berth_dns_backends *dns = daemon->dns;
	bool first = daemon->model.config == NULL;
	berth_dns_expansion_clear(&dns->next);
	if (berth_dns_expand(config, &dns->known, &dns->next)) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	if (dns->next.n_over_limit <= dns->expansion.n_over_limit)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES,
		 "no room for %zu addresses from DNS; raise limits.backends (%u) or table-size and restart berthd",
		 dns->next.n_over_limit, config->limits.backends);
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

/* The first that is newly skipped; `show dns` has them all. */
static void tell_skipped(const struct berth_dns_backends *dns)
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

int berth_dns_backends_follow(struct berth_daemon *daemon)
{
	const struct timeval soon = {.tv_sec = LEAVING_MS / 1000, .tv_usec = LEAVING_MS % 1000 * 1000};
	struct berth_dns_backends *dns = daemon->dns;
	tell_skipped(dns);
	berth_dns_expansion_clear(&dns->expansion);
	dns->expansion = dns->next;
	dns->next = (struct berth_dns_expansion){0};
	if (berth_dns_state_update(&dns->known, daemon->model.config) ||
	    berth_dns_resolver_update(dns->resolver, daemon->model.config))
		return -ENOMEM;
	save(dns);
	if (has_leaving(&daemon->model) && !event_pending(dns->leaving, EV_TIMEOUT, NULL))
		event_add(dns->leaving, &soon);
	return 0;
}

/* --- what DNS says --- */

/* Whether somebody of a service who stays takes new clients now. `written`: the service in the configuration. */
static bool has_taker(const struct berth_dns_state *known, const struct berth_model_service *service,
		      const struct berth_service_config *written)
{
	for (size_t i = 0; i < service->n_backends; i++) {
		const struct berth_model_backend *backend = &service->backends[i];
		if (!(berth_model_eligibility(backend) & BERTH_ELIGIBLE_NEW))
			continue;
		if (!berth_dns_state_has_left(known, written, &backend->config))
			return true;
	}
	return false;
}

/* A name may have other servers before they are up: until one is, those that have left DNS and are up take new
 * clients. True: who leaves is to have another weight than it has. */
static bool hold(struct berth_dns_backends *dns)
{
	const struct berth_model *model = &dns->daemon->model;
	bool changed = false;
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_service_config *written = &model->config->services[i];
		const struct berth_model_service *service = &model->services[i];
		bool held = written->n_sources && !has_taker(&dns->known, service, written);
		for (size_t j = 0; written->n_sources && j < service->n_backends; j++) {
			const struct berth_backend_config *backend = &service->backends[j].config;
			if (berth_dns_state_has_left(&dns->known, written, backend))
				changed |= berth_dns_state_set_retained(&dns->known, service->id, backend, held);
		}
	}
	return changed;
}

/* "2 new (192.0.2.13, ...)"; what `a` has and `b` has not. */
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

static void tell_change(const char *name, const struct berth_dns_answer *before, const struct berth_dns_answer *now)
{
	char text[256] = "";
	int used = describe(text, sizeof(text), "new", now, before);
	describe(text + used, sizeof(text) - (size_t)used, "gone", before, now);
	berth_log("dns %s: %zu addresses%s", name, now->n, text);
}

/* A copy of what is known of a name, which may be nothing. -ENOMEM. */
static int remember(const struct berth_dns_state *known, const char *name, struct berth_dns_answer *copy)
{
	const struct berth_dns_answer *answer = berth_dns_state_answer(known, name);
	*copy = (struct berth_dns_answer){.n = answer ? answer->n : 0};
	copy->addresses = calloc(copy->n + 1, sizeof(*copy->addresses));
	if (!copy->addresses)
		return -ENOMEM;
	if (answer)
		memcpy(copy->addresses, answer->addresses, copy->n * sizeof(*copy->addresses));
	return 0;
}

static void go_back(struct berth_dns_backends *dns, const char *name, const struct berth_dns_answer *before)
{
	char error[BERTH_ERROR_BYTES];
	if (berth_dns_state_set_answer(&dns->known, name, before->addresses, before->n) ||
	    dns->renew(dns->daemon, error))
		berth_log("dns %s: cannot go back to the addresses before", name);
}

/* Another answer for one name: in force when this returns, or all is as it was. */
static int on_changed(void *arg, const char *name, const union berth_addr *addresses, size_t n,
		      char error[BERTH_ERROR_BYTES])
{
	struct berth_dns_backends *dns = arg;
	struct berth_dns_answer before;
	int err = remember(&dns->known, name, &before);
	if (!err)
		err = berth_dns_state_set_answer(&dns->known, name, addresses, n);
	if (!err) {
		hold(dns);
		err = dns->renew(dns->daemon, error);
		if (err)
			go_back(dns, name, &before);
		else
			tell_change(name, &before, berth_dns_state_answer(&dns->known, name));
	}
	free(before.addresses);
	return err;
}

/* Those that need not stay any longer are forgotten; how many. */
static size_t forget_drained(struct berth_dns_backends *dns)
{
	const struct berth_model *model = &dns->daemon->model;
	size_t n = 0;
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		for (size_t j = 0; j < service->n_backends; j++) {
			const struct berth_model_backend *backend = &service->backends[j];
			bool down = berth_model_health(backend) == BERTH_HEALTH_DOWN;
			bool drained = !backend->config.weight &&
				       berth_usage_is_drained(dns->daemon->scan, &dns->daemon->model, service,
							      backend);
			if (!backend->config.leaving || (!down && !drained))
				continue;
			if (!berth_dns_state_remove_member(&dns->known, service->id, &backend->config))
				continue;
			berth_log("%s/%s has left DNS, and berth: %s", service->config.name, backend->config.name,
				  down ? "it is down" : "nothing of it is left");
			n++;
		}
	}
	return n;
}

static void on_leaving(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	const struct timeval soon = {.tv_sec = LEAVING_MS / 1000, .tv_usec = LEAVING_MS % 1000 * 1000};
	struct berth_dns_backends *dns = arg;
	char error[BERTH_ERROR_BYTES];
	bool changed = forget_drained(dns) > 0;
	changed |= hold(dns);
	if (changed && dns->renew(dns->daemon, error))
		berth_log("cannot take away backends that have left DNS: %s", error);
	if (has_leaving(&dns->daemon->model))
		event_add(dns->leaving, &soon);
}

int berth_dns_backends_open(struct berth_daemon *daemon, berth_dns_backends_fn *renew)
{
	struct berth_dns_backends *dns = calloc(1, sizeof(*dns));
	const struct berth_engine_paths *paths = &daemon->options.paths;
	if (!dns)
		return -ENOMEM;
	daemon->dns = dns;
	dns->daemon = daemon;
	dns->renew = renew;
	snprintf(dns->path, sizeof(dns->path), "%s/%s.dns", paths->run_dir, paths->instance);
	dns->leaving = evtimer_new(daemon->base, on_leaving, dns);
	dns->resolver = berth_dns_resolver_new(daemon->base, &dns->known, on_changed, dns);
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
	berth_dns_state_clear(&dns->known);
	berth_dns_expansion_clear(&dns->expansion);
	berth_dns_expansion_clear(&dns->next);
	free(dns->saved);
	free(dns);
}
