"""Converting, checking and fetching weights: what fits, and the sentence for what does not."""

from __future__ import annotations

import sys
import types
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import requests

from data_builders.errors import UserError
from lesionjax.models import MODELS, build_model, hub, pretrained
from lesionjax.models.convert import convert
from tests.models import generated
from tests.models.test_reference_parity import _manifest, _reference

SAFETENSORS = pytest.importorskip('safetensors.numpy', reason='needs safetensors')


def _flat(name='resnet18'):
  return generated.parameters(_manifest(_reference(name)))


def _init(name, num_classes=7, **arguments) -> Any:
  model = build_model(name, num_classes, **arguments)
  return jax.eval_shape(lambda: model.init(jax.random.key(0), jnp.zeros((1, 32, 32, 3))))


@pytest.fixture(scope='module')
def weights(tmp_path_factory):
  path = tmp_path_factory.mktemp('weights') / 'resnet18.safetensors'
  SAFETENSORS.save_file(_flat(), path)
  return path


def test_kernels_and_statistics_arrive_where_they_belong():
  flat = _flat()
  variables = convert('resnet', flat)
  kernel = variables['params']['stage2_block1']['conv1']['kernel']
  assert kernel[2, 0, 5, 7] == flat['layer2.0.conv1.weight'][7, 5, 2, 0]
  stats = variables['batch_stats']['stage1_block2']['norm1']
  np.testing.assert_array_equal(stats['var'], flat['layer1.1.bn1.running_var'])
  np.testing.assert_array_equal(variables['params']['head']['kernel'], flat['fc.weight'].T)


def test_local_file_keeps_the_new_head_and_tells_what_it_did(weights):
  init = jax.tree.map(lambda x: np.zeros(x.shape, x.dtype), _init('resnet18'))
  variables, summary = pretrained.initialise('resnet18', str(weights), init)
  assert variables['params']['head']['kernel'] is init['params']['head']['kernel']
  assert jax.tree.structure(variables) == jax.tree.structure(init)
  assert '100 tensors loaded' in str(summary)
  assert summary.reinitialised == ('params/head/bias', 'params/head/kernel')
  assert summary.unused == ('params/head/bias', 'params/head/kernel')


def test_parts_that_an_option_leaves_out_are_unused_not_unexpected():
  shapes = _manifest(_reference('vgg16'))
  flat = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
  _, summary = pretrained.merge(convert('vgg', flat), _init('vgg16', top='pool'))
  assert {path.split('/')[1] for path in summary.unused} == {'dense1', 'dense2', 'head'}
  convolutions = {k: v for k, v in flat.items() if not k.startswith('pre_logits')}
  with pytest.raises(UserError, match='4 parameters are missing'):
    pretrained.merge(convert('vgg', convolutions), _init('vgg16'))


def test_other_heads_and_a_whole_block_can_start_anew():
  init = _init('resnet18', head='mlp_256')
  loaded = convert('resnet', _flat())
  _, summary = pretrained.merge(loaded, init, ('head', 'stage4_block2'))
  assert 'params/head/dense1/kernel' in summary.reinitialised
  assert 'batch_stats/stage4_block2/norm1/mean' in summary.reinitialised
  with pytest.raises(UserError, match=r"'stage5'.*stem_conv"):
    pretrained.merge(loaded, init, ('stage5',))


@pytest.mark.parametrize(
  ('change', 'message'),
  [
    (lambda flat: flat.pop('layer3.1.conv2.weight'), r'1 parameters are missing.*stage3_block2'),
    (lambda flat: flat.update({'layer3.7.conv2.weight': flat['fc.weight']}), '1 are unexpected'),
    (lambda flat: flat.update({'stages.0.weight': flat['fc.weight']}), "'stages.0.weight'"),
    (
      lambda flat: flat.update({'conv1.weight': flat['conv1.weight'][:, :1]}),
      r'shape \(7, 7, 1, 64\) in the weights and \(7, 7, 3, 64\)',
    ),
    (
      lambda flat: flat.update({'conv1.weight': flat['conv1.weight'][0]}),
      r'conv/kernel has shape \(3, 7, 7\)',
    ),
    (
      lambda flat: flat.update({'bn1.bias': flat['bn1.bias'].astype(np.float16)}),
      'float16 in the weights and float32',
    ),
  ],
)
def test_every_key_shape_and_dtype_is_checked(change, message):
  flat = _flat()
  change(flat)
  with pytest.raises(UserError, match=message):
    pretrained.merge(convert('resnet', flat), _init('resnet18'))


def test_weights_of_another_architecture_are_named(weights):
  with pytest.raises(UserError, match=r"resnet18\.safetensors does not fit model 'densenet121'"):
    pretrained.initialise('densenet121', str(weights), _init('densenet121'))
  with pytest.raises(UserError, match=r'resnet34.*missing'):
    pretrained.initialise('resnet34', str(weights), _init('resnet34'))
  with pytest.raises(UserError, match='no pretrained weights'):
    pretrained.initialise('cnn', 'imagenet', {})


def test_pickles_and_broken_files_are_refused(weights, tmp_path):
  for name in ('a.pth', 'a.pt', 'a.bin'):
    with pytest.raises(UserError, match='pickle'):
      pretrained.load_safetensors(tmp_path / name)
  hidden = tmp_path / 'hidden.safetensors'
  for start in (b'PK\x03\x04rest', b'\x80\x02rest'):
    hidden.write_bytes(start)
    with pytest.raises(UserError, match='pickle under another name'):
      pretrained.load_safetensors(hidden)
  content = weights.read_bytes()
  for size in (0, 5, 2000, len(content) - 1):
    hidden.write_bytes(content[:size])
    with pytest.raises(UserError, match='truncated'):
      pretrained.load_safetensors(hidden)
  with pytest.raises(UserError, match='no weights at'):
    pretrained.load_safetensors(tmp_path / 'missing.safetensors')
  with pytest.raises(UserError, match='sha256'):
    pretrained.load_safetensors(weights, '0' * 64)
  assert pretrained.load_safetensors(weights, pretrained.file_sha256(weights))


@pytest.fixture
def offline(monkeypatch, tmp_path):
  """The hub as it looks without network; `calls` collects what was asked for."""
  calls = []

  def hf_hub_download(repository, file, revision):
    calls.append((repository, file, revision))
    if not snapshots.is_dir():
      raise ConnectionError('no route')
    return str(snapshots / file)

  def head(url, timeout):
    if not snapshots.is_dir():
      raise requests.ConnectionError('no route')

  snapshots = tmp_path / 'snapshots' / 'abc123'
  module = types.SimpleNamespace(
    hf_hub_download=hf_hub_download,
    try_to_load_from_cache=lambda repository, file, revision: None,
  )
  monkeypatch.setattr(requests, 'head', head)
  monkeypatch.setitem(sys.modules, 'huggingface_hub', module)
  monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
  return calls, snapshots


def test_without_network_the_message_names_the_file_and_its_place(offline, tmp_path):
  calls, _ = offline
  with pytest.raises(UserError) as caught:
    pretrained.initialise('resnet18', 'imagenet', _init('resnet18'))
  assert 'huggingface.co/timm/resnet18.tv_in1k/resolve/main/model.safetensors' in str(caught.value)
  assert str(tmp_path / 'cache/lesionjax/weights/resnet18.safetensors') in str(caught.value)
  assert not calls  # the hub's client, which asks an unreachable host again and again


def test_first_download_is_recorded_and_later_ones_are_held_to_it(offline, weights):
  calls, snapshots = offline
  snapshots.mkdir(parents=True)
  file = snapshots / 'model.safetensors'
  file.write_bytes(weights.read_bytes())
  init = _init('resnet18')
  pretrained.initialise('resnet18', 'imagenet', init)
  pretrained.initialise('resnet18', 'imagenet', init)
  assert [revision for _, _, revision in calls] == [None, 'abc123']
  content = bytearray(weights.read_bytes())
  content[-1] ^= 1
  file.write_bytes(content)
  with pytest.raises(UserError, match='sha256'):
    pretrained.initialise('resnet18', 'imagenet', init)


def test_a_bad_first_file_is_not_what_later_ones_are_held_to(offline, weights):
  hub.cache_folder().mkdir(parents=True)
  by_hand = hub.cache_folder() / 'resnet18.safetensors'
  by_hand.write_bytes(weights.read_bytes()[:-100])
  with pytest.raises(UserError, match='truncated'):
    pretrained.initialise('resnet18', 'imagenet', _init('resnet18'))
  by_hand.write_bytes(weights.read_bytes())
  pretrained.initialise('resnet18', 'imagenet', _init('resnet18'))
  by_hand.write_bytes(weights.read_bytes()[:-1] + b'\0')
  with pytest.raises(UserError, match=r'take its entry out of .*pins\.json'):
    pretrained.initialise('resnet18', 'imagenet', _init('resnet18'))


def test_a_header_as_long_as_a_pickle_begins_is_read(tmp_path):
  # A safetensors file begins with the length of its header, 8 bytes, and may pad it with spaces.
  for length in (0x0280, 0x0480, 0x4B50):
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'.ljust(length)
    path = tmp_path / f'{length}.safetensors'
    path.write_bytes(length.to_bytes(8, 'little') + header + np.float32(2.5).tobytes())
    assert pretrained.load_safetensors(path)['a'] == 2.5


def test_numbers_that_are_none_are_refused():
  init = _init('resnet18')
  flat = _flat('resnet18')
  flat['layer1.0.conv1.weight'] = np.full_like(flat['layer1.0.conv1.weight'], np.nan)
  with pytest.raises(UserError, match='stage1_block1/conv1/kernel holds NaN'):
    pretrained.merge(pretrained.convert('resnet', flat), init)


def test_a_file_put_by_hand_needs_no_network(offline, weights):
  calls, _ = offline
  hub.cache_folder().mkdir(parents=True)
  (hub.cache_folder() / 'resnet18.safetensors').write_bytes(weights.read_bytes())
  pretrained.initialise('resnet18', 'imagenet', _init('resnet18'))
  assert not calls


def test_weights_in_the_cache_of_the_hub_need_no_network(offline, weights, monkeypatch):
  hub_module = sys.modules['huggingface_hub']
  monkeypatch.setattr(hub_module, 'try_to_load_from_cache', lambda *_, **__: str(weights))
  path, _ = hub.fetch('resnet18', MODELS['resnet18'].pretrained)
  assert path == weights


def test_every_source_of_the_table_is_complete():
  for name, spec in MODELS.items():
    assert bool(spec.family) == (spec.pretrained is not None), name
    if spec.pretrained is not None:
      assert spec.pretrained.licence in ('apache-2.0', 'bsd-3-clause')
      assert spec.pretrained.repository.startswith('timm/')
