"""The table of classifiers: what is called with what, and where its ImageNet weights come from."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn

from lesionjax.models import densenet, efficientnet, resnet, vgg, vit
from lesionjax.models.cnn import CNN

_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclasses.dataclass(frozen=True)
class Pretrained:
  """ImageNet weights of one model on the Hugging Face hub, as timm 1.0.31 describes them.

  Attributes:
    repository: owner/name on the hub; the file is `model.safetensors`.
    licence: SPDX identifier that timm gives for these weights.
    size_px: height and width of the images that they were last trained on.
    mean: of the channels of an image in [0, 1], subtracted first.
    std: of the channels, divided by then.
    interpolation: with which images were resized.
    revision: commit on the hub; None takes the newest and records which that was.
    sha256: of the file; None records it beside the file at the first download and compares later.
  """

  repository: str
  licence: str = 'apache-2.0'
  size_px: int = 224
  mean: tuple[float, ...] = _IMAGENET_MEAN
  std: tuple[float, ...] = _IMAGENET_STD
  interpolation: str = 'bicubic'
  # Nobody has downloaded the files on a machine where this table was edited: both are unknown.
  revision: str | None = None
  sha256: str | None = None


@dataclasses.dataclass(frozen=True)
class ModelSpec:
  """An entry of the table.

  Attributes:
    constructor: the flax module.
    fixed: arguments that make the architecture what its name says.
    defaults: arguments that the reference sets for this variant and a user may change.
    options: arguments that `build_model` accepts besides `num_classes` and `dtype`.
    stride: by how much the sides of an image are divided; the smallest image in px.
    family: key of `convert.FAMILIES`, or '' where no weights exist.
    pretrained: where ImageNet weights are, or None.
  """

  constructor: type[nn.Module]
  fixed: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  defaults: Mapping[str, Any] = dataclasses.field(default_factory=dict)
  options: tuple[str, ...] = ()
  stride: int = 32
  family: str = ''
  pretrained: Pretrained | None = None


def _resnet(depths: tuple[int, ...], block: str, name: str) -> ModelSpec:
  return ModelSpec(
    resnet.ResNet,
    {'depths': depths, 'block': block},
    options=('head', 'dropout', 'stochastic_depth', 'zero_init_last', 'remat'),
    stride=resnet.STRIDE,
    family='resnet',
    pretrained=Pretrained(f'timm/{name}.tv_in1k', 'bsd-3-clause', interpolation='bilinear'),
  )


def _efficientnet(
  number: int, width: float, depth: float, size_px: int, dropout: float, weights: str = 'in1k'
) -> ModelSpec:
  return ModelSpec(
    efficientnet.EfficientNet,
    {'width': width, 'depth': depth},
    {'dropout': dropout},
    options=('head', 'dropout', 'stochastic_depth', 'momentum', 'remat'),
    stride=efficientnet.STRIDE,
    family='efficientnet',
    pretrained=Pretrained(f'timm/tf_efficientnet_b{number}.{weights}', size_px=size_px),
  )


def _vgg(name: str, batch_norm: bool) -> ModelSpec:
  return ModelSpec(
    vgg.VGG16,
    {'batch_norm': batch_norm},
    options=('top', 'head', 'dropout', 'remat'),
    stride=vgg.STRIDE,
    family='vgg',
    pretrained=Pretrained(f'timm/{name}.tv_in1k', 'bsd-3-clause', interpolation='bilinear'),
  )


def _vit(name: str, width: int, heads: int) -> ModelSpec:
  return ModelSpec(
    vit.ViT,
    {'width': width, 'heads': heads},
    options=('grid', 'head', 'dropout', 'stochastic_depth', 'remat'),
    stride=vit.PATCH,
    family='vit',
    pretrained=Pretrained(
      f'timm/{name}.augreg_in21k_ft_in1k', mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5)
    ),
  )


# Widths, depths, sizes and dropout of EfficientNet: table of the official repository. B6 and B7
# have no plain ImageNet weights; AutoAugment's come nearest.
MODELS: Mapping[str, ModelSpec] = MappingProxyType(
  {
    'cnn': ModelSpec(CNN, options=('head', 'dropout', 'widths', 'dense_features'), stride=8),
    'resnet18': _resnet((2, 2, 2, 2), 'basic', 'resnet18'),
    'resnet34': _resnet((3, 4, 6, 3), 'basic', 'resnet34'),
    'resnet50': _resnet((3, 4, 6, 3), 'bottleneck', 'resnet50'),
    'efficientnet_b0': _efficientnet(0, 1.0, 1.0, 224, 0.2),
    'efficientnet_b1': _efficientnet(1, 1.0, 1.1, 240, 0.2),
    'efficientnet_b2': _efficientnet(2, 1.1, 1.2, 260, 0.3),
    'efficientnet_b3': _efficientnet(3, 1.2, 1.4, 300, 0.3),
    'efficientnet_b4': _efficientnet(4, 1.4, 1.8, 380, 0.4),
    'efficientnet_b5': _efficientnet(5, 1.6, 2.2, 456, 0.4),
    'efficientnet_b6': _efficientnet(6, 1.8, 2.6, 528, 0.5, 'aa_in1k'),
    'efficientnet_b7': _efficientnet(7, 2.0, 3.1, 600, 0.5, 'aa_in1k'),
    'densenet121': ModelSpec(
      densenet.DenseNet,
      {'depths': (6, 12, 24, 16), 'growth': 32},
      options=('head', 'dropout', 'stochastic_depth', 'remat'),
      stride=densenet.STRIDE,
      family='densenet',
      pretrained=Pretrained('timm/densenet121.tv_in1k'),
    ),
    'vgg16': _vgg('vgg16', batch_norm=False),
    'vgg16_bn': _vgg('vgg16_bn', batch_norm=True),
    'vit_s16': _vit('vit_small_patch16_224', 384, 6),
    'vit_b16': _vit('vit_base_patch16_224', 768, 12),
  }
)
