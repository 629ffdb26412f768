-- ARGV: the request id, the old id, then id, created_at, expires_at and the fields of the new session. Gives 1 if the
-- old one was there.
local request_id, old, id, created_at, expires_at = ARGV[1], ARGV[2], ARGV[3], ARGV[4], time(ARGV[5])
if redis.call('EXISTS', session(old)) == 0 then return answer_before(id, request_id) or 0 end
if redis.call('EXISTS', session(id)) == 1 then
  return redis.error_reply('EXISTS there is a session with this key already')
end
remove(old)
return put(id, created_at, expires_at, { unpack(ARGV, 6) }, request_id, 1)
