"""Does this Python's MindSpore suit the project and find the device? python scripts/check_mindspore.py CPU|GPU|Ascend

Exit code 0; or 2 and one line that says what is wrong. For the CPU MindSpore is not imported, which would take seconds.
"""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

FROM, BELOW = (2, 9), (2, 11)  # as in requirements-mindspore.txt
AS_IT_IS = f"PYTHON={sys.executable} in front of the command uses it as it is"


def problem(target: str) -> str:
    """In one line; '' if there is none."""
    folder = Path(find_spec("mindspore").origin).parent
    text = (folder / "version.py").read_text(encoding="utf-8") if (folder / "version.py").is_file() else ""
    version = re.search(r"__version__ = .((\d+)\.(\d+)[\w.]*)", text)
    if not version or not FROM <= (int(version[2]), int(version[3])) < BELOW:
        found = version[1] if version else "of an unknown version"
        return f"MindSpore {found}: this project is for {FROM[0]}.{FROM[1]} and 2.10; {AS_IT_IS}"
    if target == "CPU":
        return ""
    os.environ.setdefault("GLOG_v", "4")  # or it prints lines about every library that it does not find
    try:
        import mindspore as ms

        found = getattr(ms.device_context, target.lower()).is_available()
        return "" if found else f"MindSpore {ms.__version__} finds no {target}; {AS_IT_IS}"
    except (ImportError, OSError, RuntimeError) as error:
        return f"MindSpore cannot be imported: {str(error).splitlines()[0]}; {AS_IT_IS}"


if __name__ == "__main__":
    wrong = problem(sys.argv[1])
    if wrong:
        print(f"error: {sys.executable}: {wrong}", file=sys.stderr)
        sys.exit(2)
