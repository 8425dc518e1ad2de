/* SPDX-License-Identifier: BSD-3-Clause */
#include "controlplane/health/probe.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "controlplane/util/address.h"

enum {
	MIN_SLOTS = 16,
	MAX_SLOTS = 4096,
};

void berth_probe_done(struct berth_probe *probe, enum berth_probe_result result)
{
	probe->done(probe, result);
}

unsigned int berth_probe_slots(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur / 4 < MIN_SLOTS)
		return MIN_SLOTS;
	return files.rlim_cur / 4 < MAX_SLOTS ? (unsigned int)files.rlim_cur / 4 : MAX_SLOTS;
}

uint64_t berth_probe_now_us(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

double berth_probe_elapsed_ms(const struct berth_probe *probe)
{
	return (double)(berth_probe_now_us() - probe->started_us) / 1000;
}

void berth_probe_set_reason(struct berth_probe *probe, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(probe->reason, sizeof(probe->reason), format, args);
	va_end(args);
	for (char *c = probe->reason; *c; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
}

void berth_probe_set_timeout(struct berth_probe *probe)
{
	berth_probe_set_reason(probe, "%s within %u ms", probe->timeout_reason, probe->key.check->timeout_ms);
}

bool berth_probe_lacks_resources(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EAGAIN;
}

/* The same errors may come from a router's ICMP error; connect() of a UDP socket sends nothing and depends on this
 * host's routes only. A probe in a tunnel uses the engine's next hop. */
static bool lacks_route(const struct berth_probe *probe, int error)
{
	struct sockaddr_storage to;

	if ((error != ENETUNREACH && error != ENETDOWN && error != EHOSTUNREACH) || probe->key.tunnel_target)
		return false;
	socklen_t length = berth_address_to_socket(&probe->key.address, 9, &to);
	int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool lacks = fd >= 0 && connect(fd, (struct sockaddr *)&to, length) < 0;
	if (fd >= 0)
		close(fd);
	return lacks;
}

enum berth_probe_result berth_probe_fail(struct berth_probe *probe, int error)
{
	berth_probe_set_reason(probe, "%s", strerror(error));
	probe->reason[0] = (char)tolower((unsigned char)probe->reason[0]);
	if (berth_probe_lacks_resources(error) || error == EADDRNOTAVAIL || lacks_route(probe, error))
		return BERTH_PROBE_HOST_ERROR;
	return error == EPERM || error == EACCES ? BERTH_PROBE_MISCONFIGURED : BERTH_PROBE_FAILURE;
}
