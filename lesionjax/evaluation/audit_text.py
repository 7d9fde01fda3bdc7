"""An audit's findings as text: a verdict of one sentence, then tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

_SHOWN = 10  # rows of a list of examples
_NO_CLASS = '(no class)'  # of data sets without labels beside others


def verdict(findings: dict[str, Any]) -> str:
  """Returns the outcome in one sentence, 'LEAKS: ...', 'CLEAN: ...' or 'SIMULATED: ...'."""
  if 'simulation' in findings:
    return _simulated(findings)
  clauses = list(_clauses(findings))
  if clauses:
    return f'LEAKS: {"; ".join(clauses)}.'
  outside = sum(split['images'] for split in findings['splits'].values())
  text = (
    f'CLEAN: none of the {outside:,} images outside {findings["training"]} shares'
    f' {_either(findings["group_by"])} with it'
  )
  copies = findings['near_duplicates']
  if copies:
    text += f', and no near-duplicate of the {copies["images"]:,} images compared lies elsewhere'
  return text + '.'


def render(findings: dict[str, Any]) -> str:
  """Returns the whole report, without a final line break."""
  parts = [verdict(findings), _about(findings)]
  if 'simulation' in findings:
    parts.append(_simulation_table(findings['simulation']))
  else:
    parts += [_split_table(name, split) for name, split in findings['splits'].items()]
    parts.append(_support_table(findings['support']))
    parts += _lists(findings)
    if findings['near_duplicates']:
      parts += _copies(findings['near_duplicates'])
  conflicts = findings['groups_with_two_labels']
  rows = [f'{group}: {_counts(labels)}' for group, labels in conflicts.items()]
  parts.append(
    _listing(
      'Groups with two labels (no leak; wrong within a lesion, common within a patient)', rows
    )
  )
  return '\n\n'.join(part for part in parts if part)


def percent(share: float) -> str:
  """Returns a share as a percentage that never rounds to none or to all.

  Args:
    share: 0..1.
  """
  value = 100 * share
  if 0 < value < 0.1:
    return f'{value:.2g} %'
  if 99.9 < value < 100:
    return f'{min(value, 99.99):.2f} %'
  return f'{value:.1f} %'


def _clauses(findings: dict[str, Any]) -> Iterable[str]:
  train = findings['training']
  for name, split in findings['splits'].items():
    if split['leaked_images']:
      text = (
        f'{percent(split["leaked_share"])} of the {name} images ({split["leaked_images"]:,} of'
        f' {split["images"]:,}) share {_either(findings["group_by"])} with {train}'
      )
      worst = max(split['classes'].items(), key=lambda item: item[1]['leaked_share'], default=None)
      if worst and len(split['classes']) > 1:
        text += f', of class {worst[0]} {percent(worst[1]["leaked_share"])}'
      yield text
  for names, shared in findings['groups_in_two_other_splits'].items():
    yield f'{_number(shared["groups"], "group")} in both of {names}'
  if ids := findings['ids_in_two_splits']:
    yield f'{_number(len(ids), "image id")} in two splits'
  if folds := findings['folds']:
    if folds['divided_groups']:
      yield f'{_number(len(folds["divided_groups"]), "group")} in two folds'
    if both := folds['in_training_and_elsewhere']:
      yield f'fold {", ".join(map(str, both))} in {train} and in another split'
  if findings['near_duplicates'] and (pairs := findings['near_duplicates']['across_splits']):
    yield f'{_number(len(pairs), "pair")} of near-duplicate images across splits'
  if made := findings['generated']:
    for name, found in made['outside_training'].items():
      yield f'{_number(found["images"], "generated image")} in {name}'
    for name, found in made['made_from'].items():
      yield (
        f'the generator of the generated images has seen {_number(found["images"], "image")} of'
        f' {name}, such as {found["examples"][0]}'
      )


def _simulated(findings: dict[str, Any]) -> str:
  drawn = findings['simulation']
  text = (
    f'SIMULATED: a random split by image with {percent(drawn["train_share"])} in training leaks'
    f' {percent(drawn["expected"])} of the other images by {_either(findings["group_by"], "")}'
  )
  classes = drawn['classes']
  if len(classes) > 1:
    worst = max(classes, key=lambda name: classes[name]['expected'])
    text += f', of class {worst} {percent(classes[worst]["expected"])}'
  return text + '.'


def _about(findings: dict[str, Any]) -> str:
  text = (
    f'{findings["audited"]}: {findings["images"]:,} images, {findings["groups"]:,} groups'
    f' connected through {_either(findings["group_by"], "")}'
  )
  return text + (f', {findings["dropped"]:,} images dropped' if findings['dropped'] else '')


def _split_table(name: str, split: dict[str, Any]) -> str:
  def row(title: str, share: dict[str, Any]) -> tuple[str, ...]:
    return (
      title,
      f'{share["images"]:,}',
      f'{share["leaked_images"]:,}',
      percent(share['leaked_share']),
    )

  rows = [(name, 'images', 'leaked', 'share'), row('all', split)]
  return _table(
    rows + [row(label or _NO_CLASS, share) for label, share in split['classes'].items()]
  )


def _simulation_table(drawn: dict[str, Any]) -> str:
  def row(title: str, values: dict[str, float]) -> tuple[str, ...]:
    shares = [percent(values[key]) for key in ('expected', 'mean')]
    return (title, *shares, f'{100 * values["sd"]:.1f}')

  rows = [('leaked share', 'closed form', f'mean of {drawn["seeds"]}', 'sd'), row('all', drawn)]
  return _table(rows + [row(label, values) for label, values in drawn['classes'].items()])


def _support_table(support: dict[str, dict[str, int]]) -> str:
  labels = sorted({label for counts in support.values() for label in counts})
  if labels == ['']:
    rows = [(split, f'{counts[""]:,}') for split, counts in support.items()]
    return _table([('support', 'images'), *rows])
  rows = [
    (split, *(f'{counts.get(label, 0):,}' for label in labels)) for split, counts in support.items()
  ]
  return _table([('support', *(label or _NO_CLASS for label in labels)), *rows])


def _lists(findings: dict[str, Any]) -> list[str]:
  folds = findings['folds'] or {'divided_groups': {}}
  shared = findings['groups_in_two_other_splits']
  return [
    _listing(
      'Groups in two splits other than training',
      [
        f'{names}: {value["groups"]:,}, such as {", ".join(value["examples"])}'
        for names, value in shared.items()
      ],
    ),
    _listing(
      'Image ids in two splits',
      [f'{i}: {", ".join(parts)}' for i, parts in findings['ids_in_two_splits'].items()],
    ),
    _listing('Image ids more than once in a split', findings['repeated_ids']),
    _listing(
      'Groups in two folds',
      [f'{g}: folds {", ".join(map(str, f))}' for g, f in folds['divided_groups'].items()],
    ),
    _listing(
      'Classes of one split only',
      [f'{where}: {", ".join(labels)}' for where, labels in findings['classes_missing'].items()],
    ),
  ]


def _copies(copies: dict[str, Any]) -> list[str]:
  stages = 'signatures and registration' if copies['registration'] else 'signatures'
  text = (
    f'Near-duplicates by {stages}: {copies["images"]:,} images compared,'
    f' {len(copies["across_splits"]):,} pairs across splits, {copies["within_a_split"]:,} within a'
    f' split, {copies["within_a_group"]:,} within a group'
  )
  if copies['missing']:
    text += f'; {copies["missing"]:,} audited images have no file'
    text += f' (such as {", ".join(copies["missing_examples"])})'
  rows = [('images', 'splits', 'similarity', 'how')]
  for pair in copies['across_splits']:
    how = pair.get('orientation') or (
      f'registered: {pair["inliers"]} keypoints, zoom {pair["zoom"]:.2f},'
      f' turned {pair["turn_deg"]:.0f} degrees'
    )
    similarity = f'{pair["similarity"]:.3f}'
    rows.append((' '.join(pair['images']), ' / '.join(pair['splits']), similarity, how))
  return [text, _table(rows) if len(rows) > 1 else '']


def _table(rows: Sequence[Sequence[str]]) -> str:
  """Aligns columns: the first to the left, numbers to the right."""
  widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
  lines = []
  for row in rows:
    cells = [
      cell.ljust(width) if not column or not _is_number(rows, column) else cell.rjust(width)
      for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    lines.append('  '.join(cells).rstrip())
  return '\n'.join(lines)


def _is_number(rows: Sequence[Sequence[str]], column: int) -> bool:
  return all(row[column][:1].isdigit() for row in rows[1:])


def _listing(title: str, rows: Sequence[str]) -> str:
  if not rows:
    return ''
  more = [f'  ... and {len(rows) - _SHOWN:,} more (--json lists all)'] if len(rows) > _SHOWN else []
  return '\n'.join([f'{title}: {len(rows):,}', *(f'  {row}' for row in rows[:_SHOWN]), *more])


def _counts(counts: dict[str, int]) -> str:
  return ', '.join(f'{label} {count}' for label, count in counts.items())


def _either(names: Sequence[str], article: str = 'a ') -> str:
  return article + ' or '.join(filter(None, [', '.join(names[:-1]), names[-1]]))


def _number(count: int, noun: str) -> str:
  return f'{count:,} {noun}' + ('' if count == 1 else 's')
