// SPDX-License-Identifier: BSD-3-Clause
/* steer.h: new flows as in a burst: a claim, and its settlement after other packets. */
#include "tests/unit/dataplane/core/steering.h"

enum {
	UNIT = 10
};

static int set_up_counted(void **state)
{
	set_up(state);
	for (uint32_t backend = 1; backend <= 3; backend++)
		fixture_backend_at(&image, backend)->load_unit = UNIT;
	return 0;
}

#define COUNTED(name) cmocka_unit_test_setup_teardown(name, set_up_counted, tear_down)

struct begun {
	struct berth_packet packet;
	struct berth_entry entry;
	struct berth_steering steering;
};

static struct begun begin(uint16_t sport, uint8_t tcp_flags)
{
	const struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	struct fixture_packet from = to_service[FLOW_TCP];
	struct fixture_frame frame;
	struct begun begun;
	from.sport = sport;
	from.tcp_flags = tcp_flags;
	fixture_build(&frame, &from);
	assert_int_equal(berth_receive(&view, &frame.frame, &begun.packet, frame.bytes), BERTH_NO_VERDICT);
	begun.steering = berth_steer_slow(&view, &begun.packet, &begun.entry);
	return begun;
}

static enum berth_verdict settle(struct begun *begun)
{
	const struct berth_view view = fixture_view(&image, FIXTURE_NOW);
	assert_true(begun->steering.entry_due);
	enum berth_verdict verdict = berth_steer_finish(&view, &begun->packet, begun->steering, &begun->entry);
	steered = begun->packet;
	return verdict;
}

static void assert_not_due(struct begun begun, enum berth_verdict verdict)
{
	assert_int_equal(begun.steering.verdict, verdict);
	assert_false(begun.steering.entry_due);
}

static uint32_t load(uint32_t backend)
{
	return image.loads[0].backend[backend].load;
}

static void claims_settled_later_give_the_same_table_as_single_packets(void **state)
{
	(void)state;
	enum {
		FLOWS = 24
	};
	static struct berth_bucket flows[16];
	struct begun begun[FLOWS];
	assert_int_equal(image.geometry.flow_buckets, COUNT(flows));
	for (uint16_t i = 0; i < FLOWS; i++)
		assert_steered(steer(FLOW_TCP, (uint16_t)(1025 + i), SYN, FIXTURE_NOW), SELECTED, 1);
	memcpy(flows, image.flows, sizeof(flows));
	clear_tables();
	for (uint16_t i = 0; i < FLOWS; i++)
		begun[i] = begin((uint16_t)(1025 + i), SYN);
	assert_memory_not_equal(flows, image.flows, sizeof(flows));
	for (uint16_t i = 0; i < FLOWS; i++)
		assert_steered(settle(&begun[i]), SELECTED, 1);
	assert_memory_equal(flows, image.flows, sizeof(flows));
	assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), 2 * FLOWS);
	assert_int_equal(load(1), 2 * FLOWS * UNIT);
}

static void a_flows_second_packet_settles_the_claim_of_its_first(void **state)
{
	(void)state;
	struct begun first = begin(1025, SYN);
	assert_int_equal(berth_word_state(*flow_word()), BERTH_STATE_CLAIMED);
	struct begun second = begin(1025, ACK);
	assert_int_equal(second.steering.verdict, FLOW);
	assert_int_equal(berth_word_state(*flow_word()), CONFIRMED);
	assert_steered(settle(&first), SELECTED, 1);
	assert_int_equal(berth_word_state(*flow_word()), CONFIRMED);
	assert_int_equal(load(1), UNIT);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), 1);
}

static void if_another_worker_was_first_its_backend_is_used_and_counted(void **state)
{
	(void)state;
	struct begun begun = begin(1025, SYN);
	assert_int_equal(load(1), UNIT);
	uint64_t *word = &image.flows[begun.entry.at / BERTH_BUCKET_WORDS].word[7];
	assert_int_equal(*word, 0);
	*word = berth_word_make(berth_hash_tag(begun.packet.hash), 2, FIXTURE_NOW, CONFIRMED);
	assert_steered(settle(&begun), SELECTED, 2);
	assert_ptr_equal(flow_word(), word);
	assert_int_equal(load(1), 0);
	assert_int_equal(load(2), UNIT);
}

static void a_lost_claim_is_a_flow_without_an_entry(void **state)
{
	(void)state;
	struct begun begun = begin(1025, SYN);
	*flow_word() = 0;
	assert_steered(settle(&begun), BERTH_VERDICT_TABLE_FULL, 1);
	assert_null(flow_word());
	assert_int_equal(load(1), 0);
	assert_int_equal(event_count(BERTH_EVENT_FLOW_ADDED), 0);
}

static void existing_and_untracked_flows_have_no_entry_due(void **state)
{
	(void)state;
	assert_not_due(begin(1025, RST), UNTRACKED);
	assert_steered(steer(FLOW_TCP, 1025, SYN, FIXTURE_NOW), SELECTED, 1);
	assert_not_due(begin(1025, SYN), FLOW);
	fixture_set_eligibility(&image, 1, 0);
	struct begun moved = begin(1025, ACK);
	assert_not_due(moved, RESELECTED);
	assert_int_equal(moved.packet.backend, 2);
	fill_table(image.flows, image.geometry.flow_buckets, CONFIRMED);
	assert_not_due(begin(1026, SYN), BERTH_VERDICT_TABLE_FULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		COUNTED(claims_settled_later_give_the_same_table_as_single_packets),
		COUNTED(a_flows_second_packet_settles_the_claim_of_its_first),
		COUNTED(if_another_worker_was_first_its_backend_is_used_and_counted),
		COUNTED(a_lost_claim_is_a_flow_without_an_entry),
		COUNTED(existing_and_untracked_flows_have_no_entry_due),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
