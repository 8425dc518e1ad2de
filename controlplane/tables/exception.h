/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Exceptions: flows and sessions that another node with the same configuration and secret would not find by
 * computation, because they are on another backend than the one that selection gives now. They come of a change of
 * backends, of a drain, of a failover that stays, of a load, and of pins. docs/cluster.md. Pure.
 */
#pragma once

/* First: how the image is read. */
#include "dataplane/core/image.h"

#include "dataplane/core/select.h"

/*
 * Whether a word of the table is an exception. What its next packet would move, one packet alone has made, or a
 * fragment belongs to, is none. A flow of a client's session follows that session on every node: it is one only
 * where sessions are no longer on its backend. Round-robin and least-conn select by what this node alone knows:
 * there each entry is one.
 */
bool berth_is_exception(const struct berth_view *view, enum berth_table table, uint64_t word);

/*
 * Whether a session has returned to its first backend (`failback: return`) within the last minutes. Others may have
 * it where it had failed over to, which it was told as an exception, and have to be told that it has ended.
 */
bool berth_has_returned(const struct berth_view *view, const struct berth_client *client, uint64_t word);

/* Whether more than one packet has made the word's entry: others may be from a spoofed address. */
bool berth_is_proven_entry(uint64_t word);
