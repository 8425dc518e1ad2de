// SPDX-License-Identifier: BSD-3-Clause
/* The scan counts, frees expired words and those of removed backends, and keeps words that a worker used meanwhile.
 */
#include "tests/support/control.h"

#include "controlplane/tables/former_words.h"
#include "controlplane/tables/scan.h"
#include "controlplane/tables/sessions.h"
#include "dataplane/core/flowtab.h"

/* Two servers, each the other's backup, in a service with client affinity; web2 is in one group with web. */
#define WEB(name, port, more)                                                                                      \
	"  - {name: " name ", address: 203.0.113.10, port: " port                                                  \
	", mode: l2, table-size: 251, affinity: {by: client" more                                                  \
	"}, backends: [{name: a, address: 192.0.2.1, backup: b}, {name: b, address: 192.0.2.2, backup: a}, "       \
	"{name: "                                                                                                  \
	"c, address: 192.0.2.3}]}\n"

struct scan_rig {
	struct berth_model model;
	struct berth_engine *engine;
	struct berth_scan *scan;
	uint32_t a, b; /* numbers */
};

static struct scan_rig rig_with(struct berth_config *config)
{
	struct scan_rig rig;
	char error[BERTH_ERROR_BYTES];
	rig.engine = null_engine(config);
	rig.scan = berth_scan_new(&rig.engine->image);
	assert_int_equal(berth_model_init(&rig.model, &rig.engine->image.geometry), 0);
	assert_int_equal(berth_model_apply(&rig.model, config, error), 0);
	all_up(&rig.model);
	publish_once(rig.engine, &rig.model);
	rig.a = rig.model.services[0].backends[0].number;
	rig.b = rig.model.services[0].backends[1].number;
	return rig;
}

static struct scan_rig rig_make(void)
{
	return rig_with(configure_web(BACKENDS("a 1 100", "b 2 100")));
}

static void drop(struct scan_rig *rig)
{
	berth_scan_free(rig->scan);
	rig->engine->ops->close(rig->engine, true);
	berth_model_clear(&rig->model);
}

static void put(struct scan_rig *rig, uint32_t bucket, uint32_t i, uint32_t backend, uint32_t seen, uint32_t state)
{
	rig->engine->image.flows[bucket].word[i] = berth_word_make(1234 + i, backend, seen, state);
}

/* A complete scan of both tables. */
static void scan_all(struct scan_rig *rig, uint32_t now)
{
	int steps = 0;
	while (!berth_scan_step(rig->scan, 7, now))
		assert_in_range(++steps, 0, 100000);
}

static void flows_and_sessions_are_counted_per_backend(void **state)
{
	(void)state;
	struct scan_rig rig = rig_make();
	uint64_t flows, sessions;
	put(&rig, 0, 0, rig.a, 100, BERTH_STATE_CONFIRMED);
	put(&rig, 0, 1, rig.a, 100, BERTH_STATE_CONFIRMED);
	put(&rig, rig.engine->image.geometry.flow_buckets - 1, 7, rig.b, 100, BERTH_STATE_UNCONFIRMED);
	put(&rig, 1, 0, rig.b, 100, BERTH_STATE_PROVEN);
	rig.engine->image.sessions[3].word[2] = berth_word_make(5, rig.b, 100, BERTH_STATE_SESSION);
	rig.engine->image.sessions[3].word[4] = berth_word_make(6, rig.b, 100, BERTH_STATE_UNCONFIRMED);
	rig.engine->image.sessions[4].word[4] = berth_word_make(7, rig.a, 100, BERTH_STATE_UNCONFIRMED);
	scan_all(&rig, 101);
	berth_scan_unconfirmed(rig.scan, &flows, &sessions);
	assert_int_equal(flows, 1);
	assert_int_equal(sessions, 2);
	assert_int_equal(berth_scan_flows(rig.scan, rig.a), 2);
	assert_int_equal(berth_scan_flows(rig.scan, rig.b), 2);
	assert_int_equal(berth_scan_sessions(rig.scan, rig.a), 0);
	assert_int_equal(berth_scan_sessions(rig.scan, rig.b), 1);
	berth_scan_totals(rig.scan, &flows, &sessions);
	assert_int_equal(flows, 4);
	assert_int_equal(sessions, 3);
	/* The next scan starts from zero. */
	rig.engine->image.flows[0].word[0] = 0;
	for (int i = 0; i < 3; i++) {
		scan_all(&rig, 101);
		assert_int_equal(berth_scan_flows(rig.scan, rig.a), 1);
		assert_int_equal(berth_scan_flows(rig.scan, rig.b), 2);
		assert_int_equal(berth_scan_sessions(rig.scan, rig.b), 1);
	}
	drop(&rig);
}

static void closing_flows_are_not_live(void **state)
{
	(void)state;
	struct scan_rig rig = rig_make();
	uint64_t flows, sessions;
	put(&rig, 0, 0, rig.a, 100, BERTH_STATE_CLOSING);
	put(&rig, 0, 1, rig.a, 100, BERTH_STATE_UNCONFIRMED);
	put(&rig, 0, 2, rig.b, 100, BERTH_STATE_UNCONFIRMED);
	put(&rig, 0, 3, rig.a, 100, BERTH_STATE_CLOSED);
	scan_all(&rig, 100);
	assert_int_equal(berth_scan_flows(rig.scan, rig.a), 1);
	assert_int_equal(berth_scan_closing(rig.scan, rig.a), 2);
	assert_int_equal(berth_scan_flows(rig.scan, rig.b), 1);
	berth_scan_totals(rig.scan, &flows, &sessions);
	assert_int_equal(flows, 4);
	rig.engine->image.flows[0].word[0] = 0;
	rig.engine->image.flows[0].word[3] = 0;
	scan_all(&rig, 100);
	assert_int_equal(berth_scan_closing(rig.scan, rig.a), 0);
	drop(&rig);
}

/* The third word of the fourth bucket of the session table, and its client. */
static uint64_t *session(struct scan_rig *rig)
{
	return &rig->engine->image.sessions[3].word[2];
}

static struct berth_client *client(struct scan_rig *rig)
{
	return &rig->engine->image.clients[3 * BERTH_BUCKET_WORDS + 2];
}

static void put_session(struct scan_rig *rig, uint32_t backend, enum berth_reason reason, uint16_t from)
{
	*session(rig) = berth_word_make(5, backend, 90, BERTH_STATE_SESSION);
	*client(rig) = (struct berth_client){
		.tag = 5, .reason = (uint8_t)reason, .from = from, .since = 50, .flows = 9};
}

static struct berth_model_backend *named(struct scan_rig *rig, const char *service, const char *name)
{
	return berth_model_backend(berth_model_service(&rig->model, service), name);
}

static void evict(struct scan_rig *rig, const char *service, const char *name)
{
	berth_model_set_admin(&rig->model, named(rig, service, name), BERTH_ADMIN_EVICTED, 0);
	publish_once(rig->engine, &rig->model);
}

static void an_evicted_backends_words_are_removed(void **state)
{
	(void)state;
	struct scan_rig rig = rig_with(configure(WEB("web", "80", "")));
	uint32_t c = named(&rig, "web", "c")->number;
	put(&rig, 0, 0, c, 100, BERTH_STATE_CONFIRMED);
	put(&rig, 0, 1, c, 100, BERTH_STATE_CLOSING);
	put(&rig, 0, 2, c, 100, BERTH_STATE_FRAGMENT);
	put(&rig, 0, 3, rig.b, 100, BERTH_STATE_CONFIRMED);
	put_session(&rig, c, BERTH_REASON_SELECTED, 0);
	berth_model_set_admin(&rig.model, named(&rig, "web", "c"), BERTH_ADMIN_DISABLED, 0);
	publish_once(rig.engine, &rig.model);
	scan_all(&rig, 100);
	assert_int_not_equal(rig.engine->image.flows[0].word[0], 0);
	assert_int_not_equal(*session(&rig), 0);
	evict(&rig, "web", "c");
	scan_all(&rig, 100);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig.engine->image.flows[0].word[i], 0);
	assert_int_not_equal(rig.engine->image.flows[0].word[3], 0);
	assert_int_equal(*session(&rig), 0);
	assert_int_equal(berth_scan_flows(rig.scan, c), 0);
	assert_int_equal(berth_scan_sessions(rig.scan, c), 0);
	drop(&rig);
}

static void an_evicted_backends_sessions_move_to_its_backup(void **state)
{
	(void)state;
	struct scan_rig rig = rig_with(configure(WEB("web", "80", "")));
	put_session(&rig, rig.a, BERTH_REASON_SELECTED, 0);
	evict(&rig, "web", "a");
	scan_all(&rig, 100);
	assert_int_equal(*session(&rig), berth_word_make(5, rig.b, 90, BERTH_STATE_SESSION));
	assert_int_equal(client(&rig)->reason, BERTH_REASON_FAILED_OVER);
	assert_int_equal(client(&rig)->from, rig.a);
	assert_int_equal(client(&rig)->since, 100);
	assert_int_equal(berth_scan_sessions(rig.scan, rig.b), 1);
	/* A backup that accepts no sessions gets none. */
	named(&rig, "web", "a")->health = BERTH_HEALTH_DOWN;
	evict(&rig, "web", "b");
	scan_all(&rig, 100);
	assert_int_equal(*session(&rig), 0);
	drop(&rig);
}

static void sessions_of_a_group_stay_until_the_server_is_evicted_from_all_of_it(void **state)
{
	(void)state;
	struct scan_rig rig = rig_with(configure(WEB("web", "80", ", group: g") WEB("web2", "443", ", group: g")));
	put_session(&rig, rig.a, BERTH_REASON_SELECTED, 0);
	evict(&rig, "web", "a");
	scan_all(&rig, 100);
	assert_int_equal(berth_word_backend(*session(&rig)), rig.a);
	evict(&rig, "web2", "a");
	scan_all(&rig, 100);
	assert_int_equal(berth_word_backend(*session(&rig)), rig.b);
	drop(&rig);
}

static void a_pinned_session_is_kept_until_its_backend_is_removed(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct scan_rig rig = rig_with(configure(WEB("web", "80", ", timeout: 5s")));
	put_session(&rig, rig.b, BERTH_REASON_PINNED, (uint16_t)rig.a);
	scan_all(&rig, 100);
	assert_int_not_equal(*session(&rig), 0);
	/* Its timeout starts again; its client is unchanged. */
	assert_int_equal(berth_word_age(*session(&rig), 100), 0);
	assert_int_equal(client(&rig)->reason, BERTH_REASON_PINNED);
	assert_int_equal(client(&rig)->from, rig.a);
	evict(&rig, "web", "b");
	scan_all(&rig, 92);
	assert_int_equal(berth_word_backend(*session(&rig)), rig.b);
	assert_int_equal(berth_model_apply(&rig.model, configure_web(BACKENDS("b 2 100")), error), 0);
	all_up(&rig.model);
	publish_once(rig.engine, &rig.model);
	scan_all(&rig, 110);
	assert_int_equal(*session(&rig), 0);
	drop(&rig);
}

/* Its number will be assigned to another backend (docs/packets.md: "slot used again"). */
static void no_client_returns_to_a_removed_backend(void **state)
{
	(void)state;
	char error[BERTH_ERROR_BYTES];
	struct scan_rig rig = rig_with(configure(WEB("web", "80", "")));
	put_session(&rig, rig.b, BERTH_REASON_FAILED_OVER, (uint16_t)rig.a);
	scan_all(&rig, 100);
	scan_all(&rig, 100);
	assert_int_equal(client(&rig)->from, rig.a);
	assert_int_equal(berth_model_apply(&rig.model, configure_web(BACKENDS("b 2 100")), error), 0);
	publish_once(rig.engine, &rig.model);
	scan_all(&rig, 100);
	assert_int_equal(client(&rig)->from, 0);
	assert_int_not_equal(*session(&rig), 0);
	drop(&rig);
}

static void fragments_use_words_and_are_not_flows(void **state)
{
	(void)state;
	struct scan_rig rig = rig_make();
	uint64_t flows, sessions;
	put(&rig, 0, 0, rig.a, 100, BERTH_STATE_FRAGMENT);
	put(&rig, 0, 1, rig.a, 100, BERTH_STATE_CONFIRMED);
	/* 30 s, the default. */
	scan_all(&rig, 130);
	assert_int_equal(berth_scan_flows(rig.scan, rig.a), 1);
	berth_scan_totals(rig.scan, &flows, &sessions);
	assert_int_equal(flows, 2);
	scan_all(&rig, 131);
	assert_int_equal(rig.engine->image.flows[0].word[0], 0);
	assert_int_not_equal(rig.engine->image.flows[0].word[1], 0);
	berth_scan_totals(rig.scan, &flows, &sessions);
	assert_int_equal(flows, 1);
	drop(&rig);
}

static void words_are_freed_after_the_timeout_of_their_state(void **state)
{
	(void)state;
	struct scan_rig rig = rig_make();
	const struct berth_bucket *bucket = &rig.engine->image.flows[0];
	/* half-open 10 s, established 2 h 15 min: the defaults. */
	put(&rig, 0, 0, rig.a, 100, BERTH_STATE_UNCONFIRMED);
	put(&rig, 0, 1, rig.a, 100, BERTH_STATE_CONFIRMED);
	put(&rig, 0, 2, rig.a, 100, BERTH_STATE_CLAIMED);
	scan_all(&rig, 110);
	assert_int_not_equal(bucket->word[0], 0);
	assert_int_not_equal(bucket->word[1], 0);
	assert_int_equal(bucket->word[2], 0);
	scan_all(&rig, 111);
	assert_int_equal(bucket->word[0], 0);
	assert_int_not_equal(bucket->word[1], 0);
	scan_all(&rig, 100 + 8100);
	assert_int_not_equal(bucket->word[1], 0);
	scan_all(&rig, 100 + 8101);
	assert_int_equal(bucket->word[1], 0);
	drop(&rig);
}

/* dpvs#109, #372; keepalived#2163: entries of a removed server were never freed. */
static void words_of_removed_backends_are_freed(void **state)
{
	(void)state;
	struct scan_rig rig = rig_make();
	put(&rig, 0, 0, 33, 100, BERTH_STATE_CONFIRMED);
	put(&rig, 0, 1, 0, 100, BERTH_STATE_CONFIRMED);
	put(&rig, 0, 2, 0xffff, 100, BERTH_STATE_CONFIRMED);
	scan_all(&rig, 100);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig.engine->image.flows[0].word[i], 0);
	drop(&rig);
}

/* A former flow table of 2^log2 buckets with `n` flows, in their first and second buckets by turns. */
static void put_former(struct scan_rig *rig, uint32_t log2, uint32_t n, uint32_t now)
{
	struct berth_image *image = &rig->engine->image;
	image->former_flows = aligned_alloc(64, sizeof(struct berth_bucket) << log2);
	memset(image->former_flows, 0, sizeof(struct berth_bucket) << log2);
	image->former_flow_bits = image->ctl->former_flow_bits = (uint8_t)(log2 + 1);
	for (uint32_t i = 0; i < n; i++) {
		const uint64_t hash = (i + 1) * 0x9e3779b97f4a7c15;
		const uint32_t mask = (1u << log2) - 1;
		const uint32_t bucket = i & 1 ? berth_second_bucket(hash, mask) : (uint32_t)hash & mask;
		uint64_t *word = image->former_flows[bucket].word;
		while (*word)
			word++;
		*word = berth_word_make(berth_hash_tag(hash), i & 2 ? rig->a : rig->b, now - 7,
					BERTH_STATE_CONFIRMED);
	}
}

/* How many of the flows a lookup finds in the table itself. */
static uint32_t count_found(const struct scan_rig *rig, uint32_t n, uint32_t now)
{
	const struct berth_view view = berth_image_view(&rig->engine->image, 0, now);
	uint32_t found = 0;
	for (uint32_t i = 0; i < n; i++) {
		const struct berth_key key = berth_key_make(&view, BERTH_TABLE_FLOWS, rig->model.services[0].number,
							    (i + 1) * 0x9e3779b97f4a7c15);
		struct berth_entry entry;
		berth_flowtab_find(&view, &key, &entry);
		found += entry.at != BERTH_NOT_FOUND && berth_word_age(entry.value, now) == 7 &&
			 berth_word_backend(entry.value) == (i & 2 ? rig->a : rig->b);
	}
	return found;
}

static void flows_leave_a_former_table_that_is_not_smaller_without_a_packet(void **state)
{
	(void)state;
	enum {
		FLOWS = 300,
		NOW = 1000
	};
	for (uint32_t log2 = 4; log2 < 14; log2++) {
		struct scan_rig rig = rig_make();
		struct berth_image *image = &rig.engine->image;
		const bool moves = 1u << log2 >= image->geometry.flow_buckets;
		const uint32_t n = log2 < 7 ? 30 : FLOWS;
		uint64_t flows, sessions;
		put_former(&rig, log2, n, NOW);
		scan_all(&rig, NOW);
		scan_all(&rig, NOW);
		berth_scan_former(rig.scan, &flows, &sessions);
		assert_int_equal(flows, moves ? 0 : n);
		assert_int_equal(count_found(&rig, n, NOW), moves ? n : 0);
		assert_int_equal(berth_former_words_empty(image, BERTH_TABLE_FLOWS, NOW), moves);
		free(image->former_flows);
		drop(&rig);
	}
}

/* Days after the last sweep the clock of the tables stands (core/clock.h). */
static void after_days_scans_clear_what_expired_and_keep_what_has_traffic(void **state)
{
	(void)state;
	static const uint32_t hours[] = {1, 12, 36, 37, 73, 30 * 24};
	for (size_t i = 0; i < sizeof(hours) / sizeof(hours[0]); i++) {
		struct scan_rig rig = rig_make();
		const struct berth_image *image = &rig.engine->image;
		const uint32_t now = 1000000 + hours[i] * 3600;
		image->ctl->swept = 1000000;
		put(&rig, 0, 0, rig.a, 1000000 - 60, BERTH_STATE_UNCONFIRMED);
		put(&rig, 0, 1, rig.a, 1000000, BERTH_STATE_CLOSING);
		uint32_t scans = 0;
		while (berth_sessions_view(image, now).now != now || scans < 2) {
			/* It has traffic all the time. */
			put(&rig, 0, 2, rig.a, berth_sessions_view(image, now).now, BERTH_STATE_PROVEN);
			scan_all(&rig, now);
			assert_in_range(++scans, 1, 100);
		}
		assert_int_equal(image->flows[0].word[0], 0);
		assert_int_equal(image->flows[0].word[1], 0);
		put(&rig, 0, 2, rig.a, now, BERTH_STATE_PROVEN);
		scan_all(&rig, now);
		assert_int_not_equal(image->flows[0].word[2], 0);
		assert_int_equal(image->ctl->swept, now);
		drop(&rig);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flows_and_sessions_are_counted_per_backend),
		cmocka_unit_test(closing_flows_are_not_live),
		cmocka_unit_test(after_days_scans_clear_what_expired_and_keep_what_has_traffic),
		cmocka_unit_test(an_evicted_backends_words_are_removed),
		cmocka_unit_test(an_evicted_backends_sessions_move_to_its_backup),
		cmocka_unit_test(sessions_of_a_group_stay_until_the_server_is_evicted_from_all_of_it),
		cmocka_unit_test(a_pinned_session_is_kept_until_its_backend_is_removed),
		cmocka_unit_test(no_client_returns_to_a_removed_backend),
		cmocka_unit_test(fragments_use_words_and_are_not_flows),
		cmocka_unit_test(words_are_freed_after_the_timeout_of_their_state),
		cmocka_unit_test(words_of_removed_backends_are_freed),
		cmocka_unit_test(flows_leave_a_former_table_that_is_not_smaller_without_a_packet),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
