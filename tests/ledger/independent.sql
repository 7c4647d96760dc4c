-- The ledger another way: DuckDB reads the same files and reckons with windows over tables. Nothing of streams/ is used.
-- Parameters: $touches, $deals, $costs (paths), $first, $last (days, both included).

-- Who is who. In the made-up history (tests/support/histories.py) a person's number stands in each of their identifiers. Of one
-- person in five, mail knows the address and the others the CRM id: two customers, until some record has both.
CREATE MACRO person(email, phone, url, crm) AS COALESCE(
  TRY_CAST(regexp_extract(email, '^person(\d+)@', 1) AS BIGINT), TRY_CAST(regexp_extract(crm, '^003(\d+)$', 1) AS BIGINT),
  TRY_CAST(regexp_extract(url, 'person-(\d+)$', 1) AS BIGINT), TRY_CAST(regexp_extract(phone, '^\+1415(\d+)$', 1) AS BIGINT) - 2000000);

CREATE TABLE raw AS SELECT * FROM read_json($touches, format = 'newline_delimited', columns = {
  touch_id: 'VARCHAR', channel: 'VARCHAR', department: 'VARCHAR', direction: 'VARCHAR', kind: 'VARCHAR', occurred_at: 'TIMESTAMPTZ',
  campaign: 'VARCHAR', actor: 'STRUCT(id VARCHAR, "name" VARCHAR, kind VARCHAR)',
  customer: 'STRUCT(email VARCHAR, phone VARCHAR, linkedin_url VARCHAR, crm_id VARCHAR)'});

CREATE TABLE deal AS SELECT *, person(customer.email, NULL, NULL, customer.crm_id) AS number FROM read_json($deals,
  format = 'newline_delimited', columns = {deal_id: 'VARCHAR', stage: 'VARCHAR', opened_at: 'TIMESTAMPTZ', closed_at: 'TIMESTAMPTZ',
  amount: 'STRUCT(amount DECIMAL(18, 2), currency VARCHAR)', owner: 'VARCHAR', customer: 'STRUCT(email VARCHAR, crm_id VARCHAR)'});

CREATE TABLE linked AS
  SELECT DISTINCT person(customer.email, NULL, NULL, NULL) AS number FROM raw WHERE customer.email IS NOT NULL AND customer.crm_id IS NOT NULL
  UNION SELECT number FROM deal WHERE customer.crm_id IS NOT NULL;

CREATE TABLE touch AS
  SELECT number::VARCHAR || CASE WHEN apart AND linked.number IS NULL THEN ' by CRM id' ELSE '' END AS customer, seen.* EXCLUDE (number, apart)
  FROM (
    SELECT touch_id AS id, epoch_ms(occurred_at) AS ms, channel, department, direction, kind, coalesce(campaign, '(none)') AS campaign,
      actor.id AS actor, CASE WHEN actor.kind = 'person' THEN actor.id ELSE '(none)' END AS rep,
      person(customer.email, customer.phone, customer.linkedin_url, customer.crm_id) AS number,
      number % 5 = 0 AND customer.email IS NULL AS apart
    FROM (SELECT DISTINCT ON (touch_id) * FROM raw)
  ) AS seen LEFT JOIN linked USING (number);

-- Calls: phase by phase of each caller. One that comes within an hour of the call's first phase, and of a kind that the call does not
-- have yet, is of that call; any other begins a new one.
CREATE TABLE numbered AS
  SELECT *, row_number() OVER (PARTITION BY customer, direction, department, actor ORDER BY ms, id) AS k
  FROM (SELECT * REPLACE (coalesce(actor, '') AS actor) FROM touch WHERE kind IN ('dialed', 'answered', 'voicemail'));

CREATE TABLE phase AS
  WITH RECURSIVE call AS (
    SELECT customer, direction, department, actor, k, id, ms AS first, [kind] AS kinds, false AS joins FROM numbered WHERE k = 1
    UNION ALL
    SELECT customer, direction, department, actor, k, id, CASE WHEN joins THEN first ELSE ms END,
      CASE WHEN joins THEN list_append(kinds, kind) ELSE [kind] END, joins
    FROM (SELECT n.*, call.first, call.kinds, n.ms - call.first < 3600000 AND NOT list_contains(call.kinds, n.kind) AS joins
          FROM call JOIN numbered AS n ON n.customer = call.customer AND n.direction = call.direction AND n.department = call.department
            AND n.actor = call.actor AND n.k = call.k + 1))
  SELECT * FROM call;

CREATE TABLE contact AS
  SELECT touch.* FROM touch ANTI JOIN (SELECT id FROM phase WHERE joins) AS later USING (id)
  WHERE direction = 'outbound' AND kind IN ('sent', 'message_sent', 'connection_request', 'dialed', 'answered', 'voicemail');

CREATE TABLE point AS
  SELECT * FROM contact UNION ALL SELECT * FROM touch WHERE kind IN ('clicked', 'replied', 'ad_click', 'lead_form', 'meeting');

-- Deals won, and the touch points of the 90 days before, with the weight of each under each model.
CREATE TABLE won AS
  SELECT deal_id, strftime(closed_at AT TIME ZONE 'UTC', '%Y-%m') AS month, amount.currency AS currency, owner, epoch_ms(closed_at) AS closed,
    number::VARCHAR AS customer,
    CAST(amount.amount * CASE amount.currency WHEN 'JPY' THEN 1 ELSE 100 END AS BIGINT) AS amount
  FROM deal WHERE stage = 'won' AND CAST(closed_at AT TIME ZONE 'UTC' AS DATE) BETWEEN $first::DATE AND $last::DATE;

CREATE TABLE step AS
  SELECT won.deal_id, month, currency, amount, point.* EXCLUDE (customer),
    row_number() OVER (PARTITION BY deal_id ORDER BY ms, id) AS k, count(*) OVER (PARTITION BY deal_id) AS n,
    max(ms) OVER (PARTITION BY deal_id) AS newest, count(*) OVER (PARTITION BY deal_id, department, channel) AS alike,
    len(list(DISTINCT department || channel) OVER (PARTITION BY deal_id)) AS states
  FROM won JOIN point ON point.customer = won.customer AND ms <= closed AND ms >= closed - 90 * 86400000::BIGINT;

CREATE TABLE share AS
  SELECT *, unnest([
    {model: 'first', w: (CASE k WHEN 1 THEN 1 ELSE 0 END)::DOUBLE},
    {model: 'last', w: (CASE k WHEN n THEN 1 ELSE 0 END)::DOUBLE},
    {model: 'linear', w: 1.0 / n},
    {model: 'time_decay', w: pow(2.0, (ms - newest) / (7 * 86400000.0))},
    {model: 'position', w: CASE WHEN n <= 2 THEN 1.0 / n WHEN k IN (1, n) THEN 0.4 ELSE 0.2 / (n - 2) END},
    {model: 'shapley', w: 1.0 / states / alike}], recursive := true)
  FROM step;

CREATE TABLE credit AS
  SELECT model, month, currency, department, channel, campaign, rep, amount * w / sum(w) OVER (PARTITION BY model, deal_id) AS value FROM share
  UNION ALL
  SELECT model, month, currency, '(no touch)', '(no touch)', '(no touch)', '(no touch)', amount
  FROM won ANTI JOIN step USING (deal_id), (SELECT DISTINCT model FROM share);

-- The walks that Markov's model learns from: to each deal closed in the period, and, of customers without one, up to its end.
CREATE TABLE walk AS
  WITH closed AS (
    SELECT deal_id, stage = 'won' AS won, epoch_ms(closed_at) AS closed, number::VARCHAR AS customer
    FROM deal WHERE stage IN ('won', 'lost') AND CAST(closed_at AT TIME ZONE 'UTC' AS DATE) BETWEEN $first::DATE AND $last::DATE),
  reach AS (SELECT epoch_ms(CAST($last::DATE + 1 AS TIMESTAMP)) - 1 AS until)
  SELECT deal_id AS name, won, department || ' ' || channel AS state, ms, id
  FROM closed JOIN point USING (customer) WHERE ms BETWEEN closed - 90 * 86400000::BIGINT AND closed
  UNION ALL
  SELECT customer, false, department || ' ' || channel, ms, id
  FROM point ANTI JOIN closed USING (customer), reach WHERE ms BETWEEN until - 90 * 86400000::BIGINT AND until;

CREATE TABLE hop AS
  SELECT here, there, count(*)::DOUBLE AS times FROM (
    SELECT lag(state, 1, 'start') OVER along AS here, state AS there FROM walk WINDOW along AS (PARTITION BY name ORDER BY ms, id)
    UNION ALL
    SELECT arg_max(state, (ms, id)), CASE WHEN any_value(won) THEN 'won' ELSE 'lost' END FROM walk GROUP BY name)
  GROUP BY ALL;

-- Costs, day by day.
CREATE TABLE spend AS
  SELECT department, currency, strftime(day, '%Y-%m') AS month, cents / days AS value
  FROM (SELECT department, amount.currency AS currency, CAST(amount.amount * 100 AS BIGINT) AS cents, last_day - first_day + 1 AS days,
          unnest(generate_series(first_day, last_day, INTERVAL 1 DAY)) AS day
        FROM read_json($costs, format = 'newline_delimited', columns = {department: 'VARCHAR', first_day: 'DATE', last_day: 'DATE',
          amount: 'STRUCT(amount DECIMAL(18, 2), currency VARCHAR)'}))
  WHERE day BETWEEN $first::DATE AND $last::DATE;
