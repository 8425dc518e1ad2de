// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/cmd/show/rates.h"

static const char *const windows[] = {
#define X(symbol, name, ms) [BERTH_RATE_##symbol] = (name),
	BERTH_RATE_WINDOWS(X)
#undef X
};

/* With a tenth, since a backend may get less than one flow a second. */
static json_t *number(double rate)
{
	return json_real((double)(int64_t)(rate * 10 + 0.5) / 10);
}

static json_t *rate_json(const struct berth_rate *rate)
{
	return json_pack("{s:o, s:o, s:o}", "packets_per_s", number(rate->packets), "bits_per_s",
			 number(rate->bits), "new_flows_per_s", number(rate->new_flows));
}

json_t *berth_cmd_service_rates(const struct berth_daemon_state *state, const struct berth_model_service *service)
{
	json_t *all = json_object();
	struct berth_rate rate;
	for (enum berth_rate_window w = 0; w < BERTH_RATE_WINDOW_COUNT; w++)
		json_object_set_new(all, windows[w],
				    berth_rates_service(state->rates, service, w, &rate) ? rate_json(&rate)
											 : json_null());
	return all;
}

json_t *berth_cmd_backend_rates(const struct berth_daemon_state *state, const struct berth_model_backend *backend)
{
	json_t *all = json_object();
	struct berth_rate rate;
	for (enum berth_rate_window w = 0; w < BERTH_RATE_WINDOW_COUNT; w++)
		json_object_set_new(all, windows[w],
				    berth_rates_backend(state->rates, backend, w, &rate) ? rate_json(&rate)
											 : json_null());
	return all;
}

json_t *berth_cmd_engine_rates(const struct berth_daemon_state *state)
{
	json_t *all = json_object();
	struct berth_rate rate, drops;
	for (enum berth_rate_window w = 0; w < BERTH_RATE_WINDOW_COUNT; w++) {
		json_t *one = berth_rates_engine(state->rates, w, &rate) ? rate_json(&rate) : json_null();
		if (berth_rates_drops(state->rates, w, &drops))
			json_object_set_new(one, "dropped_packets_per_s", number(drops.packets));
		json_object_set_new(all, windows[w], one);
	}
	return all;
}
