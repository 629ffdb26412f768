-- KEYS[1]: the index of a subject: the ids of its sessions, scored by their creation.
-- A session is a hash beside it, under the same hash tag, so that one node of a cluster has all of them.
-- All times are microseconds since 1970. An absent time is the empty string.
local index = KEYS[1]

local function session(id)
  return index .. ':' .. id
end

local function time(argument)
  if argument == '' then return nil end
  return tonumber(argument)
end

-- Whether a session is active at `now`; nil if it is not there at all.
local function is_active(id, now)
  local found = redis.call('HMGET', session(id), 'digest', 'expires_at')
  if not found[1] then return nil end
  return not found[2] or tonumber(found[2]) > now
end

-- Redis drops a session automatically, but late: its clock is not that of the caller, and there may be a leeway.
local function drop_time(expires_at)
  return string.format('%.0f', math.floor(expires_at / 1000) + 15 * 60 * 1000)
end

local function remove(id)
  redis.call('ZREM', index, id)
  return redis.call('DEL', session(id))
end

-- A client may send a request again if the connection broke before the answer arrived. So the session that a request
-- writes keeps the answer. This gives it; nil if another request wrote the session.
local function answer_before(id, request_id)
  local known = redis.call('HGET', session(id), 'request')
  return known and tonumber(string.match(known, '^' .. request_id .. ' (%d+)$'))
end

-- Writes the session of a request: `fields` are names and values in turn. Gives the answer.
local function put(id, created_at, expires_at, fields, request_id, answer)
  local index_ttl = redis.call('PTTL', index)
  redis.call('ZADD', index, created_at, id)
  redis.call('HSET', session(id), 'request', request_id .. ' ' .. answer, unpack(fields))
  if not expires_at then
    redis.call('PERSIST', index)
    return answer
  end
  redis.call('PEXPIREAT', session(id), drop_time(expires_at))
  if index_ttl == -2 then
    redis.call('PEXPIREAT', index, drop_time(expires_at))
  elseif index_ttl >= 0 then
    redis.call('PEXPIREAT', index, drop_time(expires_at), 'GT')
  end
  return answer
end
