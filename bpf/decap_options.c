/* SPDX-License-Identifier: BSD-3-Clause */
#include "bpf/decap_options.h"

#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <stdlib.h>
#include <string.h>

void berth_decap_usage(FILE *to)
{
	fprintf(to,
		"usage: berth-decap attach INTERFACE [--address ADDRESS]... [--gue-port PORT]... [--object FILE]\n"
		"       berth-decap detach INTERFACE\n"
		"       berth-decap show INTERFACE\n"
		"       berth-decap --version | --help\n"
		"\n"
		"Decapsulates packets from berth: IPv4 or IPv6 in IPv4 or IPv6 (mode ipip) or in UDP (mode gue).\n"
		"\n"
		"  --address ADDRESS  accept packets to this address, at most %d of them (default: all addresses\n"
		"                     that the interface has now)\n"
		"  --gue-port PORT    accept GUE on this UDP port, at most %d of them (default %d)\n"
		"  --object FILE      the BPF object, if it is not installed\n"
		"\n"
		"exit codes: 0 done, 1 failure, or `show` without the program attached, 2 usage\n",
		BERTH_DECAP_MAX_ADDRESSES, BERTH_DECAP_MAX_PORTS, BERTH_DECAP_GUE_PORT);
}

static int add_address(struct berth_decap_options *options, const union berth_addr *address)
{
	if (options->n_addresses == BERTH_DECAP_MAX_ADDRESSES)
		return -ENOSPC;
	options->address[options->n_addresses++] = *address;
	return 0;
}

static int add_port(struct berth_decap_options *options, const char *text)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);
	if (text[0] < '0' || text[0] > '9' || *end || port == 0 || port > UINT16_MAX)
		return -EINVAL;
	if (options->n_ports == BERTH_DECAP_MAX_PORTS)
		return -ENOSPC;
	options->port[options->n_ports++] = berth_to_be16((uint16_t)port);
	return 0;
}

static int parse_address(const char *text, union berth_addr *address)
{
	struct berth_be32 v4;
	if (inet_pton(AF_INET, text, &v4) == 1) {
		berth_addr_set4(address, v4);
		return 0;
	}
	return inet_pton(AF_INET6, text, address) == 1 ? 0 : -EINVAL;
}

static bool socket_address(const struct sockaddr *from, union berth_addr *address)
{
	if (!from)
		return false;
	if (from->sa_family == AF_INET) {
		berth_addr_set4(
			address,
			(struct berth_be32){((const struct sockaddr_in *)(const void *)from)->sin_addr.s_addr});
		return true;
	}
	if (from->sa_family == AF_INET6) {
		memcpy(address, &((const struct sockaddr_in6 *)(const void *)from)->sin6_addr, sizeof(*address));
		return true;
	}
	return false;
}

int berth_decap_options_add_interface(struct berth_decap_options *options)
{
	struct ifaddrs *all;
	if (getifaddrs(&all))
		return -errno;
	int err = 0;
	for (const struct ifaddrs *one = all; one && !err; one = one->ifa_next) {
		union berth_addr address;
		if (strcmp(one->ifa_name, options->interface) == 0 && socket_address(one->ifa_addr, &address))
			err = add_address(options, &address);
	}
	freeifaddrs(all);
	if (!err && options->n_addresses == 0)
		err = -EADDRNOTAVAIL;
	return err;
}

static int parse_option(struct berth_decap_options *options, int option)
{
	union berth_addr address;
	switch (option) {
	case 'a':
		if (parse_address(optarg, &address)) {
			fprintf(stderr, "berth-decap: --address: \"%s\" is not an IPv4 or IPv6 address\n", optarg);
			return -EINVAL;
		}
		if (add_address(options, &address)) {
			fprintf(stderr, "berth-decap: --address: at most %d addresses; remove some\n",
				BERTH_DECAP_MAX_ADDRESSES);
			return -EINVAL;
		}
		return 0;
	case 'g':
		if (add_port(options, optarg)) {
			fprintf(stderr,
				"berth-decap: --gue-port: \"%s\": give at most %d UDP ports from 1 to 65535\n",
				optarg, BERTH_DECAP_MAX_PORTS);
			return -EINVAL;
		}
		return 0;
	case 'o':
		options->object = optarg;
		return 0;
	default:
		return -EINVAL;
	}
}

int berth_decap_options_parse(struct berth_decap_options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{"address", required_argument, NULL, 'a'}, {"gue-port", required_argument, NULL, 'g'},
		{"object", required_argument, NULL, 'o'},  {"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'v'},	   {},
	};
	int option;
	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (option == 'h') {
			berth_decap_usage(stdout);
			return -ECANCELED;
		}
		if (option == 'v') {
			puts("berth-decap " BERTH_VERSION);
			return -ECANCELED;
		}
		if (parse_option(options, option))
			return -EINVAL;
	}
	if (argc - optind != 2)
		return -EINVAL;
	options->command = argv[optind];
	options->interface = argv[optind + 1];
	return 0;
}
