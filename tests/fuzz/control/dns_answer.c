// SPDX-License-Identifier: BSD-3-Clause
/* Answers of DNS servers: the first byte is the type. The file is included, for the parser without a server. */
#include "controlplane/dns/lookup.c"

#include "tests/fuzz/control/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berth_dns_result results[BERTH_DNS_TYPES] = {{0}};
	struct berth_dns_outcome outcome;
	if (!size)
		return 0;
	unsigned char *answer = (unsigned char *)copy_of(data + 1, size - 1);
	for (int type = 0; type < BERTH_DNS_TYPES; type++) {
		struct berth_dns_result *result = &results[type];
		int status = parse(result, (enum berth_dns_record_type)type, answer, (int)size - 1);
		result->status = status == ARES_SUCCESS ? BERTH_DNS_FOUND : BERTH_DNS_FAILED;
		result->error = error_text(status);
		need(result->n <= CAPACITY && result->error != NULL);
	}
	need(berth_dns_merge(results, NULL, &outcome) == 0);
	need(outcome.n <= results[0].n + results[1].n);
	free(outcome.addresses);
	for (int type = 0; type < BERTH_DNS_TYPES; type++)
		free(results[type].addresses);
	free(answer);
	return 0;
}
