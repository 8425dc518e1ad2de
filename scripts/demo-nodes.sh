# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154
#
# The story of scripts/demo --nodes: several berth nodes behind one router, of which one is killed. Sourced by it, not run.

# Each node has its own engine, where both were built.
engines_of_nodes() {
	[[ -x $build/dataplane/berth-dpdk ]] || { echo xdp && return; }
	printf '%s\n' xdp dpdk xdp dpdk | head -n "$nodes" | paste -s -d ,
}

name_of() {
	(($1 == 1)) && echo berth || echo "berth$1"
}

names_of_nodes() {
	local number
	for number in $(seq 1 "$nodes"); do
		name_of "$number"
	done | paste -s -d ' '
}

# sum NODE FIELD: over the servers of shop.
sum() {
	lab ctl --node "$1" -j show backends | jq --arg field "$2" '[.backends[][$field]] | add'
}

# sums FIELD: of each node that runs; the others are 0.
sums() {
	local number
	for number in $(seq 1 "$nodes"); do
		if [[ $number == "$killed" ]]; then
			echo 0
		else
			sum "$number" "$1"
		fi
	done | paste -s -d ' '
}

# grown BEFORE AFTER: the difference of each node.
grown() {
	paste -d ' ' <(tr ' ' '\n' <<<"$1") <(tr ' ' '\n' <<<"$2") | awk '{ print $2 - $1 }' | paste -s -d ' '
}

# carriers GROWN: the nodes, each with its number of connections.
carriers() {
	local number=0 count
	for count in $1; do
		number=$((number + 1))
		((count == 0)) || echo "$(name_of $number) $count"
	done | paste -s -d , | sed 's/,/, /g'
}

# The node through which the open connection goes: the one whose packets grow by a request.
carrier_of_connection() {
	local before after number=0 count
	before=$(sums packets)
	ask_bystander >/dev/null
	after=$(sums packets)
	for count in $(grown "$before" "$after"); do
		number=$((number + 1))
		((count == 0)) || echo $number
	done | head -n 1
}

ask_twenty_times() {
	for _ in {1..20}; do
		ask "$bystander"
	done | sort | uniq -c | awk '{ print $2 " " $1 " times" }' | paste -s -d ,
}

several_carried() {
	[[ $1 == *,* ]]
}

is_other_node() {
	[[ -n $1 && $1 != "$killed" ]]
}

digests() {
	local number
	for number in $(seq 1 "$nodes"); do
		lab ctl --node "$number" -j show cluster | jq -r '.nodes[0] | [.config_digest, .secret_digest] | join(" ")'
	done
}

have_one_digest() {
	[[ $(digests | sort -u | wc -l) -eq 1 ]]
}

# twenty_requests: of the client, each in a new connection.
twenty_requests() {
	local before after answers nodes_used
	before=$(sums new_flows)
	answers=$(ask_twenty_times)
	after=$(sums new_flows)
	nodes_used=$(carriers "$(grown "$before" "$after")")
	tell "Twenty requests, each in a new connection. The answers, and the nodes" \
		"that carried them:" "  $answers" "  $nodes_used"
	check "one server answers all" [ "$answers" = "$bystander_server 20 times" ]
	check "more than one node carried them" several_carried "$nodes_used"
}

nodes_scene() {
	chapter "The scene"
	tell "A client, a router, $nodes berth nodes ($(names_of_nodes)), and three web" \
		"servers, b1, b2 and b3. The servers are one service, http://$shop/." \
		"The router spreads connections over the nodes (ECMP). The nodes have the" \
		"same configuration and the same secret, and do not talk to each other."
	configuration=$(mktemp)
	write_configuration >"$configuration"
	lab up --nodes "$nodes" --engine "$engine" --config "$configuration" | sed -n "s/^lab '/   lab '/p"
	rm -f "$configuration"
	check "all nodes show the same digests of configuration and secret" have_one_digest
}

nodes_log_in() {
	chapter "1. A client gets a server, by any node"
	connect_bystander
	bystander_server=$(ask_bystander)
	tell "The client $bystander logs in, in a connection that it keeps open." \
		"$bystander_server answers, so the login is on $bystander_server."
	twenty_requests
}

nodes_kill() {
	chapter "2. A node dies"
	local carrier other others
	carrier=$(carrier_of_connection)
	tell "The open connection goes through $(name_of "$carrier"). That node's processes are" \
		"killed, and its link is cut. The router removes it from its next hops."
	lab fail --node "$carrier" kill
	lab fail --node "$carrier" link
	killed=$carrier
	mapfile -t others < <(seq 1 "$nodes" | grep -vx "$carrier")
	lab route "${others[@]}"
	check "the connection is still open, to $bystander_server" is_bystander_served
	other=$(carrier_of_connection)
	check "it goes through $(name_of "$other") now, which had never seen it" is_other_node "$other"
}

nodes_go_on() {
	chapter "3. The session goes on"
	if ((nodes > 2)); then
		twenty_requests
	else
		check "new connections get $bystander_server too" [ "$(ask_twenty_times)" = "$bystander_server 20 times" ]
	fi
	tell "Nobody told the other nodes: each computes the same server for this client."
}

nodes_return() {
	chapter "4. The node comes back"
	lab return --node "$killed"
	killed=
	# shellcheck disable=SC2046
	lab route $(seq 1 "$nodes")
	check "the connection is still open, to $bystander_server" is_bystander_served
	twenty_requests
	tell "Not computed: a client that another server has had since a change of the" \
		"servers. Without a store only one node knows it, so it may move" "(docs/cluster.md)."
}

tell_of_nodes() {
	killed=
	nodes_scene
	nodes_log_in
	nodes_kill
	nodes_go_on
	nodes_return
}
