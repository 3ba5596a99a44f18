"""A place in a datastore."""

from __future__ import annotations

import re
from dataclasses import dataclass

from innereye_runtime.errors import OutputError

_PLACE = re.compile(r"azureml://(?:.*/)?datastores/(?P<datastore>[^/]+)/paths/(?P<path>.+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobPrefix:
    """A folder of blobs in a datastore."""

    datastore: str
    path: str

    @classmethod
    def parse(cls, uri: str) -> BlobPrefix:
        """The place that a job's output has.

        Raises:
            OutputError: it is in no datastore.
        """
        match = _PLACE.fullmatch(uri)
        if match is None:
            raise OutputError(
                f"the output {uri} is not in a datastore, and cannot be downloaded",
                hint="az ml job download --output-name may download it",
            )
        return cls(datastore=match["datastore"], path=match["path"].rstrip("/"))
