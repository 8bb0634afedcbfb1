/*
 * conf_opts: THE option table.
 *
 * Every option of chat.conf stands here once.  The struct fields (conf_set.h),
 * parsing and range checks (conf_parse), the effective configuration (conf_dump),
 * what a reload may change (conf_diff), and the lint of chat.conf(5) and of
 * etc/chat.conf all follow from it.
 *
 * X(TYPE, name, default, min, max, CHANGE, "text")
 *
 * TYPE     field type                        in the file
 * INT      int64_t                           12
 * COUNT    int64_t                           12, or the word auto (stored as 0)
 * SIZE     uint64_t, bytes                   65536, "64k", "8m", "1g"
 * TIME     int64_t, milliseconds             "500ms", "25s", "5m", "24h", "7d"
 * BOOL     bool                              true, false, on, off, yes, no
 * STR      char *, never NULL                "text"
 * SECRET   the same; never shown             "text"
 * FILE     struct conf_file                  "path"; the content is read with the file
 * LIST     struct conf_list                  {"a", "b"} or "a"
 * MODE     enum conf_mode                    off, on, "optional"
 * ACK      enum conf_ack                     "auto", "memory", "spool"
 * WHO      enum conf_who                     "nobody", "subscriber", ...
 * LEVEL    enum base_log_level               "error", "warn", "info", "debug"
 * SERVE    unsigned, bits of CONF_SERVE_*    {"client", "metrics"}
 *
 * The default is the text that would stand in the file.  min and max are for
 * INT, COUNT, SIZE and TIME, and for the length of STR; 0 and 0: no bound.
 *
 * CHANGE: what applies a changed value at SIGHUP.
 * LIVE     at once, to connections that exist too
 * NEWCONN  to connections made from then on
 * STORE    at once, by a new start of the archiver, which no client notices
 * DAEMON   only a restart of the daemon; until then the old value holds and the
 *          log says so
 */
#ifndef CONF_OPTS_H
#define CONF_OPTS_H

#define CONF_OPTS_MAIN(X) \
X(COUNT, workers, "auto", 1, 62, DAEMON, \
  "Worker processes; auto is one for each processor that chatd may run on.") \
X(STR, user, "", 0, 0, DAEMON, \
  "User that the workers run as when chatd is started by root. Empty: the " \
  "user that started it.") \
X(STR, state_dir, STATEDIR, 1, 0, DAEMON, \
  "Directory for what must survive a restart.") \
X(STR, run_dir, RUNSTATEDIR, 1, 0, DAEMON, \
  "Directory for the pid file and the control socket.") \
X(STR, log_target, "stderr", 1, 0, LIVE, \
  "Where the log goes: stderr, syslog, or the path of a file.") \
X(LEVEL, log_level, "info", 0, 0, LIVE, \
  "Least severe level that is logged: error, warn, info or debug.") \
X(LIST, allowed_origins, "{}", 0, 0, LIVE, \
  "Values of the Origin header that browsers may connect from, with * as in " \
  "https://*.example.com. A client without that header is not a browser and " \
  "is let in; with an empty list every browser is refused.") \
X(BOOL, allow_anonymous, "false", 0, 0, LIVE, \
  "Clients may connect without a token, as the user with the empty name.") \
X(SECRET, token_hmac_secret, "", 0, 0, LIVE, \
  "Secret of HS256 connection tokens. Empty: such tokens are invalid.") \
X(FILE, token_public_key, "", 0, 0, LIVE, \
  "PEM file with the RSA or P-256 public key of RS256 or ES256 connection " \
  "tokens.") \
X(BOOL, demo, "off", 0, 0, LIVE, \
  "Serve a small chat page at / on client listeners.") \
X(INT, max_connections, "100000", 1, 100000000, LIVE, \
  "Connections of all workers together; one more is answered with HTTP 503.") \
X(SIZE, max_frame_size, "64k", 125, 16777216, LIVE, \
  "Largest WebSocket frame that a client may send.") \
X(SIZE, max_message_size, "64k", 125, 16777216, LIVE, \
  "Largest WebSocket message that a client may send, after inflation.") \
X(SIZE, max_request_size, "8k", 1024, 65536, LIVE, \
  "Largest head of an HTTP request.") \
X(INT, max_subscriptions, "128", 1, 1000000, LIVE, \
  "Channels that one client may be subscribed to.") \
X(INT, max_channel_length, "255", 1, 1024, LIVE, \
  "Longest channel name, in bytes.") \
X(INT, publish_rate, "0", 0, 1000000, LIVE, \
  "Publications a second that one client may send on average; 0 is no limit.") \
X(INT, publish_burst, "0", 0, 1000000, LIVE, \
  "Publications that one client may send at once within publish_rate; 0 is as " \
  "many as publish_rate.") \
X(SIZE, output_buffer, "1m", 4096, 1073741824, LIVE, \
  "Bytes that may wait for one slow client before it is cut off with code " \
  "3008.") \
X(SIZE, output_total, "256m", 65536, 0, LIVE, \
  "Bytes that may wait for all clients together.") \
X(SIZE, input_total, "256m", 65536, 0, LIVE, \
  "Bytes of unfinished requests and messages of all clients together.") \
X(TIME, handshake_timeout, "10s", 100, 600000, LIVE, \
  "Time from accepting a connection to the end of its TLS and WebSocket " \
  "handshake, and for the rest of a frame that has begun.") \
X(TIME, stale_timeout, "10s", 100, 600000, LIVE, \
  "Time from the WebSocket handshake to the connect command.") \
X(TIME, close_timeout, "5s", 100, 600000, LIVE, \
  "Time that a client has to answer a close frame.") \
X(TIME, ping_interval, "25s", 1000, 3600000, NEWCONN, \
  "Time between two pings to a client; whole seconds.") \
X(TIME, pong_timeout, "8s", 100, 3600000, NEWCONN, \
  "Time that a client has to answer a ping; less than ping_interval.") \
X(TIME, expired_close_delay, "25s", 0, 3600000, LIVE, \
  "Time between the expiry of a connection's token and its end with code " \
  "3005.") \
X(TIME, drain_time, "5s", 0, 3600000, LIVE, \
  "Time over which SIGTERM spreads the closing of the clients.") \
X(BOOL, compression, "off", 0, 0, NEWCONN, \
  "Accept permessage-deflate from clients that offer it.") \
X(INT, compression_level, "1", 1, 9, LIVE, \
  "Level of zlib.") \
X(SIZE, compression_min_size, "128", 0, 16777216, LIVE, \
  "Shorter messages are sent as they are.") \
X(SIZE, ring_size, "8m", 65536, 1073741824, DAEMON, \
  "Bytes of shared memory for the messages of each worker; a power of two, at " \
  "least 16 times max_message_size.") \
X(SIZE, queue_size, "2m", 65536, 1073741824, DAEMON, \
  "Bytes of shared memory for the requests of each worker to the broker, and " \
  "as many for the answers; a power of two, at least 16 times " \
  "max_message_size.") \
X(INT, interest_buckets, "65536", 64, 16777216, DAEMON, \
  "Hash buckets of the table that says which worker has subscribers of which " \
  "channel; a power of two, 8 bytes each.") \
X(STR, control_mode, "0600", 3, 4, DAEMON, \
  "Permissions of the control socket, in octal.") \
X(STR, control_group, "", 0, 0, DAEMON, \
  "Group of the control socket, whose members may use it if control_mode lets " \
  "them.") \
X(STR, store, "sqlite", 1, 32, STORE, \
  "Database that archived messages are written to: sqlite, postgres, none, or " \
  "another plugin's name without store_.") \
X(INT, store_batch, "4000", 1, 100000, LIVE, \
  "Messages that are written to the database at once.") \
X(TIME, store_batch_time, "50ms", 0, 60000, LIVE, \
  "Time that a message waits for others to be written with.") \
X(INT, store_rate, "0", 0, 10000000, LIVE, \
  "Messages a second that are written to the database; 0 is no limit.") \
X(TIME, store_timeout, "30s", 100, 3600000, LIVE, \
  "Time that the database has to take a batch.") \
X(TIME, store_retry_max, "30s", 100, 3600000, LIVE, \
  "Longest pause between two attempts while the database is down.") \
X(TIME, read_timeout, "2s", 100, 60000, LIVE, \
  "Time that the database has to answer a client that reads old messages.") \
X(INT, read_max, "16", 1, 1024, LIVE, \
  "Such reads that may be under way; one more is answered with error 111.") \
X(SIZE, spool_size, "4g", 1048576, 0, LIVE, \
  "Bytes of messages on disk that wait for the database. When they are used " \
  "up, publications of archived namespaces get a temporary error.") \
X(SIZE, history_total, "4g", 1048576, 0, LIVE, \
  "Bytes of history on disk of all channels together. When they are used up, " \
  "publications that need more get a temporary error.") \
X(INT, history_limit, "300", 1, 10000, LIVE, \
  "Publications in one answer to history, and that are recovered at once.") \
X(SIZE, history_reply, "512k", 65536, 16777216, LIVE, \
  "Bytes of publications in such an answer; at least max_message_size.") \
X(SIZE, tail_total, "64m", 0, 0, LIVE, \
  "Memory of all workers for the newest publications of channels that are " \
  "followed, from which clients that come back recover.") \
X(TIME, tail_linger, "1m", 0, 3600000, LIVE, \
  "Time that they are kept after the last subscriber of a channel went.") \
X(SIZE, presence_total, "256m", 65536, 0, LIVE, \
  "Memory for who is present in which channel. When it is used up, clients " \
  "that come are not recorded.") \
X(TIME, idempotency_ttl, "5m", 1000, 86400000, LIVE, \
  "Time in which a publication with the same idempotency key is not done " \
  "again.") \
X(TIME, broker_timeout, "4s", 100, 60000, LIVE, \
  "Time after which a command that the broker has not answered gets a " \
  "temporary error.")

#define CONF_OPTS_LISTEN(X) \
X(STR, address, "", 1, 0, DAEMON, \
  "IP address and port, as in 0.0.0.0:8000 or [::1]:8000.") \
X(SERVE, serve, "client", 0, 0, DAEMON, \
  "What is served there: client (WebSocket, and the demo page), metrics " \
  "(/health and /metrics).") \
X(INT, backlog, "4096", 1, 65535, DAEMON, \
  "Connections that may wait to be accepted.") \
X(FILE, tls_certificate, "", 0, 0, LIVE, \
  "PEM file with the certificate and its chain; the listener then speaks TLS.") \
X(FILE, tls_key, "", 0, 0, LIVE, \
  "PEM file with the private key of tls_certificate.")

#define CONF_OPTS_NAMESPACE(X) \
X(WHO, subscribe, "nobody", 0, 0, LIVE, \
  "Who may subscribe: nobody, authenticated (clients with a user name) or " \
  "anyone.") \
X(WHO, publish, "nobody", 0, 0, LIVE, \
  "Who may publish: nobody, subscriber (of that channel), " \
  "authenticated_subscriber, authenticated or anyone.") \
X(BOOL, user_limited_channels, "off", 0, 0, LIVE, \
  "In a channel name the part after the last # lists the only users who may " \
  "subscribe, as in dialog#42,43.") \
X(INT, history_size, "0", 0, 1000000, LIVE, \
  "Publications that are kept of each channel; 0 is no history.") \
X(TIME, history_ttl, "24h", 1000, 0, LIVE, \
  "Time after the last publication in a channel at which its history is " \
  "dropped.") \
X(TIME, history_meta_ttl, "30d", 1000, 0, LIVE, \
  "Time after the last use of a channel at which its offsets begin anew, with " \
  "another epoch.") \
X(WHO, history_for, "nobody", 0, 0, LIVE, \
  "Who may read history: nobody, subscriber (of that channel), " \
  "authenticated_subscriber, authenticated or anyone.") \
X(MODE, position, "off", 0, 0, LIVE, \
  "Subscriptions know their place and notice a gap: off, on, or optional (when " \
  "the client asks).") \
X(MODE, recover, "off", 0, 0, LIVE, \
  "Subscriptions get what they missed when they come back: off, on, or " \
  "optional (when the client asks).") \
X(BOOL, cache_recovery, "off", 0, 0, LIVE, \
  "What they get is the newest publication alone.") \
X(BOOL, presence, "off", 0, 0, LIVE, \
  "Keep account of who is subscribed.") \
X(WHO, presence_for, "nobody", 0, 0, LIVE, \
  "Who may read presence: nobody, subscriber (of that channel), " \
  "authenticated_subscriber, authenticated or anyone.") \
X(MODE, join_leave, "off", 0, 0, LIVE, \
  "Subscribers are told who comes and goes: off, on, or optional (those who " \
  "ask and may read presence).") \
X(BOOL, archive, "off", 0, 0, LIVE, \
  "Write each publication to the database.") \
X(ACK, ack, "auto", 0, 0, LIVE, \
  "When a publication of a namespace with history or archive is acknowledged: " \
  "memory (it survives the death of any process), spool (it is on disk and " \
  "survives a loss of power too), or auto (spool when archived, else memory).")

#endif
