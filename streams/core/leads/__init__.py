"""Leads that marketing hands to sales and gets back: one state machine a customer, folded from the customer's timeline.

policy      `[leads]` and `[[teams]]`
acts        what people and time do to a lead, as entries of the timeline
states      the states, and the value in which a lead is kept
fold        one entry onto a lead
routing     who gets it, and by when (business time: `calendars`)
events      what is published
brief       what sales is told with it
follow      the events that follow when a timeline changes
elsewhere   leads that go to another customer id, come from one, or are erased
asked       what sales says, as commands
deals       what the CRM's deals say, as commands
deal_acts   the order in which it holds
told        what follows from them, and from the moments at which something is due
"""
