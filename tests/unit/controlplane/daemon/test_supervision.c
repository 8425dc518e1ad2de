// SPDX-License-Identifier: BSD-3-Clause
/*
 * What a service manager is told: a real daemon with the null engine in a network namespace of its own, and a
 * socket in systemd's place.
 */
#include "tests/support/berthd.h"

#include <sched.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "tests/support/loop.h"

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: late0}]\n"
	"limits: {flows: 1024, sessions: 1024, services: 4, backends: 60}\n"
	"services:\n"
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251, "
	"health: {type: none}, backends: [{name: b1, address: 192.0.2.11}]}\n";

enum {
	SOON_MS = 3000,
	A_PERIOD_MS = 1300, /* and a little */
};

static int manager;
static char heard[8192]; /* since the last clear() */
static bool is_running, is_quiescent;
static struct berth_engine_ops ops;

static bool engine_is_running(const struct berth_engine *engine)
{
	(void)engine;
	return is_running;
}

static bool worker_is_quiescent(struct berth_engine *engine)
{
	(void)engine;
	return is_quiescent;
}

static void clear(void)
{
	heard[0] = '\0';
}

static void turn(const struct berthd *f, uint64_t ms)
{
	ssize_t n;
	loop_for(f->daemon->base, ms);
	for (size_t used; used = strlen(heard), (n = read(manager, heard + used, sizeof(heard) - 1 - used)) > 0;)
		heard[used + (size_t)n] = '\0';
}

/* Within some seconds. */
static void expect_told(const struct berthd *f, const char *line)
{
	if (!wait_until(strstr(heard, line) != NULL, SOON_MS, turn(f, 20)))
		fail_msg("\"%s\" was not told, but: %s", line, heard);
}

/* Since clear(), and for more than a period. */
static void expect_not_told(const struct berthd *f, const char *line)
{
	turn(f, A_PERIOD_MS);
	clear();
	turn(f, A_PERIOD_MS);
	if (strstr(heard, line))
		fail_msg("\"%s\" was told: %s", line, heard);
}

static void add_interface(void)
{
	assert_int_equal(system("ip link add late0 type veth peer name other0"), 0);
}

static void remove_interface(void)
{
	assert_int_equal(system("ip link del late0 2>/dev/null || true"), 0);
}

static int open_manager(void **state)
{
	(void)state;
	/* In the abstract namespace, which belongs to the network namespace. */
	static const char name[] = "\0berth-test";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, name, sizeof(name) - 1);
	if (unshare(CLONE_NEWNET) || setenv("NOTIFY_SOCKET", "@berth-test", 1))
		return -1;
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	return bind(manager, (const struct sockaddr *)&address,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + sizeof(name) - 1));
}

static int set_up(void **state)
{
	clear();
	berthd_set_up(state, configuration);
	struct berthd *f = *state;
	ops = *f->daemon->engine->ops;
	ops.is_running = engine_is_running;
	ops.is_quiescent = worker_is_quiescent;
	f->daemon->engine->ops = &ops;
	is_running = is_quiescent = true;
	return 0;
}

static int tear_down(void **state)
{
	remove_interface();
	return berthd_tear_down(state);
}

static void a_late_interface_is_waited_for_without_a_time_out(void **state)
{
	struct berthd *f = *state;
	expect_told(f, "STATUS=waiting for the interface late0\n");
	expect_told(f, "EXTEND_TIMEOUT_USEC=30000000\n");
	expect_not_told(f, "READY=1");
	add_interface();
	expect_told(f, "READY=1\nSTATUS=forwarding: 1 service\n");
	expect_not_told(f, "EXTEND_TIMEOUT_USEC");
	expect_told(f, "WATCHDOG=1\n");
}

static void it_is_not_ready_before_the_engine_forwards(void **state)
{
	struct berthd *f = *state;
	is_running = false;
	add_interface();
	expect_told(f, "STATUS=waiting for the null engine, which does not forward\n");
	expect_not_told(f, "READY=1");
	is_running = true;
	expect_told(f, "READY=1\n");
}

static void it_is_not_ready_before_the_first_generation_is_in_force(void **state)
{
	struct berthd *f = *state;
	is_quiescent = false;
	run(f, "backend drain", "{\"backend\": \"web/b1\"}", BERTH_CODE_OK);
	add_interface();
	expect_told(f, "STATUS=the configuration is not in force\n");
	expect_not_told(f, "READY=1");
	is_quiescent = true;
	expect_told(f, "READY=1\n");
}

static void the_watchdog_is_not_fed_while_the_engine_does_not_forward(void **state)
{
	struct berthd *f = *state;
	add_interface();
	expect_told(f, "WATCHDOG=1\n");
	is_running = false;
	expect_not_told(f, "WATCHDOG=1");
	is_running = true;
	expect_told(f, "WATCHDOG=1\n");
}

static void the_watchdog_is_not_fed_while_a_worker_does_not_run(void **state)
{
	struct berthd *f = *state;
	struct berth_worker *worker = &f->daemon->engine->image.workers[0];
	add_interface();
	worker->running = 1;
	worker->polls = 7;
	expect_told(f, "STATUS=1 of 1 workers do not run\n");
	expect_not_told(f, "WATCHDOG=1");
	worker->running = 0;
	expect_told(f, "WATCHDOG=1\n");
}

static void the_watchdog_is_not_fed_while_publication_does_not_work(void **state)
{
	struct berthd *f = *state;
	add_interface();
	expect_told(f, "WATCHDOG=1\n");
	is_quiescent = false;
	run(f, "backend drain", "{\"backend\": \"web/b1\"}", BERTH_CODE_OK);
	expect_told(f, "STATUS=the configuration is not in force\n");
	expect_not_told(f, "WATCHDOG=1");
	is_quiescent = true;
	expect_told(f, "WATCHDOG=1\n");
}

static void the_watchdog_is_fed_while_an_interface_is_gone(void **state)
{
	struct berthd *f = *state;
	add_interface();
	expect_told(f, "READY=1\n");
	remove_interface();
	expect_told(f, "STATUS=waiting for the interface late0\n");
	clear();
	expect_told(f, "WATCHDOG=1\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_late_interface_is_waited_for_without_a_time_out),
		TEST(it_is_not_ready_before_the_engine_forwards),
		TEST(it_is_not_ready_before_the_first_generation_is_in_force),
		TEST(the_watchdog_is_not_fed_while_the_engine_does_not_forward),
		TEST(the_watchdog_is_not_fed_while_a_worker_does_not_run),
		TEST(the_watchdog_is_not_fed_while_publication_does_not_work),
		TEST(the_watchdog_is_fed_while_an_interface_is_gone),
	};
	return cmocka_run_group_tests(tests, open_manager, NULL);
}
