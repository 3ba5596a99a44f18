"""Writes subjects to train with, made from the MNI152 template that the nilearn package contains.

    python make_subjects.py data              # data/sub-01/T1w.nii.gz, data/sub-01/tissues.nii.gz, ..., of 14 subjects

It needs nilearn and scipy.

Each is the template's head with another pose, size and shear, another contrast, a field inhomogeneity and noise, on
another voxel grid: orientation and voxel size differ between subjects, as they do between scanners. The reference
(1 grey matter, 2 white matter) is the most probable tissue of each voxel. It is one anatomy all the same, so scores on
these subjects show that the pipeline works, and say nothing about patients. Put your own subjects in the same layout.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from nilearn import datasets
from numpy.typing import NDArray
from scipy import ndimage

CENTRE = np.array([0.0, -17.0, 5.0])
"""Of the head, in mm of the template's space; x to the right, y to the front, z up."""
EXTENT = np.array([176.0, 212.0, 188.0])
"""Of the field of view, in mm."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes subjects made from the MNI152 template.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--subjects", type=int, default=14)
    parser.add_argument("--voxel", type=float, default=2.0, help="mean edge of a voxel in mm (default: 2)")
    options = parser.parse_args()
    template = load_template()
    for number in range(1, options.subjects + 1):
        folder = options.folder / f"sub-{number:02d}"
        folder.mkdir(parents=True, exist_ok=True)
        image, tissues = make_subject(template, np.random.default_rng(number), options.voxel)
        nib.save(image, folder / "T1w.nii.gz")
        nib.save(tissues, folder / "tissues.nii.gz")
    print(f"{options.subjects} subjects are in {options.folder}")


def load_template() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """T1, grey matter, white matter and all else of the template, 4 x X x Y x Z at 1 mm, and its affine."""
    loaders = (datasets.load_mni152_template, datasets.load_mni152_gm_template, datasets.load_mni152_wm_template)
    images = [load(resolution=1) for load in loaders]
    t1, grey, white = (image.get_fdata(dtype=np.float32) for image in images)
    return np.stack([t1, grey, white, 1 - grey - white]), images[0].affine


def make_subject(
    template: tuple[NDArray[np.float32], NDArray[np.float64]], random: np.random.Generator, voxel: float
) -> tuple[Any, Any]:
    """The image of a subject and its tissues, as NIfTI."""
    volumes, template_affine = template
    affine, shape = voxel_grid(random, voxel)
    to_template = np.linalg.inv(template_affine) @ np.linalg.inv(anatomy(random)) @ affine
    t1, grey, white, other = (
        ndimage.affine_transform(volume, to_template, output_shape=shape, order=1, cval=cval)
        for volume, cval in zip(volumes, (0, 0, 0, 1), strict=True)
    )
    tissues = np.stack([other, grey, white]).argmax(axis=0).astype(np.uint8)
    scan = with_artefacts(t1, random)
    result = []
    for data in (scan, tissues):
        image = nib.Nifti1Image(data, affine)
        image.set_sform(affine, code="scanner")
        image.set_qform(affine, code="scanner")
        result.append(image)
    return result[0], result[1]


def voxel_grid(random: np.random.Generator, voxel: float) -> tuple[NDArray[np.float64], tuple[int, ...]]:
    """The affine and the shape of a scan: voxels of some size, whose axes run in some of the usual directions."""
    edges = voxel * random.uniform(0.9, 1.1, size=3)
    signs = np.array([(1, 1, 1), (-1, 1, 1), (-1, -1, 1)][random.integers(3)])  # RAS, LAS, LPS
    shape = np.ceil(EXTENT / edges).astype(int)
    affine = np.diag([*(signs * edges), 1.0])
    affine[:3, 3] = CENTRE - affine[:3, :3] @ ((shape - 1) / 2)
    return affine, tuple(int(length) for length in shape)


def anatomy(random: np.random.Generator) -> NDArray[np.float64]:
    """The affine map from the template's head to that of a subject, both in mm."""
    x, y, z = np.deg2rad(random.uniform(-8, 8, size=3))
    rotations = (
        [[1, 0, 0], [0, np.cos(x), -np.sin(x)], [0, np.sin(x), np.cos(x)]],
        [[np.cos(y), 0, np.sin(y)], [0, 1, 0], [-np.sin(y), 0, np.cos(y)]],
        [[np.cos(z), -np.sin(z), 0], [np.sin(z), np.cos(z), 0], [0, 0, 1]],
    )
    shear = np.eye(3) + np.triu(random.uniform(-0.06, 0.06, size=(3, 3)), k=1)
    linear = np.linalg.multi_dot([*map(np.array, rotations), shear, np.diag(random.uniform(0.9, 1.08, size=3))])
    result = np.eye(4)
    result[:3, :3] = linear
    result[:3, 3] = CENTRE - linear @ CENTRE + random.uniform(-4, 4, size=3)
    return result


def with_artefacts(t1: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.int16]:
    """A scan of an ideal image in 0..1: other contrast, a smooth inhomogeneity, Rician noise, units of a scanner."""
    axes = np.meshgrid(*(np.linspace(-1, 1, length) for length in t1.shape), indexing="ij")
    field = sum(weight * axis for weight, axis in zip(random.uniform(-0.12, 0.12, size=3), axes, strict=True))
    signal = t1.clip(0, 1) ** random.uniform(0.85, 1.2) * np.exp(field)
    real, imaginary = random.normal(scale=random.uniform(0.015, 0.04), size=(2, *t1.shape))
    # The template has no skull: its background stays empty, as after skull stripping.
    noisy = np.where(t1 > 0, np.hypot(signal + real, imaginary), 0)
    return (noisy * random.uniform(600, 1400)).round().astype(np.int16)


if __name__ == "__main__":
    main()
