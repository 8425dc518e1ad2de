// SPDX-License-Identifier: BSD-3-Clause
/* steer.h, flow_state.h: in mode nat berth sees the backends' packets, which change the states of flows. */
#include "tests/unit/dataplane/core/nat.h"

enum {
	SYN = BERTH_TCP_SYN,
	ACK = BERTH_TCP_ACK,
	FIN = BERTH_TCP_FIN,
	RST = BERTH_TCP_RST,
	AGE = 3, /* of the flow's word before the backend's packet */
	UNCONFIRMED = BERTH_STATE_UNCONFIRMED,
	CONFIRMED = BERTH_STATE_CONFIRMED,
	PROVEN = BERTH_STATE_PROVEN,
	CLOSING = BERTH_STATE_CLOSING,
	CLOSED = BERTH_STATE_CLOSED,
};

static enum berth_verdict send_at(struct fixture_packet packet, uint8_t flags, uint32_t now)
{
	struct berth_view view = fixture_view(&image, now);
	packet.tcp_flags = packet.protocol == BERTH_PROTO_TCP ? flags : 0;
	return fixture_send(&view, &packet);
}

/* The only word of the flow table. */
static uint64_t *flow_word(void)
{
	uint64_t *found = NULL;
	for (uint32_t i = 0; i < image.geometry.flow_buckets * BERTH_BUCKET_WORDS; i++) {
		uint64_t *word = &image.flows[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS];
		if (*word && found)
			fail_msg("more than one flow");
		found = *word ? word : found;
	}
	assert_non_null(found);
	return found;
}

/* A flow of the way's service in that state, last seen AGE seconds ago. */
static uint64_t *put_flow(uint32_t way, uint32_t state)
{
	memset(image.flows, 0, sizeof(*image.flows) * image.geometry.flow_buckets);
	send_at(ways[way].to, SYN, FIXTURE_NOW - AGE);
	uint64_t *word = flow_word();
	*word = berth_word_touch(*word, FIXTURE_NOW - AGE, state);
	return word;
}

struct answer {
	uint32_t from;
	uint8_t flags;
	uint32_t to;
	bool is_touched;
};

static const struct answer answers[] = {
	/* A spoofed SYN is answered, too, and again. */
	{UNCONFIRMED, SYN | ACK, UNCONFIRMED, false},
	{UNCONFIRMED, RST | ACK, UNCONFIRMED, false},
	{UNCONFIRMED, ACK, PROVEN, true},
	{CONFIRMED, SYN | ACK, CONFIRMED, true},
	{CONFIRMED, ACK, PROVEN, true},
	/* A spoofed ACK is answered so. */
	{CONFIRMED, RST, CLOSED, true},
	{CONFIRMED, FIN | ACK, CONFIRMED, true},
	{PROVEN, ACK, PROVEN, true},
	{PROVEN, FIN | ACK, PROVEN, true},
	{PROVEN, RST | ACK, CLOSED, true},
	/* A long answer to a client that has sent its FIN. */
	{CLOSING, ACK, CLOSING, true},
	{CLOSING, FIN | ACK, CLOSED, true},
	{CLOSING, RST, CLOSED, true},
	{CLOSED, ACK, CLOSED, true},
	{CLOSED, FIN | ACK, CLOSED, true},
};

static void a_backends_packet_changes_its_tcp_flow_to_the_next_state(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(answers) * WAYS; i++) {
		const struct answer *a = &answers[i / WAYS];
		const uint32_t way = i % WAYS;
		if (ways[way].to.protocol != BERTH_PROTO_TCP)
			continue;
		uint64_t *word = put_flow(way, a->from);
		assert_int_equal(send_at(wire_reply(inside(&ways[way])), a->flags, FIXTURE_NOW), RETURNED);
		if (berth_word_state(*word) != a->to ||
		    berth_word_age(*word, FIXTURE_NOW) != (a->is_touched ? 0 : AGE))
			fail_msg("state %u, flags %02x: state %u, age %u", a->from, a->flags,
				 berth_word_state(*word), berth_word_age(*word, FIXTURE_NOW));
	}
}

/* A server answers any datagram, so this proves nothing; but one that sends for minutes keeps its flow. */
static void a_backends_datagram_keeps_its_flow_alive(void **state)
{
	(void)state;
	static const uint32_t states[] = {UNCONFIRMED, CONFIRMED, PROVEN};
	for (size_t i = 0; i < COUNT(states) * WAYS; i++) {
		const uint32_t way = i % WAYS, was = states[i / WAYS];
		if (ways[way].to.protocol == BERTH_PROTO_TCP)
			continue;
		uint64_t *word = put_flow(way, was);
		assert_int_equal(send_at(wire_reply(inside(&ways[way])), 0, FIXTURE_NOW), RETURNED);
		assert_int_equal(berth_word_state(*word), was);
		assert_int_equal(berth_word_age(*word, FIXTURE_NOW), 0);
	}
}

static void packets_that_answer_no_flow_change_none(void **state)
{
	(void)state;
	for (uint32_t way = 0; way < WAYS; way++) {
		const struct fixture_packet back = wire_reply(inside(&ways[way]));
		uint64_t *word = put_flow(way, CONFIRMED);
		const uint64_t before = *word;
		struct fixture_packet other = back;
		other.dport++;
		send_at(other, ACK, FIXTURE_NOW);
		other = back;
		other.dst = is6(way) ? "2001:db8:2::8" : "198.51.100.8";
		send_at(other, ACK, FIXTURE_NOW);
		assert_int_equal(*word, before);
		/* The flow has moved to another backend meanwhile. */
		struct berth_backend *backend = fixture_backend_at(&image, berth_word_backend(*word));
		const union berth_addr address = backend->address;
		backend->address.byte[15] ^= 1;
		send_at(back, ACK, FIXTURE_NOW);
		assert_int_equal(*word, before);
		backend->address = address;
		/* It has expired. */
		send_at(back, ACK, FIXTURE_NOW + 4000);
		assert_int_equal(*word, before);
		send_at(back, ACK, FIXTURE_NOW);
		assert_int_not_equal(*word, before);
	}
}

/* In the other modes, and in UDP, traffic for some seconds is proof. */
static void without_an_answer_a_tcp_flow_is_not_proven(void **state)
{
	(void)state;
	for (uint32_t way = 0; way < WAYS; way++) {
		const bool is_tcp = ways[way].to.protocol == BERTH_PROTO_TCP;
		uint64_t *word = put_flow(way, CONFIRMED);
		for (uint32_t now = FIXTURE_NOW; now < FIXTURE_NOW + 100; now++)
			send_at(ways[way].to, ACK, now);
		assert_int_equal(berth_word_state(*word), is_tcp ? CONFIRMED : PROVEN);
	}
}

/* RFC 5382 section 5: 4 minutes until both sides have closed, then the ports are free. */
static void a_connection_is_closed_when_both_sides_have_sent_a_fin(void **state)
{
	(void)state;
	const struct fixture_packet to = ways[0].to, back = wire_reply(inside(&ways[0]));
	put_flow(0, PROVEN);
	send_at(to, FIN | ACK, FIXTURE_NOW);
	send_at(back, ACK, FIXTURE_NOW);
	/* The answer, after longer than a closed connection is kept. */
	send_at(back, ACK, FIXTURE_NOW + 200);
	assert_int_equal(send_at(to, ACK, FIXTURE_NOW + 400), BERTH_VERDICT_FLOW);
	send_at(back, FIN | ACK, FIXTURE_NOW + 400);
	assert_int_equal(send_at(to, ACK, FIXTURE_NOW + 430), BERTH_VERDICT_FLOW);
	assert_int_equal(send_at(to, ACK, FIXTURE_NOW + 461), BERTH_VERDICT_SELECTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_backends_packet_changes_its_tcp_flow_to_the_next_state),
		TEST(a_backends_datagram_keeps_its_flow_alive),
		TEST(packets_that_answer_no_flow_change_none),
		TEST(without_an_answer_a_tcp_flow_is_not_proven),
		TEST(a_connection_is_closed_when_both_sides_have_sent_a_fin),
	};
	return cmocka_run_group_tests_name("nat flows", tests, NULL, NULL);
}
