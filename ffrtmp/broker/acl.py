"""Who may do what in the broker: a user for the master, one for nodes, one for Flower.

Selectors in brackets give commands for their own keys and channels only; Redis has them since 7.0.
"""

import hashlib
from collections.abc import Mapping

MASTER, NODE, FLOWER = "master", "node", "flower"
EVERYONE = "+ping +select +client|setinfo +multi +exec +discard"
QUEUES = "~live* ~default* ~batch* ~node.*"
CONTROL = "~control*"
ANSWERS = "~*.reply.celery.pidbox"
EVENTS = "&/0.celeryev/*"
COMMANDS = "&/0.celery.pidbox"
NUDGES = "&ffrtmp.nudge.*"
WORKER = f"+psubscribe +punsubscribe {COMMANDS} (+publish {EVENTS}) (+lpush +pexpire {ANSWERS})"
"""What a Celery worker needs besides its queues."""

RULES: Mapping[str, str] = {
    MASTER: f"{EVERYONE} +lpush +llen {QUEUES} {CONTROL} {WORKER}"
    f" (+brpop {CONTROL}) (+publish {NUDGES})",
    NODE: f"{EVERYONE} +brpop +exists {QUEUES} {WORKER} (+subscribe +unsubscribe {NUDGES})",
    FLOWER: f"{EVERYONE} +psubscribe +punsubscribe {EVENTS} +llen {QUEUES} {CONTROL} ~celeryev.*"
    f" (+publish {COMMANDS}) (+del ~celeryev.*) (+brpop +llen +exists +del {ANSWERS}*)"
    " (+sadd +srem +smembers ~_kombu.binding.* ~_kombu.binding_permanent.*)",
}


def users(passwords: Mapping[str, str]) -> list[str]:
    """The lines of an ACL file, with passwords as hashes; ``default`` may do everything."""
    return [
        f"user {name} on #{hashlib.sha256(password.encode()).hexdigest()} "
        + (f"resetkeys resetchannels -@all {RULES[name]}" if name in RULES else "~* &* +@all")
        for name, password in passwords.items()
    ]
