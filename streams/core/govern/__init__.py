"""May this customer be contacted? The rules of the policy's `[[rules]]`, asked before a contact and after it. Pure: no IO, no clock.

    policy, defaults, loading     the language: one record a kind of rule; the shipped rules; a file over them, mistakes with lines
    mistakes, positions           what is wrong in a file, where, and which name was meant
    reasons                       why not: one enum for findings and checks
    records                       what a check is given (`Contact`, `Standing`) and answers (`Verdict`)
    clocks, windows               time zones, holidays; rolling and calendar windows
    segments, expressions         which customers a rule (a team, ...) is for: by lists, or by an expression in CEL
    consents                      what is known of consent, and what says so: for checks, and for the brief of a lead
    counting, pairs, times, facts the kinds of rules as they judge (`ruling.Ruling`)
    compiled, scene, evaluate     a policy made ready, a customer sorted out by rule, all rules asked about an instant
    check                         the verdict; `known` gives what it needs of a timeline
    colleagues                    who belongs to which company, and what its people got, where everybody is at hand
    forecast                      plans that will collide
    enforcing, backtest           a policy enforced on the past; two policies on the same past
    streams.core.detect.governed  the same rules after the fact, as conflict findings

How it fits together:

- *One judge.* A kind of rule is one class with one function, `hinders(contact, t, scene, counts)`. Checks ask it about an instant to come,
  with what is known now; findings ask it about each contact, with what was before it. So the two cannot disagree, and what was allowed
  at the moment it was made has no finding afterwards, unless a touch came late or came without asking.
- *Slots by jumps.* A rule that hinders says until when at least. The slot search goes there and asks again; no free instant is passed
  over, so a slot is the first free millisecond. `NeverWith` and all others that only end by another event say "forever".
- *Both sides.* A contact planned before others that are held (reservations, plans) is also asked whether it would break a rule for those,
  where it is subject to the rule itself. One that is exempt is never stopped for them: so a held slot is checked again when it is used.
- *Subject and counted.* `applies_to`/`exempt` say what a rule stops, `counts`/`ignores` what it counts. All filters read attributes of the
  touch as it was sent: a category that is renamed later changes no verdict. Filters are asked once for each sort of contact.
- *Segments.* Lists, and an expression in CEL. What nobody has said is empty text, in both; so an expression has an answer for everybody.
  It is made ready once for each text, and remembers its answers: some 2 us, and 30 for values that it has not met.
- *Windows.* Rolling ones are open at their far end: exactly 24 h apart is no conflict, as in `double_contact`. Calendar ones are those of
  the customer's time zone, by the clock: a day may have 23 or 25 hours, a month 28 days. Contacts at the same millisecond count as
  before each other.
- *Actions.* `alert` lets the contact pass; `require_approval` does when somebody approved. Of several broken rules the one with the
  highest priority says what to do.
- *Companies.* What colleagues got comes with a check, and a forecast or back-test, which has all timelines, knows it; findings, made of one
  timeline, do not.
- *What a timeline cannot know* (consent records, owners, deals, the do-not-contact list, attributes of segments) comes with
  the question, in `Standing`; rules that rest on it are for checks only. Nothing lifts an opt-out: the least permissive word holds.
- *Cost.* With `governance.findings` off, a touch costs one attribute look-up. A check costs some tens of microseconds.
"""
