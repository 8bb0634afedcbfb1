/*
 * conf_words: see the header.
 */
#include "config.h"

#include "conf/conf_words.h"

#include <inttypes.h>
#include <string.h>

#include "base/base_log.h"
#include "conf/conf_set.h"

const struct conf_word conf_words_bool[] = {
    {"on", 1}, {"off", 0}, {"true", 1}, {"false", 0}, {"yes", 1}, {"no", 0}, {NULL, 0}};

const struct conf_word conf_words_who[] = {{"nobody", CONF_WHO_NOBODY},
    {"subscriber", CONF_WHO_SUBSCRIBER},
    {"authenticated_subscriber", CONF_WHO_AUTHENTICATED_SUBSCRIBER},
    {"authenticated", CONF_WHO_AUTHENTICATED}, {"anyone", CONF_WHO_ANYONE}, {NULL, 0}};

const struct conf_word conf_words_mode[] = {{"off", CONF_MODE_OFF},
    {"optional", CONF_MODE_OPTIONAL}, {"on", CONF_MODE_ON}, {NULL, 0}};

const struct conf_word conf_words_ack[] = {{"auto", CONF_ACK_AUTO},
    {"memory", CONF_ACK_MEMORY}, {"spool", CONF_ACK_SPOOL}, {NULL, 0}};

const struct conf_word conf_words_level[] = {{"error", BASE_LOG_ERROR},
    {"warn", BASE_LOG_WARN}, {"info", BASE_LOG_INFO}, {"debug", BASE_LOG_DEBUG},
    {NULL, 0}};

const struct conf_word conf_words_serve[] = {
    {"client", CONF_SERVE_CLIENT}, {"metrics", CONF_SERVE_METRICS}, {NULL, 0}};

/* Suffixes from the largest; upper case counts too. */
const struct conf_word conf_words_size[] = {
    {"g", 1 << 30}, {"m", 1 << 20}, {"k", 1 << 10}, {"", 1}, {NULL, 0}};

const struct conf_word conf_words_time[] = {
    {"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {NULL, 0}};

const struct conf_word conf_words_plain[] = {{"", 1}, {NULL, 0}};

int
conf_words_find(const struct conf_word *words, const char *text, int64_t *value_r)
{
	for (; words->word != NULL; words++)
		if (strcmp(words->word, text) == 0) {
			*value_r = words->value;
			return 0;
		}
	return -1;
}

const char *
conf_words_name(const struct conf_word *words, int64_t value)
{
	for (; words->word != NULL; words++)
		if (words->value == value)
			return words->word;
	return NULL;
}

int
conf_words_number(const struct conf_word *suffixes, const char *text, int64_t *value_r)
{
	const char *p = text;
	int64_t n = 0;

	for (; *p >= '0' && *p <= '9'; p++)
		if (__builtin_mul_overflow(n, 10, &n) ||
		    __builtin_add_overflow(n, *p - '0', &n))
			return -1;
	if (p == text)
		return -1;
	if (n == 0 && *p == 0) {
		*value_r = 0;
		return 0;
	}
	for (; suffixes->word != NULL; suffixes++)
		if (strcasecmp(suffixes->word, p) == 0)
			return __builtin_mul_overflow(n, suffixes->value, value_r) ? -1
										   : 0;
	return -1;
}

void
conf_words_format(const struct conf_word *suffixes, int64_t value, struct base_buf *out)
{
	const struct conf_word *s = suffixes;

	if (value == 0) {
		base_buf_str(out, "0");
		return;
	}
	while (s[1].word != NULL && value % s->value != 0)
		s++;
	base_buf_printf(out, "%" PRId64 "%s", value / s->value, s->word);
}
