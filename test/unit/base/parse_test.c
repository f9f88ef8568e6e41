/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "test_util.h"

#include "mpn_parse.h"

#define UNTOUCHED 0xfeedfacecafebeefull

typedef int (*number_parser)(const char *, uint64_t, uint64_t, uint64_t *);

struct number_case {
	const char *text;
	int rc;
	uint64_t value;
};

static void
check_numbers(number_parser parse, const struct number_case *cases, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint64_t v = UNTOUCHED;
		int rc = parse(cases[i].text, 0, UINT64_MAX, &v);

		if (rc != cases[i].rc || v != (rc == 0 ? cases[i].value : UNTOUCHED))
			fail_msg("'%s' gave %d and %llu, not %d and %llu", cases[i].text, rc,
				(unsigned long long)v, cases[i].rc,
				(unsigned long long)cases[i].value);
	}
}

static void
u64_takes_the_whole_string(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"007", 0, 7},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999999", -ERANGE, 0},
		{"99999999999999999999999999x", -EINVAL, 0},
		{"0xff", 0, 255},
		{"0XFfFfFfFfFfFfFfFf", 0, UINT64_MAX},
		{"0x10000000000000000", -ERANGE, 0},
		{"0x", -EINVAL, 0},
		{"x1", -EINVAL, 0},
		{"", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
		{"1k", -EINVAL, 0},
		{"12a", -EINVAL, 0},
	};

	check_numbers(mpn_parse_u64, cases, MPN_ARRAY_SIZE(cases));
}

static void
numbers_stay_within_bounds(void **state)
{
	uint64_t v = UNTOUCHED;

	assert_int_equal(mpn_parse_u64("9", 10, 20, &v), -ERANGE);
	assert_int_equal(mpn_parse_u64("21", 10, 20, &v), -ERANGE);
	assert_int_equal(mpn_parse_size("4k", 0, 4095, &v), -ERANGE);
	assert_int_equal(mpn_parse_time_ns("1ms", 0, 999999, &v), -ERANGE);
	assert_true(v == UNTOUCHED);
	assert_int_equal(mpn_parse_u64("10", 10, 20, &v), 0);
	assert_int_equal(v, 10);
	assert_int_equal(mpn_parse_u64("20", 10, 20, &v), 0);
	assert_int_equal(v, 20);
	assert_int_equal(mpn_parse_size("4k", 4096, 4096, &v), 0);
	assert_int_equal(v, 4096);
}

static void
sizes_have_binary_suffixes(void **state)
{
	static const struct number_case cases[] = {
		{"512", 0, 512},
		{"4k", 0, 4096},
		{"4K", 0, 4096},
		{"4KB", 0, 4096},
		{"4kib", 0, 4096},
		{"4KiB", 0, 4096},
		{"3M", 0, 3 << 20},
		{"2GiB", 0, 2ull << 30},
		{"1t", 0, 1ull << 40},
		{"16777215T", 0, 16777215ull << 40},
		{"16777216T", -ERANGE, 0},
		{"18446744073709551616k", -ERANGE, 0},
		{"0G", 0, 0},
		{"k", -EINVAL, 0},
		{"", -EINVAL, 0},
		{"4 k", -EINVAL, 0},
		{"4ki", -EINVAL, 0},
		{"4kk", -EINVAL, 0},
		{"4kBx", -EINVAL, 0},
		{"4P", -EINVAL, 0},
		{"4B", -EINVAL, 0},
		{"-4k", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"4\x4b\x80", -EINVAL, 0},
	};

	check_numbers(mpn_parse_size, cases, MPN_ARRAY_SIZE(cases));
}

static void
times_have_suffixes_and_fractions(void **state)
{
	static const struct number_case cases[] = {
		{"0", 0, 0},
		{"1", 0, 1000000000},
		{"1.5s", 0, 1500000000},
		{"1.5", 0, 1500000000},
		{"5ms", 0, 5000000},
		{"2us", 0, 2000},
		{"17ns", 0, 17},
		{"0.25m", 0, 15000000000},
		{"1.9ns", 0, 1},
		{"0.000000001s", 0, 1},
		{"0.0000000009999999999s", 0, 0},
		{"0.1234567899999999999999999s", 0, 123456789},
		{"18446744073.709551615s", 0, UINT64_MAX},
		{"18446744073.709551616s", -ERANGE, 0},
		{"307445734.561825861m", -ERANGE, 0},
		{"99999999999999999999ns", -ERANGE, 0},
		{"", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"1.s", -EINVAL, 0},
		{"1..5s", -EINVAL, 0},
		{"1h", -EINVAL, 0},
		{"1 s", -EINVAL, 0},
		{"1S", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
		{"1mss", -EINVAL, 0},
	};

	check_numbers(mpn_parse_time_ns, cases, MPN_ARRAY_SIZE(cases));
}

static void
bools_have_four_spellings(void **state)
{
	static const char *const yes[] = {"on", "yes", "true", "1"};
	static const char *const no[] = {"off", "no", "false", "0"};
	static const char *const none[] = {"", "On", "2", "y", "on "};
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(yes); i++) {
		bool b = false;

		assert_int_equal(mpn_parse_bool(yes[i], &b), 0);
		assert_true(b);
		assert_int_equal(mpn_parse_bool(no[i], &b), 0);
		assert_false(b);
	}
	for (i = 0; i < MPN_ARRAY_SIZE(none); i++) {
		bool b = true;

		assert_int_equal(mpn_parse_bool(none[i], &b), -EINVAL);
		assert_true(b);
	}
}

static void
mac_has_six_bytes(void **state)
{
	static const char *const bad[] = {"", "00:11:22:33:44", "00:11:22:33:44:5",
		"00:11:22:33:44:55:", "00:11:22:33:44:55:66", "00-11-22-33-44-55",
		"0:11:22:33:44:55", "00:11:22:33:44:5g", "g0:11:22:33:44:55", "001122334455",
		" 0:11:22:33:44:55"};
	static const uint8_t want[6] = {0x02, 0x00, 0xab, 0xCD, 0xef, 0x99};
	uint8_t mac[6];
	uint8_t before[6];
	size_t i;

	assert_int_equal(mpn_parse_mac("02:00:ab:CD:eF:99", mac), 0);
	assert_memory_equal(mac, want, 6);
	memcpy(before, mac, 6);
	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		assert_int_equal(mpn_parse_mac(bad[i], mac), -EINVAL);
		assert_memory_equal(mac, before, 6);
	}
}

static void
vlan_has_one_id_or_two(void **state)
{
	static const char *const bad[] = {"", "0", "4095", "65546", "-1", "10.", ".10", ".", "1.0",
		"0.1", "4095.1", "1.4095", "1.2.3", "10,20", " 10", "10 ", "ten", "00000001.10",
		"99999999999999999999"};
	uint16_t outer = 7, vid = 7;
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		assert_int_equal(mpn_parse_vlan(bad[i], &outer, &vid), -EINVAL);
		assert_int_equal(outer, 7);
		assert_int_equal(vid, 7);
	}
	assert_int_equal(mpn_parse_vlan("4094", &outer, &vid), 0);
	assert_int_equal(outer, 0);
	assert_int_equal(vid, 4094);
	assert_int_equal(mpn_parse_vlan("100.1", &outer, &vid), 0);
	assert_int_equal(outer, 100);
	assert_int_equal(vid, 1);
}

static void
uuid_has_dashes_or_none(void **state)
{
	static const char *const good[] = {
		"00112233-4455-6677-8899-aabbccddeeff", "00112233445566778899AABBCCDDEEFF"};
	static const char *const bad[] = {"", "0", "00112233-4455-6677-8899-aabbccddeef",
		"00112233-4455-6677-8899-aabbccddeeff0", "001122334455-6677-8899-aabbccddeeff",
		"00112233-445566778899aabbccddeeff", "00112233-4455-6677-8899-aabbccddeefg",
		"-00112233445566778899aabbccddeeff", "00112233445566778899aabbccddeeff-"};
	static const uint8_t want[16] = {0x00, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99,
		0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff};
	uint8_t uuid[16];
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(good); i++) {
		memset(uuid, 0, sizeof(uuid));
		assert_int_equal(mpn_parse_uuid(good[i], uuid), 0);
		assert_memory_equal(uuid, want, 16);
	}
	for (i = 0; i < MPN_ARRAY_SIZE(bad); i++) {
		assert_int_equal(mpn_parse_uuid(bad[i], uuid), -EINVAL);
		assert_memory_equal(uuid, want, 16);
	}
}

static void
choice_is_an_index(void **state)
{
	static const char *const names[] = {"spin", "yield", "sleep", NULL};

	assert_int_equal(mpn_parse_choice("spin", names), 0);
	assert_int_equal(mpn_parse_choice("sleep", names), 2);
	assert_int_equal(mpn_parse_choice("slee", names), -EINVAL);
	assert_int_equal(mpn_parse_choice("sleepy", names), -EINVAL);
	assert_int_equal(mpn_parse_choice("", names), -EINVAL);
}

static void
copy_never_cuts(void **state)
{
	char buf[5] = "????";

	assert_int_equal(mpn_copy_str(buf, sizeof(buf), "abcd"), 0);
	assert_string_equal(buf, "abcd");
	assert_int_equal(mpn_copy_str(buf, sizeof(buf), "abcde"), -ENAMETOOLONG);
	assert_string_equal(buf, "");
	assert_int_equal(mpn_copy_str(buf, 1, ""), 0);
	assert_int_equal(mpn_copy_str(buf, 0, ""), -ENAMETOOLONG);
}

static void
kv_walks_a_list(void **state)
{
	static const struct {
		const char *key, *value;
	} want[] = {
		{"", "disk.img"}, {"direct", "on"}, {"a", "b=c"}, {"e", ""}, {"", "x"}, {"f", ""}};
	const char *cursor = "disk.img,direct=on,a=b=c,e=,x,f=";
	char key[16], value[16];
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(want); i++) {
		assert_int_equal(mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value)), 1);
		assert_string_equal(key, want[i].key);
		assert_string_equal(value, want[i].value);
	}
	assert_int_equal(mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value)), 0);
	assert_int_equal(mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value)), 0);
}

static void
a_doubled_comma_is_one(void **state)
{
	static const char *const items[] = {",a", "b,c,", "d=e", "f,"};
	const char *cursor = ",,,a";
	char item[8], key[8], value[8];
	size_t i;

	/* Pairs are taken from the left: ",,," is a comma and the end of the item. */
	assert_int_equal(mpn_parse_item(&cursor, item, sizeof(item)), 1);
	assert_string_equal(item, ",");
	cursor = ",a";
	assert_int_equal(mpn_parse_item(&cursor, item, sizeof(item)), 1);
	assert_string_equal(item, "");
	assert_string_equal(cursor, "a");
	cursor = ",,a,b,,c,,,d=e,f,,";
	for (i = 0; i < MPN_ARRAY_SIZE(items); i++) {
		assert_int_equal(mpn_parse_item(&cursor, item, sizeof(item)), 1);
		assert_string_equal(item, items[i]);
	}
	assert_int_equal(mpn_parse_item(&cursor, item, sizeof(item)), 0);

	cursor = "k,,=v,,w,x";
	assert_int_equal(mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value)), 1);
	assert_string_equal(key, "k,");
	assert_string_equal(value, "v,w");
	assert_int_equal(mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value)), 1);
	assert_string_equal(key, "");
	assert_string_equal(value, "x");
	cursor = "k=,,";
	assert_int_equal(mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value)), 1);
	assert_string_equal(value, ",");
	assert_int_equal(mpn_parse_kv(&cursor, key, sizeof(key), value, sizeof(value)), 0);

	cursor = "1234567,,";
	assert_int_equal(mpn_parse_item(&cursor, item, sizeof(item)), -ENAMETOOLONG);
	assert_string_equal(cursor, "1234567,,");
	cursor = "123456,,";
	assert_int_equal(mpn_parse_item(&cursor, item, sizeof(item)), 1);
	assert_string_equal(item, "123456,");
}

static void
kv_refuses_what_does_not_fit(void **state)
{
	const char *list = "abcd=x,k=wxyz,abc=xyz,";
	const char *cursor = list;
	char key[4], value[4];

	assert_int_equal(mpn_parse_kv(&cursor, key, 4, value, 4), -ENAMETOOLONG);
	assert_ptr_equal(cursor, list);
	cursor = list + 7;
	assert_int_equal(mpn_parse_kv(&cursor, key, 4, value, 4), -ENAMETOOLONG);
	assert_ptr_equal(cursor, list + 7);
	cursor = list + 14;
	assert_int_equal(mpn_parse_kv(&cursor, key, 4, value, 4), 1);
	assert_string_equal(key, "abc");
	assert_string_equal(value, "xyz");
	assert_int_equal(mpn_parse_kv(&cursor, key, 4, value, 4), 0);
}

static void
sizes_are_readable(void **state)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} cases[] = {
		{0, "0 B"},
		{17, "17 B"},
		{1023, "1023 B"},
		{1024, "1 KiB"},
		{4096, "4 KiB"},
		{1536, "1.5 KiB"},
		{1100, "1.1 KiB"},
		{(3ull << 30) / 2, "1.5 GiB"},
		{1024 * 1024 - 1, "1 MiB"},
		{1024 * 1023 + 900, "1023.9 KiB"},
		{1ull << 40, "1 TiB"},
		{1ull << 50, "1 PiB"},
		{UINT64_MAX, "16 EiB"},
	};
	char buf[16];
	size_t i;

	for (i = 0; i < MPN_ARRAY_SIZE(cases); i++)
		assert_string_equal(
			mpn_format_size(buf, sizeof(buf), cases[i].bytes), cases[i].text);
	assert_string_equal(mpn_format_size(buf, 4, 1536), "1.5");
}

static const char *
nearest_of(const char *typed)
{
	static const char *const names[] = {
		"volume", "link", "json", "help", "verify", "mtu", "max-sessions"};
	struct mpn_nearest n;
	size_t i;

	mpn_nearest_begin(&n, typed);
	for (i = 0; i < MPN_ARRAY_SIZE(names); i++)
		mpn_nearest_try(&n, names[i]);
	return n.best != NULL ? n.best : "-";
}

static void
nearest_name_is_found(void **state)
{
	char longest[200];

	assert_string_equal(nearest_of("volum"), "volume");
	assert_string_equal(nearest_of("volumes"), "volume");
	assert_string_equal(nearest_of("vloume"), "volume");
	assert_string_equal(nearest_of("lnik"), "link");
	assert_string_equal(nearest_of("xtu"), "mtu");
	assert_string_equal(nearest_of("ver"), "verify");
	assert_string_equal(nearest_of("max_session"), "max-sessions");
	assert_string_equal(nearest_of("mtu"), "mtu");
	assert_string_equal(nearest_of(""), "-");
	assert_string_equal(nearest_of("q"), "-");
	assert_string_equal(nearest_of("xyz"), "-");
	assert_string_equal(nearest_of("banana"), "-");
	memset(longest, 'v', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_string_equal(nearest_of(longest), "-");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(u64_takes_the_whole_string),
		cmocka_unit_test(numbers_stay_within_bounds),
		cmocka_unit_test(sizes_have_binary_suffixes),
		cmocka_unit_test(times_have_suffixes_and_fractions),
		cmocka_unit_test(bools_have_four_spellings),
		cmocka_unit_test(mac_has_six_bytes),
		cmocka_unit_test(vlan_has_one_id_or_two),
		cmocka_unit_test(uuid_has_dashes_or_none),
		cmocka_unit_test(choice_is_an_index),
		cmocka_unit_test(copy_never_cuts),
		cmocka_unit_test(kv_walks_a_list),
		cmocka_unit_test(a_doubled_comma_is_one),
		cmocka_unit_test(kv_refuses_what_does_not_fit),
		cmocka_unit_test(sizes_are_readable),
		cmocka_unit_test(nearest_name_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
