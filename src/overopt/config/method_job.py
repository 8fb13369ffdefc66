"""Settings of the job of a method that has no rules of its own."""

from pydantic import JsonValue

from overopt.config.cells import Run
from overopt.config.rl import EvaluationSettings


class MethodSettings(EvaluationSettings):
    """One job: one run of such a method, of the project or of a plugin.

    `options` is the method's section in `methods` of the config, with the defaults of
    `Method.options`.
    """

    run: Run
    options: dict[str, JsonValue] = {}
