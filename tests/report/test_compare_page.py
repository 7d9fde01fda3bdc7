"""The page of a comparison says what compare.json says, in one file."""

from __future__ import annotations

import itertools
import json

import pytest

from lesionjax.report import compare_page, compare_words
from lesionjax.studies.comparing import compare
from tests.report import fake_comparison as fake
from tests.report.html_page import Page

SKILLS = {'row1': 1.0, 'row2': 1.05, 'row10': 0.0}


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
  folder = fake.write_classifiers(tmp_path_factory.mktemp('page') / 'runs', SKILLS)
  share = {'value': 12 / 90, 'low': 0.08, 'high': 0.22, 'n': 90}
  fake.change(folder / 'row2' / 'metrics.json', lambda m: m['test'].update(lesion_missing=share))
  fake.change(
    folder / 'row2' / 'config.json', lambda config: config['data'].update(lesion='mask_crop')
  )
  table = compare(str(folder))
  return folder, json.loads((folder / 'compare.json').read_text()), table


@pytest.fixture(scope='module')
def page(compared):
  return Page((compared[0] / 'compare.html').read_text())


def test_every_number_is_on_the_page(compared, page):
  _, found, table = compared
  for run in found['runs']:
    for name in (
      'balanced_accuracy', 'macro_auc', 'accuracy', 'recall/other', 'recall/mel', 'precision/mel',
      'f1/mel',
    ):  # fmt: skip
      entry = run['metrics'][name]
      assert f'{entry["value"]:.3f} {entry["low"]:.3f} to {entry["high"]:.3f}' in page.text
  for row in found['differences']:
    for entry in row['differences'].values():
      told = f'{entry["value"]:+.3f} {entry["low"]:+.3f} to {entry["high"]:+.3f} {entry["verdict"]}'
      assert told in page.text
    assert f'{row["mcnemar"]["b"]} {row["mcnemar"]["c"]}' in page.text
  verdicts = [row['differences']['balanced_accuracy']['verdict'] for row in found['differences']]
  better, worse = verdicts.count('better'), verdicts.count('worse')
  counts = f'{better} better, {worse} worse, {2 - better - worse} not shown to differ'
  assert worse
  assert f'Balanced accuracy against row1: {counts}' in page.text
  lines = table.splitlines()
  assert [line.split()[0] for line in lines[:4]] == ['run', 'row1', 'row2', 'row10']
  assert 'worse' in lines[3]
  assert lines[-1].endswith('compare.html')


def test_cautions_stand_above_the_numbers(compared, page):
  # Balanced accuracy, macro F1, accuracy and AUC; recall of either class.
  assert 'These are 12 comparisons (2 runs, 4 metrics and 2 recalls), uncorrected' in page.text
  assert '0.6 of them here' in page.text
  assert 'Each run was trained once' in page.text
  assert 'uncorrected' in compared[2]


def test_what_runs_see_and_cost(page):
  costs = page.text.split('What they see and what they cost')[-1]
  assert 'row1 resnet18 64x64 whole image unknown 5 min 12 s 8.1 s 1,840 MB - -' in costs
  assert (
    'row2 resnet18 64x64 crop of the lesion, on black unknown 5 min 12 s 8.1 s 1,840 MB - 12'
    in costs
  )


def test_one_file_without_network_or_script(compared, page):
  folder = compared[0]
  assert all(source.startswith('data:image/') for source in page.sources)
  assert all(link.startswith(('#', 'data:')) for link in page.links)
  assert {link[1:] for link in page.links if link.startswith('#')} <= {*page.ids}
  assert 'script' not in page.tags
  assert all(page.alts)
  assert {path.name for path in (folder / 'figures').glob('*.svg')} == {
    'compare_balanced_accuracy.svg', 'compare_macro_auc.svg', 'compare_macro_f1.svg',
    'compare_accuracy.svg', 'compare_recall_0.svg', 'compare_recall_1.svg',
  }  # fmt: skip


def test_names_are_escaped_and_undefined_numbers_said(compared, tmp_path):
  _, found, _ = compared
  found = json.loads(json.dumps(found))
  found['runs'][0]['name'] = found['reference'] = '<script>x</script>'
  entry = found['differences'][0]['differences']['macro_auc']
  entry |= {'value': None, 'low': None, 'high': None, 'verdict': 'no difference shown'}
  found['runs'][1]['metrics']['macro_auc'] |= {'value': None, 'low': None, 'high': None}
  text = compare_page.write(tmp_path, found).read_text()
  assert '<script>' not in text
  page = Page(text)
  assert 'undefined' in page.text
  assert 'row2' in compare_page.text(found)


def test_a_single_pair_and_segmenters(tmp_path):
  folder = fake.write_segmenters(tmp_path / 'masks', {'unet': 0.9, 'small': 0.8})
  assert 'Dice' in compare(str(folder), 'unet')
  page = Page((folder / 'compare.html').read_text())
  assert 'Dice against unet: small is worse' in page.text
  assert '(1 run, 2 metrics)' in page.text
  assert 'Jaccard of at least 0.65 as right' in page.text


def test_many_classes_have_no_positive_one(compared):
  _, found, _ = compared
  names = ['a', 'b', 'c']
  many = {**found, 'positive': None, 'class_names': names, 'support': [1, 2, 3]}
  text = compare_page.text(many)
  assert 'Macro AUC' in text
  assert 'Macro F1' in text


def test_the_rarest_classes_and_phases_are_told(compared, tmp_path):
  _, found, _ = compared
  found = json.loads(json.dumps(found))
  found |= {'rare': ['mel'], 'recalls': ['rare_recall', *found['recalls']]}
  for row in found['differences']:
    row['differences']['rare_recall'] = row['differences']['recall/mel']
  found['runs'][1]['best_phase'] = 'new_head'
  page = Page(compare_page.write(tmp_path, found).read_text())
  assert 'The rarest classes, mel, are the third with the fewest training images' in page.text
  assert 'Recall of the rarest classes against row1: ' in page.text
  assert '4 metrics and 3 recalls' in page.text
  assert 'Phase of the epoch kept' in page.text
  assert '1,840 MB new_head' in page.text
  # A comparison of before has neither.
  for key in ('rare', 'recalls'):
    del found[key]
  for run in found['runs']:
    run.pop('best_phase', None)
  assert (
    '(2 runs, 4 metrics), uncorrected' in Page(compare_page.write(tmp_path, found).read_text()).text
  )


def test_words_about_seeds(compared):
  _, found, _ = compared
  found = {**found, 'left_out': ['b_seed2']}
  told = compare_words.sentences({**found, 'seeds': [0]})
  assert told[-1] == 'Not finished, or of a seed that others lack, and left out: b_seed2.'
  assert compare_words.sentences(found)[-1] == 'Not finished and left out: b_seed2.'
  assert 'Each run was trained once' in compare_words.cautions({**found, 'seeds': [0]})[1]
  assert 'means of 2 trainings' in compare_words.cautions({**found, 'seeds': [0, 1]})[1]


def test_the_finding_names_the_largest_gain_and_what_it_costs(compared, tmp_path):
  _, found, _ = compared

  def row(name, *values):
    verdicts = {1: 'better', -1: 'worse', 0: 'no difference shown'}
    differences = {
      metric: {'value': v / 10, 'low': v / 10 - 0.01, 'high': v / 10 + 0.01, 'n': 9,
               'verdict': verdicts[(v > 0) - (v < 0)]}
      for metric, v in zip(found['compared'], values, strict=True)
    }  # fmt: skip
    return {**found['differences'][0], 'name': name, 'differences': differences, 'mcnemar': None}

  count = len(found['compared'])
  less, most = row('less', 1, *[0] * (count - 1)), row('most', 2, -3, *[0] * (count - 2))
  told = {**found, 'differences': [less, most], 'seeds': [0, 1], 'recalls': ()}
  same = {**told, 'differences': [row('same', *[0] * count)]}
  assert not any('gains most' in line for line in compare_words.sentences(same))
  second = compare_words.metric_name(found['compared'][1], found)
  assert compare_words.sentences(told)[0] == (
    'most gains most: Balanced accuracy +0.200 (+0.190 to +0.210) against row1; it costs'
    f' {second} -0.300 (-0.310 to -0.290).'
  )
  line = next(x for x in compare_words.sentences(told) if x.startswith('Balanced accuracy against'))
  assert 'better most, less' in line
  assert '3 ways of training, 2 seeds each' in compare_words.facts(told)
  text = Page(compare_page.write(tmp_path, told).read_text()).text
  assert 'McNemar' not in text
  assert 'and over seeds' in text


@pytest.mark.parametrize(('low', 'high'), [(-0.0125, 0.0075), (-0.0009, 0.0005), (-0.2, 0.1)])
def test_numbers_below_a_plot_stand_apart(compared, low, high):
  found = json.loads(json.dumps(compared[1]))
  verdict = 'no difference shown'
  entry = {'value': (low + high) / 2, 'low': low, 'high': high, 'verdict': verdict}
  for row in found['differences']:
    row['differences']['macro_auc'] = entry
  plot = compare_page._forest(found, 'macro_auc')
  plot.figure.canvas.draw()
  (axes,) = plot.figure.axes
  left, right = axes.get_xlim()
  boxes = [
    label.get_window_extent()
    for at, label in zip(axes.get_xticks(), axes.get_xticklabels(), strict=True)
    if left <= at <= right
  ]
  assert len(boxes) >= 3
  assert all(one.x1 + 3 < two.x0 for one, two in itertools.pairwise(boxes))
