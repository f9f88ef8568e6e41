/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

#include "test_util.h"

#include "mpn_list.h"

struct item {
	int before; /* so that the node is not at offset 0 */
	struct mpn_list node;
	int value;
};

static struct mpn_list head, second;
static struct item items[6];

static void
put_items_in_order(void)
{
	size_t i;

	mpn_list_init(&head);
	mpn_list_init(&second);
	for (i = 0; i < MPN_ARRAY_SIZE(items); i++) {
		items[i].value = (int)i;
		mpn_list_init(&items[i].node);
	}
}

/* The list holds exactly the digits of want, seen from both ends. */
static void
check_order(struct mpn_list *l, const char *want)
{
	char got[16];
	struct mpn_list *pos;
	size_t n = 0;

	mpn_list_for_each(pos, l)
		got[n++] = (char)('0' + mpn_list_entry(pos, struct item, node)->value);
	got[n] = '\0';
	assert_string_equal(got, want);
	for (pos = l->prev; pos != l; pos = pos->prev)
		assert_int_equal(got[--n], '0' + mpn_list_entry(pos, struct item, node)->value);
	assert_int_equal(n, 0);
	assert_int_equal(mpn_list_empty(l), want[0] == '\0');
}

static void
nodes_keep_their_order(void **state)
{
	put_items_in_order();
	check_order(&head, "");
	mpn_list_add_tail(&head, &items[1].node);
	mpn_list_add_tail(&head, &items[2].node);
	mpn_list_add_head(&head, &items[0].node);
	check_order(&head, "012");
	mpn_list_insert(&items[1].node, &items[5].node);
	check_order(&head, "0512");
	assert_ptr_equal(mpn_list_first(&head, struct item, node), &items[0]);
}

static void
a_node_may_be_removed_twice(void **state)
{
	put_items_in_order();
	mpn_list_add_tail(&head, &items[0].node);
	mpn_list_add_tail(&head, &items[1].node);
	mpn_list_del(&items[0].node);
	mpn_list_del(&items[0].node);
	assert_true(mpn_list_empty(&items[0].node));
	check_order(&head, "1");
	mpn_list_add_head(&head, &items[0].node);
	check_order(&head, "01");
}

static void
walk_survives_removal(void **state)
{
	struct mpn_list *pos, *tmp;
	size_t i;

	put_items_in_order();
	for (i = 0; i < MPN_ARRAY_SIZE(items); i++)
		mpn_list_add_tail(&head, &items[i].node);
	mpn_list_for_each_safe(pos, tmp, &head) {
		if (mpn_list_entry(pos, struct item, node)->value % 2 == 0)
			mpn_list_del(pos);
	}
	check_order(&head, "135");
}

static void
splice_moves_everything(void **state)
{
	put_items_in_order();
	mpn_list_splice_tail(&head, &second);
	check_order(&head, "");
	mpn_list_add_tail(&second, &items[3].node);
	mpn_list_add_tail(&second, &items[4].node);
	mpn_list_splice_tail(&head, &second);
	check_order(&head, "34");
	check_order(&second, "");
	mpn_list_add_tail(&second, &items[1].node);
	mpn_list_splice_tail(&head, &second);
	check_order(&head, "341");
	check_order(&second, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_keep_their_order),
		cmocka_unit_test(a_node_may_be_removed_twice),
		cmocka_unit_test(walk_survives_removal),
		cmocka_unit_test(splice_moves_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
