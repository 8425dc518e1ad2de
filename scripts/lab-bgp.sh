# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154
#
# BGP in scripts/lab: the router has routes to the service addresses only from the nodes, and spreads flows over all nodes
# that announce an address (ECMP). Sourced by it, not run.
#
# A node runs BIRD with the recipe of docs/announce.md. The router runs BIRD or FRR, as --bgp says. Both find a lost node
# by BFD after half a second. They install plain multipath routes (hash-threshold); for resilient groups, which neither can
# install for BGP, scripts/lab-resilient copies the routes, as a router's hardware does.

bgp_timers="passive off; connect delay time 1; connect retry time 1; error wait time 1,1; hold time 3; bfd on;"
bgp_bfd='protocol bfd { interface "*" { min rx interval 100 ms; min tx interval 100 ms; multiplier 5; }; }'
# As docs/announce.md says: GRACEFUL_SHUTDOWN is honoured.
bgp_import='filter { if (65535, 0) ~ bgp_community then bgp_local_pref = 0; accept; }'

node_address4() {
	echo "192.0.2.$((1 + $1))"
}

# --- a node --------------------------------------------------------------------------------------------------

node_bird() {
	(($1 == 1)) && echo bird || echo "bird$1"
}

# The recipe for a node, with short timers and BFD.
node_bird_config() {
	# shellcheck disable=SC2016
	sed -n '/^```bird$/,/^```$/p' "$root/docs/announce.md" | sed -e '/^```/d' -e "s/192\.0\.2\.2/$(node_address4 "$1")/" \
		-e "s/2001:db8:2::2/2001:db8:2::$((1 + $1))/" -e "s/as 64513;/as 64513; $bgp_timers/"
	echo "$bgp_bfd"
}

start_node_bird() {
	local dir
	dir=$(node_state "$1")
	node_bird_config "$1" >"$dir/bird.conf"
	start "$(node_bird "$1")" "$(node_host "$1")" bird -f -c "$dir/bird.conf" -s "$dir/bird.ctl"
}

# --- the router ----------------------------------------------------------------------------------------------

router_bird_config() {
	local number
	cat <<-END
		router id 192.0.2.1;
		protocol device { }
		$bgp_bfd
		protocol kernel { merge paths on; ipv4 { import none; export where source = RTS_BGP; }; }
		protocol kernel { merge paths on; ipv6 { import none; export where source = RTS_BGP; }; }
	END
	for number in $(node_numbers); do
		cat <<-END
			protocol bgp {
			  local 192.0.2.1 as 64513;
			  neighbor $(node_address4 "$number") as 64512;
			  $bgp_timers
			  ipv4 { import $bgp_import; export none; };
			  ipv6 { import $bgp_import; export none; };
			}
		END
	done
}

# One file for each daemon of FRR.
router_frr_configs() {
	local number
	echo >"$1/zebra.conf"
	cat >"$1/bfdd.conf" <<-END
		bfd
		 profile berth
		  detect-multiplier 5
		  receive-interval 100
		  transmit-interval 100
	END
	cat >"$1/bgpd.conf" <<-END
		router bgp 64513
		 bgp router-id 192.0.2.1
		 no bgp ebgp-requires-policy
		 timers bgp 1 3
		 neighbor nodes peer-group
		 neighbor nodes remote-as 64512
		 neighbor nodes timers connect 1
		 neighbor nodes bfd profile berth
		$(for number in $(node_numbers); do echo " neighbor $(node_address4 "$number") peer-group nodes"; done)
		 address-family ipv4 unicast
		  maximum-paths $max_nodes
		 exit-address-family
		 address-family ipv6 unicast
		  neighbor nodes activate
		  maximum-paths $max_nodes
		 exit-address-family
	END
}

frr_daemons=(zebra bfdd bgpd)

start_router_frr() {
	local dir=$state/router-frr daemon
	mkdir -p "$dir"
	router_frr_configs "$dir"
	chown -R frr:frr "$dir"
	for daemon in "${frr_daemons[@]}"; do
		local -a more=()
		[[ $daemon != bfdd ]] || more=(--bfdctl "$dir/bfdd.sock")
		start "router-$daemon" router "/usr/lib/frr/$daemon" -f "$dir/$daemon.conf" -z "$dir/zserv.api" --vty_socket "$dir" \
			-A 127.0.0.1 -i "$dir/$daemon.pid" "${more[@]}"
		until_true 5 test -S "$dir/$daemon.vty" || die "$daemon does not start: $(tail -n 3 "$state/router-$daemon.log")"
	done
}

start_router_bird() {
	router_bird_config >"$state/router-bird.conf"
	start router-bird router bird -f -c "$state/router-bird.conf" -s "$state/router-bird.ctl"
}

# Also after the other daemon, or for the other kind of groups.
start_router_bgp() {
	local daemon
	for daemon in resilient bgpd bfdd zebra bird; do
		stop "router-$daemon"
	done
	"start_router_$bgp"
	[[ $ecmp == hash-threshold ]] || start router-resilient router "$root/scripts/lab-resilient"
}

# has_next_hops COUNT
has_next_hops() {
	[[ $(bgp_next_hops 203.0.113.10 | wc -w) -eq $1 && $(bgp_next_hops 2001:db8:f::10 | wc -w) -eq $1 ]]
}

# bgp_next_hops ADDRESS: what the router has learned.
bgp_next_hops() {
	local table=main family=-4
	[[ $1 != *:* ]] || family=-6
	[[ $ecmp == hash-threshold ]] || table=300
	in_host router ip -j "$family" route show table "$table" "$1" 2>/dev/null | jq -r '.[] | select(.nexthops or .gateway) |
		[.nexthops // [{gateway}] | .[].gateway] | join(" ")' 2>/dev/null | head -n 1 || true
}

# What berthd asks BIRD to announce.
has_route() {
	[[ -n $(in_host "$(node_host "$1")" ip route show table 200 203.0.113.10 2>/dev/null) ]]
}

count_announced() {
	local number count=0
	for number in $(node_numbers); do
		! has_route "$number" || count=$((count + 1))
	done
	echo $count
}

has_all_announced() {
	has_next_hops "$(count_announced)"
}

await_bgp() {
	until_true 20 has_all_announced ||
		die "the router has $(bgp_next_hops 203.0.113.10 | wc -w) next hops, and $(count_announced) nodes announce 203.0.113.10"
}

start_bgp() {
	local number
	for number in $(node_numbers); do
		until_true 5 has_route "$number" || die "$(node_process "$number") does not announce 203.0.113.10"
		start_node_bird "$number"
	done
	start_router_bgp
	await_bgp
}

show_bgp() {
	local address
	for address in 203.0.113.10 2001:db8:f::10; do
		printf '%-8s BGP by %s, ECMP %s: %s to %s\n' router "$bgp" "$ecmp" "$address" "$(bgp_next_hops $address)"
	done
}
