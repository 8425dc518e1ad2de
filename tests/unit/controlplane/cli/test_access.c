// SPDX-License-Identifier: BSD-3-Clause
/* Roles on the administration socket: real processes of other users run berthctl. As root. */
#include "tests/unit/controlplane/cli/berthctl.h"

#include "controlplane/server/access.h"
#include "controlplane/util/file.h"

/* Users and groups of every Debian. */
enum {
	DAEMON = 1,
	BIN = 2,
	NOBODY = 65534,
	GROUP_TTY = 5,
	GROUP_MAIL = 8,
};

static void open_with(struct fixture *f, const char *access)
{
	char text[2048];
	snprintf(text, sizeof(text), "%s%s", access, configuration);
	assert_int_equal(berth_file_replace(f->berthd.path, text, strlen(text)), 0);
	berthd_open(&f->berthd);
	f->base = f->berthd.daemon->base;
}

#define ACCESS                                                                                                     \
	"access:\n"                                                                                                \
	"  - {group: tty, role: viewer}\n"                                                                         \
	"  - {group: mail, role: operator}\n"                                                                      \
	"  - {user: daemon, role: admin}\n"                                                                        \
	"  - {user: bin, role: viewer}\n"

static void a_role_permits_its_commands_and_those_below(void **state)
{
	static const char *const commands[] = {"show services", "backend drain web/b1", "config check",
					       "config apply --no-save"};
	static const struct {
		uid_t uid;
		gid_t group;
		int permitted; /* of the commands above; -1: the connection is refused */
	} clients[] = {
		{0, 0, 4},	{NOBODY, 0, -1}, {NOBODY, GROUP_TTY, 1}, {NOBODY, GROUP_MAIL, 2},
		{DAEMON, 0, 4}, {BIN, 0, 1},	 {BIN, GROUP_MAIL, 2},	 {DAEMON, GROUP_TTY, 4},
	};
	struct fixture *f = *state;
	open_with(f, ACCESS);
	assert_int_equal(chmod(f->berthd.path, 0644), 0);
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++)
		for (int j = 0; j < 4; j++) {
			char words[200];
			const char *file = strncmp(commands[j], "config", strlen("config")) == 0 ? f->berthd.path
												 : "";
			/* A check changes nothing: viewers may. */
			int needed = j == 2 ? 0 : j;
			snprintf(words, sizeof(words), "%s %s", commands[j], file);
			f->uid = clients[i].uid;
			f->group = clients[i].group;
			struct outcome outcome = berthctl(f, words);
			if (clients[i].permitted < 0)
				expect_outcome(&outcome, 1,
					       "permission denied: `access` in berthd's configuration");
			else if (needed >= clients[i].permitted)
				expect_outcome(&outcome, 1, "needs the role");
			else
				expect_outcome(&outcome, 0, "");
		}
}

static void an_operator_edits_weights_and_no_addresses(void **state)
{
	static const struct {
		const char *words;
		gid_t group;
		const char *says; /* NULL: it is permitted */
	} cases[] = {
		{"backend set web/b1 weight 5 --no-save", GROUP_TTY, "needs the role operator"},
		{"backend set web/b1 weight 5 --no-save", GROUP_MAIL, NULL},
		{"backend set web/b1 weight 5 address 192.0.2.77 --no-save", GROUP_MAIL,
		 "\"address\" needs the role admin"},
		{"backend add web/b7 192.0.2.77 --no-save", GROUP_MAIL, "needs the role admin"},
		{"config undo --no-save", GROUP_MAIL, "needs the role admin"},
		{"config history", GROUP_TTY, NULL},
	};
	struct fixture *f = *state;
	open_with(f, ACCESS);
	f->uid = NOBODY;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		f->group = cases[i].group;
		struct outcome outcome = berthctl(f, cases[i].words);
		expect_outcome(&outcome, cases[i].says ? 1 : 0, cases[i].says ? cases[i].says : "");
	}
	struct outcome outcome = berthctl(f, "config history");
	expect_outcome(&outcome, 0, "nobody");
}

static void without_a_list_the_mode_of_the_socket_decides(void **state)
{
	struct fixture *f = *state;
	struct stat status;
	open_with(f, "");
	assert_int_equal(stat(f->berthd.socket, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0660);
	f->uid = NOBODY;
	struct outcome outcome = berthctl(f, "show services");
	expect_outcome(&outcome, 4, "not in the group of the socket");
}

static void an_apply_changes_roles_at_once(void **state)
{
	struct fixture *f = *state;
	char words[200];
	struct stat status;
	open_with(f, ACCESS);
	assert_int_equal(stat(f->berthd.socket, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0666);
	f->uid = BIN;
	struct outcome outcome = berthctl(f, "show services");
	expect_outcome(&outcome, 0, "web");
	assert_int_equal(berth_file_replace(f->berthd.path, configuration, strlen(configuration)), 0);
	snprintf(words, sizeof(words), "config apply %s", f->berthd.path);
	f->uid = 0;
	outcome = berthctl(f, words);
	expect_outcome(&outcome, 0, "");
	f->uid = BIN;
	outcome = berthctl(f, "show services");
	expect_outcome(&outcome, 4, "not in the group of the socket");
}

static void a_name_that_the_host_does_not_have_gives_nothing(void **state)
{
	struct fixture *f = *state;
	open_with(f, "access: [{group: no-such-group, role: admin}, {user: bin, role: viewer}]\n");
	f->uid = NOBODY;
	struct outcome outcome = berthctl(f, "show services");
	expect_outcome(&outcome, 1, "permission denied");
	f->uid = BIN;
	outcome = berthctl(f, "show services");
	expect_outcome(&outcome, 0, "web");
}

int main(int argc, char **argv)
{
#define AS_ROOT(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		AS_ROOT(a_role_permits_its_commands_and_those_below),
		AS_ROOT(an_operator_edits_weights_and_no_addresses),
		AS_ROOT(without_a_list_the_mode_of_the_socket_decides),
		AS_ROOT(an_apply_changes_roles_at_once),
		AS_ROOT(a_name_that_the_host_does_not_have_gives_nothing),
	};
	if (!find_berthctl(argc, argv))
		return 2;
	if (geteuid() != 0)
		return 77; /* meson: skipped */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
