// SPDX-License-Identifier: BSD-3-Clause
/*
 * berthctl (its path is the argument of this test) prints and clears a table of a million sessions, while a second
 * client sends requests and berthd scans the tables. Prints the times to standard output.
 */
#include "tests/support/berthd.h"

#include <event2/event.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "controlplane/util/clock.h"
#include "dataplane/core/session.h"

enum {
	SESSIONS = 1000000,
	PATIENCE_MS = 100000,
	/* Limits: CPU time of one turn of berthd's loop, and median time of an answer to the second client. The
	 * second is generous, because the machine may be busy. */
	TURN_MS = 20,
	ANSWER_MS = 200,
	MAX_ANSWERS = 100000,
};

static const char configuration[] =
	"engine: 'null'\n"
	"interfaces: [{name: lo}]\n"
	"limits: {flows: 1000000, sessions: 1000000, services: 4, backends: 60}\n"
	"services:\n"
	"  - {name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: l2, table-size: 251, health: {type: "
	"none}, "
	"affinity: {by: client, timeout: 3h}, "
	"backends: [{name: b1, address: 192.0.2.11}, {name: b2, address: 192.0.2.12}]}\n";

struct fixture {
	struct berthd berthd;
	uint32_t put; /* sessions in the table */
};

static uint32_t number_of(struct fixture *f, const char *name)
{
	return berth_model_backend(berth_model_service(&f->berthd.daemon->model, "web"), name)->number;
}

/* Writes sessions as workers do. */
static void put_sessions(struct fixture *f)
{
	struct berth_view view = berth_image_view(&f->berthd.daemon->engine->image, 0, berth_clock_s());
	struct berth_packet packet = {
		.service = (uint16_t)berth_model_service(&f->berthd.daemon->model, "web")->number};
	const struct berth_service *service = berth_service_of(&view, packet.service);
	const uint32_t numbers[] = {number_of(f, "b1"), number_of(f, "b2")};
	for (uint32_t i = 0; i < SESSIONS; i++) {
		berth_addr_set4(&packet.src, berth_to_be32(0x0a000000 + i));
		struct berth_key key = berth_session_key(&view, &packet, service);
		struct berth_entry entry;
		berth_flowtab_insert(&view, &key, numbers[i % 2], BERTH_STATE_SESSION, &entry);
		/* No room, or the entry of another client with the same bits of its hash: one of 70 runs has one.
		 */
		if (entry.at == BERTH_NOT_FOUND || berth_at_clients(&view, entry.at)->tag == key.tag)
			continue;
		const struct berth_session_decision decision = {.reason = BERTH_REASON_SELECTED};
		berth_client_write(&view, &packet, &key, entry.at, &decision);
		f->put++;
	}
	assert_in_range(f->put, SESSIONS - SESSIONS / 100, SESSIONS);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	berthd_prepare(&f->berthd, configuration);
	berthd_open(&f->berthd);
	put_sessions(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	berth_daemon_close(f->berthd.daemon);
	berthd_remove(&f->berthd);
	free(f);
	return 0;
}

static pid_t start_berthctl(const struct fixture *f, char *const words[], int out)
{
	char *argv[16] = {(char *)program, (char[]){"-s"}, (char *)f->berthd.socket};
	for (int i = 0; words[i]; i++)
		argv[3 + i] = words[i];
	pid_t pid = fork();
	if (pid == 0) {
		dup2(out, STDOUT_FILENO);
		execv(program, argv);
		_exit(127);
	}
	assert_true(pid > 0);
	return pid;
}

/* The peak memory of a process in KiB; `last` if the process has ended. */
static long memory_of(pid_t pid, long last)
{
	char path[64], line[256];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		sscanf(line, "VmHWM: %ld", &last);
	if (in)
		fclose(in);
	return last;
}

static int by_value(const void *a, const void *b)
{
	const unsigned int *x = a, *y = b;
	return *x < *y ? -1 : *x > *y;
}

static uint64_t now_us(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* The second client: sends requests until it is killed. Every 10 answers it writes their median, 99th percentile
 * and longest time, in microseconds. */
static void send_requests(const struct fixture *f, int out)
{
	static unsigned int took[MAX_ANSWERS];
	static const char request[] = "{\"command\": \"show backends\"}\n";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char answer[65536];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	strcpy(address.sun_path, f->berthd.socket);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		_exit(1);
	for (size_t n = 0; n < MAX_ANSWERS;) {
		uint64_t begin = now_us(CLOCK_MONOTONIC);
		size_t have = 0;
		if (write(fd, request, sizeof(request) - 1) < 0)
			_exit(1);
		do {
			ssize_t got = read(fd, answer + have, sizeof(answer) - have);
			if (got <= 0)
				_exit(1);
			have += (size_t)got;
		} while (answer[have - 1] != '\n');
		took[n++] = (unsigned int)(now_us(CLOCK_MONOTONIC) - begin);
		usleep(2000);
		if (n > 100 && n % 10)
			continue;
		qsort(took, n, sizeof(took[0]), by_value);
		unsigned int times[] = {took[n / 2], took[n * 99 / 100], took[n - 1]};
		if (pwrite(out, times, sizeof(times), 0) != sizeof(times))
			_exit(1);
	}
	_exit(0);
}

/* Runs `berthctl WORDS` beside the second client; returns its output, a file. */
static int run_berthctl(struct fixture *f, char *const words[])
{
	int out = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	int figures = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	assert_true(out >= 0 && figures >= 0);
	pid_t other = fork();
	if (other == 0)
		send_requests(f, figures);
	uint64_t begin = berth_clock_ms(), longest_us = 0, busy_us = 0;
	pid_t pid = start_berthctl(f, words, out);
	long memory = 0;
	int status;
	struct rusage usage;
	while (wait4(pid, &status, WNOHANG, &usage) == 0) {
		uint64_t turn = now_us(CLOCK_THREAD_CPUTIME_ID);
		event_base_loop(f->berthd.daemon->base, EVLOOP_ONCE);
		turn = now_us(CLOCK_THREAD_CPUTIME_ID) - turn;
		busy_us += turn;
		longest_us = turn > longest_us ? turn : longest_us;
		memory = memory_of(pid, memory);
		assert_in_range(berth_clock_ms() - begin, 0, PATIENCE_MS);
	}
	uint64_t took = berth_clock_ms() - begin;
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	unsigned int times[3] = {0};
	(void)!pread(figures, times, sizeof(times), 0);
	close(figures);
	assert_int_equal(status, 0);
	printf("%-8s %.2f s; CPU %.2f s in berthctl, %.2f s in berthd; peak memory of berthctl %ld KiB; longest "
	       "turn "
	       "of the loop %.1f ms; answers to the second client %.1f ms (median), %.1f (99%%), %.1f (longest)\n",
	       words[0], (double)took / 1000, (double)usage.ru_utime.tv_sec + (double)usage.ru_utime.tv_usec / 1e6,
	       (double)busy_us / 1e6, memory, (double)longest_us / 1000, times[0] / 1e3, times[1] / 1e3,
	       times[2] / 1e3);
	assert_in_range(longest_us, 0, TURN_MS * 1000);
	assert_in_range(times[0], 0, ANSWER_MS * 1000);
	/* It frees each page after it is printed. */
	assert_in_range(memory, 0, 32 << 10);
	return out;
}

static uint32_t count_lines(int fd, const char *text)
{
	FILE *in = fdopen(fd, "r");
	char line[512];
	uint32_t n = 0;
	assert_non_null(in);
	rewind(in);
	while (fgets(line, sizeof(line), in))
		n += strstr(line, text) != NULL;
	fclose(in);
	return n;
}

static void all_sessions_are_printed_without_delays_for_others(void **state)
{
	struct fixture *f = *state;
	char *const table[] = {(char[]){"show"}, (char[]){"sessions"}, NULL};
	char *const json[] = {(char[]){"-j"}, (char[]){"show"}, (char[]){"sessions"}, NULL};
	assert_int_equal(count_lines(run_berthctl(f, table), "selected"), f->put);
	assert_int_equal(count_lines(run_berthctl(f, json), "\"reason\":\"selected\""), f->put);
}

static void one_session_is_found_without_delays_for_others(void **state)
{
	char *const words[] = {(char[]){"show"}, (char[]){"sessions"}, (char[]){"--client"}, (char[]){"10.1.2.3"},
			       NULL};
	assert_int_equal(count_lines(run_berthctl(*state, words), "10.1.2.3  web "), 1);
	/* The titles follow the first rows, so the columns fit. */
	assert_int_equal(count_lines(run_berthctl(*state, words), "CLIENT    SERVICE"), 1);
}

static void half_of_the_sessions_are_cleared_without_delays_for_others(void **state)
{
	char *const words[] = {(char[]){"session"}, (char[]){"clear"}, (char[]){"--backend"}, (char[]){"web/b1"},
			       NULL};
	struct fixture *f = *state;
	assert_int_equal(count_lines(run_berthctl(f, words), "sessions cleared"), 1);
	const struct berth_image *image = &f->berthd.daemon->engine->image;
	uint32_t left = 0;
	for (uint32_t i = 0; i < image->geometry.session_buckets * BERTH_BUCKET_WORDS; i++) {
		uint64_t word = image->sessions[i / BERTH_BUCKET_WORDS].word[i % BERTH_BUCKET_WORDS];
		assert_true(word == 0 || berth_word_backend(word) == number_of(f, "b2"));
		left += word != 0;
	}
	assert_in_range(left, SESSIONS / 2 - SESSIONS / 100, SESSIONS / 2);
}

int main(int argc, char **argv)
{
	if (!find_berthctl(argc, argv))
		return 2;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_sessions_are_printed_without_delays_for_others),
		cmocka_unit_test(one_session_is_found_without_delays_for_others),
		cmocka_unit_test(half_of_the_sessions_are_cleared_without_delays_for_others),
	};
	return cmocka_run_group_tests_name("million sessions", tests, set_up, tear_down);
}
