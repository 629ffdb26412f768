-- ARGV: now. Gives the fields of each active session, newest first.
local now = tonumber(ARGV[1])
local sessions = {}
for _, id in ipairs(redis.call('ZRANGE', index, 0, -1, 'REV')) do
  if is_active(id, now) then table.insert(sessions, redis.call('HGETALL', session(id))) end
end
return sessions
