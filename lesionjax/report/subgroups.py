"""Subgroups on the page: which differ, which are not shown to, which are too small to tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lesionjax.report import figures
from lesionjax.report.figures import Plot
from lesionjax.report.run_files import Run, read_json
from lesionjax.report.tables import cell

NAMES = {
  'skin': 'group of skin',
  'tone': 'skin tone',
  'sex': 'sex',
  'age': 'age',
  'site': 'site',
  'source': 'source',
}
COLUMNS = {
  'sensitivity': 'Sensitivity',
  'false_negative_rate': 'Missed',
  'specificity': 'Specificity',
  'calibration': 'Mean score less share',
  'ece': 'Calibration error',
  'auc': 'AUC',
}
_TESTS = {'sensitivity': 'Sensitivity', 'specificity': 'Specificity', 'calibration': 'Calibration'}
_LEVEL = 0.05
_ROW_INCH = 0.185

Found = Mapping[str, Any]


def plots(run: Run) -> list[Plot]:
  """Sensitivity and specificity of every subgroup that is large enough, with intervals."""
  content, split, found = _read(run)
  if not found.get('attributes'):
    return []
  drawn = [_forest(found, metric, content, split) for metric in ('sensitivity', 'specificity')]
  return [plot for plot in drawn if plot is not None]


def context(run: Run) -> dict[str, Any] | None:
  """What the template shows; None where no subgroups were measured."""
  content, split, found = _read(run)
  if not found:
    return None
  tables = [_table(name, rows) for name, rows in found['attributes'].items()]
  few = content['min_count']
  return {
    'title': title(found),
    'sentences': sentences(content, found),
    'split': split,
    'columns': list(COLUMNS.values()),
    'tables': tables,
    'min_count': few,
    'permutations': f'{content["permutations"]:,}',
    'within': _within(found['within_source']),
    'bars': [name in ('sensitivity', 'specificity', 'auc') for name in COLUMNS],
  }


def read(run: Run) -> tuple[dict[str, Any], Found]:
  """What was measured of the headline's split, for other sections; empty where nothing was."""
  content, _, found = _read(run)
  return content, found


def title(found: Found) -> str:
  """The finding in a line."""
  if not found['attributes']:
    return 'Subgroups: nothing could be measured'
  differ, alike, _ = outcome(found, 'sensitivity')
  if differ:
    return f'Subgroups: sensitivity differs by {_joined(differ)}'
  if alike:
    return f'Subgroups: no difference in sensitivity is shown by {_joined(alike)}'
  return 'Subgroups: too few positive lesions to compare sensitivity'


def outcome(found: Found, metric: str) -> tuple[list[str], list[str], list[str]]:
  """Names of the attributes by which a number differs, is not shown to, and could not be told."""
  parts: tuple[list[str], list[str], list[str]] = ([], [], [])
  for name, table in found['attributes'].items():
    p = table['tests'][metric]['p_holm']
    parts[2 if p is None else 0 if p < _LEVEL else 1].append(NAMES[name])
  return parts


def sentences(content: Found, found: Found) -> list[str]:
  """The verdict: which difference is shown, which is not, and what could not be told."""
  told = []
  if content['problem']:
    told.append(content['problem'])
  for metric in ('sensitivity', 'specificity') if found['attributes'] else ():
    told.append(_compared(found, metric))
  if found['attributes']:
    rows = [row for table in found['attributes'].values() for row in table['subgroups']]
    small = sum(row['sensitivity'] is None for row in rows)
    told.append(
      f'{small} of {len(rows)} subgroups hold fewer than {content["min_count"]} lesions or patients'
      f' that are {content["positive"]}: their sensitivity is not told.'
    )
  told += _threshold(content, found)
  told += _skin(found)
  absent = [NAMES[name] for name in found['absent']]
  if absent:
    told.append(f'The data do not record {_joined(absent, "or")}, or it could not be measured.')
  return told


def _read(run: Run) -> tuple[dict[str, Any], str, Found]:
  """Content of subgroups.json, a split, and what was measured there; the headline's comes first."""
  content = read_json(run.directory / 'subgroups.json')
  splits = content.get('splits') or {}
  names = [name for name in run.splits if name in splits] or list(splits)
  return (content, names[0], splits[names[0]]) if names else (content, '', {})


def _compared(found: Found, metric: str) -> str:
  """One metric over all attributes."""
  differ, alike, unknown = outcome(found, metric)
  text = f'{_TESTS[metric]} '
  text += f'is shown to differ by {_joined(differ)}' if differ else 'is not shown to differ'
  text += f'; it is not shown to by {_joined(alike)}' if differ and alike else ''
  text += f' by {_joined(alike)}' if not differ and alike else ''
  text += f'; by {_joined(unknown)} it could not be compared' if unknown else ''
  return text + '.'


def _threshold(content: Found, found: Found) -> list[str]:
  """Where the rates come from."""
  if not found['attributes']:
    return []
  overall = found['overall']
  told = f'Rates are of {content["positive"]} lesions at the threshold {content["threshold"]:.3f}'
  told += (
    f' ({content["point"].replace("_", " ")} %, fitted on validation)'
    if content['point']
    else ' (none was fitted on validation)'
  )
  for metric in ('sensitivity', 'specificity'):
    if overall[metric]:
      shown = cell(overall[metric])
      told += f'{":" if metric == "sensitivity" else ","} {metric} of all {shown["value"]}'
      told += f' ({shown["interval"]})'
  return [told + '.']


def _skin(found: Found) -> list[str]:
  """How many images have no skin tone."""
  reasons = found['unmeasured_skin']
  count = sum(reasons.values())
  if not count:
    return []
  why = '; '.join(f'{number:,}: {reason}' for reason, number in reasons.items())
  return [f'Skin could not be measured in {count:,} of {found["images"]:,} images ({why}).']


def _table(name: str, table: Found) -> dict[str, Any]:
  """One attribute: a row a subgroup, and what the tests say."""
  rows = []
  for row in table['subgroups']:
    cells = [_cell(row[metric], metric) for metric in COLUMNS]
    rows.append({
      'name': _named(row['name'], name),
      'images': f'{row["images"]:,}',
      'positives': f'{row["positives"]:,} of {row["positive_groups"]:,}',
      'cells': cells,
    })  # fmt: skip
  return {
    'name': NAMES[name],
    'rows': rows,
    'recorded': f'{table["recorded"]:,}',
    'tests': [_tested(label, table['tests'][metric]) for metric, label in _TESTS.items()],
  }


def _named(subgroup: str, attribute: str) -> str:
  """Skin is measured, not recorded."""
  missing = subgroup == 'not recorded' and attribute in ('skin', 'tone')
  return 'not measured' if missing else subgroup


def _cell(entry: Mapping[str, Any] | None, metric: str) -> dict[str, Any]:
  if entry is None:
    return cell(None) | {'value': 'too few'}
  told = cell(entry) | {'n': ''}
  if metric == 'calibration' and told['known']:
    told['value'] = f'{entry["value"]:+.3f}'
    if told['interval']:
      told['interval'] = f'{entry["low"]:+.3f} to {entry["high"]:+.3f}'
  return told


def _tested(label: str, test: Found) -> str:
  """'Sensitivity: largest gap .05 (.02 to .08), male above female; p = .25, corrected 1.'."""
  if test['p'] is None:
    return f'{label}: fewer than two subgroups are large enough to compare.'
  gap = test['gap']
  shown = cell(gap)
  interval = f' ({shown["interval"]})' if shown['interval'] else ''
  return (
    f'{label}: largest gap {shown["value"]}{interval}, {gap["highest"]} above {gap["lowest"]};'
    f' {p_text(test["p"])}, {p_text(test["p_holm"])} corrected.'
  )


def p_text(p: float) -> str:
  """'p = 0.25' or 'p < 0.001'."""
  return 'p < 0.001' if p < 0.001 else f'p = {p:.2g}' if p < 0.0995 else f'p = {p:.2f}'


def _within(within: Found | None) -> dict[str, Any] | None:
  """Macro AUC within sources beside the overall one."""
  if within is None:
    return None
  shown = {key: cell(within[key]) if within[key] else None for key in ('overall', 'within')}
  single = [f'{name} ({source})' for name, source in within['single'].items()]
  gap = within['difference']
  verdict = ''
  if gap and gap['low'] is not None:
    word = 'lower' if gap['high'] < 0 else 'higher' if gap['low'] > 0 else ''
    verdict = (
      f'Within sources the macro AUC is {word} than over all images'
      if word
      else 'That the macro AUC within sources differs from the one over all images is not shown'
    )
    verdict += f' ({gap["value"]:+.3f}, {gap["low"]:+.3f} to {gap["high"]:+.3f})'
    verdict += ': part of it may come from telling sources apart.' if gap['high'] < 0 else '.'
  return {
    **shown,
    'verdict': verdict,
    'single': _joined(single),
    'classes': ', '.join(within['classes']),
    'rows': [
      {
        'name': row['name'],
        'images': f'{row["images"]:,}',
        'classes': ', '.join(row['classes']) or 'none with enough lesions',
        'cell': cell(row['macro_auc']) if row['macro_auc'] else cell(None) | {'value': 'too few'},
      }
      for row in within['sources']
    ],
  }


def _forest(found: Found, metric: str, content: Found, split: str) -> Plot | None:
  """Points with intervals, one a subgroup; the line is all images."""
  groups = [
    (name, [row for row in table['subgroups'] if row[metric]])
    for name, table in found['attributes'].items()
  ]
  groups = [(name, rows) for name, rows in groups if rows]
  if not groups or not found['overall'][metric]:
    return None
  count = sum(len(rows) + 1 for _, rows in groups)
  figure, axes = figures.new_figure(0.75 + _ROW_INCH * count)
  axes.grid(True, axis='x')
  axes.grid(False, axis='y')
  place, ticks, labels, told = 0.0, [], [], []
  for index, (name, rows) in enumerate(groups):
    ticks.append(place)
    labels.append(f'{NAMES[name]}:')
    for row in rows:
      place -= 1
      value, low, high = (row[metric][key] for key in ('value', 'low', 'high'))
      colour = figures.class_colour(index)
      axes.plot([low, high], [place, place], color=colour, linewidth=1.6)
      axes.plot([value], [place], marker='o', markersize=4.5, color=colour)
      ticks.append(place)
      labels.append(f'{figures.shorten(_named(row["name"], name), 18)} (n={row[metric]["n"]:,})')
      told.append(f'{row["name"]} {value:.2f} ({low:.2f} to {high:.2f})')
    place -= 1
  whole = found['overall'][metric]['value']
  axes.axvline(whole, color=figures.INK, linewidth=1, linestyle=(0, (4, 2)), zorder=0)
  axes.set_yticks(ticks, labels, fontsize=8)
  for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
    tick.set_fontweight('bold' if label.endswith(':') else 'normal')
  axes.tick_params(axis='y', length=0)
  axes.set_ylim(place + 0.4, 0.6)
  axes.set_xlim(_start(groups, metric), 1.01)
  axes.set_xlabel(f'{metric}, {split} split')
  kind = content['positive'] if metric == 'sensitivity' else f'not {content["positive"]}'
  return Plot(
    f'subgroups_{metric}_{split}',
    f'{metric.capitalize()} by subgroup',
    f'{metric.capitalize()} of subgroups with 95 % intervals; all images {whole:.2f}. '
    + '; '.join(told)
    + '.',
    figure,
    f'Wilson intervals by lesions or patients; n images that are {kind}; dashed: all images',
  )


def _start(groups: Sequence[tuple[str, list[Found]]], metric: str) -> float:
  """The left end of the axis: the lowest limit, rounded down."""
  lowest = min(row[metric]['low'] for _, rows in groups for row in rows)
  return max(0.0, int(10 * lowest) / 10)


def _joined(names: Sequence[str], word: str = 'and') -> str:
  """'a, b and c'."""
  if len(names) < 2:
    return ''.join(names)
  return f'{", ".join(names[:-1])} {word} {names[-1]}'
