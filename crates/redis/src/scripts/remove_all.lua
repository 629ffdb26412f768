-- ARGV: the id to spare (or ''), now. Gives how many live logins are gone.
local count = 0
for _, id in ipairs(redis.call('ZRANGE', index, 0, -1)) do
  if id ~= ARGV[1] then
    if is_live(id, tonumber(ARGV[2])) then count = count + 1 end
    remove(id)
  end
end
return count
