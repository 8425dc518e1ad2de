// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/daemon/link_watch.h"

#include "controlplane/daemon/private.h"
#include "controlplane/util/clock.h"

enum {
	SAMPLE_MS = 30000,
};

static void take(const struct berth_daemon *daemon, struct berth_rtnl *rtnl, struct berth_link_sample *sample)
{
	for (size_t i = 0; i < daemon->model.config->n_interfaces; i++) {
		sample->ifindex[i] = daemon->model.ports[i].ifindex;
		if (berth_rtnl_link_losses(rtnl, sample->ifindex[i], &sample->losses[i]))
			sample->ifindex[i] = 0;
	}
}

void berth_link_watch_follow(struct berth_daemon *daemon)
{
	struct berth_link_watch *watch = &daemon->state.link_watch;
	struct berth_link_sample sample = {.at_ms = berth_clock_ms()};
	struct berth_rtnl rtnl;
	if ((watch->newer.at_ms && sample.at_ms - watch->newer.at_ms < SAMPLE_MS) || berth_rtnl_open(&rtnl))
		return;
	take(daemon, &rtnl, &sample);
	berth_rtnl_close(&rtnl);
	watch->older = watch->newer.at_ms ? watch->newer : sample;
	watch->newer = sample;
}
