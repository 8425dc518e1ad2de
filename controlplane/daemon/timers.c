// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/timers.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <time.h>

#include "controlplane/capture/session.h"
#include "controlplane/daemon/agents.h"
#include "controlplane/daemon/cluster/exceptions.h"
#include "controlplane/daemon/engine_restart.h"
#include "controlplane/daemon/node.h"
#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/daemon/saved_state.h"
#include "controlplane/model/effective_weight.h"
#include "controlplane/model/eligible.h"
#include "controlplane/model/former_rows.h"
#include "controlplane/model/panic.h"
#include "controlplane/model/path_mtu.h"
#include "controlplane/tables/former_tables.h"
#include "controlplane/tables/limited.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"

enum {
	HURRY_US = BERTH_LOAD_TICK_MS * 1000 / 2, /* processor time of a tick's scan when rows have changed */
	SETTLE_MS =
		3000, /* after a configuration, until a service that has had no eligible backend yet is an alarm */
	SAMPLE_MS = 30000, /* of the interfaces' statistics */
};

static uint64_t thread_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void publish_eligibility(void *arg, const struct berth_model_backend *backend)
{
	berth_publication_eligibility(arg, backend);
}

static void log_panic(const struct berth_model_service *service)
{
	size_t n, down;
	berth_panic_count(service, &n, &down);
	if (service->panic)
		berth_log_about(
			BERTH_ABOUT(service->config.name, NULL),
			"ALARM: %s: %zu of %zu backends are down, more than %u%%: the last ones that were up "
			"stay in use",
			service->config.name, down, n, service->config.panic_percent);
	else
		berth_log_about(BERTH_ABOUT(service->config.name, NULL),
				"alarm over: %s: %zu of %zu backends are down", service->config.name, down, n);
}

/* What an update has changed, also one of a stage or at the start. */
static void log_after_panic(struct berth_model_service *service)
{
	const char *name = service->config.name;
	const bool is_after = service->after_panic_until_ms != 0;
	if (is_after && !service->after_panic_logged)
		berth_log_about(BERTH_ABOUT(name, NULL),
				"%s: backends that stayed in use and are down keep their flows and sessions for "
				"up to %" PRIu64 " ms more",
				name, service->after_panic_until_ms - service->panic_updated_ms);
	if (service->after_panic_lost != service->after_panic_lost_logged)
		berth_log_about(
			BERTH_ABOUT(name, NULL),
			"%s: %" PRIu32 " of %zu backends lose their flows and sessions: they are still down after "
			"the panic",
			name, service->after_panic_lost - service->after_panic_lost_logged, service->n_backends);
	service->after_panic_logged = is_after;
	service->after_panic_lost_logged = service->after_panic_lost;
}

static bool follow_panic(struct berth_daemon *daemon, struct berth_model_service *service)
{
	bool changed = berth_panic_update(service, berth_clock_ms());
	for (size_t j = 0; changed && j < service->n_backends; j++)
		publish_eligibility(daemon, &service->backends[j]);
	if (service->panic != service->panic_logged)
		log_panic(service);
	service->panic_logged = service->panic;
	log_after_panic(service);
	return changed;
}

/* Logs that a service has lost its last eligible backend, or has one again. */
static void follow_eligible(struct berth_daemon *daemon)
{
	const bool is_settled = berth_clock_ms() - daemon->installed_ms >= SETTLE_MS;
	for (size_t i = 0; i < daemon->model.n_services; i++) {
		struct berth_model_service *service = &daemon->model.services[i];
		struct berth_eligible_count count;
		char reasons[BERTH_INELIGIBLE_TEXT];
		if (!berth_eligible_update(service, is_settled))
			continue;
		berth_eligible_count(service, &count);
		berth_eligible_explain(&count, reasons);
		if (service->no_eligible)
			berth_log_about(BERTH_ABOUT(service->config.name, NULL),
					"ALARM: %s: no eligible backend: %s", service->config.name, reasons);
		else
			berth_log_about(BERTH_ABOUT(service->config.name, NULL),
					"alarm over: %s: %zu of %zu backends are eligible", service->config.name,
					count.eligible, count.n);
	}
}

/* Logs that new flows of a service are over its limits, or no longer. */
static void follow_limits(struct berth_daemon *daemon)
{
	for (size_t i = 0; i < daemon->model.n_services; i++) {
		struct berth_model_service *service = &daemon->model.services[i];
		if (!berth_limited_update(&daemon->engine->image, service, berth_clock_ms()))
			continue;
		if (service->is_limited)
			berth_log_about(BERTH_ABOUT(service->config.name, NULL),
					"ALARM: %s: new flows are over a limit (new-flows), and dropped",
					service->config.name);
		else
			berth_log_about(BERTH_ABOUT(service->config.name, NULL),
					"alarm over: %s: new flows are within the limits", service->config.name);
	}
}

static void take_losses(const struct berth_daemon *daemon, struct berth_rtnl *rtnl,
			struct berth_link_sample *sample)
{
	for (size_t i = 0; i < daemon->model.config->n_interfaces; i++) {
		sample->ifindex[i] = daemon->model.ports[i].ifindex;
		if (berth_rtnl_link_losses(rtnl, sample->ifindex[i], &sample->losses[i]))
			sample->ifindex[i] = 0;
	}
}

/* What the interfaces lose: a sample if one is due. */
static void follow_losses(struct berth_daemon *daemon)
{
	struct berth_link_watch *watch = &daemon->state.link_watch;
	struct berth_link_sample sample = {.at_ms = berth_clock_ms()};
	struct berth_rtnl rtnl;
	if ((watch->newer.at_ms && sample.at_ms - watch->newer.at_ms < SAMPLE_MS) || berth_rtnl_open(&rtnl))
		return;
	take_losses(daemon, &rtnl, &sample);
	berth_rtnl_close(&rtnl);
	watch->older = watch->newer.at_ms ? watch->newer : sample;
	watch->newer = sample;
}

void berth_timers_request(struct berth_daemon *daemon)
{
	const struct timeval soon = {.tv_usec = 1000};
	event_add(daemon->step_event, &soon);
}

/* Many backends may fail together: the step that reads all of them runs once for all. */
void berth_timers_follow_health(struct berth_daemon *daemon, struct berth_model_service *service, bool is_down)
{
	if (berth_panic_report(service, is_down))
		follow_panic(daemon, service);
	berth_timers_request(daemon);
}

/* Evicts backends whose drain has reached its deadline. Lowers *next_ms to the next deadline. */
static bool follow_deadlines(struct berth_daemon *daemon, uint64_t now_ms, uint64_t *next_ms)
{
	bool changed = false;
	for (size_t i = 0; i < daemon->model.n_services; i++) {
		const struct berth_model_service *service = &daemon->model.services[i];
		for (size_t j = 0; j < service->n_backends; j++) {
			struct berth_model_backend *backend = &service->backends[j];
			uint64_t due_ms = (uint64_t)backend->evict_at * 1000;
			if (!backend->evict_at)
				continue;
			if (due_ms > now_ms) {
				*next_ms = due_ms < *next_ms ? due_ms : *next_ms;
				continue;
			}
			berth_model_set_admin(&daemon->model, backend, BERTH_ADMIN_EVICTED, 0);
			publish_eligibility(daemon, backend);
			berth_log_about(BERTH_ABOUT(service->config.name, backend->config.name),
					"%s/%s is evicted: its drain has reached its deadline",
					service->config.name, backend->config.name);
			berth_saved_state_request(daemon);
			changed = true;
		}
	}
	return changed;
}

/* No news of the kernel tells that a program was detached by hand. */
static void follow_engine(const struct berth_daemon *daemon)
{
	const struct berth_engine_ops *ops = daemon->engine->ops;
	if (!ops->is_running(daemon->engine))
		ops->follow_interfaces(daemon->engine);
}

/* The times of probes, of which the next costs are made. With other schedulers, too: a plan may be about this one.
 */
static void take_responses(struct berth_daemon *daemon)
{
	for (size_t i = 0; i < daemon->model.n_services; i++) {
		const struct berth_model_service *service = &daemon->model.services[i];
		for (size_t j = 0; j < service->n_backends; j++) {
			struct berth_model_backend *backend = &service->backends[j];
			backend->response_us = berth_health_response_us(daemon->health, backend->id);
			backend->is_by_connections = false;
		}
	}
}

static void follow_delays(struct berth_daemon *daemon)
{
	const struct berth_health_delays *delays = berth_health_follow_delays(daemon->health);
	if (delays->is_behind == daemon->is_health_behind)
		return;
	daemon->is_health_behind = delays->is_behind;
	if (delays->is_behind)
		berth_log("ALARM: health checks fall behind: %u of %u in 10 s came half of their interval late or "
			  "later, because this host has too little processor time or too few descriptors for them, "
			  "or more than 16 "
			  "programs (checks of type exec) are due at once",
			  delays->of_late, delays->probes);
	else
		berth_log("alarm over: health checks are in time");
}

/* True: that completed a scan. */
static bool scan_slice(struct berth_daemon *daemon, uint32_t buckets)
{
	const bool hurries = berth_cluster_exceptions_hurry(daemon);
	const uint64_t begin = thread_us();
	bool ended;
	do
		ended = berth_scan_step(daemon->scan, buckets, berth_clock_s());
	while (!ended && hurries && thread_us() - begin < HURRY_US);
	daemon->scan_us += thread_us() - begin;
	return ended;
}

static void on_scan(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct berth_daemon *daemon = arg;
	const struct berth_geometry *g = &daemon->engine->image.geometry;
	bool needed = berth_load_is_needed(&daemon->model);
	berth_rates_step(daemon->rates, &daemon->engine->image, &daemon->model, daemon->installed_ms,
			 berth_clock_ms());
	const uint64_t all = (uint64_t)g->flow_buckets + g->session_buckets +
			     berth_former_buckets(daemon->engine->image.ctl->former_flow_bits) +
			     berth_former_buckets(daemon->engine->image.ctl->former_session_bits);
	uint32_t buckets = berth_load_buckets_per_tick(all, needed, daemon->last_scan_us);
	const bool ended = scan_slice(daemon, buckets);
	berth_cluster_exceptions_scanned(daemon, ended);
	if (!ended) {
		berth_load_update_estimates(daemon->load, &daemon->model, publish_eligibility, daemon);
		return;
	}
	daemon->last_scan_us = daemon->scan_us;
	daemon->scan_us = 0;
	daemon->model.scans++;
	take_responses(daemon);
	berth_load_update_times(daemon->load, &daemon->model, berth_clock_ms());
	berth_load_update_counts(daemon->load, &daemon->model, daemon->scan, publish_eligibility, daemon);
	follow_eligible(daemon);
	follow_limits(daemon);
	follow_delays(daemon);
	follow_engine(daemon);
	berth_engine_restart_save(daemon);
	follow_losses(daemon);
	berth_former_tables_follow(daemon->engine, daemon->scan);
	if (berth_former_rows_step(&daemon->model, berth_clock_s()))
		berth_publication_request(daemon);
	if (!daemon->state.publication.is_pending && berth_publisher_is_quiescent(daemon->publisher))
		berth_model_scan_ended(&daemon->model);
}

void berth_timers_stage(struct berth_model *model)
{
	uint64_t now_ms = berth_clock_ms(), rise_ms;
	for (size_t i = 0; i < model->n_services; i++)
		berth_panic_update(&model->services[i], now_ms);
	berth_effective_weight_step(model, now_ms, &rise_ms);
}

bool berth_timers_follow(struct berth_daemon *daemon)
{
	uint64_t now_ms = berth_clock_ms(), rise_ms, next_ms = UINT64_MAX;
	bool changed = berth_agents_follow(daemon, now_ms, &next_ms);
	for (size_t i = 0; i < daemon->model.n_services; i++)
		changed |= follow_panic(daemon, &daemon->model.services[i]);
	for (size_t i = 0; i < daemon->model.n_services; i++)
		berth_panic_next(&daemon->model.services[i], &next_ms);
	changed |= follow_deadlines(daemon, now_ms, &next_ms);
	follow_eligible(daemon);
	changed |= berth_effective_weight_step(&daemon->model, now_ms, &rise_ms);
	next_ms = rise_ms < next_ms ? rise_ms : next_ms;
	changed |= berth_path_mtu_expire(&daemon->model, now_ms, &next_ms);
	if (next_ms == UINT64_MAX) {
		event_del(daemon->step_event);
		return changed;
	}
	uint64_t wait_ms = next_ms > now_ms ? next_ms - now_ms : 1;
	const struct timeval wait = {.tv_sec = (time_t)(wait_ms / 1000),
				     .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};
	event_add(daemon->step_event, &wait);
	return changed;
}

static void on_step(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	if (berth_timers_follow(arg))
		berth_publication_request(arg);
	berth_node_follow(arg);
}

int berth_timers_open(struct berth_daemon *daemon)
{
	daemon->scan = berth_scan_new(&daemon->engine->image);
	daemon->load = berth_load_new(&daemon->engine->image);
	daemon->rates = berth_rates_new();
	daemon->capture = berth_capture_new(daemon->base, &daemon->engine);
	daemon->scan_event = event_new(daemon->base, -1, EV_PERSIST, on_scan, daemon);
	daemon->step_event = evtimer_new(daemon->base, on_step, daemon);
	return daemon->scan && daemon->load && daemon->rates && daemon->capture && daemon->scan_event &&
			       daemon->step_event
		       ? 0
		       : -ENOMEM;
}

int berth_timers_start(struct berth_daemon *daemon)
{
	const struct timeval tick = {.tv_usec = BERTH_LOAD_TICK_MS * 1000};
	return event_add(daemon->scan_event, &tick) ? -ENOMEM : 0;
}

void berth_timers_close(struct berth_daemon *daemon)
{
	berth_scan_free(daemon->scan);
	berth_load_free(daemon->load);
	berth_rates_free(daemon->rates);
	berth_capture_free(daemon->capture);
	if (daemon->scan_event)
		event_free(daemon->scan_event);
	if (daemon->step_event)
		event_free(daemon->step_event);
}
