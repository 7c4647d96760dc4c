"""`[leads]` and `[[teams]]` of a policy file: what no type can say is told with its line too."""

from __future__ import annotations

import pytest

from streams.core.policy import parse
from tests.core.mistakes import one_is_told

TEAMS = """[[teams]]
name = "north"
[[teams.reps]]
id = "ana"
[[teams.reps]]
id = "bo"
"""

TWICE = 'escalations = [{ after = "1h", action = "manager" }, { after = "1h", action = "reassign" }]\n'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TEAMS + '[[teams]]\nname = "north"', "p:8: teams[1].name: two teams have the name `north`"),
        (TEAMS.replace('"bo"', '"ana"'), "p:6: teams[0].reps[1].id: `ana` is in team north already"),
        (TEAMS + 'calendar = { time_zone = "Europe/Lisboa" }', "p:7: teams[0].reps[1].calendar.time_zone: `Europe/Lisboa` is no"),
        (TEAMS + 'calendar = { country = "ESP1" }', "p:7: teams[0].reps[1].calendar.country: no holidays are known of `ESP1`"),
        (TEAMS + "absent = [{ first = 2026-03-04, last = 2026-03-03 }]", "p:7: teams[0].reps[1].absent[0]: the absence ends on"),
        ('[[teams]]\nname = "n"\nsegment = { attributes = { tier = ["a"] } }', "p:3: teams[0].segment.attributes: attributes are"),
        (TEAMS.replace("[[", TWICE + "[[", 2).replace(TWICE, "", 1), "p:3: teams[0].escalations[1].after: another step comes after `1h`"),
        ('[leads.owners]\nacme = " "', "p:2: leads.owners.acme: an account needs the id of its owner"),
    ],
)  # fmt: skip
def test_a_mistake(text: str, told: str) -> None:
    """One mistake, one line of text."""
    one_is_told(text, told)


def test_one_consequence_keeps_the_others() -> None:
    """Who says where one reason leads keeps the default of the other thirteen."""
    changed = parse('[leads.on_reject]\nno_budget = "disqualify"').leads.on_reject
    assert len(changed) == 14
    assert (changed["no_budget"], changed["wrong_territory"]) == ("disqualify", "reroute")
