-- ARGV: the id to spare (or ''), now. Gives how many active sessions were removed.
local count = 0
for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  if id ~= ARGV[1] then
    if is_active(id, tonumber(ARGV[2])) then count = count + 1 end
    remove(id)
  end
end
return count
