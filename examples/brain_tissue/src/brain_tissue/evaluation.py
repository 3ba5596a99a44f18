"""Predictions as files, compared with their references on the grid of the source: scores, a table, pictures."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
import torch
from monai.metrics import compute_dice, compute_hausdorff_distance
from monai.networks.utils import one_hot
from monai.transforms import Compose, LoadImaged, Orientationd, Spacingd
from numpy.typing import NDArray

from innereye_runtime import add_overlay, add_per_subject

TISSUES = ("grey_matter", "white_matter")
"""Labels 1 and 2; 0 is everything else."""
COLUMNS = {"dice": "Dice", "hd95_mm": "HD95 (mm)", "volume_error_percent": "volume error (%)"}


@dataclass(frozen=True)
class Subject:
    image: Path
    prediction: Path
    reference: Path

    @property
    def name(self) -> str:
        return self.image.parent.name


def write_prediction(labels: NDArray[np.int64], image: Path, folder: Path) -> Path:
    """The NIfTI file of labels that lie on the grid of `image`, whose affine and codes it has."""
    source = nib.load(image)
    prediction = nib.Nifti1Image(labels.astype(np.uint8), source.affine)
    prediction.set_sform(*source.get_sform(coded=True))
    prediction.set_qform(*source.get_qform(coded=True))
    folder.mkdir(exist_ok=True)
    file = folder / f"{image.parent.name}_tissues.nii.gz"
    nib.save(prediction, file)
    return file


def report(subjects: Sequence[Subject]) -> dict[str, float]:
    """The mean of each score over the subjects. Writes metrics_per_subject.csv, and adds the table with its pictures to
    the report."""
    rows = [row for subject in subjects for row in scores(subject)]
    with Path("metrics_per_subject.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    wide = {
        subject.name: {"subject": subject.name}
        | {
            f"{row['structure'].replace('_', ' ')} {title}": row[column]
            for column, title in COLUMNS.items()
            for row in rows
            if row["subject"] == subject.name
        }
        for subject in subjects
    }
    pictures = {subject.name: picture(subject, wide[subject.name]) for subject in subjects}
    add_per_subject(
        list(wide.values()),
        "Test subjects",
        "On the grid of each source image. HD95: the 95th percentile of the distances between the surfaces, in mm. "
        "Volume error: predicted less reference volume, in percent of the reference.",
        overlays=pictures,
    )
    means = {}
    for tissue in TISSUES:
        for column in COLUMNS:
            values = [row[column] for row in rows if row["structure"] == tissue and math.isfinite(row[column])]
            if values:
                means[f"{tissue}/{column}"] = sum(values) / len(values)
    return means


def scores(subject: Subject) -> list[dict[str, object]]:
    """A row for each tissue. A score that has no value, such as the distance to a tissue that is not there, is NaN."""
    files = [nib.load(file) for file in (subject.prediction, subject.reference)]
    volumes = [torch.from_numpy(np.asarray(file.dataobj).astype(np.int64))[None, None] for file in files]
    prediction, reference = (one_hot(volume, len(TISSUES) + 1) for volume in volumes)
    edges = tuple(float(edge) for edge in files[1].header.get_zooms()[:3])
    dice = compute_dice(prediction, reference, include_background=False)[0]
    with warnings.catch_warnings():  # of MONAI about its own code
        warnings.filterwarnings("ignore", ".*always_return_as_numpy", FutureWarning)
        hd95 = compute_hausdorff_distance(prediction, reference, percentile=95, spacing=edges)[0]
    millilitres = math.prod(edges) / 1000
    rows = []
    for index, tissue in enumerate(TISSUES):
        predicted, true = (float(each[0, index + 1].sum()) * millilitres for each in (prediction, reference))
        error = 100 * (predicted - true) / true if true else math.nan
        rows.append(
            {
                "subject": subject.name,
                "structure": tissue,
                "dice": float(dice[index]),
                "hd95_mm": float(hd95[index]),
                "volume_error_percent": error,
                "volume_ml": predicted,
                "reference_volume_ml": true,
            }
        )
    return rows


def picture(subject: Subject, row: dict[str, object]) -> Path:
    """The prediction over three planes through the middle of the reference, seen as a radiologist expects them."""
    keys = ("image", "prediction", "reference")
    prepare = Compose(
        [
            LoadImaged(keys, ensure_channel_first=True),
            Orientationd(keys, axcodes="RAS", labels=None),
            Spacingd(keys, pixdim=(1.0, 1.0, 1.0), mode=("bilinear", "nearest", "nearest")),
        ]
    )
    volumes = prepare({key: getattr(subject, key) for key in keys})
    where = torch.nonzero(volumes["reference"][0]).float().mean(dim=0).round().int().tolist()
    image, prediction, reference = (three_planes(volumes[key][0].numpy(), where) for key in keys)
    return add_overlay(
        image,
        prediction,
        f"{subject.name}: axial, coronal, sagittal",
        f"Mean Dice {np.mean([row[each] for each in row if each.endswith('Dice')]):.3f}. Axial and coronal in "
        "radiological convention: the patient's left is on the right of the picture. Sagittal: front to the left.",
        names=[tissue.replace("_", " ") for tissue in TISSUES],
        reference=reference,
    )


def three_planes(volume: NDArray[np.generic], at: Sequence[int]) -> NDArray[np.generic]:
    """The axial, coronal and sagittal plane through a voxel, side by side; the axes run to right, front and top."""
    x, y, z = at
    planes = [
        volume[::-1, ::-1, z].T,  # rows from front to back
        volume[::-1, y, ::-1].T,  # rows from top to bottom
        volume[x, ::-1, ::-1].T,
    ]
    height = max(plane.shape[0] for plane in planes)
    padded = []
    for plane in planes:
        above = (height - plane.shape[0]) // 2
        padded.append(np.pad(plane, ((above, height - plane.shape[0] - above), (0, 0))))
    return np.concatenate(padded, axis=1)
