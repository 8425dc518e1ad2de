/* SPDX-License-Identifier: BSD-3-Clause OR GPL-2.0-only */
/*
 * The states of a flow, and the packets that change them. docs/affinity.md has the rules and their reasons.
 *
 *   unconfirmed --2nd packet--> confirmed --proof--> proven
 *                                  |  ^                |
 *                       FIN or RST |  | data           | FIN or RST
 *                                  v  |                v
 *                                 closing <-----------+
 *                                    | FIN of the backend, after the client's
 *                                    v
 *                                  closed
 */
#pragma once

#include "packet.h"
#include "word.h"

/* The state of a new flow. A flow that starts with a data packet (its entry expired, or another node had it) is as
 * unconfirmed as one that starts with a SYN; a flood of spoofed ACKs would fill the table if it were not. */
enum {
	BERTH_FIRST_STATE = BERTH_STATE_UNCONFIRMED,
};

/* Whether traffic in this second is a flow's proof that it lives for longer: so in one second of
 * 2^BERTH_PROOF_BITS. Which one depends on the secret hash, so a sender of spoofed packets has to send in many. */
BERTH_INLINE bool berth_is_proof(uint64_t word, uint32_t now)
{
	return (berth_word_tag(word) ^ now) * 0x9e3779b1u >> (32 - BERTH_PROOF_BITS) == 0;
}

/* The state of a flow after a TCP packet of its client, without regard to proof. */
BERTH_INLINE uint32_t berth_next_tcp_state(const struct berth_packet *packet, uint32_t state)
{
	/* Final: the backend itself has ended the connection. */
	if (BERTH_UNLIKELY(state == BERTH_STATE_CLOSED))
		return state;
	if (packet->tcp_flags & (BERTH_TCP_RST | BERTH_TCP_FIN))
		return BERTH_STATE_CLOSING;
	if (packet->tcp_flags & BERTH_TCP_SYN)
		return state;
	/* A client that has sent FIN or RST sends no data. So these were not its own: the connection lives. An
	 * acknowledgement proves nothing, a half-closed connection has them too. */
	if (BERTH_UNLIKELY(state == BERTH_STATE_CLOSING))
		return packet->traits & BERTH_HAS_PAYLOAD ? BERTH_STATE_CONFIRMED : state;
	return state == BERTH_STATE_UNCONFIRMED ? BERTH_STATE_CONFIRMED : state;
}

/* The state of a flow after a packet of its client. */
BERTH_INLINE uint32_t berth_next_state(const struct berth_packet *packet, uint64_t word, uint32_t now)
{
	const uint32_t state = berth_word_state(word);
	if (state == BERTH_STATE_CONFIRMED && berth_word_age(word, now) != 0 &&
	    !(packet->tcp_flags & (BERTH_TCP_RST | BERTH_TCP_FIN)) && berth_is_proof(word, now))
		return BERTH_STATE_PROVEN;
	if (packet->protocol != BERTH_PROTO_TCP)
		return state == BERTH_STATE_UNCONFIRMED ? BERTH_STATE_CONFIRMED : state;
	return berth_next_tcp_state(packet, state);
}

/* Mode nat: the state of a TCP flow after a packet of its backend. An answer to a client's second packet is proof:
 * to a spoofed one the backend answers with a RST. A SYN is none: it answers a spoofed SYN too. */
BERTH_INLINE uint32_t berth_answered_tcp_state(const struct berth_packet *packet, uint32_t state)
{
	if (packet->tcp_flags & BERTH_TCP_RST)
		return state == BERTH_STATE_UNCONFIRMED ? state : BERTH_STATE_CLOSED;
	if (packet->tcp_flags & BERTH_TCP_FIN)
		return state == BERTH_STATE_CLOSING ? BERTH_STATE_CLOSED : state;
	if (packet->tcp_flags & BERTH_TCP_SYN)
		return state;
	return state == BERTH_STATE_UNCONFIRMED || state == BERTH_STATE_CONFIRMED ? BERTH_STATE_PROVEN : state;
}

/* The word of a flow after a packet of its backend. An unconfirmed TCP flow does not become younger by answers to
 * a spoofed SYN. */
BERTH_INLINE uint64_t berth_answered_word(const struct berth_packet *packet, uint64_t word, uint32_t now)
{
	if (packet->protocol != BERTH_PROTO_TCP)
		return berth_word_touch(word, now, berth_word_state(word));
	const uint32_t state = berth_answered_tcp_state(packet, berth_word_state(word));
	return state == BERTH_STATE_UNCONFIRMED ? word : berth_word_touch(word, now, state);
}
