"""Writes recorded.json, what the challenge's own program says of the recorded cases.

In an environment with the extra `official`: python -m tests.evaluation.official.record
"""

from __future__ import annotations

import json
import pathlib

from tests.evaluation.official import challenge_tables, program

FILE = pathlib.Path(__file__).parent / 'recorded.json'


def main() -> None:
  score = program.load()
  assert score is not None, 'isic-challenge-scoring is not installed'
  found = {
    name: {metric: score(*pair, metric) for metric in program.METRICS}
    for name, pair in challenge_tables.recorded_cases().items()
  }
  FILE.write_text(json.dumps(found, indent=1) + '\n')


if __name__ == '__main__':
  main()
