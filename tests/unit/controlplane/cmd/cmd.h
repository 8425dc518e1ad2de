/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A real daemon with the null engine. Its loop does not run; the tests write counters and tables in place of
 * workers.
 */
#pragma once

#include "tests/support/berthd.h"

#include "controlplane/util/clock.h"
#include "dataplane/core/flowtab.h"

#define HEAD                                                                                                       \
	"engine: 'null'\n"                                                                                         \
	"interfaces: [{name: lo}]\n"                                                                               \
	"limits: {flows: 1024, sessions: 1024, services: 5, backends: 60}\n"

#define WEB "{name: web, address: 203.0.113.10, protocol: tcp, port: 80, mode: ipip, table-size: 251, "

static const char configuration[] = HEAD
	"services:\n"
	"  - " WEB "affinity: {by: client, timeout: 2h}, backends: [\n"
	"      {name: b1, address: 192.0.2.11, weight: 7}, "
	"{name: b2, address: 192.0.2.12}]}\n"
	"  - {name: dns, address: '2001:db8::53', protocol: udp, port: 53, mode: l2, "
	"table-size: 251, backends: [{name: b1, address: '2001:db8::11'}]}\n"
	"  - {name: idle, address: 203.0.113.11, protocol: tcp, port: 443, mode: l2, "
	"table-size: 251}\n";

static int set_up(void **state)
{
	return berthd_set_up(state, configuration);
}

static int tear_down(void **state)
{
	return berthd_tear_down(state);
}

static struct berth_model_backend *backend(struct berthd *f, const char *service, const char *name)
{
	struct berth_model_service *found = berth_model_service(&f->daemon->model, service);
	assert_non_null(found);
	return berth_model_backend(found, name);
}

/* Up, with a next hop: eligible for new clients. */
__attribute__((unused)) static void bring_up(struct berthd *f, const char *service, const char *name)
{
	backend(f, service, name)->health = BERTH_HEALTH_UP;
	backend(f, service, name)->next_hop.is_resolved = true;
}

__attribute__((unused)) static struct berth_tally *backend_tally(struct berthd *f, const char *service,
								 const char *name)
{
	const struct berth_image *image = &f->daemon->engine->image;
	return &image->tallies[image->geometry.services + backend(f, service, name)->number];
}

/* Writes two flows and a session on web/b1 and one flow on web/b2, as workers do. */
__attribute__((unused)) static void fill_tables(struct berthd *f)
{
	const struct berth_image *image = &f->daemon->engine->image;
	uint32_t now = berth_clock_s();
	uint32_t b1 = backend(f, "web", "b1")->number;
	uint32_t b2 = backend(f, "web", "b2")->number;
	image->flows[1].word[0] = berth_word_make(1, b1, now, BERTH_STATE_CONFIRMED);
	image->flows[2].word[3] = berth_word_make(2, b1, now, BERTH_STATE_CONFIRMED);
	image->flows[5].word[7] = berth_word_make(3, b2, now, BERTH_STATE_CONFIRMED);
	image->sessions[0].word[0] = berth_word_make(4, b1, now, BERTH_STATE_SESSION);
	while (!berth_scan_step(f->daemon->scan, 4096, now))
		;
}
