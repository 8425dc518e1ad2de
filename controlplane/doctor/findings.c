// SPDX-License-Identifier: BSD-3-Clause
#include "controlplane/doctor/findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const levels[] = {
	[BERTH_DOCTOR_OK] = "ok", [BERTH_DOCTOR_NOTE] = "note", [BERTH_DOCTOR_PROBLEM] = "problem"};

void berth_doctor_add(json_t *checks, const char *subject, const struct berth_doctor_finding *finding)
{
	json_array_append_new(checks, json_pack("{s:s, s:s, s:s, s:s?, s:s?}", "level", levels[finding->level],
						"subject", subject, "finding", finding->text, "remedy",
						finding->remedy[0] ? finding->remedy : NULL, "cause",
						finding->cause[0] ? finding->cause : NULL));
}

void berth_doctor_addf(json_t *checks, const char *subject, enum berth_doctor_level level, const char *remedy,
		       const char *format, ...)
{
	struct berth_doctor_finding finding = {.level = level};
	va_list args;
	va_start(args, format);
	vsnprintf(finding.text, sizeof(finding.text), format, args);
	va_end(args);
	snprintf(finding.remedy, sizeof(finding.remedy), "%s", remedy);
	berth_doctor_add(checks, subject, &finding);
}

static const char *text_of(const json_t *check, const char *key)
{
	const char *text = json_string_value(json_object_get(check, key));
	return text ? text : "";
}

void berth_doctor_add_problems(json_t *checks, const json_t *from)
{
	size_t i;
	json_t *check;
	json_array_foreach(from, i, check) if (strcmp(text_of(check, "level"), levels[BERTH_DOCTOR_PROBLEM]) == 0)
		json_array_append(checks, check);
}

/* What findings with one cause have in common: the cause if it is named, else text and remedy. */
static json_t *key_of(const json_t *check)
{
	const char *cause = text_of(check, "cause");
	if (cause[0])
		return json_sprintf("%s %s", text_of(check, "level"), cause);
	return json_sprintf("%s %s %s", text_of(check, "level"), text_of(check, "finding"),
			    text_of(check, "remedy"));
}

static json_t *new_group(const json_t *check)
{
	json_t *group = json_copy((json_t *)check);
	json_object_del(group, "cause");
	json_object_set_new(group, "subjects", json_array());
	return group;
}

json_t *berth_doctor_group(const json_t *checks)
{
	json_t *groups = json_array(), *by_key = json_object(), *check;
	size_t i;
	json_array_foreach(checks, i, check)
	{
		json_t *key = key_of(check);
		json_t *group = json_object_get(by_key, json_string_value(key));
		if (!group) {
			group = new_group(check);
			json_object_set(by_key, json_string_value(key), group);
			json_array_append_new(groups, group);
		}
		json_array_append(json_object_get(group, "subjects"), json_object_get(check, "subject"));
		json_decref(key);
	}
	json_decref(by_key);
	return groups;
}
