/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * berth-decap: attaches the decapsulating program to an interface of a backend, detaches it, shows its counters.
 * It attaches by netlink and pins nothing: the interface refers to the program and the program to its maps, so the
 * kernel removes all of them with the interface.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpf/decap_maps.h"
#include "bpf/decap_options.h"
#include "dataplane/core/types.h"
#include "dataplane/interface/object.h"
#include "dataplane/interface/process.h"

enum {
	MAPS_MAX = 8,
};

/* The XDP program of an interface; id 0: none. */
struct attached {
	__u32 id;
	__u32 flags; /* XDP_FLAGS_DRV_MODE or XDP_FLAGS_SKB_MODE */
	int fd;
	bool is_decap;
	__u32 map_ids[MAPS_MAX];
	__u32 n_maps;
};

static int fail(const char *interface, const char *action, int error)
{
	fprintf(stderr, "berth-decap: %s: %s: %s%s\n", interface, action, strerror(error),
		error == EPERM ? "; run it as root" : "");
	return EXIT_FAILURE;
}

static const char *print_address(const union berth_addr *address, char text[INET6_ADDRSTRLEN])
{
	if (berth_addr_is4(address))
		return inet_ntop(AF_INET, &address->word[3], text, INET6_ADDRSTRLEN);
	return inet_ntop(AF_INET6, address, text, INET6_ADDRSTRLEN);
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
	found->is_decap = strcmp(info.name, BERTH_DECAP_PROGRAM) == 0;
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

static struct bpf_object *load_object(const struct berth_decap_options *options)
{
	char found[PATH_MAX];
	berth_object_find("berth_decap.bpf.o", found, sizeof(found));
	const char *path = options->object ? options->object : found;
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	if (!object) {
		fail(options->interface, path, errno);
		return NULL;
	}
	int err = bpf_object__load(object);
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

static int fill_all(const struct bpf_object *object, const struct berth_decap_options *options)
{
	int err = fill(object, BERTH_DECAP_ADDRESSES, options->address, sizeof(options->address[0]),
		       options->n_addresses);
	return err ? err
		   : fill(object, BERTH_DECAP_PORTS, options->port, sizeof(options->port[0]), options->n_ports);
}

/* Native if the driver supports it, else generic. Replaces an attached berth_decap atomically, in its mode. */
static int attach_program(const struct berth_decap_options *options, int program, const struct attached *before,
			  __u32 *flags)
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

static int attach_over(struct berth_decap_options *options, const struct attached *before)
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
	printf("%s: decapsulating for %u address%s, XDP %s\n", options->interface, options->n_addresses,
	       options->n_addresses == 1 ? "" : "es", mode_name(flags));
	status = EXIT_SUCCESS;
out:
	bpf_object__close(object);
	return status;
}

static int run_attach(struct berth_decap_options *options, const struct attached *before)
{
	if (before->id && !before->is_decap) {
		fprintf(stderr, "berth-decap: %s: another XDP program (id %u) is attached; detach it first\n",
			options->interface, before->id);
		return EXIT_FAILURE;
	}
	if (options->n_addresses == 0) {
		int err = berth_decap_options_add_interface(options);
		if (err)
			return fail(options->interface, "cannot list its addresses; give them with --address",
				    -err);
	}
	if (options->n_ports == 0)
		options->port[options->n_ports++] = berth_to_be16(BERTH_DECAP_GUE_PORT);
	return attach_over(options, before);
}

static int run_detach(struct berth_decap_options *options, const struct attached *before)
{
	if (!before->is_decap) {
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

static int run_show(struct berth_decap_options *options, const struct attached *found)
{
	if (!found->is_decap) {
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

static const struct decap_command {
	const char *name;
	int (*run)(struct berth_decap_options *options, const struct attached *found);
} COMMANDS[] = {
	{"attach", run_attach},
	{"detach", run_detach},
	{"show", run_show},
};

static const struct decap_command *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++)
		if (strcmp(COMMANDS[i].name, name) == 0)
			return &COMMANDS[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct berth_decap_options options = {};
	int err = berth_decap_options_parse(&options, argc, argv);
	if (err == -ECANCELED)
		return EXIT_SUCCESS;
	if (err || !find_command(options.command)) {
		berth_decap_usage(stderr);
		return BERTH_EXIT_USAGE;
	}
	libbpf_set_print(NULL);
	options.ifindex = if_nametoindex(options.interface);
	if (!options.ifindex)
		return fail(options.interface, "cannot find the interface", errno);
	struct attached found;
	err = find_attached(options.ifindex, &found);
	if (err)
		return fail(options.interface, "cannot read which program is attached", -err);
	int status = find_command(options.command)->run(&options, &found);
	release_attached(&found);
	return status;
}
