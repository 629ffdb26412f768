-- ARGV: the id to spare (or ''), now. Gives how many active sessions are gone, and keeps for a day when that was.
local except, now = ARGV[1], tonumber(ARGV[2])
local spared = except ~= '' and redis.call('HGET', key, except)
-- Without taking each session apart, since there may be very many.
local function is_active_value(value)
  local expires = string.match(value, '^1\n(%-?%d*)\n')
  return expires == '' or (tonumber(expires or '') or 0) > now
end
local count = 0
for _, value in ipairs(redis.call('HVALS', key)) do
  if is_active_value(value) then count = count + 1 end
end
if spared and is_active_value(spared) then count = count - 1 end

local mark = last_revoked()
local lives = redis.call('PTTL', key)
redis.call('UNLINK', key)
if not mark or mark < now then mark = now end
redis.call('HSET', key, MARK, string.format('%.0f', mark))
local DAY = 24 * 60 * 60 * 1000
if not spared then
  redis.call('PEXPIRE', key, DAY)
else
  redis.call('HSET', key, except, spared)
  if lives >= 0 then redis.call('PEXPIRE', key, math.max(lives, DAY)) end
end
return count
