// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/dpdk_command.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "controlplane/engine/numa.h"

__attribute__((format(printf, 2, 3))) static void add_word(struct berth_dpdk_command *command, const char *format,
							   ...)
{
	va_list args;
	if (command->argc == BERTH_DPDK_MAX_ARGS)
		return;
	va_start(args, format);
	vsnprintf(command->text[command->argc], BERTH_DPDK_ARG_BYTES, format, args);
	va_end(args);
	command->argv[command->argc] = command->text[command->argc];
	command->argc++;
}

static void add_text(struct berth_dpdk_command *command, const char *option, const char *value)
{
	add_word(command, "%s", option);
	add_word(command, "%s", value);
}

static void add_number(struct berth_dpdk_command *command, const char *option, uint32_t value)
{
	add_word(command, "%s", option);
	add_word(command, "%u", value);
}

void berth_dpdk_command_make(struct berth_dpdk_command *command, const struct berth_dpdk_command_paths *paths,
			     const struct berth_config *config, int node)
{
	static const char *const idle[] = {NULL, "poll", "adaptive"};
	const struct berth_dpdk_config *dpdk = &config->dpdk;
	*command = (struct berth_dpdk_command){0};
	add_word(command, "%s", paths->program);
	add_text(command, "--instance", paths->instance);
	add_text(command, "--image", paths->image);
	add_text(command, "--run-dir", paths->run_dir);
	if (dpdk->workers)
		add_number(command, "--workers", dpdk->workers);
	if (idle[dpdk->idle])
		add_text(command, "--idle", idle[dpdk->idle]);
	add_number(command, "--memory", dpdk->memory_mb);
	if (node != BERTH_NO_NODE)
		add_number(command, "--node", (uint32_t)node);
	add_number(command, "--rx-ring", dpdk->rx_ring);
	add_number(command, "--tx-ring", dpdk->tx_ring);
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct berth_interface_config *port = &config->interfaces[i];
		add_word(command, "--port");
		char mtu[16] = "";
		if (port->mtu)
			snprintf(mtu, sizeof(mtu), ",mtu=%u", port->mtu);
		add_word(command, "%s,queues=%u%s%s%s", port->name, port->queues, mtu,
			 port->device[0] ? ",device=" : "", port->device);
	}
}

static const char *word_at(const struct berth_dpdk_command *command, int i)
{
	return i < command->argc ? command->text[i] : "nothing";
}

/* The first word that differs after the path of the program; 0: none. */
static int find_difference(const struct berth_dpdk_command *a, const struct berth_dpdk_command *b)
{
	for (int i = 1; i < a->argc || i < b->argc; i++)
		if (i >= a->argc || i >= b->argc || strcmp(a->text[i], b->text[i]) != 0)
			return i;
	return 0;
}

bool berth_dpdk_command_equals(const struct berth_dpdk_command *a, const struct berth_dpdk_command *b)
{
	return find_difference(a, b) == 0;
}

void berth_dpdk_command_copy(struct berth_dpdk_command *to, const struct berth_dpdk_command *from)
{
	*to = *from;
	for (int i = 0; i < BERTH_DPDK_MAX_ARGS; i++)
		to->argv[i] = i < to->argc ? to->text[i] : NULL;
}

/* The next port from word `i` on: its name, up to the comma; NULL: there is none. */
static const char *next_port(const struct berth_dpdk_command *command, int *i, size_t *length)
{
	while (*i + 1 < command->argc && strcmp(command->text[*i], "--port") != 0)
		(*i)++;
	if (*i + 1 >= command->argc)
		return NULL;
	const char *port = command->text[++*i];
	*length = strcspn(port, ",");
	return port;
}

bool berth_dpdk_command_has_same_ports(const struct berth_dpdk_command *a, const struct berth_dpdk_command *b)
{
	for (int i = 0, j = 0;;) {
		size_t n = 0, m = 0;
		const char *port = next_port(a, &i, &n), *other = next_port(b, &j, &m);
		if (!port || !other)
			return port == other;
		if (n != m || memcmp(port, other, n) != 0)
			return false;
	}
}

void berth_dpdk_command_read(struct berth_dpdk_command *command, pid_t pid)
{
	char path[32], text[BERTH_DPDK_MAX_ARGS * BERTH_DPDK_ARG_BYTES];
	size_t used = 0;
	ssize_t n;
	command->argc = 0;
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	while (used < sizeof(text) - 1 && (n = read(fd, text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)n;
	close(fd);
	text[used] = '\0';
	for (const char *word = text; word < text + used; word += strlen(word) + 1)
		add_word(command, "%s", word);
}

bool berth_dpdk_command_has_word(pid_t pid, const char *word)
{
	struct berth_dpdk_command *running = malloc(sizeof(*running));
	bool has_word = false;
	if (!running)
		return false;
	berth_dpdk_command_read(running, pid);
	for (int i = 0; i < running->argc; i++)
		has_word |= strcmp(running->text[i], word) == 0;
	free(running);
	return has_word;
}

/* Whether two files have the same bytes. */
static bool are_equal(int a, int b)
{
	char bytes[2][16384];
	struct stat status[2];
	if (fstat(a, &status[0]) || fstat(b, &status[1]) || status[0].st_size != status[1].st_size)
		return false;
	if (status[0].st_dev == status[1].st_dev && status[0].st_ino == status[1].st_ino)
		return true;
	for (off_t at = 0; at < status[0].st_size;) {
		const ssize_t n = pread(a, bytes[0], sizeof(bytes[0]), at);
		if (n <= 0 || pread(b, bytes[1], (size_t)n, at) != n || memcmp(bytes[0], bytes[1], (size_t)n) != 0)
			return false;
		at += n;
	}
	return true;
}

/* False if the process runs another build of the program, as after an upgrade. True if that cannot be read. */
static bool is_same_program(pid_t pid, const char *program)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	const int running = open(path, O_RDONLY | O_CLOEXEC), installed = open(program, O_RDONLY | O_CLOEXEC);
	const bool is_same = running < 0 || installed < 0 || are_equal(running, installed);
	if (running >= 0)
		close(running);
	if (installed >= 0)
		close(installed);
	return is_same;
}

bool berth_dpdk_command_is_running(const struct berth_dpdk_command *command, pid_t pid,
				   char difference[BERTH_ERROR_BYTES])
{
	struct berth_dpdk_command *running = malloc(sizeof(*running));
	snprintf(difference, BERTH_ERROR_BYTES, "out of memory");
	if (!running)
		return false;
	berth_dpdk_command_read(running, pid);
	int at = find_difference(running, command);
	/* The word before names the option. */
	const char *option = at ? word_at(command, at - 1) : "";
	bool is_value = option[0] == '-';
	snprintf(difference, BERTH_ERROR_BYTES, "%s%s%.100s, now %.100s", is_value ? option : "",
		 is_value ? " " : "", word_at(running, at), word_at(command, at));
	/* A process that was killed has no words from then on, and holds its files for a while. */
	bool is_ending = running->argc == 0;
	free(running);
	if (is_ending)
		return true;
	if (at == 0 && !is_same_program(pid, command->text[0])) {
		snprintf(difference, BERTH_ERROR_BYTES, "another build of %.100s", command->text[0]);
		return false;
	}
	return at == 0;
}
