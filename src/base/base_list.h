/*
 * base_list: intrusive doubly linked lists.
 */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include "base/base_defs.h"

/* A head or a node.  A node that is on no list is unlinked: next == NULL. */
struct base_list {
	struct base_list *next, *prev;
};

static inline void
base_list_init(struct base_list *head)
{
	head->next = head->prev = head;
}

static inline bool
base_list_empty(const struct base_list *head)
{
	return head->next == head;
}

static inline bool
base_list_linked(const struct base_list *node)
{
	return node->next != NULL;
}

static inline void
base_list_add_tail(struct base_list *head, struct base_list *node)
{
	node->next = head;
	node->prev = head->prev;
	head->prev->next = node;
	head->prev = node;
}

/* Does nothing for an unlinked node. */
static inline void
base_list_del(struct base_list *node)
{
	if (node->next == NULL)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

#define BASE_LIST_FOREACH(it, head) \
	for (struct base_list *it = (head)->next; it != (head); it = it->next)
/* IT may be unlinked or freed in the body. */
#define BASE_LIST_FOREACH_SAFE(it, tmp, head)                                 \
	for (struct base_list *it = (head)->next, *tmp = it->next; it != (head); \
	    it = tmp, tmp = it->next)

#endif
