/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/spelling.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

enum {
	MAX_BYTES = 24,
	MAX_DISTANCE = 2,
	SHORT_BYTES = 3, /* in a shorter word two edits change everything */
};

size_t berth_spelling_distance(const char *a, const char *b)
{
	size_t row[MAX_BYTES + 1]; /* of the distance matrix */
	size_t n = strlen(b);

	if (n > MAX_BYTES || strlen(a) > MAX_BYTES)
		return SIZE_MAX;
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];
		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			size_t best = diagonal + (a[i] != b[j]);
			diagonal = row[j + 1];
			if (best > diagonal + 1)
				best = diagonal + 1;
			if (best > row[j] + 1)
				best = row[j] + 1;
			row[j + 1] = best;
		}
	}
	return row[n];
}

size_t berth_spelling_limit(const char *word)
{
	return strlen(word) <= SHORT_BYTES ? MAX_DISTANCE : MAX_DISTANCE + 1;
}

/* Words of keepalived, ipvsadm, HAProxy and nginx. */
static const struct {
	const char *key; /* NULL: the word is a key itself */
	const char *word;
	const char *meant;
} synonyms[] = {
	{"mode", "dr", "l2"},
	{"mode", "direct", "l2"},
	{"mode", "gatewaying", "l2"},
	{"mode", "tun", "ipip"},
	{"mode", "tunnel", "ipip"},
	{"mode", "ip6ip6", "ipip"},
	{"mode", "masq", "nat"},
	{"mode", "masquerading", "nat"},
	{"mode", "snat", "nat"},
	{"mode", "tcp", "nat, and protocol: tcp"},
	{"mode", "http", "nat, and protocol: tcp; berth does not read HTTP"},
	{"scheduler", "rr", "round-robin"},
	{"scheduler", "wrr", "round-robin"},
	{"scheduler", "roundrobin", "round-robin"},
	{"scheduler", "lc", "least-conn"},
	{"scheduler", "wlc", "least-conn"},
	{"scheduler", "leastconn", "least-conn"},
	{"scheduler", "least_conn", "least-conn"},
	{"scheduler", "mh", "maglev"},
	{"scheduler", "sh", "maglev, and affinity: {by: client}"},
	{"scheduler", "source", "maglev, and affinity: {by: client}"},
	{"scheduler", "ip_hash", "maglev, and affinity: {by: client}"},
	{"by", "ip", "client"},
	{"by", "source", "client"},
	{"by", "src", "client"},
	{"by", "client-ip", "client"},
	{"by", "connection", "flow"},
	{"type", "ping", "icmp"},
	{"type", "misc", "exec"},
	{"type", "script", "exec"},
	{"type", "ssl", "https"},
	{NULL, "vip", "address"},
	{NULL, "ip", "address"},
	{NULL, "host", "address"},
	{NULL, "lb_kind", "mode"},
	{NULL, "lb_algo", "scheduler"},
	{NULL, "lvs_sched", "scheduler"},
	{NULL, "lvs_method", "mode"},
	{NULL, "balance", "scheduler"},
	{NULL, "algorithm", "scheduler"},
	{NULL, "servers", "backends"},
	{NULL, "server", "backends"},
	{NULL, "real_server", "backends"},
	{NULL, "virtual_server", "services"},
	{NULL, "listen", "services"},
	{NULL, "persistence", "affinity"},
	{NULL, "persistence_timeout", "affinity"},
	{NULL, "sticky", "affinity"},
	{NULL, "check", "health"},
	{NULL, "checks", "health"},
	{NULL, "healthcheck", "health"},
	{NULL, "health-check", "health"},
	{NULL, "delay_loop", "interval"},
	{NULL, "inter", "interval"},
	{NULL, "hostname", "dns"},
	{NULL, "maxconn", "max-flows"},
	{NULL, "slowstart", "slow-start"},
	{NULL, "nic", "name"},
};

static const char *find_synonym(const char *key, const char *word)
{
	for (size_t i = 0; i < sizeof(synonyms) / sizeof(synonyms[0]); i++)
		if (!key == !synonyms[i].key && (!key || !strcmp(key, synonyms[i].key)) &&
		    !strcasecmp(word, synonyms[i].word))
			return synonyms[i].meant;
	return NULL;
}

const char *berth_synonym_of_key(const char *key)
{
	return find_synonym(NULL, key);
}

const char *berth_synonym_of_word(const char *key, const char *word)
{
	return find_synonym(key, word);
}
