/*
 * base_fail: named points at which a test stops, kills or fails a process.
 *
 * Nothing of it is left in a build without --enable-failpoints.  With it, the
 * environment variable CHATD_FAIL holds a comma-separated list of
 *
 *   [ROLE[.START]:]NAME=ACTION[@N]
 *
 * N: at the N-th pass of this process (1 when absent).  ROLE: in processes of that
 * role alone (role.c), and with START only in the one of that start, 1 for the first.
 *
 * ACTION: kill (SIGKILL to this process), stop (SIGSTOP), fail (BASE_FAIL is
 * true, from then on), once (that one time), every (at each N-th pass).  Tests in
 * the same process use base_fail_set().
 */
#ifndef BASE_FAIL_H
#define BASE_FAIL_H

#include "base/base_defs.h"

#ifdef ENABLE_FAILPOINTS
/* Reads CHATD_FAIL; an unknown name or action aborts. */
void base_fail_init(void);
/* SPEC as in CHATD_FAIL; NULL clears all. */
void base_fail_set(const char *spec);
/* In a process that was forked for a role: points of others are left out from here. */
void base_fail_role(const char *role, unsigned long start);
/* How often a point that is set was passed since. */
unsigned long base_fail_passes(const char *name);
/* Called by the macro; true if the caller is to fail here. */
bool base_fail_hit(const char *name);
#define BASE_FAIL(name) base_fail_hit(name)
#define BASE_FAIL_POINT(name) ((void)base_fail_hit(name))
#else
#define base_fail_init() ((void)0)
#define base_fail_role(role, start) ((void)0)
#define BASE_FAIL(name) (false)
#define BASE_FAIL_POINT(name) ((void)0)
#endif

#endif
