"""Settings of the job of a plugin's method."""

from pydantic import JsonValue

from overopt.config.cells import Run
from overopt.config.rl import EvaluationSettings


class MethodSettings(EvaluationSettings):
    """One job: one run of a plugin's method.

    `options` is the method's section in `methods` of the config, with the defaults of
    `Method.options`.
    """

    run: Run
    options: dict[str, JsonValue] = {}
