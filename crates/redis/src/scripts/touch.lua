-- ARGV: id, last_used_at, expires_at (or ''). Gives 1 if it was written.
local id, used = ARGV[1], tonumber(ARGV[2])
local session = parse(redis.call('HGET', key, id))
if not session or not is_active(session[EXPIRES], used) then return 0 end
local before = time(session[USED])
if before and before >= used then return 0 end

note_use(session, ARGV[2])
prolong(session, ARGV[3])
write(id, session)
return 1
