/* SPDX-License-Identifier: BSD-3-Clause */
#include "dataplane/memory.h"

#include <stdio.h>
#include <time.h>

enum {
	POLL_MS = 2,
};

/* `kb`: in place of MiB, and of one hugepage. */
static void read_line(const char *line, struct berth_memory *kb, uint64_t pages[3])
{
	static const char *const formats[] = {"HugePages_Total: %llu", "HugePages_Free: %llu",
					      "HugePages_Rsvd: %llu"};
	unsigned long long value;
	for (int i = 0; i < 3; i++)
		if (sscanf(line, formats[i], &value) == 1)
			pages[i] = value;
	if (sscanf(line, "MemAvailable: %llu kB", &value) == 1)
		kb->available_mb = value;
	else if (sscanf(line, "Hugepagesize: %llu kB", &value) == 1)
		kb->hugepages_mb = value;
}

struct berth_memory berth_memory_read(const char *path)
{
	struct berth_memory kb = {0};
	uint64_t pages[3] = {0}; /* all, free, reserved */
	char line[128];
	FILE *file = fopen(path, "re");
	if (!file)
		return kb;
	while (fgets(line, sizeof(line), file))
		read_line(line, &kb, pages);
	fclose(file);
	return (struct berth_memory){
		.available_mb = kb.available_mb / 1024,
		.free_hugepages_mb = pages[1] > pages[2] ? (pages[1] - pages[2]) * kb.hugepages_mb / 1024 : 0,
		.hugepages_mb = pages[0] * kb.hugepages_mb / 1024,
	};
}

struct berth_memory berth_memory_await_hugepages(const char *path, uint64_t needed_mb, uint32_t timeout_ms)
{
	const struct timespec pause = {.tv_nsec = POLL_MS * 1000000};
	struct berth_memory memory = berth_memory_read(path);
	for (uint32_t ms = 0; ms < timeout_ms && memory.free_hugepages_mb < needed_mb; ms += POLL_MS) {
		if (memory.hugepages_mb < needed_mb)
			break;
		nanosleep(&pause, NULL);
		memory = berth_memory_read(path);
	}
	return memory;
}
