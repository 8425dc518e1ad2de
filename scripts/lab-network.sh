# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154
#
# The network of scripts/lab: hosts, cables, addresses, routes. Sourced by it, not run.

# Addresses, links and routes wait here, and one `ip` for each host makes them all: a process for each takes longer than
# the tests of many a lab.
declare -A queued=()

# queue HOST ARGUMENT...: of `ip`. What exists at one end of a cable only after the router's lines is behind them.
queue() {
	queued[$1]+="${*:2}"$'\n'
}

# make_queued HOST...
make_queued() {
	local host
	for host in "$@"; do
		[[ -z ${queued[$host]:-} ]] || ip -n "$(netns "$host")" -batch - <<<"${queued[$host]}"
		unset "queued[$host]"
	done
}

# settle_kernel HOST: before its interfaces exist, which take over `default`.
settle_kernel() {
	in_host "$1" /bin/sh -s <<-'END'
		for where in all default; do
			v4=/proc/sys/net/ipv4/conf/$where
			v6=/proc/sys/net/ipv6/conf/$where
			# Requests and answers take different paths (direct server return).
			echo 0 >$v4/rp_filter
			# No ARP for addresses on lo: every backend would claim the service addresses.
			echo 1 >$v4/arp_ignore
			echo 2 >$v4/arp_announce
			# Of a router: backends must not get redirects for answers that leave by the interface on which they arrived.
			echo 0 >$v4/send_redirects
			echo 0 >$v6/disable_ipv6
			# An IPv6 address is usable at once, without duplicate detection.
			echo 0 >$v6/accept_dad
			echo 0 >$v6/accept_ra
		done
	END
}

# berth is a router in mode nat: its kernel sends answers to clients on its own link.
make_router() {
	in_host "$1" /bin/sh -s <<-'END'
		echo 1 >/proc/sys/net/ipv4/ip_forward
		echo 1 >/proc/sys/net/ipv6/conf/all/forwarding
	END
}

add_hosts() {
	local host
	for host in $(hosts); do
		echo "netns add $(netns "$host")"
	done | ip -batch -
	for host in $(hosts); do
		settle_kernel "$host"
		queue "$host" link set lo up
	done
	for host in router $(node_hosts); do
		make_router "$host"
	done
}

# add_bridge NAME LINK-ADDRESS MTU IPV4 IPV6. With an address of its own: else a bridge takes the lowest one of its ports,
# and hosts keep the former one in their neighbour tables. Neighbour discovery must not wait for multicast groups.
add_bridge() {
	queue router link add "$1" address "$2" type bridge mcast_snooping 0
	# Set behind its birth, it does not follow the least of its ports.
	queue router link set "$1" mtu "$3" up
	queue router addr add "$4" dev "$1"
	queue router addr add "$5" dev "$1" nodad
}

# add_cable HOST MTU [INTERFACE [ROUTER-END]]
add_cable() {
	local interface=${3:-eth0} end=${4:-$1}
	queue router link add "$end" mtu "$2" type veth peer name "$interface" mtu "$2" netns "$(netns "$1")"
	queue router link set "$end" up
	queue "$1" link set "$interface" up
}

# plug HOST BRIDGE MTU
plug() {
	add_cable "$1" "$3"
	queue router link set "$1" master "$2"
}

# address HOST IPV4 IPV6 ROUTER4 ROUTER6
address() {
	queue "$1" addr add "$2" dev eth0
	queue "$1" addr add "$3" dev eth0 nodad
	queue "$1" route add default via "$4"
	queue "$1" route add default via "$5"
}

# service_addresses HOST NUMBER...
service_addresses() {
	local host=$1 number
	for number in "${@:2}"; do
		queue "$host" addr add "203.0.113.$number/32" dev lo
		queue "$host" addr add "2001:db8:f::$number/128" dev lo nodad
	done
}

# The kernel must not send packets for a service address that it does not have, such as an echo request, back to the
# router.
berth_addresses() {
	service_addresses "$1" 10
	queue "$1" route add unreachable 203.0.113.0/24
	queue "$1" route add unreachable 2001:db8:f::/64
}

# backend_addresses HOST NUMBER: the addresses of all its services, and for mode nat the route back through berth.
backend_addresses() {
	local host=$1 nat4=192.0.2.$((110 + $2)) nat6=2001:db8:2::$((110 + $2))
	service_addresses "$host" 10 11
	queue "$host" route add local 203.0.113.32/28 dev lo
	queue "$host" route add local 2001:db8:f:0:32::/80 dev lo
	queue "$host" addr add "$nat4/24" dev eth0
	queue "$host" addr add "$nat6/64" dev eth0 nodad
	# Behind the router no link has an MTU above 1500; with it in the route, answers need no path MTU discovery.
	queue "$host" route change default via 192.0.2.1 mtu 1500
	queue "$host" route change default via 2001:db8:2::1 mtu 1500
	queue "$host" route add default via 192.0.2.2 mtu 1500 table 100
	queue "$host" route add default via 2001:db8:2::2 mtu 1500 table 100
	queue "$host" rule add from "$nat4" lookup 100
	# Of a rule, `ip` does not see the family.
	in_host "$host" ip -6 rule add from "$nat6" lookup 100
}

# Packets for a service reach berth's kernel only while no engine runs, for instance between two engines. The kernel has
# service addresses, so it would answer with a RST or "port unreachable" and end connections that the next engine could
# continue. These rules drop the packets, and TCP sends them again. Routing rules (ip rule) are not an alternative: with
# them berth would leave all answers of mode nat to the kernel.
keep_kernel_silent() {
	in_host "$1" nft -f - <<-'END'
		table inet silent {
			chain arriving {
				type filter hook prerouting priority raw
				meta l4proto { tcp, udp } ip daddr 203.0.113.0/24 th dport @ports drop
				meta l4proto { tcp, udp } ip6 daddr 2001:db8:f::/64 th dport @ports drop
			}
			set ports {
				type inet_service
				flags interval
				elements = { 53, 80, 5300-5305, 8080-8099 }
			}
		}
	END
}

# Two properties of veth that the lab corrects:
#
# - A sender leaves TCP and UDP checksums to the device (CHECKSUM_PARTIAL) and puts up to 64 KB into one packet (TSO);
#   veth passes both on. XDP and AF_XDP see a frame without the note that its checksum is missing, and the receiver drops
#   what they forward (TcpInCsumErrors). An XDP program on the peer disables TSO, but not checksums. So the router's end
#   of berth's cable has transmit checksums off, and TSO with them. The backends' cables need no change: their program
#   only passes packets to their own kernel, and a passed packet keeps the note. (Generic XDP keeps the note too, but
#   sees many segments as one packet, which exceeds every MTU; see tests/e2e/test_offloads.py.)
# - A frame sent with XDP_TX waits in the peer's ring until the peer polls. The peer polls (NAPI) if it runs an XDP program
#   or, since kernel 5.13, has GRO on; but XDP_TX wakes it only if it runs a program (veth_xdp_flush, unchanged in 6.18;
#   redirects wake it in both cases). Without one the frame counts as sent and never arrives. So the router's end runs a
#   program: the decapsulating one, which finds nothing to do at the router's own address.
settle_cable() {
	in_host router ethtool -K "$1" tx off tso off >/dev/null
	in_host router "$build/bpf/berth-decap" attach "$1" --address 192.0.2.1 >>"$state/decap.log" 2>&1 ||
		die "no XDP on veth here: $(tail -n 1 "$state/decap.log")"
}

# add_node HOST NUMBER
add_node() {
	plug "$1" lan "$lan_mtu"
	address "$1" "192.0.2.$((1 + $2))/24" "2001:db8:2::$((1 + $2))/64" 192.0.2.1 2001:db8:2::1
	berth_addresses "$1"
}

add_clients() {
	local host i
	for host in client client2; do
		plug "$host" ext 1500
	done
	address client 198.51.100.10/24 2001:db8:1::10/64 198.51.100.1 2001:db8:1::1
	address client2 198.51.100.20/24 2001:db8:1::20/64 198.51.100.1 2001:db8:1::1
	for ((i = 101; i <= 120; i++)); do
		queue client addr add "198.51.100.$i/24" dev eth0
		queue client addr add "2001:db8:1::$i/64" dev eth0 nodad
	done
}

add_network() {
	local i
	add_hosts
	add_bridge ext 02:00:c6:33:64:01 1500 198.51.100.1/24 2001:db8:1::1/64
	add_bridge lan 02:00:c0:00:02:01 "$lan_mtu" 192.0.2.1/24 2001:db8:2::1/64
	add_clients
	for i in $(node_numbers); do
		add_node "$(node_host "$i")" "$i"
	done
	((ports == 1)) || add_second_port
	for ((i = 1; i <= backends; i++)); do
		plug "b$i" lan "$lan_mtu"
		address "b$i" "192.0.2.$((10 + i))/24" "2001:db8:2::$((10 + i))/64" 192.0.2.1 2001:db8:2::1
		backend_addresses "b$i" "$i"
	done
	if ((nodes == 1 && ports == 1)); then
		queue router route add 203.0.113.0/24 via 192.0.2.2
		queue router route add 2001:db8:f::/64 via 2001:db8:2::2
	fi
	# shellcheck disable=SC2046
	make_queued $(hosts)
	((nodes == 1)) || add_node_routes
	settle_nodes
}

settle_nodes() {
	local host
	for host in $(node_hosts); do
		keep_kernel_silent "$host"
		settle_cable "$host"
	done
	((ports == 1)) || settle_cable berth2
}

add_second_port() {
	add_cable berth "$lan_mtu" eth1 berth2
	queue router addr add 203.0.113.129/30 dev berth2
	queue router addr add 2001:db8:3::1/64 dev berth2 nodad
	queue berth addr add 203.0.113.130/30 dev eth1
	queue berth addr add 2001:db8:3::2/64 dev eth1 nodad
	spread_by_ports
	queue router route add 203.0.113.0/24 nexthop via 192.0.2.2 nexthop via 203.0.113.130
	queue router route add 2001:db8:f::/64 nexthop via 2001:db8:2::2 nexthop via 2001:db8:3::2
}
