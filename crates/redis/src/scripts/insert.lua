-- ARGV: id, created_at, expires_at, now, max (or ''), 'deny' or 'evict', then the fields.
-- Gives how many logins were evicted, or -1 if the limit denies this one.
local id, created_at, expires_at, now, max = ARGV[1], ARGV[2], time(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

if redis.call('EXISTS', login(id)) == 1 then
  return redis.error_reply('EXISTS a login with this key is there already')
end

local evicted = 0
if max then
  local live = {}
  for _, other in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if is_live(other, now) then
      table.insert(live, other)
    else
      remove(other)
    end
  end
  evicted = math.max(#live + 1 - max, 0)
  if evicted > 0 and ARGV[6] == 'deny' then return -1 end
  for position = 1, evicted do
    remove(live[position])
  end
else
  -- Ids of logins that Redis has dropped gather at the old end of the index; sweep a few away.
  for _, other in ipairs(redis.call('ZRANGE', index, 0, 7)) do
    if is_live(other, now) == nil then redis.call('ZREM', index, other) end
  end
end

put(id, created_at, expires_at, { unpack(ARGV, 7) })
return evicted
