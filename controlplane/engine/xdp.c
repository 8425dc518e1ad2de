// SPDX-License-Identifier: BSD-3-Clause
/*
 * The XDP engine: a program and its maps, pinned in bpffs under BPFFS/berth/INSTANCE.
 *
 *   SECTION        a map for every section of the image
 *   link-IFNAME    the program's attachment to an interface
 *
 * The pins are all that it is: packets flow without berthd, and a new berthd (or a new version of it) adopts the
 * maps, loads its own program over them and swaps it in with one update of each link.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <linux/magic.h>
#include <linux/membarrier.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "controlplane/engine/engine.h"
#include "controlplane/engine/object.h"
#include "controlplane/util/interface.h"
#include "controlplane/util/log.h"

#define BPFFS "/sys/fs/bpf"
#define LINK_PREFIX "link-"

struct xdp_port {
	char name[BERTH_IFNAME_BYTES];
	enum berth_xdp_mode wanted;
	uint32_t ifindex;
	bool generic;
};

struct xdp_engine {
	struct berth_engine engine;
	char dir[256];
	struct bpf_object *object;
	int program; /* descriptor, owned by the object */
	struct xdp_port ports[BERTH_MAX_PORTS];
	size_t n_ports;
	char refounded[BERTH_ERROR_BYTES]; /* why an image that was there could not be adopted; "" */
};

struct section {
	const char *name;
	uint64_t element;
	uint64_t count;
	void **memory; /* where the image points to it */
};

enum {
#define X(name, type, count) SECTION_##name,
	BERTH_SECTIONS(X)
#undef X
	SECTION_COUNT,
};

static void list_sections(struct berth_image *image, const struct berth_geometry *g,
			  struct section sections[SECTION_COUNT])
{
#define X(field, type, how_many)                                                                                   \
	sections[SECTION_##field] = (struct section){                                                              \
		.name = #field,                                                                                    \
		.element = sizeof(type),                                                                           \
		.count = (how_many),                                                                               \
		.memory = (void **)(void *)&image->field,                                                          \
	};
	BERTH_SECTIONS(X)
#undef X
}

static uint64_t section_bytes(const struct section *section)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	return (section->element * section->count + page - 1) & ~(page - 1);
}

static int quiet_print(enum libbpf_print_level level, const char *format, va_list args)
{
	(void)level;
	(void)format;
	(void)args;
	return 0;
}

static int xdp_check(const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; i < config->n_interfaces; i++) {
		if (if_nametoindex(config->interfaces[i].name))
			continue;
		snprintf(error, BERTH_ERROR_BYTES,
			 "interface %s does not exist; `ip link` lists those that do (interfaces[%zu].name)",
			 config->interfaces[i].name, i);
		return -ENODEV;
	}
	return 0;
}

/* Makes the instance's folder, and mounts bpffs where the machine has not. */
static int make_dir(struct xdp_engine *xdp, const char *instance, char error[BERTH_ERROR_BYTES])
{
	struct statfs fs;
	if (statfs(BPFFS, &fs) || fs.f_type != BPF_FS_MAGIC) {
		if (mount("bpf", BPFFS, "bpf", 0, "mode=0700")) {
			snprintf(error, BERTH_ERROR_BYTES, "cannot mount bpffs at " BPFFS ": %s", strerror(errno));
			return -errno;
		}
	}
	snprintf(xdp->dir, sizeof(xdp->dir), BPFFS "/berth");
	if (mkdir(xdp->dir, 0700) && errno != EEXIST)
		goto fail;
	snprintf(xdp->dir, sizeof(xdp->dir), BPFFS "/berth/%s", instance);
	if (mkdir(xdp->dir, 0700) && errno != EEXIST)
		goto fail;
	return 0;
fail:
	snprintf(error, BERTH_ERROR_BYTES, "cannot create %s: %s", xdp->dir, strerror(errno));
	return -errno;
}

static void pin_path(const struct xdp_engine *xdp, const char *prefix, const char *name, char path[512])
{
	snprintf(path, 512, "%s/%s%s", xdp->dir, prefix, name);
}

/* Points the object's maps to the pinned ones. False if not all are there and as they must be. */
static bool reuse_maps(struct xdp_engine *xdp, const struct section *sections)
{
	int fds[SECTION_COUNT];
	int n = 0;
	for (; n < SECTION_COUNT; n++) {
		char path[512];
		struct bpf_map_info info = {0};
		uint32_t bytes = sizeof(info);
		pin_path(xdp, "", sections[n].name, path);
		fds[n] = bpf_obj_get(path);
		if (fds[n] < 0)
			break;
		if (bpf_obj_get_info_by_fd(fds[n], &info, &bytes) || info.value_size != sections[n].element ||
		    info.max_entries != sections[n].count) {
			snprintf(xdp->refounded, sizeof(xdp->refounded), "the limits were changed");
			close(fds[n]);
			break;
		}
	}
	bool all = n == SECTION_COUNT;
	for (int i = 0; i < n; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(xdp->object, sections[i].name);
		if (all && (!map || bpf_map__reuse_fd(map, fds[i])))
			all = false;
		close(fds[i]);
	}
	return all;
}

static int open_object(struct xdp_engine *xdp, const struct section *sections, char error[BERTH_ERROR_BYTES])
{
	char path[512];
	if (berth_object_path("berth_xdp.bpf.o", path, sizeof(path), error))
		return -ENOENT;
	xdp->object = bpf_object__open_file(path, NULL);
	if (!xdp->object) {
		snprintf(error, BERTH_ERROR_BYTES, "cannot read %s: %s", path, strerror(errno));
		return -errno;
	}
	for (int i = 0; i < SECTION_COUNT; i++) {
		struct bpf_map *map = bpf_object__find_map_by_name(xdp->object, sections[i].name);
		if (!map || bpf_map__set_max_entries(map, (uint32_t)sections[i].count)) {
			snprintf(error, BERTH_ERROR_BYTES, "%s does not belong to this berthd: it has no map %s",
				 path, sections[i].name);
			return -EINVAL;
		}
	}
	return 0;
}

static int load_object(struct xdp_engine *xdp, char error[BERTH_ERROR_BYTES])
{
	int err = bpf_object__load(xdp->object);
	struct bpf_program *program = bpf_object__find_program_by_name(xdp->object, "berth_xdp");
	if (!err && program) {
		xdp->program = bpf_program__fd(program);
		return 0;
	}
	if (err == -EPERM)
		snprintf(error, BERTH_ERROR_BYTES, "no permission to load BPF programs; run as root");
	else if (err == -ENOMEM)
		snprintf(error, BERTH_ERROR_BYTES, "not enough memory for the tables; lower limits.flows");
	else
		snprintf(error, BERTH_ERROR_BYTES,
			 "the kernel does not take the XDP program: %s; berth is tested from Linux 6.1 on",
			 strerror(-err));
	return err ? err : -EINVAL;
}

static int map_sections(struct xdp_engine *xdp, const struct section *sections, char error[BERTH_ERROR_BYTES])
{
	for (int i = 0; i < SECTION_COUNT; i++) {
		int fd = bpf_object__find_map_fd_by_name(xdp->object, sections[i].name);
		void *memory = mmap(NULL, section_bytes(&sections[i]), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (memory == MAP_FAILED) {
			snprintf(error, BERTH_ERROR_BYTES, "cannot map %s: %s", sections[i].name, strerror(errno));
			return -errno;
		}
		*sections[i].memory = memory;
	}
	return 0;
}

static void unmap_sections(struct xdp_engine *xdp)
{
	struct section sections[SECTION_COUNT];
	list_sections(&xdp->engine.image, &xdp->engine.image.geometry, sections);
	for (int i = 0; i < SECTION_COUNT; i++)
		if (*sections[i].memory)
			munmap(*sections[i].memory, section_bytes(&sections[i]));
}

static int pin_maps(struct xdp_engine *xdp, const struct section *sections, char error[BERTH_ERROR_BYTES])
{
	for (int i = 0; i < SECTION_COUNT; i++) {
		char path[512];
		pin_path(xdp, "", sections[i].name, path);
		unlink(path);
		if (bpf_obj_pin(bpf_object__find_map_fd_by_name(xdp->object, sections[i].name), path)) {
			snprintf(error, BERTH_ERROR_BYTES, "cannot pin %s: %s", path, strerror(errno));
			return -errno;
		}
	}
	return 0;
}

static int open_ports(struct xdp_engine *xdp, const struct berth_config *config, char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct berth_interface_config *interface = &config->interfaces[i];
		struct xdp_port *port = &xdp->ports[xdp->n_ports++];
		snprintf(port->name, sizeof(port->name), "%s", interface->name);
		port->wanted = interface->xdp;
		if (berth_interface_read(interface->name, &xdp->engine.image.ctl->ports[i])) {
			snprintf(error, BERTH_ERROR_BYTES, "interface %s does not exist", interface->name);
			return -ENODEV;
		}
		port->ifindex = xdp->engine.image.ctl->ports[i].ifindex;
	}
	return 0;
}

static void xdp_close(struct berth_engine *engine, bool stop);

/* Loads the program over the maps that are there, or over new ones where those do not fit. */
static int open_image(struct xdp_engine *xdp, const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	struct berth_engine *engine = &xdp->engine;
	struct section sections[SECTION_COUNT];
	engine->image.geometry = *geometry;
	list_sections(&engine->image, geometry, sections);
	for (int attempt = 0; attempt < 2; attempt++) {
		int err = open_object(xdp, sections, error);
		if (err)
			return err;
		engine->adopted = attempt == 0 && reuse_maps(xdp, sections);
		err = load_object(xdp, error);
		if (!err)
			err = map_sections(xdp, sections, error);
		if (err)
			return err;
		if (!engine->adopted || berth_image_is_compatible(engine->image.ctl, geometry, xdp->refounded))
			break;
		unmap_sections(xdp);
		bpf_object__close(xdp->object);
		xdp->object = NULL;
	}
	if (engine->adopted)
		return 0;
	if (xdp->refounded[0])
		berth_log("the tables that were there are not taken over (%s): flows and sessions begin anew",
			  xdp->refounded);
	if (berth_image_create(&engine->image, geometry)) {
		snprintf(error, BERTH_ERROR_BYTES, "cannot read random bytes");
		return -EIO;
	}
	return pin_maps(xdp, sections, error);
}

/* Each CPU that may come is a worker, and would pass everything to the kernel uncounted past their number. */
static int check_cpus(uint32_t possible, char error[BERTH_ERROR_BYTES])
{
	if (possible <= BERTH_MAX_WORKERS)
		return 0;
	snprintf(error, BERTH_ERROR_BYTES,
		 "the XDP engine serves up to %d CPUs and this kernel is ready for %u "
		 "(/sys/devices/system/cpu/possible): boot it with possible_cpus=%d",
		 BERTH_MAX_WORKERS, possible, BERTH_MAX_WORKERS);
	return -E2BIG;
}

static struct berth_engine *xdp_open(const struct berth_config *config, const struct berth_engine_paths *paths,
				     const struct berth_geometry *geometry, char error[BERTH_ERROR_BYTES])
{
	struct xdp_engine *xdp = calloc(1, sizeof(*xdp));
	if (!xdp) {
		snprintf(error, BERTH_ERROR_BYTES, "out of memory");
		return NULL;
	}
	libbpf_set_print(quiet_print);
	xdp->engine.ops = &berth_engine_xdp;
	xdp->engine.workers = (uint32_t)libbpf_num_possible_cpus();
	if (check_cpus(xdp->engine.workers, error) || make_dir(xdp, paths->instance, error) ||
	    open_image(xdp, geometry, error) || open_ports(xdp, config, error)) {
		xdp_close(&xdp->engine, false);
		return NULL;
	}
	return &xdp->engine;
}

/* Attaches as one mode says; the descriptor of the link or -errno. */
static int attach_mode(const struct xdp_engine *xdp, const struct xdp_port *port, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
	int fd = bpf_link_create(xdp->program, (int)port->ifindex, BPF_XDP, &options);
	return fd < 0 ? -errno : fd;
}

static int attach_new(const struct xdp_engine *xdp, struct xdp_port *port, char error[BERTH_ERROR_BYTES])
{
	int fd = -EOPNOTSUPP;
	if (port->wanted != BERTH_XDP_GENERIC)
		fd = attach_mode(xdp, port, XDP_FLAGS_DRV_MODE);
	if (fd < 0 && fd != -EBUSY && port->wanted != BERTH_XDP_NATIVE) {
		if (port->wanted == BERTH_XDP_AUTO)
			berth_log("%s: native XDP is refused (%s); going on in generic mode, which is slower",
				  port->name, strerror(-fd));
		fd = attach_mode(xdp, port, XDP_FLAGS_SKB_MODE);
	}
	if (fd == -EBUSY || fd == -EEXIST)
		snprintf(error, BERTH_ERROR_BYTES,
			 "%s: another XDP program is attached; `ip link show %s` tells which, `ip link set %s xdp "
			 "off` "
			 "removes it",
			 port->name, port->name, port->name);
	else if (fd < 0)
		snprintf(error, BERTH_ERROR_BYTES, "%s: cannot attach the XDP program: %s%s", port->name,
			 strerror(-fd),
			 port->wanted == BERTH_XDP_NATIVE ? "; xdp: auto falls back to generic" : "");
	return fd;
}

/* Puts this program where an earlier berthd's was, between two packets. */
static bool update_link(const struct xdp_engine *xdp, const char *path)
{
	int fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	bool updated = bpf_link_update(fd, xdp->program, NULL) == 0;
	close(fd);
	/* A link whose interface went away can't be updated; it is as good as none. */
	if (!updated)
		unlink(path);
	return updated;
}

static int attach_port(const struct xdp_engine *xdp, struct xdp_port *port, char error[BERTH_ERROR_BYTES])
{
	char path[512];
	pin_path(xdp, LINK_PREFIX, port->name, path);
	if (!update_link(xdp, path)) {
		int fd = attach_new(xdp, port, error);
		if (fd < 0)
			return fd;
		int err = bpf_obj_pin(fd, path) ? -errno : 0;
		close(fd);
		if (err) {
			snprintf(error, BERTH_ERROR_BYTES, "cannot pin %s: %s", path, strerror(-err));
			return err;
		}
	}
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	if (bpf_xdp_query((int)port->ifindex, 0, &query) == 0)
		port->generic = query.attach_mode == XDP_ATTACHED_SKB;
	berth_log("%s: XDP program attached in %s mode", port->name, port->generic ? "generic" : "native");
	return 0;
}

static bool is_port(const struct xdp_engine *xdp, const char *name)
{
	for (size_t i = 0; i < xdp->n_ports; i++)
		if (strcmp(xdp->ports[i].name, name) == 0)
			return true;
	return false;
}

/* Removes the pins: all of them, or only the links of interfaces that are no port of ours. */
static void remove_pins(const struct xdp_engine *xdp, bool all)
{
	DIR *dir = opendir(xdp->dir);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		bool is_link = strncmp(entry->d_name, LINK_PREFIX, strlen(LINK_PREFIX)) == 0;
		bool foreign = is_link && !is_port(xdp, entry->d_name + strlen(LINK_PREFIX));
		if (entry->d_name[0] != '.' && (all || foreign))
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	closedir(dir);
	if (all)
		rmdir(xdp->dir);
}

static int xdp_start(struct berth_engine *engine, struct event_base *base, char error[BERTH_ERROR_BYTES])
{
	(void)base;
	struct xdp_engine *xdp = (struct xdp_engine *)engine;
	for (size_t i = 0; i < xdp->n_ports; i++) {
		int err = attach_port(xdp, &xdp->ports[i], error);
		if (err)
			return err;
	}
	remove_pins(xdp, false);
	return 0;
}

/* XDP programs run inside an RCU read section, and this waits for all of those that have begun. */
static bool xdp_is_quiescent(struct berth_engine *engine)
{
	(void)engine;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0;
}

/* A link keeps others from taking our program's place; it goes when the interface does. */
static bool xdp_is_running(const struct berth_engine *engine)
{
	const struct xdp_engine *xdp = (const struct xdp_engine *)engine;
	for (size_t i = 0; i < xdp->n_ports; i++) {
		uint32_t program = 0;
		if (bpf_xdp_query_id((int)xdp->ports[i].ifindex, 0, &program) || !program)
			return false;
	}
	return true;
}

static json_t *xdp_status(struct berth_engine *engine)
{
	const struct xdp_engine *xdp = (const struct xdp_engine *)engine;
	json_t *ports = json_array();
	for (size_t i = 0; i < xdp->n_ports; i++)
		json_array_append_new(ports, json_pack("{s:s, s:s}", "name", xdp->ports[i].name, "mode",
						       xdp->ports[i].generic ? "generic" : "native"));
	return json_pack("{s:s, s:o}", "pin_directory", xdp->dir, "ports", ports);
}

static void xdp_close(struct berth_engine *engine, bool stop)
{
	struct xdp_engine *xdp = (struct xdp_engine *)engine;
	unmap_sections(xdp);
	bpf_object__close(xdp->object);
	if (stop)
		remove_pins(xdp, true);
	free(xdp);
}

const struct berth_engine_ops berth_engine_xdp = {
	.name = "xdp",
	.check = xdp_check,
	.open = xdp_open,
	.start = xdp_start,
	.is_quiescent = xdp_is_quiescent,
	.is_running = xdp_is_running,
	.status = xdp_status,
	.close = xdp_close,
};
