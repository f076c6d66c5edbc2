"""Record what Evidently itself says of the seeded tables, by its defaults.

Run where it is installed, from the root:

make bench-peers                                      # builds its environment, and compares afresh
.tools/peers/evidently/bin/python tests/compat/make_fixture.py
"""

from __future__ import annotations

import argparse
import json
import re
import warnings
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from cases import cases  # type: ignore[import-not-found]  # run as a script
from evidently import Report  # type: ignore[import-not-found]
from evidently.presets import DataDriftPreset  # type: ignore[import-not-found]

FILE = Path(__file__).with_name("evidently.json")
_METRIC = re.compile(r"ValueDrift\(column=(?P<column>\w+),method=(?P<method>.+),threshold=(?P<threshold>[\d.]+)\)")


def recorded(baseline: pd.DataFrame, window: pd.DataFrame) -> dict[str, object]:
    """Method, score, threshold and verdict of each column, and those of the table."""
    said = Report([DataDriftPreset()], include_tests=True).run(window, baseline).dict()
    failed = {t["metric_config"]["metric_id"]: t["status"] == "FAIL" for t in said["tests"]}
    columns, table = {}, {}
    for metric in said["metrics"]:
        found = _METRIC.fullmatch(metric["metric_name"])
        if found is None:
            table = {"share": metric["value"]["share"], "drifted": failed[metric["id"]]}
            continue
        score = float(metric["value"])
        columns[found["column"]] = [found["method"], score, float(found["threshold"]), failed[metric["id"]]]
    return {"columns": columns, "table": table}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FILE)
    file = parser.parse_args().out
    warnings.simplefilter("ignore")
    made = {name: recorded(pd.DataFrame(one), pd.DataFrame(two)) for name, one, two in cases()}
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(said)}" for name, said in made.items())
    head = ", ".join(f'"{name}": "{version(name)}"' for name in ("evidently", "pandas", "numpy", "scipy"))
    file.write_text(f'{{{head}, "cases": {{\n{lines}\n}}}}\n', encoding="utf-8")
    print(f"wrote {file}: {len(made)} tables, evidently {version('evidently')}")


if __name__ == "__main__":
    main()
