// SPDX-License-Identifier: BSD-3-Clause
/* Checks of keepalived.conf(5). A service of berth has one: that of its first server. */
#include <string.h>

#include "controlplane/cli/import/keepalived.h"

/* --- settings of checks, in each kind of block --- */

static struct berth_import_health *settings_of(struct berth_keepalived *reader)
{
	const enum berth_keepalived_block block = reader->blocks[reader->depth];
	return block == BERTH_KEEPALIVED_SERVICE  ? &reader->settings
	       : block == BERTH_KEEPALIVED_SERVER ? &reader->server_settings
						  : &reader->check;
}

void berth_keepalived_delay_loop(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	settings_of(reader)->interval_ms = berth_import_duration(reader->import, berth_keepalived_value(words),
								 1000, BERTH_KEEPALIVED_INTERVAL_MS);
}

void berth_keepalived_timeout(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	settings_of(reader)->timeout_ms = berth_import_duration(reader->import, berth_keepalived_value(words), 1000,
								BERTH_KEEPALIVED_TIMEOUT_MS);
}

void berth_keepalived_retry(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	settings_of(reader)->fall = berth_import_number(reader->import, berth_keepalived_value(words), 99, 1) + 1;
}

void berth_keepalived_virtualhost(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	struct berth_import_health *health = settings_of(reader);
	berth_import_copy(reader->import, health->host, sizeof(health->host), berth_keepalived_value(words));
}

/* --- checks --- */

static void read_path(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	if (berth_keepalived_value(words)[0] == '/')
		berth_import_copy(reader->import, reader->check.path, sizeof(reader->check.path),
				  berth_keepalived_value(words));
	else
		berth_import_note(reader->import, "path \"%.40s\": / is used, since a path begins so",
				  berth_keepalived_value(words));
}

static void read_statuses(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	char *to = reader->check.statuses;
	to[0] = '\0';
	for (size_t i = 1; i < words->n; i++) {
		unsigned int first = 0, last = 0;
		const int n = sscanf(words->words[i], "%u-%u", &first, &last);
		last = n == 2 ? last : first;
		const size_t used = strlen(to);
		if (n < 1 || first < 200 || last > 599 || first > last ||
		    used + 12 > sizeof(reader->check.statuses))
			berth_import_note(reader->import, "status_code %.12s: write health.expect.status by hand",
					  words->words[i]);
		else
			snprintf(to + used, sizeof(reader->check.statuses) - used, "%s%u-%u", used ? ", " : "",
				 first, last);
	}
}

static void read_connect_port(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	const unsigned int port = berth_import_number(reader->import, berth_keepalived_value(words), 65535, 0);
	reader->check.port = port != reader->server_port ? port : 0;
}

static void read_program(void *arg, const struct berth_import_words *words)
{
	struct berth_keepalived *reader = arg;
	berth_import_copy(reader->import, reader->check.command, sizeof(reader->check.command),
			  berth_keepalived_value(words));
}

static const struct berth_import_keyword url_words[] = {
	{"path", read_path, NULL},
	{"status_code", read_statuses, NULL},
	{"virtualhost", berth_keepalived_virtualhost, NULL},
	{"digest", NULL, "berth compares no digests; write health.expect.body, a text that the answer has"},
	{"regex", NULL, "write health.expect.body, a text that the answer has"},
};

static const struct berth_import_keyword check_words[] = {
	BERTH_KEEPALIVED_CHECK_SETTINGS,
	{"connect_port", read_connect_port, NULL},
	{"connect_ip", NULL, "berth probes the server's address; an exec check can ask another one"},
	{"misc_path", read_program, NULL},
	{"misc_timeout", berth_keepalived_timeout, NULL},
	{"misc_dynamic", NULL, "an exec check is up or down; `berthctl backend set` changes weights"},
	{"virtualhost", berth_keepalived_virtualhost, NULL},
	{"http_protocol", NULL, NULL},
	{"fast_recovery", NULL, NULL},
	{"enable_sni", NULL, NULL},
	{"bindto", NULL, "probes have the source address that the kernel's routes give"},
};

static const struct check_kind {
	const char *name;
	const char *type; /* NULL: none that berth has */
	const char *instead;
} check_kinds[] = {
	{"TCP_CHECK", "tcp", NULL},
	{"HTTP_GET", "http", NULL},
	{"SSL_GET", "https", NULL},
	{"PING_CHECK", "icmp", NULL},
	{"MISC_CHECK", "exec", NULL},
	{"SMTP_CHECK", "tcp", "type tcp is used; an exec check can speak SMTP"},
	{"DNS_CHECK", NULL, "write health: {type: udp} with `send`, a query in hex"},
	{"UDP_CHECK", NULL, "write health: {type: udp} with `send`"},
	{"BFD_CHECK", NULL, "berth has no BFD; choose another type of health check"},
	{"FILE_CHECK", NULL, "`berthctl backend drain` and `backend set` take a server out by hand"},
};

enum berth_keepalived_block berth_keepalived_begin_check(struct berth_keepalived *reader, const char *name)
{
	for (size_t i = 0; i < sizeof(check_kinds) / sizeof(check_kinds[0]); i++) {
		if (strcmp(check_kinds[i].name, name) != 0)
			continue;
		if (check_kinds[i].instead)
			berth_import_note(reader->import, "%s: %s", name, check_kinds[i].instead);
		if (!check_kinds[i].type || !reader->backend)
			return BERTH_KEEPALIVED_IGNORED;
		reader->check = reader->server_settings;
		reader->check.type = check_kinds[i].type;
		reader->check.is_unverified = strcmp(check_kinds[i].type, "https") == 0;
		reader->n_urls = 0;
		return BERTH_KEEPALIVED_CHECK;
	}
	berth_import_note(reader->import, "\"%.40s\" is not imported", name);
	return BERTH_KEEPALIVED_IGNORED;
}

static bool is_same(const struct berth_import_health *one, const struct berth_import_health *other)
{
	return strcmp(one->type, other->type) == 0 && one->interval_ms == other->interval_ms &&
	       one->timeout_ms == other->timeout_ms && one->fall == other->fall && one->port == other->port &&
	       strcmp(one->path, other->path) == 0 && strcmp(one->host, other->host) == 0 &&
	       strcmp(one->statuses, other->statuses) == 0 && strcmp(one->command, other->command) == 0;
}

void berth_keepalived_end_check(struct berth_keepalived *reader)
{
	struct berth_import_health *health = &reader->service->health, *check = &reader->check;
	const bool is_http = strncmp(check->type, "http", 4) == 0;
	if (is_http && !check->path[0])
		snprintf(check->path, sizeof(check->path), "/");
	if (!is_http)
		check->host[0] = '\0';
	if (strcmp(check->type, "exec") == 0 && !check->command[0])
		berth_import_note(reader->import, "MISC_CHECK without misc_path: no check");
	else if (strcmp(health->type, "none") == 0 && reader->service->n == 1)
		*health = *check;
	else if (reader->has_check || !is_same(health, check))
		berth_import_note(reader->import,
				  "a check unlike that of the service's first server: all of a service have one");
	reader->has_check = true;
}

void berth_keepalived_read_check(struct berth_keepalived *reader, const struct berth_import_words *words)
{
	if (reader->blocks[reader->depth] == BERTH_KEEPALIVED_URL)
		berth_import_statement(reader->import, url_words, sizeof(url_words) / sizeof(url_words[0]), words,
				       reader);
	else
		berth_import_statement(reader->import, check_words, sizeof(check_words) / sizeof(check_words[0]),
				       words, reader);
}
