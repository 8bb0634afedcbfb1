/*
 * queue.pml: model of a queue lane: one producer, one consumer, nothing overwritten.
 * The steps are those of ring_queue_put, ring_queue_next and ring_queue_done, and of
 * the two ways to open an end (ring_queue.c).
 *
 * Bounds: a lane of CELLS units, records of one or two, a padding record where one
 * does not fit before the end; PUTS records; KILLS deaths, of either side at any
 * step, each followed by a successor.
 *
 * Memory: each store is seen at once.  A producer and a consumer of one lane only
 * ever pass words one way each, tail and done, which are stored last and loaded
 * first; what would go wrong if a store or a load could pass them is shown by
 * EARLY_TAIL and EARLY_DONE.
 *
 * Claims: the consumer sees each number once, in order, over all its lives, where
 * what it has committed counts; a record stays whole until it is done with; when
 * nothing moves any more, all that was sent is committed and given back.
 *
 * Broken variants, each of which must fail:
 *   NO_GATE      the producer does not look at done
 *   STALE_GATE   it takes padding for free
 *   EARLY_DONE   done is stored before the batch is committed
 *   EARLY_TAIL   tail is stored before the record is written
 *   FROM_DONE    the consumer's successor starts at done, not where it committed
 *   ONE_MARK     one mark instead of two
 *   SEQ_ONLY     the successor takes the larger number, whatever its end
 */
#ifndef PUTS
#define PUTS 3
#endif
#ifndef KILLS
#define KILLS 2
#endif
#define CELLS 4

byte cell[CELLS];   /* number of the record whose unit lies there; 0: padding */
byte length[CELLS]; /* of the record that begins there */
byte tail, done;
byte mark_end[2], mark_seq[2];
byte kills = KILLS;

/* The consumer's database. */
byte db_pos, db_seq;

#define STEP(x)                                                   \
	if                                                        \
	:: atomic { x }                                           \
	:: atomic { kills > 0 -> kills--; goto dead }             \
	fi

proctype producer()
{
	byte t, seq, seen, units, pad, m;

opened:
	t = tail;
	seen = done;
#ifdef SEQ_ONLY
	seq = (mark_seq[0] > mark_seq[1] -> mark_seq[0] : mark_seq[1]);
#else
	if
	:: mark_end[0] == t -> seq = mark_seq[0]
	:: mark_end[0] != t && mark_end[1] == t -> seq = mark_seq[1]
	:: else -> assert(false) /* nobody knows the number */
	fi;
#endif
	do
	:: seq == PUTS -> break
	:: seq < PUTS ->
		if
		:: units = 1
		:: units = 2
		fi;
		pad = (t % CELLS + units > CELLS -> CELLS - t % CELLS : 0);
#if defined(NO_GATE)
		skip;
#elif defined(STALE_GATE)
		STEP(t + units - done <= CELLS -> seen = done);
#else
		if
		:: t + pad + units - seen <= CELLS
		:: else ->
			/* Refused until there is room. */
			STEP(t + pad + units - done <= CELLS -> seen = done)
		fi;
#endif
#ifdef EARLY_TAIL
		STEP(tail = t + pad + units);
#endif
		if
		:: pad > 0 ->
			STEP(cell[t % CELLS] = 0; length[t % CELLS] = pad)
		:: else
		fi;
		t = t + pad;
		pad = 0;
		STEP(cell[t % CELLS] = seq + 1; length[t % CELLS] = units);
		if
		:: units == 2 -> STEP(cell[(t + 1) % CELLS] = seq + 1)
		:: else
		fi;
		t = t + units;
		units = 0;
		seq++;
#ifndef ONE_MARK
		m = seq % 2;
#endif
		STEP(mark_end[m] = t);
		STEP(mark_seq[m] = seq);
		m = 0;
		STEP(tail = t)
	od;
	goto finished;
dead:
	t = 0; seq = 0; seen = 0; units = 0; pad = 0; m = 0;
	goto opened;
finished:
	skip
}

#define WHOLE(p)                                                  \
	(length[(p) % CELLS] == 1 ||                              \
	    cell[((p) + 1) % CELLS] == cell[(p) % CELLS])

proctype consumer()
{
	byte c, t, seq, last, first;

opened:
#ifdef FROM_DONE
	c = done;
#else
	c = db_pos;
#endif
	seq = db_seq;
	t = c;
	last = 0;
more:
	/* One record, or padding; the batch goes on or ends. */
	if
	:: c == t -> STEP(t = tail)
	:: else
	fi;
	if
	:: c == t -> goto batch
	:: c != t && cell[c % CELLS] == 0 ->
		STEP(c = c + length[c % CELLS])
		goto more
	:: else
	fi;
	STEP(assert(cell[c % CELLS] == seq + 1 && WHOLE(c));
	    seq++; last = c + 1; c = c + length[c % CELLS]; assert(c <= t));
	if
	:: goto more
	:: goto batch
	fi;
batch:
	if
	:: c == db_pos ->
		/* Nothing new; or the death came before done was stored. */
		if
		:: done != c -> STEP(done = c); goto more
		:: done == c ->
			/* Sleeps until there is something. */
end:
			atomic { tail != c -> t = tail };
			goto more
		fi
	:: else
	fi;
#ifdef EARLY_DONE
	STEP(done = c);
#endif
	/* The batch is used in place up to here. */
	STEP(assert(last == 0 || cell[(last - 1) % CELLS] == seq && WHOLE(last - 1));
	    db_pos = c; db_seq = seq);
	last = 0;
	STEP(done = c);
	goto more;
dead:
	c = 0; t = 0; seq = 0; last = 0;
	goto opened
}

/* Runs when nothing else can. */
proctype watch()
{
	timeout -> assert(db_pos == tail && done == tail && db_seq == PUTS)
}

init {
	atomic {
		run producer();
		run consumer();
		run watch()
	}
}
