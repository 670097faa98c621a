-- ARGV: clock, ttl. Done from any state and by anyone.

local ends = now + tonumber(ARGV[2])
for _, key in ipairs(KEYS) do
    local last = max(last_alarm(stored(key)), ends)
    put(key, format('%.0f', last), last)
end
return redis.status_reply('OK')
