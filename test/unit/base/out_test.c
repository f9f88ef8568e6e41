/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "test_util.h"

#include <math.h>

#include "mpn_out.h"

typedef void (*describe)(struct mpn_out *o);

/* What describe() writes in one of the forms; to be freed. */
static char *
write_result(describe fn, bool json)
{
	struct mpn_out o;
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	mpn_out_begin(&o, f, json);
	fn(&o);
	assert_int_equal(mpn_out_end(&o), 0);
	fclose(f);
	return text;
}

static void
check_forms(describe fn, const char *text, const char *json)
{
	char *got = write_result(fn, false);

	assert_string_equal(got, text);
	free(got);
	got = write_result(fn, true);
	assert_string_equal(got, json);
	free(got);
}

static void
describe_nothing(struct mpn_out *o)
{
}

static void
describe_values(struct mpn_out *o)
{
	mpn_out_str(o, "name", "disk0");
	mpn_out_str(o, "none", NULL);
	mpn_out_u64(o, "max", UINT64_MAX);
	mpn_out_i64(o, "min", INT64_MIN);
	mpn_out_f64(o, "half", 0.5, 3);
	mpn_out_f64(o, "whole", 2.0, 0);
	mpn_out_f64(o, "nan", (double)NAN, 1);
	mpn_out_f64(o, "inf", -(double)INFINITY, 1);
	mpn_out_bool(o, "on", true);
	mpn_out_bool(o, "off", false);
	mpn_out_mac(o, "mac", (const uint8_t[]){0x02, 0, 0xab, 0, 0, 0xff});
	mpn_out_uuid(o, "uuid",
		(const uint8_t[]){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 255});
	mpn_out_time(o, "time", 1700000000042999999u);
	mpn_out_time(o, "never", 0);
}

static void
values_have_two_forms(void **state)
{
	check_forms(describe_nothing, "", "{}\n");
	check_forms(describe_values,
		"name                    disk0\n"
		"none                    -\n"
		"max                     18446744073709551615\n"
		"min                     -9223372036854775808\n"
		"half                    0.500\n"
		"whole                   2\n"
		"nan                     -\n"
		"inf                     -\n"
		"on                      yes\n"
		"off                     no\n"
		"mac                     02:00:ab:00:00:ff\n"
		"uuid                    00010203-0405-0607-0809-0a0b0c0d0eff\n"
		"time                    2023-11-14T22:13:20.042Z\n"
		"never                   -\n",
		"{\n"
		"  \"name\": \"disk0\",\n"
		"  \"none\": null,\n"
		"  \"max\": 18446744073709551615,\n"
		"  \"min\": -9223372036854775808,\n"
		"  \"half\": 0.500,\n"
		"  \"whole\": 2,\n"
		"  \"nan\": null,\n"
		"  \"inf\": null,\n"
		"  \"on\": true,\n"
		"  \"off\": false,\n"
		"  \"mac\": \"02:00:ab:00:00:ff\",\n"
		"  \"uuid\": \"00010203-0405-0607-0809-0a0b0c0d0eff\",\n"
		"  \"time\": \"2023-11-14T22:13:20.042Z\",\n"
		"  \"never\": null\n"
		"}\n");
}

static void
describe_nested(struct mpn_out *o)
{
	int i;

	mpn_out_array(o, "volumes");
	for (i = 0; i < 2; i++) {
		mpn_out_object(o, NULL);
		mpn_out_i64(o, "index", i);
		mpn_out_object(o, "geometry");
		mpn_out_u64(o, "size", 512);
		mpn_out_close(o);
		mpn_out_close(o);
	}
	mpn_out_close(o);
	mpn_out_array(o, "ports");
	mpn_out_u64(o, NULL, 1);
	mpn_out_str(o, NULL, "two");
	mpn_out_close(o);
	mpn_out_array(o, "empty");
	mpn_out_close(o);
	mpn_out_bool(o, "last", true);
}

static void
objects_and_arrays_nest(void **state)
{
	check_forms(describe_nested,
		"volumes:\n"
		"  - index               0\n"
		"    geometry:\n"
		"      size              512\n"
		"  - index               1\n"
		"    geometry:\n"
		"      size              512\n"
		"ports:\n"
		"  - 1\n"
		"  - two\n"
		"empty:\n"
		"last                    yes\n",
		"{\n"
		"  \"volumes\": [\n"
		"    {\n"
		"      \"index\": 0,\n"
		"      \"geometry\": {\n"
		"        \"size\": 512\n"
		"      }\n"
		"    },\n"
		"    {\n"
		"      \"index\": 1,\n"
		"      \"geometry\": {\n"
		"        \"size\": 512\n"
		"      }\n"
		"    }\n"
		"  ],\n"
		"  \"ports\": [\n"
		"    1,\n"
		"    \"two\"\n"
		"  ],\n"
		"  \"empty\": [],\n"
		"  \"last\": true\n"
		"}\n");
}

static void
describe_left_open(struct mpn_out *o)
{
	mpn_out_object(o, "a");
	mpn_out_array(o, "b");
	mpn_out_u64(o, NULL, 1);
}

static void
end_closes_everything(void **state)
{
	check_forms(describe_left_open, "a:\n  b:\n    - 1\n",
		"{\n  \"a\": {\n    \"b\": [\n      1\n    ]\n  }\n}\n");
}

static void
describe_hostile(struct mpn_out *o)
{
	/* Quotes, a line feed, DEL, an escape sequence; C1 CSI; good and broken UTF-8. */
	mpn_out_str(o, "q\"", "a\"b\\c\n\x7f\x1b[2J");
	mpn_out_str(o, "c1",
		"\xc2\x9b"
		"2J");
	mpn_out_str(o, "good", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	mpn_out_str(o, "cut", "\xe2\x82");
	mpn_out_str(o, "long", "\xc0\xaf");
	mpn_out_str(o, "surrogate", "\xed\xa0\x80");
	mpn_out_str(o, "beyond", "\xf4\x90\x80\x80");
	mpn_out_str(o, "stray", "\x80\xff");
}

static void
strings_cannot_break_out(void **state)
{
	check_forms(describe_hostile,
		"q\"                      a\"b\\c???[2J\n"
		"c1                      ?2J\n"
		"good                    \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\n"
		"cut                     ??\n"
		"long                    ??\n"
		"surrogate               ???\n"
		"beyond                  ????\n"
		"stray                   ??\n",
		"{\n"
		"  \"q\\\"\": \"a\\\"b\\\\c\\u000a\\u007f\\u001b[2J\",\n"
		"  \"c1\": \"\xc2\x9b"
		"2J\",\n"
		"  \"good\": \"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\",\n"
		"  \"cut\": \"\\ufffd\\ufffd\",\n"
		"  \"long\": \"\\ufffd\\ufffd\",\n"
		"  \"surrogate\": \"\\ufffd\\ufffd\\ufffd\",\n"
		"  \"beyond\": \"\\ufffd\\ufffd\\ufffd\\ufffd\",\n"
		"  \"stray\": \"\\ufffd\\ufffd\"\n"
		"}\n");
}

static void
end_reports_a_full_disk(void **state)
{
	struct mpn_out o;
	FILE *f = fopen("/dev/full", "w");

	if (f == NULL) {
		print_message("no /dev/full here\n");
		skip();
	}
	mpn_out_begin(&o, f, true);
	mpn_out_u64(&o, "x", 1);
	assert_int_equal(mpn_out_end(&o), -EIO);
	fclose(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_have_two_forms),
		cmocka_unit_test(objects_and_arrays_nest),
		cmocka_unit_test(end_closes_everything),
		cmocka_unit_test(strings_cannot_break_out),
		cmocka_unit_test(end_reports_a_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
