/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * A plot as SVG, from lines on the input:
 *
 *	title TEXT		heading
 *	x TEXT | xlog TEXT	name of the axis; xlog: logarithmic
 *	y TEXT | ylog TEXT	the same; y starts at 0
 *	series NAME		what follows belongs to it
 *	X Y [LOW HIGH]		a point, and its spread
 *
 *	plot <data >plot.svg
 */

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WIDTH 840
#define HEIGHT 420
#define LEFT 80
#define RIGHT 270
#define TOP 40
#define BOTTOM 56
#define MAX_SERIES 8
#define MAX_POINTS 256
#define TICKS 5

struct point {
	double x, y, low, high;
};

struct series {
	char name[80];
	unsigned nb;
	struct point points[MAX_POINTS];
};

struct axis {
	char name[80];
	bool is_log;
	double min, max;
};

struct plot {
	char title[120];
	struct axis x, y;
	unsigned nb_series;
	struct series series[MAX_SERIES];
};

static const char *const colours[MAX_SERIES] = {
	"#1b6ca8", "#d1495b", "#2e8b57", "#8b5fbf", "#e08e0b", "#3a3a3a", "#00a0a0", "#b07050"};

/* ---- Input ---- */

static void
take_text(char *dst, size_t size, const char *src)
{
	(void)snprintf(dst, size, "%.*s", (int)strcspn(src, "\n"), src);
}

static bool
take_axis(struct axis *a, const char *line, char letter)
{
	if (line[0] != letter)
		return false;
	if (strncmp(line + 1, "log ", 4) == 0) {
		a->is_log = true;
		take_text(a->name, sizeof(a->name), line + 5);
		return true;
	}
	if (line[1] != ' ')
		return false;
	take_text(a->name, sizeof(a->name), line + 2);
	return true;
}

static bool
take_point(struct plot *p, const char *line)
{
	struct series *s = p->nb_series > 0 ? &p->series[p->nb_series - 1] : NULL;
	struct point pt;
	int n = sscanf(line, "%lf %lf %lf %lf", &pt.x, &pt.y, &pt.low, &pt.high);

	if (n < 2 || s == NULL || s->nb == MAX_POINTS)
		return false;
	if (n < 4)
		pt.low = pt.high = pt.y;
	s->points[s->nb++] = pt;
	return true;
}

static bool
take_line(struct plot *p, const char *line)
{
	if (strncmp(line, "title ", 6) == 0) {
		take_text(p->title, sizeof(p->title), line + 6);
		return true;
	}
	if (strncmp(line, "series ", 7) == 0 && p->nb_series < MAX_SERIES) {
		take_text(p->series[p->nb_series++].name, sizeof(p->series[0].name), line + 7);
		return true;
	}
	if (line[0] == '\n' || line[0] == '#')
		return true;
	return take_axis(&p->x, line, 'x') || take_axis(&p->y, line, 'y') || take_point(p, line);
}

/* ---- Scales ---- */

static double
nice_top(double v)
{
	double unit = pow(10, floor(log10(v)));
	static const double steps[] = {1, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10};
	unsigned i;

	for (i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (steps[i] * unit >= v)
			return steps[i] * unit;
	}
	return 10 * unit;
}

static void
find_ranges(struct plot *p)
{
	unsigned i, k;

	p->x.min = p->y.min = HUGE_VAL;
	p->x.max = p->y.max = -HUGE_VAL;
	for (i = 0; i < p->nb_series; i++) {
		for (k = 0; k < p->series[i].nb; k++) {
			const struct point *pt = &p->series[i].points[k];

			p->x.min = fmin(p->x.min, pt->x);
			p->x.max = fmax(p->x.max, pt->x);
			p->y.min = fmin(p->y.min, pt->low);
			p->y.max = fmax(p->y.max, pt->high);
		}
	}
	if (!p->y.is_log) {
		p->y.min = 0;
		p->y.max = p->y.max > 0 ? nice_top(p->y.max) : 1;
	}
	if (p->x.min == p->x.max)
		p->x.max = p->x.min + 1;
}

/* Where a value lies on its axis, 0 to 1. */
static double
place(const struct axis *a, double v)
{
	if (a->is_log)
		return log(v / a->min) / log(a->max / a->min);
	return (v - a->min) / (a->max - a->min);
}

static double
x_of(const struct plot *p, double v)
{
	return LEFT + place(&p->x, v) * (WIDTH - LEFT - RIGHT);
}

static double
y_of(const struct plot *p, double v)
{
	return HEIGHT - BOTTOM - place(&p->y, v) * (HEIGHT - TOP - BOTTOM);
}

/* ---- Output ---- */

static void
put_text(double x, double y, const char *anchor, const char *more, const char *text)
{
	printf("<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\"%s>", x, y, anchor, more);
	for (; *text != '\0'; text++) {
		if (*text == '<')
			fputs("&lt;", stdout);
		else if (*text == '&')
			fputs("&amp;", stdout);
		else
			putchar(*text);
	}
	puts("</text>");
}

static const char *
format_value(double v, char *buf, size_t size)
{
	if (v >= 1e6)
		(void)snprintf(buf, size, "%.3gM", v / 1e6);
	else if (v >= 1e4)
		(void)snprintf(buf, size, "%.3gk", v / 1e3);
	else if (v >= 1000)
		(void)snprintf(buf, size, "%.0f", v);
	else
		(void)snprintf(buf, size, "%.3g", v);
	return buf;
}

static void
put_axes(const struct plot *p)
{
	char buf[32];
	unsigned i, k;

	for (i = 0; i <= TICKS; i++) {
		double part = (double)i / TICKS;
		double v = p->y.is_log ? p->y.min * pow(p->y.max / p->y.min, part)
				       : p->y.min + part * (p->y.max - p->y.min);

		printf("<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>\n",
			LEFT, WIDTH - RIGHT, y_of(p, v), y_of(p, v));
		put_text(LEFT - 8, y_of(p, v) + 4, "end", "", format_value(v, buf, sizeof(buf)));
	}
	/* The values of the first series are where something was measured. */
	for (k = 0; p->nb_series > 0 && k < p->series[0].nb; k++) {
		double v = p->series[0].points[k].x;

		put_text(x_of(p, v), HEIGHT - BOTTOM + 18, "middle", "",
			format_value(v, buf, sizeof(buf)));
	}
	put_text((LEFT + WIDTH - RIGHT) / 2.0, HEIGHT - 14, "middle", "", p->x.name);
	(void)snprintf(buf, sizeof(buf), "%d", HEIGHT / 2);
	printf("<g transform=\"rotate(-90 18 %s)\">", buf);
	put_text(18, HEIGHT / 2.0, "middle", "", p->y.name);
	puts("</g>");
}

static void
put_series(const struct plot *p, unsigned i)
{
	const struct series *s = &p->series[i];
	unsigned k;

	printf("<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" points=\"", colours[i]);
	for (k = 0; k < s->nb; k++)
		printf("%.1f,%.1f ", x_of(p, s->points[k].x), y_of(p, s->points[k].y));
	puts("\"/>");
	for (k = 0; k < s->nb; k++) {
		double x = x_of(p, s->points[k].x);

		printf("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", x,
			y_of(p, s->points[k].y), colours[i]);
		if (s->points[k].low < s->points[k].high)
			printf("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" "
			       "stroke=\"%s\"/>\n",
				x, x, y_of(p, s->points[k].low), y_of(p, s->points[k].high),
				colours[i]);
	}
	printf("<rect x=\"%d\" y=\"%u\" width=\"14\" height=\"4\" fill=\"%s\"/>\n",
		WIDTH - RIGHT + 16, TOP + 12 + i * 20, colours[i]);
	put_text(WIDTH - RIGHT + 36, TOP + 18 + i * 20, "start", "", s->name);
}

int
main(void)
{
	static struct plot p;
	char line[256];
	unsigned i, n = 0;

	while (fgets(line, sizeof(line), stdin) != NULL) {
		n++;
		if (take_line(&p, line))
			continue;
		fprintf(stderr, "plot: line %u: '%.*s': expected title, x, y, series or a point\n",
			n, (int)strcspn(line, "\n"), line);
		return 2;
	}
	find_ranges(&p);
	printf("<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
	       "font-family=\"sans-serif\" font-size=\"12\">\n"
	       "<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
		WIDTH, HEIGHT);
	put_text(LEFT, 22, "start", " font-size=\"15\" font-weight=\"bold\"", p.title);
	put_axes(&p);
	for (i = 0; i < p.nb_series; i++)
		put_series(&p, i);
	puts("</svg>");
	return fflush(stdout) != 0;
}
