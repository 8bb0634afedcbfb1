/*
 * out: see the header.
 *
 * Nothing is allocated for a delivery: replies of a turn lie behind each other in
 * one arena, pushes in the blocks of the fan; a client that gets something has one
 * entry in an array of the turn.  Only what a socket does not take is put into a
 * queue of the client's own, as references to blocks.
 */
#include "config.h"

#include "net/out.h"

#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

#include "base/base_assert.h"
#include "base/base_mem.h"

#define TURN_CHUNK 256 /* entries that are allocated together */
#define ARENA_FULL (256u << 10)
#define ARENA_KEEP (1u << 20)
#define IOV_MAX_OUT 64

/* What one connection gets this turn. */
struct turn {
	struct conn *conn;
	/* In the arena: what goes before and behind the batches. */
	struct part {
		uint32_t off, len;
	} early, late;
	bool is_late; /* what comes now goes behind */
	struct fan_batch *batch;       /* the first one */
	uint32_t more;                 /* index + 1 of the next in out->more; 0: none */
	uint32_t last;                 /* index + 1 of the last */
};

struct more {
	struct fan_batch *batch;
	uint32_t next; /* index + 1 */
};

struct out {
	struct base_buf arena;
	struct turn **chunks;
	size_t n_chunks, n_turns;
	struct more *more;
	uint32_t n_more, cap_more;
};

/* What a socket did not take. */
struct out_piece {
	struct fan_block *block;
	size_t off; /* bytes of the block that went out; all of it waits otherwise */
};

struct outq {
	size_t bytes;
	size_t pinned; /* at the front: given to SSL_write, must be repeated */
	uint32_t head, n, cap;
	struct out_piece pieces[];
};

struct out *
out_new(void)
{
	return base_zalloc(sizeof(struct out));
}

void
out_free(struct out *o)
{
	if (o == NULL)
		return;
	for (size_t i = 0; i < o->n_chunks; i++)
		free(o->chunks[i]);
	free(o->chunks);
	free(o->more);
	base_buf_free(&o->arena);
	free(o);
}

/* ---- gathering ---- */

static struct turn *
turn_of(struct conn *c)
{
	struct out *o = c->net->out;
	size_t i = o->n_turns;

	if (c->turn != NULL)
		return c->turn;
	if (i == o->n_chunks * TURN_CHUNK) {
		o->chunks =
		    base_realloc(o->chunks, o->n_chunks + 1, sizeof(*o->chunks));
		o->chunks[o->n_chunks++] =
		    base_malloc(TURN_CHUNK * sizeof(struct turn));
	}
	o->n_turns++;
	c->turn = &o->chunks[i / TURN_CHUNK][i % TURN_CHUNK];
	*c->turn = (struct turn){.conn = c};
	return c->turn;
}

/* Room for LEN bytes more right behind what C has in the arena. */
static char *
reply_room(struct conn *c, size_t len)
{
	struct base_buf *a = &c->net->out->arena;
	struct turn *t = turn_of(c);
	struct part *part = t->is_late ? &t->late : &t->early;

	/* Rarely: something else came between. */
	if (part->len > 0 && part->off + part->len != a->len) {
		base_buf_room(a, part->len + len);
		memcpy(a->p + a->len, a->p + part->off, part->len);
		part->off = (uint32_t)a->len;
		a->len += part->len;
	}
	if (part->len == 0)
		part->off = (uint32_t)a->len;
	return base_buf_room(a, len);
}

static void
reply_added(struct conn *c, size_t len)
{
	struct turn *t = c->turn;

	c->net->out->arena.len += len;
	if (t->is_late)
		t->late.len += (uint32_t)len;
	else
		t->early.len += (uint32_t)len;
}

void
out_late(struct conn *c)
{
	if (c->state != CONN_DEAD)
		turn_of(c)->is_late = true;
}

void
out_early(struct conn *c)
{
	struct base_buf *a = &c->net->out->arena;
	struct turn *t = c->turn;
	struct part late;

	if (t == NULL || !t->is_late)
		return;
	late = t->late;
	t->late.len = 0;
	t->is_late = false;
	if (late.len == 0)
		return;
	if (t->early.len == 0) {
		t->early = late;
		return;
	}
	base_buf_room(a, t->early.len + late.len);
	memcpy(reply_room(c, late.len), a->p + late.off, late.len);
	reply_added(c, late.len);
}

void
out_frame(struct conn *c, uint8_t first, const void *p, size_t len)
{
	char *room;
	size_t head;

	if (c->state == CONN_DEAD)
		return;
	room = reply_room(c, WS_HEAD_MAX + len);
	head = ws_frame_head((uint8_t *)room, first, len);
	if (len > 0)
		memcpy(room + head, p, len);
	reply_added(c, head + len);
}

void
out_bytes(struct conn *c, const void *p, size_t len)
{
	if (c->state == CONN_DEAD)
		return;
	memcpy(reply_room(c, len), p, len);
	reply_added(c, len);
}

bool
out_full(const struct out *o)
{
	return o->arena.len >= ARENA_FULL;
}

static void
attach(struct conn *c, struct fan_batch *batch)
{
	struct out *o = c->net->out;
	struct turn *t = turn_of(c);

	if (t->batch == NULL) {
		t->batch = batch;
		return;
	}
	if (o->n_more == o->cap_more) {
		o->cap_more = o->cap_more == 0 ? 256 : o->cap_more * 2;
		o->more = base_realloc(o->more, o->cap_more, sizeof(*o->more));
	}
	o->more[o->n_more++] = (struct more){batch, 0};
	if (t->more == 0)
		t->more = o->n_more;
	else
		o->more[t->last - 1].next = o->n_more;
	t->last = o->n_more;
}

/* ---- a client's own queue ---- */

size_t
out_waiting(const struct conn *c)
{
	return c->outq == NULL ? 0 : c->outq->bytes;
}

static size_t
queue_bytes(uint32_t cap)
{
	return sizeof(struct outq) + cap * sizeof(struct out_piece);
}

void
out_drop(struct conn *c)
{
	struct outq *q = c->outq;

	if (q == NULL)
		return;
	for (uint32_t i = 0; i < q->n; i++)
		fan_block_drop(c->net->fan, q->pieces[q->head + i].block);
	fan_kept_add(c->net->fan, 0, queue_bytes(q->cap));
	free(q);
	c->outq = NULL;
}

/* The queue of C with a free place at its end. */
static struct outq *
queue_room(struct conn *c)
{
	struct outq *q = c->outq;
	uint32_t cap;

	if (q != NULL && q->head + q->n < q->cap)
		return q;
	/* Not for a few free places: each move has to pay for as many more pieces. */
	if (q != NULL && q->head >= q->cap / 2) {
		memmove(q->pieces, q->pieces + q->head, q->n * sizeof(q->pieces[0]));
		q->head = 0;
		return q;
	}
	cap = q == NULL ? 4 : q->cap * 2;
	fan_kept_add(
	    c->net->fan, queue_bytes(cap), q == NULL ? 0 : queue_bytes(q->cap));
	q = base_realloc(q, queue_bytes(cap), 1);
	if (c->outq == NULL)
		*q = (struct outq){0};
	q->cap = cap;
	c->outq = q;
	return q;
}

/* Takes over a reference to BLOCK. */
static void
enqueue(struct conn *c, struct fan_block *block, size_t off)
{
	struct outq *q = queue_room(c);

	q->pieces[q->head + q->n++] = (struct out_piece){block, off};
	q->bytes += block->len - off;
}

/* Drops USED bytes from the front. */
static void
advance(struct conn *c, size_t used)
{
	struct outq *q = c->outq;

	q->bytes -= used;
	q->pinned = 0;
	while (used > 0) {
		struct out_piece *p = &q->pieces[q->head];
		size_t left = p->block->len - p->off;

		if (used < left) {
			p->off += used;
			break;
		}
		used -= left;
		fan_block_drop(c->net->fan, p->block);
		q->head++;
		q->n--;
	}
	if (q->n == 0)
		out_drop(c);
}

/* A write ended early: TLS will want to see the same bytes again. */
static void
pin(struct conn *c)
{
	if (c->ssl != NULL)
		c->outq->pinned = BASE_MIN(c->outq->bytes, CONN_TLS_WRITE);
}

/* Only frames begin with the bit that says that they are not fragments. */
static bool
is_http(const struct fan_block *block)
{
	return (block->data[0] & WS_FIN) == 0;
}

/* The end of the frame in BLOCK that the byte before UNTIL is in. */
static size_t
frame_end(const struct fan_block *block, size_t until)
{
	size_t end = 0;

	while (end < until)
		end += ws_frame_sent_len(block->data + end);
	return end;
}

/*
 * Keeps of the queue only what has begun to go out, to the end of its frame (and
 * what TLS has in hand), so that a close frame can follow where a frame may begin.
 * False: there is no such place.
 */
static bool
cut_queue(struct conn *c)
{
	struct outq *q = c->outq;
	struct fan *fan = c->net->fan;
	struct out_piece *p;
	struct fan_block *block;
	size_t pinned, off, end;
	uint32_t i;

	if (q == NULL)
		return true;
	for (i = 0; i < q->n; i++)
		if (is_http(q->pieces[q->head + i].block))
			return false; /* the handshake itself has not gone out */
	pinned = end = q->pinned;
	p = &q->pieces[q->head];
	for (i = 0; end > p->block->len - p->off; i++, p++)
		end -= p->block->len - p->off;
	off = p->off;
	end = frame_end(p->block, off + end);
	block = end > off ? fan_block_copy(fan, p->block->data, end) : NULL;
	while (q->n > i) {
		p = &q->pieces[q->head + --q->n];
		q->bytes -= p->block->len - p->off;
		fan_block_drop(fan, p->block);
	}
	if (block != NULL)
		enqueue(c, block, off);
	else if (q->n == 0)
		out_drop(c);
	if (c->outq != NULL)
		c->outq->pinned = pinned;
	return true;
}

/* Too much waits for C: once, and never waited for. */
static void
slow(struct conn *c)
{
	stat_add(c->net->stat, slow, 1);
	if (c->state != CONN_WS) {
		conn_kill(c);
		return;
	}
	stat_add(c->net->stat, disconnects, 1);
	if (cut_queue(c))
		conn_ws_close(c, PROTO_DISCONNECT_SLOW,
		    proto_disconnect_reason(PROTO_DISCONNECT_SLOW));
	else
		conn_kill(c);
}

static bool
over_limit(const struct conn *c)
{
	const struct net *net = c->net;

	return out_waiting(c) > net->conf->output_buffer ||
	    fan_kept_bytes(net->fan) > net_share(net, net->conf->output_total);
}

/* ---- writing ---- */

void
out_continue(struct conn *c)
{
	while (c->outq != NULL) {
		struct iovec iov[IOV_MAX_OUT];
		struct outq *q = c->outq;
		size_t total = 0;
		ssize_t r;
		int n = 0;

		for (; n < IOV_MAX_OUT && n < (int)q->n; n++) {
			struct out_piece *p = &q->pieces[q->head + (uint32_t)n];

			iov[n].iov_base = p->block->data + p->off;
			iov[n].iov_len = p->block->len - p->off;
			total += iov[n].iov_len;
		}
		r = conn_write(c, iov, n);
		if (r < 0) {
			conn_kill(c);
			return;
		}
		advance(c, (size_t)r);
		if ((size_t)r < total) {
			pin(c);
			conn_want_write(c, true);
			return;
		}
	}
	conn_want_write(c, false);
	if (c->state == CONN_FINISHING)
		conn_finished(c);
}

struct gather {
	struct iovec iov[IOV_MAX_OUT];
	struct fan_block *blocks[IOV_MAX_OUT]; /* NULL: the replies */
	int n;
	size_t total;
};

static struct fan_block *
form_of(struct conn *c, struct fan_batch *batch)
{
	struct net *net = c->net;

	return fan_block_for(net->fan, batch, c->deflate_bits, net->deflate,
	    net->conf->compression_min_size);
}

/* Puts what is left of G after SENT bytes into C's queue. */
static void
keep_rest(struct conn *c, struct gather *g, size_t sent)
{
	struct fan *fan = c->net->fan;

	for (int i = 0; i < g->n; i++) {
		size_t len = g->iov[i].iov_len;

		if (sent >= len) {
			sent -= len;
			continue;
		}
		enqueue(c,
		    g->blocks[i] != NULL ? fan_block_keep(fan, g->blocks[i])
					 : fan_block_copy(fan, g->iov[i].iov_base, len),
		    sent);
		sent = 0;
	}
}

static void
write_gathered(struct conn *c, struct gather *g)
{
	ssize_t r = 0;

	if (g->n == 0)
		return;
	if (c->outq == NULL) {
		r = conn_write(c, g->iov, g->n);
		if (r < 0) {
			conn_kill(c);
			return;
		}
	}
	if ((size_t)r < g->total) {
		bool fresh = c->outq == NULL;

		keep_rest(c, g, (size_t)r);
		if (fresh)
			pin(c);
		conn_want_write(c, true);
		/* Requests that come faster than their answers are taken, too. */
		if (c->state <= CONN_WS && over_limit(c))
			slow(c);
	}
	g->n = 0;
	g->total = 0;
}

static void
gather(struct conn *c, struct gather *g, struct fan_block *block, void *p, size_t len)
{
	uint8_t state = c->state;

	if (len == 0)
		return;
	if (g->n == IOV_MAX_OUT)
		write_gathered(c, g);
	if (c->state != state)
		return; /* it was cut off by that */
	g->iov[g->n] = (struct iovec){p, len};
	g->blocks[g->n++] = block;
	g->total += len;
}

static void
write_turn(struct net *net, struct turn *t)
{
	struct out *o = net->out;
	struct conn *c = t->conn;
	struct fan_batch *batch = t->batch;
	struct gather g;
	uint32_t more = t->more;
	uint64_t frames = 0;
	uint8_t state = c->state;

	c->turn = NULL;
	if (c->state == CONN_DEAD)
		return;
	g.n = 0;
	g.total = 0;
	gather(c, &g, NULL, o->arena.p + t->early.off, t->early.len);
	while (batch != NULL && c->state == CONN_WS) {
		struct fan_block *b = form_of(c, batch);

		gather(c, &g, b, b->data, b->len);
		frames += b->n_frames;
		batch = NULL;
		if (more != 0) {
			batch = o->more[more - 1].batch;
			more = o->more[more - 1].next;
		}
	}
	/* Unless it was cut off just now. */
	if (c->state == state)
		gather(c, &g, NULL, o->arena.p + t->late.off, t->late.len);
	if (c->state != CONN_DEAD)
		write_gathered(c, &g);
	stat_add(net->stat, delivered, frames);
	if (c->state == CONN_FINISHING && c->outq == NULL)
		conn_finished(c);
}

static void
attach_all(struct net *net)
{
	struct fan_batch *batches;
	uint32_t n = fan_batches(net->fan, &batches);

	for (uint32_t i = 0; i < n; i++) {
		struct hub_chan *chan = batches[i].chan;
		uint32_t need = batches[i].need, mask = need | batches[i].skip;

		if (batches[i].raw->len == 0)
			continue;
		for (uint32_t k = 0; k < chan->n_subs; k++) {
			if (k + 4 < chan->n_subs)
				__builtin_prefetch(BASE_CONTAINER(
				    chan->subs[k + 4].sess, struct conn, turn));
			if ((chan->subs[k].flags & mask) != need)
				continue;
			attach(BASE_CONTAINER(chan->subs[k].sess, struct conn, sess),
			    &batches[i]);
		}
	}
}

void
out_flush(struct net *net)
{
	struct out *o = net->out;

	base_assert(!net->flushing);
	net->flushing = true;
	attach_all(net);
	/*
	 * Writing can cut off a client, which then leaves its channels: nobody walks
	 * them any more.  Its close frame is a turn of its own behind the others.
	 */
	fan_detach(net->fan);
	for (size_t i = 0; i < o->n_turns; i++)
		write_turn(net, &o->chunks[i / TURN_CHUNK][i % TURN_CHUNK]);
	o->n_turns = 0;
	o->n_more = 0;
	o->arena.len = 0;
	if (o->arena.cap > ARENA_KEEP)
		base_buf_free(&o->arena);
	fan_done(net->fan);
	net->flushing = false;
}
