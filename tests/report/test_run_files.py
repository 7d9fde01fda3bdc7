"""Curves survive resumed, long, broken and null-holding logs."""

from __future__ import annotations

import json

import pytest

from lesionjax.report.figures_training import best_epoch, phase_starts, training_plots
from lesionjax.report.run_files import read_run


def write_log(directory, records, tail=''):
  (directory / 'config.json').write_text('{"select": {"metric": "accuracy"}}')
  (directory / 'data.json').write_text('{"class_names": ["a", "b"]}')
  lines = [json.dumps(record) for record in records]
  (directory / 'metrics.jsonl').write_text('\n'.join(lines) + '\n' + tail)
  return read_run(directory)


def record(kind, epoch, accuracy, **more):
  return {'kind': kind, 'step': 10 * epoch, 'epoch': epoch, 'accuracy': accuracy, **more}


def test_a_step_told_twice_counts_as_told_last(tmp_path):
  run = write_log(
    tmp_path,
    [record('validation', 1, 0.1), record('validation', 2, 0.9), record('validation', 2, 0.2)],
  )
  assert [entry['accuracy'] for entry in run.history['validation']] == [0.1, 0.2]
  assert best_epoch(run) == (2, 'accuracy')


def test_a_line_cut_off_by_a_kill_is_left_out(tmp_path):
  run = write_log(tmp_path, [record('train', 1, 0.5)], tail='{"kind": "train", "st')
  assert run.broken_lines == 1
  assert len(run.history['train']) == 1


def test_the_first_of_equal_epochs_is_best_and_null_never(tmp_path):
  values = [None, 0.7, 0.9, 0.9, None]
  run = write_log(tmp_path, [record('validation', e, v) for e, v in enumerate(values, 1)])
  assert best_epoch(run) == (3, 'accuracy')


def test_the_lowest_loss_is_best(tmp_path):
  records = [record('validation', e, 0.5, loss=v) for e, v in enumerate([3.0, 1.0, 2.0], 1)]
  write_log(tmp_path, records)
  (tmp_path / 'config.json').write_text('{"select": {"metric": "loss"}}')
  assert best_epoch(read_run(tmp_path)) == (2, 'loss')


def test_the_best_epoch_of_the_last_phase(tmp_path):
  records = [
    record('validation', e, v, phase='a' if e < 3 else 'phase2')
    for e, v in enumerate([0.9, 0.8, 0.2, 0.4, 0.3], 1)
  ]
  config = {'select': {'metric': 'accuracy', 'phase': 'last'}, 'phases': [{'name': 'a'}, {}]}
  write_log(tmp_path, records)
  (tmp_path / 'config.json').write_text(json.dumps(config))
  assert best_epoch(read_run(tmp_path)) == (4, 'accuracy')
  write_log(tmp_path, records[:2])  # stopped before it
  (tmp_path / 'config.json').write_text(json.dumps(config))
  assert best_epoch(read_run(tmp_path)) == (1, 'accuracy')


@pytest.mark.parametrize('epochs', [1, 250])
def test_one_epoch_and_hundreds_are_drawn_with_gaps(tmp_path, epochs):
  records = [
    record(kind, e, None if e % 7 == 2 else 0.5, **{'recall/a': 0.2, 'recall/b': None})
    for e in range(1, epochs + 1)
    for kind in ('step', 'train', 'validation')
  ]
  plots = {plot.name: plot for plot in training_plots(write_log(tmp_path, records))}
  assert set(plots) == {'curve_accuracy', 'curve_recall_validation', 'curve_recall_training'}
  lines = plots['curve_accuracy'].figure.axes[0].get_lines()
  assert [len(line.get_xdata()) for line in lines[:2]] == [epochs, epochs]


def test_a_log_of_nulls_draws_nothing(tmp_path):
  run = write_log(tmp_path, [record('validation', 1, None)])
  assert training_plots(run) == []
  assert best_epoch(run) is None


def test_phases_are_marked_where_they_begin(tmp_path):
  records = [
    record(kind, epoch, 0.5, phase='head' if epoch <= 3 else 'all')
    for epoch in range(1, 6)
    for kind in ('train', 'validation')
  ]
  run = write_log(tmp_path, records)
  assert phase_starts(run) == [(0.0, 'head'), (3, 'all')]
  (axes,) = training_plots(run)[0].figure.axes
  assert [text.get_text() for text in axes.texts] == ['head', 'all']
  assert 3 in [line.get_xdata()[0] for line in axes.get_lines() if len(line.get_xdata()) == 2]
  only_one = [{**one, 'phase': 'head'} for one in records]
  assert phase_starts(write_log(tmp_path, only_one)) == []
