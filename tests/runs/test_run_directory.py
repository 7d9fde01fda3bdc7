"""Whose a directory is, what its data were, and which splits would flatter a result."""

import dataclasses

import numpy as np
import pytest

from configs import base
from data_builders.errors import UserError
from lesionjax.data.records import Split
from lesionjax.host import files
from lesionjax.runs import run_directory


def split(name, images, groups):
  count = len(images)
  return Split(
    name='skin/random',
    split=name,
    class_names=('mel', 'nv'),
    labels=np.zeros(count, np.int32),
    image_ids=np.array(images),
    group_ids=np.array(groups),
    folds=np.zeros(count, np.int32),
    sources=(),
    places=np.zeros((count, 2), np.int64),
  )


TRAIN = split('train', ['a', 'b'], ['1', '2'])


def test_a_lesion_on_both_sides_is_refused_unless_a_publication_did_it():
  held_out = split('test', ['c', 'd'], ['2', '3'])
  with pytest.raises(UserError, match=r"1 of the 2 images .* such as c, .*protocol='published'"):
    run_directory.refuse_leak(TRAIN, held_out, 'rigorous')
  run_directory.refuse_leak(TRAIN, held_out, 'published')
  run_directory.refuse_leak(TRAIN, split('test', ['c'], ['3']), 'rigorous')


@pytest.mark.parametrize('protocol', ['rigorous', 'published'])
def test_an_image_on_both_sides_is_always_refused(protocol):
  with pytest.raises(UserError, match='such as b, are in the training split'):
    run_directory.refuse_leak(TRAIN, split('test', ['b', 'c'], ['8', '9']), protocol)


def test_what_a_run_has_seen_includes_its_ancestor(tmp_path):
  run_directory.remember_seen(tmp_path / 'old', TRAIN)
  run_directory.remember_seen(tmp_path / 'new', split('train', ['c'], ['3']), tmp_path / 'old')
  held_out = split('test', ['z'], ['1'])
  with pytest.raises(UserError, match=r'init_from: the run .* was trained on 1 of the 1 images'):
    run_directory.refuse_seen(tmp_path / 'new', held_out, 'config.init_from')
  run_directory.refuse_seen(tmp_path / 'new', held_out, 'config.init_from', images_only=True)
  seen_image = dataclasses.replace(held_out, image_ids=np.array(['a']))
  with pytest.raises(UserError, match='was trained on'):
    run_directory.refuse_seen(tmp_path / 'new', seen_image, 'config.init_from', images_only=True)


def test_other_data_under_the_same_name_are_refused(tmp_path):
  data = {'name': 'skin', 'config': 'grouped', 'version': '1.0.0', 'fingerprint': 'f' * 64}
  run_directory.refuse_other_data(tmp_path, data)  # a new run
  files.write_json(tmp_path / 'data.json', data)
  run_directory.refuse_other_data(tmp_path, data)
  changed = {**data, 'version': '1.1.0', 'fingerprint': '0' * 64}
  with pytest.raises(UserError, match=r'skin/grouped 1\.0\.0 \(f+\) .* holds .* 1\.1\.0 \(0+\)'):
    run_directory.refuse_other_data(tmp_path, changed)


@pytest.mark.parametrize(
  ('part', 'other'), [('generator', 'b' * 64), ('seed', 1), ('counts', {'df': 6})]
)
def test_other_generated_images_are_refused(tmp_path, part, other):
  made = {'generator': 'a' * 64, 'seed': 0, 'counts': {'df': 5}, 'commit': 'c'}
  data = {'name': 'skin', 'config': '', 'version': '1', 'fingerprint': 'f', 'synthetic': made}
  files.write_json(tmp_path / 'data.json', data)
  run_directory.refuse_other_data(tmp_path, {**data, 'synthetic': {**made, 'commit': 'd'}})
  with pytest.raises(UserError, match=r'other generated .* \(generator a{12}, seed 0, .*; now gen'):
    run_directory.refuse_other_data(tmp_path, {**data, 'synthetic': {**made, part: other}})


def test_a_run_killed_while_it_wrote_its_first_file_starts_again(tmp_path):
  (tmp_path / '.config.json.17.tmp').write_text('{')
  run_directory.check(tmp_path, base.get_config())


def test_damaged_or_missing_files_are_named(tmp_path):
  with pytest.raises(UserError, match=r'it has no config\.json; give the --workdir'):
    run_directory.read_config(tmp_path)
  (tmp_path / 'config.json').write_text('{')
  with pytest.raises(UserError, match=r'config\.json cannot be read'):
    run_directory.read_config(tmp_path)
  with pytest.raises(UserError, match=r'it has no config\.json'):
    run_directory.read_config(tmp_path / 'config.json')
  with pytest.raises(UserError, match=r'has no data\.json'):
    run_directory.class_names(tmp_path)


def test_a_directory_in_which_another_process_trains_is_refused(tmp_path):
  with (
    run_directory.hold(tmp_path),
    pytest.raises(UserError, match='is in use'),
    run_directory.hold(tmp_path),
  ):
    pass
  with run_directory.hold(tmp_path):  # free again
    pass
