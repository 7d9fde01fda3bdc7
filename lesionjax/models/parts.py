"""Named parts of the classifiers: `last_block`, `last_map`, and the head by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import flax.linen as nn
import jax

from data_builders.errors import UserError
from lesionjax.models.heads import classify

HEAD = ('head/.*',)

# Class of the module -> patterns of the parameters of its last stage, up to the head, as regular
# expressions over whole '/'-joined paths.
LAST_BLOCK: Mapping[str, Callable[[Any], tuple[str, ...]]] = MappingProxyType(
  {
    # The convolutions of the last width and the dense layer on the flattened map.
    'CNN': lambda model: (rf'block{len(model.widths)}_.*', 'dense/.*'),
    # torchvision's `layer4`.
    'ResNet': lambda model: (rf'stage{len(model.depths)}_.*',),
    # The last of the seven stages and the 1x1 convolution behind it.
    'EfficientNet': lambda model: ('stage7_.*', 'top_(conv|norm)/.*'),
    # The last dense block, without the transition before it, and the norm behind it.
    'DenseNet': lambda model: (rf'block{len(model.depths)}_.*', 'top_norm/.*'),
    # The last three convolutions, and the dense layers where the model has them.
    'VGG16': lambda model: ('stage5/.*', *(('dense[12]/.*',) if model.top == 'dense' else ())),
    # The last transformer block and the norm behind it.
    'ViT': lambda model: (f'block{model.depth}/.*', 'top_norm/.*'),
  }
)


# Class of the module -> the last map that the logits depend on, by its name within the network
# (`perturbed.feature_maps`). A transformer reads the class token at its end: its patch tokens are
# last looked at by the attention of the last block.
LAST_MAP: Mapping[str, Callable[[Any], str]] = MappingProxyType(
  {
    'CNN': lambda model: f'stride{2 ** (len(model.widths) - 1)}',
    'ResNet': lambda model: f'stride{2 ** (len(model.depths) + 1)}',
    'EfficientNet': lambda model: 'stride32',
    'DenseNet': lambda model: 'stride32',
    'VGG16': lambda model: 'stride16',
    'ViT': lambda model: f'block{model.depth}/norm1',
  }
)


def last_block(model: nn.Module) -> tuple[str, ...]:
  """Returns the patterns of a network's last block, its head aside.

  Raises:
    UserError: when `LAST_BLOCK` does not know the network.
  """
  name = type(model).__name__
  if name not in LAST_BLOCK:
    raise UserError(
      f"trainable='last_block' is not defined for {name}, only for {', '.join(LAST_BLOCK)}: give "
      'regular expressions over the paths of its parameters, which --dry_run lists.'
    )
  return LAST_BLOCK[name](model)


class Head(nn.Module):
  """What a classifier does with its pre-logits, under the same names of parameters.

  Its dropout draws what that of the classifier would, unless the backbone has an unnamed one too
  (VGG16), which takes the number that the key is folded with.

  Attributes:
    num_classes: number of logits K.
    head: a key of `heads.HEADS`.
    dropout: share of pre-logits dropped in training.
  """

  num_classes: int
  head: str = 'linear'
  dropout: float = 0.0

  @nn.compact
  def __call__(
    self, pre_logits: jax.Array, train: bool = False
  ) -> tuple[jax.Array, dict[str, jax.Array]]:
    """Classifies features [B, D]; returns logits float32 [B, K] and {'pre_logits'}."""
    logits = classify(pre_logits, self.head, self.num_classes, self.dropout, train)
    return logits, {'pre_logits': pre_logits}


def head_of(model: Any) -> Head:
  """Returns the head of a classifier; it takes the classifier's variables."""
  return Head(model.num_classes, model.head, model.dropout)
