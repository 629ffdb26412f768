-- ARGV: now. Gives the fields of each live login, newest first.
local now = tonumber(ARGV[1])
local logins = {}
for _, id in ipairs(redis.call('ZRANGE', index, 0, -1, 'REV')) do
  if is_live(id, now) then table.insert(logins, redis.call('HGETALL', login(id))) end
end
return logins
