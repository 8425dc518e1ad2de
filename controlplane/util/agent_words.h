/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What an agent on a server says about it: one line, in the words of HAProxy's agent-check. Pure; the line may come
 * from anyone.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dataplane/core/types.h"

enum {
	BERTH_AGENT_LINE_BYTES = 128, /* the longest line, with its end */
	BERTH_AGENT_REASON_BYTES = 160,
	BERTH_AGENT_MAX_PERCENT = 200,
};

enum berth_agent_admin {
	BERTH_AGENT_ADMIN_UNSAID,
	BERTH_AGENT_READY,
	BERTH_AGENT_DRAIN,
	BERTH_AGENT_MAINT,
};

enum berth_agent_health {
	BERTH_AGENT_HEALTH_UNSAID,
	BERTH_AGENT_UP,
	BERTH_AGENT_DOWN,
};

/* Of one line, or of all lines so far: a line leaves what it does not speak of as it was. Zeroed: nothing said. */
struct berth_agent_words {
	uint16_t percent; /* of the configured weight, if has_percent */
	uint8_t has_percent;
	uint8_t admin;	/* enum berth_agent_admin */
	uint8_t health; /* enum berth_agent_health */
	uint8_t pad[3];
};
BERTH_ASSERT_SIZE(struct berth_agent_words, 8);

/*
 * Reads the words of a line without its end. False: the line is refused as a whole, and `words` is nothing said.
 * Fills `reason`, in printable ASCII: the line, or why it is refused.
 */
bool berth_agent_read(struct berth_agent_words *words, const char *line, size_t length,
		      char reason[BERTH_AGENT_REASON_BYTES]);
/* Whether another process may have made these words of a line. */
bool berth_agent_is_valid(const struct berth_agent_words *words);
/* Adds a later line to what was said before. */
void berth_agent_add(struct berth_agent_words *said, const struct berth_agent_words *line);
bool berth_agent_says_anything(const struct berth_agent_words *words);
bool berth_agent_equal(const struct berth_agent_words *a, const struct berth_agent_words *b);
/* 100 unless it said another one. */
uint16_t berth_agent_percent(const struct berth_agent_words *words);
/* "75%, drain, up"; "nothing". */
void berth_agent_format(const struct berth_agent_words *words, char text[BERTH_AGENT_REASON_BYTES]);
