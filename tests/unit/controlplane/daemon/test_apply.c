// SPDX-License-Identifier: BSD-3-Clause
/*
 * Apply is a transaction: a real daemon with the null engine; each step of a stage is made to fail, and the whole
 * state is compared before and after. The linker replaces the allocation functions of the control plane (--wrap).
 */
#include "tests/support/berthd.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <event2/event.h>
#include <malloc.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>

#include "controlplane/config/parse.h"
#include "controlplane/daemon/actions.h"
#include "controlplane/daemon/apply.h"
#include "controlplane/tables/counters.h"

#define HEAD                                                                                                       \
	"engine: 'null'\n"                                                                                         \
	"interfaces: [{name: lo}]\n"                                                                               \
	"limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}\n"
#define SERVICE(name, address, rest)                                                                               \
	"  - {name: " name ", address: " address ", protocol: tcp, port: 80, health: {type: none}, " rest "}\n"
#define BACKENDS "backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]"

static const char before[] = HEAD
	"metrics: {listen: '127.0.0.1:39091'}\n"
	"services:\n" SERVICE("web", "203.0.113.10", "mode: ipip, table-size: 1021, " BACKENDS)
		SERVICE("middle", "203.0.113.11", "mode: ipip, table-size: 1021, " BACKENDS)
			SERVICE("last", "203.0.113.12", "mode: ipip, table-size: 1021, " BACKENDS);

/* Every part of a stage has something to do: a name, a listener, new services and backends, other next hops, routes
 * of mode nat, health targets, other tables. */
static const char after[] = HEAD
	"metrics: {listen: '127.0.0.1:39092'}\n"
	"dns: {servers: ['127.0.0.1:39053']}\n"
	"services:\n" SERVICE("web", "203.0.113.10",
			      "mode: ipip, table-size: 509, backends: [{name: b1, address: 192.0.2.21, weight: 7}, "
			      "{name: b3, address: 192.0.2.13}, {name: pod, dns: pods.example.org}]")
		SERVICE("middle", "203.0.113.11", "mode: ipip, table-size: 1021, " BACKENDS)
			SERVICE("new", "203.0.113.14", "mode: nat, table-size: 251, " BACKENDS);

/* The size of an allocation is not looked at: the one with this number fails. */
static size_t n_allocations, failing;

static bool is_refused(void)
{
	return ++n_allocations == failing;
}

void *__real_calloc(size_t n, size_t size);
void *__real_malloc(size_t size);
void *__real_realloc(void *from, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_realloc(void *from, size_t size);

void *__wrap_calloc(size_t n, size_t size)
{
	return is_refused() ? NULL : __real_calloc(n, size);
}

void *__wrap_malloc(size_t size)
{
	return is_refused() ? NULL : __real_malloc(size);
}

void *__wrap_realloc(void *from, size_t size)
{
	return is_refused() ? NULL : __real_realloc(from, size);
}

static int set_up(void **state)
{
	failing = 0;
	berthd_set_up(state, before);
	struct berthd *f = *state;
	struct berth_image *image = &f->daemon->engine->image;
	for (uint32_t n = 1; n < 12; n++)
		image->tallies[n].packets = 1000 * n;
	image->flows[3].word[1] = 12345;
	image->sessions[2].word[4] = 6789;
	return 0;
}

static int tear_down(void **state)
{
	failing = 0;
	return berthd_tear_down(state);
}

/* Everything that an apply changes, copied. */
struct snapshot {
	char *bytes;
	size_t length;
	FILE *out;
};

static void add_model(FILE *out, const struct berth_model *model)
{
	fwrite(model, sizeof(*model), 1, out);
	fwrite(model->services, sizeof(*model->services), model->n_services, out);
	for (size_t i = 0; i < model->n_services; i++) {
		const struct berth_model_service *service = &model->services[i];
		fwrite(service->backends, sizeof(*service->backends), service->n_backends, out);
		fwrite(service->rows, sizeof(*service->rows), service->n_rows, out);
	}
	const struct berth_numbers *numbers[] = {&model->service_numbers, &model->backend_numbers};
	for (size_t i = 0; i < 2; i++)
		fwrite(numbers[i]->id, sizeof(*numbers[i]->id), numbers[i]->size, out);
}

static void add_image(FILE *out, const struct berth_image *image)
{
	const struct berth_geometry *g = &image->geometry;
	fwrite(&image->ctl->generation, sizeof(image->ctl->generation), 1, out);
#define X(name, type, count) fwrite(image->name, sizeof(type), count, out);
	BERTH_SECTIONS(X)
#undef X
}

static void add_health(FILE *out, const struct berth_daemon *daemon)
{
	for (uint64_t i = 0; i < daemon->model.n_services; i++)
		for (size_t j = 0; j < daemon->model.services[i].n_backends; j++) {
			struct berth_health_status status;
			memset(&status, 0, sizeof(status));
			assert_true(berth_health_get(daemon->health, daemon->model.services[i].backends[j].id,
						     &status));
			fwrite(&status, sizeof(status), 1, out);
		}
}

static struct snapshot take(const struct berthd *f)
{
	struct snapshot snapshot = {0};
	const struct berth_daemon *daemon = f->daemon;
	struct berth_dns_name_status name;
	failing = 0;
	FILE *out = open_memstream(&snapshot.bytes, &snapshot.length);
	add_model(out, &daemon->model);
	add_image(out, &daemon->engine->image);
	add_health(out, daemon);
	/* A refusal is counted. */
	struct berth_daemon_state counted;
	memcpy(&counted, &daemon->state, sizeof(counted));
	counted.refused_applies = 0;
	counted.is_apply_refused = false;
	fwrite(&counted, sizeof(counted), 1, out);
	fprintf(out, "%d", berth_dns_resolver_get(daemon->state.dns_resolver, "pods.example.org", &name));
	fclose(out);
	return snapshot;
}

/* Compares, and frees both. */
static void expect_same(struct snapshot a, struct snapshot b, const char *step)
{
	if (a.length != b.length || memcmp(a.bytes, b.bytes, a.length) != 0) {
		size_t at = 0;
		while (at < a.length && at < b.length && a.bytes[at] == b.bytes[at])
			at++;
		fail_msg("%s: the state differs at byte %zu of %zu", step, at, a.length);
	}
	free(a.bytes);
	free(b.bytes);
}

static int bind_port(int fd, uint16_t port)
{
	const struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return bind(fd, (const struct sockaddr *)&address, sizeof(address));
}

/* No connection is made: berthd's loop does not run, and would not accept it. */
static bool is_listening(uint16_t port)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool is_free = bind_port(fd, port) == 0;
	close(fd);
	return !is_free;
}

static int apply(struct berthd *f, const char *text)
{
	f->error[0] = '\0';
	return berth_daemon_apply(f->daemon, "new.yaml", text, strlen(text), false, f->error);
}

/* Applies `text`, which must be refused with these words, and compares. */
static void expect_refused(struct berthd *f, const char *text, const char *words)
{
	struct snapshot was = take(f);
	assert_int_not_equal(apply(f, text), 0);
	if (!strstr(f->error, words))
		fail_msg("\"%s\" does not contain \"%s\"", f->error, words);
	expect_same(was, take(f), words);
	assert_true(is_listening(39091));
	assert_false(is_listening(39092));
}

static void expect_applied(struct berthd *f)
{
	const struct berth_model *model = &f->daemon->model;
	assert_int_equal(model->n_services, 3);
	assert_string_equal(model->services[2].config.name, "new");
	assert_false(is_listening(39091));
	assert_true(is_listening(39092));
	assert_false(f->daemon->state.publication.is_pending);
	assert_int_equal(berth_image_current(&f->daemon->engine->image).services[model->services[2].number].id,
			 model->services[2].id);
}

static void an_apply_changes_all_parts(void **state)
{
	struct berthd *f = *state;
	assert_true(is_listening(39091));
	assert_int_equal(apply(f, after), 0);
	expect_applied(f);
}

/* Returns how many allocations an apply of `text` needs. */
static size_t fail_at_each_allocation(struct berthd *f, const char *text)
{
	size_t steps = 0, n_spare = 0;
	for (;; steps++) {
		struct snapshot was = take(f);
		n_allocations = 0;
		failing = steps + 1;
		int err = apply(f, text);
		bool was_reached = n_allocations >= failing;
		if (!err) {
			free(was.bytes);
			if (!was_reached)
				break;
			/* One that an apply does not need; the next number must fail from the same state. */
			failing = 0;
			for (int i = 0; i < 3; i++)
				berth_model_scan_ended(&f->daemon->model);
			assert_int_equal(apply(f, before), 0);
			for (int i = 0; i < 3; i++)
				berth_model_scan_ended(&f->daemon->model);
			n_spare++;
			continue;
		}
		char step[40];
		snprintf(step, sizeof(step), "allocation %zu", steps + 1);
		expect_same(was, take(f), step);
	}
	return steps - n_spare;
}

static void without_memory_at_any_step_nothing_changes(void **state)
{
	assert_true(fail_at_each_allocation(*state, after) > 50);
	expect_applied(*state);
}

static void a_taken_listener_changes_nothing(void **state)
{
	struct berthd *f = *state;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind_port(fd, 39092), 0);
	assert_int_equal(listen(fd, 1), 0);
	struct snapshot was = take(f);
	assert_int_not_equal(apply(f, after), 0);
	assert_non_null(strstr(f->error, "cannot listen on 127.0.0.1:39092"));
	expect_same(was, take(f), "listener");
	assert_true(is_listening(39091));
	close(fd);
	assert_int_equal(apply(f, after), 0);
}

/* A service with 40 of 60 backends. */
static const char *with_backends(char *text, size_t size, const char *prefix)
{
	size_t used = (size_t)snprintf(
		text, size,
		HEAD "metrics: {listen: '127.0.0.1:39091'}\nservices:\n"
		     "  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, "
		     "table-size: 1021, health: {type: none}, backends: [");
	for (int i = 0; i < 40; i++)
		used += (size_t)snprintf(text + used, size - used, "%s{name: %s%d, address: 192.0.2.%d}",
					 i ? ", " : "", prefix, i, i + 1);
	snprintf(text + used, size - used, "]}\n");
	return text;
}

static void without_room_for_numbers_nothing_changes(void **state)
{
	struct berthd *f = *state;
	char text[8192];
	assert_int_equal(apply(f, with_backends(text, sizeof(text), "b")), 0);
	expect_refused(f, with_backends(text, sizeof(text), "c"), "the tables are full");
}

#define WITH_TABLES(web, middle)                                                                                   \
	HEAD "metrics: {listen: '127.0.0.1:39091'}\n"                                                              \
	     "services:\n" SERVICE("web", "203.0.113.10", "mode: ipip, table-size: " web ", " BACKENDS)            \
		     SERVICE("middle", "203.0.113.11", "mode: ipip, table-size: " middle ", " BACKENDS)            \
			     SERVICE("last", "203.0.113.12", "mode: ipip, table-size: 1021, " BACKENDS)

static size_t count_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

/* Packets of a service's backends. */
static uint64_t count_packets(const struct berthd *f)
{
	const struct berth_model_service *service = berth_model_service(&f->daemon->model, "middle");
	uint64_t packets = 0;
	for (size_t i = 0; i < service->n_backends; i++) {
		struct berth_tally tally;
		berth_counters_backend(&f->daemon->engine->image, service->backends[i].number, &tally);
		packets += tally.packets;
	}
	return packets;
}

/* Operator state, health and counters, in the tables of another size. */
static void expect_kept(const struct berthd *f, uint64_t packets)
{
	struct berth_model_service *service = berth_model_service(&f->daemon->model, "middle");
	const struct berth_image *image = &f->daemon->engine->image;
	const struct berth_model_backend *backend = berth_model_backend(service, "b1");
	assert_int_equal(backend->forced, BERTH_FORCED_DOWN);
	assert_int_equal(backend->health, BERTH_HEALTH_UP);
	assert_int_equal(berth_image_current(image).backends[backend->number].id, backend->id);
	assert_int_equal(berth_image_current(image).backends[backend->number].forced, BERTH_FORCED_DOWN);
	assert_int_equal(count_packets(f), packets);
	assert_false(f->daemon->state.publication.is_pending);
}

static void larger_selection_tables_get_an_engine_with_room_for_them(void **state)
{
	struct berthd *f = *state;
	assert_int_equal(apply(f, WITH_TABLES("1021", "240007")), 0);
	const struct berth_engine *engine = f->daemon->engine;
	assert_int_equal(apply(f, WITH_TABLES("1021", "230003")), 0);
	assert_ptr_equal(f->daemon->engine, engine);
	assert_int_equal(apply(f, WITH_TABLES("1021", "300007")), 0);
	assert_int_equal(berth_model_service(&f->daemon->model, "middle")->n_rows, 300007);
}

static const char larger[] = "engine: 'null'\n"
			     "interfaces: [{name: lo}]\n"
			     "limits: {flows: 4096, sessions: 1024, services: 6, backends: 120}\n"
			     "metrics: {listen: '127.0.0.1:39091'}\n"
			     "services:\n" SERVICE("web", "203.0.113.10", "mode: ipip, table-size: 1021, " BACKENDS)
				     SERVICE("middle", "203.0.113.11", "mode: ipip, table-size: 1021, " BACKENDS)
					     SERVICE("last", "203.0.113.12",
						     "mode: ipip, table-size: 1021, " BACKENDS);

static void other_limits_apply_again_and_again_and_leave_nothing(void **state)
{
	struct berthd *f = *state;
	const struct berth_cmd_origin origin = {0};
	char error[BERTH_ERROR_BYTES];
	assert_int_equal(
		berth_daemon_actions.force_health(f->daemon, "middle", "b1", BERTH_FORCED_DOWN, &origin, error), 0);
	const uint64_t packets = count_packets(f);
	assert_true(packets > 0);
	size_t descriptors = 0, bytes = 0;
	for (int i = 0; i < 50; i++) {
		assert_int_equal(apply(f, larger), 0);
		assert_int_equal(f->daemon->model.backend_numbers.size, f->daemon->engine->image.geometry.backends);
		expect_kept(f, packets);
		assert_int_equal(apply(f, before), 0);
		expect_kept(f, packets);
		if (i == 1) {
			descriptors = count_descriptors();
			bytes = mallinfo2().uordblks;
		}
	}
	assert_int_equal(count_descriptors(), descriptors);
	assert_true(mallinfo2().uordblks < bytes + 65536);
}

/* Their words would be another backend's after the next change of limits. */
static void numbers_of_backends_that_were_just_removed_keep_their_room(void **state)
{
	struct berthd *f = *state;
	char text[8192];
	size_t used = (size_t)snprintf(
		text, sizeof(text),
		"%s" SERVICE("many", "203.0.113.20", "mode: ipip, table-size: 1021, backends: ["), larger);
	/* SERVICE ends with it. */
	used -= strlen("}\n");
	for (int i = 0; i < 70; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s{name: m%d, address: 192.0.2.%d}",
					 i ? ", " : "", i, i + 1);
	snprintf(text + used, sizeof(text) - used, "]}\n");
	assert_int_equal(apply(f, text), 0);
	assert_int_equal(apply(f, larger), 0);
	expect_refused(f, before, "try again in a few seconds");
	for (int i = 0; i < 3; i++)
		berth_model_scan_ended(&f->daemon->model);
	assert_int_equal(apply(f, before), 0);
}

static void without_memory_for_another_engine_nothing_changes(void **state)
{
	assert_true(fail_at_each_allocation(*state, larger) > 50);
}

static void another_secret_is_refused(void **state)
{
	struct berthd *f = *state;
	char text[4096];
	snprintf(text, sizeof(text), "secret-file: /etc/berth/secret\n%s", before);
	struct snapshot was = take(f);
	char error[BERTH_ERROR_BYTES];
	struct berth_config *config = berth_config_parse("new.yaml", text, strlen(text), error);
	assert_non_null(config);
	assert_false(berth_daemon_accepts(f->daemon, config, error));
	berth_config_free(config);
	expect_same(was, take(f), "secret-file");
}

/* Tables of 15001, 1024 and 64 lines, of 16388: no order of later changes leaves one of them without room. */
static void what_was_accepted_is_published_after_every_later_change(void **state)
{
	static const char *const services[] = {"web", "middle", "last", "web"};
	struct berthd *f = *state;
	const struct berth_cmd_origin origin = {0};
	char error[BERTH_ERROR_BYTES];
	uint32_t random = 1;
	assert_int_equal(apply(f, WITH_TABLES("240007", "16381")), 0);
	for (int i = 0; i < 300; i++) {
		random = random * 1664525 + 1013904223;
		assert_int_equal(berth_daemon_actions.force_health(
					 f->daemon, services[random >> 30], random & 1 << 29 ? "b1" : "b2",
					 random & 1 << 28 ? BERTH_FORCED_DOWN : BERTH_FORCED_NOT, &origin, error),
				 0);
		assert_string_equal(f->daemon->state.publication.error, "");
		assert_false(f->daemon->state.publication.is_pending);
	}
}

static void signals_without_a_meaning_do_not_end_berthd(void **state)
{
	struct berthd *f = *state;
	static const int signals[] = {SIGUSR1, SIGUSR2, SIGALRM, SIGVTALRM, SIGPROF, SIGIO, SIGPWR};
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		assert_int_equal(raise(signals[i]), 0);
		assert_int_equal(event_base_loop(f->daemon->base, EVLOOP_NONBLOCK), 0);
		assert_false(event_base_got_exit(f->daemon->base));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_apply_changes_all_parts),
		TEST(without_memory_at_any_step_nothing_changes),
		TEST(a_taken_listener_changes_nothing),
		TEST(without_room_for_numbers_nothing_changes),
		TEST(signals_without_a_meaning_do_not_end_berthd),
		TEST(larger_selection_tables_get_an_engine_with_room_for_them),
		TEST(without_memory_for_another_engine_nothing_changes),
		TEST(numbers_of_backends_that_were_just_removed_keep_their_room),
		TEST(other_limits_apply_again_and_again_and_leave_nothing),
		TEST(another_secret_is_refused),
		TEST(what_was_accepted_is_published_after_every_later_change),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
