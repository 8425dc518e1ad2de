// SPDX-License-Identifier: BSD-3-Clause
/*
 * The DPDK engine as berthd sees it: an image in a file, and the process berth-dpdk that maps it.
 *
 * berthd makes the file and starts the process; the process locks the file for its life, so that berthd can tell
 * whether one runs without knowing who started it. A process that ends is started again, at once the first time
 * and then ever more slowly. Neither end of the pair ends the other.
 */
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include "controlplane/engine/engine.h"
#include "controlplane/engine/numa.h"
#include "controlplane/engine/object.h"
#include "controlplane/util/interface.h"
#include "controlplane/util/log.h"

enum {
	WATCH_MS = 100,
	START_MS = 20000, /* EAL and the ports may take that long to come up */
	STOP_MS = 5000,	  /* before an engine that does not end is killed */
	MAX_BACKOFF_MS = 10000,
	MAX_ARGS = 64,
	ARG_BYTES = 256,
	HUGEPAGE_BYTES = 2 << 20,
};

static const char *const image_dirs[] = {"/dev/hugepages", "/dev/shm"};

struct dpdk_engine {
	struct berth_engine engine;
	char image_path[256];
	char status_path[256];
	char program[512];
	char instance[BERTH_INSTANCE_BYTES];
	char run_dir[200];
	uint64_t bytes;
	void *memory;
	int fd;
	pid_t child; /* 0: none of ours */
	struct event *watch;
	uint32_t backoff_ms; /* until the next start */
	uint32_t waited_ms;
	uint32_t restarts;
	struct berth_dpdk_config config;
	struct berth_interface_config ports[BERTH_MAX_PORTS];
	size_t n_ports;
	int node; /* the ports' */
};

static int dpdk_check(const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	char path[512];
	if (berth_object_path("berth-dpdk", path, sizeof(path), error))
		return -ENOENT;
	for (size_t i = 0; i < config->n_interfaces; i++) {
		struct berth_port port;
		if (config->interfaces[i].device[0] || berth_interface_read(config->interfaces[i].name, &port) == 0)
			continue;
		snprintf(error, BERTH_ERROR_BYTES,
			 "interface %s does not exist and no device is given for it; `ip link` lists interfaces, "
			 "`dpdk-devbind.py -s` devices (interfaces[%zu])",
			 config->interfaces[i].name, i);
		return -ENODEV;
	}
	return 0;
}

/* Whether a process holds the image's lock: then it forwards. */
static bool is_running(const struct dpdk_engine *dpdk)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(dpdk->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* Maps a file of the right size; -1 if it is not there or not so. */
static int map_image(struct dpdk_engine *dpdk, const char *path, const struct berth_geometry *geometry)
{
	struct stat stat;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -1;
	if (fstat(fd, &stat) || (uint64_t)stat.st_size != dpdk->bytes)
		goto fail;
	void *memory = mmap(NULL, dpdk->bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (memory == MAP_FAILED)
		goto fail;
	dpdk->fd = fd;
	dpdk->memory = memory;
	berth_image_place(&dpdk->engine.image, geometry, memory);
	snprintf(dpdk->image_path, sizeof(dpdk->image_path), "%s", path);
	return 0;
fail:
	close(fd);
	return -1;
}

static void unmap_image(struct dpdk_engine *dpdk)
{
	if (dpdk->memory)
		munmap(dpdk->memory, dpdk->bytes);
	if (dpdk->fd >= 0)
		close(dpdk->fd);
	dpdk->memory = NULL;
	dpdk->fd = -1;
}

/* Ends the process that holds the image, whoever started it, and waits until it has let go. */
static void stop_process(struct dpdk_engine *dpdk)
{
	json_t *status = json_load_file(dpdk->status_path, 0, NULL);
	pid_t pid = dpdk->child ? dpdk->child : (pid_t)json_integer_value(json_object_get(status, "pid"));
	json_decref(status);
	for (int waited = 0; pid > 0 && (dpdk->child || is_running(dpdk)) && waited < 2 * STOP_MS; waited += 10) {
		if (waited == 0)
			kill(pid, SIGTERM);
		if (waited == STOP_MS)
			kill(pid, SIGKILL);
		usleep(10000);
		if (dpdk->child && waitpid(dpdk->child, NULL, WNOHANG) == dpdk->child)
			dpdk->child = 0;
	}
}

/* Takes over the image that is there, if it fits; else makes place for a new one. */
static bool adopt_image(struct dpdk_engine *dpdk, const char *path, const struct berth_geometry *geometry)
{
	char why[BERTH_ERROR_BYTES] = "the limits were changed";
	if (access(path, F_OK))
		return false;
	if (map_image(dpdk, path, geometry) == 0 &&
	    berth_image_is_compatible(dpdk->engine.image.ctl, geometry, why))
		return true;
	berth_log("the tables in %s are not taken over (%s): flows and sessions begin anew", path, why);
	if (dpdk->fd < 0)
		dpdk->fd = open(path, O_RDWR | O_CLOEXEC);
	stop_process(dpdk);
	unmap_image(dpdk);
	unlink(path);
	return false;
}

static int make_image(struct dpdk_engine *dpdk, const char *path, const struct berth_geometry *geometry)
{
	char temporary[300];
	snprintf(temporary, sizeof(temporary), "%s.new", path);
	unlink(temporary);
	int fd = open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	int err = ftruncate(fd, (off_t)dpdk->bytes) ? -errno : 0;
	/* Reserve now: on tmpfs and hugetlbfs alike, memory that is not there would else be a SIGBUS later. */
	if (!err)
		err = -posix_fallocate(fd, 0, (off_t)dpdk->bytes);
	close(fd);
	if (!err && map_image(dpdk, temporary, geometry))
		err = -ENOMEM;
	if (!err)
		err = berth_image_create(&dpdk->engine.image, geometry);
	if (!err && rename(temporary, path))
		err = -errno;
	if (err) {
		unmap_image(dpdk);
		unlink(temporary);
		return err;
	}
	snprintf(dpdk->image_path, sizeof(dpdk->image_path), "%s", path);
	return 0;
}

static bool is_hugetlbfs(const char *dir)
{
	struct statfs fs;
	return statfs(dir, &fs) == 0 && fs.f_type == HUGETLBFS_MAGIC;
}

/* The image of this instance: adopted, or made in hugepages, or made in shared memory. */
static int open_image(struct dpdk_engine *dpdk, const struct berth_geometry *geometry,
		      char error[BERTH_ERROR_BYTES])
{
	char path[2][256];
	int err = -ENOMEM;
	for (int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/berth-%s.image", image_dirs[i], dpdk->instance);
		if (adopt_image(dpdk, path[i], geometry)) {
			dpdk->engine.adopted = true;
			return 0;
		}
	}
	for (int i = 0; i < 2; i++) {
		if (i == 0 && !is_hugetlbfs(image_dirs[i]))
			continue;
		err = make_image(dpdk, path[i], geometry);
		if (!err) {
			berth_log("tables: %.1f MiB in %s%s", (double)dpdk->bytes / (1 << 20), path[i],
				  i == 0 ? "" : " (no hugepages: 10 to 15% slower; see hugepages.md)");
			return 0;
		}
	}
	snprintf(error, BERTH_ERROR_BYTES, "cannot make tables of %.1f MiB in %s: %s; lower limits.flows",
		 (double)dpdk->bytes / (1 << 20), path[1], strerror(-err));
	return err;
}

static void dpdk_close(struct berth_engine *engine, bool stop);

static struct berth_engine *dpdk_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				      const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	struct dpdk_engine *dpdk = calloc(1, sizeof(*dpdk));
	if (!dpdk) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return NULL;
	}
	dpdk->engine.ops = &berth_engine_dpdk;
	dpdk->engine.workers = geometry->workers;
	dpdk->fd = -1;
	dpdk->config = config->dpdk;
	/* Whole hugepages, wherever it will stand. */
	dpdk->bytes = (berth_image_bytes(geometry) + HUGEPAGE_BYTES - 1) & ~(uint64_t)(HUGEPAGE_BYTES - 1);
	snprintf(dpdk->instance, sizeof(dpdk->instance), "%s", paths->instance);
	snprintf(dpdk->run_dir, sizeof(dpdk->run_dir), "%s", paths->run_dir);
	snprintf(dpdk->status_path, sizeof(dpdk->status_path), "%.180s/%.50s-dpdk.json", paths->run_dir,
		 paths->instance);
	for (size_t i = 0; i < config->n_interfaces; i++)
		dpdk->ports[dpdk->n_ports++] = config->interfaces[i];
	dpdk->node = berth_numa_node(dpdk->ports, dpdk->n_ports);
	/* The tables', and what of berth-dpdk's is not in hugepages. Where it is forbidden all is slower, no more.
	 */
	if (dpdk->node != BERTH_NO_NODE)
		berth_numa_prefer(dpdk->node);
	if (berth_object_path("berth-dpdk", dpdk->program, sizeof(dpdk->program), error) ||
	    open_image(dpdk, geometry, error)) {
		dpdk_close(&dpdk->engine, false);
		return NULL;
	}
	return &dpdk->engine;
}

/* The words of the engine's command line. */
struct command {
	char text[MAX_ARGS][ARG_BYTES];
	char *argv[MAX_ARGS + 1];
	int argc;
};

__attribute__((format(printf, 3, 4))) static void add_option(struct command *command, const char *option,
							     const char *format, ...)
{
	va_list args;
	if (command->argc + 2 > MAX_ARGS)
		return;
	snprintf(command->text[command->argc], ARG_BYTES, "%s", option);
	command->argv[command->argc] = command->text[command->argc];
	command->argc++;
	va_start(args, format);
	vsnprintf(command->text[command->argc], ARG_BYTES, format, args);
	va_end(args);
	command->argv[command->argc] = command->text[command->argc];
	command->argc++;
}

static void make_command(const struct dpdk_engine *dpdk, struct command *command)
{
	static const char *const idle[] = {NULL, "poll", "adaptive"};
	command->argv[command->argc++] = (char *)dpdk->program;
	add_option(command, "--instance", "%s", dpdk->instance);
	add_option(command, "--image", "%s", dpdk->image_path);
	add_option(command, "--run-dir", "%s", dpdk->run_dir);
	if (dpdk->config.workers)
		add_option(command, "--workers", "%u", dpdk->config.workers);
	if (idle[dpdk->config.idle])
		add_option(command, "--idle", "%s", idle[dpdk->config.idle]);
	add_option(command, "--memory", "%u", dpdk->config.memory_mb);
	if (dpdk->node != BERTH_NO_NODE)
		add_option(command, "--node", "%d", dpdk->node);
	add_option(command, "--rx-ring", "%u", dpdk->config.rx_ring);
	add_option(command, "--tx-ring", "%u", dpdk->config.tx_ring);
	for (size_t i = 0; i < dpdk->n_ports; i++) {
		const struct berth_interface_config *port = &dpdk->ports[i];
		bool device = port->device[0];
		add_option(command, "--port", "%s,queues=%u%s%s", port->name, port->queues,
			   device ? ",device=" : "", port->device);
	}
	command->argv[command->argc] = NULL;
}

/* In a session of its own, so that what ends berthd does not end it. */
static int spawn(struct dpdk_engine *dpdk)
{
	struct command *command = calloc(1, sizeof(*command));
	if (!command)
		return -ENOMEM;
	make_command(dpdk, command);
	unlink(dpdk->status_path);
	pid_t pid = fork();
	if (pid == 0) {
		sigset_t none;
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		setsid();
		execv(dpdk->program, command->argv);
		_exit(127);
	}
	free(command);
	if (pid < 0)
		return -errno;
	dpdk->child = pid;
	return 0;
}

static void describe_exit(int status, char *text, size_t size)
{
	if (WIFSIGNALED(status))
		snprintf(text, size, "killed by signal %d", WTERMSIG(status));
	else
		snprintf(text, size, "exit code %d", WEXITSTATUS(status));
}

/* Called every WATCH_MS: an engine that ended is started again. */
static void watch(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct dpdk_engine *dpdk = arg;
	int status;
	if (dpdk->child && waitpid(dpdk->child, &status, WNOHANG) == dpdk->child) {
		char why[64];
		describe_exit(status, why, sizeof(why));
		berth_log("berth-dpdk ended (%s); starting it again in %u ms", why, dpdk->backoff_ms);
		dpdk->child = 0;
		dpdk->waited_ms = 0;
	}
	if (dpdk->child || is_running(dpdk)) {
		/* Well for a while: the next end is a new one. */
		dpdk->waited_ms += WATCH_MS;
		if (dpdk->waited_ms > MAX_BACKOFF_MS)
			dpdk->backoff_ms = 0;
		return;
	}
	dpdk->waited_ms += WATCH_MS;
	if (dpdk->waited_ms < dpdk->backoff_ms)
		return;
	dpdk->backoff_ms = dpdk->backoff_ms ? dpdk->backoff_ms * 2 : 200;
	if (dpdk->backoff_ms > MAX_BACKOFF_MS)
		dpdk->backoff_ms = MAX_BACKOFF_MS;
	dpdk->waited_ms = 0;
	dpdk->restarts++;
	if (spawn(dpdk))
		berth_log("cannot start %s: %s", dpdk->program, strerror(errno));
}

/* Waits until the first start has come up or failed. */
static int await_start(struct dpdk_engine *dpdk, char error[BERTH_ERROR_BYTES])
{
	int status;
	for (int waited = 0; waited < START_MS; waited += 10) {
		if (access(dpdk->status_path, F_OK) == 0)
			return 0;
		if (waitpid(dpdk->child, &status, WNOHANG) == dpdk->child) {
			char why[64];
			describe_exit(status, why, sizeof(why));
			dpdk->child = 0;
			snprintf(error, BERTH_ERROR_BYTES,
				 "berth-dpdk did not come up (%s); its own message stands above", why);
			return -EIO;
		}
		usleep(10000);
	}
	snprintf(error, BERTH_ERROR_BYTES, "berth-dpdk did not come up within %d s", START_MS / 1000);
	return -ETIMEDOUT;
}

static int dpdk_start(struct berth_engine *engine, struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	struct dpdk_engine *dpdk = (struct dpdk_engine *)engine;
	const struct timeval period = {.tv_usec = WATCH_MS * 1000};
	int err = 0;
	if (!is_running(dpdk)) {
		err = spawn(dpdk);
		if (err)
			snprintf(error, BERTH_ERROR_BYTES, "cannot start %s: %s", dpdk->program, strerror(-err));
		else
			err = await_start(dpdk, error);
	}
	if (err)
		return err;
	dpdk->watch = event_new(base, -1, EV_PERSIST, watch, dpdk);
	if (!dpdk->watch || event_add(dpdk->watch, &period)) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

/* A worker is past an old generation when it has read the current one, or does not run. */
static bool dpdk_is_quiescent(struct berth_engine *engine)
{
	const struct dpdk_engine *dpdk = (const struct dpdk_engine *)engine;
	const struct berth_image *image = &engine->image;
	uint64_t generation = image->ctl->generation;
	if (!is_running(dpdk))
		return true;
	for (uint32_t w = 0; w < image->geometry.workers; w++)
		if (BERTH_LOAD(&image->workers[w].running) && BERTH_LOAD(&image->workers[w].seen) != generation)
			return false;
	return true;
}

static bool dpdk_is_running(const struct berth_engine *engine)
{
	return is_running((const struct dpdk_engine *)engine);
}

static json_t *dpdk_status(struct berth_engine *engine)
{
	const struct dpdk_engine *dpdk = (const struct dpdk_engine *)engine;
	json_t *status = json_load_file(dpdk->status_path, 0, NULL);
	if (!status)
		status = json_pack("{s:[]}", "ports");
	json_object_set_new(status, "running", json_boolean(is_running(dpdk)));
	json_object_set_new(status, "restarts", json_integer(dpdk->restarts));
	json_object_set_new(status, "segment", json_string(dpdk->image_path));
	return status;
}

static void dpdk_close(struct berth_engine *engine, bool stop)
{
	struct dpdk_engine *dpdk = (struct dpdk_engine *)engine;
	if (dpdk->watch)
		event_free(dpdk->watch);
	if (stop) {
		stop_process(dpdk);
		unlink(dpdk->image_path);
		unlink(dpdk->status_path);
	}
	unmap_image(dpdk);
	free(dpdk);
}

const struct berth_engine_ops berth_engine_dpdk = {
	.name = "dpdk",
	.check = dpdk_check,
	.open = dpdk_open,
	.start = dpdk_start,
	.is_quiescent = dpdk_is_quiescent,
	.is_running = dpdk_is_running,
	.status = dpdk_status,
	.close = dpdk_close,
};
