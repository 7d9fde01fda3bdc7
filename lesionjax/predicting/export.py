"""The mode `export`: a trained classifier as StableHLO, to be run where lesionjax is not."""

from __future__ import annotations

import hashlib
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from data_builders.errors import UserError
from lesionjax.host import environment, files
from lesionjax.predicting import export_words
from lesionjax.predicting.fitted import POINT, Fitted, read_fitted
from lesionjax.predicting.network import Member
from lesionjax.runs import assembly, run_directory

PLATFORMS = ('cpu', 'cuda', 'tpu')
_FILE = 'model.stablehlo'


def export(workdir: str, out: str) -> str:
  """Writes model.stablehlo, model.json and README.txt.

  The program takes uint8 [b, H, W, 3] RGB, preprocessed and of the network's size, of any b, and
  returns probabilities (after the temperature) and logits, both float32 [b, K]. It holds the
  weights, and is lowered for all of `PLATFORMS`, whatever runs here.

  Args:
    workdir: a classifier's run that was evaluated.
    out: the folder; files of these names are replaced.

  Returns:
    The path of model.json.

  Raises:
    UserError: the run is none, or flatbuffers, which jax writes the program with, is missing.
  """
  if not workdir or not out:
    raise UserError('--mode=export needs --workdir=RUN and --out=DIR.')
  if ',' in workdir:
    raise UserError(f'--workdir={workdir}: one run at a time is exported.')
  fitted = read_fitted([workdir])
  member = Member(workdir, 'none')
  program = serialised(member, fitted.temperatures[0])
  about = _about(workdir, member, fitted, program)
  files.write_bytes(os.path.join(out, _FILE), program)
  files.write_text(os.path.join(out, 'README.txt'), export_words.readme(about))
  path = os.path.join(out, 'model.json')
  files.write_json(path, about)
  for note in about['notes']:
    print(note)
  print(
    f'{len(program) / 1e6:.1f} MB for {", ".join(PLATFORMS)} in {out}; run here on'
    f' {jax.default_backend()} only.'
  )
  return path


def _about(workdir: str, member: Member, fitted: Fitted, program: bytes) -> dict[str, Any]:
  """What model.json says: all that the program's numbers need to be understood and used."""
  sets = fitted.conformal
  classifier = member.classifier
  return {
    'file': _FILE,
    'sha256': hashlib.sha256(program).hexdigest(),
    'platforms': list(PLATFORMS),
    'input': {
      'shape': ['b', *classifier.size, 3],
      'dtype': 'uint8',
      'channels': 'RGB',
      'range': [0, 255],
    },
    'outputs': {
      'probabilities': 'float32 [b, K], softmax(logits / temperature)',
      'logits': 'float32 [b, K]',
    },
    'classes': list(classifier.class_names),
    'preprocessing': export_words.steps(classifier),
    'inside_the_program': export_words.inside(classifier.config),
    'temperature': fitted.temperatures[0],
    'positive': {'name': fitted.positive.name, 'classes': list(fitted.positive.classes)},
    'thresholds': _thresholds(workdir),
    'operating_point': None if fitted.threshold is None else POINT,
    'conformal': None
    if sets is None
    else {
      'rule': 'a class is in the set where 1 - probability <= its threshold; null: always',
      'coverage': sets.coverage,
      'thresholds': dict(zip(sets.class_names, sets.thresholds.tolist(), strict=True)),
    },
    'notes': [*fitted.notes, *export_words.left_out(member)],
    'licence': export_words.licence(workdir),
    'model': classifier.config.model.name,
    'dtype': classifier.config.model.dtype,
    'jax': jax.__version__,
    'commit': environment.code_commit(),
    'run': os.path.basename(os.path.abspath(workdir)),
  }


def serialised(member: Member, temperature: float) -> bytes:
  """The program of a run, weights included, with a symbolic batch size.

  Args:
    member: the run.
    temperature: what its logits are divided by.

  Returns:
    What `jax.export.deserialize` reads.

  Raises:
    UserError: flatbuffers is missing.
  """
  from jax import export as jax_export

  classifier = member.classifier
  step = assembly.make_eval_step(classifier.config, classifier.model)
  # As NumPy arrays they are constants of the program, on no device.
  weights = jax.tree.map(np.asarray, classifier.weights)

  def run(image: jax.Array) -> dict[str, jax.Array]:
    logits = step(weights, {'image': image})['logits'].astype(jnp.float32)
    return {'probabilities': jax.nn.softmax(logits / temperature), 'logits': logits}

  (batch,) = jax_export.symbolic_shape('b')
  image = jax.ShapeDtypeStruct((batch, *classifier.size, 3), np.uint8)
  exported = jax_export.export(jax.jit(run), platforms=PLATFORMS)(image)
  try:
    return bytes(exported.serialize())
  except ImportError as error:
    raise UserError(
      '--mode=export needs flatbuffers, which jax writes the program with: pip install flatbuffers.'
    ) from error


def _thresholds(run_dir: str) -> dict[str, float]:
  """Name to threshold of thresholds.json; {} without."""
  if not (run_directory.locate(run_dir) / 'thresholds.json').exists():
    return {}
  content = run_directory.read_json(run_dir, 'thresholds.json', '')
  return {name: point['threshold'] for name, point in content['fitted']['points'].items()}
