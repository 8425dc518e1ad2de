# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154
#
# The store of scripts/lab, on the router: one redis-server, or two of which one is a replica, and three Sentinels. Sourced by
# it, not run.

redis_ports=(6379 6380)
sentinel_ports=(26379 26380 26381)

# redis_cli PORT COMMAND...
redis_cli() {
	in_host router timeout 2 redis-cli -h 192.0.2.1 -p "$@" 2>/dev/null
}

redis_answers() {
	redis_cli "$1" ping | grep -x PONG >/dev/null
}

# start_redis PORT OPTION...: without files, so that after a kill it is empty.
start_redis() {
	local name=store-$1
	has_ended "$name" || return 0
	start "$name" router redis-server --bind 192.0.2.1 --port "$1" --save "" --appendonly no --dir "$state" --protected-mode no \
		--repl-diskless-sync-delay 0 "${@:2}"
	until_true 10 redis_answers "$1" || die "redis-server does not start: $state/$name.log"
}

# The port of the master: what the Sentinels say, if there are any.
master_port() {
	local port
	if [[ $store == redis ]]; then
		port=${redis_ports[0]}
	else
		port=$(redis_cli "${sentinel_ports[0]}" sentinel get-master-addr-by-name "$lab" | sed -n 2p)
	fi
	[[ -n $port ]] || die "the Sentinel does not say which is the master: $state/sentinel-${sentinel_ports[0]}.log"
	echo "$port"
}

copies() {
	redis_cli "$1" info replication | grep '^master_link_status:up' >/dev/null
}

# start_replica PORT MASTER-PORT
start_replica() {
	start_redis "$1" --replicaof 192.0.2.1 "$2"
	until_true 30 copies "$1" || die "redis-server does not copy the master: $state/store-$1.log"
}

# Each Sentinel knows the two others, and a replica that it can choose.
can_fail_over() {
	local port
	for port in "${sentinel_ports[@]}"; do
		[[ $(redis_cli "$port" sentinel master "$lab" | paste - - |
			grep -Ec '^(num-other-sentinels	2|num-slaves	1|flags	master)$') -eq 3 ]] &&
			redis_cli "$port" sentinel replicas "$lab" | paste - - | grep -x 'master-link-status	ok' >/dev/null || return
	done
}

start_sentinels() {
	local port
	for port in "${sentinel_ports[@]}"; do
		cat >"$state/sentinel-$port.conf" <<-END
			bind 192.0.2.1
			port $port
			dir $state
			protected-mode no
			sentinel monitor $lab 192.0.2.1 ${redis_ports[0]} 2
			sentinel down-after-milliseconds $lab 1000
			sentinel failover-timeout $lab 2000
		END
		start "sentinel-$port" router redis-sentinel "$state/sentinel-$port.conf"
	done
	until_true 30 can_fail_over || die "the Sentinels do not see each other and the replica: $state/sentinel-*.log"
}

start_store() {
	start_redis "${redis_ports[0]}"
	[[ $store == sentinel ]] || return 0
	start_replica "${redis_ports[1]}" "${redis_ports[0]}"
	start_sentinels
}

# Kills the master.
stop_store() {
	local port
	port=$(master_port)
	stop "store-$port" KILL
}

end_cut() {
	in_host router nft delete table ip store 2>/dev/null || true
}

# What does not run: an empty server, or a replica of the present master.
start_again() {
	local port master
	master=$(master_port)
	if [[ $store == redis ]]; then
		start_redis "$master"
		return
	fi
	is_running "store-$master" || die "the Sentinels have not chosen a master yet"
	end_cut
	for port in "${redis_ports[@]}"; do
		((port == master)) || start_replica "$port" "$master"
	done
}

# What the master writes from now on gets lost on its way to the replica, and the connection stays. The Sentinels see both.
cut_replica() {
	local master replica
	master=$(master_port)
	replica=$(redis_cli "$master" client list type replica | sed -n 's/.* addr=192\.0\.2\.1:\([0-9]*\) .*/\1/p')
	[[ -n $replica ]] || die "the master has no replica"
	in_host router nft -f - <<-END
		table ip store {
			chain input {
				type filter hook input priority 0;
				ip saddr 192.0.2.1 tcp sport $master tcp dport $replica drop
			}
		}
	END
}
