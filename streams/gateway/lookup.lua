-- Who somebody is, without changing anything. ARGV[1] is the identity index's prefix, ARGV[2...] node ids of a person, space between,
-- strongest first. Answers {synced, person, person...}, a person as "customers;persons": the customers whose timelines count, which one touch
-- with these ids would make one, and all ids under which something may be kept of them. Keys and rules: streams/edge/identity.lua.
local prefix = ARGV[1]
local DEEP, MANY = 64, 64
local records = {}

local function load(id)
  local record = records[id]
  if record ~= nil then return record end
  record = false
  local value = redis.call('GET', prefix .. id)
  if value then
    record = {pairs = {}, losers = {}}
    for token in string.gmatch(value, '%S+') do
      local first = string.sub(token, 1, 1)
      if not record.root then record.root = token
      elseif first == 'c' then record.pairs[token] = 'linked'
      elseif token == '*' then record.shared = true
      elseif first == '!' or first == '-' then record.pairs[string.sub(token, 2)] = 'apart'
      elseif first == '<' then record.losers[#record.losers + 1] = string.sub(token, 2) end
    end
  end
  records[id] = record
  return record
end

local function find(id)
  for _ = 1, DEEP do
    local record = load(id)
    if not record or record.root == id then return id end
    id = record.root
  end
  return id
end

local function strongest(ids)
  for first, id in ipairs(ids) do
    if not (load(id) or {}).shared then return first end
    for i = first + 1, #ids do
      local weak = load(ids[i])
      if weak and weak.pairs[id] then return first end
    end
  end
  return 1
end

local answer = {redis.call('GET', prefix .. 'synced') or ''}
for n = 2, #ARGV do
  local ids, customers, persons, seen = {}, {}, {}, {}
  for id in string.gmatch(ARGV[n], '%S+') do ids[#ids + 1] = id end
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
    local apart = record and (record.shared or record.pairs[strong] == 'apart')
    local guarded = other ~= root and string.sub(root, 1, 3) == 'c1-' and string.sub(other, 1, 3) == 'c1-'
    if not apart and not guarded then
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
    for _, loser in ipairs(record and record.losers or {}) do note(loser) end
  end
  answer[#answer + 1] = table.concat(customers, ' ') .. ';' .. table.concat(persons, ' ')
end
return answer
