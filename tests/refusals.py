"""What tests of the configuration share: how a study is refused."""

import pytest

from lib.config import ConfigError
from lib.study import parse_study


def refused(raw, *parts):
    """Assert that `raw` is refused with one message that holds all parts; the message."""
    with pytest.raises(ConfigError) as caught:
        parse_study(raw, "my.yaml")
    message = str(caught.value)
    assert message.startswith("my.yaml is not a valid study:\n  ")
    for part in parts:
        assert part in message, message
    return message


def nest(path, value):
    """{"a": {"b": value}} for the path "a.b"."""
    for key in reversed(path.split(".")):
        value = {key: value}
    return value
