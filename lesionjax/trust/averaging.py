"""Several runs, or the views of one, as one classifier: what averaging gains over the best alone.

averaged.json holds

  members      [{name, model, size_px, seed, metrics: {split: {metric: interval}}}]: each alone
  tta, views   name and number of the views of an image
  chosen_by    the metric that chose the best member alone, chosen_on the split
  single       its name
  test         name of the test split
  class_names
  splits       {split: {images, groups, ways: [{key, metrics, gain, verdicts}]}}: key is 'single',
               'views' (the same member, averaged over views), 'members' (the members, no views)
               or 'both'; gain is way - single, paired, null where undefined
  key          which of the ways predictions_<split>.npz and metrics.json are about
"""

from __future__ import annotations

import dataclasses
import functools
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from etils import epath

from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.evaluation import averaging, intervals
from lesionjax.host import environment, files, processes
from lesionjax.report.page import write_report
from lesionjax.runs import opened, run_directory, scoring, tta
from lesionjax.runs.inference import softmax
from lesionjax.runs.members import Member, open_members
from lesionjax.trust.evaluated import Evaluated

FILE = 'averaged.json'
_SMALLEST = np.finfo(np.float32).tiny  # whose logarithm is finite


@dataclasses.dataclass(frozen=True)
class Said:
  """What a member says of a split.

  Attributes:
    plain: probabilities float32 [N, K] of the images as they are.
    viewed: mean over the views, likewise.
    features: float32 [N, D], the features before the last layer, likewise a mean.
  """

  plain: np.ndarray
  viewed: np.ndarray
  features: np.ndarray


def evaluate_average(
  workdirs: Sequence[str],
  views: str,
  out: str,
  data_dir: str = '',
  parts: Sequence[Callable[[Evaluated], None]] = (),
) -> str:
  """Averages the probabilities of runs and of views of an image, and measures the gain.

  Args:
    workdirs: directories of runs of classifiers with the same classes, data and splits; one is
      enough where there are views.
    views: see `lesionjax.runs.tta`; '' or 'none' is the image alone.
    out: where averaged.json, predictions, metrics and the report go; new, or of the same kind.
    data_dir: where prepared data lie now; '' is where the runs found their own.
    parts: what else is measured of the average: `write` of modules in `lesionjax.trust`.

  Returns:
    The path of report.html; '' in all processes but the first.

  Raises:
    UserError: the runs do not go together, or one has trained on what it would be tested on.
  """
  start = time.perf_counter()
  places = [run_directory.locate(workdir) for workdir in workdirs]
  out_dir = _check_asked(places, views, out)
  members = open_members(places, views, data_dir)
  said = {name: [] for name in members[0].splits}
  for member in members:
    network = opened.network(member.config, member.run_dir, member.class_names)
    for name, split in member.splits.items():
      said[name].append(_ask(network.views(split, views)))
  if jax.process_index() != 0:
    processes.wait_for_all('report')  # which the first writes
    return ''
  evaluated = _evaluated(members[0], out_dir, said)
  files.write_json(out_dir / FILE, _compare(members, views, said, evaluated))
  _write_run(evaluated, members[0])
  for part in parts:
    part(evaluated)
  environment.write(out_dir, {'evaluate': round(time.perf_counter() - start, 1)})
  report = str(write_report(out_dir))
  processes.wait_for_all('report')
  return report


def _check_asked(places: Sequence[epath.Path], views: str, out: str) -> epath.Path:
  """Refuses what says nothing; returns the place of the results."""
  number = len(tta.views(views))
  if len(set(places)) < len(places):
    raise UserError('--workdir names a run twice: its vote would count twice, give each once.')
  if len(places) < 2 and number < 2:
    raise UserError(
      '--workdir names one run and --tta no views, so there is nothing to average: give several'
      ' runs, as --workdir=A,B, or --tta=flips.'
    )
  if not out:
    raise UserError('--out=DIR is missing: an average belongs to no run, say where it goes.')
  out_dir = run_directory.locate(out)
  if out_dir.exists() and not (out_dir / FILE).exists():
    held = sorted(path.name for path in out_dir.iterdir()) if out_dir.is_dir() else ['a file']
    if held:
      raise UserError(
        f'--out={out} holds {held[0]} and no {FILE}, so it is something else: use a new directory.'
      )
  return out_dir


def _ask(outputs: dict[str, np.ndarray]) -> Said:
  """Means over the views, from logits [V, N, K] and pre_logits [V, N, D]."""
  shares = [softmax(logits) for logits in outputs['logits']]
  return Said(shares[0], averaging.mean(shares), outputs['pre_logits'].mean(0, dtype=np.float32))


def _evaluated(first: Member, out_dir: epath.Path, said: dict[str, list[Said]]) -> Evaluated:
  """The average as a classifier of its own: logits are logarithms of the mean probabilities."""
  outputs = {}
  for name, each in said.items():
    mean = averaging.mean([one.viewed for one in each])
    outputs[name] = {
      'logits': np.log(np.maximum(mean, _SMALLEST)),
      'pre_logits': np.concatenate([one.features for one in each], 1),
    }
  config = first.config.copy_and_resolve_references()
  config.evaluate.explain = 0  # there is no one network whose maps could be drawn
  return Evaluated(config, out_dir, out_dir, first.class_names, first.splits, outputs)


def _compare(
  members: Sequence[Member], views: str, said: dict[str, list[Said]], evaluated: Evaluated
) -> dict[str, Any]:
  """What averaged.json holds."""
  config, names = evaluated.config, evaluated.class_names
  chosen_on, chosen_by = config.data.validation_split, config.select.metric
  if chosen_by == 'latest':
    chosen_by = 'macro_auc'
  plain = [one.plain for one in said[chosen_on]]
  single = averaging.best(evaluated.labels(chosen_on), plain, names, chosen_by)
  number = len(tta.views(views))
  splits = {}
  alone: dict[str, list[dict[str, intervals.Interval]]] = {}
  for split, each in said.items():
    compare = functools.partial(
      averaging.compare,
      evaluated.labels(split),
      groups=evaluated.groups(split),
      class_names=names,
      resamples=config.evaluate.resamples,
    )
    ways = _ways(each, single, number)
    found = compare(ways=ways, single='single')
    apart = compare(ways={str(m): one.plain for m, one in enumerate(each)}, single=str(single))
    alone[split] = [way.metrics for way in apart.values()]
    splits[split] = {
      'images': len(evaluated.labels(split)),
      'groups': len(np.unique(evaluated.groups(split))),
      'ways': [{'key': key, **dataclasses.asdict(way)} for key, way in found.items()],
    }
  return {
    'members': [
      {
        'name': member.name,
        'model': member.config.model.name,
        'size_px': member.config.data.size_px,
        'seed': member.config.seed,
        'metrics': {split: alone[split][m] for split in alone},
      }
      for m, member in enumerate(members)
    ],
    'tta': views or 'none',
    'views': number,
    'chosen_by': chosen_by,
    'chosen_on': chosen_on,
    'test': config.data.test_split,
    'single': members[single].name,
    'class_names': list(names),
    'splits': splits,
    'key': list(_ways(said[chosen_on], single, number))[-1],
  }


def _ways(said: Sequence[Said], single: int, number: int) -> dict[str, np.ndarray]:
  """The best member alone, and what was asked for, one step at a time."""
  ways = {'single': said[single].plain}
  if number > 1:
    ways['views'] = said[single].viewed
  if len(said) > 1:
    ways['members'] = averaging.mean([one.plain for one in said])
  if number > 1 and len(said) > 1:
    ways['both'] = averaging.mean([one.viewed for one in said])
  return ways


def _write_run(evaluated: Evaluated, first: Member) -> None:
  """Writes predictions, examples and metrics of the average as an evaluation writes those of a run.

  The colour baseline is that of the first member: it reads images, not the network.
  """
  out_dir, metrics = evaluated.out_dir, {}
  for name, split in evaluated.splits.items():
    metrics |= scoring.score_split(
      evaluated.config, out_dir, split, name, evaluated.outputs[name], evaluated.class_names
    )
  if (first.run_dir / 'metrics.json').exists():
    before = run_directory.read_json(first.run_dir, 'metrics.json', '')
    for name in evaluated.splits:
      if baseline := before.get(name, {}).get('colour_baseline_auc'):
        metrics[name]['colour_baseline_auc'] = baseline
  files.write_json(out_dir / 'config.json', config_lib.to_dict(evaluated.config))
  files.write_json(out_dir / 'data.json', first.data)
  files.write_json(out_dir / 'metrics.json', metrics)
