// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/packets/fields.h"

#include <stdlib.h>
#include <time.h>

#include "controlplane/util/address.h"

enum {
	NANOSECONDS = 1000000000,
};

static const struct {
	uint8_t trait;
	const char *name;
} trait_names[] = {
	{BERTH_FIRST_FRAGMENT, "first fragment"}, {BERTH_LATER_FRAGMENT, "later fragment"},
	{BERTH_ICMP_ERROR, "icmp error"},	  {BERTH_RETURN, "from a backend"},
	{BERTH_TTL_EXPIRES, "ttl expires"},	  {BERTH_NOT_INSERTED, "makes no entry"},
};

static const char *const class_names[] = {
	[BERTH_CLASS_FORWARD] = "forwarded",
	[BERTH_CLASS_ANSWER] = "answered",
	[BERTH_CLASS_PASS] = "passed",
	[BERTH_CLASS_DROP] = "dropped",
};

static const char *const verdict_texts[BERTH_VERDICT_COUNT] = {
#define X(symbol, name, class, help) [BERTH_VERDICT_##symbol] = (help),
	BERTH_VERDICTS(X)
#undef X
};

const char *berth_cmd_result_name(enum berth_verdict verdict)
{
	return class_names[BERTH_VERDICT_CLASS(verdict)];
}

const char *berth_cmd_verdict_text(enum berth_verdict verdict)
{
	return verdict_texts[verdict];
}

json_t *berth_cmd_service_name(const struct berth_model *model, uint32_t number)
{
	for (size_t i = 0; number && i < model->n_services; i++)
		if (model->services[i].number == number)
			return json_string(model->services[i].config.name);
	return json_null();
}

static const struct berth_model_backend *backend_in(const struct berth_model_service *services, size_t n,
						    uint32_t number, const struct berth_model_service **service)
{
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < services[i].n_backends; j++)
			if (services[i].backends[j].number == number) {
				*service = &services[i];
				return &services[i].backends[j];
			}
	return NULL;
}

/* Of a service or group. NULL: not found. */
static const struct berth_model_backend *find_backend(const struct berth_model *model, uint32_t number,
						      const struct berth_model_service **service)
{
	const struct berth_model_backend *backend =
		number ? backend_in(model->services, model->n_services, number, service) : NULL;
	return number && !backend ? backend_in(model->groups, model->n_groups, number, service) : backend;
}

json_t *berth_cmd_backend_name(const struct berth_model *model, uint32_t number)
{
	const struct berth_model_service *service;
	const struct berth_model_backend *backend = find_backend(model, number, &service);
	return backend ? json_sprintf("%s/%s", service->config.name, backend->config.name) : json_null();
}

json_t *berth_cmd_backend_weight(const struct berth_model *model, uint32_t number)
{
	const struct berth_model_service *service;
	const struct berth_model_backend *backend = find_backend(model, number, &service);
	return backend ? berth_cmd_effective_weight(backend) : json_null();
}

static json_t *address_json(const union berth_addr *address)
{
	char text[BERTH_ADDRESS_TEXT];
	return json_string(berth_address_format(address, text));
}

static json_t *traits_json(const struct berth_packet *packet)
{
	json_t *traits = json_array();
	for (size_t i = 0; i < sizeof(trait_names) / sizeof(trait_names[0]); i++)
		if (packet->traits & trait_names[i].trait)
			json_array_append_new(traits, json_string(trait_names[i].name));
	return traits;
}

static json_t *flags_json(const struct berth_packet *packet)
{
	static const char *const names[] = {"fin", "syn", "rst", "psh", "ack"};
	json_t *flags = json_array();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (packet->tcp_flags >> i & 1)
			json_array_append_new(flags, json_string(names[i]));
	return flags;
}

json_t *berth_cmd_packet(const struct berth_packet *packet)
{
	return json_pack("{s:i, s:o, s:i, s:o, s:i, s:o, s:o, s:i}", "protocol", packet->protocol, "source",
			 address_json(&packet->src), "source_port", berth_from_be16(packet->sport), "destination",
			 address_json(&packet->dst), "destination_port", berth_from_be16(packet->dport),
			 "tcp_flags", flags_json(packet), "traits", traits_json(packet), "bytes", packet->bytes);
}

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NANOSECONDS + now.tv_nsec;
}

int64_t berth_cmd_time_offset_ns(void)
{
	return clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
}

json_t *berth_cmd_hex(const uint8_t *bytes, size_t n)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * n + 1);
	if (!text)
		return json_null();
	for (size_t i = 0; i < n; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	json_t *json = json_stringn(text, 2 * n);
	free(text);
	return json;
}
