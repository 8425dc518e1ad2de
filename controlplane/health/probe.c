/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/probe.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/health/tunnel.h"

uint64_t berth_probe_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

double berth_probe_took_ms(const struct berth_probe *probe)
{
	return (double)(berth_probe_now_us() - probe->started_us) / 1000;
}

void berth_probe_say(struct berth_probe *probe, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(probe->why, sizeof(probe->why), format, args);
	va_end(args);
	for (char *c = probe->why; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

/* Errors that are this machine's and say nothing of the server. */
static bool is_ours(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EAGAIN ||
	       error == EADDRNOTAVAIL || error == EPERM || error == EACCES;
}

enum berth_probe_result berth_probe_error(struct berth_probe *probe, int error)
{
	berth_probe_say(probe, "%s", strerror(error));
	probe->why[0] = (char)tolower((unsigned char)probe->why[0]);
	return is_ours(error) ? BERTH_PROBE_UNSURE : BERTH_PROBE_FAILURE;
}

int berth_probe_socket(const struct berth_probe *probe, int family, int type, int protocol)
{
	return probe->flow ? berth_tunnel_socket(probe, family, type, protocol) : socket(family, type, protocol);
}

enum berth_probe_result berth_probe_wait(struct berth_probe *probe, int fd, short events, event_callback_fn fn)
{
	probe->fd = fd;
	if (event_assign(&probe->io, probe->base, fd, events, fn, probe) < 0 || event_add(&probe->io, NULL) < 0) {
		close(fd);
		return berth_probe_error(probe, ENOMEM);
	}
	return BERTH_PROBE_UNDER_WAY;
}

void berth_probe_close(struct berth_probe *probe)
{
	event_del(&probe->io);
	close(probe->fd);
}
