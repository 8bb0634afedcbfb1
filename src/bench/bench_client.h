/*
 * bench_client: the client's side of the protocol (JSON), and the account of what
 * was published and delivered.
 *
 * Each message's data bears a stamp: its publisher, its number, and when it was
 * sent.  No tree is built of what comes in: a push of the form that the server
 * uses is compared with the text that is expected, and only one that differs is
 * searched for its parts.
 */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "bench/bench_conn.h"

/* Text of a push before the channel's name, and after it up to the data. */
#define BENCH_PUSH_HEAD "{\"push\":{\"channel\":\""
#define BENCH_PUSH_DATA "\",\"pub\":{\"data\":"

/* Fills OUT with the data of a message, SIZE bytes, with room for the stamp. */
void bench_client_payload(struct bench *b, struct base_buf *out, size_t size);

/* Name of a room's channel. */
struct base_slice bench_client_room(const struct bench *b, uint32_t room);

/* The upgrade is done: says who we are and subscribes; --raw: all is done. */
void bench_client_open(struct bench *b, struct bench_conn *c);

/* A message of the server: one or several lines; --raw: the data alone. */
void bench_client_message(
    struct bench *b, struct bench_conn *c, const char *p, size_t n, uint64_t now);

/* Publishes the next message, as of NOW; false if its connection is not up. */
bool bench_client_publish(struct bench *b, struct bench_pub *pub, uint64_t now);

/* A session that was up has ended: by a cut, or because we left. */
void bench_client_end(struct bench *b, struct bench_conn *c, bool cut);

/* The run is over: settles what every connection should have got. */
void bench_client_settle(struct bench *b);

#endif
