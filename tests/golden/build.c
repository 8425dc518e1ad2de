// SPDX-License-Identifier: BSD-3-Clause
#include "tests/golden/golden.h"

static const struct golden_group *const groups[] = {
	&golden_link,	  &golden_ip4,	   &golden_ip6,	 &golden_transport, &golden_icmp,
	&golden_fragment, &golden_address, &golden_size, &golden_state,
};

enum {
	GROUPS = sizeof(groups) / sizeof(groups[0]),
};

uint32_t golden_count(void)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < GROUPS; i++)
		n += groups[i]->n;
	return n;
}

const struct golden_case *golden_at(uint32_t i, const char **group)
{
	uint32_t at = 0;
	while (i >= groups[at]->n)
		i -= groups[at++]->n;
	if (group)
		*group = groups[at]->name;
	return &groups[at]->cases[i];
}

/* The case's packet with a client of its service in what it leaves out. */
static struct fixture_packet completed(const struct golden_case *c)
{
	const struct world_shape *shape = &world_shapes[c->service];
	struct fixture_packet packet = c->packet;
	if (!packet.dst)
		packet.dst = shape->address;
	if (!packet.src)
		packet.src = strchr(packet.dst, ':') ? "2001:db8:2::7" : "198.51.100.7";
	if (!packet.sport)
		packet.sport = 1025;
	if (!packet.dport)
		packet.dport = shape->port ? shape->port : 5353;
	if (!packet.protocol)
		packet.protocol = shape->protocol;
	return packet;
}

static void apply(struct fixture_frame *to, const struct golden_edit *edit)
{
	const uint32_t base[] = {0, to->network, to->transport};
	uint8_t *at = to->frame.data + base[edit->base] + edit->at;
	if (edit->bytes == 1)
		*at = (uint8_t)edit->value;
	else
		fixture_put16(at, edit->value);
}

void golden_build(struct fixture_frame *to, const struct golden_case *c)
{
	const struct fixture_packet packet = completed(c);
	fixture_build(to, &packet);
	for (uint32_t i = 0; i < 3 && c->edit[i].bytes; i++)
		apply(to, &c->edit[i]);
	if (c->cut) {
		to->bytes = c->cut;
		to->frame.end = to->frame.data + c->cut;
	}
}

bool golden_build_before(struct fixture_frame *to, const struct golden_case *c, uint32_t i)
{
	if (i >= 3 || !c->before[i].sent)
		return false;
	struct fixture_packet packet = completed(c);
	packet.tcp_flags = c->before[i].tcp_flags;
	packet.sport = (uint16_t)(packet.sport + c->before[i].other_port);
	packet.payload = 0;
	fixture_build(to, &packet);
	return true;
}
