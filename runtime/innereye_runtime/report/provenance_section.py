"""The parts of the page that say what a run was made of: parameters, attempts, code, data, machine, checkpoints."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from innereye_runtime.figures import chart
from innereye_runtime.report.sections import duration, moment, seconds
from innereye_runtime.report.text import insert_word_breaks
from innereye_runtime.run.folder import RunFolder, mapping, sequence

_ORIGINS = ("command line", "manifest", "class", "default")
"""From the most deliberate to the least."""
_DIFF_LINES = 2000


def parameters(run: RunFolder) -> str:
    """Every parameter with its origin: the changed ones first, those left at their defaults folded away."""
    arguments = {str(name): mapping(argument) for name, argument in mapping(run.record.get("arguments")).items()}
    by_origin: dict[str, list[str]] = {origin: [] for origin in _ORIGINS}
    for name, argument in sorted(arguments.items()):
        origin = str(argument.get("origin") or "default")
        row = (
            f'<tr><th scope="row">{insert_word_breaks(name)}</th><td>{_plain(argument.get("value"))}</td>'
            f'<td class="origin">{escape(origin)}</td></tr>'
        )
        by_origin.setdefault(origin, []).append(row)
    changed = [row for origin, rows in by_origin.items() if origin != "default" for row in rows]
    defaults = by_origin["default"]
    html = _parameter_table(changed) if changed else ""
    if defaults and not changed:
        html = '<p class="muted">All parameters have their default values.</p>'
    if defaults:
        summary = f"{len(defaults)} {'parameter' if len(defaults) == 1 else 'parameters'} left at the default"
        html += f"<details><summary>{summary}</summary>{_parameter_table(defaults)}</details>"
    return html


def attempts(run: RunFolder) -> str:
    """A row for each start of the run; empty for a run that needed one alone."""
    entries = [mapping(entry) for entry in sequence(run.record.get("attempts"))]
    if len(entries) < 2:
        return ""
    rows = "".join(
        f'<tr><th scope="row">{escape(str(entry.get("number", "")))}</th>'
        f'<td class="time">{moment(entry.get("started"))}</td>'
        f'<td class="time">{duration(entry.get("started"), entry.get("ended"))}</td>'
        f"<td>{escape(str(entry.get('state') or ''))}"
        + (f'<p class="muted">{escape(str(entry["reason"]))}</p>' if entry.get("reason") else "")
        + f"</td><td>{_resumed(entry)}</td><td>{escape(str(entry.get('host') or ''))}</td></tr>"
        for entry in entries
    )
    names = ("attempt", "started", "took", "state", "resumed from", "host")
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def provenance(run: RunFolder) -> str:
    """Code, checkpoints, data, image, machine and packages: what it takes to make the run again."""
    record = run.record
    facts = [
        ("Class", _container(mapping(record.get("container")))),
        ("Data module", _container(mapping(mapping(record.get("container")).get("data")))),
        ("Model", _model(mapping(record.get("model_summary")))),
        ("Code", _code(mapping(record.get("code")))),
        *(
            (f"Checkpoint: {name}", _checkpoint(mapping(entry)))
            for name, entry in mapping(record.get("checkpoints")).items()
            if mapping(entry)
        ),
        *(("Dataset", _dataset(mapping(entry))) for entry in sequence(record.get("datasets"))),
        ("Image", _image(mapping(record.get("image")))),
        ("Machine", _hardware(mapping(record.get("hardware")))),
        ("Software", _software(record)),
        (
            "Time" if len(sequence(record.get("attempts"))) < 2 else "Time of the last attempt",
            _timings(mapping(record.get("timings"))),
        ),
        ("Reproduce", _reproduce(run)),
    ]
    rows = "".join(f"<div><dt>{escape(name)}</dt><dd>{text}</dd></div>" for name, text in facts if text)
    folded = "".join(
        f"<details><summary>{summary}</summary>{content}</details>"
        for summary, content in (
            (
                _count(mapping(record.get("model_summary")), "layers", "layer"),
                _layers(mapping(record.get("model_summary"))),
            ),
            ("Changes since the commit", _diff(mapping(record.get("code")))),
            (_count(record, "packages", "package"), _packages(mapping(record.get("packages")))),
            ("The effective manifest", f'<pre tabindex="0">{escape(run.manifest)}</pre>' if run.manifest else ""),
        )
        if content
    )
    return (f"<dl>{rows}</dl>" if rows else "") + folded


def _plain(value: Any) -> str:
    """A parameter's value as one would write it; text that could be taken for something else in quotes."""
    if value is None:
        return '<span class="muted">none</span>'
    if isinstance(value, str) and value and value.strip() == value:
        return escape(value)
    return escape(json.dumps(value, ensure_ascii=False, default=str))


def _parameter_table(rows: Iterable[str]) -> str:
    return f'<div class="wide"><table class="parameters"><tbody>{"".join(rows)}</tbody></table></div>'


def _resumed(entry: Mapping[str, Any]) -> str:
    if not entry.get("resumed_from"):
        return "the start"
    return f"the end of epoch {escape(str(entry.get('epoch')))}, {escape(str(entry['resumed_from']))}"


def _container(container: Mapping[str, Any]) -> str:
    name = ".".join(str(container[key]) for key in ("module", "class") if container.get(key))
    return _lines(_code_text(name), _muted(container.get("file")))


def _model(summary: Mapping[str, Any]) -> str:
    total, trainable, size = (summary.get(key) for key in ("parameters", "trainable", "bytes"))
    if not (isinstance(total, int) and isinstance(trainable, int) and isinstance(size, int)):
        return ""
    frozen = f", {trainable:,} of them trained" if trainable != total else ""
    return f"{total:,} parameters{frozen} · {_bytes(size)}"


def _layers(summary: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{insert_word_breaks(str(layer.get("name")))}</th>'
        f"<td>{escape(str(layer.get('class')))}</td><td>{escape(str(layer.get('parameters')))}</td></tr>"
        for layer in map(mapping, sequence(summary.get("layers")))
    )
    head = "<tr><th>layer</th><th>class</th><th>parameters</th></tr>"
    return f'<div class="wide"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>' if rows else ""


def _code(code: Mapping[str, Any]) -> str:
    failure = f'<span class="warn">{escape(str(code["git_failure"]))}</span>' if code.get("git_failure") else ""
    if not code.get("commit"):
        return _lines(failure or ("not under git" if code.get("root") else ""), _muted(code.get("root")))
    changed = '<span class="warn">with changes that are not committed</span>' if code.get("dirty") else ""
    return _lines(_code_text(code["commit"]), changed, failure, _muted(code.get("root")))


def _checkpoint(entry: Mapping[str, Any]) -> str:
    chosen = ""
    if entry.get("monitor") and isinstance(entry.get("value"), int | float):
        chosen = f", {escape(str(entry['monitor']))} {escape(chart.number(entry['value']))}"
    where = f"{escape(str(entry.get('path') or ''))}"
    epoch = f" · epoch {entry['epoch'] + 1}{chosen}" if isinstance(entry.get("epoch"), int) else chosen
    return _lines(where + epoch, _muted(entry.get("reason")), _digest("weights sha256", entry.get("weights_sha256")))


def _dataset(entry: Mapping[str, Any]) -> str:
    size = [
        f"{entry['files']:,} files" if isinstance(entry.get("files"), int) else "",
        _bytes(entry["bytes"]) if isinstance(entry.get("bytes"), int) else "",
        escape(str(entry.get("mode") or "")),
    ]
    return _lines(
        f"{escape(str(entry.get('id') or entry.get('path') or ''))}",
        _muted(entry.get("path")) if entry.get("id") else "",
        f'<span class="muted">{" · ".join(text for text in size if text)}</span>' if any(size) else "",
        _digest("sha256", entry.get("sha256")),
    )


def _image(image: Mapping[str, Any]) -> str:
    return _lines(escape(str(image.get("reference") or "")), _digest("", image.get("digest")))


def _hardware(hardware: Mapping[str, Any]) -> str:
    memory = hardware.get("memory_bytes")
    parts = [
        str(hardware.get("cpu") or ""),
        f"{hardware['cores']} cores" if hardware.get("cores") else "",
        f"{_bytes(memory)} memory" if isinstance(memory, int) else "",
    ]
    gpus = [mapping(gpu) for gpu in sequence(hardware.get("gpus"))]
    described = [
        escape(str(gpu.get("name") or "GPU"))
        + (f", {_bytes(gpu['memory_bytes'])}" if isinstance(gpu.get("memory_bytes"), int) else "")
        for gpu in gpus
    ]
    return _lines(" · ".join(escape(part) for part in parts if part), *described)


def _reproduce(run: RunFolder) -> str:
    """The commands that make the run again, from the same code and data."""
    commit = mapping(run.record.get("code")).get("commit")
    checkout = f"git checkout {commit} && " if commit else ""
    return _code_text(f"{checkout}innereye-run {run.path}/manifest.yaml") if run.manifest else ""


def _software(record: Mapping[str, Any]) -> str:
    packages = mapping(record.get("packages"))
    named = [("Python", record.get("python")), ("innereye-runtime", record.get("runtime_version"))]
    named += [(name, packages.get(name)) for name in ("torch", "pytorch-lightning")]
    return " · ".join(f"{name} {escape(str(version))}" for name, version in named if version)


def _timings(timings: Mapping[str, Any]) -> str:
    return " · ".join(
        f"{escape(str(name))} {seconds(value)}" for name, value in timings.items() if isinstance(value, int | float)
    )


def _diff(code: Mapping[str, Any]) -> str:
    lines = str(code.get("diff") or "").splitlines()
    names = ", ".join(str(name) for name in sequence(code.get("left_out")))
    left_out = f'<p class="muted">Left out, because the name looks like a secret: {escape(names)}.</p>' if names else ""
    if not lines:
        return left_out
    kinds = {"+": "add", "-": "del", "@": "at"}
    shown = "\n".join(
        f'<span class="{kinds[line[0]]}">{escape(line)}</span>' if line[:1] in kinds else escape(line)
        for line in lines[:_DIFF_LINES]
    )
    rest = len(lines) - _DIFF_LINES
    more = f'<p class="muted">{rest:,} more lines are in run.json.</p>' if rest > 0 else ""
    return f'<pre class="diff" tabindex="0">{shown}</pre>{more}{left_out}'


def _packages(packages: Mapping[str, Any]) -> str:
    return (
        f'<pre tabindex="0">{escape(chr(10).join(f"{name}=={version}" for name, version in packages.items()))}</pre>'
        if packages
        else ""
    )


def _count(record: Mapping[str, Any], key: str, noun: str) -> str:
    entries = record.get(key)
    count = len(entries) if isinstance(entries, list | dict) else 0
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _lines(*texts: str) -> str:
    return "<br>".join(text for text in texts if text)


def _code_text(value: Any) -> str:
    return f"<code>{escape(str(value))}</code>" if value else ""


def _muted(value: Any) -> str:
    return f'<span class="muted">{escape(str(value))}</span>' if value else ""


def _digest(name: str, value: Any) -> str:
    return f'<span class="muted">{name}</span> <code>{escape(str(value))}</code>' if value else ""


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} TiB"
