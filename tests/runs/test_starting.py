"""Pretrained weights in a run: loaded, checked before anything is written, refused by name."""

from __future__ import annotations

import dataclasses
import os

import jax
import numpy as np
import pytest

from data_builders.errors import UserError
from lesionjax import experiment
from lesionjax.runs import starting
from lesionjax.runs.pieces import Pieces
from lesionjax.training.loop import init_state
from tests.models import test_pretrained

safetensors = pytest.importorskip('safetensors.numpy')


@pytest.fixture
def config(tiny_config, tmp_path):
  """Returns a configuration that starts from weights of timm's names and shapes."""
  flat = test_pretrained._flat('resnet18')
  arrays = {key: np.ascontiguousarray(value) for key, value in flat.items()}
  safetensors.save_file(arrays, tmp_path / 'w.safetensors')
  tiny_config.model.name = 'resnet18'
  with tiny_config.unlocked():
    tiny_config.model.arguments = {}
  tiny_config.data.size_px = 32
  tiny_config.model.pretrained = str(tmp_path / 'w.safetensors')
  return tiny_config


def test_the_backbone_is_loaded_and_the_head_is_new(config, capsys):
  pieces = Pieces.of(config)
  starting.check(pieces)
  drawn = init_state(pieces.task, pieces.keys[0], pieces.batch_like, pieces.mesh)
  started = starting.begin(pieces, dataclasses.replace(drawn))
  flat = test_pretrained._flat('resnet18')
  np.testing.assert_array_equal(
    started.params['stem_conv']['kernel'],
    flat['conv1.weight'].transpose(2, 3, 1, 0),
  )
  jax.tree.map(np.testing.assert_array_equal, started.params['head'], drawn.params['head'])
  assert 're-initialised' in capsys.readouterr().out


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'pretrained': 'weights.pth'}, 'is a pickle'),
    ({'pretrained': 'nowhere.safetensors'}, 'no weights at nowhere.safetensors'),
    ({'name': 'resnet34'}, "does not fit model 'resnet34'"),
    ({'reinit': ('tail',)}, "'tail'"),
  ],
)
def test_what_does_not_fit_is_told_before_anything_is_written(config, tmp_path, change, message):
  for key, value in change.items():
    setattr(config.model, key, value)
  with pytest.raises(UserError, match=message):
    experiment.train(config, str(tmp_path / 'run'))
  assert not os.path.exists(tmp_path / 'run')


def test_a_run_that_is_carried_on_needs_its_weights_no_more(config, tmp_path):
  config.evaluate.colour_baseline = False
  config.train.epochs = 1
  experiment.train(config, str(tmp_path / 'run'))
  os.remove(tmp_path / 'w.safetensors')
  assert experiment.train(config, str(tmp_path / 'run')).endswith('report.html')


def test_other_statistics_than_the_weights_own_are_refused(config, tmp_path):
  config.normalise.mean = (0.5, 0.5, 0.5)
  with pytest.raises(UserError, match=r'config\.normalise has mean \(0\.5, 0\.5, 0\.5\)'):
    experiment.train(config, str(tmp_path / 'run'))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'name': 'resnet18'}, r"config\.model\.name='resnet18' at config\.data\.size_px=16: .* 16x16"),
    ({'arguments': {'dropout': 'a'}}, "dropout='a' must be a share"),
    ({'arguments': {'dropout': 1.5}}, 'dropout=1.5 must be a share'),
    ({'arguments': {'widths': 5}}, 'widths=5 must be positive whole numbers'),
    ({'arguments': {'widths': ()}}, r'widths=\(\) must be positive whole numbers'),
    ({'arguments': {'head': ['linear']}}, 'unknown head'),
  ],
)
def test_a_network_that_cannot_be_is_told_before_a_directory_is_made(
  tiny_config, tmp_path, change, message
):
  with tiny_config.unlocked():
    tiny_config.model.arguments = {}
    for key, value in change.items():
      tiny_config.model[key] = value
  with pytest.raises(UserError, match=message):
    experiment.train(tiny_config, str(tmp_path / 'run'))
  assert not os.path.exists(tmp_path / 'run')


def test_a_loss_for_two_classes_is_refused_before_a_directory_is_made(tiny_config, tmp_path):
  tiny_config.train.loss = 'bce'
  with pytest.raises(UserError, match='takes two classes'):
    experiment.train(tiny_config, str(tmp_path / 'run'))
  assert not os.path.exists(tmp_path / 'run')


@pytest.fixture
def encoder_config(config):
  """Returns the configuration of a U-Net on a ResNet-18 that starts from those weights."""
  config.task = 'segment'
  config.model.name = 'unet_encoder'
  with config.unlocked():
    config.model.arguments = {'encoder': 'resnet18', 'decoder_widths': (8, 8, 8, 8, 8)}
  config.train.loss = 'bce_dice'
  config.select.metric = 'dice'
  config.train.ema_decay = 0.9
  return config


def test_the_encoder_of_a_segmenter_is_loaded_and_the_rest_is_drawn(encoder_config, capsys):
  from lesionjax.models.convert import convert

  pieces = Pieces.of(encoder_config)
  starting.check(pieces)
  drawn = init_state(pieces.task, pieces.keys[0], pieces.batch_like, pieces.mesh)
  started = starting.begin(pieces, dataclasses.replace(drawn))
  loaded = convert('resnet', test_pretrained._flat('resnet18'))
  loaded['params'].pop('head')
  for kind in ('params', 'batch_stats'):
    ours, before = getattr(started, kind), getattr(drawn, kind)
    jax.tree.map(np.testing.assert_array_equal, ours['encoder'], loaded[kind])
    assert set(ours) == set(before)
    others = {key: ours[key] for key in ours if key != 'encoder'}
    jax.tree.map(np.testing.assert_array_equal, others, {key: before[key] for key in others})
  np.testing.assert_array_equal(
    started.ema['encoder']['stem_conv']['kernel'], loaded['params']['stem_conv']['kernel']
  )
  assert 'resnet18 from ' in capsys.readouterr().out


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    ({'arguments': {'encoder': 'resnet34'}}, "does not fit model 'resnet34'"),
    ({'arguments': {'encoder': 'cnn'}}, "model 'cnn' has no pretrained weights"),
    (
      {'arguments': {'width': 8}, 'name': 'unet'},
      "'unet', whose encoder is its own: leave it empty",
    ),
    ({'reinit': ('decoder_stride2',)}, "nothing to re-initialise is called 'decoder_stride2'"),
  ],
)
def test_what_does_not_fit_an_encoder_is_told_first(encoder_config, tmp_path, change, message):
  with encoder_config.unlocked():
    for key, value in change.items():
      encoder_config.model[key] = value
  with pytest.raises(UserError, match=message):
    experiment.train(encoder_config, str(tmp_path / 'run'))
  assert not os.path.exists(tmp_path / 'run')
