"""`touchstream`: the command line. Commands live in `streams.commands`, one a module, loaded when called."""

from __future__ import annotations

import importlib

import click

COMMANDS = {
    "demo": "Start everything here, publish a day of touches, show the conflicts and hand-offs found.",
    "up": "Start Kafka, a Redis-compatible server and workers on this machine.",
    "worker": "Run one worker against Kafka and Redis.",
    "gateway": "Answer checks and hold slots over HTTP.",
    "check": "Ask whether a customer may be contacted.",
    "send": "Publish touches: one from options, or JSON lines from standard input.",
    "plan": "Publish what is planned, or withdraw it: what collides becomes a finding.",
    "consent": "Record what a customer agreed to, for a channel and a purpose, and show what holds.",
    "import": "Publish touches from a provider's export or webhook log.",
    "deals": "Publish deals: JSON lines from the CRM.",
    "costs": "Publish costs: JSON lines from the books.",
    "tail": "Print conflicts, hand-offs or dead letters as they come.",
    "opt-outs": "Say how long contacts went on after each opt-out.",
    "handoff": "Show the leads that sales has, and accept, reject, recycle or disqualify them.",
    "acknowledge": "Say that you act on a finding, so that it is never retracted under your hands.",
    "dead-letter": "List dead letters, and replay them once mended.",
    "customer": "Erase a person, or export everything held about one.",
    "identity": "Show who an identifier belongs to, and why; split whom a mistake made one.",
    "backtest": "Find conflicts and hand-offs in a file of touches, without Kafka.",
    "forecast": "Say what planned touches will collide with, of a file or as published.",
    "report": "Write the ledger of a period: cost, income, whose work it was, hand-offs.",
    "ledger": "Keep the ledger's figures up to date, from the topics to a topic.",
    "congruence": "Compare a web page with a salesperson's profile.",
    "topics": "Create, check and list the topics.",
    "check-policy": "Validate a policy file.",
    "policy": "Publish a policy, and see which is in force; its JSON Schema, and the reasons of conflicts.",
    "settings": "List every setting with its default and meaning.",
    "metrics": "List every metric with its meaning and remedy.",
}
_MODULES = {
    "import": "import_",
    "dead-letter": "dead_letter",
    "opt-outs": "opt_outs",
    "deals": "books",
    "costs": "books",
    "check-policy": "reference",
    "settings": "reference",
    "metrics": "reference",
}


class LazyGroup(click.Group):
    """Loads a command's module only when it is called, so that `touchstream --help` is quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"streams.commands.{_MODULES.get(cmd_name, cmd_name)}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_").replace("import", "import_"))
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup)
@click.version_option(package_name="touchstream")
def main() -> None:
    """One stream of customer touches, so that sales and marketing act as one."""


if __name__ == "__main__":
    main()
