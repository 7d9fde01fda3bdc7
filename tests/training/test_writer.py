"""metrics.jsonl after a kill: nothing twice, nothing lost."""

import json

from lesionjax.training.writer import Writer


def steps(path):
  return [json.loads(line)['step'] for line in path.read_text().splitlines()]


def test_resuming_cuts_what_came_after_the_checkpoint(tmp_path):
  writer = Writer(tmp_path)
  for step in range(1, 8):
    writer.write('step', step, 0.0, {'loss': 1.0})
  writer.close()
  path = tmp_path / 'metrics.jsonl'
  path.write_text(path.read_text() + '{"kind": "step", "st')  # killed while writing
  writer = Writer(tmp_path, resume_step=5)
  assert steps(path) == [1, 2, 3, 4, 5]
  writer.write('step', 6, 0.0, {'loss': 1.0})
  writer.close()
  assert steps(path) == [1, 2, 3, 4, 5, 6]


def test_nothing_is_on_disk_before_flush_and_nan_is_null(tmp_path):
  writer = Writer(tmp_path)
  writer.write('validation', 3, 1, {'macro_auc': float('nan'), 'loss': 0.5})
  assert steps(tmp_path / 'metrics.jsonl') == []
  writer.flush()
  record = json.loads((tmp_path / 'metrics.jsonl').read_text())
  assert record == {'kind': 'validation', 'step': 3, 'epoch': 1, 'macro_auc': None, 'loss': 0.5}


def test_a_new_run_starts_an_empty_file(tmp_path):
  (tmp_path / 'metrics.jsonl').write_text('{"kind": "step", "step": 3}\n')
  Writer(tmp_path).close()
  assert steps(tmp_path / 'metrics.jsonl') == []
