-- What is taken apart: links that turned out to be of a shared identifier or to be wrong, conflicts that end, and a person who is erased.
-- See identity.lua.

local ACROSS = {linked = true, joined = true, cut = true}

-- All ids that hang together with this one by links and joins, itself first; nil when there are more. ACROSS: also by what was cut.
local function component(start, most, states)
  states = states or HOLDING
  local seen, found, level = {[start] = true}, {start}, {start}
  local function note(id, following)
    if not seen[id] then
      seen[id] = true
      found[#found + 1] = id
      following[#following + 1] = id
    end
  end
  while #level > 0 do
    if most and #found > most then return nil end
    local following, unknown = {}, {}
    for _, id in ipairs(level) do
      if records[id] == nil then unknown[#unknown + 1] = id end
    end
    preload(unknown)
    for _, id in ipairs(level) do
      for strong, state in pairs((load(id) or {pairs = {}}).pairs) do
        if states[state] then note(strong, following) end
      end
      for _, weak in ipairs(redis.call('SMEMBERS', below(id))) do
        if states[(load(weak) or {pairs = {}}).pairs[id]] then note(weak, following) end
      end
    end
    level = following
  end
  return found
end

local function smallest(ids)
  local root = ids[1]
  for _, id in ipairs(ids) do
    if id < root then root = id end
  end
  return root
end

local function tell_anew(id, at) -- what its timeline was told before this counts no more
  local record = ensure(id)
  record.after = math.max(record.after or 0, at)
  save(id)
end

local function report_untold(ids)
  for _, id in ipairs(ids) do
    local record, root = ensure(id), find(id)
    if record.used and root ~= id and not is_told(record) then report(root, 'told:' .. id .. '|' .. root, '\n') end
  end
end

-- Links of these ids, who all went by `old`, were taken away: each goes by the smallest that it still hangs together with.
local function regroup(old, members)
  local was_used = (load(old) or {}).used
  local placed = {}
  for _, member in ipairs(members) do
    if not placed[member] then
      local group = component(member)
      local root = smallest(group)
      for _, id in ipairs(group) do
        placed[id] = true
        ensure(id).root = root
        save(id)
      end
    end
  end
  local open = taken_out(old)
  for i = 1, #open, 2 do
    local kind, a = parse(open[i])
    local home = find(a)
    if kind ~= 'told' then report(home, open[i], open[i + 1]) end -- these are found anew
  end
  report_untold(members)
  if was_used then note_change(old) end
end

local function forget_told(loser, winner)
  ensure(loser).winners[winner] = nil
  ensure(winner).losers[loser] = nil
  save(loser)
  save(winner)
end

local STATES = {'joined', 'cut', 'linked', 'blocked'}
local DECIDED = {cut = cuts, blocked = blocks, joined = joins}

local function forget_decided(state, name)
  if state == 'blocked' then
    local value = redis.call('HGET', blocks, name)
    if value then redis.call('SREM', conflicts_of(first_customer(value)), name) end
    redis.call('HDEL', acts, name)
    redis.call('HDEL', ends, name)
  end
  redis.call('HDEL', DECIDED[state], name)
end

local function unpair(strong, weak, only) -- all that is said of a pair, or one thing
  local record, left = ensure(weak), nil
  for _, state in ipairs(STATES) do
    local token = SIGNS[state] .. strong
    local said = record.also[token] or record.pairs[strong] == state
    record.also[token] = nil
    if said and only and state ~= only then
      if left then record.also[token] = true else left = state end
    elseif DECIDED[state] and (said or state == 'joined' and (not only or only == 'joined')) then -- a join that was cut since is in no record
      forget_decided(state, strong .. '|' .. weak)
    end
  end
  record.pairs[strong] = left
  save(weak)
  if not left then redis.call('SREM', below(strong), weak) end
end

local function note_cut(strong, weak) -- by a decision later than that to join the two, if there was one
  if ensure(weak).pairs[strong] == 'joined' then
    local name = strong .. '|' .. weak
    local joined = redis.call('HGET', joins, name)
    unpair(strong, weak, 'joined')
    redis.call('HSET', joins, name, joined)
  end
  note_pair(strong, weak, 'cut')
end

local BLOCKED = {blocked = true}

local function pairs_of(ids, wanted) -- all pairs in these states that one of these ids is in, in order of their names
  local found, known = {}, {}
  local function note(strong, weak)
    local name = strong .. '|' .. weak
    if wanted[(load(weak) or {pairs = {}}).pairs[strong]] and not known[name] then
      known[name] = true
      found[#found + 1] = {name = name, strong = strong, weak = weak}
    end
  end
  for _, id in ipairs(ids) do
    for strong in pairs((load(id) or {pairs = {}}).pairs) do note(strong, id) end
    for _, weak in ipairs(redis.call('SMEMBERS', below(id))) do note(id, weak) end
  end
  table.sort(found, function(one, other) return one.name < other.name end)
  return found
end

-- A pair was cut; what that says of whom, see "cut" in streams/core/identity_facts.py.
local function tell_cut(pair, customers, at, leaving, untold, staying, cause)
  local more = #untold > 0 and ';' .. table.concat(untold, ' ') .. ';' .. table.concat(staying, ' ') or ''
  local value = table.concat(customers, ' ') .. ';' .. digits(at) .. ';0;' .. table.concat(leaving, ' ') .. more .. '\n' .. cause
  report(find(pair.strong), 'cut:' .. pair.name, value)
  redis.call('HSET', cuts, pair.name, value)
end

-- Links of `hub` hold nothing any more. What leaves the customer by that is told of once: with the first link that it hung on, and `hub`
-- with the first one to what stays. `shown` is the cause if it is a touch.
--
-- Who leaves may have been merged without their timeline knowing yet. It is not told of that merge any more, but may hold touches of what
-- stays, from when that was theirs: the first fact says so (`untold` and `staying` in streams/core/identity_facts.py).
local function part(hub, links, cause, shown)
  local at, old, members = tick(), find(hub), component(hub)
  for _, one in ipairs(links) do note_cut(one.strong, one.weak) end
  local piece_of, used, waiting, several = {}, {}, {}, false
  for _, id in ipairs(members) do
    if not piece_of[id] then
      local piece = component(id)
      several = several or #piece < #members
      table.sort(piece)
      for _, member in ipairs(piece) do piece_of[member] = piece end
    end
    if ensure(id).used then
      local waits = id ~= old and not is_told(ensure(id))
      if waits then waiting[#waiting + 1] = id end
      -- Of many links, what hung on `hub` was sent on under a smaller id: a list of all for each would be quadratic.
      if #links == 1 or id < hub or waits then used[#used + 1] = id end
    end
  end
  local stays, untold = piece_of[old], {}
  for _, id in ipairs(waiting) do
    if piece_of[id] ~= stays then untold[#untold + 1] = id end
  end
  if several then
    for _, id in ipairs(members) do
      if ensure(id).used or piece_of[id] ~= stays then tell_anew(id, at) end
    end
    regroup(old, members)
  end
  if #untold > 0 then use(old, shown) end
  local told = {[stays] = true}
  for _, one in ipairs(links) do
    local there = piece_of[one.strong == hub and one.weak or one.strong]
    local left = there == stays and piece_of[hub] or there
    local customers, leaving = {old}, {}
    if not told[left] then
      told[left], leaving = true, left
      local new = left[1]
      customers[2] = new
      for _, id in ipairs(used) do
        if piece_of[id] ~= left and id ~= old then customers[#customers + 1] = id end
      end
      use(new, shown)
    end
    tell_cut(one, customers, at, leaving, untold, stays, cause)
    untold = {}
  end
end

local function named(name, cause) return cause == '' and '' or ',"' .. name .. '":' .. cause end

local function contradicts(strong, weak) -- whether the person of both has two records, as by a join, or would have
  if find(strong) ~= find(weak) then return guarded(find(strong), find(weak)) end
  local count = 0
  for _, id in ipairs(component(strong)) do
    if string.sub(id, 1, 3) == 'c1-' then count = count + 1 end
  end
  return count > 1
end

local function reconsider(ids, why) -- of what a guard keeps apart, that which contradicts itself no more is linked after all
  for _, one in ipairs(pairs_of(ids, BLOCKED)) do
    local apart = load(one.strong).shared or load(one.weak).shared or contradicts(one.strong, one.weak)
    if not apart then
      local value = redis.call('HGET', blocks, one.name) or '\n'
      close(one.strong, one.weak, why)
      link(one.strong, one.weak, string.match(value, '\n(.*)$'))
      others[find(one.strong)] = true
    end
  end
end

free = function(id, cause) -- many people share it: it holds nobody together, and contradicts nobody
  local why = named('touch', cause)
  for _, one in ipairs(pairs_of({id}, BLOCKED)) do close(one.strong, one.weak, why) end
  local links, members = pairs_of({id}, HOLDING), component(id)
  if #links > 0 then
    part(id, links, cause, cause)
    reconsider(members, why)
  end
  for _, member in ipairs(members) do others[find(member)] = true end
end

local function clear(a) -- all that links it
  local record, old, members = ensure(a), find(a), component(a)
  local stronger = {}
  for strong in pairs(record.pairs) do stronger[#stronger + 1] = strong end
  for _, strong in ipairs(stronger) do unpair(strong, a) end
  for _, weak in ipairs(redis.call('SMEMBERS', below(a))) do unpair(a, weak) end
  record.used = nil
  save(a)
  regroup(old, members)
end

local function apply_erased(a, value)
  local head = headed(value)
  advance_clock(head.at)
  local record = ensure(a)
  if (record.erased or 0) >= head.till then return end
  record.erased = head.till
  save(a)
  if not live then return end -- the log's tombstones take back what was known
  clear(a)
end

local function sweep(id) -- what the log says of one who is refused for good was decided while nobody could know better: it is taken back
  local record = load(id)
  if not (refuse and record and record.erased) then return end
  local function gone(strong, weak) report(id, 'gone:' .. strong .. '|' .. weak, '\n') end
  if record.used then gone(id, id) end
  for strong in pairs(record.pairs) do gone(strong, id) end
  for _, weak in ipairs(redis.call('SMEMBERS', below(id))) do gone(id, weak) end
  local told = {}
  for winner in pairs(record.winners) do told[#told + 1] = {id, winner} end
  for loser in pairs(record.losers) do told[#told + 1] = {loser, id} end
  for _, one in ipairs(told) do
    gone(one[1], one[2])
    forget_told(one[1], one[2])
  end
  clear(id)
end

local function take_back(kind, a, b) -- a record of the log without a value, while the index is built
  if kind == 'told' then
    forget_told(a, b)
  elseif kind == 'erased' then
    ensure(a).erased = nil
  elseif kind == 'acted' or kind == 'ended' then
    redis.call('HDEL', kind == 'acted' and acts or ends, a .. '|' .. b)
  elseif a == b then
    if kind == 'link' then ensure(a).used = nil end
  else
    local record, old = ensure(b), find(a)
    local held = HOLDING[record.pairs[a]]
    local members = held and component(a)
    unpair(a, b, kind == 'link' and 'linked' or kind)
    if kind == 'cut' and redis.call('HEXISTS', joins, a .. '|' .. b) == 1 then note_pair(a, b, 'joined') end
    local holds = HOLDING[record.pairs[a]]
    if held and not holds then regroup(old, members) end
    if holds and find(b) ~= find(a) then merge(find(a), find(b), '') end
  end
  save(a)
end

local TRUSTED = 60 * 1000000 -- us that another clock may be ahead

-- Everything about a person goes; each identifier keeps the mark that it was erased. The moment is that of the decision,
-- but not before `asked` (ms). Answers, line by line: customer, clock, identifiers, used ids, keys of the log; then what was decided of their
-- pairs and must still be told: cuts that the log may not have, and conflicts that stand, or whose end it may not have, to be withdrawn,
-- with who acts on them; each as fact, HEAD, cause.
local function erase(id, asked, cause)
  local time = redis.call('TIME')
  advance_clock(math.min(asked * 1000, time[1] * 1000000 + time[2] + TRUSTED))
  local at, customer, members = tick(), find(id), component(id)
  local till = math.floor(at / 1000)
  local theirs, identifiers, used, keys, decided = {}, {}, {}, {}, {}
  for _, member in ipairs(members) do -- none is shared: these hang together with nobody
    if ensure(member).used then used[#used + 1] = member end
    identifiers[#identifiers + 1] = member
    theirs[member] = true
  end
  local function forget(strong, weak)
    local record = ensure(weak)
    local state = record.pairs[strong]
    if not state then return end
    local name, home = strong .. '|' .. weak, find(strong)
    keys[#keys + 1] = name
    keys[#keys + 1] = 'seen:' .. name
    if state == 'cut' or record.also[SIGNS.cut .. strong] then
      local fact, value = 'cut:' .. name, redis.call('HGET', cuts, name)
      keys[#keys + 1] = fact
      if drop(home, fact) and value then decided[#decided + 1] = fact .. '\n' .. value end
    end
    if redis.call('HEXISTS', joins, name) == 1 then
      keys[#keys + 1] = 'joined:' .. name
      drop(home, 'joined:' .. name)
    end
    if state == 'blocked' or record.also[SIGNS.blocked .. strong] then
      local told, acted = redis.call('HGET', blocks, name), redis.call('HGET', acts, name)
      local ended = redis.call('HEXISTS', ends, name) == 1
      keys[#keys + 1] = 'blocked:' .. name
      if acted then keys[#keys + 1] = 'acted:' .. name end
      if ended then keys[#keys + 1] = 'ended:' .. name end
      local known = ended and not drop(home, 'ended:' .. name) -- people have been told that it ended
      if told and not known then -- the finding is to be withdrawn
        decided[#decided + 1] = 'blocked:' .. name .. '\n' .. told
        if acted then decided[#decided + 1] = 'acted:' .. name .. '\n' .. acted end
      end
      for _, fact in ipairs({'blocked:', 'acted:'}) do drop(home, fact .. name) end
    end
    unpair(strong, weak)
  end
  for _, member in ipairs(identifiers) do
    local record, stronger = ensure(member), {}
    for strong in pairs(record.pairs) do stronger[#stronger + 1] = strong end
    for _, strong in ipairs(stronger) do forget(strong, member) end
    for _, weak in ipairs(redis.call('SMEMBERS', below(member))) do forget(member, weak) end
    if record.used then keys[#keys + 1] = member .. '|' .. member end
    for winner in pairs(record.winners) do keys[#keys + 1] = 'told:' .. member .. '|' .. winner end
    for loser in pairs(record.losers) do keys[#keys + 1] = 'told:' .. loser .. '|' .. member end
  end
  for _, open in ipairs(redis.call('HKEYS', unlogged(customer))) do
    local kind, a, b = parse(open)
    if kind ~= 'gone' and (theirs[a] or theirs[b]) then -- that the log's records are to be taken back waits until they are
      keys[#keys + 1] = open
      drop(customer, open)
    end
  end
  regroup(customer, {})
  for _, member in ipairs(identifiers) do
    for winner in pairs(ensure(member).winners) do ensure(winner).losers[member] = nil save(winner) end
    for loser in pairs(ensure(member).losers) do ensure(loser).winners[member] = nil save(loser) end
    local latest = math.max(till, ensure(member).erased or 0)
    records[member] = blank(member)
    records[member].erased = latest
    save(member)
    report(member, 'erased:' .. member .. '|' .. member, ';' .. digits(at) .. ';' .. digits(latest) .. '\n' .. cause)
  end
  table.sort(identifiers)
  table.sort(used)
  local lines = {customer, digits(at)}
  for _, ids in ipairs({identifiers, used, keys}) do lines[#lines + 1] = table.concat(ids, ' ') end
  for _, fact in ipairs(decided) do lines[#lines + 1] = fact end
  return table.concat(lines, '\n')
end
