/*
 * store_example: a store that appends messages to a file, a line each.
 *
 * An example of a plugin: small, and yet it keeps what a store has to promise.
 *
 *	ID TAB CHANNEL TAB EPOCH TAB OFFSET TAB TIME TAB DATA
 *
 * The id is in hexadecimal; bytes that would break a line are written as \xx.  Ids are
 * read from the file at the start, so that no message is written twice.  It needs
 * nothing but chatd/plugin.h and the C library.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <chatd/plugin.h>

#define ID_LEN 16

/* The options, as chatd fills them in. */
struct conf {
	const char *file;
	bool sync;
};

struct store {
	struct chatd_host *host;
	const struct conf *conf;
	FILE *fp;
	off_t end; /* of the file, behind its last whole line */
	void *ids; /* tree of tsearch() */
	uint64_t written, repeated;
};

static int
compare_ids(const void *a, const void *b)
{
	return memcmp(a, b, ID_LEN);
}

/* True: it is new.  False with errno 0: it was there; else there is no memory. */
static bool
add_id(struct store *s, const unsigned char *id)
{
	unsigned char *copy = malloc(ID_LEN);
	unsigned char **node;

	errno = ENOMEM;
	if (copy == NULL)
		return false;
	memcpy(copy, id, ID_LEN);
	node = tsearch(copy, &s->ids, compare_ids);
	if (node != NULL && *node == copy)
		return true;
	free(copy);
	if (node != NULL)
		errno = 0;
	return false;
}

static void
remove_id(struct store *s, const unsigned char *id)
{
	unsigned char **node = tfind(id, &s->ids, compare_ids);
	unsigned char *copy = *node;

	tdelete(id, &s->ids, compare_ids);
	free(copy);
}

/* ---- the file -------------------------------------------------------------------- */

static bool
read_id(const char *line, unsigned char *id)
{
	char digits[3] = "", *end;
	int i;

	for (i = 0; i < ID_LEN; i++) {
		memcpy(digits, line + 2 * i, 2);
		id[i] = (unsigned char)strtoul(digits, &end, 16);
		if (end != digits + 2)
			return false;
	}
	return line[2 * ID_LEN] == '\t';
}

/* Takes the ids of what is there; a line without an end was never acknowledged. */
static int
read_file(struct store *s, struct chatd_error *err)
{
	unsigned char id[ID_LEN];
	size_t cap = 0;
	char *line = NULL;
	ssize_t len;
	int code = 0;

	while (code == 0 && (len = getline(&line, &cap, s->fp)) > 0) {
		if (line[len - 1] != '\n')
			break;
		if (len < 2 * ID_LEN + 1 || !read_id(line, id))
			code = chatd_fail(err, CHATD_CONFIG,
			    "%s: at byte %lld: not a line of this store", s->conf->file,
			    (long long)s->end);
		else if (!add_id(s, id) && errno != 0)
			code = chatd_fail(err, CHATD_UNAVAIL, "no memory");
		s->end += len;
	}
	free(line);
	if (code == 0 && ferror(s->fp))
		code = chatd_fail(
		    err, CHATD_UNAVAIL, "%s: %s", s->conf->file, strerror(errno));
	return code;
}

static void
put_bytes(FILE *fp, struct chatd_bytes bytes)
{
	size_t i;

	fputc('\t', fp);
	for (i = 0; i < bytes.len; i++) {
		unsigned char c = (unsigned char)bytes.p[i];

		if (c < 0x20 || c == '\\' || c == 0x7f)
			fprintf(fp, "\\%02x", c);
		else
			fputc(c, fp);
	}
}

static void
put_record(FILE *fp, const struct chatd_record *rec)
{
	int i;

	for (i = 0; i < ID_LEN; i++)
		fprintf(fp, "%02x", rec->id[i]);
	put_bytes(fp, rec->channel);
	put_bytes(fp, rec->epoch);
	fprintf(fp, "\t%" PRIu64 "\t%" PRIu64, rec->offset, rec->time);
	put_bytes(fp, rec->data);
	fputc('\n', fp);
}

/* ---- writing --------------------------------------------------------------------- */

/* Puts the new ones of a batch into the file; FRESH tells which they are. */
static bool
write_new(struct store *s, const struct chatd_batch *batch, bool *fresh)
{
	size_t i;

	errno = 0;
	if (fseeko(s->fp, s->end, SEEK_SET) < 0)
		return false;
	for (i = 0; i < batch->n; i++) {
		fresh[i] = add_id(s, batch->recs[i]->id);
		if (fresh[i])
			put_record(s->fp, batch->recs[i]);
		else if (errno != 0)
			return false;
	}
	return fflush(s->fp) == 0 && !ferror(s->fp) &&
	    (!s->conf->sync || fdatasync(fileno(s->fp)) == 0);
}

/* Brings file and ids back to where they were. */
static void
undo(struct store *s, const struct chatd_batch *batch, const bool *fresh)
{
	size_t i;

	for (i = 0; i < batch->n; i++)
		if (fresh[i])
			remove_id(s, batch->recs[i]->id);
	clearerr(s->fp);
	/* If even this fails, the next batch overwrites what is behind the end. */
	if (ftruncate(fileno(s->fp), s->end) < 0)
		chatd_log(s->host, CHATD_LOG_WARN, "%s: %s", s->conf->file,
		    strerror(errno));
}

static int
example_write(void *self, const struct chatd_batch *batch, struct chatd_error *err)
{
	struct store *s = self;
	bool *fresh = calloc(batch->n, sizeof(*fresh));
	const char *why;
	size_t i;

	if (fresh == NULL)
		return chatd_fail(err, CHATD_UNAVAIL, "no memory");
	if (write_new(s, batch, fresh)) {
		s->end = ftello(s->fp);
		for (i = 0; i < batch->n; i++) {
			s->written += fresh[i];
			s->repeated += !fresh[i];
		}
		s->host->done(s->host, batch->token, 0, NULL, NULL, 0);
	} else {
		why = strerror(errno);
		undo(s, batch, fresh);
		s->host->done(s->host, batch->token, CHATD_UNAVAIL, why, NULL, 0);
	}
	free(fresh);
	return 0;
}

/* ---- life ------------------------------------------------------------------------ */

static int
example_check(const void *conf, struct chatd_error *err)
{
	const struct conf *c = conf;

	if (c->file[0] != '/')
		return chatd_fail(err, CHATD_CONFIG, "file: must begin with /");
	return 0;
}

static int
example_init(
    struct chatd_host *host, const void *conf, void **self_r, struct chatd_error *err)
{
	struct store *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return chatd_fail(err, CHATD_UNAVAIL, "no memory");
	s->host = host;
	s->conf = conf;
	*self_r = s;
	return 0;
}

static int
example_start(void *self, struct chatd_error *err)
{
	struct store *s = self;
	int code, fd = open(s->conf->file, O_RDWR | O_CREAT | O_CLOEXEC, 0640);

	s->fp = fd >= 0 ? fdopen(fd, "r+") : NULL;
	if (s->fp == NULL) {
		chatd_fail(err, CHATD_CONFIG, "%s: %s", s->conf->file, strerror(errno));
		if (fd >= 0)
			close(fd);
		return CHATD_CONFIG;
	}
	s->end = 0;
	code = read_file(s, err);
	if (code != 0)
		return code;
	if (ftruncate(fd, s->end) < 0)
		return chatd_fail(
		    err, CHATD_UNAVAIL, "%s: %s", s->conf->file, strerror(errno));
	s->host->state(s->host, CHATD_UP, "");
	return 0;
}

static void
close_file(struct store *s)
{
	if (s->fp != NULL)
		fclose(s->fp);
	s->fp = NULL;
	while (s->ids != NULL)
		remove_id(s, *(unsigned char **)s->ids);
}

static void
example_stop(void *self, int64_t deadline)
{
	struct store *s = self;

	(void)deadline; /* nothing is ever in flight */
	close_file(s);
	s->host->state(s->host, CHATD_DOWN, "stopped");
	s->host->stopped(s->host);
}

static void
example_fini(void *self)
{
	close_file(self);
	free(self);
}

static void
example_stats(void *self, struct chatd_sink *sink)
{
	struct store *s = self;

	sink->counter(sink, "written", s->written);
	sink->counter(sink, "repeated", s->repeated);
	sink->gauge(sink, "bytes", (uint64_t)s->end);
}

/* ---- what chatd sees ------------------------------------------------------------- */

static const struct chatd_opt opts[] = {
    {"file", CHATD_OPT_STR, CHATD_OPT_RESTART, offsetof(struct conf, file), "", 1, 0,
	"The file that messages are appended to."},
    {"sync", CHATD_OPT_BOOL, CHATD_OPT_RESTART, offsetof(struct conf, sync), "on", 0, 0,
	"Wait until each batch is on the disk."},
};

static const struct chatd_life life = {
    .check = example_check,
    .init = example_init,
    .start = example_start,
    .stop = example_stop,
    .fini = example_fini,
    .stats = example_stats,
};

static const struct chatd_store_ops ops = {.write = example_write};

const struct chatd_plugin chatd_plugin = {
    CHATD_PLUGIN_HEAD(CHATD_KIND_STORE, "store_example", "1.0"),
    .caps = CHATD_STORE_TX,
    .opts = opts,
    .n_opts = sizeof(opts) / sizeof(opts[0]),
    .conf_size = sizeof(struct conf),
    .life = &life,
    .life_size = sizeof(life),
    .ops = &ops,
    .ops_size = sizeof(ops),
};
