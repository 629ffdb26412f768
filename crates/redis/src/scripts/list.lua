-- ARGV: now, how many at most. Gives id and session of each active session in turn, newest first; if there is room behind
-- them, also those that cannot be read, for the log.
local now, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local rejected = stale()
if rejected then return rejected end
local sessions, unreadable = {}, {}
local all = redis.call('HGETALL', key)
for position = 1, #all, 2 do
  local id, value = all[position], all[position + 1]
  local session = id ~= MARK and parse(value)
  if not session then
    if id ~= MARK then unreadable[#unreadable + 1] = { id = id, value = value } end
  elseif is_active(session, now) then
    sessions[#sessions + 1] = { id = id, value = value, created = tonumber(session[CREATED]) }
  end
end
table.sort(sessions, function(a, b)
  if a.created ~= b.created then return a.created > b.created end
  return a.id > b.id
end)
local answer = {}
for _, found in ipairs({ sessions, unreadable }) do
  for _, session in ipairs(found) do
    if #answer >= 2 * most then return answer end
    answer[#answer + 1] = session.id
    answer[#answer + 1] = session.value
  end
end
return answer
