-- ARGV: the call, id, created_at, expires_at, now, max (or ''), what to do when full, 'replace' (or ''), the label to replace,
-- then the fields. Gives how many logins were removed, or -1 if the limit denies this one.
local call, id, created_at, expires_at, now = ARGV[1], ARGV[2], ARGV[3], time(ARGV[4]), tonumber(ARGV[5])
local max, when_full, replaces, label = tonumber(ARGV[6]), ARGV[7], ARGV[8] == 'replace', ARGV[9]

if redis.call('EXISTS', login(id)) == 1 then
  return answer_before(id, call) or redis.error_reply('EXISTS a login with this key is there already')
end

local victims = {}
if max then
  local others = {}
  -- By age: the index is in that order.
  for _, other in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if is_live(other, now) then
      local found = redis.call('HMGET', login(other), 'label', 'last_used_at', 'created_at')
      if replaces and found[1] == label then
        table.insert(victims, other)
      else
        table.insert(others, { id = other, used = tonumber(found[2] or found[3]) })
      end
    else
      remove(other)
    end
  end
  local excess = math.max(#others + 1 - max, 0)
  if excess > 0 and when_full == 'deny' then return -1 end
  if when_full == 'evict longest unused' then
    table.sort(others, function(a, b)
      if a.used ~= b.used then return a.used < b.used end
      return a.id < b.id
    end)
  end
  for position = 1, excess do
    table.insert(victims, others[position].id)
  end
  for _, victim in ipairs(victims) do
    remove(victim)
  end
else
  -- Ids of logins that Redis has dropped are left in the index; sweep a few away. At random: wherever one looked first, a few
  -- logins that live long would hide the others.
  for _, other in ipairs(redis.call('ZRANDMEMBER', index, 8)) do
    if is_live(other, now) == nil then redis.call('ZREM', index, other) end
  end
end

return put(id, created_at, expires_at, { unpack(ARGV, 10) }, call, #victims)
