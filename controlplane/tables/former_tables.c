// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/tables/former_tables.h"

#include "controlplane/engine/engine.h"
#include "controlplane/tables/scan.h"
#include "controlplane/util/log.h"

/* In two scans: the first ends the lookups; after the second, a scan's time later, no worker is in one any more,
 * and the memory is freed. */
static bool follow(uint8_t *bits, uint32_t *recorded, uint64_t words, const char *what)
{
	if (!*recorded)
		return false;
	if (!BERTH_LOAD(bits)) {
		berth_log("all %s have left the table of the former size", what);
		BERTH_STORE(recorded, 0);
		return true;
	}
	if (!words)
		BERTH_STORE(bits, 0);
	return false;
}

void berth_former_tables_follow(struct berth_engine *engine, const struct berth_scan *scan)
{
	struct berth_record *record = engine->record;
	struct berth_ctl *ctl = engine->image.ctl;
	if (!record)
		return;
	uint64_t flows, sessions;
	berth_record_open_part(record, BERTH_RECORD_HEAD);
	berth_scan_totals(scan, &record->flow_words, &record->session_words);
	berth_scan_former(scan, &flows, &sessions);
	bool drop = follow(&ctl->former_flow_bits, &record->former_flow_buckets, flows, "flows");
	drop |= follow(&ctl->former_session_bits, &record->former_session_buckets, sessions, "sessions");
	berth_record_close_part(record, BERTH_RECORD_HEAD);
	if (drop)
		engine->ops->drop_former(engine);
}
