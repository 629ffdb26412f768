-- ARGV: id. Gives 1 if it was there.
return redis.call('HDEL', key, ARGV[1])
