-- ARGV: id, the label (or ''), now. Gives 1 if the session has that label now.
local id, label, now = ARGV[1], ARGV[2], tonumber(ARGV[3])
local session = parse(redis.call('HGET', key, id))
if not session or not is_active(session[EXPIRES], now) then return 0 end

session[LABEL] = label
write(id, session)
return 1
