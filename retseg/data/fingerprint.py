"""What stays of a B-scan when it is resized, made brighter or mirrored: its texture, and a hash of its very pixels.

Every retina has the same layers, and layers lie along the rows. So the texture keeps only what changes quickly from
column to column: speckle, foci, edges of cysts and vessels. Neighbouring B-scans share hardly any of it, copies all.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter, gaussian_filter1d
from scipy.sparse import csr_array

from retseg.bscan import Array

ROWS, COLUMNS = 64, 128
"""Size of the thumbnail whose texture is compared."""

COPY_SIMILARITY = 0.32
"""Two textures at least this alike are of one B-scan. Over 110 real scans, uncropped, different B-scans reach 0.27
(0.17 if of two subjects), resized, rescaled or noisy copies 0.35 to 1."""

SMOOTHING, LATERAL_BAND, CONTRAST_BAND = 0.7, 2.0, 4.0
"""Sd of Gaussians, in thumbnail pixels: against pixel noise; whose residue along rows is kept; for local contrast."""

_CLIP = 2.0
_PIXELS_PER_DEGREE = 5
"""Smoothing leaves about one independent value in so many thumbnail pixels (measured: sd of similarity by chance)."""

_SAFE_SD = 6.0


NO_TEXTURE: Array = np.zeros((0, 0), np.float32)
"""In the place of a texture that is not kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Fingerprint:
    """Of one image. texture: (ROWS, COLUMNS) float32 of length 1, all 0 for a flat image, or NO_TEXTURE.

    least: similarity from which another image is a copy of this one; higher where few pixels make chance hits likely.
    """

    texture: Array
    least: float
    pixels_sha256: str

    @property
    def has_texture(self) -> bool:
        """Whether its texture is kept."""
        return self.texture.size > 0


def fingerprint(image: Array) -> Fingerprint:
    """Fingerprint of an image (H, W) of finite numbers, whatever their type and scale."""
    return Fingerprint(_texture(image), _least_similarity(image.shape), pixels_sha256(image))


def pixels_sha256(image: Array) -> str:
    """Hash of gray levels (H, W) and shape: equal for equal values, as uint8, int64 or float."""
    values = np.asarray(image)
    if values.dtype != np.uint8:
        is_byte = bool(((values >= 0) & (values <= 255)).all()) and np.array_equal(values, np.rint(values))
        values = values.astype(np.uint8) if is_byte else values.astype(np.float64)
    digest = hashlib.sha256(f"{values.shape} {values.dtype}".encode())
    digest.update(np.ascontiguousarray(values).data)
    return digest.hexdigest()


def similarities(first: Sequence[Fingerprint], second: Sequence[Fingerprint]) -> tuple[Array, Array]:
    """Correlation of each of A fingerprints with each of B, (A, B) float32: as they are, and mirrored.

    Mirrored is the best of left-right, upside down and both.
    """
    ours, theirs = np.stack([f.texture for f in first]), np.stack([f.texture for f in second])
    flat = ours.reshape(len(ours), -1)

    def products(textures: Array) -> Array:
        return np.asarray(flat @ textures.reshape(len(textures), -1).T)

    flipped = (theirs[:, :, ::-1], theirs[:, ::-1], theirs[:, ::-1, ::-1])
    return products(theirs), np.max([products(textures) for textures in flipped], axis=0)


def least_similarities(first: Sequence[Fingerprint], second: Sequence[Fingerprint]) -> Array:
    """Similarity (A, B) from which a pair is a copy: the higher of the two fingerprints' own."""
    return np.maximum.outer([f.least for f in first], [f.least for f in second])


def _texture(image: Array) -> Array:
    """Band-passed thumbnail (ROWS, COLUMNS) with equal local contrast, of length 1.

    Dividing by the local contrast undoes gain, and gamma nearly; clipping leaves the edges of registration wedges
    no more weight than speckle has.
    """
    height, width = image.shape
    values = image.astype(np.float32)
    thumbnail = (_area_weights(width, COLUMNS) @ (_area_weights(height, ROWS) @ values).T).T
    smooth = gaussian_filter(thumbnail, SMOOTHING)
    band = smooth - gaussian_filter1d(smooth, LATERAL_BAND, axis=1)
    largest = float(np.abs(thumbnail).max())
    if float(np.abs(band).max()) <= 1e-5 * largest:  # rounding is all that is left of a flat image
        return np.zeros((ROWS, COLUMNS), np.float32)
    contrast = np.sqrt(gaussian_filter(band**2, CONTRAST_BAND))
    texture = np.clip(band / (contrast + 0.1 * np.sqrt(np.mean(band**2))), -_CLIP, _CLIP)
    texture -= texture.mean()
    return np.asarray(texture / np.linalg.norm(texture), np.float32)


def _least_similarity(shape: tuple[int, ...]) -> float:
    """COPY_SIMILARITY, or for small images six standard deviations of what chance gives."""
    num_values = min(shape[0], ROWS) * min(shape[1], COLUMNS) / _PIXELS_PER_DEGREE
    return max(COPY_SIMILARITY, _SAFE_SD / float(np.sqrt(num_values)))


@lru_cache(maxsize=16)
def _area_weights(num_old: int, num_new: int) -> csr_array:
    """Sparse weights (num_new, num_old) of area averaging; rows sum to 1."""
    edges = np.linspace(0, num_old, num_new + 1)
    old = np.arange(num_old)
    overlap = np.clip(np.minimum(edges[1:, None], old + 1) - np.maximum(edges[:-1, None], old), 0, None)
    return csr_array((overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32))
