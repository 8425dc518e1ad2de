// SPDX-License-Identifier: BSD-3-Clause
/* operator.json, dns.json and the secret: what is valid is written again as it was read. */
#include "controlplane/dns/state.h"
#include "controlplane/saved/operator_state.h"
#include "controlplane/saved/secret.h"
#include "tests/fuzz/control/fuzz.h"

static void operator_state(const char *text, size_t size)
{
	struct berth_operator_state state = {0}, again = {0};
	if (berth_operator_state_parse(&state, text, size) == 0) {
		char *first = berth_operator_state_format(&state);
		need(first && berth_operator_state_parse(&again, first, strlen(first)) == 0);
		char *second = berth_operator_state_format(&again);
		need(second && strcmp(first, second) == 0);
		free(first);
		free(second);
	} else {
		need(!state.n_backends && !state.n_pins);
	}
	berth_operator_state_clear(&state);
	berth_operator_state_clear(&again);
}

static void dns_state(const char *text, size_t size)
{
	struct berth_dns_state state = {0}, again = {0};
	if (berth_dns_state_parse(&state, text, size) == 0) {
		char *first = berth_dns_state_format(&state);
		need(first && berth_dns_state_parse(&again, first, strlen(first)) == 0);
		char *second = berth_dns_state_format(&again);
		need(second && strcmp(first, second) == 0);
		free(first);
		free(second);
	} else {
		need(!state.n_answers && !state.n_members);
	}
	berth_dns_state_clear(&state);
	berth_dns_state_clear(&again);
}

static void secret(const char *text, size_t size)
{
	uint8_t value[BERTH_SECRET_BYTES];
	char error[BERTH_ERROR_BYTES] = "";
	need(berth_secret_parse(value, text, size, error) == 0 || error[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = copy_of(data, size);
	operator_state(text, size);
	dns_state(text, size);
	secret(text, size);
	free(text);
	return 0;
}
