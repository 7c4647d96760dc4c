-- The identity index. ARGV[1] is the operation, ARGV[2] the key prefix, the rest its operands. Everything here is atomic.
--
-- One key a node: the node above it (itself when it is a customer), then marks, space between: "u" a touch was sent on under this id,
-- "t" its timeline was told where it went, "*" many people share it, ID it was linked with this stronger one, "!ID" it was seen
-- with this one, but a guard kept them apart. The rules are those of streams/core/identity_graph.py, which explains them.
--
-- What the log may not hold yet stands in unlogged:CUSTOMER, a hash of fact (key of the log) to "roots\ncause", and is reported until it is
-- known to be logged, so that a crash in between loses none. Facts: "a|b" linked, "a|a" in use, "blocked:a|b", "shared:a|a",
-- "told:a|b" a's timeline is to hear that it goes by b or smaller, "seen:a|b" seen together while the index was away: undecided.
-- A told fact is reported whoever finds the merge, also when it comes from the log. Hearing it twice does no harm.
--
-- resolve PLACE LIMIT NODES CAUSE NODES CAUSE...
--                    first {place, 1 when nothing is missing, id, id, ...}: the customers that went by another id since PLACE.
--                    Then a touch: its node ids, space between, strongest first, and what to note as the cause. Answers, a touch,
--                    {customer id, fact, value, fact, value, ...}. LIMIT: see `shared_after` in streams/policy.toml.
-- logged LIMIT FACT CAUSE...  Kafka has these. One that the index did not report was decided without it: it is applied.
-- apply LIMIT FACT CAUSE...  facts read from the log.
-- overdue SECONDS N  up to N customers with facts that were found so long ago and are not known to be logged, as resolve answers.
-- begin TOKEN        before reading the log: {epoch, 1 when complete, partition, offset, partition, offset, ...}.
-- synced EPOCH ...   the log was applied up to these (partition, offset, ...); refused when a flush came in between.
local prefix = ARGV[2]
local due = prefix .. 'due'
local changes = prefix .. 'changes' -- the newest ids that ceased to be customers; 'changed' counts all of them
local changed = prefix .. 'changed'
local KEPT = 20000
local AT_ONCE = 1000 -- keys of one command; Lua passes no more than some 8000 arguments
local records, unsaved, now, limit = {}, {}, nil, 0

local function parsed(value)
  if not value then return false end
  local record = {pairs = {}}
  for token in string.gmatch(value, '%S+') do
    if not record.root then record.root = token
    elseif token == 'u' then record.used = true
    elseif token == 't' then record.told = true
    elseif token == '*' then record.shared = true
    elseif string.sub(token, 1, 1) == '!' then record.pairs[string.sub(token, 2)] = 'blocked'
    else record.pairs[token] = 'linked' end
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

local function saved(answer) -- once, at the end: a record changes several times on the way
  local written = {}
  for id in pairs(unsaved) do
    local record = records[id]
    local parts = {record.root}
    if record.used then parts[#parts + 1] = 'u' end
    if record.told then parts[#parts + 1] = 't' end
    if record.shared then parts[#parts + 1] = '*' end
    for other, state in pairs(record.pairs) do parts[#parts + 1] = (state == 'blocked' and '!' or '') .. other end
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
    record = {root = id, pairs = {}}
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

local function unlogged(root) return prefix .. 'unlogged:' .. root end

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

local function note_change(loser)
  redis.call('INCR', changed)
  if redis.call('RPUSH', changes, loser) > 2 * KEPT then redis.call('LTRIM', changes, -KEPT, -1) end
end

local function changes_since(place)
  local epoch, count = redis.call('GET', prefix .. 'epoch'), tonumber(redis.call('GET', changed) or 0)
  local seen_epoch, seen = string.match(place, '^(.+):(%d+)$')
  local answer = {epoch .. ':' .. string.format('%d', count), '1'}
  local missed = seen_epoch == epoch and count - tonumber(seen)
  if not missed or missed < 0 or missed > redis.call('LLEN', changes) then
    answer[2] = '0'
  elseif missed > 0 then
    for _, id in ipairs(redis.call('LRANGE', changes, -missed, -1)) do answer[#answer + 1] = id end
  end
  return answer
end

local function merge(one, other, cause)
  local winner, loser = one, other
  if other < one then winner, loser = other, one end
  local record = ensure(loser)
  record.root = winner
  save(loser)
  local open = redis.call('HGETALL', unlogged(loser))
  for i = 1, #open, 2 do report(winner, open[i], open[i + 1]) end
  if #open > 0 then
    redis.call('DEL', unlogged(loser))
    redis.call('ZREM', due, loser)
  end
  if record.used then
    note_change(loser)
    if not record.told then report(winner, 'told:' .. loser .. '|' .. winner, '\n' .. cause) end
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

local function pair(strong, weak, cause)
  local record = ensure(weak)
  if record.shared or record.pairs[strong] then return end
  if is_shared(record, strong) then
    record.shared = true
    save(weak)
    return report(find(weak), 'shared:' .. weak .. '|' .. weak, '\n' .. cause)
  end
  local one, other = find(strong), find(weak)
  if one ~= other and guarded(one, other) then
    record.pairs[strong] = 'blocked'
    save(weak)
    return report(one, 'blocked:' .. strong .. '|' .. weak, one .. ' ' .. other .. '\n' .. cause)
  end
  record.pairs[strong] = 'linked'
  if one ~= other then one = merge(one, other, cause) end
  record.root = one
  save(weak)
  report(one, strong .. '|' .. weak, '\n' .. cause)
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

local function decide(ids, cause)
  local first = strongest(ids)
  local strong = ids[first]
  if not load(strong) then
    ensure(strong)
    save(strong)
  end
  for i = first + 1, #ids do pair(strong, ids[i], cause) end
  local root = find(strong)
  local record = ensure(root)
  if not record.used then
    record.used = true
    save(root)
    report(root, root .. '|' .. root, '\n' .. cause)
  end
  return root
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

local function split(text)
  local parts = {}
  for part in string.gmatch(text, '[^ |]+') do parts[#parts + 1] = part end
  return parts
end

local function parse(fact)
  local kind, a, b = string.match(fact, '^(%l+):([^|]+)|(.+)$')
  if kind then return kind, a, b end
  a, b = string.match(fact, '^([^|]+)|(.+)$')
  return 'link', a, b
end

local function apply(kind, a, b, cause)
  if kind == 'seen' then
    decide({a, b}, cause)
  elseif kind == 'shared' then
    ensure(a).shared = true
    save(a)
  elseif kind == 'told' then
    local record = ensure(a)
    record.told = true
    save(a)
    local root = find(a)
    for _, open in ipairs(redis.call('HKEYS', unlogged(root))) do
      if string.sub(open, 1, #a + 6) == 'told:' .. a .. '|' then drop(root, open) end
    end
  elseif a == b then
    local record = ensure(a)
    record.used = true
    save(a)
    local root = find(a)
    -- If it goes by another id here, somebody did not know, and its timeline must be told.
    if root ~= a and not record.told then report(root, 'told:' .. a .. '|' .. root, '\n' .. cause) end
  else
    local weak, strong = ensure(b), ensure(a)
    weak.pairs[a] = kind == 'blocked' and 'blocked' or 'linked'
    save(a)
    save(b)
    local one, other = find(a), find(b)
    if kind == 'link' and one ~= other then merge(one, other, cause) end
  end
end

local function answer_of(root)
  local answer = redis.call('HGETALL', unlogged(root))
  table.insert(answer, 1, root)
  return answer
end

if ARGV[1] == 'resolve' then
  if redis.call('EXISTS', prefix .. 'synced') == 0 then return redis.error_reply('UNSYNCED the index is empty or was flushed') end
  local answers = {changes_since(ARGV[3])}
  limit = tonumber(ARGV[4])
  for i = 5, #ARGV, 2 do
    local ids = split(ARGV[i])
    local root = find(ids[1])
    answers[#answers + 1] = answer_of(is_known(ids, root) and root or decide(ids, ARGV[i + 1]))
  end
  return saved(answers)
elseif ARGV[1] == 'logged' then
  limit = tonumber(ARGV[3])
  for i = 4, #ARGV, 2 do
    local kind, a, b = parse(ARGV[i])
    if drop(find(a), ARGV[i]) then
      if kind == 'told' then apply(kind, a, b, '') end
    else
      apply(kind, a, b, ARGV[i + 1])
    end
  end
  return saved(0)
elseif ARGV[1] == 'apply' then
  limit = tonumber(ARGV[3])
  local ids = {}
  local function note(id)
    if records[id] == nil then
      records[id] = false
      ids[#ids + 1] = id
    end
  end
  for i = 4, #ARGV, 2 do
    local _, a, b = parse(ARGV[i])
    note(a)
    note(b)
  end
  preload(ids)
  for i = 4, #ARGV, 2 do
    local kind, a, b = parse(ARGV[i])
    apply(kind, a, b, ARGV[i + 1])
  end
  return saved(0)
elseif ARGV[1] == 'overdue' then
  local before = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[3])
  local answers = {}
  for _, root in ipairs(redis.call('ZRANGEBYSCORE', due, '-inf', before, 'LIMIT', 0, ARGV[4])) do
    answers[#answers + 1] = answer_of(root)
  end
  return answers
elseif ARGV[1] == 'begin' then
  redis.call('SET', prefix .. 'epoch', ARGV[3], 'NX')
  local answer = redis.call('HGETALL', prefix .. 'offsets')
  table.insert(answer, 1, tostring(redis.call('EXISTS', prefix .. 'synced')))
  table.insert(answer, 1, redis.call('GET', prefix .. 'epoch'))
  return answer
elseif ARGV[1] == 'synced' then
  if redis.call('GET', prefix .. 'epoch') ~= ARGV[3] then return redis.error_reply('UNSYNCED the index was flushed while it was built') end
  for i = 4, #ARGV, 2 do redis.call('HSET', prefix .. 'offsets', ARGV[i], ARGV[i + 1]) end
  redis.call('SET', prefix .. 'synced', 1)
  return 0
end
return redis.error_reply('unknown operation ' .. tostring(ARGV[1]))
