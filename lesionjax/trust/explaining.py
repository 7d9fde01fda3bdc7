"""explanations.json and explanations_<split>.npz: what a classifier looked at, and how well shown.

Two lots of images: those on the page, chosen because they are errors, and a random sample of the
split, on which everything is measured, since what is true of errors need not be true of the rest.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from lesionjax.evaluation.operating.positive import positive_of
from lesionjax.evaluation.relevance import artefacts
from lesionjax.evaluation.selection import select_explained
from lesionjax.explain import maps
from lesionjax.explain.explained import ExplainedRun
from lesionjax.host import files
from lesionjax.models import cost
from lesionjax.runs.scoring import write_npz
from lesionjax.trust import explanation_quality as quality
from lesionjax.trust.evaluated import Evaluated
from lesionjax.trust.lesions_of_split import lesions_of
from lesionjax.trust.looked_at import Looked, look

FILE = 'explanations.json'
# Images in the sample: of all for Grad-CAM, of its first for what costs dozens of passes, and for
# the comparison with random weights.
_SAMPLE, _COSTLY, _RANDOMISED = 200, 24, 32
_LEAST = 8
_BATCH = 2 * quality.CURVE_STEPS + 1  # the images of one pair of curves: nothing is padded
# A network with more arithmetic an image gets a smaller sample: a minute on one core stays minutes.
_FREE_GFLOP = 0.6
_SEED = 0

Stored = dict[str, np.ndarray]


def write(evaluated: Evaluated) -> None:
  """Explains the first measured split; nothing where `config.evaluate.explain` is 0.

  Args:
    evaluated: a classifier's outputs.

  Raises:
    UserError: the run's weights, or an image, cannot be read.
  """
  count = int(evaluated.config.evaluate.explain)
  if not count or not evaluated.measured:
    return
  name = evaluated.measured[0]
  split, clock = evaluated.splits[name], _Clock()
  run = ExplainedRun(evaluated.run_dir, _BATCH)
  rows, kinds = _chosen(evaluated, name, count)
  sample = _sample(run, len(split))
  read, source = lesions_of(split)
  looked = look(read, split, np.concatenate([sample, rows]), run.size)
  clock.lap('images')
  guesses = evaluated.logits(name).argmax(1)[looked.rows]
  costly = min(_scaled(run, _COSTLY), len(sample))
  found, shown = _explained(run, looked, guesses, len(sample), costly)
  clock.lap('maps')
  measured = looked.take(np.arange(len(sample)))
  groups = evaluated.groups(name)[sample]
  resamples = int(evaluated.config.evaluate.resamples)
  some = {method: each[:costly] for method, each in found.items()}
  curves = quality.perturbation_curves(run, some, measured, guesses, groups, resamples)
  clock.lap('deletion and insertion')
  cheap = {method: found[method] for method in maps.CHEAP}
  size = min(_scaled(run, _RANDOMISED), len(sample))
  random = quality.randomisation(run, cheap, measured, guesses, groups, resamples, size)
  clock.lap('random weights')
  content = {
    'split': name,
    'view': split.lesion.mode,
    'masks': source,
    'images': {
      'shown': len(rows),
      'measured': len(sample),
      'costly': costly,
      'with_lesion': int(measured.known.sum()),
      'of': len(split),
    },
    **_settings(run),
    'methods': quality.localisation(found, measured, groups, resamples),
    'perturbation': curves,
    'randomisation': random,
    'alarms': quality.alarm_counts(found, measured, split.image_ids[sample], groups, resamples),
    'alarm_rule': {'share': artefacts.ALARM_SHARE, 'ratio': artefacts.ALARM_RATIO},
  }
  _write_shown(evaluated, name, looked.take(np.arange(len(sample), len(looked.rows))), kinds, shown)
  files.write_json(evaluated.out_dir / FILE, content | {'seconds': clock.laps})


def _settings(run: ExplainedRun) -> dict[str, Any]:
  """How the maps were made."""
  layer = maps.cam_layer(run.feature_maps())
  return {
    'size': list(run.size),
    'layer': layer,
    'cells': list(run.feature_maps()[layer][:2]),
    'integrated_gradients_steps': maps.STEPS,
    'occlusion_px': list(maps.occlusion_px(run.size)),
  }


class _Clock:
  """Seconds that each part took."""

  def __init__(self) -> None:
    self.laps: dict[str, float] = {}
    self._last = time.perf_counter()

  def lap(self, name: str) -> None:
    now = time.perf_counter()
    self.laps[name] = round(now - self._last, 2)
    self._last = now


def _chosen(evaluated: Evaluated, name: str, count: int) -> tuple[np.ndarray, list[str]]:
  """Rows for the page, and why each is there."""
  positive = positive_of(evaluated.config.evaluate.positive, evaluated.class_names)
  flags = np.zeros(len(evaluated.class_names), bool)
  flags[list(positive.indices)] = True
  return select_explained(
    evaluated.labels(name), evaluated.probabilities(name), flags, count, evaluated.groups(name)
  )


def _sample(run: ExplainedRun, count: int) -> np.ndarray:
  """Random rows of a split, in random order, so that its beginning is a sample too."""
  order = np.random.default_rng(_SEED).permutation(count)
  return order[: _scaled(run, _SAMPLE)]


def _scaled(run: ExplainedRun, count: int) -> int:
  """Fewer images for a network that needs more arithmetic; the same on every machine."""
  _, gflop = cost.count(run.classifier.model, max(run.size))
  return max(_LEAST, round(count * min(1.0, _FREE_GFLOP / gflop)))


def _explained(
  run: ExplainedRun, looked: Looked, classes: np.ndarray, sample: int, costly: int
) -> tuple[Stored, Stored]:
  """Maps of the sample (of its beginning, where costly) and of the images on the page."""
  found, shown = {}, {}
  for method in maps.METHODS:
    first = sample if method in maps.CHEAP else costly
    places = np.r_[:first, sample : len(looked.rows)]
    # One call: batches of one shape are compiled once.
    each = maps.relevance(run, looked.pixels[places], classes[places], method)
    found[method], shown[method] = each[:first], each[first:]
  return found, shown


def _write_shown(
  evaluated: Evaluated, name: str, looked: Looked, kinds: list[str], shown: Stored
) -> None:
  flags = [
    [artefacts.alarms(each, region)[0] for region in looked.artefacts.values()]
    for each in shown.values()
  ]
  drawn = np.stack([_visible(each) for each in shown.values()], 1)
  write_npz(
    evaluated.out_dir / f'explanations_{name}.npz',
    index=looked.rows.astype(np.int64),
    kind=np.array(kinds, np.str_),
    image=looked.pictures,
    lesion=looked.outlines,
    method=np.array(list(shown)),
    maps=np.rint(drawn * 255).astype(np.uint8),
    artefact=np.array(list(looked.artefacts)),
    alarm=np.array(flags).transpose(2, 0, 1),
  )


def _visible(relevance: np.ndarray) -> np.ndarray:
  """Maps [M, H, W] up to their 99th percentile: one bright pixel would leave all others dark."""
  most = np.quantile(relevance, 0.99, axis=(1, 2), keepdims=True)
  return np.clip(np.divide(relevance, most, out=relevance.copy(), where=most > 0), 0, 1)
