-- KEYS[1]: the hash of a subject: session id -> session, and MARK -> when all sessions were last revoked.
-- All times are microseconds since 1970. An absent one is the empty string.
local key = KEYS[1]
local MARK = 'revoked'

-- A session is lines, so that a script changes some and leaves the others as they are. No value has a line break.
local VERSION, EXPIRES, USED, CREATED, DIGEST, PREVIOUS, REQUEST, LABEL, REST = 1, 2, 3, 4, 5, 6, 7, 8, 9

local function time(text)
  if text == '' then return nil end
  return tonumber(text)
end

-- Whether it is a time that the caller can read: of the years -9999 to 9999.
local function is_time(text)
  if not string.find(text, '^%-?%d+$') then return false end
  local number = tonumber(text)
  return number >= -377705023201000000 and number <= 253402207200999999
end

local LINES = '^(1)\n(%-?%d*)\n(%-?%d*)\n(%-?%d+)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)\n([^\n]*)$'

-- The lines of a session; nil if it is not one that this version can read.
local function parse(value)
  local lines = value and { string.match(value, LINES) }
  if not lines or not is_time(lines[CREATED] or '') then return nil end
  for _, optional in ipairs({ EXPIRES, USED }) do
    if lines[optional] ~= '' and not is_time(lines[optional]) then return nil end
  end
  return lines
end

-- When all sessions were last revoked; nil: not lately, or it cannot be read. The next revocation then overwrites it.
local function last_revoked()
  local text = redis.call('HGET', key, MARK)
  return text and is_time(text) and tonumber(text) or nil
end

-- Why this server must not answer a read; nil: it may. It may be a replica by now, or have lost the replicas without which
-- it is not to write (min-replicas-to-write), because another server has taken over. Its answer could be old then. A write
-- that changes nothing tells. One that fails only because the disk does (MISCONF) does not matter to a read.
local function stale()
  local probe = redis.pcall('HDEL', key, '')
  if type(probe) == 'table' and probe.err and not string.find(probe.err, '^%-?MISCONF') then return probe end
  return nil
end

-- Notes a use. The login was answered before, so nobody has to know any more which sessions it has evicted.
local function note_use(session, at)
  session[USED] = at
  session[REQUEST] = string.match(session[REQUEST], '^%S*') .. ' '
end

-- Whether a session is active that expires then. nil: it cannot be read, so it is not.
local function is_active(expires, now)
  return expires == '' or (tonumber(expires or '') or 0) > now
end

-- Redis drops the key itself, but late: its clock is not the caller's, and a leeway may be given.
local function drop_time(expires)
  return string.format('%.0f', math.floor(expires / 1000) + 15 * 60 * 1000)
end

-- Lets the key live as long as this session. `was_empty`: the key did not exist before.
local function keep_until(expires, was_empty)
  if not expires then
    redis.call('PERSIST', key)
  elseif was_empty then
    redis.call('PEXPIREAT', key, drop_time(expires))
  elseif redis.call('PTTL', key) >= 0 then
    redis.call('PEXPIREAT', key, drop_time(expires), 'GT')
  end
end

-- Moves the expiry of a session, if that is later.
local function prolong(session, text)
  local expires, old = time(text), time(session[EXPIRES])
  if not expires or not old or expires <= old then return end
  session[EXPIRES] = text
  keep_until(expires, false)
end

-- Says on the channel that sessions of this subject have changed; '': nobody is told. Before anything is written, so that
-- without the right to publish nothing happens. Who hears of it asks only when the script is done.
local function announce(channel)
  if channel ~= '' then redis.call('PUBLISH', channel, key) end
end

local function write(id, session)
  redis.call('HSET', key, id, table.concat(session, '\n'))
end
