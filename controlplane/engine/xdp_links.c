// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/xdp_links.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "controlplane/util/log.h"

#define LINK_PREFIX "link-"

int berth_xdp_links_init(struct berth_xdp_links *links, const struct berth_config *config,
			 char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; i < config->n_interfaces; i++) {
		const struct berth_interface_config *interface = &config->interfaces[i];
		struct berth_xdp_link *link = &links->link[links->n++];
		snprintf(link->name, sizeof(link->name), "%s", interface->name);
		link->mode = interface->xdp;
		link->ifindex = if_nametoindex(link->name);
		if (!link->ifindex) {
			snprintf(error, BERTH_ERROR_BYTES, "interface %s does not exist", interface->name);
			return -ENODEV;
		}
	}
	return 0;
}

static bool is_attached(const struct berth_xdp_link *link)
{
	uint32_t program = 0;
	return link->ifindex && bpf_xdp_query_id((int)link->ifindex, 0, &program) == 0 && program;
}

/* In one mode (XDP_FLAGS_...). The descriptor of the BPF link, or -errno. */
static int attach_mode(const struct berth_xdp_link *link, int program, uint32_t flags)
{
	LIBBPF_OPTS(bpf_link_create_opts, options, .flags = flags);
	int fd = bpf_link_create(program, (int)link->ifindex, BPF_XDP, &options);
	return fd < 0 ? -errno : fd;
}

/* Native mode first, then generic, as far as the configuration allows. The descriptor, or -errno. */
static int attach_new(const struct berth_xdp_link *link, int program, char error[BERTH_ERROR_BYTES])
{
	int fd = -EOPNOTSUPP;
	if (link->mode != BERTH_XDP_GENERIC)
		fd = attach_mode(link, program, XDP_FLAGS_DRV_MODE);
	if (fd < 0 && fd != -EBUSY && link->mode != BERTH_XDP_NATIVE) {
		if (link->mode == BERTH_XDP_AUTO)
			berth_log("%s: the driver refuses native XDP (%s); using generic mode, which is slower",
				  link->name, strerror(-fd));
		fd = attach_mode(link, program, XDP_FLAGS_SKB_MODE);
	}
	if (fd == -EBUSY || fd == -EEXIST)
		snprintf(error, BERTH_ERROR_BYTES,
			 "%s: another XDP program is attached; `ip link show %s` shows it, `ip link set %s xdp "
			 "off` removes it",
			 link->name, link->name, link->name);
	else if (fd < 0)
		snprintf(error, BERTH_ERROR_BYTES, "%s: cannot attach the XDP program: %s%s", link->name,
			 strerror(-fd), link->mode == BERTH_XDP_NATIVE ? "; xdp: auto falls back to generic" : "");
	return fd;
}

/* The mode of the program that is attached. */
static bool is_generic(const struct berth_xdp_link *link)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	return bpf_xdp_query((int)link->ifindex, 0, &query) == 0 && query.attach_mode == XDP_ATTACHED_SKB;
}

/* Replaces the program of an existing link. False: there is no such link, or its mode is not the configured one;
 * then it is removed. */
static bool update_link(const struct berth_xdp_link *link, int program, const char *path)
{
	int fd = bpf_obj_get(path);
	if (fd < 0)
		return false;
	bool has_mode = link->mode == BERTH_XDP_AUTO || is_generic(link) == (link->mode == BERTH_XDP_GENERIC);
	/* The update fails if the interface of the link was removed. */
	bool updated = has_mode && bpf_link_update(fd, program, NULL) == 0;
	if (!updated) {
		bpf_link_detach(fd);
		unlink(path);
	}
	close(fd);
	return updated;
}

/* A new link with its pin. If it cannot be attached, one in the mode `former` (XDP_FLAGS_...; 0: none): forwarding
 * does not end when berthd does not start. */
static int make_link(const struct berth_xdp_link *link, int program, const char *path, uint32_t former,
		     char error[BERTH_ERROR_BYTES])
{
	int fd = attach_new(link, program, error);
	int err = fd < 0 ? fd : 0;
	if (err && former)
		fd = attach_mode(link, program, former);
	if (fd < 0)
		return err;
	if (bpf_obj_pin(fd, path)) {
		err = -errno;
		snprintf(error, BERTH_ERROR_BYTES, "cannot pin %s: %s", path, strerror(-err));
	}
	close(fd);
	return err;
}

static int attach(struct berth_xdp_link *link, int program, const char *dir, char error[BERTH_ERROR_BYTES])
{
	char path[512];
	snprintf(path, sizeof(path), "%s/" LINK_PREFIX "%s", dir, link->name);
	uint32_t former = 0;
	if (is_attached(link) && access(path, F_OK) == 0)
		former = is_generic(link) ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	int err = 0;
	if (!update_link(link, program, path))
		err = make_link(link, program, path, former, error);
	if (err)
		return err;
	link->is_generic = is_generic(link);
	berth_log("%s: XDP program attached in %s mode", link->name, link->is_generic ? "generic" : "native");
	return 0;
}

static bool is_configured(const struct berth_xdp_links *links, const char *name)
{
	for (size_t i = 0; i < links->n; i++)
		if (strcmp(links->link[i].name, name) == 0)
			return true;
	return false;
}

/* Removes the pins of links to interfaces that are not configured; with `links` NULL all pins. */
static void remove_pins(const char *path, const struct berth_xdp_links *links)
{
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		const char *name = entry->d_name;
		bool is_link = strncmp(name, LINK_PREFIX, strlen(LINK_PREFIX)) == 0;
		bool is_obsolete = !links || (is_link && !is_configured(links, name + strlen(LINK_PREFIX)));
		if (name[0] != '.' && is_obsolete)
			unlinkat(dirfd(dir), name, 0);
	}
	closedir(dir);
}

int berth_xdp_links_attach(struct berth_xdp_links *links, int program, const char *dir,
			   char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; i < links->n; i++) {
		int err = attach(&links->link[i], program, dir, error);
		if (err)
			return err;
	}
	remove_pins(dir, links);
	return 0;
}

static void follow(struct berth_xdp_link *link, int program, const char *dir)
{
	char error[BERTH_ERROR_BYTES] = "";
	const uint32_t ifindex = if_nametoindex(link->name);
	if (ifindex && ifindex == link->ifindex && is_attached(link))
		return;
	link->ifindex = ifindex;
	if (!ifindex)
		snprintf(error, sizeof(error), "%s: the interface was removed: berth forwards no packet on it",
			 link->name);
	else
		attach(link, program, dir, error);
	if (error[0] && strcmp(error, link->fault) != 0)
		berth_log("ALARM: %s", error);
	snprintf(link->fault, sizeof(link->fault), "%s", error);
}

void berth_xdp_links_follow(struct berth_xdp_links *links, int program, const char *dir)
{
	for (size_t i = 0; i < links->n; i++)
		follow(&links->link[i], program, dir);
}

bool berth_xdp_links_are_attached(const struct berth_xdp_links *links)
{
	for (size_t i = 0; i < links->n; i++)
		if (!is_attached(&links->link[i]))
			return false;
	return true;
}

void berth_xdp_pins_remove(const char *dir)
{
	remove_pins(dir, NULL);
	rmdir(dir);
}
