/* SPDX-License-Identifier: BSD-3-Clause */
/* ICMP errors about packets that are larger than a link, from bytes that anyone may have sent. Pure. */
#pragma once

#include <stddef.h>

#include "controlplane/model/path_mtu.h"

/*
 * Reads an IPv4 "fragmentation needed" or an IPv6 "packet too big" from its IP header on. False: something else,
 * cut short, with a wrong checksum, or about a packet that berth does not write (options, extension headers,
 * fragments).
 */
bool berth_path_mtu_parse(const uint8_t *packet, size_t bytes, struct berth_too_big *report);
