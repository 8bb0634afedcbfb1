/*
 * broker: the process that gives channels their order, and keeps what must last.
 */
#ifndef ROLE_BROKER_H
#define ROLE_BROKER_H

#include "ipc/ipc_child.h"

/* Serves until told to stop; exits with one of IPC_EXIT_*. */
void broker_main(struct ipc_env *ipc) BASE_NORETURN;

#endif
