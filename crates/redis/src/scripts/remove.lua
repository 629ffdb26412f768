-- ARGV: id. Gives 1 if it was there.
return remove(ARGV[1])
