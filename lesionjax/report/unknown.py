"""The report's section on classes that the run does not know: how they are told from known ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from data_builders.errors import UserError
from lesionjax.report import figures, tables
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Run, number, read_json, read_npz

FILE = 'novelty.json'
_SCORES = {
  'energy': 'Energy',
  'max_softmax': 'Largest probability',
  'distance': 'Distance of features',
}
_GUESSING = 0.5


def plots(run: Run) -> list[Plot]:
  """ROC curves of all scores, and the distribution of the best one.

  Raises:
    UserError: a file is damaged.
  """
  return _guarded(run, lambda content, split: _plots(run, content, split)) or []


def _guarded(run: Run, make: Callable[[dict[str, Any], str], Any]) -> Any:
  """What is made of the file and the split that the page is about; None without the file."""
  content = read_json(run.directory / FILE)
  if not content:
    return None
  try:
    measured = content['splits']
    split = next((name for name in run.splits if name in measured), next(iter(measured)))
    return make(content, split)
  except (KeyError, TypeError, AttributeError, StopIteration) as error:
    raise UserError(
      f'{run.directory / FILE} lacks {error}: write it again with --mode=evaluate.'
    ) from error


def _plots(run: Run, content: Mapping[str, Any], split: str) -> list[Plot]:
  keys = [key for key in _SCORES if key in content['splits'][split]['scores']]
  found = read_npz(
    run.directory / f'novelty_{split}.npz',
    lambda arrays: {key: (arrays[f'known_{key}'], arrays[f'unknown_{key}']) for key in keys},
  )
  if found is None:
    return []
  best = _best(content['splits'][split]['scores'])
  return [_roc(found, split), _distribution(best, *found[best], split)]


def context(run: Run) -> dict[str, Any] | None:
  """What the template shows; None where the run has no novelty.json.

  Raises:
    UserError: the file is damaged.
  """
  return _guarded(run, _context)


def _best(scores: Mapping[str, Any]) -> str:
  return max(scores, key=lambda key: number(scores[key]['all']['auroc']['value']))


def _context(content: Mapping[str, Any], split: str) -> dict[str, Any]:
  found = content['splits'][split]
  scores, kinds = found['scores'], found['unknown']
  best = _best(scores)
  area, rate = (scores[best]['all'][key] for key in ('auroc', 'fpr_at_95'))
  named = ', '.join(f'{count:,} of {name}' for name, count in kinds.items())
  left_out = content['left_out']
  why = f'{" and ".join(left_out)} had no part in training. ' if left_out else ''
  low, high = number(area['low']), number(area['high'])
  return {
    'title': _title(area, split),
    'sentences': [
      f'{why}On {split}, {found["known"]:,} images show a class that the network knows and'
      f' {sum(kinds.values()):,} do not ({named}).',
      f'The best score is {_SCORES.get(best, best).lower()}: an unknown image scores higher than a'
      f' known one with a probability of {number(area["value"]):.3f} ({low:.3f} to {high:.3f};'
      f' guessing: 0.5). Where 95 % of the known images are accepted,'
      f' {100 * number(rate["value"]):.0f} % of the unknown ones are too'
      f' ({100 * number(rate["low"]):.0f} to {100 * number(rate["high"]):.0f} %; guessing: 95 %).',
    ],
    'reason': content['reason'],
    'rows': [
      {
        'score': _SCORES.get(key, key),
        'kind': 'all unknown' if kind == 'all' else kind,
        'auroc': tables.cell(entry['auroc']),
        'rate': tables.cell(entry['fpr_at_95']),
      }
      for key, by_kind in scores.items()
      for kind, entry in by_kind.items()
    ],
    'fitted_on': content['fitted_on'],
  }


def _title(area: Mapping[str, Any], split: str) -> str:
  low, high = number(area['low']), number(area['high'])
  if low > _GUESSING:
    how = 'are told from known ones' if low >= 0.9 else 'are partly told from known ones'
  else:
    how = 'are not told from known ones'
  if high < _GUESSING:
    how = 'look more familiar than known ones'
  return f'Images of unknown classes {how} on {split}: AUROC {number(area["value"]):.3f}'


def _roc(found: Mapping[str, tuple[np.ndarray, np.ndarray]], split: str) -> Plot:
  # Here, because scikit-learn would add seconds to the start of every command.
  from sklearn.metrics import roc_auc_score, roc_curve

  figure, axes = figures.new_figure(4.5, equal=True)
  axes.plot([0, 1], [0, 1], color='#7B8794', linewidth=1, linestyle=(0, (2, 2)), label='guessing')
  told = []
  for index, (key, (known, unknown)) in enumerate(found.items()):
    truth = np.arange(len(known) + len(unknown)) >= len(known)
    scores = np.concatenate([known, unknown])
    refused, caught, _ = roc_curve(truth, scores)
    area = roc_auc_score(truth, scores)
    axes.plot(refused, caught, label=f'{_SCORES[key]} {area:.3f}', **figures.class_line(index))
    told.append(f'{_SCORES[key]} AUROC {area:.3f}')
  axes.axvline(0.05, color=figures.FAINT, linewidth=1)
  axes.set_xlabel('known images refused')
  axes.set_ylabel('unknown images found')
  figures.add_legend(figure, axes)
  caption = 'Legend: area under the curve. Grey line: 95 % of the known are accepted.'
  alt = f'ROC curves of novelty, {split}: {"; ".join(told)}.'
  return Plot(f'novelty_roc_{split}', 'Unknown against known', alt, figure, caption)


def _distribution(key: str, known: np.ndarray, unknown: np.ndarray, split: str) -> Plot:
  """Histograms of both kinds, each of area 1, without the outermost hundredth."""
  figure, axes = figures.new_figure(3.4)
  together = np.concatenate([known, unknown])
  low, high = np.quantile(together, [0.005, 0.995])
  edges = np.linspace(low, high if high > low else low + 1, 31)
  for scores, name, index in ((known, 'known', 0), (unknown, 'unknown', 3)):
    axes.hist(
      np.clip(scores, edges[0], edges[-1]),
      edges,
      weights=np.full(len(scores), 1 / len(scores)),
      histtype='stepfilled',
      alpha=0.45,
      color=figures.class_colour(index),
      label=f'{name} (n = {len(scores):,})',
    )
  axes.set_xlabel(f'{_SCORES[key].lower()}: the higher, the stranger')
  axes.set_ylabel('share of images')
  figures.add_legend(figure, axes)
  middle = [float(np.median(scores)) for scores in (known, unknown)]
  alt = f'{_SCORES[key]}, {split}: median {middle[0]:.3g} of known, {middle[1]:.3g} of unknown.'
  caption = 'What lies outside is counted in the outermost bars.'
  return Plot(f'novelty_{key}_{split}', f'{_SCORES[key]}', alt, figure, caption)
