"""Hue and saturation as one matrix. Numpy only."""

import math

import numpy as np

from livelav.core.values import Floats

LUMA = np.array([0.2126, 0.7152, 0.0722])  # Rec. 709

_ALONG = np.full((3, 3), 1.0 / 3.0)
_AROUND = np.eye(3) - _ALONG
_ACROSS = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]]) / math.sqrt(3.0)
_GREY = np.tile(LUMA, (3, 1))
_COLOUR = np.eye(3) - _GREY


def grade(hue_deg: float, saturation: float) -> Floats:
    """[3, 3] matrix that turns colours around the grey axis and stretches them from their own grey.

    Greys stay what they are; saturation 0 gives the luminance (Rec. 709 weights).
    """
    angle = math.radians(hue_deg)
    turn = _ALONG + math.cos(angle) * _AROUND + math.sin(angle) * _ACROSS
    return np.asarray((_GREY + saturation * _COLOUR) @ turn, np.float32)
