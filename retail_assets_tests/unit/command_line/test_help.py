"""What a newcomer reads first: the commands, in the order of the work."""

from typer.testing import CliRunner

from retail_assets.command_line import cli


def test_the_commands_stand_in_the_order_of_the_work_and_each_in_a_group() -> None:
    shown = CliRunner().invoke(cli.app, ["--help"], env={"COLUMNS": "120"}).output
    panels = ["Run", "Connect a source", "Look at the result", "Try before you change"]
    places = [shown.index(f"─ {panel} ─") for panel in panels]
    assert places == sorted(places)
    assert "─ Commands ─" not in shown, "a command without a group stands there"
    assert (
        shown.index("│ run ") < shown.index("│ new-mapping ") < shown.index("│ dashboard ") < shown.index("│ what-if ")
    )
