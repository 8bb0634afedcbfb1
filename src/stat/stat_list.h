/*
 * stat_list: THE table of counters and gauges.
 *
 * Each process has a page of them in the shared segment (ring_seg_stats), which
 * it alone writes; readers add the pages up.  Prometheus text, chatd(8)'s table
 * and the struct follow from here.
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
  "Times that accept failed, as for want of descriptors.")

#endif
