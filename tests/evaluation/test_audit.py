"""The audit's verdicts, figures, JSON and exit status; mistakes are told in a sentence."""

from __future__ import annotations

import json
import pathlib
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax.evaluation import audit, audit_findings, audit_rows, audit_text
from tests.evaluation.audit_tables import CLEAN
from tests.evaluation.pictures import jpeg, picture

# i6 shares the lesion of i0; i7 the patient of i2 only; i8 is connected to i0 through i6's patient.
LEAKY = CLEAN + 'i6,L0,P6,mel,test\ni7,L7,P1,nv,test\ni8,L8,P6,nv,val\n'


def run(*arguments: str, tmp_path: pathlib.Path | None = None) -> tuple[int, dict]:
  """Exit status and what --json wrote."""
  if tmp_path is None:
    return audit.main(arguments), {}
  path = tmp_path / 'out.json'
  status = audit.main([*arguments, f'--json={path}'])
  return status, json.loads(path.read_text()) if path.exists() else {}


COLUMNS = ('--split=split', '--group=lesion_id,patient_id', '--label=dx')


def test_a_clean_table_is_clean(table, tmp_path, capsys):
  status, found = run(table(CLEAN), *COLUMNS, tmp_path=tmp_path)
  assert status == 0
  assert found['verdict'] == (
    'CLEAN: none of the 3 images outside train shares a lesion_id or patient_id with it.'
  )
  assert capsys.readouterr().out.startswith(found['verdict'])
  assert found['leaks'] is False
  assert (found['images'], found['groups'], found['training']) == (6, 5, 'train')
  assert found['support']['test'] == {'mel': 1, 'nv': 1}
  assert found['classes_missing'] == {'train, not in val': ['mel']}
  assert found['folds'] is None
  assert found['near_duplicates'] is None


def test_leaks_are_counted_by_hand(table, tmp_path, capsys):
  status, found = run(table(LEAKY), *COLUMNS, tmp_path=tmp_path)
  assert status == 1
  test = found['splits']['test']
  assert (test['images'], test['leaked_images'], test['leaked_share']) == (4, 2, 0.5)
  assert test['classes']['mel'] == {'images': 2, 'leaked_images': 1, 'leaked_share': 0.5}
  assert found['splits']['val']['leaked_images'] == 1
  assert found['groups_in_two_other_splits'] == {'test + val': {'groups': 1, 'examples': ['L0']}}
  # i0 and i6 are mel, i8 is nv: one group through lesion and patient.
  assert found['groups_with_two_labels'] == {'L0': {'mel': 3, 'nv': 1}}
  assert found['verdict'].startswith(
    'LEAKS: 50.0 % of the test images (2 of 4) share a lesion_id or patient_id with train'
  )
  text = capsys.readouterr().out
  assert re.search(r'^mel +2 +1 +50.0 %$', text, re.MULTILINE)
  # By lesion alone, only i6 leaks.
  _, by_lesion = run(
    table(LEAKY), '--split=split', '--group=lesion_id', '--label=dx', tmp_path=tmp_path
  )
  assert by_lesion['splits']['test']['leaked_images'] == 1
  assert by_lesion['splits']['val']['leaked_images'] == 0


def test_an_id_in_two_splits_is_a_leak_and_twice_in_one_is_none(table, tmp_path):
  status, found = run(table(CLEAN + 'i2,,,nv,test\n'), *COLUMNS, tmp_path=tmp_path)
  assert status == 1
  assert found['ids_in_two_splits'] == {'i2': ['test', 'train']}
  assert found['splits']['test']['leaked_images'] == 1
  assert '1 image id in two splits' in found['verdict']
  status, found = run(table(CLEAN + 'i2,L1,P1,nv,train\n'), *COLUMNS, tmp_path=tmp_path)
  assert status == 0
  assert found['repeated_ids'] == ['i2']


def test_a_leak_between_two_held_out_splits_counts(table, tmp_path):
  status, found = run(table(CLEAN + 'i9,L2,,nv,val\n'), *COLUMNS, tmp_path=tmp_path)
  assert status == 1
  assert found['verdict'] == 'LEAKS: 1 group in both of test + val.'


def test_one_hot_labels_and_metadata_of_another_table(table, tmp_path):
  truth = table('\ufeffimage,MEL,NV,split\na,1.0,0.0,Training\nb,0,1,Test\nc,1,0,Test\n')
  other = table('image,lesion_id\nc,L\nb,\na,L\nd,M\n', 'other.csv')
  status, found = run(
    truth,
    f'--join={other}',
    '--split=split',
    '--group=lesion_id',
    '--label=MEL,NV',
    tmp_path=tmp_path,
  )
  assert status == 1
  assert found['training'] == 'Training'
  assert found['splits']['Test']['classes']['mel']['leaked_images'] == 1
  assert found['splits']['Test']['classes']['nv']['leaked_images'] == 0


def test_listed_duplicates_are_dropped(table, tmp_path):
  duplicates = table('image_name_1,image_name_2\ni0,i6\ni2,i7\n', 'duplicates.csv')
  status, found = run(
    table(LEAKY), *COLUMNS, f'--drop={duplicates}:image_name_2', tmp_path=tmp_path
  )
  assert found['dropped'] == 2
  assert found['splits']['test']['leaked_images'] == 0
  assert status == 0


def test_simulation_needs_no_split_and_always_exits_zero(table, tmp_path, capsys):
  status, found = run(
    table(LEAKY), '--simulate=0.7', '--group=lesion_id', '--label=dx', tmp_path=tmp_path
  )
  assert status == 0
  drawn = found['simulation']
  # 9 images, 6 in training; only L0 has siblings, three of them: 1 - C(6, 6) / C(8, 6).
  assert drawn['expected'] == pytest.approx(3 / 9 * (1 - 1 / 28))
  assert drawn['seeds'] >= 100
  assert drawn['classes']['mel']['images'] == 4
  assert capsys.readouterr().out.startswith('SIMULATED: ')


def test_copies_across_splits_are_leaks_unless_their_group_is_counted(table, tmp_path, capsys):
  images = {f'i{n}': picture(n) for n in range(6)}
  images['i3'] = picture(0)[:, ::-1]  # test: a mirrored copy of i0 of train
  images['i1'] = picture(0)  # the same lesion as i0, and the same split
  with zipfile.ZipFile(tmp_path / 'images.zip', 'w') as archive:
    for name, image in images.items():
      if name != 'i5':
        archive.writestr(f'{name}_downsampled.jpg', jpeg(image, quality=70))
  status, found = run(
    table(CLEAN), *COLUMNS, f'--images={tmp_path / "images.zip"}', tmp_path=tmp_path
  )
  assert status == 1
  copies = found['near_duplicates']
  assert (copies['images'], copies['missing'], copies['missing_examples']) == (5, 1, ['i5'])
  assert [pair['images'] for pair in copies['across_splits']] == [['i0', 'i3'], ['i1', 'i3']]
  assert all(pair['mirrored'] for pair in copies['across_splits'])
  assert copies['across_splits'][0]['splits'] == ['train', 'test']
  assert copies['within_a_group'] == 1
  assert found['verdict'] == 'LEAKS: 2 pairs of near-duplicate images across splits.'
  assert 'mirrored' in capsys.readouterr().out


def test_registration_is_run_on_request(table, tmp_path):
  images = tmp_path / 'images'
  images.mkdir()
  for number in range(6):
    (images / f'i{number}.jpg').write_bytes(jpeg(picture(number)))
  shifted = np.roll(picture(0), 60, axis=1)  # test: i3 is i0 of train, shifted
  (images / 'i3.jpg').write_bytes(jpeg(shifted))
  arguments = (table(CLEAN), *COLUMNS, f'--images={images}')
  assert run(*arguments)[0] == 0
  status, found = run(*arguments, '--registration', tmp_path=tmp_path)
  assert status == 1
  (pair,) = found['near_duplicates']['across_splits']
  assert pair['images'] == ['i0', 'i3']
  assert pair['stage'] == 'registration'
  assert pair['inliers'] >= 12


def test_a_defect_of_ours_is_not_taken_for_a_leak(table, monkeypatch, capsys):
  def fail(*_):
    raise KeyError('ours')

  monkeypatch.setattr(audit_findings, 'examine', fail)
  assert run(table(CLEAN), *COLUMNS)[0] == 2
  assert 'Traceback' in capsys.readouterr().err


def test_the_command_exits_with_the_status_and_without_jax(table):
  code = (
    'import sys\n'
    'from lesionjax.evaluation import audit\n'
    'status = audit.main(sys.argv[1:])\n'
    'slow = {"jax", "sklearn", "scipy", "tensorflow", "matplotlib"} & set(sys.modules)\n'
    'sys.exit(status if not slow else f"imported {slow}")\n'
  )
  arguments = [sys.executable, '-c', code, table(LEAKY), *COLUMNS]
  done = subprocess.run(arguments, capture_output=True, text=True, check=False)
  assert (done.returncode, done.stderr) == (1, '')
  arguments = [sys.executable, '-m', 'lesionjax.evaluation.audit', 'nowhere.csv', '--group=a']
  done = subprocess.run(arguments, capture_output=True, text=True, check=False)
  assert done.returncode == 2
  assert done.stderr.startswith('Error: nowhere.csv cannot be read')


def test_percentages_never_round_to_none_or_all():
  assert audit_text.percent(0) == '0.0 %'
  assert audit_text.percent(0.3866) == '38.7 %'
  assert audit_text.percent(0.0004) == '0.04 %'
  assert audit_text.percent(0.99999) == '99.99 %'
  assert audit_text.percent(1) == '100.0 %'


def test_training_is_called_by_its_usual_names():
  assert audit_rows.training_name(['test', 'Training']) == 'Training'
  assert audit_rows.training_name(['a', 'b'], 'b') == 'b'
  with pytest.raises(UserError, match='2 of the splits'):
    audit_rows.training_name(['train', 'training'])


def _rows(**changed) -> audit_rows.Rows:
  values = {
    'what': 'one, two',
    'image_ids': ['a', 'b', 'c', 'a'],
    'splits': ['train', 'validation', 'official_test', 'train'],
    'labels': ['akiec', 'nv', 'nv', 'ak'],
    'groups': np.array(['a', 'b', 'c', 'a']),
    'group_by': ('group_id',),
    'sources': ['one', 'one', 'two', 'two'],
    'folds': np.array([0, 7, -1, 0]),
  }
  return audit_rows.Rows(**(values | changed))


def test_data_sets_that_agree_are_clean():
  found = audit_findings.examine(_rows(), 'train')
  assert not found['leaks']
  # One lesion may have another class name in another data set.
  assert found['groups_with_two_labels'] == {}
  assert set(found['support']) == {
    'one: train',
    'one: validation',
    'two: official_test',
    'two: train',
  }


def test_one_image_in_different_splits_of_two_data_sets_leaks():
  found = audit_findings.examine(
    _rows(splits=['train', 'validation', 'official_test', 'validation']), 'train'
  )
  assert found['ids_in_two_splits'] == {'a': ['train', 'validation']}
  assert found['leaks']


def test_folds_that_divide_a_group_or_training_are_leaks():
  divided = audit_findings.examine(_rows(folds=np.array([0, 7, -1, 1])), 'train')
  assert divided['folds']['divided_groups'] == {'a': [0, 1]}
  assert divided['leaks']
  both = audit_findings.examine(_rows(folds=np.array([0, 0, -1, 0])), 'train')
  assert both['folds']['in_training_and_elsewhere'] == [0]
  assert both['leaks']


def test_a_built_data_set_is_audited_by_name(tiny_data_dir, tmp_path):
  arguments = ('synthetic_dermoscopy/tiny', f'--data_dir={tiny_data_dir}')
  status, found = run(*arguments, '--images=records', tmp_path=tmp_path)
  assert found['ids_in_two_splits'] == {}
  assert all(split['leaked_images'] == 0 for split in found['splits'].values())
  assert found['folds'] == {'divided_groups': {}, 'in_training_and_elsewhere': []}
  assert found['near_duplicates']['images'] == found['images']
  assert status == (1 if found['near_duplicates']['across_splits'] else 0)
  assert run(*arguments)[0] == 0
  assert run('nowhere', f'--data_dir={tiny_data_dir}')[0] == 2


@pytest.mark.realdata
def test_isic2019_leaks_as_published(shared_data, tmp_path):
  data = shared_data / 'isic2019'
  status, found = run(
    str(data / 'ISIC_2019_Training_GroundTruth.csv'),
    f'--join={data / "ISIC_2019_Training_Metadata.csv"}',
    '--group=lesion_id',
    '--label=MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK',
    '--simulate=0.85',
    tmp_path=tmp_path,
  )
  assert status == 0
  drawn = found['simulation']
  for key in ('expected', 'mean'):
    assert 100 * drawn[key] == pytest.approx(61.6, abs=0.5)
    assert 100 * drawn['classes']['mel'][key] == pytest.approx(79.8, abs=0.5)
