# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2154
#
# The servers of scripts/lab, and its own configuration for berthd. Sourced by it, not run.

write_nginx_config() {
	local name=$1 dir=$state/$1
	mkdir -p "$dir/files" "$dir/tmp"
	# One process: killing it ends the server and all its connections.
	cat >"$dir/nginx.conf" <<-END
		daemon off;
		master_process off;
		pid $dir/nginx.pid;
		error_log $dir/error.log;
		events { worker_connections 4096; }
		http {
			access_log off;
			default_type text/plain;
			keepalive_requests 1000000000;
			keepalive_timeout 1h;
			keepalive_time 24h; # of a connection in all; its default of 1h ends those of a long run
			client_body_temp_path $dir/tmp/body;
			proxy_temp_path $dir/tmp/proxy;
			fastcgi_temp_path $dir/tmp/fastcgi;
			uwsgi_temp_path $dir/tmp/uwsgi;
			scgi_temp_path $dir/tmp/scgi;
			client_max_body_size 64m;
			server {
				$(printf 'listen 0.0.0.0:%s; ' "${tcp_ports[@]}")
				$(printf 'listen [::]:%s ipv6only=on; ' "${tcp_ports[@]}")
				add_header Berth-Backend $name always;
				location / { return 200 "$name\n"; }
				location = /client { return 200 "\$remote_addr\n"; }
				location = /asked { return 200 "\$server_addr \$server_port\n"; }
				location /files/ { root $dir; dav_methods PUT DELETE; }
			}
		}
	END
}

start_backend() {
	local name=$1
	start "$name-http" "$name" nginx -e "$state/$name/error.log" -p "$state/$name" -c "$state/$name/nginx.conf"
	start "$name-udp" "$name" "$root/scripts/udp-echo" "$name" "${udp_ports[@]}"
}

stop_backend() {
	stop "$1-http" KILL
	stop "$1-udp" KILL
}

# Requests from its own host to a service address take the same path in it as requests from berth.
serves_both() {
	[[ $(in_host "$1" curl -s -m 2 "http://203.0.113.10/") == "$1" ]] &&
		[[ $(in_host "$1" curl -s -m 2 "http://[2001:db8:f::10]/") == "$1" ]] &&
		is_running "$1-udp"
}

add_backends() {
	local name
	for name in $(backend_names); do
		write_nginx_config "$name"
		start_backend "$name"
		in_host "$name" "$build/bpf/berth-decap" attach eth0 >>"$state/decap.log" 2>&1 ||
			die "$name cannot decapsulate: $(tail -n 1 "$state/decap.log")"
	done
	for name in $(backend_names); do
		until_true 5 serves_both "$name" || {
			cat "$state/$name"-*.log "$state/$name/error.log" >&2
			die "$name does not serve"
		}
	done
}

# service NAME ADDRESS PROTOCOL PORT MODE AFFINITY BACKEND-PREFIX [BACKEND-PORT]. All clients of the lab are in one /64,
# which would be one client; with prefix6 128 each address is a client.
service() {
	cat <<-END
		  - name: $1
		    address: "$2"
		    protocol: $3
		    port: $4
		    mode: $5
		    affinity: {by: $6, prefix6: 128}
		    health: {type: tcp, port: 80, interval: 200ms, timeout: 200ms, rise: 2, fall: 2}
		    backends:
	END
	local i first=10
	[[ $5 != nat ]] || first=110
	for i in $(seq 1 "$backends"); do
		echo "      - {name: b$i, address: \"$7$((first + i))\"${8:+, port: $8}}"
	done
}

default_config() {
	cat <<-END
		engine: $engine
		interfaces:
		  - name: eth0
		$( ((ports == 1)) || echo "  - name: eth1")
		dpdk: {idle: adaptive, memory-mb: 64}
		limits: {flows: 65536, sessions: 16384, services: 32, backends: 256}
		services:
	END
	service web 203.0.113.10 tcp 80 l2 client 192.0.2.
	service web6 2001:db8:f::10 tcp 80 ipip client 2001:db8:2::
	service dns 203.0.113.10 udp 5300 l2 flow 192.0.2.
	service dns6 2001:db8:f::10 udp 5300 l2 flow 2001:db8:2::
	service gue 203.0.113.10 tcp 8082 gue flow 192.0.2.
	if ((nodes == 1)); then
		service nat 203.0.113.20 tcp 80 nat client 192.0.2. 8080
		service nat6 2001:db8:f::20 tcp 80 nat client 2001:db8:2:: 8080
	fi
	service range 203.0.113.10 tcp 8090-8099 ipip flow 2001:db8:2::
	service prefix 203.0.113.32/28 tcp any ipip client 192.0.2.
}
