"""A generator writes a data set; a classifier mixes it into its training, and nowhere else."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

import lesionjax
from data_builders.errors import UserError
from lesionjax import experiment, generation_writing, run_directory
from lesionjax.data import synthetic
from lesionjax.pieces import Pieces

NAMES = ('a', 'b', 'c')


@pytest.fixture(scope='module')
def made(generator_dir, tmp_path_factory):
  """Filled by the first test that asks for it, after the generator was trained."""
  return tmp_path_factory.mktemp('made') / 'images'


@pytest.fixture
def images(generator, made):
  names = run_directory.class_names(generator)
  generation_writing.write(str(generator), str(made), f'{names[2]}=5,{names[0]}=3', seed=7)
  return made


def test_other_projects_read_the_images(generator, images):
  run = lesionjax.load(str(generator))
  source = tfds.data_source('generated_lesions', split='train', data_dir=str(images))
  assert len(source) == 8
  found = {(int(record['label']), int(record['index'])): record for record in source}
  assert set(found) == {(2, i) for i in range(5)} | {(0, i) for i in range(3)}
  for (label, index), record in found.items():
    assert record['synthetic']
    assert record['seed'] == 7
    (expected,) = run.generate([label], seed=7, start=index)
    np.testing.assert_allclose(record['image'].astype(int), expected.astype(int), atol=1)
  about = synthetic.metadata(str(images))
  assert about['counts'] == {run.class_names[2]: 5, run.class_names[0]: 3}
  assert {record['generator'].decode() for record in found.values()} == {about['generator']}


def test_the_same_again_is_there_and_another_set_is_refused(generator, images):
  names = run_directory.class_names(generator)
  generation_writing.write(str(generator), str(images), f'{names[2]}=5,{names[0]}=3', seed=7)
  with pytest.raises(UserError, match=r'holds other generated images .*seed 7\): give another'):
    generation_writing.write(str(generator), str(images), '2', seed=7)


def test_a_classifier_trains_on_both_with_as_many_steps(tiny_config, images, tmp_path):
  alone = Pieces.of(tiny_config)
  tiny_config.data.synthetic = str(images)
  tiny_config.train.epochs = 1
  tiny_config.evaluate.colour_baseline = False
  pieces = Pieces.of(tiny_config)
  assert len(pieces.train) == len(alone.train) + 8
  assert pieces.plan.steps_per_epoch == alone.plan.steps_per_epoch
  assert not synthetic.is_generated(pieces.validation).any()
  run = tmp_path / 'run'
  experiment.train(tiny_config, str(run))
  told = json.loads((run / 'data.json').read_text())['synthetic']
  assert told['images'] == 8
  assert told['generator'] == synthetic.metadata(str(images))['generator']
  seen = json.loads((run / 'seen.json').read_text())
  theirs = json.loads((images / synthetic.SEEN).read_text())
  assert set(theirs['groups']) <= set(seen['groups'])


def test_images_by_a_generator_that_saw_the_test_lesions_are_refused(tiny_config, images, tmp_path):
  leaky = shutil.copytree(images, tmp_path / 'leaky')
  group = str(Pieces.of(tiny_config).validation.group_ids[0])
  (leaky / synthetic.SEEN).write_text(json.dumps({'groups': [group], 'images': []}))
  tiny_config.data.synthetic = str(leaky)
  with pytest.raises(UserError, match=r'config.data.synthetic=.* was trained on \d+ of the \d+ im'):
    experiment.train(tiny_config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize(
  ('changes', 'message'),
  [
    ({'data.lesion': 'crop'}, r"goes with config\.data\.lesion='none' only, not with 'crop'"),
    ({'data.preprocess': 'grey'}, r"goes with config\.data\.preprocess='' only, not with 'grey'"),
    ({'data.synthetic_share': 0.0}, r'synthetic_share=0\.0 must be from 1e-06 to 1'),
    ({'data.synthetic': '/nowhere'}, 'holds no generated_lesions: give the --out of --mode=gen'),
  ],
)
def test_what_does_not_go_together_is_told(changes, message, tiny_config, images):
  tiny_config.data.synthetic = str(images)
  tiny_config.update_from_flattened_dict(changes)
  with pytest.raises(UserError, match=message):
    Pieces.of(tiny_config)


def test_counts():
  support = {'a': 10, 'b': 3}
  parse = generation_writing.parse_counts
  assert parse('fill', NAMES, support) == {'b': 7, 'c': 10}
  assert parse('4', NAMES, support) == {'a': 4, 'b': 4, 'c': 4}
  assert parse('a=1, c=2', NAMES, support) == {'a': 1, 'c': 2}


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('d=3', r"knows no class 'd', only a, b, c"),
    ('many', "'many' is neither 'fill', a number, nor CLASS=NUMBER"),
    ('a=-1', "'a=-1' is neither"),
    ('0', 'asks for no image'),
  ],
)
def test_counts_that_cannot_be_are_told(text, message):
  with pytest.raises(UserError, match=message):
    generation_writing.parse_counts(text, NAMES, {'a': 1})


def test_files_of_others_are_left_alone(generator, tmp_path):
  (tmp_path / 'thesis.tex').write_text('x')
  with pytest.raises(UserError, match=r'holds other files, such as thesis\.tex: give a new folder'):
    generation_writing.write(str(generator), str(tmp_path), '1')


def test_a_classifier_generates_nothing(run, tmp_path):
  with pytest.raises(UserError, match=r'is a run of task .classify., not a generator'):
    generation_writing.write(str(run), str(tmp_path / 'out'), '1')
