"""The table of segmenters, and the one function that builds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from data_builders.errors import UserError
from lesionjax.models import find_model, names
from lesionjax.models.segmentation.bcdunet import DENSE_BLOCKS, PLACES, BCDUNet
from lesionjax.models.segmentation.encoder_unet import (
  BACKBONE_OPTIONS,
  EncoderUNet,
  build_backbone,
)
from lesionjax.models.segmentation.unet import UNet
from lesionjax.models.segmentation.unetpp import UNetPlusPlus


@dataclasses.dataclass(frozen=True)
class SegmenterSpec:
  """An entry of the table.

  Attributes:
    constructor: makes the flax module from `dtype` and the options.
    options: arguments that `build_segmenter` accepts besides `dtype`.
  """

  constructor: Callable[..., nn.Module]
  options: tuple[str, ...]


_ENCODER = 'resnet34'  # where none is told


def _encoder_unet(
  dtype: Any,
  encoder: str = _ENCODER,
  decoder_widths: Sequence[int] | None = None,
  dropout: float = 0.0,
  **options: Any,
) -> EncoderUNet:
  backbone = build_backbone(encoder, dtype, options)
  stride = find_model(encoder).stride
  if 'widths' in options:
    stride = 2 ** len(options['widths'])
  widths = None if decoder_widths is None else tuple(decoder_widths)
  return EncoderUNet(
    encoder=backbone, stride=stride, decoder_widths=widths, dropout=dropout, dtype=dtype
  )


SEGMENTERS: Mapping[str, SegmenterSpec] = MappingProxyType(
  {
    'unet': SegmenterSpec(UNet, ('levels', 'width', 'dropout')),
    'unetpp': SegmenterSpec(UNetPlusPlus, ('levels', 'width', 'deep_supervision', 'dropout')),
    'bcdunet': SegmenterSpec(
      BCDUNet, ('levels', 'width', 'bconvlstm_at', 'dense_blocks', 'bidirectional', 'dropout')
    ),
    'unet_encoder': SegmenterSpec(
      _encoder_unet, ('encoder', 'decoder_widths', 'dropout', *BACKBONE_OPTIONS)
    ),
  }
)

_SHARES = ('dropout', 'stochastic_depth', 'momentum')
_WIDTHS = ('decoder_widths', 'widths')
_SWITCHES = ('deep_supervision', 'bidirectional', 'remat')
_CHOICES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
  {'bconvlstm_at': PLACES, 'dense_blocks': DENSE_BLOCKS}
)


def _check_value(name: str, key: str, value: Any) -> None:
  """Refuses a value that would fail late, or not at all."""
  whole = isinstance(value, int) and not isinstance(value, bool)
  wanted = ''
  if key in _SHARES and not (isinstance(value, int | float) and 0 <= value < 1):
    wanted = 'a share, at least 0 and below 1'
  elif key == 'levels' and not (whole and 2 <= value <= 8):
    wanted = 'a whole number from 2 to 8'
  elif key == 'width' and not (whole and value > 0):
    wanted = 'a positive whole number'
  elif key in _SWITCHES and not isinstance(value, bool):
    wanted = 'True or False'
  elif key in _CHOICES and value not in _CHOICES[key]:
    wanted = f'one of {", ".join(map(str, _CHOICES[key]))}'
  elif key in _WIDTHS and not (
    isinstance(value, Sequence) and value and all(isinstance(w, int) and w > 0 for w in value)
  ):
    wanted = 'positive whole numbers, one a step'
  if wanted:
    raise UserError(f'segmenter {name!r}: {key}={value!r} must be {wanted}')


def encoder_of(name: str, arguments: Mapping[str, Any]) -> str:
  """The classifier whose backbone is a segmenter's encoder, under 'encoder' among its parameters.

  Args:
    name: key of `SEGMENTERS`.
    arguments: its options.

  Returns:
    Key of `MODELS`; '' of a segmenter whose encoder is its own.

  Raises:
    UserError: unknown name.
  """
  names.check_name('segmenter', name, SEGMENTERS)
  return arguments.get('encoder', _ENCODER) if 'encoder' in SEGMENTERS[name].options else ''


def build_segmenter(name: str, dtype: Any = jnp.float32, **arguments: Any) -> nn.Module:
  """Builds a segmenter by its name in `SEGMENTERS`.

  Args:
    name: key of `SEGMENTERS`.
    dtype: dtype of the arithmetic; parameters, statistics and logits stay float32.
    **arguments: options of that segmenter, listed in its `SegmenterSpec`.

  Returns:
    A module whose `apply(variables, image float [B,H,W,C], train=...)`, at any size, gives logits
    float32 [B,H,W,1] and the features 'bottleneck' [B,h,w,D], 'last_map' [B,H,W,E] and, of UNet++,
    'auxiliary', a tuple of logits [B,H,W,1].

  Raises:
    UserError: unknown name, argument or encoder; a value that is not allowed.
  """
  names.check_name('segmenter', name, SEGMENTERS)
  spec = SEGMENTERS[name]
  names.check_arguments('segmenter', name, arguments, spec.options)
  for key, value in arguments.items():
    _check_value(name, key, value)
  return spec.constructor(dtype=dtype, **arguments)
