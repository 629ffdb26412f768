-- ARGV: id, last_used_at, expires_at (or ''). Gives 1 if it was written.
local id, used, expires_at = ARGV[1], tonumber(ARGV[2]), time(ARGV[3])
local before = redis.call('HMGET', session(id), 'last_used_at', 'expires_at')
if not is_active(id, used) then return 0 end
if before[1] and tonumber(before[1]) >= used then return 0 end

redis.call('HSET', session(id), 'last_used_at', ARGV[2])
if expires_at and before[2] and expires_at > tonumber(before[2]) then
  redis.call('HSET', session(id), 'expires_at', ARGV[3])
  redis.call('PEXPIREAT', session(id), drop_time(expires_at))
  redis.call('PEXPIREAT', index, drop_time(expires_at), 'GT')
end
return 1
