/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_selection.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/api/plural.h"
#include "controlplane/config/parse_dns.h"

#define SERVICE struct berth_service_config

enum {
	DEFAULT_BOUND = 125,
	MIN_BOUND = 105,
	MAX_BOUND = 1000,
};

const struct berth_word berth_config_scheduler_words[] = {{"maglev", BERTH_SCHEDULE_MAGLEV},
							  {"bounded", BERTH_SCHEDULE_BOUNDED},
							  {"least-conn", BERTH_SCHEDULE_LEAST_CONN},
							  {"round-robin", BERTH_SCHEDULE_ROUND_ROBIN},
							  {"response-time", BERTH_SCHEDULE_RESPONSE_TIME},
							  {NULL, 0}};
const struct berth_word berth_config_overload_words[] = {
	{"stick", BERTH_OVERLOAD_STICK}, {"spill", BERTH_OVERLOAD_SPILL}, {NULL, 0}};
const struct berth_word berth_config_failback_words[] = {
	{"stay", BERTH_FAILBACK_STAY}, {"return", BERTH_FAILBACK_RETURN}, {NULL, 0}};
const struct berth_word berth_config_on_down_words[] = {
	{"rehash", BERTH_DOWN_REHASH}, {"reset", BERTH_DOWN_RESET}, {NULL, 0}};

/* A number with at most two decimals, in hundredths; -1: invalid. */
static int parse_hundredths(const char *text)
{
	size_t whole = strspn(text, "0123456789");
	if (whole == 0 || whole > 2)
		return -1;
	int value = atoi(text) * 100;
	if (!text[whole])
		return value;
	const char *decimals = text + whole + 1;
	size_t n = strspn(decimals, "0123456789");
	if (text[whole] != '.' || n == 0 || n > 2 || decimals[n])
		return -1;
	return value + atoi(decimals) * (n == 1 ? 10 : 1);
}

int berth_config_read_bound(struct berth_schema *schema, json_t *value, void *member)
{
	uint32_t *bound = member;
	int found = -1;

	if (json_is_string(value))
		found = parse_hundredths(json_string_value(value));
	else if (json_is_integer(value) && json_integer_value(value) > 0 &&
		 json_integer_value(value) <= MAX_BOUND / 100)
		found = (int)json_integer_value(value) * 100;
	if (found < MIN_BOUND || found > MAX_BOUND)
		return berth_schema_fail_value(schema, value, "bound", BERTH_BOUND_NOUN);
	*bound = (uint32_t)found;
	return 0;
}

uint32_t berth_config_parse_percent(const char *text)
{
	const size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 3 || text[0] == '0' || strcmp(text + digits, "%") != 0)
		return 0;
	return atoi(text) <= 100 ? (uint32_t)atoi(text) : 0;
}

int berth_config_read_panic_threshold(struct berth_schema *schema, json_t *value, void *member)
{
	const char *text = json_is_string(value) ? json_string_value(value) : "";
	const uint32_t percent = berth_config_parse_percent(text);
	uint32_t *panic = member;

	if (strcmp(text, "off") == 0) {
		*panic = 0;
		return 0;
	}
	if (percent == 0 || percent > 99)
		return berth_schema_fail_value(schema, value, "panic-threshold", BERTH_PANIC_THRESHOLD_NOUN);
	*panic = percent;
	return 0;
}

static int by_text(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* `names`: of all backends of the service, sorted. */
static int check_backup(struct berth_schema *schema, json_t *item, const SERVICE *service,
			const struct berth_backend_config *backend, const char **names)
{
	const char *backup = backend->backup;
	if (!backup[0])
		return 0;
	if (service->affinity != BERTH_AFFINITY_CLIENT)
		return berth_schema_fail(schema, item, "backup",
					 "backup is for client sessions, and this service has none; add affinity: "
					 "{by: client}, or remove backup");
	if (!strcmp(backup, backend->name))
		return berth_schema_fail(schema, item, "backup",
					 "a backend cannot be its own backup; name another backend of the service");
	if (!bsearch(&backup, names, service->n_backends, sizeof(*names), by_text))
		return berth_schema_fail(schema, item, "backup",
					 "the service has no backend %s; name another one of its backends", backup);
	return 0;
}

static int check_backups(struct berth_schema *schema, json_t *item, const SERVICE *service)
{
	json_t *backends = json_object_get(item, "backends");
	const char **names = berth_schema_alloc(schema, service->n_backends, sizeof(*names));
	int err = names ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < service->n_backends; i++)
		names[i] = service->backends[i].name;
	if (!err)
		qsort(names, service->n_backends, sizeof(*names), by_text);
	for (size_t i = 0; !err && i < service->n_backends; i++)
		err = check_backup(schema, json_array_get(backends, berth_config_item_index(service, i)), service,
				   &service->backends[i], names);
	free(names);
	return err;
}

static int check_response_time(struct berth_schema *schema, json_t *item, const SERVICE *service)
{
	json_t *health = json_object_get(item, "health");
	const bool is_used = service->scheduler == BERTH_SCHEDULE_RESPONSE_TIME;
	if (!is_used && service->health->half_life_ms)
		return berth_schema_fail(schema, health, "half-life",
					 "half-life belongs to the scheduler response-time; write scheduler: "
					 "response-time, or remove half-life");
	if (is_used && service->health->type == BERTH_HEALTH_NONE)
		return berth_schema_fail(
			schema, health, "type",
			"the scheduler response-time compares the times of health checks, and there "
			"are none; write another type, or scheduler: least-conn");
	return 0;
}

int berth_config_check_selection(struct berth_schema *schema, json_t *item, SERVICE *service)
{
	if (service->scheduler == BERTH_SCHEDULE_BOUNDED && !service->bound_percent)
		service->bound_percent = DEFAULT_BOUND;
	if (service->scheduler != BERTH_SCHEDULE_BOUNDED && service->bound_percent)
		return berth_schema_fail(schema, item, "bound",
					 "bound belongs to the scheduler bounded; write scheduler: bounded, or "
					 "remove bound");
	int err = check_response_time(schema, item, service);
	if (err)
		return err;
	if (service->on_down == BERTH_DOWN_RESET && service->protocol != IPPROTO_TCP)
		return berth_schema_fail(schema, item, "on-down",
					 "only TCP has resets, UDP flows move to another backend at once; remove "
					 "on-down, or write on-down: rehash");
	if (service->group[0] && service->affinity != BERTH_AFFINITY_CLIENT)
		return berth_schema_fail(
			schema, json_object_get(item, "affinity"), "group",
			"services of a group share client sessions; add by: client, or remove group");
	return check_backups(schema, item, service);
}

static json_t *affinity_of(json_t *list, const struct berth_config *config, const SERVICE *service)
{
	return json_object_get(json_array_get(list, (size_t)(service - config->services)), "affinity");
}

/* `first` and `next`: two services of a group, in the order of the file. */
static int check_same_sessions(struct berth_schema *schema, json_t *list, const struct berth_config *config,
			       const SERVICE *first, const SERVICE *next)
{
	const char *key = first->timeout[BERTH_TIMEOUT_SESSION] != next->timeout[BERTH_TIMEOUT_SESSION] ? "timeout"
			  : first->prefix4 != next->prefix4						? "prefix4"
			  : first->prefix6 != next->prefix6						? "prefix6"
													: NULL;
	if (!key)
		return 0;
	unsigned int line =
		berth_yaml_mark_of(schema->yaml, json_array_get(list, (size_t)(first - config->services))).line;
	return berth_schema_fail(schema, affinity_of(list, config, next), key,
				 "services of group %s share sessions, but %s differs from service %s at line %u; "
				 "write the same value in both",
				 next->group, key, first->name, line);
}

static int by_group(const void *left, const void *right)
{
	const SERVICE *a = *(const SERVICE *const *)left, *b = *(const SERVICE *const *)right;
	int order = strcmp(a->group, b->group);
	return order ? order : (a > b) - (a < b);
}

/* `sorted`: in the order of by_group. */
static int check_sorted(struct berth_schema *schema, json_t *list, const struct berth_config *config,
			const SERVICE **sorted, size_t n)
{
	size_t first = 0;
	int err = 0;

	for (size_t i = 0; !err && i < n; i++) {
		if (strcmp(sorted[first]->group, sorted[i]->group) != 0)
			first = i;
		err = check_same_sessions(schema, list, config, sorted[first], sorted[i]);
		if (!err && i - first >= BERTH_MAX_GROUP)
			err = berth_schema_fail(schema, affinity_of(list, config, sorted[i]), "group",
						"group %s has more than %d services; move some to another group",
						sorted[i]->group, BERTH_MAX_GROUP);
	}
	return err;
}

static int by_name(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

/* The different names among the backends of `n` services. `names`: room for all of them. */
static size_t count_servers(const SERVICE **services, size_t n, const char **names)
{
	size_t n_names = 0, n_servers = 0;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < services[i]->n_backends; j++)
			names[n_names++] = services[i]->backends[j].name;
	qsort(names, n_names, sizeof(*names), by_name);
	for (size_t i = 0; i < n_names; i++)
		n_servers += i == 0 || strcmp(names[i - 1], names[i]) != 0;
	return n_servers;
}

/* A group counts as one more service. Its backends are the servers of its services. */
static int check_numbers(struct berth_schema *schema, json_t *list, const struct berth_config *config,
			 const SERVICE **sorted, size_t n)
{
	size_t n_services = config->n_services, n_backends = 0, n_groups = 0;
	for (size_t i = 0; i < config->n_services; i++)
		n_backends += config->services[i].n_backends;
	const char **names = berth_schema_alloc(schema, n_backends, sizeof(*names));
	if (!names)
		return -ENOMEM;
	for (size_t begin = 0, end; begin < n; begin = end) {
		end = begin + 1;
		while (end < n && strcmp(sorted[begin]->group, sorted[end]->group) == 0)
			end++;
		n_backends += count_servers(sorted + begin, end - begin, names);
		n_groups++;
	}
	free(names);
	if (n_groups && n_services + n_groups > config->limits.services)
		return berth_schema_fail(
			schema, affinity_of(list, config, sorted[0]), "group",
			"%zu service%s and %zu group%s, and limits.services is %u; raise it to at least "
			"%zu",
			n_services, BERTH_PLURAL(n_services), n_groups, BERTH_PLURAL(n_groups),
			config->limits.services, n_services + n_groups);
	if (n_groups && n_backends > config->limits.backends)
		return berth_schema_fail(
			schema, affinity_of(list, config, sorted[0]), "group",
			"%zu backends, counting those of groups, and limits.backends is %u; raise it "
			"to at least %zu",
			n_backends, config->limits.backends, n_backends);
	return 0;
}

int berth_config_check_groups(struct berth_schema *schema, json_t *list, const struct berth_config *config)
{
	const SERVICE **sorted = berth_schema_alloc(schema, config->n_services, sizeof(SERVICE *));
	size_t n = 0;

	if (!sorted)
		return -ENOMEM;
	for (size_t i = 0; i < config->n_services; i++)
		if (config->services[i].group[0])
			sorted[n++] = &config->services[i];
	qsort(sorted, n, sizeof(SERVICE *), by_group);
	int err = check_sorted(schema, list, config, sorted, n);
	if (!err)
		err = check_numbers(schema, list, config, sorted, n);
	free(sorted);
	return err;
}
