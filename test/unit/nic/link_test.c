/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/* Links by name: what is taken apart how, what is refused and in which words. */

#include <sys/stat.h>
#include <unistd.h>

#include "link.h"
#include "probe.h"

static char dir[] = "/tmp/mpnic-test-XXXXXX";

static void
test_table_of_kinds(void **state)
{
	static const char *const names[] = {"ring", "vhost", "virtio", "memif", "tap", "af_packet",
		"af_xdp", "pci", "bond", "remote", "dev"};
	const struct mpn_link_kind *kind;
	char text[64];

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(names); i++) {
		kind = mpn_link_kind(i);
		assert_non_null(kind);
		assert_string_equal(kind->name, names[i]);
		assert_true(kind->help[0] != '\0');
		/* "NAME:..." */
		(void)snprintf(text, sizeof(text), "%s:", names[i]);
		assert_memory_equal(kind->synopsis, text, strlen(text));
		(void)snprintf(text, sizeof(text), "%s:x", names[i]);
		assert_ptr_equal(mpn_link_kind_of(text), kind);
		/* What can be corrupted on its way is no cable between two. */
		assert_int_equal(kind->needs_root && kind->point_to_point, 0);
	}
	assert_null(mpn_link_kind(MPN_ARRAY_SIZE(names)));
	errno = 0;
	assert_null(mpn_link_kind_of("pigeon:x"));
	assert_int_equal(errno, EINVAL);
	assert_null(mpn_link_kind_of("vhost"));
	assert_null(mpn_link_kind_of(NULL));
}

static void
test_link_is_taken_apart(void **state)
{
	static const struct {
		const char *text, *kind, *arg;
		unsigned nb_opts;
		const char *key, *value;
	} rows[] = {
		{"ring:a", "ring", "a", 0, NULL, NULL},
		/* No options: all of it is the name. */
		{"ring:a,b=c", "ring", "a,b=c", 0, NULL, NULL},
		{"vhost:/tmp/x.sock", "vhost", "/tmp/x.sock", 0, NULL, NULL},
		{"virtio:x:y", "virtio", "x:y", 0, NULL, NULL},
		{"virtio:x,wait=3s", "virtio", "x", 1, "wait", "3s"},
		{"virtio:x,", "virtio", "x", 0, NULL, NULL},
		{"memif:x,wait=3s,role=server", "memif", "x", 2, "role", "server"},
		{"memif:x,role=server,role=client", "memif", "x", 2, "role", "server"},
		{"tap:t0", "tap", "t0", 0, NULL, NULL},
		{"pci:0000:03:00.0", "pci", "0000:03:00.0", 0, NULL, NULL},
		{"bond:dev:a+dev:b", "bond", "dev:a+dev:b", 0, NULL, NULL},
		{"dev:net_null0,size=64", "dev", "net_null0,size=64", 0, NULL, NULL},
		{"dev:net_null0,place=32,size=64", "dev", "net_null0,size=64", 1, "place", "32"},
		{"dev:net_null0,place=", "dev", "net_null0", 1, "place", ""},
		{"dev:place=32", "dev", "place=32", 0, NULL, NULL},
		{"pci:03:00.0,representor=[0,1],place=16", "pci", "03:00.0,representor=[0,1]", 1,
			"place", "16"},
	};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		struct link_spec spec;

		assert_int_equal(link_parse(rows[i].text, &spec), 0);
		assert_string_equal(spec.kind->pub.name, rows[i].kind);
		assert_string_equal(spec.text, rows[i].text);
		assert_string_equal(spec.arg, rows[i].arg);
		assert_int_equal(spec.nb_opts, rows[i].nb_opts);
		if (rows[i].key != NULL)
			assert_string_equal(link_opt(&spec, rows[i].key, "none"), rows[i].value);
		assert_string_equal(link_opt(&spec, "nothing", "none"), "none");
	}
}

static void
test_malformed_link_is_named(void **state)
{
	char long_link[300], long_arg[260];
	const struct {
		const char *text, *words;
	} rows[] = {
		{NULL, "missing or longer than 255"},
		{long_link, "missing or longer than 255"},
		{long_arg, "expected vhost:PATH"},
		{"", "link '': unknown kind; expected one of ring:NAME, vhost:PATH"},
		{"vhost", "'vhost': unknown kind"},
		{"VHOST:x", "unknown kind"},
		{"vhos:x", "unknown kind"},
		{":x", "unknown kind"},
		{"ring:", "'ring:': expected ring:NAME"},
		{"vhost:", "expected vhost:PATH"},
		{"vhost:,x=1", "expected vhost:PATH"},
		{"vhost:x,queues=2", "'queues': no such option; expected vhost:PATH"},
		{"virtio:x,wait", "'wait': no such option; expected virtio:PATH[,wait=TIME]"},
		{"virtio:x,=3", "no such option"},
		{"memif:x,role=server,rule=client", "'rule': no such option; expected memif:"},
		{"memif:x,wait=1,wait=1,wait=1,wait=1,wait=1,wait=1,wait=1,wait=1,wait=1",
			"too many options"},
	};

	memset(long_link, 'x', sizeof(long_link));
	memcpy(long_link, "vhost:", 6);
	long_link[sizeof(long_link) - 1] = '\0';
	memset(long_arg, 'x', sizeof(long_arg));
	memcpy(long_arg, "vhost:", 6);
	long_arg[230] = '\0';
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		struct link_spec spec;
		int rc;

		probe_catch_log();
		rc = link_parse(rows[i].text, &spec);
		if (rc != -EINVAL || probe_log_lines() != 1 ||
			strstr(probe_release_log(), rows[i].words) == NULL)
			fail_msg("'%s': %d, '%s'", rows[i].text, rc, probe_release_log());
		(void)probe_release_log();
	}
}

/* What the EAL must scan the PCI bus for. */
static void
test_pci_device_of_a_link(void **state)
{
	static const struct {
		const char *text, *device;
	} rows[] = {
		{"pci:0000:03:00.0", "0000:03:00.0"},
		{"dev:03:00.1", "03:00.1"},
		{"dev:net_null0", NULL},
		{"dev:dead.0", NULL},
		{"dev:03:00.8", NULL},
		{"ring:a", NULL},
		{"bond:tap:a+pci:03:00.0", "03:00.0"},
		{"bond:tap:a+tap:b", NULL},
	};

	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		struct link_spec spec;
		const char *device;

		assert_int_equal(link_parse(rows[i].text, &spec), 0);
		device = link_pci_device(&spec);
		if (rows[i].device == NULL)
			assert_null(device);
		else
			assert_string_equal(device, rows[i].device);
	}
}

static void
test_usual_mtu(void **state)
{
	assert_int_equal(link_usual_mtu(65024), 9000);
	assert_int_equal(link_usual_mtu(9000), 9000);
	assert_int_equal(link_usual_mtu(8999), 1500);
	assert_int_equal(link_usual_mtu(1500), 1500);
	assert_int_equal(link_usual_mtu(1499), 1499);
	assert_int_equal(link_usual_mtu(68), 68);
}

/* Links that cannot be made: the errno, and a word of the one line. */
static void
test_links_that_cannot_be_made(void **state)
{
	char longest[160], absolute[160], folder[96], nowhere[96];
	const struct {
		const char *link;
		int err;
		const char *words;
	} rows[] = {
		{longest, EINVAL, "a path of at most 107 characters"},
		{absolute, EINVAL, "counted from /"},
		{folder, EEXIST, "is no socket"},
		{nowhere, ENOENT, "s.lock"},
		{"virtio:x,wait=never", EINVAL, "wait 'never': expected a time such as 5s"},
		{"pci:zzz", EINVAL, "'zzz': expected an address such as 0000:03:00.0"},
		{"dev:net_nosuch0", ENODEV, "DPDK knows no such device"},
		{"tap:a-name-that-is-too-long", EINVAL, "name of an interface, at most 15"},
		{"tap:a/b", EINVAL, "name of an interface"},
		{"af_packet:mpn-nosuch", ENODEV, "interface mpn-nosuch: No such device"},
		{"bond:ring:a", EINVAL, "expected bond:LINK+LINK"},
		{"bond:pigeon:a+ring:b", EINVAL, "'pigeon:a': unknown kind"},
		{"bond:virtio:a+ring:b", EINVAL, "'virtio:a' cannot be part of a bond"},
		{"bond:bond:a+ring:b+ring:c", EINVAL, "'bond:a' cannot be part of a bond"},
	};

	(void)snprintf(longest, sizeof(longest), "vhost:/%0107d", 0);
	(void)snprintf(absolute, sizeof(absolute), "memif:%0105d", 0);
	(void)snprintf(folder, sizeof(folder), "vhost:%s", dir);
	(void)snprintf(nowhere, sizeof(nowhere), "vhost:%s/nowhere/s", dir);
	for (unsigned i = 0; i < MPN_ARRAY_SIZE(rows); i++) {
		struct mpn_nic *nic;

		probe_catch_log();
		errno = 0;
		nic = mpn_nic_create(&(struct mpn_nic_conf){.link = rows[i].link, .server = true});
		if (nic != NULL || errno != rows[i].err ||
			strstr(probe_release_log(), rows[i].words) == NULL)
			fail_msg("'%s': %s, '%s'", rows[i].link, strerror(errno),
				probe_release_log());
		(void)probe_release_log();
		assert_int_equal(probe_log_lines(), 1);
		assert_null(mpn_nic_get(0));
	}
}

/* A device of DPDK's own: made for the link, gone with it; one of the program's stays. */
static void
test_dev_link(void **state)
{
	struct mpn_nic *nic = mpn_nic_create(&(struct mpn_nic_conf){.link = "dev:net_null7"});
	struct mpn_nic_info info;

	assert_non_null(nic);
	mpn_nic_get_info(nic, &info);
	assert_string_equal(info.driver, "net_null");
	assert_true(info.may_corrupt);
	/* The port belongs to the first NIC. */
	probe_catch_log();
	errno = 0;
	assert_null(mpn_nic_create(&(struct mpn_nic_conf){.link = "dev:net_null7"}));
	assert_int_equal(errno, EBUSY);
	assert_non_null(strstr(probe_release_log(), "belongs to another NIC"));
	mpn_nic_destroy(nic);
	nic = mpn_nic_create(&(struct mpn_nic_conf){.link = "dev:net_null7"});
	assert_non_null(nic);
	mpn_nic_destroy(nic);
}

static int
start(void **state)
{
	if (mkdtemp(dir) == NULL)
		return -1;
	return probe_eal_start("ring:x", NULL);
}

static int
stop(void **state)
{
	mpn_eal_stop();
	return rmdir(dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table_of_kinds),
		cmocka_unit_test(test_link_is_taken_apart),
		cmocka_unit_test(test_malformed_link_is_named),
		cmocka_unit_test(test_pci_device_of_a_link),
		cmocka_unit_test(test_usual_mtu),
		cmocka_unit_test(test_links_that_cannot_be_made),
		cmocka_unit_test(test_dev_link),
	};

	return cmocka_run_group_tests_name("links by name", tests, start, stop);
}
