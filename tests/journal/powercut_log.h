/*
 * powercut_log: what powercut_shim.so writes down of a program's way to the disk.
 *
 * Records follow each other in the file POWERCUT_LOG: struct powercut_rec, and LEN
 * bytes of data for a write.  They concern the file POWERCUT_FILE alone.
 */
#ifndef JOURNAL_POWERCUT_LOG_H
#define JOURNAL_POWERCUT_LOG_H

#include <stdint.h>

enum powercut_kind {
	POWERCUT_WRITE = 1, /* data at OFF; on its way from here on */
	POWERCUT_WRITE_SYNC, /* the same, and on the disk when the call has returned */
	POWERCUT_SYNC, /* writes before BEGUN, a place in the log, are on the disk */
	POWERCUT_SIZE, /* the file got at least OFF bytes, zeros */
	POWERCUT_CUT, /* the file got OFF bytes */
	POWERCUT_MARK, /* the program says OFF */
};

struct powercut_rec {
	uint32_t kind;
	uint32_t zero;
	uint64_t off, len;
	uint64_t begun;
};

/* The shim has it: writes a mark. */
void powercut_mark(uint64_t n);

#endif
