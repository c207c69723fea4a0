"""The simulation of a large cluster runs with small numbers, and says what breaks first."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.cluster.__main__ import main
from benchmarks.cluster.report import Report, Row


def test_the_simulation_measures_every_part(tmp_path: Path) -> None:
    result = CliRunner().invoke(main, ["--simulate", "--quick", "--folder", str(tmp_path)])

    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout.splitlines()[-1])
    rows = [Row(**{name: row[name] for name in Row.__dataclass_fields__}) for row in found["rows"]]
    assert {row.part for row in rows} == {"memory", "events", "queue", "placement", "listing"}
    for row in rows:
        assert f"| {row.part} | {row.subject}" in result.stdout
        assert row.goal > 0
        assert row.at > 0
    assert "Breaks first:\n1. " in result.stdout
    assert found["problems"] == []
    assert list(tmp_path.iterdir()) == []


def test_one_part_is_measured_alone(tmp_path: Path) -> None:
    arguments = ["--simulate", "--quick", "--part", "placement", "--folder", str(tmp_path)]

    result = CliRunner().invoke(main, arguments)

    assert {row["part"] for row in json.loads(result.stdout.splitlines()[-1])["rows"]} == {"placement"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--simulate", "--part", "quue"],
            "quue is no part. Choose of memory, events, queue, placement, listing.",
        ),
        (["--simulate", "--runs", "0"], "0 is not in the range x>=1."),
        (["--simulate", "--folder", "nowhere"], "Directory 'nowhere' does not exist."),
    ],
)
def test_a_wrong_argument_is_refused_in_a_sentence(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert sentence in result.output
    assert "Traceback" not in result.output


def test_headroom_compares_rates_and_costs_with_their_goals() -> None:
    rate = Row("events", "written", 500.0, 1_000.0, "a second", True, 1_000, "computers")
    cost = Row("listing", "ids", 0.25, 1.0, "s", False, 20_000, "runs", "20,000 runs")
    report = Report([cost, rate])

    assert rate.headroom == 0.5
    assert rate.holds_up_to == "500 computers"
    assert cost.headroom == 4.0
    assert cost.holds_up_to == "80,000 runs"
    assert "| listing | ids, 20,000 runs | 0.25 s | at most 1 | 4 | 80,000 runs |" in report.table()
    assert report.breaks_first().startswith("1. written: 0.5 of the goal, holds up to 500 computers\n2. ids")
