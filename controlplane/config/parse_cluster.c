/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse_cluster.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/config/parse_backends.h"
#include "controlplane/util/net.h"

enum {
	MAX_SYNC_TIMEOUT_MS = 600000,
};

#define CLUSTER struct berth_cluster_config
#define STORE struct berth_store_config

static int read_servers(struct berth_schema *schema, json_t *list, void *member)
{
	STORE *store = member;
	size_t i;
	json_t *item;

	if (json_array_size(list) > BERTH_MAX_STORE_SERVERS)
		return berth_schema_fail(schema, json_array_get(list, BERTH_MAX_STORE_SERVERS), NULL,
					 "%zu servers of the store; remove all but %d", json_array_size(list),
					 BERTH_MAX_STORE_SERVERS);
	json_array_foreach(list, i, item)
	{
		struct berth_store_server *server = &store->servers[i];
		const char *text = json_string_value(item);
		if (!text || berth_net_parse_place(text, &server->address, &server->port) ||
		    !berth_net_is_host(&server->address))
			return berth_schema_fail(schema, item, NULL,
						 "invalid server of the store; write its address and port, like "
						 "192.0.2.60:6379 or \"[2001:db8::60]:6379\"");
		store->n_servers++;
	}
	return 0;
}

static bool is_path(const char *text)
{
	return text[0] == '/';
}

static bool is_host_name(const char *text)
{
	return *text && !text[strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ._-")];
}

static const struct berth_field tls_fields[] = {
	{BERTH_TEXT("ca", STORE, tls_ca, is_path, "the full path of a file with certificates (PEM)"),
	 .required = true},
	{BERTH_TEXT("name", STORE, tls_name, is_host_name, "a host name, at most 255 bytes")},
};

static const struct berth_section tls_section = {"tls", BERTH_FIELDS(tls_fields)};

static const struct berth_field store_fields[] = {
	{.key = "redis",
	 .kind = BERTH_FIELD_LIST,
	 .json_schema = BERTH_JSON_TEXT,
	 .read_value = read_servers,
	 .required = true},
	{BERTH_TEXT("sentinel", STORE, sentinel, berth_config_is_name, BERTH_NAME_NOUN)},
	{BERTH_TEXT("username", STORE, username, berth_config_is_name, BERTH_NAME_NOUN)},
	{BERTH_TEXT("password-file", STORE, password_file, is_path,
		    "the path of a file, as /etc/berth/store-password, at most 255 bytes")},
	{.key = "tls", .kind = BERTH_FIELD_SECTION, .section = &tls_section},
};

static const struct berth_section store_section = {"store", BERTH_FIELDS(store_fields)};

static const struct berth_field fields[] = {
	{BERTH_TEXT("name", CLUSTER, name, berth_config_is_name, BERTH_NAME_NOUN), .required = true},
	{BERTH_TEXT("node", CLUSTER, node, berth_config_is_name, BERTH_NAME_NOUN)},
	{BERTH_DURATION("sync-timeout", CLUSTER, sync_timeout_ms, 0, MAX_SYNC_TIMEOUT_MS, 1)},
	{.key = "store", .kind = BERTH_FIELD_SECTION, .section = &store_section, BERTH_MEMBER(CLUSTER, store)},
};

const struct berth_section berth_config_cluster = {"cluster", BERTH_FIELDS(fields)};

int berth_config_check_cluster(struct berth_schema *schema, struct berth_config *config)
{
	json_t *root = schema->yaml->root, *section = json_object_get(root, "cluster");
	struct berth_cluster_config *cluster = &config->cluster;
	if (!cluster->name[0])
		return 0;
	if (!config->secret_file[0])
		return berth_schema_fail(schema, root, "cluster",
					 "the nodes of a cluster share a secret; write secret-file: "
					 "/etc/berth/secret, and copy that file to each node");
	if (cluster->store.username[0] && !cluster->store.password_file[0])
		return berth_schema_fail(schema, json_object_get(section, "store"), "username",
					 "username needs a password; write password-file: "
					 "/etc/berth/store-password");
	if (cluster->node[0])
		return 0;
	if (!gethostname(cluster->node, sizeof(cluster->node)) && memchr(cluster->node, 0, sizeof(cluster->node)) &&
	    berth_config_is_name(cluster->node))
		return 0;
	return berth_schema_fail(
		schema, section, NULL,
		"the name of this host cannot be the name of the node; write node: " BERTH_NAME_NOUN);
}
