local DAY = 24 * 60 * 60 * 1000

-- ARGV: the id to spare (or ''), now, the channel (or ''). Gives how many active sessions are gone, and keeps for a day when that was.
local except, now = ARGV[1], tonumber(ARGV[2])

announce(ARGV[3])
local mark = last_revoked()
-- Written first, and the sessions removed one by one: while a slot is migrated, a script cannot go on once its key is gone.
if not mark or mark < now then redis.call('HSET', key, MARK, string.format('%.0f', now)) end

-- In pages, and without taking each session apart, since there may be very many.
local count = 0
local cursor = '0'
repeat
  local page = redis.call('HSCAN', key, cursor, 'COUNT', 1000)
  cursor = page[1]
  for position = 1, #page[2], 2 do
    local id = page[2][position]
    -- A page may give again what an earlier one gave.
    if id ~= MARK and id ~= except and redis.call('HDEL', key, id) == 1 then
      local expires = string.match(page[2][position + 1], '^1\n(%-?%d*)\n')
      if is_active(expires, now) then count = count + 1 end
    end
  end
until cursor == '0'

-- Long enough for the time above, and for the session that is left.
local spared = except ~= '' and redis.call('HGET', key, except)
local session = parse(spared)
if not spared then
  redis.call('PEXPIRE', key, DAY)
elseif session then
  redis.call('PEXPIRE', key, DAY)
  keep_until(time(session[EXPIRES]), false)
else
  -- It cannot be read.
  redis.call('PEXPIRE', key, DAY, 'GT')
end
return count
