/* SPDX-License-Identifier: BSD-3-Clause */
/* generator INTERFACE ROUTER-MAC RATE CLIENTS SEED SERVICE...: many flows from synthetic clients, several questions
 * each, to the responders of backends. SERVICE is NAME,tcp|udp,ADDRESS,PORT,flow|client.
 *
 * It writes a line for each flow that another backend answers than the first time, and for each flow that asked
 * twenty times without an answer. generated.py judges them. It sends commands to stdin; the answer of each is a
 * line that begins with "done", and the lines before it are about what was seen before the command. The program
 * ends when stdin is closed. */
#include <errno.h>
#include <net/ethernet.h>
#include <netinet/ether.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <time.h>

#include "tests/faults/flows.h"

enum {
	RECEIVED_MAX = 64, /* bursts, before time is looked at again */
	COMMAND_MAX = 128,
};

static struct flows flows;
static struct burst in;

static void usage(void)
{
	fprintf(stderr, "usage: generator INTERFACE ROUTER-MAC RATE CLIENTS SEED "
			"NAME,tcp|udp,ADDRESS,PORT,flow|client...\n");
	exit(2);
}

static uint64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void read_service(char *text)
{
	struct service *service = &flows.services[flows.n_services++];
	const char *parts[5];
	for (int i = 0; i < 5; i++)
		if (!(parts[i] = strsep(&text, ",")))
			usage();
	service->name = parts[0];
	service->protocol = strcmp(parts[1], "tcp") ? IPPROTO_UDP : IPPROTO_TCP;
	service->is6 = strchr(parts[2], ':');
	if (inet_pton(service->is6 ? AF_INET6 : AF_INET, parts[2], service->address) != 1)
		usage();
	service->port = (uint16_t)atoi(parts[3]);
	service->by_client = !strcmp(parts[4], "client");
}

static void read_addresses(int fd, const char *interface, const char *router)
{
	struct ether_addr read;
	struct ifreq request = {0};
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", interface);
	if (!ether_aton_r(router, &read))
		usage();
	if (ioctl(fd, SIOCGIFHWADDR, &request))
		question_die("SIOCGIFHWADDR");
	memcpy(flows.router, &read, sizeof(flows.router));
	memcpy(flows.own, request.ifr_hwaddr.sa_data, sizeof(flows.own));
}

static void receive(void)
{
	for (int round = 0; round < RECEIVED_MAX; round++) {
		int n = burst_receive(&in);
		for (int i = 0; i < n; i++) {
			struct question_frame answer;
			if (question_parse(in.frames[i], in.messages[i].msg_len, &answer))
				flows_take(&flows, &answer);
		}
		if (n < QUESTION_BURST)
			return;
	}
}

/* --- commands --- */

static void silence(unsigned value)
{
	flows.silent = value;
	flows_forget(&flows);
}

static void phase(unsigned value)
{
	flows.phase = (uint8_t)value;
}

static void clients(unsigned value)
{
	flows.no_new_clients = !value;
}

static void meet(unsigned value)
{
	flows_meet(&flows, (uint8_t)value);
}

static void retire(unsigned value)
{
	(void)value;
	flows_retire(&flows);
}

static void mark(unsigned value)
{
	(void)value;
	flows_mark(&flows);
}

static void ask(unsigned value)
{
	(void)value;
}

static const struct {
	const char *name;
	void (*obey)(unsigned value);
} commands[] = {
	{"silent", silence}, {"phase", phase}, {"clients", clients}, {"meet", meet},
	{"retire", retire},  {"mark", mark},   {"ask", ask},
};

static void obey(const char *line)
{
	char name[COMMAND_MAX];
	unsigned value = 0;
	if (sscanf(line, "%127s %u", name, &value) < 1)
		return;
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(name, commands[i].name))
			commands[i].obey(value);
	/* answers, flows, answered by other nodes than before, retired clients, clients that have not met all
	 * nodes, services that were answered since the mark, flows at this time, rate, questions, repeated ones,
	 * moves, flows and clients without an answer since the mark */
	printf("done %lu %lu %lu %lu %u %u %u %.0f %lu %lu %lu %u\n", flows.answers, flows.begun, flows.carried_on,
	       flows.retired, flows_unmet(&flows), flows.answered, FLOWS_MAX - flows.n_free, flows.rate,
	       flows.asked, flows.repeated, flows.moved, flows_stale(&flows));
}

/* False at the end. */
static bool read_commands(void)
{
	static char lines[COMMAND_MAX];
	static size_t bytes;
	ssize_t n = read(STDIN_FILENO, lines + bytes, sizeof(lines) - 1 - bytes);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	bytes += (size_t)n;
	char *end;
	while ((end = memchr(lines, '\n', bytes))) {
		*end = '\0';
		obey(lines);
		bytes -= (size_t)(end + 1 - lines);
		memmove(lines, end + 1, bytes);
	}
	return bytes < sizeof(lines) - 1;
}

int main(int argc, char **argv)
{
	if (argc < 7 || argc > 6 + SERVICES_MAX)
		usage();
	int fd = question_socket(argv[1]);
	read_addresses(fd, argv[1], argv[2]);
	flows.rate_max = (unsigned)atoi(argv[3]);
	flows.clients_max = (unsigned)atoi(argv[4]);
	for (int i = 6; i < argc; i++)
		read_service(argv[i]);
	burst_init(&in, fd);
	burst_init(&flows.out, fd);
	flows_init(&flows, now_ms(), strtoull(argv[5], NULL, 10));
	struct pollfd wait[] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
	while (poll(wait, 2, SLOT_MS) >= 0) {
		if (wait[1].revents && !read_commands())
			return 0;
		receive();
		flows_tick(&flows, now_ms());
		fflush(stdout);
	}
	return 1;
}
