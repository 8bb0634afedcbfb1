/*
 * schema: the tables of the store, and what brings older ones up to date.
 */
#ifndef STORE_SQLITE_SCHEMA_H
#define STORE_SQLITE_SCHEMA_H

#include "db.h"

/* 0 if the open database has the schema of this version, or a code. */
int schema_check(struct db *db, struct chatd_error *err);

/*
 * Makes the file and its schema, or brings it up to date; with CHATD_MIGRATE_CHECK
 * only looks.  DB is not open, before and after.
 */
int schema_migrate(struct db *db, unsigned flags, struct chatd_error *err);

#endif
