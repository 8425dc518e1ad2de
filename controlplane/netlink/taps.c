// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/netlink/taps.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "controlplane/netlink/rtnl_socket.h"
#include "controlplane/util/log.h"

enum {
	ALIAS_BYTES = 128,
	MAX_REMOVED = 16, /* in one look; the next one finds the others */
};

static void name_alias(char alias[ALIAS_BYTES], const char *instance)
{
	snprintf(alias, ALIAS_BYTES, "berth %s: TAP of a DPDK port", instance);
}

void berth_taps_init(struct berth_taps *taps, const char *instance)
{
	*taps = (struct berth_taps){.instance = instance};
	for (size_t i = 0; i < BERTH_MAX_PORTS; i++)
		taps->held[i].fd = -1;
}

static void release(struct berth_held_tap *tap)
{
	if (tap->fd >= 0)
		close(tap->fd);
	*tap = (struct berth_held_tap){.fd = -1};
}

/* False: the device was removed, or has another name now. */
static bool is_held(const struct berth_held_tap *tap)
{
	struct ifreq request = {0};
	return ioctl(tap->fd, TUNGETIFF, &request) == 0 && strcmp(request.ifr_name, tap->name) == 0;
}

static int set_alias(const char *name, const char *alias)
{
	char buffer[BERTH_RTNL_REQUEST_BYTES + ALIAS_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct berth_rtnl rtnl;
	request->nlmsg_type = RTM_SETLINK;
	mnl_nlmsg_put_extra_header(request, sizeof(struct ifinfomsg));
	mnl_attr_put_strz(request, IFLA_IFNAME, name);
	mnl_attr_put_str(request, IFLA_IFALIAS, alias);
	int err = berth_rtnl_open_requests(&rtnl);
	if (err)
		return err;
	err = berth_rtnl_request(&rtnl, request, NULL, NULL);
	berth_rtnl_close(&rtnl);
	return err;
}

/* The alias first: a device that is persistent without it is somebody else's. */
static int make_persistent(int fd, const char *name, const char *instance)
{
	char alias[ALIAS_BYTES];
	name_alias(alias, instance);
	int err = set_alias(name, alias);
	return !err && ioctl(fd, TUNSETPERSIST, 1) ? -errno : err;
}

/* Packets that the kernel has put into the queue before it was detached are lost. */
static int open_queue(int fd, const char *name, struct ifreq *request)
{
	snprintf(request->ifr_name, sizeof(request->ifr_name), "%s", name);
	request->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE;
	if (ioctl(fd, TUNSETIFF, request))
		return -errno;
	request->ifr_flags = IFF_DETACH_QUEUE;
	if (ioctl(fd, TUNSETQUEUE, request) || ioctl(fd, TUNGETIFF, request))
		return -errno;
	return 0;
}

static int open_tap(const char *name, const char *instance, bool is_engines)
{
	struct ifreq request = {0};
	const int none = 0;
	const bool is_new = !if_nametoindex(name);
	const int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	int err = open_queue(fd, name, &request);
	if (!err && is_new && ioctl(fd, TUNSETCARRIER, &none))
		err = -errno;
	if (!err && !(request.ifr_flags & IFF_PERSIST))
		err = is_new || is_engines ? make_persistent(fd, name, instance) : -EEXIST;
	if (!err)
		return fd;
	close(fd);
	return err;
}

int berth_taps_hold(struct berth_taps *taps, const char *name, bool is_engines)
{
	struct berth_held_tap *tap = NULL;
	for (size_t i = 0; i < BERTH_MAX_PORTS; i++) {
		struct berth_held_tap *at = &taps->held[i];
		if (at->fd >= 0 && !is_held(at))
			release(at);
		if (at->fd >= 0 && strcmp(at->name, name) == 0)
			return 0;
		if (at->fd < 0 && !tap)
			tap = at;
	}
	if (!tap)
		return -ENOSPC;
	const int fd = open_tap(name, taps->instance, is_engines);
	if (fd < 0)
		return fd;
	tap->fd = fd;
	snprintf(tap->name, sizeof(tap->name), "%s", name);
	return 0;
}

void berth_taps_clear_carriers(const struct berth_taps *taps)
{
	const int none = 0;
	for (size_t i = 0; i < BERTH_MAX_PORTS; i++)
		if (taps->held[i].fd >= 0)
			ioctl(taps->held[i].fd, TUNSETCARRIER, &none);
}

/* The devices to remove. */
struct search {
	char alias[ALIAS_BYTES];
	const char *const *names;
	size_t n_names, n;
	struct {
		int ifindex;
		char name[BERTH_IFNAME_BYTES];
	} found[MAX_REMOVED];
};

struct parse {
	const char *name, *alias;
};

static int on_attr(const struct nlattr *attr, void *arg)
{
	struct parse *parse = arg;
	if (mnl_attr_get_type(attr) == IFLA_IFNAME)
		parse->name = mnl_attr_get_str(attr);
	if (mnl_attr_get_type(attr) == IFLA_IFALIAS)
		parse->alias = mnl_attr_get_str(attr);
	return MNL_CB_OK;
}

static bool is_wanted(const struct search *search, const char *name)
{
	for (size_t i = 0; i < search->n_names; i++)
		if (strcmp(search->names[i], name) == 0)
			return true;
	return false;
}

static int on_link(const struct nlmsghdr *message, void *arg)
{
	const struct ifinfomsg *info = mnl_nlmsg_get_payload(message);
	struct parse parse = {.name = "", .alias = ""};
	struct search *search = arg;
	if (message->nlmsg_type != RTM_NEWLINK)
		return MNL_CB_OK;
	mnl_attr_parse(message, sizeof(*info), on_attr, &parse);
	if (strcmp(parse.alias, search->alias) != 0 || is_wanted(search, parse.name) || search->n == MAX_REMOVED)
		return MNL_CB_OK;
	search->found[search->n].ifindex = info->ifi_index;
	snprintf(search->found[search->n].name, BERTH_IFNAME_BYTES, "%s", parse.name);
	search->n++;
	return MNL_CB_OK;
}

static int remove_link(struct berth_rtnl *rtnl, int ifindex)
{
	char buffer[BERTH_RTNL_REQUEST_BYTES] BERTH_RTNL_ALIGNED;
	struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
	struct ifinfomsg *info = mnl_nlmsg_put_extra_header(request, sizeof(*info));
	request->nlmsg_type = RTM_DELLINK;
	info->ifi_index = ifindex;
	return berth_rtnl_request(rtnl, request, NULL, NULL);
}

int berth_taps_remove_others(struct berth_taps *taps, const char *const *names, size_t n)
{
	struct search search = {.names = names, .n_names = n};
	struct berth_rtnl rtnl;
	name_alias(search.alias, taps->instance);
	for (size_t i = 0; i < BERTH_MAX_PORTS; i++)
		if (taps->held[i].fd >= 0 && !is_wanted(&search, taps->held[i].name))
			release(&taps->held[i]);
	int err = berth_rtnl_dump_links(on_link, &search);
	if (err || search.n == 0)
		return err;
	err = berth_rtnl_open_requests(&rtnl);
	for (size_t i = 0; !err && i < search.n; i++) {
		err = remove_link(&rtnl, search.found[i].ifindex);
		berth_log("%s: no port has this name any more: its TAP device %s%s", search.found[i].name,
			  err ? "cannot be removed: " : "is removed", err ? strerror(-err) : "");
	}
	berth_rtnl_close(&rtnl);
	return err;
}

void berth_taps_close(struct berth_taps *taps)
{
	for (size_t i = 0; i < BERTH_MAX_PORTS; i++)
		release(&taps->held[i]);
}
