"""Exported programs, loaded where lesionjax is not."""

from __future__ import annotations

import hashlib
import json
import pathlib
import subprocess
import sys
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lesionjax
from configs import base
from data_builders.errors import UserError
from lesionjax.models import build_model
from lesionjax.predicting import export_words
from lesionjax.predicting.export import export, serialised
from lesionjax.runs import assembly
from lesionjax.runs.inference import shapes_of, softmax

# Reads a program and images, writes what the program says of all of them and of the first.
_LOADER = """
import sys
import numpy as np
from jax import export
program = export.deserialize(bytearray(open(sys.argv[1], 'rb').read()))
assert program.platforms == ('cpu', 'cuda', 'tpu'), program.platforms
images = np.load(sys.argv[2])
found = {}
for name, rows in (('all', images), ('one', images[:1])):
  for key, value in program.call(rows).items():
    found[f'{name}_{key}'] = np.asarray(value)
assert not [name for name in sys.modules if name.split('.')[0] in ('lesionjax', 'flax')]
np.savez(sys.argv[3], **found)
"""


def run_elsewhere(program: pathlib.Path, images: np.ndarray, folder: pathlib.Path):
  np.save(folder / 'images.npy', images)
  files = [str(program), str(folder / 'images.npy'), str(folder / 'found.npz')]
  done = subprocess.run(
    [sys.executable, '-c', _LOADER, *files], cwd=folder, capture_output=True, text=True, timeout=600
  )
  assert done.returncode == 0, done.stderr[-2000:]
  with np.load(folder / 'found.npz') as found:
    return dict(found)


def drawn(size: int, count: int = 5) -> np.ndarray:
  return np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


def test_a_run_loads_without_lesionjax_and_says_the_same(fitted_run, tmp_path):
  about = json.loads(pathlib.Path(export(str(fitted_run), str(tmp_path / 'out'))).read_text())
  program = tmp_path / 'out' / about['file']
  assert hashlib.sha256(program.read_bytes()).hexdigest() == about['sha256']
  images = drawn(16)
  found = run_elsewhere(program, images, tmp_path)
  loaded = lesionjax.load(str(fitted_run))
  logits = loaded.look(iter(images), len(images))['logits']
  np.testing.assert_allclose(found['all_logits'], logits, atol=1e-5)
  np.testing.assert_allclose(found['all_probabilities'], softmax(logits / 2), atol=1e-5)
  np.testing.assert_allclose(found['one_probabilities'], softmax(logits[:1] / 2), atol=1e-5)
  assert about['classes'] == list(loaded.class_names)
  assert (about['temperature'], about['thresholds']) == (2.0, {'sensitivity_90': 0.0})
  assert about['conformal']['thresholds']['mel'] is None
  assert [step['step'] for step in about['preprocessing']] == ['decode', 'resize']
  assert 'synthetic_dermoscopy' in about['licence']
  assert 'export.deserialize' in (tmp_path / 'out' / 'README.txt').read_text()


def member_of(name: str, size: int, dtype: str, arguments: dict) -> types.SimpleNamespace:
  """A run of that network with weights drawn by NumPy: drawing them in jax is compiled for long."""
  config = base.get_config()
  config.model.name, config.model.dtype = name, dtype
  model = build_model(name, 7, jnp.dtype(dtype), **arguments)
  rng = np.random.default_rng(0)
  weights = jax.tree.map_with_path(
    lambda path, leaf: (
      np.ones(leaf.shape, leaf.dtype)
      if path[-1].key in ('var', 'scale')
      else (rng.normal(size=leaf.shape) / max(1, np.prod(leaf.shape[:-1])) ** 0.5).astype(
        leaf.dtype
      )
    ),
    shapes_of(model, size),
  )
  classifier = types.SimpleNamespace(config=config, model=model, weights=weights, size=(size, size))
  return types.SimpleNamespace(classifier=classifier)


@pytest.mark.parametrize(
  ('name', 'size', 'dtype', 'arguments'),
  [
    ('cnn', 32, 'float32', {'widths': (8, 16), 'dense_features': 8}),
    ('cnn', 32, 'bfloat16', {'widths': (8, 16), 'dense_features': 8}),
    *(
      pytest.param(*case, marks=pytest.mark.slow)
      for case in [
        ('resnet18', 32, 'float32', {}),
        ('efficientnet_b0', 32, 'float32', {}),
      ]
    ),
    *(
      pytest.param(*case, marks=pytest.mark.large)
      for case in [
        ('resnet18', 32, 'bfloat16', {}),
        ('densenet121', 32, 'float32', {}),
        ('vit_s16', 32, 'float32', {'grid': 2}),
        ('vgg16_bn', 32, 'float32', {}),
        ('vit_s16', 32, 'bfloat16', {'grid': 2}),
      ]
    ),
  ],
)
def test_every_family_is_lowered_for_three_platforms(name, size, dtype, arguments, tmp_path):
  member = member_of(name, size, dtype, arguments)
  program = tmp_path / 'program'
  program.write_bytes(serialised(member, 1.5))  # type: ignore[arg-type]
  images = drawn(size)
  found = run_elsewhere(program, images, tmp_path)
  classifier = member.classifier
  step = jax.jit(assembly.make_eval_step(classifier.config, classifier.model))
  logits = np.asarray(step(classifier.weights, {'image': images})['logits'], np.float32)
  assert np.ptp(logits) > 1e-3
  # bfloat16 keeps eight bits: another batch size, or another program, rounds a logit of 2 to .008.
  close = {'float32': 1e-5, 'bfloat16': 2e-2}[dtype]
  np.testing.assert_allclose(found['all_probabilities'], softmax(logits / 1.5), atol=close)
  np.testing.assert_allclose(found['one_logits'], found['all_logits'][:1], atol=close)


def test_mistakes_are_told(run, segmenter, tmp_path):
  with pytest.raises(UserError, match='one run at a time'):
    export(f'{run},{run}', str(tmp_path))
  with pytest.raises(UserError, match="is a run of task 'segment'"):
    export(str(segmenter), str(tmp_path))
  with pytest.raises(UserError, match='needs --workdir'):
    export(str(run), '')


def test_a_program_without_its_first_stage_says_so():
  config = types.SimpleNamespace(segmenter=None)
  member = types.SimpleNamespace(looks=True, classifier=config)
  (note,) = export_words.left_out(member)  # type: ignore[arg-type]
  assert 'does not find them' in note
  member.looks = False
  assert not export_words.left_out(member)  # type: ignore[arg-type]
