-- ARGV: id. A script and not HGET, which a server that has become a replica would answer.
return stale() or redis.call('HGET', key, ARGV[1])
