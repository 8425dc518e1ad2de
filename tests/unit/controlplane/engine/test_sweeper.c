// SPDX-License-Identifier: BSD-3-Clause
/* The kernel's timer sweeps the tables of the XDP engine: without berthd, without an interface, without a packet.
 * As root; the argument is berth_xdp.bpf.o. */
#include <stdlib.h>
#include <unistd.h>

#include "controlplane/engine/xdp_image.h"
#include "controlplane/engine/xdp_links.h"
#include "controlplane/util/clock.h"
#include "dataplane/core/word.h"
#include "dataplane/interface/image_check.h"
#include "tests/support/control.h"

enum {
	WAIT_MS = 30000, /* a second's wait, and the steps of one sweep */
	TIMEOUT_S = 600,
	BUCKETS = 256, /* more than one step */
	BACKEND = 1,
	SERVICE = 1,
};

struct fixture {
	char instance[32];
	struct berth_geometry geometry;
	struct berth_engine engine;
	struct berth_xdp_image pinned;
	struct berth_record record;
	bool has_stores;
};

/* As a new berthd does. */
static void open_image(struct fixture *f)
{
	char error[BERTH_ERROR_BYTES] = "";
	const struct berth_engine_paths paths = {
		.instance = f->instance, .record = &f->record, .has_stores = f->has_stores};
	f->engine = (struct berth_engine){0};
	f->pinned = (struct berth_xdp_image){0};
	assert_int_equal(berth_xdp_image_prepare(&f->pinned, f->instance, error), 0);
	assert_int_equal(berth_xdp_image_open(&f->pinned, &f->engine, &f->geometry, &paths, error), 0);
	f->engine.record = &f->record;
	assert_int_equal(berth_xdp_image_install(&f->pinned, &f->engine, error), 0);
	assert_string_equal(error, "");
	f->has_stores = true;
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	snprintf(f->instance, sizeof(f->instance), "unit-sweeper%d", getpid());
	struct berth_config *config = configure("");
	f->geometry = berth_geometry_of(&config->limits, 251, 2);
	berth_config_free(config);
	f->record.flow_buckets = f->geometry.flow_buckets = BUCKETS;
	f->record.session_buckets = f->geometry.session_buckets = BUCKETS;
	open_image(f);
	/* Generation 0. */
	struct berth_service *service = &f->engine.image.services[SERVICE];
	service->id = 1;
	for (int i = 0; i < BERTH_STATE_COUNT; i++)
		service->timeout[i] = TIMEOUT_S;
	f->engine.image.backends[BACKEND] = (struct berth_backend){.id = 1, .service = SERVICE};
	berth_generation_seal(&f->engine.image, 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_xdp_pins_remove(f->pinned.dir);
	free(f);
	return 0;
}

static void put(struct berth_bucket *table, uint32_t age_s, uint32_t state)
{
	const uint32_t seen = berth_clock_s() - age_s;
	table[BUCKETS - 1].word[7] = berth_word_make(7, BACKEND, seen, state);
}

/* Waits for a complete sweep that began at `now` or later. */
static void await_sweep(const struct fixture *f, uint32_t now)
{
	for (int ms = 0; (int32_t)(berth_xdp_image_swept(f->instance) - now) < 0; ms += 20) {
		if (ms > WAIT_MS)
			fail_msg("no sweep in %d ms", WAIT_MS);
		usleep(20000);
	}
}

/* What the tables hold after a sweep by the kernel alone. */
static void sweep_alone(struct fixture *f, uint32_t hours, uint64_t *flow, uint64_t *session)
{
	struct berth_mapped_stores stores = {0};
	const uint32_t now = berth_clock_s();
	BERTH_STORE(&f->engine.image.ctl->swept, now - hours * 3600);
	berth_xdp_image_close(&f->pinned, &f->engine);
	await_sweep(f, now);
	assert_int_equal(berth_xdp_image_map_stores(f->instance, &f->record, &stores), 0);
	*flow = stores.image.flows[BUCKETS - 1].word[7];
	*session = stores.image.sessions[BUCKETS - 1].word[7];
	berth_mapped_stores_close(&stores);
}

static void the_kernel_clears_expired_words_when_none_has_swept_for_an_hour(void **state)
{
	struct fixture *f = *state;
	uint64_t flow, session;
	put(f->engine.image.flows, TIMEOUT_S + 2, BERTH_STATE_PROVEN);
	put(f->engine.image.sessions, TIMEOUT_S / 2, BERTH_STATE_SESSION);
	sweep_alone(f, 1, &flow, &session);
	assert_int_equal(flow, 0);
	assert_int_not_equal(session, 0);
	/* Another berthd, with a program and a timer of its own. */
	open_image(f);
	assert_true(f->engine.is_image_adopted);
	put(f->engine.image.flows, TIMEOUT_S / 2, BERTH_STATE_PROVEN);
	put(f->engine.image.sessions, TIMEOUT_S + 2, BERTH_STATE_SESSION);
	sweep_alone(f, 1, &flow, &session);
	assert_int_not_equal(flow, 0);
	assert_int_equal(session, 0);
}

/* The clock of the tables has stopped: it goes on in sweeps. */
static void the_kernel_sets_a_stopped_clock_right(void **state)
{
	struct fixture *f = *state;
	uint64_t flow, session;
	put(f->engine.image.flows, 36 * 3600 + 1800, BERTH_STATE_PROVEN);
	put(f->engine.image.sessions, TIMEOUT_S / 2, BERTH_STATE_SESSION);
	sweep_alone(f, 37, &flow, &session);
	assert_int_equal(flow, 0);
}

static void a_new_image_knows_when_the_tables_were_swept(void **state)
{
	struct fixture *f = *state;
	const uint32_t now = berth_clock_s();
	BERTH_STORE(&f->engine.image.ctl->swept, now - 60);
	/* Of any version. */
	f->engine.image.ctl->abi++;
	berth_xdp_image_close(&f->pinned, &f->engine);
	assert_int_equal(berth_xdp_image_swept(f->instance), now - 60);
	assert_int_equal(berth_xdp_image_swept("unit-none"), 0);
}

/* berthd looks for the program beside its executable. */
static void link_object(const char *object)
{
	char self[400];
	ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
	self[length < 0 ? 0 : length] = 0;
	char beside[512], *absolute = realpath(object, NULL);
	snprintf(beside, sizeof(beside), "%.*s/berth_xdp.bpf.o", (int)(strrchr(self, '/') - self), self);
	unlink(beside);
	if (!absolute || symlink(absolute, beside))
		abort();
	free(absolute);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(the_kernel_clears_expired_words_when_none_has_swept_for_an_hour),
		TEST(the_kernel_sets_a_stopped_clock_right),
		TEST(a_new_image_knows_when_the_tables_were_swept),
	};
	if (argc != 2)
		return 2;
	link_object(argv[1]);
	return cmocka_run_group_tests_name("sweeper", tests, NULL, NULL);
}
