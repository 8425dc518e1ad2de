// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/agents.h"

#include <event2/event.h>
#include <stdlib.h>

#include "controlplane/daemon/private.h"
#include "controlplane/daemon/publication.h"
#include "controlplane/model/agent.h"
#include "controlplane/model/effective_weight.h"
#include "controlplane/util/log.h"

static void on_agent(void *arg, uint64_t id, const struct berth_agent_words *said, const char *line)
{
	(void)line;
	const struct timeval soon = {.tv_usec = 1000}; /* once for many agents */
	struct berth_daemon *daemon = arg;
	struct berth_model_backend *backend = berth_model_backend_by_id(&daemon->model, id, NULL);
	if (!backend || !berth_agent_hear(backend, said))
		return;
	berth_publication_agent(daemon, backend);
	event_add(daemon->step_event, &soon);
}

/* Whether a line of the log is worth it: other words, or another weight that is no small step. */
static bool is_news(const struct berth_agent_part *agent)
{
	const int percent = berth_agent_percent(&agent->said), logged = berth_agent_percent(&agent->logged);
	return agent->said.admin != agent->logged.admin || agent->said.health != agent->logged.health ||
	       abs(percent - logged) >= BERTH_AGENT_SMALL_PERCENT ||
	       (percent != logged && (percent == 0 || percent == 100));
}

static void log_words(const struct berth_daemon *daemon, const struct berth_model_service *service,
		      struct berth_model_backend *backend, uint64_t now_ms)
{
	struct berth_agent_part *agent = &backend->agent;
	const struct berth_log_about about = {service->config.name, backend->config.name,
					      agent->is_down ? BERTH_LOG_WARNING : BERTH_LOG_INFO};
	const bool is_overridden = (agent->admin != BERTH_ADMIN_ENABLED && backend->admin != BERTH_ADMIN_ENABLED) ||
				   (agent->is_down && backend->forced != BERTH_FORCED_NOT);
	struct berth_agent_status status = {.line = ""};
	char words[BERTH_AGENT_REASON_BYTES];
	berth_health_get_agent(daemon->health, backend->id, &status);
	berth_agent_format(&agent->said, words);
	berth_log_about(&about, "%s/%s: its agent says %s: \"%s\"%s", service->config.name, backend->config.name,
			words, status.line, is_overridden ? "; what an operator set stays in force" : "");
	agent->logged = agent->said;
	agent->logged_ms = now_ms;
}

/* What takes clients away is logged at once, all else as often as it can come into force. */
static void log_agent(const struct berth_daemon *daemon, const struct berth_model_service *service,
		      struct berth_model_backend *backend, bool changed, uint64_t now_ms, uint64_t *next_ms)
{
	struct berth_agent_part *agent = &backend->agent;
	if (!is_news(agent))
		return;
	const uint64_t due_ms = agent->logged_ms ? agent->logged_ms + BERTH_AGENT_REST_MS : now_ms;
	if (changed || due_ms <= now_ms)
		log_words(daemon, service, backend, now_ms);
	else if (due_ms < *next_ms)
		*next_ms = due_ms;
}

bool berth_agents_follow(struct berth_daemon *daemon, uint64_t now_ms, uint64_t *next_ms)
{
	bool any = false;
	for (size_t i = 0; i < daemon->model.n_services; i++) {
		const struct berth_model_service *service = &daemon->model.services[i];
		for (size_t j = 0; service->config.health->agent_port && j < service->n_backends; j++) {
			struct berth_model_backend *backend = &service->backends[j];
			const bool changed = berth_agent_follow(backend, now_ms, next_ms);
			if (changed)
				berth_publication_eligibility(daemon, backend);
			log_agent(daemon, service, backend, changed, now_ms, next_ms);
			any |= changed;
		}
	}
	return any;
}

void berth_agents_open(struct berth_daemon *daemon)
{
	berth_health_set_agent_fn(daemon->health, on_agent);
}
