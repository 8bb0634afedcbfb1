/*
 * fault_vfs: see the header.
 */
#include "config.h"

#include "fault_vfs.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Its real file stands behind it. */
struct file {
	sqlite3_file base;
	char *name; /* NULL: a temporary one */
};

static sqlite3_vfs *real;
static sqlite3_vfs shim;
static sqlite3_mem_methods memory;
static atomic_bool keep;

/* ---- faults ---------------------------------------------------------------------- */

static struct {
	atomic_int kind;
	atomic_long left; /* calls to the first that fails; 0: none is to */
	atomic_bool lasting, hit;
} fault;

static bool
fails(enum fault_kind kind)
{
	if (atomic_load(&fault.left) == 0 || atomic_load(&fault.kind) != (int)kind)
		return false;
	if (atomic_load(&fault.left) > 1) {
		atomic_fetch_sub(&fault.left, 1);
		return false;
	}
	atomic_store(&fault.hit, true);
	if (!atomic_load(&fault.lasting))
		atomic_store(&fault.left, 0);
	return true;
}

void
fault_arm(enum fault_kind kind, long n, bool lasting)
{
	atomic_store(&fault.left, 0);
	atomic_store(&fault.kind, (int)kind);
	atomic_store(&fault.lasting, lasting);
	atomic_store(&fault.hit, false);
	atomic_store(&fault.left, n);
}

bool
fault_disarm(void)
{
	atomic_store(&fault.left, 0);
	return atomic_load(&fault.hit);
}

/* ---- what a loss of power leaves ------------------------------------------------- */

void
fault_keep_synced(bool on)
{
	atomic_store(&keep, on);
}

static void
copy_synced(const char *name)
{
	char to[600], block[65536];
	int in, out;
	ssize_t n;

	if (name == NULL || !atomic_load(&keep))
		return;
	snprintf(to, sizeof(to), "%s.synced", name);
	in = open(name, O_RDONLY | O_CLOEXEC);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (in < 0 || out < 0)
		abort();
	while ((n = read(in, block, sizeof(block))) > 0)
		if (write(out, block, (size_t)n) != n)
			abort();
	close(in);
	close(out);
}

/* ---- files ----------------------------------------------------------------------- */

static sqlite3_file *
real_of(sqlite3_file *file)
{
	return (sqlite3_file *)((struct file *)file + 1);
}

#define REAL(file, call, ...)                                                    \
	real_of(file)->pMethods->call(real_of(file), ##__VA_ARGS__)

static int
file_close(sqlite3_file *file)
{
	int rc = REAL(file, xClose);

	free(((struct file *)file)->name);
	return rc;
}

static int
file_read(sqlite3_file *file, void *to, int n, sqlite3_int64 at)
{
	return fails(FAULT_IO) ? SQLITE_IOERR_READ : REAL(file, xRead, to, n, at);
}

static int
file_write(sqlite3_file *file, const void *from, int n, sqlite3_int64 at)
{
	if (fails(FAULT_IO))
		return SQLITE_IOERR_WRITE;
	return fails(FAULT_FULL) ? SQLITE_FULL : REAL(file, xWrite, from, n, at);
}

static int
file_truncate(sqlite3_file *file, sqlite3_int64 size)
{
	return fails(FAULT_IO) ? SQLITE_IOERR_TRUNCATE : REAL(file, xTruncate, size);
}

static int
file_sync(sqlite3_file *file, int flags)
{
	int rc = fails(FAULT_IO) ? SQLITE_IOERR_FSYNC : REAL(file, xSync, flags);

	if (rc == SQLITE_OK)
		copy_synced(((struct file *)file)->name);
	return rc;
}

static int
file_size(sqlite3_file *file, sqlite3_int64 *size_r)
{
	return fails(FAULT_IO) ? SQLITE_IOERR_FSTAT : REAL(file, xFileSize, size_r);
}

static int
file_lock(sqlite3_file *file, int level)
{
	return fails(FAULT_IO) ? SQLITE_IOERR_LOCK : REAL(file, xLock, level);
}

static int
file_unlock(sqlite3_file *file, int level)
{
	return REAL(file, xUnlock, level);
}

static int
file_reserved(sqlite3_file *file, int *is_r)
{
	return REAL(file, xCheckReservedLock, is_r);
}

static int
file_control(sqlite3_file *file, int op, void *arg)
{
	return REAL(file, xFileControl, op, arg);
}

static int
file_sector(sqlite3_file *file)
{
	return REAL(file, xSectorSize);
}

static int
file_traits(sqlite3_file *file)
{
	return REAL(file, xDeviceCharacteristics);
}

static int
file_shm_map(sqlite3_file *file, int i, int size, int extend, void volatile **p)
{
	if (fails(FAULT_IO))
		return SQLITE_IOERR_SHMMAP;
	if (extend && fails(FAULT_FULL))
		return SQLITE_FULL;
	return REAL(file, xShmMap, i, size, extend, p);
}

static int
file_shm_lock(sqlite3_file *file, int at, int n, int flags)
{
	if ((flags & SQLITE_SHM_LOCK) != 0 && fails(FAULT_IO))
		return SQLITE_IOERR_SHMLOCK;
	return REAL(file, xShmLock, at, n, flags);
}

static void
file_shm_barrier(sqlite3_file *file)
{
	REAL(file, xShmBarrier);
}

static int
file_shm_unmap(sqlite3_file *file, int also_delete)
{
	return REAL(file, xShmUnmap, also_delete);
}

static const sqlite3_io_methods methods = {
    .iVersion = 2,
    .xClose = file_close,
    .xRead = file_read,
    .xWrite = file_write,
    .xTruncate = file_truncate,
    .xSync = file_sync,
    .xFileSize = file_size,
    .xLock = file_lock,
    .xUnlock = file_unlock,
    .xCheckReservedLock = file_reserved,
    .xFileControl = file_control,
    .xSectorSize = file_sector,
    .xDeviceCharacteristics = file_traits,
    .xShmMap = file_shm_map,
    .xShmLock = file_shm_lock,
    .xShmBarrier = file_shm_barrier,
    .xShmUnmap = file_shm_unmap,
};

/* ---- the system ------------------------------------------------------------------ */

static int
vfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	int rc = SQLITE_CANTOPEN;

	(void)vfs;
	file->pMethods = NULL;
	if (!fails(FAULT_IO))
		rc = real->xOpen(real, name, real_of(file), flags, out);
	if (rc != SQLITE_OK)
		return rc;
	((struct file *)file)->name = name != NULL ? strdup(name) : NULL;
	file->pMethods = &methods;
	return SQLITE_OK;
}

static int
vfs_delete(sqlite3_vfs *vfs, const char *name, int sync)
{
	char synced[600];
	int rc;

	(void)vfs;
	if (fails(FAULT_IO))
		return SQLITE_IOERR_DELETE;
	rc = real->xDelete(real, name, sync);
	snprintf(synced, sizeof(synced), "%s.synced", name);
	if (rc == SQLITE_OK)
		unlink(synced);
	return rc;
}

static int
vfs_access(sqlite3_vfs *vfs, const char *name, int flags, int *is_r)
{
	(void)vfs;
	if (fails(FAULT_IO))
		return SQLITE_IOERR_ACCESS;
	return real->xAccess(real, name, flags, is_r);
}

/* ---- memory ---------------------------------------------------------------------- */

static void *
mem_malloc(int n)
{
	return fails(FAULT_MEMORY) ? NULL : memory.xMalloc(n);
}

static void *
mem_realloc(void *p, int n)
{
	return fails(FAULT_MEMORY) ? NULL : memory.xRealloc(p, n);
}

int
fault_install(void)
{
	sqlite3_mem_methods ours;
	int rc = sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory);

	if (rc != SQLITE_OK)
		return rc;
	ours = memory;
	ours.xMalloc = mem_malloc;
	ours.xRealloc = mem_realloc;
	rc = sqlite3_config(SQLITE_CONFIG_MALLOC, &ours);
	if (rc == SQLITE_OK)
		rc = sqlite3_initialize();
	if (rc != SQLITE_OK)
		return rc;
	real = sqlite3_vfs_find("unix");
	shim = *real;
	shim.pNext = NULL;
	shim.zName = "fault";
	shim.szOsFile = (int)sizeof(struct file) + real->szOsFile;
	shim.xOpen = vfs_open;
	shim.xDelete = vfs_delete;
	shim.xAccess = vfs_access;
	return sqlite3_vfs_register(&shim, 1);
}
