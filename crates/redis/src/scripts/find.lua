-- ARGV: id. A script and not HGET: a server that has become a replica refuses to run it, and so gives no stale answer.
return redis.call('HGET', key, ARGV[1])
