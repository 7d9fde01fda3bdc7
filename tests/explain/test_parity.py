"""Grad-CAM and Grad-CAM++ against pytorch-grad-cam on converted weights; see `record_reference`."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from lesionjax.explain.cam import make_cam
from lesionjax.models import MODELS, build_model, pretrained
from lesionjax.models.convert import convert
from tests.explain import record_reference as reference
from tests.models import generated

# Compiled on every run; the others only when large tests are asked for.
FAST = [*((name, 'last_map') for name in reference.LAYERS), ('resnet18', 'stage3_block1')]
CASES = [
  pytest.param(name, layer, marks=[] if (name, layer) in FAST else pytest.mark.large)
  for name, layers in reference.LAYERS.items()
  for layer in layers
]


@functools.cache
def _converted(name):
  model = build_model(name, 1000)
  flat = generated.parameters(reference.manifest(name))
  image = jnp.zeros((1, reference.HEIGHT, reference.WIDTH, 3))
  init = jax.eval_shape(lambda: model.init(jax.random.key(0), image))
  return model, pretrained.merge(convert(MODELS[name].family, flat), init, reinit=())[0]


def _ours(name, layer, classes):
  """Maps by method, from one compiled program."""
  model, variables = _converted(name)
  cams = {'gradcam': make_cam(model, layer), 'gradcam++': make_cam(model, layer, plus_plus=True)}
  found = jax.jit(lambda *given: {method: cam(*given).maps for method, cam in cams.items()})(
    variables, jnp.asarray(reference.image()), jnp.asarray(classes)
  )
  step = reference.KEPT
  return {method: np.asarray(maps)[:, ::step, ::step] for method, maps in found.items()}


@pytest.mark.parametrize(('name', 'layer'), CASES)
def test_maps_equal_those_recorded(name, layer):
  with np.load(reference.FOLDER / f'{name}.npz', allow_pickle=False) as file:
    recorded = dict(file)
  for method, maps in _ours(name, layer, recorded['classes']).items():
    expected = recorded[f'{method} of {layer}'] / 65535
    assert expected.std((1, 2)).min() > 0.05
    np.testing.assert_allclose(maps, expected, atol=1e-3)


@pytest.mark.bench
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize('name', ['resnet18', 'vit_s16'])
def test_maps_equal_pytorch_grad_cam_as_installed(name):
  pytest.importorskip('pytorch_grad_cam', reason="needs pip install -e '.[bench]'")
  found = reference.answers(name)
  classes = found.pop('classes')
  for layer in reference.LAYERS[name]:
    for method, maps in _ours(name, layer, classes).items():
      np.testing.assert_allclose(maps, found[f'{method} of {layer}'], atol=1e-3)
