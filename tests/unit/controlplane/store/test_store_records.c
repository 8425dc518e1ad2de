// SPDX-License-Identifier: BSD-3-Clause
/*
 * Records of two nodes through Debian's redis-server, with real helper processes: what one tells, the other reads,
 * whatever becomes of the store in between, and whatever others write there.
 */
#include <inttypes.h>
#include <sys/stat.h>

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

static void on_describe(void *arg, struct berth_presence *own)
{
	(void)arg;
	strcpy(own->config_digest, "0123456789abcdef");
	strcpy(own->secret_digest, "00112233445566778899aabbccddeeff");
}

static bool on_batch(void *arg, const struct berth_store_batch *batch)
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

static void on_lost(void *arg)
{
	struct node *node = arg;
	node->lost++;
}

static void on_synchronised(void *arg)
{
	struct node *node = arg;
	node->synchronised++;
}

static void follow(struct node *node)
{
	const struct berth_followed_wish wishes[] = {{SERVICE, 60, true, false}, {OTHER_SERVICE, 300, true, false}};
	assert_int_equal(berth_store_follow_services(node->store, wishes, 2), 0);
}

static void start_node(struct lab *lab, struct node *node, const char *name)
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

static void stop_node(struct node *node)
{
	berth_store_free(node->store);
	berth_helper_free(node->helper);
	*node = (struct node){0};
}

static int set_up(void **state)
{
	struct lab *lab = calloc(1, sizeof(*lab));
	lab->base = event_base_new();
	lab->redis.port = redis_free_port();
	*state = lab;
	return 0;
}

static int tear_down(void **state)
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

static const struct berth_store_records *records_of(const struct node *node)
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

static void start(struct lab *lab)
{
	redis_start(&lab->redis, no_options);
	start_node(lab, &lab->one, "lb1");
	start_node(lab, &lab->two, "lb2");
	expect(lab, records_of(&lab->one)->is_synchronised && records_of(&lab->two)->is_synchronised);
}

static bool tell(struct node *node, uint64_t service, const char *text)
{
	return berth_store_tell(node->store, service, (const uint8_t *)text, strlen(text) + 1);
}

/* --- what is told is read --- */

static void a_node_reads_what_another_one_tells_and_not_what_it_told_itself(void **state)
{
	struct lab *lab = *state;
	start(lab);
	assert_int_equal(lab->one.synchronised, 1);
	assert_true(tell(&lab->one, SERVICE, "from lb1"));
	expect_batch(lab, &lab->two, "from lb1");
	assert_int_equal(lab->two.service, SERVICE);
	assert_true(tell(&lab->two, OTHER_SERVICE, "from lb2"));
	expect_batch(lab, &lab->one, "from lb2");
	assert_int_equal(lab->one.service, OTHER_SERVICE);
	assert_int_equal(lab->one.batches, 1);
	assert_int_equal(lab->two.batches, 1);
	assert_int_equal(records_of(&lab->one)->told_batches, 1);
	assert_int_equal(records_of(&lab->one)->told_bytes, 9);
	assert_int_equal(records_of(&lab->one)->read_bytes, 9);
	assert_int_equal(records_of(&lab->one)->queue_batches, 0);
	assert_int_equal(lab->one.lost, 0);
	assert_int_equal(redis_do(&lab->redis, "XLEN berth:shop:x:000000000000005e"), 1);
}

static void a_node_that_comes_later_or_again_reads_all_from_the_start(void **state)
{
	struct lab *lab = *state;
	redis_start(&lab->redis, no_options);
	start_node(lab, &lab->one, "lb1");
	for (int i = 0; i < 200; i++)
		assert_true(tell(&lab->one, i % 2 ? SERVICE : OTHER_SERVICE, "a batch"));
	expect(lab, records_of(&lab->one)->told_batches == 200);
	start_node(lab, &lab->two, "lb2");
	expect(lab, lab->two.synchronised == 1);
	assert_int_equal(lab->two.batches, 200);
	assert_int_equal(lab->two.own, 0);
	expect(lab, lab->one.own == 200);
	assert_int_equal(lab->one.batches, 0);
	stop_node(&lab->one);
	start_node(lab, &lab->one, "lb1");
	expect(lab, lab->one.synchronised == 1);
	assert_int_equal(lab->one.batches, 200);
}

static void what_could_not_be_taken_and_what_follows_is_read_again(void **state)
{
	struct lab *lab = *state;
	start(lab);
	strcpy(lab->two.refused, "second");
	const char *const all[] = {"first", "second", "third", "second", "last"};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		assert_true(tell(&lab->one, SERVICE, all[i]));
		expect(lab, lab->two.batches == i + 1);
	}
	assert_true(tell(&lab->one, OTHER_SERVICE, "other"));
	expect_batch(lab, &lab->two, "other");
	assert_int_equal(lab->two.again, 0);
	/* Still not: it is kept for the next time. */
	for (uint64_t times = 1; times <= 2; times++) {
		berth_store_read_missed(lab->two.store);
		expect(lab, lab->two.batches == 6 + 4 * times && lab->two.synchronised == 1 + times);
		assert_string_equal(lab->two.last, "last");
		assert_int_equal(lab->two.again, 4 * times);
	}
	lab->two.refused[0] = 0;
	berth_store_read_missed(lab->two.store);
	expect(lab, lab->two.synchronised == 4);
	berth_store_read_missed(lab->two.store);
	loop_for(lab->base, 500);
	assert_int_equal(lab->two.batches, 6 + 4 * 3);
	assert_int_equal(lab->two.others, 1);
}

static void the_longest_batch_and_no_longer_one_is_told(void **state)
{
	static uint8_t batch[LONGEST + 1];
	struct lab *lab = *state;
	start(lab);
	for (size_t i = 0; i < sizeof(batch); i++)
		batch[i] = (uint8_t)(i * 31);
	assert_false(berth_store_tell(lab->one.store, SERVICE, batch, sizeof(batch)));
	assert_false(berth_store_tell(lab->one.store, SERVICE, batch, 0));
	assert_false(berth_store_tell(lab->one.store, 0x60, batch, 64));
	assert_int_equal(records_of(&lab->one)->refused_batches, 3);
	assert_true(berth_store_tell(lab->one.store, SERVICE, batch, LONGEST));
	expect(lab, lab->two.batches == 1);
	assert_memory_equal(lab->two.last, batch, LONGEST);
}

/* Of the store. */
static uint64_t time_ms(const struct lab *lab)
{
	redisReply *time = redis_command(&lab->redis, "TIME");
	const uint64_t now_ms = 1000 * strtoull(time->element[0]->str, NULL, 10);
	freeReplyObject(time);
	return now_ms;
}

static void a_stream_keeps_its_horizon(void **state)
{
	struct lab *lab = *state;
	start(lab);
	const uint64_t now_ms = time_ms(lab);
	/* Two nodes of a stream, which are removed as a whole: 100 entries each. */
	for (int i = 0; i < 100; i++)
		redis_do(&lab->redis, "XADD berth:shop:x:000000000000005e %" PRIu64 "-%d n x e x b x",
			 now_ms - 70000, i + 1);
	assert_true(tell(&lab->one, SERVICE, "new"));
	expect_batch(lab, &lab->two, "new");
	assert_int_equal(redis_do(&lab->redis, "XLEN berth:shop:x:000000000000005e"), 1);
	const long long life_ms = redis_do(&lab->redis, "PTTL berth:shop:x:000000000000005e");
	assert_true(life_ms > 50000 && life_ms <= 60000);
}

static void a_batch_that_is_read_late_has_its_age(void **state)
{
	struct lab *lab = *state;
	start(lab);
	redis_do(&lab->redis, "XADD berth:shop:x:000000000000005e %" PRIu64 "-0 n lb9 e 00 b late",
		 time_ms(lab) - 30000);
	expect_batch(lab, &lab->two, "late");
	assert_in_range(lab->two.age_s, 29, 60);
}

static void a_hundred_thousand_records_arrive_soon(void **state)
{
	static uint8_t batch[256 * 64];
	struct lab *lab = *state;
	const char *wanted = getenv("BERTH_RECORDS");
	const uint64_t batches = (wanted ? strtoull(wanted, NULL, 10) : 100000) / 256;
	start(lab);
	const uint64_t begin_ms = berth_clock_ms();
	for (uint64_t n = 0; n < batches;) {
		n += berth_store_tell(lab->one.store, SERVICE, batch, sizeof(batch));
		if (records_of(&lab->one)->queue_bytes > 24 << 20)
			loop_for(lab->base, 1);
	}
	assert_true(wait_until(lab->two.batches == batches, 60000, loop_for(lab->base, 1)));
	print_message("%" PRIu64 " records in %" PRIu64 " ms\n", 256 * batches, berth_clock_ms() - begin_ms);
	assert_true(berth_clock_ms() - begin_ms < 5000 * (1 + batches / 400));
	const uint64_t again_ms = berth_clock_ms();
	stop_node(&lab->two);
	start_node(lab, &lab->two, "lb2");
	assert_true(wait_until(lab->two.synchronised, 60000, loop_for(lab->base, 1)));
	assert_int_equal(lab->two.batches, batches);
	print_message("a node that comes later is synchronised after %" PRIu64 " ms\n",
		      berth_clock_ms() - again_ms);
}

/* --- faults of the store --- */

static void what_is_told_without_a_store_waits_up_to_a_bound_and_is_told_later(void **state)
{
	static uint8_t batch[LONGEST];
	struct lab *lab = *state;
	start_node(lab, &lab->one, "lb1");
	uint64_t n = 0;
	assert_true(tell(&lab->one, SERVICE, "the oldest"));
	while (berth_store_tell(lab->one.store, OTHER_SERVICE, batch, sizeof(batch)))
		n++;
	assert_true(n > 1000 && n < 2000);
	assert_int_equal(records_of(&lab->one)->queue_batches, n + 1);
	assert_int_equal(records_of(&lab->one)->refused_batches, 1);
	const uint64_t oldest_ms = records_of(&lab->one)->oldest_ms;
	assert_true(oldest_ms > 0);
	loop_for(lab->base, 300);
	assert_true(records_of(&lab->one)->oldest_ms == oldest_ms);
	assert_int_equal(records_of(&lab->one)->rounds, 0);
	redis_start(&lab->redis, no_options);
	start_node(lab, &lab->two, "lb2");
	expect(lab, lab->two.batches == n + 1);
	assert_int_equal(records_of(&lab->one)->queue_batches, 0);
	assert_int_equal(records_of(&lab->one)->oldest_ms, 0);
	assert_int_equal(lab->one.lost, 0);
}

static void a_flushed_store_makes_all_tell_again_and_read_from_the_start(void **state)
{
	struct lab *lab = *state;
	start(lab);
	assert_true(tell(&lab->one, SERVICE, "before"));
	expect_batch(lab, &lab->two, "before");
	redis_do(&lab->redis, "FLUSHALL");
	expect(lab, lab->one.lost == 1 && lab->two.lost == 1);
	assert_true(tell(&lab->one, SERVICE, "after"));
	expect_batch(lab, &lab->two, "after");
	expect(lab, records_of(&lab->one)->is_synchronised && lab->one.synchronised == 2);
	loop_for(lab->base, 500);
	assert_int_equal(lab->one.lost, 1);
	assert_int_equal(records_of(&lab->one)->lost, 1);
}

/* The new one has lower ids. */
static void a_killed_store_loses_nothing_that_waits(void **state)
{
	struct lab *lab = *state;
	start(lab);
	assert_true(tell(&lab->one, OTHER_SERVICE, "before"));
	expect_batch(lab, &lab->two, "before");
	redis_kill(&lab->redis);
	assert_true(tell(&lab->one, SERVICE, "told meanwhile"));
	expect(lab, !berth_store_status(lab->one.store)->is_connected);
	const uint64_t rounds = records_of(&lab->one)->rounds;
	loop_for(lab->base, 1500);
	assert_true(records_of(&lab->one)->rounds == rounds);
	redis_start(&lab->redis, no_options);
	redis_do(&lab->redis, "XADD berth:shop:x:000000000000005f 5-0 n lb9 e 00 b low");
	/* What is told meanwhile may be read twice: before it is noticed that the data are others, and after. */
	expect(lab, lab->two.others == 2 && lab->two.batches >= 3);
	expect(lab, lab->one.lost == 1 && lab->two.lost == 1);
}

static void a_stopped_store_blocks_nothing_and_goes_on(void **state)
{
	struct lab *lab = *state;
	start(lab);
	kill(lab->redis.pid, SIGSTOP);
	assert_true(tell(&lab->one, SERVICE, "told meanwhile"));
	for (int i = 0; i < 40; i++) {
		const uint64_t begin_ms = berth_clock_ms();
		loop_for(lab->base, 100);
		assert_true(berth_clock_ms() - begin_ms < 1000);
	}
	assert_false(berth_store_status(lab->one.store)->is_connected);
	assert_int_equal(records_of(&lab->one)->queue_batches, 1);
	kill(lab->redis.pid, SIGCONT);
	expect_batch(lab, &lab->two, "told meanwhile");
	assert_int_equal(lab->one.lost, 0);
}

/* The last writes of the former master are lost: those that told them tell them again. */
static void a_replica_that_takes_over_makes_all_tell_again(void **state)
{
	struct lab *lab = *state;
	char port[8];
	redis_start(&lab->redis, no_options);
	redis_start(&lab->replica, no_options);
	start_node(lab, &lab->one, "lb1");
	start_node(lab, &lab->two, "lb2");
	assert_true(tell(&lab->one, SERVICE, "replicated"));
	expect_batch(lab, &lab->two, "replicated");
	snprintf(port, sizeof(port), "%u", lab->redis.port);
	redis_do(&lab->replica, "REPLICAOF 127.0.0.1 %s", port);
	expect(lab, redis_do(&lab->replica, "EXISTS berth:shop:epoch") == 1);
	kill(lab->replica.pid, SIGSTOP);
	assert_true(tell(&lab->one, SERVICE, "lost by the store"));
	expect_batch(lab, &lab->two, "lost by the store");
	assert_false(lab->two.is_again);
	const uint32_t again = lab->two.again;
	redis_kill(&lab->redis);
	kill(lab->replica.pid, SIGCONT);
	/* Until it takes over it is read only. */
	expect(lab, strstr(berth_store_status(lab->one.store)->error, "READONLY"));
	assert_int_equal(lab->one.lost, 0);
	redis_do(&lab->replica, "REPLICAOF NO ONE");
	expect(lab, lab->one.lost == 1 && lab->two.lost == 1);
	assert_true(tell(&lab->one, SERVICE, "told again"));
	expect_batch(lab, &lab->two, "told again");
	/* What was replicated is read a second time, or more often: a round may be under way when the loss is seen.
	 */
	assert_in_range(lab->two.again, again + 1, again + 3);
}

static void a_store_out_of_memory_is_an_alarm_and_reads_go_on_later(void **state)
{
	struct lab *lab = *state;
	start(lab);
	redis_do(&lab->redis, "CONFIG SET maxmemory 1");
	assert_true(tell(&lab->one, SERVICE, "told meanwhile"));
	expect(lab, strstr(berth_store_status(lab->one.store)->error, "OOM"));
	assert_int_equal(records_of(&lab->one)->queue_batches, 1);
	redis_do(&lab->redis, "CONFIG SET maxmemory 0");
	expect_batch(lab, &lab->two, "told meanwhile");
	assert_int_equal(lab->one.lost, 0);
}

/* A user who may write the presence of nodes and not their records. */
static void rounds_that_fail_while_visits_do_not_are_an_alarm(void **state)
{
	struct lab *lab = *state;
	start(lab);
	redis_do(&lab->redis, "ACL SETUSER default -xadd");
	assert_true(tell(&lab->one, SERVICE, "told meanwhile"));
	expect(lab, records_of(&lab->one)->is_alarm);
	assert_non_null(strstr(records_of(&lab->one)->error, "NOPERM"));
	assert_true(berth_store_status(lab->one.store)->is_connected);
	assert_false(records_of(&lab->two)->is_alarm);
	redis_do(&lab->redis, "ACL SETUSER default +xadd");
	expect_batch(lab, &lab->two, "told meanwhile");
	expect(lab, !records_of(&lab->one)->is_alarm);
}

static void the_rights_that_the_documents_name_suffice(void **state)
{
	struct lab *lab = *state;
	strcpy(lab->password_file, "/tmp/test_password.XXXXXX");
	const int fd = mkstemp(lab->password_file);
	assert_int_equal(write(fd, "right\n", 6), 6);
	close(fd);
	redis_start(&lab->redis, no_options);
	redis_do(&lab->redis, "ACL SETUSER berth on >right ~berth:shop:* +@read +@write +@connection +info +time");
	start_node(lab, &lab->one, "lb1");
	start_node(lab, &lab->two, "lb2");
	assert_true(tell(&lab->one, SERVICE, "told"));
	expect_batch(lab, &lab->two, "told");
	unlink(lab->password_file);
	assert_int_equal(records_of(&lab->one)->failures, 0);
	assert_int_equal(berth_store_status(lab->one.store)->failures, 0);
}

static void a_server_that_forbids_info_is_used(void **state)
{
	struct lab *lab = *state;
	redis_start(&lab->redis, no_options);
	redis_do(&lab->redis, "ACL SETUSER default -info");
	start_node(lab, &lab->one, "lb1");
	start_node(lab, &lab->two, "lb2");
	assert_true(tell(&lab->one, SERVICE, "told"));
	expect_batch(lab, &lab->two, "told");
	redis_do(&lab->redis, "FLUSHALL");
	expect(lab, lab->one.lost == 1);
}

static void a_killed_helper_loses_nothing(void **state)
{
	struct lab *lab = *state;
	start(lab);
	kill(berth_helper_status(lab->one.helper)->pid, SIGKILL);
	assert_true(tell(&lab->one, SERVICE, "told meanwhile"));
	expect_batch(lab, &lab->two, "told meanwhile");
	assert_int_equal(lab->one.lost, 0);
}

/* --- TLS --- */

/* A certificate that is its own authority, for 127.0.0.1 and redis.example.org. */
static void make_certificate(const char *directory)
{
	char command[400];
	snprintf(command, sizeof(command),
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=redis "
		 "-addext subjectAltName=IP:127.0.0.1,DNS:redis.example.org -keyout %s/key -out %s/ca 2>/dev/null",
		 directory, directory);
	assert_int_equal(system(command), 0);
}

static void expect_store_error(struct lab *lab, struct node *node, const char *text)
{
	if (!wait_until(strstr(berth_store_status(node->store)->error, text), 8000, loop_for(lab->base, 5)))
		fail_msg("\"%s\" is not in \"%s\"", text, berth_store_status(node->store)->error);
	assert_false(berth_store_status(node->store)->is_connected);
}

static void start_tls(struct lab *lab, const char *directory)
{
	char port[8], certificate[64], key[64];
	const char *const options[] = {"--tls-port",
				       port,
				       "--tls-cert-file",
				       certificate,
				       "--tls-key-file",
				       key,
				       "--tls-ca-cert-file",
				       certificate,
				       "--tls-auth-clients",
				       "no",
				       NULL};
	make_certificate(directory);
	lab->tls_port = redis_free_port();
	snprintf(port, sizeof(port), "%u", lab->tls_port);
	snprintf(certificate, sizeof(certificate), "%s/ca", directory);
	snprintf(key, sizeof(key), "%s/key", directory);
	redis_start(&lab->redis, options);
	strcpy(lab->tls_ca, certificate);
}

static void remove_all(const char *directory)
{
	static const char *const names[] = {"ca", "key", "other/ca", "other/key", "other", ""};
	char path[64];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		remove(path);
	}
}

static void a_store_with_tls_is_used(void **state)
{
	static uint8_t batch[LONGEST];
	struct lab *lab = *state;
	char directory[] = "/tmp/test_tls.XXXXXX";
	assert_non_null(mkdtemp(directory));
	start_tls(lab, directory);
	start_node(lab, &lab->one, "lb1");
	start_node(lab, &lab->two, "lb2");
	for (int i = 0; i < 500; i++)
		assert_true(berth_store_tell(lab->one.store, SERVICE, batch, sizeof(batch)));
	expect(lab, lab->two.batches == 500);
	/* The helper gets the authorities again. */
	kill(berth_helper_status(lab->one.helper)->pid, SIGKILL);
	assert_true(tell(&lab->one, SERVICE, "told meanwhile"));
	expect_batch(lab, &lab->two, "told meanwhile");
	assert_null(strstr(berth_store_status(lab->one.store)->error, "TLS"));
	remove_all(directory);
}

static void a_store_that_is_not_the_one_is_not_told_the_password(void **state)
{
	struct lab *lab = *state;
	char directory[] = "/tmp/test_tls.XXXXXX", other[40];
	assert_non_null(mkdtemp(directory));
	start_tls(lab, directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	assert_int_equal(mkdir(other, 0700), 0);
	make_certificate(other);
	snprintf(lab->tls_ca, sizeof(lab->tls_ca), "%s/ca", other);
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "TLS: self-signed certificate");
	stop_node(&lab->one);
	snprintf(lab->tls_ca, sizeof(lab->tls_ca), "%s/key", directory);
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "TLS: the file `ca` has no certificates");
	stop_node(&lab->one);
	snprintf(lab->tls_ca, sizeof(lab->tls_ca), "%s/none", directory);
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "No such file or directory");
	stop_node(&lab->one);
	snprintf(lab->tls_ca, sizeof(lab->tls_ca), "%s/ca", directory);
	strcpy(lab->tls_name, "redis.example.net");
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "TLS: hostname mismatch");
	stop_node(&lab->one);
	strcpy(lab->tls_name, "redis.example.org");
	start_node(lab, &lab->one, "lb1");
	expect(lab, berth_store_status(lab->one.store)->is_connected);
	stop_node(&lab->one);
	lab->tls_port = 0;
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "127.0.0.1:");
	remove_all(directory);
}

/* --- what others write there --- */

static void foreign_entries_are_refused_and_counted_and_stop_nothing(void **state)
{
	struct lab *lab = *state;
	static char longest[30 << 20];
	static char batch[LONGEST + 1];
	char *fields[4000 + 3];
	start(lab);
	const char *key = "berth:shop:x:000000000000005e";
	memset(longest, 'x', sizeof(longest));
	memset(batch, 'x', sizeof(batch));
	redis_do(&lab->redis, "XADD %s * a b", key);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 c x", key);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b %b", key, "", (size_t)0);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b %b", key, batch, sizeof(batch));
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b x d y", key);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b %b", key, longest, sizeof(longest));
	redis_do(&lab->redis, "XADD %s * %b x", key, longest, sizeof(longest));
	for (size_t i = 0; i < 4003; i++)
		fields[i] = (char *)"f";
	fields[0] = (char *)"XADD";
	fields[1] = (char *)key;
	fields[2] = (char *)"*";
	redisContext *context = redisConnect("127.0.0.1", lab->redis.port);
	freeReplyObject(redisCommandArgv(context, 4003, (const char **)fields, NULL));
	redisFree(context);
	redis_do(&lab->redis, "XADD %s * n lb9 e 00 b %s", key, "from a third node");
	assert_true(tell(&lab->one, SERVICE, "from lb1"));
	expect_batch(lab, &lab->two, "from lb1");
	assert_int_equal(lab->two.batches, 2);
	expect(lab, records_of(&lab->two)->refused_entries == 8 && records_of(&lab->one)->refused_entries == 8);
	assert_int_equal(lab->two.lost, 0);
	assert_int_equal(records_of(&lab->two)->failures, 0);
}

static void a_key_that_is_no_stream_stops_no_other_service(void **state)
{
	struct lab *lab = *state;
	redis_start(&lab->redis, no_options);
	redis_do(&lab->redis, "RPUSH berth:shop:x:000000000000005e a");
	redis_do(&lab->redis, "RPUSH berth:shop:epoch a");
	start_node(lab, &lab->one, "lb1");
	start_node(lab, &lab->two, "lb2");
	assert_true(tell(&lab->one, SERVICE, "refused"));
	assert_true(tell(&lab->one, OTHER_SERVICE, "told"));
	expect_batch(lab, &lab->two, "told");
	expect(lab, records_of(&lab->one)->refused_batches == 1);
	expect(lab, records_of(&lab->one)->queue_batches == 0);
	expect(lab, records_of(&lab->two)->refused_entries > 0);
	expect(lab, lab->two.synchronised == 1);
	assert_int_equal(records_of(&lab->one)->failures, 0);
}

/* Ids ahead of the time: a stream that begins anew has lower ones than those that were read. */
static void a_stream_that_begins_anew_is_read_from_the_start(void **state)
{
	struct lab *lab = *state;
	start(lab);
	redis_do(&lab->redis, "XADD berth:shop:x:000000000000005e %" PRIu64 "-0 n lb9 e 00 b ahead",
		 time_ms(lab) + 1800000);
	expect_batch(lab, &lab->one, "ahead");
	assert_true(tell(&lab->one, SERVICE, "still told"));
	expect_batch(lab, &lab->two, "still told");
	redis_do(&lab->redis, "DEL berth:shop:x:000000000000005e");
	assert_true(tell(&lab->one, SERVICE, "told anew"));
	expect(lab, lab->one.lost == 1);
}

/* A stream keeps all that is written behind them for ever, and after the last id it takes no more. */
static void a_stream_with_ids_of_the_future_is_deleted_and_all_is_told_again(void **state)
{
	struct lab *lab = *state;
	start(lab);
	redis_do(&lab->redis, "XADD berth:shop:x:000000000000005e %" PRIu64 "-0 n lb9 e 00 b ahead",
		 time_ms(lab) + 2 * 3600000);
	expect_batch(lab, &lab->one, "ahead");
	assert_true(tell(&lab->one, SERVICE, "goes with it"));
	expect(lab, lab->one.lost == 1 && lab->two.lost == 1);
	assert_true(tell(&lab->one, SERVICE, "told again"));
	expect_batch(lab, &lab->two, "told again");
	assert_int_equal(redis_do(&lab->redis, "XLEN berth:shop:x:000000000000005e"), 1);
	redis_do(&lab->redis,
		 "XADD berth:shop:x:000000000000005e 18446744073709551615-18446744073709551615 n lb9 e 00 b last");
	assert_true(tell(&lab->one, SERVICE, "refused"));
	expect(lab, lab->one.lost == 2 && lab->two.lost == 2);
	assert_true(tell(&lab->one, SERVICE, "told once more"));
	expect_batch(lab, &lab->two, "told once more");
	loop_for(lab->base, 500);
	assert_int_equal(lab->one.lost, 2);
	assert_int_equal(records_of(&lab->one)->failures, 0);
}

static void a_stream_without_an_end_starves_no_other(void **state)
{
	struct lab *lab = *state;
	start(lab);
	for (int i = 0; i < 3000; i++) {
		assert_true(tell(&lab->one, SERVICE, "one of many"));
		if (i == 10)
			assert_true(tell(&lab->one, OTHER_SERVICE, "rare"));
	}
	expect(lab, lab->two.batches == 3001);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_node_reads_what_another_one_tells_and_not_what_it_told_itself),
		TEST(a_node_that_comes_later_or_again_reads_all_from_the_start),
		TEST(what_could_not_be_taken_and_what_follows_is_read_again),
		TEST(the_longest_batch_and_no_longer_one_is_told),
		TEST(a_stream_keeps_its_horizon),
		TEST(a_batch_that_is_read_late_has_its_age),
		TEST(a_hundred_thousand_records_arrive_soon),
		TEST(what_is_told_without_a_store_waits_up_to_a_bound_and_is_told_later),
		TEST(a_flushed_store_makes_all_tell_again_and_read_from_the_start),
		TEST(a_killed_store_loses_nothing_that_waits),
		TEST(a_stopped_store_blocks_nothing_and_goes_on),
		TEST(a_replica_that_takes_over_makes_all_tell_again),
		TEST(a_store_out_of_memory_is_an_alarm_and_reads_go_on_later),
		TEST(rounds_that_fail_while_visits_do_not_are_an_alarm),
		TEST(the_rights_that_the_documents_name_suffice),
		TEST(a_server_that_forbids_info_is_used),
		TEST(a_killed_helper_loses_nothing),
		TEST(a_store_with_tls_is_used),
		TEST(a_store_that_is_not_the_one_is_not_told_the_password),
		TEST(foreign_entries_are_refused_and_counted_and_stop_nothing),
		TEST(a_key_that_is_no_stream_stops_no_other_service),
		TEST(a_stream_that_begins_anew_is_read_from_the_start),
		TEST(a_stream_with_ids_of_the_future_is_deleted_and_all_is_told_again),
		TEST(a_stream_without_an_end_starves_no_other),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
