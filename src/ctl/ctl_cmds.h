/*
 * ctl_cmds: THE tables of chatctl's commands and options, from which reading the
 * command line, the usage text and the lint of chatctl(1) follow.
 */
#ifndef CTL_CTL_CMDS_H
#define CTL_CTL_CMDS_H

/* Commands that an option is for. */
#define CTL_FOR_ALL      1u
#define CTL_FOR_HISTORY  2u
#define CTL_FOR_PRESENCE 4u
#define CTL_FOR_PUBLISH  8u

/*
 * X(function, "words", "arguments", least, most, CTL_FOR_*, "what it does")
 *
 * The longest words that fit are meant; least and most count the arguments.
 */
#define CTL_COMMANDS(X) \
X(status, "status", "", 0, 0, 0, \
  "How the daemon fares: whether clients are served, what waits for the " \
  "database, memory against its bounds, and figures of each worker.") \
X(channels, "channels", "[GLOB]", 0, 1, 0, \
  "Channels that have subscribers, and how many; only those that match GLOB.") \
X(history, "history", "CHANNEL", 1, 1, CTL_FOR_HISTORY, \
  "Publications of a channel, older ones from the database.") \
X(presence, "presence", "CHANNEL", 1, 1, CTL_FOR_PRESENCE, \
  "Clients that are present in a channel.") \
X(publish, "publish", "CHANNEL DATA", 2, 2, CTL_FOR_PUBLISH, \
  "Publishes DATA, which is JSON. Of a namespace with ack = spool it is on the " \
  "disk when the command returns.") \
X(spool, "spool", "", 0, 0, 0, \
  "What waits on the disk for the database, how old the oldest of it is, and " \
  "how fast it drains.") \
X(spool_dead, "spool dead", "", 0, 0, 0, \
  "Dead letters: messages that the database has refused for good, and why.") \
X(spool_retry, "spool retry", "[NUMBER]", 0, 1, 0, \
  "Puts a dead letter back into the spool; without NUMBER, all of them.") \
X(spool_drop, "spool drop", "NUMBER", 1, 1, 0, \
  "Forgets a dead letter, for ever; all stands for all of them.") \
X(store_init, "store init", "", 0, 0, 0, \
  "Makes the tables of the database that the configuration chooses, or brings " \
  "them up to date. The daemon need not run.") \
X(store_check, "store check", "", 0, 0, 0, \
  "Says whether that has to be done.")

/* X(member, letter or 0, "name", "argument" or NULL, CTL_FOR_*, "what it does") */
#define CTL_OPTIONS(X) \
X(conf, 'c', "config", "FILE", CTL_FOR_ALL, \
  "The configuration of the daemon, which says where its socket is.") \
X(socket, 0, "socket", "PATH", CTL_FOR_ALL, \
  "The socket itself; then the configuration is not read.") \
X(json, 0, "json", NULL, CTL_FOR_ALL, \
  "The daemon's answer as it is, in JSON, for scripts.") \
X(plugin_dir, 0, "plugin-dir", "DIR", CTL_FOR_ALL, \
  "Where store init and store check load plugins from.") \
X(help, 'h', "help", NULL, CTL_FOR_ALL, \
  "Shows a summary and exits.") \
X(version, 'V', "version", NULL, CTL_FOR_ALL, \
  "Shows the version and exits.") \
X(limit, 0, "limit", "NUMBER", CTL_FOR_HISTORY, \
  "At most so many publications; without it as many as history_limit allows.") \
X(since, 0, "since", "OFFSET[:EPOCH]", CTL_FOR_HISTORY, \
  "Those after OFFSET, with reverse those before it.") \
X(reverse, 0, "reverse", NULL, CTL_FOR_HISTORY, \
  "The newest first.") \
X(stats, 0, "stats", NULL, CTL_FOR_PRESENCE, \
  "Only how many clients and users there are.") \
X(key, 0, "key", "KEY", CTL_FOR_PUBLISH, \
  "An idempotency key: published again with the same key within " \
  "idempotency_ttl, nothing happens.")

#endif
