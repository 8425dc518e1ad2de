/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berth-decap: attaches the decapsulating program to an interface of a backend, detaches it, shows its counters.
 * It attaches by netlink and pins nothing: the interface refers to the program and the program to its maps, so the
 * kernel removes all of them with the interface.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <ifaddrs.h>
#include <libgen.h>
#include <limits.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/decap.h"
#include "dataplane/core/types.h"

enum {
	EXIT_USAGE = 2,
	MAPS_MAX = 8,
};

static const char OBJECT[] = "berth_decap.bpf.o";

struct options {
	const char *command;
	const char *interface;
	unsigned int ifindex;
	const char *object; /* path of the BPF object; NULL: see object_path */
	union berth_addr address[BERTH_DECAP_MAX_ADDRESSES];
	unsigned int n_addresses; /* 0: all addresses of the interface */
	struct berth_be16 port[BERTH_DECAP_MAX_PORTS];
	unsigned int n_ports; /* 0: BERTH_DECAP_GUE_PORT */
};

/* The XDP program of an interface; id 0: none. */
struct attached {
	__u32 id;
	__u32 flags; /* XDP_FLAGS_DRV_MODE or XDP_FLAGS_SKB_MODE */
	int fd;
	bool is_ours;
	__u32 map_ids[MAPS_MAX];
	__u32 n_maps;
};

static void usage(FILE *to)
{
	fprintf(to,
		"usage: berth-decap attach INTERFACE [--address ADDRESS]... [--gue-port PORT]... [--object FILE]\n"
		"       berth-decap detach INTERFACE\n"
		"       berth-decap show INTERFACE\n"
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

static int fail(const char *interface, const char *action, int error)
{
	fprintf(stderr, "berth-decap: %s: %s: %s%s\n", interface, action, strerror(error),
		error == EPERM ? "; run it as root" : "");
	return EXIT_FAILURE;
}

static int add_address(struct options *options, const union berth_addr *address)
{
	if (options->n_addresses == BERTH_DECAP_MAX_ADDRESSES)
		return -ENOSPC;
	options->address[options->n_addresses++] = *address;
	return 0;
}

static int add_port(struct options *options, const char *text)
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

static const char *print_address(const union berth_addr *address, char text[INET6_ADDRSTRLEN])
{
	if (berth_addr_is4(address))
		return inet_ntop(AF_INET, &address->word[3], text, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN);
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

static int add_interface_addresses(struct options *options)
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

/* Finds the XDP program of the interface. Free with release_attached. */
static int find_attached(unsigned int ifindex, struct attached *found)
{
	*found = (struct attached){.fd = -1};
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int err = bpf_xdp_query((int)ifindex, 0, &query);
	if (err)
		return err;
	found->flags = query.drv_prog_id ? XDP_FLAGS_DRV_MODE : XDP_FLAGS_SKB_MODE;
	found->id = query.drv_prog_id ? query.drv_prog_id : query.prog_id;
	if (!found->id)
		return 0;
	found->fd = bpf_prog_get_fd_by_id(found->id);
	if (found->fd < 0)
		return -errno;
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (__u64)(unsigned long)found->map_ids};
	__u32 length = sizeof(info);
	if (bpf_obj_get_info_by_fd(found->fd, &info, &length)) {
		err = -errno;
		close(found->fd);
		return err;
	}
	found->n_maps = info.nr_map_ids < MAPS_MAX ? info.nr_map_ids : MAPS_MAX;
	found->is_ours = strcmp(info.name, BERTH_DECAP_PROGRAM) == 0;
	return 0;
}

static void release_attached(struct attached *found)
{
	if (found->fd >= 0)
		close(found->fd);
}

/* Opens a map of the attached program by its name. Its descriptor or -errno. */
static int open_map(const struct attached *found, const char *name)
{
	for (__u32 i = 0; i < found->n_maps; i++) {
		int fd = bpf_map_get_fd_by_id(found->map_ids[i]);
		if (fd < 0)
			continue;
		struct bpf_map_info info = {};
		__u32 length = sizeof(info);
		if (!bpf_obj_get_info_by_fd(fd, &info, &length) && strcmp(info.name, name) == 0)
			return fd;
		close(fd);
	}
	return -ENOENT;
}

/* The object of the options, else next to the executable (build tree), else the installed one. */
static int object_path(const struct options *options, char path[PATH_MAX])
{
	if (options->object)
		return snprintf(path, PATH_MAX, "%s", options->object) < PATH_MAX ? 0 : -ENAMETOOLONG;
	char self[PATH_MAX] = "";
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return -errno;
	if (snprintf(path, PATH_MAX, "%s/%s", dirname(self), OBJECT) < PATH_MAX && access(path, R_OK) == 0)
		return 0;
	return snprintf(path, PATH_MAX, "%s/%s", BERTH_LIBDIR, OBJECT) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static struct bpf_object *load_object(const struct options *options)
{
	char path[PATH_MAX];
	int err = object_path(options, path);
	if (err) {
		fail(options->interface, OBJECT, -err);
		return NULL;
	}
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	if (!object) {
		fail(options->interface, path, errno);
		return NULL;
	}
	err = bpf_object__load(object);
	if (err) {
		fail(options->interface, "the kernel rejects the program", -err);
		bpf_object__close(object);
		return NULL;
	}
	return object;
}

/* Adds `n` keys to a map that is a set: its values have no meaning. */
static int fill(const struct bpf_object *object, const char *name, const void *keys, size_t key_bytes,
		unsigned int n)
{
	int map = bpf_object__find_map_fd_by_name(object, name);
	if (map < 0)
		return map;
	const __u8 yes = 1;
	for (unsigned int i = 0; i < n; i++)
		if (bpf_map_update_elem(map, (const char *)keys + i * key_bytes, &yes, BPF_ANY))
			return -errno;
	return 0;
}

static int fill_all(const struct bpf_object *object, const struct options *options)
{
	int err = fill(object, BERTH_DECAP_ADDRESSES, options->address, sizeof(options->address[0]),
		       options->n_addresses);
	return err ? err
		   : fill(object, BERTH_DECAP_PORTS, options->port, sizeof(options->port[0]), options->n_ports);
}

/* Native if the driver supports it, else generic. Replaces an attached program of ours atomically, in its mode. */
static int attach_program(const struct options *options, int program, const struct attached *before, __u32 *flags)
{
	if (before->id) {
		LIBBPF_OPTS(bpf_xdp_attach_opts, replace, .old_prog_fd = before->fd);
		*flags = before->flags;
		return bpf_xdp_attach((int)options->ifindex, program, *flags, &replace);
	}
	*flags = XDP_FLAGS_DRV_MODE;
	int err = bpf_xdp_attach((int)options->ifindex, program, *flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
	if (!err || err == -EBUSY || err == -EPERM)
		return err;
	*flags = XDP_FLAGS_SKB_MODE;
	return bpf_xdp_attach((int)options->ifindex, program, *flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
}

static const char *mode_name(__u32 flags)
{
	return flags & XDP_FLAGS_DRV_MODE ? "native" : "generic";
}

static int attach_over(struct options *options, const struct attached *before)
{
	struct bpf_object *object = load_object(options);
	if (!object)
		return EXIT_FAILURE;
	int status = EXIT_FAILURE;
	__u32 flags;
	int err = fill_all(object, options);
	if (err) {
		fail(options->interface, "cannot fill the maps", -err);
		goto out;
	}
	const struct bpf_program *program = bpf_object__find_program_by_name(object, BERTH_DECAP_PROGRAM);
	err = program ? attach_program(options, bpf_program__fd(program), before, &flags) : -ENOENT;
	if (err) {
		fail(options->interface, "cannot attach", -err);
		goto out;
	}
	printf("%s: decapsulating for %u addresses, XDP %s\n", options->interface, options->n_addresses,
	       mode_name(flags));
	status = EXIT_SUCCESS;
out:
	bpf_object__close(object);
	return status;
}

static int run_attach(struct options *options, const struct attached *before)
{
	if (before->id && !before->is_ours) {
		fprintf(stderr, "berth-decap: %s: another XDP program (id %u) is attached; detach it first\n",
			options->interface, before->id);
		return EXIT_FAILURE;
	}
	if (options->n_addresses == 0) {
		int err = add_interface_addresses(options);
		if (err)
			return fail(options->interface, "cannot list its addresses; give them with --address",
				    -err);
	}
	if (options->n_ports == 0)
		options->port[options->n_ports++] = berth_to_be16(BERTH_DECAP_GUE_PORT);
	return attach_over(options, before);
}

static int run_detach(struct options *options, const struct attached *before)
{
	if (!before->is_ours) {
		printf("%s: does not decapsulate\n", options->interface);
		return EXIT_SUCCESS;
	}
	LIBBPF_OPTS(bpf_xdp_attach_opts, only, .old_prog_fd = before->fd);
	int err = bpf_xdp_detach((int)options->ifindex, before->flags, &only);
	if (err)
		return fail(options->interface, "cannot detach", -err);
	printf("%s: no longer decapsulates\n", options->interface);
	return EXIT_SUCCESS;
}

static void print_addresses(int map)
{
	union berth_addr key;
	const union berth_addr *previous = NULL;
	while (bpf_map_get_next_key(map, previous, &key) == 0) {
		char text[INET6_ADDRSTRLEN];
		printf("address %s\n", print_address(&key, text));
		previous = &key;
	}
}

static void print_ports(int map)
{
	struct berth_be16 key;
	const struct berth_be16 *previous = NULL;
	while (bpf_map_get_next_key(map, previous, &key) == 0) {
		printf("gue-port %u\n", berth_from_be16(key));
		previous = &key;
	}
}

static int print_counters(int map)
{
	static const struct {
		const char *name;
		const char *help;
	} outcomes[] = {
#define X(symbol, name, help) {name, help},
		BERTH_DECAP_OUTCOMES(X)
#undef X
	};
	int cpus = libbpf_num_possible_cpus();
	__u64 *values = cpus > 0 ? calloc((size_t)cpus, sizeof(*values)) : NULL;
	if (!values)
		return -ENOMEM;
	for (__u32 i = 0; i < BERTH_DECAP_OUTCOME_COUNT; i++) {
		__u64 sum = 0;
		if (bpf_map_lookup_elem(map, &i, values) == 0)
			for (int cpu = 0; cpu < cpus; cpu++)
				sum += values[cpu];
		printf("%-12s %10llu  %s\n", outcomes[i].name, (unsigned long long)sum, outcomes[i].help);
	}
	free(values);
	return 0;
}

static int run_show(struct options *options, const struct attached *found)
{
	if (!found->is_ours) {
		printf("%s: does not decapsulate\n", options->interface);
		return EXIT_FAILURE;
	}
	int addresses = open_map(found, BERTH_DECAP_ADDRESSES);
	int ports = open_map(found, BERTH_DECAP_PORTS);
	int counters = open_map(found, BERTH_DECAP_COUNTERS);
	int err = addresses < 0 ? addresses : ports < 0 ? ports : counters < 0 ? counters : 0;
	if (!err) {
		printf("%s: decapsulating, XDP %s\n", options->interface, mode_name(found->flags));
		print_addresses(addresses);
		print_ports(ports);
		err = print_counters(counters);
	}
	if (addresses >= 0)
		close(addresses);
	if (ports >= 0)
		close(ports);
	if (counters >= 0)
		close(counters);
	return err ? fail(options->interface, "cannot read its maps", -err) : EXIT_SUCCESS;
}

static const struct command {
	const char *name;
	int (*run)(struct options *options, const struct attached *found);
} COMMANDS[] = {
	{"attach", run_attach},
	{"detach", run_detach},
	{"show", run_show},
};

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++)
		if (strcmp(COMMANDS[i].name, name) == 0)
			return &COMMANDS[i];
	return NULL;
}

static int read_option(struct options *options, int option)
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

static int read_options(struct options *options, int argc, char **argv)
{
	static const struct option longs[] = {
		{"address", required_argument, NULL, 'a'},
		{"gue-port", required_argument, NULL, 'g'},
		{"object", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{},
	};
	int option;
	while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
		if (option == 'h') {
			usage(stdout);
			exit(EXIT_SUCCESS);
		}
		if (read_option(options, option))
			return -EINVAL;
	}
	if (argc - optind != 2)
		return -EINVAL;
	options->command = argv[optind];
	options->interface = argv[optind + 1];
	return 0;
}

int main(int argc, char **argv)
{
	struct options options = {};
	if (read_options(&options, argc, argv) || !find_command(options.command)) {
		usage(stderr);
		return EXIT_USAGE;
	}
	libbpf_set_print(NULL);
	options.ifindex = if_nametoindex(options.interface);
	if (!options.ifindex)
		return fail(options.interface, "cannot find the interface", errno);
	struct attached found;
	int err = find_attached(options.ifindex, &found);
	if (err)
		return fail(options.interface, "cannot read which program is attached", -err);
	int status = find_command(options.command)->run(&options, &found);
	release_attached(&found);
	return status;
}
