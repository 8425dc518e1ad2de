// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "controlplane/util/log.h"
#include "dataplane/interface/heartbeat.h"
#include "dataplane/interface/image_check.h"

bool berth_engine_is_awaited(const struct berth_engine *engine)
{
	return engine->ops->is_awaited && engine->ops->is_awaited(engine);
}

uint64_t berth_engine_receives_since_ms(const struct berth_engine *engine)
{
	return berth_engine_is_awaited(engine) ? UINT64_MAX : engine->process.receives_since_ms;
}

uint64_t berth_engine_received_until_ms(const struct berth_engine *engine)
{
	const uint64_t polled_ns = berth_heartbeat_polled_ns(&engine->image);
	return polled_ns == UINT64_MAX ? UINT64_MAX : polled_ns / 1000000;
}

void berth_engine_set_port_fault(char fault[BERTH_ERROR_BYTES], const char *port, const char *cause)
{
	if (cause[0] && strcmp(cause, fault) != 0)
		berth_log("ALARM: %s", cause);
	else if (!cause[0] && fault[0])
		berth_log("alarm over: %s", port);
	snprintf(fault, BERTH_ERROR_BYTES, "%s", cause);
}

int berth_image_create(struct berth_image *image, const struct berth_geometry *geometry, const uint8_t *secret)
{
	struct berth_ctl *ctl = image->ctl;
	image->geometry = *geometry;
	ctl->abi = BERTH_ABI_VERSION;
	ctl->geometry = *geometry;
	ctl->former_flow_bits = image->former_flow_bits;
	ctl->former_session_bits = image->former_session_bits;
	if (secret)
		memcpy(ctl->secret, secret, sizeof(ctl->secret));
	else if (getrandom(ctl->secret, sizeof(ctl->secret), 0) != sizeof(ctl->secret))
		return -EIO;
	/* Last, with release order: a reader that sees the magic sees the fields above. */
	BERTH_STORE(&ctl->magic, BERTH_MAGIC);
	return 0;
}

/* Whether the former tables that workers read are those that were mapped. Workers may read none (0): their lookups
 * end before berthd drops a former table, and berthd may have ended in between. */
static bool reads_what_is_mapped(uint8_t read, uint8_t mapped)
{
	return !read || read == mapped;
}

bool berth_image_is_compatible(const struct berth_image *image, const uint8_t *secret,
			       char error[BERTH_ERROR_BYTES])
{
	const struct berth_ctl *ctl = image->ctl;
	const char *reason = NULL;
	if (BERTH_LOAD(&ctl->magic) != BERTH_MAGIC)
		reason = "their creation was interrupted";
	else if (ctl->abi != BERTH_ABI_VERSION)
		reason = "another version of berth created them";
	else if (memcmp(&ctl->geometry, &image->geometry, sizeof(ctl->geometry)) != 0)
		reason = "the limits were changed";
	else if (secret && memcmp(ctl->secret, secret, sizeof(ctl->secret)) != 0)
		reason = "the secret is another one";
	else if (!reads_what_is_mapped(ctl->former_flow_bits, image->former_flow_bits) ||
		 !reads_what_is_mapped(ctl->former_session_bits, image->former_session_bits))
		reason = "tables of a former size are no longer read";
	else
		reason = berth_image_fault(image);
	if (reason)
		snprintf(error, BERTH_ERROR_BYTES, "%s", reason);
	return !reason;
}

struct berth_store_sizes berth_record_sizes(const struct berth_record *record)
{
	return (struct berth_store_sizes){
		.flows = record->flow_buckets,
		.sessions = record->session_buckets,
		.former_flows = record->former_flow_buckets,
		.former_sessions = record->former_session_buckets,
	};
}

void berth_mapped_stores_close(struct berth_mapped_stores *stores)
{
	for (int i = 0; i < BERTH_STORES; i++)
		if (stores->mapped[i].memory)
			munmap(stores->mapped[i].memory, stores->mapped[i].bytes);
	*stores = (struct berth_mapped_stores){0};
}
