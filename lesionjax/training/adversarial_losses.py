"""What a discriminator and a generator lower, as functions of logits alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax

from lesionjax.training.state import Array


@dataclasses.dataclass(frozen=True)
class AdversarialLoss:
  """What either side lowers, for every image; a function of logits alone.

  Attributes:
    discriminator: (logits of real images, logits of generated ones) -> [B].
    generator: (logits of generated images) -> [B].
  """

  discriminator: Callable[[Array, Array], Array]
  generator: Callable[[Array], Array]


# bce: Goodfellow et al., "Generative Adversarial Nets", 2014, with the generator's loss that does
# not saturate. hinge: Lim and Ye, "Geometric GAN", 2017; Miyato et al., 2018.
LOSSES: Mapping[str, AdversarialLoss] = MappingProxyType(
  {
    'hinge': AdversarialLoss(
      lambda real, fake: jax.nn.relu(1.0 - real) + jax.nn.relu(1.0 + fake), lambda fake: -fake
    ),
    'bce': AdversarialLoss(
      lambda real, fake: jax.nn.softplus(-real) + jax.nn.softplus(fake),
      lambda fake: jax.nn.softplus(-fake),
    ),
  }
)
