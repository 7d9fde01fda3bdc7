"""Settings of strategies against imbalance: what cannot be, and runs of earlier versions."""

from __future__ import annotations

import json

import pytest

from configs import base
from data_builders.errors import UserError
from lesionjax import config as config_lib
from lesionjax.config_values import LATER
from lesionjax.runs import pieces
from lesionjax.runs.phases import phases_of
from lesionjax.runs.pieces import Pieces
from lesionjax.runs.run_data import open_data
from tests.unequal import HEAD, WHOLE, imbalanced, ldam_then_smote


@pytest.fixture
def config(tiny_config, monkeypatch):
  return ldam_then_smote(tiny_config, monkeypatch)


@pytest.mark.parametrize(
  ('phases', 'values', 'message'),
  [
    (({'data': {'resample': 'smote'}},), {}, r"'phase1' \(config\.phases\[0\]\) has no features"),
    (
      (),
      {'data.resample': 'adasyn'},
      r"A run without config\.phases has no features for .*'adasyn'",
    ),
    ((HEAD,), {}, r'phases\[0\]\.reinit_head=True has no effect on the first'),
    (({}, {'reinit_head': 1}), {}, r'phases\[1\]\.reinit_head=1 must be True or False'),
    (
      ({}, {'reinit_head': True, 'trainable': ('block.*',)}),
      {},
      r'phases\[1\]\.reinit_head=True draws a head anew that the phase does not train',
    ),
    (
      ({'data': {'size_px': 8}},),
      {},
      r'data\.size_px is not one of sampling, resample, resample_n',
    ),
    (({'train': {'loss': 'mse'}},), {}, r"phases\[0\]\): config\.train\.loss='mse' is not one of"),
    (
      ({'train': {'loss': 'logit_adjusted', 'class_weights': 'balanced'}},),
      {},
      r"class_weights='balanced' does not go with config\.train\.loss='logit_adjusted'",
    ),
    (
      ({**HEAD, 'reinit_head': False, 'data': {'resample': 'smote', 'resample_neighbours': 6}},),
      {},
      r'needs 7 training images of a class, and there are 6 of',
    ),
    (
      (),
      {'data.resample': 'smote', 'data.resample_space': 'pixels'},
      r"space='pixels' needs all images in memory: set config\.data\.input='ram' or 'device'",
    ),
    (
      (),
      {
        'data.resample': 'smote',
        'data.resample_space': 'pixels',
        'data.input': 'ram',
        'data.lesion': 'attention',
      },
      r"cannot mix the masks of config\.data\.lesion='attention'",
    ),
    (
      (),
      {'data.resample': 'rose'},
      r"data\.resample='rose' is not one of 'none', 'smote', 'adasyn'",
    ),
    ((), {'train.focal_gamma': -1.0}, r'focal_gamma=-1\.0 must be from 0'),
    (
      (),
      {'model.arguments.head': 'linear'},
      r"loss='ldam' takes .*head='linear' are none: set the head to one of 'cosine', 'mlp_",
    ),
    ((), {'select.phase': 'first'}, r"select\.phase='first' is not one of 'any', 'last'"),
  ],
)
def test_what_cannot_be_is_told_before_training(config, phases, values, message):
  config.phases = phases
  config.update_from_flattened_dict(values)
  with pytest.raises(UserError, match=message) as caught:
    Pieces.of(config)
  assert str(caught.value).count('. ') == 0  # one sentence


@pytest.mark.parametrize('values', [{'loss': 'ldam'}, {'class_weights': 'effective'}])
def test_a_class_missing_from_the_training_split_is_told(config, values, monkeypatch):
  def without(config):
    split = imbalanced(config)
    return split.take(split.labels != 3)

  monkeypatch.setattr(pieces, 'open_training_data', without)
  config.phases = ()
  config.train.loss = 'cross_entropy'
  name = open_data(config, 'train').class_names[3]
  Pieces.of(config)  # plain cross-entropy can do without
  config.train.update(values)
  with pytest.raises(UserError, match=f'there are none of {name}'):
    Pieces.of(config)
  config.train.loss, config.train.class_weights = 'cross_entropy', 'none'
  config.phases = (WHOLE, HEAD)
  with pytest.raises(UserError, match=f'nothing to fill the class {name!r}'):
    Pieces.of(config)


def test_a_segmenter_has_no_classes_to_balance(segmenter_config):
  segmenter_config.data.resample = 'smote'
  with pytest.raises(UserError, match=r"resample='smote' is for classifiers"):
    Pieces.of(segmenter_config)
  segmenter_config.data.resample = 'none'
  segmenter_config.phases = ({}, {'reinit_head': True})
  with pytest.raises(UserError, match='reinit_head is for classifiers'):
    Pieces.of(segmenter_config)


def place_of(values, key):
  """The dictionary that holds a dotted key, and the last part of the key."""
  *sections, name = key.split('.')
  for section in sections:
    values = values[section]
  return values, name


@pytest.mark.parametrize('key', LATER)
def test_a_key_that_came_later_changes_nothing_of_runs_from_before(
  key, tiny_config, segmenter_config
):
  tiny_config.evaluate.subgroups, tiny_config.evaluate.explain = True, 24  # as the recipes have it
  tiny_config.evaluate.feature_map = 1000
  tiny_config.segmenter = None if key == 'segmenter' else segmenter_config
  plain = config_lib.to_dict(tiny_config)
  old = json.loads(json.dumps(plain))
  neutral = json.loads(json.dumps(LATER[key]))
  default, name = place_of(config_lib.to_dict(base.get_config()), key)
  assert default[name] == neutral
  for values in (old, old['segmenter'] or {}):
    place, name = place_of(values, key) if values else ({}, '')
    if name in place and place[name] == neutral:  # else the run had it, or was of another task
      del place[name]
  assert old != plain
  assert not config_lib.differences(plain, config_lib.to_dict(config_lib.from_dict(old)))


def test_the_scale_of_ldam_that_runs_of_before_have_is_part_of_its_margin(tiny_config):
  plain = config_lib.to_dict(tiny_config)
  for scale, margin in ((30.0, 0.4), (15.0, 0.2)):
    old = json.loads(json.dumps(plain))
    old['train'] |= {'ldam_margin': 0.4, 'ldam_scale': scale}
    plain['train']['ldam_margin'] = margin
    assert not config_lib.differences(plain, config_lib.to_dict(config_lib.from_dict(old)))


def test_settings_of_a_phase_are_its_own(config):
  whole, deferred, head = (phase.config for phase in phases_of(config))
  assert (whole.train.loss, deferred.train.loss, head.train.loss) == (
    'ldam',
    'ldam',
    'cross_entropy',
  )
  assert (whole.train.class_weights, deferred.train.class_weights) == ('none', 'effective')
  assert (whole.data.sampling, deferred.data.sampling) == ('uniform', 'oversample')
  assert (deferred.data.resample, head.data.resample) == ('none', 'smote')


def test_a_part_of_a_configuration_is_read_too():
  # As where only parameters are counted.
  found = config_lib.from_dict({'task': 'classify', 'model': {'name': 'cnn'}})
  assert found.model.name == 'cnn'
