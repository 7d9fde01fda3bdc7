"""Of a comparison: what each strategy adds, and which classes are found by which strategy."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from etils import epath

from lesionjax.report import added, compare_words, figures
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import number


def read(folder: epath.PathLike, found: Mapping[str, Any]) -> list[tuple[str, added.Added]]:
  """Reads what the strategies add, each from one of its runs.

  Args:
    folder: whose sub-directories are the runs.
    found: what compare.json holds; `pictures` names the run of every strategy that has some.

  Returns:
    (name of the strategy, what was found) in the order of the comparison.
  """
  places = {name: epath.Path(folder) / run for name, run in found.get('pictures', {}).items()}
  read_ = (
    (row['name'], added.read(places[row['name']])) for row in found['runs'] if row['name'] in places
  )
  return [(name, some) for name, some in read_ if some]


def map_plots(found: list[tuple[str, added.Added]]) -> list[Plot]:
  """Two maps of features for every strategy that resamples them."""
  return [
    plot
    for at, (name, some) in enumerate(found)
    for plot in added.plots(some, f'added_{at}_', name)
  ]


def sections(found: list[tuple[str, added.Added]]) -> list[dict[str, Any]]:
  """What the template shows of every strategy."""
  return [{'name': name, **added.context(some)} for name, some in found]


def map_counts(told: Sequence[Mapping[str, Any]]) -> str:
  """How many rows every strategy with a map adds, of what `sections` returns."""
  return '; '.join(f'{each["name"]}: {each["resampled"]}' for each in told if each['map'])


def recall_plots(found: Mapping[str, Any]) -> list[Plot]:
  """Macro F1 and the recall of every class, one line a run, with intervals.

  Args:
    found: what compare.json holds, of classifiers.
  """
  if found['task'] == 'segment':
    return []
  panels = [('macro_f1', 'Macro F1', figures.INK)]
  panels += [
    (
      f'recall/{name}',
      compare_words.metric_name(f'recall/{name}', found),
      figures.class_colour(index),
    )
    for index, name in enumerate(found['class_names'])
  ]
  drawn = [_panel(found, at, *panel) for at, panel in enumerate(panels)]
  return [plot for plot in drawn if plot]


def _panel(found: Mapping[str, Any], at: int, metric: str, title: str, colour: str) -> Plot | None:
  rows = [(run['name'], run['metrics'].get(metric) or {}) for run in found['runs']]
  if all(math.isnan(number(entry.get('value'))) for _, entry in rows):
    return None
  figure, axes = figures.new_figure(0.9 + 0.24 * len(rows))
  told = []
  for line, (name, entry) in enumerate(rows):
    value, low, high = (number(entry.get(key)) for key in ('value', 'low', 'high'))
    if not math.isnan(low) and not math.isnan(high):
      axes.plot(
        [low, high], [line, line], color=colour, linewidth=2.2, solid_capstyle='butt', alpha=0.55
      )
    axes.plot([value], [line], 'o', color=colour, markersize=4.5)
    told.append('undefined' if math.isnan(value) else f'{value:.3f}')
    if name == found['reference'] and not math.isnan(value):
      axes.axvline(value, color=figures.INK, linewidth=0.9, linestyle=(0, (2, 2)), zorder=0.5)
  axes.set_yticks(range(len(rows)), [figures.shorten(name, 18) for name, _ in rows])
  axes.set_ylim(len(rows) - 0.4, -0.6)
  axes.set_xlim(-0.02, 1.02)
  axes.grid(False, axis='y')
  axes.set_xlabel(title)
  alt = f'{title} of every run with 95 % intervals: '
  alt += figures.describe([name for name, _ in rows], told) + '.'
  kind = 'macro_f1' if metric == 'macro_f1' else f'recall_{at - 1}'
  count = found['images'] if at == 0 else found['support'][at - 1]
  support = f'{count:,} test images'
  return Plot(f'compare_{kind}', title, alt, figure, support)
