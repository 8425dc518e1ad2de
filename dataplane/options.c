/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/interface/activation.h"
#include "dataplane/interface/names.h"
#include "dataplane/log.h"

enum {
	/* With fewer cores, `--idle auto` is adaptive: polling workers leave no time to other processes. */
	POLL_CORES = 4,
};

static void print_usage(void)
{
	printf("usage: berth-dpdk --instance NAME --image PATH --run-dir DIR [OPTIONS]\n"
	       "                  --port NAME[,queues=N][,mtu=N][,device=DEV] [--port ...] [-- EAL ARGUMENTS]\n"
	       "\n"
	       "The DPDK engine of berth. berthd starts it and writes the image; SIGTERM stops it.\n"
	       "\n"
	       "  --instance NAME      name of this instance of berth\n"
	       "  --image PATH         image file of berthd: tables and configuration\n"
	       "  --run-dir DIR        directory of NAME-dpdk.json, which exists while the engine is ready\n"
	       "  --port ...           a port; the first one has number 0. Without a device it is an AF_XDP port\n"
	       "                       on the kernel interface NAME. DEV: a PCI address, or a DPDK vdev with its\n"
	       "                       arguments; mtu is for such a port\n"
	       "  --workers N          use at most N workers; 0: one for each receive queue (default 0)\n"
	       "  --idle MODE          poll: idle workers poll; adaptive: they sleep; auto: adaptive on fewer\n"
	       "                       than %d cores (default auto)\n"
	       "  --memory MB          packet buffers, MiB (default %d)\n"
	       "  --no-hugepages       use small pages even if hugepages are free\n"
	       "  --node N             NUMA node of the NICs: memory and worker cores come from it if possible\n"
	       "  --rx-ring N          descriptors of a receive queue (default %d)\n"
	       "  --tx-ring N          descriptors of a transmit queue (default %d)\n"
	       "  --bpf-dir DIR        directory of berth_inject.bpf.o\n"
	       "  " BERTH_ACTIVATION_OPTION
	       "          alone: berthd sends the options to descriptor 3 (berth-dpdk@.service)\n"
	       "  --version            print the version and exit\n"
	       "\n"
	       "exit codes: 0 stopped by a signal, 1 failure, 2 usage, 4 no permission, 5 the engine cannot run\n"
	       "here, 6 another engine uses the image\n",
	       POLL_CORES, BERTH_DEFAULT_MEMORY_MB, BERTH_DEFAULT_RING, BERTH_DEFAULT_RING);
}

static int parse_number(const char *option, const char *text, uint32_t min, uint32_t max, uint32_t *number)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || value < min || value > max) {
		berth_log("%s: \"%s\" is not a number from %u to %u", option, text, min, max);
		return -EINVAL;
	}
	*number = (uint32_t)value;
	return 0;
}

/* Some drivers accept powers of two only. */
static uint32_t round_up_ring(uint32_t wanted)
{
	uint32_t size = BERTH_MIN_RING;
	while (size < wanted)
		size *= 2;
	return size;
}

static int copy_text(const char *name, char *to, size_t size, const char *text, size_t length)
{
	if (length >= size) {
		berth_log("--port: %s \"%.*s\" is longer than %zu characters", name, (int)length, text, size - 1);
		return -EINVAL;
	}
	memcpy(to, text, length);
	to[length] = 0;
	return 0;
}

static const char queues_key[] = ",queues=";
static const char mtu_key[] = ",mtu=";
static const char device_key[] = ",device=";

/* Copies the number behind `key` at `*rest` and advances `*rest`. False: another key. */
static bool take_number(char number[16], const char *key, const char **rest)
{
	if (strncmp(*rest, key, strlen(key)) != 0)
		return false;
	const char *value = *rest + strlen(key);
	size_t length = strcspn(value, ",");
	snprintf(number, 16, "%.*s", (int)length, value);
	*rest = value + length;
	return true;
}

/* Parses ",queues=N" at `*rest`, if present, and advances `*rest`. */
static int parse_queues(struct berth_port_options *port, const char **rest)
{
	char number[16];
	return take_number(number, queues_key, rest)
		       ? parse_number("--port: queues", number, 1, BERTH_MAX_QUEUES, &port->queues)
		       : 0;
}

/* Parses ",mtu=N" in the same way. */
static int parse_mtu(struct berth_port_options *port, const char **rest)
{
	char number[16];
	return take_number(number, mtu_key, rest)
		       ? parse_number("--port: mtu", number, BERTH_MIN_MTU, BERTH_MAX_MTU, &port->mtu)
		       : 0;
}

/* Parses ",device=DEV" at `*rest`, if present, and advances `*rest`. Arguments of a device may have any key, so DEV
 * extends to the end of the text, except for a final ",queues=N" that belongs to the port. */
static int parse_device(struct berth_port_options *port, const char **rest, bool has_queues)
{
	const char *device = *rest + strlen(device_key);
	if (strncmp(*rest, device_key, strlen(device_key)) != 0)
		return 0;
	const char *end = device + strlen(device);
	for (const char *at = strstr(device, queues_key); at && !has_queues; at = strstr(at + 1, queues_key)) {
		if (!strchr(at + strlen(queues_key), ','))
			end = at;
	}
	*rest = end;
	return copy_text("device", port->device, sizeof(port->device), device, (size_t)(end - device));
}

static int parse_name(struct berth_options *options, struct berth_port_options *port, const char *text,
		      size_t length)
{
	int error = copy_text("name", port->name, sizeof(port->name), text, length);
	if (error)
		return error;
	/* Quotes and backslashes would need escapes in the status file. */
	if (!berth_is_ifname(port->name) || strpbrk(port->name, "\"\\")) {
		berth_log("--port: \"%s\" does not begin with an interface name", text);
		return -EINVAL;
	}
	for (uint32_t i = 0; i < options->n_ports; i++) {
		if (!strcmp(options->ports[i].name, port->name)) {
			berth_log("--port: %s is given twice; remove one", port->name);
			return -EINVAL;
		}
	}
	return 0;
}

static int parse_port(struct berth_options *options, const char *text)
{
	if (options->n_ports == BERTH_MAX_PORTS) {
		berth_log("--port: an engine has at most %d ports; remove some", BERTH_MAX_PORTS);
		return -EINVAL;
	}
	struct berth_port_options *port = &options->ports[options->n_ports];
	*port = (struct berth_port_options){.queues = BERTH_DEFAULT_QUEUES};

	size_t length = strcspn(text, ",");
	const char *rest = text + length;
	int error = parse_name(options, port, text, length);
	if (!error)
		error = parse_queues(port, &rest);
	bool has_queues = rest != text + length;
	if (!error)
		error = parse_mtu(port, &rest);
	if (!error)
		error = parse_device(port, &rest, has_queues);
	if (!error && !has_queues)
		error = parse_queues(port, &rest);
	if (!error && *rest) {
		berth_log("--port: \"%s\" is not NAME[,queues=N][,mtu=N][,device=DEV]", text);
		error = -EINVAL;
	}
	if (!error)
		options->n_ports++;
	return error;
}

static int parse_idle(struct berth_options *options, const char *text)
{
	if (!strcmp(text, "auto"))
		return 0;
	options->adaptive = !strcmp(text, "adaptive");
	if (options->adaptive || !strcmp(text, "poll"))
		return 0;
	berth_log("--idle: \"%s\" is invalid; use auto, poll or adaptive", text);
	return -EINVAL;
}

static int parse_node(struct berth_options *options, const char *text)
{
	uint32_t node;
	int error = parse_number("--node", text, 0, BERTH_MAX_NODES - 1, &node);
	if (!error)
		options->node = (int)node;
	return error;
}

enum {
	OPTION_INSTANCE = 1,
	OPTION_IMAGE,
	OPTION_RUN_DIR,
	OPTION_BPF_DIR,
	OPTION_WORKERS,
	OPTION_IDLE,
	OPTION_MEMORY,
	OPTION_NO_HUGEPAGES,
	OPTION_NODE,
	OPTION_RX_RING,
	OPTION_TX_RING,
	OPTION_PORT,
	OPTION_VERSION,
	OPTION_HELP,
};

static const struct option long_options[] = {
	{"instance", required_argument, NULL, OPTION_INSTANCE},
	{"image", required_argument, NULL, OPTION_IMAGE},
	{"run-dir", required_argument, NULL, OPTION_RUN_DIR},
	{"bpf-dir", required_argument, NULL, OPTION_BPF_DIR},
	{"workers", required_argument, NULL, OPTION_WORKERS},
	{"idle", required_argument, NULL, OPTION_IDLE},
	{"memory", required_argument, NULL, OPTION_MEMORY},
	{"no-hugepages", no_argument, NULL, OPTION_NO_HUGEPAGES},
	{"node", required_argument, NULL, OPTION_NODE},
	{"rx-ring", required_argument, NULL, OPTION_RX_RING},
	{"tx-ring", required_argument, NULL, OPTION_TX_RING},
	{"port", required_argument, NULL, OPTION_PORT},
	{"version", no_argument, NULL, OPTION_VERSION},
	{"help", no_argument, NULL, OPTION_HELP},
	{NULL, 0, NULL, 0},
};

static int parse_option(struct berth_options *options, int option, const char *text)
{
	switch (option) {
	case OPTION_INSTANCE:
		options->instance = text;
		return 0;
	case OPTION_IMAGE:
		options->image = text;
		return 0;
	case OPTION_RUN_DIR:
		options->run_dir = text;
		return 0;
	case OPTION_BPF_DIR:
		options->bpf_dir = text;
		return 0;
	case OPTION_WORKERS:
		return parse_number("--workers", text, 0, BERTH_MAX_QUEUES, &options->workers);
	case OPTION_IDLE:
		return parse_idle(options, text);
	case OPTION_MEMORY:
		return parse_number("--memory", text, BERTH_MIN_MEMORY_MB, BERTH_MAX_MEMORY_MB,
				    &options->memory_mb);
	case OPTION_NO_HUGEPAGES:
		options->no_hugepages = true;
		return 0;
	case OPTION_NODE:
		return parse_node(options, text);
	case OPTION_RX_RING:
		return parse_number("--rx-ring", text, BERTH_MIN_RING, BERTH_MAX_RING, &options->rx_ring);
	case OPTION_TX_RING:
		return parse_number("--tx-ring", text, BERTH_MIN_RING, BERTH_MAX_RING, &options->tx_ring);
	case OPTION_PORT:
		return parse_port(options, text);
	case OPTION_VERSION:
		puts("berth-dpdk " BERTH_VERSION);
		return -ECANCELED;
	case OPTION_HELP:
		print_usage();
		return -ECANCELED;
	default:
		return -EINVAL; /* getopt has printed the reason */
	}
}

static int check_options(const struct berth_options *options)
{
	if (!options->instance || !options->image || !options->run_dir || !options->n_ports) {
		berth_log("--instance, --image, --run-dir and at least one --port are required; see --help");
		return -EINVAL;
	}
	if (!berth_is_instance_name(options->instance)) {
		berth_log("--instance: \"%s\" is invalid; use up to %d letters, digits, '_', '-' and '.'",
			  options->instance, BERTH_INSTANCE_BYTES - 1);
		return -EINVAL;
	}
	return 0;
}

int berth_options_parse(struct berth_options *options, int argc, char **argv)
{
	*options = (struct berth_options){
		.adaptive = sysconf(_SC_NPROCESSORS_ONLN) < POLL_CORES,
		.memory_mb = BERTH_DEFAULT_MEMORY_MB,
		.node = -1,
		.rx_ring = BERTH_DEFAULT_RING,
		.tx_ring = BERTH_DEFAULT_RING,
	};
	int option;
	while ((option = getopt_long(argc, argv, "+", long_options, NULL)) != -1) {
		int error = parse_option(options, option, optarg);
		if (error)
			return error;
	}
	options->eal = argv + optind;
	options->n_eal = argc - optind;
	if (options->n_eal && strcmp(argv[optind - 1], "--") != 0) {
		berth_log("\"%s\" is not an option; arguments for DPDK follow --", argv[optind]);
		return -EINVAL;
	}
	options->rx_ring = round_up_ring(options->rx_ring);
	options->tx_ring = round_up_ring(options->tx_ring);
	return check_options(options);
}
