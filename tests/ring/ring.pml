/*
 * ring.pml: model of one lane: its owner, who may be killed between any two
 * steps, the successors that repair the lane, and a reader.  The steps are those
 * of ring_lane_put, ring_lane_open (ring_lane.c), ring_read_next, ring_read_copy
 * and sync_to_tail (ring_read.c), one shared word a step.
 *
 * Bounds: a lane of 4 units (a unit stands for 64 bytes), records of 1 or 2 units,
 * so padding of 1; PUTS records begun, KILLS deaths, in the repair as well; one
 * reader (readers do not touch shared words, so one stands for all).  Positions run
 * to 3 * PUTS, which is three times round the lane at 4.  spin.sh runs PUTS=4
 * KILLS=2 and PUTS=5 KILLS=1; with "long" PUTS=5 KILLS=2.
 *
 * A header is three words: position, shape, number; a body two words.  Each write
 * begun has an id of its own, which stands in the number word and in the body, so
 * that any mixture of two records shows.
 *
 * Memory: interleaving.  Each word has one writer at a time and the writer reads no
 * word of others, so what fences have to give is that stores are seen, and loads
 * done, in program order; LATE_INTENT leaves that out at the place that matters.
 *
 * Claims: a record delivered is whole, published, and the next one in order; a
 * header that passes the lap check is one that a writer wrote (nothing is ever
 * "damaged"); after a lap, and whenever the lane is empty, the number of records
 * passed and lost is exactly the number published.
 *
 * Broken variants, each of which must fail:
 *   NO_PAD        the successor goes on at tail and lowers intent
 *   NO_RECHECK    no look at intent after the copy
 *   NO_CHECK      the header is believed before a look at intent
 *   LATE_INTENT   the first words are seen before intent is
 *   SEQ_ONLY      numbers after a death or a lap from seq alone, without base
 */
#ifndef PUTS
#define PUTS 4
#endif
#ifndef KILLS
#define KILLS 2
#endif

#define N    4
#define DATA 1
#define PAD  2

#define AT(p) ((p) % N)

/* The lane page. */
byte intent, tail, seq, base;
/* The lane's words by unit.  A body unit uses two of the three. */
byte w_pos[N] = 255, w_shape[N] = 255, w_num[N] = 255;

#define SHAPE(type, size) ((type) * 8 + (size))
#define NUM(s, id)       ((s) * 16 + (id))

/* What really happened; no process decides by these. */
byte published;
byte published_id[PUTS + 1];
bool writer_done;

/* A step of the owner: it is done, or the owner dies before it. */
#define STEP(x)                                                        \
	if                                                             \
	:: atomic { true -> x }                                        \
	:: atomic { kills > 0 -> kills--; goto dead }                  \
	fi

active proctype owner()
{
	byte my_tail, my_seq, pos, size, pad, end, id, kills = KILLS;

opened:
	do
	:: id == PUTS -> break
	:: id < PUTS ->
		id++;
		if
		:: size = 1
		:: size = 2
		fi;
		pos = my_tail;
		pad = ((N - AT(pos) >= size) -> 0 : N - AT(pos));
		end = pos + pad + size;
		STEP(base = my_seq);
#ifdef LATE_INTENT
		STEP(w_pos[AT(pos)] = pos);
#endif
		STEP(intent = end);
		if
		:: pad > 0 ->
			STEP(w_pos[AT(pos)] = pos);
			STEP(w_shape[AT(pos)] = SHAPE(PAD, pad));
			pos = pos + pad
		:: else
		fi;
		STEP(w_pos[AT(pos)] = pos);
		STEP(w_shape[AT(pos)] = SHAPE(DATA, size));
		STEP(w_num[AT(pos)] = NUM(my_seq + 1, id));
		if
		:: size == 2 ->
			STEP(w_pos[AT(pos + 1)] = id);
			STEP(w_shape[AT(pos + 1)] = id)
		:: else
		fi;
		my_seq++;
		STEP(seq = my_seq);
		STEP(tail = end; published = my_seq; published_id[my_seq] = id);
		my_tail = end;
		atomic { pos = 0; size = 0; pad = 0; end = 0 }
	od;
	writer_done = true;
	goto finished;

dead:
	/* Reaped; the successor knows what is in the segment and nothing else. */
	atomic { pad = 0; size = 0; end = intent; pos = tail }
	if
	:: pos == end ->
		my_seq = seq
	:: else ->
#ifdef SEQ_ONLY
		my_seq = seq;
#else
		my_seq = base;
#endif
#ifdef NO_PAD
		end = tail;
#else
		do
		:: pos == end -> break
		:: else ->
			size = end - pos;
			if
			:: size > N - AT(pos) -> size = N - AT(pos)
			:: else
			fi;
			STEP(w_pos[AT(pos)] = pos);
			STEP(w_shape[AT(pos)] = SHAPE(PAD, size));
			pos = pos + size
		od;
#endif
		STEP(seq = my_seq);
		STEP(tail = end)
	fi;
	my_tail = end;
	atomic { pos = 0; size = 0; end = 0 }
	goto opened;

finished:
	skip
}

active proctype reader()
{
	byte c, c_seq, t, i, r_pos, r_shape, r_num, b0, b1, size;
	bool done;

next:
	atomic {
		r_pos = 0; r_shape = 0; r_num = 0; b0 = 0; b1 = 0; i = 0; size = 0;
		done = writer_done;
		t = tail;
		if
		:: c == t ->
			/* Passed and lost are what was published. */
			assert(c_seq == published)
		:: else
		fi
	}
	if
	:: c == t && done -> goto finished
	:: c == t && !done -> (tail != c || writer_done); goto next
	:: else
	fi;
header:
	r_pos = w_pos[AT(c)];
	r_shape = w_shape[AT(c)];
	r_num = w_num[AT(c)];
#ifndef NO_CHECK
	i = intent;
	if
	:: i - c > N -> goto lapped
	:: else
	fi;
#endif
	/* Believed from here on. */
	size = r_shape % 8;
	assert(r_pos == c);
	assert(size > 0 && c + size <= t && AT(c) + size <= N);
	if
	:: r_shape / 8 == PAD ->
		c = c + size;
		goto more
	:: else
	fi;
	assert(r_shape / 8 == DATA);
	assert(r_num / 16 == c_seq + 1);
	if
	:: true -> goto take /* not for us: the body is not touched */
	:: true
	fi;
	if
	:: size == 2 ->
		b0 = w_pos[AT(c + 1)];
		b1 = w_shape[AT(c + 1)]
	:: else
	fi;
#ifndef NO_RECHECK
	i = intent;
	if
	:: i - c > N -> goto lapped
	:: else
	fi;
#endif
	assert(size != 2 || (b0 == r_num % 16 && b1 == r_num % 16));
	assert(published_id[r_num / 16] == r_num % 16);
take:
	c = c + size;
	c_seq++;
more:
	atomic { r_pos = 0; r_shape = 0; r_num = 0; b0 = 0; b1 = 0; i = 0; size = 0 }
	if
	:: c == t -> goto next
	:: else -> goto header
	fi;

lapped:
	atomic { r_pos = 0; r_shape = 0; r_num = 0; size = 0 }
	t = tail;
	b0 = seq;
	i = intent;
	b1 = base;
	atomic {
		if
		:: tail == t ->
#ifdef SEQ_ONLY
			c_seq = b0;
#else
			c_seq = (i == t -> b0 : b1);
#endif
			c = t;
			assert(c_seq == published);
			goto next
		:: else -> goto lapped
		fi
	}

finished:
	skip
}
