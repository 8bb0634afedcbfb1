/*
 * fault_vfs: between SQLite and the system, for tests: what SQLite asks for can fail,
 * and what it has not synced can be lost.
 *
 * It becomes the default VFS and the allocator of the process, so that plugins use it
 * too.  To look at a database past it, open it with the VFS "unix".
 */
#ifndef PLUGIN_FAULT_VFS_H
#define PLUGIN_FAULT_VFS_H

#include <sqlite3.h>
#include <stdbool.h>

/* Before any other use of SQLite.  A result code of SQLite. */
int fault_install(void);

enum fault_kind {
	FAULT_IO,     /* SQLITE_IOERR and the like */
	FAULT_FULL,   /* what makes files larger finds no room */
	FAULT_MEMORY, /* allocations */
};

/* The Nth call of that kind fails, counted from 1; and all after it if LASTING. */
void fault_arm(enum fault_kind kind, long n, bool lasting);
/* None fails any more; whether one did. */
bool fault_disarm(void);

/* From now on each file has a copy NAME.synced, which is as at its last sync. */
void fault_keep_synced(bool on);

#endif
