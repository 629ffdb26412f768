-- KEYS[1]: the index of a subject: the ids of its logins, scored by the moment of login.
-- A login is a hash beside it, under the same hash tag, so that one node of a cluster has all of them.
-- All times are microseconds since 1970. An absent time is the empty text.
local index = KEYS[1]

local function login(id)
  return index .. ':' .. id
end

local function time(text)
  if text == '' then return nil end
  return tonumber(text)
end

-- Whether a login is live at `now`; nil if it is not there at all.
local function is_live(id, now)
  local found = redis.call('HMGET', login(id), 'digest', 'expires_at')
  if not found[1] then return nil end
  return not found[2] or tonumber(found[2]) > now
end

-- Redis drops a login by itself, but late: its clock is not the caller's, and a leeway may be given.
local function drop_time(expires_at)
  return string.format('%.0f', math.floor(expires_at / 1000) + 15 * 60 * 1000)
end

local function remove(id)
  redis.call('ZREM', index, id)
  return redis.call('DEL', login(id))
end

-- A client may send a call again, if the connection broke before the answer was there. So the login that a call writes keeps
-- what the call answered. This gives it; nil if that was another call.
local function answer_before(id, call)
  local known = redis.call('HGET', login(id), 'call')
  return known and tonumber(string.match(known, '^' .. call .. ' (%d+)$'))
end

-- Writes the login of a call: `fields` are names and values in turn. Gives the answer.
local function put(id, created_at, expires_at, fields, call, answer)
  local index_lives = redis.call('PTTL', index)
  redis.call('ZADD', index, created_at, id)
  redis.call('HSET', login(id), 'call', call .. ' ' .. answer, unpack(fields))
  if not expires_at then
    redis.call('PERSIST', index)
    return answer
  end
  redis.call('PEXPIREAT', login(id), drop_time(expires_at))
  if index_lives == -2 then
    redis.call('PEXPIREAT', index, drop_time(expires_at))
  elseif index_lives >= 0 then
    redis.call('PEXPIREAT', index, drop_time(expires_at), 'GT')
  end
  return answer
end
