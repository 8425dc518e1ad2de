# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154
#
# The berth hosts of scripts/lab: their names, berthd on each, the router's routes to them, and their failures. Sourced by
# it, not run.
#
# Node 1 is the host berth, with its files in the lab's state directory. Node 2 is the host berth2, with its files in the
# directory berth2 of it, and so on. Nodes differ in their engine and name only: the rest of the configuration and the
# secret are the same.

node_numbers() {
	local i
	for ((i = 1; i <= nodes; i++)); do
		echo "$i"
	done
}

node_host() {
	(($1 == 1)) && echo berth || echo "berth$1"
}

node_hosts() {
	local number
	for number in $(node_numbers); do
		node_host "$number"
	done
}

node_instance() {
	(($1 == 1)) && echo "berth-$lab" || echo "berth-$lab-$1"
}

node_state() {
	(($1 == 1)) && echo "$state" || echo "$state/berth$1"
}

# Of berthd: the name of its log and its pid file.
node_process() {
	(($1 == 1)) && echo berthd || echo "berthd$1"
}

# `engine` is one for all nodes, or a list with one for each.
node_engine() {
	local engines
	IFS=, read -r -a engines <<<"$engine"
	echo "${engines[$((${#engines[@]} == 1 ? 0 : $1 - 1))]}"
}

count_engines() {
	local number
	for number in $(node_numbers); do
		node_engine "$number"
	done | grep -cx "$1" || true
}

# --- configuration -------------------------------------------------------------------------------------------

write_secret() {
	(umask 077 && od -An -N 32 -v -t x1 /dev/urandom | tr -d ' \n' >"$state/secret")
}

store_setting() {
	case $store in
	redis) echo ", store: {redis: [\"192.0.2.1:6379\"]}" ;;
	sentinel) echo ", store: {redis: [$(printf '"192.0.2.1:%s", ' "${sentinel_ports[@]}" | sed 's/, $//')], sentinel: $lab}" ;;
	esac
}

# The configuration on stdin, for a node among others.
as_node() {
	printf '%s\n' "engine: $(node_engine "$1")" "secret-file: $state/secret" \
		"cluster: {name: $lab, node: $(node_host "$1")$(store_setting)}"
	[[ -z $bgp ]] || echo 'announce: {table: 200}'
	grep -Ev "^(engine|secret-file|cluster${bgp:+|announce}):"
}

write_configurations() {
	local number file
	if [[ -n $config ]]; then
		cp "$config" "$state/base.yaml"
	else
		default_config >"$state/base.yaml"
	fi
	((nodes == 1)) || write_secret
	for number in $(node_numbers); do
		mkdir -p "$(node_state "$number")"
		file=$(node_state "$number")/berth.yaml
		if ((nodes == 1)); then
			cp "$state/base.yaml" "$file"
		else
			as_node "$number" <"$state/base.yaml" >"$file"
		fi
	done
	rm "$state/base.yaml"
}

# --- berthd --------------------------------------------------------------------------------------------------

# ctl_of NODE ARGUMENT...
ctl_of() {
	"$build/controlplane/berthctl" -s "$(node_state "$1")/$(node_instance "$1").sock" "${@:2}"
}

stopped_backends() {
	local name
	for name in $(backend_names); do
		is_running "$name-http" || echo "$name"
	done
}

# On this node, all backends whose servers run. This polls, and jq takes ten times as long to start as awk does.
all_up() {
	ctl_of "$1" -j show backends 2>/dev/null | stopped=$(stopped_backends) awk '
		BEGIN { split(ENVIRON["stopped"], names, "\n"); for (i in names) stopped[names[i]] }
		{ gsub(/[",]/, "") }
		$1 == "name:" { name = $2 }
		$1 == "health:" && !(name in stopped) { n++; up += $2 == "up" }
		END { exit !(n > 0 && up == n) }'
}

all_up_or_ended() {
	all_up "$1" || has_ended "$(node_process "$1")"
}

launch_berthd() {
	local dir
	dir=$(node_state "$1")
	start "$(node_process "$1")" "$(node_host "$1")" "$build/controlplane/berthd" -c "$dir/berth.yaml" -i "$(node_instance "$1")" \
		-r "$dir" -d "$dir"
}

await_berthd() {
	local process
	process=$(node_process "$1")
	if ! until_true 60 all_up_or_ended "$1" || has_ended "$process"; then
		tail -n 20 "$state/$process.log" >&2
		ctl_of "$1" show backends >&2 || true
		die "$process is not ready; its log ends above"
	fi
}

# start_berthd NODE...
start_berthd() {
	local number
	for number in "$@"; do
		launch_berthd "$number"
	done
	for number in "$@"; do
		await_berthd "$number"
	done
}

shut_down_berthd() {
	local number
	local -a running=() pids=()
	for number in $(node_numbers); do
		! is_running "$(node_process "$number")" || running+=("$number")
	done
	# Side by side: each waits for its announce.stop-wait.
	for number in "${running[@]}"; do
		ctl_of "$number" -t 10 shutdown >/dev/null 2>&1 &
		pids+=($!)
	done
	((${#pids[@]} == 0)) || wait "${pids[@]}" || true
	for number in "${running[@]}"; do
		until_true 3 has_ended "$(node_process "$number")" || true
	done
}

# --- the router ----------------------------------------------------------------------------------------------

# next_hops FIRST-ID NODE[=WEIGHT]...: as a group of `ip nexthop`.
next_hops() {
	local first=$1 node
	for node in "${@:2}"; do
		[[ $node == *=* ]] || node=$node=1
		echo "$((first + ${node%=*})),${node#*=}"
	done | paste -s -d /
}

# A bucket of a resilient group goes to another next hop only if no packet has used it for a second, or if its next hop
# has left the group. With so many buckets, most are idle in a lab.
group_type() {
	[[ $ecmp == hash-threshold ]] || echo type resilient buckets 1024 idle_timer 1 unbalanced_timer 0
}

# A group keeps its type, so each type has its own.
first_group() {
	[[ $ecmp == hash-threshold ]] && echo 100 || echo 200
}

# route_to NODE[=WEIGHT]...: the router sends the packets of the service addresses to these nodes. The order matters too:
# each next hop of a hash-threshold group has a range of hashes.
route_to() {
	local type group
	type=$(group_type)
	group=$(first_group)
	in_host router ip -batch - <<-END
		nexthop replace id $group group $(next_hops 0 "$@") $type
		nexthop replace id $((group + 1)) group $(next_hops 10 "$@") $type
		route replace 203.0.113.0/24 nhid $group
		route replace 2001:db8:f::/64 nhid $((group + 1))
	END
}

# Policy 1 spreads flows by addresses and ports, so that a flow stays on its path.
spread_by_ports() {
	in_host router sh -c '
		echo 1 >/proc/sys/net/ipv4/fib_multipath_hash_policy
		echo 1 >/proc/sys/net/ipv6/fib_multipath_hash_policy'
}

add_node_routes() {
	local number
	spread_by_ports
	[[ -z $bgp ]] || return 0
	for number in $(node_numbers); do
		queue router nexthop add id "$number" via "192.0.2.$((1 + number))" dev lan
		queue router nexthop add id "$((10 + number))" via "2001:db8:2::$((1 + number))" dev lan
	done
	make_queued router
	# shellcheck disable=SC2046
	route_to $(node_numbers)
}

show_routes() {
	local group
	group=$(in_host router ip -j nexthop show id "$(first_group)" | jq -r '.[0].group | map("\(.id)=\(.weight // 1)") | join(" ")')
	printf '%-8s %s, to nodes (node=weight): %s\n' router "ECMP $ecmp" "$group"
}

# --- failures ------------------------------------------------------------------------------------------------

# SIGKILL to berthd, its helpers and its engine process. An XDP program stays attached, and forwards.
fail_kill() {
	local pids
	mapfile -t pids < <(ip netns pids "$(netns "$(node_host "$1")")")
	[[ ${#pids[@]} -eq 0 ]] || kill -KILL "${pids[@]}" 2>/dev/null || true
	until_true 3 has_ended "$(node_process "$1")" || die "$(node_process "$1") did not end after SIGKILL"
}

fail_link() {
	in_host router ip link set "$(node_host "$1")" down
}

# The link stays up, but no frame passes in either direction: as a host whose kernel is stuck.
fail_silent() {
	in_host router bridge link set dev "$(node_host "$1")" state 0
}

# Fails while the cable has no carrier yet: the node's end may still be busy with the end of its AF_XDP sockets.
pass_frames() {
	in_host router bridge link set dev "$(node_host "$1")" state 3 2>/dev/null
}

undo_failures() {
	in_host router ip link set "$(node_host "$1")" up
	until_true 3 pass_frames "$1" || die "the port of $(node_host "$1") stays closed"
	is_running "$(node_process "$1")" || start_berthd "$1"
	[[ -n $bgp ]] || return 0
	is_running "$(node_bird "$1")" || start_node_bird "$1"
	await_bgp
}
