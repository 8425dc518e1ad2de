/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_access.h"

#include <errno.h>
#include <string.h>

/* An item before user and group are one name. */
struct draft {
	char user[BERTH_ACCOUNT_BYTES];
	char group[BERTH_ACCOUNT_BYTES];
	enum berth_role role;
};

#define ACCOUNT_NOUN "a name of at most 31 bytes, without spaces and \":\""

static bool is_account(const char *text)
{
	return *text && !strpbrk(text, " \t\n:");
}

static const struct berth_word role_words[] = {
	{"viewer", BERTH_ROLE_VIEWER}, {"operator", BERTH_ROLE_OPERATOR}, {"admin", BERTH_ROLE_ADMIN}, {NULL, 0}};

static const struct berth_field item_fields[] = {
	{BERTH_TEXT("user", struct draft, user, is_account, ACCOUNT_NOUN)},
	{BERTH_TEXT("group", struct draft, group, is_account, ACCOUNT_NOUN)},
	{BERTH_WORD("role", struct draft, role, role_words), .required = true},
};

const struct berth_section berth_config_access_item = {"an item of access", BERTH_FIELDS(item_fields)};

static int read_item(struct berth_schema *schema, json_t *item, struct berth_access_item *access)
{
	struct draft draft = {.role = BERTH_ROLE_NONE};
	int err = berth_schema_read(schema, &berth_config_access_item, item, &draft);
	if (err)
		return err;
	if (!draft.user[0] == !draft.group[0])
		return berth_schema_fail(schema, item, NULL, "an item of access needs either user or group; %s",
					 draft.user[0] ? "write two items" : "add one of them");
	access->is_group = draft.group[0];
	access->role = draft.role;
	memcpy(access->name, access->is_group ? draft.group : draft.user, sizeof(access->name));
	return 0;
}

int berth_config_read_access(struct berth_schema *schema, json_t *list, void *member)
{
	struct berth_access_config *config = member;
	const size_t n = json_array_size(list);
	int err = 0;
	if (n > BERTH_MAX_ACCESS)
		return berth_schema_fail(schema, json_array_get(list, BERTH_MAX_ACCESS), NULL,
					 "%zu items; remove all but %d", n, BERTH_MAX_ACCESS);
	for (config->n = 0; !err && config->n < n; config->n++)
		err = read_item(schema, json_array_get(list, config->n), &config->items[config->n]);
	return err;
}
