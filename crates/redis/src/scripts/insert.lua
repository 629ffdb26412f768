-- ARGV: id, the request, now, max (or ''), the action at the limit, 'replace' (or ''), the session, the channel (or ''). Gives
-- the ids that were evicted and those that cannot be read; 'limit' if the limit denies this session, or 'superseded' if it
-- began before all sessions were revoked.
local id, request, now, max = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local action, replaces, session = ARGV[5], ARGV[6] == 'replace', parse(ARGV[7])

-- Whether it is a digest as the caller writes it.
local function is_digest(text)
  local hex = string.match(text, '^[a-z0-9-]+:([0-9a-f]+)$')
  return hex ~= nil and (#hex == 64 or #hex == 128)
end

local function is_string(value)
  return type(value) == 'string'
end

local function is_whole(value)
  return type(value) == 'number' and value == math.floor(value) and is_time(string.format('%.0f', value))
end

-- What the last line may have.
local REST_MEMBERS = {
  abs = is_whole,
  idle = function(value) return is_whole(value) and value >= 0 end,
  scope = is_string,
  claims = function(value) return is_string(value) and #value == 64 and not string.find(value, '[^0-9a-f]') end,
  attr = function(value)
    if type(value) ~= 'table' then return false end
    for _, text in pairs(value) do
      if not is_string(text) then return false end
    end
    return true
  end,
}

-- Whether it is a session that the caller can read. One that is not must not keep others out.
local function is_readable(other_id, other)
  if #other_id ~= 32 or string.find(other_id, '[^0-9a-f]') or not is_digest(other[DIGEST]) then return false end
  if other[PREVIOUS] ~= '' then
    local digest, nonce, valid_until = string.match(other[PREVIOUS], '^(%S+) ([0-9a-f]+) (%S+)$')
    if not digest or not is_digest(digest) or #nonce ~= 32 or not is_time(valid_until) then return false end
  end
  local is_json, rest = pcall(cjson.decode, other[REST])
  if not is_json or string.sub(other[REST], 1, 1) ~= '{' then return false end
  for name, is_right in pairs(REST_MEMBERS) do
    if rest[name] ~= nil and not is_right(rest[name]) then return false end
  end
  return true
end

local there = redis.call('HGET', key, id)
if there then
  -- A client may send a call again if the connection broke before the answer came. The session keeps what it was.
  local before = parse(there)
  local answer = before and string.match(before[REQUEST], '^' .. request .. ' (.*)$')
  if not answer then return redis.error_reply('EXISTS duplicate session key') end
  local evicted = {}
  for other in string.gmatch(answer, '%S+') do evicted[#evicted + 1] = other end
  return { evicted, {} }
end
local revoked = last_revoked()
if revoked and tonumber(session[CREATED]) < revoked then return redis.status_reply('superseded') end

local evicted, expired, unreadable = {}, {}, {}
if max then
  local others = {}
  local all = redis.call('HGETALL', key)
  for position = 1, #all, 2 do
    local other_id = all[position]
    local other = other_id ~= MARK and parse(all[position + 1])
    if other and not is_active(other[EXPIRES], now) then
      expired[#expired + 1] = other_id
    elseif other and is_readable(other_id, other) then
      if replaces and other[LABEL] == session[LABEL] then
        evicted[#evicted + 1] = other_id
      else
        local created = tonumber(other[CREATED])
        local by = created
        if action == 'evict_least_recently_used' then by = time(other[USED]) or created end
        others[#others + 1] = { id = other_id, by = by }
      end
    elseif other_id ~= MARK then
      unreadable[#unreadable + 1] = other_id
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
    if other and not is_active(other[EXPIRES], now) then expired[#expired + 1] = some[position] end
  end
end
session[REQUEST] = request .. ' ' .. table.concat(evicted, ' ')
if #evicted > 0 then announce(ARGV[8]) end
-- Written first: while a slot is migrated, a script cannot go on once its key is gone.
write(id, session)
for _, gone in ipairs({ evicted, expired }) do
  for _, other in ipairs(gone) do redis.call('HDEL', key, other) end
end
-- Were it not for this session, the key would have gone, and with it the time at which Redis drops it.
local was_empty = redis.call('HLEN', key) == 1
keep_until(time(session[EXPIRES]), was_empty)
return { evicted, unreadable }
