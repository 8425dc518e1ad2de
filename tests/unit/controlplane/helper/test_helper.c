/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The helper process for probes: what it may do, and that no end of it changes a verdict. The test's own program is
 * the helper in cases where it sends what it must not send.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "controlplane/dns/remote.h"
#include "controlplane/health/probe.h"
#include "controlplane/helper/stream.h"
#include "tests/unit/controlplane/health/health_lab.h"

enum {
	MANY = 2000,
};

/* One contrary result is enough, so that a wrong one shows. */
static struct berth_health_target probed(uint64_t id, const char *address, uint16_t port)
{
	struct berth_health_target target = target_of(id, address, port);
	check_of(&target)->interval_ms = 100;
	check_of(&target)->timeout_ms = 300;
	check_of(&target)->rise = check_of(&target)->fall = 1;
	check_of(&target)->stale_ms = 20000;
	return target;
}

static const struct berth_helper_status *helper_of(const struct health_lab *lab)
{
	return berth_helper_status(lab->helper);
}

/* --- what it may do --- */

static void expect_line(const char *text, const char *line)
{
	if (!strstr(text, line))
		fail_msg("\"%s\" is not in\n%s", line, text);
}

static void read_status(const struct health_lab *lab, char text[8192])
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)helper_of(lab)->pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ssize_t n = read(fd, text, 8191);
	assert_true(n > 0);
	text[n] = '\0';
	close(fd);
}

static void test_the_helper_has_no_privilege_and_no_files(void **state)
{
	struct health_lab *lab = *state;
	char path[64], text[8192] = "", root[256] = "";
	read_status(lab, text);
	expect_line(text, "Uid:\t61180\t61180\t61180\t61180\n");
	expect_line(text, "Gid:\t61180\t61180\t61180\t61180\n");
	expect_line(text, "Groups:\t \n");
	expect_line(text, "CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n"
			  "CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n");
	snprintf(path, sizeof(path), "/proc/%d/root", (int)helper_of(lab)->pid);
	assert_true(readlink(path, root, sizeof(root) - 1) > 0);
	assert_non_null(strstr(root, "/helper-"));
	assert_non_null(strstr(root, " (deleted)"));
	DIR *dir = opendir(path);
	assert_non_null(dir);
	for (const struct dirent *entry; (entry = readdir(dir));)
		assert_int_equal(entry->d_name[0], '.');
	closedir(dir);
}

/* --- its end --- */

static void start_many(struct health_lab *lab, int *fd)
{
	static struct berth_health_target targets[MANY];
	uint16_t port = 0;
	*fd = listen_on("0.0.0.0", &port, 4096);
	for (int i = 0; i < MANY; i++) {
		char text[32];
		snprintf(text, sizeof(text), "127.1.%d.%d", i / 250, i % 250 + 1);
		targets[i] = probed((uint64_t)i + 1, text, port);
		check_of(&targets[i])->interval_ms = 500;
		check_of(&targets[i])->timeout_ms = 400;
	}
	assert_int_equal(berth_health_set(lab->health, targets, MANY), 0);
	for (uint64_t id = 1; id <= MANY; id++) {
		wait_for(lab, id, 1, 5000);
		accept_all(*fd);
	}
}

static void run_with_server(struct health_lab *lab, int fd, uint64_t ms)
{
	for (uint64_t i = 0; i < ms; i += 20) {
		run_for(lab, 20);
		accept_all(fd);
	}
}

static void expect_all_up_and_probed(struct health_lab *lab, int fd)
{
	static uint64_t probes[MANY + 1];
	for (uint64_t id = 1; id <= MANY; id++) {
		probes[id] = status_of(lab, id).probes;
		assert_int_equal(lab->reports[id].calls, 1);
		assert_int_equal(lab->reports[id].up, 1);
		assert_int_equal(status_of(lab, id).failures, 0);
	}
	run_with_server(lab, fd, 1500);
	for (uint64_t id = 1; id <= MANY; id++) {
		assert_true(status_of(lab, id).probes > probes[id]);
		assert_int_equal(status_of(lab, id).error, BERTH_HEALTH_NO_ERROR);
		assert_int_equal(lab->reports[id].calls, 1);
	}
}

static void test_a_killed_helper_is_started_again_and_no_verdict_changes(void **state)
{
	struct health_lab *lab = *state;
	int fd;
	start_many(lab, &fd);
	for (uint64_t i = 1; i <= 5; i++) {
		const pid_t pid = helper_of(lab)->pid;
		assert_true(pid > 0);
		kill(pid, SIGKILL);
		assert_true(wait_until(helper_of(lab)->restarts == i && helper_of(lab)->pid, 8000,
				       run_with_server(lab, fd, 20)));
		assert_string_equal(helper_of(lab)->fault, "killed by signal 9");
		run_with_server(lab, fd, 300);
	}
	expect_all_up_and_probed(lab, fd);
	close(fd);
}

static void test_a_stopped_helper_is_replaced_and_no_verdict_changes(void **state)
{
	struct health_lab *lab = *state;
	int fd;
	start_many(lab, &fd);
	kill(helper_of(lab)->pid, SIGSTOP);
	assert_true(wait_until(helper_of(lab)->restarts == 1 && helper_of(lab)->pid, 8000,
			       run_with_server(lab, fd, 20)));
	assert_string_equal(helper_of(lab)->fault, "it did not answer for 2 s");
	run_with_server(lab, fd, 1000);
	expect_all_up_and_probed(lab, fd);
	close(fd);
}

/* A server that is silent while the helper is stopped is not down. */
static void test_a_helper_that_was_stopped_for_a_moment_blames_no_server(void **state)
{
	struct health_lab *lab = *state;
	int fd;
	start_many(lab, &fd);
	for (int i = 0; i < 3; i++) {
		kill(helper_of(lab)->pid, SIGSTOP);
		run_with_server(lab, fd, 1200);
		kill(helper_of(lab)->pid, SIGCONT);
		run_with_server(lab, fd, 800);
	}
	assert_int_equal(helper_of(lab)->restarts, 0);
	expect_all_up_and_probed(lab, fd);
	close(fd);
}

static void test_a_server_that_fails_meanwhile_is_found_by_the_next_helper(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 64);
	struct berth_health_target target = probed(1, "127.0.0.1", port);
	assert_int_equal(berth_health_set(lab->health, &target, 1), 0);
	wait_for(lab, 1, 1, 3000);
	kill(helper_of(lab)->pid, SIGKILL);
	close(fd);
	wait_for(lab, 1, 0, 3000);
	assert_string_equal(lab->reports[1].reason, "connection refused");
}

static void test_without_a_helper_the_state_is_kept_until_stale(void **state)
{
	struct health_lab *lab = *state;
	uint16_t port = 0;
	int fd = listen_on("127.0.0.1", &port, 64);
	const struct berth_helper_options options = {
		.program = "/nonexistent/berth-helper", .name = "probes", .run_dir = "/tmp"};
	struct berth_helper *none = berth_helper_new(lab->base, &options);
	struct berth_health *health = berth_health_new(lab->base, none, on_change, lab);
	struct berth_health_target target = probed(1, "127.0.0.1", port);
	struct berth_health_status status;
	berth_health_set_error_fn(health, on_error);
	check_of(&target)->stale_ms = 1000;
	target.initial = 1;
	assert_int_equal(berth_health_set(health, &target, 1), 0);
	assert_true(wait_until(lab->reports[1].errors > 0, 3000, run_for(lab, 5)));
	assert_int_equal(lab->reports[1].error, BERTH_HEALTH_HOST_ERROR);
	assert_true(berth_health_get(health, 1, &status) && status.up == 1);
	assert_string_equal(status.reason,
			    "berth's helper for probes does not run: it cannot be started: No such file "
			    "or directory");
	wait_for(lab, 1, 0, 3000);
	berth_health_free(health);
	berth_helper_free(none);
	close(fd);
}

/* --- a helper that was taken over --- */

struct lie {
	const char *name;
	const char *fault;
};

static const struct lie lies[] = {
	{"short", "it sent a message of wrong length"},
	{"length", "it sent a message of wrong length"},
	{"second", "it sent a message of wrong length"},
	{"long", "it sent a message of wrong length"},
	{"descriptor", "it sent a message of wrong length"},
	{"version", "it sent a message of another version of berth"},
	{"type", "it sent an invalid message"},
	{"result", "it sent an invalid message"},
	{"pending", "it sent an invalid message"},
	{"reason", "it sent an invalid message"},
	{"size", "it sent an invalid message"},
	{"pong", "it sent an invalid message"},
};

/* Sends the named lie; the rest of the message is right. */
static void tell(const char *name)
{
	static uint8_t bytes[BERTH_HELPER_MESSAGE_BYTES + 64];
	struct berth_helper_probed *message = (struct berth_helper_probed *)bytes;
	size_t size = sizeof(*message);
	union {
		struct cmsghdr header;
		uint8_t space[CMSG_SPACE(sizeof(int))];
	} control = {.header = {CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS}};
	message->header = (struct berth_helper_header){BERTH_HELPER_VERSION, BERTH_HELPER_PROBED, sizeof(*message),
						       7};
	message->result = BERTH_PROBE_FAILURE;
	if (!strcmp(name, "short"))
		size = 8;
	if (!strcmp(name, "length"))
		message->header.bytes++;
	if (!strcmp(name, "long"))
		size = message->header.bytes = sizeof(bytes);
	if (!strcmp(name, "second"))
		size += 8;
	if (!strcmp(name, "version"))
		message->header.version++;
	if (!strcmp(name, "type"))
		message->header.type = BERTH_HELPER_PING;
	if (!strcmp(name, "result"))
		message->result = BERTH_PROBE_RESULTS;
	if (!strcmp(name, "pending"))
		message->result = BERTH_PROBE_PENDING;
	if (!strcmp(name, "reason"))
		memset(message->reason, 'x', sizeof(message->reason));
	if (!strcmp(name, "size"))
		size = message->header.bytes = sizeof(*message) + 8;
	if (!strcmp(name, "pong"))
		message->header.type = BERTH_HELPER_PONG;
	struct iovec piece = {bytes, size};
	struct msghdr header = {.msg_iov = &piece, .msg_iovlen = 1};
	if (!strcmp(name, "descriptor")) {
		memset(CMSG_DATA(&control.header), 0, sizeof(int));
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
	}
	sendmsg(3, &header, MSG_NOSIGNAL);
	pause();
}

static void test_a_helper_that_sends_what_is_invalid_is_ended(void **state)
{
	struct health_lab *lab = *state;
	char self[256] = "";
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		const struct berth_helper_options options = {
			.program = self, .name = lies[i].name, .run_dir = "/tmp"};
		struct berth_helper *helper = berth_helper_new(lab->base, &options);
		struct berth_health *health = berth_health_new(lab->base, helper, on_change, lab);
		struct berth_health_target target = probed(1, "127.0.0.1", 9);
		target.initial = 1;
		assert_int_equal(berth_health_set(health, &target, 1), 0);
		if (!wait_until(berth_helper_status(helper)->restarts >= 2, 5000, run_for(lab, 5)))
			fail_msg("%s is accepted", lies[i].name);
		assert_string_equal(berth_helper_status(helper)->fault, lies[i].fault);
		assert_true(lab->reports[1].calls == 0 || lab->reports[1].up == 1);
		berth_health_free(health);
		berth_helper_free(helper);
		lab->reports[1] = (struct report){0};
	}
}

/* The same of lookups: the members that only they have. */
static const char *const dns_lies[] = {"dns-type",   "dns-status", "dns-pending", "dns-number", "dns-length",
				       "dns-family", "dns-empty",  "dns-error",	  "dns-size"};

static void tell_of_dns(const char *name)
{
	static struct berth_helper_looked_up message;
	message.header = (struct berth_helper_header){BERTH_HELPER_VERSION, BERTH_HELPER_LOOKED_UP, 0, 1};
	message.type = BERTH_DNS_AAAA;
	message.status = BERTH_DNS_FOUND;
	message.n = 1;
	message.addresses[0].byte[0] = 0x20;
	size_t n = 1;
	if (!strcmp(name, "dns-type"))
		message.type = BERTH_DNS_TYPES;
	if (!strcmp(name, "dns-status"))
		message.status = BERTH_DNS_FAILED + 1;
	if (!strcmp(name, "dns-pending"))
		message.status = BERTH_DNS_PENDING;
	if (!strcmp(name, "dns-number"))
		message.n = BERTH_HELPER_DNS_ADDRESSES + 1;
	if (!strcmp(name, "dns-length"))
		message.n = 2;
	if (!strcmp(name, "dns-family"))
		message.type = BERTH_DNS_A;
	if (!strcmp(name, "dns-empty"))
		message.n = 0, n = 0;
	if (!strcmp(name, "dns-error"))
		memset(message.error, 'x', sizeof(message.error));
	message.header.bytes = (uint32_t)berth_helper_looked_up_bytes(n);
	if (!strcmp(name, "dns-size"))
		message.header.bytes -= 100;
	send(3, &message, message.header.bytes, MSG_NOSIGNAL);
	pause();
}

static void expect_no_result(void *arg, const struct berth_dns_result results[BERTH_DNS_TYPES], bool ended)
{
	(void)arg;
	for (int type = 0; ended && type < BERTH_DNS_TYPES; type++)
		assert_int_equal(results[type].status, BERTH_DNS_FAILED);
	if (ended)
		berth_dns_request_free(*(struct berth_dns_request **)arg);
}

static void test_invalid_answers_of_lookups_end_the_helper(void **state)
{
	struct health_lab *lab = *state;
	const struct berth_dns_config config = {.timeout_ms = 100};
	struct berth_dns_request *request;
	char self[256] = "";
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	for (size_t i = 0; i < sizeof(dns_lies) / sizeof(dns_lies[0]); i++) {
		const struct berth_helper_options options = {
			.program = self, .name = dns_lies[i], .run_dir = "/tmp"};
		struct berth_helper *helper = berth_helper_new(lab->base, &options);
		struct berth_dns_remote *remote = berth_dns_remote_new(helper);
		request = berth_dns_request_new(remote, &config, "x.test", expect_no_result, &request);
		assert_non_null(request);
		if (!wait_until(berth_helper_status(helper)->restarts >= 1, 5000, run_for(lab, 5)))
			fail_msg("%s is accepted", dns_lies[i]);
		assert_string_equal(berth_helper_status(helper)->fault, "it sent an invalid message");
		berth_dns_remote_free(remote);
		berth_helper_free(helper);
	}
}

/* --- helpers that systemd starts --- */

/* In the place of systemd: a socket in a directory, and a program for each connection to it, as descriptor 3. */
struct activator {
	char dir[32];
	char path[64];
	pid_t pid;
	int started[2]; /* a pipe with the id of each process */
};

static void run_activator(const struct activator *activator, int listener, const char *program, const char *name)
{
	const pid_t own = getpid();
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	for (int fd; (fd = accept(listener, NULL, NULL)) >= 0; close(fd)) {
		const pid_t pid = fork();
		if (pid > 0 && write(activator->started[1], &pid, sizeof(pid)) == sizeof(pid))
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* The activator may have ended before. */
		if (getppid() != own)
			_exit(1);
		signal(SIGCHLD, SIG_DFL);
		if (dup2(fd, 3) == 3 && close_range(4, ~0U, 0) == 0)
			execl(program, program, name, activator->dir, NULL);
		_exit(127);
	}
	_exit(1);
}

static void start_activator(struct activator *activator, const char *program, const char *name)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(activator->dir, sizeof(activator->dir), "/tmp/berth-test-XXXXXX");
	assert_non_null(mkdtemp(activator->dir));
	snprintf(activator->path, sizeof(activator->path), "%s/berth-helper.socket", activator->dir);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", activator->path);
	int listener = socket(AF_UNIX, SOCK_SEQPACKET, 0);
	assert_int_equal(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 8), 0);
	assert_int_equal(pipe(activator->started), 0);
	activator->pid = fork();
	if (activator->pid == 0)
		run_activator(activator, listener, program, name);
	assert_true(activator->pid > 0);
	close(listener);
}

static void stop_activator(const struct activator *activator)
{
	kill(activator->pid, SIGKILL);
	waitpid(activator->pid, NULL, 0);
	close(activator->started[0]);
	close(activator->started[1]);
	unlink(activator->path);
	rmdir(activator->dir);
}

static pid_t parent_of(pid_t pid)
{
	char path[64], text[512] = "";
	int parent = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	const char *after_name = strrchr(text, ')');
	assert_non_null(after_name);
	assert_int_equal(sscanf(after_name, ") %*c %d", &parent), 1);
	return parent;
}

static void test_a_helper_of_systemd_is_killed_when_it_hangs_and_connected_again(void **state)
{
	struct health_lab *lab = *state;
	struct activator systemd;
	start_activator(&systemd, getenv("BERTH_TEST_HELPER"), "0-1-0");
	const struct berth_helper_options options = {
		.program = "/nonexistent/berth-helper", .name = "probes", .run_dir = systemd.dir};
	struct berth_helper *helper = berth_helper_new(lab->base, &options);
	const struct berth_helper_status *status = berth_helper_status(helper);
	assert_true(status->is_running);
	assert_true(wait_until(status->pid, 5000, run_for(lab, 5)));
	const pid_t former = status->pid;
	assert_int_equal(parent_of(former), systemd.pid);
	kill(former, SIGSTOP);
	assert_true(wait_until(status->restarts == 1 && status->pid, 8000, run_for(lab, 5)));
	assert_string_equal(status->fault, "it did not answer for 2 s");
	assert_int_equal(kill(former, 0), -1);
	assert_int_equal(parent_of(status->pid), systemd.pid);
	/* Its end is seen; how it ended only systemd knows. */
	kill(status->pid, SIGKILL);
	assert_true(wait_until(status->restarts == 2 && status->pid, 8000, run_for(lab, 5)));
	assert_string_equal(status->fault, "see journalctl -u 'berth-helper@*'");
	berth_helper_free(helper);
	stop_activator(&systemd);
}

static void test_a_helper_of_systemd_that_sends_what_is_invalid_is_killed(void **state)
{
	static const struct lie lies_of_systemd[] = {
		{"short", "it sent a message of wrong length"},
		{"descriptor", "it sent a message of wrong length"},
		{"pong", "it sent an invalid message"},
	};
	struct health_lab *lab = *state;
	char self[256] = "";
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	for (size_t i = 0; i < sizeof(lies_of_systemd) / sizeof(lies_of_systemd[0]); i++) {
		struct activator systemd;
		start_activator(&systemd, self, lies_of_systemd[i].name);
		const struct berth_helper_options options = {
			.program = "/nonexistent/berth-helper", .name = "probes", .run_dir = systemd.dir};
		struct berth_helper *helper = berth_helper_new(lab->base, &options);
		assert_true(wait_until(berth_helper_status(helper)->restarts == 1, 5000, run_for(lab, 1)));
		assert_string_equal(berth_helper_status(helper)->fault, lies_of_systemd[i].fault);
		pid_t first;
		assert_int_equal(read(systemd.started[0], &first, sizeof(first)), sizeof(first));
		assert_true(wait_until(kill(first, 0) != 0, 5000, usleep(1000)));
		berth_helper_free(helper);
		stop_activator(&systemd);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(test_the_helper_has_no_privilege_and_no_files),
		TEST(test_a_killed_helper_is_started_again_and_no_verdict_changes),
		TEST(test_a_stopped_helper_is_replaced_and_no_verdict_changes),
		TEST(test_a_helper_that_was_stopped_for_a_moment_blames_no_server),
		TEST(test_a_server_that_fails_meanwhile_is_found_by_the_next_helper),
		TEST(test_without_a_helper_the_state_is_kept_until_stale),
		TEST(test_a_helper_that_sends_what_is_invalid_is_ended),
		TEST(test_invalid_answers_of_lookups_end_the_helper),
		TEST(test_a_helper_of_systemd_is_killed_when_it_hangs_and_connected_again),
		TEST(test_a_helper_of_systemd_that_sends_what_is_invalid_is_killed),
	};
	if (argc == 3 && strncmp(argv[1], "dns-", 4) == 0)
		tell_of_dns(argv[1]);
	if (argc == 3)
		tell(argv[1]);
	if (!enter_namespace())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
