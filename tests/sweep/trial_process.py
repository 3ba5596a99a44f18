"""What a test runs in the place of a trial: a run folder is written as a run writes it, in a hundredth of a second.

Its value is x squared, unless x says otherwise: 99 fails, 98 logs another metric. It works as long as `go` is missing
in the folder of the sweep, where there is a `hold`, or one for its own name; it stops on SIGTERM with exit code 143.
"""

import json
import re
import signal
import sys
import time
from pathlib import Path

folder = Path(sys.argv[1])
study = folder.parent if folder.name == "ensemble" else folder.parent.parent
x = float(re.search(r"^ +x: (.*)$", (folder / "manifest.yaml").read_text(), re.M)[1])


def end(state, exit_code, metrics):
    record = {"schema": 1, "state": state, "exit_code": exit_code, "metrics": metrics, "attempts": [], "reason": state}
    (folder / "run.json").write_text(json.dumps(record))
    sys.exit(exit_code)


signal.signal(signal.SIGTERM, lambda *_: end("stopped", 143, {}))
with (study / "starts").open("a") as starts:
    starts.write(f"{folder.name}\n")
with (folder / "metrics.csv").open("a") as log:
    log.write("epoch,step,f\n" + "".join(f"{epoch},{epoch},{x * x}\n" for epoch in range(3)))
holds = (study / "hold", study / f"hold.{folder.name}")
while any(hold.exists() for hold in holds) and not (study / "go").exists():
    time.sleep(0.01)
if x == 99:
    end("failed", 1, {})
(folder / "outputs.json").write_text("{}")
end("completed", 0, {"val": {"other" if x == 98 else "f": x * x}})
