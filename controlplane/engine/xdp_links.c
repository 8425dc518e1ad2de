// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/xdp_links.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "controlplane/engine/engine.h"
#include "controlplane/engine/merging/merging.h"
#include "controlplane/util/clock.h"
#include "controlplane/util/log.h"
#include "dataplane/interface/xdp_program.h"

#define LINK_PREFIX "link-"

enum {
	ALARM_MS = 60000, /* between two alarms of refused frames; of merged segments, until they are over */
};

/* Whether it is berth's program. */
static bool is_attached(const struct berth_xdp_links *links, const struct berth_xdp_link *link)
{
	struct bpf_prog_info info = {0};
	uint32_t length = sizeof(info);
	return bpf_obj_get_info_by_fd(links->program, &info, &length) == 0 &&
	       berth_xdp_program_compare(link->ifindex, info.id) == BERTH_XDP_PROGRAM_OWN;
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
	char cause[BERTH_ERROR_BYTES] = "";
	int fd = -EOPNOTSUPP;
	if (link->mode != BERTH_XDP_GENERIC)
		fd = attach_mode(link, program, XDP_FLAGS_DRV_MODE);
	if (fd < 0)
		berth_merging_describe_refusal(link->name, fd, cause);
	if (fd < 0 && fd != -EBUSY && link->mode != BERTH_XDP_NATIVE) {
		if (link->mode == BERTH_XDP_AUTO)
			berth_log("%s: the driver refuses native XDP (%s); using generic mode, which is slower",
				  link->name, cause);
		fd = attach_mode(link, program, XDP_FLAGS_SKB_MODE);
		snprintf(cause, sizeof(cause), "%s", strerror(fd < 0 ? -fd : 0));
	}
	if (fd == -EBUSY || fd == -EEXIST)
		berth_xdp_program_describe_foreign(link->name, error, BERTH_ERROR_BYTES);
	else if (fd < 0)
		snprintf(error, BERTH_ERROR_BYTES, "%s: cannot attach the XDP program: %.300s%s", link->name, cause,
			 link->mode == BERTH_XDP_NATIVE ? "; xdp: auto falls back to generic" : "");
	return fd;
}

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

static void make_path(const struct berth_xdp_links *links, const char *name, char path[512])
{
	snprintf(path, 512, "%s/" LINK_PREFIX "%s", links->dir, name);
}

static int attach(const struct berth_xdp_links *links, struct berth_xdp_link *link, char error[BERTH_ERROR_BYTES])
{
	char path[512];
	make_path(links, link->name, path);
	uint32_t former = 0;
	if (berth_xdp_program_id(link->ifindex) && access(path, F_OK) == 0)
		former = is_generic(link) ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	if (!update_link(link, links->program, path)) {
		const int err = make_link(link, links->program, path, former, error);
		if (err)
			return err;
	}
	link->is_generic = is_generic(link);
	link->is_proven = false;
	link->merged = berth_merging_count(links->merged, link->ifindex);
	if (link->is_generic)
		berth_merging_stop(link->name);
	berth_xdp_trace_add(links->trace, link->ifindex);
	link->refused = berth_xdp_trace_refused(links->trace, link->ifindex).frames;
	berth_log("%s: XDP program attached in %s mode", link->name, link->is_generic ? "generic" : "native");
	return 0;
}

int berth_xdp_links_exchange(struct berth_xdp_links *links, int program)
{
	int err = 0;
	links->program = program;
	for (size_t i = 0; i < links->n; i++) {
		char path[512];
		make_path(links, links->link[i].name, path);
		const int fd = bpf_obj_get(path);
		if (fd >= 0 && bpf_link_update(fd, program, NULL))
			err = -errno;
		if (fd >= 0)
			close(fd);
	}
	return err;
}

static struct berth_xdp_link *find_link(struct berth_xdp_links *links, const char *name)
{
	for (size_t i = 0; i < links->n; i++)
		if (strcmp(links->link[i].name, name) == 0)
			return &links->link[i];
	return NULL;
}

/* Ends a link at once: the kernel ends one whose pin is gone some time later. */
static void detach(const char *dir, const char *pin)
{
	char path[512];
	snprintf(path, sizeof(path), "%s/%s", dir, pin);
	int fd = bpf_obj_get(path);
	if (fd < 0)
		return;
	bpf_link_detach(fd);
	close(fd);
}

/* Removes the pins of links to interfaces that are not configured; with `links` NULL all pins. */
static void remove_pins(const char *path, struct berth_xdp_links *links)
{
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));) {
		const char *name = entry->d_name;
		bool is_link = strncmp(name, LINK_PREFIX, strlen(LINK_PREFIX)) == 0;
		bool is_obsolete = !links || (is_link && !find_link(links, name + strlen(LINK_PREFIX)));
		if (name[0] == '.' || !is_obsolete)
			continue;
		if (is_link)
			detach(path, name);
		unlinkat(dirfd(dir), name, 0);
	}
	closedir(dir);
}

void berth_xdp_links_halt(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (strncmp(entry->d_name, LINK_PREFIX, strlen(LINK_PREFIX)) == 0)
			detach(path, entry->d_name);
	closedir(dir);
}

static void set_fault(struct berth_xdp_link *link, const char *fault)
{
	berth_engine_set_port_fault(link->fault, link->name, fault);
}

/* Whether a frame that is sent now can leave. By the carrier: the flag IFF_RUNNING follows it some time later. */
static bool is_up(const struct berth_xdp_link *link)
{
	struct ethtool_value carrier = {.cmd = ETHTOOL_GLINK};
	struct ifreq request = {.ifr_data = (char *)&carrier};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", link->name);
	bool up = link->ifindex && ioctl(fd, SIOCETHTOOL, &request) == 0 && carrier.data;
	close(fd);
	return up;
}

/* Tries a native attachment with every port that is up. False: the driver of a port refused the frame, with the
 * reason in `refusal`. */
static bool try_all(struct berth_xdp_links *links, struct berth_xdp_link *from, char refusal[BERTH_ERROR_BYTES])
{
	char reason[BERTH_ERROR_BYTES];
	bool all = is_up(from);
	for (size_t i = 0; is_up(from) && i < links->n; i++) {
		struct berth_xdp_link *to = &links->link[i];
		all &= is_up(to);
		if (!is_up(to) || berth_xdp_trace_try(links->trace, from->ifindex, to->ifindex, reason) ||
		    !is_up(to))
			continue;
		snprintf(refusal, BERTH_ERROR_BYTES, "%s: native XDP cannot send from it to %s (%.60s)", from->name,
			 to->name, reason);
		return false;
	}
	from->is_proven = all;
	return true;
}

/* In place of the native attachment; packets pass to the kernel meanwhile. */
static void fall_back(const struct berth_xdp_links *links, struct berth_xdp_link *link, const char *refusal)
{
	char error[BERTH_ERROR_BYTES] = "";
	struct berth_xdp_link generic = *link;
	generic.mode = BERTH_XDP_GENERIC;
	berth_log("%s; using generic mode, which is slower", refusal);
	if (attach(links, &generic, error) == 0) {
		generic.mode = link->mode;
		*link = generic;
	}
	link->is_proven = true;
	set_fault(link, error);
}

/* Tries what is not proven. With `xdp: native` a refusal is an alarm. True: a mode changed, on which other ports
 * may depend. */
static bool prove(struct berth_xdp_links *links)
{
	bool changed = false;
	for (size_t i = 0; i < links->n; i++) {
		struct berth_xdp_link *link = &links->link[i];
		char refusal[BERTH_ERROR_BYTES] = "";
		if (link->is_generic || link->is_proven || !link->ifindex || !is_attached(links, link))
			continue;
		if (try_all(links, link, refusal)) {
			set_fault(link, "");
			continue;
		}
		if (link->mode == BERTH_XDP_AUTO) {
			fall_back(links, link, refusal);
			changed = true;
			continue;
		}
		snprintf(refusal + strlen(refusal), sizeof(refusal) - strlen(refusal),
			 ": these packets are lost; use `xdp: auto` or `generic`");
		set_fault(link, refusal);
	}
	return changed;
}

static void unprove_all(struct berth_xdp_links *links)
{
	for (size_t i = 0; i < links->n; i++)
		links->link[i].is_proven = false;
}

/* Ends after one round per port: each round but the last makes a port generic. */
static void prove_all(struct berth_xdp_links *links)
{
	while (prove(links))
		unprove_all(links);
}

int berth_xdp_links_start(struct berth_xdp_links *links, char error[BERTH_ERROR_BYTES])
{
	for (size_t i = 0; i < links->n; i++) {
		struct berth_xdp_link *link = &links->link[i];
		int err = link->ifindex ? attach(links, link, error) : 0;
		if (err)
			return err;
	}
	links->is_started = true;
	remove_pins(links->dir, links);
	berth_xdp_links_follow(links);
	prove_all(links);
	return 0;
}

bool berth_xdp_links_differ(const struct berth_xdp_links *links, const struct berth_config *config)
{
	bool differ = links->n != config->n_interfaces;
	for (size_t i = 0; !differ && i < links->n; i++)
		differ = strcmp(links->link[i].name, config->interfaces[i].name) != 0 ||
			 links->link[i].mode != config->interfaces[i].xdp;
	return differ;
}

/* The link of an interface of a new configuration: the former one, as far as there is one. */
static struct berth_xdp_link next_link(struct berth_xdp_links *links,
				       const struct berth_interface_config *interface)
{
	struct berth_xdp_link link = {.ifindex = if_nametoindex(interface->name)};
	const struct berth_xdp_link *former = find_link(links, interface->name);
	if (former)
		link = *former;
	snprintf(link.name, sizeof(link.name), "%s", interface->name);
	link.mode = interface->xdp;
	return link;
}

/* Attaches where that is needed: to a new interface, or for another mode. */
static int attach_changed(struct berth_xdp_links *links, struct berth_xdp_links *former, size_t i,
			  char error[BERTH_ERROR_BYTES])
{
	struct berth_xdp_link *link = &links->link[i];
	const struct berth_xdp_link *old = find_link(former, link->name);
	if (old && (old->mode == link->mode || !link->ifindex))
		return 0;
	if (link->ifindex)
		return attach(links, link, error);
	snprintf(error, BERTH_ERROR_BYTES,
		 "interface %s does not exist; `ip link` lists interfaces (interfaces[%zu].name)", link->name, i);
	return -ENODEV;
}

/* Attaches in the former modes again, after a configuration failed. */
static void restore(struct berth_xdp_links *former, struct berth_xdp_links *links)
{
	char ignored[BERTH_ERROR_BYTES];
	for (size_t i = 0; i < former->n; i++) {
		const struct berth_xdp_link *link = &former->link[i];
		const struct berth_xdp_link *next = find_link(links, link->name);
		struct berth_xdp_link again = *link;
		again.mode = link->is_generic ? BERTH_XDP_GENERIC : BERTH_XDP_NATIVE;
		if (next && next->mode != link->mode && link->ifindex)
			attach(former, &again, ignored);
	}
	remove_pins(former->dir, former);
}

int berth_xdp_links_configure(struct berth_xdp_links *links, const struct berth_config *config,
			      char error[BERTH_ERROR_BYTES])
{
	struct berth_xdp_links next = *links;
	int err = 0;
	next.n = 0;
	for (size_t i = 0; i < config->n_interfaces; i++)
		next.link[next.n++] = next_link(links, &config->interfaces[i]);
	for (size_t i = 0; !err && links->is_started && i < next.n; i++)
		err = attach_changed(&next, links, i, error);
	if (err) {
		restore(links, &next);
		return err;
	}
	*links = next;
	if (!links->is_started)
		return 0;
	remove_pins(links->dir, links);
	unprove_all(links);
	prove_all(links);
	return 0;
}

static bool has_program(const struct berth_xdp_links *links, const struct berth_xdp_link *link)
{
	const uint32_t ifindex = if_nametoindex(link->name);
	return ifindex && ifindex == link->ifindex && is_attached(links, link);
}

static void describe_missing(const struct berth_xdp_link *link, char text[BERTH_ERROR_BYTES])
{
	snprintf(text, BERTH_ERROR_BYTES, "%s: the interface %s: berth forwards no packet on it", link->name,
		 link->ifindex || link->fault[0] ? "was removed" : "does not exist");
}

static void follow(const struct berth_xdp_links *links, struct berth_xdp_link *link)
{
	char error[BERTH_ERROR_BYTES] = "";
	const uint32_t ifindex = if_nametoindex(link->name);
	if (has_program(links, link))
		return;
	if (!ifindex)
		describe_missing(link, error);
	if (!ifindex && link->fault[0] && !link->ifindex)
		return;
	if (ifindex != link->ifindex)
		berth_merging_forget(links->merged, link->ifindex);
	link->ifindex = ifindex;
	link->merged_ms = 0;
	if (ifindex)
		attach(links, link, error);
	set_fault(link, error);
}

void berth_xdp_links_follow(struct berth_xdp_links *links)
{
	for (size_t i = 0; i < links->n; i++)
		follow(links, &links->link[i]);
	prove_all(links);
}

/* Frames that a driver refused since the last look: an alarm, and a reason to try again. */
static void watch(struct berth_xdp_links *links, struct berth_xdp_link *link)
{
	char text[BERTH_ERROR_BYTES];
	const struct berth_xdp_refused refused = berth_xdp_trace_refused(links->trace, link->ifindex);
	if (refused.frames <= link->refused)
		return;
	unprove_all(links);
	if (link->alarm_ms && berth_clock_ms() - link->alarm_ms < ALARM_MS)
		return;
	snprintf(text, sizeof(text),
		 "%s: its driver refused %llu frames that were to leave there%s%s: they are lost", link->name,
		 (unsigned long long)(refused.frames - link->refused), refused.err ? ": " : "",
		 refused.err ? strerror(-refused.err) : "");
	berth_log("ALARM: %s", text);
	link->refused = refused.frames;
	link->alarm_ms = berth_clock_ms();
}

/* Merged segments that came since the last look are a fault until none have come for some time. What merges them is
 * switched off first, if it can be. */
static void watch_merging(const struct berth_xdp_links *links, struct berth_xdp_link *link)
{
	char text[BERTH_ERROR_BYTES];
	const uint64_t now = berth_clock_ms(), merged = berth_merging_count(links->merged, link->ifindex);
	const bool is_news = link->is_generic && merged > link->merged;
	link->merged = merged;
	if (is_news && !berth_merging_stop(link->name)) {
		berth_merging_describe(link->name, text);
		link->merged_ms = now;
		set_fault(link, text);
	} else if (link->merged_ms && now - link->merged_ms >= ALARM_MS) {
		link->merged_ms = 0;
		set_fault(link, "");
	}
}

void berth_xdp_links_watch(struct berth_xdp_links *links)
{
	for (size_t i = 0; i < links->n; i++) {
		watch(links, &links->link[i]);
		watch_merging(links, &links->link[i]);
	}
	prove_all(links);
}

bool berth_xdp_links_are_attached(const struct berth_xdp_links *links)
{
	for (size_t i = 0; i < links->n; i++)
		if (!has_program(links, &links->link[i]))
			return false;
	return true;
}

void berth_xdp_links_describe(const struct berth_xdp_links *links, const struct berth_xdp_link *link,
			      char text[BERTH_ERROR_BYTES])
{
	const uint32_t ifindex = if_nametoindex(link->name);
	snprintf(text, BERTH_ERROR_BYTES, "%s", link->fault);
	if (text[0] || has_program(links, link))
		return;
	if (!ifindex)
		describe_missing(link, text);
	else if (berth_xdp_program_id(ifindex))
		berth_xdp_program_describe_foreign(link->name, text, BERTH_ERROR_BYTES);
}

void berth_xdp_pins_remove(const char *dir)
{
	remove_pins(dir, NULL);
	rmdir(dir);
}
