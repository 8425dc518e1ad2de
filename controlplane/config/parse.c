/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/config/parse.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "controlplane/config/parse_access.h"
#include "controlplane/config/parse_announce.h"
#include "controlplane/config/parse_cluster.h"
#include "controlplane/config/parse_dns.h"
#include "controlplane/config/parse_metrics.h"
#include "controlplane/config/parse_services.h"
#include "controlplane/util/address.h"
#include "dataplane/interface/names.h"

/* The configuration, and the timeouts at the top level, which only its services need. */
struct config_draft {
	struct berth_config config;
	uint32_t timeout[BERTH_TIMEOUT_COUNT];
};

static const struct config_draft defaults = {
	.config =
		{
			.engine = BERTH_ENGINE_AUTO,
			.dpdk = {.memory_mb = BERTH_DEFAULT_MEMORY_MB,
				 .rx_ring = BERTH_DEFAULT_RING,
				 .tx_ring = BERTH_DEFAULT_RING},
			.limits = {.flows = 1000000, .sessions = 250000, .services = 64, .backends = 1024},
			.dns = {.timeout_ms = 2000, .min_ttl_s = 1, .max_ttl_s = 3600},
			.cluster = {.sync_timeout_ms = 10000},
			.announce = {.min_eligible = 1, .stop_wait_ms = 2000, .start_timeout_ms = 30000},
			.state_dir = BERTH_STATE_DIR,
		},
	.timeout =
		{
			[BERTH_TIMEOUT_HALF_OPEN] = 10,
			/* Longer than an idle connection that Linux probes lives: 2 h and 9 probes of 75 s. */
			[BERTH_TIMEOUT_ESTABLISHED] = 8100,
			/* RFC 5382 section 5: the transitory connection idle-timeout. */
			[BERTH_TIMEOUT_CLOSING] = 240,
			[BERTH_TIMEOUT_CLOSED] = 30,
			[BERTH_TIMEOUT_UNREPLIED] = 10,
			[BERTH_TIMEOUT_ASSURED] = 180,
			[BERTH_TIMEOUT_FRAGMENT] = 30,
			[BERTH_TIMEOUT_SESSION] = 3 * 3600,
		},
};

static const struct berth_interface_config interface_defaults = {.xdp = BERTH_XDP_AUTO,
								 .queues = BERTH_DEFAULT_QUEUES};

/* It becomes an argument of DPDK, so it must not look like an option. */
static bool is_device(const char *text)
{
	if (!isalnum((unsigned char)*text))
		return false;
	for (const char *c = text; *c; c++)
		if (*c <= ' ' || *c > '~')
			return false;
	return true;
}

static bool is_absolute_path(const char *text)
{
	return text[0] == '/';
}

static bool is_power_of_two(int64_t number)
{
	return (number & (number - 1)) == 0;
}

/* Short, so that a key is a line. */
#define INTERFACE struct berth_interface_config
#define DPDK struct berth_dpdk_config
#define LIMITS struct berth_limits
#define TUNNEL struct berth_tunnel_config

static const struct berth_word xdp_words[] = {
	{"auto", BERTH_XDP_AUTO}, {"native", BERTH_XDP_NATIVE}, {"generic", BERTH_XDP_GENERIC}, {NULL, 0}};

static const struct berth_field interface_fields[] = {
	{BERTH_TEXT("name", INTERFACE, name, berth_is_ifname, "the name of an interface, at most 15 bytes"),
	 .required = true},
	{BERTH_WORD("xdp", INTERFACE, xdp, xdp_words)},
	{BERTH_TEXT("device", INTERFACE, device, is_device,
		    "a PCI address like \"0000:03:00.0\" or a DPDK vdev like net_tap0, at most 127 bytes")},
	{BERTH_NUMBER("queues", INTERFACE, queues, 1, BERTH_MAX_QUEUES)},
	{BERTH_NUMBER("mtu", INTERFACE, mtu, BERTH_MIN_MTU, BERTH_MAX_MTU)},
};

static const struct berth_section interface_section = {"an interface", BERTH_FIELDS(interface_fields)};

static int read_interface(struct berth_schema *schema, json_t *item, struct berth_interface_config *interface,
			  json_t *names, json_t *devices)
{
	*interface = interface_defaults;
	int err = berth_schema_read(schema, &interface_section, item, interface);
	if (!err)
		err = berth_schema_unique(schema, names, interface->name, item, "name", "interface name",
					  "remove one of them");
	if (!err && interface->device[0])
		err = berth_schema_unique(schema, devices, interface->device, item, "device", "device",
					  "give each interface a device of its own");
	if (!err && interface->mtu && !interface->device[0])
		err = berth_schema_fail(
			schema, item, "mtu",
			"mtu is for a port with a device; set it in the kernel: ip link set dev %s mtu %u",
			interface->name, interface->mtu);
	return err;
}

static int read_interfaces(struct berth_schema *schema, json_t *list, void *member)
{
	struct config_draft *draft = member;
	struct berth_config *config = &draft->config;
	size_t n = json_array_size(list);

	if (n > BERTH_MAX_PORTS)
		return berth_schema_fail(schema, json_array_get(list, BERTH_MAX_PORTS), NULL,
					 "%zu interfaces; remove all but %d", n, BERTH_MAX_PORTS);
	config->interfaces = berth_schema_alloc(schema, n, sizeof(*config->interfaces));
	if (!config->interfaces)
		return -ENOMEM;
	json_t *names = json_object();
	json_t *devices = json_object();
	int err = names && devices ? 0 : berth_schema_fail_memory(schema);
	for (; (!err || berth_schema_goes_on(schema, err)) && config->n_interfaces < n; config->n_interfaces++) {
		int fault = read_interface(schema, json_array_get(list, config->n_interfaces),
					   &config->interfaces[config->n_interfaces], names, devices);
		err = err && fault != -ENOMEM ? err : fault;
	}
	json_decref(names);
	json_decref(devices);
	return err;
}

static const struct berth_word idle_words[] = {
	{"auto", BERTH_IDLE_AUTO}, {"poll", BERTH_IDLE_POLL}, {"adaptive", BERTH_IDLE_ADAPTIVE}, {NULL, 0}};

#define RING(name, member)                                                                                         \
	{                                                                                                          \
		BERTH_NUMBER(name, DPDK, member, BERTH_MIN_RING, BERTH_MAX_RING),                                  \
			.is_valid_number = is_power_of_two, .noun = "a power of two"                               \
	}

static const struct berth_field dpdk_fields[] = {
	{BERTH_NUMBER("workers", DPDK, workers, 0, BERTH_MAX_QUEUES)},
	{BERTH_WORD("idle", DPDK, idle, idle_words)},
	{BERTH_NUMBER("memory-mb", DPDK, memory_mb, BERTH_MIN_MEMORY_MB, BERTH_MAX_MEMORY_MB)},
	RING("rx-ring", rx_ring),
	RING("tx-ring", tx_ring),
};

static const struct berth_section dpdk_section = {"dpdk", BERTH_FIELDS(dpdk_fields)};

enum {
	MIN_ENTRIES = 1024,
	MAX_ENTRIES = 200000000,
};

static const struct berth_field limits_fields[] = {
	{BERTH_NUMBER("flows", LIMITS, flows, MIN_ENTRIES, MAX_ENTRIES)},
	{BERTH_NUMBER("sessions", LIMITS, sessions, MIN_ENTRIES, MAX_ENTRIES)},
	/* One less than the table size, because number 0 is not used. */
	{BERTH_NUMBER("services", LIMITS, services, 1, BERTH_MAX_SERVICES - 1)},
	{BERTH_NUMBER("backends", LIMITS, backends, 1, BERTH_MAX_BACKENDS - 1)},
};

static const struct berth_section limits_section = {"limits", BERTH_FIELDS(limits_fields)};

static const struct berth_field tunnel_fields[] = {
	{BERTH_PREFIX("source4", TUNNEL, source4, bits4)},
	{BERTH_PREFIX("source6", TUNNEL, source6, bits6)},
};

static const struct berth_section tunnel_section = {"tunnel", BERTH_FIELDS(tunnel_fields)};

static const struct berth_field sessions_fields[] = {
	{BERTH_DURATION("save", struct berth_sessions_config, save_ms, 0, 86400000, 1)},
};

static const struct berth_section sessions_section = {"sessions", BERTH_FIELDS(sessions_fields)};

static int check_source(struct berth_schema *schema, json_t *tunnel, const char *key, bool wants4,
			const union berth_addr *source, uint8_t bits)
{
	const char *family = wants4 ? "IPv4" : "IPv6";

	if (bits && berth_addr_is4(source) != wants4)
		return berth_schema_fail(schema, tunnel, key,
					 "%s is the source of %s tunnels; write an %s address or prefix", key,
					 family, family);
	if (bits && bits < BERTH_ADDRESS_BITS - BERTH_MAX_SOURCE_BITS)
		return berth_schema_fail(schema, tunnel, key,
					 "at most %d bits vary by flow; write a prefix of /%d or longer",
					 BERTH_MAX_SOURCE_BITS, (wants4 ? 32 : 128) - BERTH_MAX_SOURCE_BITS);
	return 0;
}

static int check_tunnel(struct berth_schema *schema, const struct berth_tunnel_config *config)
{
	json_t *tunnel = json_object_get(schema->yaml->root, "tunnel");
	int err = check_source(schema, tunnel, "source4", true, &config->source4, config->bits4);
	if (!err)
		err = check_source(schema, tunnel, "source6", false, &config->source6, config->bits6);
	return err;
}

static int read_services(struct berth_schema *schema, json_t *list, void *member)
{
	struct config_draft *draft = member;
	return berth_config_read_services(schema, list, &draft->config, draft->timeout);
}

static const struct berth_word engine_words[] = {{"auto", BERTH_ENGINE_AUTO},
						 {"xdp", BERTH_ENGINE_XDP},
						 {"dpdk", BERTH_ENGINE_DPDK},
						 {"null", BERTH_ENGINE_NULL},
						 {NULL, 0}};

/* Services last, because reading them needs limits and timeouts. */
static const struct berth_field root_fields[] = {
	{BERTH_WORD("engine", struct config_draft, config.engine, engine_words)},
	{.key = "interfaces",
	 .kind = BERTH_FIELD_LIST,
	 .required = true,
	 .section = &interface_section,
	 .read_value = read_interfaces},
	{.key = "dpdk",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &dpdk_section,
	 BERTH_MEMBER(struct config_draft, config.dpdk)},
	{.key = "limits",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &limits_section,
	 BERTH_MEMBER(struct config_draft, config.limits)},
	{.key = "tunnel",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &tunnel_section,
	 BERTH_MEMBER(struct config_draft, config.tunnel)},
	{.key = "dns",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &berth_config_dns,
	 BERTH_MEMBER(struct config_draft, config.dns)},
	{.key = "timeouts",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &berth_config_timeouts,
	 BERTH_MEMBER(struct config_draft, timeout)},
	{.key = "metrics",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &berth_config_metrics,
	 BERTH_MEMBER(struct config_draft, config.metrics)},
	{.key = "announce",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &berth_config_announce,
	 BERTH_MEMBER(struct config_draft, config.announce)},
	{.key = "access",
	 .kind = BERTH_FIELD_LIST,
	 .section = &berth_config_access_item,
	 .read_value = berth_config_read_access,
	 BERTH_MEMBER(struct config_draft, config.access)},
	{.key = "sessions",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &sessions_section,
	 BERTH_MEMBER(struct config_draft, config.sessions)},
	{.key = "cluster",
	 .kind = BERTH_FIELD_SECTION,
	 .section = &berth_config_cluster,
	 BERTH_MEMBER(struct config_draft, config.cluster)},
	{BERTH_TEXT("state-dir", struct config_draft, config.state_dir, is_absolute_path,
		    "the path of a directory, as /var/lib/berth, at most 255 bytes")},
	{BERTH_TEXT("secret-file", struct config_draft, config.secret_file, is_absolute_path,
		    "the path of a file, as /etc/berth/secret, at most 255 bytes")},
	{.key = "services",
	 .kind = BERTH_FIELD_LIST,
	 .section = &berth_config_service,
	 .read_value = read_services},
};

const struct berth_section berth_config_root = {"the configuration", BERTH_FIELDS(root_fields)};

/* Checks between sections that were read without an error. */
static int check_all(struct berth_schema *schema, struct berth_config *config)
{
	int err = check_tunnel(schema, &config->tunnel);
	if (!err || berth_schema_goes_on(schema, err)) {
		int fault = berth_config_check_dns(schema, &config->dns);
		err = err ? err : fault;
	}
	if (!err || berth_schema_goes_on(schema, err)) {
		int fault = berth_config_check_cluster(schema, config);
		err = err ? err : fault;
	}
	return err;
}

static struct berth_config *read_config(struct berth_schema *schema, const char *text, size_t length)
{
	/* The draft is freed as a configuration, so this is its first member. */
	_Static_assert(offsetof(struct config_draft, config) == 0, "a draft is a configuration");
	struct config_draft *draft = malloc(sizeof(*draft));
	int err;
	if (!draft) {
		berth_schema_fail_memory(schema);
		return NULL;
	}
	*draft = defaults;
	err = berth_schema_read(schema, &berth_config_root, schema->yaml->root, draft);
	if (!err)
		err = check_all(schema, &draft->config);
	if (!err && !(draft->config.text = berth_config_text_new(text, length)))
		err = berth_schema_fail_memory(schema);
	if (!err)
		return &draft->config;
	berth_config_free(&draft->config);
	return NULL;
}

struct berth_config *berth_config_parse_all(const char *name, const char *text, size_t length,
					    berth_config_error_fn *fn, void *arg, char error[BERTH_ERROR_BYTES])
{
	struct berth_yaml yaml;
	error[0] = 0;
	/* After an error of the syntax the rest could mean anything. */
	if (berth_yaml_parse(&yaml, name, text, length, error)) {
		if (fn)
			fn(arg, error);
		return NULL;
	}
	struct berth_schema schema = {.yaml = &yaml, .error = error, .fn = fn, .arg = arg};
	struct berth_config *config = read_config(&schema, text, length);
	berth_yaml_clear(&yaml);
	return config;
}

struct berth_config *berth_config_parse(const char *name, const char *text, size_t length,
					char error[BERTH_ERROR_BYTES])
{
	return berth_config_parse_all(name, text, length, NULL, NULL, error);
}

static int fail_file(const char *path, char error[BERTH_ERROR_BYTES])
{
	return berth_yaml_fail(path, (struct berth_yaml_mark){1, 1}, error,
			       "cannot be read (%s); check the path and its permissions", strerror(errno));
}

struct berth_config *berth_config_load_all(const char *path, berth_config_error_fn *fn, void *arg,
					   char error[BERTH_ERROR_BYTES])
{
	/* One byte more than the limit, so that the parser notices a file that is too large. */
	const size_t room = BERTH_YAML_MAX_BYTES + 1;
	struct berth_config *config = NULL;
	char *text = malloc(room);
	FILE *file = text ? fopen(path, "re") : NULL;

	if (!file) {
		fail_file(path, error);
	} else {
		size_t length = fread(text, 1, room, file);
		if (ferror(file))
			fail_file(path, error);
		else
			config = berth_config_parse_all(path, text, length, fn, arg, error);
	}
	if (fn && (!file || ferror(file)))
		fn(arg, error);
	free(text);
	if (file)
		fclose(file);
	return config;
}

struct berth_config *berth_config_load(const char *path, char error[BERTH_ERROR_BYTES])
{
	return berth_config_load_all(path, NULL, NULL, error);
}
