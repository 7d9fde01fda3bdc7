"""What a run ran on is kept beside what evaluates it later."""

from __future__ import annotations

import json

from lesionjax.host import environment


def test_what_trained_a_run_stays_when_it_is_evaluated_again(tmp_path):
  environment.write(tmp_path, {'train': 5.0, 'evaluate': 1.0})
  environment.write(tmp_path, {'evaluate': 2.0})
  found = json.loads((tmp_path / 'environment.json').read_text())
  assert found['wall_s'] == {'train': 5.0, 'evaluate': 1.0}
  assert found['evaluated_again']['wall_s'] == {'evaluate': 2.0}
