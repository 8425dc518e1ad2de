// SPDX-License-Identifier: BSD-3-Clause
/*
 * One engine, driven by lines on stdin: they write a configuration and send frames. For the Python reference;
 * berth_reference/bridge.py writes the lines.
 *
 * bridge host | dpdk | xdp OBJECT
 *
 * The answer to a session command is "done" or "none", the answer to a frame "VERDICT CLASS PORT HEX"; HEX is "-"
 * if no frame leaves.
 */
#include "tests/diff/engine.h"
#include "tests/support/image.h"

#include <ctype.h>
#include <errno.h>
#include <sched.h>

#include "controlplane/tables/sessions.h"

enum {
	WORDS = 32, /* most words of a line */
};

static const struct berth_geometry geometry = {
	.services = 32,
	.backends = 128,
	.vips = 1024,
	.row_lines = 96, /* a line for each service; two for one with former rows */
	.flow_buckets = 4096,
	.session_buckets = 1024,
};

static struct engine engine;

static void refuse(const char *what, const char *about)
{
	fprintf(stderr, "bridge: %s: %s\n", what, about);
	exit(1);
}

static uint32_t number(const char *text)
{
	char *end;
	unsigned long value = strtoul(text, &end, 0);
	if (end == text || *end || value > UINT32_MAX)
		refuse("no number", text);
	return (uint32_t)value;
}

static uint32_t below(const char *text, uint32_t limit)
{
	uint32_t value = number(text);
	if (value >= limit)
		refuse("too large", text);
	return value;
}

static uint32_t from_hex(uint8_t *to, uint32_t room, const char *text)
{
	uint32_t n = 0;
	for (; isxdigit((unsigned char)text[0]) && isxdigit((unsigned char)text[1]); text += 2) {
		char byte[3] = {text[0], text[1], 0};
		if (n == room)
			refuse("too long", "a frame or an address");
		to[n++] = (uint8_t)strtoul(byte, NULL, 16);
	}
	if (*text)
		refuse("no hexadecimal bytes", text);
	return n;
}

/* `macs`: the first twelve bytes of a frame. */
static void put_macs(uint8_t dst[6], uint8_t src[6], const char *macs)
{
	uint8_t bytes[12];
	if (from_hex(bytes, sizeof(bytes), macs) != sizeof(bytes))
		refuse("not two link addresses", macs);
	memcpy(dst, bytes, 6);
	memcpy(src, bytes + 6, 6);
}

/* world */
static void do_world(char **word)
{
	struct berth_image *image = &engine.image;
	const struct berth_geometry *g = &image->geometry;
	(void)word;
#define X(section, type, count) memset(image->section, 0, sizeof(type) * (size_t)(count));
	BERTH_SECTIONS(X)
#undef X
	fixture_write_header(image);
}

/* service NUMBER AFFINITY PREFIX4 PREFIX6 ADDRESS PORT TIMEOUT... SCHEDULER DOWN OVERLOAD FAILBACK SESSIONS-OF
 * INTERVAL BURST SOURCE-INTERVAL SOURCE-BURST SOURCE-PREFIX4 SOURCE-PREFIX6 */
static void do_service(char **word)
{
	uint32_t at = below(word[0], geometry.services);
	struct berth_service *service = fixture_service_at(&engine.image, at);
	*service = (struct berth_service){
		.id = 0x5e0000 + at,
		.row_line = at,
		.affinity = (uint8_t)number(word[1]),
		.prefix4 = (uint8_t)number(word[2]),
		.prefix6 = (uint8_t)number(word[3]),
		.address = fixture_addr(word[4]),
		.port = berth_to_be16((uint16_t)number(word[5])),
	};
	for (uint32_t state = 0; state < BERTH_STATE_COUNT; state++)
		service->timeout[state] = number(word[6 + state]);
	word += 6 + BERTH_STATE_COUNT;
	service->scheduler = (uint8_t)number(word[0]);
	service->down = (uint8_t)number(word[1]);
	service->overload = (uint8_t)number(word[2]);
	service->failback = (uint8_t)number(word[3]);
	service->session_service = (uint16_t)below(word[4], geometry.services);
	service->session_key = 0x5e5u + service->session_service;
	word += 5;
	service->limit = (struct berth_limit){.interval_ns = number(word[0]),
					      .burst_ms = (uint16_t)number(word[1])};
	service->source_limit = (struct berth_limit){.interval_ns = number(word[2]),
						     .burst_ms = (uint16_t)number(word[3]),
						     .prefix4 = (uint8_t)number(word[4]),
						     .prefix6 = (uint8_t)number(word[5])};
	service->flags = service->limit.interval_ns || service->source_limit.interval_ns ? BERTH_SERVICE_LIMITS : 0;
	fixture_least_timeouts(&engine.image, FIXTURE_GENERATION);
}

/* vip KIND ADDRESS PROTOCOL PORT FIRST LAST SERVICE */
static void do_vip(char **word)
{
	fixture_insert_vip(&engine.image, (struct berth_vip){
						  .addr = fixture_addr(word[1]),
						  .port = berth_to_be16((uint16_t)number(word[3])),
						  .protocol = (uint8_t)number(word[2]),
						  .kind = (uint8_t)number(word[0]),
						  .service = below(word[6], geometry.services),
						  .first = (uint16_t)number(word[4]),
						  .last = (uint16_t)number(word[5]),
					  });
}

/* backend NUMBER SERVICE MODE ADDRESS PORT MACS MTU KNOWN DPORT OUTER_SOURCE SOURCE_BITS SIBLING BACKUP LOAD_UNIT:
 * anew or once more */
static void do_backend(char **word)
{
	struct berth_backend *backend = fixture_backend_at(&engine.image, below(word[0], geometry.backends));
	*backend = (struct berth_backend){
		.id = 0xbac0000 + number(word[0]),
		.service = (uint16_t)below(word[1], geometry.services),
		.mode = (uint8_t)number(word[2]),
		.address = fixture_addr(word[3]),
		.port = (uint8_t)number(word[4]),
		.mtu = (uint16_t)number(word[6]),
		.flags = number(word[7]) ? BERTH_BACKEND_NEXT_HOP : 0,
		.dport = berth_to_be16((uint16_t)number(word[8])),
		.outer_src = fixture_addr(word[9]),
		.source_bits = (uint8_t)number(word[10]),
		.sibling = (uint16_t)below(word[11], geometry.backends),
		.backup = (uint16_t)below(word[12], geometry.backends),
		.load_unit = number(word[13]),
	};
	put_macs(backend->dst_mac, backend->src_mac, word[5]);
}

/* row SERVICE ROW FIRST SECOND */
static void do_row(char **word)
{
	uint32_t service = below(word[0], geometry.services), row = below(word[1], FIXTURE_ROWS);
	fixture_service_at(&engine.image, service)->rows = FIXTURE_ROWS;
	engine.image.rows[service].row[row] = (struct berth_row){(uint16_t)below(word[2], geometry.backends),
								 (uint16_t)below(word[3], geometry.backends)};
}

/* former SERVICE BACKEND: the primary of all rows before they changed; after its rows */
static void do_former(char **word)
{
	const uint32_t service = below(word[0], geometry.services);
	const uint16_t primary = (uint16_t)below(word[1], geometry.backends);
	fixture_former_rows(&engine.image, service, geometry.services + 2 * service, &primary, 1);
}

/* admit BACKEND BITS */
static void do_admit(char **word)
{
	fixture_set_eligibility(&engine.image, below(word[0], geometry.backends), (uint8_t)number(word[1]));
}

static struct berth_globals *globals(void)
{
	return berth_image_half(&engine.image, FIXTURE_GENERATION).globals;
}

/* prefix INDEX BITS */
static void do_prefix(char **word)
{
	globals()->prefix_bits[below(word[0], BERTH_MAX_PREFIX_LENGTHS)] = (uint8_t)number(word[1]);
}

/* returns: some backend is in mode nat */
static void do_returns(char **word)
{
	(void)word;
	globals()->has_returns = 1;
}

/* route INDEX ADDRESS BITS KIND PORT MACS MTU */
static void do_route(char **word)
{
	struct berth_route *route = &globals()->route[below(word[0], BERTH_MAX_ROUTES)];
	*route = (struct berth_route){
		.prefix = fixture_addr(word[1]),
		.bits = (uint8_t)number(word[2]),
		.kind = (uint8_t)number(word[3]),
		.port = (uint8_t)number(word[4]),
		.mtu = (uint16_t)number(word[6]),
	};
	put_macs(route->dst_mac, route->src_mac, word[5]);
}

/* frame SECOND HEX */
static void do_frame(char **word)
{
	static const char *const classes[] = {"forward", "answer", "pass", "drop"};
	static struct engine_outcome outcome;
	uint8_t frame[FIXTURE_ROOM - FIXTURE_HEADROOM];
	struct sent sent = {.frame = frame, .now = number(word[0])};
	sent.bytes = from_hex(frame, sizeof(frame), word[1]);
	if (!engine_accepts(&engine, &sent)) {
		printf("cannot drop 0 -\n");
		return;
	}
	engine_run(&engine, &sent, &outcome);
	printf("%s %s %u ", fixture_verdict_name(outcome.verdict), classes[outcome.class], outcome.port);
	for (uint32_t i = 0; i < outcome.bytes; i++)
		printf("%02x", outcome.frame[i]);
	printf("%s\n", outcome.bytes ? "" : "-");
}

/* An existing session; for "unpin" a pinned one. */
static bool clear_session(const struct berth_view *view, uint32_t service, const union berth_addr *client,
			  bool only_pinned)
{
	struct berth_session found;
	if (!berth_sessions_lookup(view, client, service, &found))
		return false;
	if (only_pinned && !(found.has_client && found.client.reason == BERTH_REASON_PINNED))
		return false;
	return berth_sessions_remove(view, &found);
}

/* session VERB SECOND SERVICE CLIENT BACKEND */
static void do_session(char **word)
{
	const struct berth_view view = berth_sessions_view(&engine.image, number(word[1]));
	const uint32_t service = below(word[2], geometry.services);
	const union berth_addr client = fixture_addr(word[3]);
	struct berth_session placed;
	bool pins = strcmp(word[0], "pin") == 0, done;
	if (pins || strcmp(word[0], "move") == 0)
		done = berth_sessions_assign(&view, &client, service, below(word[4], geometry.backends),
					     pins ? BERTH_REASON_PINNED : BERTH_REASON_MOVED, &placed) == 0;
	else
		done = clear_session(&view, service, &client, strcmp(word[0], "unpin") == 0);
	printf("%s\n", done ? "done" : "none");
}

static const struct {
	const char *name;
	uint32_t words; /* after the name */
	void (*run)(char **word);
} commands[] = {
	{"frame", 2, do_frame},	    {"world", 0, do_world},	 {"service", 17 + BERTH_STATE_COUNT, do_service},
	{"session", 5, do_session}, {"backend", 14, do_backend}, {"row", 4, do_row},
	{"vip", 7, do_vip},	    {"admit", 2, do_admit},	 {"prefix", 2, do_prefix},
	{"returns", 0, do_returns}, {"route", 7, do_route},	 {"former", 2, do_former},
};

static void do_line(char *line)
{
	char *word[WORDS], *rest = line;
	uint32_t n = 0;
	for (char *next; (next = strsep(&rest, " \n"));) {
		if (*next && n < WORDS)
			word[n++] = next;
	}
	for (uint32_t i = 0; n > 0 && i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(word[0], commands[i].name) != 0)
			continue;
		if (n - 1 != commands[i].words)
			refuse("wrong number of words", commands[i].name);
		commands[i].run(word + 1);
		return;
	}
	refuse("no command", n ? word[0] : "an empty line");
}

/* test-run uses the caller's CPU, and a worker's number is its CPU. */
static void stay_on_this_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (cpu < 0 || sched_setaffinity(0, sizeof(set), &set))
		refuse("pinning to a CPU", strerror(errno));
	engine_worker = (uint32_t)cpu;
}

static void open_engine(int argc, char **argv)
{
	struct berth_geometry full = geometry;
	const char *name = argc > 1 ? argv[1] : "";
#ifdef BERTH_TEST_DPDK
	if (strcmp(name, "dpdk") == 0)
		engine_dpdk_start();
#endif
	stay_on_this_cpu();
	full.workers = engine_worker + 1;
	if (strcmp(name, "host") == 0)
		engine_host_open(&engine, &full);
#ifdef BERTH_TEST_DPDK
	else if (strcmp(name, "dpdk") == 0)
		engine_dpdk_open(&engine, &full);
#endif
	else if (strcmp(name, "xdp") == 0 && argc > 2)
		engine_xdp_open(&engine, &full, argv[2]);
	else
		refuse("no such engine", name);
}

int main(int argc, char **argv)
{
	char *line = NULL;
	size_t room = 0;
	open_engine(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 1 << 16);
	while (getline(&line, &room, stdin) >= 0)
		do_line(line);
	free(line);
	engine.close(&engine);
	return 0;
}
