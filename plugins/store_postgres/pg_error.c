/*
 * pg_error: what an error of the database means for the daemon.
 *
 * By SQLSTATE (PostgreSQL, appendix A): the first two characters are the class.  What
 * no row can be blamed for is tried again, whatever it is; all else may be the fault of
 * a row, and is when that row alone gives it.  CHATD_NOTSUP: another statement may do,
 * as where COPY is not allowed.
 */
#include "pg_store.h"

#include <string.h>

static const struct {
	const char *start; /* of the SQLSTATE; the first that fits counts */
	int code;
} meanings[] = {
    {"57014", CHATD_TIMEOUT}, /* query_canceled: statement_timeout, or by hand */
    {"55P03", CHATD_TIMEOUT}, /* lock_not_available: lock_timeout */
    {"42P01", CHATD_VERSION}, /* undefined_table */
    {"42703", CHATD_VERSION}, /* undefined_column */
    {"42P10", CHATD_VERSION}, /* no unique index for ON CONFLICT */
    {"54", CHATD_TOOBIG}, /* program_limit_exceeded */
    {"22", CHATD_BADMSG}, /* data_exception */
    {"08", CHATD_UNAVAIL}, /* connection_exception */
    {"0A", CHATD_NOTSUP}, /* feature_not_supported */
    {"25", CHATD_UNAVAIL}, /* invalid_transaction_state: read only, say */
    {"28", CHATD_UNAVAIL}, /* invalid_authorization_specification */
    {"3D", CHATD_UNAVAIL}, /* invalid_catalog_name */
    {"3F", CHATD_UNAVAIL}, /* invalid_schema_name */
    {"40", CHATD_UNAVAIL}, /* transaction_rollback: a deadlock, say */
    {"42", CHATD_NOTSUP}, /* syntax_error_or_access_rule_violation */
    {"53", CHATD_UNAVAIL}, /* insufficient_resources */
    {"55", CHATD_UNAVAIL}, /* object_not_in_prerequisite_state */
    {"57", CHATD_UNAVAIL}, /* operator_intervention */
    {"58", CHATD_UNAVAIL}, /* system_error */
    {"F0", CHATD_UNAVAIL}, /* config_file_error */
    {"XX", CHATD_NOTSUP}, /* internal_error */
};

int
pg_error_code(const char *sqlstate)
{
	size_t i;

	/* libpq's own errors have none: the connection is gone. */
	if (sqlstate == NULL || sqlstate[0] == 0)
		return CHATD_UNAVAIL;
	for (i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++)
		if (strncmp(sqlstate, meanings[i].start, strlen(meanings[i].start)) ==
		    0)
			return meanings[i].code;
	return CHATD_DENIED; /* constraints, triggers */
}

int
pg_error_of(const PGresult *res, char *why, size_t size)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
	const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	char line[200];

	/* The detail would have the row in it. */
	if (text == NULL)
		text = PQresultErrorMessage(res);
	pg_line(line, sizeof(line), text[0] != 0 ? text : "unexpected answer");
	if (state != NULL)
		snprintf(why, size, "%s (SQLSTATE %s)", line, state);
	else
		snprintf(why, size, "%s", line);
	return pg_error_code(state);
}
