// SPDX-License-Identifier: BSD-3-Clause
/* Replies into the results of a target. */
#include <netinet/in.h>
#include <string.h>

#include "controlplane/doctor/probe.h"

/* True if an ICMP error quotes a packet with this target's encapsulation. */
static bool is_quoted(const struct berth_doctor_target *target, const struct berth_doctor_reply *reply)
{
	return berth_mode_encapsulates(target->mode) && berth_addr_equal(&reply->original_dst, &target->backend) &&
	       reply->protocol == (uint8_t)berth_mode_protocol(target->mode, !berth_addr_is4(&target->service)) &&
	       (!berth_mode_has_tunnel_port(target->mode) || reply->port == target->gue_port);
}

/* The address to which berth sends clients' packets, without encapsulation. */
static const union berth_addr *destination(const struct berth_doctor_target *target)
{
	return berth_mode_returns(target->mode) ? &target->backend : &target->service;
}

/* True if an ICMP error quotes this target's PORT probe. */
static bool is_port_quoted(const struct berth_doctor_target *target, const struct berth_doctor_reply *reply)
{
	return target->port && reply->protocol == target->protocol && reply->port == target->port &&
	       reply->to_port == target->source_port && berth_addr_equal(&reply->original_dst, destination(target));
}

/* A host rejects a datagram to a closed port as unreachable; a segment is rejected so by a firewall only. */
static void record_port_error(const struct berth_doctor_target *target, struct berth_doctor_results *results,
			      const struct berth_doctor_reply *reply)
{
	if (!is_port_quoted(target, reply))
		return;
	if (reply->type == BERTH_DOCTOR_REPLY_UNREACHABLE && target->protocol == IPPROTO_UDP)
		results->is_port_refused = true;
	else
		results->is_port_prohibited = true;
}

static void record_tcp(const struct berth_doctor_target *target, struct berth_doctor_results *results,
		       const struct berth_doctor_reply *reply)
{
	if (!target->port || reply->port != target->port || reply->to_port != target->source_port ||
	    !berth_addr_equal(&reply->from, destination(target)))
		return;
	if (reply->type == BERTH_DOCTOR_REPLY_OPEN)
		results->is_answered[BERTH_DOCTOR_PORT] = true;
	else
		results->is_port_refused = true;
}

static void record_neighbor(const struct berth_doctor_target *target, struct berth_doctor_results *results,
			    const struct berth_doctor_reply *reply, const uint8_t mac[6])
{
	bool from_backend = memcmp(mac, target->dst_mac, sizeof(target->dst_mac)) == 0;
	results->answers_neighbor |= target->is_on_link && from_backend && !berth_mode_returns(target->mode) &&
				     berth_addr_equal(&reply->original_dst, &target->service);
	if (!berth_addr_equal(&reply->original_dst, &target->next_hop))
		return;
	if (from_backend) {
		results->is_answered[BERTH_DOCTOR_RESOLVE] = true;
	} else {
		results->has_other_mac = true;
		memcpy(results->other_mac, mac, sizeof(results->other_mac));
	}
}

static void record_echo(const struct berth_doctor_target *target, struct berth_doctor_results *results,
			const struct berth_doctor_reply *reply, bool from_backend)
{
	enum berth_doctor_probe probe = reply->id.probe;
	if (probe == BERTH_DOCTOR_ROUTE)
		results->is_answered[probe] = true; /* this host, or the engine, has answered its own request */
	bool to_service = (probe == BERTH_DOCTOR_SERVICE || probe == BERTH_DOCTOR_LARGE ||
			   probe == BERTH_DOCTOR_UDP_CHECKSUM) &&
			  !berth_mode_returns(target->mode);
	if (!berth_addr_equal(&reply->from, to_service ? &target->service : &target->backend))
		return;
	results->is_answered[probe] = true;
	if (probe == BERTH_DOCTOR_RETURN)
		results->returns_via_router = !from_backend;
}

void berth_doctor_record(const struct berth_doctor_target *target, struct berth_doctor_results *results,
			 const struct berth_doctor_reply *reply, const uint8_t mac[6])
{
	bool from_backend = memcmp(mac, target->dst_mac, sizeof(target->dst_mac)) == 0;
	switch (reply->type) {
	case BERTH_DOCTOR_REPLY_ECHO:
		record_echo(target, results, reply, from_backend);
		break;
	case BERTH_DOCTOR_REPLY_UNREACHABLE:
		results->is_unreachable |= is_quoted(target, reply) &&
					   berth_addr_equal(&reply->from, &target->backend);
		record_port_error(target, results, reply);
		break;
	case BERTH_DOCTOR_REPLY_PROHIBITED:
		results->is_prohibited |= is_quoted(target, reply);
		record_port_error(target, results, reply);
		break;
	case BERTH_DOCTOR_REPLY_TOO_BIG:
		if (is_quoted(target, reply))
			results->path_mtu = reply->mtu;
		break;
	case BERTH_DOCTOR_REPLY_NEIGHBOR:
		record_neighbor(target, results, reply, mac);
		break;
	case BERTH_DOCTOR_REPLY_NO_ROUTE:
		results->has_no_route |= target->is_route &&
					 berth_addr_equal(&reply->original_dst, &target->service);
		break;
	case BERTH_DOCTOR_REPLY_REQUEST:
		results->is_answered[BERTH_DOCTOR_ROUTE] |= reply->id.probe == BERTH_DOCTOR_ROUTE;
		break;
	case BERTH_DOCTOR_REPLY_OPEN:
	case BERTH_DOCTOR_REPLY_REFUSED:
		record_tcp(target, results, reply);
		break;
	case BERTH_DOCTOR_REPLY_NONE:
		break;
	}
}
