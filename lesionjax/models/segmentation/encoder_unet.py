"""U-Net on the backbone of any classifier that keeps maps at several sizes."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from data_builders.errors import UserError
from lesionjax.models import find_model
from lesionjax.models.segmentation.blocks import Decoder, PixelLogits, cropped, padded

# Channels of the steps of the decoder, deepest first; shorter pyramids take the last ones.
DECODER_WIDTHS = (256, 128, 64, 32, 16)
# A classifier's layers behind its last map that a segmenter has no use for.
_WITHOUT_TOP: Mapping[str, Mapping[str, Any]] = MappingProxyType(
  {
    'cnn': {'dense_features': 0},
    'vgg16': {'top': 'pool'},
    'vgg16_bn': {'top': 'pool'},
  }
)
# Options of the classifiers that act on the backbone.
BACKBONE_OPTIONS = ('stochastic_depth', 'momentum', 'remat', 'widths')


def build_backbone(name: str, dtype: Any, options: Mapping[str, Any]) -> nn.Module:
  """Builds a classifier without its head, whose features hold maps 'stride1', 'stride2', ...

  Args:
    name: key of `MODELS`.
    dtype: dtype of the arithmetic.
    options: values of `BACKBONE_OPTIONS`.

  Returns:
    The module; its parameters are those of the classifier without 'head' (and without the dense
    layers of VGG16 and of the CNN).

  Raises:
    UserError: unknown name, a network without a pyramid, an option that this one has not.
  """
  spec = find_model(name)
  if spec.family == 'vit':
    raise UserError(
      f'encoder {name!r} has maps of one size only: take a convolutional network, such as '
      'resnet34, densenet121 or efficientnet_b0'
    )
  for key in options:
    if key not in spec.options:
      allowed = ', '.join(key for key in BACKBONE_OPTIONS if key in spec.options) or 'none'
      raise UserError(f'encoder {name!r} has no argument {key!r}: allowed arguments are {allowed}')
  arguments = {**spec.fixed, **spec.defaults, **_WITHOUT_TOP.get(name, {}), **options}
  return spec.constructor(num_classes=0, dtype=dtype, **arguments)


class EncoderUNet(nn.Module):
  """A classifier's maps as the encoder, up-convolutions and skip connections as the decoder.

  The encoder's parameters lie under 'encoder' and form the tree of the classifier, so that its
  weights fit. Where its first map is smaller than the image, the image is the skip of the last
  step: a DenseNet-121 has 5 skips, at strides 1, 2, 4, 8 and 16.

  Attributes:
    encoder: from `build_backbone`.
    stride: to whose multiples images are padded: what the encoder divides their sides by.
    decoder_widths: channels of the steps up, deepest first; one for every halving.
    dropout: share of the deepest map dropped in training.
    dtype: dtype of the arithmetic; parameters, statistics and logits are float32.
  """

  encoder: nn.Module
  stride: int = 32
  decoder_widths: tuple[int, ...] | None = None
  dropout: float = 0.0
  dtype: Any = jnp.float32

  @nn.compact
  def __call__(self, image: jax.Array, train: bool = False) -> tuple[jax.Array, dict[str, Any]]:
    """Segments images.

    Args:
      image: float [B,H,W,C] of any size; padded inside (`blocks.padded`), and cropped back.
      train: batch statistics, dropout and stochastic depth (the last two need 'dropout').

    Returns:
      Logits float32 [B,H,W,1] and {'bottleneck' [B,h,w,D], 'last_map' [B,H,W,decoder_widths[-1]]}.

    Raises:
      UserError: not as many decoder widths as steps.
    """
    x = padded(image.astype(self.dtype), self.stride)
    _, features = self.encoder(x, train)
    maps = {1: x}
    for key, value in features.items():
      if key.startswith('stride'):
        maps[int(key.removeprefix('stride'))] = value
    bottleneck = maps.pop(max(maps))
    widths = self._widths(len(maps))
    x = nn.Dropout(self.dropout, deterministic=not train)(bottleneck)
    for stride, width in zip(sorted(maps, reverse=True), widths, strict=True):
      x = Decoder(width, self.dtype, name=f'decoder_stride{stride}')(x, (maps[stride],), train)
    x = cropped(x, image)
    logits = PixelLogits(name='decoder_logits')(x)
    return logits, {'bottleneck': bottleneck, 'last_map': x}

  def _widths(self, steps: int) -> tuple[int, ...]:
    widths = DECODER_WIDTHS[-steps:] if self.decoder_widths is None else self.decoder_widths
    if len(widths) != steps:
      raise UserError(
        f'segmenter unet_encoder got {len(widths)} decoder_widths, but its encoder halves the '
        f'image {steps} times: give {steps} widths, deepest first'
      )
    return tuple(widths)
