-- ARGV: now, how many at most. Gives id and session of each active session in turn, newest first.
local now, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local sessions = {}
local all = redis.call('HGETALL', key)
for position = 1, #all, 2 do
  local session = all[position] ~= MARK and parse(all[position + 1])
  if session and is_active(session, now) then
    sessions[#sessions + 1] = { id = all[position], value = all[position + 1], created = tonumber(session[CREATED]) }
  end
end
table.sort(sessions, function(a, b)
  if a.created ~= b.created then return a.created > b.created end
  return a.id > b.id
end)
local answer = {}
for position = 1, math.min(#sessions, most) do
  answer[#answer + 1] = sessions[position].id
  answer[#answer + 1] = sessions[position].value
end
return answer
