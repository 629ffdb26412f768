-- ARGV: id, the request, now, max (or ''), the action at the limit, 'replace' (or ''), then the session. Gives the ids that
-- were evicted, 'limit' if the limit denies this session, or 'superseded' if it began before all sessions were revoked.
local id, request, now, max = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local action, replaces, session = ARGV[5], ARGV[6] == 'replace', parse(ARGV[7])

local there = redis.call('HGET', key, id)
if there then
  -- A client may send a call again if the connection broke before the answer came. The session keeps what it was.
  local before = parse(there)
  local answer = before and string.match(before[REQUEST], '^' .. request .. ' (.*)$')
  if not answer then return redis.error_reply('EXISTS duplicate session key') end
  local evicted = {}
  for other in string.gmatch(answer, '%S+') do evicted[#evicted + 1] = other end
  return evicted
end
local revoked = tonumber(redis.call('HGET', key, MARK) or '')
if revoked and tonumber(session[CREATED]) < revoked then return redis.status_reply('superseded') end

local evicted, expired = {}, {}
if max then
  local others = {}
  local all = redis.call('HGETALL', key)
  for position = 1, #all, 2 do
    local other = all[position] ~= MARK and parse(all[position + 1])
    if other and not is_active(other, now) then
      expired[#expired + 1] = all[position]
    elseif other then
      if replaces and other[LABEL] == session[LABEL] then
        evicted[#evicted + 1] = all[position]
      else
        local created = tonumber(other[CREATED])
        local by = created
        if action == 'evict_least_recently_used' then by = time(other[USED]) or created end
        others[#others + 1] = { id = all[position], by = by }
      end
    end
  end
  local excess = math.max(#others + 1 - max, 0)
  if excess > 0 and action == 'deny' then return redis.status_reply('limit') end
  table.sort(others, function(a, b)
    if a.by ~= b.by then return a.by < b.by end
    return a.id < b.id
  end)
  for position = 1, excess do evicted[#evicted + 1] = others[position].id end
else
  -- A hash keeps expired sessions; sweep a few away, at random: in any fixed order, some that last long would hide the others.
  local some = redis.call('HRANDFIELD', key, 8, 'WITHVALUES')
  for position = 1, #some, 2 do
    local other = some[position] ~= MARK and parse(some[position + 1])
    if other and not is_active(other, now) then expired[#expired + 1] = some[position] end
  end
end
for _, gone in ipairs({ evicted, expired }) do
  for _, other in ipairs(gone) do redis.call('HDEL', key, other) end
end
-- Asked only now: with its last field, the key has gone, and so has the time at which Redis drops it.
local was_empty = redis.call('EXISTS', key) == 0

session[REQUEST] = request .. ' ' .. table.concat(evicted, ' ')
write(id, session)
keep_until(time(session[EXPIRES]), was_empty)
return evicted
