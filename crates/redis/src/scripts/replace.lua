-- ARGV: the call, the old id, then id, created_at, expires_at and the fields of the new login. Gives 1 if the old one was
-- there.
local call, old, id, created_at, expires_at = ARGV[1], ARGV[2], ARGV[3], ARGV[4], time(ARGV[5])
if redis.call('EXISTS', login(old)) == 0 then return answer_before(id, call) or 0 end
if redis.call('EXISTS', login(id)) == 1 then
  return redis.error_reply('EXISTS a login with this key is there already')
end
remove(old)
return put(id, created_at, expires_at, { unpack(ARGV, 6) }, call, 1)
