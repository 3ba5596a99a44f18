"""Where the weights to start from come from: files, runs and a real HTTP server."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from innereye_runtime import LightningContainer
from innereye_runtime.errors import DataError, UsageError
from innereye_runtime.training.checkpoints.pretrained import starting_weights


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments: Any) -> None:
        """Keeps requests out of the test's output."""

    def do_GET(self) -> None:
        if self.path != "/cut.ckpt":
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"no more than this")


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    folder = tmp_path / "served"
    folder.mkdir()
    (folder / "a b.ckpt").write_bytes(b"weights")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def container(**parameters: Any) -> LightningContainer:
    return LightningContainer(weights_url_allow_http=True, **parameters)


def test_files_are_taken_from_where_the_command_was_given(tmp_path: Path) -> None:
    (tmp_path / "w.ckpt").touch()
    assert starting_weights(container(local_weights_path=[Path("w.ckpt")]), tmp_path / "run", tmp_path) == [
        tmp_path / "w.ckpt"
    ]
    with pytest.raises(DataError, match=r"local_weights_path: there is no checkpoint .*x\.ckpt"):
        starting_weights(container(local_weights_path=[Path("x.ckpt")]), tmp_path / "run", tmp_path)


def test_a_download_is_kept_in_the_run_folder_and_not_fetched_twice(tmp_path: Path, url: str) -> None:
    asked = container(weights_url=[f"{url}/a%20b.ckpt"])
    (path,) = starting_weights(asked, tmp_path / "run", tmp_path)
    assert path == tmp_path / "run" / "pretrained_models" / "a b.ckpt"
    assert path.read_bytes() == b"weights"
    (tmp_path / "served" / "a b.ckpt").unlink()
    assert starting_weights(asked, tmp_path / "run", tmp_path) == [path]
    with pytest.raises(DataError, match="File not found"):
        starting_weights(container(weights_url=[f"{url}/none.ckpt"]), tmp_path / "run", tmp_path)


def test_a_download_that_was_cut_is_no_checkpoint(tmp_path: Path, url: str) -> None:
    asked = container(weights_url=[f"{url}/cut.ckpt"])
    for _ in range(2):
        with pytest.raises(DataError, match="it ended after 17 of 1000 bytes"):
            starting_weights(asked, tmp_path / "run", tmp_path)


def test_the_checkpoint_of_another_run(tmp_path: Path) -> None:
    checkpoint = tmp_path / "outputs" / "earlier" / "checkpoints" / "best.ckpt"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.touch()
    run = tmp_path / "outputs" / "now"
    assert starting_weights(container(src_checkpoint="earlier:best.ckpt"), run, tmp_path) == [checkpoint]
    assert starting_weights(container(src_checkpoint="outputs/earlier:best.ckpt"), run, tmp_path) == [checkpoint]
    with pytest.raises(DataError, match="no run 'later'"):
        starting_weights(container(src_checkpoint="later:best.ckpt"), run, tmp_path)


def test_a_source_may_be_a_file_or_a_url(tmp_path: Path, url: str) -> None:
    for name in ("w.ckpt", "a:b.ckpt"):
        (tmp_path / name).touch()
        assert starting_weights(container(src_checkpoint=name), tmp_path / "run", tmp_path) == [tmp_path / name]
    (path,) = starting_weights(container(src_checkpoint=f"{url}/a%20b.ckpt"), tmp_path / "run", tmp_path)
    assert path.read_bytes() == b"weights"
    with pytest.raises(DataError, match=r"src_checkpoint: there is no checkpoint .*x\.ckpt"):
        starting_weights(container(src_checkpoint="x.ckpt"), tmp_path / "run", tmp_path)


def test_what_only_azure_knows_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="model_id is in an AzureML workspace"):
        starting_weights(container(model_id="m:1"), tmp_path, tmp_path)


def test_an_unencrypted_url_needs_permission_and_a_digest_is_checked(tmp_path: Path, url: str) -> None:
    for parameters in ({"weights_url": [f"{url}/a%20b.ckpt"]}, {"src_checkpoint": f"{url}/a%20b.ckpt"}):
        with pytest.raises(UsageError, match="is not encrypted"):
            starting_weights(LightningContainer(**parameters), tmp_path / "run", tmp_path)
    assert not (tmp_path / "run").exists()
    digest = hashlib.sha256(b"weights").hexdigest()
    for _ in range(2):
        with pytest.raises(DataError, match=f"have the sha256 {digest}"):
            starting_weights(container(weights_url=[f"{url}/a%20b.ckpt#sha256={'0' * 64}"]), tmp_path / "run", tmp_path)
    with pytest.raises(DataError, match="ends in '#sha256=1'"):
        starting_weights(container(weights_url=[f"{url}/a%20b.ckpt#sha256=1"]), tmp_path / "run", tmp_path)
    (path,) = starting_weights(container(weights_url=[f"{url}/a%20b.ckpt#sha256={digest}"]), tmp_path / "run", tmp_path)
    assert path.read_bytes() == b"weights"


def test_weights_that_the_launching_side_provides_are_those_that_a_parameter_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "INPUT_given_model_id" / "model"
    folder.mkdir(parents=True)
    (folder / "best.ckpt").touch()
    monkeypatch.setenv("INNEREYE_RUNTIME_MODEL_ID", str(folder.parent))
    monkeypatch.setenv("INNEREYE_RUNTIME_SRC_CHECKPOINT", str(folder / "best.ckpt"))
    for named in ({"model_id": "lungs:3"}, {"src_checkpoint": "azureml://jobs/job-1"}):
        assert starting_weights(container(**named), tmp_path / "run", tmp_path) == [folder / "best.ckpt"]
    assert starting_weights(container(), tmp_path / "run", tmp_path) == []
    (folder / "other.ckpt").touch()
    asked = container(model_id="lungs:3")
    assert starting_weights(asked, tmp_path / "run", tmp_path) == [folder / "best.ckpt"]
    (folder / "best.ckpt").rename(folder / "first.ckpt")
    with pytest.raises(DataError, match=r"^model_id: what it names has 2 checkpoints: model/first\.ckpt, model/other"):
        starting_weights(asked, tmp_path / "run", tmp_path)
