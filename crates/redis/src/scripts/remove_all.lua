-- ARGV: the id to spare (or ''), now. Gives how many active sessions are gone, and keeps for a day when that was.
local except, now = ARGV[1], tonumber(ARGV[2])
-- In pages, since there may be very many; a page may give again what an earlier one gave.
local count, seen = 0, {}
local cursor = '0'
repeat
  local page = redis.call('HSCAN', key, cursor, 'COUNT', 1000)
  cursor = page[1]
  for position = 1, #page[2], 2 do
    local id = page[2][position]
    if id ~= MARK and id ~= except and not seen[id] then
      seen[id] = true
      local session = parse(page[2][position + 1])
      if session and is_active(session, now) then count = count + 1 end
    end
  end
until cursor == '0'

local spared = except ~= '' and redis.call('HGET', key, except)
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
