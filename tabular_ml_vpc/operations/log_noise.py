"""Lines of a log that only say that AWS's toolkits are at work.

A line that warns or reports an error is never noise, but for warnings that each start of the
toolkits prints. Sources: sagemaker-training-toolkit, sagemaker-pytorch-inference-toolkit and
TorchServe, as they run in the images.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_TOOLKIT: Final = re.compile(
    r"""
    \d{4}-\d\d-\d\d\ [\d:,]+\ sagemaker[-_]\S+\ +INFO\b
    | Returning\ the\ value\ itself$
    | bash:\ (cannot\ set\ terminal|no\ job\ control)
    """,
    re.VERBOSE,
)
_SERVER: Final = re.compile(
    r"""
    \S+\ \[(INFO|WARN)\ ?\]\ \S+\ (
        TS_METRICS\ -
        | ACCESS_LOG\ -\ .*"GET\ /ping
        | (org\.pytorch\.serve|io\.grpc|com\.amazonaws\.ml\.mms)\.\S+\ -(?!.*(died|rror|xception))
        | MODEL_LOG\ -\ (s_name_part|Listening\ on|Successfully\ loaded\ \S+\.yaml|\[PID\]
            |Torch\ worker\ started|Python\ runtime|Connection\ accepted|model_name:)
    )
    | \['torchserve',\ '--start'
    | Warning:\ TorchServe\ is\ using\ non-default\ JVM
    | WARNING:\ sun\.reflect\.Reflection
    | nvidia-smi\ not\ available
    | \S+\ UserWarning:\ pkg_resources\ is\ deprecated
    | \s*import\ pkg_resources$
    | Model\ server\ started\.$
    """,
    re.VERBOSE,
)
_BLOCKS: Final = {
    "Training Env:": re.compile(r'\s*[\[\]{}]|\s+"|$'),
    "Environment variables:": re.compile(r"[A-Z][A-Z0-9_-]*=|$"),
    "Invoking script with the following command:": re.compile(r"\S+/python[\d.]* |$"),
    "Torchserve version:": re.compile(
        r"(TS Home|(Current|Temp|Metrics|Log) (directory|dir)|(Metrics config|Python executable)|"
        r"Number of [CG]PUs|Max heap size|(Config file|CPP log config|Model config)|"
        r"(Inference|Management|Metrics) address|(Model|Workflow) Store|Initial Models|Netty|"
        r"Default workers|Blacklist Regex|Maximum Re\w+ Size|Limit Maximum|Prefer direct|"
        r"Allowed Urls|Custom python|Enable metrics|Metrics mode|Disable system|System metrics|"
        r"Model API)|$"
    ),
}
"""What the lines after such a line look like as long as they belong to it."""


def noise() -> Callable[[str], bool]:
    """Return a function that says of one stream's lines, in order, whether each is noise."""
    block: re.Pattern[str] | None = None

    def is_noise(line: str) -> bool:
        nonlocal block
        begun = next((rest for start, rest in _BLOCKS.items() if line.startswith(start)), None)
        if begun is not None:
            block = begun
            return True
        if block is not None and block.match(line):
            return True
        block = None
        return bool(_TOOLKIT.match(line) or _SERVER.match(line))

    return is_noise
