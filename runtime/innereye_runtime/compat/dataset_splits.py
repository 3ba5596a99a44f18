"""A table of subjects, split into training, validation and test. It works on a pandas DataFrame, and imports none."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self


@dataclass(kw_only=True)
class DatasetSplits:
    """Three tables that share no subject."""

    train: Any
    val: Any
    test: Any
    subject_column: str = "subject"

    def __post_init__(self) -> None:
        """Raises ValueError where a subject is in two of the splits."""
        subjects = [set(split[self.subject_column]) for split in (self.train, self.val, self.test)]
        if (subjects[0] & subjects[1]) | (subjects[0] & subjects[2]) | (subjects[1] & subjects[2]):
            raise ValueError("a subject is in more than one of the splits train, val and test")

    @classmethod
    def from_subject_ids(
        cls,
        df: Any,
        train_ids: Sequence[Any],
        test_ids: Sequence[Any],
        val_ids: Sequence[Any],
        *,
        subject_column: str = "subject",
    ) -> Self:
        """The rows of `df` whose subjects are named."""
        tables = [df[df[subject_column].isin(list(ids))] for ids in (train_ids, val_ids, test_ids)]
        return cls(train=tables[0], val=tables[1], test=tables[2], subject_column=subject_column)

    @classmethod
    def from_proportions(
        cls,
        df: Any,
        proportion_train: float,
        proportion_test: float,
        proportion_val: float,
        *,
        subject_column: str = "subject",
        shuffle: bool = True,
        random_seed: int = 0,
    ) -> Self:
        """All subjects of `df`, in these proportions.

        Raises:
            ValueError: the proportions don't add up to 1.
        """
        if abs(proportion_train + proportion_test + proportion_val - 1) > 1e-6:
            raise ValueError("proportion_train, proportion_test and proportion_val must add up to 1")
        ids = list(dict.fromkeys(df[subject_column]))
        if shuffle:
            random.Random(random_seed).shuffle(ids)
        train = round(len(ids) * proportion_train)
        test = train + round(len(ids) * proportion_test)
        return cls.from_subject_ids(df, ids[:train], ids[train:test], ids[test:], subject_column=subject_column)

    def get_k_fold_cross_validation_splits(self, n_splits: int, random_seed: int = 0) -> list[Self]:
        """`n_splits` splits of the subjects of train and val together; each has another part for validation. The test
        subjects stay.
        """
        column = self.subject_column
        ids = list(dict.fromkeys([*self.train[column], *self.val[column]]))
        random.Random(random_seed).shuffle(ids)
        both = _joined(self.train, self.val)
        folds = [set(ids[index::n_splits]) for index in range(n_splits)]
        return [
            type(self)(
                train=both[~both[column].isin(list(fold))],
                val=both[both[column].isin(list(fold))],
                test=self.test,
                subject_column=column,
            )
            for fold in folds
        ]


def _joined(first: Any, second: Any) -> Any:
    """Both tables as one, by the module that the first one's class comes from."""
    import sys

    pandas = sys.modules[type(first).__module__.partition(".")[0]]
    return pandas.concat([first, second])
