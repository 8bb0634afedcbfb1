/*
 * wake.pml: model of going to sleep and being woken.  The steps are those of
 * ring_wake_arm, ring_wake_disarm, ring_wake_mask and of the wake-up by a successor
 * in ring_lane_open (ring_wake.c, ring_lane.c).
 *
 * Bounds: one sleeper, WAKERS writers with PUTS records each; KILLS deaths of
 * writers, at any step, each followed by a successor; SLEEPER_KILLS deaths of the
 * sleeper, whose successor starts at the tails of then.
 *
 * Memory: total store order, as x86 has it, and what the fences are there for: a
 * store goes to a queue of its process and is seen by others some time later; a
 * process sees its own; a fence, and an atomic exchange, wait until the queue is
 * empty.  What a dead process has stored is still seen before it is reaped.
 *
 * Claim: when nothing moves any more, the sleeper has seen every record.  The timer
 * that wakes a sleeper once a second is left out: nothing may need it.
 *
 * Broken variants, each of which must fail:
 *   NO_FENCE_ARM    no fence between raising the flag and the last look
 *   NO_FENCE_WAKE   no fence between tail and the look at the flag
 *   NO_LOOK         no last look at the tails
 *   WAKE_ARMED      the successor wakes only if the flag is up
 */
#ifndef WAKERS
#define WAKERS 2
#endif
#ifndef PUTS
#define PUTS 2
#endif
#ifndef KILLS
#define KILLS 2
#endif
#ifndef SLEEPER_KILLS
#define SLEEPER_KILLS 1
#endif

#define SLEEPER WAKERS /* its number among the queues */
#define ROOM    3      /* of a queue */

byte tail[WAKERS];
bit armed;
bit eventfd; /* readable */
byte kills = KILLS;

/* Queues.  A waker stores its own tail only, the sleeper the flag only. */
chan queue[WAKERS + 1] = [ROOM] of { byte };
/* The last value that each process stored: what it sees itself. */
byte seen[WAKERS];

#define FENCE(me) empty(queue[me])

#define STEP(x)                                                   \
	if                                                        \
	:: atomic { x }                                           \
	:: atomic { kills > 0 -> kills--; goto dead }             \
	fi

proctype memory()
{
	byte v;

end:
	do
	:: atomic { queue[0] ? v -> tail[0] = v; v = 0 }
#if WAKERS > 1
	:: atomic { queue[1] ? v -> tail[1] = v; v = 0 }
#endif
	:: atomic { queue[SLEEPER] ? v -> armed = v; v = 0 }
	od
}

proctype waker(byte me)
{
	byte n;
	bit up;

opened:
	do
	:: n == PUTS -> break
	:: n < PUTS ->
		n++; /* begun: a successor does not do it again */
		STEP(nfull(queue[me]) -> queue[me] ! n);
#ifndef NO_FENCE_WAKE
		STEP(FENCE(me) -> skip);
#endif
		STEP(up = armed);
		if
		:: up ->
			/* The exchange. */
			STEP(FENCE(me) -> up = armed; armed = 0);
			if
			:: up -> STEP(eventfd = 1)
			:: else
			fi
		:: else
		fi;
		up = 0
	od;
	goto finished;

dead:
	up = 0;
	FENCE(me); /* reaped */
#ifdef WAKE_ARMED
	STEP(up = armed);
	if
	:: up ->
		STEP(armed = 0);
		STEP(eventfd = 1)
	:: else
	fi;
	up = 0;
#else
	STEP(eventfd = 1);
#endif
	goto opened;

finished:
	skip
}

#define NOTHING_NEW (tail[0] == seen[0] && tail[WAKERS - 1] == seen[WAKERS - 1])

#define MAY_DIE                                                   \
	if                                                        \
	:: true                                                   \
	:: atomic { deaths < SLEEPER_KILLS -> deaths++; goto born } \
	fi

proctype sleeper()
{
	byte deaths;
	bit more;

	goto drain;
born:
	FENCE(SLEEPER);
	more = 0;
drain:
	/* Takes all there is; cursors after a death start at the tails as well. */
	seen[0] = tail[0];
#if WAKERS > 1
	seen[1] = tail[1];
#endif
	MAY_DIE;
	nfull(queue[SLEEPER]) -> queue[SLEEPER] ! 1;
	MAY_DIE;
#ifndef NO_FENCE_ARM
	FENCE(SLEEPER);
#endif
#ifndef NO_LOOK
	more = (tail[0] != seen[0]);
#if WAKERS > 1
	more = more || (tail[1] != seen[1]);
#endif
	MAY_DIE;
	if
	:: more ->
		nfull(queue[SLEEPER]) -> queue[SLEEPER] ! 0;
		more = 0;
		goto drain
	:: else
	fi;
#endif
end:
	eventfd == 1;
	MAY_DIE;
	eventfd = 0;
	MAY_DIE;
	/* The exchange. */
	atomic { FENCE(SLEEPER) -> armed = 0 }
	goto drain
}

/* Runs when nothing else can. */
proctype watch()
{
	timeout -> assert(NOTHING_NEW)
}

init {
	atomic {
		run memory();
		run waker(0);
#if WAKERS > 1
		run waker(1);
#endif
		run sleeper();
		run watch()
	}
}
