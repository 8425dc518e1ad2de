/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Four services with three backends each, and a packet steered through them: what test_steer.c and
 * test_session.c share.
 */
#pragma once

#include "tests/unit/dataplane/core/image.h"

enum {
	FLOW_TCP = 1, /* backends 1, 2, 3 */
	FLOW_UDP,     /* 4, 5, 6 */
	CLIENT_TCP,   /* 7, 8, 9 */
	CLIENT_UDP6,  /* 10, 11, 12 */
	SERVICES,
};

enum {
	SYN = BERTH_TCP_SYN,
	ACK = BERTH_TCP_ACK,
	FIN = BERTH_TCP_FIN,
	RST = BERTH_TCP_RST,
	PSH = 0x08,
};

#define UNCONFIRMED BERTH_STATE_UNCONFIRMED
#define CONFIRMED BERTH_STATE_CONFIRMED
#define PROVEN BERTH_STATE_PROVEN
#define CLOSING BERTH_STATE_CLOSING
#define CLOSED BERTH_STATE_CLOSED
#define FLOW BERTH_VERDICT_FLOW
#define SESSION BERTH_VERDICT_SESSION
#define SELECTED BERTH_VERDICT_SELECTED
#define RESELECTED BERTH_VERDICT_RESELECTED
#define UNTRACKED BERTH_VERDICT_UNTRACKED

static struct berth_packet steered; /* the last packet */

static const struct fixture_packet to_service[SERVICES] = {
	[FLOW_TCP] = {.src = "198.51.100.7", .dst = "203.0.113.10", .sport = 1025, .dport = 80, .protocol = 6},
	[FLOW_UDP] = {.src = "198.51.100.7", .dst = "203.0.113.10", .sport = 1025, .dport = 53, .protocol = 17},
	[CLIENT_TCP] = {.src = "198.51.100.7", .dst = "203.0.113.20", .sport = 1025, .dport = 80, .protocol = 6},
	[CLIENT_UDP6] =
		{.src = "2001:db8:2::7", .dst = "2001:db8:1::20", .sport = 1025, .dport = 53, .protocol = 17},
};

/* Fills all rows of a service with `first` and `second`. */
static inline void prefer(uint32_t service, uint16_t first, uint16_t second)
{
	for (uint32_t i = 0; i < FIXTURE_ROWS; i++)
		image.rows[service].row[i] = (struct berth_row){first, second};
}

/* Adds a service with three backends, numbered 3n - 2 to 3n. */
static inline void add_service(uint32_t service, const struct fixture_packet *packet, enum berth_affinity affinity)
{
	uint16_t backends[3];
	fixture_service(&image, service, packet->dst, packet->protocol, packet->dport, affinity);
	for (uint16_t i = 0; i < 3; i++) {
		backends[i] = (uint16_t)(service * 3 - 2 + i);
		fixture_backend(&image, backends[i], service, BERTH_MODE_L2, "192.0.2.1");
	}
	fixture_rows(&image, service, backends, 3);
	prefer(service, backends[0], backends[1]);
}

static inline int set_up(void **state)
{
	set_up_image(state);
	for (uint32_t service = FLOW_TCP; service < SERVICES; service++)
		add_service(service, &to_service[service],
			    service < CLIENT_TCP ? BERTH_AFFINITY_FLOW : BERTH_AFFINITY_CLIENT);
	return 0;
}

static inline enum berth_verdict steer_packet(const struct fixture_packet *from, uint32_t now)
{
	struct berth_view view = fixture_view(&image, now);
	struct fixture_frame frame;
	fixture_build(&frame, from);
	enum berth_verdict verdict = berth_receive(&view, &frame.frame, &steered, frame.bytes);
	return verdict == BERTH_NO_VERDICT ? fixture_steer(&view, &steered) : verdict;
}

/* Steers a packet with these TCP flags and bytes of data from that client port. */
static inline enum berth_verdict steer_data(uint32_t service, uint16_t sport, uint8_t tcp_flags, uint16_t bytes,
					    uint32_t now)
{
	struct fixture_packet packet = to_service[service];
	packet.sport = sport;
	packet.payload = bytes;
	packet.tcp_flags = packet.protocol == BERTH_PROTO_TCP ? tcp_flags : 0;
	return steer_packet(&packet, now);
}

static inline enum berth_verdict steer(uint32_t service, uint16_t sport, uint8_t tcp_flags, uint32_t now)
{
	return steer_data(service, sport, tcp_flags, 0, now);
}

/* The only word of a table; NULL if it is empty. */
static inline uint64_t *only_word(struct berth_bucket *table, uint32_t buckets)
{
	uint64_t *found = NULL;
	for (uint32_t i = 0; i < buckets * BERTH_BUCKET_WORDS; i++) {
		uint64_t *word = &table[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS];
		if (*word == 0)
			continue;
		if (found)
			abort();
		found = word;
	}
	return found;
}

static inline uint64_t *flow_word(void)
{
	return only_word(image.flows, image.geometry.flow_buckets);
}

static inline uint64_t *session_word(void)
{
	return only_word(image.sessions, image.geometry.session_buckets);
}

static inline void fill_table(struct berth_bucket *table, uint32_t buckets, enum berth_state state)
{
	for (uint32_t i = 0; i < buckets * BERTH_BUCKET_WORDS; i++)
		table[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS] = berth_word_make(0x100 + i, 1,
											     FIXTURE_NOW, state);
}

static inline uint64_t event_count(enum berth_event event)
{
	return image.workers[1].event[event];
}

static inline void clear_tables(void)
{
	memset(image.flows, 0, sizeof(*image.flows) * image.geometry.flow_buckets);
	memset(image.sessions, 0, sizeof(*image.sessions) * image.geometry.session_buckets);
}

/* The verdict and the backend of the last packet. */
#define assert_steered(expression, expected, to)                                                                   \
	do {                                                                                                       \
		enum berth_verdict got_ = (expression);                                                            \
		if (got_ != (expected) || steered.backend != (to))                                                 \
			fail_msg("%s: %s to %u, not %s to %u", #expression, fixture_verdict_name(got_),            \
				 steered.backend, fixture_verdict_name(expected), (uint32_t)(to));                 \
	} while (0)
