/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Replaces berthd in the tests of berth-dpdk: creates an image file, publishes, reads the counters.
 *
 *   image_tool make PATH      TCP services for two workers: 203.0.113.10 port 80 (mode l2), 81 (ipip), 82 (l2,
 * through the second port), and 2001:db8::10 port 80 (l2) image_tool publish PATH   the same configuration as the
 * next generation image_tool show PATH      JSON: generation and every worker's counters image_tool locked PATH
 * exit code 0 if an engine holds the lock, else 1
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/image.h"
#include "tests/support/image_file.h"
#include "tests/support/send.h"

static void fail(const char *what)
{
	perror(what);
	exit(2);
}

static void make(const char *path)
{
	static const uint16_t by_l2[] = {1};
	static const uint16_t by_ipip[] = {2};
	static const uint16_t by_l2_6[] = {3};
	static const uint16_t by_port1[] = {4};
	struct berth_image image;
	unlink(path);
	image_file_open(&image, path, O_CREAT | O_EXCL, &fixture_geometry);
	fixture_write_header(&image);
	fixture_service(&image, 1, "203.0.113.10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	fixture_service(&image, 2, "203.0.113.10", BERTH_PROTO_TCP, 81, BERTH_AFFINITY_CLIENT);
	fixture_service(&image, 3, "2001:db8::10", BERTH_PROTO_TCP, 80, BERTH_AFFINITY_FLOW);
	fixture_service(&image, 4, "203.0.113.10", BERTH_PROTO_TCP, 82, BERTH_AFFINITY_FLOW);
	fixture_backend(&image, 1, 1, BERTH_MODE_L2, "192.0.2.11");
	fixture_backend(&image, 2, 2, BERTH_MODE_IPIP, "192.0.2.12");
	fixture_backend(&image, 3, 3, BERTH_MODE_L2, "2001:db8:3::13");
	fixture_backend(&image, 4, 4, BERTH_MODE_L2, "192.0.2.14")->port = 1;
	fixture_rows(&image, 1, by_l2, 1);
	fixture_rows(&image, 2, by_ipip, 1);
	fixture_rows(&image, 3, by_l2_6, 1);
	fixture_rows(&image, 4, by_port1, 1);
}

static void publish(const char *path)
{
	struct berth_image image;
	image_file_open(&image, path, 0, &fixture_geometry);
	const struct berth_geometry *g = &image.geometry;
	uint64_t next = image.ctl->generation + 1;
	const struct berth_image_half from = berth_image_current(&image), to = berth_image_half(&image, next);
	memcpy(to.services, from.services, g->services * sizeof(*to.services));
	memcpy(to.backends, from.backends, g->backends * sizeof(*to.backends));
	memcpy(to.vips, from.vips, g->vips * sizeof(*to.vips));
	BERTH_STORE(&image.ctl->generation, next);
}

static void show_worker(const struct berth_worker *worker)
{
	printf("{\"seen\": %lu, \"running\": %lu, \"bursts\": %lu, \"polls\": %lu, \"busy_cycles\": %lu, "
	       "\"received\": %lu",
	       worker->seen, worker->running, worker->bursts, worker->polls, worker->busy_cycles, worker->received);
	for (int i = BERTH_NO_VERDICT + 1; i < BERTH_VERDICT_COUNT; i++)
		printf(", \"%s\": %lu", fixture_verdict_name(i), worker->verdict[i]);
	printf(", \"host_unsent\": %lu, \"all_verdicts\": ", worker->event[BERTH_EVENT_HOST_UNSENT]);
	uint64_t sum = 0;
	for (int i = 0; i < BERTH_WORKER_VERDICTS; i++)
		sum += worker->verdict[i];
	printf("%lu}", sum);
}

static void show(const char *path)
{
	struct berth_image image;
	image_file_open(&image, path, 0, &fixture_geometry);
	printf("{\"generation\": %lu, \"workers\": [", image.ctl->generation);
	for (uint32_t i = 0; i < image.geometry.workers; i++) {
		fputs(i ? ", " : "", stdout);
		show_worker(&image.workers[i]);
	}
	printf("]}\n");
}

static int is_locked(const char *path)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &lock))
		fail(path);
	return lock.l_type == F_UNLCK;
}

int main(int argc, char **argv)
{
	const char *verb = argc == 3 ? argv[1] : "";
	if (!strcmp(verb, "make"))
		make(argv[2]);
	else if (!strcmp(verb, "publish"))
		publish(argv[2]);
	else if (!strcmp(verb, "show"))
		show(argv[2]);
	else if (!strcmp(verb, "locked"))
		return is_locked(argv[2]);
	else
		return 2;
	return 0;
}
