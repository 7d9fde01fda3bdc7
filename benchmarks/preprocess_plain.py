"""The peer of the preprocessing benchmark: plain OpenCV loops, as the published code is written."""

from __future__ import annotations

import cv2
import numpy as np

SIZE_PX = 256


def resize_then_clean(data: bytes) -> bytes:
  """The published order: decode, resize to 256 px, remove hair, CLAHE, encode."""
  image = cv2.resize(_decode(data), (SIZE_PX, SIZE_PX))
  return _encode(_equalise(_remove_hair(image)))


def clean_then_resize(data: bytes) -> bytes:
  """The same steps at full resolution, then the resize."""
  image = _equalise(_remove_hair(_decode(data)))
  return _encode(cv2.resize(image, (SIZE_PX, SIZE_PX)))


def _decode(data: bytes) -> np.ndarray:
  image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
  assert image is not None
  return image


def _remove_hair(image: np.ndarray) -> np.ndarray:
  grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
  kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (17, 17))
  blackhat = cv2.morphologyEx(grey, cv2.MORPH_BLACKHAT, kernel)
  _, mask = cv2.threshold(blackhat, 10, 255, cv2.THRESH_BINARY)
  return cv2.inpaint(image, mask, 1, cv2.INPAINT_TELEA)


def _equalise(image: np.ndarray) -> np.ndarray:
  lightness, a, b = cv2.split(cv2.cvtColor(image, cv2.COLOR_BGR2LAB))
  clahe = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(8, 8))
  return cv2.cvtColor(cv2.merge([clahe.apply(lightness), a, b]), cv2.COLOR_LAB2BGR)


def _encode(image: np.ndarray) -> bytes:
  return cv2.imencode('.jpg', image, [cv2.IMWRITE_JPEG_QUALITY, 95])[1].tobytes()
