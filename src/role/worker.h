/*
 * worker: the process that holds clients.
 */
#ifndef ROLE_WORKER_H
#define ROLE_WORKER_H

#include "ipc/ipc_child.h"

/* Serves until told to stop; exits with one of IPC_EXIT_*. */
void worker_main(struct ipc_env *env) BASE_NORETURN;

#endif
