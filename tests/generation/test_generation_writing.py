"""A generator writes a data set; a classifier mixes it into its training, and nowhere else."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

import lesionjax
from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.data import synthetic
from lesionjax.generation import generation_writing
from lesionjax.runs import held_out, run_data, run_directory
from lesionjax.runs.pieces import Pieces

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
  assert (about['data'], about['size_px']) == ('synthetic_dermoscopy/tiny', 16)
  assert (about['preprocess'], about['preprocessing']) == ('', '')
  assert {record['generator'].decode() for record in found.values()} == {about['generator']}


def test_the_same_again_is_there_and_another_set_is_refused(generator, images):
  names = run_directory.class_names(generator)
  generation_writing.write(str(generator), str(images), f'{names[2]}=5,{names[0]}=3', seed=7)
  with pytest.raises(UserError, match=r'holds other generated images .*seed 7\): give another'):
    generation_writing.write(str(generator), str(images), '2', seed=7)


def test_a_set_that_lost_files_is_refused(generator, images, tmp_path):
  synthetic.open_generated(str(images))  # which leaves its columns beside the records
  names = run_directory.class_names(generator)
  counts = f'{names[2]}=5,{names[0]}=3'
  for lost, told in (
    ('seen.json', r'it has no seen\.json\): delete the folder and generate'),
    ('*/1.0.0/*.array_record*', r'is damaged .* delete the folder and generate'),
    ('*/1.0.0/dataset_info.json', r'is damaged \(Could not read .*: delete it and build it again'),
  ):
    folder = shutil.copytree(images, tmp_path / 'copy')
    sorted(folder.glob(lost))[0].unlink()
    synthetic.open_generated.cache_clear()
    with pytest.raises(UserError, match=told):
      generation_writing.write(str(generator), str(folder), counts, seed=7)
    shutil.rmtree(folder)


def test_images_that_are_not_there_are_told_before_data_are_built(tiny_config, tmp_path):
  tiny_config.data.synthetic = str(tmp_path / 'nowhere')
  tiny_config.data.data_dir = str(tmp_path / 'data')
  with pytest.raises(UserError, match='holds no generated_lesions'):
    Pieces.of(tiny_config)
  assert not (tmp_path / 'data').exists()


def test_a_classifier_trains_on_both_with_as_many_steps(tiny_config, images, tmp_path):
  alone = Pieces.of(tiny_config)
  images = shutil.copytree(images, tmp_path / 'images')
  tiny_config.data.synthetic = str(images)
  tiny_config.train.epochs = 1
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
  # A run that starts from this one has seen generated images, too: it can judge none.
  assert sum(name.startswith('generated-') for name in seen['images']) == 8
  # Only training needs the images: the run is evaluated without, colours of real ones beside it.
  before = json.loads((run / 'metrics.json').read_text())
  assert 'colour_baseline_auc' in before['test']
  shutil.rmtree(images)
  synthetic.open_generated.cache_clear()
  experiment.evaluate(str(run))
  assert json.loads((run / 'metrics.json').read_text()) == before


def test_images_by_a_generator_that_saw_the_test_lesions_are_refused(tiny_config, images, tmp_path):
  leaky = shutil.copytree(images, tmp_path / 'leaky')
  group = str(Pieces.of(tiny_config).validation.group_ids[0])
  (leaky / synthetic.SEEN).write_text(json.dumps({'groups': [group], 'images': []}))
  tiny_config.data.synthetic = str(leaky)
  with pytest.raises(UserError, match=r'config.data.synthetic=.* was trained on \d+ of the \d+ im'):
    experiment.train(tiny_config, str(tmp_path / 'run'))
  assert not (tmp_path / 'run').exists()
  (leaky / synthetic.SEEN).unlink()
  with pytest.raises(UserError, match=r'leaky has no seen\.json, so what it was trained on is unk'):
    experiment.train(tiny_config, str(tmp_path / 'run'))


def test_a_publication_may_share_lesions_with_the_generator_and_no_images(
  tiny_config, images, tmp_path
):
  leaky = shutil.copytree(images, tmp_path / 'leaky')
  tiny_config.protocol = 'published'
  tiny_config.data.synthetic = str(leaky)
  pieces = Pieces.of(tiny_config)
  test = run_data.open_data(tiny_config, 'test')
  seen = {'groups': [str(test.group_ids[0])], 'images': []}
  (leaky / synthetic.SEEN).write_text(json.dumps(seen))
  held_out.check(pieces)
  (leaky / synthetic.SEEN).write_text(json.dumps({**seen, 'images': [str(test.image_ids[0])]}))
  with pytest.raises(UserError, match=r'was trained on 1 of the \d+ images'):
    held_out.check(pieces)


def test_images_by_a_generator_of_another_split_are_refused(tiny_config, images, tmp_path):
  # What the generator was trained on is what this run would be tested on.
  tiny_config.data.train_split, tiny_config.data.test_split = 'test', 'train'
  tiny_config.train.batch_size = 8
  tiny_config.data.synthetic = str(images)
  count = len(run_data.open_data(tiny_config, 'train'))
  message = rf'config.data.synthetic=.* was trained on {count} of the {count} images'
  with pytest.raises(UserError, match=message):
    experiment.train(tiny_config, str(tmp_path / 'run'))


def test_images_by_a_generator_of_other_images_are_refused(tiny_config, images, tmp_path):
  # The tiny data have no name that tells a preprocessing: the set is given one.
  other = shutil.copytree(images, tmp_path / 'other')
  (about,) = other.rglob('metadata.json')
  about.write_text(json.dumps({**json.loads(about.read_text()), 'preprocessing': 'clahe'}))
  tiny_config.data.synthetic = str(other)
  with pytest.raises(UserError, match="preprocessed as 'clahe', and those of this run are not at"):
    Pieces.of(tiny_config)


def test_a_batch_is_no_larger_than_the_real_images(tiny_config, images):
  real = len(Pieces.of(tiny_config).train)
  tiny_config.data.synthetic = str(images)
  tiny_config.train.batch_size = real + 1
  with pytest.raises(UserError, match=rf'larger than the {real} images of .* that are not generat'):
    Pieces.of(tiny_config)


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
  support = {'a': 10, 'b': 3, 'c': 9}
  parse = generation_writing.parse_counts
  assert parse('fill', NAMES, support) == {'b': 7, 'c': 1}
  assert parse('4', NAMES, support) == {'a': 4, 'b': 4, 'c': 4}
  assert parse('a=1, c=2', NAMES, support) == {'a': 1, 'c': 2}


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('d=3', r"knows no class 'd', only a, b, c"),
    ('many', "'many' is neither 'fill', a number, nor CLASS=NUMBER"),
    ('a=-1', "'a=-1' is neither"),
    ('0', 'asks for no image'),
    ('a=1,a=2', "names 'a' twice"),
    ('fill', "asks for 4 images of 'c', of which the generator has seen none in training"),
    ('3', "asks for 3 images of 'c', of which"),
    ('b=1,c=2', "asks for 2 images of 'c', of which"),
  ],
)
def test_counts_that_cannot_be_are_told(text, message):
  with pytest.raises(UserError, match=message):
    generation_writing.parse_counts(text, NAMES, {'a': 4, 'b': 1, 'c': 0})
  assert generation_writing.parse_counts('b=2', NAMES, {'a': 4, 'b': 1}) == {'b': 2}
  with pytest.raises(UserError, match='all classes have as many training images'):
    generation_writing.parse_counts('fill', NAMES, dict.fromkeys(NAMES, 4))


@pytest.mark.parametrize(
  'changes',
  [
    {'train_split': 'train+validation'},
    {'train_split': 'train[:50%]'},
    {'leave_out_folds': (1,)},
    {'train_split': 'train'},
  ],
)
def test_classes_are_filled_by_the_images_that_trained(generator, changes):
  run = lesionjax.load(str(generator))
  run.config.data.update(changes)
  train = run_data.open_training_data(run.config)
  counts = np.bincount(train.labels, minlength=len(train.class_names)).tolist()
  expected = dict(zip(train.class_names, counts, strict=True))
  assert generation_writing._support(run) == expected


@pytest.mark.parametrize('seed', [-1, 2**32])
def test_a_seed_that_no_key_has_is_told(generator, tmp_path, seed):
  with pytest.raises(UserError, match=rf'--latent_seed={seed} must be a whole number from 0 to 42'):
    generation_writing.write(str(generator), str(tmp_path / 'out'), '1', seed)
  with pytest.raises(UserError, match=f'seed={seed} must be'):
    lesionjax.load(str(generator)).generate([0], seed)


def test_files_of_others_are_left_alone(generator, tmp_path):
  (tmp_path / 'thesis.tex').write_text('x')
  with pytest.raises(UserError, match=r'holds other files, such as thesis\.tex: give a new folder'):
    generation_writing.write(str(generator), str(tmp_path), '1')


def test_a_classifier_generates_nothing(run, tmp_path):
  with pytest.raises(UserError, match=r'is a run of task .classify., not a generator'):
    generation_writing.write(str(run), str(tmp_path / 'out'), '1')
