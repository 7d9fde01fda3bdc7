"""A committed comparison becomes the table between its markers."""

from __future__ import annotations

import json

import pytest

from data_builders.errors import UserError
from lesionjax.report import results
from lesionjax.studies.comparing import compare
from tests.report import fake_comparison as fake

MARKERS = '<!-- results:begin comparison-{0} -->\nold\n<!-- results:end comparison-{0} -->\n'


@pytest.fixture(scope='module')
def compared(tmp_path_factory):
  folder = tmp_path_factory.mktemp('compared') / 'runs'
  fake.write_classifiers(folder, {'row1': 1.0, 'row2': 0.85, 'row3': -1.0})
  share = {'value': 12 / 90, 'low': 0.08, 'high': 0.22, 'n': 90}
  fake.change(folder / 'row2' / 'metrics.json', lambda m: m['test'].update(lesion_missing=share))
  fake.change(folder / 'row2' / 'config.json', lambda c: c['data'].update(lesion='mask_crop'))
  compare(str(folder))
  return folder


@pytest.fixture
def repository(tmp_path):
  folder = tmp_path / 'docs' / 'results'
  folder.mkdir(parents=True)
  claims = {'ours': {'dataset': 'x', 'headline': ['a', 'accuracy'], 'rows': {'a': {'label': 'A',
    'claimed': {}, 'show': ['accuracy']}}}}  # fmt: skip
  (folder / 'claims.json').write_text(json.dumps(claims))
  for page in results.PAGES:
    (tmp_path / page).write_text(MARKERS.format('rows'))
  return tmp_path


def test_the_table_shows_every_run_and_what_is_real(compared, repository, capsys):
  root = ['--root', str(repository)]
  assert results.main([*root, 'add_comparison', str(compared), '--name=rows']) == 0
  found = json.loads((compared / 'compare.json').read_text())
  lines = (repository / 'README.md').read_text().splitlines()
  head, first, second, third = (
    [cell.strip() for cell in lines[row].strip('|').split('|')] for row in (2, 4, 5, 6)
  )
  assert [row[0] for row in (first, second, third)] == ['row1', 'row2', 'row3']
  assert second[:2] == ['row2', 'crop on black']
  value = found['runs'][1]['metrics']['balanced_accuracy']
  assert second[head.index('Balanced accuracy')] == (
    f'{value["value"]:.3f} [{value["low"]:.3f}, {value["high"]:.3f}]'
  )
  at = head.index('Difference of Balanced accuracy')
  assert first[at] == 'reference'
  close, far = (row['differences']['balanced_accuracy'] for row in found['differences'])
  assert close['low'] < 0 < close['high']
  assert second[at] == f'{close["value"]:+.3f} [{close["low"]:+.3f}, {close["high"]:+.3f}]'
  assert far['high'] < 0
  assert third[at] == f'**{far["value"]:+.3f} [{far["low"]:+.3f}, {far["high"]:+.3f}]**'
  assert second[head.index('Without contour')] == '12'
  assert 'to row1, image by image on the same 90 images' in lines[8]
  assert 'They are 8 comparisons, uncorrected: 0.4 would be bold by chance.' in lines[8]
  assert results.main([*root, 'table', '--check']) == 0


def test_a_table_of_segmenters(tmp_path, repository):
  folder = fake.write_segmenters(tmp_path / 'masks', {'unet': 0.9, 'otsu': 0.6})
  compare(str(folder), 'unet')
  results.add_comparison(folder, repository, 'rows')
  results.tables(repository)
  lines = (repository / 'README.md').read_text().splitlines()
  assert '| Dice |' in lines[2]
  assert lines[5].startswith('| unet | whole image | 32x32 |')
  assert lines[4].count('**') == 4


def test_what_was_not_compared_is_refused(tmp_path, repository):
  with pytest.raises(
    UserError, match=r'compare\.json is missing: run `python main\.py --mode=comp'
  ):
    results.add_comparison(tmp_path, repository, 'rows')
  with pytest.raises(UserError, match=r'--name=\.\./rows is no file name'):
    results.add_comparison(tmp_path, repository, '../rows')
  with pytest.raises(UserError, match='"results:begin comparison-rows", which is not one of'):
    results.tables(repository)
