/* SPDX-License-Identifier: BSD-3-Clause */
/* Two nodes that tell each other by a real redis-server and by real helper processes. */
#pragma once

#include "controlplane/store/store.h"
#include "tests/unit/controlplane/store/redis_server.h"

enum {
	SERVICE = 0x5e,
	OTHER_SERVICE = 0x5f,
	LONGEST = BERTH_HELPER_STORE_BATCH_BYTES,
};

static const char *const no_options[] = {NULL};

struct node {
	struct berth_cluster_config config;
	struct berth_helper *helper;
	struct berth_store *store;
	uint64_t batches, bytes, service; /* read; service of the last one */
	uint64_t others;		  /* of them of OTHER_SERVICE */
	uint32_t age_s;			  /* of the last one */
	uint32_t again;
	bool is_again;
	char refused[16]; /* the batch that it cannot take */
	uint64_t own;	  /* batches that it has told itself */
	uint8_t last[LONGEST];
	unsigned int lost, synchronised;
};

struct lab {
	struct event_base *base;
	struct redis_server redis, replica;
	struct node one, two;
	char password_file[32]; /* "": none */
	char tls_ca[64];	/* "": no TLS */
	char tls_name[32];
	uint16_t tls_port;
};

static inline void on_describe(void *arg, struct berth_presence *own)
{
	(void)arg;
	strcpy(own->config_digest, "0123456789abcdef");
	strcpy(own->secret_digest, "00112233445566778899aabbccddeeff");
}

static inline bool on_batch(void *arg, const struct berth_store_batch *batch)
{
	struct node *node = arg;
	assert_true(batch->bytes > 0 && batch->bytes <= LONGEST);
	node->own += batch->is_own;
	if (batch->is_own)
		return true;
	node->batches++;
	node->others += batch->service == OTHER_SERVICE;
	node->bytes += batch->bytes;
	node->service = batch->service;
	node->is_again = batch->is_again;
	node->again += batch->is_again;
	node->age_s = batch->age_s;
	memcpy(node->last, batch->records, batch->bytes);
	return strcmp((const char *)batch->records, node->refused) != 0;
}

static inline void on_lost(void *arg)
{
	struct node *node = arg;
	node->lost++;
}

static inline void on_synchronised(void *arg)
{
	struct node *node = arg;
	node->synchronised++;
}

static inline void follow(struct node *node)
{
	const struct berth_followed_wish wishes[] = {{SERVICE, 60, true, false}, {OTHER_SERVICE, 300, true, false}};
	assert_int_equal(berth_store_follow_services(node->store, wishes, 2), 0);
}

static inline void start_node(struct lab *lab, struct node *node, const char *name)
{
	const struct berth_helper_options options = {
		.program = getenv("BERTH_TEST_HELPER"), .name = "store", .run_dir = "/tmp"};
	const struct berth_store_listener listener = {
		.on_batch = on_batch, .on_lost = on_lost, .on_synchronised = on_synchronised, .arg = node};
	*node = (struct node){0};
	strcpy(node->config.name, "shop");
	strcpy(node->config.node, name);
	node->config.store.servers[0] = redis_address(&lab->redis);
	node->config.store.servers[1] = redis_address(&lab->replica);
	node->config.store.n_servers = lab->replica.port ? 2 : 1;
	strcpy(node->config.store.tls_ca, lab->tls_ca);
	strcpy(node->config.store.tls_name, lab->tls_name);
	if (lab->tls_port)
		node->config.store.servers[0].port = lab->tls_port;
	if (lab->password_file[0]) {
		strcpy(node->config.store.username, "berth");
		strcpy(node->config.store.password_file, lab->password_file);
	}
	node->helper = berth_helper_new(lab->base, &options);
	node->store = berth_store_new(lab->base, node->helper, &node->config, on_describe, NULL);
	assert_true(node->helper && node->store);
	berth_store_set_listener(node->store, &listener);
	follow(node);
}

static inline void stop_node(struct node *node)
{
	berth_store_free(node->store);
	berth_helper_free(node->helper);
	*node = (struct node){0};
}

static inline int set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	lab->base = event_base_new();
	lab->redis.port = redis_free_port();
	*state = lab;
	return 0;
}

static inline int tear_down(void **state)
{
	struct lab *lab = *state;
	stop_node(&lab->one);
	stop_node(&lab->two);
	redis_kill(&lab->redis);
	redis_kill(&lab->replica);
	event_base_free(lab->base);
	free(lab);
	return 0;
}

static inline const struct berth_store_records *records_of(const struct node *node)
{
	return berth_store_records(node->store);
}

#define expect(lab, condition)                                                                                     \
	do {                                                                                                       \
		if (!wait_until(condition, 10000, loop_for((lab)->base, 5)))                                       \
			fail_msg(#condition ": %s; %s", records_of(&(lab)->one)->error,                            \
				 records_of(&(lab)->two)->error);                                                  \
	} while (0)

/* A node reads what it did not read before: its last batch is this one. */
#define expect_batch(lab, node, text) expect(lab, (node)->batches &&strcmp((const char *)(node)->last, text) == 0)

static inline void start(struct lab *lab)
{
	redis_start(&lab->redis, no_options);
	start_node(lab, &lab->one, "lb1");
	start_node(lab, &lab->two, "lb2");
	expect(lab, records_of(&lab->one)->is_synchronised && records_of(&lab->two)->is_synchronised);
}

static inline bool tell(struct node *node, uint64_t service, const char *text)
{
	return berth_store_tell(node->store, service, (const uint8_t *)text, strlen(text) + 1);
}

/* Of the store. */
static inline uint64_t time_ms(const struct lab *lab)
{
	redisReply *time = redis_command(&lab->redis, "TIME");
	const uint64_t now_ms = 1000 * strtoull(time->element[0]->str, NULL, 10);
	freeReplyObject(time);
	return now_ms;
}
