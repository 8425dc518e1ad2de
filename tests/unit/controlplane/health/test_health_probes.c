/* SPDX-License-Identifier: BSD-3-Clause */
/* The kinds of probes against real sockets and programs, in a network namespace of their own. HTTP and HTTPS
 * against hostile servers: tests/e2e/test_health.py. */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/param.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "controlplane/health/match.h"
#include "controlplane/health/state.h"
#include "tests/unit/controlplane/health/health_lab.h"

/* Feeds `bytes` in pieces of `piece` bytes. */
static bool occurs(const char *text, const char *bytes, size_t piece)
{
	struct berth_match match;
	bool found = false;

	berth_match_init(&match, (const uint8_t *)text, (uint16_t)strlen(text));
	for (size_t at = 0; at < strlen(bytes); at += piece) {
		size_t left = strlen(bytes + at);
		found = berth_match_feed(&match, bytes + at, left < piece ? left : piece);
	}
	return found;
}

static void test_a_text_is_found_across_pieces(void **state)
{
	(void)state;
	char text[8], bytes[20];
	uint64_t random = 1;

	assert_true(occurs("aab", "aaaaaab", 1));
	assert_true(occurs("abacabad", "xxabacabacabadyy", 3));
	assert_false(occurs("abc", "abababab", 2));
	/* Compared with strstr on texts of two letters, which have many repetitions. */
	for (int i = 0; i < 100000; i++) {
		random = berth_health_random(random);
		size_t n = 1 + random % 7, m = 1 + (random >> 8) % 19;
		for (size_t j = 0; j < m; j++)
			bytes[j] = "ab"[random >> (16 + j) & 1];
		for (size_t j = 0; j < n; j++)
			text[j] = "ab"[random >> (40 + j) & 1];
		text[n] = bytes[m] = 0;
		assert_int_equal(occurs(text, bytes, 1 + random % 5), strstr(bytes, text) != NULL);
	}
}

/* A target with the lab's defaults and this type. */
static struct berth_health_target target_with(uint64_t id, const char *address, uint16_t port,
					      enum berth_health_type type)
{
	struct berth_health_target target = target_of(id, address, port);
	check_of(&target)->type = type;
	return target;
}

static void set_data(uint8_t *data, uint16_t *bytes, const char *text)
{
	*bytes = (uint16_t)strlen(text);
	memcpy(data, text, *bytes);
}

/* --- UDP --- */

struct answerer {
	const char *answer; /* "": an empty datagram, NULL: none */
	unsigned int times;
	unsigned int asked;
	struct event *event;
};

static void on_datagram(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	struct answerer *answerer = arg;
	struct sockaddr_storage from;
	socklen_t length = sizeof(from);
	char asked[64] = "";

	assert_true(recvfrom(fd, asked, sizeof(asked), 0, (struct sockaddr *)&from, &length) >= 0);
	assert_string_equal(asked, "ping");
	answerer->asked++;
	for (unsigned int i = 0; answerer->answer && i < answerer->times; i++)
		sendto(fd, answerer->answer, strlen(answerer->answer), 0, (struct sockaddr *)&from, length);
}

static uint16_t answer_at(struct health_lab *lab, struct answerer *answerer, const char *text)
{
	union berth_addr address;
	struct sockaddr_storage to;

	assert_int_equal(berth_address_parse(text, &address), 0);
	socklen_t length = berth_address_to_socket(&address, 0, &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&to, length), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &length), 0);
	answerer->event = event_new(lab->base, fd, EV_READ | EV_PERSIST, on_datagram, answerer);
	event_add(answerer->event, NULL);
	return ntohs(((struct sockaddr_in *)&to)->sin_port); /* same offset in sockaddr_in6 */
}

static void stop(struct answerer *answerer)
{
	close(event_get_fd(answerer->event));
	event_free(answerer->event);
}

static void test_udp_is_up_after_any_answer_or_the_expected_one(void **state)
{
	struct health_lab *lab = *state;
	static const struct {
		const char *address, *answer, *expect;
		unsigned int times;
		int up;
		const char *reason;
	} cases[] = {
		{"127.0.0.1", "pong", "", 1, 1, "answered in "},
		{"::1", "pong", "", 1, 1, "answered in "},
		{"127.0.0.1", "", "", 1, 1, "answered in "},
		{"127.0.0.1", "a pong", "pong", 1, 1, "answered in "},
		{"127.0.0.1", "pon", "pong", 3, 0, "no answer with the expected text within 40 ms"},
		{"127.0.0.1", "p", "pong", 100, 0, "64 answers without the expected text"},
		{"::1", NULL, "", 1, 0, "no answer within 40 ms"},
	};
	enum {
		CASES = sizeof(cases) / sizeof(cases[0])
	};
	struct answerer answerers[CASES];
	struct berth_health_target targets[CASES];

	for (size_t i = 0; i < CASES; i++) {
		answerers[i] = (struct answerer){.answer = cases[i].answer, .times = cases[i].times};
		uint16_t port = answer_at(lab, &answerers[i], cases[i].address);
		targets[i] = target_with(i + 1, cases[i].address, port, BERTH_HEALTH_UDP);
		struct berth_health_config *check = check_of(&targets[i]);
		set_data(check->send, &check->send_bytes, "ping");
		set_data(check->expect, &check->expect_bytes, cases[i].expect);
	}
	assert_int_equal(berth_health_set(lab->health, targets, CASES), 0);
	for (size_t i = 0; i < CASES; i++) {
		wait_for(lab, i + 1, cases[i].up, 3000);
		assert_memory_equal(lab->reports[i + 1].reason, cases[i].reason, strlen(cases[i].reason));
	}
	assert_int_equal(berth_health_set(lab->health, NULL, 0), 0);
	for (size_t i = 0; i < CASES; i++)
		stop(&answerers[i]);
}

static void test_udp_is_down_at_once_if_the_port_is_closed(void **state)
{
	struct health_lab *lab = *state;
	struct answerer answerer = {0};
	const char *addresses[] = {"127.0.0.1", "::1"};

	for (uint64_t id = 1; id <= 2; id++) {
		uint16_t port = answer_at(lab, &answerer, addresses[id - 1]);
		stop(&answerer);
		struct berth_health_target target = target_with(id, addresses[id - 1], port, BERTH_HEALTH_UDP);
		set_data(check_of(&target)->send, &check_of(&target)->send_bytes, "ping");
		check_of(&target)->timeout_ms = 3000;
		assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
		wait_for(lab, id, 0, 1000);
		assert_string_equal(lab->reports[id].reason, "port unreachable");
	}
}

/* --- ICMP --- */

static void ping_both(struct health_lab *lab, uint64_t first)
{
	struct berth_health_target targets[] = {
		target_with(first, "127.0.0.1", 0, BERTH_HEALTH_ICMP),
		target_with(first + 1, "::1", 0, BERTH_HEALTH_ICMP),
		target_with(first + 2, "127.0.0.2", 0, BERTH_HEALTH_ICMP),
		target_with(first + 3, "198.51.100.2", 0, BERTH_HEALTH_ICMP),
	};

	assert_int_equal(berth_health_set(lab->health, targets, 4), 0);
	for (uint64_t id = first; id < first + 3; id++) {
		wait_for(lab, id, 1, 3000);
		assert_memory_equal(lab->reports[id].reason, "answered in ", 12);
	}
	wait_for(lab, first + 3, 0, 3000);
	assert_string_equal(lab->reports[first + 3].reason, "no answer within 40 ms");
	run_for(lab, 300);
	for (uint64_t id = first; id < first + 3; id++)
		assert_int_equal(status_of(lab, id).failures, 0);
}

static void test_icmp_works_with_ping_sockets_and_without(void **state)
{
	struct health_lab *lab = *state;

	/* 198.51.100.2 does not exist. */
	assert_int_equal(system("ip link add pit0 type veth peer name pit1 && ip link set pit0 up &&"
				" ip link set pit1 up && ip addr add 198.51.100.1/24 dev pit0 &&"
				" sysctl -qw net.ipv4.ping_group_range='0 0'"),
			 0);
	ping_both(lab, 1);
	assert_int_equal(system("sysctl -qw net.ipv4.ping_group_range='1 0'"), 0);
	ping_both(lab, 11);
	assert_int_equal(system("ip link del pit0"), 0);
}

/* Sends echo replies with a wrong cookie; the kernel does not answer. */
static void on_echo(evutil_socket_t fd, short events, void *arg)
{
	(void)events;
	unsigned int *n = arg;
	uint8_t packet[128];
	struct sockaddr_in from;
	socklen_t length = sizeof(from);

	ssize_t bytes = recvfrom(fd, packet, sizeof(packet), 0, (struct sockaddr *)&from, &length);
	if (bytes < 20 + 16 || packet[20] != 8)
		return;
	(*n)++;
	packet[20] = 0;	     /* an echo reply */
	packet[20 + 8] ^= 1; /* with a wrong cookie */
	packet[20 + 2] = packet[20 + 3] = 0;
	uint32_t sum = 0;
	for (ssize_t i = 20; i < bytes; i += 2)
		sum += (uint32_t)(packet[i] << 8 | packet[i + 1]);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	packet[20 + 2] = (uint8_t)(sum >> 8);
	packet[20 + 3] = (uint8_t)sum;
	sendto(fd, packet + 20, (size_t)bytes - 20, 0, (struct sockaddr *)&from, length);
}

static void test_icmp_ignores_replies_to_other_requests(void **state)
{
	struct health_lab *lab = *state;
	unsigned int n = 0;
	int fd = socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK, IPPROTO_ICMP);
	struct event *event = event_new(lab->base, fd, EV_READ | EV_PERSIST, on_echo, &n);
	struct berth_health_target target = target_with(1, "127.0.0.1", 0, BERTH_HEALTH_ICMP);

	event_add(event, NULL);
	assert_int_equal(system("sysctl -qw net.ipv4.icmp_echo_ignore_all=1 net.ipv4.ping_group_range='1 0'"), 0);
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 0, 3000);
	assert_true(n > 0);
	assert_int_equal(system("sysctl -qw net.ipv4.icmp_echo_ignore_all=0"), 0);
	event_free(event);
	close(fd);
}

/* --- exec --- */

static void set_command(const struct berth_health_target *target, const char *script)
{
	struct berth_health_config *check = check_of(target);
	const char *words[] = {"/bin/sh", "-c", script};

	check->timeout_ms = 1000;
	for (size_t i = 0; i < 3; i++) {
		memcpy(check->command + check->command_bytes, words[i], strlen(words[i]) + 1);
		check->command_bytes = (uint16_t)(check->command_bytes + strlen(words[i]) + 1);
	}
}

static bool has_children(void)
{
	char pids[256] = "", helper[16];
	int fd = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0 && read(fd, pids, sizeof(pids) - 1) >= 0);
	close(fd);
	snprintf(helper, sizeof(helper), "%d ", (int)helper_pid);
	return strcmp(pids, helper_pid ? helper : "") != 0;
}

static void test_exec_depends_on_the_exit_status(void **state)
{
	struct health_lab *lab = *state;
	static const struct {
		const char *script;
		int up;
		const char *reason;
	} cases[] = {
		{"exit 0", 1, "exited with status 0 in "},
		{"exit 7", 0, "exited with status 7"},
		{"kill -9 $$", 0, "killed by signal 9"},
		{"exec sleep 100", 0, "no exit within 200 ms"},
		/* The program inherits only what is intended. */
		{"test $(ls /proc/self/fd | wc -l) = 4 && test $(pwd) = / && test -z \"$HOME\"", 1,
		 "exited with status 0 in "},
		{"test $(readlink /proc/$$/fd/0) = /dev/null && test $(readlink /proc/$$/fd/2) = /dev/null", 1,
		 "exited with status 0 in "},
		{"trap 'exit 0' TERM; kill $$; sleep 1; exit 1", 1, "exited with status 0 in "},
		{"test $BERTH_SERVICE/$BERTH_BACKEND/$BERTH_ADDRESS/$BERTH_PORT = web/b1/2001:db8::1/80", 1,
		 "exited with status 0 in "},
	};
	enum {
		CASES = sizeof(cases) / sizeof(cases[0])
	};
	struct berth_health_target targets[CASES];
	sigset_t blocked;
	int leak = dup(0);

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	for (size_t i = 0; i < CASES; i++) {
		targets[i] = target_with(i + 1, "2001:db8::1", 80, BERTH_HEALTH_EXEC);
		set_command(&targets[i], cases[i].script);
	}
	check_of(&targets[3])->timeout_ms = 200;
	assert_int_equal(berth_health_set(lab->health, targets, CASES), 0);
	for (size_t i = 0; i < CASES; i++) {
		wait_for(lab, i + 1, cases[i].up, 5000);
		assert_memory_equal(lab->reports[i + 1].reason, cases[i].reason, strlen(cases[i].reason));
	}
	sigprocmask(SIG_UNBLOCK, &blocked, NULL);
	close(leak);
}

/* 16 programs in each of two pools (HEAVY_SLOTS), and 64 killed ones that have not exited yet (MAX_KILLED): on a
 * busy machine a killed program takes a while to exit. More targets hang than that, so a missing limit shows. */
enum {
	EXEC_DESCRIPTORS = 2 * 16 + 64,
	EXEC_TARGETS = EXEC_DESCRIPTORS + 24,
	EXEC_LEAVES = 8, /* one program in so many leaves a child and exits; the others hang */
};

static size_t start_exec_targets(struct health_lab *lab, const char *hangs, const char *leaves)
{
	struct berth_health_target targets[EXEC_TARGETS];
	size_t most = 0;

	for (uint64_t i = 0; i < EXEC_TARGETS; i++) {
		targets[i] = target_with(i + 1, "192.0.2.1", (uint16_t)(i + 1), BERTH_HEALTH_EXEC);
		set_command(&targets[i], i % EXEC_LEAVES ? hangs : leaves);
		check_of(&targets[i])->timeout_ms = 100;
	}
	assert_int_equal(berth_health_set(lab->health, targets, EXEC_TARGETS), 0);
	for (uint64_t id = 1; id <= EXEC_TARGETS; id++) {
		int up = id % EXEC_LEAVES == 1;
		for (int i = 0; i < 4000 && (!lab->reports[id].calls || lab->reports[id].up != up); i++) {
			run_for(lab, 5);
			most = MAX(most, open_descriptors());
		}
		assert_int_equal(lab->reports[id].up, up);
	}
	return most;
}

static void test_exec_leaves_no_process_and_no_zombie(void **state)
{
	struct health_lab *lab = *state;
	size_t before = open_descriptors();
	char hangs[64], leaves[64], none_is_left[160];

	/* Unique per process, since the test may run twice at a time; killed processes may need a moment to exit.
	 */
	snprintf(hangs, sizeof(hangs), "sleep 1234.%d & sleep 1234.%d", (int)getpid(), (int)getpid());
	snprintf(leaves, sizeof(leaves), "sleep 1234.%d & exit 0", (int)getpid());
	snprintf(none_is_left, sizeof(none_is_left),
		 "for i in $(seq 50); do pgrep -f '[s]leep 1234[.]%d' >/dev/null || exit 0; sleep 0.02; done; exit "
		 "1",
		 (int)getpid());
	assert_in_range(start_exec_targets(lab, hangs, leaves), before + 1, before + EXEC_DESCRIPTORS);
	assert_int_equal(berth_health_set(lab->health, NULL, 0), 0);
	for (int i = 0; i < 100 && has_children(); i++)
		run_for(lab, 10);
	assert_false(has_children());
	assert_int_equal(open_descriptors(), before);
	assert_int_equal(system(none_is_left), 0);
}

/* The kernel's word: the ids, no groups but the account's, no capability, none to gain; also as root. */
static void test_exec_runs_as_its_user_without_privileges(void **state)
{
	struct health_lab *lab = *state;
	static const char script[] =
		"s=/proc/self/status; test \"$(id -u) $(id -g) $(id -G)\" = \"$0\" || exit 11; "
		"test $(grep -c 'Cap[IPEBA].*:.0000000000000000$' $s) = 5 || exit 12; "
		"grep -q 'NoNewPrivs:.1' $s || exit 13";
	static const struct berth_account accounts[] = {
		{.uid = 65534, .gid = 65534, .n_groups = 1, .groups = {65534}},
		{.uid = 1, .gid = 1, .n_groups = 2, .groups = {1, 4}},
		{.uid = 0, .gid = 0, .n_groups = 1, .groups = {0}},
	};
	static const char *const ids[] = {"65534 65534 65534", "1 1 1 4", "0 0 0"};
	struct berth_health_target targets[3];

	for (uint64_t i = 0; i < 3; i++) {
		targets[i] = target_with(i + 1, "192.0.2.1", 80, BERTH_HEALTH_EXEC);
		struct berth_health_config *check = check_of(&targets[i]);
		set_command(&targets[i], script);
		check->account = accounts[i];
		memcpy(check->command + check->command_bytes, ids[i], strlen(ids[i]) + 1);
		check->command_bytes = (uint16_t)(check->command_bytes + strlen(ids[i]) + 1);
	}
	assert_int_equal(berth_health_set(lab->health, targets, 3), 0);
	for (uint64_t id = 1; id <= 3; id++) {
		assert_true(wait_until(lab->reports[id].calls > 0, 3000, run_for(lab, 5)));
		assert_memory_equal(lab->reports[id].reason, "exited with status 0 in ", 24);
	}
	assert_int_equal(geteuid(), 0);
}

static void test_a_program_that_cannot_run_counts_as_failed(void **state)
{
	struct health_lab *lab = *state;
	struct berth_health_target target = target_with(1, "192.0.2.1", 80, BERTH_HEALTH_EXEC);
	const char *missing = "/nonexistent/check";

	memcpy(check_of(&target)->command, missing, strlen(missing) + 1);
	check_of(&target)->command_bytes = (uint16_t)(strlen(missing) + 1);
	target.initial = 1;
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 0, 3000);
	assert_int_equal(status_of(lab, 1).error, BERTH_HEALTH_MISCONFIGURED);
	assert_int_equal(lab->reports[1].errors, 1);
	assert_true(status_of(lab, 1).errors >= check_of(&target)->fall);
	assert_true(status_of(lab, 1).failures >= check_of(&target)->fall);
	assert_string_equal(status_of(lab, 1).reason, "cannot run /nonexistent/check: No such file or directory");
	assert_false(has_children());
}

static void test_a_ca_file_that_cannot_be_read_counts_as_failed(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 8);
	struct berth_health_target target = target_with(1, "127.0.0.1", port, BERTH_HEALTH_HTTPS);

	snprintf(check_of(&target)->ca, BERTH_HEALTH_TEXT_BYTES, "/nonexistent/ca.pem");
	check_of(&target)->timeout_ms = 2000;
	target.initial = 1;
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 0, 3000);
	assert_int_equal(status_of(lab, 1).error, BERTH_HEALTH_MISCONFIGURED);
	assert_non_null(strstr(status_of(lab, 1).reason, "/nonexistent/ca.pem"));
	close(fd);
}

static void test_programs_get_names_so_two_services_have_two_probes(void **state)
{
	struct health_lab *lab = *state;
	char directory[] = "/tmp/berth-health-XXXXXX", script[128];
	struct berth_health_target targets[2];
	struct stat of;

	assert_non_null(mkdtemp(directory));
	snprintf(script, sizeof(script), ": >%s/$BERTH_SERVICE-$BERTH_BACKEND", directory);
	for (uint64_t i = 0; i < 2; i++) {
		targets[i] = target_with(i + 1, "192.0.2.1", 80, BERTH_HEALTH_EXEC);
		set_command(&targets[i], script);
		targets[i].service = i ? "shop" : "web";
	}
	assert_int_equal(berth_health_set(lab->health, targets, 2), 0);
	for (uint64_t id = 1; id <= 2; id++)
		wait_for(lab, id, 1, 3000);
	for (int i = 0; i < 2; i++) {
		snprintf(script, sizeof(script), "%s/%s-b1", directory, i ? "shop" : "web");
		assert_int_equal(stat(script, &of), 0);
		unlink(script);
	}
	assert_int_equal(rmdir(directory), 0);
}

/* --- agents --- */

static struct {
	struct berth_agent_words said;
	unsigned int calls;
	char line[BERTH_AGENT_LINE_BYTES];
} heard[3];

static void on_agent(void *arg, uint64_t id, const struct berth_agent_words *said, const char *line)
{
	(void)arg;
	assert_in_range(id, 1, 2);
	heard[id].said = *said;
	heard[id].calls++;
	snprintf(heard[id].line, sizeof(heard[id].line), "%s", line);
}

static struct berth_agent_status agent_of(const struct health_lab *lab, uint64_t id)
{
	struct berth_agent_status status;
	assert_true(berth_health_get_agent(lab->health, id, &status));
	return status;
}

/* Targets 1 to n, each a check that is always up and the same agent. */
static void set_agents(struct health_lab *lab, uint64_t n, uint16_t port, uint32_t timeout_ms)
{
	struct berth_health_target targets[4];
	assert_in_range(n, 1, 2);
	for (uint64_t id = 1; id <= n; id++) {
		targets[id - 1] = target_with(id, "127.0.0.1", 80, BERTH_HEALTH_NONE);
		check_of(&targets[id - 1])->agent_port = port;
		check_of(&targets[id - 1])->agent_interval_ms = 50;
		check_of(&targets[id - 1])->agent_timeout_ms = timeout_ms;
		targets[n + id - 1] = targets[id - 1];
		targets[n + id - 1].id = berth_health_agent_id(id);
		targets[n + id - 1].is_agent = true;
	}
	berth_health_set_agent_fn(lab->health, on_agent);
	assert_int_equal(berth_health_set(lab->health, targets, 2 * n), 0);
}

static int accept_one(struct health_lab *lab, int fd)
{
	int peer = -1;
	assert_true(wait_until((peer = accept(fd, NULL, NULL)) >= 0, 20000, run_for(lab, 5)));
	return peer;
}

static uint64_t reads_of(const struct health_lab *lab)
{
	const struct berth_agent_status status = agent_of(lab, 1);
	return status.lines + status.refused + status.silences;
}

/* Answers one read with these bytes, and waits until it has ended. */
static void say(struct health_lab *lab, int fd, const char *bytes, size_t n, bool closes)
{
	const int peer = accept_one(lab, fd);
	const uint64_t before = reads_of(lab);
	assert_int_equal(send(peer, bytes, n, MSG_NOSIGNAL), n);
	if (closes)
		shutdown(peer, SHUT_WR);
	assert_true(wait_until(reads_of(lab) > before, 20000, run_for(lab, 5)));
	close(peer);
}

static void test_what_an_agent_says_is_reported_when_it_changes(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	char flood[4000];
	int fd = listen_on("127.0.0.1", &port, 8);
	memset(heard, 0, sizeof(heard));
	memset(flood, 'u', sizeof(flood));
	set_agents(lab, 1, port, 60000);
	say(lab, fd, "75% up\n", strlen("75% up\n"), false);
	set_agents(lab, 2, port, 60000); /* the second one gets what was said before */
	assert_int_equal(heard[2].calls, 1);
	say(lab, fd, "75% up\n", strlen("75% up\n"), false);
	for (uint64_t id = 1; id <= 2; id++) { /* one read for both */
		assert_int_equal(heard[id].calls, 1);
		assert_int_equal(heard[id].said.percent, 75);
		assert_string_equal(heard[id].line, "75% up");
	}
	say(lab, fd, "drain # no line end", strlen("drain # no line end"), true);
	assert_int_equal(heard[1].said.admin, BERTH_AGENT_DRAIN);
	assert_int_equal(heard[1].said.percent, 75);
	assert_int_equal(heard[1].calls, 2);
	/* None of these changes anything. */
	say(lab, fd, "10000%\r\n", 8, false);
	assert_string_equal(agent_of(lab, 1).reason, "refused: \"10000%\" is more than 200%");
	say(lab, fd, "\x1b]0;x\x07\n", 7, false);
	say(lab, fd, flood, sizeof(flood), false);
	assert_string_equal(agent_of(lab, 1).reason, "refused: the line is longer than 127 bytes");
	say(lab, fd, "", 0, true);
	assert_string_equal(agent_of(lab, 1).reason, "closed without a line");
	const struct berth_agent_status status = agent_of(lab, 2);
	assert_int_equal(status.lines, 3);
	assert_int_equal(status.refused, 3);
	assert_int_equal(status.silences, 1);
	assert_int_equal(status.misses, 4);
	assert_string_equal(status.line, "drain # no line end");
	close(fd);
	assert_true(wait_until(agent_of(lab, 1).silences > 1, 20000, run_for(lab, 5)));
	assert_int_equal(heard[1].calls, 2);
	assert_int_equal(heard[2].calls, 2);
	assert_int_equal(lab->reports[1].up, 1);
	assert_int_equal(lab->reports[1].errors, 0);
}

static void accept_and_say_half(struct health_lab *lab, int fd)
{
	int peer;
	run_for(lab, 5);
	while ((peer = accept(fd, NULL, NULL)) >= 0)
		assert_int_equal(send(peer, "up but slo", strlen("up but slo"), MSG_NOSIGNAL),
				 strlen("up but slo")); /* stays open to the end of the test */
}

static void test_an_agent_that_does_not_end_its_line_is_silent(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 8);
	memset(heard, 0, sizeof(heard));
	set_agents(lab, 2, port, 200);
	assert_true(wait_until(strcmp(agent_of(lab, 1).reason, "no whole line within 200 ms") == 0, 20000,
			       accept_and_say_half(lab, fd)));
	assert_true(agent_of(lab, 1).silences > 0);
	assert_int_equal(agent_of(lab, 1).lines, 0);
	assert_int_equal(heard[1].calls, 0);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_text_is_found_across_pieces),
		TEST(test_udp_is_up_after_any_answer_or_the_expected_one),
		TEST(test_udp_is_down_at_once_if_the_port_is_closed),
		TEST(test_icmp_works_with_ping_sockets_and_without),
		TEST(test_icmp_ignores_replies_to_other_requests),
		TEST(test_exec_depends_on_the_exit_status),
		TEST(test_exec_leaves_no_process_and_no_zombie),
		TEST(test_exec_runs_as_its_user_without_privileges),
		TEST(test_a_program_that_cannot_run_counts_as_failed),
		TEST(test_a_ca_file_that_cannot_be_read_counts_as_failed),
		TEST(test_programs_get_names_so_two_services_have_two_probes),
		TEST(test_what_an_agent_says_is_reported_when_it_changes),
		TEST(test_an_agent_that_does_not_end_its_line_is_silent),
	};

	if (!enter_namespace())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
