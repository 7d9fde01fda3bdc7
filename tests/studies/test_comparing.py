"""Finished runs held against each other: the same images, whatever their order; else refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from sklearn.metrics import (
  accuracy_score,
  balanced_accuracy_score,
  f1_score,
  recall_score,
  roc_auc_score,
)

from data_builders.errors import UserError
from lesionjax.report import compare_page
from lesionjax.studies.comparing import _interval_of_seeds, compare, rare_classes
from tests.report import fake_comparison as fake

SKILLS = {'row1': 1.0, 'row2': 1.0, 'row10': 0.0}


@pytest.fixture(scope='module')
def classifiers(tmp_path_factory):
  return fake.write_classifiers(tmp_path_factory.mktemp('classifiers'), SKILLS)


@pytest.fixture
def runs(classifiers, tmp_path, monkeypatch):
  """A copy to be changed; its page is not drawn."""
  monkeypatch.setattr(compare_page, 'write', lambda folder, found: folder / 'compare.html')
  return shutil.copytree(classifiers, tmp_path / 'runs')


def found_in(folder):
  return json.loads((folder / 'compare.json').read_text())


def test_numbers_are_those_of_the_predictions(runs):
  compare(str(runs), 'row2')
  found = found_in(runs)
  assert found['reference'] == 'row2'
  assert found['positive'] == 'mel'
  assert [run['name'] for run in found['runs']] == ['row1', 'row2', 'row10']
  assert [row['name'] for row in found['differences']] == ['row1', 'row10']
  arrays = {name: fake.read(runs / name) for name in SKILLS}
  labels = arrays['row1']['label']
  assert found['images'] == len(labels)
  assert found['support'] == np.bincount(labels).tolist()

  def measured(name):
    p = arrays[name]['probabilities']
    said = p.argmax(1)
    return (
      balanced_accuracy_score(labels, said),
      f1_score(labels, said, average='macro'),
      accuracy_score(labels, said),
      roc_auc_score(labels, p[:, 1]),
      *recall_score(labels, said, average=None),
    )

  right = {name: arrays[name]['probabilities'].argmax(1) == labels for name in SKILLS}
  for row in found['differences']:
    names = [*found['compared'], *found['recalls']]
    assert names[3:] == ['macro_auc', 'recall/other', 'recall/mel']
    values = [row['differences'][name]['value'] for name in names]
    expected = np.subtract(measured(row['name']), measured('row2'))
    assert values == pytest.approx(expected.tolist(), abs=1e-6)
    assert row['mcnemar']['b'] == (right[row['name']] & ~right['row2']).sum()
    assert row['mcnemar']['c'] == (~right[row['name']] & right['row2']).sum()
  verdicts = [row['differences']['macro_auc']['verdict'] for row in found['differences']]
  assert verdicts == ['no difference shown', 'worse']


def test_the_order_of_the_images_does_not_matter(runs):
  compare(str(runs))
  before = found_in(runs)
  order = np.random.default_rng(0).permutation(before['images'])

  def shuffle(arrays):
    for key, values in arrays.items():
      if key != 'class_names':
        arrays[key] = values[order]

  fake.rewrite(runs / 'row2', shuffle)
  compare(str(runs))
  assert found_in(runs)['differences'] == before['differences']


def test_unfinished_runs_are_left_out_and_other_directories_ignored(runs):
  shutil.copytree(runs / 'row1', runs / 'row3')
  (runs / 'row3' / 'report.html').unlink()
  (runs / 'masks').mkdir()
  assert 'left out: row3.' in compare(str(runs))
  assert found_in(runs)['left_out'] == ['row3']
  assert 'row3' not in [run['name'] for run in found_in(runs)['runs']]


def test_images_without_a_lesion_are_passed_on(runs):
  share = {'value': 7 / 90, 'low': 0.03, 'high': 0.15, 'n': 90}
  fake.change(runs / 'row1' / 'metrics.json', lambda m: m['test'].update(lesion_missing=share))
  compare(str(runs))
  assert [run['lesion_missing'] for run in found_in(runs)['runs']] == [7, None, None]
  assert 'lesion_missing' not in found_in(runs)['runs'][0]['metrics']


@pytest.mark.parametrize(
  ('edit', 'sentence'),
  [
    (
      lambda a: a['image_id'].put(0, 'test_new'),
      'row1 and row2 were scored on other images: 90 and 90, of which 89 are the same',
    ),
    (
      lambda a: a['label'].put(3, 1 - a['label'][3]),
      'row1 and row2 were told another label for 1 of 90 test images, such as test_0000003',
    ),
    (
      lambda a: a['group_id'].put(3, 'elsewhere'),
      'were told another lesion or patient for 1 of 90',
    ),
    (
      lambda a: a.update(class_names=np.array(['benign', 'malignant'])),
      r'know other classes \(other, mel; benign, malignant\)',
    ),
  ],
)
def test_runs_on_other_images_are_refused(edit, sentence, runs):
  fake.rewrite(runs / 'row2', edit)
  with pytest.raises(UserError, match=sentence):
    compare(str(runs))
  assert not (runs / 'compare.json').exists()


def test_mistakes_are_told(runs, tmp_path):
  with pytest.raises(UserError, match='--reference=row4 is not one of the runs row1, row2, row10'):
    compare(str(runs), 'row4')
  for name in ('row2', 'row10'):
    (runs / name / 'metrics.json').unlink()
  with pytest.raises(UserError, match=r'holds 1 finished runs \(row1\)'):
    compare(str(runs))
  with pytest.raises(UserError, match=r'holds 0 finished runs \(none\)'):
    compare(str(tmp_path / 'nowhere'))


def test_a_run_without_predictions_is_named(runs):
  (runs / 'row2' / 'predictions_test.npz').unlink()
  with pytest.raises(UserError, match="row2 has no predictions of its test split 'test'"):
    compare(str(runs))


def test_segmenters_are_compared_by_dice_and_jaccard(runs, tmp_path):
  folder = fake.write_segmenters(tmp_path / 'masks', {'unet': 0.9, 'worse': 0.8})
  compare(str(folder))
  found = found_in(folder)
  (row,) = found['differences']
  one, other = (
    dict(zip(a['metric_names'].tolist(), a['network'].T, strict=True))
    for a in (fake.read(folder / name) for name in ('unet', 'worse'))
  )
  assert found['compared'] == ['dice', 'threshold_jaccard']
  for name in found['compared']:
    entry = row['differences'][name]
    assert entry['value'] == pytest.approx((other[name] - one[name]).mean())
    assert entry['verdict'] == 'worse'
  assert row['mcnemar']['c'] == ((other['failure'] == 1) & (one['failure'] == 0)).sum() > 0
  shutil.copytree(runs / 'row1', folder / 'classifier')
  with pytest.raises(UserError, match='one finds lesions and the other names classes'):
    compare(str(folder))


def test_lesions_at_the_border_are_passed_on(runs):
  share = {'value': 30 / 83, 'low': 0.2, 'high': 0.5, 'n': 83}
  fake.change(runs / 'row2' / 'metrics.json', lambda m: m['test'].update(lesion_at_border=share))
  compare(str(runs))
  assert [run['lesion_at_border'] for run in found_in(runs)['runs']] == [None, 30, None]
  assert 'lesion_at_border' not in found_in(runs)['runs'][1]['metrics']


@pytest.mark.parametrize(
  ('content', 'place'), [({'test': 1}, 'test'), ({'test': {'a': 2}}, 'test.a')]
)
def test_metrics_that_are_none_are_told(content, place, runs):
  (runs / 'row2' / 'metrics.json').write_text(json.dumps(content))
  with pytest.raises(
    UserError, match=rf"row2/metrics.json holds no metrics under '{place}': restore"
  ):
    compare(str(runs))


def test_the_first_by_name_is_the_reference(runs):
  for before, after in (('row1', 'unet64'), ('row2', 'bcdunet128'), ('row10', 'unetpp_64')):
    (runs / before).rename(runs / after)
  shutil.copytree(runs / 'unet64', runs / 'unet8')
  compare(str(runs))
  found = found_in(runs)
  assert found['reference'] == 'bcdunet128'
  names = ['bcdunet128', 'unet8', 'unet64', 'unetpp_64']
  assert [run['name'] for run in found['runs']] == names


def test_every_class_and_the_rarest_are_compared(tmp_path, monkeypatch):
  monkeypatch.setattr(compare_page, 'write', lambda folder, found: folder / 'compare.html')
  names = ('nv', 'mel', 'bkl', 'df', 'vasc', 'akiec')
  skills = {f'{name}_seed{seed}': s for name, s in (('a', 1.0), ('b', 0.2)) for seed in (0, 1)}
  folder = fake.write_classifiers(tmp_path / 'runs', skills, 200, classes=names)
  support = dict(zip(names, (50, 9, 30, 9, 40, 10), strict=True))
  for name in skills:
    fake.change(folder / name / 'data.json', lambda d: d['splits']['train'].update(support=support))
  compare(str(folder), 'a')
  found = found_in(folder)
  assert found['rare'] == ['mel', 'df']
  assert found['recalls'] == ['rare_recall', *(f'recall/{name}' for name in names)]
  recalls = {}
  for arm in ('a', 'b'):
    arrays = [fake.read(folder / f'{arm}_seed{seed}') for seed in (0, 1)]
    recalls[arm] = np.mean(
      [recall_score(a['label'], a['probabilities'].argmax(1), average=None) for a in arrays], 0
    )
  (row,) = found['differences']
  change = recalls['b'] - recalls['a']
  for index, name in enumerate(names):
    assert row['differences'][f'recall/{name}']['value'] == pytest.approx(change[index])
  entry = row['differences']['rare_recall']
  assert entry['value'] == pytest.approx(change[[1, 3]].mean())
  assert entry['low'] < entry['value'] < entry['high'] < 0
  assert entry['verdict'] == 'worse'
  first = found['runs'][0]['metrics']['rare_recall']
  assert first['value'] == pytest.approx(recalls['a'][[1, 3]].mean())


def test_the_rarest_classes_are_a_third():
  assert rare_classes([5, 1, 3, 2, 9, 8, 7]) == [1, 3]
  assert rare_classes([5, 1, 1]) == [1]
  assert rare_classes([5, 1]) == []


def test_the_phase_of_the_epoch_that_was_kept_is_told(runs):
  def in_phases(run, last):
    lines = (run / 'metrics.jsonl').read_text().splitlines()
    records = [json.loads(line) for line in lines]
    for record in records:
      record['phase'] = 'whole' if record['epoch'] <= 1 else 'new_head'
      if record['kind'] == 'validation':
        record['balanced_accuracy'] = 0.9 if record['epoch'] <= 1 else 0.5
    (run / 'metrics.jsonl').write_text('\n'.join(map(json.dumps, records)))
    select = {'metric': 'balanced_accuracy', 'phase': last}
    phases = [{'name': 'whole'}, {'name': 'new_head'}]
    fake.change(run / 'config.json', lambda c: c.update(select=select, phases=phases))

  in_phases(runs / 'row1', 'any')
  in_phases(runs / 'row2', 'last')
  compare(str(runs))
  found = found_in(runs)
  assert [run['best_phase'] for run in found['runs']] == ['whole', 'new_head', None]


def test_only_seeds_that_are_alike_have_the_interval_of_one():
  entry = {'value': 0.5, 'low': 0.5, 'high': 0.5}
  own = [{'value': 1.0, 'low': 0.8, 'high': 1.0}, {'value': 0.0, 'low': 0.0, 'high': 0.2}]
  assert _interval_of_seeds(entry, own) == entry
  assert _interval_of_seeds({**entry, 'value': 1.0}, own[:1] * 2)['low'] == 0.8


def test_a_recall_of_all_seeds_alike_has_the_interval_of_one(tmp_path, monkeypatch):
  monkeypatch.setattr(compare_page, 'write', lambda folder, found: folder / 'compare.html')
  skills = {f'{name}_seed{seed}': skill for name, skill in (('a', 50), ('b', 1)) for seed in (0, 1)}
  folder = fake.write_classifiers(tmp_path / 'runs', skills)
  compare(str(folder))
  sure, other = found_in(folder)['runs']
  own = json.loads((folder / 'a_seed0' / 'metrics.json').read_text())['test']['recall/mel']
  found = sure['metrics']['recall/mel']
  assert (own['value'], own['high']) == (1.0, 1.0)
  assert own['low'] < 1
  assert (found['value'], found['low'], found['high']) == (1.0, own['low'], 1.0)
  entry = other['metrics']['recall/mel']
  assert entry['low'] < entry['value'] < entry['high']
