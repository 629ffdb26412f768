-- ARGV: the old id, then id, created_at, expires_at and the fields of the new login. Gives 1 if the old one was there.
local old, id, created_at, expires_at = ARGV[1], ARGV[2], ARGV[3], time(ARGV[4])
if redis.call('EXISTS', login(old)) == 0 then return 0 end
if redis.call('EXISTS', login(id)) == 1 then
  return redis.error_reply('EXISTS a login with this key is there already')
end
put(id, created_at, expires_at, { unpack(ARGV, 5) })
remove(old)
return 1
