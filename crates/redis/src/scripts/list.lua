-- ARGV: now, how many at most. Gives id and session of each active session in turn, newest first; if there is room behind
-- them, also those that cannot be read, for the log.
local now, most = tonumber(ARGV[1]), tonumber(ARGV[2])
local rejected = stale()
if rejected then return rejected end

local newest, unreadable = {}, {}
-- The creation of the oldest that can still be among them.
local oldest

-- Keeps the newest so many.
local function cut()
  table.sort(newest, function(a, b)
    if a.created ~= b.created then return a.created > b.created end
    return a.id > b.id
  end)
  local kept = {}
  for _, session in ipairs(newest) do
    -- A page may give again what an earlier one gave.
    local last = kept[#kept]
    if #kept < most and not (last and last.id == session.id) then kept[#kept + 1] = session end
  end
  newest = kept
  if #kept == most then oldest = kept[most].created end
end

-- In pages, and without taking each session apart, since there may be very many.
local cursor = '0'
repeat
  local page = redis.call('HSCAN', key, cursor, 'COUNT', 1000)
  cursor = page[1]
  for position = 1, #page[2], 2 do
    local id, value = page[2][position], page[2][position + 1]
    local expires, created = string.match(value, '^1\n(%-?%d*)\n%-?%d*\n(%-?%d+)\n')
    created = tonumber(created)
    if not created then
      if id ~= MARK and #unreadable < most then unreadable[#unreadable + 1] = { id = id, value = value } end
    elseif (not oldest or created >= oldest) and is_active(expires, now) then
      newest[#newest + 1] = { id = id, value = value, created = created }
      if #newest == 2 * most then cut() end
    end
  end
until cursor == '0'
cut()

local answer = {}
for _, found in ipairs({ newest, unreadable }) do
  for _, session in ipairs(found) do
    if #answer == 2 * most then return answer end
    answer[#answer + 1] = session.id
    answer[#answer + 1] = session.value
  end
end
return answer
