-- The claim protocol of bridge/core/claims.py, record by record. Stands in front of every other script here.
--
-- A record is a string:  <ends>                                  done
--                        S <gen> <due> <ends>                    scheduled
--                        X <gen> <ends>                          cancelled
--                        C <ends> <owner> <call> <reply>[ <was>] claimed, and what it was before
-- All times are epoch milliseconds of this server. <call> is one call of one client and <reply> what it was answered:
-- if the answer gets lost, the same call may ask again.

local format, byte, match, floor, max = string.format, string.byte, string.match, math.floor, math.max

local given = tonumber(ARGV[1]) -- a test brings a clock of its own; its keys outlive their records by a day
local now = given
if not now then
    local time = redis.call('TIME')
    now = time[1] * 1000 + floor(time[2] / 1000)
end

local function parse(text)
    local kind = byte(text)
    if kind == 67 then -- C
        local ends, owner, call, reply, was = match(text, '^C (%d+) (%S+) (%S+) (%S+) ?(.*)$')
        return {kind = 'C', ends = tonumber(ends), owner = owner, call = call, reply = reply, was = was ~= '' and was}
    elseif kind == 83 then -- S
        local gen, due, ends = match(text, '^S (%d+) (%-?%d+) (%d+)$')
        return {kind = 'S', ends = tonumber(ends), gen = tonumber(gen), due = tonumber(due), text = text}
    elseif kind == 88 then -- X
        local gen, ends = match(text, '^X (%d+) (%d+)$')
        return {kind = 'X', ends = tonumber(ends), gen = tonumber(gen), text = text}
    end
    return {kind = 'D', ends = tonumber(text)}
end

-- The record as it stands, expired or not.
local function stored(key)
    local text = redis.call('GET', key)
    return text and parse(text)
end

-- What is left of it by now: a claim whose lease ended is what it was before.
local function current(key)
    local record = stored(key)
    while record and record.ends <= now do
        record = record.kind == 'C' and record.was and parse(record.was)
    end
    return record
end

local function own(key, owner)
    local record = current(key)
    return record and record.kind == 'C' and record.owner == owner and record
end

-- Until when a copy of the event may still ring, as far as the record knows.
local function last_alarm(record)
    if record and record.kind == 'C' then
        record = record.was and parse(record.was)
    end
    return record and record.ends or 0
end

local function put(key, text, ends)
    redis.call('SET', key, text, 'PX', format('%.0f', ends - now + (given and 86400000 or 0)))
end

local function put_claim(key, record)
    local text = format('C %.0f %s %s %s', record.ends, record.owner, record.call, record.reply)
    if record.was then
        put(key, text .. ' ' .. record.was, max(record.ends, parse(record.was).ends))
    else
        put(key, text, record.ends)
    end
end

local function put_scheduled(key, gen, due, ends)
    put(key, format('S %.0f %.0f %.0f', gen, due, ends), ends)
end

-- For people and control envelopes: state, gen, due, ends.
local function standing(record)
    if not record then
        return {'-', 0, false, 0}
    end
    local was = record.kind == 'C' and record.was and parse(record.was) or record
    local plan = was.kind == 'S' and was
    local gen = (plan or record).gen or 0
    return {record.kind, gen, plan and format('%.0f', plan.due), format('%.0f', record.ends)}
end
