/* SPDX-License-Identifier: BSD-3-Clause */
/* Copyright (c) 2026 the mpnic authors */

/*
 * Whose a frame is: a table by frame type for frames without a tag, and one for each VLAN that a
 * personality has (the report, 2.4).
 */

#include <stdlib.h>

#include "mpn_log.h"
#include "nic_internal.h"

static const uint16_t tpids[VLAN_TPIDS] = {RTE_ETHER_TYPE_VLAN, RTE_ETHER_TYPE_QINQ};

/* ---- What personalities claim ---- */

int
claims_store(struct mpn_personality *p, const uint16_t *types, unsigned n)
{
	if (n > MPN_ARRAY_SIZE(p->ethertypes))
		return mpn_err(EINVAL);
	for (unsigned i = 0; i < n; i++) {
		if (types[i] < NIC_ETHERTYPE_MIN)
			return mpn_err(EINVAL);
	}
	if (n > 0)
		memcpy(p->ethertypes, types, n * sizeof(types[0]));
	p->nb_ethertypes = (uint8_t)n;
	return 0;
}

int
mpn_personality_set_ethertypes(struct mpn_personality *p, const uint16_t *types, unsigned n)
{
	if (!p->loading)
		return mpn_err(EINVAL);
	return claims_store(p, types, n);
}

int
mpn_personality_take_rest(struct mpn_personality *p)
{
	if (!p->loading)
		return mpn_err(EINVAL);
	p->takes_rest = true;
	return 0;
}

static bool
is_id(uint16_t id)
{
	return id != 0 && id < VLAN_RESERVED;
}

int
mpn_personality_set_vlan(struct mpn_personality *p, const struct mpn_vlan *vlan)
{
	static const struct mpn_vlan none;

	if (vlan == NULL)
		vlan = &none;
	if ((vlan->vid != 0 && !is_id(vlan->vid)) || (vlan->outer != 0 && !is_id(vlan->outer)) ||
		(vlan->vid == 0 && vlan->outer != 0))
		return mpn_log_err(EINVAL, "nic",
			"personality '%s': VLAN ids %u and %u: expected 1 to %u", p->name,
			vlan->outer, vlan->vid, VLAN_RESERVED - 1);
	if (p->state != MPN_PERS_DEFINED)
		return mpn_log_err(EPERM, "nic",
			"personality '%s': its VLAN cannot change: it is %s, unload it first",
			p->name, mpn_pers_state_name(p->state));
	p->vlan = *vlan;
	return 0;
}

/* ---- Overlaps ---- */

static bool
claims_type(const struct mpn_personality *p, uint16_t type)
{
	for (unsigned k = 0; k < p->nb_ethertypes; k++) {
		if (p->ethertypes[k] == type)
			return true;
	}
	return false;
}

/* " in VLAN 10" */
static const char *
where(const struct mpn_personality *p, char *text, size_t size)
{
	text[0] = '\0';
	if (p->vlan.outer != 0)
		(void)snprintf(text, size, " in VLAN %u.%u", p->vlan.outer, p->vlan.vid);
	else if (p->vlan.vid != 0)
		(void)snprintf(text, size, " in VLAN %u", p->vlan.vid);
	return text;
}

static int
check_against(const struct mpn_personality *p, const struct mpn_personality *other)
{
	char text[32];

	if (p->takes_rest && other->takes_rest)
		return mpn_log_err(EADDRINUSE, "nic",
			"personality '%s': the frame types nobody claims%s belong to '%s' already",
			p->name, where(p, text, sizeof(text)), other->name);
	for (unsigned k = 0; k < p->nb_ethertypes; k++) {
		if (claims_type(other, p->ethertypes[k]))
			return mpn_log_err(EADDRINUSE, "nic",
				"personality '%s': frame type 0x%04x%s belongs to '%s' already",
				p->name, p->ethertypes[k], where(p, text, sizeof(text)),
				other->name);
	}
	return 0;
}

int
claims_check(const struct mpn_personality *p)
{
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < p->nic->nb_pers; i++) {
		const struct mpn_personality *other = p->nic->pers[i];

		if (other != p && other->state != MPN_PERS_DEFINED &&
			vlan_is_same(&p->vlan, &other->vlan))
			rc = check_against(p, other);
	}
	return rc;
}

/* ---- The tables ---- */

static struct vlan_domain *
find_domain(const struct mpn_nic *nic, const struct mpn_vlan *vlan)
{
	for (unsigned i = 0; i < nic->vlans.nb; i++) {
		if (vlan_is_same(&nic->vlans.domains[i]->vlan, vlan))
			return nic->vlans.domains[i];
	}
	return NULL;
}

int
claims_make_domain(const struct mpn_personality *p)
{
	struct vlan_table *t = &p->nic->vlans;
	struct vlan_domain *d;

	if (!vlan_is_set(&p->vlan) || find_domain(p->nic, &p->vlan) != NULL)
		return 0;
	/* There are no more VLANs than personalities: those without one have been taken out. */
	d = calloc(1, sizeof(*d));
	if (d == NULL)
		return mpn_err(ENOMEM);
	d->vlan = p->vlan;
	t->domains[t->nb++] = d;
	return 0;
}

static void
fill_claims(const struct mpn_nic *nic, uint8_t *claims, const struct mpn_vlan *vlan)
{
	uint8_t rest = 0;

	for (unsigned i = 0; i < nic->nb_pers; i++) {
		const struct mpn_personality *p = nic->pers[i];

		if (p->takes_rest && p->state != MPN_PERS_DEFINED && vlan_is_same(&p->vlan, vlan))
			rest = (uint8_t)(i + 1);
	}
	memset(claims, 0, NIC_ETHERTYPE_MIN);
	memset(claims + NIC_ETHERTYPE_MIN, rest, NIC_FRAME_TYPES - NIC_ETHERTYPE_MIN);
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		const struct mpn_personality *p = nic->pers[i];

		for (unsigned k = 0; p->state != MPN_PERS_DEFINED && vlan_is_same(&p->vlan, vlan) &&
				     k < p->nb_ethertypes;
			k++)
			claims[p->ethertypes[k]] = (uint8_t)(i + 1);
	}
}

static bool
is_used(const struct mpn_nic *nic, const struct mpn_vlan *vlan)
{
	for (unsigned i = 0; i < nic->nb_pers; i++) {
		if (nic->pers[i]->state != MPN_PERS_DEFINED &&
			vlan_is_same(&nic->pers[i]->vlan, vlan))
			return true;
	}
	return false;
}

static void
drop_unused(struct mpn_nic *nic)
{
	struct vlan_table *t = &nic->vlans;
	unsigned kept = 0;

	for (unsigned i = 0; i < t->nb; i++) {
		if (is_used(nic, &t->domains[i]->vlan))
			t->domains[kept++] = t->domains[i];
		else
			free(t->domains[i]);
	}
	t->nb = kept;
}

void
claims_rebuild(struct mpn_nic *nic)
{
	static const struct mpn_vlan none;
	struct vlan_table *t = &nic->vlans;

	fill_claims(nic, nic->claims, &none);
	/* A frame that claims nothing is looked at again: so one that is tagged costs the others nothing. */
	for (unsigned i = 0; i < VLAN_TPIDS; i++) {
		nic->trunk[i] = nic->claims[tpids[i]];
		nic->claims[tpids[i]] = 0;
	}
	drop_unused(nic);
	memset(t->by_vid, 0, sizeof(t->by_vid));
	for (unsigned i = 0; i < t->nb; i++) {
		struct vlan_domain *d = t->domains[i];

		fill_claims(nic, d->claims, &d->vlan);
		if (d->vlan.outer == 0)
			t->by_vid[d->vlan.vid] = (uint8_t)(i + 1);
	}
}

void
claims_free(struct mpn_nic *nic)
{
	for (unsigned i = 0; i < nic->vlans.nb; i++)
		free(nic->vlans.domains[i]);
	free(nic->claims);
}

const uint8_t *
claims_of(const struct mpn_nic *nic, const struct vlan_tags *tags)
{
	struct vlan_domain *d;

	if (tags->nb == 0 || (tags->nb == 1 && tags->id[0] == 0))
		return nic->claims;
	if (tags->nb == 1) {
		uint8_t slot = nic->vlans.by_vid[tags->id[0]];

		return slot != 0 ? nic->vlans.domains[slot - 1]->claims : NULL;
	}
	if (tags->id[0] == 0)
		return NULL;
	d = find_domain(nic, &(struct mpn_vlan){.vid = tags->id[1], .outer = tags->id[0]});
	return d != NULL ? d->claims : NULL;
}

/* ---- What a personality may send ---- */

static bool
is_its(const struct mpn_personality *p, uint8_t claim)
{
	return claim != 0 && p->nic->pers[claim - 1] == p;
}

bool
mpn_personality_has_type(const struct mpn_personality *p, uint16_t type)
{
	const struct vlan_domain *d = find_domain(p->nic, &p->vlan);

	for (unsigned i = 0; i < VLAN_TPIDS; i++) {
		if (type == tpids[i])
			return !vlan_is_set(&p->vlan) && is_its(p, p->nic->trunk[i]);
	}
	if (!vlan_is_set(&p->vlan))
		return is_its(p, p->nic->claims[type]);
	return d != NULL && is_its(p, d->claims[type]);
}

bool
mpn_personality_has_frame(const struct mpn_personality *p, const struct rte_mbuf *m)
{
	struct vlan_tags tags;
	const uint8_t *claims;

	if (m->data_len < RTE_ETHER_HDR_LEN)
		return false;
	vlan_read(m, 0, &tags);
	if (tags.nb == 0 && !tags.bad)
		return mpn_personality_has_type(p, tags.type);
	if (tags.bad || tags.nb > 1 || vlan_is_set(&p->vlan))
		return false;
	claims = claims_of(p->nic, &tags);
	return is_its(p, claims != NULL ? claims[tags.type] : p->nic->trunk[tags.tpid]);
}
