-- ARGV: the request id, id, created_at, expires_at, now, max (or ''), the action at the limit, 'replace' (or ''), the
-- label to replace, then the fields. Gives how many sessions were removed, or -1 if the limit rejects this one.
local request_id, id, created_at, expires_at, now = ARGV[1], ARGV[2], ARGV[3], time(ARGV[4]), tonumber(ARGV[5])
local max, action, replaces, label = tonumber(ARGV[6]), ARGV[7], ARGV[8] == 'replace', ARGV[9]

if redis.call('EXISTS', session(id)) == 1 then
  return answer_before(id, request_id) or redis.error_reply('EXISTS there is a session with this key already')
end

local evicted = {}
if max then
  local others = {}
  -- By age: the index is in that order.
  for _, other in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if is_active(other, now) then
      local found = redis.call('HMGET', session(other), 'label', 'last_used_at', 'created_at')
      if replaces and found[1] == label then
        table.insert(evicted, other)
      else
        table.insert(others, { id = other, used = tonumber(found[2] or found[3]) })
      end
    else
      remove(other)
    end
  end
  local excess = math.max(#others + 1 - max, 0)
  if excess > 0 and action == 'deny' then return -1 end
  if action == 'evict_least_recently_used' then
    table.sort(others, function(a, b)
      if a.used ~= b.used then return a.used < b.used end
      return a.id < b.id
    end)
  end
  for position = 1, excess do
    table.insert(evicted, others[position].id)
  end
  for _, other in ipairs(evicted) do
    remove(other)
  end
else
  -- The ids of sessions that Redis has dropped stay in the index; remove a few. At random: with any fixed place to look
  -- at first, a few long sessions there would hide the others.
  for _, other in ipairs(redis.call('ZRANDMEMBER', index, 8)) do
    if is_active(other, now) == nil then redis.call('ZREM', index, other) end
  end
end

return put(id, created_at, expires_at, { unpack(ARGV, 10) }, request_id, #evicted)
