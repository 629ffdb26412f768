-- ARGV: id, the digest from which, the digest to which, the previous secret, last_used_at, expires_at (or ''), the
-- channel (or ''). Gives 1 if the session had the first digest.
local id, from, to, previous, used = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local session = parse(redis.call('HGET', key, id))
if not session then return 0 end
-- A client may send a call again if the connection broke before the answer came.
if session[DIGEST] == to and session[PREVIOUS] == previous then return 1 end
if session[DIGEST] ~= from then return 0 end
announce(ARGV[7])

session[DIGEST], session[PREVIOUS] = to, previous
local before = time(session[USED])
if not before or before < used then note_use(session, ARGV[5]) end
prolong(session, ARGV[6])
write(id, session)
return 1
