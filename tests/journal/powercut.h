/*
 * powercut: a program whose publications are known, and a check of what a journal
 * has of them; test_powercut.c.
 */
#ifndef JOURNAL_POWERCUT_H
#define JOURNAL_POWERCUT_H

#include "journal/journal.h"

/* Prints what is wrong, and ends the process. */
void powercut_die(const char *fmt, ...) BASE_PRINTF(1, 2) BASE_NORETURN;

struct journal *powercut_open(const char *dir, bool sync);

/* Makes transaction STEP (from 1), of which each is the same in every run. */
int powercut_step(struct journal *j, unsigned step);
/* The step that was committed last. */
unsigned powercut_last(struct journal *j);
/* The journal has what it must have after step STEP. */
void powercut_check(struct journal *j, unsigned step);
/* Its spool too; no process may have it open in this one. */
void powercut_check_spool(const char *dir, unsigned step);

#endif
