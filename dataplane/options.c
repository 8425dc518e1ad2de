/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/options.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dataplane/log.h"

enum {
	MAX_NODE = 1023, /* the most that Linux is built for */
	/* On fewer cores than this, workers that never sleep starve everything else on the machine. */
	POLL_CORES = 4,
};

static const char usage[] =
	"usage: berth-dpdk --instance NAME --image PATH --run-dir DIR [OPTIONS]\n"
	"                  --port NAME[,queues=N][,device=DEV] [--port ...] [-- EAL ARGUMENTS]\n"
	"\n"
	"  --instance NAME      which berth this is, of several on one machine\n"
	"  --image PATH         the image that berthd made: tables and configuration\n"
	"  --run-dir DIR        where NAME-dpdk.json tells that the engine is ready\n"
	"  --port ...           a port; its order is its number. Without a device: AF_XDP on the interface NAME.\n"
	"                       DEV is a PCI address or a DPDK vdev with its arguments\n"
	"  --workers N          at most so many workers (0: one for each receive queue)\n"
	"  --idle MODE          poll, adaptive or auto (adaptive on fewer than four cores)\n"
	"  --memory MB          for packet buffers (128)\n"
	"  --no-hugepages       leave the machine's hugepages to others\n"
	"  --node N             the NICs' NUMA node: memory of it, and the workers on its cores, where there are "
	"any\n"
	"  --rx-ring N          descriptors of a receive queue (2048)\n"
	"  --tx-ring N          descriptors of a transmit queue (2048)\n"
	"  --bpf-dir DIR        where berth_inject.bpf.o is\n";

static int parse_number(const char *option, const char *text, uint32_t least, uint32_t most, uint32_t *number)
{
	char *end;
	errno = 0;
	unsigned long value = strtoul(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end || errno || value < least || value > most) {
		berth_log("%s: \"%s\" is not a number from %u to %u", option, text, least, most);
		return -EINVAL;
	}
	*number = (uint32_t)value;
	return 0;
}

/* A word that may stand in file names, interface names and JSON as it is. */
static bool is_name(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (!isalnum((unsigned char)text[i]) && !strchr("_-.:@", text[i]))
			return false;
	}
	return length != 0 && text[0] != '.';
}

/* Drivers take a ring of any size or one of a power of two; the latter suits all. */
static uint32_t ring_size(uint32_t wanted)
{
	uint32_t size = BERTH_MIN_RING;
	while (size < wanted)
		size *= 2;
	return size;
}

static int copy_text(const char *what, char *to, size_t room, const char *text, size_t length)
{
	if (length >= room) {
		berth_log("--port: %s \"%.*s\" is longer than %zu characters", what, (int)length, text, room - 1);
		return -EINVAL;
	}
	memcpy(to, text, length);
	to[length] = 0;
	return 0;
}

static const char queues_key[] = ",queues=";
static const char device_key[] = ",device=";

/* Takes ",queues=N" from the beginning of `*rest`, if it stands there. */
static int take_queues(struct berth_port_options *port, const char **rest)
{
	char number[16];
	size_t key = strlen(queues_key);
	if (strncmp(*rest, queues_key, key) != 0)
		return 0;
	size_t length = strcspn(*rest + key, ",");
	snprintf(number, sizeof(number), "%.*s", (int)length, *rest + key);
	*rest += key + length;
	return parse_number("--port: queues", number, 1, BERTH_MAX_QUEUES, &port->queues);
}

/* Takes ",device=DEV". A device's own arguments may have any key, so it reaches to the end; but for a last
 * ",queues=N", which is the port's if none stood in front. */
static int take_device(struct berth_port_options *port, const char **rest, bool had_queues)
{
	const char *device = *rest + strlen(device_key);
	if (strncmp(*rest, device_key, strlen(device_key)) != 0)
		return 0;
	const char *end = device + strlen(device);
	for (const char *at = strstr(device, queues_key); at && !had_queues; at = strstr(at + 1, queues_key)) {
		if (!strchr(at + strlen(queues_key), ','))
			end = at;
	}
	*rest = end;
	return copy_text("device", port->device, sizeof(port->device), device, (size_t)(end - device));
}

static int parse_port(struct berth_options *options, const char *text)
{
	if (options->n_ports == BERTH_MAX_PORTS) {
		berth_log("--port: more than %d ports", BERTH_MAX_PORTS);
		return -EINVAL;
	}
	struct berth_port_options *port = &options->ports[options->n_ports];
	*port = (struct berth_port_options){.queues = BERTH_DEFAULT_QUEUES};

	size_t length = strcspn(text, ",");
	if (!is_name(text, length)) {
		berth_log("--port: \"%s\" does not begin with an interface name", text);
		return -EINVAL;
	}
	int error = copy_text("name", port->name, sizeof(port->name), text, length);
	if (error)
		return error;
	for (uint32_t i = 0; i < options->n_ports; i++) {
		if (!strcmp(options->ports[i].name, port->name)) {
			berth_log("--port: %s is given twice", port->name);
			return -EINVAL;
		}
	}

	const char *rest = text + length;
	error = take_queues(port, &rest);
	bool had_queues = rest != text + length;
	if (!error)
		error = take_device(port, &rest, had_queues);
	if (!error && !had_queues)
		error = take_queues(port, &rest);
	if (error)
		return error;
	if (*rest) {
		berth_log("--port: \"%s\" is not NAME[,queues=N][,device=DEV]", text);
		return -EINVAL;
	}
	options->n_ports++;
	return 0;
}

static int parse_idle(struct berth_options *options, const char *text)
{
	if (!strcmp(text, "auto"))
		return 0;
	options->adaptive = !strcmp(text, "adaptive");
	if (options->adaptive || !strcmp(text, "poll"))
		return 0;
	berth_log("--idle: \"%s\" is none of auto, poll, adaptive", text);
	return -EINVAL;
}

static int parse_node(struct berth_options *options, const char *text)
{
	uint32_t node;
	int error = parse_number("--node", text, 0, MAX_NODE, &node);
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
		return parse_number("--workers", text, 0, BERTH_MAX_WORKERS, &options->workers);
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
	case OPTION_HELP:
		fputs(usage, stdout);
		return -ECANCELED;
	default:
		return -EINVAL; /* getopt has said why */
	}
}

static int check_options(const struct berth_options *options)
{
	if (!options->instance || !options->image || !options->run_dir || !options->n_ports) {
		berth_log("--instance, --image, --run-dir and at least one --port are needed; see --help");
		return -EINVAL;
	}
	if (!is_name(options->instance, strlen(options->instance)) ||
	    strlen(options->instance) >= BERTH_INSTANCE_BYTES) {
		berth_log("--instance: \"%s\" is no name; take letters, digits, _ - .", options->instance);
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
		berth_log("\"%s\" is no option; arguments for DPDK stand behind --", argv[optind]);
		return -EINVAL;
	}
	options->rx_ring = ring_size(options->rx_ring);
	options->tx_ring = ring_size(options->tx_ring);
	return check_options(options);
}
