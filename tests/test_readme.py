"""The README says what the program says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from livelav.cli import cli
from livelav.core.presets import list_presets
from livelav.tables import keys_markdown, params_markdown

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", [params_markdown(), keys_markdown()])
def test_tables_are_the_programs_own(table):
    assert table in README, "paste the output of `livelav params --markdown` into the README"


def test_every_flag_that_it_names_exists():
    known = {flag for param in cli.params for flag in param.opts}
    for command in cli.commands.values():
        for one in [command, *getattr(command, "commands", {}).values()]:
            known |= {flag for param in one.params for flag in param.opts}
    named = set(re.findall(r"`[^`]*?(--[a-z][a-z-]+)", README)) | set(
        re.findall(r"livelav [^`\n]*?(--[a-z][a-z-]+)", README)
    )
    assert named - known <= {"--fast"}


def test_every_verb_of_it_exists():
    verbs = set(re.findall(r"`livelav ([a-z]+)", README))
    assert verbs and verbs <= cli.commands.keys()


def test_every_shipped_preset_is_named():
    assert all(f"`{listed.name}`" in README for listed in list_presets() if listed.shipped)


def test_local_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert target.startswith("https://") or (ROOT / target).exists(), target


def test_its_python_runs():
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {"samples": np.zeros(24_000, np.float32)}
    exec(code, names)
    assert names["image"].shape == (256, 256, 4)


def test_params_are_printed_for_people_and_for_programs():
    plain = CliRunner().invoke(cli, ["params"])
    assert plain.exit_code == 0 and "--mapping-norm" in plain.output
    assert CliRunner().invoke(cli, ["params", "--markdown"]).output == params_markdown()
    table = json.loads(CliRunner().invoke(cli, ["params", "--json"]).output)
    assert {"name": "smoothing.coarse", "cc": 22}.items() <= next(
        row for row in table["params"] if row["name"] == "smoothing.coarse"
    ).items()
