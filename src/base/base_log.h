/*
 * base_log: one line an event, with a level and a subsystem.
 *
 * A line is "TIME [PID] LEVEL subsystem: text".  Values come after the
 * sentence as key=value.  No secret and no payload is ever logged.
 * One process, one target; children inherit it through fork.  A line is one
 * write(2) of at most BASE_LOG_LINE bytes, so lines of several processes that
 * append to one file do not mix.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/base_defs.h"

#define BASE_LOG_LINE 2048

enum base_log_level {
	BASE_LOG_ERROR,
	BASE_LOG_WARN,
	BASE_LOG_INFO,
	BASE_LOG_DEBUG,
};

/* Subsystem, and its name in the line. */
#define BASE_LOG_SUBSYSTEMS(X) \
	X(CORE, "core")        \
	X(CONF, "conf")        \
	X(MASTER, "master")    \
	X(WORKER, "worker")    \
	X(BROKER, "broker")    \
	X(ARCHIVER, "archiver") \
	X(RING, "ring")        \
	X(NET, "net")          \
	X(TLS, "tls")          \
	X(TOKEN, "token")      \
	X(PLUGIN, "plugin")

enum base_log_subsystem {
#define X(id, name) LOG_##id,
	BASE_LOG_SUBSYSTEMS(X)
#undef X
};

#define log_error(sub, ...) base_log(BASE_LOG_ERROR, (sub), __VA_ARGS__)
#define log_warn(sub, ...)  base_log(BASE_LOG_WARN, (sub), __VA_ARGS__)
#define log_info(sub, ...)  base_log(BASE_LOG_INFO, (sub), __VA_ARGS__)
#define log_debug(sub, ...)                                          \
	do {                                                         \
		if (BASE_UNLIKELY(base_log_enabled(BASE_LOG_DEBUG))) \
			base_log(BASE_LOG_DEBUG, (sub), __VA_ARGS__); \
	} while (0)

void base_log(enum base_log_level level, enum base_log_subsystem sub, const char *fmt,
    ...) BASE_PRINTF(3, 4);
bool base_log_enabled(enum base_log_level level);
void base_log_set_level(enum base_log_level level);

/*
 * Sends the log to TARGET: "stderr", "syslog", or the path of a file, which is
 * made with mode 0640 (and given to UID, GID unless -1, so that a process that
 * has dropped its privileges can open it again).  Returns 0, or -1 with a text
 * in ERR; then the old target stays.
 */
int base_log_open(const char *target, uid_t uid, gid_t gid, char *err, size_t errlen)
    BASE_MUST_CHECK;

/* Opens the file again after it was moved away (SIGUSR1); keeps the old on error. */
void base_log_reopen(void);

#endif
