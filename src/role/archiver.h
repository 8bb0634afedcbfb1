/*
 * archiver: the process that moves messages from the spool into the database.
 *
 * It alone holds the store's plugin, which is code of others: if that crashes or
 * hangs, no client notices.
 */
#ifndef ROLE_ARCHIVER_H
#define ROLE_ARCHIVER_H

#include "ipc/ipc_child.h"

/* Serves until told to stop; exits with one of IPC_EXIT_*. */
void archiver_main(struct ipc_env *ipc) BASE_NORETURN;

#endif
