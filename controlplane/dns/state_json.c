// SPDX-License-Identifier: BSD-3-Clause
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/parse_dns.h"
#include "controlplane/dns/state.h"
#include "controlplane/saved/sealed_json.h"
#include "controlplane/util/address.h"
#include "controlplane/util/net.h"

enum {
	VERSION = 1,
};

static json_t *answer_json(const struct berth_dns_answer *answer)
{
	json_t *list = json_array();
	char text[BERTH_ADDRESS_TEXT];
	for (size_t i = 0; i < answer->n; i++)
		json_array_append_new(list, json_string(berth_address_format(&answer->addresses[i], text)));
	return list;
}

/* One string per member keeps a file of tens of thousands short. */
static json_t *member_json(const struct berth_dns_member *member)
{
	char address[BERTH_ADDRESS_TEXT];
	return json_sprintf("%016" PRIx64 " %s %s", member->service, member->source,
			    berth_address_format(&member->address, address));
}

char *berth_dns_state_format(const struct berth_dns_state *state)
{
	json_t *answers = json_object(), *members = json_array();
	for (size_t i = 0; i < state->n_answers; i++)
		json_object_set_new(answers, state->answers[i].name, answer_json(&state->answers[i]));
	for (size_t i = 0; i < state->n_members; i++)
		json_array_append_new(members, member_json(&state->members[i]));
	json_t *root = json_pack("{s:i, s:o, s:o}", "version", VERSION, "answers", answers, "backends", members);
	return berth_sealed_json_format(root, JSON_COMPACT | JSON_SORT_KEYS);
}

static int read_address(const char *text, union berth_addr *address)
{
	return text && !berth_address_parse(text, address) && berth_net_is_host(address) ? 0 : -EINVAL;
}

static int read_answer(struct berth_dns_state *state, const char *name, const json_t *list)
{
	size_t n = json_array_size(list), i;
	int err = n && n <= BERTH_DNS_MAX_ADDRESSES && berth_config_is_dns_name(name) ? 0 : -EINVAL;
	union berth_addr *addresses = err ? NULL : malloc(n * sizeof(*addresses));
	if (!addresses)
		return err ? err : -ENOMEM;
	for (i = 0; !err && i < n; i++)
		err = read_address(json_string_value(json_array_get(list, i)), &addresses[i]);
	if (!err)
		err = berth_dns_state_set_answer(state, name, addresses, berth_dns_sort_unique(addresses, n));
	free(addresses);
	return err;
}

static int read_member(struct berth_dns_member *member, const char *text)
{
	const size_t digits = 16;
	if (!text || strspn(text, "0123456789abcdef") != digits || text[digits] != ' ')
		return -EINVAL;
	const char *source = text + digits + 1;
	size_t length = strcspn(source, " ");
	if (!length || length >= sizeof(member->source) || !source[length])
		return -EINVAL;
	member->service = strtoull(text, NULL, 16);
	memcpy(member->source, source, length);
	return read_address(source + length + 1, &member->address);
}

static int read_members(struct berth_dns_state *state, const json_t *list)
{
	size_t n = json_array_size(list);
	int err = json_is_array(list) && n < BERTH_MAX_BACKENDS ? 0 : -EINVAL;
	struct berth_dns_member *members = err ? NULL : calloc(n + 1, sizeof(*members));
	if (!members)
		return err ? err : -ENOMEM;
	for (size_t i = 0; !err && i < n; i++)
		err = read_member(&members[i], json_string_value(json_array_get(list, i)));
	if (err)
		free(members);
	else
		berth_dns_state_set_members(state, members, n);
	return err;
}

int berth_dns_state_parse(struct berth_dns_state *state, const char *text, size_t length)
{
	*state = (struct berth_dns_state){0};
	json_t *root = berth_sealed_json_parse(text, length);
	json_t *answers = json_object_get(root, "answers"), *list;
	bool valid = json_integer_value(json_object_get(root, "version")) == VERSION && json_is_object(answers);
	const char *name;
	int err = valid ? 0 : -EINVAL;
	json_object_foreach(answers, name, list) if (!err) err = read_answer(state, name, list);
	if (!err)
		err = read_members(state, json_object_get(root, "backends"));
	json_decref(root);
	if (err)
		berth_dns_state_clear(state);
	return err;
}
