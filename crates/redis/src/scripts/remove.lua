-- ARGV: id, the channel (or ''). Gives 1 if it was there.
if redis.call('HEXISTS', key, ARGV[1]) == 0 then return 0 end
announce(ARGV[2])
return redis.call('HDEL', key, ARGV[1])
