-- ARGV: id, last_used_at, expires_at (or ''). Gives 1 if it was written.
local id, used, expires = ARGV[1], tonumber(ARGV[2]), time(ARGV[3])
local session = parse(redis.call('HGET', key, id))
if not session or not is_active(session, used) then return 0 end
local before = time(session[USED])
if before and before >= used then return 0 end

session[USED] = ARGV[2]
local old = time(session[EXPIRES])
if expires and old and expires > old then
  session[EXPIRES] = ARGV[3]
  keep_until(expires, false)
end
write(id, session)
return 1
