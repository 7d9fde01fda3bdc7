"""The audit of generated images: in training only, by a generator that saw nothing else."""

from __future__ import annotations

import json
import pathlib

from lesionjax.data.datasets import open_split
from tests.data.test_synthetic import write
from tests.evaluation.audit_tables import CLEAN
from tests.evaluation.test_audit import COLUMNS, run


def test_generated_images_belong_in_training_and_their_generator_saw_nothing_else(
  tiny_data_dir, tmp_path
):
  names = open_split('synthetic_dermoscopy/tiny', 'train', str(tiny_data_dir)).class_names
  folder = pathlib.Path(write(tmp_path / 'made', names, [0, 1, 1]))
  arguments = ('synthetic_dermoscopy/tiny', f'--data_dir={tiny_data_dir}', f'--synthetic={folder}')
  train, test = (
    open_split('synthetic_dermoscopy/tiny', split, str(tiny_data_dir))
    for split in ('train', 'test')
  )
  seen = {'groups': train.group_ids.tolist(), 'images': train.image_ids.tolist()}
  (folder / 'seen.json').write_text(json.dumps(seen))
  status, found = run(*arguments, tmp_path=tmp_path)
  assert status == 0
  assert found['generated'] == {'images': 3, 'outside_training': {}, 'made_from': {}}
  seen['images'].append(str(test.image_ids[4]))
  (folder / 'seen.json').write_text(json.dumps(seen))
  status, found = run(*arguments, tmp_path=tmp_path)
  assert status == 1
  assert found['generated']['made_from']['test']['examples'] == [str(test.image_ids[4])]
  assert 'the generator of the generated images has seen 1 image of test' in found['verdict']
  (folder / 'seen.json').unlink()
  assert run(*arguments)[0] == 2


def test_a_generated_image_in_a_table_s_test_split_is_a_leak(table, tmp_path):
  rows = CLEAN + 'generated-0123456789ab-mel-0-00000001,L9,P9,mel,test\n'
  status, found = run(table(rows), *COLUMNS, tmp_path=tmp_path)
  assert status == 1
  assert '1 generated image in test' in found['verdict']
