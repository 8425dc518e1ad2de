// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/metrics/process.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

static uint64_t microseconds(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

static uint64_t resident_bytes(void)
{
	unsigned long size, resident = 0;
	FILE *in = fopen("/proc/self/statm", "re");
	if (!in)
		return 0;
	if (fscanf(in, "%lu %lu", &size, &resident) != 2)
		resident = 0;
	fclose(in);
	return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t open_fds(void)
{
	uint64_t n = 0;
	DIR *fds = opendir("/proc/self/fd");
	if (!fds)
		return 0;
	while (readdir(fds))
		n++;
	closedir(fds);
	return n - 3; /* ".", ".." and the directory itself */
}

void berth_process_usage(struct berth_process_usage *usage)
{
	struct rusage used = {0};
	struct rlimit limit = {0};
	getrusage(RUSAGE_SELF, &used);
	getrlimit(RLIMIT_NOFILE, &limit);
	*usage = (struct berth_process_usage){
		.cpu_us = microseconds(&used.ru_utime) + microseconds(&used.ru_stime),
		.memory_bytes = resident_bytes(),
		.open_fds = open_fds(),
		.max_fds = limit.rlim_cur,
	};
}
