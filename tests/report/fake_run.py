"""A run directory that nothing was trained for: realistic files for tests and for looking at.

`python -m tests.report.fake_run DIRECTORY` writes one and its report.
"""

from __future__ import annotations

import json
import pathlib
import sys

import numpy as np

from lesionjax.evaluation import evaluate, per_group, point_metrics, select_examples

NAMES = ('ak', 'bcc', 'bkl', 'df', 'mel', 'nv', 'scc', 'vasc')
_SHARES = np.array([0.07, 0.13, 0.12, 0.05, 0.18, 0.34, 0.06, 0.05])


def write_fake_run(
  directory: pathlib.Path, names=NAMES, images=300, epochs=12, resamples=100, skill=2.2, seed=0
) -> pathlib.Path:
  """Writes every file that a finished run holds, except checkpoints and the report."""
  directory.mkdir(parents=True, exist_ok=True)
  rng = np.random.default_rng(seed)
  shares = np.resize(_SHARES, len(names))
  shares = shares / shares.sum()
  metrics, counts = {}, {}
  for split in ('train', 'validation', 'test'):
    size = 4 * images if split == 'train' else images
    predictions = _predict(rng, split, names, shares, size, skill)
    counts[split] = _count(predictions, names)
    if split != 'train':
      metrics |= _evaluate(directory, rng, split, predictions, names, resamples)
  _write(directory / 'metrics.json', metrics)
  _write(directory / 'data.json', _data(names, counts))
  _write(directory / 'config.json', CONFIG)
  _write(directory / 'environment.json', ENVIRONMENT)
  lines = [json.dumps(record) for record in _history(rng, names, epochs)]
  (directory / 'metrics.jsonl').write_text('\n'.join(lines) + '\n')
  return directory


def _predict(rng, split, names, shares, size, skill):
  lesions = rng.choice(len(names), p=shares, size=max(size * 3 // 4, len(names)))
  lesions[: len(names)] = np.arange(len(names))
  owner = np.concatenate([np.arange(len(names)), rng.integers(len(lesions), size=size)])[:size]
  labels = lesions[owner]
  logits = rng.normal(size=(size, len(names))) + skill * np.eye(len(names))[labels]
  logits += np.log(shares) + rng.normal(size=(len(lesions), len(names)))[owner]
  probabilities = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
  return {
    'image_id': np.array([f'{split}_{row:07d}' for row in range(size)]),
    'group_id': np.array([f'{split}_lesion_{row:05d}' for row in owner]),
    'label': labels.astype(np.int32),
    'logits': logits.astype(np.float32),
    'probabilities': probabilities.astype(np.float32),
    'class_names': np.array(names),
  }


def _count(predictions, names):
  support = np.bincount(predictions['label'], minlength=len(names)).tolist()
  return {
    'images': len(predictions['label']),
    'groups': len(np.unique(predictions['group_id'])),
    'support': dict(zip(names, support, strict=True)),
  }


def _evaluate(directory, rng, split, predictions, names, resamples):
  np.savez_compressed(directory / f'predictions_{split}.npz', **predictions)
  labels, scores, groups = (predictions[key] for key in ('label', 'probabilities', 'group_id'))
  rows = select_examples(labels, scores, 24)
  images = np.stack([_lesion(rng, int(labels[row])) for row in rows])
  np.savez_compressed(directory / f'examples_{split}.npz', index=rows, image=images)
  colour = 0.35 * scores + 0.65 * rng.dirichlet(np.ones(len(names)), len(scores))
  per_image = evaluate(labels, scores, groups, names, resamples)
  per_image['colour_baseline_auc'] = evaluate(labels, colour, groups, names, resamples)['macro_auc']
  lesions = per_group(labels, scores, groups)
  return {split: per_image, f'{split}_per_lesion': evaluate(*lesions, names, resamples)}


def _lesion(rng, label, size=160):
  """A blob on skin, another colour for every class."""
  y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
  angle = np.arctan2(y, x)
  wobble = sum(rng.normal(0, 0.06) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(2, 6))
  inside = 1 / (1 + np.exp(18 * (np.hypot(x * rng.uniform(0.8, 1.25), y) - 0.55 - wobble)))
  skin = np.array([222, 178, 158]) + rng.normal(0, 8, 3)
  spot = np.array([120 - 9 * label, 72 + 3 * label, 62 + 6 * label]) + rng.normal(0, 8, 3)
  texture = rng.normal(0, 5, (size, size, 1))
  image = skin + inside[..., None] * (spot - skin) + texture
  image *= (1 - 0.25 * np.hypot(x, y) ** 3)[..., None]
  return np.clip(image, 0, 255).astype(np.uint8)


def _history(rng, names, epochs):
  """Records of every kind; validation overfits towards the end."""
  shares = np.resize(_SHARES, len(names)) / np.resize(_SHARES, len(names)).sum()
  for epoch in range(1, epochs + 1):
    progress = epoch / epochs
    for step in range(5):
      made = (epoch - 1) * 25 + 5 * step + 5
      yield {'kind': 'step', 'step': made, 'epoch': made / 25, 'loss': 2 - progress}
    for kind, gain in (('train', 3.0), ('validation', 2.4 - 0.5 * max(progress - 0.7, 0))):
      labels = rng.choice(len(names), p=shares, size=400)
      skill = gain * (1 - np.exp(-3 * progress)) * np.eye(len(names))[labels]
      logits = rng.normal(size=(400, len(names))) + skill + np.log(shares)
      scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
      values = point_metrics(labels, scores, names)
      clean = {key: value if np.isfinite(value) else None for key, value in values.items()}
      record = {'kind': kind, 'step': epoch * 25, 'epoch': epoch, 'loss': values['log_loss']}
      yield record | clean


def _data(names, counts):
  return {
    'name': 'synthetic_dermoscopy',
    'config': 'grouped',
    'version': '1.0.0',
    'description': 'Dermoscopic images drawn procedurally, with lesion and hair masks.',
    'citation': '@misc{synthetic,\n  title = {Synthetic dermoscopy},\n  year = {2025}\n}',
    'licence': 'Apache-2.0',
    'homepage': 'https://example.org/synthetic',
    'class_names': list(names),
    'splits': counts,
    'fingerprint': '9f2c' * 16,
  }


CONFIG = {
  'recipe': 'fake',
  'protocol': 'rigorous',
  'seed': 0,
  'data': {'name': 'synthetic_dermoscopy', 'size_px': 64, 'test_split': 'test', 'data_dir': ''},
  'augment': {'rotation_deg': 180.0, 'scale': [0.8, 1.25], 'flip_horizontal': True},
  'model': {'name': 'resnet18', 'arguments': {'width': 32}, 'dtype': 'float32'},
  'select': {'metric': 'balanced_accuracy', 'patience_epochs': 0},
}

ENVIRONMENT = {
  'created': '2025-01-31T12:00:00+00:00',
  'command': 'python main.py --config=configs/quickstart.py --workdir=runs/quickstart',
  'commit': '0123456789ab',
  'python': '3.11.7',
  'platform': 'Linux-6.1-x86_64',
  'cpu': 'A processor at 2.4 GHz',
  'cores': 2,
  'memory_gb': 8.0,
  'devices': ['cpu'],
  'backend': 'cpu',
  'packages': {'jax': '0.10.2', 'flax': '0.12.8', 'numpy': '2.4.6', 'tensorflow': ''},
  'wall_s': {'train': 312.4, 'evaluate': 8.13},
  'peak_memory_mb': 1840,
}


def _write(path, value):
  path.write_text(json.dumps(value))


if __name__ == '__main__':
  from lesionjax.report.page import write_report

  print(write_report(write_fake_run(pathlib.Path(sys.argv[1]), resamples=1000)))
