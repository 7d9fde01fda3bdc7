import json
import sys

from benchmarks import bootstrap


def test_it_measures_all_metrics_and_says_on_what(monkeypatch, tmp_path):
  path = tmp_path / 'results.jsonl'
  arguments = ['--images=80', '--resamples=5', '--classes=3', '--rounds=2', f'--json={path}']
  monkeypatch.setattr(sys, 'argv', ['bootstrap', *arguments])
  result = bootstrap.main()
  assert result['metrics'] == 12 + 6 * 3
  assert result['seconds_low'] <= result['seconds'] <= result['seconds_high']
  assert 'numpy' in result['hardware']['versions']
  assert json.loads(path.read_text()) == result
