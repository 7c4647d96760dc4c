-- The identity index. ARGV[1] is the operation, ARGV[2] the key prefix, the rest its operands. Everything here is atomic.
-- This file has what is linked; identity_apart.lua, what is taken apart or erased; identity_decided.lua, what a person decides;
-- identity_operations.lua, the operations. They are one script.
--
-- One key a node: the node above it (itself when it is a customer), then marks, space between: "u" a touch was sent on under this id,
-- ">AT:ID" its timeline was told then to go there, "n<AT>" what it was told before this counts no more, "<ID" that one was told to come
-- here, "*" many people share it, "e<MS>" it was erased, ID it was linked with this stronger one, "!ID" it was seen with this one, but a
-- guard kept them apart, "-ID" this link was cut, "+ID" a person joined the two, and nobody cut them since. below:ID are the weaker ones that name ID. The rules are those of
-- streams/core/identity_graph.py, which explains them. <AT> is the index's clock: microseconds, strictly increasing ("clock").
--
-- What the log may not hold yet stands in unlogged:CUSTOMER, a hash of fact (key of the log) to "HEAD\ncause", and is reported until it is
-- known to be logged, so that a crash in between loses none. HEAD: "customers;at;until;ids;untold;staying", lists with spaces, empty ends
-- left out.
-- Facts: see streams/core/identity_facts.py; their causes are JSON, and put together as such. A told fact is reported whoever finds the merge, also when it comes from the log. Hearing it
-- twice does no harm.
local prefix = ARGV[2]
local due = prefix .. 'due'
local clock = prefix .. 'clock'
local cuts = prefix .. 'cuts' -- a|b to what was decided, as in unlogged
local blocks = prefix .. 'blocks' -- the same of pairs that a guard keeps apart: conflicts that people were told of
local joins = prefix .. 'joins' -- the same of pairs that a person joined, also such as were cut later
local acts = prefix .. 'acts' -- the same of conflicts that somebody acts on
local ends = prefix .. 'ends' -- the same of conflicts that have ended
local changes = prefix .. 'changes' -- the newest ids that ceased to be customers, or lost a part of themselves; 'changed' counts all of them
local changed = prefix .. 'changed'
local KEPT = 20000
local AT_ONCE = 1000 -- keys of one command; Lua passes no more than some 8000 arguments
local LAYOUT = '5' -- of the keys; an index of another one is built anew
local live = redis.call('GET', prefix .. 'synced') == LAYOUT -- else it is empty, or somebody builds it
local records, unsaved, now, limit, refuse = {}, {}, nil, 0, false
local others = {} -- customers of whom something came to light with what is asked of another one

local SIGNS = {linked = '', blocked = '!', cut = '-', joined = '+'}
local WEIGHTS = {blocked = 1, linked = 2, cut = 3, joined = 4} -- when the log says several things of a pair: what holds
local HOLDING = {linked = true, joined = true}

local function blank(root) return {root = root, pairs = {}, also = {}, winners = {}, losers = {}} end

local function note_state(record, id, state) -- what does not hold is remembered, in case that the other is taken back
  local before = record.pairs[id]
  if before and before ~= state then
    if WEIGHTS[before] > WEIGHTS[state] then before, state = state, before end
    record.also[SIGNS[before] .. id] = true
  end
  record.pairs[id] = state
end

local function parsed(value)
  if not value then return false end
  local record = blank()
  for token in string.gmatch(value, '%S+') do
    local first = string.sub(token, 1, 1)
    if not record.root then record.root = token
    elseif first == 'c' then note_state(record, token, 'linked')
    elseif token == 'u' then record.used = true
    elseif token == '*' then record.shared = true
    elseif first == '!' then note_state(record, string.sub(token, 2), 'blocked')
    elseif first == '-' then note_state(record, string.sub(token, 2), 'cut')
    elseif first == '+' then note_state(record, string.sub(token, 2), 'joined')
    elseif first == 'n' then record.after = tonumber(string.sub(token, 2))
    elseif first == 'e' then record.erased = tonumber(string.sub(token, 2))
    elseif first == '>' then
      local at, winner = string.match(token, '^>(%d+):(.+)$')
      record.winners[winner] = tonumber(at)
    elseif first == '<' then record.losers[string.sub(token, 2)] = true end
  end
  return record
end

local function load(id)
  local record = records[id]
  if record == nil then
    record = parsed(redis.call('GET', prefix .. id))
    records[id] = record
  end
  return record
end

local function preload(ids) -- what `load` will be asked for, in few commands
  for first = 1, #ids, AT_ONCE do
    local keys = {}
    for i = first, math.min(first + AT_ONCE - 1, #ids) do keys[#keys + 1] = prefix .. ids[i] end
    for i, value in ipairs(redis.call('MGET', unpack(keys))) do records[ids[first + i - 1]] = parsed(value) end
  end
end

local function save(id) unsaved[id] = true end

local function digits(number) return string.format('%.0f', number) end

local function saved(answer) -- once, at the end: a record changes several times on the way
  local written = {}
  for id in pairs(unsaved) do
    local record = records[id]
    local parts = {record.root}
    if record.used then parts[#parts + 1] = 'u' end
    if record.after then parts[#parts + 1] = 'n' .. digits(record.after) end
    if record.shared then parts[#parts + 1] = '*' end
    if record.erased then parts[#parts + 1] = 'e' .. digits(record.erased) end
    for other, at in pairs(record.winners) do parts[#parts + 1] = '>' .. digits(at) .. ':' .. other end
    for other in pairs(record.losers) do parts[#parts + 1] = '<' .. other end
    for other, state in pairs(record.pairs) do parts[#parts + 1] = SIGNS[state] .. other end
    for token in pairs(record.also) do parts[#parts + 1] = token end
    written[#written + 1] = prefix .. id
    written[#written + 1] = table.concat(parts, ' ')
    if #written >= 2 * AT_ONCE then
      redis.call('MSET', unpack(written))
      written = {}
    end
  end
  if #written > 0 then redis.call('MSET', unpack(written)) end
  return answer
end

local function ensure(id)
  local record = load(id)
  if not record then
    record = blank(id)
    records[id] = record
  end
  return record
end

local function find(id)
  local root, record = id, load(id)
  while record and record.root ~= root do
    root = record.root
    record = load(root)
  end
  local own = records[id]
  if own and own.root ~= root then -- the next look-up takes one step
    own.root = root
    save(id)
  end
  return root
end

local function words(text)
  local parts = {}
  for part in string.gmatch(text, '%S+') do parts[#parts + 1] = part end
  return parts
end

local function parse(fact)
  local kind, a, b = string.match(fact, '^(%l+):([^|]+)|(.+)$')
  if kind then return kind, a, b end
  a, b = string.match(fact, '^([^|]+)|(.+)$')
  return 'link', a, b
end

local function headed(value) -- HEAD and cause
  local head, cause = string.match(value, '^([^\n]*)\n(.*)$')
  local fields = {}
  for field in string.gmatch((head or '') .. ';', '([^;]*);') do fields[#fields + 1] = field end
  return {
    customers = words(fields[1]), at = tonumber(fields[2]) or 0, till = tonumber(fields[3]) or 0, ids = words(fields[4] or ''),
  }, cause or ''
end

local function first_customer(value)
  local customers = headed(value).customers
  table.sort(customers)
  return customers[1] or ''
end

-- A conflict's HEAD, and in place of the cause the JSON of an object that has it: more is added to that.
local function in_conflict(value)
  local head, cause = string.match(value, '^([^\n]*)\n(.*)$')
  return head .. '\n{"conflict":' .. (cause == '' and 'null' or cause) .. '}'
end

local function advance_clock(at) -- at least to this moment
  if at > tonumber(redis.call('GET', clock) or 0) then redis.call('SET', clock, digits(at)) end
end

local function tick()
  local time = redis.call('TIME')
  local at, last = time[1] * 1000000 + time[2], tonumber(redis.call('GET', clock) or 0)
  if at <= last then at = last + 1 end
  redis.call('SET', clock, digits(at))
  return at
end

local function unlogged(root) return prefix .. 'unlogged:' .. root end

local function below(id) return prefix .. 'below:' .. id end

local function conflicts_of(customer) return prefix .. 'conflicts:' .. customer end

local function report(root, fact, value)
  now = now or redis.call('TIME')[1]
  redis.call('HSET', unlogged(root), fact, value)
  redis.call('ZADD', due, 'NX', now, root)
end

local function drop(root, fact)
  local gone = redis.call('HDEL', unlogged(root), fact) == 1
  if gone and redis.call('EXISTS', unlogged(root)) == 0 then redis.call('ZREM', due, root) end
  return gone
end

local function taken_out(root) -- all that waits there
  local open = redis.call('HGETALL', unlogged(root))
  if #open > 0 then
    redis.call('DEL', unlogged(root))
    redis.call('ZREM', due, root)
  end
  return open
end

local function note_change(customer)
  redis.call('INCR', changed)
  if redis.call('RPUSH', changes, customer) > 2 * KEPT then redis.call('LTRIM', changes, -KEPT, -1) end
end

local function changes_since(place)
  local epoch, count = redis.call('GET', prefix .. 'epoch'), tonumber(redis.call('GET', changed) or 0)
  local seen_epoch, seen = string.match(place, '^(.+):(%d+)$')
  local answer = {epoch .. ':' .. string.format('%d', count), '1', digits(tick())}
  local missed = seen_epoch == epoch and count - tonumber(seen)
  if not missed or missed < 0 or missed > redis.call('LLEN', changes) then
    answer[2] = '0'
  elseif missed > 0 then
    for _, id in ipairs(redis.call('LRANGE', changes, -missed, -1)) do answer[#answer + 1] = id end
  end
  return answer
end

local function is_told(record)
  for _, at in pairs(record.winners) do
    if at >= (record.after or 0) then return true end
  end
  return false
end

local function note_pair(strong, weak, state)
  note_state(ensure(weak), strong, state)
  save(weak)
  redis.call('SADD', below(strong), weak)
end

local function note_block(name, value) -- of several conflicts of one customer each is found by it
  redis.call('HSET', blocks, name, value)
  redis.call('SADD', conflicts_of(first_customer(value)), name)
end

-- People were told of a conflict that holds no more. `why` is the JSON of what ended it, with its name, or empty.
local function close(strong, weak, why)
  local name = strong .. '|' .. weak
  local told = redis.call('HGET', blocks, name)
  if not told or redis.call('HEXISTS', ends, name) == 1 then return end
  local value = string.sub(redis.call('HGET', acts, name) or in_conflict(told), 1, -2) .. why .. '}'
  redis.call('HSET', ends, name, value)
  report(find(strong), 'ended:' .. name, value)
  others[find(strong)] = true
end

local function merge(one, other, cause)
  local winner, loser = one, other
  if other < one then winner, loser = other, one end
  local record = ensure(loser)
  record.root = winner
  save(loser)
  local open = taken_out(loser)
  for i = 1, #open, 2 do report(winner, open[i], open[i + 1]) end
  if record.used then
    note_change(loser)
    if not is_told(record) then report(winner, 'told:' .. loser .. '|' .. winner, '\n' .. cause) end
  end
  return winner
end

local function guarded(one, other) -- both have a CRM id, since the strongest id is the smallest
  return string.sub(one, 1, 3) == 'c1-' and string.sub(other, 1, 3) == 'c1-'
end

local function is_shared(record, strong)
  local rank, count = string.sub(strong, 1, 3), 0
  for other in pairs(record.pairs) do
    if string.sub(other, 1, 3) == rank then count = count + 1 end
  end
  return count >= limit
end

local free -- in identity_apart.lua

local function link(strong, weak, cause)
  note_pair(strong, weak, 'linked')
  local one, other = find(strong), find(weak)
  if one ~= other then one = merge(one, other, cause) end
  ensure(weak).root = one
  report(one, strong .. '|' .. weak, '\n' .. cause)
end

local function use(root, cause) -- touches are sent on under this id from now on
  local record = ensure(root)
  if record.used then return end
  record.used = true
  save(root)
  report(root, root .. '|' .. root, '\n' .. cause)
end

local function pair(strong, weak, cause)
  local record = ensure(weak)
  if record.shared or record.pairs[strong] then return end
  if is_shared(record, strong) then
    record.shared = true
    save(weak)
    free(weak, cause)
    return report(find(weak), 'shared:' .. weak .. '|' .. weak, '\n' .. cause)
  end
  local one, other = find(strong), find(weak)
  if one ~= other and guarded(one, other) then
    local value = one .. ' ' .. other .. '\n' .. cause
    note_pair(strong, weak, 'blocked')
    note_block(strong .. '|' .. weak, value)
    return report(one, 'blocked:' .. strong .. '|' .. weak, value)
  end
  link(strong, weak, cause)
end

local function strongest(ids) -- its place; see _strongest in streams/core/identity_graph.py
  for first, id in ipairs(ids) do
    if not (load(id) or {}).shared then return first end
    for i = first + 1, #ids do
      local weak = load(ids[i])
      if weak and weak.pairs[id] then return first end
    end
  end
  return 1
end

-- When the event of a touch was: that of its publication, should a source's clock be ahead. A touch that nobody knows is as old as can be.
local function event_of(cause)
  local occurred, published = string.match(cause, '"occurred_at":(%d+)'), string.match(cause, '"published_at":(%d+)')
  return math.min(tonumber(occurred) or 0, tonumber(published) or 0)
end

-- The ids that a touch may name now that some were erased, nil when it must not be taken, and when the last of them was.
local function admitted(ids, cause)
  local erased, kept, event = 0, {}, nil
  for _, id in ipairs(ids) do
    local record = load(id)
    local till = record and record.erased
    if till then
      event = event or event_of(cause)
      erased = math.max(erased, till)
    end
    if not (till and (refuse or event <= till)) then kept[#kept + 1] = id end
  end
  if #kept == #ids then return ids, erased end
  -- One whose strongest id nobody erased is another person, if that is known; else it is most likely the erased one.
  local strong = ids[strongest(ids)]
  local record = load(strong)
  if not record or (record.erased and (refuse or event <= record.erased)) then return nil, erased end
  return kept, erased
end

local function decide(ids, cause)
  local strong = ids[strongest(ids)]
  if not load(strong) then
    ensure(strong)
    save(strong)
  end
  local weaker = false
  for _, id in ipairs(ids) do
    if weaker then pair(strong, id, cause) end
    weaker = weaker or id == strong
  end
  local root = find(strong)
  use(root, cause)
  return root, strong
end

local function is_known(ids, root)
  local strong = ids[1]
  local record = load(strong)
  if not record or record.shared or not ensure(root).used then return false end
  for i = 2, #ids do
    local weak = load(ids[i])
    if not weak or not (weak.shared or weak.pairs[strong]) then return false end
  end
  return true
end
