"""How durations, jobs and reasons are put into words."""

import ast
import json
import re
from collections.abc import Mapping

PARAMS_REASON = re.compile(
    r"Params have changed since last execution: .*?before: (?P<before>.*) now: (?P<now>.*) ?"
)
NOTHING = "<nothing exclusive>"


def duration(seconds: float) -> str:
    """A duration as people say it: `14 s`, `3 min 20 s`, `2 h 05 min`."""
    seconds = round(max(seconds, 0.0))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02d} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02d} min"


def time_left(seconds: float | None) -> str:
    """An estimate, without digits that it does not have: `about 6 min left`."""
    if seconds is None:
        return "time left not known yet"
    if seconds < 10:
        return "a few seconds left"
    if seconds < 100:
        return f"about {10 * round(seconds / 10)} s left"
    if seconds < 3600:
        return f"about {round(seconds / 60)} min left"
    return f"about {duration(300 * round(seconds / 300))} left"


def job_label(rule: str, wildcards: Mapping[str, object] | None) -> str:
    """The rule and its wildcards: `proxy_rm s4 60000-comparisons seed-0`."""
    wildcards = wildcards or {}
    sizes = [name for name in wildcards if name.endswith("_size")]
    words = [rule]
    for name, value in wildcards.items():
        if name in sizes and len(sizes) > 1:
            words.append(f"{name.removesuffix('_size')}-{value}")
        elif name.startswith("num_"):
            words.append(f"{value}-{name.removeprefix('num_')}")
        elif re.fullmatch(r"-?[\d.]+(e-?\d+)?", str(value)):
            words.append(f"{name}-{value}")
        else:
            words.append(str(value))
    return " ".join(words)


def readable_reason(reason: str) -> str:
    """Snakemake's reason to run a job, with changed settings named instead of listed in full."""
    reason = PARAMS_REASON.sub(
        lambda match: changed_params(match["before"], match["now"]), reason, count=1
    )
    reason = re.sub(r"Missing output files: [^;]*", "output missing", reason)
    reason = re.sub(r"Input files updated by another job: [^;]*", "new input from a job", reason)
    return reason if len(reason) <= 300 else reason[:297] + "..."


def changed_params(before: str, now: str) -> str:
    """The two params of a rule, `config` (JSON) and `code` (a digest), as what changed in them."""
    try:
        old, new = _settings(before), _settings(now)
    except (ValueError, SyntaxError, TypeError):
        return "settings or code changed"
    changes = [
        f"{key} {old.get(key, 'unset')} -> {new.get(key, 'unset')}"
        for key in sorted(old.keys() | new.keys())
        if key != "code" and old.get(key) != new.get(key)
    ]
    if old.get("code") != new.get("code"):
        changes.append("code changed")
    return ", ".join(changes) or "settings or code changed"


def _settings(params: str) -> dict[str, object]:
    """Params as Snakemake prints them (Python literals), flattened to dotted keys."""
    flat: dict[str, object] = {}
    for param in [] if params.strip() == NOTHING else ast.literal_eval(f"[{params}]"):
        if re.fullmatch(r"[0-9a-f]{32,}", str(param)):
            flat["code"] = param
        else:
            flat |= _flatten(json.loads(param), "")
    return flat


def _flatten(value: object, key: str) -> dict[str, object]:
    if not isinstance(value, dict):
        return {key: value}
    return {
        dotted: leaf
        for name, part in value.items()
        for dotted, leaf in _flatten(part, f"{key}.{name}" if key else str(name)).items()
    }
