"""The README's table of models."""

import json

from lesionjax.models import MODELS
from lesionjax.report import model_table

LINE = {'size': 224, 'batch': 8, 'device': 'cpu', 'model': 'cnn', 'ours': 0.5, 'ratio': 1.25}


def write(root, **changes):
  (root / 'docs' / 'benchmarks').mkdir(parents=True, exist_ok=True)
  with open(root / 'docs' / 'benchmarks' / 'inference.jsonl', 'a') as file:
    file.write(json.dumps({**LINE, **changes}) + '\n')


def test_speeds_come_from_the_benchmarks(tmp_path, monkeypatch):
  monkeypatch.setattr(model_table, 'MODELS', {'cnn': MODELS['cnn']})
  assert model_table.rows(tmp_path)[0][4:] == ['not measured'] * 4
  write(tmp_path)
  write(tmp_path, size=64, ours=0.1)  # too small to stand for the model
  write(tmp_path, device='NVIDIA H200', ours=0.001, ratio=2.0, size=256)
  (row,) = model_table.rows(tmp_path)

  assert row[:2] == ['`cnn`', '1.5']
  assert row[4:] == ['16.0 (1.25)', 'not measured', '8000.0 (256 px, 2.00)', 'not measured']


def test_a_page_that_drifted_is_told_and_mended(tmp_path, monkeypatch, capsys):
  monkeypatch.setattr(model_table, 'MODELS', {name: MODELS[name] for name in ('cnn', 'resnet18')})
  root = ['--root', str(tmp_path)]
  assert model_table.main(root) == 1
  assert 'models:begin' in capsys.readouterr().err
  page = tmp_path / 'README.md'
  page.write_text('before\n<!-- models:begin -->\nold\n<!-- models:end -->\nafter\n')

  assert model_table.main([*root, '--check']) == 1
  assert 'old' in page.read_text()
  assert model_table.main(root) == 0
  assert model_table.main([*root, '--check']) == 0
  text = page.read_text()
  assert text.startswith('before\n')
  assert text.endswith('after\n')
  assert 'old' not in text
  assert '| `resnet18` | 11.7 | 3.63 at 224 | [timm/resnet18.tv_in1k]' in text
