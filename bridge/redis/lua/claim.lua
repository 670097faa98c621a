-- ARGV: clock, lease, owner, call; then for each key its stage (I, R: replaces, D), gen and due, unless all are plain I.
-- Answers for each key: -1 granted, -2 done, -3 scheduled, -4 cancelled, milliseconds that it is busy,
-- g<gen> granted to be held under that, d<due> granted to be held until then.

local ends, owner, call = now + tonumber(ARGV[2]), ARGV[3], ARGV[4]
local plain, fresh, answers = #ARGV == 4, {}, {}

local function grant(key, reply, was)
    put_claim(key, {ends = ends, owner = owner, call = call, reply = reply, was = was})
    fresh[key] = true
    return reply == '-' and -1 or reply
end

local function claim_due(key, record, gen, due)
    if gen < record.gen then
        return -4 -- replaced since: the newer copy is durable, this one is stale
    end
    if gen == record.gen and record.due > max(due, now) then
        return grant(key, format('d%.0f', record.due), record.text)
    end
    if gen > record.gen then
        return grant(key, '-', format('S %.0f %.0f %.0f', gen, due, record.ends)) -- the store was not told of it
    end
    return grant(key, '-', record.text)
end

local function claim(key, stage, gen, due)
    local record = current(key)
    if not record then
        return grant(key, '-')
    elseif record.kind == 'C' then
        if record.owner == owner and record.call == call and not fresh[key] then
            return grant(key, record.reply, record.was) -- this very call, whose answer was lost
        end
        return record.ends - now
    elseif record.kind == 'D' then
        return -2
    elseif record.kind == 'X' then
        return -4
    elseif stage == 'D' then
        return claim_due(key, record, gen, due)
    elseif stage == 'R' and due ~= record.due then
        return grant(key, format('g%.0f', record.gen + 1), record.text)
    end
    return -3
end

for i, key in ipairs(KEYS) do
    if plain then
        answers[i] = claim(key, 'I')
    else
        answers[i] = claim(key, ARGV[2 + 3 * i], tonumber(ARGV[3 + 3 * i]), tonumber(ARGV[4 + 3 * i]))
    end
end
return answers
