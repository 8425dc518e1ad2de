// SPDX-License-Identifier: BSD-3-Clause
/* Records of exceptions from other nodes: each that is accepted has one encoding. */
#include "controlplane/cluster/record.h"

#include "tests/fuzz/control/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct berth_cluster_record record;
	uint8_t bytes[BERTH_CLUSTER_RECORD_MAX_BYTES];
	char *input = copy_of(data, size);
	enum berth_cluster_record_fault fault = berth_cluster_record_decode(&record, (const uint8_t *)input, size);
	need(berth_cluster_record_fault_text(fault) != NULL);
	if (fault == BERTH_CLUSTER_RECORD_VALID) {
		need(berth_cluster_record_encode(&record, bytes) == size);
		need(memcmp(bytes, input, size) == 0);
	}
	free(input);
	return 0;
}
