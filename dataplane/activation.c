// SPDX-License-Identifier: BSD-3-Clause
#include "dataplane/activation.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#include "dataplane/interface/activation.h"
#include "dataplane/log.h"

bool berth_is_activated(int argc, char **argv)
{
	return argc == 2 && strcmp(argv[1], BERTH_ACTIVATION_OPTION) == 0;
}

/* Fills `words`, which point into `text`. -EINVAL: it is no list of words. */
static int split(char *text, size_t bytes, char *words[BERTH_ACTIVATION_WORDS + 1])
{
	int n = 0;
	if (!bytes || text[bytes - 1] != '\0')
		return -EINVAL;
	for (char *word = text; word < text + bytes; word += strlen(word) + 1) {
		if (n == BERTH_ACTIVATION_WORDS)
			return -EINVAL;
		words[n++] = word;
	}
	words[n] = NULL;
	return 0;
}

static int run_words(char *words[])
{
	char program[PATH_MAX];
	const pid_t pid = getpid();
	const ssize_t n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (n < 0 || send(BERTH_ACTIVATION_FD, &pid, sizeof(pid), MSG_NOSIGNAL) < 0)
		return -errno;
	program[n] = '\0';
	execv(program, words);
	return -errno;
}

int berth_activation_run(void)
{
	static char text[BERTH_ACTIVATION_BYTES];
	char *words[BERTH_ACTIVATION_WORDS + 1];
	const ssize_t n = recv(BERTH_ACTIVATION_FD, text, sizeof(text), 0);
	int error = n < 0 ? -errno : split(text, (size_t)n, words);
	if (!error)
		error = run_words(words);
	berth_log("no options from berthd: %s", strerror(-error));
	return error;
}
