-- All that checks look at, in one go and without changing anything: who somebody is, their timelines and their reservations as they stand at
-- one moment. Behind streams/edge/identity.lua, of which nothing is saved here. ARGV[3...]: prefix of the view's keys, that of the
-- reservations', number of the view's partitions, "1" when its beats are asked for; then for each question the node ids, space between,
-- strongest first, and the id of the company or "". Answers {identities complete, run for which the reservations are complete, beats,
-- person...}, a person as {"customers;persons", {partition is whole, timeline, ...} of each customer, {what is held} of each person and of
-- the company}: customers are those whose timelines count, which one touch with these ids would make one, persons all ids under which
-- something may be kept of them.
local MANY = 64
local view, hold, partitions, wants_beats = ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6] == '1'

local FACTOR = 0x5bd1e995
local function times(a) -- a * FACTOR modulo 2^32, in halves: a number of Lua is exact up to 2^53
  local low = a % 65536
  return (low * FACTOR + ((a - low) / 65536 * FACTOR) % 65536 * 65536) % 4294967296
end

local function partition_of(key) -- Kafka's, by murmur2: that of streams/edge/lane.py
  local length = #key
  local rest = length % 4
  local hash = bit.bxor(0x9747b28c, length)
  for i = 1, length - rest, 4 do
    local a, b, c, d = string.byte(key, i, i + 3)
    local part = times(a + b * 256 + c * 65536 + d * 16777216)
    hash = bit.bxor(times(hash), times(bit.bxor(part, bit.rshift(part, 24))))
  end
  if rest > 2 then hash = bit.bxor(hash, string.byte(key, length - rest + 3) * 65536) end
  if rest > 1 then hash = bit.bxor(hash, string.byte(key, length - rest + 2) * 256) end
  if rest > 0 then hash = times(bit.bxor(hash, string.byte(key, length - rest + 1))) end
  hash = times(bit.bxor(hash, bit.rshift(hash, 13)))
  return bit.band(bit.bxor(hash, bit.rshift(hash, 15)), 0x7fffffff) % partitions
end

local function look_up(ids) -- customers, persons
  local customers, persons, seen = {}, {}, {}
  local function note(id)
    if not seen[id] and #persons < MANY then
      seen[id] = true
      persons[#persons + 1] = id
    end
  end
  local place = strongest(ids)
  local strong = ids[place]
  local root = find(strong)
  local roots = {[root] = true}
  customers[1] = root
  note(root)
  note(strong)
  for i = place + 1, #ids do
    local record, other = load(ids[i]), find(ids[i])
    local state = record and record.pairs[strong]
    local apart = record and record.shared or state == 'blocked' or state == 'cut'
    if not apart and (other == root or not guarded(root, other)) then
      note(ids[i])
      if not roots[other] then
        roots[other] = true
        customers[#customers + 1] = other
        note(other)
      end
    end
  end
  for _, customer in ipairs(customers) do
    local record = load(customer)
    for loser in pairs(record and record.losers or {}) do
      if find(loser) == customer then note(loser) end -- else it was split off since
    end
  end
  -- Something may be held under an identifier that had no touch before it was linked: no customer ever, and so nobody's loser.
  local n = 0
  while n < #persons and #persons < MANY do
    n = n + 1
    for _, weak in ipairs(redis.call('SMEMBERS', below(persons[n]))) do
      if not seen[weak] and roots[find(weak)] then note(weak) end
    end
  end
  return customers, persons
end

local answer = {live and '1' or '', redis.call('GET', hold .. 'ready'), wants_beats and redis.call('HGETALL', view .. 'beats') or {}}
for n = 7, #ARGV, 2 do
  local customers, persons = look_up(words(ARGV[n]))
  local timelines, held = {}, {}
  for i, customer in ipairs(customers) do
    local found = redis.call('HMGET', view .. partition_of(customer), '#whole', customer)
    timelines[2 * i - 1], timelines[2 * i] = found[1], found[2]
  end
  for i, person in ipairs(persons) do held[i] = redis.call('HGETALL', hold .. 'on:' .. person) end
  if ARGV[n + 1] ~= '' then held[#held + 1] = redis.call('HGETALL', hold .. 'on:' .. ARGV[n + 1]) end
  answer[#answer + 1] = {table.concat(customers, ' ') .. ';' .. table.concat(persons, ' '), timelines, held}
end
return answer
