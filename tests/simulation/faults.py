"""What goes wrong in the simulated world, drawn at random; each fault ends by itself."""

from collections.abc import Callable

from tests.simulation.node import SimNode
from tests.simulation.world import World

MOST_FORWARD_JUMPS = 1
"""Each may shorten every lease by up to 10 s, and a stream's margin is 15 s."""


class Faults:
    """A handful of faults of every kind before ``until``."""

    def __init__(self, world: World, nodes: list[SimNode]) -> None:
        self._world = world
        self._nodes = nodes
        self._jumps_left = MOST_FORWARD_JUMPS

    def plan(self, until: float) -> None:
        """Draw them."""
        rng = self._world.rng
        kinds = [*self._of_hosts(), *self._of_the_master(), *self._of_the_broker()]
        for _ in range(rng.randint(3, 8)):
            self._world.after(rng.uniform(2.0, until - 10.0), rng.choice(kinds))

    def heal(self) -> None:
        """Every outage ends; what is late still arrives."""
        world, broker = self._world, self._world.broker
        world.network.api_is_up, world.network.is_stormy = True, False
        world.store.is_up, world.store.is_full = True, False
        world.control_workers = max(1, world.control_workers)
        broker.is_up = broker.takes = True
        for node in self._nodes:
            node.is_cut_off = node.is_sick = node.is_full = False
            node.bad_devices = set()
            node.slowness, node.deaf_until = 1.0, 0.0
            node.delivery.may_crash = False
            node.restart()

    def _of_hosts(self) -> list[Callable[[], None]]:
        return [
            self._crash,
            self._crash,
            self._stop,
            self._partition,
            self._partition,
            self._back_in_a_pass,
            self._host_sleeps,
            self._agent_frozen,
            self._bad_driver,
            self._bad_driver,
            self._bad_gpu,
            self._bad_gpu,
            self._disk_full,
            self._starved,
            self._child_dead,
            self._dead_mount,
            self._node_clock,
        ]

    def _of_the_master(self) -> list[Callable[[], None]]:
        world = self._world
        return [
            lambda: self._for_a_while(world.network, api_is_up=False),
            lambda: self._for_a_while(world, control_workers=0),
            lambda: self._for_a_while(world, control_workers=2),
            lambda: self._for_a_while(world.store, is_up=False),
            lambda: self._for_a_while(world.store, is_full=True),
            lambda: self._for_a_while(world.network, is_stormy=True),
            self._master_away,
            self._farm_restarted,
            self._master_clock,
        ]

    def _of_the_broker(self) -> list[Callable[[], None]]:
        broker = self._world.broker
        return [
            broker.flush,
            self._old_snapshot,
            lambda: self._for_a_while(broker, is_up=False),
            lambda: self._for_a_while(broker, takes=False),
        ]

    # hosts

    def _crash(self) -> None:
        node = self._node()
        node.crash()
        self._world.after(self._world.rng.choice([1.0, 5.0, 90.0]), node.restart)

    def _stop(self) -> None:
        rng = self._world.rng
        self._node().stop(limit=rng.choice([0.0, 5.0, 30.0]), away=rng.choice([2.0, 60.0]))

    def _partition(self) -> None:
        """For much less than the node timeout, for a little less, or for longer."""
        rng, node = self._world.rng, self._node()
        low, high = rng.choice([(5.0, 15.0), (32.0, 42.0), (32.0, 42.0), (60.0, 120.0)])
        self._for_a_while(node, rng.uniform(low, high), is_cut_off=True)

    def _back_in_a_pass(self) -> None:
        """Cut off until the middle of a pass that may just have found its leases expired."""
        node = self._node()
        node.is_cut_off = True

        def returns() -> None:
            node.is_cut_off = False
            node.beat_now()

        self._world.after(
            self._world.rng.uniform(38.0, 50.0), lambda: self._world.in_a_pass.append(returns)
        )

    def _host_sleeps(self) -> None:
        self._node().freeze_host(self._world.rng.uniform(5.0, 150.0))

    def _agent_frozen(self) -> None:
        self._node().freeze_agent(self._world.rng.uniform(5.0, 150.0))

    def _bad_driver(self) -> None:
        node = self._node()
        node.is_sick = True
        self._world.after(self._world.rng.uniform(30.0, 90.0), lambda: _set(node, is_sick=False))

    def _bad_gpu(self) -> None:
        """One of them, while the rest of the host works on."""
        node = self._node()
        gpus = [device.id for device in node.host.devices if device.is_gpu]
        if gpus:
            node.bad_devices = {self._world.rng.choice(gpus)}
            seconds = self._world.rng.uniform(30.0, 90.0)
            self._world.after(seconds, lambda: _set(node, bad_devices=set()))

    def _disk_full(self) -> None:
        self._for_a_while(self._node(), is_full=True)

    def _starved(self) -> None:
        self._for_a_while(self._node(), slowness=3.0)

    def _child_dead(self) -> None:
        self._node().deaf_until = self._world.seconds + self._world.rng.uniform(5.0, 60.0)

    def _dead_mount(self) -> None:
        self._node().runner.loses_a_slot(self._world.rng.uniform(20.0, 60.0))

    def _node_clock(self) -> None:
        self._node().clock_skew = self._world.rng.choice([-3600.0, -7.0, 7.0, 3600.0])

    # the master's parts

    def _master_away(self) -> None:
        seconds = self._seconds()
        self._for_a_while(self._world.network, seconds, api_is_up=False)
        self._for_a_while(self._world, seconds, control_workers=0)

    def _farm_restarted(self) -> None:
        """Ctrl-C, and started again on the same data, with an empty broker."""
        world = self._world
        for node in self._nodes:
            node.stop(limit=0.0, away=40.0)

        def down() -> None:
            self._for_a_while(world.network, 30.0, api_is_up=False)
            self._for_a_while(world, 30.0, control_workers=0)
            world.broker.flush()

        world.after(8.0, down)

    def _master_clock(self) -> None:
        seconds = self._world.rng.choice([-600.0, -30.0, 30.0, 600.0])
        if seconds > 0:
            self._jumps_left -= 1
        self._world.step_clock(seconds if self._jumps_left >= 0 else -seconds)

    def _old_snapshot(self) -> None:
        self._world.broker.save()
        self._world.after(self._world.rng.uniform(5.0, 60.0), self._world.broker.restore)

    # all

    def _node(self) -> SimNode:
        return self._world.rng.choice(self._nodes)

    def _seconds(self) -> float:
        return self._world.rng.uniform(5.0, 120.0)

    def _for_a_while(self, what: object, seconds: float | None = None, **values: object) -> None:
        usual = {
            name: not value if isinstance(value, bool) else 1 for name, value in values.items()
        }
        _set(what, **values)
        after = self._seconds() if seconds is None else seconds
        self._world.after(after, lambda: _set(what, **usual))


def _set(what: object, **values: object) -> None:
    for name, value in values.items():
        setattr(what, name, value)
