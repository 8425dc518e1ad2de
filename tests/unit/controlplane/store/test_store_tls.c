// SPDX-License-Identifier: BSD-3-Clause
/* Records of two nodes through a store with TLS. */
#include <sys/stat.h>

#include "tests/unit/controlplane/store/store_nodes.h"

/* A certificate that is its own authority, for 127.0.0.1 and redis.example.org. */
static void make_certificate(const char *directory)
{
	char command[400];
	snprintf(command, sizeof(command),
		 "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=redis "
		 "-addext subjectAltName=IP:127.0.0.1,DNS:redis.example.org -keyout %s/key -out %s/ca 2>/dev/null",
		 directory, directory);
	assert_int_equal(system(command), 0);
}

static void expect_store_error(struct lab *lab, struct node *node, const char *text)
{
	if (!wait_until(strstr(berth_store_status(node->store)->error, text), 8000, loop_for(lab->base, 5)))
		fail_msg("\"%s\" is not in \"%s\"", text, berth_store_status(node->store)->error);
	assert_false(berth_store_status(node->store)->is_connected);
}

static void start_tls(struct lab *lab, const char *directory)
{
	char port[8], certificate[64], key[64];
	const char *const options[] = {"--tls-port",
				       port,
				       "--tls-cert-file",
				       certificate,
				       "--tls-key-file",
				       key,
				       "--tls-ca-cert-file",
				       certificate,
				       "--tls-auth-clients",
				       "no",
				       NULL};
	make_certificate(directory);
	lab->tls_port = redis_free_port();
	snprintf(port, sizeof(port), "%u", lab->tls_port);
	snprintf(certificate, sizeof(certificate), "%s/ca", directory);
	snprintf(key, sizeof(key), "%s/key", directory);
	redis_start(&lab->redis, options);
	strcpy(lab->tls_ca, certificate);
}

static void remove_all(const char *directory)
{
	static const char *const names[] = {"ca", "key", "other/ca", "other/key", "other", ""};
	char path[64];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
		remove(path);
	}
}

static void a_store_with_tls_is_used(void **state)
{
	static uint8_t batch[LONGEST];
	struct lab *lab = *state;
	char directory[] = "/tmp/test_tls.XXXXXX";
	assert_non_null(mkdtemp(directory));
	start_tls(lab, directory);
	start_node(lab, &lab->one, "lb1");
	start_node(lab, &lab->two, "lb2");
	for (int i = 0; i < 500; i++)
		assert_true(berth_store_tell(lab->one.store, SERVICE, batch, sizeof(batch)));
	expect(lab, lab->two.batches == 500);
	/* The helper gets the authorities again. */
	kill(berth_helper_status(lab->one.helper)->pid, SIGKILL);
	assert_true(tell(&lab->one, SERVICE, "told meanwhile"));
	expect_batch(lab, &lab->two, "told meanwhile");
	assert_null(strstr(berth_store_status(lab->one.store)->error, "TLS"));
	remove_all(directory);
}

static void a_store_that_is_not_the_one_is_not_told_the_password(void **state)
{
	struct lab *lab = *state;
	char directory[] = "/tmp/test_tls.XXXXXX", other[40];
	assert_non_null(mkdtemp(directory));
	start_tls(lab, directory);
	snprintf(other, sizeof(other), "%s/other", directory);
	assert_int_equal(mkdir(other, 0700), 0);
	make_certificate(other);
	snprintf(lab->tls_ca, sizeof(lab->tls_ca), "%s/ca", other);
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "TLS: self-signed certificate");
	stop_node(&lab->one);
	snprintf(lab->tls_ca, sizeof(lab->tls_ca), "%s/key", directory);
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "TLS: the file `ca` has no certificates");
	stop_node(&lab->one);
	snprintf(lab->tls_ca, sizeof(lab->tls_ca), "%s/none", directory);
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "No such file or directory");
	stop_node(&lab->one);
	snprintf(lab->tls_ca, sizeof(lab->tls_ca), "%s/ca", directory);
	strcpy(lab->tls_name, "redis.example.net");
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "TLS: hostname mismatch");
	stop_node(&lab->one);
	strcpy(lab->tls_name, "redis.example.org");
	start_node(lab, &lab->one, "lb1");
	expect(lab, berth_store_status(lab->one.store)->is_connected);
	stop_node(&lab->one);
	lab->tls_port = 0;
	start_node(lab, &lab->one, "lb1");
	expect_store_error(lab, &lab->one, "127.0.0.1:");
	remove_all(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_store_with_tls_is_used),
		TEST(a_store_that_is_not_the_one_is_not_told_the_password),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
