# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash disable=SC2034
#
# Shared by the scripts: paths, packages, the build. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
build=${BERTH_BUILD:-$root/build}

# The distribution's programs come first: other installations of python3 or meson do not have the distribution's Python
# modules.
export PATH=/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin:$PATH

packages=(
	# to build
	meson ninja-build pkg-config gcc libc6-dev clang-14 llvm-14 libclang-rt-14-dev libbpf-dev libxdp-dev
	libxxhash-dev libevent-dev libjansson-dev libyaml-dev libedit-dev libmnl-dev libcurl4-openssl-dev libssl-dev libc-ares-dev
	libhiredis-dev
	libdpdk-dev dpdk-dev libpcap-dev libcmocka-dev
	# to package
	debhelper dpkg-dev lintian scdoc
	# to test the packages, the appliance, the schema and manual pages
	mmdebstrap syslinux syslinux-common systemd-boot-efi mtools dosfstools fdisk openssh-client python3-jsonschema python3-yaml man-db
	# to check
	clang-format-14 clang-tidy-14 universal-ctags shellcheck git
	# to test and to show
	qemu-system-x86 linux-image-cloud-amd64 busybox-static cpio
	bpftool procps iproute2 nftables ethtool tcpdump tshark iputils-ping python3 python3-pytest python3-pytest-xdist python3-scapy nginx-light curl jq
	dnsmasq-base prometheus redis-server redis-sentinel chromium
	# the routing daemons and VRRP of scripts/lab --bgp, tests/e2e/test_announce.py and test_keepalived.py
	bird2 frr keepalived
	# the session servers of tests/e2e/tomcat.py; the package tomcat10 would also install a service
	tomcat10-common default-jre-headless
)

say() {
	printf '%s\n' "$*"
}

die() {
	printf '%s: %s\n' "${0##*/}" "$*" >&2
	exit 1
}

need_root() {
	[[ $(id -u) -eq 0 ]] || die "must run as root: it makes network namespaces and loads BPF programs"
}

missing_packages() {
	local package
	for package in "${packages[@]}"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || echo "$package"
	done
}

# Runs apt-get without questions. Waits for another apt-get to end: some machines update themselves at boot.
apt_step() {
	local log
	log=$(mktemp)
	if ! DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300 "$@" >"$log" 2>&1; then
		tail -n 20 "$log" >&2
		rm -f "$log"
		die "apt-get $1 failed, see above"
	fi
	rm -f "$log"
}

# Debian starts a service when its package is installed, and at every boot. The lab runs nginx and prometheus inside its
# namespaces, and must not use the machine's ports. apt asks policy-rc.d before every start; 101: forbidden.
policy=/usr/sbin/policy-rc.d

install_without_starting() {
	local forbade=false
	if [[ ! -e $policy ]]; then
		printf '#!/bin/sh\nexit 101\n' >"$policy"
		chmod +x "$policy"
		forbade=true
	fi
	(apt_step install -y --no-install-recommends "$@") || {
		! $forbade || rm -f "$policy"
		exit 1
	}
	! $forbade || rm -f "$policy"
}

# forget_service PACKAGE SERVICE: disables the start at boot if the package was installed now.
forget_service() {
	if [[ " ${missing[*]} " == *" $1 "* ]] && command -v systemctl >/dev/null; then
		systemctl --quiet disable "$2.service" >/dev/null 2>&1 || true
	fi
}

install_packages() {
	local missing
	mapfile -t missing < <(missing_packages)
	[[ ${#missing[@]} -gt 0 ]] || return 0
	command -v apt-get >/dev/null || die "needs these Debian packages: ${missing[*]}"
	say "installing: ${missing[*]}"
	apt_step update
	install_without_starting "${missing[@]}"
	forget_service nginx-light nginx
	forget_service prometheus prometheus
	forget_service redis-server redis-server
	forget_service redis-sentinel redis-sentinel
	forget_service bird2 bird
	forget_service frr frr
	forget_service keepalived keepalived
}

# build_berth DIRECTORY [MESON OPTION...]: configures it if it is new, and builds.
build_berth() {
	local directory=$1 log
	shift
	if [[ ! -e $directory/build.ninja ]]; then
		say "configuring $directory"
		log=$(meson setup "$directory" "$root" "$@" 2>&1) || {
			tail -n 30 <<<"$log" >&2
			die "meson setup failed, see above"
		}
	fi
	# What another checkout has compiled comes from the cache; debug information then names that one.
	[[ -z ${CI:-} ]] || export CCACHE_NOHASHDIR=1
	say "building $directory"
	ninja --quiet -C "$directory"
}

# The packages that packages of berth depend on, separated by commas: the first of each alternative.
dependencies() {
	local package
	for package in "$@"; do
		dpkg-deb -f "$package" Pre-Depends Depends | sed 's/^[A-Za-z-]*: //; s/, */\n/g'
	done | sed 's/[ |(].*//' | grep -v '^berth' | sort -u | paste -sd ,
}

# until_true SECONDS COMMAND...: runs it every 50 ms until it succeeds; false if it never does.
until_true() {
	local end=$((SECONDS + $1))
	shift
	until "$@"; do
		((SECONDS < end)) || return 1
		sleep 0.05
	done
}
