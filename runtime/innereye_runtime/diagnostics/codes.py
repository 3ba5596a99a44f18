"""What each code of this package stands for. A code is never given a new meaning: programs and people search for it."""

from __future__ import annotations

from collections.abc import Mapping

TITLES: Mapping[str, str] = {
    "E001": "The file is not UTF-8",
    "E002": "The file is too large",
    "E003": "The text is not YAML",
    "E004": "The file is empty",
    "E005": "The top of the file is not a mapping",
    "E006": "The file holds several documents",
    "E007": "A key is written twice",
    "E008": "A key is not text",
    "E009": "A key is a list or a mapping",
    "E010": "A merge conflict is not resolved",
    "E011": "A merge key",
    "E012": "A tab in the indentation",
    "E013": "An alias contains itself",
    "E014": "More values than a manifest may have",
    "E015": "Nested too deeply",
    "E016": "A tag",
    "E017": "A number that is not finite, or too long",
    "E018": "An alias that names nothing",
    "E101": "A value of the wrong type",
    "E102": "A value that is not one of the choices",
    "E103": "A value out of bounds",
    "E104": "An unknown key",
    "E105": "A missing key",
    "E106": "Text that has not the form it needs",
    "E107": "An empty value",
    "E108": "The same item twice in a list",
    "E201": "Both 'dataset' and 'datasets'",
    "E202": "A dataset that names no data",
    "E203": "A dataset without an id on azureml",
    "E205": "More than one node where there is one machine with GPUs",
    "E206": "GPU ids where a number is needed",
    "E207": "A limit that leaves the container no memory to work with",
    "E208": "A name both in 'environment' and in 'secrets'",
    "E209": "The number of epochs twice",
    "E210": "An argument of the Trainer that the runtime sets itself",
    "E211": "A glob that leads out of the run folder",
    "E212": "Run folders inside a dataset",
    "E213": "A URL in place of a folder of this machine",
    "E214": "An id that names no place of data",
    "E215": "A search space that no trial can be drawn from",
    "E216": "A sweep whose algorithm lacks what it needs",
    "E217": "A fold that is set twice",
    "E218": "Several runs that the target does not start",
    "E219": "More or fewer processes than GPUs",
    "E220": "'container', 'model' and 'data' that don't go together",
    "E221": "Both an image and an environment for AzureML",
    "E501": "A requirements file that is not there",
    "E502": "A requirements file that can't be read",
    "E503": "Text that is not a requirement",
    "E504": "A folder of this machine among the requirements",
    "E505": "An extra that the project does not have",
    "E506": "A password in a requirements file",
    "E507": "A package that only conda installs",
    "E508": "A requirement that contradicts what images keep as tested",
    "E509": "A Python that images do not have",
    "E222": "A tier of machines beside a cluster",
    "E223": "A client id of another identity",
    "E224": "A remote folder for many runs",
    "W001": "Text that YAML 1.1 reads as a date",
    "W002": "Text that YAML 1.1 reads as a boolean",
    "W003": "A variable in a path, which is not replaced",
    "W004": "A setting without effect",
    "W005": "A dataset with an id and no local copy",
    "W006": "A value that looks like a secret",
    "W007": "Packages that a named environment has to have already",
    "W010": "A number that YAML 1.1 reads as another one",
    "N001": "More problems than are shown",
}

_OF_ARGUMENTS: Mapping[str, str] = {
    "00": "A container class that is not found, or whose source cannot be read",
    "01": "An unknown parameter",
    "02": "A parameter that can't be set",
    "03": "An argument of the wrong type",
    "04": "An argument out of bounds",
    "05": "An argument that is not one of the choices",
    "06": "A list of the wrong length",
    "07": "A parameter that is set twice",
    "08": "Arguments that contradict each other",
    "09": "A class that can't be trained",
    "10": "A parameter that an option of the command line hides",
    "11": "An import that is not there",
    "12": "An attribute whose name is nearly a parameter's",
    "13": "A model that nothing evaluates",
    "14": "A reference to a path that is not there",
    "15": "A missing argument",
}
"""Those of containers: 3 and two digits in a manifest, 4 and the same digits on the command line."""

_HELP: Mapping[str, str] = {
    "0": "A manifest is YAML 1.2 in UTF-8, with text as keys, at most 256 KiB.",
    "1": "`innereye-run schema` prints what a manifest may hold; editors that speak to yaml-language-server show it.",
    "2": "Each key is right by itself; together they can't be what is meant.",
    "3": "`innereye-run explain MANIFEST` shows every parameter of the container with its value.",
    "5": "`packages` names what the class imports beyond the runtime: a requirements file, or a list.",
    "4": "An override is --name=value; `innereye-run explain MANIFEST` shows every parameter of the container.",
}


def title(code: str) -> str:
    """What the code stands for, in a few words."""
    return TITLES[code] if code in TITLES else _OF_ARGUMENTS[code[2:]]


def help_text(code: str) -> str:
    """Where to read more on problems of this kind."""
    return _HELP[code[1]]
