-- What a person decides: that two are two, or one, and that somebody acts on a conflict. Of two decisions about one pair the later one holds,
-- by the index's clock. See identity.lua.

local function is_of(value, request) -- whether the fact is of this request
  return string.find(value, '"command_id":"' .. request .. '"', 1, true) ~= nil
end

local function asked_at(value) -- ms, 0 when it was nobody's request
  return tonumber(string.match(value or '', '"requested_at":(%d+)')) or 0
end

-- A link or a join is wrong, or two whom a guard keeps apart are two. Answers how it stands ("cut", "again": the same request once more,
-- "before": it was cut already, "apart", "indirect": they are one person by other links only, "late": they were joined by somebody who asked
-- later), the fact, and its value; then the same of the conflict that this ended, if it did.
local function cut(one, other, request, cause)
  local a, b = one, other
  local function state() return (load(b) or {pairs = {}}).pairs[a] end
  if not state() then a, b = other, one end
  local name, why = a .. '|' .. b, named('request', cause)
  local standing, held = 'cut', state()
  local before = redis.call('HGET', cuts, name)
  local again = before and is_of(before, request)
  if held == 'joined' then
    if again then return {'again', 'cut:' .. name, before, '', ''} end -- the two were joined since
    local joined = redis.call('HGET', joins, name)
    if asked_at(joined) > asked_at(cause) then return {'late', 'joined:' .. name, joined, '', ''} end
  elseif before then
    if not again then return {'before', 'cut:' .. name, before, '', ''} end
    standing = 'again'
  elseif not held then
    return {find(one) == find(other) and 'indirect' or 'apart', '', '', '', ''}
  end
  local members = component(a)
  for _, id in ipairs(component(b)) do members[#members + 1] = id end
  if HOLDING[held] then
    part(b, {{name = name, strong = a, weak = b}}, cause, '')
  elseif held == 'blocked' then
    note_pair(a, b, 'cut')
    tell_cut({name = name, strong = a}, {find(a)}, tick(), {}, {}, {}, cause)
  end
  close(a, b, why)
  reconsider(members, why)
  local ended = redis.call('HGET', ends, name)
  return {standing, 'cut:' .. name, redis.call('HGET', cuts, name), ended and 'ended:' .. name or '', ended or ''}
end

local function is_somebody(id)
  local record = load(id)
  return record and (record.used or next(record.pairs) ~= nil or redis.call('EXISTS', below(id)) == 1)
end

local function close_within(a, b, why) -- conflicts between ids that are one person now
  for _, one in ipairs(pairs_of(component(a), BLOCKED)) do
    if find(one.strong) == find(one.weak) then close(one.strong, one.weak, why) end
  end
  close(a, b, why)
end

local function hindered(a, b) -- why two may not be joined
  for _, id in ipairs({a, b}) do
    local record = load(id)
    if record and record.shared then return 'shared' end
    if record and record.erased and (refuse or not is_somebody(id)) then return 'erased' end
    if not is_somebody(id) then return 'unknown' end
  end
  return find(a) == find(b) and 'one' or nil
end

-- Two are one person, whatever keeps them apart. Answers how it stands ("joined", "again": the same request once more, "late": somebody who
-- asked later had them cut; or why it may not be, see `hindered`), the fact, and its value.
local function join(one, other, request, cause)
  local a, b = one, other
  if b < a then a, b = b, a end
  local name, why = a .. '|' .. b, named('joined', cause)
  local fact, before = 'joined:' .. name, redis.call('HGET', joins, name)
  if before and is_of(before, request) then
    if (load(b) or {pairs = {}}).pairs[a] == 'joined' then close_within(a, b, why) end
    return {'again', fact, before}
  end
  local wrong = hindered(a, b)
  if wrong then return {wrong, '', ''} end
  local cut_before = redis.call('HGET', cuts, name)
  if asked_at(cut_before) > asked_at(cause) then return {'late', 'cut:' .. name, cut_before} end
  local value = find(a) .. ' ' .. find(b) .. ';' .. digits(tick()) .. '\n' .. cause
  note_pair(a, b, 'joined')
  redis.call('HSET', joins, name, value)
  merge(find(a), find(b), cause)
  report(find(a), fact, value)
  close_within(a, b, why)
  return {'joined', fact, value}
end

-- Somebody acts on a conflict. Answers how it stands ("acted", also when the same request comes once more, "before": somebody does already,
-- "ended"), the fact, and its value.
local function act(a, b, request, cause)
  local name = a .. '|' .. b
  local told = redis.call('HGET', blocks, name)
  if not told or redis.call('HEXISTS', ends, name) == 1 then return {'ended', '', ''} end
  local value = redis.call('HGET', acts, name)
  if not value then
    value = string.sub(in_conflict(told), 1, -2) .. named('acted', cause) .. '}'
    redis.call('HSET', acts, name, value)
    report(find(a), 'acted:' .. name, value)
  elseif not is_of(value, request) then
    return {'before', '', ''}
  end
  return {'acted', 'acted:' .. name, value}
end

local function is_newer(held, at) -- than this moment of the clock
  return held and headed(held).at > at
end

local late = {} -- ids near what came late, and whether it may have been linked anew; see `tell_again`
local freed = {} -- identifiers that turned out to be shared, or linked although they are, with causes

local LATE = 500 -- ids around what came late; of more, nobody is told again

-- A link, a cut or a customer came to light that another index had decided on, which was lost before Kafka had it. What was answered
-- meanwhile, later by the clock, went without it, and what it told timelines knows nothing of the answers meanwhile. So the cuts near it are
-- decided again, now: whoever may hold touches of the parts is told where each belongs.
local function tell_again(id, linked)
  local around = component(id, LATE, ACROSS)
  local apart = around and pairs_of(around, {cut = true}) or {}
  if not around or not linked and #apart == 0 then return end
  local at = tick()
  for _, member in ipairs(around) do
    if ensure(member).used then tell_anew(member, at) end
  end
  for _, one in ipairs(apart) do
    local old, new = find(one.strong), find(one.weak)
    local value = redis.call('HGET', cuts, one.name)
    if old ~= new and value then
      if new < old then old, new = new, old end
      local _, cause = headed(value)
      local shown = string.find(cause, '"command_id":', 1, true) and '' or cause
      use(old, shown)
      use(new, shown)
      local stays, leaves, customers, untold = component(old), component(new), {old, new}, {}
      for _, member in ipairs(around) do
        local root = ensure(member).used and find(member)
        if root and root ~= new and member ~= old then customers[#customers + 1] = member end
        if root and root ~= old then untold[#untold + 1] = member end
        if find(member) == new then tell_anew(member, at) end
      end
      tell_cut(one, customers, at, leaves, untold, stays, cause)
    end
  end
  report_untold(around)
end

local function erased_till(a, b) return math.max((load(a) or {}).erased or 0, (load(b) or {}).erased or 0) end

local function merge_late(a, b, cause) -- the two are about to be linked or joined
  if not live or HOLDING[ensure(b).pairs[a]] then return end
  late[a] = true
  for _, id in ipairs({a, b}) do
    if ensure(id).shared then freed[id] = cause end
  end
  if find(a) ~= find(b) then tell_anew(find(a) < find(b) and find(b) or find(a), tick()) end
end

local function apply_cut(a, b, value)
  local head, name = headed(value), a .. '|' .. b
  advance_clock(head.at)
  local before = redis.call('HGET', cuts, name)
  local known = before and headed(before).at == head.at
  if before and is_newer(before, head.at) then -- it was told again since, or decided once more by an index that did not know
    local _, cause = headed(value)
    local _, held = headed(before)
    known = cause == held
  end
  if live and not known and erased_till(a, b) == 0 then late[a], late[b] = true, true end
  if not is_newer(before, head.at) then redis.call('HSET', cuts, name, value) end
  for _, id in ipairs(head.ids) do tell_anew(id, head.at) end
  for i = 3, #head.customers do tell_anew(head.customers[i], head.at) end
  ensure(a)
  save(a)
  if is_newer(redis.call('HGET', joins, name), head.at) then return note_pair(a, b, 'cut') end
  local held = HOLDING[ensure(b).pairs[a]]
  local old, members = find(a), held and component(a)
  note_cut(a, b)
  if held then regroup(old, members) end
end

local function apply_joined(a, b, value)
  local head, name = headed(value), a .. '|' .. b
  local _, cause = headed(value)
  advance_clock(head.at)
  if is_newer(redis.call('HGET', joins, name), head.at) then return end
  redis.call('HSET', joins, name, value)
  ensure(a)
  save(a)
  local cut_since = redis.call('HGET', cuts, name)
  if cut_since and not is_newer(value, headed(cut_since).at) then return end
  merge_late(a, b, cause)
  note_pair(a, b, 'joined')
  if find(a) ~= find(b) then merge(find(a), find(b), cause) end
end
