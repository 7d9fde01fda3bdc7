"""Pictures with structure at all scales, as skin has, for the searches for copies."""

from __future__ import annotations

import cv2
import numpy as np


def picture(seed: int, size_px: int = 256) -> np.ndarray:
  """uint8 [size_px, size_px, 3]: a blob with spots on mottled ground."""
  rng = np.random.default_rng(seed)
  image = np.zeros((size_px, size_px, 3), np.float32)
  for cells in (4, 8, 16, 32, 64):
    noise = rng.normal(size=(cells, cells, 3)).astype(np.float32) * 4 / cells**0.5
    image += cv2.resize(noise, (size_px, size_px), interpolation=cv2.INTER_CUBIC) * 8
  image += np.float32([150, 170, 210])
  for _ in range(60):
    centre = rng.normal(size_px / 2, size_px / 6, 2)
    colour = rng.uniform(20, 200, 3).tolist()
    cv2.circle(image, np.int32(centre).tolist(), int(rng.integers(2, 14)), colour, -1)
  return cv2.GaussianBlur(np.clip(image, 0, 255), (0, 0), 0.8).astype(np.uint8)


def jpeg(image: np.ndarray, quality: int = 90) -> bytes:
  options = [cv2.IMWRITE_JPEG_QUALITY, quality]
  return cv2.imencode('.jpg', np.ascontiguousarray(image), options)[1].tobytes()
