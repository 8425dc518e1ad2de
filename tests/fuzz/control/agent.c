// SPDX-License-Identifier: BSD-3-Clause
/* The line of an agent. */
#include "controlplane/util/agent_words.h"
#include "tests/fuzz/control/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berth_agent_words words, said = {.has_percent = 1, .percent = 100};
	char reason[BERTH_AGENT_REASON_BYTES], text[BERTH_AGENT_REASON_BYTES];
	char *line = copy_of(data, size);
	const bool is_read = berth_agent_read(&words, line, size, reason);
	need(reason[0] != '\0' && berth_agent_is_valid(&words));
	need(is_read ? size < BERTH_AGENT_LINE_BYTES : !berth_agent_says_anything(&words));
	need(is_read || strncmp(reason, "refused: ", strlen("refused: ")) == 0);
	for (const char *c = reason; *c; c++)
		need(*c >= ' ' && *c <= '~');
	berth_agent_add(&said, &words);
	need(berth_agent_is_valid(&said) && berth_agent_percent(&said) <= BERTH_AGENT_MAX_PERCENT);
	berth_agent_format(&said, text);
	free(line);
	return 0;
}
