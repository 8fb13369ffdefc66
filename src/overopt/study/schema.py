"""
The JSON schema of a config, for editors: `python -m overopt.study.schema` writes it.

An editor with a YAML language server then shows what each key means and marks faults while one
types. What only several values together show (`study_checks`) is beyond a schema.
"""

import json
from pathlib import Path

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from overopt.study.study import Study

SCHEMA_PATH = Path("config/schema.json")


class _ConfigSchema(GenerateJsonSchema):
    """As pydantic's, without a title that repeats the key, and strict about the names of sizes."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        written = super().dict_schema(schema)
        if "patternProperties" in written:
            written["additionalProperties"] = False
        return written


def study_schema() -> JsonSchemaValue:
    """JSON schema (draft 2020-12) of a config."""
    return {
        "$schema": GenerateJsonSchema.schema_dialect,
        **Study.model_json_schema(schema_generator=_ConfigSchema),
    }


def schema_text() -> str:
    """The schema as its file holds it: indented, in the order of the config's sections."""
    return json.dumps(study_schema(), indent=2) + "\n"


if __name__ == "__main__":
    SCHEMA_PATH.write_text(schema_text(), encoding="utf-8")
    print(f"wrote {SCHEMA_PATH}")
