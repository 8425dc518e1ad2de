/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * 5,000 backends probed each second on one core, one probe for each of them on its own connection. The servers are
 * a process of their own on loopback. Measured is this process's CPU time, which other work on the machine does not
 * change much, and which holds most of what the kernel does for both ends.
 */

#include <arpa/inet.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "tests/unit/controlplane/health/health_lab.h"

enum {
	BACKENDS = 5000,
	SECONDS = 3,
	TIMES = 4,
	A_SECOND = 5000, /* of CPU time */
};

static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

/* Accepts connections and answers each request; the peer resets the connection. */
static void serve(int listener)
{
	struct epoll_event events[64] = {{.events = EPOLLIN, .data.fd = listener}};
	int epoll = epoll_create1(0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &events[0]);
	for (;;) {
		int n = epoll_wait(epoll, events, 64, -1);
		for (int i = 0; i < n; i++) {
			char request[1024];
			int fd = events[i].data.fd;
			if (fd == listener) {
				fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
				struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
				if (fd >= 0)
					epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
			} else if (read(fd, request, sizeof(request)) <= 0) {
				close(fd);
			} else if (write(fd, answer, sizeof(answer) - 1) < 0) {
				close(fd);
			}
		}
	}
}

static pid_t start_servers(uint16_t *port)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	socklen_t length = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, length), 0);
	assert_int_equal(listen(fd, 4096), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
	*port = ntohs(at.sin_port);
	pid_t pid = fork();
	if (pid == 0)
		serve(fd);
	close(fd);
	return pid;
}

static double cpu_seconds(void)
{
	struct rusage used;

	getrusage(RUSAGE_SELF, &used);
	return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	       (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
}

/* Sums over all backends. */
static void count(struct health_lab *lab, uint64_t *probes, uint64_t *failures)
{
	*probes = *failures = 0;
	for (uint64_t id = 1; id <= BACKENDS; id++) {
		struct berth_health_status status = status_of(lab, id);
		*probes += status.probes;
		*failures += status.failures;
	}
}

static struct berth_health_target *targets_of(uint16_t port, enum berth_health_type type)
{
	struct berth_health_target *targets = calloc(BACKENDS, sizeof(*targets));

	for (int i = 0; i < BACKENDS; i++) {
		char text[32];
		snprintf(text, sizeof(text), "127.1.%d.%d", i / 250, i % 250 + 1);
		targets[i] = target_of((uint64_t)i + 1, text, port);
		struct berth_health_config *check = check_of(&targets[i]);
		check->type = type;
		check->interval_ms = 1000;
		check->timeout_ms = 900;
		check->expect_bytes = 2;
		memcpy(check->expect, "ok", 2);
	}
	return targets;
}

/* One measurement. Returns false if the rate is too low, for example because of other load on the machine. */
static bool measure(struct health_lab *lab, const char *name)
{
	uint64_t before, after, then, failed_before, failed, most = 0;

	count(lab, &before, &failed_before);
	double cpu = cpu_seconds();
	uint64_t start = berth_clock_ms();
	then = before;
	for (int i = 0; i < SECONDS * 10; i++) {
		run_for(lab, 100);
		count(lab, &after, &failed);
		most = after - then > most ? after - then : most;
		then = after;
	}
	cpu = cpu_seconds() - cpu;
	double seconds = (double)(berth_clock_ms() - start) / 1000, probes = (double)(after - before);
	print_message("             %s: %.0f a second, %.0f a second of CPU time, at most %llu in 100 ms\n", name,
		      probes / seconds, probes / cpu, (unsigned long long)most);
	/* The rate itself depends on what else the machine does, and so does a probe in a hundred: a fifth of it
	 * will do. Spread: a tenth of them in each tenth of a second, not all in one. */
	return (double)(failed - failed_before) < probes / 100 && probes / cpu > A_SECOND &&
	       probes / seconds > 0.2 * BACKENDS && most < BACKENDS / 2;
}

static void probe_all(struct health_lab *lab, enum berth_health_type type, const char *name)
{
	uint16_t port;
	pid_t servers = start_servers(&port);
	struct berth_health_target *targets = targets_of(port, type);
	bool is_enough = false;

	assert_int_equal(berth_health_set(lab->health, targets, BACKENDS), 0);
	for (uint64_t id = 1; id <= BACKENDS; id++)
		wait_for(lab, id, 1, 10000);
	run_for(lab, 1500); /* until the probes are spread over the interval */
	for (int i = 0; i < TIMES && !is_enough; i++)
		is_enough = measure(lab, name);
	assert_int_equal(berth_health_set(lab->health, NULL, 0), 0);
	kill(servers, SIGKILL);
	waitpid(servers, NULL, 0);
	free(targets);
	assert_true(is_enough);
}

static void test_five_thousand_backends_a_second_over_tcp(void **state)
{
	probe_all(*state, BERTH_HEALTH_TCP, "tcp");
}

static void test_five_thousand_backends_a_second_over_http(void **state)
{
	probe_all(*state, BERTH_HEALTH_HTTP, "http");
}

static void test_five_thousand_backends_a_second_over_icmp(void **state)
{
	probe_all(*state, BERTH_HEALTH_ICMP, "icmp");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_five_thousand_backends_a_second_over_tcp),
		TEST(test_five_thousand_backends_a_second_over_http),
		TEST(test_five_thousand_backends_a_second_over_icmp),
	};

	if (!enter_namespace() || !allow_files(4096))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
