"""A run directory becomes one self-contained report.html and the figures beside it."""

from __future__ import annotations

import os
from typing import Any

from etils import epath

from lesionjax.host import files
from lesionjax.report import (
  added,
  checks,
  examples,
  figures,
  figures_scores,
  figures_training,
  generation_page,
  mask_page,
  parts,
  phases,
  rendering,
  tables,
  verdict,
)
from lesionjax.report.run_files import Run, read_run


def write_report(run_dir: str | os.PathLike[str]) -> epath.Path:
  """Writes report.html and figures/ from the files of a run directory, and from nothing else.

  Args:
    run_dir: Local or gs:// path of a run. Every file is optional; what is missing, the page says.

  Returns:
    Path of report.html: one file, no network, all figures inlined.

  Raises:
    UserError: The directory holds nothing of a run, a file cannot be understood, or the report
      cannot be written.
  """
  run = read_run(run_dir)
  split = run.splits[0] if run.splits else ''
  task = run.option('task')
  with figures.style():
    if task == 'segment':
      plots = mask_page.plots(run, split)
    else:
      plots = generation_page.plots(run) if task == 'generate' else _plots(run, split)
    shown = rendering.write_figures(run.directory / 'figures', plots)
  if task == 'segment':
    name, context = 'masks', {'mask': mask_page.context(run, split)}
  elif task == 'generate':
    name, context = 'generation', generation_page.context(run, split)
  else:
    name, context = 'report', _context(run, split)
  template = rendering.environment().get_template(f'{name}.html.j2')
  page = template.render(_common(run, split, shown) | context)
  report = run.directory / 'report.html'
  files.write_text(report, page)
  return report


def _plots(run: Run, split: str) -> dict[str, list[figures.Plot]]:
  predictions = run.predictions.get(split)
  distribution = figures_training.distribution_plot(run)
  return {
    'confusion': figures_scores.confusion_plots(predictions, split) if predictions else [],
    'curves': figures_scores.curve_plots(predictions, split) if predictions else [],
    'training': figures_training.training_plots(run),
    'distribution': [distribution] if distribution else [],
    'added': added.plots(added.read(run.directory)),
    **parts.plots(run),
  }


def _context(run: Run, split: str) -> dict[str, Any]:
  """What only the page of a classifier shows."""
  title, sentences = verdict.verdict(run, split)
  problems, unchecked = checks.support_problems(run)
  extra = added.read(run.directory)
  sections = parts.contexts(run)
  return {
    'verdict_title': title,
    'verdict': sentences,
    'tiles': verdict.tiles(run, split) if split else [],
    'diverged': checks.divergence(run),
    'problems': problems,
    'unchecked': unchecked,
    'class_kinds': list(tables.PER_CLASS.values()),
    'class_tables': [(name, tables.class_rows(run, name)) for name in run.splits],
    'examples': examples.example_groups(run, split),
    'stage': mask_page.stage(run),
    'added': added.context(extra) if extra else None,
    'parts': parts.titles(sections),
    **sections,
  }


def _common(run: Run, split: str, plots: dict[str, list[dict[str, str]]]) -> dict[str, Any]:
  """What the page of any run shows."""
  columns, rows = tables.overall_rows(run)
  return {
    'run_name': run.directory.name,
    'facts': _facts(run),
    'published': run.option('protocol') == 'published',
    'split': split,
    'broken_lines': run.broken_lines,
    'plots': plots,
    'best': figures_training.best_epoch(run),
    'phases': phases.sentences(run.config),
    'epochs': len(run.history.get('validation', [])),
    'columns': columns,
    'overall': rows,
    'config': tables.config_sections(run.config),
    'data': run.data,
    'counts': _counts(run),
    'environment': tables.environment_rows(run.environment),
    'command': str(run.environment.get('command') or ''),
    'packages': sorted((run.environment.get('packages') or {}).items()),
  }


def _facts(run: Run) -> list[str]:
  """The line below the title: recipe, model, data, day."""
  data, size = run.data, run.option('data.size_px')
  name = '/'.join(str(data[key]) for key in ('name', 'config') if data.get(key))
  version = f' {data["version"]}' if data.get('version') else ''
  model = str(run.option('model.name', ''))
  facts = [
    str(run.option('recipe', '')),
    f'{model} at {size} px' if model and size else model,
    name + version,
    str(run.environment.get('created') or '')[:10],
  ]
  return [fact for fact in facts if fact]


def _counts(run: Run) -> list[dict[str, Any]]:
  """One row a split of data.json: images, groups, and images of every class."""
  names = [str(name) for name in run.data.get('class_names', ())]
  splits = run.data.get('splits') or {}
  order = [name for name in ('train', 'validation', 'test') if name in splits]
  return [
    {
      'name': name,
      'images': splits[name].get('images', 0),
      'groups': splits[name].get('groups', 0),
      'support': [(splits[name].get('support') or {}).get(label, 0) for label in names],
    }
    for name in order + sorted(set(splits) - set(order))
  ]
