"""timm's parameters by their names -> our variables: one pure function per family.

torch keeps convolution kernels as [out, in, height, width] and matrices as [out, in]; we keep
[height, width, in, out] and [in, out]. Batch statistics are tensors beside the parameters there
and a collection of their own here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from data_builders.errors import UserError

# A rule: pattern of timm's module name -> our path, its groups filled in after `_shifted`.
_Rule = tuple[str, str]

_RESNET: tuple[_Rule, ...] = (
  (r'conv1', 'stem_conv'),
  (r'bn1', 'stem_norm'),
  (r'fc', 'head'),
  (r'layer(\d)\.(\d+)\.conv(\d)', 'stage{0}_block{1+}/conv{2}'),
  (r'layer(\d)\.(\d+)\.bn(\d)', 'stage{0}_block{1+}/norm{2}'),
  (r'layer(\d)\.(\d+)\.downsample\.0', 'stage{0}_block{1+}/shortcut_conv'),
  (r'layer(\d)\.(\d+)\.downsample\.1', 'stage{0}_block{1+}/shortcut_norm'),
)
# The first stage does not expand: its projection has the name that expansions have elsewhere.
_EFFICIENTNET: tuple[_Rule, ...] = (
  (r'conv_stem', 'stem_conv'),
  (r'bn1', 'stem_norm'),
  (r'conv_head', 'top_conv'),
  (r'bn2', 'top_norm'),
  (r'classifier', 'head'),
  (r'blocks\.(\d)\.(\d+)\.conv_dw', 'stage{0+}_block{1+}/depthwise_conv'),
  (r'blocks\.(\d)\.(\d+)\.se\.conv_(reduce|expand)', 'stage{0+}_block{1+}/squeeze/{2}'),
  (r'blocks\.(0)\.(\d+)\.bn1', 'stage{0+}_block{1+}/depthwise_norm'),
  (r'blocks\.(0)\.(\d+)\.conv_pw', 'stage{0+}_block{1+}/project_conv'),
  (r'blocks\.(0)\.(\d+)\.bn2', 'stage{0+}_block{1+}/project_norm'),
  (r'blocks\.(\d)\.(\d+)\.conv_pw', 'stage{0+}_block{1+}/expand_conv'),
  (r'blocks\.(\d)\.(\d+)\.bn1', 'stage{0+}_block{1+}/expand_norm'),
  (r'blocks\.(\d)\.(\d+)\.bn2', 'stage{0+}_block{1+}/depthwise_norm'),
  (r'blocks\.(\d)\.(\d+)\.conv_pwl', 'stage{0+}_block{1+}/project_conv'),
  (r'blocks\.(\d)\.(\d+)\.bn3', 'stage{0+}_block{1+}/project_norm'),
)
_DENSENET: tuple[_Rule, ...] = (
  (r'features\.conv0', 'stem_conv'),
  (r'features\.norm0', 'stem_norm'),
  (r'features\.norm5', 'top_norm'),
  (r'classifier', 'head'),
  (r'features\.denseblock(\d)\.denselayer(\d+)\.(conv|norm)(\d)', 'block{0}_layer{1}/{2}{3}'),
  (r'features\.transition(\d)\.(conv|norm)', 'transition{0}_{1}'),
)
_VIT: tuple[_Rule, ...] = (
  (r'patch_embed\.proj', 'patch_embedding'),
  (r'norm', 'top_norm'),
  (r'head', 'head'),
  (r'blocks\.(\d+)\.norm(\d)', 'block{0+}/norm{1}'),
  (r'blocks\.(\d+)\.attn\.qkv', 'block{0+}/attention/qkv'),
  (r'blocks\.(\d+)\.attn\.proj', 'block{0+}/attention/out'),
  (r'blocks\.(\d+)\.mlp\.fc(\d)', 'block{0+}/mlp{1}'),
)


def _vgg(batch_norm: bool) -> tuple[_Rule, ...]:
  """VGG numbers convolutions, norms, relus and poolings in one row."""
  rules = [
    (r'pre_logits\.fc(\d)', 'dense{0}'),
    (r'head\.fc', 'head'),
  ]
  index = 0
  for stage, convolutions in enumerate((2, 2, 3, 3, 3), 1):
    for number in range(1, convolutions + 1):
      rules.append((rf'features\.{index}', f'stage{stage}/conv{number}'))
      if batch_norm:
        rules.append((rf'features\.{index + 1}', f'stage{stage}/norm{number}'))
      index += 3 if batch_norm else 2
    index += 1
  return tuple(rules)


def convert_resnet(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Variables of `resnet.ResNet` from timm's `resnet18`, `resnet34`, `resnet50`; see `convert`."""
  return _converted(flat, _RESNET, 'resnet')


def convert_efficientnet(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Variables of `efficientnet.EfficientNet` from timm's `tf_efficientnet_b*`; see `convert`."""
  return _converted(flat, _EFFICIENTNET, 'efficientnet')


def convert_densenet(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Variables of `densenet.DenseNet` from timm's `densenet121`; see `convert`."""
  return _converted(flat, _DENSENET, 'densenet')


def convert_vgg(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Variables of `vgg.VGG16` from timm's `vgg16` and `vgg16_bn`; see `convert`."""
  return _converted(flat, _vgg(any('running_mean' in key for key in flat)), 'vgg')


def convert_vit(flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Variables of `vit.ViT` from timm's `vit_*_patch16_224`; see `convert`."""
  renamed = {'cls_token': ('class_token',), 'pos_embed': ('position_embedding',)}
  modules = {key: array for key, array in flat.items() if key not in renamed}
  variables = _converted(modules, _VIT, 'vit')
  for key, path in renamed.items():
    if key in flat:
      _put(variables, ('params', *path), flat[key])
  return variables


FAMILIES: Mapping[str, Callable[[Mapping[str, np.ndarray]], dict[str, Any]]] = MappingProxyType(
  {
    'resnet': convert_resnet,
    'efficientnet': convert_efficientnet,
    'densenet': convert_densenet,
    'vgg': convert_vgg,
    'vit': convert_vit,
  }
)


def convert(family: str, flat: Mapping[str, np.ndarray]) -> dict[str, Any]:
  """Renames and transposes the tensors of one model.

  Args:
    family: key of `FAMILIES`.
    flat: timm's name -> tensor.

  Returns:
    {'params': ..., 'batch_stats': ...} as nested dicts; without batch norm no 'batch_stats'.

  Raises:
    UserError: a name that this family does not have.
  """
  return FAMILIES[family](flat)


def _converted(
  flat: Mapping[str, np.ndarray], rules: Iterable[_Rule], family: str
) -> dict[str, Any]:
  compiled = [(re.compile(pattern), path) for pattern, path in rules]
  variables: dict[str, Any] = {'params': {}}
  for key, array in flat.items():
    module, _, kind = key.rpartition('.')
    if kind == 'num_batches_tracked':  # torch's count of steps; nothing reads it
      continue
    path = _renamed(module, compiled)
    if path is None or kind not in ('weight', 'bias', 'running_mean', 'running_var'):
      raise UserError(
        f'the weights hold {key!r}, which no model of the family {family} has: take the weights '
        "of the model that is being built, with timm's names"
      )
    collection, leaf, array = _placed(path[-1], kind, array)
    _put(variables, (collection, *path, leaf), array)
  return variables


def _renamed(module: str, rules: Iterable[tuple[re.Pattern[str], str]]) -> tuple[str, ...] | None:
  for pattern, path in rules:
    if found := pattern.fullmatch(module):
      for index, text in enumerate(found.groups()):
        path = path.replace(f'{{{index}}}', text)
        if f'{{{index}+}}' in path:  # timm counts from zero, we from one
          path = path.replace(f'{{{index}+}}', str(int(text) + 1))
      return tuple(path.split('/'))
  return None


def _placed(module: str, kind: str, array: np.ndarray) -> tuple[str, str, np.ndarray]:
  """Collection, name and layout of one tensor of the module of ours with that name."""
  if kind.startswith('running_'):
    return 'batch_stats', kind.removeprefix('running_'), array
  if kind == 'bias':
    return 'params', 'bias', array
  if array.ndim == 1:
    return 'params', 'scale', array
  if array.ndim == 2:
    return 'params', 'kernel', array.T
  if array.ndim != 4:  # nothing of ours: its shape is refused later, with its name
    return 'params', 'kernel', array
  array = array.transpose(2, 3, 1, 0)
  if module in ('reduce', 'expand', 'patch_embedding'):  # convolutions there, matrices here
    array = array.reshape(-1, array.shape[-1])
  return 'params', 'kernel', array


def _put(variables: dict[str, Any], path: tuple[str, ...], array: np.ndarray) -> None:
  for part in path[:-1]:
    variables = variables.setdefault(part, {})
  variables[path[-1]] = array
