/*
 * stat_list: THE table of counters and gauges.
 *
 * Each process has a page of them in the shared segment (ring_seg_stats), which
 * it alone writes; readers add the pages up.  Prometheus text and the structs
 * follow from here.  Each role has its own list.
 *
 * X(KIND, name, "help")
 * COUNTER only grows; GAUGE goes up and down.
 */
#ifndef STAT_LIST_H
#define STAT_LIST_H

#define STAT_LIST(X) \
X(GAUGE, connections, "Connections that are open, whatever they speak.") \
X(GAUGE, clients, "Clients that are connected by the client protocol.") \
X(GAUGE, subscriptions, "Subscriptions of these clients.") \
X(GAUGE, channels, "Channels with subscribers, counted in each worker.") \
X(COUNTER, accepted, "Connections that were accepted.") \
X(COUNTER, refused, \
  "Connections that were refused because of max_connections.") \
X(COUNTER, commands, "Commands of clients.") \
X(COUNTER, errors, "Commands that were answered with an error.") \
X(COUNTER, disconnects, "Clients that the server disconnected.") \
X(COUNTER, slow, \
  "Clients that were cut off because too much waited for them.") \
X(COUNTER, stale, \
  "Connections that were cut off because they did not finish a handshake " \
  "or a frame in time.") \
X(COUNTER, published, "Publications that were accepted.") \
X(COUNTER, delivered, \
  "Frames of publications that were given to clients' sockets or queues.") \
X(COUNTER, sends, "System calls that wrote to clients.") \
X(COUNTER, bytes_in, "Bytes from clients.") \
X(COUNTER, bytes_out, "Bytes to clients.") \
X(GAUGE, output_bytes, "Memory that holds output for slow clients.") \
X(GAUGE, output_limit_bytes, "Bound of output_bytes.") \
X(GAUGE, input_bytes, "Memory that holds unfinished requests and messages.") \
X(GAUGE, input_limit_bytes, "Bound of input_bytes.") \
X(GAUGE, deflate_bytes, "Memory of the compression streams.") \
X(GAUGE, connections_limit, "Bound of connections.") \
X(COUNTER, ring_records, "Records that were read from the ring.") \
X(COUNTER, ring_lost, \
  "Records that were overwritten before they could be read.") \
X(COUNTER, ring_damaged, \
  "Records that contradicted themselves; 0 in a healthy life.") \
X(COUNTER, ring_wakes, "Other processes that were woken.") \
X(COUNTER, ring_missed, \
  "Times that a look once a second found something without having been " \
  "woken; 0 in a healthy life.") \
X(COUNTER, accept_errors, \
  "Times that accept failed, as for want of descriptors.") \
X(COUNTER, asked, "Questions and requests to the broker.") \
X(COUNTER, ask_refused, \
  "Commands that were refused because the queue to the broker was full.") \
X(COUNTER, ask_timeouts, \
  "Commands that the broker did not answer within broker_timeout.") \
X(COUNTER, recovered, "Subscriptions that recovered what they had missed.") \
X(COUNTER, unrecovered, \
  "Subscriptions that could not recover all that they had missed.") \
X(COUNTER, recovered_here, \
  "Those of both kinds that were answered without asking the broker.") \
X(COUNTER, healed, \
  "Times that a gap in a channel was filled from history.") \
X(COUNTER, insufficient, \
  "Subscriptions that were ended because of a gap that could not be filled.") \
X(GAUGE, tail_bytes, "Memory of the newest publications of followed channels.") \
X(GAUGE, tail_limit_bytes, "Bound of tail_bytes.") \
X(GAUGE, streams_followed, "Channels whose order is followed.") \
X(GAUGE, beat_ms, \
  "When the process last looked around, which it does once a second, " \
  "milliseconds since 1970.")

/* The broker's page. */
#define STAT_BROKER(X) \
X(COUNTER, broker_requests, "Messages from workers and the archiver.") \
X(COUNTER, broker_batches, "Batches of them that were committed.") \
X(COUNTER, broker_published, "Publications that got a place and were committed.") \
X(COUNTER, broker_repeated, \
  "Publications whose idempotency key had been used before.") \
X(COUNTER, broker_refused, \
  "Publications that got a temporary error: no room, or the disk failed.") \
X(COUNTER, broker_replayed, \
  "Requests that were answered again after a crash of the broker.") \
X(COUNTER, broker_commit_errors, "Commits that failed.") \
X(COUNTER, broker_commit_ns, "Time spent in commits, nanoseconds.") \
X(GAUGE, broker_backlog_bytes, "Memory of answers that wait for room in a queue.") \
X(GAUGE, broker_backlog_limit_bytes, "Bound of broker_backlog_bytes.") \
X(GAUGE, presence_entries, "Clients present in channels.") \
X(GAUGE, presence_bytes, "Memory of these.") \
X(GAUGE, presence_limit_bytes, "Bound of presence_bytes.") \
X(COUNTER, presence_dropped, \
  "Clients that were not recorded because the memory was used up.") \
X(GAUGE, spool_records, "Messages on disk that wait for the database.") \
X(GAUGE, spool_bytes, "Bytes of these.") \
X(GAUGE, spool_limit_bytes, "Bound of spool_bytes.") \
X(GAUGE, spool_oldest_ms, \
  "When the oldest of them was accepted, milliseconds since 1970; 0: none.") \
X(GAUGE, spool_state, "0: takes messages; 1: full; 2: the disk is full or fails.") \
X(GAUGE, dead_letters, "Messages that the database refused for good.") \
X(GAUGE, history_records, "Publications in history.") \
X(GAUGE, history_bytes, "Bytes of these.") \
X(GAUGE, history_limit_bytes, "Bound of history_bytes.") \
X(GAUGE, streams, "Channels that have a stream.") \
X(GAUGE, idempotency_keys, "Idempotency keys that are remembered.") \
X(GAUGE, journal_file_bytes, "Size of the files of history and spool.") \
X(COUNTER, journals_set_aside, \
  "Files of history or spool that could not be opened and were set aside.") \
X(COUNTER, reads_asked, "Reads of old messages that the database was asked.") \
X(COUNTER, reads_refused, "Reads refused because read_max were under way.") \
X(COUNTER, reads_failed, "Reads that the database did not answer.") \
X(GAUGE, broker_beat_ms, "As beat_ms, of the broker.")

/* The archiver's page. */
#define STAT_ARCHIVER(X) \
X(GAUGE, store_state, \
  "0: no store; 1: down; 2: connecting; 3: up; 4: waits for its schema.") \
X(COUNTER, archived, "Messages that the database has taken.") \
X(COUNTER, archive_batches, "Batches that it has taken.") \
X(COUNTER, archive_errors, "Batches that failed and were tried again.") \
X(COUNTER, archive_refused, "Messages that it refused for good.") \
X(GAUGE, archive_rate, "Messages a second, over the last ten seconds.") \
X(GAUGE, archive_lag_ms, "Age of the oldest message that is not in the database.") \
X(GAUGE, archive_pause_ms, "Pause before the next attempt while it is down.") \
X(GAUGE, archive_bytes, "Memory of batches that are under way.") \
X(GAUGE, archive_limit_bytes, "Bound of archive_bytes.") \
X(COUNTER, reads_answered, "Reads of old messages that were answered.") \
X(GAUGE, archiver_beat_ms, "As beat_ms, of the archiver.")

#endif
