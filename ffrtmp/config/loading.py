"""Settling a section: flags over environment over YAML file over defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from ffrtmp.config.base import Settings

S = TypeVar("S", bound=Settings)


class ConfigError(Exception):
    """A setting is unknown, has a wrong type, or its file cannot be read; the text says which."""


def load(
    kind: type[S],
    *,
    section: str,
    file: Path | None,
    environment: Mapping[str, str],
    variables: Mapping[str, str],
    flags: Mapping[str, Any],
) -> S:
    """Settle one section. ``variables`` maps setting to environment variable; a flag or setting
    named ``tls.cert`` stands for a nested key; a flag of None was not given."""
    settled: dict[str, Any] = _section_of(file, section, kind) if file else {}
    given = {name: environment[v] for name, v in variables.items() if environment.get(v)}
    given |= {name: value for name, value in flags.items() if value is not None}
    for name, value in given.items():
        _put(settled, name, value)
    try:
        return kind.model_validate(settled)
    except ValidationError as error:
        raise ConfigError(_explain(error, file, section, given)) from error


def _put(settled: dict[str, Any], name: str, value: Any) -> None:
    *path, last = name.split(".")
    for part in path:
        settled = settled.setdefault(part, {})
    settled[last] = value


class _OnceLoader(yaml.SafeLoader):
    """Safe YAML in which a key stands once: the later of two would win unseen."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = [key for key in keys if keys.count(key) > 1]
        if twice:
            raise yaml.constructor.ConstructorError(
                problem=f"{twice[0]!r} is given twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)


def _section_of(file: Path, section: str, kind: type[Settings]) -> dict[str, Any]:
    try:
        document = yaml.load(file.read_text(encoding="utf-8"), _OnceLoader) or {}  # noqa: S506
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{file}: is not a mapping with master: and worker: sections")
    unknown = sorted(str(key) for key in document if key not in ("master", "worker"))
    if unknown:
        raise ConfigError(f"{file}: unknown key {unknown[0]!r}; there are master: and worker:")
    found = document.get(section) or {}
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: {section}: is not a mapping")
    return _by_field_name(found, kind)


def _by_field_name(found: dict[str, Any], kind: type[Settings]) -> dict[str, Any]:
    aliases = {field.alias: name for name, field in kind.model_fields.items() if field.alias}
    return {aliases.get(key, str(key)): value for key, value in found.items()}


def _explain(
    error: ValidationError, file: Path | None, section: str, given: Mapping[str, Any]
) -> str:
    first = error.errors()[0]
    path = ".".join(str(part) for part in first["loc"])
    where = f"{section}.{path}"
    place = f"{file}: " if file and path not in given else ""
    if first["type"] == "extra_forbidden":
        return f"{place}unknown key {where!r}"
    return f"{place}{where}: {first['msg'].removeprefix('Value error, ')}"
