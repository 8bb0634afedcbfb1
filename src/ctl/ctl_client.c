/*
 * ctl_client: see the header.
 */
#include "config.h"

#include "ctl/ctl_client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/base_mem.h"
#include "base/base_unix.h"
#include "conf/conf_file.h"
#include "ctl/ctl_json.h"

/* More than any answer takes that the daemon gives at all. */
#define PATIENCE_S 30
#define ANSWER_MAX (64u << 20)
#define HEAD_END "\r\n\r\n"

/* ---- the socket ---- */

/* Caller frees; NULL after complaints. */
static char *
socket_path(const struct ctl_args *args)
{
	struct base_buf path = {0};
	struct conf *conf;
	char *dir;

	if (args->socket != NULL)
		return base_strdup(args->socket);
	conf = ctl_conf(args);
	if (conf == NULL)
		return NULL;
	dir = conf_file_path(conf->run_dir, conf->file);
	base_buf_printf(&path, "%s/control.sock", dir);
	base_buf_byte(&path, 0);
	free(dir);
	conf_free(conf);
	return path.p;
}

static int
open_socket(const struct ctl_args *args)
{
	const struct timeval tv = {.tv_sec = PATIENCE_S};
	char *path = socket_path(args);
	int fd;

	if (path == NULL)
		return -1;
	fd = base_unix_connect(path);
	if (fd < 0)
		ctl_complain("%s: %s", path, strerror(errno));
	free(path);
	if (fd >= 0 &&
	    (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0)) {
		ctl_complain("cannot set time-outs: %s", strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

/* ---- HTTP ---- */

static bool
send_all(int fd, const struct base_buf *b)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t r = send(fd, b->p + done, b->len - done, MSG_NOSIGNAL);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return false;
		done += (size_t)r;
	}
	return true;
}

/* The connection ends with the answer. */
static bool
receive_all(int fd, struct base_buf *b)
{
	for (;;) {
		ssize_t r = recv(fd, base_buf_room(b, 65536), 65536, 0);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return r == 0;
		b->len += (size_t)r;
		if (b->len > ANSWER_MAX) {
			errno = EMSGSIZE;
			return false;
		}
	}
}

static bool
exchange(int fd, const char *path, const struct base_buf *body, struct base_buf *raw)
{
	struct base_buf request = {0};
	bool good;

	base_buf_printf(&request,
	    "POST %s HTTP/1.1\r\nHost: chatd\r\nConnection: close\r\n"
	    "Content-Length: %zu\r\n\r\n{",
	    path, body->len + 2);
	base_buf_add(&request, body->p, body->len);
	base_buf_byte(&request, '}');
	/* A refusal may come before all was sent. */
	good = send_all(fd, &request) || errno == EPIPE;
	base_buf_free(&request);
	return receive_all(fd, raw) && good && raw->len > 0;
}

/* Status of the answer, with its body in *BODY_R; 0: it is none. */
static int
take_apart(const struct base_buf *raw, struct base_slice *body_r)
{
	static const char version[] = "HTTP/1.1 ";
	const char *end = memmem(raw->p, raw->len, HEAD_END, strlen(HEAD_END));
	size_t head = sizeof(version) - 1;

	if (end == NULL || raw->len < head + 3 || memcmp(raw->p, version, head) != 0)
		return 0;
	end += strlen(HEAD_END);
	*body_r = (struct base_slice){end, raw->len - (size_t)(end - raw->p)};
	return (raw->p[head] - '0') * 100 + (raw->p[head + 1] - '0') * 10 +
	    (raw->p[head + 2] - '0');
}

/* ---- the answer ---- */

static enum ctl_exit
judge(const struct base_buf *raw, struct ctl_answer *answer)
{
	struct base_buf message = {0};
	struct base_slice body, error;
	int status = take_apart(raw, &body);

	if (status == 403) {
		ctl_complain("the daemon does not take orders from this user");
		return CTL_ERROR;
	}
	if (status != 200) {
		ctl_complain("the daemon answers with HTTP status %d", status);
		return CTL_UNREACHABLE;
	}
	base_buf_add(&answer->text, body.p, body.len);
	body.p = answer->text.p;
	if (ctl_json_get(body, "result", &answer->result))
		return CTL_OK;
	if (!ctl_json_get(body, "error", &error)) {
		ctl_complain("the daemon's answer cannot be understood");
		return CTL_UNREACHABLE;
	}
	ctl_json_text(error, "message", &message);
	ctl_complain("error %llu: %.*s",
	    (unsigned long long)ctl_json_uint(error, "code"), (int)message.len,
	    message.len > 0 ? message.p : "");
	base_buf_free(&message);
	return CTL_ERROR;
}

enum ctl_exit
ctl_ask(const struct ctl_args *args, const char *path, const struct base_buf *body,
    struct ctl_answer *answer)
{
	struct base_buf raw = {0};
	enum ctl_exit code = CTL_UNREACHABLE;
	int fd = open_socket(args);

	*answer = (struct ctl_answer){0};
	if (fd < 0)
		return code;
	if (exchange(fd, path, body, &raw))
		code = judge(&raw, answer);
	else if (errno == EAGAIN)
		ctl_complain("no answer within %d s", PATIENCE_S);
	else
		ctl_complain("the daemon hung up");
	close(fd);
	base_buf_free(&raw);
	return code;
}

enum ctl_exit
ctl_ask_show(const struct ctl_args *args, const char *path, const struct base_buf *body,
    void (*show)(struct base_slice result))
{
	struct ctl_answer answer;
	enum ctl_exit code = ctl_ask(args, path, body, &answer);

	if (args->json != NULL && answer.text.len > 0)
		printf("%.*s\n", (int)answer.text.len, answer.text.p);
	else if (code == CTL_OK)
		show(answer.result);
	base_buf_free(&answer.text);
	return code;
}
