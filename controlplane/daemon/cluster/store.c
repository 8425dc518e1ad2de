// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/cluster/store.h"

#include <stdio.h>
#include <string.h>

#include "controlplane/daemon/cluster/exceptions.h"
#include "controlplane/daemon/cluster/operator.h"
#include "controlplane/daemon/private.h"
#include "controlplane/store/store.h"
#include "controlplane/util/log.h"

_Static_assert((int)BERTH_PRESENCE_DIGEST_TEXT >= (int)BERTH_CONFIG_DIGEST_TEXT &&
		       (int)BERTH_PRESENCE_DIGEST_TEXT >= (int)BERTH_SECRET_PROOF_TEXT,
	       "room for digests");

/* What is in force changes with an apply alone: a visit each second does not compute it anew. */
static void describe(void *arg, struct berth_presence *own)
{
	const struct berth_daemon *daemon = arg;
	const struct berth_model *model = &daemon->model;
	berth_cluster_format_config_digest(&daemon->cluster_node, own->config_digest);
	berth_cluster_format_secret_proof(&daemon->cluster_node, own->secret_digest);
	own->services = (uint32_t)model->n_services;
	own->backends = 0;
	for (size_t i = 0; i < model->n_services; i++)
		own->backends += (uint32_t)model->services[i].n_backends;
}

void berth_cluster_store_close(struct berth_daemon *daemon)
{
	berth_cluster_exceptions_close(daemon);
	berth_store_free(daemon->store);
	berth_helper_free(daemon->helpers[BERTH_HELPER_STORE]);
	daemon->store = NULL;
	daemon->helpers[BERTH_HELPER_STORE] = NULL;
	daemon->state.store = NULL;
	daemon->state.helpers[BERTH_HELPER_STORE] = NULL;
}

static bool is_same(const struct berth_cluster_config *a, const struct berth_cluster_config *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void open_store(struct berth_daemon *daemon, const struct berth_cluster_config *cluster)
{
	const struct berth_helper_options options = {
		.program = daemon->options.helper, .name = "store", .run_dir = daemon->options.paths.run_dir};
	struct berth_helper *helper = berth_helper_new(daemon->base, &options);
	struct berth_store *store = helper ? berth_store_new(daemon->base, helper, cluster, describe, daemon)
					   : NULL;
	daemon->helpers[BERTH_HELPER_STORE] = helper;
	daemon->state.helpers[BERTH_HELPER_STORE] = helper;
	daemon->store = store;
	daemon->state.store = store;
	daemon->store_config = *cluster;
	if (store) {
		berth_cluster_exceptions_open(daemon);
		return;
	}
	berth_log("ALARM: cluster %s: the store is not used: out of memory", cluster->name);
	berth_cluster_store_close(daemon);
}

void berth_cluster_store_follow(struct berth_daemon *daemon)
{
	const struct berth_cluster_config *cluster = &daemon->model.config->cluster;
	if (cluster->store.n_servers)
		berth_cluster_node_of(daemon->model.config, daemon->engine->image.ctl->secret,
				      &daemon->cluster_node);
	if (!daemon->store || !is_same(cluster, &daemon->store_config)) {
		berth_cluster_store_close(daemon);
		if (cluster->store.n_servers && daemon->options.helper)
			open_store(daemon, cluster);
	}
	berth_cluster_exceptions_configure(daemon);
	berth_cluster_operator_configure(daemon);
}
