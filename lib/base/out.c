/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <time.h>

#include "mpn_out.h"

#define TEXT_COLUMN 24 /* where values start in text */

static bool
is_json_number_char(char c)
{
	return (c >= '0' && c <= '9') || c == '-';
}

/* Bytes of the UTF-8 sequence at s (RFC 3629: shortest form, no surrogates), 0 when it is none. */
static unsigned
utf8_len(const unsigned char *s)
{
	static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
	uint32_t code;
	unsigned len, i;

	if (s[0] < 0x80)
		return 1;
	len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	code = s[0] & (0x7fu >> len);
	for (i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3fu);
	}
	if (code < lowest[len] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return 0;
	return len;
}

static bool
is_control(const unsigned char *s, unsigned len)
{
	/* C0 and DEL; C1 as the two bytes c2 80 .. c2 9f. */
	return (len == 1 && (s[0] < 0x20 || s[0] == 0x7f)) ||
	       (len == 2 && s[0] == 0xc2 && s[1] < 0xa0);
}

static void
put_text(FILE *f, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	while (*s != '\0') {
		unsigned len = utf8_len(s);

		if (len == 0 || is_control(s, len))
			fputc('?', f);
		else
			fwrite(s, 1, len, f);
		s += len == 0 ? 1 : len;
	}
}

static void
put_json_string(FILE *f, const char *value)
{
	const unsigned char *s = (const unsigned char *)value;

	fputc('"', f);
	while (*s != '\0') {
		unsigned len = utf8_len(s);

		if (len == 0)
			fputs("\\ufffd", f);
		else if (len == 1 && (*s == '"' || *s == '\\'))
			fprintf(f, "\\%c", *s);
		else if (len == 1 && (*s < 0x20 || *s == 0x7f))
			fprintf(f, "\\u%04x", *s);
		else
			fwrite(s, 1, len, f);
		s += len == 0 ? 1 : len;
	}
	fputc('"', f);
}

/* Everything up to the value: separator, indentation, key. */
static void
start_item(struct mpn_out *o, const char *key, bool heading)
{
	int column = 2 * (o->depth - 1);

	if (o->json) {
		fputs(o->comma[o->depth - 1] ? ",\n" : "\n", o->f);
		o->comma[o->depth - 1] = true;
		fprintf(o->f, "%*s", column + 2, "");
		if (key != NULL) {
			put_json_string(o->f, key);
			fputs(": ", o->f);
		}
		return;
	}
	/* "- " marks an element of an array: a value, or the first line of an object. */
	if (o->dash)
		fprintf(o->f, "%*s- ", column - 2, "");
	else
		fprintf(o->f, "%*s%s", column, "", o->array[o->depth - 1] ? "- " : "");
	o->dash = false;
	if (key == NULL)
		return;
	if (heading)
		fprintf(o->f, "%s:", key);
	else
		fprintf(o->f, "%-*s ", MPN_MAX(TEXT_COLUMN - column - 1, 1), key);
}

static void
open_level(struct mpn_out *o, const char *key, bool array)
{
	assert(o->depth < MPN_OUT_DEPTH);
	if (o->depth > 0 && (o->json || key != NULL))
		start_item(o, key, true);
	if (o->json)
		fputc(array ? '[' : '{', o->f);
	else if (o->depth > 0 && key == NULL)
		o->dash = true;
	else if (o->depth > 0)
		fputc('\n', o->f);
	o->comma[o->depth] = false;
	o->array[o->depth] = array;
	o->depth++;
}

void
mpn_out_begin(struct mpn_out *o, FILE *f, bool json)
{
	memset(o, 0, sizeof(*o));
	o->f = f;
	o->json = json;
	open_level(o, NULL, false);
}

int
mpn_out_end(struct mpn_out *o)
{
	while (o->depth > 0)
		mpn_out_close(o);
	if (o->json)
		fputc('\n', o->f);
	return fflush(o->f) != 0 || ferror(o->f) ? mpn_err(EIO) : 0;
}

void
mpn_out_object(struct mpn_out *o, const char *key)
{
	open_level(o, key, false);
}

void
mpn_out_array(struct mpn_out *o, const char *key)
{
	open_level(o, key, true);
}

void
mpn_out_close(struct mpn_out *o)
{
	assert(o->depth > 0);
	o->depth--;
	o->dash = false;
	if (!o->json)
		return;
	if (o->comma[o->depth])
		fprintf(o->f, "\n%*s", 2 * o->depth, "");
	fputc(o->array[o->depth] ? ']' : '}', o->f);
}

static void
put_value(struct mpn_out *o, const char *key, const char *value)
{
	start_item(o, key, false);
	fputs(value, o->f);
	if (!o->json)
		fputc('\n', o->f);
}

void
mpn_out_str(struct mpn_out *o, const char *key, const char *value)
{
	if (value == NULL) {
		put_value(o, key, o->json ? "null" : "-");
		return;
	}
	start_item(o, key, false);
	if (o->json) {
		put_json_string(o->f, value);
		return;
	}
	put_text(o->f, value);
	fputc('\n', o->f);
}

void
mpn_out_u64(struct mpn_out *o, const char *key, uint64_t value)
{
	char buf[24];

	(void)snprintf(buf, sizeof(buf), "%" PRIu64, value);
	put_value(o, key, buf);
}

void
mpn_out_i64(struct mpn_out *o, const char *key, int64_t value)
{
	char buf[24];

	(void)snprintf(buf, sizeof(buf), "%" PRId64, value);
	put_value(o, key, buf);
}

void
mpn_out_f64(struct mpn_out *o, const char *key, double value, int digits)
{
	char buf[352]; /* DBL_MAX has 309 digits before the point */
	char *c;

	if (!isfinite(value)) {
		put_value(o, key, o->json ? "null" : "-");
		return;
	}
	(void)snprintf(buf, sizeof(buf), "%.*f", MPN_MIN(digits, 30), value);
	/* The program's locale may have another decimal point; JSON has one. */
	for (c = buf; *c != '\0'; c++) {
		if (!is_json_number_char(*c))
			*c = '.';
	}
	put_value(o, key, buf);
}

void
mpn_out_bool(struct mpn_out *o, const char *key, bool value)
{
	if (o->json)
		put_value(o, key, value ? "true" : "false");
	else
		put_value(o, key, value ? "yes" : "no");
}

void
mpn_out_mac(struct mpn_out *o, const char *key, const uint8_t mac[6])
{
	char text[18];

	(void)snprintf(text, sizeof(text), "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2],
		mac[3], mac[4], mac[5]);
	mpn_out_str(o, key, text);
}

void
mpn_out_uuid(struct mpn_out *o, const char *key, const uint8_t uuid[16])
{
	char text[37], *end = text;

	for (unsigned i = 0; i < 16; i++)
		end += snprintf(end, 4, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "",
			uuid[i]);
	mpn_out_str(o, key, text);
}

void
mpn_out_time(struct mpn_out *o, const char *key, uint64_t unix_ns)
{
	time_t s = (time_t)(unix_ns / 1000000000u);
	char date[32], text[48];
	struct tm tm;

	if (unix_ns == 0 || gmtime_r(&s, &tm) == NULL ||
		strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
		mpn_out_str(o, key, NULL);
		return;
	}
	(void)snprintf(
		text, sizeof(text), "%s.%03uZ", date, (unsigned)(unix_ns / 1000000u % 1000u));
	mpn_out_str(o, key, text);
}
