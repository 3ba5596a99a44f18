"""What the source reader says of a class is what the imported class says of itself, or nothing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from datetime import date
from pathlib import Path
from typing import Any

import param
import pytest

import innereye_runtime.examples
from innereye_runtime.introspection.discovery import find, load
from innereye_runtime.introspection.static.class_reader import ClassSource, read
from innereye_runtime.introspection.static.declarations import KINDS
from innereye_runtime.introspection.static.imports import missing_imports
from innereye_runtime.parameters.from_class import parameters_of, python_value
from innereye_runtime.parameters.overrides import values_of
from innereye_runtime.parameters.parameter import UNKNOWN
from innereye_runtime.parameters.values import ValueProblemError, accept

API_TESTS = Path(__file__).resolve().parent.parent / "api"
LISTINGS = re.findall(
    r"^class (\w+)\((?:\w*Container|With\w+|AllParameters)\b",
    "\n".join(file.read_text() for file in sorted((API_TESTS / "listings").glob("*.py"))),
    re.MULTILINE,
)
_EXAMPLES = [
    (file.stem, name)
    for file in sorted(Path(innereye_runtime.examples.__path__[0]).glob("*.py"))
    for name in re.findall(r"^class (\w+)\(\w*Container\b", file.read_text(), re.MULTILINE)
]
OWN = {
    "api.container": ["LightningContainer"],
    "api.params.workflow_params": ["WorkflowParams"],
    "api.params.dataset_params": ["DatasetParams"],
    "api.params.output_params": ["OutputParams"],
    "api.params.trainer_params": ["TrainerParams"],
    "api.params.optimizer_params": ["OptimizerParams"],
    "api.params.generic_config": ["GenericConfig", "CudaAwareConfig"],
}


def source_of(folder: Path, name: str = "mine:Mine") -> ClassSource:
    return read(find(name, [], [folder]), [folder])


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in OWN.items() for name in names])
def test_our_own_classes_are_read_as_they_are(module: str, name: str) -> None:
    location = find(f"innereye_runtime.{module}:{name}", [], [])
    found = read(location, [])
    assert found.parameters == parameters_of(load(location))
    assert found.unresolved == ()


def test_there_are_listings() -> None:
    assert len(LISTINGS) >= 9


@pytest.mark.parametrize("name", LISTINGS)
def test_a_listing_is_read_as_an_instance_of_it_is(name: str, needs: Any) -> None:
    needs("torch")
    location = find(name, ["listings"], [API_TESTS])
    found = read(location, [API_TESTS])
    assert found.parameters == parameters_of(load(location, [API_TESTS])())
    assert found.unresolved == ()


@pytest.mark.parametrize(("module", "name"), _EXAMPLES)
def test_an_example_is_read_as_an_instance_of_it_is(module: str, name: str, needs: Any) -> None:
    needs("torch")
    location = find(f"innereye_runtime.examples.{module}:{name}", [], [])
    found = read(location, [])
    assert found.parameters == parameters_of(load(location)())
    assert found.unresolved == ()


def test_nothing_is_imported() -> None:
    script = (
        "import sys; from pathlib import Path; before = set(sys.modules)\n"
        "from innereye_runtime.introspection.discovery import find\n"
        "from innereye_runtime.introspection.static.class_reader import read\n"
        f"place = [Path({str(API_TESTS)!r})]\n"
        "assert read(find('AllParameters', ['listings'], place), place).parameters['crop'].default == (64, 224, 224)\n"
        "heavy = ('torch', 'param', 'listings', 'pytorch_lightning', 'InnerEye')\n"
        "print(*(name for name in heavy if name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == ""


BASE = "class Base(param.Parameterized):\n    a = param.Integer(LIMIT)\n"
BODIES: dict[str, tuple[str, dict[str, Any]]] = {
    "bases in other modules": (
        "from base import Base\nclass Mine(Base):\n    b = param.Integer(2)\n",
        {"a": 1, "b": 2},
    ),
    "a base by its module": ("import base\nclass Mine(base.Base):\n    pass\n", {"a": 1}),
    "a star import": ("from base import *\nclass Mine(Base):\n    pass\n", {"a": 1}),
    "a name for a value": ("N = 3\nclass Mine(param.Parameterized):\n    a = param.Integer(N + 1)\n", {"a": 4}),
    "a name of another module": (
        "from base import LIMIT\nclass Mine(param.Parameterized):\n    a = param.Integer(LIMIT)\n",
        {"a": 9},
    ),
    "a value that is computed": (
        "class Mine(param.Parameterized):\n    a = param.Integer(int(input()))\n",
        {"a": UNKNOWN},
    ),
    "an enum of another module": (
        "from base import Colour\nclass Mine(param.Parameterized):\n"
        "    a = param.ClassSelector(class_=Colour, default=Colour.RED)\n",
        {"a": "r"},
    ),
    "a branch that is not known": (
        "import os\nfrom base import Base\nclass Mine(Base):\n    def __init__(self):\n        super().__init__()\n"
        "        if os.environ.get('X'):\n            self.a = 5\n",
        {"a": UNKNOWN},
    ),
    "a branch that is known": (
        "FAST = False\nfrom base import Base\nclass Mine(Base):\n    def __init__(self):\n"
        "        super().__init__(a=3)\n        if FAST:\n            self.a = 5\n",
        {"a": 3},
    ),
    "a value that is added to": (
        "from base import Base\nclass Mine(Base):\n    def __init__(self):\n        super().__init__()\n"
        "        self.a += 1\n",
        {"a": UNKNOWN},
    ),
    "a loop": (
        "from base import Base\nclass Mine(Base):\n    def __init__(self):\n        super().__init__()\n"
        "        for n in range(3):\n            self.a = n\n",
        {"a": UNKNOWN},
    ),
    "arguments handed on": (
        "from base import Base\nclass Middle(Base):\n    def __init__(self, size=2, **kwargs):\n"
        "        super().__init__(a=size, **kwargs)\n"
        "class Mine(Middle):\n    def __init__(self):\n        super().__init__(size=7)\n",
        {"a": 7},
    ),
    "setattr": (
        "from base import Base\nclass Mine(Base):\n    def __init__(self):\n        super().__init__()\n"
        "        setattr(self, 'a', 8)\n",
        {"a": 8},
    ),
    "a parameter that a method hides": (
        "from base import Base\nclass Mine(Base):\n    @property\n    def a(self):\n        return 3\n",
        {},
    ),
}


@pytest.mark.parametrize("case", BODIES)
def test_values_are_followed_or_unknown(case: str, write: Any) -> None:
    write(
        "base.py",
        "import param\nfrom enum import Enum\nLIMIT = 9\nclass Colour(Enum):\n    RED = 'r'\n"
        "class Base(param.Parameterized):\n    a = param.Integer(1)\n",
    )
    text, expected = BODIES[case]
    found = source_of(write("mine.py", "import param\n" + text))
    assert {name: parameter.default for name, parameter in found.parameters.items()} == expected
    assert found.unresolved == ()


UNREAD = {
    "a base that is made": "class Mine(make()):\n    pass\n",
    "a base that is not there": "from nowhere import Base\nclass Mine(Base):\n    pass\n",
    "a decorator": "@wrapped\nclass Mine:\n    pass\n",
    "a parameter that a function makes": "def layers():\n    ...\nclass Mine:\n    a = layers()\n",
    "a loop in the body": "class Mine:\n    for n in range(3):\n        locals()[f'a{n}'] = n\n",
    "a class that is made": "Mine = type('Mine', (), {})\n",
}


@pytest.mark.parametrize("case", UNREAD)
def test_what_can_not_be_read_is_said(case: str, write: Any) -> None:
    found = source_of(write("mine.py", UNREAD[case]))
    assert len(found.unresolved) == 1
    assert "mine.py" in found.unresolved[0]


CONTAINER = "from innereye_runtime import LightningContainer\n"
REFUSED = {
    "a syntax error": (f"{CONTAINER}class Mine(LightningContainer)\n    pass\n", "mine.py:2: expected ':'"),
    "a model": ("import torch\nclass Mine(torch.nn.Module):\n    pass\n", "mine.py:2"),
    "a plain class": ("class Mine:\n    pass\n", "Mine is not a LightningContainer"),
}
NOT_REFUSED = {
    "a container": f"{CONTAINER}class Mine(LightningContainer):\n    pass\n",
    "by the old path": "from InnerEye.ML.lightning_container import LightningContainer as L\nclass Mine(L):\n    x = 1",
    "one below another": f"{CONTAINER}class A(LightningContainer):\n    pass\nclass Mine(A):\n    pass\n",
    "a base that can't be read": "from elsewhere import Base\nclass Mine(Base):\n    pass\n",
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_class_that_can_not_be_trained_is_refused(case: str, write: Any) -> None:
    text, wanted = REFUSED[case]
    refusal = source_of(write("mine.py", text)).refusal
    assert refusal is not None
    assert wanted in refusal[0]


@pytest.mark.parametrize("case", NOT_REFUSED)
def test_a_container_is_not_refused(case: str, write: Any) -> None:
    assert source_of(write("mine.py", NOT_REFUSED[case])).refusal is None


HEAD = "import param\nclass Mine(param.Parameterized):\n"


@pytest.mark.parametrize(
    "text",
    [
        "class Mine(Mine):\n    pass\n",
        "class A(B):\n    pass\nclass B(A):\n    pass\nclass Mine(A):\n    pass\n",
        "import param\nX = X\nclass Mine(param.Parameterized):\n    a = param.Integer(X)\n",
        "import param\nX = Y\nY = X\nclass Mine(param.Parameterized):\n    a = param.Integer(X + 1)\n",
        "from mine import Mine\nclass Other(Mine):\n    pass\n",
        HEAD + "    a = param.Number(10 ** 10 ** 10, bounds=[1], length='x')\n",
        HEAD + "    a = param.List('abc', item_type=3)\n    b = param.Selector(3)\n",
        HEAD + "    a = param.Integer('x' * 10 ** 9)\n",
        "class Mine:\n    def __init__(self):\n        self.f()\n    def f(self):\n        self.f()\n",
    ],
)
def test_odd_source_ends_in_an_answer(text: str, write: Any) -> None:
    assert isinstance(source_of(write("mine.py", text)), ClassSource)


def test_a_type_of_parameter_that_converts_by_itself_takes_anything(write: Any) -> None:
    text = (
        "import param\nclass Odd(param.Integer):\n"
        "    def __set__(self, obj, value):\n        super().__set__(obj, int(value))\n"
        "class Plain(param.Integer):\n    pass\n"
        "class Mine(param.Parameterized):\n    a = Odd(3)\n    b = Plain(3)\n"
    )
    folder = write("mine.py", text)
    found = source_of(folder).parameters
    assert (found["a"].kind, found["b"].kind) == ("any", "integer")
    assert found == parameters_of(load(find("mine:Mine", [], [folder]), [folder]))


RARE = """\
from datetime import date, datetime
import param
class Mine(param.Parameterized):
    colour = param.Color("#ff0000")
    hook = param.Action(None)
    raw = param.Bytes()
    table = param.DataFrame(None)
    hooks = param.HookList([])
    file = param.FileSelector(path="*.nothing")
    files = param.MultiFileSelector(path="*.nothing")
    span = param.Range((0, 1), (0, 10))
    dates = param.DateRange(None)
    days = param.CalendarDateRange(None)
    folder = param.Foldername(None, ["."])
    kind = param.Selector(["a", "b"], "b")
"""


def test_every_type_of_parameter_is_known(write: Any) -> None:
    folder = write("mine.py", RARE)
    found = source_of(folder).parameters
    imported = parameters_of(load(find("mine:Mine", [], [folder]), [folder]))
    assert found == imported
    values = values_of(found, ["--colour=#00ff00", "--days=2026-11-24,2026-11-25", "--kind=a", "--span=0,2"])
    assert values["days"] == (date(2026, 11, 24), date(2026, 11, 25))
    kinds = {
        name for name, value in vars(param).items() if isinstance(value, type) and issubclass(value, param.Parameter)
    }
    assert kinds - {"SelectorBase"} <= KINDS.keys()


NAMED = """\
import param
from collections import Counter, OrderedDict
from innereye_runtime.api.params.generic_config import GenericConfig
SIZES = {"small": 16, "large": 64}
class Base(GenericConfig):
    act = param.Selector(objects={"counter": Counter, "ordered": OrderedDict}, default=OrderedDict)
    size = param.ObjectSelector(SIZES["large"], objects=SIZES)
    first = param.Selector(objects=dict(counter=Counter, ordered=OrderedDict))
    several = param.ListSelector([Counter], objects={"counter": Counter, "ordered": OrderedDict})
class Mine(Base):
    size = 16
"""


def test_objects_of_a_selector_go_by_their_names(write: Any) -> None:
    folder = write("mine.py", NAMED)
    found = source_of(folder).parameters
    mine = load(find("mine:Mine", [], [folder]), [folder])
    assert found == parameters_of(mine)
    assert {name: found[name].default for name in ("act", "size", "first", "several")} == {
        "act": "ordered",
        "size": "small",
        "first": "counter",
        "several": ["counter"],
    }
    words = ["--act=Counter", "--size=64", "--first=ordered", "--several=ordered,counter"]
    values = values_of(found, words)
    assert values == {"act": "counter", "size": "large", "first": "ordered", "several": ["ordered", "counter"]}
    objects = {name: python_value(mine.param[name], value) for name, value in values.items()}
    assert [kind.__name__ for kind in (objects["act"], objects["first"], *objects["several"])] == [
        "Counter",
        "OrderedDict",
        "OrderedDict",
        "Counter",
    ]
    for value, name in ((64, "large"), ("large", "large"), (16, "small")):
        assert accept(found["size"], value) == name
    for parameter, value in (("act", "swish"), ("size", 17), ("several", ["counter", "none"])):
        with pytest.raises(ValueProblemError, match=r"must be one of (counter, ordered|small, large), not"):
            accept(found[parameter], value)


def test_relative_imports_are_followed(write: Any) -> None:
    write("pack/__init__.py", "from .inner.deep import Base\n")
    write("pack/inner/__init__.py", "")
    write(
        "pack/inner/deep.py",
        "import param\nfrom ..limits import LIMIT\nclass Base(param.Parameterized):\n    a = param.Integer(LIMIT)\n",
    )
    write("pack/limits.py", "LIMIT = 6\n")
    folder = write("pack/mine.py", "from . import Base\nclass Mine(Base):\n    pass\n")
    assert source_of(folder, "pack.mine:Mine").parameters["a"].default == 6


MODELS = """
from pytorch_lightning import LightningModule
from innereye_runtime import InnerEyeInference, LightningContainer, LightningModuleWithOptimizer
from monai.foreign import Other

class Trained(LightningModule): pass
class Tested(Trained):
    def test_step(self, batch, index): pass
class Inherited(Tested): pass
class Assigned(Trained):
    test_step = Tested.test_step
class Inferring(InnerEyeInference, LightningModuleWithOptimizer):
    def inference_step(self, item, batch_index, outputs): pass
class OnlyDerived(InnerEyeInference, LightningModuleWithOptimizer): pass
class Foreign(Other, LightningModule): pass
class Optimised(LightningModuleWithOptimizer): pass
"""


@pytest.mark.parametrize(
    ("returned", "untested"),
    [
        ("Trained()", "Trained"),
        ("Optimised()", "Optimised"),
        ("OnlyDerived(self.l_rate)", "OnlyDerived"),
        ("Tested()", ""),
        ("Inherited()", ""),
        ("Assigned()", ""),
        ("Inferring()", ""),
        ("Foreign()", ""),  # what a base outside the source brings is not known
        ("self.model", ""),
        ("Trained() if self.smoke else Tested()", ""),
    ],
)
def test_a_model_that_nothing_evaluates_is_seen(tmp_path: Path, returned: str, untested: str) -> None:
    method = f"class Own(LightningContainer):\n    def create_model(self):\n        return {returned}\n"
    (tmp_path / "own.py").write_text(MODELS + "\n" + method)
    assert read(find("own:Own", [], [tmp_path]), [tmp_path]).untested_model == untested


def test_a_file_is_parsed_again_when_it_has_changed_and_only_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "import param\nfrom innereye_runtime import LightningContainer\n"
        "class Lungs(LightningContainer):\n    depth = param.Integer(3)\n"
    )
    (tmp_path / "lungs.py").write_text(text)
    location = find("lungs:Lungs", (), (tmp_path,))
    first = read(location, (tmp_path,))
    parsed: list[bytes] = []
    original = ast.parse
    monkeypatch.setattr(ast, "parse", lambda source, *of, **how: parsed.append(source) or original(source, *of, **how))
    assert read(location, (tmp_path,)).parameters == first.parameters
    assert missing_imports("lungs", tmp_path / "lungs.py", (tmp_path,)) == []
    assert parsed == []
    (tmp_path / "lungs.py").write_text(text.replace("3", "45"))
    assert read(location, (tmp_path,)).parameters["depth"].default == 45
    assert len(parsed) == 1
