"""Settling a section: flags over environment over YAML file over defaults."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from ffrtmp.config.base import SECRET_VARIABLES, Settings
from ffrtmp.config.keyfile import UnusableKeyFile, read_key
from ffrtmp.config.values import Key

S = TypeVar("S", bound=Settings)
KEY: TypeAdapter[str] = TypeAdapter(Key)
KEY_SETTINGS = frozenset({"api_key", "api_key_file"})

NOT_OF_ITS_TAG = (ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What PyYAML raises for a value that is not the date, number or truth that it promises to be."""


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
    _require_one_key(settled, f"{file}: {section}: ")
    from_environment = _from_environment(environment, variables)
    from_flags = {name: value for name, value in flags.items() if value is not None}
    for given, where in ((from_environment, "the environment: "), (from_flags, "")):
        _require_one_key(given, where)
        if given.keys() & KEY_SETTINGS:
            # Whichever way a key is given here goes before both ways of giving one further down.
            settled = {n: value for n, value in settled.items() if n not in KEY_SETTINGS}
        for name, value in given.items():
            _put(settled, name, value)
    try:
        return _with_key(kind.model_validate(settled), section)
    except ValidationError as error:
        explained = _explain(error, file, section, from_environment | from_flags)
        raise ConfigError(explained) from error


def _from_environment(
    environment: Mapping[str, str], variables: Mapping[str, str]
) -> dict[str, Any]:
    found: dict[str, Any] = {n: environment[v] for n, v in variables.items() if environment.get(v)}
    for name, variable in variables.items():
        file = environment.get(f"{variable}_FILE")
        # The key has a setting of its own for its file.
        if not file or name in KEY_SETTINGS or variable not in SECRET_VARIABLES:
            continue
        if name in found:
            raise ConfigError(f"both {variable} and {variable}_FILE are set; leave one out")
        try:
            found[name] = read_key(Path(file))
        except UnusableKeyFile as error:
            raise ConfigError(f"{variable}_FILE: {error}") from error
    return found


def _require_one_key(given: Mapping[str, Any], where: str) -> None:
    if given.keys() >= KEY_SETTINGS:
        raise ConfigError(f"{where}both a key and a file with one are given; leave one out")


def _with_key(settings: S, section: str) -> S:
    """The settings with the key that is in their file."""
    file: Path | None = getattr(settings, "api_key_file", None)
    if file is None or getattr(settings, "api_key", None) is not None:
        return settings
    try:
        key = read_key(file)
    except UnusableKeyFile as error:
        raise ConfigError(f"{section}.api_key_file: {error}") from error
    try:
        return settings.model_copy(update={"api_key": KEY.validate_python(key)})
    except ValidationError:
        raise ConfigError(
            f"{section}.api_key_file: {file}: the key is not printable ASCII"
        ) from None


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
        document = yaml.load(file.read_text(encoding="utf-8"), _OnceLoader) or {}  # noqa: S506 - it is safe
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{file}: {error}") from error
    except NOT_OF_ITS_TAG as error:
        raise ConfigError(f"{file}: no YAML that can be read: {error!r}") from error
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
